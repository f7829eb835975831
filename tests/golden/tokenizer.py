#!/usr/bin/env python3
"""Writes tokenizer.json.zst: two small tokenizers trained by Hugging Face's tokenizers on the example items, variants
of them, and the ids it gives for texts that are hard to cut. tests/unit/test_tokenizer.c compares.

Needs the package tokenizers and the zstd program."""
import json
import random
import subprocess
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent
LINES = (HERE / "../../examples/online-retail/items.csv").read_text().split("\n")[:-1]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(LINES, trainers.BpeTrainer(
        vocab_size=700, min_frequency=2, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    tokenizer.decoder = decoders.ByteLevel()
    return json.loads(tokenizer.to_str())


def sentencepiece():
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.train_from_iterator(LINES, trainers.BpeTrainer(
        vocab_size=600, min_frequency=2, special_tokens=["<unk>", "<s>", "</s>"] + bytes_, show_progress=False,
        max_token_length=12))
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = document["added_tokens"][:3]
    document["post_processor"] = {
        "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                                                 {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}
    return document


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def byte_pieces(*steps, prefix=False, regex=False):
    last = {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [*steps, last]}}


def metaspace(scheme, cut):
    return {"normalizer": None, "pre_tokenizer": {
        "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": cut}}


def added(base, *tokens):
    flags = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=False)
    ids = dict(base["model"]["vocab"])
    new = [flags | dict(id=ids.setdefault(content, len(ids)), content=content) | {flag: True for flag in on}
           for content, *on in tokens]
    return {"added_tokens": base["added_tokens"] + new}


LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
EXTRA = [("hello", "single_word"), ("x ", "lstrip", "rstrip"), ("日本", "single_word", "lstrip"), ("é", "normalized"),
         ("  ", "normalized"), ("|>", "rstrip", "special"), ("he", "single_word", "normalized")]


def variants(byte, piece):
    holes = {token: i for token, i in byte["model"]["vocab"].items() if not set(token) & set("ðâĠ")}
    kept = [merge for merge in byte["model"]["merges"] if not set("".join(merge)) & set("ðâĠ")]
    yield "byte_level", {}
    yield "byte_level", byte_pieces(prefix=True, regex=True)
    yield "byte_level", byte_pieces({"type": "Digits", "individual_digits": True}, regex=True)
    yield "byte_level", byte_pieces({"type": "Digits", "individual_digits": False}, prefix=True)
    yield "byte_level", byte_pieces(split(LLAMA3)) | {"model": byte["model"] | {"ignore_merges": True}}
    for behavior in "Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext":
        yield "byte_level", byte_pieces(split(r"\s|[aeiou]", behavior))
        yield "byte_level", byte_pieces(split(" ", behavior, True, "String"), prefix=True)
    yield "byte_level", byte_pieces(split(r"\w+|[^\w\s]\b"), split(r"\d*"), split(r"[x[yz]]|\h$"), split(r"(?<=\d)(?=\D)"))
    yield "byte_level", added(byte, *EXTRA)
    yield "byte_level", {"normalizer": {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}}
    yield "byte_level", {"model": byte["model"] | {"vocab": holes, "merges": kept, "unk_token": "<unk>", "fuse_unk": True}}
    yield "byte_level", {"model": byte["model"] | {"vocab": holes, "merges": kept}}
    yield "sentencepiece", {}
    yield "sentencepiece", added(piece, *EXTRA)
    for scheme, cut in ("always", True), ("first", False), ("never", True):
        yield "sentencepiece", metaspace(scheme, cut) | added(piece, *EXTRA[:3])
    for fuse, unk in (True, "<unk>"), (False, "<unk>"), (False, None):
        yield "sentencepiece", {"model": piece["model"] | {"byte_fallback": False, "fuse_unk": fuse, "unk_token": unk}}
    partial = {token: i for token, i in piece["model"]["vocab"].items() if token not in ("<0xE2>", "<0xF0>")}
    yield "sentencepiece", {"model": piece["model"] | {"vocab": partial}}


BITS = ["'s", "'S", "'LL", "'ſ", " ", "  ", "   ", "\n", "\r\n", "\t", "\u180e", "\u200b", "\u00a0", "\u3000", "\u0085",
        "\x1c", "123", "4567", "٣", "²", "½", "Ⅷ", "<s>", "</s>", "<mask>", " <mask> ", "<unk>", "|>", "hello", "he", "x ",
        "SET", " OF", "RED", "İ", "\ufffd", "\ufeff", "▁", "<0x0A>", "é", "e\u0301", "日本", "한국", "ไทย", "👩‍👩‍👧", "ab", "yz", "-", "..."]


def main():
    random.seed(1)
    texts = ["", " ", *BITS, *random.sample(LINES, 10)]
    texts += ["".join(random.choices(BITS, k=random.randint(2, 14))) for _ in range(40)]
    bases = {"byte_level": byte_level(), "sentencepiece": sentencepiece()}
    cases = []
    for base, patch in variants(*bases.values()):
        tokenizer = Tokenizer.from_str(json.dumps(bases[base] | patch))
        cases.append({"base": base, "patch": patch, "ids": [tokenizer.encode(text).ids for text in texts]})
    golden = {"bases": bases, "texts": texts, "variants": cases}
    subprocess.run(["zstd", "-q", "-f", "-19", "-o", str(HERE / "tokenizer.json.zst")], check=True,
                   input=json.dumps(golden, ensure_ascii=False, separators=(",", ":")).encode())


main()
