#!/usr/bin/env python3
"""Writes recformer_encoder.tar.zst: small encoders with random weights as sentence-transformers' folders, a catalog and histories of
words their tokenizer has, and for each encoder the cosines of histories and items, in double precision, as a Recformer that starts
from it has them: Hugging Face's layers over texts of several items, of which each sees itself and the first token; pooled, whitened
by the catalog's items. tests/recformer.bats compares.

Needs torch, transformers, tokenizers, safetensors, numpy and zstd."""
import json
import random

import numpy
import torch
from safetensors.torch import save
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel, RobertaConfig, RobertaModel

from archive import out, write
from encoder_tokenizer import WORDS, tokenizer

torch.manual_seed(5)
torch.set_num_threads(1)
random.seed(5)
DECAY, WIDTH = 0.7, 8
SIZES = dict(vocab_size=len(WORDS), hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
             max_position_embeddings=120, pad_token_id=0)
MODELS = {
    "bert": (BertModel(BertConfig(**SIZES)), "mean"),
    "roberta": (RobertaModel(RobertaConfig(**SIZES, type_vocab_size=1, layer_norm_eps=1e-5)), "mean"),
    "distilbert": (DistilBertModel(DistilBertConfig(vocab_size=len(WORDS), dim=WIDTH, n_layers=2, n_heads=2, hidden_dim=12,
                                                    max_position_embeddings=120)), "cls"),
}
TEXT = [w for w in WORDS[5:] if not w.startswith("##")]
ITEMS = [(" ".join(random.choices(TEXT, k=random.randint(1, 9))), " ".join(random.choices(TEXT, k=random.randint(0, 3))))
         for _ in range(40)]
USERS = [[random.randrange(len(ITEMS)) for _ in range(n)] for n in (1, 2, 3, 5, 9, 4, 2)]
CLS, SEP = WORDS.index("[CLS]"), WORDS.index("[SEP]")


def text_of(history, encode):
    """Tokens, and of each its item: 0 the first token, 1 the latest item, closed by [SEP]."""
    token, item = [CLS], [0]
    for place, i in enumerate(reversed(history), 1):
        ids = [t for value in ITEMS[i] for t in encode(value)] + [SEP]
        token += ids
        item += [place] * len(ids)
    return torch.tensor(token), torch.tensor(item)


def states(name, model, token, item):
    position = torch.tensor([0] + [1 + int((item[:t] == item[t]).sum()) for t in range(1, len(item))])
    embeddings = model.embeddings
    x = embeddings.word_embeddings(token) + embeddings.position_embeddings(position + (name == "roberta"))
    if name != "distilbert":
        x = x + embeddings.token_type_embeddings(torch.zeros_like(token))
    x = embeddings.LayerNorm(x)[None]
    sees = (item[:, None] == item[None]) | (item[:, None] == 0) | (item[None] == 0)
    mask = torch.where(sees, 0., -1e9).double()[None, None]
    layers = model.transformer.layer if name == "distilbert" else model.encoder.layer
    for layer in layers:
        x = layer(x, attention_mask=mask)
        x = x[0] if isinstance(x, tuple) else x
    return x[0]


def pooled(name, model, pooling, history, encode):
    token, item = text_of(history, encode)
    x = states(name, model, token, item)
    if pooling == "cls":
        return x[0]
    item = item.clamp(min=1)
    weight = torch.stack([DECAY ** int(item[t] - 1) / (item == item[t]).sum() for t in range(len(item))]).double()
    return (weight / weight.sum()) @ x


def whitened(items):
    """The map that brings them to mean 0, variance 1 and no correlations, changing them least."""
    mean, deviation = items.mean(0), items.std(0)
    correlation = ((items - mean) / deviation).T @ ((items - mean) / deviation) / len(items)
    values, axes = numpy.linalg.eigh(correlation)
    keeps = values > 1e-5 * values.max()  # the rest is rounding: norms leave a direction out
    root = axes[:, keeps] / numpy.sqrt(values[keeps]) @ axes[:, keeps].T
    return lambda x: (x - mean) / deviation @ root


def unit(x):
    return x / numpy.linalg.norm(x, axis=-1, keepdims=True)


def case(name, model, pooling):
    for value in model.parameters():
        with torch.no_grad():
            value.copy_(value + 0.3 * torch.randn(value.shape))
    tensors = {key: value.contiguous() for key, value in model.state_dict().items()
               if "position_ids" not in key and "pooler" not in key}
    out[f"{name}/model.safetensors"] = save(tensors, metadata={"format": "pt"})
    out[f"{name}/config.json"] = json.dumps(model.config.to_dict(), default=str).encode()
    out[f"{name}/tokenizer.json"] = json.dumps(tokenizer()).encode()
    out[f"{name}/1_Pooling/config.json"] = json.dumps({"word_embedding_dimension": WIDTH, f"pooling_mode_{pooling}_token" +
                                                       "s" * (pooling == "mean"): True}).encode()
    out[f"{name}/modules.json"] = json.dumps([
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")])]).encode()
    model = model.double().eval()
    words = Tokenizer.from_str(json.dumps(tokenizer()))
    encode = lambda text: words.encode(text, add_special_tokens=False).ids
    vectors = lambda histories: numpy.array([pooled(name, model, pooling, h, encode).numpy() for h in histories])
    items = vectors([i] for i in range(len(ITEMS)))
    whiten = whitened(items)
    scores = unit(whiten(vectors(USERS))) @ unit(whiten(items)).T
    out[f"{name}/scores.tsv"] = "".join(f"u{u}\ti{i}\t{scores[u, i]:.6f}\n" for u in range(len(USERS))
                                        for i in range(len(ITEMS))).encode()


with torch.no_grad():
    for name, (model, pooling) in MODELS.items():
        case(name, model.eval(), pooling)
out["items.csv"] = ("item_id,title,brand\n" + "".join(f"i{i},{a},{b}\n" for i, (a, b) in enumerate(ITEMS))).encode()
out["events.csv"] = ("user_id,item_id\n" + "".join(f"u{u},i{i}\n" for u, h in enumerate(USERS) for i in h)).encode()
write()
