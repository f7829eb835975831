#!/usr/bin/env python3
"""kills.py INPUTS [--kills N] [--trainings A,B] [--seed N]: trainings killed at any moment and resumed give the bytes of one that ran through."""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import cases

TRAININGS = {
    "sasrec -j1": ("seq-train", "--epochs 60 --patience 99 --hidden-size 32 {in}/data.tar.zst", 1),
    "sasrec -j2": ("seq-train", "--epochs 60 --patience 99 --hidden-size 32 {in}/data.tar.zst", 2),
    "gru": ("seq-train", "--arch gru --loss sampled --negatives 5 --epochs 60 --patience 99 {in}/data.tar.zst", 1),
    "recformer": ("seq-train", "--task pretrain --size tiny --epochs 3 --batch-size 4 --max-tokens 32 {in}/data.tar.zst", 1),
    "table": ("emb-align-train", "--projector table --epochs 40 --max-tokens 8 {in}/llm.tar.zst", 1),
    "mlp": ("emb-align-train", "--projector mlp --hidden-size 32 --epochs 40 --max-tokens 8 {in}/llm.tar.zst", 2),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("inputs")
    parser.add_argument("--kills", type=int, default=40, help="of each training")
    parser.add_argument("--trainings", default=",".join(TRAININGS))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    folder = cases.Folder(options.inputs)
    for name in options.trainings.split(","):
        tool, text, threads = TRAININGS[name]
        arguments = text.replace("{in}", folder.inputs).split()
        folder.clear()
        began = time.time()
        want = folder.run(tool, arguments, threads=threads)[2]
        seconds = time.time() - began
        state = ["--checkpoint", "state", "--checkpoint-every", "0", "--resume"]
        command = [f"{cases.BIN}/{tool}", "-q", "--no-history", f"-j{threads}", *arguments, *state, "-o", "out"]
        kills = 0
        while kills < options.kills:
            folder.clear()
            for _ in range(4):
                process = subprocess.Popen(command, cwd=folder.path, env=cases.ENVIRONMENT, stderr=subprocess.DEVNULL)
                time.sleep(chance.uniform(0.01, seconds))
                process.send_signal(signal.SIGKILL)
                if process.wait() == 0 or os.path.exists(f"{folder.path}/out"):
                    break
                kills += 1
            folder.judge(f"{name}, after {kills} kills", folder.run(tool, [*arguments, *state], threads=threads), want)
        folder.tell(f"{name}, {kills} kills")
    shutil.rmtree(folder.path)
    sys.exit(folder.bad > 0)


main()
