#!/usr/bin/env python3
"""synopsis.py TOOL PAGE: whether each form of the page's synopsis (after the first, known by the option that begins it) takes the
options that stand there, and refuses all others of the tool as wrong usage. What it takes is tried with a stream that is not there.
Prints what differs, a line each; exit 1 if there is any."""
import re, subprocess, sys

tool, page = sys.argv[1:]
values = {"A,B": "title", "I/N": "1/2", "[HOST:]PORT": "0", "NAME": "x", "STREAM": "none", "FILE": "none", "RULE": "best", "FORMAT": "json"}
special = {"measures": "ndcg"}
# of every tool, and one that never changes what comes out
everywhere = {"output", "threads", "seed", "level", "no-history", "quiet", "help", "usage", "version", "batch"}
# what an option needs beside it
beside = {"run": [["--format", "trec"]], "fields": [["--format", "tsv"]], "why": [["--format", "tsv"]]}

rows = [row.split("\t") for row in subprocess.run([tool, "--help=rows"], check=True, capture_output=True, text=True).stdout.splitlines()]
letters = {row[1]: row[0] for row in rows if row[1]}
text = open(page).read()
forms = re.split(r"\n\.Nm\n", text[text.index(".Sh SYNOPSIS"):text.index(".Sh DESCRIPTION")])[1:]
leaders = [None] + [re.search(r"^\.Fl -([a-z-]+)", form, re.M).group(1) for form in forms[1:]]


def listed(form):
    names = set(re.findall(r"Fl -([a-z][a-z0-9-]+)", form))
    for cluster in re.findall(r"Fl ([a-z]+)\b", form):
        names |= {letters[letter] for letter in cluster if letter in letters}
    return names


def is_taken(leader, words):
    first = [] if not leader else [f"--{leader}", *[value for value in arguments[leader] if value]]
    done = subprocess.run([tool, *first, *words, "none"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode != 2


arguments = {}
for name, letter, key, argument, choices, default, told in rows:
    if not argument and not choices:
        arguments[name] = [None]
    else:
        arguments[name] = choices.split(", ") if choices else [special.get(name, values.get(argument, "2"))]
mistakes = []
for form, leader in zip(forms, leaders):
    for name in arguments.keys() - everywhere - set(leaders) - {""}:
        words = [[f"--{name}"] + [value for value in [value] if value] for value in arguments[name]]
        if name == "weights":
            words = [["--model", "none", "--model", "other", "--weights", "1,1"]]
        taken = any(is_taken(leader, extra + choice) for extra in [[], *beside.get(name, [])] for choice in words)
        if taken != (name in listed(form)):
            mistakes.append(f"--{name} {'is taken' if taken else 'is not taken'} by the form {leader or 'without'}")
for mistake in sorted(mistakes):
    print(f"{page}: {mistake}")
sys.exit(bool(mistakes))
