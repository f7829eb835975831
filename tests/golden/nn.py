#!/usr/bin/env python3
"""Writes nn.tar.zst: what PyTorch computes, in double precision, for small SASRec and GRU models on a ragged batch:
hidden states, losses and all gradients; and what its optimisers do. tests/unit/test_nn.c compares.

Each sequence is computed alone, so there is no padding here either. Needs torch, numpy and the zstd program."""
import json

import numpy
import torch
import torch.nn.functional as F

from archive import out, put, write

torch.set_default_dtype(torch.float64)
torch.manual_seed(7)
torch.set_num_threads(1)

N_ITEMS, D, MAX_LENGTH = 13, 8, 60
LENGTHS = [1, 5, 0, 2, 60, 1, 17]  # one longer than a block of queries, one empty

SASREC = dict(architecture="sasrec", hidden_size=D, max_length=MAX_LENGTH, dropout=0)
CASES = {
    "original": dict(SASREC, num_hidden_layers=2, norm="original", num_attention_heads=1, layer_norm_eps=1e-8),
    "pre": dict(SASREC, num_hidden_layers=1, norm="pre", num_attention_heads=2, positions="end", tied=False),
    "post": dict(SASREC, num_hidden_layers=1, norm="post", num_attention_heads=1, final_norm=True, positions="none",
                 scale_embedding=False),
    "recbole": dict(SASREC, num_hidden_layers=2, norm="post", num_attention_heads=2, intermediate_size=12,
                    hidden_act="gelu", input_norm=True, scale_embedding=False, layer_norm_eps=1e-12),
    "ligr": dict(SASREC, architecture="esasrec", num_hidden_layers=2, norm="pre", num_attention_heads=2, gates=True, hidden_act="swiglu",
                 intermediate_size=12, positions="end", scale_embedding=False, final_norm=False, layer_norm_eps=1e-5),
    "gru": dict(architecture="gru", hidden_size=D, dropout=0),
    "gru4rec": dict(architecture="gru", hidden_size=12, dense_size=D, bias=False, num_hidden_layers=2, dropout=0),
    "mean": dict(SASREC, num_hidden_layers=1, norm="pre", num_attention_heads=2, history_mean=3, history_decay=0.6),
}


def sasrec_parameters(c):
    inner = c.get("intermediate_size", D)
    norm = lambda name: {f"{name}.weight": (D,), f"{name}.bias": (D,)}
    p = {"item_embedding.weight": (N_ITEMS, D)}
    if c.get("positions") != "none":
        p["position_embedding.weight"] = (MAX_LENGTH, D)
    if c.get("input_norm"):
        p |= norm("input_norm")
    for i in range(c["num_hidden_layers"]):
        p |= norm(f"layers.{i}.attention_norm") | norm(f"layers.{i}.ffn_norm")
        for part in "query", "key", "value", "output":
            p[f"layers.{i}.attention.{part}.weight"] = (D, D)
            p[f"layers.{i}.attention.{part}.bias"] = (D,)
        swiglu = c.get("hidden_act") == "swiglu"
        if swiglu:
            p[f"layers.{i}.ffn.gate.weight"] = (inner, D)
        p[f"layers.{i}.ffn.intermediate.weight"] = (inner, D)
        if not swiglu:
            p[f"layers.{i}.ffn.intermediate.bias"] = (inner,)
        p[f"layers.{i}.ffn.output.weight"] = (D, inner)
        if not swiglu:
            p[f"layers.{i}.ffn.output.bias"] = (D,)
        for part in ("attention", "ffn") if c.get("gates") else ():
            p[f"layers.{i}.{part}_gate.weight"] = (D, D)
            p[f"layers.{i}.{part}_gate.bias"] = (D,)
    if c.get("final_norm", c.get("norm") != "post"):
        p |= norm("final_norm")
    if not c.get("tied", True):
        p["output.weight"] = (N_ITEMS, D)
    return p


