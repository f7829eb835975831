#!/usr/bin/env bats
# seq-train: what it learns, that its trainings can be repeated and resumed to the byte, and its manners.

load helpers

setup_file() {
	seq-tokenize -q -o "$BATS_FILE_TMPDIR/data.tar.zst" "$EXAMPLE/events.csv"
}

setup() {
	own_folder
}

# short trainings; the history differs from run to run by its seconds
train() {
	seq-train -q --no-history --epochs 3 --hidden-size 16 "$@" data.tar.zst
}

# value MEASURE FILE: of all users
value() {
	awk -F'\t' -v m="$1" '$1 == m && $2 == "all" { print $3 }' "$2"
}

# learned FACTOR OPTION...: a short training's NDCG@10 is more than so many times that of popular
learned() {
	local factor=$1
	shift
	[ -e popular ] || seq-train -q --arch popular data.tar.zst | seq-rank -q | rec-eval -q -m ndcg -k 10 >popular
	seq-train -q -j1 "$@" data.tar.zst | seq-rank -q | rec-eval -q -m ndcg -k 10 >model
	echo "$*: $(value ndcg@10 model), popular $(value ndcg@10 popular)"
	awk -v model="$(value ndcg@10 model)" -v popular="$(value ndcg@10 popular)" -v factor="$factor" \
		'BEGIN { exit !(popular > 0.01 && model > factor * popular) }'
}

@test "seq-train: every architecture learns more than what is popular" {
	local short=(--epochs 20 --hidden-size 32 --batch-size 32)
	learned 5 --arch markov
	learned 5 --arch sasrec "${short[@]}" --learning-rate 0.003
	learned 2 --arch gru "${short[@]}" --learning-rate 0.01
}

@test "seq-train: every loss learns more than what is popular" {
	local short=(--epochs 20 --hidden-size 32 --batch-size 32 --learning-rate 0.003)
	learned 5 "${short[@]}" --loss sampled --negatives 100
	learned 2 "${short[@]}" --loss bce --negatives 10
}

@test "seq-train: the losses fall" {
	for loss in ce "sampled --negatives 20" "bce --negatives 20" "gbce --negatives 20"; do
		read -ra options <<<"$loss"
		loss=${options[0]}
		seq-train -q --loss "${options[@]}" --epochs 4 data.tar.zst | tar --zstd -xO --wildcards 'log/*-seq-train.json' >$loss.json
		python3 -c 'import json, sys
curve = json.load(open(sys.argv[1]))["curve"]
assert len(curve) == 4 and curve[-1]["loss"] < curve[0]["loss"] - 0.01, curve' $loss.json
	done
}

@test "seq-train: variants of the model go into its config" {
	train --set norm=post --set input_norm=yes --heads 2 --set intermediate_size=32 --set hidden_act=gelu --set positions=end \
		--set scale_embedding=no --set tied=no --max-length 20 --set initialiser=xavier --dropout 0.3 -o variant.tar.zst
	tar --zstd -xOf variant.tar.zst model/config.json >variant.json
	python3 -c 'import json
c = json.load(open("variant.json"))
assert (c["norm"], c["num_attention_heads"], c["intermediate_size"], c["positions"], c["tied"], c["max_length"]) == ("post", 2, 32, "end", False, 20), c'
	tar --zstd -tf variant.tar.zst | grep -x model/output.weight.npy >out
}

@test "seq-train: the same seed and threads give the same bytes, another seed does not" {
	for threads in 1 2; do
		train -j $threads -o "one$threads.tar.zst"
		train -j $threads -o "two$threads.tar.zst"
		cmp "one$threads.tar.zst" "two$threads.tar.zst"
	done
	train -j 1 --seed 2 -o other.tar.zst
	run cmp -s one1.tar.zst other.tar.zst
	[ "$status" = 1 ]
}

# parameters STREAM: the bytes of all of a model's
parameters() {
	tar --zstd -xOf "$1" --wildcards 'model/*.npy'
}

@test "seq-train: each dropout changes what is learned, and all of them 0 is none" {
	local keys=(embedding_dropout attention_dropout hidden_dropout activation_dropout attention_output_dropout) key zero=()
	for key in "${keys[@]}"; do zero+=(--set "$key=0"); done
	train -j1 --epochs 1 --dropout 0 -o none.tar.zst
	train -j1 --epochs 1 --dropout 0.5 "${zero[@]}" -o zero.tar.zst
	cmp <(parameters none.tar.zst) <(parameters zero.tar.zst)
	for key in "${keys[@]}"; do
		train -j1 --epochs 1 --dropout 0 --set "$key=0.5" -o some.tar.zst
		run cmp -s <(parameters none.tar.zst) <(parameters some.tar.zst)
		[ "$status" = 1 ] || { echo "$key changes nothing"; return 1; }
	done
}

@test "seq-train: a history read backwards, and items left out of it" {
	local day
	# three users, and the same from their end
	for day in 1 2 3 4 5 6; do
		printf 'a,i%d,%d\nb,i%d,%d\nc,i%d,%d\n' $day $day $((7 - day)) $day $((day * 3 % 7)) $day
	done >rows
	(echo user,item,time && cat rows) >events.csv
	awk -F, 'BEGIN { OFS = "," } { $3 = 7 - $3; print }' rows | (echo user,item,time && cat) >backwards.csv
	printf 'item,title\n' >items.csv
	printf 'i%d,thing\n' 1 2 3 4 5 6 >>items.csv
	for name in events backwards; do
		seq-tokenize -q --holdout none --items items.csv $name.csv -o $name.tar.zst
	done
	short=(-q --no-history -j1 --epochs 3 --hidden-size 16)
	parameters() {
		seq-train "${short[@]}" "$@" | tar --zstd -xO --wildcards 'model/*.npy' | sha256sum
	}
	[ "$(parameters events.tar.zst)" != "$(parameters backwards.tar.zst)" ]
	[ "$(parameters --set reversal=1 events.tar.zst)" = "$(parameters backwards.tar.zst)" ]
	[ "$(parameters --set reversal=0.5 events.tar.zst)" != "$(parameters backwards.tar.zst)" ]
	[ "$(parameters --set item_dropout=0.5 events.tar.zst)" != "$(parameters events.tar.zst)" ]
	# of two events none is left out
	(echo user,item,time && printf 'a,i1,1\na,i2,2\nb,i2,1\nb,i3,2\n') >pairs.csv
	seq-tokenize -q --holdout none pairs.csv -o pairs.tar.zst
	[ "$(parameters --set item_dropout=0.9 pairs.tar.zst)" = "$(parameters pairs.tar.zst)" ]
}

# what trains and validates on histories of N events each
histories_of() {
	awk -v n="$1" 'BEGIN { print "user,item,time"; for (u = 0; u < 40; u++) for (t = 0; t < n; t++) print "u" u ",i" (u * 7 + t * t) % 30 "," t }' |
		seq-tokenize -q -o "$2"
}

@test "seq-train: short histories have a mean, and an average of all steps is kept" {
	histories_of 8 short.tar.zst
	histories_of 24 long.tar.zst
	small=(-q --no-history -j1 --epochs 2 --hidden-size 16)
	parameters() {
		seq-train "${small[@]}" "$@" | tar --zstd -xO --wildcards 'model/*.npy' | sha256sum
	}
	local plain=(--set history_mean=0 --set average=0)
	for name in sasrec esasrec; do
		[ "$(parameters --arch $name short.tar.zst)" = \
			"$(parameters --arch $name --set history_mean=4 --set history_decay=0.7 --set average=0.99 short.tar.zst)" ]
		[ "$(parameters --arch $name long.tar.zst)" = "$(parameters --arch $name "${plain[@]}" long.tar.zst)" ]
		for other in history_mean=1 history_decay=0.2 average=0.05; do
			[ "$(parameters --arch $name short.tar.zst)" != "$(parameters --arch $name --set $other short.tar.zst)" ]
		done
	done
	# losses that read few rows have no average of all rows unless it is asked for
	[ "$(parameters --loss bce short.tar.zst)" = "$(parameters --loss bce --set average=0 short.tar.zst)" ]
	[ "$(parameters --loss bce short.tar.zst)" != "$(parameters --loss bce --set average=0.9 short.tar.zst)" ]
}

