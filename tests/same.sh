#!/usr/bin/env bash
# same.sh [-m] [BIN [PIPELINE...]]: runs small pipelines on the example's data with the tools in BIN (default build/bin) and
# prints a checksum of what comes out: a line for each pipeline and group of the stream, or table printed; with -m for
# each member. The first line names what the bytes depend on besides: instruction set, BLAS, C library, compiler. Two
# builds that compute the same print the same:
#
#   diff <(tests/same.sh old/bin) <(tests/same.sh build/bin)
#
# RECPIPE_CPU=avx2 OPENBLAS_CORETYPE=Haswell before it: as older processors have it, on every one.
#
# A PIPELINE is one of those at the end of this file (default: all of them). tests/golden/same.*.txt are recorded so, and
# same.bats compares with them. JSON members are left out, as they may gain keys, and members that are_new.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
each=false
if [ "${1:-}" = -m ]; then
	each=true
	shift
fi
bin=$(realpath "${1:-$root/build/bin}")
shift $(($# < 1 ? $# : 1))
RECPIPE_BIN=$bin
# shellcheck source=tests/helpers.bash
. "$root/tests/helpers.bash"
export OMP_WAIT_POLICY=passive
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# --- what is printed

# Members that streams have only since tests/golden/same.*.txt were recorded.
are_new='^(catalog/\d+\.(?!item_id\.).*\.txt|model/item_id\.txt|model/item_events\.npy|model/feature\.(mean|matrix|scale)\.npy)$'

# sums NAME STREAM GROUP...: of the members of these groups
sums() {
	local name=$1 stream=$2 group member
	shift 2
	rm -rf members
	mkdir members
	tar --zstd -xf "$stream" -C members
	for group; do
		find "members/$group" -type f \( ! -name '*.json' -o -name tokenizer.json \) | cut -d/ -f2- | LC_ALL=C sort |
			{ grep -vP "$are_new" || true; } >names
		while IFS= read -r member; do
			printf '%s %s %s\n' "$name" "$member" "$(checksum <"members/$member")"
		done <names >sums
		if $each; then cat sums; else printf '%s %s/ %s %s\n' "$name" "$group" "$(wc -l <sums)" "$(checksum <sums)"; fi
	done
}

# said NAME TABLE: of what is printed, on stdin
said() {
	printf '%s %s %s\n' "$1" "$2" "$(checksum)"
}

checksum() {
	sha256sum | cut -c 1-16
}

machine() {
	local blas compiler level
	history_of_a_training >history
	# up to tiles, above AVX-512 are products in integers alone, which are the same bytes everywhere
	level=$(key instructions | sed 's/^\(vnni\|bf16\)$/avx512/')
	blas=$(realpath "$(ldd "$bin/seq-train" | awk '/openblas/ { print $3 }')")
	compiler=$(readelf -p .comment "$bin/seq-train" | grep -o '\(GCC\|clang\).*' | sort -u | paste -sd' ')
	! grep -qE '__asan_init|__gcov_init' "$bin/seq-train" || compiler+=", instrumented"
	printf '# %s %s, %s of %s, glibc %s, %s\n' "$(uname -m)" "$level" "$(key blas)" "$(basename "$blas")" \
		"$(ldd --version | sed -n '1s/.* //p')" "$compiler"
}

history_of_a_training() {
	printf 'user_id,item_id\na,x\na,y\na,z\na,x\n' | seq-tokenize -q | seq-train -q --epochs 1 |
		tar --zstd -xO --wildcards 'log/*-seq-train.json'
}

key() {
	sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" history
}

# --- trainings

# Keys of options that have or had another name.
declare -A option_of=([hidden_act]=activation [attention_window]=window [max_attr_num]=max-attributes
	[max_attr_length]=attribute-tokens [tie_word_embeddings]=tied-words [hidden_dropout_prob]=hidden-dropout
	[attention_probs_dropout_prob]=attention-dropout
	[num_attention_heads]=heads [frozen_words]=freeze-words)

# train OPTION|KEY=VALUE... STREAM...: seq-train, where the rare parts of a model's config are given by their keys
train() {
	spell "$@"
	"${spelled[@]}"
}

# spell OPTION|KEY=VALUE... STREAM...: that command, as this build spells it
spell() {
	local word key option
	spelled=(seq-train -q --no-history)
	seq-train "$@" --help >help 2>&1 || true
	for word; do
		case $word in
		-* | *.zst) spelled+=("$word") ;;
		*=*)
			key=${word%%=*}
			option=${option_of[$key]:-$key}
			option=--${option//_/-}
			if grep -q -e "$option=" help; then
				spelled+=("$option" "${word#*=}")
			elif grep -q -e "$option  " help && [ "${word#*=}" = yes ]; then
				spelled+=("$option")
			else
				spelled+=(--set "$word")
			fi
			;;
		*) spelled+=("$word") ;;
		esac
	done
}

