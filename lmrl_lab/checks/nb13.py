"""Checks of notebook 13, PPO. Expected numbers are worked out by hand, or by the slow loops in this file."""

from __future__ import annotations

import math
import random

from lmrl_lab.checks import Result, check_choice, close, compare, failed, passed, raised, rounded


def baseline(choice) -> Result:
    """What subtracting one and the same number from all returns of a state does to the gradient estimate."""
    return check_choice(
        "baseline", choice, "abc", "b",
        "the probabilities of all moves together cannot change, so a number that all moves share cancels out on average; what "
        "is left of each single estimate is smaller")


def gae(function) -> Result:
    """A function (rewards, values, next_values, last, gamma, lam), tensors (N,) and two numbers -> advantages (N,)."""
    two = {"rewards": [-1.0, 0.0], "values": [1.0, 2.0]}
    table = [
        ("a game of one move: -1 + half of 4 - 3", {"rewards": [-1.0], "values": [3.0], "next_values": [4.0], "last": [True],
         "gamma": 0.5, "lam": 0.9}, [-2.0]),
        ("two moves, then over. Surprises: -1 + .5 * 2 - 1 = -1 and 0 - 2 = -2; the first: -1 + .25 * -2",
         {**two, "next_values": [2.0, 0.0], "last": [False, True], "gamma": 0.5, "lam": 0.5}, [-1.5, -2.0]),
        ("the same game, but cut where the value is 4: the last surprise is 0 + .5 * 4 - 2 = 0",
         {**two, "next_values": [2.0, 4.0], "last": [False, True], "gamma": 0.5, "lam": 0.5}, [-1.0, 0.0]),
        ("lam = 0: each surprise by itself", {**two, "next_values": [2.0, 0.0], "last": [False, True], "gamma": 1.0, "lam": 0.0},
         [0.0, -2.0]),
        ("lam = 1, gamma = 1: what was still earned (-6, -5, -3) minus the value (-4)",
         {"rewards": [-1.0, -2.0, -3.0], "values": [-4.0] * 3, "next_values": [-4.0, -4.0, 0.0], "last": [False, False, True],
          "gamma": 1.0, "lam": 1.0}, [-2.0, -1.0, 1.0]),
        ("two games, one after the other: what happens in the second is no business of the first",
         {"rewards": [-1.0, -1.0, 100.0], "values": [0.0] * 3, "next_values": [0.0] * 3, "last": [False, True, True],
          "gamma": 1.0, "lam": 0.5}, [-1.5, -1.0, 100.0]),
    ]
    rng = random.Random(6)
    lengths, drawn, expected = [4, 1, 6], {"rewards": [], "values": [], "next_values": [], "last": []}, []
    for n in lengths:
        rewards, values = ([round(rng.gauss(-1, 2), 2) for _ in range(n)] for _ in range(2))
        after = round(rng.gauss(0, 3), 2)
        for name, part in zip(drawn, (rewards, values, [*values[1:], after], [False] * (n - 1) + [True]), strict=True):
            drawn[name] += part
        expected += _slow_advantages(rewards, [*values, after], 0.9, 0.7)
    table.append(("three games of 4, 1 and 6 moves drawn at random, against a slow loop", {**drawn, "gamma": 0.9, "lam": 0.7},
                  expected))
    return compare("gae", function, table) or passed("gae", "Seven cases, the last one at random against a slow loop")


def _slow_advantages(rewards, values, gamma, lam) -> list[float]:
    """From the definition: the weighted mean of the k-step advantages; `values` has one more entry, where the game stopped."""
    out, n = [], len(rewards)
    for t in range(n):
        total = 0.0
        for k in range(1, n - t + 1):
            k_step = sum(gamma**i * rewards[t + i] for i in range(k)) + gamma**k * values[t + k] - values[t]
            total += k_step * (lam ** (k - 1) * (1 - lam) if k < n - t else lam ** (k - 1))
        out.append(total)
    return out


