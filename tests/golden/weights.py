#!/usr/bin/env python3
"""Writes weights.tar.zst: small models with random weights as GGUF files and Hugging Face folders, and what their
tensors hold in Hugging Face's names, by the gguf, safetensors and transformers packages. tests/unit/test_weights.c
compares.

A case is its files, and CASE.json: path (of what is to be opened), config, tokens (how many the tokenizer has), and
tensors as [name, shape] in the order of their numbers in CASE.npy. Needs gguf, numpy, safetensors, torch, transformers and the zstd program."""
import json
import tempfile
from pathlib import Path

import gguf
import numpy
import torch
from gguf import GGMLQuantizationType as Q
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM
from transformers import Qwen2Config, Qwen2ForCausalLM

from archive import out, put, write

random = numpy.random.default_rng(5)
torch.manual_seed(5)
work = Path(tempfile.mkdtemp())


def keep(case, path, config, tensors, tokens=0):
    """tensors: Hugging Face's name: float32 array, linear layers as (out, in); tokens: the tokenizer's, 0: none."""
    for file in sorted(work.rglob("*")):
        if file.is_file():
            out[str(file.relative_to(work))] = file.read_bytes()
            file.unlink()
    manifest = {"path": path, "config": config, "tokens": tokens, "tensors": [[n, list(a.shape)] for n, a in tensors.items()]}
    out[f"{case}.json"] = json.dumps(manifest).encode()
    put(case, numpy.concatenate([a.astype("<f4", copy=False).ravel() for a in tensors.values()]))


# --- GGUF

# where the two bytes of each half of a block are: anything random may be elsewhere
HALVES = {Q.F16: [0], Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q8_0: [0], Q.Q4_K: [0, 2],
          Q.Q5_K: [0, 2], Q.Q6_K: [208], Q.Q2_K: [80, 82], Q.Q3_K: [108], Q.IQ4_NL: [0], Q.IQ4_XS: [0]}


