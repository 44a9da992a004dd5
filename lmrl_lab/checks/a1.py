"""Checks of assignment A1, decision processes and returns. `seed` chooses the cases that are drawn at random; what is expected
there comes from the slow loops in this file."""

from __future__ import annotations

import random

import numpy as np

from lmrl_lab.checks import Result, check_function
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.tasks.maze_board import ACTIONS, Maze, maze

# three cells in a row, the goal at the right end: (cells, ACTIONS) -> cell; up and down are walls
_CORRIDOR = np.array([[0, 0, 0, 1], [1, 1, 0, 2], [2, 2, 1, 2]])
_RIGHT = np.eye(4)[[3, 3, 3]]
_HALF = np.array([[0.5, 0, 0, 0.5]] * 3)  # up, which is a wall, or right


def _game(rewards, terminated: bool) -> Episode:
    turns = [Turn("o\n", False)]
    for reward in rewards:
        turns += [Turn("a", True, reward), Turn("o\n", False)]
    return Episode("maze-fo", turns, terminated, not terminated)


class _Shown(Episode):
    """An episode that is shown by what matters here."""

    def __repr__(self) -> str:
        return f"<rewards {self.rewards}, {'terminated' if self.terminated else 'truncated'}>"


def _shown(rewards, terminated: bool) -> _Shown:
    game = _game(rewards, terminated)
    return _Shown(game.task, game.turns, game.terminated, game.truncated)


def episode_returns(function, seed: int = 0) -> Result:
    """A function (episode, gamma, after) -> the return-to-go of each action, discounted once an action."""
    rng = random.Random(seed)
    cases = [
        ((_shown([-1, -1, 0], True), 1.0, -7.0), [-2, -1, 0], "the game was over: nothing comes after, whatever `after` says"),
        ((_shown([-1, -1, -1], False), 1.0, -7.0), [-10, -9, -8], "the game was cut: a place worth -7 follows the last action"),
        ((_shown([0, 0, 8], True), 0.5, 0.0), [2, 4, 8], "the first action is two actions away from the reward"),
        ((_shown([-1, -1], False), 0.5, -4.0), [-2.5, -3], "-1 + .5 * -4 = -3, and -1 + .5 * -3"),
    ]
    for _ in range(3):
        rewards, over = [rng.randrange(-4, 5) for _ in range(rng.randrange(3, 9))], rng.random() < 0.5
        gamma, after = round(rng.uniform(0.5, 1), 2), rng.randrange(-9, 9)
        full = [*rewards, 0 if over else after]
        slow = [sum(gamma**k * r for k, r in enumerate(full[t:])) for t in range(len(rewards))]
        cases.append(((_shown(rewards, over), gamma, after), slow, "drawn at random, against a slow double sum"))
    return check_function("episode_returns", function, cases)


def horizon(function, seed: int = 0) -> Result:
    """A function (gamma, share) -> the smallest n with gamma^n at most `share`, None if there is none."""
    rng = random.Random(seed)
    cases = [
        ((0.5, 0.25), 2, ".5 ^ 2 = .25 is at most .25"), ((0.5, 0.2), 3, ".5 ^ 2 = .25 is more than .2"),
        ((0.9, 1.0), 0, "before the first step all is left, and all is at most 1"),
        ((1.0, 0.5), None, "without a discount nothing ever fades"), ((0.0, 0.5), 1, "only the first reward counts"),
        ((0.99, 0.01), 459, ".99 ^ 458 = .0100207, .99 ^ 459 = .0099205"),
    ]
    for _ in range(3):
        gamma, share, n = round(rng.uniform(0.5, 0.98), 3), round(rng.uniform(0.02, 0.9), 3), 0
        while gamma**n > share:
            n += 1
        cases.append(((gamma, share), n, "drawn at random, counted"))
    return check_function("horizon", function, cases, same=lambda got, expected: type(got) is not bool and got == expected)


def _drawn(rng: random.Random) -> tuple[Maze, np.ndarray]:
    of = maze(f"random-{rng.randrange(10_000)}")
    rows = np.array([[rng.random() ** 2 for _ in range(4)] for _ in of.cells])
    return of, rows / rows.sum(1, keepdims=True)


