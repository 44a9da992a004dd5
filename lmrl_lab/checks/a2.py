"""Checks of assignment A2, filtered BC and Monte-Carlo returns. `seed` chooses the cases that are drawn at random; what is
expected there comes from the slow loops in this file."""

from __future__ import annotations

import math
import random

import numpy as np

from lmrl_lab.checks import Result, check_function, close
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.tasks.maze import behaviour_episodes
from lmrl_lab.tasks.maze_board import maze


class _Game(Episode):
    """An episode that is shown as one line."""

    def __repr__(self) -> str:
        return "<" + " ".join(f"[{t.text} {t.reward:g}]" if t.is_action else t.text.strip() for t in self.turns) + ">"


def _game(*told) -> _Game:
    """observation, action, reward, observation, action, reward, ..., observation."""
    turns = [Turn(told[0] + "\n", False)]
    for i in range(1, len(told), 3):
        turns += [Turn(told[i], True, told[i + 1]), Turn(told[i + 2] + "\n", False)]
    return _Game("maze-fo", turns, False, True)


def _drawn(rng: random.Random, number: int) -> list[Episode]:
    return [_Game(game.task, game.turns, game.terminated, game.truncated)
            for game in behaviour_episodes("partial", number, rng.randrange(10**6), length=6)]


def _texts(game: Episode, t: int, k: int | None) -> tuple:
    """What is seen before action t: the last observation and k turns before it."""
    first = 0 if k is None else max(0, t - k)
    return tuple(game.turns[i].text.rstrip("\n") for i in range(2 * first, 2 * t + 1))


_LEFT_OR_RIGHT = [_game("a", "left", -1, "b", "right", -1, "a"), _game("a", "right", -1, "b", "right", -1, "b", "left", -1, "b")]


def clone(function, seed: int = 0) -> Result:
    """A function (episodes, k) -> {context: {action: relative frequency}}."""
    rng = random.Random(seed)
    cases = [
        ((_LEFT_OR_RIGHT[:1], 0), {("a",): {"left": 1}, ("b",): {"right": 1}},
         "one game: after `a` it said left, after `b` right; the last observation was followed by nothing"),
        ((_LEFT_OR_RIGHT, 0), {("a",): {"left": 0.5, "right": 0.5}, ("b",): {"right": 2 / 3, "left": 1 / 3}},
         "after `b` twice right and once left"),
        ((_LEFT_OR_RIGHT, 1), {("a",): {"left": 0.5, "right": 0.5}, ("a", "left", "b"): {"right": 1},
                               ("a", "right", "b"): {"right": 1}, ("b", "right", "b"): {"left": 1}},
         "one earlier turn is an observation and an action; at the start there is none"),
        ((_LEFT_OR_RIGHT[1:], None), {("a",): {"right": 1}, ("a", "right", "b"): {"right": 1},
                                      ("a", "right", "b", "right", "b"): {"left": 1}}, "None: the whole transcript"),
    ]
    for k in (0, 2):
        games = _drawn(rng, 8)
        cases.append(((games, k), _slow_clone(games, k), f"eight games of maze-po, k = {k}, against a slow count"))
    return check_function("clone", function, cases, same=_same_table)


def _same_table(got, expected) -> bool:
    """Actions of frequency 0 may be there."""
    return set(got) == set(expected) and all(
        close({a: float(p) for a, p in got[c].items() if p}.get(a, 0.0), float(expected[c].get(a, 0.0)))
        for c in expected for a in {*got[c], *expected[c]})


def _slow_clone(games, k) -> dict:
    said = [(_texts(game, t, k), action) for game in games for t, action in enumerate(game.actions)]
    table = {}
    for context in dict.fromkeys(context for context, _ in said):
        here = [action for other, action in said if other == context]
        table[context] = {action: here.count(action) / len(here) for action in set(here)}
    return table


def held_out_loss(function, seed: int = 0) -> Result:
    """A function (table, episodes, k, floor) -> the mean of -log max(frequency, floor) over the actions of the episodes."""
    rng = random.Random(seed)
    table = {("a",): {"left": 0.5, "right": 0.5}, ("b",): {"right": 1.0}}
    cases = [
        ((table, _LEFT_OR_RIGHT[:1], 0, 0.01), math.log(2) / 2,
         "-log 1/2 for left after `a`, -log 1 for right after `b`: the mean"),
        ((table, _LEFT_OR_RIGHT[1:], 0, 0.01), (math.log(2) + 0 - math.log(0.01)) / 3,
         "left after `b` was never seen: it counts as the floor"),
        ((table, [_game("c", "left", -1, "a")], 0, 0.1), -math.log(0.1), "the context `c` was never seen: the floor again"),
        ((table, _LEFT_OR_RIGHT, 0, 0.01), (math.log(2) + 0 + math.log(2) + 0 - math.log(0.01)) / 5,
         "five actions in two games: each action counts the same, whatever the length of its game"),
        (({("a",): {"left": 0.001, "right": 0.999}}, [_game("a", "left", -1, "a")], 0, 0.05), -math.log(0.05),
         "a frequency below the floor counts as the floor"),
        ((table, _LEFT_OR_RIGHT[:1], 1, 0.01), (math.log(2) - math.log(0.01)) / 2,
         "with k = 1 the second context is ('a', 'left', 'b'), which this table does not have"),
    ]
    for k in (0, 1):
        games = _drawn(rng, 12)
        known, new = _slow_clone(games[:8], k), games[8:]
        losses = [-math.log(max(known.get(_texts(game, t, k), {}).get(action, 0.0), 0.02))
                  for game in new for t, action in enumerate(game.actions)]
        cases.append(((known, new, k, 0.02), sum(losses) / len(losses), f"four new games of maze-po, k = {k}"))
    return check_function("held_out_loss", function, cases)


