#!/usr/bin/env bats
# seq-rank: its answers do not depend on how they are computed, and its manners.

load helpers

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	seq-tokenize -q "$EXAMPLE/events.csv" -o sequences
	seq-train -q --arch sasrec --epochs 1 sequences -o sasrec
	seq-train -q --arch markov sequences -o markov
	seq-train -q --arch popular sequences -o popular
	for model in sasrec markov popular; do
		seq-rank -q "$model" -o "$model.ranking"
	done
	(
		echo user,item,time
		for user in 1 2 3 4; do
			for time in 1 2 3; do
				echo "u $user,b$(((user + time) % 5)),$time"
			done
		done
	) >other.csv
	seq-tokenize -q other.csv -o other
	seq-train -q --arch popular other -o other.popular
}

setup() {
	own_folder
}

# ranking STREAM...: the members of the table, as one text
ranking() {
	cat "$@" | tar --zstd -xOf - --wildcards 'ranking/0*'
}

# column STREAM NAME: numbers of a one-chunk ranking, one a line
column() {
	tar --zstd -xOf "$1" "ranking/000000.$2.npy" | tail -c +129 | od -An -v -w4 -td4
}

# without_group NAME STREAM: the stream without a group, plain tar
without_group() {
	local folder
	folder=$(mktemp -d -p "$BATS_TEST_TMPDIR")
	tar --zstd -xf "$2" -C "$folder"
	(cd "$folder" && tar --zstd -tf "$BATS_FILE_TMPDIR/$2" | grep -v "^$1/" | tar --format=ustar -cf - -T -)
}

@test "seq-rank: batch size and threads change nothing" {
	for model in sasrec markov popular; do
		ranking "$model.ranking" >whole
		for options in "--batch 1 -j1" "--batch 7 -j2" "--batch 500 -j3"; do
			# shellcheck disable=SC2086
			seq-rank -q $options "$model" -o again
			ranking again | cmp - whole
		done
	done
}

@test "seq-rank: model before or after the sequences, and joined by cat, are the same" {
	ranking sasrec.ranking >whole
	without_group model sasrec >rest
	without_group sequences sasrec >model
	for streams in "rest model" "model rest"; do
		# shellcheck disable=SC2086
		seq-rank -q $streams | ranking - | cmp - whole
		# shellcheck disable=SC2086
		cat $streams | seq-rank -q | ranking - | cmp - whole
	done
}

@test "seq-rank: shards joined by cat are the whole, in any order" {
	for shard in 1 2 3; do
		seq-rank -q --shard $shard/3 sasrec -o shard$shard
		seq-rank -q --shard $shard/3 --format tsv sasrec >lines$shard
	done
	cat lines1 lines2 lines3 | cmp - <(seq-rank -q --format tsv sasrec)
	rec-eval -u -m all sasrec.ranking | sort >expected
	cat shard1 shard2 shard3 | rec-eval -u -m all | sort | cmp - expected
	rec-eval -u -m all shard3 shard1 shard2 | sort | cmp - expected
	cat shard1 shard2 shard3 | tar --zstd -xOf - --wildcards 'ranking/*.user_id.txt' |
		cmp - <(tar --zstd -xOf sasrec.ranking ranking/000000.user_id.txt)
	cat shard1 shard3 >missing
	fails rec-eval missing
	says "shard 2 of 3"
	# more shards than users: some are empty
	for shard in 1 2 3 4 5 6 7; do
		seq-rank -q --shard $shard/7 other.popular
	done | rec-eval --no-slices -m ndcg@10 | grep 'users.*4$' >/dev/null
}

@test "seq-rank: the counts place the target where the full list has it" {
	for model in sasrec markov; do
		for seen in keep remove; do
			seq-rank -q -k 100000 --seen $seen --split valid "$model" -o full
			seq-rank -q -k 100000 --seen $seen --split valid --format tsv "$model" >list
			seq-rank -q --seen $seen --split valid --format qrels "$model" >targets
			paste targets <(column full greater) <(column full equal) |
				awk 'NR == FNR { split($1, target, "\t"); user[$1] = $3; low[$1] = $5 + 1; high[$1] = $5 + $6 + 1; n++; next }
				     user[$1] == $3 { found++; if ($2 < low[$1] || $2 > high[$1]) { print; bad = 1 } }
				     END { if (found != n) print found " of " n " targets found"; exit bad || !n || found != n }' - list
		done
	done
}

