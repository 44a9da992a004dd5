"""Checks of assignment A3, implicit Q-learning. `seed` chooses the cases that are drawn at random; what is expected there comes
from the slow loops in this file."""

from __future__ import annotations

import math
import random

from lmrl_lab.checks import Result, check_function, close, compare, failed, passed, raised, rounded
from lmrl_lab.episode import Episode, Turn


class _Game(Episode):
    """An episode that is shown as one line."""

    def __repr__(self) -> str:
        told = " ".join(f"[{t.text} {t.reward:g}]" if t.is_action else t.text.strip() for t in self.turns)
        return f"<{told}, {'terminated' if self.terminated else 'truncated'}>"


def _game(told, terminated: bool) -> _Game:
    """observation, action, reward, observation, ..., observation."""
    turns = [Turn(told[0] + "\n", False)]
    for i in range(1, len(told), 3):
        turns += [Turn(told[i], True, told[i + 1]), Turn(told[i + 2] + "\n", False)]
    return _Game("maze-fo", turns, terminated, not terminated)


def transitions(function, seed: int = 0) -> Result:
    """A function (episode) -> [(observation, action, reward, next observation or None), ...]."""
    rng = random.Random(seed)
    two = ["a", "up", -1, "b", "down", 0, "end"]
    cases = [
        ((_game(two, True),), [("a", "up", -1, "b"), ("b", "down", 0, None)], "the game was over: no state follows"),
        ((_game(two, False),), [("a", "up", -1, "b"), ("b", "down", 0, "end")], "the game was cut: its last observation counts"),
        ((_game(["a", "up", -1, "a"], False),), [("a", "up", -1, "a")], "one move into a wall, then cut"),
    ]
    for over in (True, False):
        told = ["o0"]
        for t in range(1, rng.randrange(3, 7)):
            told += [rng.choice(["up", "down"]), rng.randrange(-4, 1), f"o{t}"]
        rows = [(told[i], told[i + 1], told[i + 2], told[i + 3]) for i in range(0, len(told) - 1, 3)]
        cases.append(((_game(told, over),), [*rows[:-1], (*rows[-1][:3], None if over else rows[-1][3])], "drawn at random"))
    return check_function("transitions", function, cases,
                          same=lambda got, expected: [tuple(step) for step in got] == expected)


def _slow_expectile(values, weights, tau: float) -> float:
    low, high = min(values), max(values)
    for _ in range(200):
        v = (low + high) / 2
        up = sum(w * (x - v) for x, w in zip(values, weights, strict=True) if x > v)
        down = sum(w * (v - x) for x, w in zip(values, weights, strict=True) if x < v)
        low, high = (v, high) if tau * up > (1 - tau) * down else (low, v)
    return (low + high) / 2


def expectile(function, seed: int = 0) -> Result:
    """A function (values, weights, tau), lists and a number from .5 to below 1 -> the weighted expectile."""
    rng = random.Random(seed)
    cases = [
        (([0.0, 4.0], [1, 1], 0.5), 2, "tau = 1/2 is the mean"), (([0.0, 4.0], [3, 1], 0.5), 1, "the weighted mean"),
        (([0.0, 4.0], [1, 1], 0.75), 3, ".75 * (4 - 3) = .25 * (3 - 0)"),
        (([-2.0, -10.0], [1, 3], 0.9), -4, "as in notebook 12: .9 * 1 * 2 = .1 * 3 * 6"),
        (([7.0], [2], 0.8), 7, "of one value it is that value"),
        (([1.0, 2.0, 9.0], [1, 1, 1], 0.9), 84 / 11, ".9 (9 - v) = .1 (v - 1) + .1 (v - 2): 8.4 / 1.1, and it lies above 2"),
        (([0.0, 1.0, -50.0], [1, 1, 0], 0.6), 0.6, "a weight of 0: as if it were not there"),
        (([-5000.0, 0.0], [1, 1], 0.99), -50, ".99 * 50 = .01 * 4950"),
    ]
    for _ in range(3):
        n = rng.randrange(3, 8)
        values, weights = [round(rng.gauss(-5, 4), 2) for _ in range(n)], [rng.randrange(1, 9) for _ in range(n)]
        tau = round(rng.uniform(0.5, 0.99), 2)
        cases.append(((values, weights, tau), _slow_expectile(values, weights, tau), "drawn at random, by halving an interval"))
    return check_function("expectile", function, cases, same=lambda got, expected: close(float(got), float(expected), 1e-4))


