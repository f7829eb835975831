#!/usr/bin/env bats
load helpers
load input

setup() {
	cd "$BATS_TEST_TMPDIR" || exit
	printf 'user_id,item_id,timestamp\nu1,b,3\nu2,a,1\nu1,a,1\nu1,c,2\nu2,b,2\n' >events.csv
	printf 'item_id,title,brand\na,Red pen,Bic\nb,"Ink, blue",\nz,Never sold,Bic\n' >items.csv
}

# wrong TEXT MESSAGE OPTION...: fatal, and counted with --skip-bad
wrong() {
	local text=$1 message=$2
	shift 2
	printf "%b" "$text" >wrong.csv
	rm -f wrong.tar.zst
	fails seq-tokenize "$@" wrong.csv -o wrong.tar.zst
	says "seq-tokenize: wrong.csv: $message"
	[ ! -e wrong.tar.zst ]
	seq-tokenize --skip-bad "$@" wrong.csv 2>said >wrong.tar.zst
	output=$(<said)
	says " left out, the first: wrong.csv: $message"
}

H='user_id,item_id,timestamp\n'

@test "events become sequences, oldest first, users and items in order of appearance" {
	seq-tokenize events.csv >s.tar.zst 2>said
	output=$(<said)
	says "2 users, 3 items, 5 events; 2.5 events a user"
	[ "$(sequences s.tar.zst | paste -sd/ -)" = "u1: a c b/u2: a b" ]
	[ "$(member s.tar.zst catalog/000000.item_id.txt | paste -sd' ' -)" = "b a c" ]
	[ "$(tar --zstd -tf s.tar.zst | paste -sd' ' -)" = "catalog/meta.json catalog/000000.item_id.txt catalog/end.json\
 sequences/meta.json sequences/000000.user_id.txt sequences/000000.indptr.npy sequences/000000.item.npy\
 sequences/000000.timestamp.npy sequences/end.json log/00-seq-tokenize.json" ]
	[ "$(numbers seen/sequences/000000.timestamp.npy 8 | paste -sd ' ' -)" = "1 2 3 1 2" ]
}

@test "stdin, -, zstd and a file give the same bytes" {
	zstd -q events.csv
	seq-tokenize -q --no-history events.csv >a
	seq-tokenize -q --no-history <events.csv >b
	seq-tokenize -q --no-history - <events.csv >c
	seq-tokenize -q --no-history events.csv.zst -o d
	cmp a b && cmp a c && cmp a d
}

@test "several files of events are one" {
	printf 'user_id\titem_id\ttimestamp\nu3\ta\t9\n' >more.tsv
	seq-tokenize -q events.csv more.tsv -o s.tar.zst
	[ "$(sequences s.tar.zst | paste -sd/ -)" = "u1: a c b/u2: a b/u3: a" ]
	printf 'user_id,item_id\nu3,a\n' >more.csv
	fails seq-tokenize events.csv more.csv -o s2.tar.zst
	says "more.csv: no time column, unlike the events before"
}

@test "BOM, CRLF, quoted line breaks, semicolons, tabs, RecBole's types" {
	makes '\xef\xbb\xbfuser_id,item_id,timestamp\r\nu,b,2\r\n\r\nu,a,1\r\n' "u: a b"
	makes 'user_id,note,item_id\nu,"one\ntwo, ""three""",b\nu,,a\n' "u: b a"
	makes 'user_id;item_id\nu;b,c\n' "u: b,c"
	makes 'user_id:token\titem_id:token\ttimestamp:float\nu\t5"\t2\nu\ta b\t1.0\n' 'u: a b 5"'
	makes 'user_id,item_id\nu|1,b\n' "u|1: b"
	makes 'user_id|item_id\nu|b\n' "u: b"
	makes 'user_id,item_id|x\nu,b|2\n' "u,b: 2" --delimiter '|' --user-column user_id,item_id --item-column x
}

@test "usual names of columns, and names given" {
	makes 'overall,reviewerID,asin,unixReviewTime\n5,u,b,2\n5,u,a,1\n' "u: a b"
	makes 'userId,movieId,rating,timestamp\nu,b,4,2\nu,a,4,1\n' "u: a b"
	makes 'Customer ID,Stock-Code,InvoiceDate\nu,b,2010-12-02\nu,a,2010-12-01 08:26:00\n' "u: a b"
	makes 'who,what,when\nu,b,2\nu,a,1\n' "u: a b" --user-column who --item-column what --time-column when
	makes 'session_id,user_id,item_id\ns,u,b\ns,u,a\n' "s: b a" --user-column session_id
	fails seq-tokenize --user-column who events.csv -o x
	says "seq-tokenize: events.csv: no column who (the user); the columns are user_id, item_id, timestamp"
	printf '1,2,3\n4,5,6\n' >bare.csv
	fails seq-tokenize bare.csv -o x
	says "bare.csv: the first line should name the columns, and has 1, 2, 3; where no line does: --columns user,item,-"
	printf 'who,what\n4,5\n' >strange.csv
	fails seq-tokenize strange.csv -o x
	says "strange.csv: no user column by a usual name (name it with --user-column); the columns are who, what"
	fails seq-tokenize --time-column item_id events.csv -o x
	says "column item_id cannot be two things at once"
	printf 'user_id,user_id,item_id\n' >twice.csv
	fails seq-tokenize --user-column user_id twice.csv -o x
	says "two columns are called user_id"
}