@test "seq-rank: seen items are removed or kept" {
	# the history of the first user, without the test item
	tar --zstd -xOf sequences sequences/000000.user_id.txt | sed -n 1p >user
	seq-rank -q -k 100000 --format tsv --seen remove sasrec | awk -F'\t' -v user="$(cat user)" '$1 == user { print $3 }' | sort >left
	seq-rank -q -k 100000 --format tsv --seen keep sasrec | awk -F'\t' -v user="$(cat user)" '$1 == user { print $3 }' | sort >all
	tar --zstd -xOf sequences catalog/000000.item_id.txt | sort | cmp - all
	length=$(tar --zstd -xOf sequences sequences/000000.indptr.npy | tail -c +129 | od -An -v -w8 -td8 | sed -n 2p)
	tar --zstd -xOf sequences sequences/000000.item.npy | tail -c +129 | od -An -v -w4 -td4 |
		awk -v n="$((length - 1))" 'NR == FNR { id[NR - 1] = $1; next } FNR <= n { print id[$1] }' \
			<(tar --zstd -xOf sequences catalog/000000.item_id.txt) - | sort -u >seen
	test "$(seq-rank -q --format qrels sasrec | awk -v user="$(cat user)" '$1 == user { print $3 }' | comm -12 - seen | wc -l)" = 0
	comm -23 all left | cmp - seen
}

@test "seq-rank: a run for trec_eval has its six columns, and the name that --run gives" {
	seq-rank -q --format trec sasrec >run
	test "$(awk 'NF != 6 || $2 != "Q0" || $6 != "sasrec"' run | wc -l)" = 0
	seq-rank -q --format trec --run mine sasrec | awk '$6 != "mine" { exit 1 }'
}

@test "seq-rank: what it does not know passes through, an earlier ranking is replaced" {
	tar --zstd -tf sasrec | grep -v '^log/' >names
	tar --zstd -tf sasrec.ranking | grep -v -e '^log/' -e '^ranking/' | cmp - names
	seq-rank -q --seen keep sasrec.ranking -o again
	test "$(tar --zstd -tf again | grep -c ranking/meta.json)" = 1
	tar --zstd -xOf again ranking/meta.json | grep '"keep"' >/dev/null
	tar --zstd -tf sasrec.ranking | tail -n1 | grep '^log/.*-seq-rank.json' >/dev/null
}

@test "seq-rank --serve: one answer to each line, at once" {
	items=$(tar --zstd -xOf sequences catalog/000000.item_id.txt | sed -n 1,3p | tr '\n' ' ')
	printf 'ann\t%s\n' "$items" | seq-rank -q -k 5 --serve sasrec >answer
	grep -qE '^ann	([^ ]+:[-0-9.e]+ ){4}[^ ]+:[-0-9.e]+$' answer
	for item in $items; do
		grep -q "[	 ]$item:" answer && return 1
	done
	printf 'ann\t%s\n' "$items" | seq-rank -q -k 100000 --seen keep --serve sasrec | tr ' ' '\n' | wc -l >all
	test "$(cat all)" = "$(tar --zstd -xOf sequences catalog/000000.item_id.txt | wc -l)"

	coproc server { seq-rank -q --serve sasrec; }
	# shellcheck disable=SC2154 # coproc sets it, and bash forgets it when the server has ended
	local pid=$server_PID
	for i in 1 2 3; do
		printf 'user%s\t%s\n' "$i" "$items" >&"${server[1]}"
		IFS= read -r -t 20 line <&"${server[0]}"
		case $line in user$i?*) ;; *) return 1 ;; esac
	done
	eval "exec ${server[1]}>&-"
	wait "$pid"
}

@test "seq-rank --serve: the same items and scores as for the whole table" {
	seq-rank -q -k 10 --split test --format tsv sasrec | awk -F'\t' '{ a[$1] = a[$1] (a[$1] == "" ? "" : " ") $3 ":" $4 } END { for (u in a) print u "\t" a[u] }' | sort >table
	tar --zstd -xOf sequences catalog/000000.item_id.txt >ids.txt
	tar --zstd -xOf sequences sequences/000000.user_id.txt >users.txt
	tar --zstd -xOf sequences sequences/000000.indptr.npy | tail -c +129 | od -An -v -w8 -td8 >ends.txt
	tar --zstd -xOf sequences sequences/000000.item.npy | tail -c +129 | od -An -v -w4 -td4 >items.txt
	awk 'FILENAME == "ids.txt" { id[n_ids++] = $1 } FILENAME == "users.txt" { user[n++] = $1 }
	     FILENAME == "ends.txt" { end[n_ends++] = $1 } FILENAME == "items.txt" { item[m++] = $1 }
	     END { for (u = 0; u < n; u++) { line = user[u] "\t"; for (t = end[u]; t < end[u + 1] - 1; t++) line = line id[item[t]] " "; print line } }' \
		ids.txt users.txt ends.txt items.txt | seq-rank -q --serve sasrec | sort >served
	cmp served table
}