def tabular_ilql(function, seed: int = 0) -> Result:
    """A function (steps, gamma, tau, rounds) -> (q, v): {(state, action): number} and {state: number}."""
    rng = random.Random(seed)
    chain = [("a", "on", -1.0, "b"), ("b", "on", 0.0, None)]
    stitched = [("a", "on", -1.0, "b"), ("b", "off", -8.0, None), ("b", "on", 0.0, None)]
    cases = [
        ((chain, 0.5, 0.7, 1), ({("a", "on"): -1, ("b", "on"): 0}, {"a": -1, "b": 0}), "one round: V was 0 everywhere"),
        ((stitched, 1.0, 0.75, 1), ({("a", "on"): -1, ("b", "off"): -8, ("b", "on"): 0}, {"a": -1, "b": -2}),
         "V(b): .75 * (0 + 2) = .25 * (-2 + 8)"),
        ((stitched, 1.0, 0.75, 2), ({("a", "on"): -3, ("b", "off"): -8, ("b", "on"): 0}, {"a": -3, "b": -2}),
         "the second round carries V(b) = -2 to `a`"),
        (([("a", "on", -1.0, "b"), ("a", "on", -5.0, "c"), ("c", "on", -2.0, None)], 0.5, 0.9, 2),
         ({("a", "on"): -3.5, ("c", "on"): -2}, {"a": -3.5, "b": 0, "c": -2}),
         "Q is a MEAN over the steps of a pair: of -1 + 0 and -5 + .5 * -2. Nobody acted in b: its V stays 0"),
        (([("b", "on", 0.0, None)] + [("b", "off", -8.0, None)] * 3, 1.0, 0.9, 1),
         ({("b", "on"): 0, ("b", "off"): -8}, {"b": -2}), "the expectile counts how often: .9 * 1 * 2 = .1 * 3 * 6"),
        (([("a", "stay", -1.0, "a")], 0.5, 0.9, 60), ({("a", "stay"): -2}, {"a": -2}), "-1 / (1 - .5)"),
    ]
    steps = [(rng.choice("abcde"), rng.choice("xyz"), float(rng.randrange(-5, 3)), rng.choice(["a", "b", "c", "d", None]))
             for _ in range(40)]
    cases.append(((steps, 0.9, 0.8, 7), _slow_ilql(steps, 0.9, 0.8, 7), "forty steps drawn at random, against a slow loop"))
    return check_function("tabular_ilql", function, cases, same=_same_tables)


def _same_tables(got, expected) -> bool:
    return all(set(g) == set(e) and all(close(float(g[key]), float(e[key]), 1e-4) for key in e)
               for g, e in zip(got, expected, strict=True))


def _slow_ilql(steps, gamma, tau, rounds) -> tuple[dict, dict]:
    states = {step[0] for step in steps} | {step[3] for step in steps} - {None}
    v, q = dict.fromkeys(states, 0.0), {}
    for _ in range(rounds):
        for s, a in {step[:2] for step in steps}:
            targets = [r + (0 if after is None else gamma * v[after]) for t, b, r, after in steps if (t, b) == (s, a)]
            q[s, a] = sum(targets) / len(targets)
        for s in states:
            here = [a for t, a, *_ in steps if t == s]
            if here:
                v[s] = _slow_expectile([q[s, a] for a in here], [1] * len(here), tau)
    return q, v


def follow(function, seed: int = 0) -> Result:
    """A function (target, online, rate), two networks of one shape and a number: moves the target's weights, in place."""
    import torch
    if not callable(function):
        return failed("follow", f"Expected a function, got {function!r}.")
    rng = random.Random(seed)
    for case, rate in (("a tenth of the way", 0.1), ("all the way", 1.0), ("not at all", 0.0),
                       ("a share drawn at random", round(rng.uniform(0.01, 0.9), 3))):
        target, online = (torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.Linear(2, 1)) for _ in range(2))
        numbers = [[[round(rng.gauss(0, 2), 2) for _ in range(weight.numel())] for weight in net.parameters()]
                   for net in (target, online)]
        with torch.no_grad():
            for net, told in zip((target, online), numbers, strict=True):
                for weight, values in zip(net.parameters(), told, strict=True):
                    weight.copy_(torch.tensor(values).reshape(weight.shape))
        expected = [[(1 - rate) * a + rate * b for a, b in zip(*both, strict=True)] for both in zip(*numbers, strict=True)]
        told = f"\n  {case}: rate {rate}\n  target {numbers[0]}\n  online {numbers[1]}"
        before = list(target.parameters())
        try:
            function(target, online, rate)
        except Exception as error:  # whatever a learner's code raises is shown, never raised
            return failed("follow", f"{told}\n  raised   {raised(error)}\n  expected {rounded(expected)}")
        got = [weight.flatten().tolist() for weight in target.parameters()]
        if not close(got, expected, 1e-4):
            return failed("follow", f"{told}\n  got      {rounded(got)}\n  expected {rounded(expected)}")
        if not close([weight.flatten().tolist() for weight in online.parameters()], numbers[1], 1e-4):
            return failed("follow", f"{told}\n  got another online network\n  expected it to stay as it was")
        if any(a is not b for a, b in zip(before, target.parameters(), strict=True)) or any(w.grad_fn for w in before):
            return failed("follow", f"{told}\n  got new weights, or weights that remember how they were computed\n"
                                    "  expected the numbers in the old ones to change, without a gradient")
        with torch.no_grad():
            next(online.parameters()).add_(1.0)
        if not close(next(target.parameters()).flatten().tolist(), expected[0], 1e-4):
            return failed("follow", f"{told}\n  got a target that shares its numbers with the online network\n  expected a copy")
    return passed("follow", "Four rates, and what must not change does not")


