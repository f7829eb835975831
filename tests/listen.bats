#!/usr/bin/env bats
# seq-rank --listen: what each address answers, what it refuses, and that nobody is kept waiting or cut off.

load helpers

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o sequences
	seq-train -q --arch sasrec --epochs 1 sequences -o sasrec
	seq-train -q --arch markov sequences -o markov
	seq-rank -q --split next --format json -k 10 sasrec -o next
}

setup() {
	needs curl python3
	own_folder
}

teardown() {
	[ -z "${server:-}" ] || kill -KILL "$server" 2>/dev/null || true
}

# listens ARGUMENT...: starts a server; $server is its process, $url where it is
listens() {
	: >log
	seq-rank --listen 0 "$@" 2>log 3>&- &
	server=$!
	local tries
	for ((tries = 0; tries < 600; tries++)); do
		url=$(sed -n 's/.*listening on //p' log)
		[ -z "$url" ] || return 0
		kill -0 "$server" || break
		sleep 0.1
	done
	cat log
	return 1
}

# ask PATH [CURL ARGUMENT...]: $status and, in $output, the body
ask() {
	local path=$1
	shift
	status=$(curl -sS -o body -w '%{http_code}' "$@" "$url$path")
	output=$(<body)
}

# refused CODE TEXT PATH [CURL ARGUMENT...]: one line of JSON with an error that has the text
refused() {
	local code=$1 text=$2
	shift 2
	ask "$@"
	if [ "$status" != "$code" ] || [ "$(wc -l <body)" != 1 ] || ! python3 -c 'import json; print(json.load(open("body"))["error"])' >error; then
		printf '%s: %s, expected %s: %s\n' "$*" "$status" "$code" "$output"
		return 1
	fi
	output=$(<error)
	says "$text"
}

# ends SIGNAL: the server ends with 0
ends() {
	kill -"$1" "$server"
	wait "$server"
	server=
}

# waits_for TEXT: on the server's stderr
waits_for() {
	local tries
	for ((tries = 0; tries < 300; tries++)); do
		grep -qF "$1" log && return 0
		sleep 0.1
	done
	cat log
	return 1
}

@test "where its library is not to be had that is said, before anything is read" {
	: >libmicrohttpd.so.12
	LD_LIBRARY_PATH=$PWD fails seq-rank --listen 0 sasrec
	says "libmicrohttpd.so.12: file too short: --listen needs this library, which Debian's package libmicrohttpd-dev brings"
}

@test "listen: a user's and a history's ten best are those of --split next" {
	listens sasrec
	python3 - "$url" <<-'END'
		import json, sys, urllib.request
		def ask(question):
		    return json.load(urllib.request.urlopen(sys.argv[1] + "recommend", json.dumps(question).encode()))
		lines = [json.loads(line) for line in open("next")]
		for line in lines[:200]:
		    assert ask({"user": line["user"]})["items"] == line["items"], line["user"]
		best = lines[0]["items"][0]["item"]
		answer = ask({"user": lines[0]["user"], "k": 9, "exclude": [best]})
		assert [e["item"] for e in answer["items"]] == [e["item"] for e in lines[0]["items"][1:]]
	END
	ends TERM
}

