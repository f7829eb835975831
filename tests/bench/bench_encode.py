#!/usr/bin/env python3
"""item-project --from encoder beside sentence-transformers on PyTorch, one thread each, in turns in one run, medians of
three rounds: 1,000 titles of scientific (TITLES), by the encoder whose folder ENCODER names.

Both encode 32 titles at a time, those of like length together. Measured is processor time, which other work on the
machine changes little. Ours is the whole tool, from stream to stream, its tokenizer and the reading of its weights
included; theirs is encode() alone, with all in memory. Prints: precision, ours, peer, ratio (above 1: ours is faster), then
the peak memory of both processes, and the smallest and the mean cosine between the vectors of both.
"""
import csv
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = os.path.dirname(os.path.abspath(__file__)) + "/../.."
DATA = os.environ.get("RECPIPE_DATA", ROOT + "/../shared/data")
ENCODER = os.environ.get("ENCODER", "")
TITLES = int(os.environ.get("TITLES", 1000))
ROUNDS = int(os.environ.get("ROUNDS", 3))
PRECISIONS = "f32", "split", "bf16"


def make_stream(folder):
    """The titles and their stream, an event for each item so that all are in it and in this order."""
    with open(f"{DATA}/scientific/items.csv", newline="", encoding="utf-8") as file:
        titles = [title for title in (" ".join(row["title"].split()) for row in csv.DictReader(file)) if title][:TITLES]
    with open(folder + "/items.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["item_id", "title"], *enumerate(titles)])
    with open(folder + "/events.csv", "w", encoding="utf-8") as file:
        file.write("user_id,item_id,timestamp\n" + "".join(f"{i // 3},{i},{i}\n" for i in range(len(titles))))
    subprocess.run([os.environ["RECPIPE_BIN"] + "/seq-tokenize", "-q", "--keep-entities", "--normal-form", "none", "--items",
                    folder + "/items.csv", folder + "/events.csv", "-o", folder + "/titles.tar.zst"], check=True)
    return titles


def peer(vectors_file):
    """In a process of its own: reads the titles, then encodes them whenever it is asked to."""
    import numpy
    import torch
    from sentence_transformers import SentenceTransformer
    torch.set_num_threads(1)
    encoder = SentenceTransformer(ENCODER, device="cpu")
    titles = json.loads(sys.stdin.readline())
    encoder.encode(titles[:32], show_progress_bar=False)
    for _ in sys.stdin:
        started = time.process_time()
        vectors = encoder.encode(titles, show_progress_bar=False)
        seconds = time.process_time() - started
        numpy.save(vectors_file, vectors)
        print(json.dumps({"seconds": seconds, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), flush=True)


def ours(precision, folder):
    out = f"{folder}/{precision}.tar.zst"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([os.environ["RECPIPE_BIN"] + "/item-project", "-q", "-j1", "--from", "encoder", "--encoder", ENCODER, "--template",
                    "{title}", "--precision", precision, folder + "/titles.tar.zst", "-o", out], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    record = json.loads(subprocess.check_output(["tar", "--zstd", "-xOf", out, "log/01-item-project.json"]))
    return {"seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "memory": record["peak_memory_mib"],
            "ran": f"{record['instructions']}, {record['precision']}"}


def vectors_of(stream):
    import numpy
    with tarfile.open(fileobj=io.BytesIO(subprocess.check_output(["zstd", "-dqc", stream]))) as tar:
        return numpy.concatenate([numpy.load(io.BytesIO(tar.extractfile(member).read())) for member in tar
                                  if member.name.startswith("embedding/") and member.name.endswith(".vector.npy")])


def measure(folder):
    titles = make_stream(folder)
    environment = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    process = subprocess.Popen([sys.executable, __file__, folder + "/peer.npy"], env=environment, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    print(json.dumps(titles), file=process.stdin, flush=True)
    runs = {name: [] for name in (*PRECISIONS, "peer")}
    for _ in range(ROUNDS):
        for precision in PRECISIONS:
            runs[precision].append(ours(precision, folder))
        print("again", file=process.stdin, flush=True)
        runs["peer"].append(json.loads(process.stdout.readline()))
    process.stdin.close()
    process.wait()
    return runs, len(titles)


def main():
    if not os.path.isdir(ENCODER) or not os.path.exists(f"{DATA}/scientific/items.csv"):
        return print("bench_encode: skipped, ENCODER names no folder, or scientific is not there")
    try:
        import numpy
        import sentence_transformers
        import torch
    except ImportError as missing:
        return print(f"bench_encode: skipped, no {missing.name}")
    with tempfile.TemporaryDirectory() as folder:
        runs, n = measure(folder)
        print(f"{n:,} titles, sentence-transformers {sentence_transformers.__version__}, PyTorch {torch.__version__}")
        theirs = numpy.load(folder + "/peer.npy")
        other = {key: statistics.median(run[key] for run in runs["peer"]) for key in ("seconds", "memory")}
        for precision in PRECISIONS:
            seconds, memory = (statistics.median(run[key] for run in runs[precision]) for key in ("seconds", "memory"))
            mine = vectors_of(f"{folder}/{precision}.tar.zst")
            cosines = (mine * theirs).sum(1) / numpy.linalg.norm(mine, axis=1) / numpy.linalg.norm(theirs, axis=1)
            print(f"{precision:6} {seconds:7.2f} s {other['seconds']:7.2f} s {other['seconds'] / seconds:6.2f}   {memory:.0f} MiB "
                  f"{other['memory']:.0f} MiB   cosine {cosines.min():.7f} {cosines.mean():.7f}   ({runs[precision][0]['ran']})")


if __name__ == "__main__":
    peer(sys.argv[1]) if sys.argv[1:] else main()
