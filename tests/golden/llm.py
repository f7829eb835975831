#!/usr/bin/env python3
"""Writes llm.tar.zst: what Hugging Face's transformers compute for small language models with random weights on ragged
sequences that begin with a vector of no token: hidden states, logits, NLL of every next token, and the gradients of its mean
with respect to the input vectors and, of models that can be trained here, to all parameters. Weights as Hugging Face folders
and as llama.cpp's converter writes the same, by the names and keys of its gguf package. tests/unit/test_llm.c compares.

Each sequence is computed alone. Needs gguf, torch, transformers, safetensors, numpy and the zstd program."""
import json
import math
import tempfile
from pathlib import Path

import gguf
import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import save
from transformers import Gemma2Config, Gemma2ForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig, GPT2Config, GPT2LMHeadModel
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, GraniteConfig, GraniteForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers import MistralConfig, MistralForCausalLM, Olmo2Config, Olmo2ForCausalLM, Phi3Config, Phi3ForCausalLM
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM, SmolLM3Config, SmolLM3ForCausalLM

from archive import out, put, write

torch.manual_seed(3)
torch.set_num_threads(1)
VOCABULARY = 37
LENGTHS = [7, 1, 53, 2]  # one longer than a block of queries

SIZES = dict(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4,
             max_position_embeddings=64)
CASES = {
    # heads wider than hidden_size / heads, groups of two, LLaMA 3's scaling with waves of all three kinds
    "grouped": LlamaForCausalLM(LlamaConfig(
        **SIZES, num_key_value_heads=2, head_dim=6, rms_norm_eps=1e-5, rope_parameters=dict(
            rope_type="llama3", rope_theta=100.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=64))),
    "biased": LlamaForCausalLM(LlamaConfig(
        **SIZES, num_key_value_heads=1, attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.0))),
    "qwen2": Qwen2ForCausalLM(Qwen2Config(**SIZES, num_key_value_heads=2, tie_word_embeddings=True)),
    "gpt2": GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=4, n_positions=64)),
}
# sizes that no vector register divides, windows and caps that these short texts feel
AWKWARD = dict(vocab_size=VOCABULARY, hidden_size=20, intermediate_size=22, num_hidden_layers=2, num_attention_heads=4,
               num_key_value_heads=2, max_position_embeddings=64, pad_token_id=None, bos_token_id=None, eos_token_id=None)
GEMMA = AWKWARD | dict(head_dim=6, query_pre_attn_scalar=6, sliding_window=5)
NEOX = dict(vocab_size=VOCABULARY, hidden_size=24, intermediate_size=22, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=64, bos_token_id=None, eos_token_id=None)
FROZEN = {
    "yarn": LlamaForCausalLM(LlamaConfig(**AWKWARD | dict(head_dim=8), rope_parameters=dict(
        rope_type="yarn", rope_theta=500.0, factor=4.0, original_max_position_embeddings=16))),
    "mistral": MistralForCausalLM(MistralConfig(**AWKWARD, head_dim=6, sliding_window=5)),
    "qwen3": Qwen3ForCausalLM(Qwen3Config(**AWKWARD, head_dim=6, tie_word_embeddings=True)),
    "gemma2": Gemma2ForCausalLM(Gemma2Config(**GEMMA, attn_logit_softcapping=2.0, final_logit_softcapping=3.0)),
    "gemma3": Gemma3ForCausalLM(Gemma3TextConfig(
        **GEMMA | dict(num_hidden_layers=7), rope_parameters=dict(
            full_attention=dict(rope_type="linear", rope_theta=1e6, factor=8.0),
            sliding_attention=dict(rope_type="default", rope_theta=1e4)))),
    "phi3": Phi3ForCausalLM(Phi3Config(
        **AWKWARD | dict(hidden_size=24, max_position_embeddings=256), sliding_window=5,
        original_max_position_embeddings=64, rope_parameters=dict(
            rope_type="longrope", rope_theta=1e4, short_factor=[1.0, 1.5], long_factor=[3.0, 4.0],
            partial_rotary_factor=0.75))),
    "olmo2": Olmo2ForCausalLM(Olmo2Config(**AWKWARD | dict(hidden_size=24))),
    "granite": GraniteForCausalLM(GraniteConfig(
        **AWKWARD | dict(hidden_size=24), embedding_multiplier=3.0, attention_multiplier=0.3, residual_multiplier=0.7,
        logits_scaling=2.0, attention_bias=True, mlp_bias=True)),
    "smollm3": SmolLM3ForCausalLM(SmolLM3Config(**AWKWARD | dict(hidden_size=24, num_hidden_layers=5))),
    "pythia": GPTNeoXForCausalLM(GPTNeoXConfig(**NEOX, rope_parameters=dict(rope_type="default", rope_theta=1e4,
                                                                          partial_rotary_factor=0.4))),
    "neox": GPTNeoXForCausalLM(GPTNeoXConfig(**NEOX, use_parallel_residual=False, tie_word_embeddings=True,
                                             rope_parameters=dict(rope_type="default", rope_theta=1e4,
                                                                  partial_rotary_factor=1.0))),
}