@test "times: integers, decimals, dates; ties keep the file's order or are shuffled by the seed" {
	makes "${H}u,c,1.75\nu,b,1.5\nu,a,1\n" "u: a b c"
	makes "${H}u,c,2020-01-01T00:00:00+01:00\nu,b,2019-12-31T23:30:00Z\nu,a,2019-12-31\n" "u: a c b"
	makes "${H}u,c,5\nu,b,5\nu,a,5\nu,z,1\n" "u: z c b a"
	text=$H
	for i in 1 2 3 4 5 6 7 8; do text+="u,$i,7\n"; done
	makes "${text}u,z,1\n" "u: z 1 2 3 4 5 6 7 8"
	printf '%b' "$text" >ties.csv
	for seed in 1 1 2; do
		seq-tokenize -q --ties shuffle --seed $seed ties.csv -o "s$seed.tar.zst"
		sequences "s$seed.tar.zst" >>shuffled
	done
	[ "$(sort shuffled | uniq | wc -l)" = 2 ]
	[ "$(tr ' ' '\n' <shuffled | sort | uniq -c | awk '/[0-9]$/ { print $1 }' | sort -u)" = 3 ]
	seq-tokenize ties.csv 2>&1 >s | grep -F "100.0 % of the users have one timestamp for their last two events"
	printf 'user,item,time\nu,a,1.5\nu,b,1.25\n' >parts.csv
	seq-tokenize parts.csv 2>&1 >s | grep -F "last two events in one second; the order of these: by its fractions, then the file's"
}

@test "no time column: the order of the file, and no timestamps" {
	makes 'user_id,item_id\nu,b\nu,a\n' "u: b a"
	[ ! -e seen/sequences/000000.timestamp.npy ]
}

@test "duplicates: kept, the first, the last" {
	text="${H}u,a,1\nu,b,2\nu,a,3\nu,a,4\nv,a,1\n"
	makes "$text" "u: a b a a/v: a"
	makes "$text" "u: a b/v: a" --duplicates first
	makes "$text" "u: b a/v: a" --duplicates last
}

@test "k-core: repeated until it is stable" {
	text='user_id,item_id\nu,a\nu,b\nu,c\nv,a\nv,b\nw,c\n'
	makes "$text" "u: a b c/v: a b" --min-user 2
	# without w, c has one event; without c, u keeps two
	makes "$text" "u: a b/v: a b" --min-user 2 --min-item 2
	[ "$(tr '\n' ' ' <seen/catalog/000000.item_id.txt)" = "a b " ]
	printf "%b" "$text" >core.csv
	fails seq-tokenize --min-user 4 core.csv -o x
	says "--min-user 4 --min-item 0 leave no events of 6"
}

@test "the catalog: the items file's order, then the unseen; --min-item drops what is too rare" {
	seq-tokenize --items items.csv events.csv -o s.tar.zst 2>said
	[ "$(member s.tar.zst catalog/000000.item_id.txt | tr '\n' ' ')" = "a b z c " ]
	output=$(<said)
	says "warning: no text in items.csv for 1 of the items"
	[ "$(sequences s.tar.zst | paste -sd/ -)" = "u1: a c b/u2: a b" ]
	seq-tokenize -q --items items.csv --min-item 1 events.csv -o s.tar.zst
	[ "$(member s.tar.zst catalog/000000.item_id.txt | tr '\n' ' ')" = "a b c " ]
	seq-tokenize -q --items items.csv --min-item 2 events.csv -o s.tar.zst
	[ "$(member s.tar.zst catalog/000000.item_id.txt | tr '\n' ' ')" = "a b " ]
	[ "$(sequences s.tar.zst | paste -sd/ -)" = "u1: a b/u2: a b" ]
}

# texts FILE: the catalog's tokens, a line an item, "type.attribute:token ..."
texts() {
	rm -rf seen && mkdir seen && tar --zstd -xf "$1" -C seen
	python3 - <<-'END'
		import json, numpy
		vocab = json.load(open("seen/tokenizer/tokenizer.json"))["model"]["vocab"]
		token = {i: t for t, i in vocab.items()}
		indptr, ids, types, attribute = (numpy.load(f"seen/catalog/000000.{name}.npy")
		    for name in ("indptr", "input_ids", "token_type_ids", "attribute"))
		for row in range(len(indptr) - 1):
		    print(*(f"{types[i]}.{attribute[i]}:{token[ids[i]]}" for i in range(indptr[row], indptr[row + 1])))
	END
}

