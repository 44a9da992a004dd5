"""What one command made and is committed: tables and small agents that notebooks load where training would take long."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent


def table(name: str):
    """A committed table as a DataFrame: `table("maze_bc")`. Its first line names the command and the kind of machine."""
    import pandas as pd
    return pd.read_csv(_existing(f"{name}.csv"), comment="#")


def agent(name: str):
    """A committed agent: `agent("bc-maze-fo")`."""
    from lmrl_lab.agent import load_agent
    return load_agent(_existing(name))


def once(name: str, cell: Callable[[], list[dict]], *modules: ModuleType) -> list[dict]:
    """The rows of a long experiment's cell, kept beside the cached data: an interrupted run goes on where it was.

    Rows belong to the code that made them: a `code_hash` of all files that train, play and score, and of these `modules`.
    """
    from lmrl_lab.files import cache_dir, code_hash, write_atomically
    path = cache_dir() / "results" / f"{name}-{code_hash(*(Path(module.__file__) for module in modules))}.json"
    if not path.exists():
        write_atomically(path, json.dumps(cell()))
    return json.loads(path.read_text())


def trained(name: str, methods: dict[str, tuple], task: str, episodes: Callable[[], list], seed: int, agents: dict):
    """The agent of a method, from `agents` or put there; `agent.spent`: the CPU seconds of its training and of what it starts
    from. methods: name -> (algorithm, settings, name of the method it starts from or None)."""
    from lmrl_lab.algorithms import train
    if name not in agents:
        algorithm, settings, start = methods[name]
        init, data = trained(start, methods, task, episodes, seed, agents) if start else None, episodes()
        begin = time.process_time()
        agents[name] = train(algorithm, task, data, seed=seed, init=init, **settings)
        agents[name].spent = time.process_time() - begin + (init.spent if init else 0.0)
    return agents[name]


def _existing(name: str) -> Path:
    if not (FOLDER / name).exists():
        there = ", ".join(sorted(p.name for p in FOLDER.iterdir() if p.suffix == ".csv" or (p / "agent.json").exists()))
        raise ValueError(f"no result '{name}' (there are: {there}); `make results` makes them")
    return FOLDER / name