def stored(shape, kind):
    """Random bytes of the kind, the halves among them finite, subnormals too, and the numbers they stand for."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    data = random.integers(0, 256, (*shape[:-1], shape[-1] // block * size), dtype=numpy.uint8)
    blocks = data.reshape(-1, size)
    if kind == Q.F32:
        blocks.view("<f4")[:] = random.normal(size=blocks.shape[0])[:, None]
    if kind == Q.BF16:
        blocks[:, 1] &= 0xbf  # exponents in which nothing is infinite
    if kind == Q.MXFP4:
        blocks[:, 0] = numpy.arange(len(blocks)) % 250  # exponents, the smallest too, that make nothing infinite
    for at in HALVES.get(kind, []):
        half = random.normal(size=len(blocks)).astype("<f2")
        half[::5] = (random.integers(-1023, 1024, len(half[::5])) * 2.0 ** -24).astype("<f2")
        blocks[:, at:at + 2] = half.view(numpy.uint8).reshape(-1, 2)
    return data, gguf.dequantize(data, kind).reshape(shape)


LLAMA_NAMES = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
               "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
               "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def llama_tensors(width, inner, heads, kv_heads, dim, layers, vocab, bias=False, tied=False):
    shapes = {("token_embd.weight", "model.embed_tokens.weight"): (vocab, width)}
    for i in range(layers):
        parts = {"attn_norm": (width,), "attn_q": (heads * dim, width), "attn_k": (kv_heads * dim, width),
                 "attn_v": (kv_heads * dim, width), "attn_output": (width, heads * dim), "ffn_norm": (width,),
                 "ffn_gate": (inner, width), "ffn_up": (inner, width), "ffn_down": (width, inner)}
        for part, shape in parts.items():
            shapes[f"blk.{i}.{part}.weight", f"model.layers.{i}.{LLAMA_NAMES[part]}.weight"] = shape
            if bias and part in ("attn_q", "attn_k", "attn_v"):
                shapes[f"blk.{i}.{part}.bias", f"model.layers.{i}.{LLAMA_NAMES[part]}.bias"] = shape[:1]
    shapes["output_norm.weight", "model.norm.weight"] = (width,)
    if not tied:
        shapes["output.weight", "lm_head.weight"] = (vocab, width)
    return shapes


def llama_gguf(case, architecture, types, config, metadata, factors=None, tokens=(), split=0, **sizes):
    path = f"{case}.gguf"
    writer = gguf.GGUFWriter(work / path, architecture, split_max_tensors=split)
    tensors = {}
    for (name, full), shape in llama_tensors(**sizes).items():
        kind = types.get(name, Q.F32)
        data, tensors[full] = stored(shape, kind)
        writer.add_tensor(name, data, raw_dtype=kind)
    if factors:
        writer.add_tensor("rope_freqs.weight", numpy.array(factors, numpy.float32))
    writer.add_block_count(sizes["layers"])
    writer.add_embedding_length(sizes["width"])
    writer.add_feed_forward_length(sizes["inner"])
    writer.add_head_count(sizes["heads"])
    for key, value in metadata.items():
        (writer.add_uint32 if isinstance(value, int) else writer.add_string if isinstance(value, str)
         else writer.add_float32)(f"{architecture}.{key}", value)
    if tokens:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_list(tokens)
        writer.add_token_types([1] * len(tokens))
        writer.add_token_merges(["a b"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if split:
        path = min(file.name for file in work.glob(f"{case}-*.gguf"))
    base = {"model_type": architecture, "hidden_size": sizes["width"], "intermediate_size": sizes["inner"],
            "num_hidden_layers": sizes["layers"], "num_attention_heads": sizes["heads"], "head_dim": sizes["dim"],
            "num_key_value_heads": sizes["kv_heads"], "vocab_size": sizes["vocab"], "mlp_bias": False,
            "attention_bias": sizes.get("bias", False), "tie_word_embeddings": sizes.get("tied", False)}
    keep(case, path, base | config, tensors, len(tokens))


# every kind at least once; rows of 256 for the kinds whose blocks are as long
llama_gguf("llama3", "llama", {
    "token_embd.weight": Q.Q6_K, "blk.0.attn_q.weight": Q.Q4_K, "blk.0.attn_k.weight": Q.Q5_K,
    "blk.0.attn_v.weight": Q.Q4_0, "blk.0.attn_output.weight": Q.F16, "blk.0.ffn_gate.weight": Q.Q4_1,
    "blk.0.ffn_up.weight": Q.Q5_0, "blk.0.ffn_down.weight": Q.BF16, "blk.1.attn_q.weight": Q.Q5_1,
    "blk.1.attn_k.weight": Q.Q8_0, "blk.1.attn_v.weight": Q.Q6_K, "blk.1.attn_output.weight": Q.BF16,
    "blk.1.ffn_gate.weight": Q.Q5_K, "blk.1.ffn_up.weight": Q.Q4_K, "output.weight": Q.Q8_0,
    "blk.2.attn_q.weight": Q.Q2_K, "blk.2.attn_k.weight": Q.Q3_K, "blk.2.attn_v.weight": Q.IQ4_NL,
    "blk.2.ffn_gate.weight": Q.IQ4_XS, "blk.2.ffn_up.weight": Q.MXFP4},
    {"max_position_embeddings": 77, "rms_norm_eps": 2.0 ** -17, "rope_theta": 500000.0, "rope_pairing": "interleaved",
     "rope_scaling": {"rope_type": "factors", "factors": [1.0, 32.0]}},
    {"context_length": 77, "attention.head_count_kv": 1, "attention.key_length": 4, "attention.value_length": 4,
     "attention.layer_norm_rms_epsilon": 2.0 ** -17, "rope.freq_base": 500000.0, "rope.dimension_count": 4},
    [1, 32], width=256, inner=3, heads=2, kv_heads=1, dim=4, layers=3, vocab=5)
llama_gguf("linear", "llama", {}, {
    "max_position_embeddings": 9, "rms_norm_eps": 0.5, "rope_theta": 10000.0, "rope_pairing": "interleaved",
    "rope_scaling": {"rope_type": "linear", "factor": 4.0}},
    {"context_length": 9, "attention.layer_norm_rms_epsilon": 0.5, "rope.scaling.type": "linear",
     "rope.scaling.factor": 4.0}, width=4, inner=3, heads=2, kv_heads=2, dim=2, layers=1, vocab=3, tied=True)
# three tensors a file, so that those which say what is tied or biased are not in the first
llama_gguf("split", "llama", {}, {
    "max_position_embeddings": 9, "rms_norm_eps": 0.5, "rope_theta": 10000.0, "rope_pairing": "interleaved",
    "rope_scaling": {"rope_type": "factors", "factors": [2.0]}},
    {"context_length": 9, "attention.layer_norm_rms_epsilon": 0.5}, [2.0], split=3,
    width=4, inner=3, heads=2, kv_heads=2, dim=2, layers=1, vocab=3, bias=True)
llama_gguf("yarn", "qwen2", {}, {
    "max_position_embeddings": 64, "rms_norm_eps": 0.25, "rope_theta": 1000000.0, "rope_pairing": "half",
    "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "attention_factor": 1.1386294361119891, "beta_fast": 32.0,
                     "beta_slow": 1.0, "original_max_position_embeddings": 16}},
    {"context_length": 64, "attention.layer_norm_rms_epsilon": 0.25, "attention.head_count_kv": 1,
     "rope.freq_base": 1000000.0, "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
     "rope.scaling.original_context_length": 16}, tokens=["a", "b", "ab"],
    width=8, inner=5, heads=2, kv_heads=1, dim=4, layers=2, vocab=7, bias=True)


# --- Hugging Face folders


def linear_layers(state):
    """GPT-2's Conv1D is (in, out)."""
    conv = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight")
    return {n: (t.T if n.endswith(conv) else t).float().numpy() for n, t in state.items()}


