"""What several algorithms compute in the same way: the pieces of value losses, and the networks they train.

Pure functions of tensors. N: action tokens of a batch, each one RL step; V: size of the vocabulary. Returns-to-go
themselves are made where rows are packed, in `tokens.discounted_returns`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lmrl_lab.agent import Agent
from lmrl_lab.algorithms.bc import bc_loss
from lmrl_lab.heads import PartsHead, PlainHead
from lmrl_lab.models import ValueNetwork, head, trunk
from lmrl_lab.tokens import Row, Steps
from lmrl_lab.training import TrainConfig, whole


@dataclass
class ValueConfig(TrainConfig):
    """Settings that MC returns and ILQL share."""

    gamma: float = 0.99  # discount per ACTION TOKEN
    beta: float = 4.0  # weight of Q in decoding: logits of the BC policy + beta * Q, Q in task units
    cql: float = 1e-4  # weight of the CQL term; it lives on the scale of squared values, so it goes with reward_scale
    reward_scale: float = 0.1  # the networks see rewards times this
    bc_steps: int | None = None  # of the cloning before, where no agent to start from is given; None: as for the clone itself

    def __post_init__(self):
        super().__post_init__()
        if self.bc_steps is not None:
            self.bc_steps = whole("bc_steps", self.bc_steps)
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma is from 0 to 1, not {self.gamma!r}")
        if self.cql < 0 or not self.reward_scale > 0:
            raise ValueError(f"cql is at least 0 and reward_scale above 0, not {self.cql!r} and {self.reward_scale!r}")

    def cloning(self) -> dict:
        """Settings of the cloning before, where no agent to start from is given."""
        steps = {} if self.bc_steps is None else {"steps": self.bc_steps}
        return {**steps, "log_every": self.log_every, "checkpoint_every": self.checkpoint_every}


def taken(q: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """(..., N, V) values and (N,) tokens -> (..., N): the values of the tokens that were taken."""
    return q.gather(-1, tokens.expand(q.shape[:-1])[..., None])[..., 0]


def mean(values: torch.Tensor, weight: torch.Tensor, normalizer: float) -> torch.Tensor:
    """Weighted mean over action tokens: sum of weight * values, divided by `normalizer`, their total weight."""
    return (weight * values).sum() / normalizer


def cql_term(q: torch.Tensor, tokens: torch.Tensor, weight: torch.Tensor, normalizer: float) -> torch.Tensor:
    """Conservative Q-learning for a finite set of actions: CE(Q(s, .), x), the log-softmax of Q read as a policy's.

    It lowers the values of tokens that the data never took, which nothing else touches. q: (N, V), or (heads, N, V), whose
    terms are added. Source: Kumar and others, arXiv 2006.04779, in the form of ILQL's equation 8, arXiv 2206.11871.
    """
    return sum(bc_loss(head, tokens, weight, normalizer) for head in (q if q.ndim == 3 else q[None]))


def needed_values(heads: Sequence[PlainHead | PartsHead], hidden: torch.Tensor, steps: Steps,
                  cql: float) -> tuple[torch.Tensor, torch.Tensor]:
    """(heads, N, V) values at the states of the steps, and which of the V were taken, (N,).

    Where there is no CQL term nobody asks for the values of other tokens: then V is 1, the token taken.
    """
    if cql:
        return torch.stack([head(hidden) for head in heads]).float().index_select(1, steps.state), steps.tokens
    q = torch.stack([head.taken(hidden, steps.state, steps.tokens) for head in heads]).float()
    return q[..., None], torch.zeros_like(steps.tokens)


def value_network(start: Agent, rows: Sequence[Row], config: ValueConfig, q_heads: int, v_head: bool) -> ValueNetwork:
    """A value network for the agent's policy: a copy of its trunk under fresh heads, all of whose values begin at the
    data's mean return-to-go.

    Beginning at 0 would be optimistic where rewards are negative, and an expectile near 1 hardly lets V sink.
    """
    values = ValueNetwork(copy.deepcopy(trunk(start.policy_model)), start.policy_model.config.vocab_size, q_heads, v_head,
                          config.reward_scale, config.gamma, getattr(head(start.policy_model), "parts", None))
    total = sum(row.weight * row.returns[row.action_mask].sum() for row in rows)
    values.start_at(float(total / sum(row.weight * row.action_mask.sum() for row in rows)))
    return values