def hugging_face_folder(name, model):
    tied = model.config.tie_word_embeddings
    tensors = {key: value.float().contiguous() for key, value in model.state_dict().items()
               if not (tied and key == "lm_head.weight")}
    if model.config.model_type == "gpt_neox" and not tied:  # as those published are
        tensors["embed_out.weight"] = tensors.pop("lm_head.weight")
    out[f"{name}/model.safetensors"] = save(tensors, metadata={"format": "pt"})
    out[f"{name}/config.json"] = json.dumps(model.config.to_dict(), default=str).encode()


# --- GGUF, as llama.cpp's convert_hf_to_gguf.py has it

ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma2": "gemma2", "gemma3_text": "gemma3",
                 "phi3": "phi3", "olmo2": "olmo2", "granite": "granite", "smollm3": "smollm3", "gpt_neox": "gptneox",
                 "gpt2": "gpt2"}


def converted(config, key, tensor):
    """The converter's changes to a tensor of a family's Hugging Face checkpoint."""
    if config.model_type in ("llama", "granite", "smollm3") and (".q_proj." in key or ".k_proj." in key):
        heads = config.num_attention_heads if ".q_proj." in key else config.num_key_value_heads
        return tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:]).swapaxes(1, 2).reshape(tensor.shape)
    if config.model_type in ("gemma2", "gemma3_text") and key.endswith("norm.weight"):
        return tensor + 1
    if "query_key_value" in key:
        heads = config.num_attention_heads
        return tensor.reshape(heads, 3, -1, *tensor.shape[1:]).swapaxes(0, 1).reshape(tensor.shape)
    if config.model_type == "gpt2" and key.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
        return tensor.T
    return tensor


