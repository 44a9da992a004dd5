"""Checks of notebook 12, implicit Q-learning. Expected numbers are worked out by hand, or by the slow loops in this file."""

from __future__ import annotations

import math
import random

from lmrl_lab.checks import Result, check_choice, check_number, close, failed, passed, raised, rounded


def td_target(function) -> Result:
    """A function (rewards, terminated, truncated, v_next, gamma), tensors (N,) -> the targets y (N,), without gradient."""
    import torch
    if not callable(function):
        return failed("td_target", f"Expected a function, got {function!r}.")
    table = [
        ("a move in the middle of a game: -1 and half of -10", [-1.0], [False], [False], [-10.0], 0.5, [-6.0]),
        ("the move reached the goal: nothing comes after it, whatever V says there", [0.0], [True], [False], [-10.0], 0.5, [0.0]),
        ("the recording was cut here; the game would have gone on", [-1.0], [False], [True], [-10.0], 0.5, [-6.0]),
        ("three moves, the second won", [-1.0, 0.0, -1.0], [False, True, False], [False, False, True], [-4.0, -4.0, -4.0], 1.0,
         [-5.0, 0.0, -5.0]),
        ("values may be positive, and the winning move may pay", [2.0, 2.0], [False, True], [False, False], [8.0, 8.0], 0.5,
         [6.0, 2.0]),
    ]
    rng = random.Random(3)
    rewards, v_next = [float(rng.randrange(-4, 3)) for _ in range(8)], [round(rng.uniform(-20, 5), 2) for _ in range(8)]
    ends = [rng.randrange(3) for _ in range(8)]
    table.append(("eight moves drawn at random, against a slow loop", rewards, [e == 1 for e in ends], [e == 2 for e in ends],
                  v_next, 0.9, [r + 0.9 * v * (e != 1) for r, v, e in zip(rewards, v_next, ends, strict=True)]))
    for case, rewards, terminated, truncated, v_next, gamma, expected in table:
        read = torch.tensor(v_next, requires_grad=True)
        given = f"rewards {rewards}  terminated {terminated}  truncated {truncated}\n  v_next {v_next}  gamma {gamma}"
        try:
            got = function(torch.tensor(rewards), torch.tensor(terminated), torch.tensor(truncated), read, gamma)
        except Exception as error:  # whatever a learner's code raises is shown, never raised
            return failed("td_target", f"\n  {case}\n  raised   {raised(error)}\n  expected {rounded(expected)}")
        number = got.detach() if hasattr(got, "detach") else got
        if not close(number, expected, 1e-4):
            return failed("td_target", f"\n  {case}\n  {given}\n  got      {_shown(number)}\n  expected {rounded(expected)}")
        if getattr(got, "requires_grad", False):
            return failed("td_target", f"\n  {case}\n  got      {_shown(number)}, with a gradient into v_next\n"
                                       "  expected the same without: detach v_next, or V learns to please Q")
    return passed("td_target", "Six cases, the last one at random against a slow loop")


def expectile_by_hand(prediction) -> Result:
    """The expectile .9 of -2, -10, -10, -10."""
    hints = {-8.0: "that is the mean, tau = .5", -2.0: "that is the largest value, tau = 1",
             -2.8: "every one of the three pulls", -9.71: "tau belongs to what lies above v"}
    return check_number(
        "expectile_by_hand", prediction, -4,
        "The pulls balance at -4: .9 times 2 from above, .1 times 6, three times, from below",
        lambda got: hints.get(round(float(got), 2) if math.isfinite(got) else 0.0,
                              "which pull is stronger at your v, the one up or the one down?"))


