"""Monte-Carlo returns: regress Q on the return that followed in the data, then tilt the cloned policy by it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lmrl_lab.agent import Agent, Decoding
from lmrl_lab.algorithms.returns import ValueConfig, cql_term, mean, needed_values, taken, value_network
from lmrl_lab.episode import Episode
from lmrl_lab.models import ValueNetwork, read, seeded
from lmrl_lab.tokens import TokenBatch, make_rows
from lmrl_lab.training import check_length, fit, with_batch_size


@dataclass
class MCConfig(ValueConfig):
    """Settings of MC returns."""

    beta: float = 1.0


def mc_loss(q: torch.Tensor, tokens: torch.Tensor, returns: torch.Tensor, weight: torch.Tensor, normalizer: float, *,
            cql: float) -> tuple[torch.Tensor, dict]:
    """1/2 (Q(s_t, x_t) - R_t)^2, averaged over action tokens, + cql * CE(Q(s_t, .), x_t).

    q: (N, V) at the states of the N action tokens; tokens: (N,) taken there; returns: (N,) discounted return from x_t on,
    x_t's own reward included, in the network's units; weight: (N,). Also the parts, and the mean Q, as numbers.
    Source: LMRL Gym (arXiv 2311.18232), section 5, "MC Returns".
    """
    q_taken = taken(q, tokens)
    q_loss = mean(0.5 * (q_taken - returns) ** 2, weight, normalizer)
    conservative = cql_term(q, tokens, weight, normalizer)
    return q_loss + cql * conservative, {"q_loss": q_loss, "cql": conservative, "q": mean(q_taken, weight, normalizer)}


def batch_loss(values: ValueNetwork, batch: TokenBatch, config: MCConfig) -> tuple[torch.Tensor, dict]:
    """`mc_loss` on a batch of packed rows: one forward of the value trunk, the head at each distinct state once."""
    steps = batch.steps()
    q, tokens = needed_values(values.q, read(values, steps.inputs, steps.places), steps, config.cql)
    loss, logged = mc_loss(q[0], tokens, steps.returns * config.reward_scale, steps.weight, batch.normalizer, cql=config.cql)
    return loss, {**logged, "q": logged["q"] / config.reward_scale}


def train_mc(task: str, episodes: list[Episode], start: Agent, config: MCConfig, seed: int = 0, **run) -> Agent:
    """Train Q on the data's returns; `start` is the cloned agent, whose policy stays as it is.

    `run` goes to `training.fit`: folder, resume, callback, probe.
    """
    rows = make_rows(episodes, start.codec, start.context, config.gamma, next_state=False)
    check_length(rows, start.policy_model)
    with seeded(seed):
        values = value_network(start, rows, config, q_heads=1, v_head=False)
    agent = Agent(start.policy_model, start.codec, task, start.context, Decoding(beta=config.beta), "MC", values)
    agent.history = fit(values, lambda networks, batch: batch_loss(networks, batch, config), rows,
                        with_batch_size(config, start.context, rows), seed=seed, agent=agent, **run)
    return agent