@test "key and value are tokenised apart; empty attributes are left out" {
	seq-tokenize -q --items items.csv events.csv -o s.tar.zst
	[ "$(tar --zstd -tf s.tar.zst | head -3 | paste -sd' ' -)" = "tokenizer/meta.json tokenizer/tokenizer.json tokenizer/end.json" ]
	texts s.tar.zst >got
	join_tokens() { sed -E 's/ ?([0-9.]+):/\n\1 /g' | awk 'NF { if ($1 != last) printf "%s%s:", last ? " " : "", $1; last = $1; printf "%s", $2 } END { print "" }'; }
	[ "$(sed -n 1p got | join_tokens)" = "1.0:title 2.0:RedĠpen 1.1:brand 2.1:Bic" ]
	[ "$(sed -n 2p got | join_tokens)" = "1.0:title 2.0:Ink,Ġblue" ]
	[ "$(sed -n 4p got)" = "" ]
	member s.tar.zst catalog/meta.json | grep -F '"attributes":["title","brand"]'
	seq-tokenize -q --items items.csv --attributes brand,title events.csv -o t.tar.zst
	texts t.tar.zst >got
	[ "$(sed -n 1p got | join_tokens)" = "1.0:brand 2.0:Bic 1.1:title 2.1:RedĠpen" ]
	seq-tokenize -q --items items.csv --attributes brand events.csv -o t.tar.zst
	texts t.tar.zst >got
	[ "$(sed -n 2p got)" = "" ]
	fails seq-tokenize --items items.csv --attributes title,colour events.csv -o x
	says "items.csv: no column colour (an attribute); the columns are item_id, title, brand"
}

@test "HTML entities are decoded, unless they are to be kept" {
	printf 'id,title\na,Q&amp;A   &#39;&eacute;\n' >items.csv
	seq-tokenize -q --items items.csv events.csv -o s.tar.zst
	texts s.tar.zst >got
	[ "$(grep -c ';' got)" = 0 ]
	seq-tokenize -q --items items.csv --keep-entities events.csv -o t.tar.zst
	texts t.tar.zst | grep ';'
}

@test "the tokenizer of a stream is used again, and learning is the same for any number of threads" {
	seq-tokenize -q --items "$EXAMPLE/items.csv" --vocab-size 600 -j1 --no-history "$EXAMPLE/events.csv" -o a.tar.zst
	seq-tokenize -q --items "$EXAMPLE/items.csv" --vocab-size 600 -j2 --no-history "$EXAMPLE/events.csv" -o b.tar.zst
	cmp a.tar.zst b.tar.zst
	seq-tokenize -q --items "$EXAMPLE/items.csv" --tokenizer a.tar.zst -j2 --no-history "$EXAMPLE/events.csv" -o c.tar.zst
	cmp a.tar.zst c.tar.zst
	member a.tar.zst tokenizer/tokenizer.json >tokenizer.json
	seq-tokenize -q --items "$EXAMPLE/items.csv" --tokenizer tokenizer.json --no-history "$EXAMPLE/events.csv" -o d.tar.zst
	cmp a.tar.zst d.tar.zst
	member a.tar.zst tokenizer/meta.json | grep -F '"vocab_size":600'
	[ "$(member a.tar.zst tokenizer/meta.json | grep -o '"id":"[0-9a-f]*"')" = \
		"$(member a.tar.zst catalog/meta.json | grep -o '"tokenizer":"[0-9a-f]*"' | sed s/tokenizer/id/)" ]
	seq-tokenize -q events.csv -o plain.tar.zst
	fails seq-tokenize -q --items items.csv --tokenizer plain.tar.zst events.csv -o x
	says "plain.tar.zst: no tokenizer in the stream"
}

@test "config.json tells how a pair of vocabulary and merges cuts words, else a warning what is assumed" {
	seq-tokenize -q --items items.csv --no-history events.csv -o s.tar.zst
	mkdir pair bert
	member s.tar.zst tokenizer/tokenizer.json | python3 -c '
import json, sys
model = json.load(sys.stdin)["model"]
json.dump(model["vocab"], open("pair/vocab.json", "w"))
open("pair/merges.txt", "w").write("\n".join(model["merges"]) + "\n")'
	seq-tokenize -q --items items.csv --tokenizer pair events.csv >/dev/null 2>said
	output=$(<said)
	says "pair/vocab.json: no config.json beside it says which family's this is; words are cut as GPT-2's"
	echo '{"model_type":"wonder"}' >pair/config.json
	seq-tokenize -q --items items.csv --tokenizer pair events.csv >/dev/null 2>said
	output=$(<said)
	says 'how model_type "wonder" cuts words is not known here'
	echo '{"model_type":"qwen2"}' >pair/config.json
	seq-tokenize -q --items items.csv --tokenizer pair events.csv -o q.tar.zst 2>said
	[ ! -s said ]
	member q.tar.zst tokenizer/tokenizer.json | grep -F '"normalizer":{"type":"NFC"}'
	member q.tar.zst tokenizer/tokenizer.json | grep -F 'p{N}| ?[^'

	printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' red pen '##s' >bert/vocab.txt
	seq-tokenize -q --items items.csv --tokenizer bert events.csv >/dev/null 2>said
	output=$(<said)
	says "bert/vocab.txt: no tokenizer_config.json beside it says whether capitals count"
	echo '{"do_lower_case":false}' >bert/tokenizer_config.json
	seq-tokenize -q --items items.csv --tokenizer bert/vocab.txt events.csv -o b.tar.zst 2>said
	[ ! -s said ]
	member b.tar.zst tokenizer/tokenizer.json | grep -F '"lowercase":false'
	printf 'red\nred\n' >bert/vocab.txt
	fails seq-tokenize -q --items items.csv --tokenizer bert events.csv -o x
	says 'bert/vocab.txt: line 2: token "red" occurs twice'
}

