#!/usr/bin/env python3
"""Writes tokenizer.json.zst: small tokenizers of each kind trained by Hugging Face's tokenizers on the example items,
variants of them, and for texts that are hard to cut the ids it gives, the ids where special tokens are text (null where
it has special ones even so), and the text that it makes of the ids again. tests/unit/test_tokenizer.c compares.

Needs the packages tokenizers and sentencepiece (for its maps of characters) and the zstd program."""
import io
import json
import random
import subprocess
import tempfile
import unicodedata
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

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


def sentencepiece_like():
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


def wordpiece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(LINES + ["日 本 é e\u0301 ê û ñ 한국 1 2 ½ ² Ⅷ , - . ▁ ' ` 사"] * 9, trainers.WordPieceTrainer(
        vocab_size=600, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.decoder = decoders.WordPiece()
    return json.loads(tokenizer.to_str())


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(LINES, trainers.UnigramTrainer(
        vocab_size=600, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.decoder = decoders.Metaspace()
    return json.loads(tokenizer.to_str())


def charsmap():
    """A small map as sentencepiece writes them: tabs, capitals, ligatures, marks behind letters, half-width letters."""
    rules = {"\t": " ", "\n": " ", "\u00a0": " ", "\u3000": " ", "A": "a", "É": "é", "e\u0301": "é", "E\u0301": "é",
             "ﬁ": "fi", "½": "1/2", "\u200b": "", "ｶ": "カ", "ｶﾞ": "ガ", "한": "han", "👩": "woman", "2": "two", "ไท": "x"}
    with tempfile.TemporaryDirectory() as folder:
        lines = [" ".join(f"{ord(c):X}" for c in old) + "\t" + " ".join(f"{ord(c):X}" for c in new) for old, new in rules.items()]
        Path(folder, "rules.tsv").write_text("\n".join(lines) + "\n")
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(LINES), model_writer=model, vocab_size=300, minloglevel=2,
            normalization_rule_tsv=folder + "/rules.tsv")
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    return proto.normalizer_spec.precompiled_charsmap


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


def part(thing):
    return json.loads(thing.__getstate__())


def more_variants(word, uni):
    n, p, d = normalizers, pre_tokenizers, decoders
    yield "wordpiece", {}
    for options in dict(lowercase=False), dict(strip_accents=False), dict(clean_text=False, handle_chinese_chars=False), \
            dict(lowercase=False, strip_accents=True):
        yield "wordpiece", {"normalizer": part(n.BertNormalizer(**options))}
    strings = n.Sequence([n.Replace("``", '"'), n.NFKD(), n.StripAccents(), n.Lowercase(), n.Strip()])
    for normalizer in (n.NFC(), n.NFD(), n.NFKC(), n.NFKD(), n.Lowercase(), n.Strip(), n.Strip(left=False), n.StripAccents(),
                       n.Nmt(), n.Prepend("re"), n.Replace(Regex("[aeiou]+|\\s"), "a"), strings, n.Sequence([n.NFC(), n.ByteLevel()])):
        yield "wordpiece", {"normalizer": part(normalizer)}
    for cuts in (p.Whitespace(), p.WhitespaceSplit(), p.Digits(True), p.CharDelimiterSplit("a"), p.Metaspace(), p.ByteLevel(),
                 p.Sequence([p.WhitespaceSplit(), p.Punctuation("contiguous"), p.Digits(False)]), p.Punctuation("removed"),
                 p.Punctuation("merged_with_previous"), p.Punctuation("merged_with_next"), p.Punctuation()):
        yield "wordpiece", {"pre_tokenizer": part(cuts)}
    yield "wordpiece", {"normalizer": None, "pre_tokenizer": None} | added(word, *EXTRA)
    yield "unigram", {}
    for decoder in d.WordPiece(cleanup=False), d.BPEDecoder("e"), d.Sequence([d.Replace("▁", " "), d.Fuse(), d.Strip(" ", 1, 0)]):
        yield "unigram", {"decoder": part(decoder)}
    precompiled = n.Sequence([n.Precompiled(charsmap()), n.Replace(Regex(" {2,}"), " ")])
    yield "unigram", {"normalizer": part(precompiled)}
    t5 = part(p.Sequence([p.WhitespaceSplit(), p.Metaspace()]))
    yield "unigram", {"normalizer": part(precompiled), "pre_tokenizer": t5} | added(uni, *EXTRA)
    yield "unigram", {"pre_tokenizer": part(p.Metaspace(split=False))}
    yield "unigram", {"pre_tokenizer": part(p.Metaspace(prepend_scheme="first"))} | added(uni, *EXTRA[:3])
    bytes_ = [[f"<0x{b:02X}>", -20.0] for b in range(256)]
    fall_back = d.Sequence([d.ByteFallback(), d.Metaspace()])
    yield "unigram", {"decoder": part(fall_back), "model": uni["model"] | {"byte_fallback": True, "vocab": uni["model"]["vocab"] + bytes_}}
    falcon = p.Sequence([p.Punctuation("contiguous"), p.ByteLevel(add_prefix_space=False), p.Digits(False),
                         p.Split(Regex("[0-9][0-9][0-9]"), "isolated")])
    yield "byte_level", {"pre_tokenizer": part(falcon)}
    gpt_neox = {"normalizer": part(n.NFC()), "post_processor": part(processors.ByteLevel())}
    yield "byte_level", gpt_neox


BITS = ["'s", "'S", "'LL", "'ſ", " ", "  ", "   ", "\n", "\r\n", "\t", "\u180e", "\u200b", "\u00a0", "\u3000", "\u0085",
        "\x1c", "123", "4567", "٣", "²", "½", "Ⅷ", "<s>", "</s>", "<mask>", " <mask> ", "<unk>", "|>", "hello", "he", "x ",
        "[CLS]", "[SEP]", "[MASK]", "É", "E\u0301", "ﬁ", "ｶﾞ", "ｶ", "``", "\x00", "\x85", "\u00ad", "\u0327\u0301", "Ǆ", "ẞ",
        "\U0001e900", "\u0958", "\U0001d15e", "\uac00\u11a8", "㎏", "℻", "²ⁿ", "ª", "ﷺ", "do not", " n't", " ' ", "_", "\u203f",
        "SET", " OF", "RED", "İ", "\ufffd", "\ufeff", "▁", "<0x0A>", "é", "e\u0301", "日本", "한국", "ไทย", "👩‍👩‍👧", "ab", "yz", "-", "..."]


def main():
    random.seed(1)
    texts = ["", " ", *BITS, *random.sample(LINES, 10)]
    texts += ["".join(random.choices(BITS, k=random.randint(2, 14))) for _ in range(80)]
    # letters of later years are none to the patterns of an older PCRE2
    known = [c for c in map(chr, range(0x110000)) if unicodedata.category(c) not in ("Cn", "Cs")]
    texts += ["".join(random.choices(known, k=8)) for _ in range(40)]
    texts = [text.replace("\x00", "\x01") for text in texts]  # which the test's JSON has no place for
    bases = {"byte_level": byte_level(), "sentencepiece": sentencepiece_like(), "wordpiece": wordpiece(), "unigram": unigram()}
    cases = []
    chosen = [*variants(bases["byte_level"], bases["sentencepiece"]), *more_variants(bases["wordpiece"], bases["unigram"])]
    for base, patch in chosen:
        tokenizer = Tokenizer.from_str(json.dumps(bases[base] | patch))
        ids = [tokenizer.encode(text).ids for text in texts]
        decoded = [tokenizer.decode(sequence) for sequence in ids]
        tokenizer.encode_special_tokens = True
        plain = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        # a vocabulary may spell special tokens, which then are no text even so; not here
        tokens = [t for t in (bases[base] | patch)["added_tokens"] if t["special"]]
        plain = [None if any(t["id"] in ids_ and t["content"] in text for t in tokens) else ids_
                 for text, ids_ in zip(texts, plain)]
        cases.append({"base": base, "patch": patch, "ids": ids, "decoded": decoded, "plain": plain})
    golden = {"bases": bases, "texts": texts, "variants": cases}
    subprocess.run(["zstd", "-q", "-f", "-19", "-o", str(HERE / "tokenizer.json.zst")], check=True,
                   input=json.dumps(golden, ensure_ascii=False, separators=(",", ":")).encode())


main()
