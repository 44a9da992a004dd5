"""Implicit Q-learning for language (ILQL): values by bootstrapping within the data, so that pieces of games are stitched."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch

from lmrl_lab.agent import Agent, Decoding
from lmrl_lab.algorithms.returns import ValueConfig, cql_term, mean, needed_values, taken, value_network
from lmrl_lab.episode import Episode
from lmrl_lab.models import ValueNetwork, read, seeded
from lmrl_lab.tokens import TokenBatch, make_rows
from lmrl_lab.training import check_length, fit, with_batch_size


@dataclass
class ILQLConfig(ValueConfig):
    """Settings of ILQL."""

    steps: int = 600  # gradient steps
    learning_rate: float = 1e-3  # peak: at twice that, V may overshoot, and what it lifts does not come down again
    tau: float = 0.7  # expectile: .5 is the mean over the data's actions, towards 1 their maximum
    polyak: float = 0.05  # how far the target network follows the online one in a step

    def __post_init__(self):
        super().__post_init__()
        for name in ("tau", "polyak"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is above 0 and at most 1, not {getattr(self, name)!r}")


def expectile_loss(difference: torch.Tensor, tau: float) -> torch.Tensor:
    """1/2 |tau - 1[u < 0]| u^2 for u = target - prediction: too low a prediction costs tau, too high a one 1 - tau.

    Source: Kostrikov and others, "Implicit Q-Learning", arXiv 2110.06169, equation 4.
    """
    return 0.5 * torch.where(difference < 0, 1 - tau, tau) * difference**2


def ilql_loss(q: torch.Tensor, v: torch.Tensor, v_next: torch.Tensor, q_target: torch.Tensor, tokens: torch.Tensor,
              rewards: torch.Tensor, terminal: torch.Tensor, weight: torch.Tensor, normalizer: float, *, gamma: float,
              tau: float, cql: float) -> tuple[torch.Tensor, dict]:
    """L = L_Q + L_V + cql * L_CQL over the N action tokens of a batch, each one RL step from s to s'.

    y = r + gamma (1 - terminal) V(s'), no gradient;  L_Q = 1/2 (Q1(s, x) - y)^2 + 1/2 (Q2(s, x) - y)^2;
    L_V = expectile loss of min(target Q1, target Q2)(s, x) - V(s);  L_CQL = CE(Q1(s, .), x) + CE(Q2(s, .), x).

    q: (2, N, V); v, v_next: (N,) of the same network; q_target: (N,), no gradient; rewards: (N,) in the network's units;
    terminal: (N,) bool, the game ended by its own rules (a cut game goes on); weight: (N,). Also the parts as numbers.
    Source: Snell and others, "ILQL", arXiv 2206.11871, section 4.
    """
    y = rewards + gamma * torch.where(terminal, 0.0, v_next.detach())
    q_loss = mean(0.5 * ((taken(q, tokens) - y) ** 2).sum(0), weight, normalizer)
    v_loss = mean(expectile_loss(q_target - v, tau), weight, normalizer)
    conservative = cql_term(q, tokens, weight, normalizer)
    return q_loss + v_loss + cql * conservative, {
        "q_loss": q_loss, "v_loss": v_loss, "cql": conservative, "q": mean(q_target, weight, normalizer),
        "v": mean(v, weight, normalizer)}


class Networks(torch.nn.Module):
    """The value network that learns, and its target: a slow copy, which is also the one that plays."""

    def __init__(self, values: ValueNetwork):
        super().__init__()
        self.values, self.target = values, copy.deepcopy(values).requires_grad_(False)

    @torch.no_grad()
    def follow(self, rate: float) -> None:
        """Polyak averaging: target <- (1 - rate) target + rate values."""
        torch._foreach_lerp_(list(self.target.parameters()), list(self.values.parameters()), rate)


def batch_loss(networks: Networks, batch: TokenBatch, config: ILQLConfig) -> tuple[torch.Tensor, dict]:
    """`ilql_loss` on a batch of packed rows.

    One forward of the value trunk serves Q(s), V(s) and V(s'); the target's runs without gradient. Heads run at each
    distinct state once, and of the target's Q just the tokens taken are made.
    """
    steps, values, target, scale = batch.steps(following=True), networks.values, networks.target, config.reward_scale
    hidden = read(values, steps.inputs, steps.places)  # (M, width): the distinct states
    q, tokens = needed_values(values.q, hidden, steps, config.cql)  # (2, N, V), (N,)
    v = values.v(hidden)[:, 0].float()  # (M,)
    with torch.no_grad():
        lagged = read(target, steps.inputs, steps.places)
        q_target = torch.stack([head.taken(lagged, steps.state, steps.tokens) for head in target.q]).amin(0).float()
    loss, logged = ilql_loss(q, v[steps.state], v[steps.next_state], q_target, tokens, steps.rewards * scale,
                             steps.terminal, steps.weight, batch.normalizer, gamma=config.gamma, tau=config.tau, cql=config.cql)
    return loss, {**logged, "q": logged["q"] / scale, "v": logged["v"] / scale}


def train_ilql(task: str, episodes: list[Episode], start: Agent, config: ILQLConfig, seed: int = 0, **run) -> Agent:
    """Train Q and V on the data's steps; `start` is the cloned agent, whose policy stays as it is.

    `run` goes to `training.fit`: folder, resume, callback, probe.
    """
    rows = make_rows(episodes, start.codec, start.context, config.gamma)
    check_length(rows, start.policy_model)
    with seeded(seed):
        networks = Networks(value_network(start, rows, config, q_heads=2, v_head=True))
    agent = Agent(start.policy_model, start.codec, task, start.context, Decoding(beta=config.beta), "ILQL", networks.target)
    agent.history = fit(networks, lambda networks, batch: batch_loss(networks, batch, config), rows,
                        with_batch_size(config, start.context, rows), seed=seed, agent=agent,
                        after_step=lambda: networks.follow(config.polyak), **run)
    return agent
