"""Ground truth for the maze: what tables learn from the same data, and exact returns of players that see k turns.

Here a context is a tuple of texts, (observation, action, ..., observation): the last observation and the k turns before.
No network; the methods are written from their definitions, so that notebooks and tests can hold networks against them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lmrl_lab.episode import Episode, Turn
from lmrl_lab.policies import ScriptedPolicy
from lmrl_lab.tasks.maze import INVALID, MAX_ACTIONS
from lmrl_lab.tasks.maze_board import ACTIONS, Maze, maze

Context = Hashable


class Step(NamedTuple):
    """One action of the data: `following` is None where the game ended by its own rules; `episode`: which game."""

    context: Context
    action: int  # index of ACTIONS
    reward: float
    following: Context | None
    episode: int


def window(texts: Sequence[str], k: int | None) -> tuple[str, ...]:
    """The end of a transcript that a player with `k` earlier turns sees; None: all of it."""
    return tuple(texts) if k is None else tuple(texts[-1 - 2 * k:])


def steps_of(episodes: Sequence[Episode], k: int = 0, key: Callable[[Sequence[str]], Context] | None = None) -> list[Step]:
    """All actions of the data. `key` makes the context of a transcript so far; None: its last observation and k turns."""
    key = key or (lambda texts: window(texts, k))
    steps = []
    for number, episode in enumerate(episodes):
        texts = [turn.text.rstrip("\n") for turn in episode.turns]
        keys = [key(texts[:i + 1]) for i in range(0, len(texts), 2)]
        for t, action in enumerate(episode.actions):
            over = episode.terminated and t == len(episode.actions) - 1
            steps.append(Step(keys[t], ACTIONS.index(action), episode.rewards[t], None if over else keys[t + 1], number))
    return steps


class Values(NamedTuple):
    """Tables over the contexts of the data: q (contexts, 4), NaN for actions never taken there; v (contexts,);
    counts (contexts, 4); index: context -> row."""

    index: dict[Context, int]
    counts: np.ndarray
    q: np.ndarray
    v: np.ndarray


def _counted(steps: Sequence[Step]) -> tuple[dict, np.ndarray]:
    contexts = [step.context for step in steps] + [step.following for step in steps if step.following is not None]
    index = {context: n for n, context in enumerate(dict.fromkeys(contexts))}
    counts = np.zeros((len(index), 4))
    np.add.at(counts, ([index[s.context] for s in steps], [s.action for s in steps]), 1)
    return index, counts


def mc_values(steps: Sequence[Step], gamma: float) -> Values:
    """Q(c, a): the mean over the data of the discounted return from that step to the end of its recording."""
    index, counts = _counted(steps)
    total, following, game = np.zeros_like(counts), 0.0, None
    for step in reversed(steps):
        following = step.reward + gamma * (following if step.episode == game else 0.0)
        game = step.episode
        total[index[step.context], step.action] += following
    q = np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return Values(index, counts, q, (share * np.nan_to_num(q)).sum(1))


def expectile(values: np.ndarray, weights: np.ndarray, tau: float) -> np.ndarray:
    """The v at which tau * (weight of what is above v, times distance) equals (1 - tau) * (the same below); tau = 1: the
    largest value of positive weight. values, weights: (..., n); returns (...), NaN where all weights are 0."""
    values = np.where(weights > 0, values, -np.inf)
    if tau == 1:
        return np.where((weights > 0).any(-1), values.max(-1), np.nan)
    order = np.argsort(values, -1)
    values, weights = np.take_along_axis(values, order, -1), np.take_along_axis(weights, order, -1)
    values = np.where(weights > 0, values, 0.0)
    v = np.full(values.shape[:-1], np.nan)
    for n in range(values.shape[-1]):  # the n + 1 lowest lie below v: is that so for the v which then balances?
        pull = np.where(np.arange(values.shape[-1]) <= n, 1 - tau, tau) * weights
        with np.errstate(invalid="ignore"):
            tried = (pull * values).sum(-1) / pull.sum(-1)
        above = values[..., n + 1] if n + 1 < values.shape[-1] else np.inf
        fits = (weights[..., n] > 0) & (values[..., n] <= tried + 1e-9) & (tried <= above + 1e-9)
        v = np.where(fits & np.isnan(v), tried, v)
    return v


def expectile_values(steps: Sequence[Step], gamma: float, tau: float, bootstrap_terminal: bool = False,
                     rounds: int = 1_000) -> Values:
    """The fixed point of ILQL's two losses on a table, by iteration.

    Q(c, a) = mean over the data of r + gamma V(c'), V(c) = expectile tau of Q(c, .) over the data's actions. tau = .5 is
    policy evaluation of the data (SARSA), tau = 1 Q-learning within the data. A context in which the data never acts (the
    end of a cut game) has V = 0, as a network's head that nothing pulls; `bootstrap_terminal` repeats a published fault:
    the value goes on after the end, as if the game started again where it stopped.
    """
    index, counts = _counted(steps)
    at, action = np.array([index[s.context] for s in steps]), np.array([s.action for s in steps])
    reward = np.array([s.reward for s in steps])
    over = np.array([s.following is None for s in steps])
    after = np.array([index[s.context if s.following is None else s.following] for s in steps])
    keeps = 1.0 if bootstrap_terminal else np.where(over, 0.0, 1.0)
    seen, v = counts > 0, np.zeros(len(index))
    for _ in range(rounds):
        total = np.zeros_like(counts)
        np.add.at(total, (at, action), reward + gamma * keeps * v[after])
        q = np.where(seen, total / np.maximum(counts, 1), np.nan)
        new = np.nan_to_num(expectile(q, counts, tau))
        if np.abs(new - v).max() < 1e-9:
            break
        v = new
    return Values(index, counts, q, v)


def guided_policy(values: Values, beta: float) -> dict[Context, np.ndarray]:
    """The data's frequencies tilted by exp(beta Q), a row of 4 a context; beta = inf: the best action that was seen."""
    rows = {}
    for context, n in values.index.items():
        if not values.counts[n].any():
            continue
        seen = values.counts[n] > 0
        above = np.where(seen, values.q[n] - values.q[n][seen].max(), 0.0)
        row = seen * np.isclose(above, 0, atol=1e-9) if np.isinf(beta) else values.counts[n] * np.exp(beta * above)
        rows[context] = row / row.sum()
    return rows


class ContextPolicy(ScriptedPolicy):
    """Draws from a row that depends on the context; uniform where the context is not in the table."""

    def __init__(self, rows: Mapping[Context, np.ndarray], k: int = 0, key: Callable[[Sequence[str]], Context] | None = None,
                 name: str = "table"):
        self.rows, self.name = {c: np.cumsum(row) for c, row in rows.items()}, name
        self.key = key or (lambda texts: window(texts, k))

    def begin(self, rng):
        return []

    def choose(self, rng, memory, observation, info):
        memory.append(observation.rstrip("\n"))
        row = self.rows.get(self.key(memory), np.arange(1, 5) / 4)
        memory.append(ACTIONS[min(int(np.searchsorted(row, rng.random() * row[-1], side="right")), 3)])
        return memory[-1]


def belief_key(of: Maze) -> Callable[[Sequence[str]], Context]:
    """A context function: the set of cells in which a PO player can be after a transcript. It forgets nothing that matters."""
    @functools.cache
    def after(texts: tuple[str, ...]) -> frozenset:
        cells = of.starts if len(texts) == 1 else {int(of.next_cell[i, ACTIONS.index(texts[-2])]) for i in after(texts[:-2])}
        return frozenset(i for i in cells if of.observed[i] == texts[-1])

    return lambda texts: after(tuple(texts))


class WindowMaze:
    """The maze as a chain over (cell, the k turns before): exact returns of any player that sees no more.

    `contexts`: the transcripts that a player can see, as lists of texts; feasible for k up to 3.
    """

    def __init__(self, observable: str, k: int, layout: str = "double_t"):
        self.maze = of = maze(layout)
        texts, start = of.observations(observable), [(i, ()) for i in of.starts]
        self.index: dict[tuple, int] = {}
        queue, follow = list(start), []
        for state in start:
            self.index[state] = len(self.index)
        for cell, past in queue:
            row = []
            for a, action in enumerate(ACTIONS):
                new = int(of.next_cell[cell, a])
                state = (new, (*past, texts[cell], action)[-2 * k:] if k else ())
                if new == of.goal_index:
                    row.append(-1)
                    continue
                if state not in self.index:
                    self.index[state] = len(self.index)
                    queue.append(state)
                row.append(self.index[state])
            follow.append(row)
        self.follow = np.array(follow)
        seen = [(*past, texts[cell]) for cell, past in queue]
        number = {context: n for n, context in enumerate(dict.fromkeys(seen))}
        self.contexts, self._context = list(number), np.array([number[c] for c in seen])  # a state's context

    def mean_return(self, table: np.ndarray, max_actions: int = MAX_ACTIONS) -> float:
        """Expected return over the starts. table: (contexts, 4) probabilities; what a row lacks to 1 is invalid."""
        rows = np.asarray(table)[self._context]
        invalid, goal = 1 - rows.sum(1), self.follow < 0
        value = np.zeros(len(rows))
        for _ in range(max_actions):  # where an action leads to the goal, `follow` is -1 and what is read there is not used
            value = ((rows * np.where(goal, 0.0, -1.0 + value[self.follow])).sum(1) + invalid * (INVALID + value))
        return float(value[:len(self.maze.starts)].mean())  # the first states are the starts

    def turns(self) -> list[list[Turn]]:
        """The contexts as an agent reads them."""
        return [[Turn(text if n % 2 else text + "\n", bool(n % 2)) for n, text in enumerate(context)]
                for context in self.contexts]


@functools.lru_cache(maxsize=8)
def window_maze(observable: str, k: int, layout: str = "double_t") -> WindowMaze:
    """The WindowMaze of these arguments, made once."""
    return WindowMaze(observable, k, layout)


def exact_return(agent) -> float:
    """Expected return over the starts of the double T, by dynamic programming instead of play, of an agent that sees the
    last observation and at most 3 turns before it. Its temperature is 1, and it decodes freely."""
    k = {"turn": 0}.get(agent.context, agent.context)
    if not isinstance(k, int) or k > 3:
        raise ValueError(f"exact returns are for contexts of up to 3 turns, not {agent.context!r}")
    chain = window_maze("full" if agent.task == "maze-fo" else "partial", k)
    contexts = chain.turns()
    return chain.mean_return(np.array(agent.action_probabilities(contexts, [ACTIONS] * len(contexts))))