@test "what spells a special token in an item's text is text" {
	printf 'item_id,title\na,x</s>y\nb,z\n' >special.csv
	seq-tokenize -q --items special.csv --no-history events.csv -o s.tar.zst
	mkdir seen && tar --zstd -xf s.tar.zst -C seen
	python3 - <<-'END'
		import json, numpy
		vocab = json.load(open("seen/tokenizer/tokenizer.json"))["model"]["vocab"]
		spelling = {i: t for t, i in vocab.items()}
		ids = numpy.load("seen/catalog/000000.input_ids.npy")
		assert vocab["</s>"] not in ids, ids
		assert "x</s>y" in "".join(spelling[i] for i in ids), ids
	END
}

@test "domains: one catalog, ids kept apart, attributes of one name are one" {
	printf 'item_id,title,year\na,Red film,1999\nq,Blue film,\n' >films.csv
	printf 'user,item,time\nu1,a,5\nu3,q,6\nu3,new,7\n' >views.csv
	seq-tokenize -q --domain shop=items.csv,events.csv --domain film=films.csv,views.csv -o both.tar.zst
	[ "$(sequences both.tar.zst | paste -sd/ -)" = \
		"shop:u1: shop:a shop:c shop:b/shop:u2: shop:a shop:b/film:u1: film:a/film:u3: film:q film:new" ]
	[ "$(member both.tar.zst catalog/000000.item_id.txt | paste -sd' ' -)" = \
		"shop:a shop:b shop:z film:a film:q shop:c film:new" ]
	output=$(member both.tar.zst catalog/meta.json)
	says '"attributes":["title","brand","year"]'
	# of film:a title and year, of shop:z title and brand, of film:q the title alone; film:new has no text
	python3 - <<-'END'
		import numpy
		load = lambda name: numpy.load(f"seen/catalog/000000.{name}.npy")
		indptr, attribute = load("indptr"), load("attribute")
		seen = [sorted(set(attribute[a:b].tolist())) for a, b in zip(indptr, indptr[1:])]
		assert seen == [[0, 1], [0], [0, 1], [0, 2], [0], [], []], seen
	END
	# several files of events; attributes chosen, where a domain has them
	printf 'user,item,time\nu1,q,9\n' >more.csv
	seq-tokenize -q --attributes year,title --domain shop=items.csv,events.csv --domain film=films.csv,views.csv,more.csv -o more.tar.zst
	[ "$(sequences more.tar.zst | sed -n 3p)" = "film:u1: film:a film:q" ]
	output=$(member more.tar.zst catalog/meta.json)
	says '"attributes":["year","title"]'
	printf 'user,item,time\nu1,other,9\n' >other.csv
	fails seq-tokenize --domain shop=items.csv,events.csv --domain film=films.csv,other.csv -o bad.tar.zst
	says "films.csv: its"
}

@test "--split-time is kept in the stream, and is a whole second" {
	printf "%b" "${H}u,a,1\nu,b,86400\nv,a,5\n" >split.csv
	seq-tokenize --split-time 1970-01-02 split.csv 2>&1 -o s.tar.zst | grep -F '1 user has events before and after'
	member s.tar.zst sequences/meta.json | grep -F '"split_time":86400'
	fails seq-tokenize --split-time 86401 split.csv -o x
	says "--split-time 86401: no user has events both before and after; the times run from 1 to 86400"
	misused seq-tokenize --split-time soon events.csv
	misused seq-tokenize --split-time 1.5 events.csv
	printf 'user_id,item_id\nu,a\n' >timeless.csv
	fails seq-tokenize --split-time 5 timeless.csv -o x
	says "timeless.csv: --split-time without a time column"
}

