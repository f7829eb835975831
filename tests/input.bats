#!/usr/bin/env bats
# Input as people have it: other columns, formats, containers, times; and what looks right without being so.
load helpers
load input

setup() {
	cd "$BATS_TEST_TMPDIR" || exit
}

H='user_id,item_id,timestamp\n'

# titles FILE: the first attribute's text of each item, from the tokens
titles() {
	rm -rf seen && mkdir seen && tar --zstd -xf "$1" -C seen
	python3 - <<-'END'
		import json, numpy
		vocab = json.load(open("seen/tokenizer/tokenizer.json"))["model"]["vocab"]
		token = {i: t for t, i in vocab.items()}
		byte, code = {}, 256
		for b in range(256):
		    shown = 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255
		    byte[chr(b if shown else code)] = b
		    code += not shown
		indptr, ids, types, attribute = (numpy.load(f"seen/catalog/000000.{name}.npy")
		    for name in ("indptr", "input_ids", "token_type_ids", "attribute"))
		for a, b in zip(indptr, indptr[1:]):
		    value = "".join(token[ids[i]] for i in range(a, b) if types[i] == 2 and attribute[i] == 0)
		    print(bytes(byte[c] for c in value).decode())
	END
}

# reads_items TEXT EXPECTED-TITLES OPTION...
reads_items() {
	local text=$1 expected=$2
	shift 2
	printf "%b" "$text" >items.txt
	printf '%b1,1,1\n1,2,2\n1,3,3\n' "$H" >met.csv
	seq-tokenize -q --items items.txt "$@" met.csv -o items.tar.zst
	output=$(titles items.tar.zst | paste -sd/ -)
	[ "$output" = "$expected" ] || { printf 'expected %s, read %s\n' "$expected" "$output"; return 1; }
}

@test "the columns taken are said, and which others could be meant" {
	tells "told.csv: user is user_id, item is item_id, time is timestamp" "${H}u,a,1\n"
	tells "user is user_id (or session_id?), item is item_id, time is eventdate (or timeframe?)" \
		'session_id;user_id;item_id;timeframe;eventdate\n1;7;a;526309;2016-05-09\n1;7;b;1031018;2016-05-09\n'
	says "warning: the times are whole days, and column timeframe is finer"
	tells "user is reviewerID, item is parent_asin (or asin?), time is unixReviewTime (or reviewTime?)" \
		'reviewerID,reviewerName,asin,parent_asin,title,unixReviewTime,reviewTime\nu,x,a,b,t,1400000000,9/1\n'
	tells "user is visitor_id, item is product (or product_code?)" 'visitor_id,product,product_code,category\nu,a,1,2\n'
	# once for files of the same columns
	printf '%bu,b,2\n' "$H" >one.csv
	[ "$(seq-tokenize one.csv one.csv 2>&1 >s | grep -c 'user is')" = 1 ]
	# an empty user names what else could be one
	refuses "line 3, column user_id: '': empty, an id was expected (or is it session_id? see --user-column)" \
		'session_id,user_id,item_id\n1,u,a\n2,,b\n'
	printf 'item_id,title,brand\na,x,y\n' >items.csv
	printf '%bu,a,1\n' "$H" >told.csv
	seq-tokenize --items items.csv told.csv 2>said >s
	output=$(<said)
	says "items.csv: item id is item_id, attributes are title, brand"
}

@test "no time is a warning, and so are ids that stand for none" {
	tells "warning: told.csv: no time column; the order of the rows is taken for that of the events" 'user_id,item_id\nu,a\n'
	tells "(or is the time visit_time? see --time-column)" 'user_id,item_id,visit_time\nu,a,3\n'
	# a column of dates by any name
	tells "warning: column Bought at has dates and is not taken for the time (--time-column)" \
		'user_id,item_id,note,Bought at\nu,a,,2024-01-02 10:00\n'
	printf 'user_id,item_id,score,visit_time\nu,a,-1,2024-01-02\nu,b,1-2,2024-01-03\n' >named.csv
	[ "$(seq-tokenize named.csv 2>&1 >s | grep -c 'warning.*time-column')" = 1 ]
	printf 'u,a,2024-01-02\n' >unnamed.csv
	[ "$(seq-tokenize --columns user,item,- unnamed.csv 2>&1 >s | grep -c 'has dates')" = 0 ]
	tells "warning: the user is 'NA' in 2 of 6 events (33.3 %), as if that were one; is it session_id? (--user-column)" \
		'session_id,user_id,item_id\n1,NA,a\n2,NA,a\n3,u,a\n3,u,b\n4,v,a\n4,v,c\n'
	tells "warning: the item is 'nan' in 1 of 2 events (50.0 %)" "${H}u,nan,1\nu,a,2\n"
	tells "warning: the user is 'null' in 1 of 2 events" "${H}null,b,1\nu,a,2\n"
	tells "warning: the user is '\\N' in 1 of 2 events" "${H}\\\\N,b,1\nu,a,2\n"
	tells "" "${H}Nan,Nullarbor,1\nu,a,2\n"
	printf 'item_id,title\na,x\n' >items.csv
	printf '%bNone,a,1\n' "$H" >sales.csv
	seq-tokenize --domain shop=items.csv,sales.csv 2>said >s
	output=$(<said)
	says "warning: the user is 'shop:None' in 1 of 1 event"
}

