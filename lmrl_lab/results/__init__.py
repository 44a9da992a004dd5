"""What one command made and is committed: tables and small agents that notebooks load where training would take long."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def table(name: str):
    """A committed table as a DataFrame: `table("maze_bc")`. Its first line names the command and the kind of machine."""
    import pandas as pd
    return pd.read_csv(_existing(f"{name}.csv"), comment="#")


def agent(name: str):
    """A committed agent: `agent("bc-maze-fo")`."""
    from lmrl_lab.agent import load_agent
    return load_agent(_existing(name))


def _existing(name: str) -> Path:
    if not (FOLDER / name).exists():
        there = ", ".join(sorted(p.name for p in FOLDER.iterdir() if p.suffix == ".csv" or (p / "agent.json").exists()))
        raise ValueError(f"no result '{name}' (there are: {there}); `make results` makes them")
    return FOLDER / name
