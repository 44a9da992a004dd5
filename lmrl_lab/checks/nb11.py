"""Checks of notebook 11, Monte-Carlo returns. Expected numbers are worked out by hand, or by the slow loops in this file."""

from __future__ import annotations

import math
import random

from lmrl_lab.checks import Result, check_function, check_number, close, failed, passed, raised, rounded


def returns_to_go(function) -> Result:
    """A function (rewards, lengths, gamma), a number an action each -> the return-to-go at every action token, flat."""
    def flat(*arguments):  # a list, a tuple, an array or a tensor will do
        got = function(*arguments)
        return got.tolist() if hasattr(got, "tolist") else list(got)

    if not callable(function):
        return failed("returns_to_go", f"Expected a function, got {function!r}.")
    flat.__name__ = getattr(function, "__name__", "returns_to_go")
    rng = random.Random(2)
    rewards, lengths = [float(rng.randrange(-3, 4)) for _ in range(8)], [rng.randrange(1, 5) for _ in range(8)]
    return check_function("returns_to_go", flat, [
        (([-1.0, -1.0, 0.0], [1, 1, 1], 1.0), [-2.0, -1.0, 0.0], "one token an action and no discount: sums of what is to come"),
        (([0.0, 0.0, 4.0], [1, 1, 1], 0.5), [1.0, 2.0, 4.0], "the last reward is two steps away from the first token"),
        (([8.0], [3], 0.5), [2.0, 4.0, 8.0], "the reward sits on the LAST token of its action; gamma discounts once a token"),
        (([-1.0, 8.0], [2, 2], 0.5), [0.5, 1.0, 4.0, 8.0], "-1 + 4/2 = 1 at the first action's last token, half of that before"),
        (([2.0, 0.0], [1, 3], 0.5), [2.0, 0.0, 0.0, 0.0], "a reward is nothing to the tokens after it"),
        ((rewards, lengths, 0.9), _slow_returns(rewards, lengths, 0.9), "eight actions, against a slow double sum"),
    ], note="Six cases, the last one against a slow double sum")


def _slow_returns(rewards, lengths, gamma) -> list[float]:
    per_token = [r for reward, n in zip(rewards, lengths, strict=True) for r in [0.0] * (n - 1) + [reward]]
    return [sum(gamma ** k * r for k, r in enumerate(per_token[t:])) for t in range(len(per_token))]


def cut_return(prediction) -> Result:
    """The prediction: Monte-Carlo's Q of bumping into a wall, from one recording of fifty bumps."""
    hints = {-50.0: "that is the first move's; the other 49 count as well",
             -1.0: "that is the last move's; the other 49 count as well",
             -100.0: "the recording does not know how long the game would have been"}
    return check_number(
        "cut_return", prediction, -25.5, "The mean of -50, -49, ..., -1: a cut recording makes standing at a wall look cheap",
        lambda got: hints.get(float(got), "write down the return-to-go of the first move, of the second, of the last; "
                                          "then average"))


def mc_loss(function) -> Result:
    """A function (q (N, V), tokens (N,), returns (N,), weight (N,), cql) -> the loss of MC, a tensor without dimensions."""
    import torch
    if not callable(function):
        return failed("mc_loss", f"Expected a function, got {function!r}.")
    half, three = math.log(2), math.log(4 / 3)  # -log of 1/2, and of 3/4
    table = [
        ("Q = 3 for the token taken, return 1; no CQL: (3 - 1)^2 / 2", [[3.0, 7.0]], [0], [1.0], [1.0], 0.0, 2.0),
        ("only the token taken is compared with the return, and it is token 1", [[9.0, -1.0, 9.0]], [1], [-1.0], [1.0], 0.0, 0.0),
        ("Q is right, CQL alone: softmax of (2, 2) gives the token taken 1/2", [[2.0, 2.0]], [0], [2.0], [1.0], 0.5, 0.5 * half),
        ("the token that was taken stands log 3 above the other, and is right: CQL is -log 3/4", [[math.log(3), 0.0]], [0],
         [math.log(3)], [1.0], 1.0, three),
        ("the first of two steps counts three times; errors 2 and 0, CQL log 2 and log 2", [[1.0, 1.0], [5.0, 5.0]], [0, 1],
         [3.0, 5.0], [3.0, 1.0], 0.1, (3 * (2 + 0.1 * half) + 0.1 * half) / 4),
        ("the same, counted differently: errors 2 and 0, CQL log 2 and log 4/3", [[1.0, 1.0], [math.log(3), 0.0]], [0, 0],
         [3.0, math.log(3)], [1.0, 3.0], 2.0, (2 + 2 * half + 3 * 2 * three) / 4),
    ]
    rng = random.Random(0)
    q, tokens = [[rng.gauss(0, 2) for _ in range(5)] for _ in range(6)], [rng.randrange(5) for _ in range(6)]
    returns, weight = [rng.gauss(0, 2) for _ in range(6)], [1.0, 2.0, 5.0, 1.0, 1.0, 3.0]
    table.append(("six steps drawn at random, against a slow loop", q, tokens, returns, weight, 0.3,
                  _slow_loss(q, tokens, returns, weight, 0.3)))
    for case, q, tokens, returns, weight, cql, expected in table:
        try:
            got = function(torch.tensor(q), torch.tensor(tokens), torch.tensor(returns), torch.tensor(weight), cql)
        except Exception as error:  # whatever a learner's code raises is shown, never raised
            return failed("mc_loss", f"\n  {case}\n  raised   {raised(error)}\n  expected {expected:.5f}")
        number = got.detach() if hasattr(got, "detach") else got
        if not (getattr(number, "ndim", 0) == 0 and close(number, expected, 1e-4)):
            shown = number.tolist() if hasattr(number, "tolist") else number
            numbers = f"\n  q {rounded(q)}" if len(q) < 3 else ""
            return failed("mc_loss", f"\n  {case}{numbers}\n  tokens {tokens}  returns {rounded(returns)}  weight {weight}  "
                                     f"cql {cql}\n  got      {rounded(shown)}\n  expected {expected:.5f}")
    try:
        learned = torch.zeros(1, 3, requires_grad=True)
        function(learned, torch.tensor([2]), torch.tensor([0.0]), torch.ones(1), 0.3).backward()
        gradient = learned.grad[0].tolist()
    except Exception as error:
        return failed("mc_loss", f"\n  the gradient for q = (0, 0, 0)\n  raised   {raised(error)}\n"
                                 "  expected (0.1, 0.1, -0.2) for token 2, return 0, cql 0.3")
    if not close(gradient, [0.1, 0.1, -0.2], 1e-4):
        return failed("mc_loss", "\n  the gradient for q = (0, 0, 0), token 2, return 0, cql 0.3\n"
                                 f"  got      {rounded(gradient)}\n  expected [0.1, 0.1, -0.2]")
    return passed("mc_loss", "Seven cases, the last one at random against a slow loop, and a gradient")