measures=ndcg,recall,hr,precision,mrr,coverage

# model NAME OPTION|KEY=VALUE... STREAM...: a training's model and what it ranks, kept as NAME.tar.zst
model() {
	local name=$1
	shift
	train "$@" -o "$name.tar.zst"
	sums "$name" "$name.tar.zst" model
	seq-rank -q -j1 "$name.tar.zst" | rec-eval -q -j1 --digits 9 -m "$measures" -k 10 | said "$name" figures
}

# resumed NAME GROUP COMMAND...: what a command ends with that was killed and went on
resumed() {
	local name=$1 group=$2
	shift 2
	BATS_TEST_TMPDIR=$folder killed_and_resumed run.ckpt "$name.tar.zst" "$@" 2>killed ||
		{ echo "same.sh: $name: $(tail -n 1 killed)" >&2; return 1; }
	rm -f run.ckpt
	sums "$name" "$name.tar.zst" "$group"
}

# --- data: the example; a part of its items; a part of its users

part() {
	sed -n "1p;2,$1p" "$EXAMPLE/items.csv" >"$2-items.csv"
	awk -F, 'NR == FNR { has[$1]; next } FNR == 1 || $2 in has' "$2-items.csv" "$EXAMPLE/events.csv" >"$2-events.csv"
}

make_shop() {
	[ -e shop.tar.zst ] || seq-tokenize -q -j1 --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o shop.tar.zst
}

make_few() {
	part 121 few
	part 161 more
	awk -F, 'NR == 1 || $1 % 7 == 0' "$EXAMPLE/events.csv" >users.csv
	seq-tokenize -q -j1 --items few-items.csv few-events.csv -o few.tar.zst
	seq-tokenize -q -j1 --items "$EXAMPLE/items.csv" --vocab-size 400 users.csv -o users.tar.zst
}

# a small language model of these items' titles, as few-llm.tar.zst, and one of a folder, llm/
make_llm() {
	make_few
	train --arch llama -j1 --hidden-size 32 --layers 1 --heads 2 --template '{title}' --learning-rate 0.01 --batch-size 32 \
		--epochs 8 few.tar.zst -o few-llm.tar.zst
}

# --- pipelines

tokenize() {
	make_shop
	make_few
	sums tokenize shop.tar.zst tokenizer catalog sequences
	seq-tokenize -q -j2 --items "$EXAMPLE/items.csv" --attributes price,title --vocab-size 700 --split-time 2011-11-01 \
		"$EXAMPLE/events.csv" -o time.tar.zst
	sums tokenize-time time.tar.zst tokenizer catalog sequences
	seq-tokenize -q -j1 --min-user 4 --min-item 5 --duplicates last --ties shuffle --seed 3 "$EXAMPLE/events.csv" -o core.tar.zst
	sums tokenize-core core.tar.zst catalog sequences
	seq-tokenize -q -j1 --domain few=few-items.csv,few-events.csv --domain "more=more-items.csv,more-events.csv" -o domains.tar.zst
	sums tokenize-domains domains.tar.zst tokenizer catalog sequences
	seq-tokenize -q -j1 --tokenizer few.tar.zst --items more-items.csv more-events.csv -o again.tar.zst
	sums tokenize-given again.tar.zst tokenizer catalog sequences
}