@test "seq-rank --serve: unknown items, no items, no tab and endless lines are survived" {
	known=$(tar --zstd -xOf sequences catalog/000000.item_id.txt | sed -n 1p)
	{
		printf 'a\t%s nosuch-item\n' "$known"
		printf 'b\tnosuch-item\n'
		printf 'c\t\n'
		printf 'd\n\n'
		printf 'e\t'
		head -c 10000000 /dev/zero | tr '\0' x
		printf '\nf\t%s\r\ng\t  %s' "$known" "$known"
	} | seq-rank -q -k 3 --serve sasrec >answers 2>complaints
	test "$(wc -l <answers)" = 8
	test "$(cut -f1 answers | tr '\n' ,)" = "a,b,c,d,,e,f,g,"
	# who has no history is told what is popular; a line that is none has an empty answer
	test "$(awk -F'\t' '$2 == "" { print $1 }' answers | tr '\n' ,)" = "d,,e,"
	test "$(grep -E '^[bc]' answers | cut -f2 | sort -u | wc -l)" = 1
	test "$(grep -c 'unknown item "nosuch-item"' complaints)" = 2
	grep -q 'line 6: longer than' complaints
	# in JSON, as the first and as another one, which is not of the user before
	endless() {
		printf '{"user": "h", "history": ["'
		head -c 2000000 /dev/zero | tr '\0' x
		printf '"]}\n'
	}
	{
		endless
		printf '{"user": "i", "history": ["nosuch-item"], "k": 1}\n'
		endless
	} | seq-rank -q --serve sasrec 2>complaints >answers
	[ "$(sed -n '1p; 3p' answers | sort -u)" = '{"error":"longer than 1048576 bytes: not answered"}' ]
	printf '' | seq-rank -q --serve sasrec | cmp - /dev/null
}

@test "seq-rank: what is missing or does not belong is named" {
	fails seq-rank -q sequences -o none
	says "no model in the stream"
	test ! -e none
	without_group sequences sasrec >model
	fails seq-rank -q model -o none
	says "no sequences in the stream"
	without_group catalog sasrec >nocatalog
	fails seq-rank -q nocatalog -o none
	says "no catalog in the stream"
	without_group catalog sasrec >rest
	fails seq-rank -q rest other -o none
	says "catalog"
	fails seq-rank -q --serve other.popular rest
	says "sequences of rest: of another catalog than that of other.popular"
	fails seq-rank -q --model sasrec other -o none
	says "model of sasrec knows other items than the catalog of other ("
	printf 'user,item,time\na,x,1\na,y,2\nb,x,1\n' >short.csv
	seq-tokenize -q short.csv | seq-train -q --arch popular -o short
	fails seq-rank -q short -o none
	says "none of 2 users has a test target, for which one needs three events; --split next ranks without"
	fails seq-rank -q --format trec other.popular
	says "blanks"
	seq-rank -q --format tsv other.popular >/dev/null
	test ! -e none
}

@test "seq-rank: a model with a NaN is an error that names the tensor" {
	needs python3
	mkdir -p "$BATS_TEST_TMPDIR/nan"
	tar --zstd -xf sasrec -C "$BATS_TEST_TMPDIR/nan"
	printf '\0\0\300\177' | dd of="$BATS_TEST_TMPDIR/nan/model/item_embedding.weight.npy" bs=1 seek=1128 conv=notrunc status=none
	(cd "$BATS_TEST_TMPDIR/nan" && tar --zstd -tf "$BATS_FILE_TMPDIR/sasrec" | tar --format=ustar -cf nan.tar -T -)
	fails seq-rank -q "$BATS_TEST_TMPDIR/nan/nan.tar" -o none
	says item_embedding.weight
}

@test "seq-rank: wrong usage, full disks and truncated streams" {
	misused seq-rank --shard 3/2 sasrec
	misused seq-rank --shard 1/2x sasrec
	misused seq-rank --shard 1/0x2 sasrec
	misused seq-rank --shard " 1/2" sasrec
	misused seq-rank --shard 1 sasrec
	misused seq-rank -k 0 sasrec
	misused seq-rank --format xml sasrec
	misused seq-rank --split train sasrec
	misused seq-rank --serve
	misused seq-rank --serve -
	misused seq-rank --serve --format tsv sasrec
	misused seq-rank --serve --shard 1/2 sasrec
	fails seq-rank -q sasrec -o /dev/full
	fails seq-rank -q --format tsv sasrec -o /dev/full
	head -c 20000 sasrec >half
	fails seq-rank -q half -o none
	says truncated
	printf 'a\t\n' >request
	fails bash -c 'exec seq-rank -q --serve sasrec <request >/dev/full'
	seq-rank --help | grep -e --serve >/dev/null
}

