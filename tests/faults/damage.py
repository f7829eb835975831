#!/usr/bin/env python3
"""damage.py INPUTS [--every N]: a stream, or checkpoint, cut at each byte, and each byte flipped by one bit, for each reader."""
import argparse
import shutil
import subprocess
import sys

import cases

READERS = {  # what is damaged, and the arguments, among which it is `in`
    "seq-train": ("data.tar.zst", "--arch popular in"),
    "item-project": ("data.tar.zst", "--from tfidf in"),
    "seq-rank": ("popular.tar.zst", "-k 3 in"),
    "rec-eval": ("ranking.tar.zst", "in"),
    "seq-train --resume": ("state", cases.SMALL + " --checkpoint in --resume {in}/data.tar.zst"),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("inputs")
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    folder = cases.Folder(options.inputs)
    for reader, (stream, text) in READERS.items():
        tool, arguments = reader.split()[0], text.replace("{in}", folder.inputs).split()
        tar = subprocess.run(["zstd", "-dcq", f"{options.inputs}/{stream}"], capture_output=True, check=True).stdout
        data = subprocess.run(["zstd", "-cq", "-19", "--check"], input=tar, capture_output=True, check=True).stdout

        def result(bytes_):
            folder.clear()
            with open(f"{folder.path}/in", "wb") as file:
                file.write(bytes_)
            return folder.run(tool, arguments)

        want = result(data)[2]
        for at in range(0, len(data), options.every):
            # nothing cut off may be missed; a flipped bit may be one that says nothing
            folder.judge(f"{reader}, cut at {at}", result(data[:at]), None, kept=("in", "out"))
            flipped = data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1:]
            folder.judge(f"{reader}, flipped at {at}", result(flipped), want, kept=("in", "out"))
        folder.tell(f"{reader}, {len(data)} bytes")
    shutil.rmtree(folder.path)
    sys.exit(folder.bad > 0)


main()
