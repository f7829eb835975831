#!/usr/bin/env python3
"""Writes encoder.tar.zst: what Hugging Face's transformers compute for small encoders with random weights on ragged sequences
that begin with a vector of no token: hidden states, and the gradient of a weighted sum of them with respect to the input
vectors; and the vectors that sentence-transformers' modules make of sequences of tokens. Weights as folders of both, BERT's as
llama.cpp's converter writes them, too. tests/unit/test_text_encoder.c compares.

Each sequence is computed alone. Needs gguf, torch, transformers, sentence-transformers, safetensors, numpy and zstd."""
import json
import tempfile
from pathlib import Path

import gguf
import numpy
import torch
from safetensors.torch import save
from sentence_transformers.models import Dense, Normalize, Pooling
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel, ModernBertConfig, ModernBertModel
from transformers import MPNetConfig, MPNetModel, RobertaConfig, RobertaModel, XLMRobertaConfig, XLMRobertaModel

from archive import out, put, write
from encoder_tokenizer import WORDS, tokenizer

torch.manual_seed(7)
torch.set_num_threads(1)
LENGTHS = [7, 1, 53, 2]
VOCABULARY = len(WORDS)
SIZES = dict(vocab_size=VOCABULARY, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=22,
             max_position_embeddings=70, pad_token_id=1)
MODELS = {
    "bert": (BertModel(BertConfig(**SIZES | dict(pad_token_id=0))), "mean"),
    "distilbert": (DistilBertModel(DistilBertConfig(vocab_size=VOCABULARY, dim=24, n_layers=2, n_heads=4, hidden_dim=22,
                                                    max_position_embeddings=70)), "cls"),
    "roberta": (RobertaModel(RobertaConfig(**SIZES, type_vocab_size=1, layer_norm_eps=1e-5)), "lasttoken"),
    "xlm-roberta": (XLMRobertaModel(XLMRobertaConfig(**SIZES, type_vocab_size=1)), "mean"),
    "mpnet": (MPNetModel(MPNetConfig(**SIZES)), "mean"),
    "modernbert": (ModernBertModel(ModernBertConfig(**SIZES | dict(num_hidden_layers=5), local_attention=10,
                                                    bos_token_id=None, eos_token_id=None, cls_token_id=None,
                                                    sep_token_id=None)), "cls"),
}


POOLINGS = ["mean", "cls", "lasttoken", "max", "mean_sqrt_len_tokens", "weightedmean"]


def pooled(mode, states, skipped):
    """By a Pooling that leaves the first tokens out, as include_prompt false does."""
    features = {"token_embeddings": states, "attention_mask": torch.ones(states.shape[:2], dtype=torch.long), "prompt_length": skipped}
    return Pooling(24, pooling_mode=mode, include_prompt=not skipped)(features)["sentence_embedding"][0]


def folder_of(module):
    """What a module saves: its files."""
    folder = Path(tempfile.mkdtemp())
    module.save(str(folder))
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def sentence_transformer(name, model, modules):
    tensors = {key: value.contiguous() for key, value in model.state_dict().items() if "position_ids" not in key}
    out[f"{name}/model.safetensors"] = save(tensors, metadata={"format": "pt"})
    out[f"{name}/config.json"] = json.dumps(model.config.to_dict(), default=str).encode()
    out[f"{name}/tokenizer.json"] = json.dumps(tokenizer()).encode()
    listed = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    for i, module in enumerate(modules, 1):
        kind = type(module).__name__
        listed.append({"idx": i, "name": str(i), "path": f"{i}_{kind}", "type": f"sentence_transformers.models.{kind}"})
        for file, data in folder_of(module).items():
            out[f"{name}/{i}_{kind}/{file}"] = data
    out[f"{name}/modules.json"] = json.dumps(listed).encode()


def bert_gguf(name, model):
    path = Path(tempfile.mkdtemp()) / "model.gguf"
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, 2)
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_context_length(70)
    writer.add_embedding_length(24)
    writer.add_block_count(2)
    writer.add_feed_forward_length(22)
    writer.add_head_count(4)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.CLS)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("jina-v2-en")
    writer.add_token_list([w if w.startswith("[") else w[2:] if w.startswith("##") else "\u2581" + w for w in WORDS])
    writer.add_token_types([3] * 5 + [1] * (VOCABULARY - 5))
    for key, value in dict(unk=1, bos=2, cls=2, eos=3, sep=3, pad=0, mask=4).items():
        writer.add_uint32(f"tokenizer.ggml.{dict(unk='unknown', sep='seperator', pad='padding').get(key, key)}_token_id", value)
    for key, tensor in model.state_dict().items():
        if "position_ids" not in key and "pooler" not in key:
            writer.add_tensor(names.get_name(key, (".weight", ".bias")), numpy.ascontiguousarray(tensor.float().numpy()))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    out[f"{name}/model.gguf"] = path.read_bytes()


for name, (model, mode) in MODELS.items():
    model.config._attn_implementation = "eager"
    for key, parameter in model.named_parameters():
        is_norm = ("norm" in key.lower()) and "weight" in key
        torch.nn.init.normal_(parameter, mean=1.0 if is_norm else 0.0, std=0.4)
    model = model.eval()
    modules = [Pooling(24, pooling_mode=mode)]
    if name == "bert":
        modules += [Dense(24, 10), Dense(10, 9, bias=False, activation_function=torch.nn.Identity())]
    if name != "roberta":
        modules.append(Normalize())
    for module in modules:
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    sentence_transformer(name, model, modules)
    if name == "bert":
        bert_gguf(name, model)
    model = model.double()
    indptr = numpy.cumsum([0] + LENGTHS)
    ids = torch.randint(VOCABULARY, (indptr[-1],))
    ids[ids == 1] = 2  # padding, for some
    table = model.get_input_embeddings().weight
    inputs = table[ids].detach().clone()
    inputs[indptr[:-1]] = (torch.randn(len(LENGTHS), 24).float() * 0.5).double()
    inputs.requires_grad_()
    hidden = torch.cat([model(inputs_embeds=inputs[a:b][None]).last_hidden_state[0] for a, b in zip(indptr, indptr[1:])])
    weight = torch.randn(hidden.shape).float()
    gradient, = torch.autograd.grad((hidden * weight.double()).sum(), [inputs])
    vectors, first, others = [], [], {(mode, skipped): [] for mode in POOLINGS for skipped in (0, 2)}
    for a, b in zip(indptr, indptr[1:]):
        states = model(input_ids=ids[a:b][None]).last_hidden_state
        features = {"token_embeddings": states, "attention_mask": torch.ones(1, b - a, dtype=torch.long)}
        first.append(states[0, 0])
        for mode, skipped in others:
            others[mode, skipped].append(pooled(mode, states, skipped if b - a > skipped else 0))
        for module in modules:
            features = module.double()(features)
        vectors.append(features["sentence_embedding"][0])
    put(f"{name}/indptr", indptr, "<i8")
    put(f"{name}/ids", ids, "<i4")
    put(f"{name}/inputs", inputs)
    put(f"{name}/hidden", hidden)
    put(f"{name}/weight", weight)
    put(f"{name}/gradient", gradient)
    put(f"{name}/vectors", torch.stack(vectors))
    put(f"{name}/first", torch.stack(first))  # what the GGUF file's pooling gives
    for (mode, skipped), rows in others.items():
        if name == "mpnet":
            put(f"{name}/{mode}-{skipped}", torch.stack(rows))

write()
