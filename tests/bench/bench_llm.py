#!/usr/bin/env python3
"""A step of SAID's first stage beside PyTorch and Hugging Face's transformers: 32 items of 32 tokens through a frozen
language model of SmolLM2-135M's shape; the loss of every token, and its gradient back to the input vectors alone. Ours runs
with each --precision that this processor is faster at, and with --integers; PyTorch in floats, with weights in bf16 where the
processor has instructions for it, and with its layers and its loss compiled, in huge pages that are kept; the fastest takes
turns with ours, medians of three ($ROUNDS). Prints: what, ours, the peer, ratio (above 1: ours is faster or smaller), in
seconds and in processor seconds, which other programs on the machine disturb less; peak memory; the rate, and what it is of the
machine's limit.
"""
import json
import os
import resource
import sys
import tempfile
import time

from turns import ROUNDS, THREADS, TUNED, Program, fastest, limits, median

ITEMS, TOKENS, AT_ONCE = 32, 32, 256
CONFIG = dict(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
              num_key_value_heads=3, max_position_embeddings=2048, tie_word_embeddings=True)


def peer(threads, setting):
    import torch
    import torch.nn.functional as F
    from transformers import LlamaConfig, LlamaForCausalLM
    torch.set_num_threads(int(threads))
    model = LlamaForCausalLM(LlamaConfig(**CONFIG, use_cache=False)).eval().requires_grad_(False)
    if setting.startswith("bf16"):
        model = model.bfloat16()
    table = model.get_input_embeddings().weight

    def loss_of(states, targets):
        return F.cross_entropy(model.lm_head(states).flatten(0, 1).float(), targets.flatten())

    if setting.endswith("compiled"):  # a layer once for all of them: the whole takes minutes, and is no faster
        loss_of = torch.compile(loss_of)
        for layer in model.model.layers:
            layer.compile()
    for line in sys.stdin:
        ids = torch.randint(CONFIG["vocab_size"], (ITEMS, TOKENS))
        inputs, targets = table[ids].clone().requires_grad_(), torch.randint(CONFIG["vocab_size"], (ITEMS, TOKENS))
        started, clock = time.perf_counter(), time.process_time()
        loss = loss_of(model.model(inputs_embeds=inputs).last_hidden_state, targets)
        loss.backward()
        print(time.perf_counter() - started, time.process_time() - clock, loss.item(),
              resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


def operations():
    c = CONFIG
    d, head = c["hidden_size"], c["hidden_size"] // c["num_attention_heads"]
    layer = 2 * d * d + 2 * d * head * c["num_key_value_heads"] + 3 * d * c["intermediate_size"]
    return 4 * ITEMS * TOKENS * (c["num_hidden_layers"] * layer + d * c["vocab_size"])


def main():
    try:
        import torch
        import transformers
    except ImportError:
        sys.exit(print("bench_llm: skipped, no torch or transformers"))
    print(f"a step of {ITEMS} items x {TOKENS} tokens beside PyTorch {torch.__version__}, {THREADS} threads")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/config.json"
        with open(path, "w") as file:
            json.dump(dict(CONFIG, architecture="llama"), file)
        limit = limits()
        command = os.environ["RECPIPE_BENCH"] + "/llm", path, THREADS, AT_ONCE
        ours = {way: Program(*command) for way in [*limit, "integers"]}
        best, theirs, tried = fastest(
            lambda setting: Program(sys.executable, __file__, "--peer", THREADS, setting, env=TUNED),
            lambda program: program.ask("step", ITEMS, TOKENS), limit)
        for way, program in ours.items():
            program.ask(way)
        runs = {name: [] for name in [*ours, "peer"]}
        for _ in range(ROUNDS + 1):  # the first is not counted
            for name, program in [*ours.items(), ("peer", theirs)]:
                runs[name].append(program.ask("step", ITEMS, TOKENS))
        for program in [*ours.values(), theirs]:
            program.end()
    of = lambda name, field: median(runs[name][1:], field)
    print(f"PyTorch: {best}; tried: " + ", ".join(f"{how} {took:.2f} s" for how, took in tried.items()))
    for way in ours:
        for what, field, unit in ("seconds", 0, "s"), ("processor seconds", 1, "s"), ("peak memory", 3, "MB"):
            a, b = of(way, field), of("peer", field)
            print(f"{way + ': ' + what:42} {a:9.2f} {unit:2} {b:9.2f} {unit:2} {b / a:6.2f}")
        if way in limit:
            rate = operations() / of(way, 1) / 1e9
            print(f"{way + ': rate, and share of the limit':42} {rate:6.0f} GF/s {limit[way]:6.0f} GF/s {rate / limit[way]:6.2f}",
                  flush=True)


if sys.argv[1:2] == ["--peer"]:
    peer(*sys.argv[2:])
else:
    main()