def folder(case, model, config, dtype=torch.float32, tokens={}, **options):
    model = model.to(dtype)
    for p in model.parameters():
        torch.nn.init.normal_(p)
    model.save_pretrained(work / case, **options)
    (work / case / "generation_config.json").unlink(missing_ok=True)
    if tokens:
        Tokenizer(BPE(tokens, [("a", "b")])).save(str(work / case / "tokenizer.json"))
    state = {n: t for n, t in model.state_dict().items() if n != "lm_head.weight" or not model.config.tie_word_embeddings}
    keep(case, case, config, linear_layers(state), len(tokens))
    return state


LLAMA = dict(hidden_size=8, intermediate_size=6, num_hidden_layers=2, num_attention_heads=2, vocab_size=11)
LLAMA_SAID = LLAMA | {"model_type": "llama", "rope_pairing": "half", "mlp_bias": False, "attention_bias": False}
scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
           "original_max_position_embeddings": 32}
folder("sharded", LlamaForCausalLM(LlamaConfig(
    **LLAMA, num_key_value_heads=1, rope_parameters=scaling | {"rope_theta": 7e4}, max_position_embeddings=64)),
    LLAMA_SAID | {"num_key_value_heads": 1, "head_dim": 4, "rope_theta": 7e4, "rope_scaling": scaling,
                  "max_position_embeddings": 64, "tie_word_embeddings": False, "rms_norm_eps": 1e-6},
    torch.bfloat16, max_shard_size=700)
folder("mistral", MistralForCausalLM(MistralConfig(**LLAMA, num_key_value_heads=2, head_dim=6, sliding_window=16)),
       LLAMA_SAID | {"model_type": "mistral", "num_key_value_heads": 2, "head_dim": 6, "rope_theta": 10000.0,
                     "rope_scaling": None, "max_position_embeddings": 131072, "sliding_window": 16,
                     "layer_types": ["sliding_attention"] * 2, "tie_word_embeddings": False}, torch.float16)
folder("qwen2", Qwen2ForCausalLM(Qwen2Config(**LLAMA, num_key_value_heads=1, tie_word_embeddings=True)),
       LLAMA_SAID | {"model_type": "qwen2", "num_key_value_heads": 1, "head_dim": 4, "attention_bias": True,
                     "rope_theta": 10000.0, "max_position_embeddings": 32768, "tie_word_embeddings": True},
       tokens={"a": 0, "b": 1, "ab": 2, "c": 3})

# the part of a model that sees as well, under both spellings of its names
seeing = Qwen2ForCausalLM(Qwen2Config(**LLAMA, num_key_value_heads=1, tie_word_embeddings=True))
state = {n: torch.randn(t.shape) for n, t in seeing.state_dict().items() if n != "lm_head.weight"}
spelt = {("language_model." + n if i % 2 else n.replace("model.", "model.language_model.", 1)): t
         for i, (n, t) in enumerate(state.items())}
