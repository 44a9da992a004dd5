"""What notebook 16 builds, held against the library and against numbers by hand."""

import numpy as np
import pandas as pd
import pytest

from answers import nb16 as answers
from lmrl_lab.env import TASKS
from lmrl_lab.evaluation import interval_over_seeds
from notebook_cells import defined


def test_an_order_joins_what_is_the_same_and_begins_with_the_best():
    order = defined(16, "order", np=np, pd=pd)["order"]
    assert order(pd.Series({"a": 1.0, "b": 3.0, "c": 3.0, "d": -2.0})) == "b = c > a > d"
    assert order(pd.Series({"a": 1.0})) == "a"


def test_coverage_counts_worlds():
    """With seeds that do not differ both intervals hold the truth; with games that do not vary the one over games never does."""
    covered = defined(16, "covers", np=np, interval_over_seeds=interval_over_seeds, FAST=True)["covered"]
    alike = covered(3, spread=0.0)
    assert alike["games only"] > 0.85 and alike["seeds and games"] > 0.85
    assert covered(3, noise=1e-9)["games only"] == 0.0


def test_the_answers_are_the_library_s():
    rng, returns = np.random.default_rng(0), [[0.0, 4.0, 4.0], [10.0] * 5, [-3.0, 5.0]]
    drawn = [answers.resampled_mean(returns, rng) for _ in range(4000)]
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx(interval_over_seeds(returns, draws=4000), abs=0.4)
    for card in TASKS.values():
        known = card.references
        for value in (known.minimum - 5, known.behaviour, known.best, (known.behaviour + known.best) / 2):
            assert answers.normalized(value, known.minimum, known.behaviour, known.best) == pytest.approx(known.normalize(value))