@test "seq-train: the average after one step, by its definition" {
	histories_of 8 short.tar.zst
	one() { # FILE OPTION...
		seq-train -q -j1 --epochs 1 --batch-size 1000 --hidden-size 16 "${@:2}" short.tar.zst | tar --zstd -xO model/item_embedding.weight.npy >"$1"
	}
	one start.npy --learning-rate 0 --set average=0
	one end.npy --set average=0
	one between.npy --set average=0.99
	one half.npy --set average=0.05
	python3 - <<-'END'
		import numpy
		start, end, between, half = (numpy.load(f"{name}.npy") for name in ("start", "end", "between", "half"))
		assert abs(end - start).max() > 1e-4
		assert numpy.allclose(between, start + (end - start) * 10 / 11, rtol=0, atol=1e-7)
		assert numpy.allclose(half, start + (end - start) * .95, rtol=0, atol=1e-7)
	END
}

@test "seq-train: weight decay makes parameters smaller" {
	for decay in 0 3; do
		train -j1 --learning-rate 0.01 --weight-decay $decay -o decay.tar.zst
		tar --zstd -xOf decay.tar.zst model/item_embedding.weight.npy >decay-$decay.npy
	done
	python3 -c 'import numpy
free, decayed = (numpy.abs(numpy.load(f"decay-{decay}.npy")).mean() for decay in (0, 3))
assert decayed < 0.8 * free, (free, decayed)'
}

@test "seq-train: feature_whiten takes correlations away, feature_scale sets the size" {
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" | item-project -q --from tfidf --width 24 -o items.tar.zst
	for whiten in yes no; do
		# as they are taken in: nothing is learned at this rate
		seq-train -q --epochs 1 --hidden-size 16 --features trainable --learning-rate 0 --set feature_whiten=$whiten \
			--set feature_scale=0.2 items.tar.zst | tar --zstd -xO model/item_feature.weight.npy >$whiten.npy
	done
	python3 -c 'import numpy
for whiten in ("yes", "no"):
    features = numpy.load(f"{whiten}.npy").astype("f8")
    assert abs((features ** 2).mean() - 0.04) < 1e-3, (features ** 2).mean()
    products = features.T @ features / len(features) / 0.04
    off = abs(products - numpy.diag(products.diagonal())).max()
    spread = products.diagonal().max() / products.diagonal().min()
    assert (off < 0.01 and spread < 1.1) if whiten == "yes" else spread > 3, (whiten, off, spread)'
}

# by NumPy, of the vectors of items.tar.zst, whose first item has none: where they lie on their principal axes
axes='
import io, json, numpy, subprocess, sys
read = lambda stream, name: subprocess.run(["tar", "--zstd", "-xOf", stream, name], check=True, capture_output=True).stdout
member = lambda stream, name: numpy.load(io.BytesIO(read(stream, name))).astype("f8")
x = member("items.tar.zst", "embedding/000000.vector.npy")
known = x.any(1)
x[known] -= x[known].mean(0)
values, vectors = numpy.linalg.eigh(x.T @ x / known.sum())
vectors = vectors[:, ::-1] * numpy.sign(numpy.take_along_axis(vectors, abs(vectors).argmax(0)[None], 0))[:, ::-1]
def on_axes(n, whiten, scale):
    on = x @ vectors[:, :n] / (values[::-1][:n] ** .5 if whiten else 1)
    return on * scale / (on ** 2).mean() ** .5
'

# wordless: items.tar.zst, whose first item has no words
wordless() {
	sed '2s/,.*/,!,/' "$EXAMPLE/items.csv" >items.csv
	seq-tokenize -q --items items.csv "$EXAMPLE/events.csv" | item-project -q --from tfidf --width 24 -o items.tar.zst
}

@test "seq-train: --features initial: learned vectors that start at the embedding's principal axes" {
	wordless
	for whiten in yes no; do
		seq-train -q --epochs 1 --hidden-size 16 --features initial --learning-rate 0 --set feature_whiten=$whiten \
			--set feature_scale=0.2 items.tar.zst -o start.tar.zst
		python3 -c "$axes"'
table = member("start.tar.zst", "model/item_embedding.weight.npy")
assert not known.all() and abs(table - on_axes(16, sys.argv[1] == "yes", .2)).max() < 2e-4' $whiten
	done
	# wider than the embedding: the other columns are small and random
	seq-train -q --epochs 1 --hidden-size 32 --arch gru --features initial --learning-rate 0 items.tar.zst -o start.tar.zst
	python3 -c "$axes"'
table = member("start.tar.zst", "model/item_embedding.weight.npy")
assert abs(table[:, :24] - on_axes(24, True, .1)).max() < 2e-4 and .018 < table[:, 24:].std() < .022'
	# learned vectors want more dropout than features do
	for features in initial frozen; do
		seq-train -q --epochs 1 --hidden-size 16 --features $features items.tar.zst | tar --zstd -xO model/config.json |
			python3 -c 'import json, sys; print(json.load(sys.stdin)["dropout"])'
	done >rates
	[ "$(paste -sd' ' rates)" = "0.5 0.3" ]
	# and nothing of the embedding stays
	seq-train -q --epochs 2 --hidden-size 16 --learning-rate 0.01 --features initial items.tar.zst -o model.tar.zst
	[ "$(tar --zstd -tf model.tar.zst | grep -c 'model/.*feature')" = 0 ]
	python3 -c "$axes"'
table = member("model.tar.zst", "model/item_embedding.weight.npy")
assert .005 < abs(table - on_axes(16, True, .1)).mean() < .1'
	misused seq-train -q --features initial --set adaptor=mlp items.tar.zst -o x.tar.zst
	says "--set adaptor is for --features frozen|trainable"
}

@test "seq-train: --features alphafuse: the embedding's principal axes, frozen, beside learned columns" {
	wordless
	for arch in sasrec gru; do
		seq-train -q --epochs 3 --learning-rate 0.01 --arch $arch --hidden-size 16 --features alphafuse --set feature_share=0.4 --set feature_scale=0.2 \
			items.tar.zst -o model.tar.zst
		python3 -c "$axes"'
part = lambda name: member("model.tar.zst", f"model/{name}.npy")
z, own = part("item_embedding.weight"), part("item_id.weight")
assert z.shape[1] == 16 and own.shape[1] == 10 and (z[:, 6:] == own).all() and abs(own).mean() > .02
assert abs(z[:, :6] - on_axes(6, True, .2)).max() < 2e-4
raw = member("items.tar.zst", "embedding/000000.vector.npy")[known]
made = (raw - part("feature.mean")) @ part("feature.matrix")[:, :6] * part("feature.scale")
assert abs(z[known, :6] - made).max() < 2e-4'
		seq-rank -q model.tar.zst | rec-eval -q >out
	done
	fails seq-train -q --features alphafuse --hidden-size 64 items.tar.zst -o x.tar.zst
	says '"feature_share" 0.5 of 64 columns is 32 principal axes, and 1 to 24 can be had, of an embedding 24 wide'
	misused seq-train -q --features frozen --set feature_share=.2 items.tar.zst -o x.tar.zst
	misused seq-train -q --set feature_share=.2 items.tar.zst -o x.tar.zst
	says "--set feature_share is for --features alphafuse"
}

@test "seq-train: what --whiten-groups left of correlations is not whitened away" {
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" |
		item-project -q --from tfidf --width 24 --whiten-groups 3 -o items.tar.zst
	whitened() {
		seq-train -q --epochs 1 --hidden-size 16 "$@" items.tar.zst | tar --zstd -xO model/config.json |
			python3 -c 'import json, sys; print(json.load(sys.stdin)["feature_whiten"])'
	}
	[ "$(whitened)" = False ]
	[ "$(whitened --set feature_whiten=yes)" = True ]
}

