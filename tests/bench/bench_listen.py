#!/usr/bin/env python3
"""seq-rank --listen under load: 8 clients on connections that stay, beside the server on the same processors.

Models of 100,000 and 1,000,000 items x 64 (ITEMS: one of them alone), REQUESTS (default 20,000) histories of 50 items after
a tenth as many to warm up. Prints median, 99 %, 99.9 % in ms, requests a second, the memory before and after, and what is
aimed at.
"""
import os
import re
import subprocess
import tempfile
import urllib.request

from bench_serve import TOOLS, make_model

REQUESTS = int(os.environ.get("REQUESTS", 20_000))
AIMS = {100_000: "p99 5 ms, 1,500 a second", 1_000_000: "p99 25 ms"}


def memory(url):
    text = urllib.request.urlopen(url + "metrics").read().decode()
    return float(re.search(r"^process_resident_memory_bytes (\S+)", text, re.M).group(1)) / 2**20


def load(port, requests, n_items):
    command = [os.environ["RECPIPE_BENCH"] + "/listen", port, "8", str(requests), str(n_items)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def main():
    with tempfile.TemporaryDirectory() as folder:
        for n_items in [int(os.environ["ITEMS"])] if "ITEMS" in os.environ else AIMS:
            model = make_model(folder, n_items)
            with subprocess.Popen([TOOLS + "seq-rank", "--listen", "0", model], stderr=subprocess.PIPE, text=True) as server:
                url = re.search(r"http://\S+", next(line for line in server.stderr if "listening on" in line)).group(0)
                port = url.rstrip("/").rsplit(":", 1)[1]
                load(port, max(REQUESTS // 10, 8), n_items)
                before = memory(url)
                median, p99, p999, rate = load(port, REQUESTS, n_items)
                after = memory(url)
                server.terminate()
            assert server.returncode == 0
            print(f"listen, {n_items:>9,} items x 64  {median:>8} ms {p99:>8} ms {p999:>8} ms {rate:>7}/s"
                  f"  {before:.1f} to {after:.1f} MiB in {REQUESTS:,}   (aim {AIMS.get(n_items, '-')})", flush=True)


if __name__ == "__main__":
    main()