def metadata(writer, config):
    rope = getattr(config, "rope_parameters", None) or {}
    rope = rope.get("full_attention", rope)
    heads, width = config.num_attention_heads, config.hidden_size
    head_dim = getattr(config, "head_dim", None) or width // heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(width)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(getattr(config, "intermediate_size", 4 * width))
    writer.add_head_count(heads)
    if config.model_type in ("gpt2", "gpt_neox"):
        writer.add_layer_norm_eps(getattr(config, "layer_norm_eps", 1e-5))
    else:
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    if rope:
        writer.add_rope_freq_base(rope["rope_theta"])
        writer.add_rope_dimension_count(int(head_dim * rope.get("partial_rotary_factor", 1)))
    if rope.get("rope_type") in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(rope["factor"])
    if rope.get("rope_type") == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if rope.get("rope_type") == "llama3":
        turns = 64 * 100.0 ** -(numpy.arange(0, head_dim, 2) / head_dim) / (2 * numpy.pi)
        share = numpy.clip((turns - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"]), 0, 1)
        writer.add_tensor("rope_freqs.weight", (1 / ((1 - share) / rope["factor"] + share)).astype("<f4"))
    if rope.get("rope_type") == "longrope":
        first = config.original_max_position_embeddings
        writer.add_rope_scaling_orig_ctx_len(first)
        writer.add_rope_scaling_attn_factors(
            math.sqrt(1 + math.log(config.max_position_embeddings / first) / math.log(first)))
        writer.add_tensor("rope_factors_long.weight", numpy.array(rope["long_factor"], "<f4"))
        writer.add_tensor("rope_factors_short.weight", numpy.array(rope["short_factor"], "<f4"))
    if config.model_type == "gpt_neox":
        writer.add_parallel_residual(config.use_parallel_residual)
    if config.model_type == "granite":
        writer.add_attention_scale(config.attention_multiplier)
        writer.add_embedding_scale(config.embedding_multiplier)
        writer.add_residual_scale(config.residual_multiplier)
        writer.add_logit_scale(config.logits_scaling)
    if config.model_type == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if config.model_type in ("gemma2", "gemma3_text", "phi3"):
        writer.add_sliding_window(config.sliding_window)


def gguf_file(name, model):
    config, path = model.config, Path(tempfile.mkdtemp()) / "model.gguf"
    architecture = ARCHITECTURES[config.model_type]
    kind = next(k for k, n in gguf.MODEL_ARCH_NAMES.items() if n == architecture)
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    writer = gguf.GGUFWriter(path, architecture)
    metadata(writer, config)
    for key, tensor in model.state_dict().items():
        if config.tie_word_embeddings and key in ("lm_head.weight", "embed_out.weight"):
            continue
        tensor = converted(config, key, tensor.float().numpy())
        writer.add_tensor(names.get_name(key, (".weight", ".bias")), numpy.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    out[f"{name}/model.gguf"] = path.read_bytes()


# --- the cases

for name, model in (CASES | FROZEN).items():
    model.config._attn_implementation = "eager"
    for key, parameter in model.named_parameters():
        is_norm = "norm" in key and "weight" in key or ".ln_" in key and "weight" in key
        mean = 0.0 if model.config.model_type.startswith("gemma") or not is_norm else 1.0
        torch.nn.init.normal_(parameter, mean=mean, std=0.4)
    model = model.eval()
    hugging_face_folder(name, model)
    if model.config.model_type in ARCHITECTURES:
        gguf_file(name, model)
    model = model.double()
    table = model.get_input_embeddings().weight
    scale = model.config.hidden_size ** 0.5 if model.config.model_type.startswith("gemma") else 1.0
    indptr = numpy.cumsum([0] + LENGTHS)
    ids = torch.randint(VOCABULARY, (indptr[-1],))
    target = torch.randint(VOCABULARY, (indptr[-1],))
    target[5] = -1
    first = torch.randn(len(LENGTHS), table.shape[1]).float().double() * 0.5
    inputs = table[ids].detach().clone()
    inputs[indptr[:-1]] = first
    inputs.requires_grad_()
    hidden = [model.base_model(inputs_embeds=scale * inputs[a:b][None]).last_hidden_state[0] for a, b in zip(indptr, indptr[1:])]
    logits = torch.cat([model(inputs_embeds=scale * inputs[a:b][None]).logits[0] for a, b in zip(indptr, indptr[1:])])
    nll = F.cross_entropy(logits, target, ignore_index=-1, reduction="none")
    parameters = dict(model.named_parameters()) if name in CASES else {}
    gradients = torch.autograd.grad(nll.sum() / (target >= 0).sum(), [inputs, *parameters.values()], allow_unused=True)
    put(f"{name}/indptr", indptr, "<i8")
    put(f"{name}/target", target, "<i4")
    put(f"{name}/inputs", inputs)
    put(f"{name}/hidden", torch.cat(hidden))
    put(f"{name}/logits", logits)
    put(f"{name}/nll", nll)
    put(f"{name}/inputs_gradient", gradients[0])
    for (key, parameter), gradient in zip(parameters.items(), gradients[1:]):
        gradient = torch.zeros_like(parameter) if gradient is None else gradient
        conv1d = name == "gpt2" and gradient.dim() == 2 and ".h." in key  # (in, out) there, (out, in) here
        put(f"{name}/gradient/{key}", gradient.T if conv1d else gradient)

write()
