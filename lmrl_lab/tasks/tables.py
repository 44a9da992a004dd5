"""The tables in `assets`: CSV files that a person can read and correct."""

from __future__ import annotations

import csv
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"


def rows(name: str) -> list[dict[str, str]]:
    """The rows of a table, `name` without its ending: column -> cell."""
    with open(ASSETS / f"{name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def texts(cell: str) -> list[str]:
    """The texts of a cell that holds several."""
    return cell.split(" | ") if cell else []
