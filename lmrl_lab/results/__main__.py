"""Rebuild the committed results: `python -m lmrl_lab.results [NAME ...]` (`make results`).

Settings were tuned on seeds 100 to 109; what is reported here are the seeds 0 to 4, once. A seed is the seed of the
data, of the network and of the evaluation.
"""

from __future__ import annotations

import argparse
import platform
import time

import pandas as pd
import torch

from lmrl_lab.agent import Agent
from lmrl_lab.algorithms import FROM_CLONE, train
from lmrl_lab.data import generate
from lmrl_lab.env import TASKS
from lmrl_lab.evaluation import evaluate
from lmrl_lab.files import write_atomically
from lmrl_lab.results import FOLDER, chess, dialogue, online, wordle
from lmrl_lab.tasks import maze, maze_tables
from lmrl_lab.tasks import text_nav as text_nav_task


def maze_bc(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """BC and filtered BC on both mazes at default settings, their curves, and seed 0's agents."""
    rows, curves = [], []
    for task in ("maze-fo", "maze-po"):
        for algorithm in ("bc", "filtered_bc"):
            for seed in seeds:
                agent, row = cell(task, algorithm, seed)
                rows.append(row)
                curves.append(curve(agent, row))
                if seed == seeds[0]:
                    agent.save(FOLDER / f"{algorithm}-{task}")
    return {"maze_bc": pd.DataFrame(rows), "maze_bc_curves": pd.concat(curves)}


def maze_values(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """MC returns and ILQL at default settings: fully observed; partly observed with 2 earlier turns and with all of them."""
    rows, curves = [], []
    for task, context, names in (("maze-fo", "turn", ("mc", "ilql")), ("maze-po", 2, ("bc", "mc", "ilql")),
                                 ("maze-po", "episode", ("mc", "ilql"))):
        for seed in seeds:
            bc, before = cell(task, "bc", seed, context)
            for algorithm in names:
                agent, row = (bc, before) if algorithm == "bc" else cell(task, algorithm, seed, context, bc)
                rows.append(row)
                curves.append(curve(agent, row))
                if seed == seeds[0] and algorithm != "bc" and context != "episode":  # agents of 1 MB at most are committed
                    agent.save(FOLDER / (f"{algorithm}-{task}" + "-2turns" * (context == 2)))
    return {"maze_values": pd.DataFrame(rows), "maze_values_curves": pd.concat(curves)}


def text_nav(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """BC, filtered BC, MC and ILQL on Text-Nav, fully observed: from whole games, and from the same games cut at the take."""
    return _text_nav("text_nav", [("text-nav-fo", "turn", "whole"), ("text-nav-fo", "turn", "cut")], seeds)


def text_nav_po(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """The same four partly observed, with the last observation only."""
    return _text_nav("text_nav_po", [("text-nav-po", "turn", "whole")], seeds)


def text_nav_memory(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """Partly observed with the whole transcript: beside `text_nav_po` it says whether memory helps."""
    return _text_nav("text_nav_memory", [("text-nav-po", "episode", "whole")], seeds)


def _text_nav(name: str, settings: list[tuple], seeds: list[int]) -> dict[str, pd.DataFrame]:
    rows, rooms = [], []
    for task, context, data in settings:
        for seed in seeds:
            episodes = generate(task, seed=seed)
            episodes = text_nav_task.cut_at_the_take(episodes) if data == "cut" else episodes
            bc, _ = cloned = cell(task, "bc", seed, context, episodes=episodes)
            for algorithm in ("bc", "filtered_bc", "mc", "ilql"):
                init = bc if algorithm in FROM_CLONE else None
                agent, row = cloned if algorithm == "bc" else cell(task, algorithm, seed, context, init, episodes)
                rows.append({"data": data, **row})
                rooms += by_room(agent, rows[-1])
                # agents of 1 MB at most are committed; a clone counts steps, so the one of cut games is that of whole ones
                if seed == seeds[0] and task == "text-nav-fo" and init is None and (algorithm, data) != ("bc", "cut"):
                    agent.save(FOLDER / (f"{algorithm}-{task}" + "-cut" * (data == "cut")))
    return {name: pd.DataFrame(rows), f"{name}_rooms": pd.DataFrame(rooms)}


def by_room(agent: Agent, row: dict) -> list[dict]:
    """How many games the agent wins from each start room: the games of `row`, played again."""
    _, played = evaluate(agent, row["task"], seed=row["seed"], return_episodes=True)
    wins = pd.Series([e.success for e in played]).groupby([e.info["options"]["start"] for e in played])
    return [{**{k: row[k] for k in ("task", "data", "algorithm", "context", "seed")}, "room": room, "games": len(won),
             "won": won.sum()} for room, won in wins]


def cell(task: str, algorithm: str, seed: int, context=None, init: Agent | None = None,
         episodes: list | None = None) -> tuple[Agent, dict]:
    """Train and evaluate once at default settings; (agent, a row of the table). CPU seconds include those of `init`."""
    episodes = generate(task, seed=seed) if episodes is None else episodes
    begin = time.process_time()
    agent = train(algorithm, task, episodes, seed=seed, context=context, init=init)
    seconds = time.process_time() - begin + (init.history["seconds"].iloc[-1] if init else 0.0)
    score = evaluate(agent, task, seed=seed)
    row = {"task": task, "algorithm": algorithm, "context": agent.context, "seed": seed}
    if task.startswith("maze"):
        exact = float("nan") if agent.context == "episode" else maze_tables.exact_return(agent)
        row |= {"exact_return": exact, "exact_normalized": TASKS[task].references.normalize(exact)}
    row |= {"mean_return": score.mean_return, "normalized": score.normalized, "interval_low": score.interval[0],
            "interval_high": score.interval[1], "success_rate": score.success_rate, "invalid_rate": score.invalid_rate,
            "greedy_return": evaluate(agent.with_decoding(temperature=0), task, seed=seed).mean_return, "cpu_seconds": seconds}
    print(f"{task} {algorithm} {agent.context} seed {seed}: {score} ({seconds:.0f} CPU s)", flush=True)
    return agent, row


def curve(agent: Agent, row: dict) -> pd.DataFrame:
    return agent.history.drop(columns="seconds").assign(**{k: row[k] for k in ("task", "algorithm", "context", "seed")})


def maze_ceilings(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """What the data holds for a player with so many earlier turns on maze-po: tables at ILQL's fixed point, tilted as ILQL
    is (beta), uniform where a context was never seen; "belief": the set of cells that fit the whole transcript."""
    rows = []
    for context in ("turn", 1, 2, 3, 4, 8, "belief"):
        key, k = (maze_tables.belief_key(maze.maze()), 0) if context == "belief" else (None, 0 if context == "turn" else context)
        for seed in seeds:
            steps = maze_tables.steps_of(generate("maze-po", seed=seed), k, key)
            for tau in (0.9, 0.99, 1.0):
                values = maze_tables.expectile_values(steps, 0.99, tau)
                policy = maze_tables.ContextPolicy(maze_tables.guided_policy(values, 4.0), k, key)
                score = evaluate(policy, "maze-po", seed=seed)
                rows.append({"context": context, "tau": tau, "beta": 4.0, "seed": seed, "contexts": len(values.index),
                             "mean_return": score.mean_return, "interval_low": score.interval[0],
                             "interval_high": score.interval[1], "success_rate": score.success_rate})
            print(f"context {context} seed {seed}: {rows[-2]['mean_return']:.1f} at tau .99", flush=True)
    return {"maze_ceilings": pd.DataFrame(rows)}


EXPERIMENTS = {"maze_bc": maze_bc, "maze_values": maze_values, "maze_ceilings": maze_ceilings, "text_nav": text_nav,
               "text_nav_po": text_nav_po, "text_nav_memory": text_nav_memory, **wordle.EXPERIMENTS, **chess.EXPERIMENTS,
               **dialogue.EXPERIMENTS, **online.EXPERIMENTS}


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
