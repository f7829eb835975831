#!/usr/bin/env python3
"""Epochs of training beside PyTorch: same model, batches, loss and threads, in turns in one run, medians of three ($ROUNDS).

The peer is as fast as we could make it: SASRec computes real positions alone, end to end, which are padded for attention
only; GRU's logits are of real positions alone; memory is in huge pages and kept. It is tried in floats, under autocast in bf16
where the processor has instructions for it, and compiled; the fastest takes turns with ours, which runs with each --precision
that this processor is faster at. Prints: what, ours, the peer, ratio (above 1: ours is faster), in processor seconds, which
other programs on the machine disturb less; the rate of all products, and what it is of the machine's limit; peak memory.

    bench_train.py [WHAT]     WHAT: a part of a case's name
"""
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

from turns import ROUNDS, THREADS, TUNED, Program, fastest, limits, median

BATCH = 128
DATA = pathlib.Path(os.environ.get("RECPIPE_DATA", "../../../shared/data"))
SASREC = dict(architecture="sasrec", norm="original", num_attention_heads=1, dropout=0.2)
GRU = dict(architecture="gru", dropout=0.2, score="dot")
CASES = [  # what, data, steps a round, config
    ("SASRec, ml-1m, d 64, length 200", "ml-1m", 3, dict(SASREC, max_length=200)),
    ("SASRec, beauty, d 64, length 50", "beauty", 5, dict(SASREC, max_length=50)),
    ("GRU, ml-1m, d 64, length 200", "ml-1m", 3, dict(GRU, max_length=200)),
    ("GRU, beauty, d 64, length 50", "beauty", 5, dict(GRU, max_length=50)),
]


def sequences(stream):
    """Inputs and targets of every user, from a stream, as lists of arrays; and the number of items."""
    import io
    import tarfile
    import numpy
    archive = tarfile.open(fileobj=io.BytesIO(subprocess.run(["zstd", "-dcq", stream], stdout=subprocess.PIPE, check=True).stdout))
    users, items = [], 0
    chunks = {}
    for member in archive:
        table, _, field = member.name.partition("/")
        if table == "sequences" and field.endswith((".indptr.npy", ".item.npy")):
            chunks[field] = numpy.load(io.BytesIO(archive.extractfile(member).read()))
        elif table == "catalog" and field.endswith(".item_id.txt"):
            items += archive.extractfile(member).read().count(b"\n")
    for name in sorted(chunks):
        if name.endswith(".indptr.npy"):
            indptr, item = chunks[name], chunks[name.replace("indptr", "item")]
            users += [item[a:b] for a, b in zip(indptr, indptr[1:])]
    return [u[:-2] if len(u) > 2 else u for u in users], items


