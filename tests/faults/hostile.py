#!/usr/bin/env python3
"""hostile.py INPUTS [--every N]: streams whose headers, arrays and documents lie, for each tool that reads one.

None may be a signal, a hang or a file; address space is bounded, so that a size that is believed is found out.
"""
import argparse
import io
import itertools
import json
import resource
import shutil
import struct
import subprocess
import sys
import tarfile

import numpy

import cases

READERS = {
    "seq-train": ("data", cases.SMALL), "item-project": ("data", "--from tfidf"), "seq-rank": ("model", "-k 3"),
    "rec-eval": ("ranking", ""), "emb-align-train": ("llm", "--projector table --epochs 1 --max-tokens 8"),
}
MOST_MEMORY = 3 << 30


def members_of(stream):
    tar = subprocess.run(["zstd", "-dcq", stream], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(tar)) as file:
        return [(member.name, file.extractfile(member).read()) for member in file]


def header(name, size, kind=b"0", size_field=None, prefix=b""):
    name = name if isinstance(name, bytes) else name.encode()
    size_field = b"%011o\0" % size if size_field is None else size_field
    block = bytearray(name[:100].ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + size_field.ljust(12, b"\0")
                      + b"0" * 11 + b"\0" + b" " * 8 + kind + b"\0" * 100 + b"ustar\0" + b"00" + b"\0" * 80
                      + prefix.ljust(155, b"\0") + b"\0" * 12)
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def entry(name, data, **fields):
    return header(name, len(data), **fields) + data + b"\0" * (-len(data) % 512)


def tar_of(members):
    return b"".join(entry(name, data) for name, data in members)


def compressed(data, *options):
    return subprocess.run(["zstd", "-cq", "--check", *options], input=data, capture_output=True, check=True).stdout


def zeros(size):
    """A frame of zeros, 4 bytes for each 128 KiB."""
    blocks = bytearray(b"\x28\xb5\x2f\xfd\x00\x38")
    while size:
        n = min(size, 1 << 17)
        size -= n
        blocks += struct.pack("<I", n << 3 | 2 | (size == 0))[:3] + b"\0"
    return bytes(blocks)


def streams(members):
    """Around the members: what is no such stream, or one with more than there should be. What makes it, for it may be large."""
    tar = tar_of(members)
    whole = compressed(tar)

    def plain(data):
        return lambda: data

    def packed(data):
        return lambda: compressed(data)

    yield "junk behind", plain(whole + bytes(range(256)) * 20)
    yield "junk before", plain(b"hello\n" + whole)
    yield "a cut skippable frame", plain(b"\x50\x2a\x4d\x18\xff\xff\xff\x7fab")
    yield "a window of 3.7 TB", plain(b"\x28\xb5\x2f\xfd\x00\xff" + whole[6:])
    yield "a window of 2 GB", lambda: compressed(tar, "--ultra", "--long=31")
    yield "a frame of nothing", packed(b"")
    yield "a frame in a frame", packed(whole)
    yield "4 GB of zeros", lambda: zeros(4 << 30) + whole
    yield "8 GB that nobody wants", lambda: compressed(header("junk/x.npy", (8 << 30) - 512)) + zeros((8 << 30) - 512) + whole
    yield "20,000 records of history", packed(b"".join(entry("log/01-x.json", b'{"a":%d}' % i) for i in range(20000)) + tar)
    yield "100 groups", packed(b"".join(entry(f"g{i}/meta.json", b'{"id":"1"}') for i in range(100)) + tar)
    for name in "../x", "/etc/x", "a/../../x", "..", "", " ", "a b", "x" * 100, "a\\b", "catalog/", "//", "a\nb", "\x01":
        yield f"name {name!r}", packed(entry(name, b"x") + tar)
    for kind in b"123467xgLK\xff":
        yield f"type {chr(kind)!r}", packed(entry("x", b"y", kind=bytes([kind])) + tar)
    for size in b"77777777777\0", b"\x80" + b"\xff" * 11, b"-0000000001\0", b" " * 12, b"9" * 12:
        yield f"size {size!r}", packed(header(members[0][0], 0, size_field=size) + tar)


def npy(descr, shape, data, order="False"):
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"
    text = text.ljust(117 if len(text) < 118 else len(text)) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text.encode() + data


def saved(array):
    file = io.BytesIO()
    numpy.save(file, array)
    return file.getvalue()


