#!/usr/bin/env python3
"""Writes recformer.tar.zst: what the public Recformer computes, in double precision, on small random weights: its four
embeddings in front of Hugging Face's Longformer layers, padded batches and all. Hidden states, pooled vectors, the
contrast and the masked-word loss, fine-tuning's softmax over items, and every gradient; and one of the models as a
Hugging Face checkpoint. tests/unit/test_recformer.c compares.

Needs torch, transformers, safetensors, numpy and the zstd program."""
import json

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import nn
from transformers.models.longformer.modeling_longformer import LongformerConfig, LongformerEncoder, LongformerLMHead

from archive import out, put, write

torch.set_default_dtype(torch.float64)
torch.manual_seed(11)
torch.set_num_threads(1)

PAD, TEMPERATURE = 1, 0.05
SIZES = dict(vocab_size=41, hidden_size=8, num_attention_heads=2, intermediate_size=20, token_type_size=4,
             layer_norm_eps=1e-5, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
CASES = {
    # windows on one side: 3, 32, 5; histories shorter and longer, one longer than several blocks of queries
    "narrow": dict(SIZES, num_hidden_layers=2, attention_window=6, max_position_embeddings=150, max_item_embeddings=7),
    "paper": dict(SIZES, num_hidden_layers=1, attention_window=64, max_position_embeddings=230, max_item_embeddings=51),
    "one": dict(SIZES, num_hidden_layers=3, num_attention_heads=1, attention_window=10, max_position_embeddings=90,
                max_item_embeddings=9),
}
HISTORIES = {"narrow": [1, 2, 4, 8, 147, 50], "paper": [20, 33, 34, 227], "one": [70, 3, 88]}


class Embeddings(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c.hidden_size
        self.word_embeddings = nn.Embedding(c.vocab_size, d, padding_idx=PAD)
        self.position_embeddings = nn.Embedding(c.max_position_embeddings, d, padding_idx=PAD)
        self.token_type_embeddings = nn.Embedding(c.token_type_size, d)
        self.item_position_embeddings = nn.Embedding(c.max_item_embeddings, d)
        self.LayerNorm = nn.LayerNorm(d, eps=c.layer_norm_eps)

    def forward(self, token, kind, item):
        real = (token != PAD).long()
        position = real.cumsum(1) * real + PAD
        return self.LayerNorm(self.word_embeddings(token) + self.position_embeddings(position)
                              + self.token_type_embeddings(kind) + self.item_position_embeddings(item))


class Encoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embeddings, self.encoder, self.config = Embeddings(c), LongformerEncoder(c), c

    def forward(self, sequences):
        """Padded twice, as the public tokenizer and the public model do; hidden states of the real tokens alone."""
        window, longest = max(self.config.attention_window), max(len(s["token"]) for s in sequences)
        full = -(-longest // window) * window
        pad = lambda key, first, second: torch.tensor(
            [s[key] + [first] * (longest - len(s[key])) + [second] * (full - longest) for s in sequences])
        mask = torch.tensor([[2] + [1] * (len(s["token"]) - 1) + [0] * (full - len(s["token"])) for s in sequences])
        x = self.embeddings(pad("token", PAD, PAD), pad("kind", 3, 0), pad("item", self.config.max_item_embeddings - 1, PAD))
        # no, local and global attention: below, at and above 0
        attention = (mask == 0) * torch.finfo(x.dtype).min + (mask == 2) * 10000.0
        x = self.encoder(x, attention_mask=attention, padding_len=0).last_hidden_state
        return [x[i, :len(s["token"])] for i, s in enumerate(sequences)]


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.longformer, self.lm_head = Encoder(c), LongformerLMHead(c)
        self.lm_head.decoder.bias = self.lm_head.bias


def random_sequence(c, length):
    """<s>, then items of a few tokens with keys and values; the last one cut where the length ends."""
    token, kind, item, k = [0], [0], [0], 0
    while len(token) < length:
        k = min(k + 1, c.max_item_embeddings - 1)
        n = max(1, -(-length // (c.max_item_embeddings - 1)))
        token += torch.randint(5, c.vocab_size, (n,)).tolist()
        kind += [1] + [2] * (n - 1)
        item += [k] * n
    return {"token": token[:length], "kind": kind[:length], "item": item[:length]}


def masked(c, sequence):
    """Some tokens replaced, and what they were: -1 where nothing is to be said. A random replacement may be <pad>."""
    token, label = list(sequence["token"]), [-1] * len(sequence["token"])
    for t in range(1, len(token)):
        if t == 1 or torch.rand(()) < 0.15:
            label[t] = token[t]
            token[t] = [4, PAD, 7, token[t]][t % 4]
    return dict(sequence, token=token, label=label)


def put_sequences(name, sequences):
    put(f"{name}/indptr", numpy.cumsum([0] + [len(s["token"]) for s in sequences]), "<i8")
    put(f"{name}/token", sum((s["token"] for s in sequences), []), "<i4")
    put(f"{name}/kind", sum((s["kind"] for s in sequences), []), "|u1")
    put(f"{name}/item", sum((s["item"] for s in sequences), []), "<i4")
    if "label" in sequences[0]:
        put(f"{name}/label", sum((s["label"] for s in sequences), []), "<i4")


def put_gradients(name, loss, p):
    gradients = torch.autograd.grad(loss, list(p.values()), retain_graph=True, allow_unused=True)
    put(f"{name}/loss", loss, "<f8")
    put(f"{name}/gradient", torch.cat([(torch.zeros_like(q) if g is None else g).reshape(-1)
                                       for g, q in zip(gradients, p.values())]))


def case(name, sizes):
    c = LongformerConfig(**sizes, pad_token_id=PAD)
    c.attention_window = [c.attention_window] * c.num_hidden_layers
    model = Model(c).eval()
    p = dict(model.named_parameters())
    for key, value in p.items():
        with torch.no_grad():  # what float can hold, so that both start from the same numbers
            value.copy_((torch.randn(value.shape) * 0.4 + ("orm.weight" in key)).float().double())
    manifest = {"config": dict(sizes, architecture="recformer", temperature=TEMPERATURE),
                "params": {key: value.numel() for key, value in p.items()}}
    out[f"{name}/case.json"] = json.dumps(manifest).encode()
    put(f"{name}/value", torch.cat([q.reshape(-1) for q in p.values()]))

    a = [random_sequence(c, n) for n in HISTORIES[name]]
    b = [random_sequence(c, 2 + 3 * i) for i in range(len(a))]
    for s in b:
        s["item"] = [0] + [1] * (len(s["item"]) - 1)
    mlm = [masked(c, s) for s in a if len(s["token"]) > 1] + [masked(c, s) for s in b]
    put_sequences(f"{name}/a", a)
    put_sequences(f"{name}/b", b)
    put_sequences(f"{name}/mlm", mlm)

    encode = model.longformer
    hidden_a, hidden_b, hidden_mlm = encode(a), encode(b), encode(mlm)
    put(f"{name}/a/hidden", torch.cat(hidden_a))
    put(f"{name}/mlm/hidden", torch.cat(hidden_mlm))
    pooled_a, pooled_b = (torch.stack([x[0] for x in h]) for h in (hidden_a, hidden_b))
    put(f"{name}/a/pooled", pooled_a)
    put(f"{name}/b/pooled", pooled_b)
    similarity = nn.CosineSimilarity(dim=-1)
    contrast = F.cross_entropy(similarity(pooled_a[:, None], pooled_b[None]) / TEMPERATURE, torch.arange(len(a)))
    put_gradients(f"{name}/contrast", contrast, p)
    label = torch.tensor(sum((s["label"] for s in mlm), []))
    words = F.cross_entropy(model.lm_head(torch.cat(hidden_mlm))[label >= 0], label[label >= 0])
    put_gradients(f"{name}/words", words, p)
    items, target = torch.randn(23, c.hidden_size).float().double(), torch.randint(23, (len(a),))
    put(f"{name}/finetune/items", items)
    put(f"{name}/finetune/target", target, "<i4")
    put_gradients(f"{name}/finetune", F.cross_entropy(similarity(pooled_a[:, None], items[None]) / TEMPERATURE, target), p)

    if name == "narrow":  # as the public code saves it
        out[f"{name}/checkpoint/config.json"] = json.dumps(dict(
            c.to_dict(), architectures=["RecformerForPretraining"], token_type_size=4, max_item_embeddings=7,
            max_token_num=148)).encode()
        state = {k: v.float().contiguous().clone() for k, v in model.state_dict().items()}
        out[f"{name}/checkpoint/model.safetensors"] = save(state)


for name, sizes in CASES.items():
    case(name, sizes)

write()
