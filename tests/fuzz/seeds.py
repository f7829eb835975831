#!/usr/bin/env python3
"""seeds.py FOLDER: first inputs for the fuzz targets, in folders named after them."""
import base64
import json
import os
import struct
import sys


def npy(descr, shape, data, order=False):
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", 118) + text.ljust(117).encode() + b"\n" + data


def members(*pairs):
    return b"m" + b"".join(name.encode() + b"\n" + struct.pack("<H", len(data)) + data for name, data in pairs)


def table(group, shard="1,1", chunk="000000", identity="1"):
    return [
        (f"{group}/meta.json", f'{{"group":"{group}","id":"{identity}","shard":[{shard}]}}'.encode()),
        (f"{group}/{chunk}.user_id.txt", b"a\nb\n"),
        (f"{group}/{chunk}.indptr.npy", npy("<i8", "(3,)", struct.pack("<3q", 0, 1, 3))),
        (f"{group}/{chunk}.item.npy", npy("<i4", "(3,)", bytes(12))),
        (f"{group}/end.json", f'{{"shard":[{shard}],"rows":2,"chunks":1}}'.encode()),
    ]


NPY = [npy("<f4", "(2, 3)", bytes(24)), npy("<i8", "(2,)", bytes(16)), npy("<f2", "(3,)", b"\0\x7c\1\0\0\x3c"),
       npy("|u1", "(0,)", b""), npy("<f8", "()", bytes(8)), npy("|b1", "(1, 1, 1, 1)", b"\1"),
       npy("<u4", "(1,)", b"\xff" * 4), npy("|i1", "(2,)", b"\x80\x7f"), npy("<i2", "(1,)", bytes(2), True)]
MODEL = [("model/meta.json", b'{"id":"2"}'), ("model/config.json", b"{}"),
         ("model/w.npy", npy("<f4", "(2, 2)", bytes(16))), ("model/end.json", b"{}")]
LOG = [("log/00-tool.json", b'{"tool":"x"}')]
STREAM = [members(*table("a"), *LOG), members(*table("sequences"), *MODEL, *LOG, *LOG),
          members(*table("a", "1,2"), *table("a", "2,2", "500000")), members(*table("a"), *table("a", identity="2")),
          members(*MODEL), bytes.fromhex("28b52ffd2400010000"), b"\0" * 1024]

def tokenizer(text, normalizer=None, pre=None, post=None, added=(), **model):
    vocab = {c: i for i, c in enumerate("ab\u0120\u2581<")} | {"ab": 5, "\u2581a": 6, "<0x0A>": 7, "<unk>": 8, "\u0120a": 9}
    base = {"type": "BPE", "unk_token": "<unk>", "vocab": vocab, "merges": ["a b", "\u2581 a", ["\u0120", "a"]]}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    added = [flags | {"id": i, "content": c} | {f: True for f in on} for i, c, *on in added]
    document = {"version": "1.0", "added_tokens": added, "normalizer": normalizer, "pre_tokenizer": pre,
                "post_processor": post, "decoder": None, "model": base | model}
    return json.dumps(document, ensure_ascii=False).encode() + b"\0" + text


def kind(text, model, normalizer=None, pre=None, decoder=None, post=None):
    added = [{"id": 1, "content": "</s>", "special": True}, {"id": 9, "content": "a b", "normalized": True}]
    document = {"added_tokens": added, "normalizer": normalizer, "pre_tokenizer": pre, "post_processor": post,
                "decoder": decoder, "model": model}
    return json.dumps(document, ensure_ascii=False).encode() + b"\0" + text


def sequence(key, *parts):
    return {"type": "Sequence", key: [part if isinstance(part, dict) else {"type": part} for part in parts]}


# a map that makes "A" an "a": units of a double array, and the replacements
CHARSMAP = base64.b64encode(struct.pack("<I", 1024) + b"".join(struct.pack("<I", {0: 1 << 10, 64: 65 | 1 << 8 | 2 << 10, 66: 1 << 31}.get(i, 0))
                                                             for i in range(256)) + b"a\0").decode()
WORDPIECE = {"type": "WordPiece", "unk_token": "?", "continuing_subword_prefix": "##", "max_input_chars_per_word": 9,
             "vocab": {t: i for i, t in enumerate(["?", "</s>", "a", "##b", "ab", "##ab", ",", "\u00e9"])}}