# resumed ARCH: killed again and again, it ends with the bytes of an undisturbed training
resumed() {
	local arch=$1
	shift
	local command=(seq-train -q --no-history --epochs 4 --hidden-size 16 --arch "$arch" --batch-size 16 "$@" data.tar.zst)
	"${command[@]}" -o "whole-$arch.tar.zst"
	killed_and_resumed "$arch.ckpt" "resumed-$arch.tar.zst" "${command[@]}"
	cmp "whole-$arch.tar.zst" "resumed-$arch.tar.zst"
}

@test "seq-train: killed and resumed gives the same bytes, sasrec" {
	resumed sasrec --loss gbce --negatives 8 --schedule cosine --set warmup=20
}

@test "seq-train: killed and resumed gives the same bytes, gru" {
	resumed gru --set embedding_dropout=0.2 --set clip=1
}

# Where the processor has no instructions for it, products are floats, and the history says so. The loss of each epoch is near.
@test "seq-train: products in bfloat16" {
	for precision in f32 split bf16; do
		for again in one two; do
			seq-train -q --epochs 2 --hidden-size 64 --precision $precision -o $again.tar.zst data.tar.zst
			tar --zstd -xOf $again.tar.zst --wildcards 'model/*.npy' >$again
		done
		cmp one two
		mv one $precision
		tar --zstd -xOf two.tar.zst --wildcards 'log/*-seq-train.json' >$precision.json
	done
	RECPIPE_CPU=avx512 seq-train -q --epochs 2 --hidden-size 64 --precision split data.tar.zst |
		tar --zstd -xO --wildcards 'log/*-seq-train.json' >none.json
	python3 -c 'import json, sys
def of(name):
    return json.load(open(name + ".json"))
exact = of("f32")
assert exact["precision"] == "f32" and of("none")["precision"] == "f32"
for name, near in ("split", 1e-3), ("bf16", 3e-2):
    made = of(name)
    can = made["instructions"] in {"split": ["amx"], "bf16": ["amx", "bf16"]}[name]
    assert made["precision"] == (name if can else "f32"), made["precision"]
    assert (open(name, "rb").read() != open("f32", "rb").read()) == can
    for a, b in zip(made["curve"], exact["curve"]):
        assert abs(a["loss"] - b["loss"]) <= near * b["loss"], (a, b)'
	misused seq-train --precision bf8 data.tar.zst
}

@test "seq-train: a checkpoint is of one training" {
	train --checkpoint a.ckpt -o a.tar.zst
	fails seq-train -q --no-history --epochs 3 --hidden-size 16 --seed 9 --checkpoint a.ckpt --resume -o b.tar.zst data.tar.zst
	says "another training: --seed was 1, is 9"
	fails train --learning-rate 0.01 --set norm=post --checkpoint a.ckpt --resume -o b.tar.zst
	says "--learning-rate was 0.001, is 0.01"
	says "--set norm was pre, is post"
	fails train --set valid_users=9 --checkpoint a.ckpt --resume -o b.tar.zst
	says "--set valid_users was all, is 9"
	[ ! -e b.tar.zst ]
	head -c 3000 a.ckpt >cut.ckpt
	fails train --checkpoint cut.ckpt --resume -o b.tar.zst
	says "truncated"
	fails train --checkpoint data.tar.zst --resume -o b.tar.zst
	says "data.tar.zst: no checkpoint in it"
	# of an older version, which began with the state; and of one that keeps another
	mkdir parts && tar --zstd -xf a.ckpt -C parts
	(cd parts && tar --format=ustar -cf ../old.ckpt checkpoint/meta.json checkpoint/now.npy checkpoint/identity.json)
	mv parts/checkpoint/epochs.npy parts/checkpoint/curve.npy
	(cd parts && tar --format=ustar -cf ../other.ckpt checkpoint/meta.json checkpoint/identity.json checkpoint/curve.npy)
	for name in old other; do
		fails train --checkpoint $name.ckpt --resume -o b.tar.zst
		says "$name.ckpt: "
		says "it is of another version of recpipe, which alone can go on from it; here --checkpoint with another name begins anew"
	done
	misused seq-train --resume -o b.tar.zst data.tar.zst
}

@test "seq-train: an early stop keeps the best epoch" {
	seq-train -q --epochs 60 --patience 2 --learning-rate 0.01 data.tar.zst | tar --zstd -xO --wildcards 'log/*-seq-train.json' >stop.json
	python3 -c 'import json
h = json.load(open("stop.json"))
curve = [p["ndcg@10"] for p in h["curve"]]
assert len(curve) < 60 and h["best_epoch"] == 1 + curve.index(max(curve)) == len(curve) - 2, h'
}

@test "seq-train: infinity is fatal, and names tensor and step" {
	fails train --learning-rate 10 --epochs 1000 --patience 1000 --set scale_embedding=yes --loss ce --set norm=original --set clip=0 --set beta2=0 -o x.tar.zst
	says "step"
	[ ! -e x.tar.zst ]
}

@test "seq-train: wrong usage" {
	misused seq-train --loss nothing data.tar.zst
	says "ce, sampled, bce, gbce"
	misused seq-train --epochs 0 data.tar.zst
	misused seq-train -o x.tar.zst --arch nothing data.tar.zst
	says "sasrec"
	# whatever the stream has, and before it is read
	misused seq-train -o x.tar.zst --hidden-size 10 --heads 3 missing.tar.zst
	says "--hidden-size 10 is not a multiple of --heads 3"
	misused seq-train -o x.tar.zst --heads 3 missing.tar.zst
	misused seq-train -o x.tar.zst --set norm=sideways missing.tar.zst
	# means that never begin, of which nothing or infinity would be learned
	misused seq-train -o x.tar.zst --set beta1=1 missing.tar.zst
	says "--set beta1 1: a number from 0 to 0.999999 was expected"
	misused seq-train -o x.tar.zst --set beta2=1 missing.tar.zst
	misused seq-train -o x.tar.zst --features sideways missing.tar.zst
	misused seq-train -o x.tar.zst --arch gpt2 --hidden-size 7 --heads 2 missing.tar.zst
	misused seq-train -o x.tar.zst --arch gru --dense-size 3 --set embedding_size=5 missing.tar.zst
	misused seq-train -o x.tar.zst --task pretrain --hidden-size 7 --set num_attention_heads=2 missing.tar.zst
	misused seq-train -o x.tar.zst --task pretrain --size tiny --set num_attention_heads=5 missing.tar.zst
	misused seq-train -o x.tar.zst --task pretrain --set attention_window=7 missing.tar.zst
	fails seq-train -o x.tar.zst --task finetune --set num_attention_heads=5 missing.tar.zst
	[ ! -e x.tar.zst ]
}