@test "the figures of many users are those that Python finds, of times before 1970 as well" {
	awk 'BEGIN { srand(3); print "user_id,item_id,timestamp"
		for (i = 0; i < 20000; i++) printf "u%d,i%d,%d\n", rand() ^ 2 * 900, rand() * 50, (rand() - 0.3) ^ 3 * 5e9 }' >log.csv
	seq-tokenize -q log.csv | tar --zstd -xO log/00-seq-tokenize.json >history.json
	python3 - <<-'END'
		import bisect, collections, csv, json
		of = collections.defaultdict(list)
		for row in csv.DictReader(open("log.csv")):
		    of[row["user_id"]].append(int(row["timestamp"]))
		users = [sorted(times) for times in of.values()]
		lengths = sorted(map(len, users))
		targets = sorted(times[-1] for times in users if len(times) >= 3)
		training = [time for times in users for time in (times[:-2] if len(times) >= 3 else times)]
		share = sum(bisect.bisect_left(targets, time) for time in training) / len(training) / len(targets)
		found = json.load(open("history.json"))
		assert abs(found["future_share"] - share) < 1e-9, (found, share)
		assert (found["median_length"], found["longest"]) == (lengths[len(lengths) // 2], lengths[-1]), (found, lengths)
	END
}

@test "leave-one-out that trains on the future is said, quiet with -q; positions are no times" {
	printf "%b" "${H}u,a,1\nu,b,2\nu,c,3\nv,a,10\nv,b,20\nv,c,30\n" >future.csv
	seq-tokenize future.csv 2>said >s
	output=$(<said)
	says "warning: leave-one-out trains on the future: 25.0 % of the training events"
	[ -z "$(seq-tokenize -q future.csv 2>&1 >s)" ]
	[ -z "$(seq-tokenize --split-time 2 future.csv 2>&1 >s | grep 'the future')" ]
	printf "%b" "${H}u,a,0\nu,b,1\nu,c,2\nv,a,0\nv,b,1\nv,c,2\nv,d,3\n" >positions.csv
	[ -z "$(seq-tokenize positions.csv 2>&1 >s | grep future)" ]
}

@test "wrong rows are errors with file, line, column and value; --skip-bad counts them" {
	wrong "${H}u,a,1\nu,a\n" "line 3: 2 fields, 3 were expected (user_id, item_id, timestamp)"
	wrong "${H}u,a,1\nu,a,2,3\n" "line 3: 4 fields, 3 were expected"
	wrong "${H}u,a,1\nu,b,noon\n" "line 3, column timestamp: 'noon': a time was expected"
	wrong "${H}u,a,1\nu,b,\n" "line 3, column timestamp: ''"
	wrong "${H}u,a,1\n,b,2\n" "line 3, column user_id: '': empty, an id was expected"
	wrong "${H}u,a,1\nu,  ,2\n" "line 3, column item_id: '': empty, an id was expected"
	wrong "${H}u,a,1\nu,\"b\nc\",2\n" "line 3, column item_id: 'b?c': a control character inside an id"
	wrong "${H}u,a,1\nu,b\0000c,2\n" "line 3, column item_id: 'b': a NUL byte inside"
	wrong "${H}u,a,1\nu,\0377,2\n" "line 3, column item_id: "
	says "not UTF-8"
	wrong "${H}u,a,1\nu,\"5\nnail\" x,2\n" "line 3, column item_id: 'nail\" ': a quote opened here is closed in line 4"
	wrong "user_id,note,item_id\nu,\"1\n\n2\",a\nu,x\n" "line 5: 2 fields"
	wrong "user_id\titem_id\r\nu\ta\r\nu\r\n" "line 3: 1 field, 2 were expected"
}

@test "wrong rows of items, and items listed twice" {
	printf 'item_id,title\na,x\na,y\n,z\n' >items.csv
	fails seq-tokenize --items items.csv events.csv -o x
	says "items.csv: line 3, column item_id: 'a': this item was listed before"
	fails seq-tokenize --items "$EXAMPLE/events.csv" "$EXAMPLE/items.csv" -o x
	says "this item was listed before; is it a table of events?"
	seq-tokenize --skip-bad --items items.csv events.csv 2>said >s
	output=$(<said)
	says "2 wrong rows left out, the first: items.csv: line 3, column item_id: 'a'"
	printf 'item_id\na\n' >items.csv
	fails seq-tokenize --items items.csv events.csv -o x
	says "items.csv: no text column beside the id"
	printf 'item_id,title\n' >items.csv
	fails seq-tokenize --items items.csv events.csv -o x
	says "items.csv: no items"
	fails seq-tokenize --items - events.csv -o x <items.csv
	says "stdin: no items"
	fails seq-tokenize --skip-bad --items <(printf 'item_id,title\n,pen\n') events.csv -o x
	says "no items but 1 wrong row, the first: "
	# without names, and names beside those that the file has
	printf '7,pen,1.25\n8,ink,2\n' >items.csv
	fails seq-tokenize --items items.csv events.csv -o x
	says "items.csv: the first line should name the columns, and has 7, pen, 1.25; where no line does: --items-columns item,title,..., in their order"
	printf 'item_id,title\na,x\n' >items.csv
	fails seq-tokenize --items items.csv --items-columns item,title events.csv -o x
	says "items.csv: line 1, column item: 'item_id': the header line again, an item was expected"
	printf 'name,title\na,x\n' >items.csv
	fails seq-tokenize --items items.csv events.csv -o x
	says "items.csv: no item id column by a usual name (name it with --item-id-column); the columns are name, title"
	seq-tokenize -q --items items.csv --item-id-column name events.csv -o s.tar.zst
}

@test "items and events without a common id are an error" {
	printf 'item_id,title\nRed pen,a\n' >items.csv
	fails seq-tokenize --items items.csv events.csv -o x
	says "items.csv: its 1 item is not in the events, whose first item is 'b'"
}

@test "a quote that is never closed names the line where it opened" {
	printf "%b" "${H}u,a,1\nu,\"b,2\nu,c,3\n" >open.csv
	fails seq-tokenize open.csv -o x
	says "open.csv: line 3, column item_id: a quote opened here is not closed by the end of the file"
	fails seq-tokenize --skip-bad open.csv -o x
	{ printf "%b" "${H}u,a,1\nu,\"b,2\n"; { yes u,c,3 || :; } | head -c 3000000; } >open.csv
	fails seq-tokenize open.csv -o x
	says "open.csv: line 3, column item_id: a quote opened here is not closed within a mebibyte"
}

@test "fields of ten million characters" {
	for quote in '' '"'; do
		{ printf "%bu,a,1\nu,%s" "$H" "$quote"; head -c 10000000 /dev/zero | tr '\0' x; printf '%s,2\nu,b,3\n' "$quote"; } >long.csv
		fails seq-tokenize long.csv -o x
		says "long.csv: line 3, column item_id: '"
		says "longer than a mebibyte"
		seq-tokenize --skip-bad -q long.csv -o s.tar.zst
		[ "$(sequences s.tar.zst)" = "u: a b" ]
	done
	head -c 100000000 /dev/zero | tr '\0' x >long.csv
	fails seq-tokenize long.csv -o x
	says "long.csv: line 1, column ?: longer than a mebibyte"
}

@test "empty, missing and foreign input" {
	: >empty
	fails seq-tokenize empty -o x
	says "empty: empty, a header line was expected"
	fails seq-tokenize -o x </dev/null
	says "stdin: empty, a header line was expected"
	printf '\n\n' >empty
	fails seq-tokenize empty -o x
	printf '%b' "$H" >empty
	fails seq-tokenize empty -o x
	says "empty: no events"
	printf '%bu,a,noon\n' "$H" >empty
	fails seq-tokenize --skip-bad empty -o x
	says "no events but 1 wrong row, the first: empty: line 2, column timestamp: 'noon'"
	fails seq-tokenize missing.csv -o x
	says "missing.csv: No such file or directory"
	fails seq-tokenize . -o x
	printf '\377\376u\0s\0e\0r\0' >utf16.csv
	fails seq-tokenize utf16.csv -o x
	says "utf16.csv: UTF-16, UTF-8 was expected"
	seq-tokenize -q events.csv -o s.tar.zst
	fails seq-tokenize s.tar.zst -o x
	zstd -q events.csv -o whole.csv.zst
	head -c 40 whole.csv.zst >cut.csv.zst
	fails seq-tokenize cut.csv.zst -o x
	says "cut.csv.zst: truncated stream"
	[ ! -e x ]
}

@test "a full disk, a closed pipe" {
	fails seq-tokenize -q events.csv -o /dev/full
	says "/dev/full: No space left on device"
	status=0
	seq-tokenize -q "$EXAMPLE/events.csv" 2>said | head -c1 >/dev/null || status=$?
	[ ! -s said ]
}

@test "wrong usage" {
	misused seq-tokenize --ties sometimes events.csv
	misused seq-tokenize --duplicates some events.csv
	misused seq-tokenize --min-user -1 events.csv
	misused seq-tokenize --delimiter '"' events.csv
	misused seq-tokenize --delimiter '' events.csv
	misused seq-tokenize --columns , events.csv
	misused seq-tokenize --time-format soon events.csv
	misused seq-tokenize --time-format %s events.csv
	says "%s is written s"
	misused seq-tokenize --rating-column stars events.csv
	misused seq-tokenize --min-rating many events.csv
	misused seq-tokenize --min-rating 0x3 events.csv
	misused seq-tokenize --min-user " 3" events.csv
	misused seq-tokenize --items-columns id,title events.csv
	misused seq-tokenize --vocab-size 10 --items items.csv events.csv
	misused seq-tokenize --vocab-size 300 events.csv
	says "is for --items, or --domain"
	misused seq-tokenize --normal-form nfkc events.csv
	misused seq-tokenize --sorted --min-item 5 events.csv
	says "--sorted is for --min-item 0|1, which is 5 here"
	misused seq-tokenize --split-time 2024-01-01 --holdout none events.csv
	misused seq-tokenize --tokenizer t.json --vocab-size 300 --items items.csv events.csv
	misused seq-tokenize --items - -o x
	says "--items - and the stream cannot both be read from stdin"
	misused seq-tokenize --domain shop=items.csv -o x
	says "NAME=ITEMS,EVENTS was expected"
	misused seq-tokenize --domain a:b=items.csv,events.csv -o x
	misused seq-tokenize --domain a=items.csv,events.csv --domain a=items.csv,events.csv -o x
	misused seq-tokenize --domain a=items.csv,events.csv events.csv -o x
	says "no events.csv beside it"
}

@test "--help and --version" {
	seq-tokenize --help | grep -F 'seq-tokenize --items items.csv events.csv | seq-train'
	seq-tokenize --version | grep '^seq-tokenize (recpipe) '
}

@test "what was measured is in the history" {
	seq-tokenize -q --min-user 3 --duplicates first events.csv -o s.tar.zst
	member s.tar.zst log/00-seq-tokenize.json >log
	output=$(<log)
	says '"events_read":5,"rows_skipped":0,"users":1,"items":3,"events":3'
	says '"dropped":{"duplicate_events":0,"core_events":2,"users":1,"items":0,"core_rounds":1}'
}

# set FOLDER EVENTS ITEMS EXPECTED
set_is() {
	local data
	data=$(shared_data "$1") || skip "no data: $1"
	seq-tokenize -q "$data/$2" --items "$data/$3" -o s.tar.zst
	output=$(member s.tar.zst log/00-seq-tokenize.json)
	says "$4"
}

@test "ml-1m" { set_is ml-1m events.csv.zst items.csv '"users":6040,"items":3416,"events":999611'; says '"tied_share":0.421'; }
@test "ml-100k" { set_is ml-100k ml-100k.inter ml-100k.item '"users":943,"items":1682,"events":100000'; }
@test "scientific" { set_is scientific events.tsv items.csv '"users":8442,"items":4385,"events":59384'; }
@test "beauty" { set_is beauty events.tsv.zst items.csv '"users":22332,"items":12086,"events":198215'; says '"tied_share":0.434'; }

@test "files that are no vocabulary" {
	: >merges.txt
	echo '{"model_type":"gpt2"}' >config.json
	echo '[]' >vocab.json
	fails seq-tokenize --items items.csv --tokenizer vocab.json,merges.txt events.csv
	says "vocab.json: not a vocabulary: an object of token: id was expected"
	printf '[UNK]\na\0b\n' >vocab.txt
	fails seq-tokenize --items items.csv --tokenizer vocab.txt events.csv
	says "vocab.txt: a NUL byte: this is no list of tokens"
	echo '{"a":0}' >vocab.json
	echo '#version: 0.2' >merges.txt
	echo 'a' >>merges.txt
	fails seq-tokenize --items items.csv --tokenizer vocab.json,merges.txt events.csv
	says 'merge 0, "a", is not two tokens with a space between'
}

# made_log EVENTS USERS ITEMS: a log in order of time
made_log() {
	awk -v n="$1" -v users="$2" -v items="$3" 'BEGIN {
		srand(1)
		print "user_id,item_id,timestamp"
		for (i = 0; i < n; i++) printf "u%d,i%d,%d\n", rand() * users, rand() ^ 2 * items, 1300000000 + int(i / 3)
	}'
}

