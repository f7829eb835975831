#!/usr/bin/env python3
"""options.py TOOL PAGE WORDS...: compares the options that TOOL has, with each of WORDS ("--arch=gru --task=next") before
--help=rows, with those of its man page. Prints what one has and the other has not, a line each, and defaults that the page does
not give where it describes their option. Exit 1 if there is any."""
import re, subprocess, sys

tool, page, *choices = sys.argv[1:]
defaults, title = {}, {}  # by name ("-layers") or key ("layers=")
for words in choices or [""]:
    rows = subprocess.run([tool, *words.split(), "--help=rows"], check=True, capture_output=True, text=True).stdout
    for row in rows.splitlines():
        name, letter, key, argument, values, default, told = row.split("\t")
        option = "-" + name if name else key + "="
        default = re.sub(r"^ \(default (.*)\)$", r"\1", default)
        title[option] = f"--{name}" if name else f"--set {key}"
        defaults.setdefault(option, set()).update({default} if re.fullmatch(r"[\w.-]+", default) else set())

# paragraphs, of one line each: an .It takes what stands before the next
text = open(page).read()
text = re.sub(r"\\e", r"\\", re.sub(r"\\[&-]", "-", text))
synopsis = text[text.index(".Sh SYNOPSIS"):text.index(".Sh DESCRIPTION")]
blocks = re.split(r"\n(?=\.(?:It|Ss|Sh|El)\b)", text[text.index(".Sh DESCRIPTION"):])
described = {}
for block in blocks:
    tag, _, told = block.partition("\n")
    if not tag.startswith(".It"):
        continue
    for option in set(re.findall(r"Fl (-[a-z][a-z0-9-]+)", tag)) | set(re.findall(r"Fl -set Cm (\w+=)", tag)):
        described[option] = described.get(option, "") + re.sub(r"(\d),(?=\d{3})", r"\1", block) + "\n"

shared = {"-output", "-threads", "-level", "-quiet", "-help", "-version", "-seed", "-no-history"}  # recpipe(7)
mistakes = []
for option in title:
    if option in shared:
        continue
    if option not in described:
        mistakes.append(f"{title[option]} is not described")
        continue
    for default in defaults[option] - {"no", "yes", "0"}:
        if not re.search(rf"(?<![\w.-]){re.escape(default)}(?![\w-]|\.\d)", described[option]):
            mistakes.append(f"{title[option]}: its default {default} is not given")
for option in described:
    if option not in title and option != "-set":
        mistakes.append(f"{option} is described, and is no option")
for option in set(re.findall(r"Fl (-[a-z][a-z0-9-]+)", synopsis)):
    if option not in title:
        mistakes.append(f"{option} is in the synopsis, and is no option")
for mistake in sorted(mistakes):
    print(f"{page}: {mistake}")
sys.exit(bool(mistakes))
