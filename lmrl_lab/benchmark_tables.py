"""The benchmark's tables, counted from the records of finished cells: a row a seed, and a row for all seeds together.

Nothing is trained or played here, so a change in this file leaves finished cells valid.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lmrl_lab.algorithms import ALGORITHMS
from lmrl_lab.env import TASKS
from lmrl_lab.evaluation import bootstrap_interval, interval_over_seeds
from lmrl_lab.files import write_atomically

ORDER = [*ALGORITHMS, "few_shot"]
# algorithm -> its name in pictures and in the cards' `paper`; GPT-4 was shown the rules and examples
NAMES = {"bc": "BC", "filtered_bc": "filtered BC", "mc": "MC", "ilql": "ILQL", "ppo": "PPO",
         "online_filtered_bc": "online filtered BC", "grpo": "GRPO", "few_shot": "GPT-4"}


def by_seed(records: Iterable[dict]) -> pd.DataFrame:
    """A row a task, algorithm, temperature and seed.

    Returns in task units; interval: 95%, as a Score's; invalid_rate: a share of actions. train_cpu_seconds: those of the
    clone that it starts from (`start`) included; eval_cpu_seconds: of this row's games; wall_seconds: of training and these
    games; tokens: action tokens that the training has seen, with their weights; outgrown: games longer than the agent can read,
    in which it said nothing from there on.
    """
    rows = []
    for record in records:
        asked, train = record["configuration"], record["train"] or {}
        for play in record["plays"]:
            low, high = bootstrap_interval(play["returns"], groups=play["starts"])
            rows.append({
                "task": asked["task"], "algorithm": asked["algorithm"], "start": asked.get("start"),
                "temperature": _number(play["temperature"]), "seed": asked["seed"],
                "episodes": len(play["returns"]), "mean_return": np.mean(play["returns"]),
                "interval_low": low, "interval_high": high, "normalized": _normalized(asked["task"], np.mean(play["returns"])),
                "success_rate": np.mean(play["success"]), "invalid_rate": sum(play["invalid"]) / sum(play["length"]),
                "mean_length": np.mean(play["length"]), "train_cpu_seconds": train.get("cpu_seconds", 0.0),
                "eval_cpu_seconds": play["cpu_seconds"], "wall_seconds": train.get("wall_seconds", 0.0) + play["wall_seconds"],
                "tokens": train.get("tokens", 0.0), "outgrown": _outgrown([play])})
    return _in_order(rows)


def pooled(records: Iterable[dict]) -> pd.DataFrame:
    """A row a task, algorithm and temperature, its seeds together, each counting the same.

    interval: 95%, over seeds and games, see `interval_over_seeds`; cpu_seconds: the mean over seeds of training and these
    games; outgrown: as in `by_seed`; seed_low, seed_high: the lowest and the highest seed's mean return; paper: the return that
    LMRL Gym (arXiv 2311.18232) reports, in its own version of the task.
    """
    groups: dict[tuple, list[tuple[dict, dict]]] = {}
    for record in records:
        for play in record["plays"]:
            key = (record["configuration"]["task"], record["configuration"]["algorithm"], play["temperature"])
            groups.setdefault(key, []).append((record, play))
    rows = []
    for (task, algorithm, temperature), members in groups.items():
        members.sort(key=lambda member: member[0]["configuration"]["seed"])
        plays = [play for _, play in members]
        means = [np.mean(play["returns"]) for play in plays]
        interval = interval_over_seeds([play["returns"] for play in plays], groups=[play["starts"] for play in plays])
        mean, low, high = (_normalized(task, value) for value in (np.mean(means), *interval))
        rows.append({
            "task": task, "algorithm": algorithm, "start": members[0][0]["configuration"].get("start"),
            "temperature": _number(temperature), "seeds": len(plays),
            "mean_return": np.mean(means), "interval_low": interval[0], "interval_high": interval[1], "normalized": mean,
            "normalized_low": low, "normalized_high": high, "success_rate": np.mean([np.mean(play["success"]) for play in plays]),
            "invalid_rate": sum(sum(play["invalid"]) for play in plays) / sum(sum(play["length"]) for play in plays),
            "cpu_seconds": np.mean([(record["train"] or {}).get("cpu_seconds", 0.0) + play["cpu_seconds"]
                                    for record, play in members]),
            "outgrown": _outgrown(plays), "seed_low": min(means), "seed_high": max(means),
            "paper": TASKS[task].paper.get(NAMES.get(algorithm), math.nan)})
    return _in_order(rows)


def write(path: Path, records: Iterable[dict], header: Sequence[str]) -> None:
    """Write FILE.csv, a row a seed, and FILE_table.csv, all seeds together, each only whole."""
    records, above = list(records), "".join(f"# {line}\n" for line in header)
    for file, frame in ((path, by_seed(records)), (path.with_name(f"{path.stem}_table.csv"), pooled(records))):
        write_atomically(file, above + frame.to_csv(index=False, float_format="%.6g"))


def line(record: dict) -> str:
    """A finished cell in a line."""
    asked, seconds = record["configuration"], (record["train"] or {}).get("cpu_seconds", 0.0)
    returns = ", ".join(f"{np.mean(play['returns']):.2f} at temperature {play['temperature']}" for play in record["plays"])
    long = _outgrown(record["plays"])
    return (f"{asked['task']} {asked['algorithm']} seed {asked['seed']}: return {returns}; trained in {seconds:.0f} CPU s"
            + f"; {long} games longer than the agent can read" * (long > 0))


def _in_order(rows: list[dict]) -> pd.DataFrame:
    """In the order of the tasks, the algorithms, sampled before greedy, seeds."""
    tasks = list(TASKS)
    return pd.DataFrame(sorted(rows, key=lambda row: (
        tasks.index(row["task"]), ORDER.index(row["algorithm"]), -np.nan_to_num(row["temperature"]), row.get("seed", 0))))


def _outgrown(plays: Iterable[dict]) -> int:
    """How many games the agent could not read to their end; a record made before they were counted has none."""
    return sum(len(play.get("outgrown", [])) for play in plays)


def _normalized(task: str, value: float) -> float:
    return TASKS[task].references.normalize(float(value))


def _number(temperature: float | None) -> float:
    return math.nan if temperature is None else temperature