@test "seq-train: an option that would change nothing is wrong usage" {
	local line
	while read -r line; do
		# shellcheck disable=SC2086
		misused seq-train -o x.tar.zst $line missing.tar.zst
		says "${line##*--arch }"
		says "is no option of"
	done <<-'END'
		--heads 4 --arch gru
		--set norm=post --arch gru
		--set bias=no --arch sasrec
		--steps 2 --arch sasrec
		--hidden-size 8 --arch popular
		--epochs 3 --arch markov
		--checkpoint x --arch popular
		--dropout 0.5 --arch llama
		--features none --arch gpt2
		--loss ce --arch llama
		--template {title} --arch sasrec
		--max-tokens 9 --arch gru
		--set frozen_words=yes --arch sasrec
		--weights . --arch llama
	END
	misused seq-train -o x.tar.zst --task pretrain --set as_code=yes missing.tar.zst
	misused seq-train -o x.tar.zst --task pretrain --set hidden_act=relu missing.tar.zst
	misused seq-train -o x.tar.zst --task finetune --set accumulate=2 missing.tar.zst
	misused seq-train -o x.tar.zst --task pretrain --size tiny --weights . missing.tar.zst
	misused seq-train -o x.tar.zst --set accumulate=2 missing.tar.zst
	says "--set accumulate is no option of --arch sasrec"
	misused seq-train -o x.tar.zst --negatives 3 missing.tar.zst
	says "--negatives is for --loss sampled|bce|gbce"
	misused seq-train -o x.tar.zst --loss bce --set gbce_t=0.3 missing.tar.zst
	misused seq-train -o x.tar.zst --set temperature=0.1 missing.tar.zst
	misused seq-train -o x.tar.zst --set adaptor=linear --set adaptor_size=8 missing.tar.zst
	says "--set adaptor_size is for --set adaptor=two-layer|mlp"
	misused seq-train -o x.tar.zst --features none --set feature_scale=1 missing.tar.zst
	says "--set feature_scale is for --features frozen|trainable"
	# by what the other options say, and by what else was given
	while IFS='|' read -r line expected; do
		# shellcheck disable=SC2086
		misused seq-train -o x.tar.zst $line missing.tar.zst
		says "$expected"
	done <<-'END'
		--set history_mean=0 --set history_decay=0.5|--set history_decay is for --set history_mean other than 0
		--resume|--resume is for --checkpoint, which is not given
		--checkpoint-every 9|--checkpoint-every is for --checkpoint
		--task pretrain --set item_vector_scale=3|--set item_vector_scale is no option of --arch recformer --task pretrain
		--task pretrain --set item_vector_dropout=0|is no option of
		--task pretrain --set words_weight=0 --set mask_rate=0.1|--set mask_rate is for --set words_weight other than 0
		--task pretrain --set words_weight=0 --set tie_word_embeddings=yes|is for --set words_weight other than 0
		--task finetune --set tie_word_embeddings=yes|is no option of --arch recformer --task finetune
		--task finetune --set item_vector_scale=3|is for --set item_vectors=learned, which is encoded here
		--task finetune --set histories=items|it needs --task finetune --set item_vectors=learned
		--task pretrain --set histories=items|it needs --task finetune --set item_vectors=learned
		--task finetune --set pooling=first --set histories=text --set item_decay=0.1|is for --set pooling=mean, which is first here, or
		--task pretrain --initialiser normal --weights x|--initialiser does not go with --weights
		--task pretrain --words x --weights x|--words does not go with --weights
		--task pretrain --set whiten=yes --size tiny|--set whiten does not go with --size
		--task pretrain --size tiny --hidden-size 8 --layers 1 --set num_attention_heads=2|--size does not go with --hidden-size and --layers and --set num_attention_heads
		--epochs 3 --set stop_after=4|--set stop_after 4 is more than --epochs, which is 3 here
		--task finetune --epochs 3 --set second_stop_after=4|--set second_stop_after 4 is more than --epochs, which is 3 here
	END
	# by what the data decide
	misused seq-train -q --arch ease -o x.tar.zst --set text_whiten=no data.tar.zst
	says "--set text_whiten is for --set text=embedding, which is none here"
	local long
	long=$(awk -F, 'NR == 1 || $1 < 20' "$EXAMPLE/events.csv"; awk -F, 'NR > 1 && $1 < 20 { print $1 "," $2 "," $3 + 1e9 }' "$EXAMPLE/events.csv")
	seq-tokenize -q -o long.tar.zst - <<<"$long"
	misused seq-train -q -o x.tar.zst --set history_decay=0.5 long.tar.zst
	says "--set history_decay is for --set history_mean other than 0"
	[ ! -e x.tar.zst ]
}

@test "seq-train: streams it cannot learn from" {
	printf 'user_id,item_id,timestamp\na,x,1\nb,y,2\n' | seq-tokenize -q -o short.tar.zst
	fails seq-train -o x.tar.zst short.tar.zst
	says "nothing to learn"
	seq-train -q --arch popular -o model.tar.zst data.tar.zst
	mkdir -p parts && tar --zstd -xf model.tar.zst -C parts
	(cd parts && tar --format=ustar -cf ../only-model.tar model/meta.json model/config.json model/count.npy model/end.json)
	fails seq-train -o x.tar.zst only-model.tar
	says "no catalog"
	fails seq-train -o x.tar.zst </dev/null
	says "empty input"
}

@test "seq-train: what it does not know passes through, an older model does not" {
	seq-train -q --arch markov -o markov.tar.zst data.tar.zst
	seq-train -q --no-history --arch popular markov.tar.zst | tar --zstd -t >names
	[ "$(grep -c transition names)" = 0 ]
	grep -x model/count.npy names >out
	grep -x catalog/000000.item_id.txt names >out
	grep -x sequences/end.json names >out
	seq-train --arch popular - markov.tar.zst -o popular.tar.zst <data.tar.zst 2>said
	grep -q 'model of markov.tar.zst replaced by a new one; --model goes on from one' said
	seq-train --arch markov --model markov.tar.zst markov.tar.zst -o out.tar.zst 2>said
	(! grep replaced said) || return 1
}

@test "seq-train: a language model of the items' texts learns, for a tokenizer and not a catalog" {
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o shop.tar.zst
	for arch in llama gpt2; do
		seq-train -q --arch $arch --hidden-size 32 --layers 1 --heads 2 --epochs 3 --learning-rate 0.005 --template '{title}' \
			shop.tar.zst -o $arch.tar.zst
		tar --zstd -xOf $arch.tar.zst --wildcards 'log/*-seq-train.json' >$arch.json
		tar --zstd -xOf $arch.tar.zst model/meta.json >meta.json
		python3 -c 'import json, sys
curve = [p["nll"] for p in json.load(open(sys.argv[1]))["curve"]]
assert len(curve) == 3 and curve[0] > curve[1] > curve[2] and curve[2] < curve[0] - 0.1, curve
meta = json.load(open("meta.json"))
assert "tokenizer" in meta and meta["tokens"] > 500 and "catalog" not in meta, meta' $arch.json
		tar --zstd -xOf $arch.tar.zst model/config.json >config.json
		python3 -c 'import json
c = json.load(open("config.json"))
get = lambda one, other: c[one] if one in c else c[other]
assert (get("hidden_size", "n_embd"), get("num_hidden_layers", "n_layer"), get("num_attention_heads", "n_head")) == (32, 1, 2), c'
	done
	fails seq-train -q --arch llama data.tar.zst -o x.tar.zst
	says "no items with text"
	fails seq-rank -q llama.tar.zst -o x.tar.zst
	says "model of llama.tar.zst: llama learned texts and ranks no items; seq-train --arch sasrec, say, trains a model that does"
	[ ! -e x.tar.zst ]
}

# nlls STREAM: the validation NLL of each epoch of its last training
nlls() {
	local log
	log=$(tar --zstd -tf "$1" --wildcards 'log/*-seq-train.json' | tail -n 1)
	tar --zstd -xOf "$1" "$log" | python3 -c 'import json, sys
print(*[p["nll"] for p in json.load(sys.stdin)["curve"]])'
}

