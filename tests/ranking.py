#!/usr/bin/env python3
"""A synthetic ranking for the tests and the benchmark of rec-eval: ranking.py FOLDER [--users N] [--items N] ...

Writes into FOLDER
    base.tar                catalog and sequences, an uncompressed tensor stream
    ranking.tar             the group ranking alone; ranking.1.tar, ranking.2.tar: the same as two shards
    run.trec, qrels         the same ranking as trec_eval takes it (lists without ties)
    expected                with --expected: every figure from its definition, lines as rec-eval prints them
Python's standard library only.
"""
import argparse
import io
import json
import math
import os
import random
import struct
import tarfile

options = argparse.ArgumentParser()
options.add_argument("folder")
options.add_argument("--users", type=int, default=300)
options.add_argument("--items", type=int, default=400)
options.add_argument("--top", type=int, default=50)
options.add_argument("--seed", type=int, default=1)
options.add_argument("--skill", type=float, default=1.0, help="larger: better ranks")
options.add_argument("--ties", action="store_true", help="a third of the targets share their score")
options.add_argument("--order", choices=["forward", "reverse"], default="forward", help="of the users in the ranking")
options.add_argument("--first", type=int, default=0, help="leave out users before this one")
options.add_argument("--split", default="test")
options.add_argument("--seen", default="keep")
options.add_argument("--item-prefix", default="i")
options.add_argument("--id", type=int, default=0, help="of the ranking, where it is to be another one than that of the same --seed")
options.add_argument("--log", default="", help="a record of the history, JSON; ID stands for the ranking's")
options.add_argument("--expected", action="store_true")
options.add_argument("--spoil", default="", help="put one wrong value into the ranking: target greater equal item user n_items")
options = options.parse_args()
os.makedirs(options.folder, exist_ok=True)