@test "seq-rank: --model takes the model of another stream, and nothing else of it" {
	seq-rank -q --no-history markov >expected
	seq-rank -q --no-history --model markov sequences -o out.tar.zst
	cmp <(tar --zstd -xOf expected --wildcards 'ranking/*' 'model/*') <(tar --zstd -xOf out.tar.zst --wildcards 'ranking/*' 'model/*')
	[ "$(tar --zstd -tf out.tar.zst | grep -c 'meta.json')" = "$(tar --zstd -tf expected | grep -c 'meta.json')" ]
	# in place of the stream's own, without a word
	seq-rank --no-history --model markov popular -o out.tar.zst 2>said
	[ "$(grep -c replaced said)" = 0 ]
	[ "$(tar --zstd -tf out.tar.zst | grep -c model/meta.json)" = 1 ]
	tar --zstd -xOf out.tar.zst model/config.json | grep markov
	fails seq-rank -q --model sequences popular -o none
	says "sequences: no model in it; seq-train trains one"
	fails seq-rank -q --model missing popular -o none
	says "missing"
	misused seq-rank -q --model - -o none
	says "--model - and the stream"
	misused seq-rank -q --serve --model - popular
	says "--model - cannot be read from stdin: there --serve reads its questions"
	[ ! -e none ]
}

@test "seq-rank: a model knows its items by id, and says which catalog it does not know" {
	cmp <(tar --zstd -xOf popular model/item_id.txt) <(tar --zstd -xOf popular catalog/000000.item_id.txt)
	printf 'user,item,time\na,x,1\na,y,2\na,z,3\n' >xyz.csv
	printf 'user,item,time\na,y,1\na,x,2\na,z,3\n' >yxz.csv
	printf 'user,item,time\na,x,1\na,y,2\na,z,3\na,w,4\n' >wxyz.csv
	for name in xyz yxz wxyz; do
		seq-tokenize -q $name.csv -o $name
	done
	seq-train -q --arch popular xyz -o model
	seq-rank --split next --format tsv --seen keep --model model wxyz >grown 2>said
	grep -q '1 of 4 items is new to the model of model' said
	seq-rank -q --split next --format tsv --seen keep --model model yxz | cut -f 3 | sort | diff - <(cut -f 3 grown | sort)
	seq-tokenize -q other.csv -o abc
	fails seq-rank -q --model model abc -o none
	says "model of model knows other items than the catalog of abc (3 and 5, 0 in common); seq-train trains one"
	# ids that are not those of the catalog that meta.json names
	mkdir x && tar --zstd -xf model -C x
	printf 'x\ny\nw\n' >x/model/item_id.txt
	tar --zstd -tf model >names
	tar --format=ustar -cf damaged -C x -T names
	fails seq-rank -q damaged -o none
	says "model/item_id.txt: the item ids have fingerprint"
	printf 'x\ny\n' >x/model/item_id.txt
	tar --format=ustar -cf damaged -C x -T names
	fails seq-rank -q damaged -o none
	says "model/item_id.txt: 2 lines, 3 items were expected"
	# of a stream written before models had them
	rm x/model/item_id.txt
	tar --zstd -tf model | grep -v model/item_id.txt >without
	tar --format=ustar -cf older -C x -T without
	seq-rank -q --format tsv older | cmp - <(seq-rank -q --format tsv model)
	fails seq-rank -q --model older wxyz -o none
	says "model of older: of another catalog than that of wxyz; seq-train trains one"
}

# names LIST: the ids in column 3 of a tsv
shown() {
	cut -f 3 "$1"
}

@test "seq-rank --split next: whole histories, nothing that was met, and the same as --serve says" {
	seq-rank -q --split next -k 10 --format tsv sasrec >next
	tail -n +2 "$EXAMPLE/events.csv" | cut -d, -f1,2 | sort -u >met
	cut -f 1,3 next | tr '\t' , | sort >recommended
	[ "$(comm -12 met recommended | wc -l)" = 0 ]
	[ "$(cut -f 1 next | uniq -c | awk '{ print $1 }' | sort -u)" = 10 ]
	cut -f 1 next | uniq | seq-rank -q -k 10 --serve sasrec >served
	awk -F'\t' '{ line[$1] = line[$1] (line[$1] == "" ? "" : " ") $3 ":" $4; if (!($1 in at)) { at[$1] = n; order[n++] = $1 } }
		END { for (i = 0; i < n; i++) print order[i] "\t" line[order[i]] }' next | diff - served
}

@test "seq-rank: nothing held out means what comes next, and such a ranking is not measured" {
	seq-tokenize -q --holdout none "$EXAMPLE/events.csv" -o all
	seq-rank -q -k 3 --model sasrec --format tsv all >now
	seq-rank -q -k 3 --split next --format tsv sasrec | diff - now
	seq-rank -q --split next sasrec -o next.tar.zst
	fails rec-eval next.tar.zst
	says "ranks what comes next"
}

@test "seq-rank: users of a file, and strangers get what is popular" {
	printf '%s\n' "$(tail -n 1 "$EXAMPLE/events.csv" | cut -d, -f1)" stranger >users
	seq-rank -k 5 --users users --format tsv sasrec >lists 2>said
	grep -q 'users: 1 of 2 users has no history, the first is "stranger": the most popular items are recommended' said
	seq-rank -q -k 5 --split next --format tsv sasrec | awk -F'\t' -v u="$(head -n 1 users)" '$1 == u' | diff - <(grep -v stranger lists)
	tail -n +2 "$EXAMPLE/events.csv" | cut -d, -f2 | sort | uniq -c | sort -k1,1nr | awk 'NR == 1 { print $2 }' >popular.item
	[ "$(awk '$1 == "stranger" && $2 == 1 { print $3 }' lists)" = "$(cat popular.item)" ]
	misused seq-rank --users users --split test sasrec
	: >empty
	fails seq-rank -q --users sasrec sasrec -o out
	says "sasrec: a tensor stream; ids as text were expected, one a line"
	fails seq-rank -q --users empty sasrec -o out
	says "one a line was expected"
}

