#!/usr/bin/env python3
"""Recformer beside PyTorch: a step of pre-training, and vectors of items; random weights. Ours with each --precision that this
processor is faster at; the peers are Hugging Face's Longformer, whose attention is ours, and a BERT of the same size, which
attends to everything by scaled_dot_product_attention (without dropout there, with which PyTorch has no fast one on
processors), each tried in floats, under autocast in bf16 where the processor has instructions for it, and with its layers
compiled, in huge pages that are kept.

A step: histories of 1,024 tokens and the items that followed, all once more with masked words; contrast and masked
words as in the public Recformer; dropout 0.1, clipping, AdamW. The peer computes words' logits at masked places alone,
as its public code does not, and makes its batches before the clock starts. Items are encoded by the peer in batches of
like lengths. Ours and one peer take turns, medians of three ($ROUNDS), as all together need more memory than most machines
have. Prints: what, ours, peer, ratio (above 1: ours is faster or smaller), in seconds and in processor seconds, which other
programs on the machine disturb less; peak memory; the rate, and what it is of the machine's limit.

    bench_recformer.py [WHAT [PEER]]     parts of a case's, and of a peer's name; "all": what takes long, too
"""
import os
import resource
import sys
import time

from turns import ROUNDS, THREADS, TUNED, Program, fastest, limits, median

TOKENS, WINDOW, MASKED, TEMPERATURE, PAD, MASK = 1024, 64, 0.15, 0.05, 1, 4
ITEMS_AT_ONCE = 64
# layers, width, heads, vocabulary
SMALL, BASE = (4, 128, 4, 8192), (12, 768, 12, 50265)
CASES = [  # what, size, request
    (f"small, step of 4 x {TOKENS} tokens", SMALL, "step 4"),
    (f"base, step of 1 x {TOKENS} tokens", BASE, "step 1"),
    (f"base, step of 2 x {TOKENS} tokens", BASE, "step 2"),
    ("small, vectors of 4,385 items", SMALL, "encode 4385"),
    ("base, vectors of 64 items", BASE, "encode 64"),
]
LONG = {f"base, step of 2 x {TOKENS} tokens"}
PEERS = "longformer", "bert"


def item(i):
    """Lengths of an item's attributes, as in recformer.c."""
    return [8 + i * 7 % 25, 3 + i % 3, 6 + i * 5 % 15]


