"""What the benches beside other programs share: programs that are asked in turns, and what this machine can do at most."""
import os
import re
import statistics
import subprocess

THREADS = len(os.sched_getaffinity(0))
ROUNDS = int(os.environ.get("ROUNDS", 3))
# the tools choose OpenBLAS's kernels themselves, unless these forbid it
for name in [name for name in os.environ if name.startswith("OPENBLAS_")]:
    del os.environ[name]
# PyTorch at its best: memory in huge pages, and kept
TUNED = dict(os.environ, GLIBC_TUNABLES="glibc.malloc.hugetlb=1", MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_="100000000000")


class Program:
    """Answers a line of numbers to a line of words."""

    def __init__(self, *command, env=None):
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def read(self):
        return [float(word) for word in self.process.stdout.readline().split()]

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return self.read()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def limits():
    """By unit of one core, its operations a second: of floats, and of bfloat16 where there are instructions for it."""
    text = subprocess.run([os.environ["RECPIPE_BENCH"] + "/limits", "units"], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = {name: float(rate) for name, rate in re.findall(r"^(.*?) {2,}(\d+) G", text, re.M)}
    floats = max(rate for name, rate in found.items() if name.startswith("f32"))
    tiles, dots = found.get("bfloat16, tiles (AMX)"), found.get("bfloat16, 512 bits")
    return {"f32": floats, **({"split": tiles / 3} if tiles else {}), **({"bf16": tiles or dots} if tiles or dots else {})}


def median(runs, field):
    return statistics.median(run[field] for run in runs)
