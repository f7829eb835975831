#!/usr/bin/env python3
"""seq-rank --serve: how long one request takes, from writing its line to having read the answer's.

Models of 100,000 and 1,000,000 items x 64, made by the tools themselves; REQUESTS (default 10,000) histories of 50
items, one after another. Prints: what, median, 99 %, 99.9 %, the 99 % that is aimed at.
"""
import os
import random
import subprocess
import tempfile
import time

REQUESTS = int(os.environ.get("REQUESTS", 10_000))
TOOLS = os.environ["RECPIPE_BIN"] + "/"


def make_model(folder, n_items):
    with open(f"{folder}/events.csv", "w", encoding="ascii") as events:
        events.write("user,item,time\n")
        events.writelines(f"{i // 50},{i * 7919 % n_items},{i % 50}\n" for i in range(n_items))
    sequences, model = f"{folder}/sequences", f"{folder}/model{n_items}"
    subprocess.run([TOOLS + "seq-tokenize", "-q", "-o", sequences, f"{folder}/events.csv"], check=True)
    subprocess.run([TOOLS + "seq-train", "-q", "--loss", "bce", "--epochs", "1", "--set", "valid_users=1", "-o", model,
                    sequences], check=True)
    return model


def latencies(model, n_items):
    chance = random.Random(1)
    seconds = []
    with subprocess.Popen([TOOLS + "seq-rank", "-q", "--serve", model], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as server:
        for i in range(REQUESTS + 100):
            items = " ".join(str(chance.randrange(n_items)) for _ in range(50))
            line = f"user{i}\t{items}\n".encode()
            started = time.perf_counter()
            server.stdin.write(line)
            server.stdin.flush()
            answer = server.stdout.readline()
            seconds.append(time.perf_counter() - started)
            assert answer.startswith(b"user%d\t" % i) and answer.count(b":") == 10, answer
    return sorted(seconds[100:])


def main():
    with tempfile.TemporaryDirectory() as folder:
        for n_items, aim in (100_000, 5), (1_000_000, 20):
            took = latencies(make_model(folder, n_items), n_items)
            median, p99, p999 = (1000 * took[int(len(took) * share)] for share in (.5, .99, .999))
            print(f"serve, {n_items:>9,} items x 64{'':15} {median:9.2f} ms {p99:9.2f} ms {p999:9.2f} ms"
                  f"   (aim {aim:.1f} ms)", flush=True)


if __name__ == "__main__":
    main()
