"""Wordle: what each method reaches, greedily and at matched entropy; and what bounds the values."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from lmrl_lab.agent import Agent, Decoding
from lmrl_lab.algorithms import mc, train
from lmrl_lab.algorithms.returns import value_network
from lmrl_lab.data import generate
from lmrl_lab.env import TASKS
from lmrl_lab.episode import Episode
from lmrl_lab.evaluation import evaluate
from lmrl_lab.models import few_threads, seeded, tiny_model
from lmrl_lab.results import methods, once
from lmrl_lab.results.methods import compared
from lmrl_lab.tasks import wordle, wordle_values
from lmrl_lab.tasks.wordle_values import GuessValues
from lmrl_lab.tokens import make_rows
from lmrl_lab.training import fit

CODE = wordle, wordle_values, methods, sys.modules[__name__]
TEMPERATURES = (1.0, 0.7, 0.5, 0.3, 0.0)
# name: algorithm, settings, and what it starts from and tilts: another of these, or nothing
METHODS = {
    "BC": ("bc", {}, None),
    "filtered BC 30%": ("filtered_bc", {"keep": 0.3}, None),
    "filtered BC 10%": ("filtered_bc", {"keep": 0.1, "steps": 500}, None),  # a third of the data
    "MC": ("mc", {}, "BC"),
    "ILQL": ("ilql", {}, "BC"),
    "MC on filtered BC": ("mc", {}, "filtered BC 30%"),
    "ILQL on filtered BC": ("ilql", {}, "filtered BC 30%"),
}


def at_size(vocabulary: int, seeds: list[int], names: Sequence[str] = tuple(METHODS)) -> pd.DataFrame:
    """These methods at default settings. Greedy games differ by their word only, so each word is played once; else 1,200."""
    return compared(f"wordle-{vocabulary}", "wordle", {name: METHODS[name] for name in names}, seeds, (1_200, vocabulary),
                    TEMPERATURES, CODE, cache=False, vocabulary=vocabulary)


def bounds(seeds: list[int], vocabulary: int = 200, steps: int = 600) -> pd.DataFrame:
    """Regress Q on targets without noise (`GuessValues`) and on returns, with and without a head that knows letters, from
    nothing and from a cloned trunk, from all the games and from a tenth: the error of Q over all words, and what its best
    word loses."""
    rows = []
    for seed in seeds:
        episodes = generate("wordle", seed=seed, vocabulary=vocabulary, cache=False)
        clones = functools.cache(functools.partial(beginner, episodes=episodes, seed=seed))
        for target, head, start, share in (("exact", "parts", "BC", 1), ("MC", "parts", "BC", 1), ("MC", "parts", "BC", 10),
                                           ("exact", "parts", "nothing", 1), ("exact", "plain", "nothing", 1),
                                           ("MC", "plain", "nothing", 1)):
            part = episodes[:len(episodes) // share]
            told = {"target": target, "head": head, "start": start, "games": len(part), "seed": seed}
            name = "-".join(["wordle-bounds", *map(str, (vocabulary, steps, *told.values()))])
            rows += once(name, lambda told=told, part=part, clones=clones: [told | regressed(
                clones(told["head"], told["start"]), told["target"], vocabulary, steps, part, told["seed"])], *CODE)
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def beginner(head: str, start: str, episodes: list[Episode], seed: int) -> Agent:
    if start == "BC":
        return train("bc", "wordle", episodes, seed=seed)
    card = TASKS["wordle"] if head == "parts" else replace(TASKS["wordle"], parts=None)
    network, codec = tiny_model(card, "episode", seed, **card.network)
    return Agent(network, codec, "wordle", "episode")


def regressed(start: Agent, target: str, vocabulary: int, steps: int, episodes: list[Episode], seed: int) -> dict:
    """One row of `bounds`: Q as MC returns trains it, without the CQL term; the policy plays by Q alone, greedily."""
    table = GuessValues(vocabulary)
    config = replace(mc.MCConfig(**TASKS["wordle"].settings["mc"]), steps=steps, cql=0.0)
    rows = make_rows(episodes, start.codec, "episode", config.gamma, next_state=False)
    if target == "exact":
        for row, episode in zip(rows, episodes, strict=True):
            row.returns[row.action_mask] = table.along(*guesses_of(episode, table))[1]
    with seeded(seed):
        values = value_network(start, rows, config, q_heads=1, v_head=False)
    fit(values, lambda network, batch: mc.batch_loss(network, batch, config), rows, config, seed=seed)
    agent = Agent(start.policy_model, start.codec, "wordle", "episode", Decoding(0.0, legal_only=True, beta=1e4), "Q", values)
    held = generate("wordle", 400, seed=seed + 1_000, vocabulary=vocabulary, cache=False)
    return {**errors(agent, held, table),
            "greedy_return": evaluate(agent, "wordle", vocabulary, vocabulary=vocabulary).mean_return}


def guesses_of(episode: Episode, table: GuessValues) -> tuple[int, list[int]]:
    """(hidden word, guesses), as numbers."""
    index = table.words.index
    return index[episode.info["options"]["word"]], [index[action] for action in episode.actions]


@torch.inference_mode()
def errors(agent: Agent, episodes: list[Episode], table: GuessValues) -> dict[str, float]:
    """Over the states of these games, Q of all words against the table, both without their mean over words: mean squared
    error; variance of the table's; and the regret: what the table says that the network's best word loses."""
    spelled, mse, variance, regret = [agent.codec.action_ids(a) for a in table.words.actions], [], [], []
    contexts, truth = [], []
    for episode in episodes:
        sets, _ = table.along(*guesses_of(episode, table))
        contexts += [episode.turns[:2 * k + 1] for k in range(len(sets))]
        truth += [table.of_guesses(possible, k) for k, possible in enumerate(sets)]
    with few_threads(agent.policy_model):
        for begin in range(0, len(contexts), 256):
            part = contexts[begin:begin + 256]
            for (_, q), exact in zip(agent.score_actions(part, [spelled] * len(part)), truth[begin:begin + 256], strict=True):
                mse.append(float(((q - q.mean() - exact + exact.mean()) ** 2).mean()))
                variance.append(float(exact.var()))
                regret.append(float(exact.max() - exact[q.argmax()]))
    return {"mse": float(np.mean(mse)), "variance": float(np.mean(variance)), "regret": float(np.mean(regret))}


EXPERIMENTS = {
    "wordle_60": lambda seeds: {"wordle_60": at_size(60, seeds, list(METHODS)[:5])},
    **{f"wordle_{n}": lambda seeds, n=n: {f"wordle_{n}": at_size(n, seeds)} for n in (200, 400)},
    "wordle_bounds": lambda seeds: {"wordle_bounds": bounds(seeds)},
}
