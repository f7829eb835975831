#!/usr/bin/env python3
"""How time and memory grow with the data: each tool on 10, 100 and 1,000 thousand (and 10 million events), by one thread
and by two. Prints: what, size, then for each number of threads seconds, processor seconds, MB, and the exponents of the
latter two from the size before (1: ten times the data take ten times as long, 0: the same).

    growth.py [-n LARGEST] [WHAT...]      WHAT: names of rows, below; default all

Numbers of threads take turns, medians of three where a run is short. Processor seconds, as other programs on the machine
disturb them less.
"""
import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.abspath(__file__)) + "/../.."
BIN = os.environ.get("RECPIPE_BIN", ROOT + "/build/bin")
BENCH = os.environ.get("RECPIPE_BENCH", ROOT + "/build/bench")
SHORT = 10  # seconds; what takes longer runs once


def shell(command):
    subprocess.run(["bash", "-ec", "set -o pipefail; " + command], check=True)


def run(command):
    """Seconds, processor seconds and peak memory in MB of one process."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"growth: {' '.join(command)}: exit {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def log(n, order=""):
    """n events, 20 a user; of half as many items as users."""
    name = f"log{n}{order}.csv"
    if not os.path.exists(name):
        shell(f"{BENCH}/events {n} {max(1, n // 20)} {max(1, n // 40)} {order} >{name}")
    return name


def catalog(n):
    """A stream of n items and 5,000 users of 20 events."""
    name = f"items{n}.tar.zst"
    if not os.path.exists(name):
        shell(f"(echo item_id,title; seq -f 'i%07.0f,thing' 0 {n - 1}) >items.csv; {BENCH}/events 100000 5000 {n} sorted |"
              f" {BIN}/seq-tokenize -q --items items.csv -o {name}")
    return name


def model(n):
    name = f"model{n}.tar.zst"
    if not os.path.exists(name):
        shell(f"{BIN}/seq-train -q --epochs 1 --loss bce --set valid_users=1 {catalog(n)} -o {name}")
    return name


def ranking(n):
    name = f"ranking{n}.tar.zst"
    if not os.path.exists(name):
        shell(f"{BIN}/seq-tokenize -q --sorted {log(20 * n, 'sorted')} | {BIN}/seq-train -q --arch popular |"
              f" {BIN}/seq-rank -q -k 10 -o {name}")
    return name


def train(loss):
    return lambda n: [f"{BIN}/seq-train", "-q", "--epochs", "1", "--set", "valid_users=1", "--loss", loss, catalog(n), "-o", "out"]


# name: what grows, the largest, the command of so many
ROWS = {
    "tokenize": ("events", 10**7, lambda n: [f"{BIN}/seq-tokenize", "-q", log(n), "-o", "out"]),
    "sorted": ("events, sorted", 10**7, lambda n: [f"{BIN}/seq-tokenize", "-q", "--sorted", log(n, "sorted"), "-o", "out"]),
    "ce": ("items, epoch of sasrec", 10**5, train("ce")),
    "sampled": ("items, epoch of sasrec", 10**6, train("sampled")),
    "bce": ("items, epoch of sasrec", 10**6, train("bce")),
    "gbce": ("items, epoch of sasrec", 10**6, train("gbce")),
    "rank": ("items, 5,000 users", 10**7, lambda n: [f"{BIN}/seq-rank", "-q", model(n), "-o", "out"]),
    "eval": ("users", 10**7, lambda n: [f"{BIN}/rec-eval", "-q", ranking(n)]),
}


def measure(command):
    """By threads: what run() returns."""
    runs = {1: [], 2: []}
    while len(runs[1]) < 3 and (not runs[1] or runs[1][0][0] < SHORT):
        for threads in runs:
            runs[threads].append(run([*command, f"-j{threads}"]))
    return {threads: [statistics.median(values) for values in zip(*each)] for threads, each in runs.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=10**7, help="largest size")
    parser.add_argument("what", nargs="*", choices=[*ROWS, []], default=[])
    options = parser.parse_args()
    print("what\tof\tsize" + "".join(f"\t-j{j} s\tcpu s\tMB\ttime ^\tmemory ^" for j in (1, 2)))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in options.what or ROWS:
            of, largest, command = ROWS[name]
            before, size = None, 10**4
            while size <= min(largest, options.n):
                now = measure(command(size))
                cells = []
                for threads, figures in now.items():
                    cells += [f"{figures[0]:.2f}", f"{figures[1]:.2f}", f"{figures[2]:.0f}"]
                    cells += [f"{math.log10(a / b):.2f}" for a, b in zip(figures[1:], before[threads][1:])] if before else ["", ""]
                print(name, of, size, *cells, sep="\t", flush=True)
                before, size = now, size * 10


main()