def peer(stream, config_path, setting):
    """Answers numbers of steps, as tests/bench/train.c does."""
    import numpy
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    torch.set_num_threads(THREADS)
    config = json.load(open(config_path))
    length, d, p = config["max_length"], 64, config["dropout"]
    users, n_items = sequences(stream)
    users = [u[-(length + 1):] for u in users if len(u) > 1]

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention_norm, self.ffn_norm = nn.LayerNorm(d, eps=1e-8), nn.LayerNorm(d, eps=1e-8)
            self.q, self.kv, self.out = nn.Linear(d, d), nn.Linear(d, 2 * d), nn.Linear(d, d)
            self.ffn = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Dropout(p), nn.Linear(d, d), nn.Dropout(p))

        def forward(self, x, rows, length):
            def padded(y):
                return torch.zeros(BATCH * length, d, dtype=y.dtype).index_copy(0, rows, y).view(BATCH, 1, length, d)

            q = self.attention_norm(x)
            k, v = self.kv(x).chunk(2, -1)
            seen = F.scaled_dot_product_attention(padded(self.q(q)), padded(k), padded(v), is_causal=True,
                                                  dropout_p=p if self.training else 0.0)
            x = self.ffn_norm(q + self.out(seen.reshape(-1, d)[rows]))
            return x + self.ffn(x)

    class SASRec(nn.Module):
        def __init__(self):
            super().__init__()
            self.items, self.positions = nn.Embedding(n_items + 1, d, padding_idx=0), nn.Embedding(length, d)
            self.blocks, self.norm, self.dropout = nn.ModuleList([Block(), Block()]), nn.LayerNorm(d, eps=1e-8), nn.Dropout(p)

        def forward(self, items, rows, length):
            x = self.dropout(self.items(items) * d ** 0.5 + self.positions(rows % length))
            for block in self.blocks:
                x = block(x, rows, length)
            return self.norm(x)

    class GRU(nn.Module):
        def __init__(self):
            super().__init__()
            self.items, self.gru = nn.Embedding(n_items + 1, d, padding_idx=0), nn.GRU(d, d, batch_first=True)
            self.dropout = nn.Dropout(p)

        def forward(self, items, rows, length):
            padded = torch.zeros(BATCH * length, dtype=items.dtype).index_copy(0, rows, items).view(BATCH, length)
            return self.gru(self.dropout(self.items(padded)))[0].reshape(-1, d)[rows]

    model = {"sasrec": SASRec, "gru": GRU}[config["architecture"]]()
    for parameter in model.items.parameters():
        nn.init.normal_(parameter, std=0.02)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def loss_of(items, targets, rows, length):
        """Items and targets of real positions, and where these are among users x length."""
        return F.cross_entropy(model(items, rows, length) @ model.items.weight.T, targets)

    if setting.endswith("compiled"):
        loss_of = torch.compile(loss_of, dynamic=True)
    at = 0
    print(len(users), sum(len(u) - 1 for u in users), n_items,
          sum(t * (t + 1) // 2 for u in users for t in [len(u) - 1]), flush=True)
    for line in sys.stdin:
        started, clock, total, positions = time.perf_counter(), time.process_time(), 0.0, 0
        for _ in range(int(line)):
            inputs, targets = numpy.zeros((BATCH, length), numpy.int64), numpy.zeros((BATCH, length), numpy.int64)
            for row in range(BATCH):
                user = users[(at + row) % len(users)]
                inputs[row, :len(user) - 1], targets[row, :len(user) - 1] = user[:-1] + 1, user[1:] + 1
            at += BATCH
            longest = int((targets > 0).sum(1).max())
            inputs, targets = torch.from_numpy(inputs[:, :longest]).flatten(), torch.from_numpy(targets[:, :longest]).flatten()
            rows = targets.nonzero().squeeze(1)
            with torch.autocast("cpu", torch.bfloat16, enabled=setting.startswith("bf16")):
                loss = loss_of(inputs[rows], targets[rows], rows, longest)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(rows)
            positions += len(rows)
        print(time.perf_counter() - started, time.process_time() - clock, positions, total / positions,
              resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


def operations(config, users, positions, n_items, pairs, d=64):
    """Of an epoch, forward and backward: matrices, attention over the real pairs, and the catalog's product."""
    if config["architecture"] == "gru":
        return 6 * positions * (6 * d * d + n_items * d)
    return 6 * positions * (2 * 6 * d * d + n_items * d) + 2 * 12 * pairs * d


def compare(what, stream, steps, config, folder, limit):
    path = f"{folder}/config.json"
    pathlib.Path(path).write_text(json.dumps(config))
    ours = {how: Program(os.environ["RECPIPE_BENCH"] + "/train", stream, path, BATCH, THREADS) for how in limit}
    sizes = []

    def start(setting):
        program = Program(sys.executable, __file__, "--peer", stream, path, setting, env=TUNED)
        sizes[:] = program.read()
        return program

    def ask(program):
        """Processor seconds of an epoch: a step has as many positions as its users have events."""
        seconds, clock, n, loss, memory = program.ask(steps)
        return seconds, clock / n * sizes[1], loss, memory

    best, theirs, tried = fastest(start, ask, limit)
    users, positions, n_items, pairs = sizes
    for how, program in ours.items():
        program.ask(how)
    runs = {name: [] for name in [*ours, "peer"]}
    for _ in range(ROUNDS + 1):  # the first is not counted
        for name, program in [*ours.items(), ("peer", theirs)]:
            runs[name].append(ask(program))
    for program in [*ours.values(), theirs]:
        program.end()
    epoch = {name: median(run[1:], 1) for name, run in runs.items()}
    print(f"{what}, an epoch; PyTorch, tried: " + ", ".join(f"{how} {took:.2f} s" for how, took in tried.items()))
    for how in ours:
        rate = operations(config, users, positions, n_items, pairs) / epoch[how] / 1e9
        print(f"  {'--precision ' + how + ', PyTorch ' + best:42} {epoch[how]:8.2f} s  {epoch['peer']:8.2f} s  "
              f"{epoch['peer'] / epoch[how]:6.2f}   {rate:5.0f} GF/s: {rate / limit[how]:.2f} of the limit")
        mine, other = runs[how][-1][3], runs["peer"][-1][3]
        print(f"  {'peak memory':42} {mine:8.0f} MB {other:8.0f} MB {other / mine:6.2f}", flush=True)


def main():
    try:
        import torch
    except ImportError:
        sys.exit(print("bench_train: skipped, no torch"))
    print(f"training beside PyTorch {torch.__version__}, {THREADS} threads, processor seconds")
    limit = limits()
    with tempfile.TemporaryDirectory() as folder:
        for what, data, steps, config in CASES:
            if len(sys.argv) > 1 and sys.argv[1] not in what:
                continue
            if not (DATA / data).is_dir():
                print(f"bench_train: {what}: skipped, no {DATA / data}")
                continue
            stream = f"{folder}/{data}.tar.zst"
            if not os.path.exists(stream):
                events, = (DATA / data).glob("events.*.zst")
                events = f"zstd -dcq {events} | {os.environ['RECPIPE_BIN']}/seq-tokenize -q -o {stream}"
                subprocess.run(["bash", "-o", "pipefail", "-c", events], check=True)
            compare(what, stream, steps, config, folder, limit)


if sys.argv[1:2] == ["--peer"]:
    peer(*sys.argv[2:])
else:
    main()
