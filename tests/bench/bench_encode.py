#!/usr/bin/env python3
"""item-project --from encoder beside sentence-transformers on PyTorch (without it, transformers' forward pass and the mean of
its states), one thread each, in turns in one run, medians of three ($ROUNDS): 1,000 titles of scientific ($TITLES), by the
encoder whose folder ENCODER names.

Both encode titles of like length together; the peer so many at a time as it is fastest with, in floats, in bf16 where the
processor has instructions for it, or with its layers compiled. Measured is processor time, which other work on the machine
changes little. Ours is the whole tool, from stream to stream, its tokenizer and the reading of its weights included; theirs is
encode() alone, with all in memory. Prints: precision, ours, peer, ratio (above 1: ours is faster), then the peak memory of both
processes, and the smallest and the mean cosine between our vectors and the peer's in floats.
"""
import csv
import io
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time

from turns import ROUNDS, TUNED, Program, fastest, limits, median

ROOT = os.path.dirname(os.path.abspath(__file__)) + "/../.."
DATA = os.environ.get("RECPIPE_DATA", ROOT + "/../shared/data")
ENCODER = os.environ.get("ENCODER", "")
TITLES = int(os.environ.get("TITLES", 1000))
BATCHES = 8, 16, 32, 64


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


class Transformers:
    """As sentence-transformers do it."""

    def __init__(self, folder):
        from transformers import AutoModel, AutoTokenizer
        self.tokenizer, self.auto_model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    def __getitem__(self, module):
        return self

    def bfloat16(self):
        self.auto_model.bfloat16()

    def encode(self, texts, batch_size, show_progress_bar):
        import torch
        order, vectors = sorted(range(len(texts)), key=lambda i: -len(texts[i])), [None] * len(texts)
        with torch.inference_mode():
            for at in range(0, len(order), batch_size):
                batch = order[at:at + batch_size]
                inputs = self.tokenizer([texts[i] for i in batch], padding=True, truncation=True, return_tensors="pt")
                real = inputs["attention_mask"][..., None]
                mean = (self.auto_model(**inputs).last_hidden_state * real).sum(1) / real.sum(1)
                for i, vector in zip(batch, torch.nn.functional.normalize(mean).float().numpy()):
                    vectors[i] = vector
        return vectors


def peer(titles_file, vectors_file, setting):
    """In a process of its own: finds its best batch, then encodes whenever it is asked to."""
    import numpy
    import torch
    torch.set_num_threads(1)
    try:
        from sentence_transformers import SentenceTransformer
        encoder = SentenceTransformer(ENCODER, device="cpu")
    except ImportError:
        encoder = Transformers(ENCODER)
    if setting.startswith("bf16"):
        encoder.bfloat16()
    if setting.endswith("compiled"):  # a layer once for all of them
        for layer in encoder[0].auto_model.encoder.layer:
            layer.compile(dynamic=True)
    with open(titles_file, encoding="utf-8") as file:
        titles = json.load(file)

    def encode(texts, batch):
        started, clock = time.perf_counter(), time.process_time()
        vectors = encoder.encode(texts, batch_size=batch, show_progress_bar=False)
        return time.perf_counter() - started, time.process_time() - clock, vectors

    encode(titles[:128], 64)
    batch = min(BATCHES, key=lambda batch: encode(titles[::4], batch)[1])
    for _ in sys.stdin:
        seconds, clock, vectors = encode(titles, batch)
        print(seconds, clock, batch, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
        numpy.save(vectors_file, vectors)


def ours(precision, folder):
    out = f"{folder}/{precision}.tar.zst"
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([os.environ["RECPIPE_BIN"] + "/item-project", "-q", "-j1", "--from", "encoder", "--encoder", ENCODER, "--template",
                    "{title}", "--precision", precision, folder + "/titles.tar.zst", "-o", out], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    record = json.loads(subprocess.check_output(["tar", "--zstd", "-xOf", out, "log/01-item-project.json"]))
    return (time.perf_counter() - started, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            f"{record['instructions']}, {record['precision']}", record["peak_memory_mib"])


def vectors_of(stream):
    import numpy
    with tarfile.open(fileobj=io.BytesIO(subprocess.check_output(["zstd", "-dqc", stream]))) as tar:
        return numpy.concatenate([numpy.load(io.BytesIO(tar.extractfile(member).read())) for member in tar
                                  if member.name.startswith("embedding/") and member.name.endswith(".vector.npy")])


def measure(folder, limit):
    titles = make_stream(folder)
    with open(folder + "/titles.json", "w", encoding="utf-8") as file:
        json.dump(titles, file)
    environment = dict(TUNED, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    best, theirs, tried = fastest(
        lambda setting: Program(sys.executable, __file__, "--peer", folder + "/titles.json", f"{folder}/{setting}.npy", setting,
                                env=environment),
        lambda program: program.ask("go"), limit)
    runs = {name: [] for name in (*limit, "peer")}
    for _ in range(ROUNDS):
        for precision in limit:
            runs[precision].append(ours(precision, folder))
        runs["peer"].append(theirs.ask("go"))
    theirs.end()
    print(f"{len(titles):,} titles, {peer_name()}, {best}, {runs['peer'][0][2]:.0f} at a time; tried: "
          + ", ".join(f"{how} {took:.2f} s" for how, took in tried.items()))
    return runs


def peer_name():
    import torch
    try:
        import sentence_transformers
        return f"sentence-transformers {sentence_transformers.__version__}, PyTorch {torch.__version__}"
    except ImportError:
        import transformers
        return f"transformers {transformers.__version__}, PyTorch {torch.__version__}"


def main():
    if not os.path.isdir(ENCODER) or not os.path.exists(f"{DATA}/scientific/items.csv"):
        return print("bench_encode: skipped, ENCODER names no folder, or scientific is not there")
    try:
        import numpy
        import torch
        import transformers
    except ImportError as missing:
        return print(f"bench_encode: skipped, no {missing.name}")
    limit = limits()
    with tempfile.TemporaryDirectory() as folder:
        runs = measure(folder, limit)
        reference = numpy.load(folder + "/f32.npy")
        for precision in limit:
            (mine, theirs), (memory, other) = ([median(runs[name], field) for name in (precision, "peer")] for field in (1, 3))
            vectors = vectors_of(f"{folder}/{precision}.tar.zst")
            cosines = (vectors * reference).sum(1) / numpy.linalg.norm(vectors, axis=1) / numpy.linalg.norm(reference, axis=1)
            print(f"{precision:6} {mine:7.2f} s {theirs:7.2f} s {theirs / mine:6.2f}   {memory:.0f} MiB {other:.0f} MiB   "
                  f"cosine {cosines.min():.7f} {cosines.mean():.7f}   ({runs[precision][0][2]})")


if sys.argv[1:2] == ["--peer"]:
    peer(*sys.argv[2:])
else:
    main()
