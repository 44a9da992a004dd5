"""The Policy contract, and the scripted policies that need no task: random and mixed.

A policy plays many games at once: row i is game i, and each row draws from a generator of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from lmrl_lab.env import TextEnv
from lmrl_lab.episode import Episode, Turn


@runtime_checkable
class Policy(Protocol):
    """Anything that plays."""

    def reset(self, seeds: list[int]) -> None:
        """Begin len(seeds) games; row i draws from a generator seeded with seeds[i]."""

    def act(self, observations: list[str | None], infos: list[dict]) -> list[str | None]:
        """One action a row from the NEW text of that row; None for rows whose observation is None (finished)."""


def row_generator(seed: int) -> np.random.Generator:
    """A row's own generator. The constant keeps it apart from the env's, which may be given the same seed."""
    return np.random.default_rng([int(seed), 0x9E3779B9])


class ScriptedPolicy:
    """A policy written as one function of a row: subclasses write `choose`, and `begin` if a row remembers."""

    name = "scripted"

    def reset(self, seeds: list[int]) -> None:
        self._rngs = [row_generator(seed) for seed in seeds]
        self._memories = [self.begin(rng) for rng in self._rngs]

    def act(self, observations: list[str | None], infos: list[dict]) -> list[str | None]:
        return [None if text is None else self.choose(rng, memory, text, info)
                for rng, memory, text, info in zip(self._rngs, self._memories, observations, infos, strict=True)]

    def begin(self, rng: np.random.Generator):
        """What a row remembers within a game: any object, handed to `choose`."""
        return None

    def choose(self, rng: np.random.Generator, memory, observation: str, info: dict) -> str:
        raise NotImplementedError


class RandomPolicy(ScriptedPolicy):
    """Uniform over the legal actions."""

    name = "random"

    def choose(self, rng, memory, observation, info):
        legal = info["legal_actions"]
        if legal is None:
            raise ValueError("the random policy needs a task with a closed action set")
        return legal[rng.integers(len(legal))]


def random_policy(**_) -> RandomPolicy:
    """The random policy of a task's card: the same for a game that keywords change."""
    return RandomPolicy()


def played(policy: Policy, env: TextEnv, seed: int | None = None, options: dict | None = None) -> Episode:
    """One game of a policy; `seed` is the game's and the policy's row's, `options` go to the reset."""
    text, info = env.reset(seed=seed, options=options)
    policy.reset([seed or 0])
    turns, terminated, truncated, invalid = [Turn(text, False)], False, False, 0
    while not (terminated or truncated):
        action = policy.act([text], [info])[0]
        text, reward, terminated, truncated, info = env.step(action)
        invalid += info["invalid"]
        turns += [Turn(action, True, reward), Turn(text, False)]
    name = getattr(policy, "name", type(policy).__name__)
    return Episode(env.task, turns, terminated, truncated and not terminated, seed, name,
                   {"success": info["success"], "invalid": invalid, **({"options": options} if options else {})})


class MixedPolicy(ScriptedPolicy):
    """In each game one of several policies plays, drawn with the given weights."""

    name = "mixed"

    def __init__(self, makers: Sequence[Callable[[], Policy]], weights: Sequence[float]):
        weights = np.asarray(weights, float)
        if len(makers) != len(weights) or (weights < 0).any() or weights.sum() <= 0:
            raise ValueError("one weight per policy, none negative and not all zero")
        self._makers, self._weights = list(makers), weights / weights.sum()

    def begin(self, rng):
        policy = self._makers[rng.choice(len(self._makers), p=self._weights)]()
        policy.reset([int(rng.integers(2**31))])
        return policy

    def choose(self, rng, memory, observation, info):
        return memory.act([observation], [info])[0]
