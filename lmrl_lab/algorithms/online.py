"""What the online algorithms share: the settings of their rounds, the games that they play to learn from, and what those on TRL's
trainers tell TRL alike."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from lmrl_lab.agent import Agent
from lmrl_lab.episode import Episode
from lmrl_lab.rollout import rollout
from lmrl_lab.training import processes, whole


@dataclass
class OnlineConfig:
    """What every online algorithm can be told; an algorithm's own config adds to it. A round: play, then learn from it."""

    updates: int = 60  # rounds
    episodes_per_update: int = 64  # games a round, over all processes
    learning_rate: float = 3e-4
    adam_beta1: float = 0.9
    adam_beta2: float = 0.95
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    bc_steps: int | None = None  # of the cloning before, where no agent to start from is given; None: as for the clone itself
    checkpoint_every: int = 10  # rounds between two checkpoints, where there is a folder

    reads_data = False  # whether the offline data are read, once there is an agent to start from

    def __post_init__(self):
        for field in fields(self):
            name, value, kind = field.name, getattr(self, field.name), field.type.removesuffix(" | None")
            if value is None and kind != field.type:
                continue
            if kind == "int":
                setattr(self, name, whole(name, value))
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if kind == "float" and not (number and 0 <= value < math.inf):
                raise ValueError(f"{name} is a number, at least 0, not {value!r}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is above 0, not {self.learning_rate!r}")

    def cloning(self) -> dict:
        """Settings of the cloning before."""
        return {} if self.bc_steps is None else {"steps": self.bc_steps}


@dataclass
class TRLOnlineConfig(OnlineConfig):
    """What those on TRL's trainers can be told besides."""

    lr_scheduler_type: str = "constant"  # transformers' names; "linear" ends at 0
    micro_batch_size: int | None = None  # games a forward; None: a whole mini-batch. The gradients are the same

    def arguments(self, kind: type, init: Agent, seed: int, folder: str | os.PathLike, saving: bool) -> dict:
        """Fields of `kind`, a config of TRL's: those of the same name here, and those that keep it quiet and at home. saving:
        whether checkpoints are written to `folder`."""
        names = {field.name for field in fields(kind)}
        return {**{f.name: getattr(self, f.name) for f in fields(self) if f.name in names}, "output_dir": str(folder),
                "report_to": "none", "disable_tqdm": True, "temperature": 1.0, "seed": seed, "bf16": False,
                "gradient_checkpointing": False, "save_strategy": "steps" if saving else "no", "save_total_limit": 2,
                "use_cpu": init.policy_model.device.type == processes().device.type == "cpu"}


def game_seeds(seed: int, update: int, number: int) -> list[int]:
    """Seeds of the games of a round; 2**32 and above, so that no evaluation (see `evaluate`) plays one of them."""
    return [2**32 + int(word) for word in np.random.SeedSequence([seed, update]).generate_state(number)]


def collect(agent: Agent, seeds: Sequence[int]) -> list[Episode]:
    """The agent's own games, sampled as it stands, a game a seed; cut where they outgrow its model."""
    return rollout(agent, agent.task, seeds, outgrown="cut")


def history_frame(log_history: Sequence[dict], columns: Sequence[str]) -> pd.DataFrame:
    """The history so far: these columns, as far as they are there, and then what a probe has added; a checkpoint of
    transformers' loses their order."""
    frame = pd.DataFrame(log_history)
    return frame[[name for name in columns if name in frame] + sorted(set(frame) - {*columns, "epoch"})]
