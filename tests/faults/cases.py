"""What all fault tests share: a command for each tool on the inputs of inputs.sh, and what may become of it.

A tool whose world fails ends with exit 0 and the bytes of an undisturbed run, or with exit 1, one line on stderr and no file.
Anything else is a fault of ours: a signal, a hang, other bytes, a file left behind, silence.
"""
import collections
import os
import subprocess
import tempfile

BIN = os.path.abspath(os.environ.get("RECPIPE_BIN", "build/bin"))
SMALL = "--epochs 2 --hidden-size 8 --layers 1 --heads 1"
COMMANDS = {
    "seq-tokenize": "--items {in}/items.csv {in}/events.csv",
    "item-project": "--from tfidf {in}/data.tar.zst",
    "seq-train": SMALL + " --checkpoint state {in}/data.tar.zst",
    "seq-rank": "-k 3 {in}/model.tar.zst",
    "rec-eval": "{in}/ranking.tar.zst",
    "emb-align-train": "--projector table --epochs 1 --max-tokens 8 --checkpoint state {in}/llm.tar.zst",
}
# kernels named, so that the tool does not start itself again and calls are counted once
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": os.environ.get("OPENBLAS_CORETYPE", "Haswell")}
SECONDS = 30


class Folder:
    """A place to run tools in, with the inputs beside it."""

    def __init__(self, inputs):
        self.inputs = os.path.abspath(inputs)
        self.path = tempfile.mkdtemp(prefix="run.", dir=self.inputs)
        self.seen = collections.Counter()
        self.bad = 0

    def clear(self):
        for name in os.listdir(self.path):
            os.unlink(os.path.join(self.path, name))

    def arguments(self, tool):
        return COMMANDS[tool].replace("{in}", self.inputs).split()

    def run(self, tool, arguments, around=(), environment=None, threads=1):
        """Exit status (None: it hung), stderr, and the bytes of `out` (None: there is none)."""
        command = [*around, f"{BIN}/{tool}", "-q", "--no-history", f"-j{threads}", *arguments, "-o", "out"]
        try:
            done = subprocess.run(command, cwd=self.path, env={**ENVIRONMENT, **(environment or {})},
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=SECONDS)
            status, said = done.returncode, done.stderr.decode("utf8", "replace")
        except subprocess.TimeoutExpired:
            status, said = None, ""
        path = os.path.join(self.path, "out")
        return status, said, open(path, "rb").read() if os.path.exists(path) else None

    def judge(self, what, result, want, may_end=True, kept=("out", "state")):
        """Counts the outcome, and prints one that may not be. may_end: whether an error is one that may be."""
        status, said, out = result
        left = [name for name in os.listdir(self.path) if name not in kept]
        if status is None:
            outcome = "hang"
        elif status < 0:
            outcome = f"signal {-status}"
        elif left:
            outcome = f"left {left}"
        elif status == 0:
            outcome = "right" if out == want else "wrong bytes"
        elif status == 127 and "shared libraries" in said:
            outcome = "not loaded"
        elif status != 1:
            outcome = f"exit {status}"
        elif len(said.splitlines()) != 1:
            outcome = f"{len(said.splitlines())} lines"
        elif out is not None:
            outcome = "error, but a file"
        else:
            outcome = "error" if may_end else "refused"
        self.seen[outcome] += 1
        if outcome not in ("right", "error", "not loaded"):
            self.bad += 1
            print(f"BAD {what}: {outcome}: {said.strip()[:200]}", flush=True)
        return outcome

    def tell(self, what):
        """The counts since the last time, in a line."""
        print(f"{what}: " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.seen.items())), flush=True)
        self.seen.clear()
