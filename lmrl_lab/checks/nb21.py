"""Checks of notebook 21, GRPO. Expected numbers are worked out by hand, or by the slow loops in this file."""

from __future__ import annotations

import math
import random

from lmrl_lab.checks import Result, check_function, check_number, close, failed, hint_for, passed, raised, rounded

ORDER = ("logprobs", "old_logprobs", "ref_logprobs", "advantages", "mask", "epsilon", "beta")  # arguments of a GRPO loss


def group_advantages(function) -> Result:
    """A function (returns, size), a tensor (B,) with group after group and a number -> advantages (B,)."""
    import torch
    if not callable(function):
        return failed("group_advantages", f"expected a function, got {function!r}")
    half = 0.5**0.5
    table = [
        ("one group: its mean is -7.5, its standard deviation sqrt((3 * .25 + 2.25) / 3) = 1", [-7.0, -9.0, -7.0, -7.0], 4,
         [0.5, -1.5, 0.5, 0.5]),
        ("two groups of two, each by itself: the means are 2 and 20, the standard deviations sqrt(2) and 10 sqrt(2)",
         [1.0, 3.0, 10.0, 30.0], 2, [-half, half, -half, half]),
        ("all games of the first group earned the same: zeros, and no nan", [-100.0, -100.0, -100.0, 5.0, 6.0, 7.0], 3,
         [0.0, 0.0, 0.0, -1.0, 0.0, 1.0]),
    ]
    rng = random.Random(8)
    drawn = [float(rng.randrange(-100, 0)) for _ in range(15)]
    table.append(("three groups of five drawn at random, against a slow loop", drawn, 5, _slow_advantages(drawn, 5)))
    for case, returns, size, expected in table:
        try:
            got = function(torch.tensor(returns), size)
        except Exception as error:  # whatever a learner's code raises is shown, never raised
            return failed("group_advantages", f"\n  {case}\n  raised   {raised(error)}\n"
                                              f"  expected {rounded(expected)}")
        if not close(got, expected, 1e-3):
            return failed("group_advantages", f"\n  {case}\n  returns {returns}  size {size}\n  got      {_shown(got)}\n"
                                              f"  expected {rounded(expected)}")
    return passed("group_advantages", "Four cases, the last one at random against a slow loop")


def _slow_advantages(returns: list[float], size: int) -> list[float]:
    out = []
    for k in range(0, len(returns), size):
        group = returns[k:k + size]
        mean = sum(group) / size
        spread = (sum((x - mean) ** 2 for x in group) / (size - 1)) ** 0.5
        out += [(x - mean) / (spread + 1e-4) for x in group]
    return out


def lost_game(prediction) -> Result:
    """The advantage of each -100 among -100, -100, -100, -30."""
    hints = {-17.5: "that is how far it is from the mean; it is still to be divided by the standard deviation",
             -70.0: "that is how far it is from the game that came home, not from the mean of all four",
             -0.58: "the sum of squares is divided by 3 here, not by 4: it is the standard deviation of a sample",
             0.5: "was it better or worse than the mean?", 1.5: "that is the one that came home"}
    return check_number(
        "lost_game", prediction, -0.5,
        "17.5 below the mean, and the standard deviation is 35. The one that came home gets 52.5 / 35 = 1.5: no more than a game "
        "that was two moves shorter than three others",
        hint_for(hints, "the mean is -82.5; sum the squares of 17.5, 17.5, 17.5 and 52.5"))


def no_signal(function) -> Result:
    """A function (p, size) -> probability that all games of a group are won, or all are lost, when each is won with p."""
    rng = random.Random(9)
    p, size = round(rng.random(), 3), 5
    cases = [
        ((0.5, 2), 0.5, "of win-win, win-loss, loss-win and loss-loss, all equally likely, two say nothing"),
        ((0.0, 8), 1.0, "who never wins has nothing to compare"),
        ((1.0, 8), 1.0, "nor has who always wins"),
        ((0.1, 2), 0.82, "both lost: .9 * .9; both won: .1 * .1"),
        ((0.25, 3), 0.4375, "all lost: .75 * .75 * .75; all won: .25 * .25 * .25"),
        ((p, size), _slow_no_signal(p, size), "this is what counting all 32 groups says"),
    ]
    return check_function("no_signal", function, cases, note="Six cases, the last one against counting all groups")