# by user, in whatever order, then time
sorted_events() {
	head -n 1 "$1"
	tail -n +2 "$1" | LC_ALL=C sort -s -t, -k 1,1 -k 3,3n
}

@test "--sorted: the same bytes as without, whatever is left out, in parts and by any number of threads" {
	made_log 600000 40000 5000 >log.csv
	sorted_events log.csv >sorted.csv
	local options
	for options in "" "--duplicates exact" "--duplicates first" "--duplicates last" "--min-user 14" "--ties shuffle --seed 7" \
		"--split-time 1300100000" "--holdout none"; do
		# shellcheck disable=SC2086
		seq-tokenize -q --no-history $options sorted.csv -o whole
		# shellcheck disable=SC2086
		seq-tokenize -q --no-history --sorted $options sorted.csv -o parts
		cmp whole parts
	done
	seq-tokenize -q -j1 --no-history --sorted --holdout none sorted.csv -o parts
	cmp whole parts
	seq-tokenize -q sorted.csv | tar --zstd -xO log/00-seq-tokenize.json | grep -o '"events_read".*"read"' >whole
	seq-tokenize -q --sorted sorted.csv | tar --zstd -xO log/00-seq-tokenize.json | grep -o '"events_read".*"read"' >parts
	cmp whole parts
}