def peer(name, setting, layers, width, heads, vocabulary):
    """Answers as tests/bench/recformer.c does."""
    import torch
    import torch.nn.functional as F
    from torch import nn
    from transformers.models.longformer.modeling_longformer import LongformerConfig, LongformerEncoder, LongformerLMHead
    torch.set_num_threads(THREADS)
    layers, width, heads, vocabulary = map(int, (layers, width, heads, vocabulary))
    config = LongformerConfig(
        vocab_size=vocabulary, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, pad_token_id=PAD,
        intermediate_size=4 * width, attention_window=[WINDOW] * layers, hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1, max_position_embeddings=TOKENS + 2, layer_norm_eps=1e-5)

    class Layer(nn.Module):
        """Of BERT."""

        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down, self.dropout = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), nn.Dropout(0.1)
            self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-5) for _ in range(2))

        def forward(self, x, visible):
            q, k, v = self.qkv(x).view(*x.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
            seen = F.scaled_dot_product_attention(q, k, v, visible)
            x = self.norms[0](x + self.dropout(self.out(seen.transpose(1, 2).flatten(2))))
            return self.norms[1](x + self.dropout(self.down(F.gelu(self.up(x)))))

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(vocabulary, width, padding_idx=PAD)
            self.positions = nn.Embedding(TOKENS + 2, width, padding_idx=PAD)
            self.kinds, self.items = nn.Embedding(4, width), nn.Embedding(51, width)
            self.norm, self.dropout = nn.LayerNorm(width, eps=1e-5), nn.Dropout(0.1)
            self.layers = LongformerEncoder(config) if name == "longformer" else nn.ModuleList(Layer() for _ in range(layers))

        def forward(self, token, kind, place, mask):
            real = (token != PAD).long()
            x = self.words(token) + self.positions(real.cumsum(1) * real + PAD) + self.kinds(kind) + self.items(place)
            x = self.dropout(self.norm(x))
            if name == "longformer":
                attention = (mask == 0) * torch.finfo(x.dtype).min + (mask == 2) * 10000.0
                return self.layers(x, attention_mask=attention, padding_len=0).last_hidden_state
            visible = None if mask.all() else (mask > 0)[:, None, None]
            for layer in self.layers:
                x = layer(x, visible)
            return x

    class Recformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.longformer, self.lm_head = Encoder(), LongformerLMHead(config)
            self.lm_head.decoder.bias = self.lm_head.bias

    def sequence(items):
        kind, place = [0], [0]
        for at, i in enumerate(items):
            for n in item(i):
                kind += [1] + [2] * (n - 1)
                place += [at + 1] * n
        return kind[:TOKENS], place[:TOKENS]

    def batch(histories):
        """Padded to whole windows, as the public model does."""
        rows = [sequence(h) for h in histories]
        length = -(-max(len(kind) for kind, _ in rows) // WINDOW) * WINDOW
        pad = lambda list, value: list + [value] * (length - len(list))
        kind, place = (torch.tensor([pad(row[i], 0) for row in rows]) for i in (0, 1))
        mask = torch.tensor([pad([2] + [1] * (len(k) - 1), 0) for k, _ in rows])
        token = torch.randint(5, vocabulary, mask.shape)
        token[:, 0] = 0
        token[mask == 0] = PAD
        return token, kind, place, mask

    def masked(token, kind, place, mask):
        at = (torch.rand(token.shape) < MASKED) & (mask == 1)
        at[0, 1] = True
        return (token.masked_fill(at, MASK), kind, place, mask), at, token[at]

    model = Recformer()
    for parameter in model.parameters():
        if parameter.dim() == 2:
            nn.init.normal_(parameter, std=0.02)
    if setting.endswith("compiled"):  # a layer once for all of them
        for layer in model.longformer.layers.layer if name == "longformer" else model.longformer.layers:
            layer.compile(dynamic=True)
        model.lm_head.compile(dynamic=True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.0, fused=True)
    similarity = nn.CosineSimilarity(dim=-1)

    def cast():
        return torch.autocast("cpu", torch.bfloat16, enabled=setting.startswith("bf16"))

    def loss_of(histories, targets):
        encode = model.longformer
        pooled = [encode(*side)[:, 0] for side in (histories, targets)]
        loss = F.cross_entropy(similarity(pooled[0][:, None], pooled[1][None]) / TEMPERATURE, torch.arange(len(pooled[0])))
        for inputs, at, label in map(lambda side: masked(*side), (histories, targets)):
            loss = loss + 0.1 * F.cross_entropy(model.lm_head(encode(*inputs)[at]), label)
        return loss

    def step(histories, targets):
        with cast():
            loss = loss_of(histories, targets)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        return loss.item()

    @torch.inference_mode()
    def vectors(batches):
        with cast():
            return torch.cat([model.longformer(*b)[:, 0] for b in batches]).float().norm(dim=1).mean().item()

    for line in sys.stdin:
        what, n = line.split()
        if what == "step":
            model.train()
            draw = lambda count: torch.randint(4385, (count,)).tolist()
            work, inputs = step, (batch([draw(50) for _ in range(int(n))]), batch([draw(1) for _ in range(int(n))]))
        else:
            model.eval()
            order = sorted(range(int(n)), key=lambda i: sum(item(i)))
            work, inputs = vectors, ([batch([[i] for i in order[at:at + ITEMS_AT_ONCE]]) for at in range(0, int(n), ITEMS_AT_ONCE)],)
        started, clock = time.perf_counter(), time.process_time()
        value = work(*inputs)
        print(time.perf_counter() - started, time.process_time() - clock, value,
              resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


def operations(size, request):
    """Of matrices whose results are used: the last layer's where only first tokens are asked for, and the keys and values
    of the global token, are not counted."""
    layers, d, _, vocabulary = size
    what, n = request.split()
    if what == "encode":
        tokens = sum(1 + sum(item(i)) for i in range(int(n)))
        return 2 * 12 * d * d * tokens * (layers - 1)
    tokens = int(n) * (TOKENS + 1 + sum(sum(item(i)) for i in range(75)) / 75)
    words = MASKED * tokens * (9 * d * d + d * d + d * vocabulary)
    return 6 * (2 * tokens * 12 * d * d * (layers - 1) + tokens * 3 * d * d + words)


def compare(what, size, request, name, limit):
    ours = {how: Program(os.environ["RECPIPE_BENCH"] + "/recformer", *size, THREADS) for how in limit}
    best, theirs, tried = fastest(
        lambda setting: Program(sys.executable, __file__, "--peer", name, setting, *size, env=TUNED),
        lambda program: program.ask(request), limit)
    for how, program in ours.items():
        program.ask(how)
    runs = {how: [] for how in [*ours, "peer"]}
    for _ in range(ROUNDS + 1):  # the first is not counted
        for how, program in [*ours.items(), ("peer", theirs)]:
            runs[how].append(program.ask(request))
    for program in [*ours.values(), theirs]:
        program.end()
    runs = {how: run[1:] for how, run in runs.items()}
    print(f"{what}; PyTorch: {name}, {best}; tried: " + ", ".join(f"{how} {took:.2f} s" for how, took in tried.items()))
    for how in ours:
        for field, unit, measure in (0, "s", "seconds"), (1, "s", "processor seconds"), (3, "MB", "peak memory"):
            a, b = median(runs[how], field), median(runs["peer"], field)
            print(f"  {how + ': ' + measure:34} {a:9.2f} {unit:2} {b:9.2f} {unit:2} {b / a:6.2f}")
        rate = operations(size, request) / median(runs[how], 1) / 1e9
        print(f"  {how + ': rate, and share of the limit':34} {rate:6.0f} GF/s {limit[how]:6.0f} GF/s {rate / limit[how]:6.2f}",
              flush=True)


def main():
    try:
        import torch
        import transformers
    except ImportError:
        sys.exit(print("bench_recformer: skipped, no torch or transformers"))
    print(f"Recformer beside PyTorch {torch.__version__}, transformers {transformers.__version__}, {THREADS} threads")
    case, which = (sys.argv[1:] + ["", ""])[:2]
    limit = limits()
    for what, size, request in CASES:
        if case == "all" or case in what and (case or what not in LONG):
            for name in PEERS:
                if which in name:
                    compare(what, size, request, name, limit)


if sys.argv[1:2] == ["--peer"]:
    peer(*sys.argv[2:])
else:
    main()
