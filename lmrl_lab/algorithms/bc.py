"""Behaviour cloning: imitate all of the data (BC) or its best part (filtered BC)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

from lmrl_lab.agent import Agent, Decoding
from lmrl_lab.data import keep_best
from lmrl_lab.env import TASKS
from lmrl_lab.episode import Episode
from lmrl_lab.models import head, read
from lmrl_lab.tokens import TokenBatch, make_rows
from lmrl_lab.training import TrainConfig, check_length, fit, with_batch_size


@dataclass
class BCConfig(TrainConfig):
    """Settings of BC."""


@dataclass
class FilteredBCConfig(TrainConfig):
    """Settings of filtered BC: less data, fewer steps."""

    steps: int = 100  # gradient steps
    keep: str | float | None = None  # "success" or a fraction by return; None: what the task's card says


def bc_loss(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, normalizer: float) -> torch.Tensor:
    """Sum over action tokens of weight * CE(logits, token), divided by `normalizer`.

    logits: (N, V) at the states of the N action tokens; targets: (N,) the tokens taken; weights: (N,).
    """
    return (weights * cross_entropy(logits, targets, reduction="none")).sum() / normalizer


def batch_loss(model, batch: TokenBatch) -> tuple[torch.Tensor, dict]:
    """BC on a batch of packed rows, and the share of action tokens that the most likely token gets right."""
    steps = batch.steps()
    logits = head(model)(read(model, steps.inputs, steps.places)).float().index_select(0, steps.state)
    loss = bc_loss(logits, steps.tokens, steps.weight, batch.normalizer)
    with torch.no_grad():
        accuracy = (steps.weight * (logits.argmax(-1) == steps.tokens)).sum() / batch.normalizer
    return loss, {"accuracy": float(accuracy)}


def train_bc(task: str, episodes: list[Episode], model, codec, context: str | int, config: TrainConfig, **run) -> Agent:
    """Clone all the data. `run` goes to `training.fit`: seed, folder, resume, callback, probe."""
    agent = Agent(model, codec, task, context, Decoding(), "BC")
    rows = make_rows(episodes, codec, context, next_state=False)
    check_length(rows, model)
    agent.history = fit(model, batch_loss, rows, with_batch_size(config, context, rows), agent=agent, **run)
    return agent


def train_filtered_bc(task: str, episodes: list[Episode], model, codec, context: str | int,
                      config: FilteredBCConfig, **run) -> Agent:
    """Clone the kept part of the data only: see `data.keep_best`."""
    kept = keep_best(episodes, TASKS[task].keep if config.keep is None else config.keep)
    agent = train_bc(task, kept, model, codec, context, config, **run)
    agent.name = "filtered BC"
    return agent
