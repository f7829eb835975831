#!/usr/bin/env python3
"""Writes histories.tar.zst: one step of tuning small language models with random weights on users' histories, as
transformers and torch.optim.AdamW make it. A user's latest ITEMS training items, without those that have no text, are
START text SEPARATOR text SEPARATOR ...; cross-entropy of each token from the second text on, its mean over the batch. Then
the validation items' NLL behind the items before them, and parameters after the step; and the states that the first layer
leaves of each text. tests/unit/test_histories.c compares.

Each history is computed alone. Needs torch, transformers, safetensors, numpy and the zstd program."""
import json

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import save
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from archive import out, put, write

torch.manual_seed(7)
torch.set_num_threads(1)
VOCABULARY, ITEMS, START, SEPARATOR, TOKENS = 31, 3, 2, [5, 6], 4
TEXTS = [[8, 9, 10], [11], [], [12, 13, 9, 14], [8, 30, 1, 7]]
USERS = [[0, 1, 3, 0, 4, 1], [3], [2, 4, 2, 0, 3, 3], [1, 0], [2, 2, 2, 0, 2], [4, 4, 0]]

SIZES = dict(vocab_size=VOCABULARY, hidden_size=20, intermediate_size=22, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64, pad_token_id=None, bos_token_id=None, eos_token_id=None)
CASES = {
    "llama": LlamaForCausalLM(LlamaConfig(**SIZES, head_dim=6, tie_word_embeddings=True)),
    "qwen3": Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=6, tie_word_embeddings=False)),
    "gemma3": Gemma3ForCausalLM(Gemma3TextConfig(**SIZES, head_dim=6, query_pre_attn_scalar=6, sliding_window=5)),
}


def history(items):
    """Tokens, and for each the number of its text, 0 the first; the start token belongs to it."""
    items = [item for item in items if TEXTS[item]][-ITEMS:]
    tokens, number = [START], [0]
    for i, item in enumerate(items):
        tokens += TEXTS[item] + SEPARATOR
        number += [i] * len(TEXTS[item] + SEPARATOR)
    return torch.tensor(tokens), numpy.array(number), len(items)


def losses(model, histories, last_alone):
    each = []
    for items in histories:
        tokens, number, n = history(items)
        if n < 2:
            continue
        nll = F.cross_entropy(model(tokens[None, :-1]).logits[0], tokens[1:], reduction="none")
        each.append(nll[torch.from_numpy(number[1:] >= (n - 1 if last_alone else 1))])
    return torch.cat(each)


def held_out(user):
    return 2 if len(user) >= 3 else 0


train = [user[:len(user) - held_out(user)] for user in USERS]
# those whose validation item has a text
valid = [user[:-1] for user in USERS if len(user) >= 3 and TEXTS[user[-2]]]
put("texts/indptr", numpy.cumsum([0] + [len(text) for text in TEXTS]), "<i8")
put("texts/ids", sum(TEXTS, []), "<i4")
put("users/indptr", numpy.cumsum([0] + [len(user) for user in USERS]), "<i8")
put("users/item", sum(USERS, []), "<i4")
put("form", [ITEMS, START, *SEPARATOR], "<i4")
for name, model in CASES.items():
    model.config._attn_implementation = "eager"
    for key, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=1.0 if "norm" in key and name != "gemma3" else 0.0, std=0.3)
    tied = model.config.tie_word_embeddings
    tensors = {key: value.contiguous() for key, value in model.state_dict().items() if not (tied and key == "lm_head.weight")}
    out[f"{name}/model.safetensors"] = save(tensors, metadata={"format": "pt"})
    out[f"{name}/config.json"] = json.dumps(model.config.to_dict(), default=str).encode()
    model = model.double().train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01, betas=(0.9, 0.999), eps=1e-4,
                                  weight_decay=0 if name == "gemma3" else 0.1)  # whose norms lie 1 off in files
    before = losses(model, valid, True)
    loss = losses(model, train, False)
    loss.mean().backward()
    put(f"{name}/valid", before.mean())
    put(f"{name}/middle", torch.cat([model(torch.tensor([text]), output_hidden_states=True).hidden_states[1][0]
                                     for text in TEXTS if text]))
    put(f"{name}/loss", [loss.sum().item(), len(loss)])
    for key, parameter in model.named_parameters():
        put(f"{name}/gradient/{key}", parameter.grad)
    optimiser.step()
    one = 1 if name == "gemma3" else 0
    for key, parameter in model.named_parameters():
        put(f"{name}/stepped/{key}", parameter + (one if "norm" in key else 0))
    put(f"{name}/valid_after", losses(model, valid, True).mean())

write()