@test "listen: GET and POST are the same; fields, why, unknown ids" {
	listens sasrec
	python3 - "$url" <<-'END'
		import json, sys, urllib.request
		url = sys.argv[1]
		def post(path, question):
		    return json.load(urllib.request.urlopen(url + path, json.dumps(question).encode()))
		def get(path):
		    return json.load(urllib.request.urlopen(url + path))
		items = [e["item"] for e in get("items?q=HEART&k=3")["items"]]
		assert len(items) == 3
		a = post("recommend", {"history": items + ["nobody's"], "k": 4, "fields": ["title"], "why": True})
		b = get("recommend?" + "&".join("history=" + i for i in items) + "&history=nobody%27s&k=4&fields=title&why=true")
		assert a == b and a["unknown"] == 1 and len(a["items"]) == 4
		for rank, entry in enumerate(a["items"], 1):
		    assert entry["rank"] == rank and entry["title"] and entry["item"] not in items
		    assert 0 < len(entry["why"]) <= 2 and set(entry["why"]) <= set(items)
		found = post("items", {"q": "heart  holder", "k": 5, "fields": ["title"]})["items"]
		assert found and all("heart" in e["title"].lower() and "holder" in e["title"].lower() for e in found)
		assert post("items", {"q": items[2], "k": 1})["items"] == [{"item": items[2]}]
		assert post("items", {"q": " "})["items"] == []
		s = post("similar", {"item": items[0], "k": 5})
		assert s == get("similar?k=5&item=" + items[0]) and len(s["items"]) == 5
		scores = [e["score"] for e in s["items"]]
		assert scores == sorted(scores, reverse=True) and max(scores) <= 1.0001
		assert items[0] not in [e["item"] for e in s["items"]]
		open("similar", "w").writelines(f"{items[0]}\t{e['rank']}\t{e['item']}\n" for e in s["items"])
	END
	sed -n "1s,\t.*,,p" similar >item
	seq-rank -q --similar --items item -k 5 --format tsv sasrec | cut -f1-3 | cmp - similar
	ends TERM
}