def guided(function, seed: int = 0) -> Result:
    """A function (logits, q1, q2, beta, legal, temperature), tensors (V,), numbers, and legal (V,) of booleans -> (V,)
    probabilities."""
    rng, zero = random.Random(seed), [0.0, 0.0, 0.0]
    log3, every = math.log(3), [True, True, True]

    def row(case, logits, q1, q2, beta, legal, temperature, expected):
        return case, {"logits": logits, "q1": q1, "q2": q2, "beta": beta, "legal": legal, "temperature": temperature}, expected

    table = [
        row("no values, no mask: softmax", [log3, 0.0, -99.0], zero, zero, 4.0, every, 1.0, [0.75, 0.25, 0.0]),
        row("the second head is the smaller one, and counts twice log 3 / 2", zero, [5.0, 5.0, 5.0], [log3 / 2, 0.0, 0.0], 2.0,
            every, 1.0, [0.6, 0.2, 0.2]),
        row("the smaller of the two for EACH token: 0, 0, 0", zero, [9.0, 0.0, 0.0], [0.0, 9.0, 0.0], 1.0, every, 1.0,
            [1 / 3] * 3),
        row("the best token is not legal", [0.0, log3, 50.0], zero, zero, 1.0, [True, True, False], 1.0, [0.25, 0.75, 0.0]),
        row("half the temperature: log 3 becomes log 9", [0.0, log3, 50.0], zero, zero, 1.0, [True, True, False], 0.5,
            [0.1, 0.9, 0.0]),
        row("temperature 0: all on the best legal token", [0.0, 1.0, 50.0], [0.0, -2.0, 0.0], [0.0, -1.0, 0.0], 1.0,
            [True, True, False], 0.0, [1.0, 0.0, 0.0]),
        row("values of thousands", zero, [-3000.0, -3001.0, -9000.0], [-3000.0, -3001.0, -9000.0], log3, every, 1.0,
            [0.75, 0.25, 0.0]),
    ]
    logits, q1, q2 = [[round(rng.gauss(0, 2), 2) for _ in range(6)] for _ in range(3)]
    legal = [True, False, True, True, False, True]
    weights = [math.exp((x + 1.5 * min(a, b)) / 0.8) if ok else 0.0 for x, a, b, ok in zip(logits, q1, q2, legal, strict=True)]
    table.append(row("six tokens drawn at random, against a slow loop", logits, q1, q2, 1.5, legal, 0.8,
                     [w / sum(weights) for w in weights]))
    return compare("guided", function, table) or passed("guided", "Eight cases, the last one at random against a slow loop")


def impossible(function, seed: int = 0) -> Result:
    """A function (values, lowest, highest, gamma, left) -> [True where no policy can earn that, ...]."""
    rng = random.Random(seed)
    cases = [
        (([-5.0, -1.0, 0.5], -1.0, 0.0, 1.0, 3), [True, False, True], "three rewards from -1 to 0: from -3 to 0"),
        (([-1.75, -1.76, 0.0], -1.0, 0.0, 0.5, 3), [False, True, False], "-1 - .5 - .25 = -1.75 is still possible"),
        (([-2.0, -2.01], -1.0, 0.0, 0.5, None), [False, True], "without a limit: -1 / (1 - .5) = -2"),
        (([5.0, 5.01, 1.9, 2.0], 2.0, 5.0, 0.0, None), [False, True, True, False], "gamma = 0: one reward"),
        (([0.0, 0.1, -0.1], -1.0, 1.0, 0.9, 0), [False, True, True], "nothing is left to earn"),
        (([-7.0, 40.0], -4.0, 0.0, 1.0, 100), [False, True], "-400 to 0"),
    ]
    for _ in range(2):
        gamma, left = round(rng.uniform(0.5, 0.99), 2), rng.randrange(2, 30)
        low, high = float(-rng.randrange(1, 5)), float(rng.randrange(3))
        least, most = (sum(gamma**k * r for k in range(left)) for r in (low, high))
        values = [rng.uniform(2 * least - 1, 2 * most + 1) for _ in range(6)]
        cases.append(((values, low, high, gamma, left), [not least <= v <= most for v in values], "drawn at random, summed up"))
    return check_function("impossible", function, cases,
                          same=lambda got, expected: [bool(x) for x in got] == expected)
