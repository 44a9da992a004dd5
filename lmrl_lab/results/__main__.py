"""Rebuild the committed results: `python -m lmrl_lab.results [NAME ...]` (`make results`).

Settings were tuned on seeds 100 to 109; what is reported here are the seeds 0 to 4, once. A seed is the seed of the
data, of the network and of the evaluation.
"""

from __future__ import annotations

import argparse
import platform
import time

import numpy as np
import pandas as pd
import torch

from lmrl_lab.agent import Agent
from lmrl_lab.algorithms import train
from lmrl_lab.data import generate, write_atomically
from lmrl_lab.env import TASKS
from lmrl_lab.episode import Turn
from lmrl_lab.evaluation import evaluate
from lmrl_lab.results import FOLDER
from lmrl_lab.tasks import maze


def maze_bc(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """BC and filtered BC on both mazes at default settings, their curves, and seed 0's agents."""
    rows, curves = [], []
    for task in ("maze-fo", "maze-po"):
        for algorithm in ("bc", "filtered_bc"):
            for seed in seeds:
                episodes = generate(task, seed=seed)
                begin = time.process_time()
                agent = train(algorithm, task, episodes, seed=seed)
                seconds = time.process_time() - begin
                score = evaluate(agent, task, seed=seed)
                exact = exact_return(agent) if task == "maze-fo" else float("nan")
                rows.append({"task": task, "algorithm": algorithm, "seed": seed, "exact_return": exact,
                             "mean_return": score.mean_return, "normalized": score.normalized,
                             "exact_normalized": TASKS[task].references.normalize(exact),
                             "interval_low": score.interval[0], "interval_high": score.interval[1],
                             "success_rate": score.success_rate, "invalid_rate": score.invalid_rate, "cpu_seconds": seconds})
                curves.append(agent.history.assign(task=task, algorithm=algorithm, seed=seed).drop(columns="seconds"))
                print(f"{task} {algorithm} seed {seed}: {score} ({seconds:.0f} CPU s)", flush=True)
                if seed == seeds[0]:
                    agent.save(FOLDER / f"{algorithm}-{task}")
    return {"maze_bc": pd.DataFrame(rows), "maze_bc_curves": pd.concat(curves)}


def exact_return(agent: Agent) -> float:
    """Expected return over the starts of the double T of an agent that sees the last observation only."""
    of = maze.maze()
    contexts = [[Turn(text + "\n", False)] for text in of.observations("full")]
    return maze.mean_return(np.array(agent.action_probabilities(contexts, [maze.ACTIONS] * len(contexts))), of)


EXPERIMENTS = {"maze_bc": maze_bc}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lmrl_lab.results", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*EXPERIMENTS, []], default=list(EXPERIMENTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.names:
        header = (f"# made by: python -m lmrl_lab.results {name}; seeds {options.seeds}; one thread of a shared "
                  f"{platform.machine()} processor; torch {torch.__version__.split('+')[0]}\n")
        for file, frame in EXPERIMENTS[name](options.seeds).items():
            write_atomically(FOLDER / f"{file}.csv", header + frame.to_csv(index=False, float_format="%.5g"))


if __name__ == "__main__":
    main()
