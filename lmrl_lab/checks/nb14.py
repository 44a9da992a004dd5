"""Checks of notebook 14, online filtered BC. Expected numbers are worked out by hand, or by the slow loops in this file."""

from __future__ import annotations

import math
import random

from lmrl_lab.checks import Result, check_choice, check_function, check_number, close, failed, hint_for, passed, raised, rounded


def game_loss(function) -> Result:
    """A function (logprobs (N,), game (N,), weights (G,)), tensors -> the loss whose gradient is minus the policy gradient."""
    import torch
    if not callable(function):
        return failed("game_loss", f"Expected a function, got {function!r}.")
    table = [
        ("one game of two actions that counts: both log-probabilities", [-1.0, -2.0], [0, 0], [1.0], 3.0),
        ("two games, the second thrown away; the mean is still over both", [-1.0, -2.0, -5.0], [0, 0, 1], [1.0, 0.0], 1.5),
        ("a long game and a short one, both count: (1 + 1 + 1 + 3) / 2", [-1.0, -1.0, -1.0, -3.0], [0, 0, 0, 1], [1.0, 1.0], 3.0),
        ("no game succeeded: nothing to learn", [-1.0, -2.0], [0, 1], [0.0, 0.0], 0.0),
        ("weights may be any returns: minus the mean of (-10)(-1) and (-20)(-2)", [-1.0, -2.0], [0, 1], [-10.0, -20.0],
         -25.0),
        ("the tokens of the games need not stand in order", [-1.0, -5.0, -2.0], [0, 1, 0], [2.0, 1.0], 5.5),
    ]
    rng = random.Random(14)
    drawn = [round(-rng.expovariate(1), 3) for _ in range(12)]
    game, weights = [rng.randrange(4) for _ in range(12)], [1.0, 0.0, 0.5, 1.0]
    table.append(("twelve actions of four games drawn at random, against a slow loop", drawn, game, weights,
                  -sum(weights[g] * x for g, x in zip(game, drawn, strict=True)) / 4))
    for case, logprobs, game, weights, expected in table:
        read = torch.tensor(logprobs, requires_grad=True)
        gradient = [-weights[g] / len(weights) for g in game]
        shown = f"\n  {case}\n  logprobs {logprobs}  game {game}  weights {weights}"
        try:
            got = function(read, torch.tensor(game), torch.tensor(weights))
            number = got.detach() if hasattr(got, "detach") else got
        except Exception as error:  # whatever a learner's code raises is shown, never raised
            return failed("game_loss", f"{shown}\n  raised   {raised(error)}\n  expected {expected:.5g}")
        if not (getattr(number, "ndim", 0) == 0 and close(number, expected, 1e-4)):
            number = number.tolist() if hasattr(number, "tolist") else number
            return failed("game_loss", f"{shown}\n  got      {str(rounded(number))[:160]}\n  expected {expected:.5g}")
        try:
            got.backward()
            found = read.grad.tolist()
        except Exception as error:
            return failed("game_loss", f"{shown}\n  its gradient raised {raised(error)}\n"
                                       f"  expected {rounded(gradient)}")
        if not close(found, gradient, 1e-4):
            return failed("game_loss", f"{shown}\n  the gradient\n  got      {rounded(found)}\n  expected {rounded(gradient)}")
    return passed("game_loss", "Seven cases and their gradients, the last one at random against a slow loop")


def share_of_on(prediction) -> Result:
    """The share of 'on' among the kept moves: games of at most two moves, 'on' with probability 1/2."""
    hints = {0.5: "that is what was played, kept or not", 0.67: "that is the first move only; the second ones are imitated too",
             1.0: "one kept game begins with 'stay'", 0.25: "that is the share of 'stay'"}
    return check_number(
        "share_of_on", prediction, 0.75,
        "'On' alone (1/2) and 'stay, on' (1/4) are kept: 1/2 + 1/4 times 'on' and 1/4 times 'stay'",
        hint_for(hints, "list the kept games with their probabilities, and count the moves in them"), tolerance=0.002)


def which_average(letter) -> Result:
    """The prediction: all successes are kept; is it better that every action counts the same, or every game?"""
    return check_choice("which_average", letter, "abc", "b",
                        "to average within a game is to give it the return 1 / T: short games pay, and go on paying when all "
                        "games succeed")


def better_than_own(function) -> Result:
    """A function (starts, returns) -> positions of the games above the mean of the games with the same start, in order."""
    rng = random.Random(15)
    starts, returns = [rng.randrange(4) for _ in range(24)], [float(-rng.randrange(1, 6)) for _ in range(24)]
    slow = []
    for i in range(24):
        beside = [r for s, r in zip(starts, returns, strict=True) if s == starts[i]]
        if returns[i] * len(beside) > sum(beside):
            slow.append(i)
    return check_function("better_than_own", function, [
        (([7, 7, 7, 7], [-5.0, -1.0, -9.0, -3.0]), [1, 3], "the mean is -4.5; -1 and -3 are above it"),
        (([1, 1, 2, 2], [-2.0, -6.0, -40.0, -50.0]), [0, 2], "each start has a mean of its own: -4 and -45"),
        (([1, 2, 1, 2], [-2.0, -50.0, -6.0, -40.0]), [0, 3], "the same games in another order"),
        (([3, 3, 3], [-8.0, -8.0, -8.0]), [], "all are equal: none is better than the others, nothing to learn"),
        (([3, 3, 3, 3], [-8.0, -8.0, -8.0, -12.0]), [0, 1, 2], "three equals, all above the mean of -9"),
        (([4, 5], [-1.0, -1.0]), [], "a game alone is its own mean"),
        (([4, 4, 4], [-1.0, -1.0, -100.0]), [0, 1], "the mean is -34"),
        ((["a", "a", "b"], [-3.0, -7.0, 0.0]), [0], "a start may be any name"),
        (([], []), [], "no games"),
        ((starts, returns), slow, "24 games of four starts with many ties, against a slow loop"),
    ], same=lambda got, expected: [int(i) for i in got] == expected and not math.isnan(sum(got)))