@test "seq-rank: users of a file in shards are those of the whole, and a file of other things is told" {
	cut -d, -f 1 "$EXAMPLE/events.csv" | tail -n +2 | sort -u | awk 'NR % 9 == 1' >users
	printf 'stranger\n' >>users
	seq-rank -q -k 3 --users users --format tsv sasrec >whole
	for shard in 1 2 3; do
		seq-rank -q -k 3 --users users --format tsv --shard $shard/3 sasrec
	done | cmp - whole
	printf 'some prose\nin lines\n' >prose
	seq-rank -q -k 3 --users prose --format tsv sasrec 2>said >/dev/null
	grep -q 'prose: the stream has none of its 2 users, the first is "some prose": the most popular items are recommended to all; an id a line was expected' said
}

@test "seq-rank: only what is in stock, and nothing that is excluded" {
	seq-rank -q -k 20 --split next --format tsv sasrec >all
	shown all | sort | uniq -c | sort -k1,1nr | awk 'NR <= 40 { print $2 }' >stock
	for model in sasrec markov popular; do
		seq-rank -q -k 20 --split next --candidates stock --format tsv "$model" >some
		[ "$(shown some | sort -u | comm -23 - <(sort stock) | wc -l)" = 0 ]
		seq-rank -q -k 20 --split next --exclude stock --format tsv "$model" >others
		[ "$(shown others | sort -u | comm -12 - <(sort stock) | wc -l)" = 0 ]
	done
	# of those in stock, the order is that of all
	seq-rank -q -k 2000 --split next --format tsv sasrec | awk -F'\t' 'NR == FNR { in_stock[$1]; next } $3 in in_stock { print $1, $3, $4 }' stock - >filtered
	seq-rank -q -k 40 --split next --candidates stock --format tsv sasrec | awk -F'\t' '{ print $1, $3, $4 }' | diff - filtered
	printf 'no such item\n' >unknown
	fails seq-rank -q --candidates unknown sasrec -o out
	says "its 1 id is no item of the catalog"
	fails seq-rank -q --candidates stock --exclude stock sasrec -o out
	says "stock: it excludes all candidates, and nothing is left to recommend"
	tar --zstd -xOf sequences catalog/000000.item_id.txt >all
	fails seq-rank -q --exclude all sasrec -o out
	says "all: it excludes the whole catalog"
	seq-rank -q --exclude <(cat stock unknown) sasrec -o out 2>said
	grep -q '1 of 41 ids is no item' said
	# nothing may be sold out, or nothing of the catalog
	: >nothing
	for excluded in nothing unknown; do
		seq-rank -k 20 --split next --exclude $excluded --format tsv sasrec 2>said | cmp - <(seq-rank -q -k 20 --split next --format tsv sasrec)
		cat said >>all.said
	done
	grep -q 'nothing: no ids; nothing is excluded' all.said
	grep -q 'unknown: 1 of 1 id is no item of the catalog, the first is "no such item"' all.said
	fails seq-rank -q --candidates nothing sasrec -o out
	says "nothing: no ids; one a line was expected"
	fails seq-rank -q --candidates - sasrec -o out <unknown
	says "stdin: its 1 id is no item of the catalog"
	fails seq-rank -q --model - sequences -o out <sequences
	says "stdin: no model in it; seq-train trains one"
}

@test "seq-rank: a catalog that has grown or another order gives known items the same places" {
	(head -n 1 "$EXAMPLE/items.csv"; echo 'brand-new,NEVER SOLD,1'; tail -n +2 "$EXAMPLE/items.csv" | tac) >items.csv
	seq-tokenize -q --items items.csv "$EXAMPLE/events.csv" -o grown
	for model in sasrec markov popular; do
		seq-rank -k 10 --split next --format tsv --model "$model" grown 2>said | cut -f 1,2,4 >new
		grep -q '1 of [0-9,]* items is new to the model' said
		seq-rank -q -k 10 --split next --format tsv "$model" | cut -f 1,2,4 | diff - new
		[ "$(seq-rank -q -k 2000 --split next --format tsv --model "$model" grown | grep -c brand-new)" = 0 ]
	done
	seq-rank -q -k 10 --split next --format tsv --model sasrec grown | cut -f 1,3 >new
	seq-rank -q -k 10 --split next --format tsv sasrec | cut -f 1,3 | diff - new
	fails seq-rank -q --model other.popular grown -o out
	says "knows other items than the catalog"
}