UNIGRAM = {"type": "Unigram", "unk_id": 0, "byte_fallback": True, "vocab": [[t, -i / 3] for i, t in enumerate(
    ["?", "</s>", "a", "b", "ab", "\u2581", "\u2581a", "<0x41>", "<0xC3>"])]}
FORMS = [{"type": form} for form in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel")]
KINDS = [
    kind("Ab, \u00c9ab\u0301 ab".encode(), WORDPIECE, {"type": "BertNormalizer"}, {"type": "BertPreTokenizer"},
         {"type": "WordPiece", "prefix": "##"}, {"type": "BertProcessing", "sep": ["</s>", 1], "cls": ["?", 0]}),
    kind("a\u0301 ab\uac00\u11a8".encode(), WORDPIECE, sequence("normalizers", *FORMS[:6], {"type": "Strip", "strip_left": True, "strip_right": True}),
         sequence("pretokenizers", "Whitespace", {"type": "Punctuation", "behavior": "Removed"}, {"type": "CharDelimiterSplit", "delimiter": "b"})),
    kind(b"ab a b A", UNIGRAM, sequence("normalizers", {"type": "Precompiled", "precompiled_charsmap": CHARSMAP}, "Nmt"),
         sequence("pretokenizers", "WhitespaceSplit", {"type": "Metaspace", "replacement": "\u2581"}),
         sequence("decoders", "ByteFallback", {"type": "Metaspace", "replacement": "\u2581"}, "Fuse", {"type": "Strip", "content": " ", "start": 1, "stop": 1})),
    kind("\u00e9a\u20ac".encode(), UNIGRAM, FORMS[7], {"type": "Digits"}, sequence("decoders", {"type": "BPEDecoder", "suffix": "b"}, "ByteLevel")),
]


def split(pattern, behavior, invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}
METASPACE = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}
PREPEND = {"type": "Sequence", "normalizers": [
    {"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}
TEMPLATE = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<unk>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}}], "special_tokens": {"<unk>": {"id": "<unk>", "ids": [8], "tokens": []}}}
ROBERTA = {"type": "RobertaProcessing", "sep": ["a", 0], "cls": ["b", 1]}
TOKENIZER = [
    tokenizer(b"ab a", pre=BYTE_LEVEL, post=ROBERTA), tokenizer(b"ab a\n", PREPEND, None, TEMPLATE, byte_fallback=True),
    tokenizer(b" ab", pre=METASPACE, fuse_unk=True, ignore_merges=True),
    tokenizer(b"xab  \xff", added=[(10, "x", "lstrip", "rstrip"), (5, "ab", "single_word", "special", "normalized")]),
    tokenizer(b"1 22a", pre={"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": True}, split({"Regex": "\\s+|[ab]"}, "MergedWithNext"),
        split({"String": "a"}, "Removed", True), BYTE_LEVEL]}),
    tokenizer(b"a", {"type": "Replace", "pattern": {"Regex": "\\w\\b"}, "content": ""}, split({"Regex": "b"}, "Contiguous")),
]


def text(string):
    return struct.pack("<Q", len(string.encode())) + string.encode()


def value(key, kind, data):
    return text(key) + struct.pack("<I", kind) + data


def array(key, kind, items):
    return value(key, 9, struct.pack("<IQ", kind, len(items)) + b"".join(items))


def gguf(values, tensors=(), data=b""):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values)) + b"".join(values)
    for name, shape, kind, offset in tensors:
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
    return head + (bytes(-len(head) % 32) + data if tensors else b"")


def vocabulary(model, pre, tokens, kinds, *more):
    return [value("tokenizer.ggml.model", 8, text(model)), value("tokenizer.ggml.pre", 8, text(pre)),
            array("tokenizer.ggml.tokens", 8, [text(t) for t in tokens]),
            array("tokenizer.ggml.token_type", 5, [struct.pack("<i", k) for k in kinds]), *more]


