"""Online filtered behaviour cloning: play, keep the best games, imitate them, repeat. No values, no policy gradient."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from accelerate.utils import gather_object

from lmrl_lab.agent import Agent, Decoding
from lmrl_lab.algorithms.bc import batch_loss
from lmrl_lab.algorithms.online import OnlineConfig, collect, game_seeds
from lmrl_lab.data import keep_best
from lmrl_lab.env import TASKS
from lmrl_lab.episode import Episode
from lmrl_lab.tokens import make_rows
from lmrl_lab.training import (
    TrainConfig,
    check_length,
    fit,
    load_checkpoint,
    no_interrupt,
    probed,
    processes,
    save_checkpoint,
    stopped,
)


@dataclass
class OnlineFilteredBCConfig(OnlineConfig):
    """Settings of online filtered BC."""

    learning_rate: float = 1e-3
    keep: str | float | None = None  # of a round's games: "success" or a fraction by return; None: what the task's card says
    passes: int = 1  # gradient steps a round: as many batches as the kept games fill, times this
    batch_size: int | None = None  # rows a gradient step; None: 8 that are whole games, or 64 single steps


def train_online_filtered_bc(task: str, episodes: list[Episode], init: Agent, config: OnlineFilteredBCConfig, seed: int = 0,
                             folder=None, resume: bool = False, callback: Callable | None = None, probe: Callable | None = None,
                             probe_every: int = 100, spent: float = 0.0) -> Agent:
    """From a cloned agent, round after round: play, keep the best, clone them. `episodes`, the offline data, are not read.

    The history has a row a round: step, loss and accuracy (of the round's last gradient step; NaN where no game was kept),
    mean_return and success_rate of the games played, kept_return (of those that were kept) and kept (their share), episodes,
    tokens (action tokens imitated so far), seconds (CPU seconds so far).
    """
    model, group = copy.deepcopy(init.policy_model).requires_grad_(True), processes()
    agent = Agent(model, init.codec, task, init.context, Decoding(), "online filtered BC")
    keep = TASKS[task].keep if config.keep is None else config.keep
    path, history, first = folder and Path(folder) / "checkpoint.pt", [], 0
    identity = {"config": asdict(config), "seed": seed, "init": init.fingerprint()}
    if resume and path is not None and path.exists():
        state = load_checkpoint(path, identity)
        model.load_state_dict(state["networks"])
        history, first = state["history"], state["step"]
        spent = history[-1]["seconds"]
    tokens = history[-1]["tokens"] if history else 0.0
    with no_interrupt() as interrupted:
        for update in range(first + 1, config.updates + 1):
            begin = time.process_time()
            seeds = game_seeds(seed, update, config.episodes_per_update)
            games = gather_object(collect(agent, seeds[group.process_index::group.num_processes]))
            kept = kept_games(games, keep)
            learned = _imitate(model, kept, agent, config, update, seed) if kept else {}
            tokens += learned.get("tokens", 0.0)
            spent += time.process_time() - begin
            row = {"step": update, "loss": learned.get("loss", math.nan), "accuracy": learned.get("accuracy", math.nan),
                   **summary(games), "kept_return": summary(kept)["mean_return"] if kept else math.nan,
                   "kept": len(kept) / len(games), "episodes": update * config.episodes_per_update, "tokens": tokens,
                   "seconds": spent}
            if probe is not None and (update % probe_every == 0 or update == config.updates):
                row.update(probed(probe, agent))
            history.append(row)
            if callback is not None and group.is_main_process:
                callback(row, history)
            stop = interrupted.is_set()
            if path is not None and group.is_main_process and (
                    stop or update == config.updates or update % config.checkpoint_every == 0):
                save_checkpoint(path.parent, {"identity": identity, "step": update, "networks": model.state_dict(),
                                              "history": history})
            if stop:
                raise KeyboardInterrupt(stopped("round", update, config.updates, folder))
    agent.history = pd.DataFrame(history)
    return agent


def kept_games(games: list[Episode], keep: str | float) -> list[Episode]:
    """`data.keep_best`, or nothing where no game of the round succeeded."""
    return keep_best(games, keep) if keep != "success" or any(game.success for game in games) else []


def summary(games: list[Episode]) -> dict[str, float]:
    """Mean return, in task units, and share of successes of some games."""
    return {"mean_return": sum(game.total_return for game in games) / len(games),
            "success_rate": sum(game.success for game in games) / len(games)}


def _imitate(model: torch.nn.Module, kept: list[Episode], agent: Agent, config: OnlineFilteredBCConfig, update: int,
             seed: int) -> dict[str, float]:
    """Behaviour cloning on these games; the last line of its history, or nothing, where there are fewer rows than processes.

    Where their distinct steps fit into one batch, every step takes all of them, with their counts (see `training.fit`).
    """
    rows = make_rows(kept, agent.codec, agent.context, next_state=False)
    check_length(rows, model)
    if len(rows) < processes().num_processes:
        return {}
    size = config.batch_size or (8 if agent.context == "episode" else 64)
    steps = config.passes * math.ceil(sum(row.weight for row in rows) / size)  # equal steps are one row with their count
    told = TrainConfig(steps=steps, batch_size=size, learning_rate=config.learning_rate, warmup=0,
                       betas=(config.adam_beta1, config.adam_beta2), weight_decay=config.weight_decay, clip=config.max_grad_norm,
                       log_every=steps)
    return fit(model, batch_loss, rows, told, seed=game_seeds(seed, update, 1)[0]).iloc[-1].to_dict()