sasrec() {
	make_shop
	local small=(--arch sasrec --hidden-size 16 --epochs 2)
	model sasrec "${small[@]}" -j1 shop.tar.zst
	model sasrec-threads "${small[@]}" -j2 shop.tar.zst
	model sasrec-post "${small[@]}" -j1 --heads 4 norm=post input_norm=yes hidden_act=gelu intermediate_size=40 \
		positions=end tied=no initialiser=xavier scale_embedding=no max_length=20 shop.tar.zst
	model sasrec-original "${small[@]}" -j1 --layers 1 norm=original positions=none score=cosine temperature=0.1 \
		embedding_dropout=0.1 hidden_dropout=0.2 attention_dropout=0.3 attention_output_dropout=0.1 \
		activation_dropout=0.1 shop.tar.zst
	model sasrec-steps "${small[@]}" -j1 --schedule cosine warmup=3 --weight-decay 0.1 clip=0.5 beta2=0.98 \
		--batch-size 50 seen=keep valid_users=300 --seed 7 shop.tar.zst
	model sasrec-augmented "${small[@]}" -j1 item_dropout=0.3 reversal=0.5 shop.tar.zst
	model esasrec --arch esasrec --hidden-size 16 --epochs 2 -j1 --loss sampled --negatives 50 shop.tar.zst
}

losses() {
	make_shop
	local small=(--arch sasrec --hidden-size 16 --epochs 2)
	model loss-sampled "${small[@]}" -j1 --loss sampled --negatives 50 --schedule linear shop.tar.zst
	model loss-bce "${small[@]}" -j1 --loss bce --negatives 3 shop.tar.zst
	model loss-gbce "${small[@]}" -j2 --loss gbce --negatives 20 gbce_t=0.5 shop.tar.zst
	spell "${small[@]}" -j1 --epochs 4 --batch-size 16 --loss gbce --negatives 8 shop.tar.zst
	resumed loss-resumed model "${spelled[@]}"
}

others() {
	make_shop
	model popular --arch popular shop.tar.zst
	model markov --arch markov shop.tar.zst
	model markov-steps --arch markov steps=2 shop.tar.zst
	model gru --arch gru -j1 --hidden-size 16 --epochs 2 shop.tar.zst
	model gru-wide --arch gru -j2 --hidden-size 12 --epochs 2 --layers 2 dense_size=10 embedding_size=10 bias=no \
		embedding_dropout=0.2 --loss bce shop.tar.zst
	spell --arch gru -j1 --hidden-size 16 --epochs 4 --batch-size 16 clip=1 shop.tar.zst
	resumed gru-resumed model "${spelled[@]}"
}

baselines() {
	make_shop
	model nearest --arch nearest shop.tar.zst
	item-project -q -j1 --from tfidf --width 24 shop.tar.zst -o items.tar.zst
	model nearest-embedding --arch nearest decay=0.5 items.tar.zst
	model ease --arch ease -j1 --lambda 20 shop.tar.zst
	model ease-embedding --arch ease -j2 text_weight=0.1 items.tar.zst
	model itemknn --arch itemknn -j1 shop.tar.zst
	model itemknn-few --arch itemknn -j2 --neighbours 20 --shrinkage 0 text=none shop.tar.zst
	seq-rank -q -j2 --model ease-embedding.tar.zst --model itemknn-few.tar.zst shop.tar.zst -o together.tar.zst
	sums together together.tar.zst ranking
}

language() {
	make_few
	local small=(--hidden-size 16 --layers 2 --heads 2 --epochs 3 --batch-size 32)
	local threads
	for threads in 1 2; do
		train --arch llama "${small[@]}" -j $threads --learning-rate 0.01 --template '{title}' few.tar.zst -o llama.tar.zst
		sums llama-$threads llama.tar.zst model
		train --arch gpt2 "${small[@]}" -j $threads --max-tokens 12 few.tar.zst -o gpt2.tar.zst
		sums gpt2-$threads gpt2.tar.zst model
	done
	train --task histories -j1 --template '{title}' --epochs 2 llama.tar.zst -o histories.tar.zst
	sums histories histories.tar.zst model
	spell --arch llama "${small[@]}" -j1 --epochs 20 few.tar.zst
	resumed llama-resumed model "${spelled[@]}"
}