def _slow_no_signal(p: float, size: int) -> float:
    """All groups, one after the other: bit k of `group` says whether game k was won."""
    total = 0.0
    for group in range(2**size):
        wins = bin(group).count("1")
        if wins in (0, size):
            total += p**wins * (1 - p) ** (size - wins)
    return total


def env_mask(function) -> Result:
    """A function (turns), a list of (token ids, whether the agent said them) -> (prompt ids, completion ids, mask)."""
    cases = [
        (([([5, 6, 7], False), ([1], True), ([8, 9], False), ([2], True), ([4], False)],),
         ([5, 6, 7], [1, 8, 9, 2, 4], [1, 0, 0, 1, 0]), "the prompt ends where the agent first speaks; what the game says later "
                                                        "is part of the completion, with a 0"),
        (([([5], False), ([1, 3, 2], True), ([6], False)],), ([5], [1, 3, 2, 6], [1, 1, 1, 0]),
         "an action may have several tokens, and each is a step"),
        (([([1, 5], False), ([1], True), ([5, 1], False), ([5], True)],), ([1, 5], [1, 5, 1, 5], [1, 0, 0, 1]),
         "who spoke is a matter of the turn: the same token may be the game's in one place and the agent's in another"),
        (([([7], False), ([8, 9], False), ([1], True)],), ([7, 8, 9], [1], [1]), "the game may speak twice at the beginning"),
    ]
    return check_function("env_mask", function, cases, same=_same_parts, note="Four games")


def _same_parts(got, expected) -> bool:
    """Three lists; a mask of booleans is a mask too."""
    parts = [part.tolist() if hasattr(part, "tolist") else list(part) for part in got]
    return len(parts) == 3 and all(close([int(x) for x in g], e) for g, e in zip(parts, expected, strict=True))


