#!/usr/bin/env python3
"""Tokenizing beside Hugging Face's tokenizers, one thread each, in turns in one run, medians of five.

Texts are item titles, of the shared data sets where they are and of the example. Prints: what, ours, peer, ratio (above
1: ours is faster). Ours starts each time with an empty cache, theirs keeps its own. All ids are compared.
"""
import csv
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
try:
    import tokenizers
except ImportError as missing:
    sys.exit(print(f"bench_tokenize: skipped, no {missing.name}"))

ROOT = os.path.dirname(os.path.abspath(__file__)) + "/../.."
DATA = os.environ.get("RECPIPE_DATA", ROOT + "/../shared/data")
KINDS = {"GPT-2": "gpt2", "RoBERTa": "roberta", "LLaMA 2": "llama-spm/tokenizer.json"}


def titles():
    texts = []
    for folder in f"{DATA}/scientific", f"{DATA}/beauty", f"{ROOT}/examples/online-retail":
        if os.path.exists(folder + "/items.csv"):
            with open(folder + "/items.csv", newline="", encoding="utf-8") as file:
                texts += [" ".join(row["title"].split("\n")) for row in csv.DictReader(file)]
    return texts


def as_hugging_face(path):
    if os.path.isdir(path):
        names = ("vocab.json", "merges.txt") if os.path.exists(path + "/vocab.json") else ("encoder.json", "vocab.bpe")
        tokenizer = tokenizers.ByteLevelBPETokenizer(*(f"{path}/{name}" for name in names))._tokenizer
        if path.endswith("roberta"):
            tokenizer.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
        return tokenizer
    tokenizer = tokenizers.Tokenizer.from_file(path)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def trained(kind, texts):
    """BERT's and XLM-R's kinds, learned from the texts."""
    n, p = tokenizers.normalizers, tokenizers.pre_tokenizers
    if kind == "WordPiece":
        tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer, tokenizer.pre_tokenizer = n.BertNormalizer(), p.BertPreTokenizer()
        trainer = tokenizers.trainers.WordPieceTrainer(
            vocab_size=16384, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False)
    else:
        tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram())
        tokenizer.normalizer, tokenizer.pre_tokenizer = n.NFKC(), p.Sequence([p.WhitespaceSplit(), p.Metaspace()])
        trainer = tokenizers.trainers.UnigramTrainer(
            vocab_size=16384, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def compare(what, path, texts, folder):
    theirs = as_hugging_face(path)
    file = folder + "/texts"
    with open(file, "w", encoding="utf-8") as out:
        out.writelines(text + "\n" for text in texts)
    ours = subprocess.Popen([os.environ["RECPIPE_BENCH"] + "/tokenize", path, file], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    pairs = []
    for _ in range(5):
        ours.stdin.write("go\n")
        ours.stdin.flush()
        mine = float(ours.stdout.readline())
        started = time.perf_counter()
        encodings = theirs.encode_batch_fast(texts)
        pairs.append((mine, time.perf_counter() - started))
    ours.kill()
    expected = b"".join(struct.pack(f"<{len(e.ids) + 1}i", *e.ids, -1) for e in encodings)
    with open(file + ".ids", "rb") as got:
        assert got.read() == expected, f"{what}: the ids differ"
    mine, peer = (statistics.median(side) for side in zip(*pairs))
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{what + ' tokens':42} {1000 * mine:9.1f} ms {1000 * peer:9.1f} ms {peer / mine:6.2f}"
          f"   ({size / mine:.1f} and {size / peer:.1f} MB/s, ids equal)")


def main():
    texts = titles()
    print(f"{len(texts):,} item titles, 1 thread, tokenizers {tokenizers.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        for what, name in KINDS.items():
            if os.path.exists(f"{DATA}/tokenizers/{name}"):
                compare(what, f"{DATA}/tokenizers/{name}", texts, folder)
        learned = tokenizers.ByteLevelBPETokenizer()
        learned.train_from_iterator(texts, vocab_size=8192, show_progress=False)
        learned.save(folder + "/learned.json")
        compare("learned", folder + "/learned.json", texts, folder)
        for kind in "WordPiece", "Unigram":
            trained(kind, texts).save(f"{folder}/{kind}.json")
            compare(kind, f"{folder}/{kind}.json", texts, folder)


if __name__ == "__main__":
    main()