(work / "seeing").mkdir()
save_file(spelt | {"vision_tower.w": torch.ones(2)}, work / "seeing" / "model.safetensors")
(work / "seeing" / "config.json").write_text(json.dumps({"model_type": "seeing", "text_config": seeing.config.to_dict()}, default=str))
keep("seeing", "seeing", {"model_type": "qwen2", "hidden_size": 8}, {n: t.numpy() for n, t in state.items()})

# numbers in 8 bits: a scale for blocks of 4 x 3, for each row, for all, and none; every byte there is but NaN and infinity
fp8 = LlamaForCausalLM(LlamaConfig(**LLAMA, num_key_value_heads=2, tie_word_embeddings=True))
eight, plain = {}, {}
for i, (name, tensor) in enumerate(fp8.state_dict().items()):
    if name == "lm_head.weight":
        continue
    if tensor.dim() == 1:
        eight[name] = torch.randn(tensor.shape)
        plain[name] = eight[name].numpy()
        continue
    rows, columns = tensor.shape
    kind = torch.float8_e5m2 if i % 5 == 0 else torch.float8_e4m3fn
    bits = (torch.arange(rows * columns, dtype=torch.int32) * 37 + i).to(torch.uint8)
    bits[bits % 128 >= 124] = 1
    eight[name] = bits.view(kind).reshape(rows, columns)
    scale = [None, torch.rand(()), torch.rand(rows, 1), torch.rand(-(-rows // 4), -(-columns // 3))][i % 4]
    factor = 1 if scale is None else scale
    if scale is not None:
        eight[name + ("_scale_inv" if i % 4 == 3 else "_scale")] = scale
    if i % 4 == 3:
        factor = scale.repeat_interleave(4, 0)[:rows].repeat_interleave(3, 1)[:, :columns]
    plain[name] = (eight[name].float() * factor).numpy()
(work / "fp8").mkdir()
save_file(eight, work / "fp8" / "model.safetensors")
(work / "fp8" / "config.json").write_text(json.dumps(
    fp8.config.to_dict() | {"quantization_config": {"quant_method": "fp8", "weight_block_size": [4, 3]}}, default=str))
keep("fp8", "fp8", LLAMA_SAID | {"num_key_value_heads": 2, "head_dim": 4, "tie_word_embeddings": True}, plain)

GPT2 = dict(n_embd=8, n_layer=2, n_head=2, n_positions=12, vocab_size=11)
GPT2_SAID = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 12,
             "vocab_size": 11, "model_type": "gpt2", "intermediate_size": 32, "layer_norm_eps": 1e-5,
             "hidden_act": "gelu_new", "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}
state = folder("gpt2", GPT2LMHeadModel(GPT2Config(**GPT2)), GPT2_SAID)

# as the first checkpoints were saved: no prefix, masks among the tensors, little in config.json
bare = work / "bare"
bare.mkdir()
save_file({n.removeprefix("transformer."): t.contiguous() for n, t in state.items()}
          | {"h.0.attn.bias": torch.ones(1, 1, 12, 12, dtype=torch.bool)}, bare / "weights.safetensors")
(bare / "config.json").write_text(json.dumps({"model_type": "gpt2"} | GPT2))
keep("bare", "bare/weights.safetensors", GPT2_SAID, linear_layers(state))

# as llama.cpp's converter writes the same: linear layers turned, a copy of the embedding as the head
GPT2_NAMES = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm", "ln_1": "attn_norm", "ln_2": "ffn_norm",
              "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}
writer = gguf.GGUFWriter(work / "gpt2.gguf", "gpt2")
tensors = linear_layers(state)
tensors["lm_head.weight"] = tensors["transformer.wte.weight"]
for full, tensor in tensors.items():
    name = full.removeprefix("transformer.").replace("lm_head", "output")
    block = f"blk.{name.split('.')[1]}." if name.startswith("h.") else ""
    stem, ending = (name.split(".", 2)[2] if block else name).rsplit(".", 1)
    writer.add_tensor(f"{block}{GPT2_NAMES.get(stem, stem)}.{ending}", numpy.ascontiguousarray(tensor))
writer.add_block_count(2)
writer.add_context_length(12)
writer.add_embedding_length(8)
writer.add_feed_forward_length(32)
writer.add_head_count(2)
writer.add_layer_norm_eps(2.0 ** -17)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
keep("gpt2-gguf", "gpt2.gguf", GPT2_SAID | {"layer_norm_eps": 2.0 ** -17, "tie_word_embeddings": False}, tensors)

write()
