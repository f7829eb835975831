#!/usr/bin/env python3
"""Writes llm.tar.zst: what Hugging Face's transformers compute for small language models with random weights on ragged
sequences that begin with a vector of no token: logits, NLL of every next token, and the gradients of its mean with respect
to the input vectors and to all parameters. Weights as Hugging Face folders. tests/unit/test_llm.c compares.

Each sequence is computed alone. Needs torch, transformers, safetensors, numpy and the zstd program."""
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import save
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

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
out = {}


def put(name, array, dtype="<f4"):
    data = io.BytesIO()
    array = array.detach().numpy() if isinstance(array, torch.Tensor) else array
    numpy.save(data, numpy.ascontiguousarray(array, dtype))
    out[name + ".npy"] = data.getvalue()


def hugging_face_folder(name, model):
    tied = model.config.tie_word_embeddings
    tensors = {key: value.float().contiguous() for key, value in model.state_dict().items()
               if not (tied and key == "lm_head.weight")}
    out[f"{name}/model.safetensors"] = save(tensors, metadata={"format": "pt"})
    out[f"{name}/config.json"] = json.dumps(model.config.to_dict(), default=str).encode()


for name, model in CASES.items():
    model.config._attn_implementation = "eager"
    for key, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=1.0 if "norm" in key and "weight" in key or ".ln_" in key and "weight" in key
                              else 0.0, std=0.4)
    model = model.eval()
    hugging_face_folder(name, model)
    model = model.double()
    table = model.get_input_embeddings().weight
    indptr = numpy.cumsum([0] + LENGTHS)
    ids = torch.randint(VOCABULARY, (indptr[-1],))
    target = torch.randint(VOCABULARY, (indptr[-1],))
    target[5] = -1
    first = torch.randn(len(LENGTHS), table.shape[1]).float().double() * 0.5
    inputs = table[ids].detach().clone()
    inputs[indptr[:-1]] = first
    inputs.requires_grad_()
    logits = torch.cat([model(inputs_embeds=inputs[a:b][None]).logits[0] for a, b in zip(indptr, indptr[1:])])
    nll = F.cross_entropy(logits, target, ignore_index=-1, reduction="none")
    parameters = dict(model.named_parameters())
    gradients = torch.autograd.grad(nll.sum() / (target >= 0).sum(), [inputs, *parameters.values()], allow_unused=True)
    put(f"{name}/indptr", indptr, "<i8")
    put(f"{name}/target", target, "<i4")
    put(f"{name}/inputs", inputs)
    put(f"{name}/logits", logits)
    put(f"{name}/nll", nll)
    put(f"{name}/inputs_gradient", gradients[0])
    for (key, parameter), gradient in zip(parameters.items(), gradients[1:]):
        gradient = torch.zeros_like(parameter) if gradient is None else gradient
        conv1d = name == "gpt2" and gradient.dim() == 2 and ".h." in key  # (in, out) there, (out, in) here
        put(f"{name}/gradient/{key}", gradient.T if conv1d else gradient)

archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
    for name, data in out.items():
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
path = Path(sys.argv[0]).with_name("llm.tar.zst")
path.write_bytes(subprocess.run(["zstd", "-19", "-q", "--check"], input=archive.getvalue(), stdout=subprocess.PIPE, check=True).stdout)
