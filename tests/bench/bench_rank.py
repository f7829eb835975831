#!/usr/bin/env python3
"""Exact top 10 of 1,000,000 x 64 beside FAISS's flat index, in turns in one run, the same threads, medians of five.

Prints: what, ours, peer, ratio (above 1: ours is faster). The two rankings are compared item by item.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

try:
    import faiss
    import numpy as np
except ImportError as missing:
    sys.exit(print(f"bench_rank: skipped, no {missing.name}"))

N, WIDTH, K, QUERIES, ONE_BY_ONE = 1_000_000, 64, 10, 1000, 100
THREADS = len(os.sched_getaffinity(0))


class Ours:
    """tests/bench/rank.c with the vectors loaded, timing on command."""

    def __init__(self, folder, name, items, queries):
        self.top = f"{folder}/{name}.top"
        queries.tofile(f"{folder}/{name}")
        self.shape = (len(queries), K)
        self.process = subprocess.Popen(
            [os.environ["RECPIPE_BENCH"] + "/rank", items, f"{folder}/{name}", str(WIDTH), str(K)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seconds(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def answers(self):
        return np.fromfile(self.top, np.int32).reshape(self.shape)


def faiss_seconds(index, queries, step):
    started = time.perf_counter()
    answers = [index.search(queries[i:i + step], K) for i in range(0, len(queries), step)]
    seconds = time.perf_counter() - started
    return seconds, np.concatenate([items for _, items in answers]), np.concatenate([score for score, _ in answers])


def compare(what, ours, command, index, queries, step, times=5):
    ours.seconds(command)
    pairs = []
    for _ in range(times):
        seconds, items, _ = faiss_seconds(index, queries, step)
        pairs.append((ours.seconds(command), seconds))
    # Near ties may change places: FAISS rounds by its own blocks.
    differ = (ours.answers() != items).mean()
    mine, theirs = (statistics.median(side) for side in zip(*pairs))
    calls = len(queries) / step
    print(f"{what:42} {1000 * mine / calls:9.2f} ms {1000 * theirs / calls:9.2f} ms {theirs / mine:6.2f}"
          f"   ({len(queries) / mine:.0f} and {len(queries) / theirs:.0f} queries/s, {100 * differ:.2f} % differ)")
    assert differ < 0.001, "the rankings differ"


def main():
    rng = np.random.default_rng(1)
    faiss.omp_set_num_threads(THREADS)
    vectors = rng.standard_normal((N, WIDTH), dtype=np.float32)
    queries = rng.standard_normal((QUERIES, WIDTH), dtype=np.float32)
    index = faiss.IndexFlatIP(WIDTH)
    index.add(vectors)
    print(f"top {K} of {N:,} x {WIDTH}, {THREADS} threads, FAISS {faiss.__version__} ({faiss.get_compile_options().strip()})")
    with tempfile.TemporaryDirectory() as folder:
        vectors.tofile(f"{folder}/items")
        many = Ours(folder, "many", f"{folder}/items", queries)
        compare(f"{QUERIES} queries at once", many, "many", index, queries, QUERIES)
        many.process.kill()
        one = Ours(folder, "one", f"{folder}/items", queries[:ONE_BY_ONE])
        compare("a query at a time", one, "one", index, queries[:ONE_BY_ONE], 1)
        one.process.kill()


if __name__ == "__main__":
    main()
