"""Every algorithm on a GPT-2 of the usual size (12 layers, width 768, random weights), on whatever device there is:
`python -m tests.bench.gpu`.

Wall seconds, the GPU's peak memory, and sampled returns over 200 games of maze-fo. `--tiny`: two narrow layers and a step of
each, to see that it runs. Never part of CI.
"""

from __future__ import annotations

import argparse
import tempfile
import time

import torch
from transformers import AutoConfig, AutoModelForCausalLM

import lmrl_lab as lab
from lmrl_lab.training import processes
from tests.test_tokens import bpe_codec

# what follows BC: algorithm, steps or rounds, settings
RUNS = (("mc", 100, {"learning_rate": 1e-4}), ("ilql", 100, {"learning_rate": 1e-4}), ("ppo", 10, {"learning_rate": 3e-5}),
        ("ppo", 10, {"learning_rate": 3e-5, "bc_coef": 0.1, "micro_batch_size": 4}),
        ("online_filtered_bc", 10, {"learning_rate": 1e-4}), ("grpo", 10, {"learning_rate": 3e-5, "micro_batch_size": 4}))


def main(tiny: bool) -> None:
    print(torch.cuda.get_device_name() if processes().device.type == "cuda" else "CPU")
    codec = bpe_codec()
    sizes = {"n_layer": 2, "n_embd": 32, "n_head": 2} if tiny else {}
    network = AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt2", vocab_size=codec.vocab_size, bos_token_id=None,
                                                                    eos_token_id=0, **sizes))
    print(f"{sum(p.numel() for p in network.parameters()):,} parameters")
    data, games = lab.generate("maze-fo", 300, seed=3), 4 if tiny else 200
    with tempfile.TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        codec.tokenizer.save_pretrained(folder)
        bc = timed("bc", data, games, model=folder, steps=20 if tiny else 200, learning_rate=1e-2 if tiny else 3e-4)
    for algorithm, amount, settings in RUNS:
        length = "updates" if algorithm in ("ppo", "online_filtered_bc", "grpo") else "steps"
        fewer = {"episodes_per_update": 8, "num_mini_batches": 1} if tiny and algorithm == "ppo" else {}
        timed(algorithm, data, games, init=bc, **{length: 1 if tiny else amount}, **settings, **fewer)


def timed(algorithm: str, data: list, games: int, **settings) -> lab.Agent:
    begin = time.monotonic()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    agent = lab.train(algorithm, "maze-fo", data, **settings)
    seconds = time.monotonic() - begin
    memory = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else float("nan")
    told = {name: value for name, value in settings.items() if name not in ("init", "model")}
    print(f"{algorithm} {told}: {seconds:.1f} s, {memory:.1f} GiB", lab.evaluate(agent, "maze-fo", games, seed=1), flush=True)
    return agent


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true")
    main(parser.parse_args().tiny)