@test "seq-train: a language model learns the texts of histories, and is the LLM of the stages behind it" {
	local histories=(--task histories --template '{title}' --max-tokens 6 --last 3 --learning-rate 0.003 --batch-size 32
		--set warmup=5) few=(--hidden-size 32 --layers 2 --heads 2)
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o shop.tar.zst
	for arch in llama gpt2; do
		seq-train -q --arch $arch "${histories[@]}" "${few[@]}" --epochs 3 shop.tar.zst -o $arch.tar.zst
		nlls $arch.tar.zst | awk '{ exit !(NF == 3 && $1 > $2 && $2 > $3 && $3 < $1 - 0.1) }'
	done
	# from one of the items' texts, which knows their words already
	seq-train -q --arch llama "${few[@]}" --template '{title}' --max-tokens 6 --epochs 5 --learning-rate 0.005 shop.tar.zst -o words.tar.zst
	seq-train -q "${histories[@]}" words.tar.zst -o tuned.tar.zst
	seq-train -q "${histories[@]}" --model words.tar.zst shop.tar.zst -o same.tar.zst
	cmp <(tar --zstd -xOf tuned.tar.zst model) <(tar --zstd -xOf same.tar.zst model)
	awk 'NR == 1 { from = $1 } NR == 2 { less = $1 < from - 0.1 } END { exit !less }' <(nlls llama.tar.zst) <(nlls tuned.tar.zst)
	item-project -q --from llm tuned.tar.zst -o vectors.tar.zst
	item-project -q --from llm words.tar.zst -o before.tar.zst
	for from in vectors before; do
		tar --zstd -xOf $from.tar.zst embedding | cksum
	done | sort -u | awk 'END { exit NR != 2 }'
	emb-align-train -q --epochs 1 tuned.tar.zst -o said.tar.zst
	fails seq-train -q --task histories --layers 3 words.tar.zst -o x.tar.zst
	says 'words.tar.zst: its "num_hidden_layers" is 2, and stays so'
	fails seq-train -q --task histories gpt2.tar.zst -o x.tar.zst
	says "gpt2.tar.zst: the model is gpt2; --arch gpt2 was expected"
	fails seq-train -q --task histories --last 100 shop.tar.zst -o x.tar.zst
	says "less than --last or --max-tokens"
	fails seq-train -q --task histories --weights "$EXAMPLE/items.csv" shop.tar.zst -o x.tar.zst
	[ ! -e x.tar.zst ]
}

@test "seq-train: tuning on histories goes on within an epoch, to the same bytes" {
	local histories=(--task histories --template '{title}' --max-tokens 6 --last 3 --hidden-size 32 --layers 1 --heads 2 --epochs 2 -j1)
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o shop.tar.zst
	seq-train -q "${histories[@]}" --no-history shop.tar.zst -o whole.tar.zst
	killed_and_resumed a.ckpt part.tar.zst seq-train -q "${histories[@]}" --no-history shop.tar.zst
	cmp whole.tar.zst part.tar.zst
}

@test "seq-train: items by their features: frozen where there are any, trainable, or none" {
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" | item-project -q --from tfidf --width 24 -o items.tar.zst
	seq-train -q --epochs 2 --hidden-size 16 items.tar.zst -o default.tar.zst
	for features in frozen trainable none; do
		seq-train -q --epochs 2 --hidden-size 16 --features $features items.tar.zst -o $features.tar.zst
		tar --zstd -tf $features.tar.zst | grep '^model/' >$features.names
		seq-rank -q $features.tar.zst | rec-eval -q >out
	done
	cmp <(tar --zstd -xOf default.tar.zst --wildcards 'model/*.npy') <(tar --zstd -xOf frozen.tar.zst --wildcards 'model/*.npy')
	grep -qx model/adaptor.weight.npy frozen.names
	[ "$(grep -c item_feature frozen.names)" = 0 ]
	grep -qx model/item_feature.weight.npy trainable.names
	[ "$(grep -c adaptor none.names)" = 0 ]
	grep -qx model/item_id.weight.npy frozen.names
	[ "$(grep -c model/item_id.weight trainable.names)" = 0 ]
	seq-train -q --epochs 2 --hidden-size 16 --set feature_ids=no --set feature_scale=0 items.tar.zst | tar --zstd -tf - >plain.names
	[ "$(grep -c model/item_id.weight plain.names)" = 0 ]
	misused seq-train -q --set feature_scale=-1 items.tar.zst -o x.tar.zst
	says "--set feature_scale -1"
	seq-train -q --arch gru --epochs 2 --hidden-size 16 --set adaptor=mlp --set feature_ids=yes --set score=cosine items.tar.zst -o gru.tar.zst
	tar --zstd -tf gru.tar.zst | grep -x model/item_id.weight.npy >out
	fails seq-train -q --set feature_scale=1 data.tar.zst -o x.tar.zst
	says "--set feature_scale: no embedding"
	for features in frozen trainable initial alphafuse; do
		fails seq-train -q --features $features data.tar.zst -o x.tar.zst
		says "no embedding"
	done
	misused seq-train -q --set feature_share=0.3 items.tar.zst -o x.tar.zst
	says "--set feature_share is for --features alphafuse, which is frozen here"
	fails seq-train -q --features alphafuse --hidden-size 2 --heads 1 --set feature_share=0.01 items.tar.zst -o x.tar.zst
	says "--set feature_share= is another share"
	[ ! -e x.tar.zst ]
	seq-train -q --arch popular items.tar.zst | tar --zstd -xO model/config.json >popular.json
	[ "$(cat popular.json)" = '{"architecture":"popular"}' ]
}

# said_by COMMAND...: its stderr, in `told`
said_by() {
	"$@" 2>told
}

@test "seq-train: --like takes the options of a training, and the epochs that validated best" {
	seq-tokenize -q --holdout none -o all.tar.zst "$EXAMPLE/events.csv"
	seq-train -q --arch gru --epochs 30 --patience 2 --learning-rate 0.03 --hidden-size 16 --loss sampled --negatives 20 \
		--schedule linear --dropout 0.1 data.tar.zst -o tuned.tar.zst
	best=$(tar --zstd -xOf tuned.tar.zst --wildcards 'log/*-seq-train.json' | python3 -c 'import json, sys; print(json.load(sys.stdin)["best_epoch"])')
	[ "$best" -lt 30 ]
	said_by seq-train --like tuned.tar.zst all.tar.zst -o like.tar.zst
	[ "$(grep -c 'epoch *[0-9]* *loss' told)" = "$best" ]
	# all of it given, one by one: the same model
	seq-train -q --arch gru --epochs 30 --set stop_after="$best" --patience 2 --learning-rate 0.03 --hidden-size 16 --loss sampled \
		--negatives 20 --schedule linear --dropout 0.1 all.tar.zst -o given.tar.zst
	cmp <(parameters like.tar.zst) <(parameters given.tar.zst)
	cmp <(tar --zstd -xOf like.tar.zst model/meta.json) <(tar --zstd -xOf given.tar.zst model/meta.json)
	# what is given beside it counts, and is told; what follows from it follows
	said_by seq-train --like tuned.tar.zst --epochs 2 --hidden-size 8 --loss bce all.tar.zst -o other.tar.zst
	grep -qx "seq-train: --epochs 2, and not 30 as tuned.tar.zst has it" told
	grep -qx "seq-train: --hidden-size 8, and not 16 as tuned.tar.zst has it" told
	grep -qx "seq-train: --loss bce, and not sampled as tuned.tar.zst has it" told
	[ "$(grep -c 'epoch *[0-9]* *loss' told)" = 2 ]
	mkdir other && tar --zstd -xf other.tar.zst -C other
	python3 -c 'import json
training, config = (json.load(open(f"other/model/{name}.json")) for name in ("training", "config"))
options = training["options"]
assert (options["negatives"], options["learning-rate"], options["schedule"]) == (1, 0.03, "linear"), training
assert (config["embedding_size"], config["dropout"]) == (8, 0.1) and training["best"] == {"stop_after": 2}, (config, training)'
	# what followed from what is another now is chosen anew, and that is told
	seq-train -q --epochs 1 --hidden-size 8 data.tar.zst -o short.tar.zst
	tar --zstd -xOf short.tar.zst model/training.json | grep '"average":0.99'
	said_by seq-train --like short.tar.zst --loss bce data.tar.zst -o other.tar.zst
	grep -qx "seq-train: --set average 0.99 of short.tar.zst is not taken over, as --loss is another" told
	tar --zstd -xOf other.tar.zst model/training.json | grep '"average":0.0'
	said_by seq-train --like short.tar.zst --loss bce --set average=0.9 data.tar.zst -o other.tar.zst
	(! grep -q 'not taken over' told)
	tar --zstd -xOf other.tar.zst model/training.json | grep '"average":0.9,'
	# a model that counts has no options
	seq-train -q --arch markov data.tar.zst | seq-train -q --like - all.tar.zst -o markov.tar.zst
	tar --zstd -xOf markov.tar.zst model/config.json | grep markov
}

