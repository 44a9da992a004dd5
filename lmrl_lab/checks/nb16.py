"""Checks of notebook 16, the benchmark. Expected numbers are worked out by hand, or from the variance of a mean."""

from __future__ import annotations

import math
import random

from lmrl_lab.checks import Result, check_choice, check_function, check_number, failed, hint_for, passed, raised


def width(letter) -> Result:
    """The prediction: three seeds with means -10, -20 and -30, a thousand games each; the interval of the method's return."""
    return check_choice("width", letter, "abc", "c",
                        "a fourth seed might end anywhere between -10 and -30 or beyond, and more games with these three agents "
                        "say nothing about it")


def normalized(function) -> Result:
    """A function (value, worst, behaviour, best) -> 0 at the worst return, 50 at the behaviour data, 100 at the best, linear
    between and beyond."""
    rng = random.Random(16)
    drawn = []
    for _ in range(6):
        worst, behaviour, best = sorted(rng.uniform(-100, 50) for _ in range(3))
        value = rng.uniform(worst - 20, best + 20)
        part = (worst, behaviour, 0) if value < behaviour else (behaviour, best, 50)
        drawn.append(((value, worst, behaviour, best), part[2] + 50 * (value - part[0]) / (part[1] - part[0]), "drawn at random"))
    maze = (-100.0, -82.0, -7.0)
    return check_function("normalized", function, [
        ((-100.0, *maze), 0.0, "the worst return"), ((-82.0, *maze), 50.0, "the behaviour data"),
        ((-7.0, *maze), 100.0, "the best known policy"), ((-44.5, *maze), 75.0, "half-way between behaviour and best"),
        ((-91.0, *maze), 25.0, "half-way between worst and behaviour"),
        ((-400.0, *maze), 50 * -300 / 18, "worse than the worst of valid actions: nothing is cut off"),
        ((0.3, 0.0, 0.2, 1.0), 56.25, "returns may be shares of success"), *drawn],
        note="Seven cases by hand and six at random")


def resampled_mean(function) -> Result:
    """A function (returns, rng) -> the mean of one bootstrap sample: seeds drawn with replacement, then games in each of them.

    returns: a list of lists, a list of returns for each seed. rng: a numpy Generator. Held to the mean and the standard
    deviation that 3,000 such samples must have: Var = (Var of the seeds' means + mean of Var within / games) / seeds.
    """
    import numpy as np
    if not callable(function):
        return failed("resampled_mean", f"expected a function, got {function!r}")
    draw = np.random.default_rng(16)
    cases = [
        ("three seeds of one game each: only the seeds can be drawn", [[-10.0], [-20.0], [-30.0]]),
        ("one seed of four games: only the games can be drawn", [[0.0, 0.0, 0.0, 8.0]]),
        ("two seeds with equal means: what varies is the games, drawn anew each time that a seed is drawn",
         [[-9.0, 9.0] * 4, [-9.0, 9.0] * 4]),
        ("seeds of two games and of two hundred: each seed counts the same", [[0.0, 0.0], [6.0] * 200, [3.0] * 20, [3.0] * 4]),
        ("five seeds of thirty games at random", [list(map(float, draw.normal(mean, 3, 30))) for mean in (-4, -2, 0, 1, 7)]),
    ]
    for case, returns in cases:
        means, within = [float(np.mean(r)) for r in returns], [float(np.var(r)) / len(r) for r in returns]
        mean, sd = float(np.mean(means)), math.sqrt((float(np.var(means)) + float(np.mean(within))) / len(returns))
        rng = np.random.default_rng(1)
        kept = [list(r) for r in returns]
        try:
            got = [float(function(kept, rng)) for _ in range(3_000)]
        except Exception as error:  # whatever a learner's code raises is shown, never raised
            return failed("resampled_mean", f"\n  {case}\n  raised   {raised(error)}")
        if kept != [list(r) for r in returns]:
            return failed("resampled_mean", f"\n  {case}\n  the lists that it was given have changed")
        found = float(np.mean(got)), float(np.std(got))
        if not (abs(found[0] - mean) < 5 * sd / math.sqrt(3_000) + 1e-9 and abs(found[1] / sd - 1) < 0.08):
            return failed("resampled_mean", f"\n  {case}\n  3,000 samples of {[r[:4] for r in returns]} (up to four games a seed)"
                                            f"\n  got      mean {found[0]:.3f}, standard deviation {found[1]:.3f}"
                                            f"\n  expected mean {mean:.3f}, standard deviation {sd:.3f}")
    return passed("resampled_mean", "Five cases, 3,000 samples each, against the variance of a mean")


def unanimous(prediction) -> Result:
    """Six methods of the same worth, three seeds each: how many of the 15 pairs agree on all three seeds, on average."""
    hints = {1.88: "one of two may be ahead, and it may be either", 0.94: "three seeds, not four; and it may be either",
             7.5: "that would be one seed", 15.0: "all pairs? each seed is a coin", 0.25: "that is for one pair",
             0.75: "15 pairs, not three", 4.5: "there are 6 times 5 over 2 pairs, not 18", 7.0: "count pairs once"}
    return check_number("unanimous", prediction, 3.75,
                        "Each pair: one is ahead on all three seeds with probability 1/8, and so is the other; 15 times 1/4",
                        hint_for(hints, "for one pair each seed is a coin; the first may win all three, or the second"))