@test "a header met again is an error with its line" {
	printf 'user_id,item_id\na,x\na,y\n' >a.csv
	cat a.csv a.csv >bad.csv
	fails seq-tokenize bad.csv -o x
	says "bad.csv: line 4, column user_id: 'user_id': a header line, an event was expected"
	refuses "line 3, column user_id: 'item': a header line" "${H}u,a,1\nitem,user,time\nb,v,2\n"
	refuses $'line 3, column user_id: \'\xef\xbb\xbfuser_id\': a header line' "${H}u,a,1\n\xef\xbb\xbf${H}v,a,2\n"
	refuses "line 1, column user: 'userId': a header line" 'userId,movieId,rating,timestamp\n1,2,3,4\n' --columns user,item,rating,time
	refuses "line 3, column who: 'who': a header line" 'who,what\nu,a\nwho,what\n' --user-column who --item-column what
	refuses "line 4, column user_id: 'user_id:token': a header line" 'user_id:token\titem_id:token\nu\ta\nu\tb\nuser_id:token\titem_id:token\n'
	seq-tokenize --skip-bad a.csv 2>/dev/null >s
	printf 'item_id,title\na,x\nitem_id,title\n' >items.csv
	printf '%bu,a,1\n' "$H" >met.csv
	fails seq-tokenize --items items.csv met.csv -o x
	says "items.csv: line 3, column item_id: 'item_id': the header line again"
}

@test "two units of time are an error with file, line and value" {
	printf '%bu,a,1600000001\nu,b,1600000009\n' "$H" >s.csv
	printf '%bu,c,1600000005000\n' "$H" >ms.csv
	fails seq-tokenize s.csv ms.csv -o x
	says "ms.csv: line 2, column timestamp: '1600000005000': two units of time: milliseconds, but line 2 of s.csv has seconds"
	fails seq-tokenize ms.csv s.csv -o x
	says "s.csv: line 2, column timestamp: '1600000001': two units of time: seconds, but line 2 of ms.csv has milliseconds"
	refuses "line 3, column timestamp: '1600000005000': two units" "${H}u,a,2020-09-13T12:26:45\nu,b,1600000005000\n"
	refuses "line 4, column timestamp: '1600000005000000': two units of time: microseconds" \
		"${H}u,z,-1\nu,a,1600000005000\nu,b,1600000005000000\n"
	printf '%bu,c,1600000005\nu,d,1600000020000\n' "$H" >both.csv
	seq-tokenize --time-format s both.csv 2>/dev/null -o s.tar.zst
	[ "$(sequences s.tar.zst)" = "u: c d" ]
}

