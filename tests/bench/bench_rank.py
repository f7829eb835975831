#!/usr/bin/env python3
"""Exact top 10 of 1,000,000 x 64 beside FAISS's flat index, in turns in one run, the same threads, medians of five of
processor time (of one thread: taskset -c 0).

FAISS is at its best: one product for all queries from 20 of them on, where its default waits for 128,000, and the
kernels of AVX-512, where the processor has it, which the OpenBLAS of its wheel does not choose for newer processors.

Prints: what, ours, peer, ratio (above 1: ours is faster). The two rankings are compared item by item. "with targets" counts what
is above an item for each query too, some of the best ones, some in the middle, as a trained model's are, or any, as those of
a model that has learned little; the peer's time is that without. The last line is the tool itself, with such a model: a user
takes the time of its history through the model besides.
"""
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

with open("/proc/cpuinfo", encoding="ascii") as cpuinfo:
    if " avx512dq " in cpuinfo.read():
        os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")  # before it is loaded

from bench_serve import TOOLS, make_model

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
        self.top, self.greater = f"{folder}/{name}.top", f"{folder}/{name}.greater"
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
    started = time.process_time()
    answers = [index.search(queries[i:i + step], K) for i in range(0, len(queries), step)]
    seconds = time.process_time() - started
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


def choose_targets(rng, vectors, queries):
    """The best of so many at random: places in the ranking whose logarithms are evenly spread."""
    targets = []
    for query in queries:
        some = rng.integers(0, N, int(N ** rng.random()))
        targets.append(some[np.argmax(vectors[some] @ query)])
    return np.array(targets, np.int32)


def check_counts(ours, vectors, queries, targets):
    """In f64: what f32 cannot tell from the target may be counted or not."""
    counted = np.fromfile(ours.greater, np.int32)
    for i in range(0, len(queries), 50):
        ahead = vectors.astype(np.float64) @ queries[i] - vectors[targets[i]].astype(np.float64) @ queries[i]
        assert (ahead > 1e-4).sum() <= counted[i] <= (ahead > -1e-4).sum(), "the counts are wrong"


def rank_with_tool(folder):
    """Processor seconds that seq-rank takes for one user more, and for all but users."""
    model = make_model(folder, N)
    took = {}
    for users, shard in (1000, "1/20"), (5000, "1/4"):
        runs = []
        for _ in range(3):
            started = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([TOOLS + "seq-rank", "-q", "--no-history", "-k", str(K), "--shard", shard, "-o", f"{folder}/ranking",
                            model], check=True)
            ended = resource.getrusage(resource.RUSAGE_CHILDREN)
            runs.append(ended.ru_utime + ended.ru_stime - started.ru_utime - started.ru_stime)
        took[users] = statistics.median(runs)
    each = (took[5000] - took[1000]) / 4000
    return each, took[1000] - 1000 * each


def main():
    rng = np.random.default_rng(1)
    faiss.omp_set_num_threads(THREADS)
    faiss.cvar.distance_compute_blas_threshold = 20
    vectors = rng.standard_normal((N, WIDTH), dtype=np.float32)
    queries = rng.standard_normal((QUERIES, WIDTH), dtype=np.float32)
    index = faiss.IndexFlatIP(WIDTH)
    index.add(vectors)
    print(f"top {K} of {N:,} x {WIDTH}, {THREADS} threads, FAISS {faiss.__version__} ({faiss.get_compile_options().strip()})")
    with tempfile.TemporaryDirectory() as folder:
        vectors.tofile(f"{folder}/items")
        many = Ours(folder, "many", f"{folder}/items", queries)
        compare(f"{QUERIES} queries at once", many, "many", index, queries, QUERIES)
        targets = choose_targets(rng, vectors, queries)
        targets.tofile(f"{folder}/many.targets")
        compare(f"{QUERIES} queries at once, with targets", many, "counts", index, queries, QUERIES)
        check_counts(many, vectors, queries, targets)
        rng.integers(0, N, QUERIES, np.int32).tofile(f"{folder}/many.targets")
        compare(f"{QUERIES} queries at once, with any targets", many, "counts", index, queries, QUERIES)
        many.process.kill()
        one = Ours(folder, "one", f"{folder}/items", queries[:ONE_BY_ONE])
        compare("a query at a time", one, "one", index, queries[:ONE_BY_ONE], 1)
        pairs = [(one.seconds("one"), one.seconds("read")) for _ in range(5)]
        ranking, reading = (statistics.median(side) / ONE_BY_ONE for side in zip(*pairs))
        print(f"a query at a time, and reading its bytes   {1000 * ranking:9.2f} ms {1000 * reading:9.2f} ms {ranking / reading:6.2f}"
              "   (times the limit of memory)")
        one.process.kill()
        each, rest = rank_with_tool(folder)
        print(f"seq-rank, with targets, a user more        {1000 * each:9.2f} ms   ({rest:.1f} s to load and begin)")


if __name__ == "__main__":
    main()
