"""What the benches beside other programs share: programs that are asked in turns, and what this machine can do at most."""
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

THREADS = len(os.sched_getaffinity(0))
ROUNDS = int(os.environ.get("ROUNDS", 3))
# the tools choose OpenBLAS's kernels themselves, unless these forbid it
for name in [name for name in os.environ if name.startswith("OPENBLAS_")]:
    del os.environ[name]
# PyTorch at its best: memory in huge pages, and kept
TUNED = dict(os.environ, GLIBC_TUNABLES="glibc.malloc.hugetlb=1", MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_="100000000000")


class Ended(Exception):
    """A program that answers no more; says the last it said."""


class Program:
    """Answers a line of numbers to a line of words."""

    def __init__(self, *command, env=None):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True, env=env)

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            said = [line.strip() for line in self.errors if line.strip()]
            named = [line for line in said if re.match(r"[\w.]+(Error|Exception|Unsupported)\b", line)]
            raise Ended((named or said or ["no answer"])[-1])
        return [float(word) for word in line.split()]

    def ask(self, *words):
        try:
            print(*words, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # it has ended: read() says of what
        return self.read()

    def end(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()


def fastest(start, trial, limit):
    """A peer at the setting that takes it the least processor time: floats, bf16 where the processor has instructions for it,
    the faster of these compiled.

    start(setting) is its program; trial(program) its answer. It is tried three times, as the first compile and warm up. Returns
    the setting's name, its program, and processor seconds by setting. One at a time, for the sake of memory.
    """
    best, program, took = None, None, {}

    def consider(setting):
        nonlocal best, program
        other = None
        try:
            other = start(setting)
            took[setting] = min([trial(other)[1] for _ in range(3)][1:])
        except Ended as ended:
            print(f"  PyTorch, {setting}, could not be tried: {str(ended)[:100]}", flush=True)
        if setting in took and (best is None or took[setting] < took[best]):
            best, program, other = setting, other, program
        if other:
            other.end()

    for precision in ["f32"] + ["bf16"] * ("bf16" in limit):
        consider(precision)
    if best and not shutil.which(os.environ.get("CXX", "g++")):
        print("  PyTorch, compiled, could not be tried: it needs g++", flush=True)
    elif best:
        consider(best + " compiled")
    else:
        sys.exit("no setting of the peer works")
    return best, program, took


def limits():
    """By unit of one core, its operations a second: of floats, and of bfloat16 where there are instructions for it."""
    text = subprocess.run([os.environ["RECPIPE_BENCH"] + "/limits", "units"], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = {name: float(rate) for name, rate in re.findall(r"^(.*?) {2,}(\d+) G", text, re.M)}
    floats = max(rate for name, rate in found.items() if name.startswith("f32"))
    tiles, dots = found.get("bfloat16, tiles (AMX)"), found.get("bfloat16, 512 bits")
    return {"f32": floats, **({"split": tiles / 3} if tiles else {}), **({"bf16": tiles or dots} if tiles or dots else {})}


def median(runs, field):
    return statistics.median(run[field] for run in runs)