# seconds TEXT... [-- OPTION...]: the timestamps of events at these times
seconds() {
	local text
	printf 'user_id,item_id,timestamp\n' >times.csv
	while [ $# != 0 ] && [ "$1" != -- ]; do
		text=$1
		printf 'u,a,"%s"\n' "$text" >>times.csv
		shift
	done
	[ $# = 0 ] || shift
	seq-tokenize -q "$@" times.csv -o times.tar.zst && rm -rf seen && mkdir seen && tar --zstd -xf times.tar.zst -C seen &&
		numbers seen/sequences/000000.timestamp.npy 8 | paste -sd ' ' -
}

@test "times: by the size of their numbers, dates with zones, --time-format" {
	[ "$(seconds 1600000005000)" = 1600000005 ]
	[ "$(seconds 1600000005123456)" = 1600000005 ]
	[ "$(seconds 1600000005123456789)" = 1600000005 ]
	[ "$(seconds 1600000005000.5)" = 1600000005 ]
	tells "times are taken for milliseconds since 1970" "${H}u,a,1600000005000\n"
	# fractions order what a second holds
	printf '%bu,b,1600000005999\nu,a,1600000005001\n' "$H" >ms.csv
	seq-tokenize -q ms.csv -o ms.tar.zst
	[ "$(sequences ms.tar.zst)" = "u: a b" ]
	[ "$(seconds '2019-10-01 00:00:00 +0000')" = 1569888000 ]
	[ "$(seconds '2019-10-01 00:00:00+0200')" = 1569880800 ]
	[ "$(seconds '2019-10-01T00:00:00 GMT')" = 1569888000 ]
	[ "$(seconds '2019-10-01 00:00:00 UTC')" = 1569888000 ]
	[ "$(seconds '2019-09-30 24:00:00')" = 1569888000 ]
	[ "$(seconds '2019/10/01 00:00')" = 1569888000 ]
	[ "$(seconds '2019-10-01T00:00:00,25Z')" = 1569888000 ]
	[ "$(seconds 20191001 -- --time-format %Y%m%d)" = 1569888000 ]
	[ "$(seconds 20191001 -- --time-format s)" = 20191001 ]
	[ "$(seconds 1569888000123 -- --time-format ms)" = 1569888000 ]
	[ "$(seconds '12/1/2010 8:26' -- --time-format '%m/%d/%Y %H:%M')" = 1291191960 ]
	[ "$(seconds '1/12/2010 8:26:07 PM' -- --time-format '%d/%m/%Y %I:%M:%S %p')" = 1291235167 ]
	[ "$(seconds 'Tue, 01 Oct 2019 02:00:00.5 +0200' -- --time-format '%a, %d %b %Y %H:%M:%S.%f %z')" = 1569888000 ]
	[ "$(seconds '01.10.2019 GMT' -- --time-format '%d.%m.%Y %Z')" = 1569888000 ]
	seq-tokenize -q --time-format %d.%m.%Y --split-time 02.10.2019 <(printf '%bu,a,01.10.2019\nu,b,02.10.2019\n' "$H") -o s.tar.zst
	member s.tar.zst sequences/meta.json | grep -F '"split_time":1569974400'
	refuses "line 2, column timestamp: '01.10.2019 CET': a time was expected, in the form %d.%m.%Y %Z" \
		"${H}u,a,01.10.2019 CET\n" --time-format '%d.%m.%Y %Z'
	refuses "line 2, column timestamp: '30.02.2019': a time was expected" "${H}u,a,30.02.2019\n" --time-format %d.%m.%Y
	refuses "line 2, column timestamp: '1 ': a time was expected" "${H}u,a,\"1 \"\n" --time-format s
}

@test "forms of times that strptime would read as other times are wrong usage" {
	printf '%bu,a,2019-10-13\n' "$H" >day.csv
	while IFS='|' read -r format problem; do
		misused seq-tokenize --time-format "$format" day.csv
		says "--time-format $format: $problem"
	done <<-'END'
		%Y-%M-%d|a day needs a month beside it, %m or %b (%M are minutes)
		%Y/%M|%M are minutes, and need an hour beside them (months are %m)
		%d/%m/%Y %H:%m|%m is there twice (minutes are %M)
		%G-W%V-%u|ISO weeks (%G, %V) are not read
		%Y-W%W|%U and %W need a day of the week beside them, %u or %a
		%m/%d/%Y %H:%M %p|%p goes with an hour to 12, %I (%H are those to 24)
		%m/%d/%Y %I:%M|%I needs %p beside it (hours to 24 are %H)
		%-d %B|s, ms, us, ns or a form of strptime with a year, like %Y%m%d, was expected
	END
	[ "$(seconds 'Oct 1 2019, 02:00:00 PM' -- --time-format '%b %-d %Y, %r')" = 1569938400 ]
	[ "$(seconds 2019-274 -- --time-format %Y-%j)" = 1569888000 ]
	[ "$(seconds '2019 W40 1' -- --time-format '%Y W%W %u')" = 1570406400 ]
	[ "$(seconds '100% 10/2019' -- --time-format '100%% %m/%Y')" = 1569888000 ]
}

@test "times that may be two things are refused, with both" {
	refuses "line 2, column timestamp: '20191001': a date, or a number of seconds? --time-format %Y%m%d or --time-format s" \
		"${H}u,a,20191001\nu,b,20191002\n"
	refuses "line 3, column timestamp: '20191001'" "${H}u,z,0\nu,a,20191001\nu,b,20191002\nu,a,20191003\nu,a,20191004\nu,a,20191005\n\
u,a,20191006\nu,a,20191007\nu,a,20191008\nu,a,20191009\n"
	refuses "line 2, column timestamp: '201910011530': a date, or a number of milliseconds? --time-format %Y%m%d%H%M or --time-format ms" \
		"${H}u,a,201910011530\n"
	refuses "line 2, column timestamp: '12/1/2010 8:26': a time was expected; is it --time-format '%m/%d/%Y %H:%M' or '%d/%m/%Y %H:%M'?" \
		"${H}u,a,12/1/2010 8:26\n"
	refuses "is it --time-format '%m/%d/%Y %I:%M:%S %p' or" "${H}u,a,11/11/2019 9:05:58 AM\n"
	# only what reads it is offered
	refuses "a time was expected; is it --time-format '%m/%d/%Y %I:%M %p'?" "${H}u,a,11/13/2019 9:05 AM\n"
	refuses "a time was expected; is it --time-format '%d.%m.%Y'?" "${H}u,a,13.11.2019\n"
	refuses "a time was expected, in seconds or as" "${H}u,a,31.31.2019\n"
	refuses "a time was expected; is it --time-format '%a %b %d %H:%M:%S %z %Y'?" "${H}u,a,Sat Mar 25 08:30:21 -0700 2017\n"
	refuses "a time was expected; is it --time-format '%m %d, %Y'?" "${H}u,a,\"05 1, 2018\"\n"
	refuses "a time was expected; is it --time-format '%b %d, %Y'?" "${H}u,a,\"October 13, 2019\"\n"
	refuses "a time was expected, in seconds or as" "${H}u,a,next Tuesday\n"
	refuses "is it --time-format '%m.%d.%y' or '%d.%m.%y'?" "${H}u,a,1.12.10\n"
	# of numbers that count, some look like dates
	tells "" "${H}u,a,20191001\nu,b,20191032\nu,c,5\n"
}

@test "a time before 1970 is counted, and disables no check" {
	tells "warning: 1 of 3 times is before 1970, the first in line 3 of told.csv: '-1'" "${H}u,a,1600000000\nu,b,-1\nv,a,1600000001\n"
	fails seq-tokenize --split-time 1700000000 told.csv -o x
	says "--split-time 1700000000: no user has events both before and after; the times run from -1 to 2020-09-13T12:26:41"
	# what stands for "never" in a database
	tells "warning: 1 of 3 times is after 2099, the first in line 3 of told.csv: '9999-12-31'" "${H}u,a,2019-01-01\nu,b,9999-12-31\nv,a,2019-01-02\n"
	fails seq-tokenize --split-time 2018-01-01 told.csv -o x
	says "--split-time 2018-01-01: no user has events"
}

@test "a file that was cut off" {
	refuses "line 3: 2 fields, 3 were expected (user_id, item_id, timestamp); the file ends in this line: cut off?" "${H}u,a,1600000000\nu,b"
	refuses "line 3, column timestamp: '16000': shorter than every time before, and the file ends in this line: cut off? a line break behind it says that it is whole" \
		"${H}u,a,1600000000\nu,b,16000"
	refuses "line 4, column timestamp: '2020-01-0': a time was expected, and the file ends in this line: cut off?" "${H}u,a,2020-01-01\nu,b,2020-01-02\nu,c,2020-01-0"
	refuses "line 3, column timestamp: '16000': shorter" 'user_id\titem_id\ttimestamp\nu\ta\t1600000000\nu\tb\t16000'
	refuses "line 2, column time: '10:15:00': a time of day alone, a date with it was expected, in one column (--time-column)" \
		'user_id,item_id,date,time\nu,a,2019-10-01,10:15:00\n'
	refuses "line 2, column timestamp: '13.10.2019': a time was expected; is it --time-format '%d.%m.%Y'?" "${H}u,a,13.10.2019"
	tells "told.csv ends without a line break: line 3, if it was cut off there, is not whole" "${H}u,a,1600000000\nu,b,1600000001"
	refuses "line 2: '{\"user_id\": \"u\", \"item_': " '{"user_id": "u", "item_id": "a"}\n{"user_id": "u", "item_'
	says "the file ends in this line: cut off?"
	[ -z "$(printf '{"user_id": "u", "item_id": "a"}' | seq-tokenize 2>&1 >s | grep 'cut off')" ]
}

@test "repeated rows are counted, and --duplicates exact drops just these" {
	text="${H}u,a,5\nu,b,5\nu,a,5\nu,a,6\nv,a,5\nv,a,5.5\n"
	tells "warning: 1 event repeats an earlier one's user, item and time (--duplicates exact drops them)" "$text"
	makes "$text" "u: a b a a/v: a a"
	makes "$text" "u: a b a/v: a a" --duplicates exact
	printf '%b' "$text" >rows.csv
	seq-tokenize --duplicates exact rows.csv rows.csv 2>said >s.tar.zst
	output=$(<said)
	says "7 events repeat an earlier one's user, item and time"
	[ "$(sequences s.tar.zst | paste -sd/ -)" = "u: a b a/v: a a" ]
	member s.tar.zst sequences/meta.json | grep -F '"duplicates":"exact"'
	seq-tokenize -q --no-history --duplicates exact rows.csv rows.csv >twice
	seq-tokenize -q --no-history --duplicates exact rows.csv >once
	cmp once twice
	makes 'user_id,item_id\nu,a\nu,b\nu,a\n' "u: a b" --duplicates exact
}

@test "--min-rating" {
	text='user_id,item_id,rating,timestamp\nu,a,5,1\nu,b,3.5,2\nu,c,4,3\n'
	makes "$text" "u: a c" --min-rating 4
	tells "1 event left out for their rating" "$text" --min-rating 4
	makes 'user_id,item_id,liked\nu,a,1\nu,b,0\n' "u: a" --rating-column liked --min-rating 1
	refuses "line 3, column rating: 'good': a number was expected" 'user_id,item_id,rating\nu,a,5\nu,b,good\n' --min-rating 4
	refuses "line 2, column rating: '0x5': a number was expected" 'user_id,item_id,rating\nu,a,0x5\nu,b,3\n' --min-rating 4
	refuses "no rating column by a usual name (name it with --rating-column)" "${H}u,a,1\n" --min-rating 4
}

@test "files whose first line names no columns" {
	makes '1::1193::5::978300760\n1::661::3::978302109\n1::914::3::978301968\n' "1: 1193 914 661" --columns user,item,rating,time
	makes '196\t242\t3\t881250949\n' "196: 242" --columns user,item,rating,time
	makes '1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:50:09.868Z,214536500,0\n' "1: 214536500 214536502" --columns user,time,item,-
	makes '9,u,a\n8,u,b\n' "u: a b" --columns _,user,item
	makes 'u a 5\n u  b\t4 \n' "u: b a" --columns user,item,time --delimiter blanks
	makes 'user_id item_id\nu a\nu b\n' "u: a b"
	makes 'user_id item_id\nu a\nu b\n' "u: a b" --delimiter ' '
	makes 'user_id::item_id\nu::a:b\n' "u: a:b"
	makes 'user_id<>item_id\nu<>a\n' "u: a" --delimiter '<>'
	makes '"user_id"\t"item_id"\n"u"\t"a"\n' "u: a"
	refuses "the first line should name the columns, and has 1, 1193, 5, 978300760; where no line does: --columns user,item,rating,time" \
		'1::1193::5::978300760\n'
	refuses "where no line does: --columns user,item, in their order" '1 1\n1 2\n'
	refuses "where no line does: --columns user,time,item,-," '1,2014-04-07T10:51:09.277Z,214536502,0\n'
	refuses "column 4 is a list, a row for each event was expected" '1\tU13740\t11/11/2019 9:05:58 AM\tN55189 N42782 N34694\tN55689-1\n'
	refuses "line 2: 3 fields, 2 were expected (user, item)" 'u,a\nu,b,c\n' --columns user,item
	reads_items '1::Toy Story (1995)::Animation|Comedy\n2::Jumanji::x\n3::"Heat"::y\n' 'Toy Story (1995)/Jumanji/"Heat"' --items-columns id,title,genres
}

@test "lists where one id was expected are named" {
	refuses "line 2, column item_id: '[1, 2, 3]': a list, one id was expected" 'user_id,item_id,timestamp\n1,"[1, 2, 3]","[10, 20, 30]"\n'
	refuses "line 2, column item_id: '[1 2]': a list" 'user_id,item_id\n1,[1 2]\n'
	refuses "line 1, column item_id: 'a, b': a list" '{"user_id": "u", "item_id": ["a", "b"]}\n'
	tells "warning: the item is a list in 2 of 2 events, like 'N1 N2 N3'" 'user_id,item_id\nu,N1 N2 N3\nu,N2 N3 N4\n'
	makes 'user_id,item_id\nu,[unknown]\nu,Blink 182\n' "u: [unknown] Blink 182"
	refuses "no item column by a usual name (name it with --item-column; item_ids has lists? a row for each event was expected)" \
		'user_id\titem_ids\n1\t3 4 5\n'
	refuses "no item column by a usual name (name it with --item-column; is it offer_id?)" 'user_id,offer_id,price\n1,3,5\n'
	refuses "line 1: 5 fields, 2 were expected (user, item); is the rest a list? a row for each event was expected" \
		'1 10 11 12 13\n2 10\n' --columns user,item
	refuses "column item_id holds lists (token_seq)" 'user_id:token\titem_id:token_seq\nu\ta b\n' --item-column item_id
}

@test "RecBole's benchmark files: the longest list of a user and the item behind it" {
	makes 'user_id:token\titem_id_list:token_seq\titem_id:token\n1\ti1\ti2\n1\ti1 i2\ti3\n2\ti3\ti1\n1\ti1 i2 i3\ti4\n2\ti3 i1\ti5\n' \
		"1: i1 i2 i3 i4/2: i3 i1 i5"
	makes 'user_id:token\titem_id:token\ttimestamp:float\titem_id_list:token_seq\n1\ti2\t10\ti1 0 0\n1\ti4\t30\ti1 i2 i3\n1\ti3\t20\ti1 i2 0\n' \
		"1: i1 i2 i3 i4"
	[ ! -e seen/sequences/000000.timestamp.npy ]
	# later files have longer lists; many replaced ones are forgotten
	python3 - <<-'END'
		for part, (low, high) in {"train": (1, 60), "test": (60, 80)}.items():
		    with open(part + ".inter", "w") as file:
		        file.write("session_id:token\titem_id_list:token_seq\titem_id:token\n")
		        for n in range(low, high):
		            for user in range(30):
		                items = [f"{user}.{i}" for i in range(n + 1)]
		                file.write(f"s{user}\t{' '.join(items[:-1])}\t{items[-1]}\n")
	END
	seq-tokenize -q train.inter test.inter -o s.tar.zst
	[ "$(sequences s.tar.zst | awk '{ for (i = 2; i <= NF; i++) if ($i != NR - 1 "." i - 2) print "wrong" } END { print NR, NF }')" = "30 81" ]
	refuses "ratings of what column item_id_list lists are not known" \
		'user_id:token\titem_id_list:token_seq\titem_id:token\trating:float\n1\ti1\ti2\t5\n' --min-rating 3
}

@test "JSON lines, as Amazon's reviews come" {
	makes '{"user_id": "u", "item_id": "b", "timestamp": 2}\n\n{"timestamp": 1, "item_id": "a", "user_id": "u", "more": null}\n' "u: a b"
	makes '{"overall": 5.0, "reviewerID": "u", "asin": "b", "style": {"Color:": " Red"}, "unixReviewTime": 1400000000}\n' "u: b"
	makes '{"rating": 5.0, "asin": "x", "parent_asin": "b", "user_id": "u", "timestamp": 1588687728923, "images": [], "verified_purchase": true}\n' "u: b"
	makes '{"user_id": 12, "item_id": 12345678901234}\n' "12: 12345678901234"
	refuses "line 2, column user_id: '': empty, an id was expected" '{"user_id": "u", "item_id": "a"}\n{"item_id": "b"}\n'
	refuses "line 2: '{\"user_id\": \"u\", ': JSON that goes on behind the line's end" '{"user_id": "u", "item_id": "a"}\n{"user_id": "u", \n"item_id": "a"}\n'
	refuses "no line with an object of named values" '{\n  "user_id": "u"\n}\n'
	refuses "bad.csv: line 1: '{\"user_id\": NaN}': not JSON, an object a line was expected" '{"user_id": NaN}\n{"user_id": NaN}\n'
	refuses "bad.csv: line 2: '{\"user_id\": \"u\",}': not JSON, an object a line was expected" '\n{"user_id": "u",}\n'
	refuses "one JSON array, not an object a line; before it is read: jq -c '.[]' bad.csv >table.jsonl" '[{"user_id": "u", "item_id": "a"}]\n'
	refuses "its lines name the columns themselves" '{"user_id": "u", "item_id": "a"}\n' --columns user,item
	{ for _ in $(seq 1000); do echo '{"user_id": "u", "item_id": "a"}'; done; echo '{"user_id": "u", "item_id": "a", "late": 1}'; } >late.jsonl
	seq-tokenize late.jsonl 2>said >s
	output=$(<said)
	says 'warning: late.jsonl: line 1001 has the key "late", which none of the first 1000 has: left out'
}

@test "items as JSON lines: lists joined, objects as pairs; dicts as Python prints them" {
	reads_items '{"id": 1, "a": [["Sports", "Golf"], ["Sale"]]}\n{"id": 2, "a": {"Brand": "X", "Size": null, "N": [1, 2.5]}}\n{"id": 3, "a": "Caf\\u00e9"}\n' \
		'Sports, Golf, Sale/Brand: X, N: 1, 2.5/Café'
	reads_items "{'asin': '1', 'title': u'5\\\\\" \"nail\\\\\"', 'price': 3.5, 'x': None}\n{'asin': '2', 'title': \"it\\\\'s\", 'related': {'also': ['a']}}\n{'asin': '3', 'title': 'caf\\\\xe9 (', 'ok': True}\n" \
		'5" "nail"/it'"'"'s/café (' --attributes title
	printf "{'asin': '1', 'title': 'x}\n" >items.txt
	printf '%b1,1,1\n' "$H" >met.csv
	fails seq-tokenize --items items.txt met.csv -o x
	says "items.txt: line 1: '{'asin': '1', 'title': 'x}': neither JSON nor what Python prints for a dict"
}

@test "quotes inside fields are characters, as Python's csv module reads them" {
	reads_items 'item_id,title,price\n1,12" Vinyl Record,9.99\n2,5 foot 6" ruler,3\n3,plain,1\n' '12" Vinyl Record/5 foot 6" ruler/plain'
	reads_items '"ISBN";"Book-Title"\n"1";"the Real \\"J. P.\\" Story"\n"2";"plain"\n"3";"ends in backslash \\"\n' \
		'the Real \J. P.\" Story"/plain/ends in backslash \'
	reads_items 'item_id,title,price\n1,"C" St - West of 4th,9.99\n2,"12"" Vinyl",1\n3, "space before quote",2\n' \
		'C St - West of 4th/12" Vinyl/space before quote'
	printf 'item_id,title,price\n1,"never closed,9.99\n2,plain,1\n3,other,2\n' >items.csv
	fails seq-tokenize --items items.csv met.csv -o x
	says "items.csv: line 2, column title: a quote opened here is not closed by the end of the file"
	printf 'item_id,title,price\n1,"never closed,9.99\n2,"plain",1\n' >items.csv
	fails seq-tokenize --items items.csv met.csv -o x
	says "items.csv: line 2, column title: '2,\"': a quote opened here is closed in line 3, but not at the end of a field"
}

@test "gzip and zstd are told by content, whatever the name" {
	needs gzip zstd
	printf '%bu,b,2\nu,a,1\n' "$H" >events.csv
	seq-tokenize -q --no-history events.csv >plain
	gzip -c events.csv >events.dat
	seq-tokenize -q --no-history events.dat >a
	seq-tokenize -q --no-history <events.dat >b
	{ head -n 2 events.csv | gzip -c; tail -n 1 events.csv | gzip -9c; head -c 512 /dev/zero; } >members.csv
	seq-tokenize -q --no-history members.csv >c
	zstd -qc events.csv >events.gz
	seq-tokenize -q --no-history events.gz >d
	cmp plain a && cmp plain b && cmp plain c && cmp plain d
	head -c 40 events.dat >cut.gz
	fails seq-tokenize cut.gz -o x
	says "cut.gz: truncated gzip file"
	python3 -c 'b = bytearray(open("events.dat", "rb").read()); b[-6] ^= 1; open("bad.gz", "wb").write(b)'
	fails seq-tokenize bad.gz -o x
	says "bad.gz: corrupt gzip file: its checksum is another"
	{ cat events.dat; echo more; } >more.gz
	fails seq-tokenize more.gz -o x
	says "more.gz: corrupt gzip file: behind its end comes what is no gzip file"
	gzip -c events.dat >twice.gz
	fails seq-tokenize twice.gz -o x
	says "twice.gz: gzip within gzip or zstd; before it is read: gzip -dc twice.gz >table.csv.gz"
}

# foreign BYTES MESSAGE
foreign() {
	printf "%b" "$1" >"a file.csv"
	fails seq-tokenize "a file.csv" -o x
	says "seq-tokenize: a file.csv: $2"
}

@test "what is no table is named, with what to run before" {
	foreign '\xfd7zXZ\0\0\x04' "an xz file; before it is read: xz -dk 'a file.csv'"
	foreign 'BZh91AY&SYxxxx' "a bzip2 file; before it is read: bzip2 -dk 'a file.csv'"
	foreign 'PK\x03\x04\x14\0' "a zip archive; before it is read: unzip 'a file.csv'"
	foreign 'PK\x03\x04\x14\0\0\0\0\0[Content_Types].xml' "an Excel workbook; before it is read: python3 -c"
	foreign '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1' "an Excel workbook"
	foreign '7z\xbc\xaf\x27\x1c' "a 7z archive; before it is read: 7z x 'a file.csv'"
	foreign 'PAR1\x15\x04' "a Parquet file; before it is read: python3 -c 'import pandas, sys; pandas.read_parquet(sys.argv[1])"
	foreign 'ARROW1\0\0' "an Arrow (Feather) file"
	foreign '\xff\xff\xff\xff\x10\0\0\0' "an Arrow stream"
	foreign '\x89HDF\r\n\x1a\n' "an HDF5 file"
	foreign 'SQLite format 3\0' "an SQLite database; before it is read: sqlite3 -header -csv 'a file.csv'"
	foreign '\x80\x04\x95\x10\0' "a Python pickle; before it is read"
	foreign '\x93NUMPY\x01\0' "a NumPy array"
	foreign '\n <!DOCTYPE html>\n<html>' "an HTML page, not a table"
	foreign '<html><body>404 Not Found</body></html>' "an HTML page, not a table"
	foreign '<?xml version="1.0"?><a/>' "XML, not a table"
	foreign 'version https://git-lfs.github.com/spec/v1\noid sha256:aaaa\nsize 123\n' "a Git LFS pointer, not the file itself; before it is read: git lfs pull"
	foreign '\xff\xfeu\0s\0e\0' "UTF-16, UTF-8 was expected; before it is read: iconv -f utf-16 -t utf-8"
	foreign 'u\0s\0e\0r\0_\0i\0' "UTF-16, UTF-8 was expected; before it is read: iconv -f utf-16le -t utf-8"
	foreign '\0u\0s\0e\0r\0_' "UTF-16, UTF-8 was expected; before it is read: iconv -f utf-16be -t utf-8"
	foreign '%PDF-1.4\n' "a PDF document"
	printf '%bu,b,2\n' "$H" >events.csv
	tar -cf events.tar events.csv
	fails seq-tokenize events.tar -o x
	says "events.tar: a tar archive; before it is read: tar -xf events.tar"
	seq-tokenize -q events.csv -o s.tar.zst
	fails seq-tokenize s.tar.zst -o x
	says "s.tar.zst: a tensor stream"
	fails seq-tokenize -o x <events.tar
	says "stdin: a tar archive; before it is read: tar -xf FILE"
}

@test "text that is no table of events or items is told as that, and so are bytes that are not text" {
	local not='this does not look like a table of events, for'
	foreign 'Call me Ishmael. Some years ago, never mind how long, having\nno money in my purse, and nothing particular\nto interest me.\n' \
		"$not its first lines have 3, 2, 1 fields; a first line that names the columns, as \"user_id,item_id,timestamp\", and a row for each event"
	foreign 'alpha\nbeta\n' "$not it has one column"
	foreign 'a single line\n' "$not it has one line"
	foreign '2024-01-01 12:00:00 INFO started\n2024-01-01 12:00:01 WARN the disk is full\n' "$not its first lines have 4, 7 fields"
	foreign '#include <stdio.h>\n\nint main(void)\n{\n\treturn 0;\n}\n' "$not"
	# what has even rows may be one, and names in quotes may have commas
	foreign 'who,what,when\nu,a,1\nv,b,2\n' 'no user column by a usual name (name it with --user-column); the columns are who, what, when'
	foreign '"who, or","what"\n"a, b",c\n"d\ne",f\n' 'no user column by a usual name'
	foreign 'user,item,item\nu,a,b\n' 'two columns are called item; rename one of them'
	foreign 'u1,i1,5\n' 'the first line should name the columns'
	foreign '{\n "user": 1,\n "item": 2\n}\n' "no line with an object of named values; before it is read: jq -c . 'a file.csv'"
	foreign '\x7fELF\x02\x01\x01\0\0\0' "a program; a table as text was expected: CSV, TSV or JSON lines"
	foreign '\x89PNG\r\n\x1a\n\0\0\0' "an image; a table as text"
	foreign '<Q\x97\x3f\x02\x03\x07abc\x05\x06\0' "not text; a table as text"
	printf '%bu,b,2\n' "$H" >events.csv
	printf 'Some prose, which is\nno table.\n' >items.txt
	fails seq-tokenize --items items.txt events.csv -o x
	says 'items.txt: this does not look like a table of items, for its first lines have 2, 1 fields; a first line that names the columns, as "item_id,title"'
	fails seq-tokenize --items "$EXAMPLE/SOURCE.txt" events.csv -o x
	says 'SOURCE.txt: this does not look like a table of items, for its first line is no list of names'
	fails seq-tokenize --items events.csv --tokenizer items.txt events.csv -o x
	says 'items.txt: no tokenizer: a tokenizer.json, a GGUF'
}

@test "other character sets are named, with the command" {
	refuses "not UTF-8 but latin1? iconv -f latin1 -t utf8 bad.csv" 'user_id,item_id,title\nu,a,Caf\xe9 de nuit\n'
	refuses "not UTF-8 but cp1252? iconv -f cp1252 -t utf8 bad.csv" 'user_id,item_id,title\nu,a,don\x92t\n'
	refuses "line 2: 'user_id\": \"u\", \"t\": \"Caf" '{"user_id": "u", "item_id": "a", "t": "x"}\n{"item_id": "a", "user_id": "u", "t": "Caf\xe9"}\n'
	says "not UTF-8 but latin1? iconv -f latin1 -t utf8 bad.csv"
	refuses "not UTF-8; is it cp1251, gb18030, shift_jis? iconv -f CHARSET -t utf8 bad.csv" \
		'user_id,item_id,title\nu,a,\xc4\xe3\xba\xc3\n'
}

@test "texts are in NFC unless asked otherwise, and the catalog says so" {
	reads_items 'item_id,title\n1,cafe\xcc\x81\n2,caf\xc3\xa9\n3,x\n' "café/café/x"
	member items.tar.zst catalog/meta.json | grep -F '"normal_form":"nfc"'
	reads_items 'item_id,title\n1,\xef\xbc\xa1\n2,caf\xc3\xa9\n3,x\n' "A/café/x" --normal-form nfkc
	reads_items 'item_id,title\n1,cafe\xcc\x81\n2,caf\xc3\xa9\n3,x\n' $'cafe\xcc\x81/café/x' --normal-form none
	member items.tar.zst catalog/meta.json | grep -F '"normal_form":"none"'
	misused seq-tokenize --normal-form c --items items.txt met.csv
}

@test "--holdout none: all events are training, and nobody has a target" {
	text="${H}u,a,1\nu,b,2\nu,c,3\nv,a,1\nv,c,2\nv,b,3\n"
	tells "nothing is held out: all events are for training" "$text" --holdout none
	member told.tar.zst sequences/meta.json | grep -F '"holdout":"none"'
	[ "$(sequences told.tar.zst | paste -sd/ -)" = "u: a b c/v: a c b" ]
	# popular counts all events of an item
	seq-train --arch popular told.tar.zst 2>/dev/null -o m.tar.zst
	mkdir m && tar --zstd -xf m.tar.zst -C m
	[ "$(python3 -c 'import glob, numpy; print(*sorted(float(numpy.load(p).sum()) for p in glob.glob("m/model/*.npy")))')" = "6.0 6.0" ]
	tells "2 users, 3 items" "$text" --holdout last
	member told.tar.zst sequences/meta.json | grep -F '"holdout":"last"'
	seq-tokenize --split-time 3 told.csv 2>/dev/null >s
	member s sequences/meta.json | grep -F '"holdout":"time"'
	misused seq-tokenize --holdout none --split-time 3 told.csv
	misused seq-tokenize --holdout all told.csv
}

@test "fields and lines of any length have their bounds" {
	python3 - <<-'END'
		import json
		million = "x" * 1100000
		with open("field.jsonl", "w") as file:
		    for item, text in ("a", "short"), ("b", million):
		        print(json.dumps({"item_id": item, "title": text}), file=file)
		with open("line.jsonl", "w") as file:
		    file.write('{"user_id": "u", "item_id": "' + "x" * (65 << 20))
		with open("columns.csv", "w") as file:
		    print(",".join(f"c{i}" for i in range(5000)), file=file)
		with open("deep.jsonl", "w") as file:
		    print('{"user_id": "u", "item_id": "a", "t": ' + "[" * 100000 + "]" * 100000 + "}", file=file)
		with open("long.txt", "w") as file:
		    file.write("user_id::item_id\nu::" + "y" * (65 << 20))
	END
	printf '%bu,a,1\n' "$H" >met.csv
	fails seq-tokenize --items field.jsonl met.csv -o x
	says "field.jsonl: line 2, column title: 'xxxx"
	says "longer than a mebibyte"
	fails seq-tokenize line.jsonl -o x
	says "line.jsonl: line 1: longer than 64 mebibytes"
	fails seq-tokenize long.txt -o x
	says "long.txt: line 2: longer than 64 mebibytes"
	fails seq-tokenize columns.csv -o x
	says "columns.csv: a header of 5000 columns, 4096 at most were expected"
	fails seq-tokenize deep.jsonl -o x
	says "deep.jsonl: "
}

@test "the manual's lines for MovieLens and Amazon work on files as these come" {
	needs iconv gzip
	printf '1::Caf\xe9 (1995)::Drama\n2::Heat::Action|Crime\n' >movies.dat
	printf '1::1::5::978300760\n1::2::4::978302109\n1::1::3::978302110\n' >ratings.dat
	iconv -f latin1 -t utf8 movies.dat >movies.txt
	seq-tokenize -q --columns user,item,rating,time --min-rating 4 --items movies.txt --items-columns id,title,genres ratings.dat -o ml.tar.zst
	[ "$(sequences ml.tar.zst)" = "1: 1 2" ]
	[ "$(titles ml.tar.zst | paste -sd/ -)" = "Café (1995)/Heat" ]
	for n in 1 2 3 4 5; do
		echo '{"rating": 5.0, "title": "Good", "text": "x", "images": [], "asin": "A'$n'", "parent_asin": "B'$n'", "user_id": "AG", "timestamp": 158868772892'$n', "helpful_vote": 0, "verified_purchase": true}'
	done | gzip >All_Beauty.jsonl.gz
	for n in 1 2 3 4 5; do
		echo '{"main_category": "All Beauty", "title": "Soap '$n'", "average_rating": 4.8, "rating_number": 10, "features": ["a", "b"], "description": [], "price": null, "images": [{"thumb": "u"}], "videos": [], "store": "Howard", "categories": ["Bath", "Soap"], "details": {"Size": "1"}, "parent_asin": "B'$n'", "bought_together": null}'
	done | gzip >meta_All_Beauty.jsonl.gz
	seq-tokenize --items meta_All_Beauty.jsonl.gz --attributes title,store,categories --duplicates exact --min-user 5 All_Beauty.jsonl.gz 2>said >beauty.tar.zst
	output=$(<said)
	says "user is user_id, item is parent_asin (or asin?), time is timestamp"
	[ "$(sequences beauty.tar.zst)" = "AG: B1 B2 B3 B4 B5" ]
	[ "$(member beauty.tar.zst catalog/000000.categories.txt | head -1)" = "Bath, Soap" ]
}