@test "listen: a model without item vectors answers what follows the item" {
	listens markov
	item=$(curl -sS "${url}items?q=heart&k=1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["items"][0]["item"])')
	python3 - "$url" "$item" <<-'END'
		import json, sys, urllib.request
		url, item = sys.argv[1:]
		similar, after = (json.load(urllib.request.urlopen(url + path)) for path in (f"similar?item={item}", f"recommend?history={item}"))
		assert similar["items"] == after["items"]
	END
	ends INT
}

@test "listen: health, metrics and the page" {
	listens sasrec
	ask healthz
	says '"status":"ok"'
	says '"architecture":"sasrec"'
	ask recommend -d '{"history": ["no such item"]}'
	ask nowhere
	ask metrics
	says 'recpipe_requests_total{path="/recommend",code="200"} 1'
	says 'recpipe_requests_total{path="other",code="404"} 1'
	says 'recpipe_request_seconds_bucket{path="/recommend",le="+Inf"} 1'
	says 'recpipe_unknown_ids_total 1'
	says 'recpipe_model_info{id="'
	awk '!/^#/ && !/^[a-z_]+(\{[^}]*\})? [-+0-9.e]+$/ { print; bad = 1 } END { exit bad }' body
	ask ""
	[ "$status" = 200 ]
	says '<title>'
	# nothing from elsewhere
	if grep -nE '(src|href)=|https?://|@import' body; then false; fi
	ends TERM
}

@test "listen: what is wrong with a question is said in a line" {
	listens sasrec
	refused 404 "there is no /nowhere" nowhere
	refused 405 "DELETE does not apply" recommend -X DELETE
	refused 405 "POST does not apply" healthz -d '{}'
	refused 400 'not JSON: line 1' recommend -d '{"user": '
	refused 400 'not JSON' recommend -d ''
	refused 400 'not JSON' recommend -d "$(printf '[%.0s' {1..5000})"
	refused 400 'not JSON' recommend -d '{"user": "a", "user": "b"}'
	refused 400 'a JSON object was expected' recommend -d '[]'
	refused 400 '"user" or "history" was expected' recommend -d '{}'
	refused 400 'user "nobody" is not known' recommend -d '{"user": "nobody"}'
	refused 400 '"histroy" is not known' recommend -d '{"histroy": []}'
	refused 400 '"history": a list of ids' recommend -d '{"history": "85123A"}'
	refused 400 'from 1 to 1000' recommend -d '{"history": [], "k": 1001}'
	refused 400 'from 1 to 1000' 'recommend?history=a&k=ten'
	refused 400 'from 1 to 1000' recommend -d '{"history": [], "k": 0}'
	refused 400 '"why": true or false' recommend -d '{"history": [], "why": 1}'
	refused 400 'no attribute "colour"' recommend -d '{"history": [], "fields": ["colour"]}'
	refused 400 '"fields": a list' recommend -d '{"history": [], "fields": "title"}'
	refused 400 'is there twice' 'recommend?user=a&user=b'
	refused 400 'UTF-8 without NUL' 'recommend?user=%ff'
	refused 400 'UTF-8 without NUL' 'recommend?user=a%00b'
	refused 400 '"item": text was expected' similar
	refused 404 'item "x" is not known' 'similar?item=x'
	refused 400 '"item" is not known; q' 'items?item=x'
	refused 400 '"q": text was expected' items -d '{"q": 1}'
	ask healthz
	[ "$status" = 200 ]
	ends TERM
}

@test "listen: limits of body, header, history, exclude and why" {
	listens sasrec
	python3 - <<-'END'
		import json
		for name, question in {
		    "body": {"history": ["x" * (1 << 20)]}, "fits": {"history": ["x" * ((1 << 20) - 100)]},
		    "history": {"history": ["x"] * 1001}, "exclude": {"history": [], "exclude": ["x"] * 10001},
		    "enough": {"history": ["x"] * 1000, "exclude": ["x"] * 10000}}.items():
		    json.dump(question, open(name + ".json", "w"))
		known = [json.loads(line)["items"][0]["item"] for line in open("next")][:1] * 201
		json.dump({"history": known, "why": True}, open("why.json", "w"))
	END
	refused 413 'more than 1048576 bytes' recommend -d @body.json
	ask recommend -d @fits.json
	[ "$status" = 200 ]
	refused 400 '"history": 1001 items, and at most 1000' recommend -d @history.json
	refused 400 '"exclude": 10001 items, and at most 10000' recommend -d @exclude.json
	ask recommend -d @enough.json
	[ "$status" = 200 ]
	says '"unknown":11000'
	refused 400 'at most 200 are explained' recommend -d @why.json
	refused 431 'more than 16384 bytes' healthz -H "X-Much: $(printf 'x%.0s' {1..17000})"
	refused 431 'more than 16384 bytes' "recommend?user=$(printf 'x%.0s' {1..17000})"
	ends TERM
}

@test "listen: what is no HTTP ends that connection and nothing else" {
	listens sasrec
	python3 - "$url" <<-'END'
		import os, random, socket, sys
		host, port = sys.argv[1][7:-1].rsplit(":", 1)
		chance = random.Random(1)
		good = b'POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n{"history":[]}'
		for i in range(300):
		    with socket.create_connection((host, int(port)), 0.1) as peer:
		        data = bytearray(good)
		        for _ in range(chance.randrange(1, 6)):
		            data[chance.randrange(len(data))] = chance.randrange(256)
		        try:
		            peer.sendall(data[:chance.randrange(len(data))] if i % 3 else data)
		            peer.shutdown(socket.SHUT_WR)
		            peer.recv(1 << 16)
		        except OSError:
		            pass
		for bad in (b"\0" * 100000, b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"/" * 200000, b"POST /recommend HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
		            b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00"):
		    with socket.create_connection((host, int(port)), 1) as peer:
		        try:
		            peer.sendall(bad)
		            peer.shutdown(socket.SHUT_WR)
		            peer.recv(1 << 16)
		        except OSError:
		            pass
	END
	ask recommend -d '{"history": []}'
	[ "$status" = 200 ]
	ends TERM
}

@test "listen: slow clients, more than there are connections, keep nobody waiting and are hung up on" {
	listens sasrec
	timeout 100 python3 - "$url" <<-'END'
		import select, socket, sys, time, urllib.request
		host, port = sys.argv[1][7:-1].rsplit(":", 1)
		starts = b"GET /heal", b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", b""
		slow = []
		for i in range(700):
		    peer = socket.create_connection((host, int(port)), 20)
		    peer.sendall(starts[i % 3])
		    slow.append(peer)
		begun = time.monotonic()
		for _ in range(50):
		    assert b"items" in urllib.request.urlopen(sys.argv[1] + "recommend", b'{"history": []}', timeout=5).read()
		assert time.monotonic() - begun < 5
		# a byte now and then does not buy time
		peer, others = slow[-2], slow[:-2]
		while time.monotonic() - begun < 40:
		    try:
		        peer.send(b"x")
		        if select.select([peer], [], [], 1)[0] and not peer.recv(1000):
		            break
		    except OSError:
		        break
		took = time.monotonic() - begun
		assert 5 < took < 20, took
		for other in others[::7]:
		    other.settimeout(5)
		    try:
		        assert other.recv(1000) == b""
		    except ConnectionError:
		        pass
	END
	ask metrics
	[ "$(awk '/^recpipe_connections_closed_total/ { print $2 }' body)" -ge 600 ]
	ends TERM
}

@test "listen: SIGHUP takes a new model under load without losing a request, and keeps the old one when that is broken" {
	cp sasrec served
	listens served
	[ "$(<"/proc/$server/comm")" = seq-rank ] # what pkill goes by
	python3 - "$url" >counts 3>&- <<-'END' &
		import collections, http.client, json, os, sys
		host = sys.argv[1][7:-1]
		counts, connection = collections.Counter(), http.client.HTTPConnection(host, timeout=20)
		while not os.path.exists("enough"):
		    connection.request("POST", "/recommend", b'{"history": ["85123A"]}')
		    answer = connection.getresponse()
		    assert answer.status == 200 and len(json.loads(answer.read())["items"]) == 10
		    counts[answer.headers["Recpipe-Model"]] += 1
		    open("started", "w").close()
		print(len(counts), sum(counts.values()))
	END
	local client=$!
	until [ -e started ] || ! kill -0 $client; do sleep 0.1; done
	head -c 5000 markov >broken && mv broken served
	kill -HUP "$server"
	waits_for 'the new model is not taken, the old one stays: seq-rank: served'
	grep -F 'truncated' log
	ask healthz
	says '"architecture":"sasrec"'
	cp markov new && mv new served
	kill -HUP "$server"
	waits_for 'SIGHUP: the model is now'
	ask healthz
	says '"architecture":"markov"'
	ask metrics
	says 'recpipe_new_models_total{result="taken"} 1'
	says 'recpipe_new_models_total{result="refused"} 1'
	sleep 0.5
	touch enough
	wait $client
	cat counts
	grep -q '^2 ' counts
	ends TERM
}

@test "listen: --why is the default of questions, --candidates bound the answers alone, and a new model must have the --fields" {
	cp sasrec served
	cut -d, -f 1 "$EXAMPLE/items.csv" | sed -n '2,4p' >stock
	listens --why --fields title --candidates stock served
	ask recommend -d '{"history": ["22752", "22755"], "k": 1000}'
	[ "$(grep -o '"why"' body | wc -l)" = 3 ]
	ask recommend -d '{"history": ["22752", "22755"], "k": 1000, "why": false}'
	[ "$(grep -o '"item"' body | wc -l)" = 3 ]
	[ "$(grep -c '"why"' body)" = 0 ]
	ask similar -d '{"item": "22752", "k": 50}'
	[ "$(grep -o '"item"' body | wc -l)" = 4 ] # and the one asked for
	ask items -d '{"q": "heart", "k": 9}'
	[ "$(grep -o '"item"' body | wc -l)" = 9 ]
	seq-tokenize -q "$EXAMPLE/events.csv" | seq-train -q --arch popular -o bare
	mv bare served
	kill -HUP "$server"
	waits_for 'the new model is not taken, the old one stays: seq-rank: '
	ask healthz
	says '"architecture":"sasrec"'
	ends TERM
}

@test "listen: SIGTERM answers what was asked, lets nobody else in, and ends with 0" {
	listens sasrec
	python3 - "$url" "$server" 3>&- <<-'END'
		import os, signal, socket, sys, time
		host, port = sys.argv[1][7:-1].rsplit(":", 1)
		body = b'{"history": []}'
		peer = socket.create_connection((host, int(port)), 20)
		peer.sendall(b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:5])
		time.sleep(0.5)
		os.kill(int(sys.argv[2]), signal.SIGTERM)
		time.sleep(1.5)
		try:
		    socket.create_connection((host, int(port)), 2)
		    sys.exit("still let in")
		except ConnectionError:
		    pass
		peer.sendall(body[5:])
		said = b""
		while more := peer.recv(1 << 16):
		    said += more
		assert said.startswith(b"HTTP/1.1 200") and b"Connection: close" in said, said[:300]
	END
	wait "$server"
	server=
	grep -F 'ending: answering what was asked' log
}

@test "listen: many at once get the same bytes as one" {
	listens -j 3 sasrec
	python3 - "$url" <<-'END'
		import json, sys, threading, urllib.request
		# of one, two, ... ten items; some explained, some without what was met, some wrong: as they come to be answered together
		users = [json.loads(line)["user"] for line in open("next")][:40]
		def ask(user):
		    i = users.index(user)
		    question = {"user": user, "k": i % 11, "why": i % 3 == 0}
		    if i % 4 == 1:
		        question["history"] = []
		    try:
		        return urllib.request.urlopen(sys.argv[1] + "recommend", json.dumps(question).encode()).read()
		    except urllib.error.HTTPError as error:
		        return error.code, error.read()
		alone = {user: ask(user) for user in users}
		assert sum(type(answer) is tuple for answer in alone.values()) == 4
		wrong = []
		def work(shift):
		    for i in range(len(users)):
		        user = users[(i + shift) % len(users)]
		        if ask(user) != alone[user]:
		            wrong.append(user)
		threads = [threading.Thread(target=work, args=(5 * i,)) for i in range(8)]
		for thread in threads:
		    thread.start()
		for thread in threads:
		    thread.join()
		assert not wrong, wrong
	END
	ends TERM
}

@test "listen: wrong usage, and places that are not to be had" {
	misused seq-rank --listen 0 <sasrec
	says 'the stream cannot be read from stdin: --listen reads it again on SIGHUP; name a file'
	misused seq-rank --listen 0 --serve sasrec
	misused seq-rank --listen 0 --format json sasrec
	misused seq-rank --listen 0 -o out sasrec
	misused seq-rank --listen 0 -
	misused seq-rank --listen 70000 sasrec
	says '[HOST:]PORT'
	misused seq-rank --listen localhost: sasrec
	misused seq-rank --listen :80 sasrec
	fails seq-rank --listen 192.0.2.1:0 sasrec
	says '192.0.2.1:0'
	listens sasrec
	fails seq-rank --listen "${url:7:-1}" sasrec
	says 'Address already in use'
	ends TERM
	fails seq-rank --listen 0 sequences
	says 'model'
}

@test "listen: the page finds, gathers and recommends, in a browser" {
	local browser
	browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "no chromium"
	listens sasrec
	item=$(curl -sS "${url}items?q=heart&k=1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["items"][0]["item"])')
	timeout 100 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$PWD/browser" --virtual-time-budget=5000 --dump-dom \
		"$url?history=$item&q=heart" >page.html 2>browser.log 3>&- || skip "$browser does not start here"
	python3 - <<-'END'
		import re
		page = open("page.html", encoding="utf-8").read()
		parts = {name: re.search(rf'<(ul|ol) id="{name}">(.*?)</\1>', page, re.S).group(2).count("<li") for name in ("items", "history", "next")}
		assert parts == {"items": 20, "history": 1, "next": 10}, parts
		assert page.count("because of ") == 10 + 1, page.count("because of ")
	END
	ends TERM
}

@test "listen: two models together answer as they do without a server" {
	local models=(--model sasrec --model markov --weights '.3,.7')
	seq-rank -q --split next --format json -k 10 "${models[@]}" sequences -o together
	listens "${models[@]}" sequences
	python3 - "$url" <<-'END'
		import json, sys, urllib.request
		for line in list(map(json.loads, open("together")))[:50]:
		    answer = json.load(urllib.request.urlopen(sys.argv[1] + "recommend", json.dumps({"user": line["user"]}).encode()))
		    assert answer["items"] == line["items"], line["user"]
	END
	ask healthz
	says '"architecture":"sasrec+markov"'
	kill -HUP "$server"
	waits_for 'SIGHUP: the model is now'
	ends TERM
}