recformer() {
	make_few
	local small=(--hidden-size 16 --layers 2 num_attention_heads=2 attention_window=8 --max-tokens 48 --epochs 2 --batch-size 16
		--learning-rate 0.002)
	local tune=(--task finetune --epochs 2 --batch-size 16 --learning-rate 0.002 valid_users=60)
	train --task pretrain "${small[@]}" -j1 users.tar.zst -o pre.tar.zst
	sums pretrain pre.tar.zst model
	train --task pretrain "${small[@]}" -j2 accumulate=2 mask_rate=0.3 tie_word_embeddings=yes max_attr_num=1 \
		max_attr_length=6 max_items=9 initialiser=normal hidden_dropout_prob=0.2 users.tar.zst -o other.tar.zst
	sums pretrain-other other.tar.zst model
	train --task pretrain "${small[@]}" -j1 words_weight=0 initialiser=words frozen_words=yes users.tar.zst -o words.tar.zst
	sums pretrain-words words.tar.zst model
	spell --task pretrain "${small[@]}" -j1 --epochs 10 users.tar.zst
	resumed pretrain-resumed model "${spelled[@]}"
	local threads
	for threads in 1 2; do
		train "${tune[@]}" -j $threads users.tar.zst pre.tar.zst -o tuned.tar.zst
		sums finetune-$threads tuned.tar.zst model embedding
	done
	train "${tune[@]}" -j1 as_code=yes users.tar.zst pre.tar.zst -o code.tar.zst
	sums finetune-code code.tar.zst model embedding
	spell "${tune[@]}" -j1 --epochs 5 users.tar.zst pre.tar.zst
	resumed finetune-resumed model "${spelled[@]}"
	seq-rank -q -j1 users.tar.zst pre.tar.zst -o ranked.tar.zst
	sums zero-shot ranked.tar.zst ranking
	item-project -q -j1 users.tar.zst pre.tar.zst -o items.tar.zst
	sums project-recformer items.tar.zst embedding
}

align() {
	make_llm
	local table=(emb-align-train -q --no-history --template '{title}' --projector table)
	local mlp=(emb-align-train -q --no-history --template '{title}' --hidden-size 16 --moments 2)
	sums align-llm few-llm.tar.zst model
	"${table[@]}" -j1 --epochs 3 few-llm.tar.zst -o table.tar.zst
	"${table[@]}" -j2 --epochs 3 --integers few-llm.tar.zst -o table-integers.tar.zst
	"${table[@]}" -j1 --epochs 2 --start-token no --max-tokens 6 --learning-rate 0.2 few-llm.tar.zst -o table-alone.tar.zst
	"${mlp[@]}" -j1 --epochs 3 few-llm.tar.zst -o mlp.tar.zst
	"${mlp[@]}" -j2 --epochs 2 --integers --schedule linear --sample 45 few-llm.tar.zst -o mlp-sample.tar.zst
	"${table[@]}" -j1 --epochs 1 mlp.tar.zst -o table-started.tar.zst
	seq-tokenize -q -j1 --tokenizer few-llm.tar.zst --items more-items.csv more-events.csv -o more.tar.zst
	"${table[@]}" -j1 --only-new --epochs 2 table.tar.zst more.tar.zst -o table-new.tar.zst
	local name
	for name in table table-integers table-alone mlp mlp-sample table-started table-new; do
		sums align-$name $name.tar.zst projector
	done
	resumed align-table-resumed projector "${table[@]}" -j1 --epochs 20 --batch-size 4 few-llm.tar.zst
	resumed align-mlp-resumed projector "${mlp[@]}" -j1 --epochs 20 --patience 20 --batch-size 4 few-llm.tar.zst
	"${table[@]}" -j1 --epochs 1 --show 3 few-llm.tar.zst 2>&1 >shown.tar.zst | said align-show items
	for name in table mlp; do
		item-project -q -j1 $name.tar.zst -o items.tar.zst
		sums project-$name items.tar.zst embedding
		model said-$name --arch sasrec -j1 --hidden-size 16 --epochs 2 items.tar.zst
	done
}

