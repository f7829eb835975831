#!/usr/bin/env python3
"""baselines.py MODEL RANKED KEY=VALUE...: what a linear, counted or untrained model of seq-train must score, in NumPy and double
precision, from the definition. MODEL: its stream, in which catalog, sequences and embedding are too; RANKED: what seq-rank
--split next --seen keep -k 1000000 --format tsv says of it; KEY=VALUE: what the model's config.json must say, else its
defaults. Prints the largest difference of a score relative to the largest score; exit 1 above 1e-4, or where an item is missing."""
import io, json, math, re, subprocess, sys, tarfile
import numpy

path, ranked, *given = sys.argv[1:]
stream = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout
members = {}
with tarfile.open(fileobj=io.BytesIO(stream)) as tar:
    for member in tar:
        members[member.name] = tar.extractfile(member).read()


def array(name):
    return numpy.load(io.BytesIO(members[name]))


def lines(name):
    return members[name].decode().split("\n")[:-1]


config = json.loads(members["model/config.json"])
for word in given:
    key, value = word.split("=")
    assert str(config[key]) == value, f"{key} is {config[key]}"
items, users = lines("catalog/000000.item_id.txt"), lines("sequences/000000.user_id.txt")
indptr, item = array("sequences/000000.indptr.npy"), array("sequences/000000.item.npy")
histories = [item[a:b] for a, b in zip(indptr, indptr[1:])]
n = len(items)


def unit(rows):
    return rows / numpy.maximum(numpy.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def weighted(rows, history):
    """The sum of rows of the history's items, each times decay for every item after it."""
    return config["decay"] ** numpy.arange(len(history))[::-1] @ rows[history]


def words():
    meta = json.loads(members["catalog/meta.json"])
    texts = [" ".join(text) for text in zip(*(lines(f"catalog/000000.{field}.txt") for field in meta["attribute_fields"]))]
    counts = [{} for _ in texts]
    for text, count in zip(texts, counts):
        for word in re.findall(r"[^\W_]+", text.lower()):
            count[word] = count.get(word, 0) + 1
    vocabulary = sorted(set().union(*counts))
    column = {word: i for i, word in enumerate(vocabulary)}
    tf = numpy.zeros((n, len(vocabulary)))
    for row, count in enumerate(counts):
        for word, times in count.items():
            tf[row, column[word]] = 1 + math.log(times)
    return tf * (1 + numpy.log((1 + n) / (1 + (tf > 0).sum(0))))


def vectors():
    x = array("embedding/000000.vector.npy").astype(float)
    if not config["text_whiten"]:
        return x
    known = (x != 0).any(1)
    y = (x[known] - x[known].mean(0)) / x[known].std(0)
    values, axes = numpy.linalg.eigh(y.T @ y / len(y))
    scale = numpy.where(values > 1e-5 * values[-1], 1 / numpy.sqrt(numpy.maximum(values, 1e-30)), 0)
    x[known] = y @ (axes * scale) @ axes.T
    return x


def content():
    rows = unit(words() if config["text"] == "words" else vectors())
    return [unit(weighted(rows, history)) @ rows.T for history in histories]


def pairs():
    """How many users two items have in common in the training part: all but their last two events, where there are three. A
    user counts pair_decay to the power of the steps between the two, where they were met last."""
    x = numpy.zeros((n, n))
    for history in histories:
        last = {}
        for item in history[:len(history) - 2] if len(history) > 2 else history:
            last.pop(item, None)
            last[item] = True
        rows = numpy.fromiter(last, int)
        places = numpy.arange(len(rows))
        x[numpy.ix_(rows, rows)] += config["pair_decay"] ** numpy.abs(places[:, None] - places)
    return x


def ease():
    p = numpy.linalg.inv(pairs() + config["lambda"] * numpy.eye(n))
    b = -p / numpy.diag(p)
    numpy.fill_diagonal(b, 0)
    return b


def itemknn():
    common = pairs()
    met = numpy.diag(common)
    with numpy.errstate(invalid="ignore"):
        cosine = numpy.nan_to_num(common / (numpy.sqrt(numpy.outer(met, met)) + config["shrinkage"]))
    numpy.fill_diagonal(cosine, 0)
    for row in cosine:  # of equal ones, the first items
        row[numpy.lexsort((numpy.arange(n), -row.astype(numpy.float32)))[config["neighbours"]:]] = 0
    return cosine


def own():
    if config["architecture"] == "nearest":
        return [numpy.zeros(n) for _ in histories]
    weights = {"ease": ease, "itemknn": itemknn}[config["architecture"]]()
    return [weighted(weights, history) for history in histories]


def completed(scores, texts, history, met):
    """Scores by events of items that were seldom met, by those of their texts: lib/model/unmet.h."""
    unseen = numpy.setdiff1d(numpy.arange(n), history)
    if not len(unseen):
        return scores
    height, of_texts = (max(0, numpy.sort(x[unseen])[-10:][0] - x.mean()) for x in (scores, texts))
    lack = 1 / (1 + 2 * met)
    share = config["text_unmet"] * (1 - lack).mean() ** 2 * lack if of_texts > 0 else 0
    return scores + share * height / max(of_texts, 1e-30) * (texts - texts.mean())


expected = own()
if config["text"] != "none":
    met = numpy.zeros(n)
    for history in histories:
        numpy.add.at(met, history[:len(history) - 2] if len(history) > 2 else history, 1)
    assert (met == array("model/item_events.npy")).all()
    expected = [completed(a, b, history, met) + config["text_weight"] * b for a, b, history in zip(expected, content(), histories)]

row_of, item_of = {user: i for i, user in enumerate(users)}, {name: i for i, name in enumerate(items)}
difference, largest, seen = 0.0, max(numpy.abs(row).max() for row in expected), 0
with open(ranked) as file:
    for line in file:
        user, _, name, score = line.split("\t")
        difference = max(difference, abs(float(score) - expected[row_of[user]][item_of[name]]))
        seen += 1
print(f"{seen} scores, largest difference {difference / largest:.2e} of {largest:.4g}")
sys.exit(1 if seen != n * len(users) or difference > 1e-4 * largest else 0)