def gru_parameters(c):
    h, width = c["hidden_size"], c.get("dense_size", c["hidden_size"])
    p = {"item_embedding.weight": (N_ITEMS, width)}
    for i in range(c.get("num_hidden_layers", 1)):
        p[f"gru.weight_ih_l{i}"] = (3 * h, h if i else width)
        p[f"gru.weight_hh_l{i}"] = (3 * h, h)
        if c.get("bias", True):
            p[f"gru.bias_ih_l{i}"] = p[f"gru.bias_hh_l{i}"] = (3 * h,)
    if "dense_size" in c:
        p |= {"dense.weight": (width, h), "dense.bias": (width,)}
    return p


def sasrec_hidden(c, p, items):
    n, heads, eps = len(items), c.get("num_attention_heads", 1), c.get("layer_norm_eps", 1e-8)
    activation = F.gelu if c.get("hidden_act") == "gelu" else F.relu
    norm = lambda name, x: F.layer_norm(x, (D,), p[f"{name}.weight"], p[f"{name}.bias"], eps)

    def attention(i, q, kv):
        part = lambda name, x: F.linear(x, p[f"layers.{i}.attention.{name}.weight"], p[f"layers.{i}.attention.{name}.bias"])
        split = lambda x: x.view(n, heads, D // heads).transpose(0, 1)
        out = F.scaled_dot_product_attention(split(part("query", q)), split(part("key", kv)), split(part("value", kv)),
                                             is_causal=True)
        return part("output", out.transpose(0, 1).reshape(n, D))

    def ffn(i, x):
        part = lambda name, y: F.linear(y, p[f"layers.{i}.ffn.{name}.weight"], p.get(f"layers.{i}.ffn.{name}.bias"))
        if c.get("hidden_act") == "swiglu":
            return part("output", F.silu(part("gate", x)) * part("intermediate", x))
        return part("output", activation(part("intermediate", x)))

    x = p["item_embedding.weight"][items] * (D ** 0.5 if c.get("scale_embedding", True) else 1)
    if c.get("positions") != "none":
        first = MAX_LENGTH - n if c.get("positions") == "end" else 0
        x = x + p["position_embedding.weight"][first:first + n]
    if "history_mean" in c:
        back = torch.arange(n)[:, None] - torch.arange(n)
        weight = torch.where(back >= 0, c["history_decay"] ** back.clamp(min=0).double(), 0.0)
        x = x + c["history_mean"] * (weight / weight.sum(1, keepdim=True)) @ x
    if c.get("input_norm"):
        x = norm("input_norm", x)
    for i in range(c["num_hidden_layers"]):
        one, two = f"layers.{i}.attention_norm", f"layers.{i}.ffn_norm"
        if c.get("norm") == "post":
            x = norm(one, x + attention(i, x, x))
            x = norm(two, x + ffn(i, x))
        elif c.get("gates"):  # as LiGRLayer in RecTools
            gate = lambda name: torch.sigmoid(F.linear(x, p[f"layers.{i}.{name}_gate.weight"], p[f"layers.{i}.{name}_gate.bias"]))
            x = x + gate("attention") * attention(i, norm(one, x), norm(one, x))
            x = x + gate("ffn") * ffn(i, norm(two, x))
        elif c.get("norm") == "pre":
            x = x + attention(i, norm(one, x), norm(one, x))
            x = x + ffn(i, norm(two, x))
        else:
            q = norm(one, x)
            x = norm(two, q + attention(i, q, x))
            x = x + ffn(i, x)
    return norm("final_norm", x) if "final_norm.weight" in p else x


def gru_hidden(c, p, items):
    layers, h, width = c.get("num_hidden_layers", 1), c["hidden_size"], p["item_embedding.weight"].shape[1]
    gru = torch.nn.GRU(width, h, layers, bias=c.get("bias", True), batch_first=True)
    weights = {name[4:]: value for name, value in p.items() if name.startswith("gru.")}
    x = torch.func.functional_call(gru, weights, (p["item_embedding.weight"][items][None],))[0][0]
    return F.linear(x, p["dense.weight"], p["dense.bias"]) if "dense.weight" in p else x


def losses(hidden, p, target, negative):
    """Each a sum over positions with a target, divided by their number; and the negatives it used."""
    items = p.get("output.weight", p["item_embedding.weight"])
    rows = [t for t in range(len(target)) if target[t] >= 0]
    h, positive = hidden[rows], items[target[rows]]
    yield "ce", F.cross_entropy(h @ items.T, target[rows])
    shared = negative[0]  # of all positions here; seven different items
    logits = torch.cat([(h * positive).sum(1, keepdim=True), h @ items[shared].T], 1)
    yield "sampled", F.cross_entropy(logits, torch.zeros(len(rows), dtype=torch.long))
    of_positive, of_negative = (h * positive).sum(1), (h[:, None] * items[negative[rows]]).sum(2)
    k = negative.shape[1]
    yield "bce", -(F.logsigmoid(of_positive) + F.logsigmoid(-of_negative[:, 0])).mean()
    alpha, t = k / (N_ITEMS - 1), 0.75
    beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
    gamma = -torch.log(torch.sigmoid(of_positive) ** -beta - 1)  # the authors' transform of the positive score
    everything = torch.cat([gamma[:, None], of_negative], 1)
    label = torch.zeros_like(everything)
    label[:, 0] = 1
    yield "gbce", F.binary_cross_entropy_with_logits(everything, label)


def model_case(name, c):
    shapes = (sasrec_parameters if c["architecture"] != "gru" else gru_parameters)(c)
    # what float can hold, so that both start from the same numbers
    p = {key: (torch.randn(shape) * 0.4 + ("norm.weight" in key)).float().double().requires_grad_()
         for key, shape in shapes.items()}
    indptr = numpy.cumsum([0] + LENGTHS)
    item = torch.randint(N_ITEMS, (indptr[-1],))
    target = torch.randint(N_ITEMS, (indptr[-1],))
    target[[0, 3, 30]] = -1
    negative = torch.stack([torch.randperm(N_ITEMS)[:7] for _ in item])
    hidden = torch.cat([(sasrec_hidden if c["architecture"] != "gru" else gru_hidden)(c, p, item[a:b])
                        for a, b in zip(indptr, indptr[1:]) if b > a])
    manifest = {"config": c, "items": N_ITEMS, "params": {key: value.numel() for key, value in p.items()}}
    out[f"{name}/case.json"] = json.dumps(manifest).encode()
    flat = lambda tensors: torch.cat([t.reshape(-1) for t in tensors])
    put(f"{name}/value", flat(p.values()))
    put(f"{name}/indptr", indptr, "<i8")
    put(f"{name}/item", item, "<i4")
    put(f"{name}/target", target, "<i4")
    put(f"{name}/negative", negative, "<i4")
    put(f"{name}/hidden", hidden)
    for loss_name, loss in losses(hidden, p, target, negative):
        gradients = torch.autograd.grad(loss, list(p.values()), retain_graph=True, allow_unused=True)
        put(f"{name}/{loss_name}/loss", loss, "<f8")
        put(f"{name}/{loss_name}/gradient", flat(torch.zeros_like(q) if g is None else g for g, q in zip(gradients, p.values())))


WIDE = 10  # of features
FEATURE_CASES = {
    "frozen": dict(SASREC, num_hidden_layers=1, norm="pre", num_attention_heads=2, features="frozen"),
    "cosine": dict(SASREC, num_hidden_layers=1, norm="pre", num_attention_heads=1, features="trainable",
                   adaptor="two-layer", score="cosine", temperature=0.5, feature_ids=True),
    "mlp": dict(architecture="gru", hidden_size=D, dropout=0, features="frozen", adaptor="mlp", adaptor_size=7,
                score="cosine", temperature=0.25),
    "unit": dict(architecture="gru", hidden_size=D, dropout=0, tied=False, score="cosine", temperature=1.0),
    "alphafuse": dict(SASREC, num_hidden_layers=1, norm="pre", num_attention_heads=2, features="alphafuse", feature_share=0.375),
}


def feature_parameters(c):
    p = (sasrec_parameters if c["architecture"] != "gru" else gru_parameters)(c)
    if c["architecture"] == "gru" and not c.get("tied", True):
        p["output.weight"] = (N_ITEMS, D)
    if "features" in c:
        del p["item_embedding.weight"]
        if c["features"] == "alphafuse":
            return p | {"item_id.weight": (N_ITEMS, D - round(c["feature_share"] * D))}
        inner = WIDE
        if c["features"] == "trainable":
            p["item_feature.weight"] = (N_ITEMS, WIDE)
        if c.get("adaptor", "linear") != "linear":
            inner = c.get("adaptor_size", WIDE // 2)
            p |= {"adaptor.0.weight": (inner, WIDE), "adaptor.0.bias": (inner,)}
        p |= {"adaptor.weight": (D, inner), "adaptor.bias": (D,)}
        if c.get("feature_ids"):
            p["item_id.weight"] = (N_ITEMS, D)
    return p


def item_table(c, p, feature):
    if "features" not in c:
        return p["item_embedding.weight"]
    if c["features"] == "alphafuse":
        return torch.cat([feature[:, :round(c["feature_share"] * D)], p["item_id.weight"]], 1)
    x = p.get("item_feature.weight", feature)
    if "adaptor.0.weight" in p:
        x = F.linear(x, p["adaptor.0.weight"], p["adaptor.0.bias"])
        x = F.gelu(x) if c["adaptor"] == "mlp" else x
    z = F.linear(x, p["adaptor.weight"], p["adaptor.bias"])
    return z + p["item_id.weight"] if c.get("feature_ids") else z


def feature_case(name, c):
    """Items from features, and cosine scores: cross-entropy alone, through a table that autograd derives."""
    p = {key: (torch.randn(shape) * 0.4 + ("norm.weight" in key)).float().double().requires_grad_()
         for key, shape in feature_parameters(c).items()}
    feature = torch.randn(N_ITEMS, WIDE).float().double()
    if "item_feature.weight" in p:
        feature = p["item_feature.weight"].detach()
    indptr = numpy.cumsum([0] + LENGTHS)
    item = torch.randint(N_ITEMS, (indptr[-1],))
    target = torch.randint(N_ITEMS, (indptr[-1],))
    target[[0, 3, 30]] = -1
    table = item_table(c, p, feature)
    inside = dict(p, **{"item_embedding.weight": table})
    hidden = torch.cat([(sasrec_hidden if c["architecture"] != "gru" else gru_hidden)(c, inside, item[a:b])
                        for a, b in zip(indptr, indptr[1:]) if b > a])
    scored = p.get("output.weight", table)
    if c.get("score") == "cosine":
        hidden, scored = F.normalize(hidden) / c["temperature"], F.normalize(scored)
    rows = target >= 0
    loss = F.cross_entropy(hidden[rows] @ scored.T, target[rows])
    manifest = {"config": dict(c, feature_size=WIDE), "items": N_ITEMS,
                "params": {key: value.numel() for key, value in p.items()}}
    out[f"{name}/case.json"] = json.dumps(manifest).encode()
    flat = lambda tensors: torch.cat([t.reshape(-1) for t in tensors])
    put(f"{name}/value", flat(p.values()))
    put(f"{name}/feature", feature)
    put(f"{name}/indptr", indptr, "<i8")
    put(f"{name}/item", item, "<i4")
    put(f"{name}/target", target, "<i4")
    put(f"{name}/negative", torch.zeros(len(item), 7), "<i4")
    put(f"{name}/hidden", hidden)
    put(f"{name}/ce/loss", loss, "<f8")
    put(f"{name}/ce/gradient", flat(torch.autograd.grad(loss, list(p.values()))))


def optimiser_case(name, clip, **options):
    torch.manual_seed(11)
    p = torch.randn(37).float().double().requires_grad_()
    optimiser = torch.optim.AdamW([p], **options)
    gradients = torch.randn(5, 37).float().double() * torch.tensor([1, .01, 3, 0, 1.])[:, None]
    put(f"{name}/value", p)
    put(f"{name}/gradient", gradients)
    norms = []
    for gradient in gradients:
        p.grad = gradient.clone()
        norms.append(torch.nn.utils.clip_grad_norm_([p], clip or float("inf")).item())
        optimiser.step()
    put(f"{name}/norm", norms, "<f8")
    put(f"{name}/after", p)


for name, config in CASES.items():
    model_case(name, config)
optimiser_case("adam", None, lr=1e-3, weight_decay=0)
optimiser_case("adamw", 1.5, lr=1e-2, betas=(0.8, 0.98), eps=1e-6, weight_decay=0.1)
for name, config in FEATURE_CASES.items():
    feature_case(name, config)

write()
