"""Group relative policy optimization over many turns, on TRL's trainer: play each start several times, prefer the better games.

There is no critic. A game is compared with the other games from the same start, A = (R - mean) / std of their returns, and
every action token of the game gets this one number. TRL has the loop, the advantages, the clipped loss and the checkpoints;
here is what it does not know: how a game of many turns is played, and what the agent saw when it chose each action.
Source: Shao and others, arXiv 2402.03300, section 4.1.
"""

from __future__ import annotations

import copy
import math
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import numpy as np
import pandas as pd
import torch
import transformers
import trl
from datasets import Dataset
from trl.models.utils import _ForwardRedirection

from lmrl_lab.agent import Agent, Decoding
from lmrl_lab.algorithms.checkpoints import newest_checkpoint, seal
from lmrl_lab.algorithms.online import TRLOnlineConfig, collect, game_seeds, history_frame
from lmrl_lab.episode import Episode
from lmrl_lab.files import write_atomically
from lmrl_lab.models import few_threads, head, read, seeded
from lmrl_lab.tokens import Row, Steps, collate, pack
from lmrl_lab.training import check_length, no_interrupt, probed, processes, stopped

# columns of the history, and what TRL or `play` calls them
LOGGED = {"loss": "loss", "entropy": "entropy", "clip_fraction": "clip_ratio/region_mean", "grad_norm": "grad_norm",
          "mean_return": "reward", "success_rate": "success_rate", "no_signal": "frac_reward_zero_std", "kl": "kl_from_clone",
          "learning_rate": "learning_rate"}
COLUMNS = ("step", *LOGGED, "episodes", "tokens", "rollout_seconds", "update_seconds", "seconds")


