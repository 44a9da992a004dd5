"""How good is a policy: play, count, and say how sure we are.

Scores are normalised by the card's references: 0 the worst return with valid actions, 50 the behaviour data, 100 the
best known policy.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from lmrl_lab.env import TASKS, unknown
from lmrl_lab.episode import Episode
from lmrl_lab.rollout import rollout


@dataclass(frozen=True)
class Score:
    """What some games say about a policy.

    mean_return, in task units; interval: 95%, by bootstrap over the games; normalized: 0 / 50 / 100 as on the card;
    success_rate: share of games won; invalid_rate: share of ACTIONS that were invalid; mean_length: actions a game;
    outgrown: games that an agent could not read to their end and said nothing from there on, see `rollout`.
    """

    task: str
    policy: str
    episodes: int
    mean_return: float
    interval: tuple[float, float]
    normalized: float
    success_rate: float
    invalid_rate: float
    mean_length: float
    seed: int | None = None
    outgrown: int = 0

    def __str__(self) -> str:
        low, high = self.interval
        return (f"{self.policy} on {self.task}: return {self.mean_return:.2f} (95% {low:.2f} to {high:.2f}), score "
                f"{self.normalized:.1f}, success {self.success_rate:.0%}, invalid {self.invalid_rate:.1%}, "
                f"{self.episodes} games" + f", {self.outgrown} of them longer than the agent can read" * (self.outgrown > 0))

    def _repr_html_(self) -> str:
        from lmrl_lab.plots import score_table
        return score_table([self])._repr_html_()

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)


def bootstrap_interval(values: Sequence[float], level: float = 0.95, draws: int = 2_000, seed: int = 0,
                       groups: Sequence | None = None) -> tuple[float, float]:
    """Percentile interval of the mean of `values`; with `groups` (one label a value) resampled within each group."""
    return _middle(_resampled_means(values, groups, draws, np.random.default_rng(seed)), level)


def interval_over_seeds(returns: Sequence[Sequence[float]], level: float = 0.95, draws: int = 2_000, seed: int = 0,
                        groups: Sequence[Sequence | None] | None = None) -> tuple[float, float]:
    """Percentile interval of the mean of the seeds' means, by bootstrap over seeds and games: seeds are drawn with replacement,
    then games within each drawn seed.

    returns: a list of returns for each seed, in task units. groups: for each seed None or a label a game, as in
    `bootstrap_interval`, which this is where there is one seed. Raises ValueError where there is no seed or one without games.

    With few seeds it promises too much. Where seeds differ by more than their games explain, the interval of 3 seeds goes from
    the lowest seed's mean to the highest one's, since nothing tells it of a seed outside them: it covers the truth 3 times in
    4 (all three lie on one side of it 2 times in 8), not 19 times in 20. Where seeds differ by their games alone it is some 30%
    wider than it need be. So show the lowest and the highest seed beside it.
    """
    if not len(returns):
        raise ValueError("no seeds: an interval of nothing")
    chosen = np.random.default_rng([seed, 1]).integers(len(returns), size=(draws, len(returns)))
    rng, sums = np.random.default_rng(seed), np.zeros(draws)
    for i, values in enumerate(returns):
        places = np.nonzero(chosen == i)[0]  # a draw may hold a seed more than once: other games of it each time
        np.add.at(sums, places, _resampled_means(values, groups and groups[i], len(places), rng))
    return _middle(sums / len(returns), level)


def _resampled_means(values: Sequence[float], groups: Sequence | None, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(draws,) means of as many values drawn with replacement, within each group."""
    values = np.asarray(values, float)
    if not len(values):
        raise ValueError("no values: an interval of nothing")
    labels = np.zeros(len(values), int) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    sums = np.zeros(draws)
    for label in range(labels.max() + 1):
        part = values[labels == label]
        sums += part[rng.integers(len(part), size=(draws, len(part)))].sum(1)
    return sums / len(values)


def _middle(means: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def start_groups(episodes: Sequence[Episode]) -> list[int] | None:
    """For each game the number of its fixed start; None where there are fewer than 16 games of each: resampling within a few
    games makes an interval too narrow."""
    starts = [json.dumps(episode.info.get("options"), sort_keys=True) for episode in episodes]
    number = {start: i for i, start in enumerate(sorted(set(starts)))}
    return [number[start] for start in starts] if len(starts) >= 16 * len(number) else None


def score(episodes: Sequence[Episode], seed: int | None = None, policy: str | None = None) -> Score:
    """Sum up played Episodes of one task.

    Games with the same fixed start are resampled together in the interval, where there are 16 or more of each. In a game
    that keywords have changed and that has no references of its own, `normalized` is NaN.
    """
    if not episodes:
        raise ValueError("no episodes to score")
    tasks = {episode.task for episode in episodes}
    if len(tasks) > 1:
        raise ValueError(f"episodes of several tasks cannot be scored together: {', '.join(sorted(tasks))}")
    [task] = tasks
    returns = [episode.total_return for episode in episodes]
    actions = sum(len(episode.actions) for episode in episodes)
    mean, found = float(np.mean(returns)), {id(r): r for r in (TASKS[task].references_with(episode.info.get("keywords", {}))
                                                               for episode in episodes)}
    references = found.popitem()[1] if len(found) == 1 else None  # games of several kinds have no common scale
    return Score(task, policy or episodes[0].policy, len(episodes), mean,
                 bootstrap_interval(returns, groups=start_groups(episodes)),
                 references.normalize(mean) if references else float("nan"),
                 float(np.mean([episode.success for episode in episodes])),
                 sum(episode.info.get("invalid", 0) for episode in episodes) / actions, actions / len(episodes), seed,
                 sum(episode.info.get("outgrown") == "silent" for episode in episodes))


def evaluate(policy, task: str, episodes: int | None = None, seed: int = 1, return_episodes: bool = False,
             save_to: str | os.PathLike | None = None, outgrown: str = "silent", **kwargs):
    """Play `episodes` games (the card's number if None) and return a Score (and the Episodes, if asked).

    policy: an Agent, any Policy, or the name of one of the task's scripted policies. Game i has seed
    1,000,000 * seed + i, and the card's evaluation options (the maze: every start cell in turn). `kwargs` go to `make`,
    `batch` to `rollout`. save_to: a .jsonl file that keeps finished games and from which the same call goes on, and `outgrown`:
    see `rollout`.
    """
    card = TASKS[task]
    if isinstance(policy, str):
        if policy not in card.policies:
            raise unknown(f"policy of {task}", policy, card.policies)
        policy = card.policies[policy](**accepted_by(card.policies[policy], kwargs))
    trained_for = getattr(policy, "task", task)
    if trained_for != task:
        raise ValueError(f"this agent was trained for '{trained_for}', not for '{task}'")
    n = card.evaluation_episodes if episodes is None else episodes
    if not isinstance(n, int) or n < 1:
        raise ValueError(f"episodes is a number of games, at least 1, not {episodes!r}")
    options = card.evaluation_options(n, **accepted_by(card.evaluation_options, kwargs)) if card.evaluation_options else None
    seeds = [1_000_000 * seed + i for i in range(n)]
    played = rollout(policy, task, seeds, options, save_to=save_to, outgrown=outgrown, **kwargs)
    result = score(played, seed)
    return (result, played) if return_episodes else result


def accepted_by(build: Callable, keywords: dict) -> dict:
    """The keywords that a builder takes: who answers in a game, say, is the env's affair alone."""
    names = inspect.signature(build).parameters
    every = any(parameter.kind is parameter.VAR_KEYWORD for parameter in names.values())
    return {name: value for name, value in keywords.items() if every or name in names}