def occupancy(function, seed: int = 0) -> Result:
    """A function (policy, next_cell, start, goal, gamma, steps) -> (cells,) expected discounted visits."""
    rng = random.Random(seed)
    cases = [
        ((_RIGHT, _CORRIDOR, 0, 2, 0.5, 10), [1, 0.5, 0], "cell 0 at t = 0, cell 1 at t = 1, and then the game is over"),
        ((_RIGHT, _CORRIDOR, 0, 2, 0.5, 1), [1, 0, 0], "one step: only the start has been acted in"),
        ((_HALF, _CORRIDOR, 0, 2, 0.5, 2), [1.25, 0.25, 0], "at t = 1 in cell 0 or 1 with probability 1/2 each, times gamma"),
        ((_HALF, _CORRIDOR, 1, 2, 1.0, 3), [0, 1.75, 0], "1 + 1/2 + 1/4: it goes on only where the wall was chosen"),
        ((_RIGHT, _CORRIDOR, 2, 2, 0.5, 10), [0, 0, 0], "whoever starts at the goal never acts"),
    ]
    for _ in range(2):
        of, policy = _drawn(rng)
        start, gamma, steps = rng.choice(of.starts), round(rng.uniform(0.7, 1), 2), rng.randrange(3, 12)
        cases.append(((policy, of.next_cell, start, of.goal_index, gamma, steps),
                      _slow_occupancy(policy, of, start, gamma, steps), "a random maze, against a slow loop over probabilities"))
    return check_function("occupancy", function, cases)


def _slow_occupancy(policy, of: Maze, start: int, gamma: float, steps: int) -> list[float]:
    chance, total = {start: 1.0}, [0.0] * len(of.cells)
    for t in range(steps):
        new: dict[int, float] = {}
        for cell, p in chance.items():
            if cell == of.goal_index:
                continue
            total[cell] += gamma**t * p
            for a in range(4):
                after = int(of.next_cell[cell, a])
                new[after] = new.get(after, 0.0) + p * policy[cell, a]
        chance = new
    return total


def evaluate(function, seed: int = 0) -> Result:
    """A function (policy, next_cell, goal, gamma) -> (cells,) values, 0 at the goal; the move that reaches it costs nothing."""
    rng = random.Random(seed)
    cases = [
        ((_RIGHT, _CORRIDOR, 2, 0.5), [-1, 0, 0], "the move into the goal costs 0, the one before costs 1"),
        ((_HALF, _CORRIDOR, 2, 0.5), [-14 / 9, -2 / 3, 0],
         "V1 = 1/2 * 0 + 1/2 (-1 + V1 / 2), so V1 = -2/3; V0 = -1 + (V0 / 2 + V1 / 2) / 2"),
        ((np.eye(4)[[0, 0, 0]], _CORRIDOR, 2, 0.75), [-4, -4, 0], "bumping for ever costs 1 / (1 - gamma)"),
        ((np.eye(4)[[0, 0, 0]], _CORRIDOR, 2, 0.99), [-100, -100, 0], "the same: 20 or 100 sweeps are not yet for ever"),
    ]
    for _ in range(2):
        of, policy = _drawn(rng)
        gamma = round(rng.uniform(0.6, 0.9), 2)
        cases.append(((policy, of.next_cell, of.goal_index, gamma), _slow_values(policy, of, gamma),
                      "a random maze, against many sweeps of a slow loop"))
    return check_function("evaluate", function, cases)


def _slow_values(policy, of: Maze, gamma: float) -> list[float]:
    policy, value = policy.tolist(), [0.0] * len(of.cells)
    for _ in range(300):
        value = [0.0 if i == of.goal_index else
                 sum(policy[i][a] * ((0.0 if of.next_cell[i, a] == of.goal_index else -1.0) + gamma * value[of.next_cell[i, a]])
                     for a in range(4)) for i in range(len(of.cells))]
    return value