def clipped_loss(function) -> Result:
    """A function (logprobs, old_logprobs, advantages, cliprange), tensors (N,) and a number -> the loss, a number."""
    up, down = math.log(1.5), math.log(0.5)
    table = [
        ("nothing has changed yet: minus the mean advantage", {"logprobs": [-1.0, -2.0], "old_logprobs": [-1.0, -2.0],
         "advantages": [3.0, -1.0], "cliprange": 0.2}, -1.0),
        ("a good move that became 1.5 times as likely: counted as 1.2 times", {"logprobs": [up], "old_logprobs": [0.0],
         "advantages": [1.0], "cliprange": 0.2}, -1.2),
        ("a good move that became half as likely: counted in full", {"logprobs": [down], "old_logprobs": [0.0],
         "advantages": [1.0], "cliprange": 0.2}, -0.5),
        ("a bad move that became 1.5 times as likely: counted in full", {"logprobs": [up], "old_logprobs": [0.0],
         "advantages": [-1.0], "cliprange": 0.2}, 1.5),
        ("a bad move that became half as likely: counted as .8 times", {"logprobs": [down], "old_logprobs": [0.0],
         "advantages": [-1.0], "cliprange": 0.2}, 0.8),
        ("all four, their mean", {"logprobs": [up, down, up, down], "old_logprobs": [0.0] * 4,
         "advantages": [1.0, 1.0, -1.0, -1.0], "cliprange": 0.2}, (-1.2 - 0.5 + 1.5 + 0.8) / 4),
    ]
    rng = random.Random(7)
    new, old, weights = ([round(rng.gauss(-2, 0.4), 3) for _ in range(9)], [round(rng.gauss(-2, 0.4), 3) for _ in range(9)],
                         [round(rng.gauss(0, 1), 2) for _ in range(9)])
    total = 0.0
    for p, q, a in zip(new, old, weights, strict=True):
        ratio = math.exp(p - q)
        total += max(-a * ratio, -a * min(max(ratio, 0.9), 1.1))
    table.append(("nine moves drawn at random, against a slow loop", {"logprobs": new, "old_logprobs": old,
                  "advantages": weights, "cliprange": 0.1}, total / 9))
    wrong = compare("clipped_loss", function, table)
    return wrong or _no_push_beyond(function) or passed(
        "clipped_loss", "Seven cases, the last one at random against a slow loop, and a gradient")


def _no_push_beyond(function) -> Result | None:
    """A failure where the gradient for the four cases is not the expected one."""
    import torch
    logprobs = torch.tensor([math.log(1.5), math.log(0.5)] * 2, requires_grad=True)
    expected = [0.0, -0.125, 0.375, 0.0]  # -A rho / 4 where it is not clipped
    try:
        function(logprobs, torch.zeros(4), torch.tensor([1.0, 1.0, -1.0, -1.0]), 0.2).backward()
        got = logprobs.grad.tolist()
    except Exception as error:
        return failed("clipped_loss", f"\n  its gradient for the four cases\n  raised   {raised(error)}\n"
                                      f"  expected {expected}")
    return None if close(got, expected, 1e-4) else failed(
        "clipped_loss", f"\n  its gradient with respect to logprobs in the four cases\n  got      {rounded(got)}\n"
                        f"  expected {expected}")


def whiten(function) -> Result:
    """A function (advantages (N,), floor) -> advantages with mean 0, divided by their standard deviation or the floor."""
    table = [
        ("mean 2; deviations -2, 0, 2: the standard deviation is 2", {"advantages": [0.0, 2.0, 4.0], "floor": 0.0},
         [-1.0, 0.0, 1.0]),
        ("a floor below it changes nothing", {"advantages": [0.0, 2.0, 4.0], "floor": 1.5}, [-1.0, 0.0, 1.0]),
        ("a floor above it is what divides", {"advantages": [0.0, 2.0, 4.0], "floor": 10.0}, [-0.2, 0.0, 0.2]),
        ("tiny differences without a floor: blown up to the same size", {"advantages": [0.0, 0.002, 0.004], "floor": 0.0},
         [-1.0, 0.0, 1.0]),
        ("tiny differences with a floor: they stay small", {"advantages": [0.0, 0.002, 0.004], "floor": 2.0},
         [-0.001, 0.0, 0.001]),
        ("all the same: no differences at all, floor or not", {"advantages": [3.0, 3.0, 3.0], "floor": 0.5}, [0.0, 0.0, 0.0]),
    ]
    rng = random.Random(8)
    drawn = [round(rng.gauss(-1, 3), 2) for _ in range(12)]
    mean = sum(drawn) / 12
    deviation = math.sqrt(sum((a - mean) ** 2 for a in drawn) / 11)
    table.append(("twelve drawn at random, against a slow loop", {"advantages": drawn, "floor": 0.3},
                  [(a - mean) / deviation for a in drawn]))
    return compare("whiten", function, table) or passed("whiten", "Seven cases, the last one at random against a slow loop")


def what_comes_first(choice) -> Result:
    """In which order the curves of a collapse move."""
    return check_choice(
        "what_comes_first", choice, "abc", "b",
        "with the usual whitening every round's advantages have the same size, however little they mean; the steps stay as long "
        "as ever, and some day one of them leads out")
