# Of scripts that measure on real data, from the project's folder: the tools on PATH; `data`, where sets are looked for
# ($RECPIPE_DATA, default ../shared/data); and the sequence model they share.
# shellcheck disable=SC2034
PATH=$(realpath "${RECPIPE_BIN:-build/bin}"):$PATH
data=${RECPIPE_DATA:-../shared/data}
export LC_ALL=C

# RecBole 1.2's SASRec. It makes a sample of every prefix, 2,048 to a batch; with the loss at every position that is a
# batch of as many users as have about 2,048 positions: 400 of scientific, 300 of beauty.
recbole=(--set norm=post --set input_norm=yes --heads 2 --hidden-size 64 --layers 2 --set intermediate_size=256 --set hidden_act=gelu
	--dropout 0.5 --set attention_output_dropout=0.5 --set activation_dropout=0 --set scale_embedding=no --set positions=start
	--set initialiser=normal --set history_mean=0 --set average=0 --max-length 50 --epochs 100 --patience 10)

# events SET: as they are in its file, decompressed
events() {
	local file
	for file in "$data/$1"/events.{tsv,csv}; do
		if [ -e "$file" ]; then cat "$file"; elif [ -e "$file.zst" ]; then zstd -dcq "$file.zst"; fi
	done
}

# cold_events SET: as they are but for a tenth of the items, which are nobody's but as a last event
cold_events() {
	local file
	file=$(mktemp)
	events "$1" >"$file"
	awk -F '[,\t]' 'FNR == 1 { if (NR != FNR) print; next }
		NR == FNR { if (!($1 in last) || $3 + 0 >= time[$1]) { last[$1] = FNR; time[$1] = $3 + 0 } next }
		$2 % 10 != 7 || last[$1] == FNR' "$file" "$file"
	rm "$file"
}

# keep FILE COMMAND...: makes a file once, whole or not at all; what is said goes to $work/log
keep() {
	local file=$1
	shift
	[ -e "$file" ] || "$@" -o "$file" 2>>"${work:?}/log"
}

# train NAME OPTION...: $work/NAME.tar.zst, a model, made once; what was stopped goes on from its checkpoint
train() {
	local run=${work:?}/$1
	shift
	[ ! -e "$run.tar.zst" ] || return 0
	seq-train -j "${threads:?}" --checkpoint "$run.ckpt" --resume -o "$run.tar.zst" "$@" 2>>"$run.log"
	rm -f "$run.ckpt"
}
