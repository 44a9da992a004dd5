"""Checks of notebook 20, people and agents. Expected numbers are worked out by hand, or by the slow loops in this file."""

from __future__ import annotations

import itertools
import math
import random

from lmrl_lab.checks import Result, check_function, check_number, failed, hint_for, passed, raised

CODES = [f"P{i}" for i in range(1, 9)]


def plan(function) -> Result:
    """A function (codes, seed) -> {code: "A" or "B"}: who advises first; drawn, and exactly half each."""
    if not callable(function):
        return failed("plan", f"Expected a function, got {function!r}.")
    plans = []
    for seed in range(60):
        call = f"\n  plan({CODES}, {seed})"
        try:
            got, again = function(list(CODES), seed), function(list(CODES), seed)
        except Exception as error:  # whatever a learner's code raises is shown, never raised
            return failed("plan", f"{call}\n  raised   {raised(error)}\n  expected who advises first, by code")
        if not isinstance(got, dict) or list(got) != CODES or not all(x in ("A", "B") for x in got.values()):
            return failed("plan", f"{call}\n  got      {str(got)[:160]}\n  expected a dictionary, code -> 'A' or 'B', in order")
        first = "".join(got.values())
        if first.count("A") != 4:
            return failed("plan", f"{call}\n  got      {first}: A comes first {first.count('A')} times of 8"
                                  "\n  expected exactly half, or order and adviser are mixed up")
        if got != again:
            return failed("plan", f"{call}\n  got      {first}, and the next time {str(again)[:80]}"
                                  "\n  expected the same plan for the same seed: it is what is looked up at the end")
        plans.append(first)
    if len(set(plans)) < 10:
        return failed("plan", f"\n  with the seeds 0 to 59\n  got      {len(set(plans))} different plans, such as {plans[0]}"
                              "\n  expected many of the 70 that there are: who can foresee the next entry is not blind")
    for i, code in enumerate(CODES):
        often = sum(first[i] == "A" for first in plans)
        if not 12 <= often <= 48:
            return failed("plan", f"\n  with the seeds 0 to 59\n  got      A first for {code} in {often} of 60 plans"
                                  "\n  expected about half: the same chance for everybody")
    return passed("plan", "Sixty plans: half and half in each, and nobody can foresee them")


def paired(function) -> Result:
    """A function of rows (student, adviser, return) -> for each student the mean with the agent minus that with the clone."""
    rows = [("P1", "agent", -8.0), ("P1", "clone", -10.0), ("P2", "clone", -20.0), ("P2", "agent", -14.0)]
    many = [*rows, ("P1", "agent", -12.0), ("P1", "clone", -16.0), ("P1", "clone", -13.0)]
    rng = random.Random(20)
    drawn = [(f"P{rng.randrange(5)}", rng.choice(["agent", "clone"]), float(-rng.randrange(30))) for _ in range(60)]
    return check_function("paired", function, [
        ((rows,), [2.0, 6.0], "-8 - (-10) = 2 and -14 - (-20) = 6, in the order in which students first appear"),
        ((many,), [3.0, 6.0], "P1: the mean of -8 and -12, less the mean of -10, -16 and -13"),
        (([*rows[::-1], ("P3", "agent", -9.0)],), [6.0, 2.0],
         "P3 never played with the clone and has no difference; P2 comes first here"),
        (([],), [], "nobody took part"),
        ((drawn,), _paired(drawn), "sixty rows of five students, against a slow loop"),
    ], note="Five tables, the last one at random against a slow loop")


def _paired(rows: list) -> list[float]:
    found = []
    for student in dict.fromkeys(student for student, _, _ in rows):
        means = []
        for adviser in ("agent", "clone"):
            earned = [x for who, by, x in rows if (who, by) == (student, adviser)]
            means.append(sum(earned) / len(earned) if earned else math.nan)
        if not math.isnan(means[0] - means[1]):
            found.append(means[0] - means[1])
    return found


def sign_flip(function) -> Result:
    """A function of the differences -> the exact two-sided p-value: the share of sign patterns with a mean as far from 0."""
    rng = random.Random(7)
    drawn = [round(rng.gauss(0.6, 1), 2) for _ in range(9)]
    return check_function("sign_flip", function, [
        (([1.0],), 1.0, "two patterns, +1 and -1, and both are as far from 0: one student proves nothing"),
        (([1.0, 1.0, 1.0],), 0.25, "8 patterns; only +++ and --- have a mean as far from 0 as 1"),
        (([3.0, -1.0],), 1.0, "means 1, 2, -2, -1: all are as far from 0 as 1"),
        (([4.0, 3.0, -1.0],), 0.5, "|sum| is 6, and of the 8 patterns 4 have 6 or more: 8, 6 and their negatives"),
        (([-2.0, -3.0, -4.0, -1.0],), 0.125, "both sides count: 2 of 16, however the sign was"),
        (([0.0, 0.0],), 1.0, "no difference at all"),
        ((drawn,), _sign_flip(drawn), "nine differences, against a slow loop over all 512 patterns"),
    ], note="Seven cases, the last one against a slow loop over all 512 patterns")


def _sign_flip(differences: list[float]) -> float:
    seen = abs(sum(differences))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
            for signs in itertools.product([1, -1], repeat=len(differences))]
    return sum(x >= seen - 1e-9 for x in sums) / len(sums)


def at_least_one(prediction) -> Result:
    """The chance that at least one of ten true null hypotheses comes out at p < .05."""
    hints = {0.05: "that is the chance of each one alone", 0.5: "ten times 5% counts twice where two come out at once",
             0.6: "that is the chance that none comes out", 0.4: "nearly: three decimals are asked for"}
    return check_number("at_least_one", prediction, 1 - 0.95**10,
                        "1 - .95^10 = .401: with ten questions a useless adviser looks useful or harmful in two studies of five",
                        hint_for(hints, "what is the chance that all ten stay silent?"), tolerance=0.0006)


def holm(function) -> Result:
    """A function (p-values, alpha) -> which are rejected by Holm's rule, in the order given."""
    rng = random.Random(3)
    drawn = [round(rng.random() ** 3, 4) for _ in range(12)]
    return check_function("holm", function, [
        (([0.04], 0.05), [True], "one question: nothing to correct"),
        (([0.04, 0.04], 0.05), [False, False], "the smallest must be at most .05/2, and is not"),
        (([0.01, 0.04], 0.05), [True, True], ".01 against .05/2, then .04 against .05/1"),
        (([0.04, 0.01, 0.03], 0.05), [False, True, False],
         ".01 against .05/3 passes, .03 against .05/2 does not, and there it stops, although .04 is below .05"),
        (([0.3, 0.2], 0.05), [False, False], "nothing"),
        (([0.025, 0.9], 0.05), [True, False], "at most: .025 against .05/2 is enough"),
        (([0.06, 0.02, 0.001], 0.1), [True, True, True], "another alpha: .1/3, .1/2, .1/1"),
        (([], 0.05), [], "no question"),
        ((drawn, 0.2), _holm(drawn, 0.2), "twelve p-values at random, against a slow loop"),
    ], note="Nine cases, the last one at random against a slow loop")


def _holm(p: list[float], alpha: float) -> list[bool]:
    """Rejected if it and all smaller ones pass: ties in the order given."""
    ranks = sorted(range(len(p)), key=lambda i: (p[i], i))
    passes = {i: p[i] <= alpha / (len(p) - rank) for rank, i in enumerate(ranks)}
    return [all(passes[j] for j in ranks[:ranks.index(i) + 1]) for i in range(len(p))]