SCORES = array("tokenizer.ggml.scores", 6, [struct.pack("<f", -i) for i in range(6)])
MERGES = array("tokenizer.ggml.merges", 8, [text("a b"), text("ab c")])
BOS = value("tokenizer.ggml.bos_token_id", 4, struct.pack("<I", 0))
GGUF = [
    gguf(vocabulary("llama", "default", ["<unk>", "</s>", "a", "\u2581", "\u2581a", "<0xFF>"], [2, 3, 1, 1, 1, 6], SCORES, BOS)),
    gguf(vocabulary("gpt2", "smollm", ["a", "b", "ab", "c", "abc", "</s>"], [1, 1, 1, 1, 1, 3], MERGES)),
    gguf(vocabulary("gpt2", "llama-bpe", ["a", "b", "ab", "c", "abc", "</s>"], [1, 1, 1, 1, 1, 4], MERGES, BOS,
                    value("tokenizer.ggml.add_bos_token", 7, b"\1"))),
    gguf([value("general.alignment", 4, struct.pack("<I", 32))], [("w", (32, 2), 8, 0), ("b", (2,), 0, 96)], bytes(104)),
    gguf(vocabulary("bert", "default", ["[UNK]", "[CLS]", "[SEP]", "\u2581a", "b", "\u2581ab"], [3, 3, 3, 1, 1, 1], BOS,
                    value("tokenizer.ggml.unknown_token_id", 4, bytes(4)))),
    gguf(vocabulary("t5", "default", ["<pad>", "</s>", "<unk>", "\u2581a", "b", "\u2581"], [3, 3, 2, 1, 1, 1], SCORES,
                    array("tokenizer.ggml.precompiled_charsmap", 0, [bytes([b]) for b in base64.b64decode(CHARSMAP)]))),
]

BLOCKS = [(2, 32, 18), (3, 32, 20), (6, 32, 22), (7, 32, 24), (8, 32, 34), (12, 256, 144), (13, 256, 176),
          (14, 256, 210), (30, 1, 2), (1, 1, 2), (9, 32, 36), (10, 256, 84), (11, 256, 110), (20, 32, 18), (23, 256, 136),
          (39, 32, 17)]
GGUF += [gguf([], [("w", (elements, 2), kind, 0)], bytes(range(256)) * 2)
         for kind, elements, size in BLOCKS]


def u32(key, number):
    return value(key, 4, struct.pack("<I", number))


def model(architecture, names, *more):
    keys = ("block_count", "embedding_length", "feed_forward_length", "attention.head_count", "context_length")
    return gguf([value("general.architecture", 8, text(architecture)), *(u32(f"{architecture}.{key}", 4) for key in keys), *more],
                [(name, (4, 2), 0, 32 * i) for i, name in enumerate(names)] + [("rope_freqs.weight", (2,), 0, 32 * len(names))],
                struct.pack("<f", 1) * 8 * (len(names) + 1))


def split(parts):
    return b"S" + struct.pack("<H", len(parts[0])) + b"".join(parts)


def f32(key, number):
    return value(key, 6, struct.pack("<f", number))


def safetensors(*tensors):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, dtype, shape, size in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + size]}
        data += bytes(size)
    document = json.dumps(header).encode()
    return struct.pack("<Q", len(document)) + document + data


SAFETENSORS = [safetensors(("a", "F32", [2, 3], 24), ("b", "BF16", [5], 10)), safetensors(("x", "F16", [], 2)),
               safetensors(("e", "I64", [0, 9], 0), ("m", "BOOL", [1, 1, 2, 2], 4)), safetensors()]