@test "seq-rank: lists as csv and json, with texts and reasons" {
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o texts
	seq-rank -q -k 3 --split next --format csv --fields title --why --model sasrec texts >lists.csv
	seq-rank -q -k 3 --split next --format json --fields title --why --model sasrec texts >lists.json
	python3 - "$EXAMPLE" <<-'END'
		import csv, json, sys
		titles = {row["item_id"]: " ".join(row["title"].split()) for row in csv.DictReader(open(sys.argv[1] + "/items.csv"))}
		met = {}
		for row in csv.DictReader(open(sys.argv[1] + "/events.csv")):
		    met.setdefault(row["user_id"], set()).add(row["item_id"])
		rows = list(csv.DictReader(open("lists.csv")))
		lists = [json.loads(line) for line in open("lists.json")]
		flat = [(l["user"], str(i["rank"]), i["item"], i["title"], (i["why"] + ["", ""])[:2]) for l in lists for i in l["items"]]
		assert flat == [(r["user"], r["rank"], r["item"], r["title"], [r["why_1"], r["why_2"]]) for r in rows]
		assert all(r["title"] == titles[r["item"]] for r in rows)
		assert all(w in met[r["user"]] for r in rows for w in (r["why_1"], r["why_2"]) if w)
		assert any(r["why_1"] for r in rows)
	END
	# attributes that are called as what lists say themselves
	awk -F, -v OFS=, 'NR == 1 { print "item_id,rank,score,item" } NR > 1 { print $1, "r" NR, "s" NR, "i" NR }' "$EXAMPLE/items.csv" >called.csv
	seq-tokenize -q --items called.csv "$EXAMPLE/events.csv" -o called
	echo 1 >one
	for format in csv json; do
		seq-rank -q -k 1 --users one --format $format --fields rank,item,score --model sasrec called >called.$format
	done
	echo '{"user": "1", "k": 1}' | seq-rank -q --serve --fields rank,item,score --model sasrec called >called.answer
	python3 - <<-'END'
		import csv, json
		header, row = csv.reader(open("called.csv"))
		assert header == ["user", "rank", "item", "score", "rank-2", "item-2", "score-2"], header
		for name in "called.json", "called.answer":
		    entry = json.load(open(name))["items"][0]
		    assert [str(entry[name]) for name in ("rank", "item", "rank-2", "item-2", "score-2")] == row[1:3] + row[4:], entry
		    assert abs(entry["score"] - float(row[3])) < 1e-6, entry
	END
	fails seq-rank -q --format csv --fields brand sasrec -o out
	says "no text called \"brand\""
	fails seq-rank -q --format csv --fields brand --model sasrec texts -o out
	says '"title"'
	misused seq-rank --fields title sasrec -o out
	misused seq-rank --why sasrec -o out
}

@test "seq-rank --why: without the first reason the score is as it says, for every kind of model" {
	for model in sasrec markov; do
		printf '%s\n' '{"history": ["22752", "22755", "21731"], "k": 1, "why": true, "user": "a"}' | seq-rank -q --serve "$model" >answer
		item=$(python3 -c 'import json; print(json.load(open("answer"))["items"][0]["item"])')
		python3 - "$model" "$item" <<-'END'
			import json, subprocess, sys
			model, item = sys.argv[1:]
			answer = json.load(open("answer"))["items"][0]
			history = ["22752", "22755", "21731"]
			def score(items):
			    line = json.dumps({"user": "a", "history": items, "k": 1000}) + "\n"
			    said = subprocess.run(["seq-rank", "-q", "--seen", "keep", "--serve", model], input=line, text=True, capture_output=True).stdout
			    return {i["item"]: i["score"] for i in json.loads(said)["items"]}.get(item, -9)
			without = sorted((score([i for i in history if i != left]), left) for left in history)
			expected = [left for value, left in without if value < answer["score"]][:2]
			assert answer["why"] == expected, (answer, without)
		END
	done
}

@test "seq-rank --serve: ids with blanks, JSON, a user of the stream, and errors in one line" {
	seq-train -q --arch popular other -o model
	printf 'x\tb1 b2\nx\tb1\tb2\nu 1\n{"user": "u 1", "k": 2}\n{"history": 3}\n{"histori": []}\n{"user": "nobody"}\n{\n' >lines
	printf '{"user": "\\u0000"}\n{} {}\n{"history": [], "fields": [1]}\n' >>lines
	seq-rank -q -k 3 --serve model <lines >answers 2>said
	[ "$(wc -l <answers)" = 11 ]
	[ "$(sed -n 1p answers)" != "x	" ]
	[ "$(sed -n 1p answers | tr ' ' '\t')" = "$(sed -n 2p answers)" ]
	sed -n 4p answers | grep '"user":"u 1","items":\[{"rank":1'
	sed -n 5p answers | grep 'a list of ids was expected'
	sed -n 6p answers | grep '\\"histori\\" is not known'
	sed -n 7p answers | grep 'is not known, and there is no'
	sed -n 8p answers | grep 'not JSON: it ends before it is complete'
	sed -n 9p answers | grep 'a text has \\\\u0000 in it'
	sed -n 10p answers | grep 'more follows behind its end'
	sed -n 11p answers | grep 'a list of names of attributes was expected'
}

