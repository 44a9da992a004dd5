"""Checks of notebook 10, behaviour cloning. Expected numbers are worked out by hand, or by the slow loops in this file."""

from __future__ import annotations

import math
import random

from lmrl_lab.checks import Result, check_function, check_number, close, failed, passed, raised, rounded


def bc_loss(function) -> Result:
    """A function (logits (B, T, V), ids (B, T), mask (B, T), weight (B,)) -> mean cross-entropy of the action tokens."""
    import torch
    if not callable(function):
        return failed("bc_loss", f"Expected a function, got {function!r}.")
    three = [math.log(3), 0.0]  # softmax: 3/4 and 1/4
    same = [0.0, 0.0]  # softmax: 1/2 and 1/2
    table = [
        ("one action token, x_1 = 0; the logits before it say 3/4 : 1/4", [[three, same, [9.0, -9.0]]], [[0, 0, 1]], [[0, 1, 0]],
         [1.0], math.log(4 / 3)),
        ("two action tokens, x_1 = 1 and x_2 = 0; the logits before them say 1/2 : 1/2 and 3/4 : 1/4", [[same, three, same]],
         [[0, 1, 0]], [[0, 1, 1]], [1.0], (math.log(2) + math.log(4 / 3)) / 2),
        ("two rows with an action token each, -log p = log 2 and log 4/3; the first row counts three times",
         [[same, same], [three, same]], [[0, 0], [0, 0]], [[0, 1], [0, 1]], [3.0, 1.0], (3 * math.log(2) + math.log(4 / 3)) / 4),
        ("two rows, with two action tokens (-log p = log 2 each) and with one (log 4/3); every action token counts the same",
         [[same, same, three], [three, same, same]], [[0, 1, 1], [1, 0, 0]], [[0, 1, 1], [0, 1, 0]], [1.0, 1.0],
         (2 * math.log(2) + math.log(4 / 3)) / 3),
    ]
    rng = random.Random(0)
    rows = [[[rng.gauss(0, 2) for _ in range(4)] for _ in range(5)] for _ in range(3)]
    ids, mask = [[rng.randrange(4) for _ in range(5)] for _ in range(3)], [[0, 1, 0, 1, 1], [0, 0, 1, 0, 0], [0, 1, 1, 1, 0]]
    table.append(("three rows drawn at random, against a slow loop", rows, ids, mask, [1.0, 2.0, 5.0],
                  _slow_loss(rows, ids, mask, [1.0, 2.0, 5.0])))
    for case, logits, ids, mask, weight, expected in table:
        try:
            got = function(torch.tensor(logits), torch.tensor(ids), torch.tensor(mask, dtype=torch.bool), torch.tensor(weight))
        except Exception as error:  # whatever a learner's code raises is shown, never raised
            return failed("bc_loss", f"\n  {case}\n  raised   {raised(error)}\n  expected {expected:.5f}")
        number = got.detach() if hasattr(got, "detach") else got
        if not (getattr(number, "ndim", 0) == 0 and close(number, expected, 1e-4)):
            shown = number.tolist() if hasattr(number, "tolist") else number
            numbers = f"\n  logits {rounded(logits)}" if len(logits) < 3 else ""
            return failed("bc_loss", f"\n  {case}{numbers}\n  ids {ids}  mask {mask}  weight {weight}\n"
                                     f"  got      {rounded(shown)}\n  expected {expected:.5f}")
    return passed("bc_loss", "Five cases, the last one at random against a slow loop")


def _slow_loss(logits, ids, mask, weight) -> float:
    total = count = 0.0
    for row in range(len(ids)):
        for t in range(1, len(ids[row])):
            if mask[row][t]:
                before = logits[row][t - 1]
                total -= weight[row] * (before[ids[row][t]] - math.log(sum(math.exp(x) for x in before)))
                count += weight[row]
    return total / count



def greedy(prediction) -> Result:
    """The prediction: the return of the player that always takes the data's most frequent move."""
    return check_number(
        "greedy", prediction, -92.04, "-(23 * 100 + 1 + 0) / 25: only the two squares below the junction lead to the goal",
        lambda got: "it is worse than that" if got > -50 else
        "count the starts from which the player arrives, and what each earns", tolerance=0.02)


def keep_best(function) -> Result:
    """A function (returns, fraction) -> positions of the best, in the order of the data."""
    rng = random.Random(1)
    returns = [-float(rng.randrange(6)) for _ in range(40)]
    slow = sorted(sorted(range(40), key=lambda i: (-returns[i], i))[:12])
    return check_function("keep_best", function, [
        (([-5.0, -1.0, -9.0, -3.0], 0.5), [1, 3], "-1 and -3 are the two highest returns; higher is better"),
        (([-3.0, -5.0, -1.0, -9.0], 0.5), [0, 2], "the order of the data is kept"),
        (([-50.0, -50.0, -50.0, -50.0], 0.5), [0, 1], "ties at the border go to those that stand first; half is kept, no more"),
        (([-2.0, -1.0, -3.0], 0.1), [1], "at least one is kept"),
        (([-2.0, -1.0, -3.0], 1.0), [0, 1, 2], "a fraction of 1 keeps all"),
        (([-4.0, -2.0, -2.0, -2.0, -6.0], 0.4), [1, 2], "two of five; of the three equals the first two"),
        ((returns, 0.3), slow, "forty returns with many ties, against a slow sort"),
    ], same=lambda got, expected: list(got) == expected)


def weighted_policy(function) -> Result:
    """A function (games, weights, squares) -> (squares, 4) rows of weighted relative frequencies."""
    import numpy as np

    def one_line(*arguments):  # shows as one line
        return np.round(np.asarray(function(*arguments), float), 4).tolist()

    if not callable(function):
        return failed("weighted_policy", f"Expected a function, got {function!r}.")
    one_line.__name__ = getattr(function, "__name__", "weighted_policy")
    down, left, right = 1, 2, 3
    one, two = [(0, right), (1, down)], [(0, left), (0, right)]
    quarter = [0.25] * 4
    return check_function("weighted_policy", one_line, [
        (([one], [1.0], 2), [[0, 0, 0, 1], [0, 1, 0, 0]], "one game: its own moves"),
        (([one], [7.0], 2), [[0, 0, 0, 1], [0, 1, 0, 0]], "a common weight changes nothing"),
        (([one, two], [1.0, 1.0], 2), [[0, 0, 0.3333, 0.6667], [0, 1, 0, 0]], "square 0: right twice, left once"),
        (([one, two], [3.0, 1.0], 2), [[0, 0, 0.2, 0.8], [0, 1, 0, 0]], "square 0: right 3 + 1, left 1"),
        (([one, two], [0.0, 1.0], 2), [[0, 0, 0.5, 0.5], quarter], "weight 0: that game is thrown away, and square 1 is unseen"),
        (([one, two], [1.0, 0.5], 3), [[0, 0, 0.25, 0.75], [0, 1, 0, 0], quarter], "square 2 is unseen: uniform"),
    ])
