#!/usr/bin/env python3
"""seeds.py FOLDER: first inputs for fuzz_stream and fuzz_npy, in folders named after them."""
import os
import struct
import sys


def npy(descr, shape, data, order=False):
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", 118) + text.ljust(117).encode() + b"\n" + data


def members(*pairs):
    return b"m" + b"".join(name.encode() + b"\n" + struct.pack("<H", len(data)) + data for name, data in pairs)


def table(group, shard="1,1", chunk="000000", identity="1"):
    return [
        (f"{group}/meta.json", f'{{"group":"{group}","id":"{identity}","shard":[{shard}]}}'.encode()),
        (f"{group}/{chunk}.user_id.txt", b"a\nb\n"),
        (f"{group}/{chunk}.indptr.npy", npy("<i8", "(3,)", struct.pack("<3q", 0, 1, 3))),
        (f"{group}/{chunk}.item.npy", npy("<i4", "(3,)", bytes(12))),
        (f"{group}/end.json", f'{{"shard":[{shard}],"rows":2,"chunks":1}}'.encode()),
    ]


NPY = [npy("<f4", "(2, 3)", bytes(24)), npy("<i8", "(2,)", bytes(16)), npy("<f2", "(3,)", b"\0\x7c\1\0\0\x3c"),
       npy("|u1", "(0,)", b""), npy("<f8", "()", bytes(8)), npy("|b1", "(1, 1, 1, 1)", b"\1"),
       npy("<u4", "(1,)", b"\xff" * 4), npy("|i1", "(2,)", b"\x80\x7f"), npy("<i2", "(1,)", bytes(2), True)]
MODEL = [("model/meta.json", b'{"id":"2"}'), ("model/config.json", b"{}"),
         ("model/w.npy", npy("<f4", "(2, 2)", bytes(16))), ("model/end.json", b"{}")]
LOG = [("log/00-tool.json", b'{"tool":"x"}')]
STREAM = [members(*table("a"), *LOG), members(*table("sequences"), *MODEL, *LOG, *LOG),
          members(*table("a", "1,2"), *table("a", "2,2", "500000")), members(*table("a"), *table("a", identity="2")),
          members(*MODEL), bytes.fromhex("28b52ffd2400010000"), b"\0" * 1024]

for target, seeds in ("fuzz_npy", NPY), ("fuzz_stream", STREAM):
    folder = os.path.join(sys.argv[1], target)
    os.makedirs(folder, exist_ok=True)
    for i, seed in enumerate(seeds):
        with open(os.path.join(folder, str(i)), "wb") as file:
            file.write(seed)