LLAMA = {"model_type": "llama", "hidden_size": 4, "num_attention_heads": 2, "rope_parameters": {"rope_type": "llama3", "rope_theta": 3}}
MISTRAL = {"model_type": "mistral", "hidden_size": 4, "num_attention_heads": 2, "rope_scaling": {"type": "linear", "factor": 2}}
WEIGHTS = [
    model("llama", ["token_embd.weight", "blk.0.attn_q.weight", "output.weight"]),
    model("qwen2", ["token_embd.weight", "blk.3.attn_q.bias"], value("qwen2.rope.scaling.type", 8, text("yarn")),
          value("qwen2.rope.scaling.factor", 6, struct.pack("<f", 2)), u32("qwen2.rope.scaling.original_context_length", 2)),
    model("gpt2", ["token_embd.weight", "position_embd.weight", "blk.0.attn_qkv.weight"]),
    model("gemma3", ["token_embd.weight", "blk.0.attn_q_norm.weight", "blk.0.post_ffw_norm.weight"],
          u32("gemma3.attention.sliding_window", 2), f32("gemma3.rope.freq_base_swa", 5)),
    model("gemma2", ["token_embd.weight"], f32("gemma2.attn_logit_softcapping", 5), f32("gemma2.final_logit_softcapping", 3)),
    model("phi3", ["token_embd.weight", "blk.1.attn_qkv.weight", "blk.1.ffn_up.weight"], u32("phi3.rope.dimension_count", 1)),
    model("granite", ["token_embd.weight"], f32("granite.attention.scale", 5), f32("granite.logit_scale", 3)),
    model("smollm3", ["token_embd.weight"]), model("olmo2", ["token_embd.weight", "blk.0.post_attention_norm.weight"]),
    model("gptneox", ["token_embd.weight", "blk.0.attn_qkv.bias"], value("gptneox.use_parallel_residual", 7, b"\0")),
    model("bert", ["token_embd.weight", "token_types.weight", "token_embd_norm.bias", "blk.0.layer_output_norm.weight"],
          u32("bert.pooling_type", 2)),
    split([model("llama", ["token_embd.weight"], value("split.count", 2, b"\2\0"), value("split.no", 2, b"\0\0")),
           gguf([value("split.count", 2, b"\2\0"), value("split.no", 2, b"\1\0")], [("output_norm.weight", (4,), 0, 0)], bytes(16))]),
    json.dumps({"model_type": "gemma3_text", "hidden_size": 4, "num_attention_heads": 2, "num_hidden_layers": 3,
                "sliding_window": 2, "rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 2, "rope_theta": 9},
                                                         "sliding_attention": {"rope_theta": 3}}}).encode() + b"\0" +
    safetensors(("model.norm.weight", "F32", [4], 16), ("model.layers.0.self_attn.q_norm.weight", "F16", [2], 4)),
    json.dumps({"model_type": "phi3", "hidden_size": 4, "num_attention_heads": 2, "num_hidden_layers": 1,
                "original_max_position_embeddings": 2, "rope_scaling": {"type": "longrope", "short_factor": [1], "long_factor": [2]}
                }).encode() + b"\0" + safetensors(("model.norm.weight", "F32", [4], 16)),
    json.dumps({"model_type": "gpt_neox", "hidden_size": 4, "num_attention_heads": 2, "num_hidden_layers": 1}).encode() + b"\0" +
    safetensors(("gpt_neox.layers.0.attention.query_key_value.weight", "F16", [12, 4], 96), ("embed_out.weight", "F32", [1, 4], 16)),
    json.dumps({"model_type": "modernbert", "hidden_size": 4, "num_attention_heads": 2, "num_hidden_layers": 4}).encode() + b"\0" +
    safetensors(("layers.1.attn_norm.weight", "F32", [4], 16)),
    json.dumps({"model_type": "bert", "hidden_size": 4, "num_attention_heads": 2, "num_hidden_layers": 1}).encode() + b"\0" +
    safetensors(("embeddings.LayerNorm.gamma", "F32", [4], 16)),
    json.dumps(LLAMA | {"quantization_config": {"weight_block_size": [2, 3]}}).encode() + b"\0" +
    safetensors(("a.weight", "F8_E4M3", [3, 4], 12), ("a.weight_scale_inv", "BF16", [2, 2], 8), ("b", "F8_E5M2", [2], 2),
                ("b_scale", "F32", [], 4)),
    json.dumps(LLAMA).encode() + b"\0" + safetensors(("model.norm.weight", "F32", [4], 16)),
    json.dumps(MISTRAL).encode() + b"\0" + safetensors(("layers.0.mlp.up_proj.weight", "BF16", [4, 2], 16)),
    json.dumps({"model_type": "longformer", "hidden_size": 4, "attention_window": [4, 4], "max_item_embeddings": 3}).encode() + b"\0" +
    safetensors(("longformer.embeddings.token_type_embeddings.weight", "F32", [1, 4], 16),
                ("embeddings.word_embeddings.weight", "F16", [5, 4], 40), ("lm_head.bias", "BF16", [5], 10)),
    json.dumps({"model_type": "gpt2", "n_embd": 4}).encode() + b"\0" + safetensors(("h.0.attn.c_attn.weight", "F16", [4, 12], 96)),
]

