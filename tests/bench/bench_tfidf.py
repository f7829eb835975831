#!/usr/bin/env python3
"""item-project --from tfidf beside scikit-learn's TfidfVectorizer and TruncatedSVD (its defaults: randomised, 5
iterations), 300 dimensions, one thread each, in turns in one run, medians of three.

Ours is the whole tool, from stream to stream; theirs is fit_transform alone, on texts in memory. Prints: what, ours,
peer, ratio (above 1: ours is faster), then the peak memory of both processes, and the share of the matrix's sum of
squares that each holds.
"""
import csv
import html
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

try:
    from sklearn import __version__
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
except ImportError as missing:
    sys.exit(print(f"bench_tfidf: skipped, no {missing.name}"))

ROOT = os.path.dirname(os.path.abspath(__file__)) + "/../.."
DATA = os.environ.get("RECPIPE_DATA", ROOT + "/../shared/data")
WIDTH = 300


def theirs(path):
    """In a process of its own."""
    with open(path, newline="", encoding="utf-8") as file:
        texts = [html.unescape(" ".join(row[1:])) for row in csv.reader(file)][1:]
    started = time.perf_counter()
    matrix = TfidfVectorizer(sublinear_tf=True, token_pattern=r"[^\W_]+").fit_transform(texts)
    vectors = TruncatedSVD(WIDTH, random_state=1).fit_transform(matrix)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "share": (vectors ** 2).sum() / (matrix.data ** 2).sum(),
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def ours(stream, out):
    started = time.perf_counter()
    subprocess.run([os.environ["RECPIPE_BIN"] + "/item-project", "-q", "-j1", "--from", "tfidf", "--width", str(WIDTH),
                    stream, "-o", out], check=True)
    seconds = time.perf_counter() - started
    record = json.loads(subprocess.check_output(["tar", "--zstd", "-xOf", out, "log/01-item-project.json"]))
    return {"seconds": seconds, "share": record["share_of_squares"], "memory": record["peak_memory_mib"]}


def compare(name, folder):
    items = f"{DATA}/{name}/items.csv"
    events = next(f"{DATA}/{name}/{file}" for file in sorted(os.listdir(f"{DATA}/{name}")) if file.startswith("events"))
    stream = folder + "/items.tar.zst"
    subprocess.run([os.environ["RECPIPE_BIN"] + "/seq-tokenize", "-q", "--items", items, events, "-o", stream], check=True)
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    pairs = []
    for _ in range(3):
        peer = json.loads(subprocess.check_output([sys.executable, __file__, "--peer", items], env=environment))
        pairs.append((ours(stream, folder + "/out.tar.zst"), peer))
    mine, peer = ({key: statistics.median(run[key] for run in side) for key in side[0]} for side in zip(*pairs))
    print(f"{name + ', TF-IDF and SVD':42} {mine['seconds']:9.2f} s {peer['seconds']:9.2f} s "
          f"{peer['seconds'] / mine['seconds']:6.2f}   ({mine['memory']:.0f} and {peer['memory']:.0f} MiB; "
          f"{100 * mine['share']:.2f} and {100 * peer['share']:.2f} % of the squares)")


def main():
    print(f"{WIDTH} dimensions, 1 thread, scikit-learn {__version__}")
    with tempfile.TemporaryDirectory() as folder:
        for name in "scientific", "beauty":
            if os.path.exists(f"{DATA}/{name}/items.csv"):
                compare(name, folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        print(json.dumps(theirs(sys.argv[2])))
    else:
        main()
