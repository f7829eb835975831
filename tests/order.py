#!/usr/bin/env python3
"""order.py A B: Spearman's correlation of the cosines of a million random pairs of items, by the vectors of one stream and of
the other, which are of the same items."""
import io
import subprocess
import sys
import tarfile

import numpy

PAIRS = 1000000


def vectors_of(stream):
    with tarfile.open(fileobj=io.BytesIO(subprocess.check_output(["zstd", "-dqc", stream]))) as tar:
        vectors = numpy.concatenate([numpy.load(io.BytesIO(tar.extractfile(member).read())) for member in tar
                                     if member.name.startswith("embedding/") and member.name.endswith(".vector.npy")])
    return vectors / numpy.maximum(numpy.linalg.norm(vectors, axis=1, keepdims=True), 1e-8)


def ranks(values):
    places = numpy.empty(len(values))
    places[numpy.argsort(values)] = numpy.arange(len(values))
    return places


both = [vectors_of(stream) for stream in sys.argv[1:3]]
one, other = numpy.random.default_rng(1).integers(0, len(both[0]), (2, PAIRS))
one, other = one[one != other], other[one != other]
print(f"{numpy.corrcoef([ranks((vectors[one] * vectors[other]).sum(1)) for vectors in both])[0, 1]:.4f}")