@test "--sorted: users may stand in any order, and none comes twice" {
	made_log 270000 9000 500 | tail -n +2 >log.csv
	local by
	for by in "-k 1.2,1n" "-k 1,1r" "-k 1,1R --random-source=/dev/zero"; do
		# shellcheck disable=SC2086
		LC_ALL=C sort -s -t, $by -k 3,3n log.csv >sorted.csv
		seq-tokenize -q --no-history --columns user,item,time sorted.csv -o whole
		seq-tokenize -q --no-history --columns user,item,time --sorted sorted.csv -o parts
		cmp whole parts
		head -n 1 sorted.csv >>sorted.csv
		fails seq-tokenize -q --columns user,item,time --sorted sorted.csv -o parts
		says "sorted.csv: line 270001: user '$(tail -n 1 sorted.csv | cut -d, -f1)' again, with others since"
		sed -i '$d' sorted.csv
		grep -v u17, sorted.csv | seq-tokenize -q --no-history --columns user,item,time --sorted - <(grep u17, sorted.csv) -o parts
	done
}

@test "--sorted with texts, and items that no event has" {
	sorted_events events.csv >sorted.csv
	for options in "" "--min-user 3"; do
		# shellcheck disable=SC2086
		seq-tokenize -q --no-history --items items.csv $options sorted.csv -o whole
		# shellcheck disable=SC2086
		seq-tokenize -q --no-history --sorted --items items.csv $options sorted.csv -o parts
		cmp whole parts
	done
	seq-tokenize --sorted --items items.csv sorted.csv 2>said >s.tar.zst
	output=$(<said)
	says "2 users, 4 items, 5 events; 2.5 events a user"
}

