#!/usr/bin/env python3
"""Writes tfidf.tar.zst: what scikit-learn's TfidfVectorizer makes of the example items and of a few texts that are hard
to cut, and the exact truncated SVD of the former. tests/unit/test_tfidf.c compares.

Needs scikit-learn, numpy and the zstd program."""
import csv
import json
import re
from pathlib import Path

import numpy
from sklearn.feature_extraction.text import TfidfVectorizer

from archive import out, put, write

HERE = Path(__file__).parent
WIDTH, SHOWN, ITEMS_SHOWN = 48, 12, 200
HARD = [
    "Crème BRÛLÉE, crème brûlée; CRÈME", "cre\u0300me", "ŽLUŤOUČKÝ KŮŇ / Łódź", "ПРИВЕТ, мир! Ёлка ЇЖАК", "ΆΛΦΑ ΒΉΤΑ",
    "foo_bar-BAZ's 1.75mm ½ x² №5", "日本語 ペン", "", "--- ... !", "ԱԲԳ աբգ", "a A a a b", "\U0001f58b pen\u00a0pen",
    "苹果手机壳iPhone 15防摔", "苹果手机保护壳", "ถ้วยกาแฟ", "ノートブックA5 が", "書", "កាហ្វេ 한국어 펜",
]

# scripts without blanks between words, as far as the texts have them, with their marks
UNSPACED = re.compile("([\u0e01-\u0e4e\u1780-\u17d3\u3005\u3041-\u309f\u30a1-\u30ff\u4e00-\u9fff]+)")
WORD = re.compile(r"(?:[^\W_]|[\u0300-\u036f\u0e31-\u0e4e\u17b4-\u17d3])+")


def words(text):
    for part in (part for word in WORD.findall(text) for part in UNSPACED.split(word)):
        if UNSPACED.match(part) and len(part) > 1:
            yield from (part[i:i + 2] for i in range(len(part) - 1))
        elif part:
            yield part


def weights(name, texts):
    vectorizer = TfidfVectorizer(sublinear_tf=True, tokenizer=lambda text: list(words(text)), token_pattern=None)
    matrix = vectorizer.fit_transform(texts)
    matrix.sort_indices()
    out[f"{name}/texts.json"] = json.dumps({"texts": texts, "words": list(vectorizer.get_feature_names_out())}).encode()
    put(f"{name}/indptr", matrix.indptr, "<i8")
    put(f"{name}/word", matrix.indices, "<i4")
    put(f"{name}/weight", matrix.data, "<f4")
    return matrix


with open(HERE / "../../examples/online-retail/items.csv") as file:
    rows = list(csv.reader(file))[1:]
weights("hard", HARD)
matrix = weights("items", [f"{title} {price}" for _, title, price in rows])
left, singular, _ = numpy.linalg.svd(matrix.toarray(), full_matrices=False)
vectors = left[:, :SHOWN] * singular[:SHOWN]
vectors *= numpy.sign(vectors[abs(vectors).argmax(0), range(SHOWN)])
put("items/singular", singular[:WIDTH], "<f4")
put("items/vectors", vectors[:ITEMS_SHOWN], "<f4")
put("items/squares", (singular ** 2).sum(), "<f4")

write()
print(matrix.shape, matrix.nnz, singular[:SHOWN + 1])