def improve(function, seed: int = 0) -> Result:
    """A function (values, next_cell, goal, gamma) -> (cells, 4): in each cell uniform over the best actions; the goal's row is
    not looked at."""
    rng = random.Random(seed)
    two_ways = np.array([[0, 1, 0, 2], [1, 3, 1, 1], [2, 3, 2, 2], [3, 3, 3, 3]])  # 0 -> 1 -> 3 and 0 -> 2 -> 3
    cases = [
        (([-1.0, 0.0, 0.0], _CORRIDOR, 2, 0.5), [[0, 0, 0, 1], [0, 0, 0, 1], None],
         "right leads on, everything else stays or goes back"),
        (([-1.0, 0.0, 0.0, 0.0], two_ways, 3, 0.5), [[0, 0.5, 0, 0.5], [0, 1, 0, 0], [0, 1, 0, 0], None],
         "in cell 0 down and right are equally good: each gets 1/2"),
        (([-5.0, -5.0, 0.0], _CORRIDOR, 2, 1.0), [[0.25] * 4, [0, 0, 0, 1], None], "in cell 0 all four lead to a cell worth -5"),
        (([0.0, -9.0, 0.0], _CORRIDOR, 2, 0.5), [[1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 0, 1], None],
         "the values given are what counts: cell 1 is said to be bad, so walls are best in cell 0"),
    ]
    for _ in range(2):
        of, _ = _drawn(rng)
        values = np.array([float(-rng.randrange(4)) for _ in of.cells])
        values[of.goal_index] = 0.0
        cases.append(((values, of.next_cell, of.goal_index, 0.9), _slow_best(values, of, 0.9),
                      "a random maze with many ties, against a slow loop"))

    return check_function("improve", function, cases, same=_same_rows)


def _same_rows(got, expected: list) -> bool:
    """None stands for a row that is not looked at."""
    got = np.asarray(got, float)
    return got.shape == (len(expected), 4) and all(row is None or np.allclose(g, row, atol=1e-6)
                                                   for g, row in zip(got, expected, strict=True))


def _slow_best(values, of: Maze, gamma: float) -> list:
    rows = []
    for i in range(len(of.cells)):
        q = [(0.0 if j == of.goal_index else -1.0) + gamma * values[j] for j in of.next_cell[i]]
        best = [x > max(q) - 1e-9 for x in q]
        rows.append(None if i == of.goal_index else [b / sum(best) for b in best])
    return rows


def solve(function, seed: int = 0) -> Result:
    """A function (next_cell, goal, gamma) -> (cells,) values of the best policy."""
    rng = random.Random(seed)
    cases = [((_CORRIDOR, 2, 0.5), [-1, 0, 0], "one paid move from cell 0, none from cell 1")]
    for layout in ("double_t", f"random-{rng.randrange(10_000)}", f"random-{rng.randrange(10_000)}"):
        of, gamma = maze(layout), round(rng.uniform(0.8, 0.95), 2)
        best = [-(1 - gamma ** max(d - 1, 0)) / (1 - gamma) for d in of.distance.tolist()]
        cases.append(((of.next_cell, of.goal_index, gamma), best,
                      f"maze {layout}: at distance d there are d - 1 paid moves, -(1 - gamma^(d - 1)) / (1 - gamma)"))
    return check_function("solve", function, cases)


def belief(function, seed: int = 0) -> Result:
    """A function (next_cell, observed, transcript) -> the cells in which the walker can stand."""
    rng = random.Random(seed)
    seen = ["end", "end", "Success"]
    cases = [
        ((_CORRIDOR, seen, ["end"]), [0, 1], "two cells look like this"),
        ((_CORRIDOR, seen, ["end", "move right", "end"]), [1], "from cell 1 it would have been the goal"),
        ((_CORRIDOR, seen, ["end", "move left", "end"]), [0], "cell 0 stays, cell 1 goes to cell 0: they have met"),
        ((_CORRIDOR, seen, ["end", "jump", "end"]), [0, 1], "what is no move moves nobody"),
        ((_CORRIDOR, seen, ["end", "move right", "Success"]), [2], "only cell 1 comes to the goal"),
        ((_CORRIDOR, ["a", "b", "Success"], ["b", "move left", "b"]), [], "that cannot happen: nobody is left"),
    ]
    for layout in ("double_t", f"random-{rng.randrange(10_000)}"):
        of = maze(layout)
        cell = rng.choice(of.starts)
        texts, at = [of.observed[cell]], cell
        while len(texts) < 9 and at != of.goal_index:
            action = rng.choice(ACTIONS)
            at = int(of.next_cell[at, ACTIONS.index(action)])
            texts += [action, of.observed[at]]
        cases.append(((of.next_cell, of.observed, texts), _slow_belief(of, texts),
                      f"maze {layout}: every start was walked, and kept if it told the same story"))
    return check_function("belief", function, cases, same=lambda got, expected: sorted(int(i) for i in got) == expected)


def _slow_belief(of: Maze, texts: list[str]) -> list[int]:
    ends = set()
    for start in range(len(of.cells)):
        at, story = start, [of.observed[start]]
        for action in texts[1::2]:
            at = int(of.next_cell[at, ACTIONS.index(action)])
            story += [action, of.observed[at]]
        if story == texts:
            ends.add(at)
    return sorted(ends)