def arrays(data):
    """Versions of an .npy member."""
    array = numpy.load(io.BytesIO(data))
    descr, raw = repr(array.dtype.str), array.tobytes()
    for shape in "(-1,)", "(4294967296, 4294967296)", "(9223372036854775807, 2, 2)", "(9223372036854775808,)", "()", \
            "(9223372036854775807, 0)", "(0, 9223372036854775807)", "(0,)", f"(1, 1, 1, 1, {array.size})", "(1,", "'x'":
        yield f"shape {shape}", npy(descr, shape, raw)
    for other in "'|O'", "'<c8'", "'<U3'", "'>i4'", "[('a', '<i4')]", "5", "'<f16'":
        yield f"type {other}", npy(other, array.shape, raw)
    yield "columns first", npy(descr, array.shape, raw, "True")
    yield "a header of 64 KB", b"\x93NUMPY\x01\0\xff\xff" + data[10:]
    yield "no header", b"\x93NUMPY\x01\0\0\0" + data[10:]
    yield "a byte more", data + b"\0"
    yield "a byte less", data[:-1]
    yield "half", data[:len(data) // 2]
    yield "empty", b""
    yield "reversed", saved(array[::-1].copy())
    yield "a column of it", saved(array.reshape(-1, 1))
    extremes = [numpy.nan, numpy.inf, 3.4e38, -3.4e38, 1e-42] if array.dtype.kind == "f" else \
        [numpy.iinfo(array.dtype).max, numpy.iinfo(array.dtype).min]
    for value in extremes:
        yield f"all {value}", saved(numpy.full(array.shape, value, array.dtype))


def documents(data):
    """Versions of a .json member: each key missing, or with another value; and what is no such document."""
    document = json.loads(data)
    for key in document:
        yield f"no {key}", json.dumps({k: v for k, v in document.items() if k != key}).encode()
        for value in None, -1, 0, 2**31, 2**63 - 1, 1e308, "x", "", [], {}, True, [1, 0], [2, 1], [1, 10**18]:
            yield f"{key} {value!r}", json.dumps({**document, key: value}).encode()
    for text in b"", b"{", b"[1]", b"5", b"[" * 100000, b'{"a":' * 100000, b'{"id":"\xff"}', b'{"id":"a\\u0000b"}', \
            b'{"id":"1","id":"2"}', b'{"id":1e999}', b'{"id":"1"} x', b'{"id":"' + b"a" * (5 << 20) + b'"}', b" " * (65 << 20):
        yield repr(text[:20]), text


def texts(data):
    yield "no last line end", data[:-1]
    yield "a line less", data[data.index(b"\n") + 1:]
    yield "a line more", data + b"x\n"
    yield "a NUL", b"\0" + data[1:]
    yield "not UTF-8", b"\xff" + data[1:]
    yield "all alike", b"x\n" * data.count(b"\n")
    yield "empty", b""


def versions(members):
    """What, and what makes it."""

    def stream(changed):
        return lambda: compressed(tar_of(changed))

    yield from streams(members)
    for i, (name, data) in enumerate(members):
        before, behind = members[:i], members[i + 1:]
        yield f"{name} missing", stream(before + behind)
        yield f"{name} twice", stream(before + [members[i]] * 2 + behind)
        kinds = arrays if name.endswith(".npy") else documents if name.endswith(".json") else texts
        if name.startswith("tokenizer/"):
            continue  # thousands of keys
        for what, changed in kinds(data):
            yield f"{name}: {what}", stream(before + [(name, changed)] + behind)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("inputs")
    parser.add_argument("--tools", default=",".join(READERS))
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    folder = cases.Folder(options.inputs)
    bounded = ["prlimit", f"--as={MOST_MEMORY}"]
    for tool in options.tools.split(","):
        stream, arguments = READERS[tool]
        made = versions(members_of(f"{options.inputs}/{stream}.tar.zst"))
        for what, make in itertools.islice(made, 0, None, options.every):
            folder.clear()
            with open(f"{folder.path}/in", "wb") as file:
                file.write(make())
            result = folder.run(tool, [*arguments.split(), "in"], bounded)
            # some say nothing false: then there is an output, and which is not for us to say
            folder.judge(f"{tool}, {what}", result, result[2], kept=("in", "out"))
        folder.tell(f"{tool}, hostile streams")
    shutil.rmtree(folder.path)
    sys.exit(folder.bad > 0)


if __name__ == "__main__":
    main()
