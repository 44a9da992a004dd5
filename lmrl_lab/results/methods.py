"""Several methods on one task, at default settings: what each reaches sampled, sharpened and greedily. Beside it: entropy."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np
import pandas as pd

from lmrl_lab.agent import Agent
from lmrl_lab.data import generate
from lmrl_lab.episode import Episode
from lmrl_lab.evaluation import evaluate
from lmrl_lab.results import once, trained


def compared(name: str, task: str, methods: Mapping[str, tuple], seeds: Sequence[int], games: tuple[int, int],
             temperatures: Sequence[float], code: Sequence[ModuleType], cache: bool = True, **keywords) -> pd.DataFrame:
    """A row a method, seed and temperature. What is done already is not done again, see `once`.

    methods: as in `trained`. games: of an evaluation that samples, and of a greedy one (whose games may differ by what is
    hidden only). cache: the data is kept in a file.
    keywords: of the game. `entropy`: nats an action, the mean of -log(probability of what was drawn). CPU
    seconds include those of the agent that a method starts from.
    """
    rows = []
    for seed in seeds:
        agent = functools.partial(trained, methods=methods, task=task, seed=seed, agents={}, episodes=functools.partial(
            generate, task, seed=seed, cache=cache, **keywords))
        for method in methods:
            rows += once(f"{name}-{method}-{seed}", lambda method=method, seed=seed, agent=agent: [
                {**keywords, "method": method, "seed": seed, **row, "cpu_seconds": agent(method).spent}
                for row in played(agent(method), task, seed, games, temperatures, **keywords)], *code)
            print(pd.DataFrame(rows[-len(temperatures):]).round(3).to_string(index=False), flush=True)
    return pd.DataFrame(rows)


def played(agent: Agent, task: str, seed: int, games: tuple[int, int], temperatures: Sequence[float], **keywords) -> list[dict]:
    """A row a temperature."""
    rows = []
    for temperature in temperatures:
        score, episodes = evaluate(agent.with_decoding(temperature=temperature), task, games[not temperature], seed,
                                   return_episodes=True, **keywords)
        rows.append({"temperature": temperature, "entropy": entropy(episodes) if temperature else 0.0,
                     "mean_return": score.mean_return, "interval_low": score.interval[0], "interval_high": score.interval[1],
                     "success_rate": score.success_rate, "invalid_rate": score.invalid_rate, "mean_length": score.mean_length})
    return rows


def entropy(games: list[Episode]) -> float:
    """Nats an action: the mean of -log(probability) over the actions that were drawn."""
    return -float(np.mean([sum(turn.logprobs) for game in games for turn in game.turns if turn.logprobs]))