def npy(kind, values, width=None):
    """One axis, or two with rows of `width`."""
    shape = "(%d,)" % len(values) if width is None else "(%d, %d)" % (len(values) // max(width, 1), width)
    header = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % ({"i": "<i4", "q": "<i8", "f": "<f4"}[kind], shape)
    header = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack("<%d%s" % (len(values), kind), *values)


def text(lines):
    return "".join(line + "\n" for line in lines).encode()


def fingerprint(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return "%016x" % value


class Stream:
    def __init__(self, name):
        self.tar = tarfile.open(os.path.join(options.folder, name), "w", format=tarfile.USTAR_FORMAT)

    def add(self, name, data):
        member = tarfile.TarInfo(name)
        member.size = len(data)
        self.tar.addfile(member, io.BytesIO(data))

    def table(self, group, details, rows, fields, shard=1, shards=1):
        meta = {"group": group, "id": "%016x" % (options.seed * 7919), "shard": [shard, shards]}
        meta.update(details)
        self.add(group + "/meta.json", json.dumps(meta).encode())
        number = (shard - 1) * (1000000 // shards)
        for name, data in fields.items():
            self.add("%s/%06d.%s" % (group, number, name), data)
        end = {"shard": [shard, shards], "rows": rows, "chunks": 1}
        self.add(group + "/end.json", json.dumps(end).encode())

    def close(self):
        self.tar.close()


# --- the world: the same for every --skill, so that two rankings can be compared

world = random.Random(options.seed)
n_items, n_users = options.items, options.users
item_id = ["%s%d" % (options.item_prefix, i) for i in range(n_items)]
user_id = ["user-%d" % u for u in range(n_users)]
catalog = fingerprint("".join(i + "\0" for i in item_id).encode())
history = []
for u in range(n_users):
    length = min(3 + int(world.expovariate(1 / 12)), 120)
    history.append([min(int(n_items * world.random() ** 3), n_items - 1) for _ in range(length)])
    if u % 11 == 0:
        history[u][-1] = n_items - 1 - u % 5  # rarely or never trained
last = -1 if options.split == "test" else -2
target = [items[last] for items in history]
context = [len(items) + last for items in history]

base = Stream("base.tar")
base.table("catalog", {"fingerprint": catalog}, n_items, {"item_id.txt": text(item_id)})
indptr = [0]
for items in history:
    indptr.append(indptr[-1] + len(items))
base.table("sequences", {"catalog": catalog}, n_users, {
    "user_id.txt": text(user_id), "indptr.npy": npy("q", indptr), "item.npy": npy("i", [i for h in history for i in h])})
base.close()

# --- the ranking

luck = random.Random(options.seed * 1000 + int(options.skill * 100))
greater, equal, lists = [], [], []
for u in range(n_users):
    rank = int((n_items - 1) * luck.random() ** (3 * options.skill))
    same = luck.randrange(1, 40) if options.ties and u % 3 == 0 else 0
    greater.append(min(rank, n_items - 1 - same))
    equal.append(same)
    best = luck.sample(range(n_items), options.top + 1)
    if target[u] in best:
        best.remove(target[u])
    del best[options.top:]
    if greater[u] < options.top:
        best[greater[u]] = target[u]
    lists.append(best)

users = list(range(options.first, n_users))
if options.order == "reverse":
    users.reverse()


with open(os.path.join(options.folder, "run.trec"), "w") as run, open(os.path.join(options.folder, "qrels"), "w") as qrels:
    for u in users:
        qrels.write("%s 0 %s 1\n" % (user_id[u], item_id[target[u]]))
        for place, i in enumerate(lists[u]):
            run.write("%s Q0 %s %d %d synthetic\n" % (user_id[u], item_id[i], place + 1, -place))

spoilt = {"target": (target, n_items), "greater": (greater, n_items), "equal": (equal, -1), "item": (lists[3], n_items),
          "user": (user_id, user_id[4]), "targetless": (target, -1)}
if options.spoil in spoilt:
    spoilt[options.spoil][0][3] = spoilt[options.spoil][1]
if options.spoil == "n_items":
    n_items += 1


def write_ranking(name, users, shard=1, shards=1):
    stream = Stream(name)
    details = {"catalog": catalog, "n_items": n_items, "split": options.split, "seen": options.seen, "model": "synthetic"}
    details["k"] = options.top
    details["id"] = "%016x" % (options.id or options.seed * 7919)
    stream.table("ranking", details, len(users), {
        "user_id.txt": text(user_id[u] for u in users),
        "target.npy": npy("i", [target[u] for u in users]),
        "greater.npy": npy("i", [greater[u] for u in users]),
        "equal.npy": npy("i", [equal[u] for u in users]),
        "top_item.npy": npy("i", [i for u in users for i in lists[u]], options.top),
        "top_score.npy": npy("f", [-place for u in users for place in range(options.top)], options.top)}, shard, shards)
    if options.log:
        stream.add("log/00-seq-rank.json", options.log.replace("ID", details["id"]).encode())
    stream.close()


write_ranking("ranking.tar", users)
half = len(users) // 2
write_ranking("ranking.1.tar", users[:half], 1, 2)
write_ranking("ranking.2.tar", users[half:], 2, 2)


# --- every figure from its definition

def value(name, cut, rank):
    if cut and rank > cut:
        return 0
    return {"ndcg": 1 / math.log(rank + 1, 2), "recall": 1, "hr": 1, "precision": cut and 1 / cut, "mrr": 1 / rank}[name]


def of_user(name, cut, rule, u):
    ranks = range(greater[u] + 1, greater[u] + equal[u] + 2)
    ranks = {"best": ranks[:1], "worst": ranks[-1:], "average": ranks}[rule]
    return sum(value(name, cut, rank) for rank in ranks) / len(ranks)


def slices_of(u, counts, head_events):
    yield "all"
    seen = counts.get(target[u], 0)
    yield "target:cold" if not seen else "target:head" if seen >= head_events else "target:tail"
    if seen:
        yield "target:in-set"
    yield next(name for name, end in (("history:1-5", 5), ("history:6-10", 10), ("history:11-20", 20),
                                      ("history:21-50", 50), ("history:51-", 10 ** 9)) if context[u] <= end)


def expected():
    counts = {}
    for items in history:
        for i in items[:-2]:
            counts[i] = counts.get(i, 0) + 1
    by_count = sorted(counts.values(), reverse=True)
    head_events = by_count[math.ceil(len(by_count) * 0.2) - 1]
    cuts = [5, 10, 20]
    names = [(name, cut) for name in ("ndcg", "recall", "hr", "precision", "mrr") for cut in cuts] + [("mrr", 0)]
    for rule in ("best", "worst", "average"):
        with open(os.path.join(options.folder, "expected." + rule), "w") as out:
            for name, cut in names:
                label = "%s@%d" % (name, cut) if cut else name
                values = {}
                for u in users:
                    for part in slices_of(u, counts, head_events):
                        values.setdefault(part, []).append(of_user(name, cut, rule, u))
                for part, list_ in values.items():
                    out.write("%s\t%s\t%.12f\n" % (label, part, math.fsum(list_) / len(list_)))
                    if name == "ndcg" and cut == 5:
                        out.write("users\t%s\t%d\n" % (part, len(list_)))
            for cut in cuts:
                reached = {i for u in users for i in lists[u][:cut]}
                out.write("coverage@%d\tall\t%.12f\n" % (cut, len(reached) / n_items))
            out.write("tied\tall\t%d\n" % sum(equal[u] > 0 for u in users))


if options.expected:
    expected()