def expectile_loss(function) -> Result:
    """A function (difference (N,), tau) -> the loss of each, (N,), where difference = target - prediction."""
    import torch
    if not callable(function):
        return failed("expectile_loss", f"Expected a function, got {function!r}.")
    rng = random.Random(4)
    drawn = [round(rng.gauss(0, 3), 2) for _ in range(9)]
    table = [
        ("tau = 1/2: a quarter of the square, above and below", [2.0, -2.0], 0.5, [1.0, 1.0]),
        ("the prediction is 2 too low: .9 / 2 times 4", [2.0], 0.9, [1.8]),
        ("the prediction is 2 too high: .1 / 2 times 4", [-2.0], 0.9, [0.2]),
        ("a number for each, not their mean", [4.0, -4.0, 0.0], 0.75, [6.0, 2.0, 0.0]),
        ("tau = 1: too high a prediction costs nothing", [1.0, -3.0], 1.0, [0.5, 0.0]),
        ("nine differences drawn at random, against a slow loop", drawn, 0.7,
         [(0.7 if u > 0 else 0.3) * u * u / 2 for u in drawn]),
    ]
    for case, difference, tau, expected in table:
        try:
            got = function(torch.tensor(difference), tau)
        except Exception as error:
            return failed("expectile_loss", f"\n  {case}\n  raised   {raised(error)}\n"
                                            f"  expected {rounded(expected)}")
        number = got.detach() if hasattr(got, "detach") else got
        if not close(number, expected, 1e-4):
            return failed("expectile_loss", f"\n  {case}\n  difference {difference}  tau {tau}\n  got      {_shown(number)}\n"
                                            f"  expected {rounded(expected)}")
    wrong = _gradients("expectile_loss", lambda u: function(u, 0.9).sum(), {"difference": [2.0, -2.0]},
                       {"difference": [1.8, -0.2]}, "tau .9")
    return wrong or passed("expectile_loss", "Six cases, the last one at random against a slow loop, and a gradient")


def ilql_loss(function) -> Result:
    """A function (q (2, N, V), v (N,), target_q (2, N, V), y (N,), tokens (N,), weight (N,), tau, cql) -> the loss."""
    import torch
    if not callable(function):
        return failed("ilql_loss", f"Expected a function, got {function!r}.")
    half, three = math.log(2), math.log(3)  # -log of 1/2; and softmax(log 3, 0) is 3/4, 1/4
    equal = [[[2.0, 2.0]], [[2.0, 2.0]]]
    table = [
        ("the token taken: both heads say 3, y is 1, so (4 + 4) / 2; V is right, no CQL", [[[3.0, 7.0]], [[3.0, 9.0]]], [5.0],
         [[[5.0, 0.0]], [[6.0, 0.0]]], [1.0], [0], [1.0], 0.5, 0.0, 4.0),
        ("the heads are off by 2 and by 4: (4 + 16) / 2", [[[3.0, 7.0]], [[5.0, 9.0]]], [5.0], [[[5.0, 0.0]], [[6.0, 0.0]]],
         [1.0], [0], [1.0], 0.5, 0.0, 10.0),
        ("Q is right; the smaller target of token 1 is 5, V is 3, too low by 2: .9 / 2 times 4", [[[0.0, 2.0]], [[0.0, 2.0]]],
         [3.0], [[[-9.0, 5.0]], [[99.0, 6.0]]], [2.0], [1], [1.0], 0.9, 0.0, 1.8),
        ("the same with V = 7, too high by 2: .1 / 2 times 4", [[[0.0, 2.0]], [[0.0, 2.0]]], [7.0],
         [[[-9.0, 5.0]], [[99.0, 6.0]]], [2.0], [1], [1.0], 0.9, 0.0, 0.2),
        ("all is right but for CQL: softmax of (2, 2) gives the token taken 1/2, in both heads", equal, [2.0], equal, [2.0], [0],
         [1.0], 0.9, 0.5, 0.5 * 2 * half),
        ("CQL again: -log 3/4 in the first head, -log 1/2 in the second", [[[three, 0.0]], [[three, three]]], [three],
         [[[three, 0.0]], [[three, three]]], [three], [0], [1.0], 0.9, 1.0, math.log(4 / 3) + half),
        ("two steps of which the first counts three times; their losses are 1 and 0", [[[1.0], [1.0]], [[1.0], [1.0]]],
         [1.0, 1.0], [[[1.0], [1.0]], [[1.0], [1.0]]], [0.0, 1.0], [0, 0], [3.0, 1.0], 0.9, 0.0, 0.75),
    ]
    rng = random.Random(5)
    q, target = ([[[round(rng.gauss(0, 2), 3) for _ in range(4)] for _ in range(6)] for _ in range(2)] for _ in range(2))
    v, y = [[round(rng.gauss(0, 2), 3) for _ in range(6)] for _ in range(2)]
    tokens, weight = [rng.randrange(4) for _ in range(6)], [1.0, 2.0, 5.0, 1.0, 1.0, 3.0]
    table.append(("six steps drawn at random, against a slow loop", q, v, target, y, tokens, weight, 0.8, 0.3,
                  _slow_loss(q, v, target, y, tokens, weight, 0.8, 0.3)))
    for case, q, v, target, y, tokens, weight, tau, cql, expected in table:
        try:
            got = function(*map(torch.tensor, (q, v, target, y, tokens, weight)), tau, cql)
        except Exception as error:
            return failed("ilql_loss", f"\n  {case}\n  raised   {raised(error)}\n  expected {expected:.5f}")
        number = got.detach() if hasattr(got, "detach") else got
        if not (getattr(number, "ndim", 0) == 0 and close(number, expected, 1e-4)):
            numbers = f"\n  q {rounded(q)}  target_q {rounded(target)}\n  v {v}  y {y}" if len(v) < 3 else ""
            return failed("ilql_loss", f"\n  {case}{numbers}\n  tokens {tokens}  weight {weight}  tau {tau}  cql {cql}\n"
                                       f"  got      {_shown(number)}\n  expected {expected:.5f}")

    def of(q, v):
        return function(q, v, torch.tensor([[[0.0, 0.0, -2.0]], [[0.0, 0.0, 5.0]]]), torch.tensor([1.0]), torch.tensor([2]),
                        torch.ones(1), 0.9, 0.3)

    head = [[0.1, 0.1, -1.2]]  # cql / 3 for the tokens not taken; q - y = -1, and .3 (1/3 - 1), for token 2
    wrong = _gradients("ilql_loss", of, {"q": [[[0.0] * 3]] * 2, "v": [0.0]}, {"q": [head, head], "v": [0.2]},
                       "token 2, y = 1, smaller target -2, all of q and v 0, tau .9, cql .3")
    return wrong or passed("ilql_loss", "Eight cases, the last one at random against a slow loop, and two gradients")