def folder(*documents):
    return b"\0".join(d if isinstance(d, bytes) else json.dumps(d).encode() for d in documents)


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "ab", "\u00e9"]
WORDPIECE_FILES = [folder("\n".join(WORDS).encode() + b"\n", {"model_type": "bert"}, "Ab, \u00e9ab ab".encode()),
                   folder("\r\n".join(WORDS).encode(), b"", b"ab [SEP] a\xcc\x81")]
UNIGRAM_FILES = [bytes([flags]) + b"".join(bytes([i]) + t.encode() + b"\0" for i, t in enumerate(
    ["<unk>", "</s>", "a", "b", "ab", "\u2581", "\u2581a", "<0x41>", "<0xC3>"])) + b"\0\0" + "ab a\u00e9 A</s>".encode()
    for flags in (0, 3, 12, 23)]
# a number's bytes are what they may be: blocks of every type, and of a plain one
STORED = [bytes([kind]) + bytes(range(256))[:2 * size] for kind, _, size in BLOCKS]
MODULES = [{"path": path, "type": "sentence_transformers.models." + kind} for path, kind in
           (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense"), ("", "Normalize"))]
BERT = {"model_type": "bert", "vocab_size": 9, "hidden_size": 4, "num_attention_heads": 2, "num_hidden_layers": 1,
        "intermediate_size": 3, "max_position_embeddings": 8, "type_vocab_size": 1}
BERT_TENSORS = [("embeddings.word_embeddings.weight", [9, 4]), ("embeddings.position_embeddings.weight", [8, 4]),
                ("embeddings.token_type_embeddings.weight", [1, 4]), ("linear.weight", [2, 4]), ("linear.bias", [2])] + [
    (name + part, shape if part == ".weight" else shape[:1]) for name, shape in (
        ("embeddings.LayerNorm", [4]), *((f"encoder.layer.0.{n}", s) for n, s in (
            ("attention.self.query", [4, 4]), ("attention.self.key", [4, 4]), ("attention.self.value", [4, 4]),
            ("attention.output.dense", [4, 4]), ("attention.output.LayerNorm", [4]), ("intermediate.dense", [3, 4]),
            ("output.dense", [4, 3]), ("output.LayerNorm", [4])))) for part in (".weight", ".bias")]
ENCODER_WEIGHTS = safetensors(*((name, "F32", shape, 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)) for name, shape in BERT_TENSORS))
ENCODER_WORDS = WORDPIECE | {"vocab": {t: i for i, t in enumerate(WORDS)}, "unk_token": "[UNK]"}
ENCODERS = [folder(MODULES, BERT, {"pooling_mode": mode, "include_prompt": mode != "mean"}, {"max_seq_length": 6},
                   {"prompts": {"q": "a "}, "default_prompt_name": "q"}, {"activation_function": "torch.nn.Tanh"},
                   {"added_tokens": [], "model": ENCODER_WORDS}, ENCODER_WEIGHTS) for mode in ("mean", "max", "weightedmean")]
ENCODERS.append(folder(b"", BERT, b"", b"", b"", b"", {"added_tokens": [], "model": ENCODER_WORDS}, ENCODER_WEIGHTS))

for target, seeds in (("fuzz_npy", NPY), ("fuzz_stream", STREAM), ("fuzz_tokenizer_json", TOKENIZER + KINDS), ("fuzz_gguf", GGUF),
                      ("fuzz_safetensors", SAFETENSORS), ("fuzz_weights", WEIGHTS), ("fuzz_wordpiece", WORDPIECE_FILES),
                      ("fuzz_unigram", UNIGRAM_FILES), ("fuzz_dequantise", STORED), ("fuzz_encoder", ENCODERS)):
    folder = os.path.join(sys.argv[1], target)
    os.makedirs(folder, exist_ok=True)
    for i, seed in enumerate(seeds):
        with open(os.path.join(folder, str(i)), "wb") as file:
            file.write(seed)