@dataclass
class GRPOConfig(TRLOnlineConfig):
    """Settings of GRPO; where TRL has the same thing it has the same name."""

    num_generations: int = 8  # games of a group, which all start alike
    num_iterations: int = 1  # passes over a round's games
    steps_per_generation: int = 4  # gradient steps a pass
    beta: float = 0.01  # weight of the KL divergence from the cloned policy
    epsilon: float = 0.2  # how far the probability ratio may move before it is clipped
    scale_rewards: str = "group"  # advantages are divided by the standard deviation of the "group", of the "batch", or "none"
    loss_type: str = "dapo"  # "dapo": every action token weighs the same; "grpo": every game does, and its tokens share

    def __post_init__(self):
        super().__post_init__()
        for name, known in (("scale_rewards", ("group", "batch", "none")), ("loss_type", ("dapo", "grpo"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, not {getattr(self, name)!r}")
        if self.num_generations < 2:
            raise ValueError("num_generations is at least 2: a game is compared with the others of its group")
        for name, what in (("num_generations", "groups of"), ("steps_per_generation", "mini-batches, namely")):
            if self.episodes_per_update % getattr(self, name):
                raise ValueError(f"{self.episodes_per_update} games a round (episodes_per_update) cannot be cut into equal "
                                 f"{what} {getattr(self, name)} ({name})")


def _earned(earned: list[float], measured: list[dict], log_metric: Callable, **_) -> list[float]:
    """TRL's reward function: the games' returns, in task units; and what `play` measured of all of them goes to the log."""
    for name, value in measured[0].items():
        log_metric(name, value)
    return earned


class MultiTurnGRPOTrainer(trl.GRPOTrainer):
    """GRPO from a cloned agent in the agent's own task and context.

    init: the agent to start from, kept as the reference of the KL divergence. config: a GRPOConfig. folder: where
    checkpoints go (None: nowhere). tell: called with each round's row and the history. trl_options: more fields of
    `trl.GRPOConfig`.
    `train()` gives `agent`, the trained one, and `history`, a row a round:

    step (round), loss, entropy (nats an action token), clip_fraction, grad_norm (of the last gradient step, before it is
    clipped); of the games: mean_return, success_rate, no_signal (share of groups whose games all earned the same; with
    scale_rewards="batch" 1 where all games did), kl (log pi_old - log pi_ref an action token); learning_rate, episodes, tokens
    (action tokens so far), rollout_seconds, update_seconds and seconds, the CPU seconds so far.
    """

    def __init__(self, init: Agent, config: GRPOConfig, seed: int = 0, folder: str | os.PathLike | None = None,
                 spent: float = 0.0, tell: Callable[[dict, list[dict]], None] = lambda row, history: None,
                 trl_options: dict | None = None):
        self.config, self.seed, self.spent, self.tell = config, seed, spent, tell
        self.folder = Path(folder) if folder is not None else None
        self._nowhere = None if folder is not None else tempfile.TemporaryDirectory()  # TRL wants a folder
        group, steps = processes(), config.steps_per_generation
        share, rest = divmod(config.episodes_per_update, group.num_processes * steps)
        micro = min(config.micro_batch_size or share, share)
        if rest or share % micro:
            raise ValueError(f"{config.episodes_per_update} games a round cannot be shared by {group.num_processes} processes "
                             f"with {steps} mini-batches each, in parts of {micro}")
        told = {
            **config.arguments(trl.GRPOConfig, init, seed, self.folder or self._nowhere.name, folder is not None),
            "per_device_train_batch_size": micro, "gradient_accumulation_steps": share // micro,
            "steps_per_generation": steps * (share // micro), "max_steps": config.updates * config.num_iterations * steps,
            "logging_steps": config.num_iterations * steps, "logging_nan_inf_filter": False,
            "save_steps": config.checkpoint_every * config.num_iterations * steps,
            "beta": 0.0,  # TRL would look for the reference model in a folder; see below
            "shuffle_dataset": False, "disable_dropout": True, **(trl_options or {})}
        starts = [str(start) for update in range(1, config.updates + 1)
                  for start in game_seeds(seed, update, config.episodes_per_update // config.num_generations)]
        policy = copy.deepcopy(init.policy_model).requires_grad_(True)
        with seeded(seed), warnings.catch_warnings(action="ignore", category=FutureWarning):  # names that TRL still uses
            super().__init__(policy, _earned, trl.GRPOConfig(**told), Dataset.from_dict({"prompt": starts}),
                             processing_class=copy.deepcopy(init.codec.tokenizer), rollout_func=self.play)
        self.remove_callback(transformers.PrinterCallback)
        self.beta = config.beta
        self.ref_model = self.accelerator.prepare_model(copy.deepcopy(init.policy_model), evaluation_mode=True)
        self.agent = Agent(policy, init.codec, init.task, init.context, Decoding(), "GRPO")
        self._forward, self._games = _ForwardRedirection(), {}

    def _send_telemetry(self) -> None:
        """TRL would tell its makers of each run; ours are nobody's business."""

    # --------------------------------------------------------------------------------------------- one round

    def play(self, starts: list[str], _trainer=None) -> dict:
        """TRL's `rollout_func`: a whole game from each start (a seed), which is there once for every game of its group.

        A transcript is a prompt (the first observation) and a completion (all that follows); `env_mask` is 1 at the action
        tokens, which are those that were sampled.
        """
        self._began, agent = time.process_time(), self.agent
        first = self.accelerator.process_index * len(starts)
        draws = iter([game_seeds(int(start), (first + i) % self.num_generations, 1)[0] for i, start in enumerate(starts)])
        player = copy.copy(agent)  # `rollout` seeds game and player alike; games of a group share the start, not the draws
        player.reset = lambda seeds: Agent.reset(player, [next(draws) for _ in seeds])
        episodes = collect(player, [int(start) for start in starts])
        rows = [pack(episode, agent.codec, agent.context, next_state=False) for episode in episodes]
        check_length(rows, agent.policy_model)
        out = {"prompt_ids": [], "completion_ids": [], "env_mask": [], "logprobs": None}
        self._games = {}
        for episode, row in zip(episodes, rows, strict=True):
            whole = pack(episode, agent.codec, "episode", next_state=False)
            begin, ids = int(whole.action_mask.argmax()), whole.input_ids.tolist()
            self._games[tuple(ids)] = row, np.flatnonzero(whole.action_mask) - begin
            out["prompt_ids"].append(ids[:begin])
            out["completion_ids"].append(ids[begin:])
            out["env_mask"].append(whole.action_mask[begin:].astype(int).tolist())
        sampled = [x for episode in episodes for turn in episode.turns if turn.is_action for x in turn.logprobs]
        with torch.no_grad():
            reference, _ = self._score(self.ref_model, rows, self.args.per_device_train_batch_size)
        self._played = time.process_time()
        return {**out, "earned": [episode.total_return for episode in episodes], "measured": {
            "kl_from_clone": float(np.mean(sampled) - reference.double().mean()), "action_tokens": len(sampled) / len(episodes),
            "success_rate": float(np.mean([episode.success for episode in episodes]))}}

    def _score(self, model: torch.nn.Module, rows: Sequence[Row], size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(N,) log-probabilities of the N action tokens of packed rows, row after row, and (N,) entropies (no gradient)."""
        policy, out = self.accelerator.unwrap_model(model), []

        def logits(steps: Steps) -> torch.Tensor:  # (M, vocabulary) at the distinct states
            return head(policy)(read(policy, steps.inputs, steps.places)).float()

        for begin in range(0, len(rows), size):
            steps = collate(rows[begin:begin + size], self.agent.codec.pad_id).to(self.accelerator.device).steps()
            # through the forward of the module that wraps the policy where there are several processes
            logprobs = torch.log_softmax(self._forward(model, policy, logits, steps), -1)
            entropies = -(logprobs.exp() * logprobs).sum(-1).detach()
            out.append((logprobs[steps.state, steps.tokens], entropies[steps.state]))
        return tuple(map(torch.cat, zip(*out, strict=True)))

    def _get_per_token_logps_and_entropies(self, model, input_ids, attention_mask, logits_to_keep, batch_size=None, **_):
        """As TRL's, (B, completion tokens) both, at the action tokens (0 elsewhere), and None.

        Each action is read in the context in which the agent chose it. TRL's own would read the whole transcript, and tell the
        model no positions: behind a prompt that is padded on the left those of a GPT-2 would be wrong.
        """
        games = [self._games[tuple(ids[seen.bool()].tolist())] for ids, seen in zip(input_ids, attention_mask, strict=True)]
        rows = torch.tensor(np.repeat(range(len(games)), [len(columns) for _, columns in games]), device=input_ids.device)
        columns = torch.tensor(np.concatenate([columns for _, columns in games]), device=input_ids.device)
        found = self._score(model, [row for row, _ in games], batch_size or len(games))
        empty = torch.zeros(len(games), logits_to_keep, device=input_ids.device)
        logprobs, entropies = (empty.index_put((rows, columns), numbers) for numbers in found)
        return logprobs, entropies, None

    # --------------------------------------------------------------------------------------------- the loop

    def train(self, resume_from_checkpoint: str | os.PathLike | bool | None = None) -> None:
        """All rounds; with `resume_from_checkpoint` (a checkpoint's folder, or True: the newest whole one of the run's folder)
        on from there."""
        if resume_from_checkpoint is True:
            resume_from_checkpoint = newest_checkpoint(self.folder)
        with (few_threads(self.agent.policy_model), seeded(self.seed), no_interrupt() as self._interrupted,
              warnings.catch_warnings(action="ignore", category=FutureWarning)):
            super().train(resume_from_checkpoint=str(resume_from_checkpoint) if resume_from_checkpoint else None)
        self.agent.policy_model.eval()
        done = len(self.state.log_history)
        if self._interrupted.is_set() and done < self.config.updates:
            raise KeyboardInterrupt(stopped("round", done, self.config.updates, self.folder))
        self.history = self.agent.history = self._frame()

    def _frame(self) -> pd.DataFrame:
        """The history so far."""
        return history_frame(self.state.log_history, COLUMNS)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """A row of the history, in the names of the other algorithms; TRL calls this at the end of a round."""
        if "loss" not in logs:
            return  # the summary at the end of a run
        super().log(logs, start_time)
        said, now = self.state.log_history.pop(), time.process_time()
        if not (math.isfinite(said["grad_norm"]) and math.isfinite(said["loss"])):
            raise FloatingPointError(f"the gradient is {said['grad_norm']} and the loss {said['loss']} in round "
                                     f"{len(self.state.log_history) + 1}: try a lower learning_rate")
        before = self.state.log_history[-1] if self.state.log_history else {"step": 0, "tokens": 0.0, "seconds": self.spent}
        step, games = before["step"] + 1, self.config.episodes_per_update
        row = {"step": step, **{name: said[theirs] for name, theirs in LOGGED.items()}, "episodes": step * games,
               "tokens": before["tokens"] + round(said["action_tokens"] * games), "rollout_seconds": self._played - self._began,
               "update_seconds": now - self._played, "seconds": before["seconds"] + now - self._began}
        self.state.log_history.append(row)
        self.tell(row, self.state.log_history)
        if self._interrupted.is_set():  # rounds are not cut: a checkpoint stands at the end of one
            self.control.should_save, self.control.should_training_stop = self.folder is not None, True

    def _save_checkpoint(self, model: torch.nn.Module, trial) -> None:
        """Transformers' checkpoint, sealed when it is whole; history.csv beside it."""
        super(trl.GRPOTrainer, self)._save_checkpoint(model, trial)  # TRL's own would write a card for the hub first
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            seal(self.folder / f"checkpoint-{self.state.global_step}")
            write_atomically(self.folder / "history.csv", self._frame().to_csv(index=False))


def train_grpo(task: str, episodes: list[Episode], init: Agent, config: GRPOConfig, seed: int = 0, folder=None,
               resume: bool = False, callback: Callable | None = None, probe: Callable | None = None, probe_every: int = 100,
               spent: float = 0.0) -> Agent:
    """GRPO from a cloned agent, which plays its own games: `episodes` are not read."""

    def tell(row: dict, history: list[dict]) -> None:
        if probe is not None and (row["step"] % probe_every == 0 or row["step"] == config.updates):
            trainer.agent.policy_model.eval()
            row.update(probed(probe, trainer.agent))
            trainer.agent.policy_model.train()
        if callback is not None and trainer.is_world_process_zero():
            callback(row, history)

    trainer = MultiTurnGRPOTrainer(init, config, seed, folder, spent, tell)
    trainer.train(resume_from_checkpoint=resume or None)
    return trainer.agent