@test "seq-rank --serve: a question for more than there is has all there is; --why and --fields are in answers to JSON" {
	cut -d, -f 1 "$EXAMPLE/items.csv" | sed -n '2,4p' >stock
	printf '%s\n' '{"history": ["22752", "22755"], "k": 50, "user": "a"}' '{"history": ["22752", "22755"], "why": false}' >questions
	for model in sasrec markov; do
		seq-rank -q --serve --candidates stock --why "$model" <questions >answers
		seq-rank -q --serve --candidates stock "$model" <questions >bare
		python3 - <<-'END'
			import json
			answers, bare = ([json.loads(line)["items"] for line in open(name)] for name in ("answers", "bare"))
			assert len(answers[0]) == len(answers[1]) == 3
			assert all("why" in item for item in answers[0]) and not any("why" in item for item in answers[1] + bare[0])
			assert [{k: v for k, v in item.items() if k != "why"} for item in answers[0]] == bare[0] == bare[1]
		END
	done
	printf 'a\t22752\na\t22755\n' | seq-rank --serve --why sasrec 2>said >answers
	[ "$(grep -c 'line 1: what --why adds stands in answers to JSON alone' said)" = 1 ]
	[ "$(grep -c 'JSON alone' said)" = 1 ]
	misused seq-rank --similar --seen keep sasrec
}

@test "seq-rank: markov's ties are those of fractions, not of their floats" {
	# x is three steps behind a nine times, y three times right behind it: both 3, where nine thirds in floats are less
	{
		echo user,item,time
		for user in 1 2 3 4 5 6 7 8 9; do
			printf '%s\n' "u$user,a,1" "u$user,p$user,2" "u$user,q$user,3" "u$user,x,4"
		done
		for user in 10 11 12; do
			printf '%s\n' "u$user,a,1" "u$user,y,2"
		done
	} >ties.csv
	seq-tokenize -q --holdout none ties.csv | seq-train -q --arch markov -o ties
	[ "$(printf 'z\ta\n' | seq-rank -q --serve -k 2 ties)" = "$(printf 'z\tx:3 y:3')" ]
	# with eleven steps and more, 1/k is rounded to a part of a common whole
	seq-tokenize -q --holdout none ties.csv | seq-train -q --arch markov --steps 12 -o ties
	[ "$(printf 'z\ta\n' | seq-rank -q --serve -k 2 ties)" = "$(printf 'z\tx:3 y:3')" ]
	# a weight that is none
	mkdir members
	tar --zstd -xf ties -C members
	printf '\0\0\200\277' | dd of=members/model/transition.weight.npy bs=1 seek=128 conv=notrunc status=none
	(cd members && tar --zstd -tf ../ties | tar --format=ustar -cf - -T -) >broken
	fails seq-rank -q broken
	says "model/transition.weight.npy: row 0: -1, a weight from 0 to 2.14748e+09 was expected"
}