@test "--sorted: what is not sorted is named, with the command that sorts it" {
	local command
	for j in 1 2; do
		fails seq-tokenize --sorted -j$j events.csv -o s.tar.zst
		says "events.csv: line 4: user 'u1' again, with others since"
		says "{ head -n 1 events.csv; tail -n +2 events.csv | LC_ALL=C sort -s -t ',' -k 1,1 -k 3,3n; } | seq-tokenize --sorted"
		printf '%b' 'u,i,t\nu1,a,2\nu1,b,1\n' >late.csv
		fails seq-tokenize --sorted -j$j --user-column u --item-column i --time-column t late.csv -o s.tar.zst
		says "late.csv: line 3: user 'u1' has an earlier time than in the event before"
		printf 'u1\ta\t2011-11-02\nu1\ta\t2011-11-01\n' >late.tsv
		fails seq-tokenize --sorted -j$j --columns user,item,time late.tsv -o s.tar.zst
		command="LC_ALL=C sort -s -t \"\$(printf '\\t')\" -k 1,1 -k 3,3 late.tsv | seq-tokenize --sorted"
		says "$command"
		bash -c "$command -q --columns user,item,time -o s.tar.zst"
		[ "$(sequences s.tar.zst)" = "u1: a a" ]
		printf '{"user":"u1","item":"a","time":2}\n{"user":"u1","item":"a","time":1}\n' >late.jsonl
		fails seq-tokenize --sorted -j$j late.jsonl -o s.tar.zst
		says "jq -s -c 'sort_by([.\"user\", .\"time\"])[]' late.jsonl | seq-tokenize --sorted"
		printf 'u1::a::5::1\nu2::a::5::1\nu1::a::5::1\n' >late.dat
		fails seq-tokenize --sorted -j$j --columns user,item,rating,time late.dat -o s.tar.zst
		says "sort -s -t ':' -k 1,1 -k 7,7n late.dat"
	done
	gzip -k events.csv
	fails seq-tokenize --sorted events.csv.gz -o s.tar.zst
	says "{ gzip -dc events.csv.gz | head -n 1; gzip -dc events.csv.gz | tail -n +2 | LC_ALL=C sort -s -t ',' -k 1,1 -k 3,3n; } |"
	misused seq-tokenize --sorted --min-item 2 events.csv
	says "--min-item"
	printf 'user_id:token\titem_id_list:token_seq\titem_id:token\nu\ta b\tc\n' >lists.inter
	fails seq-tokenize --sorted lists.inter -o s.tar.zst
	says "lists items, events a row each were expected"
}

@test "a second thread changes neither what is said first, nor bytes" {
	made_log 20000 100 50 | sed '5000s/.*/u1,,5/' >log.csv
	gzip -k log.csv
	head -c -20 log.csv.gz >cut.csv.gz
	for j in 1 2; do
		fails seq-tokenize -j$j cut.csv.gz -o s.tar.zst
		says "cut.csv.gz: line 5000, column item_id: '': empty"
		fails seq-tokenize -j$j --sorted cut.csv.gz -o s.tar.zst
		says "cut.csv.gz: line "
		says "again, with others since"
	done
	seq-tokenize -q -j1 --skip-bad --no-history log.csv -o one
	seq-tokenize -q -j2 --skip-bad --no-history log.csv -o two
	cmp one two
	for j in 1 2; do
		fails seq-tokenize -j$j --skip-bad cut.csv.gz -o s.tar.zst
		says "cut.csv.gz: truncated gzip file"
	done
}