def _slow_loss(q, tokens, returns, weight, cql) -> float:
    total = 0.0
    for row, token, wanted, w in zip(q, tokens, returns, weight, strict=True):
        total += w * (0.5 * (row[token] - wanted) ** 2 - cql * (row[token] - math.log(sum(math.exp(x) for x in row))))
    return total / sum(weight)



def guided_row(function) -> Result:
    """A function (pi, q, beta) -> the policy pi(a) exp(beta q(a)), normalised; arrays of one number an action."""
    import numpy as np

    def one_line(pi, q, beta):  # arrays in, one line out
        return np.round(np.asarray(function(np.array(pi), np.array(q), beta), float), 5).tolist()

    if not callable(function):
        return failed("guided_row", f"Expected a function, got {function!r}.")
    one_line.__name__ = getattr(function, "__name__", "guided_row")
    log3 = round(math.log(3), 6)
    return check_function("guided_row", one_line, [
        (([0.5, 0.5], [log3, 0.0], 1.0), [0.75, 0.25], "exp(log 3) : exp(0) is 3 : 1"),
        (([0.25, 0.75], [log3, 0.0], 1.0), [0.5, 0.5], "1/4 times 3 against 3/4 times 1"),
        (([0.25, 0.75], [log3, 0.0], 2.0), [0.75, 0.25], "1/4 times 9 against 3/4 times 1"),
        (([0.2, 0.3, 0.5], [5.0, -1.0, 2.0], 0.0), [0.2, 0.3, 0.5], "beta = 0 is the policy alone"),
        (([0.0, 1.0], [9.0, 0.0], 1.0), [0.0, 1.0], "what the policy never says stays at 0"),
        (([0.25, 0.75], [log3 - 2_000.0, -2_000.0], 1.0), [0.5, 0.5],
         "a constant added to all of Q changes nothing; exp(-2000) alone is 0 on a computer"),
        (([0.25, 0.75], [log3 + 2_000.0, 2_000.0], 1.0), [0.5, 0.5], "and exp(2000) is infinite"),
    ], same=lambda got, expected: close(got, expected, 1e-4))


def two_games(games) -> Result:
    """Two lists of rewards of a chess-like game, better one first, whose order turns when the last reward counts twice."""
    wanted = "two lists of 1 to 8 rewards, better game first: 0 or -1 for each move, and at the end -1, 0 or 1"
    if not (isinstance(games, (list, tuple)) and len(games) == 2 and all(isinstance(game, (list, tuple)) for game in games)):
        return failed("two_games", f"\n  got      {str(games)[:120]}\n  expected {wanted}")
    for game in games:
        allowed = [(-1, 0)] * (len(game) - 1) + [(-1, 0, 1)]
        if not 1 <= len(game) <= 8 or any(type(r) not in (int, float) or r not in may for r, may in zip(game, allowed)):
            return failed("two_games", f"\n  got      {str(game)[:120]}\n  expected {wanted}")
    right, doubled = [sum(game) for game in games], [sum(game) + game[-1] for game in games]
    said = f"returns {right[0]:g} and {right[1]:g}; with the last reward twice {doubled[0]:g} and {doubled[1]:g}"
    if not right[0] > right[1]:
        return failed("two_games", f"\n  got      {said}\n  expected the first game to be the better one")
    if not doubled[0] < doubled[1]:
        return failed("two_games", f"\n  got      {said}\n  expected the second game to look better with the last reward twice")
    return passed("two_games", said[0].upper() + said[1:])
