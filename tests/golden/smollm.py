#!/usr/bin/env python3
"""A real language model beside Hugging Face's transformers, on item titles: smollm.py MODEL.gguf ITEMS.csv [N]

The same dequantised weights in both. Prints the largest difference of logits relative to the largest logit, the share of
titles whose next token after the title is the same, the share of all positions likewise, and mean NLL of both. Needs torch,
transformers, gguf; RECPIPE_BENCH names the folder of bench/llm (make build/bench/llm)."""
import csv
import os
import subprocess
import sys
import tempfile

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

torch.set_num_threads(1)
path, items, n = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 200
source = dict(pretrained_model_name_or_path=os.path.dirname(os.path.abspath(path)), gguf_file=os.path.basename(path))
tokenizer, model = AutoTokenizer.from_pretrained(**source), AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32).eval()
with open(items, newline="") as file:
    rows = csv.DictReader(file)
    titles = [row["title"] for row in rows if row.get("title", "").strip()][:n]
texts = [ids for title in titles if len(ids := tokenizer(title, add_special_tokens=False)["input_ids"]) > 1]

with tempfile.TemporaryDirectory() as folder:
    with open(f"{folder}/requests", "w") as file:
        file.writelines(f"score {folder}/logits {' '.join(map(str, ids))}\n" for ids in texts)
    command = [os.environ.get("RECPIPE_BENCH", "build/bench") + "/llm", path, "1", "256"]
    with open(f"{folder}/requests") as file, subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, text=True) as program:
        with torch.no_grad():
            theirs = [model(torch.tensor([ids])).logits[0] for ids in texts]
        ours = program.stdout.read().splitlines()
    logits = numpy.fromfile(f"{folder}/logits", numpy.float32).reshape(len(texts), -1)

worst, last_same, same, positions, sums = 0.0, 0, 0, 0, [0.0, 0.0]
for ids, line, row, scores in zip(texts, ours, logits, theirs, strict=True):
    nll, *best = line.split()
    worst = max(worst, float((scores[-1] - torch.from_numpy(row)).abs().max() / scores[-1].abs().max()))
    top = scores.argmax(1).tolist()
    last_same += top[-1] == int(best[-1])
    same += sum(a == int(b) for a, b in zip(top, best))
    positions += len(ids)
    sums[0] += float(nll)
    sums[1] += float(torch.nn.functional.cross_entropy(scores[:-1].double(), torch.tensor(ids[1:]), reduction="sum"))
predicted = positions - len(texts)
print(f"{len(texts)} titles, {positions} tokens")
print(f"logits: largest difference {worst:.2e} of the largest logit")
print(f"most probable token: the same after {last_same} of {len(texts)} titles, at {same} of {positions} positions")
print(f"mean NLL: {sums[0] / predicted:.6f}, transformers' {sums[1] / predicted:.6f}, difference {abs(sums[0] - sums[1]) / predicted:.1e}")