def grpo_loss(function) -> Result:
    """A function (logprobs, old_logprobs, ref_logprobs (B, T), advantages (B,), mask (B, T), epsilon, beta) -> the loss."""
    import torch
    if not callable(function):
        return failed("grpo_loss", f"expected a function, got {function!r}")
    same = {"old_logprobs": [[-1.0, -2.0], [-3.0, -1.0]], "ref_logprobs": [[-1.0, -2.0], [-3.0, -1.0]]}
    half, eight = math.log(0.5), math.log(0.8)
    one = {"old_logprobs": [[0.0]], "ref_logprobs": [[0.0]], "mask": [[1.0]], "epsilon": 0.2, "beta": 0.0}
    table = [
        ("nothing has moved; a game of two tokens, A = 1, and one of one token, A = -1: -(1 + 1 - 1) / 3",
         {"logprobs": [[-1.0, -2.0], [-3.0, -1.0]], **same, "advantages": [1.0, -1.0], "mask": [[1.0, 1.0], [1.0, 0.0]],
          "epsilon": 0.2, "beta": 0.5}, -1 / 3),
        ("a word of the game between two actions has got likelier by e, but who cares: -(2 + 2) / 2",
         {"logprobs": [[-1.0, -1.0, -1.0]], "old_logprobs": [[-1.0, -2.0, -1.0]], "ref_logprobs": [[-1.0, -4.0, -1.0]],
          "advantages": [2.0], "mask": [[1.0, 0.0, 1.0]], "epsilon": 0.2, "beta": 0.5}, -2.0),
        ("a token of a good game that became 1.5 times as likely: counted as 1.2 times",
         {**one, "logprobs": [[math.log(1.5)]], "advantages": [1.0]}, -1.2),
        ("a token of a bad game that became 1.5 times as likely: counted in full",
         {**one, "logprobs": [[math.log(1.5)]], "advantages": [-1.0]}, 1.5),
        ("the price alone: pi says 1/2, the clone .8, so 1.6 - log 1.6 - 1 = .13",
         {"logprobs": [[half]], "old_logprobs": [[half]], "ref_logprobs": [[eight]], "advantages": [0.0], "mask": [[1.0]],
          "epsilon": 0.2, "beta": 1.0}, 0.6 - math.log(1.6)),
        ("the same token was played with 1/4: it is twice as likely now, and the price counts twice",
         {"logprobs": [[half]], "old_logprobs": [[math.log(0.25)]], "ref_logprobs": [[eight]], "advantages": [0.0],
          "mask": [[1.0]], "epsilon": 0.2, "beta": 1.0}, 2 * (0.6 - math.log(1.6))),
    ]
    rng = random.Random(10)
    drawn = {name: [[round(rng.gauss(-2, 0.3), 3) for _ in range(4)] for _ in range(3)]
             for name in ("logprobs", "old_logprobs", "ref_logprobs")}
    drawn |= {"advantages": [0.9, -1.1, 0.2], "mask": [[1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]],
              "epsilon": 0.1, "beta": 0.3}
    table.append(("three games drawn at random, against a slow loop", drawn, _slow_loss(**drawn)))
    for case, given, expected in table:
        numbers = "  ".join(f"{name} {rounded(value)}" for name, value in given.items()) if len(given["logprobs"]) < 3 else ""
        try:
            got = function(*[torch.tensor(given[name]) if isinstance(given[name], list) else given[name] for name in ORDER])
        except Exception as error:
            return failed("grpo_loss", f"\n  {case}\n  raised   {raised(error)}\n  expected {expected:.5f}")
        number = got.detach() if hasattr(got, "detach") else got
        if not (getattr(number, "ndim", 0) == 0 and close(number, expected, 1e-4)):
            return failed("grpo_loss", f"\n  {case}\n  {numbers}\n  got      {_shown(number)}\n  expected {expected:.5f}")
    return _slope(function) or passed("grpo_loss", "Seven cases, the last one at random against a slow loop, and a gradient")


def _slow_loss(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, beta) -> float:
    total, count = 0.0, 0
    for i, row in enumerate(mask):
        for t, counts in enumerate(row):
            if counts:
                ratio, away = math.exp(logprobs[i][t] - old_logprobs[i][t]), ref_logprobs[i][t] - logprobs[i][t]
                near = min(max(ratio, 1 - epsilon), 1 + epsilon)
                total += beta * ratio * (math.exp(away) - away - 1) - min(ratio * advantages[i], near * advantages[i])
                count += 1
    return total / count


def _slope(function) -> Result | None:
    """A failure where the gradient is not the expected one, else None."""
    import torch
    case = "the gradient where nothing has moved yet: two tokens and one masked, A = 1, beta .5, log pi_ref - log pi = .2"
    logprobs = torch.tensor([[-1.0, -1.0, -1.0]], requires_grad=True)
    old, expected = logprobs.detach().clone(), [[-0.55, 0.0, -0.55]]  # (-1 + .5 (log pi - log ref)) / 2, the ratio's slope is 1
    try:
        function(logprobs, old, old + 0.2, torch.tensor([1.0]), torch.tensor([[1.0, 0.0, 1.0]]), 0.2, 0.5).backward()
        got = logprobs.grad.tolist() if logprobs.grad is not None else None
    except Exception as error:
        return failed("grpo_loss", f"\n  {case}\n  raised   {raised(error)}\n  expected {expected}")
    if not close(got, expected, 1e-4):
        return failed("grpo_loss", f"\n  {case}\n  got      {rounded(got)}\n  expected {expected}")
    return None


def _shown(value) -> str:
    return str(rounded(value.tolist() if hasattr(value, "tolist") else value))[:160]