@test "seq-train: --like what there is no training of" {
	fails seq-train --like data.tar.zst -o x.tar.zst data.tar.zst
	says "--like data.tar.zst: no model in it"
	fails seq-train --like missing.tar.zst -o x.tar.zst data.tar.zst
	seq-train -q --epochs 1 --hidden-size 8 data.tar.zst -o tuned.tar.zst
	misused seq-train --like tuned.tar.zst --arch gru -o x.tar.zst data.tar.zst
	says "--arch gru: the model of --like tuned.tar.zst is sasrec"
	misused seq-train -q --like tuned.tar.zst --epochs 0 -o x.tar.zst data.tar.zst
	says "--epochs 0 would learn nothing"
	misused seq-train --like - -o x.tar.zst
	misused seq-train --set stop_after=0 -o x.tar.zst data.tar.zst
	mkdir parts && tar --zstd -xf tuned.tar.zst -C parts
	# of an older version, and broken ones
	rm parts/model/training.json
	(cd parts && tar --format=ustar -cf ../old.tar model/meta.json model/config.json model/item_id.txt model/*.npy model/end.json)
	fails seq-train --like old.tar -o x.tar.zst data.tar.zst
	says "does not say how it was trained"
	local text
	for text in '{"options":{}}' '{"task":"next","options":3}' '{"task":"next","options":{"epochs":"x","stop_after":1}}' \
		'{"task":"sleep","options":{}}' '{"task":"next","options":{"batch":3}}' '{"task":"next","options":{},"best":5}' '{'; do
		printf '%s' "$text" >parts/model/training.json
		(cd parts && tar --format=ustar -cf ../broken.tar model/meta.json model/config.json model/training.json model/item_id.txt \
			model/*.npy model/end.json)
		run seq-train --like broken.tar -o x.tar.zst data.tar.zst
		[ "$status" != 0 ] && [ "${#lines[@]}" = 1 ] && says broken.tar || { echo "$text: $output"; return 1; }
	done
	[ ! -e x.tar.zst ]
}

@test "seq-train: where nothing is held out that is told once, and no validation is made up" {
	seq-tokenize -q --holdout none -o all.tar.zst "$EXAMPLE/events.csv"
	said_by seq-train --epochs 3 --hidden-size 8 --patience 1 all.tar.zst -o all-model.tar.zst
	[ "$(grep -c 'nothing is held out' told)" = 1 ]
	[ "$(grep -c 'epoch *[0-9]* *loss' told)" = 3 ]
	[ "$(grep -ciE 'valid |ndcg|best' told)" = 0 ]
	tar --zstd -xOf all-model.tar.zst --wildcards 'log/*-seq-train.json' >log.json
	python3 -c 'import json
log = json.load(open("log.json"))
assert log["best_epoch"] == 3 and all(set(p) == {"epoch", "loss", "seconds"} for p in log["curve"]), log'
}

# A program of its own, as a shell has background jobs ignore SIGINT: interrupted COMMAND WHEN SIGNAL TIMES [GROUP]
# starts the command, and when a line of its stderr, left in told, has WHEN sends it, or with a fifth word its whole group, the
# signal so many times, .7 s apart. Prints the status.
interrupted() {
	python3 - "$@" <<-'END'
		import os, signal, subprocess, sys, time
		command, when, number, times = sys.argv[1], sys.argv[2], getattr(signal, sys.argv[3]), int(sys.argv[4])
		ready = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
		process = subprocess.Popen(["bash", "-c", command], stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=ready)
		with open("told", "w") as told:
		    for line in process.stderr:
		        told.write(line)
		        if when and when in line:
		            when = None
		            for i in range(times):
		                time.sleep(.7 if i else .05)
		                try:
		                    (os.killpg if len(sys.argv) > 5 else os.kill)(process.pid, number)
		                except ProcessLookupError:
		                    pass
		print(process.wait())
	END
}

@test "seq-train: the first signal ends it with the best so far, from which --resume goes on as if nothing had been" {
	needs python3
	train=(--batch-size 4 --hidden-size 16 -j1)
	local often=(--checkpoint run.ckpt --checkpoint-every 100)
	for signal in SIGINT SIGTERM; do
		rm -f run.ckpt
		[ "$(interrupted "exec seq-train ${train[*]} ${often[*]} -o stopped.tar.zst data.tar.zst" 'epoch   2' $signal 1)" = 0 ]
		grep -q "stopped in epoch [3-9]: epoch [2-9], the best so far, is kept; --resume goes on from run.ckpt" told
		best=$(sed -n 's/.*stopped in .*: epoch \([0-9]*\), .*/\1/p' told)
		seq-train -q "${train[@]}" --epochs "$best" -o whole.tar.zst data.tar.zst
		cmp <(parameters stopped.tar.zst) <(parameters whole.tar.zst)
		(! cmp -s <(tar --zstd -xOf stopped.tar.zst model/meta.json) <(tar --zstd -xOf whole.tar.zst model/meta.json))
		tar --zstd -xOf stopped.tar.zst --wildcards 'log/*-seq-train.json' | grep '"stopped":{"epoch":'
	done
	seq-train -q "${train[@]}" --epochs $((best + 2)) -o whole.tar.zst data.tar.zst
	seq-train -q "${train[@]}" --epochs $((best + 2)) "${often[@]}" --resume -o resumed.tar.zst data.tar.zst
	cmp <(parameters resumed.tar.zst) <(parameters whole.tar.zst)
}

@test "seq-train: timeout's two signals are one; before an epoch is over the parameters are kept as they are" {
	timeout 2 seq-train -j1 --batch-size 1 --hidden-size 192 --layers 12 -o stopped.tar.zst data.tar.zst 2>told || [ $? = 124 ]
	grep -q "stopped in epoch 1: no epoch is over yet, and the parameters are kept as they are; with --checkpoint FILE" told
	seq-rank -q stopped.tar.zst | rec-eval -q >figures
}

@test "seq-train: the second signal leaves at once, and nothing is broken" {
	needs python3
	slow="--hidden-size 256 --layers 16 --max-length 1000 -j1"
	# one step takes long enough for both
	[ "$(interrupted "exec seq-train $slow --batch-size 512 --checkpoint run.ckpt -o stopped.tar.zst data.tar.zst" positions SIGINT 2)" = -2 ]
	grep -q interrupted told
	[ ! -e stopped.tar.zst ] && [ ! -e run.ckpt ]
	[ -z "$(find . -name '.recpipe*')" ]
}

@test "seq-train: a Ctrl-C that reaches the whole pipe leaves it its figures; one that breaks it off ends it" {
	needs python3
	interrupted 'seq-train --batch-size 4 --hidden-size 16 -j1 data.tar.zst | seq-rank -q | rec-eval -q --format lines >figures' 'epoch   2' SIGINT 1 group
	grep -q "^ndcg@10.all" figures
	# what sends half of a stream dies of it, and so does who awaits the rest
	head -c 20000 data.tar.zst >half
	status=$(interrupted '{ cat half; echo sent >&2; exec sleep 20; } | { exec seq-rank -q -o x.tar.zst; }; exit ${PIPESTATUS[1]}' sent SIGINT 1 group)
	[ "$status" = 130 ] || [ "$status" = -2 ]
	[ ! -e x.tar.zst ]
}

# grown: the streams early and full, with vectors of a language model; early lacks every tenth item, and full begins with the last
grown() {
	needs_numpy
	awk -F, 'NR == 1 || NR % 10' "$EXAMPLE/items.csv" >early-items.csv
	{ head -n 1 "$EXAMPLE/items.csv"; sed 1d "$EXAMPLE/items.csv" | tac; } >full-items.csv
	awk -F, 'NR == FNR { there[$1]; next } FNR == 1 || $2 in there' early-items.csv "$EXAMPLE/events.csv" >early-events.csv
	seq-tokenize -q --items full-items.csv "$EXAMPLE/events.csv" -o full-text.tar.zst
	seq-tokenize -q --tokenizer full-text.tar.zst --items early-items.csv early-events.csv -o early-text.tar.zst
	llm full-text.tar.zst
	for part in early full; do
		item-project -q --from tokens --llm llm $part-text.tar.zst -o $part.tar.zst
	done
}

# For python: member(STREAM, NAME) is an array, ids(STREAM, NAME) a list
members='import io, subprocess, sys, numpy
read = lambda stream, name: subprocess.run(["tar", "--zstd", "-xOf", stream, name], check=True, capture_output=True).stdout
member = lambda stream, name: numpy.load(io.BytesIO(read(stream, name))).astype("f8")
ids = lambda stream, name: read(stream, name).decode().split()
'

@test "seq-rank: items that are new to a model are ranked by their features, all others as before" {
	grown
	cut -d, -f1 "$EXAMPLE/events.csv" | sed 1d | uniq | head -n 20 >users.txt
	local every=(--split next --users users.txt --top 5000 --seen keep --format tsv)
	for features in frozen trainable alphafuse; do
		seq-train -q -j1 --epochs 12 --hidden-size 16 --batch-size 16 --features $features early.tar.zst -o model.tar.zst
		seq-rank "${every[@]}" --model model.tar.zst full.tar.zst -o full.tsv 2>told
		grep -q "110 of 1105 items are new to the model of model.tar.zst and ranked by their embedding" told
		# histories without new items, of the catalog it was trained with
		seq-rank -q "${every[@]}" model.tar.zst -o early.tsv
		cmp early.tsv <(seq-rank -q "${every[@]}" --model model.tar.zst early-text.tar.zst)
		python3 -c "$members"'
model, full, features = "model.tar.zst", "full.tar.zst", sys.argv[1]
part = lambda name: member(model, f"model/{name}.npy")
known, items = ids(model, "model/item_id.txt"), ids(full, "catalog/000000.item_id.txt")
z, vectors = part("item_embedding.weight"), member(full, "embedding/000000.vector.npy")
made = (vectors - part("feature.mean")) @ part("feature.matrix") * part("feature.scale")
if features == "alphafuse":
    made = numpy.hstack([made[:, :8], numpy.tile(part("item_id.weight").mean(0), (len(made), 1))])
else:
    made = made @ part("adaptor.weight").T + part("adaptor.bias")
if features == "frozen":
    made += part("item_id.weight").mean(0)
row = {item: i for i, item in enumerate(known)}
new = [i for i, item in enumerate(items) if item not in row]
lists = {}
for line in open("full.tsv"):
    user, rank, item, score = line.split("\t")
    lists.setdefault(user, {})[item] = float(score)
assert len(new) == 110 and all(len(scores) == len(items) for scores in lists.values())
assert len(lists) == 20
for scores in lists.values():
    query = numpy.linalg.lstsq(z, numpy.array([scores[item] for item in known]), rcond=None)[0]
    wrong = [abs(scores[items[i]] - made[i] @ query) for i in new]
    assert max(wrong) < 2e-3 * max(map(abs, scores.values())), (features, max(wrong))' $features
	done
	# of another embedding, and without one, nothing tells of them
	item-project -q --from tfidf --width 16 full-text.tar.zst -o other.tar.zst
	for stream in other full-text; do
		seq-rank --split next --format tsv --model model.tar.zst $stream.tar.zst -o x.tsv 2>told
		grep -q "110 of 1105 items are new to the model of model.tar.zst and are not recommended" told
	done
	seq-rank --split next --format tsv model.tar.zst full-text.tar.zst -o x.tsv 2>told # whose embedding is early's
	grep -q "110 of 1105 items are new to the model of model.tar.zst and are not recommended" told
	seq-rank --split next --format tsv --model model.tar.zst other.tar.zst -o x.tsv 2>told
	grep -q "embedding of other.tar.zst is not the one" told
}

@test "seq-train: --model goes on with newer events and a grown catalog" {
	grown
	seq-train -q -j1 --epochs 3 --hidden-size 16 --features none early.tar.zst -o ids.tar.zst
	seq-train -q -j1 --epochs 3 --hidden-size 16 early.tar.zst -o features.tar.zst
	seq-train -q -j1 --epochs 3 --arch gru --hidden-size 16 --set tied=no early.tar.zst -o gru.tar.zst
	seq-train -q -j1 --epochs 3 --hidden-size 16 --features initial early.tar.zst -o initial.tar.zst
	seq-train -q -j1 --epochs 3 --hidden-size 16 --features alphafuse early.tar.zst -o alphafuse.tar.zst
	for old in ids features initial alphafuse gru; do
		# nothing is learned: all is as it was, and where it starts
		said_by seq-train -j1 --epochs 1 --learning-rate 0 --model $old.tar.zst full.tar.zst -o new.tar.zst
		grep -q "of $old.tar.zst: 995 items known, 110 new (from \(features\|the mean\)), 0 gone" told
		cmp <(tar --zstd -xOf $old.tar.zst model/config.json) <(tar --zstd -xOf new.tar.zst model/config.json)
		python3 -c "$members"'
old, new = sys.argv[1], "new.tar.zst"
was, now = ids(old, "model/item_id.txt"), ids(new, "model/item_id.txt")
row = {item: i for i, item in enumerate(was)}
known, fresh = [i for i, item in enumerate(now) if item in row], [i for i, item in enumerate(now) if item not in row]
names = subprocess.run(["tar", "--zstd", "-tf", old], check=True, capture_output=True, text=True).stdout.split()
tables = 0
for name in (n for n in names if n.startswith("model/") and n.endswith(".npy")):
    a, b = member(old, name), member(new, name)
    if name == "model/item_events.npy": # of all that it learned from
        assert (b[known] >= a[[row[now[i]] for i in known]]).all() and len(b) == len(now), b
        continue
    if a.shape == b.shape:
        assert (a == b).all(), name
        continue
    tables += 1
    derived = "candidates" in name or "feature.scale" in " ".join(names) and "item_embedding" in name
    assert numpy.abs(a[[row[now[i]] for i in known]] - b[known]).max() <= (1e-5 if derived else 0), name
    if not derived:
        off = b[fresh] - a.mean(0)
        assert 0.018 < off.std() < 0.022, (name, off.std())
assert tables == {"ids.tar.zst": 1, "features.tar.zst": 2, "gru.tar.zst": 4, "initial.tar.zst": 1, "alphafuse.tar.zst": 2}[old], tables' $old.tar.zst
		said_by seq-train -j1 --epochs 2 --dropout 0.1 --model $old.tar.zst full.tar.zst -o new.tar.zst
		seq-rank -q new.tar.zst | rec-eval -q >figures
	done
	# in a smaller one; and to the same bytes again, over an interruption too
	said_by seq-train -j1 --epochs 2 --model new.tar.zst early.tar.zst -o small.tar.zst
	grep -q "995 items known, 0 new, 110 gone" told
	# new.tar.zst had a dropout of 0.1, which these data do not ask for
	cmp <(tar --zstd -xOf gru.tar.zst model/config.json) <(tar --zstd -xOf small.tar.zst model/config.json)
	killed_and_resumed run.ckpt again.tar.zst seq-train -q --no-history -j1 --epochs 4 --model new.tar.zst early.tar.zst
	seq-train -q --no-history -j1 --epochs 4 --model new.tar.zst early.tar.zst -o once.tar.zst
	cmp once.tar.zst again.tar.zst
	seq-train -q --arch markov early.tar.zst -o markov.tar.zst
	said_by seq-train --no-history --model markov.tar.zst full.tar.zst -o counted.tar.zst
	grep -q "markov counts everything anew" told
	cmp <(parameters counted.tar.zst) <(seq-train -q --arch markov full.tar.zst | tar --zstd -xO --wildcards "model/*.npy")
}

# start FILE: the measure of its history's "start", and its best epoch
start() {
	tar --zstd -xOf "$1" --wildcards 'log/*-seq-train.json' | python3 -c 'import json, sys
log = json.load(sys.stdin); print(log["best_epoch"], *("%.4f" % log["start"][key] for key in ("ndcg@10", "recall@10")))'
}

@test "seq-train: --model: one that may have learned what is held out is told" {
	printf '%s\n' user,item,time a,w,1 a,x,2 a,y,3 a,z,4 b,z,1 b,y,2 b,w,3 b,x,4 >events.csv
	seq-tokenize -q events.csv -o held.tar.zst
	seq-tokenize -q --holdout none events.csv -o all.tar.zst
	for stream in held all; do
		seq-train -q --hidden-size 8 --epochs 1 $stream.tar.zst -o of-$stream.tar.zst
	done
	said_by seq-train -q --epochs 1 --model of-all.tar.zst held.tar.zst -o out.tar.zst
	grep -q 'the model of of-all.tar.zst was trained on events of seq-tokenize --holdout none, and these are of --holdout last:' told
	for stream in held all; do
		said_by seq-train -q --epochs 1 --model of-held.tar.zst $stream.tar.zst -o out.tar.zst
		(! grep learned told) || return 1
	done
}

@test "seq-train: --model: what it goes on from is measured, and kept where no epoch is better" {
	needs python3
	seq-train -q -j1 --hidden-size 16 --epochs 12 --batch-size 16 --learning-rate 0.003 data.tar.zst -o good.tar.zst
	seq-rank -q --split valid good.tar.zst | rec-eval -q -m ndcg,recall -k 10 >valid
	measures="$(value ndcg@10 valid) $(value recall@10 valid)"
	# a rate that breaks it; with items updated row by row, by an average, with ties to other tables
	for how in "" "--loss bce" "--set average=0.9"; do
		read -ra options <<<"$how"
		said_by seq-train -j1 --epochs 9 --patience 2 --learning-rate 1 "${options[@]}" --model good.tar.zst data.tar.zst -o kept.tar.zst
		grep -qxE "seq-train: before training: valid NDCG@10 ${measures/ / +Recall@10 }" told
		grep -qE "no epoch of 2 is better than the start, which is kept: valid NDCG@10 ${measures% *}$" told
		[ "$(start kept.tar.zst)" = "0 $measures" ]
		cmp <(parameters good.tar.zst) <(parameters kept.tar.zst)
		tar --zstd -xOf kept.tar.zst model/training.json | grep '"best":{"stop_after":0}'
	done
	# as it is at a stop before the first epoch is over, and when that has gone on
	train=(--model good.tar.zst --learning-rate 1 --patience 2 -j1 data.tar.zst)
	local slow=(--batch-size 1 --loss gbce --negatives 20000)
	[ "$(interrupted "exec seq-train ${train[*]} ${slow[*]} -o stopped.tar.zst" 'before training' SIGINT 1)" = 0 ]
	grep -q 'stopped in epoch 1: no epoch is better than the start, which is kept; with' told
	cmp <(parameters good.tar.zst) <(parameters stopped.tar.zst)
	killed_and_resumed run.ckpt resumed.tar.zst seq-train -q "${train[@]}" --batch-size 16
	cmp <(parameters good.tar.zst) <(parameters resumed.tar.zst)
	# one that is better than the start is kept instead
	seq-train -q -j1 --hidden-size 16 --epochs 1 --learning-rate 0.003 data.tar.zst -o poor.tar.zst
	said_by seq-train -j1 --epochs 8 --learning-rate 0.003 --batch-size 16 --model poor.tar.zst data.tar.zst -o better.tar.zst
	[[ "$(start better.tar.zst)" = [1-8]" "* ]]
	# no epochs: the model as it is, for these data; where nothing is held out there is nothing to measure
	seq-train -q --model good.tar.zst --like kept.tar.zst data.tar.zst -o as-it-was.tar.zst
	cmp <(parameters good.tar.zst) <(parameters as-it-was.tar.zst)
	fails seq-train --like kept.tar.zst data.tar.zst -o x.tar.zst
	says 'kept.tar.zst: model/training.json: no epoch was better than the model that it went on from'
	seq-tokenize -q --holdout none -o all.tar.zst "$EXAMPLE/events.csv"
	said_by seq-train --epochs 1 --model good.tar.zst all.tar.zst -o all-model.tar.zst
	[ "$(grep -c 'before training\|valid ' told)" = 0 ]
	(! cmp -s <(parameters good.tar.zst) <(parameters all-model.tar.zst))
}

@test "seq-train: --model of what cannot go on" {
	grown
	seq-train -q --epochs 1 --hidden-size 16 early.tar.zst -o features.tar.zst
	fails seq-train --model features.tar.zst --hidden-size 8 full.tar.zst -o x.tar.zst
	says "--hidden-size 8: the model of features.tar.zst has 16"
	fails seq-train --model features.tar.zst --set norm=post full.tar.zst -o x.tar.zst
	fails seq-train --model features.tar.zst --set history_mean=3 full.tar.zst -o x.tar.zst
	says 'history_mean 3: the model of features.tar.zst has 4, and goes on with that'
	fails seq-train --model features.tar.zst --arch gru full.tar.zst -o x.tar.zst
	says "--arch gru: the model of features.tar.zst is sasrec"
	seq-train -q --arch gru --epochs 1 --hidden-size 16 data.tar.zst -o gru.tar.zst # whose initialiser is none of sasrec's
	fails seq-train --arch sasrec --model gru.tar.zst data.tar.zst -o x.tar.zst
	says "--arch sasrec: the model of gru.tar.zst is gru"
	fails seq-train --arch sasrec --model gru.tar.zst --like features.tar.zst data.tar.zst -o x.tar.zst
	says "--arch sasrec: the model of gru.tar.zst is gru"
	fails seq-train --task histories --arch llama --model gru.tar.zst full-text.tar.zst -o x.tar.zst
	says "model of gru.tar.zst: gru, where a language model was expected"
	fails seq-train --task pretrain --model gru.tar.zst full-text.tar.zst -o x.tar.zst
	says "model of gru.tar.zst: gru, where recformer was expected"
	fails seq-train --model features.tar.zst full-text.tar.zst -o x.tar.zst
	says "no embedding in the stream"
	item-project -q --from tfidf --width 16 full-text.tar.zst -o other.tar.zst
	fails seq-train -q --model features.tar.zst other.tar.zst -o x.tar.zst
	says "the embedding of other.tar.zst is not the one that the model of features.tar.zst was trained with"
	item-project -q --from tfidf --width 8 full-text.tar.zst -o other.tar.zst
	fails seq-train -q --model features.tar.zst other.tar.zst -o x.tar.zst
	fails seq-train --model data.tar.zst full.tar.zst -o x.tar.zst
	says "--model data.tar.zst: no model in it"
	sed "1!s/,/,x/" "$EXAMPLE/events.csv" | seq-tokenize -q -o strange.tar.zst
	seq-train -q --epochs 1 --hidden-size 16 data.tar.zst -o ids.tar.zst
	fails seq-train --model ids.tar.zst strange.tar.zst -o x.tar.zst
	says ids.tar.zst
	misused seq-train --model ids.tar.zst --arch llama full.tar.zst -o x.tar.zst
	misused seq-train --model - -o x.tar.zst
	[ ! -e x.tar.zst ]
}

@test "seq-train: a line of an epoch has at most 80 columns" {
	said_by seq-train --epochs 2 --hidden-size 8 data.tar.zst -o lines.tar.zst
	[ "$(grep -c 'epoch *[0-9]* loss [0-9.]* valid NDCG@10 [0-9.]* .*s$' told)" = 2 ]
	(! grep 'epoch *[0-9]* loss' told | grep -E '.{81}')
}
