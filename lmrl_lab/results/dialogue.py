"""The three dialogue tasks: what each method reaches with the scripted partners."""

from __future__ import annotations

import functools
import sys

import pandas as pd

from lmrl_lab.data import generate
from lmrl_lab.inspection import calibration
from lmrl_lab.results import methods, once, trained
from lmrl_lab.tasks import (
    car_dealer,
    car_dealer_buyer,
    car_dealer_reading,
    car_dealer_sellers,
    car_dealer_words,
    guess_my_city,
    guessing,
    phrases,
    twenty_questions,
)

CODE = (twenty_questions, guess_my_city, guessing, phrases, car_dealer, car_dealer_buyer, car_dealer_reading, car_dealer_sellers,
        car_dealer_words, methods, sys.modules[__name__])
TEMPERATURES = (1.0, 0.5, 0.0)
# name: algorithm, settings, and what it starts from and tilts: another of these, or nothing
METHODS = {
    "BC": ("bc", {}, None),
    "filtered BC": ("filtered_bc", {}, None),
    "MC": ("mc", {}, "BC"),
    "ILQL": ("ilql", {}, "BC"),
    "MC on filtered BC": ("mc", {}, "filtered BC"),
    "ILQL on filtered BC": ("ilql", {}, "filtered BC"),
}
# games of an evaluation, sampled and greedy: every object four times and once, every city six times and once
GAMES = {"twenty-questions": (632, 158), "guess-my-city": (600, 100), "car-dealer": (600, 400)}


def tokens(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """How far from a sale the values of MC and ILQL can tell what a talk will earn: over the action tokens of 300 recorded talks
    that nobody was trained on, the correlation of Q with the return that followed, by how many action tokens are left."""
    rows = []
    for seed in seeds:
        rows += once(f"car_dealer_tokens-{seed}", functools.partial(_tokens, seed), *CODE)
        print(pd.DataFrame(rows).query(f"seed == {seed}").round(2).to_string(index=False), flush=True)
    return {"car_dealer_tokens": pd.DataFrame(rows)}


def _tokens(seed: int) -> list[dict]:
    rows, agents, fresh = [], {}, generate("car-dealer", 300, seed=1_000 + seed)
    for method in ("MC on filtered BC", "ILQL on filtered BC"):
        agent = trained(method, METHODS, "car-dealer", functools.partial(generate, "car-dealer", seed=seed), seed, agents)
        frame = calibration(agent, fresh)
        left = pd.cut(frame.groupby("episode").cumcount(ascending=False) + 1, [0, 1, 4, 10, 20, 10_000],
                      labels=["1", "2-4", "5-10", "11-20", "21 or more"])
        for band, part in frame.groupby(left, observed=True):
            rows.append({"method": method, "seed": seed, "left": band, "tokens": len(part), "spread": part["q"].std(),
                         "correlation": part["q"].corr(part["return_to_go"])})
    return rows


def _experiment(task: str, seeds: list[int]) -> dict[str, pd.DataFrame]:
    name = task.replace("-", "_")
    return {name: methods.compared(name, task, METHODS, seeds, GAMES[task], TEMPERATURES, CODE)}


EXPERIMENTS = {**{task.replace("-", "_"): functools.partial(_experiment, task) for task in GAMES}, "car_dealer_tokens": tokens}