@test "seq-rank --similar: the cosine of the model's item vectors, for all items or some" {
	seq-rank -q --similar -k 5 sasrec >all.tsv
	ids=$(tar --zstd -xOf sequences catalog/000000.item_id.txt)
	[ "$(cut -f 1 all.tsv | uniq)" = "$ids" ]
	tar --zstd -xOf sasrec model/item_embedding.weight.npy >vectors.npy
	tar --zstd -xOf sequences catalog/000000.item_id.txt >ids.txt
	python3 - <<-'END'
		import numpy
		ids = open("ids.txt").read().split()
		vectors = numpy.load("vectors.npy").astype("f8")
		vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
		cosine = vectors @ vectors.T
		numpy.fill_diagonal(cosine, -2)
		rows = [line.rstrip("\n").split("\t") for line in open("all.tsv")]
		assert len(rows) == 5 * len(ids)
		for i, (to, rank, item, score) in enumerate(rows):
		    of = cosine[i // 5]
		    assert to == ids[i // 5] and int(rank) == i % 5 + 1
		    assert abs(of[ids.index(item)] - float(score)) < 1e-5 and abs(numpy.sort(of)[-1 - i % 5] - float(score)) < 1e-5
	END
	# some, in the order in which they are asked for
	printf '%s\n' "$(sed -n 9p ids.txt)" "$(sed -n 2p ids.txt)" >some.txt
	seq-rank -q --similar -k 5 --items some.txt sasrec >some.tsv
	cat <(sed -n 41,45p all.tsv) <(sed -n 6,10p all.tsv) | diff - some.tsv
	seq-rank -q --similar -k 5 --items - sasrec <some.txt | diff - some.tsv
	seq-rank -q -j 1 --similar -k 5 sasrec | diff - all.tsv
	# what may be listed
	printf '%s\n' "$(cut -f 3 some.tsv | sed -n 1p)" >first.txt
	seq-rank -q --similar -k 4 --items some.txt --exclude first.txt sasrec >without.tsv
	[ "$(cut -f 1,3 without.tsv | sed -n 1,4p)" = "$(cut -f 1,3 some.tsv | sed -n 2,5p)" ]
	seq-rank -q --similar --items some.txt --candidates first.txt sasrec >only.tsv
	[ "$(cut -f 3 only.tsv | sort -u)" = "$(<first.txt)" ]
	[ "$(wc -l <only.tsv)" = 2 ]
	[ "$(seq-rank -q --similar -k 99999 --items first.txt sasrec | wc -l)" = $(($(wc -l <ids.txt) - 1)) ]
}

@test "seq-rank --similar: formats, fields, models without vectors, and what is refused" {
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o text
	seq-train -q --epochs 1 text -o model
	tar --zstd -xOf text catalog/000000.item_id.txt | sed -n 1,2p >two.txt
	seq-rank -q --similar -k 3 --items two.txt --format csv --fields title model >list.csv
	seq-rank -q --similar -k 3 --items two.txt --format json --fields title model >list.json
	python3 - <<-'END'
		import csv, json
		lists = [json.loads(line) for line in open("list.json")]
		rows = list(csv.DictReader(open("list.csv")))
		assert [row["to"] for row in rows] == [one["to"] for one in lists for _ in one["items"]]
		flat = [item for one in lists for item in one["items"]]
		assert len(rows) == len(flat) == 6
		for row, item in zip(rows, flat):
		    assert row["item"] == item["item"] and row["title"] == item["title"] != "" and row["rank"] == str(item["rank"])
	END
	# markov: what follows who met that item alone
	seq-rank -q --similar -k 3 --items two.txt markov >after.tsv
	while read -r id; do printf 'u\t%s\n' "$id"; done <two.txt | seq-rank -q -k 3 --serve markov |
		tr '\t ' '\n' | grep : | tr : '\t' | diff - <(cut -f 3,4 after.tsv)
	fails seq-rank --similar popular
	says "popular knows nothing of what items are like"
	echo nothing >unknown.txt
	fails seq-rank -q --similar --items unknown.txt model
	says 'the 1 id asked for is no item of the catalog; the first is "nothing"'
	printf 'i1\0more\n' >nul.txt
	fails seq-rank -q --similar --items nul.txt model
	says "nul.txt: line 1: a NUL byte inside, an id a line was expected"
	cat two.txt >>unknown.txt
	seq-rank -q --similar --items unknown.txt model 2>&1 >/dev/null | grep "1 of 3 ids is no item" >/dev/null
	misused seq-rank --items two.txt model
	misused seq-rank --similar --split next model
	misused seq-rank --similar --format trec model
	misused seq-rank --similar --format stream model
	misused seq-rank --similar --serve model
	misused seq-rank --similar --items - <two.txt
	says "--items - and the stream cannot both be read from stdin"
	misused seq-rank --users - --exclude - --model model sequences -o out
	says "--exclude - and --users - cannot both be read from stdin"
	misused seq-rank --serve --candidates - model
	says "--candidates - cannot be read from stdin: there --serve reads its questions"
	misused seq-rank --run mine --format tsv model
	says "--run is for --format trec, which is tsv here"
	misused seq-rank --run "a b" --format trec model
	says "--run 'a b': a name without blanks was expected"
	misused seq-rank -q --format qrels --users two.txt model
	says "--format qrels writes targets, and what comes next has none"
	misused seq-rank --similar --why model
	fails seq-rank --similar --items missing.txt model
	fails seq-rank --similar --fields colour model
}

@test "seq-rank --serve: a question in JSON names the fields of its answer" {
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o text
	seq-train -q --epochs 1 text -o model
	ask() { printf '%s\n' "$1" | seq-rank -q --serve -k 1 "${@:2}" model 2>/dev/null; }
	item='"history": ["23493"]'
	ask "{$item, \"fields\": [\"title\"]}" | grep -P '"score": ?[-0-9.e]+, ?"title": ?"[^"]+"}' >titled
	ask "{$item, \"fields\": [\"title\"]}" --fields price | diff titled -
	ask "{$item}" --fields title | diff titled -
	[ "$(ask "{$item}" | grep -c title)" = 0 ]
	[ "$(ask "{$item, \"fields\": []}" --fields title | grep -c title)" = 0 ]
	ask "{$item, \"fields\": [\"colour\"]}" | grep 'the catalog has no attribute' >/dev/null
	ask "{$item, \"fields\": [7]}" | grep 'a list of names of attributes was expected' >/dev/null
	ask "{$item, \"fields\": \"title\"}" | grep 'a list of at most 64 attributes' >/dev/null
}