def _slow_loss(q, v, target, y, tokens, weight, tau, cql) -> float:
    total = 0.0
    for n, x in enumerate(tokens):
        u = min(target[0][n][x], target[1][n][x]) - v[n]
        here = 0.5 * (tau if u > 0 else 1 - tau) * u * u
        for head in q:
            here += 0.5 * (head[n][x] - y[n]) ** 2 - cql * (head[n][x] - math.log(sum(math.exp(z) for z in head[n])))
        total += weight[n] * here
    return total / sum(weight)


def _gradients(name: str, loss, given: dict, expected: dict, case: str) -> Result | None:
    """A failure where the gradients of `loss(**given)` are not the expected ones, else None."""
    import torch
    try:
        leaves = {key: torch.tensor(value, requires_grad=True) for key, value in given.items()}
        loss(*leaves.values()).backward()
        got = {key: leaf.grad.tolist() if leaf.grad is not None else None for key, leaf in leaves.items()}
    except Exception as error:
        return failed(name, f"\n  the gradient: {case}\n  raised   {raised(error)}\n  expected {expected}")
    for key, numbers in expected.items():
        if not close(got[key], numbers, 1e-4):
            return failed(name, f"\n  the gradient: {case}\n  with respect to {key}\n  got      {rounded(got[key])}\n"
                                f"  expected {numbers}")
    return None


def which_tau(letter) -> Result:
    """The prediction: with which expectile does the table's player come home from the arms?"""
    return check_choice("which_tau", letter, "abc", "b",
                        "the bootstrap alone carries the goal's value into the arms, and a strong tilt does the rest: what the "
                        "expectile changes is the values, not here the way")



def _shown(value):
    return str(rounded(value.tolist() if hasattr(value, "tolist") else value))[:160]