# cell 0 is the start; left leads into a pit (cell 1) for ever, right to the goal (cell 2)
_PIT = np.array([[0, 0, 1, 2], [1, 1, 1, 1], [2, 2, 2, 2]])


def filtered_policy(function, seed: int = 0) -> Result:
    """A function (policy, next_cell, goal) -> (cells, 4): the policy of those games that reach the goal; the goal's row is not
    looked at."""
    rng = random.Random(seed)
    cases = [
        ((np.full((3, 4), 0.25), _PIT, 2), [[0.25, 0.25, 0, 0.5], [0.0] * 4, None],
         "half of the games arrive; none of those went left. Nobody is kept from the pit: zeros"),
        ((np.array([[0, 0, 0.9, 0.1]] + [[1.0, 0, 0, 0]] * 2), _PIT, 2), [[0, 0, 0, 1], [0.0] * 4, None],
         "one game in ten arrives, and all of these went right"),
        ((np.array([[0.5, 0, 0, 0.5], [0.5, 0, 0, 0.5], [1, 0, 0, 0]]), np.array([[0, 0, 0, 1], [1, 1, 0, 2], [2, 2, 1, 2]]), 2),
         [[0.5, 0, 0, 0.5], [0.5, 0, 0, 0.5], None], "every game arrives in the end, so a filter on success changes nothing"),
        ((np.array([[1.0, 0, 0, 0]] * 3), _PIT, 2), [[0.0] * 4, [0.0] * 4, None], "nobody ever arrives"),
    ]
    for _ in range(2):
        of = maze("######\n#....#\n#....#\n#....#\n#...G#\n######")
        rows = np.array([[rng.random() for _ in range(4)] for _ in of.cells])
        next_cell, pits = of.next_cell.copy(), rng.sample([i for i in of.starts if of.distance[i] > 1], 2)
        next_cell[pits] = np.array(pits)[:, None]
        policy = rows / rows.sum(1, keepdims=True)
        cases.append(((policy, next_cell, of.goal_index), _slow_filtered(policy, next_cell, of.goal_index),
                      "a room of 16 cells with two pits, against a slow iteration"))
    return check_function("filtered_policy", function, cases, same=_same_rows)


def _same_rows(got, expected: list) -> bool:
    """None stands for a row that is not looked at."""
    got = np.asarray(got, float)
    return got.shape == (len(expected), 4) and all(row is None or np.allclose(g, row, atol=1e-4)
                                                   for g, row in zip(got, expected, strict=True))


def _slow_filtered(policy, next_cell, goal: int) -> list:
    policy, next_cell = policy.tolist(), next_cell.tolist()
    arrive = [float(i == goal) for i in range(len(policy))]
    for _ in range(1_000):
        arrive = [1.0 if i == goal else sum(p * arrive[j] for p, j in zip(policy[i], next_cell[i], strict=True))
                  for i in range(len(policy))]
    return [None if i == goal else [p * arrive[j] / arrive[i] if arrive[i] > 0 else 0.0
                                    for p, j in zip(policy[i], next_cell[i], strict=True)] for i in range(len(policy))]


def mc_q(function, seed: int = 0) -> Result:
    """A function (episodes, gamma, first_visit) -> {(observation, action): (mean return, number of returns)}."""
    rng = random.Random(seed)
    loop = _game("a", "on", 0, "a", "on", 0, "a", "on", 8, "end")
    cases = [
        (([_game("a", "on", -1, "b", "on", 4, "end")], 0.5, False), {("a", "on"): (1, 1), ("b", "on"): (4, 1)},
         "-1 + .5 * 4 = 1, and 4"),
        (([loop], 0.5, False), {("a", "on"): (14 / 3, 3)}, "every visit: the returns are 2, 4 and 8"),
        (([loop], 0.5, True), {("a", "on"): (2, 1)}, "first visit: only the first of them, 2"),
        (([loop, _game("a", "on", -2, "end"), _game("a", "off", 1, "end")], 0.5, True),
         {("a", "on"): (0, 2), ("a", "off"): (1, 1)}, "the first visits of two games, 2 and -2; `off` is another pair"),
    ]
    for first in (False, True):
        games = _drawn(rng, 6)
        cases.append(((games, 0.9, first), _slow_q(games, 0.9, first), "six games of maze-po, against a slow double sum"))
    return check_function("mc_q", function, cases, same=_same_q)


