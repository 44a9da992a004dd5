"""What the online algorithms share: the settings of their rounds, and the games that they play to learn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from lmrl_lab.agent import Agent
from lmrl_lab.episode import Episode
from lmrl_lab.rollout import rollout


@dataclass
class OnlineConfig:
    """What every online algorithm can be told; an algorithm's own config adds to it. A round: play, then learn from it."""

    updates: int = 60  # rounds
    episodes_per_update: int = 64  # games a round, over all processes
    learning_rate: float = 3e-4
    lr_scheduler_type: str = "constant"  # transformers' names; "linear" ends at 0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.95
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    micro_batch_size: int | None = None  # games a forward; None: a whole mini-batch. The gradients are the same
    bc_steps: int | None = None  # of behaviour cloning before, where no agent to start from is given; None: as for BC itself
    checkpoint_every: int = 10  # rounds between two checkpoints, where there is a folder

    def __post_init__(self):
        for name in [field.name for field in fields(self) if field.type in ("int", "int | None")]:
            value = getattr(self, name)
            if value is None and name in ("micro_batch_size", "bc_steps", "batch_size"):
                continue
            if not isinstance(value, (int, float)) or isinstance(value, bool) or value != int(value) or value < 1:
                raise ValueError(f"{name} is a whole number, at least 1, not {value!r}")
            setattr(self, name, int(value))
        for name in [field.name for field in fields(self) if field.type in ("float", "float | None")]:
            value = getattr(self, name)
            if value is None and name == "cliprange_value":
                continue
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < math.inf:
                raise ValueError(f"{name} is a number, at least 0, not {value!r}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is above 0, not {self.learning_rate!r}")

    def cloning(self) -> dict:
        """Settings of the behaviour cloning before."""
        return {} if self.bc_steps is None else {"steps": self.bc_steps}


def game_seeds(seed: int, update: int, number: int) -> list[int]:
    """Seeds of the games of a round; 2**32 and above, so that no evaluation (see `evaluate`) plays one of them."""
    return [2**32 + int(word) for word in np.random.SeedSequence([seed, update]).generate_state(number)]


def collect(agent: Agent, seeds: Sequence[int]) -> list[Episode]:
    """The agent's own games, sampled as it stands, a game a seed."""
    return rollout(agent, agent.task, seeds)


def stopped(update: int, updates: int, folder) -> str:
    """What an interrupted run says."""
    kept = (f"go on with resume=True, the checkpoint is in {folder}" if folder
            else "without a folder (out=) nothing of it is kept")
    return f"training stopped after round {update} of {updates}; {kept}"
