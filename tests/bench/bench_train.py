#!/usr/bin/env python3
"""Epochs of training beside PyTorch: same model, batches, loss and threads, in turns in one run, medians of five.

The peer is a clean padded implementation as people write it: logits of every padded position, the loss ignoring what is
padding. "selecting" is the same made faster by hand: logits at real positions only. Prints: what, ours, peer, ratio
(above 1: ours is faster); peak memory of both; the share of the machine's sgemm rate that ours reaches.
"""
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

THREADS = len(os.sched_getaffinity(0))
BATCH, ROUNDS = 128, 5
DATA = pathlib.Path(os.environ.get("RECPIPE_DATA", "../../../shared/data"))
SASREC = dict(architecture="sasrec", norm="original", num_attention_heads=1, dropout=0.2)
GRU = dict(architecture="gru", dropout=0.2)
CASES = [  # what, data, steps a round, config, whether the peer selects real positions before the logits
    ("SASRec, ml-1m, d 64, length 200", "ml-1m", 2, dict(SASREC, max_length=200), False),
    ("SASRec, ml-1m, selecting", "ml-1m", 3, dict(SASREC, max_length=200), True),
    ("SASRec, beauty, d 64, length 50", "beauty", 5, dict(SASREC, max_length=50), False),
    ("SASRec, beauty, selecting", "beauty", 5, dict(SASREC, max_length=50), True),
    ("GRU, ml-1m, selecting", "ml-1m", 3, dict(GRU, max_length=200), True),
    ("GRU, beauty, selecting", "beauty", 5, dict(GRU, max_length=50), True),
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


def peer(stream, config_path, selecting):
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

        def forward(self, x):
            q = self.attention_norm(x)
            k, v = self.kv(x).chunk(2, -1)
            heads = lambda y: y.unsqueeze(1)
            seen = F.scaled_dot_product_attention(heads(self.q(q)), heads(k), heads(v), is_causal=True,
                                                  dropout_p=p if self.training else 0.0)
            x = self.ffn_norm(q + self.out(seen.squeeze(1)))
            return x + self.ffn(x)

    class SASRec(nn.Module):
        def __init__(self):
            super().__init__()
            self.items, self.positions = nn.Embedding(n_items + 1, d, padding_idx=0), nn.Embedding(length, d)
            self.blocks, self.norm, self.dropout = nn.Sequential(Block(), Block()), nn.LayerNorm(d, eps=1e-8), nn.Dropout(p)

        def forward(self, items):
            x = self.dropout(self.items(items) * d ** 0.5 + self.positions.weight)
            return self.norm(self.blocks(x))

    class GRU(nn.Module):
        def __init__(self):
            super().__init__()
            self.items, self.gru = nn.Embedding(n_items + 1, d, padding_idx=0), nn.GRU(d, d, batch_first=True)
            self.dropout = nn.Dropout(p)

        def forward(self, items):
            return self.gru(self.dropout(self.items(items)))[0]

    model = {"sasrec": SASRec, "gru": GRU}[config["architecture"]]()
    for parameter in model.items.parameters():
        nn.init.normal_(parameter, std=0.02)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
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
            inputs, targets = torch.from_numpy(inputs), torch.from_numpy(targets)
            real = targets > 0
            if selecting == "selecting":
                loss = F.cross_entropy(model(inputs)[real] @ model.items.weight.T, targets[real])
            else:
                loss = F.cross_entropy((model(inputs) @ model.items.weight.T).flatten(0, 1), targets.flatten(), ignore_index=0)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * int(real.sum())
            positions += int(real.sum())
        print(time.perf_counter() - started, time.process_time() - clock, positions, total / positions,
              resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


class Program:
    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read(self):
        return [float(word) for word in self.process.stdout.readline().split()]

    def ask(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.read()


def operations(config, users, positions, n_items, pairs, d=64):
    """Of an epoch, forward and backward: matrices, attention over the real pairs, and the catalog's product."""
    if config["architecture"] == "gru":
        return 6 * positions * (6 * d * d + n_items * d)
    return 6 * positions * (2 * 6 * d * d + n_items * d) + 2 * 12 * pairs * d


def compare(what, stream, steps, config, selecting, folder):
    path = f"{folder}/config.json"
    pathlib.Path(path).write_text(json.dumps(config))
    ours, sgemm = (Program(os.environ["RECPIPE_BENCH"] + "/train", stream, path, str(BATCH), str(THREADS)) for _ in range(2))
    theirs = Program(sys.executable, __file__, "--peer", stream, path, "selecting" if selecting else "all")
    users, positions, n_items, pairs = theirs.read()
    for program in ours, theirs:
        program.ask(1)
    rates, runs = [], ([], [])
    for _ in range(ROUNDS):
        for program, run in zip((ours, theirs), runs):
            run.append(program.ask(steps))
        rates += sgemm.ask("sgemm")
    epoch = [statistics.median(seconds / n for seconds, _, n, _, _ in run) * positions for run in runs]
    print(f"{what + ', an epoch':44} {epoch[0]:8.2f} s  {epoch[1]:8.2f} s  {epoch[1] / epoch[0]:6.2f}")
    print(f"{'  peak memory':44} {runs[0][-1][4]:8.0f} MB {runs[1][-1][4]:8.0f} MB {runs[1][-1][4] / runs[0][-1][4]:6.2f}")
    rate = operations(config, users, positions, n_items, pairs) / epoch[0] / 1e9
    print(f"{'  rate, and share of sgemm at 1024^3':44} {rate:8.0f} GF/s {statistics.median(rates):6.0f} GF/s "
          f"{rate / statistics.median(rates):6.2f}", flush=True)


def main():
    try:
        import torch
    except ImportError:
        sys.exit(print("bench_train: skipped, no torch"))
    print(f"training beside PyTorch {torch.__version__}, {THREADS} threads")
    with tempfile.TemporaryDirectory() as folder:
        for what, data, steps, config, selecting in CASES:
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
            compare(what, stream, steps, config, selecting, folder)


if sys.argv[1:2] == ["--peer"]:
    peer(*sys.argv[2:])
else:
    main()