def _same_q(got, expected) -> bool:
    return set(got) == set(expected) and all(close(float(got[pair][0]), float(mean)) and got[pair][1] == n
                                             for pair, (mean, n) in expected.items())


def _slow_q(games, gamma, first: bool) -> dict:
    found: dict[tuple, list] = {}
    for game in games:
        pairs = [(game.observations[t].rstrip("\n"), action) for t, action in enumerate(game.actions)]
        for t, pair in enumerate(pairs):
            if not (first and pair in pairs[:t]):
                found.setdefault(pair, []).append(sum(gamma**k * r for k, r in enumerate(game.rewards[t:])))
    return {pair: (sum(returns) / len(returns), len(returns)) for pair, returns in found.items()}


def advantage_weights(function, seed: int = 0) -> Result:
    """A function (returns, values, temperature, largest) -> weights exp((R - V) / temperature), at most `largest`, then divided
    by their mean."""
    rng = random.Random(seed)
    up = math.log(4)
    cases = [
        (([1.0, 5.0], [1.0, 5.0], 1.0, 10.0), [1, 1], "both are as good as was expected there: the same weight"),
        (([up, 0.0], [0.0, 0.0], 1.0, 10.0), [1.6, 0.4], "4 and 1, divided by their mean 2.5"),
        (([up, 0.0], [0.0, 0.0], 2.0, 10.0), [4 / 3, 2 / 3], "a temperature of 2: 2 and 1, divided by 1.5"),
        (([up, 0.0], [0.0, 0.0], 1.0, 3.0), [1.5, 0.5], "4 is cut to 3 BEFORE the mean is taken: 3 and 1, divided by 2"),
        (([up, 0.0], [up, 0.0], 1.0, 3.0), [1, 1], "the first game earned more, but more was expected"),
        (([0.0, -5000.0], [-5000.0, -5000.0], 1.0, 3.0), [1.5, 0.5], "exp(5000) is too large for a float, but 3 is not"),
    ]
    returns, values = [[round(rng.gauss(-5, 3), 2) for _ in range(7)] for _ in range(2)]
    slow = [min(20.0, math.exp((r - v) / 1.5)) for r, v in zip(returns, values, strict=True)]
    cases.append(((returns, values, 1.5, 20.0), [w * 7 / sum(slow) for w in slow], "seven games drawn at random"))
    return check_function("advantage_weights", function, cases)


def off_policy_return(function, seed: int = 0) -> Result:
    """A function (games, target, behaviour) -> the return of the target policy by weighted importance sampling, or None. A game
    is a list of (cell, action, reward)."""
    rng = random.Random(seed)
    half, mostly = np.array([[0.5, 0.5]]), np.array([[0.75, 0.25]])
    one, two = [(0, 0, -1.0)], [(0, 1, -5.0)]
    long = [(0, 0, -0.01)] * 1_500
    cases = [
        (([one, two], half, half), -3, "the same policy: the mean of the returns"),
        (([one, two], mostly, half), -2, "weights 1.5 and .5: (1.5 * -1 + .5 * -5) / 2"),
        (([one, two], np.array([[1.0, 0.0]]), half), -1, "the target never does what the second game did: weight 0"),
        (([two], np.array([[1.0, 0.0]]), half), None, "no game could be the target's: nothing can be said"),
        (([one * 2, two * 2, [*one, *two]], mostly, half), -(2.25 * 2 + 0.25 * 10 + 0.75 * 6) / 3.25,
         "a game's weight is the product over its moves: 2.25, .25 and .75"),
        (([long, long], np.array([[1.0, 0.0]]), half), -15, "2 ^ 1500 is too large for a float; the ratio of two of them is not"),
    ]
    target, behaviour = [np.array([[rng.uniform(0.1, 1) for _ in range(3)] for _ in range(4)]) for _ in range(2)]
    target, behaviour = target / target.sum(1, keepdims=True), behaviour / behaviour.sum(1, keepdims=True)
    games = [[(rng.randrange(4), rng.randrange(3), float(-rng.randrange(5))) for _ in range(rng.randrange(1, 6))]
             for _ in range(9)]
    weights = [math.prod(target[s, a] / behaviour[s, a] for s, a, _ in game) for game in games]
    slow = sum(w * sum(r for *_, r in game) for w, game in zip(weights, games, strict=True)) / sum(weights)
    cases.append(((games, target, behaviour), float(slow), "nine games drawn at random, against a slow loop"))
    return check_function("off_policy_return", function, cases)
