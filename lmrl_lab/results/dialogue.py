"""The three dialogue tasks: what each method reaches with the scripted partners."""

from __future__ import annotations

import functools
import sys

import pandas as pd

from lmrl_lab.results import methods
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


def _experiment(task: str, seeds: list[int]) -> dict[str, pd.DataFrame]:
    name = task.replace("-", "_")
    return {name: methods.compared(name, task, METHODS, seeds, GAMES[task], TEMPERATURES, CODE)}


EXPERIMENTS = {task.replace("-", "_"): functools.partial(_experiment, task) for task in GAMES}
