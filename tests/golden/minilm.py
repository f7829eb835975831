#!/usr/bin/env python3
"""A published sentence encoder beside sentence-transformers, on item titles: minilm.py FOLDER ITEMS.csv [N]

Prints the smallest cosine, and the largest difference of a number, between the vectors of both; and the texts a second of
both on one thread. Needs sentence-transformers; RECPIPE_BIN names the folder of the tools."""
import csv
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time

import numpy
import torch
from sentence_transformers import SentenceTransformer

torch.set_num_threads(1)
path, items, n = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 500
tool = os.environ.get("RECPIPE_BIN", "build/bin")
with open(items, newline="") as file:
    titles = [" ".join(row["title"].split()) for row in csv.DictReader(file) if row.get("title", "").strip()][:n]
with tempfile.TemporaryDirectory() as folder:
    with open(f"{folder}/items.csv", "w", newline="") as file:
        csv.writer(file).writerows([["item_id", "title"]] + [[f"i{i}", title] for i, title in enumerate(titles)])
    with open(f"{folder}/events.csv", "w") as file:
        file.writelines(["user_id,item_id,timestamp\n"] + [f"u{i // 3},i{i},{i}\n" for i in range(len(titles))])
    subprocess.run([f"{tool}/seq-tokenize", "-q", "--items",
                    f"{folder}/items.csv", f"{folder}/events.csv", "-o", f"{folder}/shop.tar.zst"], check=True)
    run = subprocess.run([f"{tool}/item-project", "-j1", "--from", "encoder", "--encoder", path, "--template", "{title}",
                          f"{folder}/shop.tar.zst", "-o", f"{folder}/out.tar.zst"], check=True, stderr=subprocess.PIPE, text=True)
    print(run.stderr.strip())
    data = subprocess.run(["zstd", "-dqc", f"{folder}/out.tar.zst"], check=True, stdout=subprocess.PIPE).stdout
ours, ids, texts = [], [], []
with tarfile.open(fileobj=io.BytesIO(data), ignore_zeros=True) as tar:
    for member in tar:
        if member.name.startswith("embedding/") and member.name.endswith("vector.npy"):
            ours.append(numpy.load(io.BytesIO(tar.extractfile(member).read())))
        if member.name.startswith("catalog/") and member.name.endswith("item_id.txt"):
            ids += tar.extractfile(member).read().decode().split()
        if member.name.startswith("catalog/") and member.name.endswith("title.txt"):
            texts += tar.extractfile(member).read().decode().splitlines()
ours = numpy.concatenate(ours)
encoder = SentenceTransformer(path, device="cpu")
started = time.perf_counter()
theirs = encoder.encode(texts)
print(f"sentence-transformers: {len(ids) / (time.perf_counter() - started):.0f} texts a second")
cosine = (ours * theirs).sum(1) / numpy.linalg.norm(ours, axis=1) / numpy.linalg.norm(theirs, axis=1)
if os.environ.get("VERBOSE"):
    for i in cosine.argsort()[:5]:
        print(f"{cosine[i]:.6f} {texts[i]}")
print(f"{len(ids)} texts: smallest cosine {cosine.min():.8f}, largest difference {abs(ours - theirs).max():.2e}")
