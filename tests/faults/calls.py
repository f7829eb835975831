#!/usr/bin/env python3
"""calls.py INPUTS [--shim FILE] [--tools A,B] [--kinds A,B] [--every N]: each call of a tool to the system fails in turn.

By the shim (fault.c) calls of the C library, by strace the system calls. Every Nth, where not each.
"""
import argparse
import os
import re
import shutil
import sys

import cases

SHIM = {  # and whether an error may come of it
    "alloc": True, "eio-read": True, "enospc-write": True, "short-read": False, "short-write": False, "eintr-read": False,
    "eintr-write": False, "eagain-read": False, "eagain-write": False, "no-memory": True,
}
SYSTEM = {
    "openat": "EMFILE EACCES EINTR", "read": "EIO EINTR", "write": "ENOSPC EINTR", "fsync": "EIO EINTR",
    "rename": "EIO ENOSPC", "linkat": "EIO ENOSPC", "close": "EIO EINTR", "newfstatat": "EIO", "mmap": "ENOMEM",
    "clone3": "EAGAIN", "sched_getaffinity": "EPERM", "lseek": "EIO", "fcntl": "EIO", "readlink": "EIO",
}
STRACE = ["strace", "-f", "-qq", "-e", "signal=none"]


def by_shim(folder, tool, kind, options):
    """`no-memory`: from the Nth allocation of a page on all fail."""
    folder.clear()
    want = folder.run(tool, folder.arguments(tool))[2]
    count = os.path.join(folder.inputs, "count")
    fault = {"LD_PRELOAD": options.shim, "FAULT": "alloc" if kind == "no-memory" else kind, "FAULT_COUNT": count}
    if kind == "no-memory":
        fault.update(FAULT_MIN="4096", FAULT_STICKY="1")
    folder.clear()
    folder.run(tool, folder.arguments(tool), environment=fault)
    calls = int(open(count).read())
    for at in range(1, calls + 1, options.every):
        folder.clear()
        result = folder.run(tool, folder.arguments(tool), environment={**fault, "FAULT_AT": str(at)})
        folder.judge(f"{tool}, {kind} {at} of {calls}", result, want, SHIM[kind])
    folder.tell(f"{tool}, {kind}, {calls} calls")


def calls_of(folder, name):
    """Which of the traced calls `name` are the tool's own: the loader's come before the thread has its number."""
    own, count, loaded = [], 0, False
    for line in open(os.path.join(folder.inputs, "trace")):
        call = re.match(r"\d+\s+(\w+)\(", line)
        loaded |= bool(call) and call[1] == "set_tid_address"
        if call and call[1] == name:
            count += 1
            if loaded:
                own.append(count)
    return own


def by_strace(folder, tool, name, options):
    trace = os.path.join(folder.inputs, "trace")
    threads = 2 if tool == "seq-train" else 1
    folder.clear()
    want = folder.run(tool, folder.arguments(tool), [*STRACE, "-o", trace], threads=threads)[2]
    own = calls_of(folder, name)
    for error in SYSTEM[name].split():
        for at in own[::options.every]:
            folder.clear()
            around = [*STRACE, "-o", "/dev/null", "-e", f"inject={name}:error={error}:when={at}"]
            result = folder.run(tool, folder.arguments(tool), around, threads=threads)
            # an error of close comes when the output is complete
            kept = result[:2] + (None,) if name == "close" and result[0] == 1 else result
            folder.judge(f"{tool}, {name} {at}: {error}", kept, want, error != "EINTR")
        if own:
            folder.tell(f"{tool}, {name}: {error}, {len(own)} calls")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("inputs")
    parser.add_argument("--shim", default="build/faults/fault.so", type=os.path.abspath)
    parser.add_argument("--tools", default=",".join(cases.COMMANDS))
    parser.add_argument("--kinds", default=",".join([*SHIM, *SYSTEM]), help="of the shim, or system calls")
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    folder = cases.Folder(options.inputs)
    for tool in options.tools.split(","):
        for kind in options.kinds.split(","):
            if kind in SHIM:
                by_shim(folder, tool, kind, options)
            if kind in SYSTEM and shutil.which("strace"):
                by_strace(folder, tool, kind, options)
    shutil.rmtree(folder.path)
    sys.exit(folder.bad > 0)


main()