project() {
	make_llm
	llm few.tar.zst
	local from
	for from in tfidf tokens llm; do
		item-project -q -j1 --from $from --template '{title}' few-llm.tar.zst -o items.tar.zst
		sums project-$from items.tar.zst embedding
	done
	# texts that are cut keep their closing token since 0.2.0; uncut, the bytes are those of 0.1.0
	item-project -q -j2 --from llm --integers --max-tokens 6 few-llm.tar.zst -o items.tar.zst
	sums project-integers items.tar.zst embedding
	item-project -q -j1 --from llm --llm llm --whiten few.tar.zst -o items.tar.zst
	sums project-folder items.tar.zst embedding
	item-project -q -j1 --from tokens --llm llm --standardise few.tar.zst -o items.tar.zst
	sums project-standardise items.tar.zst embedding
	item-project -q -j2 --from tfidf --width 20 --whiten few.tar.zst -o items.tar.zst
	sums project-whiten items.tar.zst embedding
	emb-align-train -q --no-history -j1 --llm llm --projector table --template '{title}' --epochs 2 few.tar.zst -o table.tar.zst
	sums align-folder table.tar.zst projector
	local small=(--task pretrain --hidden-size 16 --layers 1 num_attention_heads=2 attention_window=8 --max-tokens 32 --epochs 1 --batch-size 16)
	train "${small[@]}" -j1 --initialiser normal --words llm few.tar.zst -o words.tar.zst
	sums pretrain-llm words.tar.zst model
}

features() {
	make_shop
	item-project -q -j1 --from tfidf --width 24 shop.tar.zst -o items.tar.zst
	local small=(--hidden-size 16 --epochs 2)
	model frozen "${small[@]}" -j1 items.tar.zst
	model frozen-mlp "${small[@]}" -j2 --features frozen adaptor=mlp adaptor_size=20 feature_ids=no items.tar.zst
	model frozen-raw "${small[@]}" -j1 adaptor=two-layer feature_whiten=no feature_scale=0 items.tar.zst
	model trainable "${small[@]}" -j1 --features trainable items.tar.zst
	model without "${small[@]}" -j1 --features none items.tar.zst
	model initial "${small[@]}" -j1 --features initial items.tar.zst
	model alphafuse "${small[@]}" -j1 --features alphafuse feature_share=0.4 items.tar.zst
	model gru-frozen --arch gru "${small[@]}" -j1 adaptor=mlp feature_ids=yes score=cosine items.tar.zst
}

rank() {
	make_shop
	train --arch sasrec -j1 --hidden-size 16 --epochs 2 shop.tar.zst -o net.tar.zst
	train --arch markov shop.tar.zst -o count.tar.zst
	local name shard
	for name in net count; do
		seq-rank -q -j1 $name.tar.zst -o test.tar.zst
		sums rank-$name test.tar.zst ranking
		seq-rank -q -j2 --batch 100 -k 20 --split valid --seen keep $name.tar.zst -o valid.tar.zst
		sums rank-$name-valid valid.tar.zst ranking
		for shard in 1 2 3; do
			seq-rank -q -j1 --shard $shard/3 $name.tar.zst -o shard.tar.zst
			sums rank-$name-$shard shard.tar.zst ranking
		done
		seq-rank -q -j1 -k 10 --format tsv $name.tar.zst | said rank-$name tsv
		seq-rank -q -j1 -k 10 --format trec $name.tar.zst | said rank-$name trec
		seq-rank -q -j1 --format qrels $name.tar.zst | said rank-$name qrels
		awk -F, 'NR > 1 { a[$1] = a[$1] " " $2 } END { for (u in a) print u "\t" a[u] }' "$EXAMPLE/events.csv" | sort |
			seq-rank -q -j1 -k 7 --serve $name.tar.zst | said rank-$name serve
		cp test.tar.zst $name-test.tar.zst
	done
	rec-eval -q -j1 net-test.tar.zst | said eval lines
	rec-eval -q -j1 -u --digits 9 -m "$measures" -k 1,10 --ties worst --head 10 --history 3,6 count-test.tar.zst | said eval users
	rec-eval -q -j1 --format table --ties best count-test.tar.zst | said eval table
	rec-eval -q -j2 --format table net-test.tar.zst --versus count-test.tar.zst | said eval versus
	rec-eval -q -j1 --digits 9 --seed 3 --resamples 500 net-test.tar.zst --versus count-test.tar.zst | said eval versus-lines
}

machine
[ $# -gt 0 ] || set -- tokenize sasrec losses others baselines language recformer align project features rank
for pipeline; do
	"$pipeline"
done
