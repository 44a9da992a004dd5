"""Proximal policy optimization over many turns, on TRL's trainer: play, weigh what was done, take a careful step, repeat.

The maths stands first, in plain functions of tensors over the N action tokens of a batch, each one RL step. Then
`MultiTurnPPOTrainer`, a `trl.experimental.ppo.PPOTrainer` whose configuration, logging, callbacks and saving are TRL's and whose
loop is ours. TRL 1.10 to 1.12 have faults that it steps around: `num_mini_batches` and `max_grad_norm` change nothing, the
critic is not saved, padding enters the logged means, and padding is told from text by the pad token's id.
"""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import numpy as np
import pandas as pd
import torch
import transformers
from torch.nn.functional import softmax
from transformers import TrainerCallback
from trl.experimental import ppo as trl_ppo

from lmrl_lab.agent import Agent, Decoding
from lmrl_lab.algorithms.bc import bc_loss
from lmrl_lab.algorithms.checkpoints import newest_checkpoint, seal
from lmrl_lab.algorithms.online import TRLOnlineConfig, collect, game_seeds, history_frame
from lmrl_lab.episode import Episode
from lmrl_lab.files import write_atomically
from lmrl_lab.heads import value_head
from lmrl_lab.models import ValueNetwork, few_threads, head, read, save_weights, seeded, trunk
from lmrl_lab.tokens import Row, Steps, collate, make_rows, pack
from lmrl_lab.training import check_length, no_interrupt, probed, processes, share, stopped


@dataclass
class PPOConfig(TRLOnlineConfig):
    """Settings of PPO; where TRL has the same thing it has the same name."""

    num_ppo_epochs: int = 4  # passes over a round's games
    num_mini_batches: int = 4  # gradient steps a pass
    gamma: float = 0.99  # discount per ACTION TOKEN
    lam: float = 0.95  # of generalised advantage estimation
    cliprange: float = 0.2  # of the probability ratio
    cliprange_value: float | None = None  # of the value's move, in the network's units; None: not clipped
    vf_coef: float = 0.5  # weight of the value loss
    kl_coef: float = 0.01  # of the penalty for leaving the cloned policy, in the scaled reward of each action token
    entropy_coef: float = 0.0  # weight of an entropy bonus
    bc_coef: float = 0.0  # weight of a BC loss on the offline data: the paper's cure for policies that unlearn
    bc_batch_size: int = 32  # rows of that data a gradient step, over all processes
    reward_scale: float = 0.1  # the networks see rewards times this; V's gradient drowns the policy's where returns are in tens
    whiten_floor: float = 0.3  # advantages are divided by at least this share of the run's largest standard deviation so far

    def __post_init__(self):
        super().__post_init__()
        for name in ("gamma", "lam"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} is from 0 to 1, not {getattr(self, name)!r}")
        if not self.reward_scale > 0:
            raise ValueError(f"reward_scale is above 0, not {self.reward_scale!r}")
        if self.episodes_per_update % self.num_mini_batches:
            raise ValueError(f"{self.episodes_per_update} games a round (episodes_per_update) cannot be cut into "
                             f"{self.num_mini_batches} equal mini-batches (num_mini_batches)")

    @property
    def reads_data(self) -> bool:
        return self.bc_coef > 0


# ---------------------------------------------------------------------------------------------------------- the maths

def penalized(rewards: torch.Tensor, logprobs: torch.Tensor, ref_logprobs: torch.Tensor, kl_coef: float) -> torch.Tensor:
    """(N,) r_t - kl_coef (log pi_old - log pi_ref): the reward that PPO sees. Its mean penalty is kl_coef KL(pi_old || pi_ref).

    Source: Ziegler and others, arXiv 1909.08593, equation 2, per token.
    """
    return rewards - kl_coef * (logprobs - ref_logprobs)


def gae(rewards: torch.Tensor, values: torch.Tensor, next_values: torch.Tensor, last: torch.Tensor, *, gamma: float,
        lam: float) -> torch.Tensor:
    """(N,) generalised advantage estimates: A_t = delta_t + gamma lam A_{t+1}, delta_t = r_t + gamma V(s_{t+1}) - V(s_t).

    The N action tokens of several games stand one game after the other; `last` (N,) bool marks the last one of each, where
    the sum begins anew. next_values: V at the next action token's state; after the end of a game 0, after a cut one the
    value of where it was cut. Source: Schulman and others, arXiv 1506.02438, equation 16.
    """
    deltas = (rewards + gamma * next_values - values).double().tolist()
    ends, out, following = last.tolist(), [0.0] * len(deltas), 0.0
    for t in range(len(deltas) - 1, -1, -1):
        following = deltas[t] + (0.0 if ends[t] else gamma * lam * following)
        out[t] = following
    return torch.tensor(out, dtype=values.dtype, device=values.device)


def whitened(advantages: torch.Tensor, mean: float, variance: float, floor: float = 0.0) -> torch.Tensor:
    """(N,) (A - mean) / sqrt(variance), in which a standard deviation below `floor` counts as `floor`.

    With a floor of 0, advantages that are all but equal, as those of a policy that has found the best way, are blown up to the
    size of telling ones: noise then moves the policy as far as a lesson does.
    """
    return (advantages - mean) / (max(variance, floor**2) + 1e-8) ** 0.5


def ppo_loss(logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor, values: torch.Tensor,
             old_values: torch.Tensor, returns: torch.Tensor, entropy: torch.Tensor, normalizer: float, *, cliprange: float,
             cliprange_value: float | None, vf_coef: float, entropy_coef: float) -> tuple[torch.Tensor, dict]:
    """L = L_policy + vf_coef L_value - entropy_coef H, sums over N action tokens divided by `normalizer`.

    With rho = exp(log pi - log pi_old): L_policy = sum max(-A rho, -A clip(rho, 1 - c, 1 + c)); L_value = 1/2 sum (V - R)^2,
    or the larger of that and the same for V moved by at most `cliprange_value` from its old value. All arguments (N,).
    Also the parts as numbers. Source: Schulman and others, arXiv 1707.06347, equations 7 and 9.
    """
    ratio = (logprobs - old_logprobs).exp()
    plain, clipped = -advantages * ratio, -advantages * ratio.clamp(1 - cliprange, 1 + cliprange)
    errors = (values - returns) ** 2
    if cliprange_value is not None:
        near = torch.minimum(torch.maximum(values, old_values - cliprange_value), old_values + cliprange_value)
        errors = torch.maximum(errors, (near - returns) ** 2)
    policy_loss, value_loss = torch.maximum(plain, clipped).sum() / normalizer, 0.5 * errors.sum() / normalizer
    mean_entropy = entropy.sum() / normalizer
    with torch.no_grad():
        change = logprobs - old_logprobs
        logged = {"policy_loss": policy_loss.detach(), "value_loss": value_loss.detach(), "entropy": mean_entropy.detach(),
                  "approx_kl": 0.5 * (change**2).sum() / normalizer, "clip_fraction": (clipped > plain).sum() / normalizer}
    return policy_loss + vf_coef * value_loss - entropy_coef * mean_entropy, logged


# ------------------------------------------------------------------------------------------------------- the networks

COLUMNS = ("step", "loss", "policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction", "bc_loss", "grad_norm",
           "mean_return", "success_rate", "kl", "advantage_std", "value_error", "learning_rate", "episodes", "tokens",
           "rollout_seconds", "scoring_seconds", "update_seconds", "seconds")  # of the history, see MultiTurnPPOTrainer


class _Critic(torch.nn.Module):
    """A value head that stands on the policy's trunk, in the shape in which TRL asks for a value model."""

    base_model_prefix = "body"

    def __init__(self, policy: torch.nn.Module):
        super().__init__()
        self.score = value_head(policy.config.hidden_size, 1)
        self._policy = [policy]  # in a list: the policy's weights are not registered twice

    body = property(lambda self: trunk(self._policy[0]))


class _PolicyAndValue(torch.nn.Module):
    """Policy and critic with one forward of the trunk that they share; what the optimizer and `accelerate` get."""

    def __init__(self, policy: torch.nn.Module, value_model: _Critic):
        super().__init__()
        self.policy, self.value_model = policy, value_model
        self.config = policy.config

    def forward(self, parts: Sequence[Steps]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """For each batch of steps: logits (M, vocabulary) and values (M,) at its M distinct states."""
        out = []
        for steps in parts:
            hidden = read(self.policy, steps.inputs, steps.places)
            out.append((head(self.policy)(hidden).float(), self.value_model.score(hidden)[:, 0].float()))
        return out


@dataclass
class _Games:
    """Played games, ready for the gradient steps: a packed row a game, and for its action tokens tensors of (n_i,)."""

    rows: list[Row]
    logprobs: list[torch.Tensor]
    values: list[torch.Tensor]
    advantages: list[torch.Tensor] = field(default_factory=list)
    returns: list[torch.Tensor] = field(default_factory=list)

    def take(self, name: str, chosen: Sequence[int]) -> torch.Tensor:
        return torch.cat([getattr(self, name)[i] for i in chosen])


# -------------------------------------------------------------------------------------------------------- the trainer

class MultiTurnPPOTrainer(trl_ppo.PPOTrainer):
    """PPO from a cloned agent in the agent's own task.

    init: the agent to start from; it is kept as the reference of the KL penalty. config: a PPOConfig. offline: packed rows of
    offline data for the BC loss, if there is one. folder: where checkpoints go (None: nowhere). trl_options: more fields
    of `trl.experimental.ppo.PPOConfig`, say `report_to="tensorboard"`. callbacks: transformers' TrainerCallbacks.
    `train()` gives `agent`, the trained one, and `history`, a row a round:

    step (round), loss, policy_loss, value_loss, entropy (nats an action token), approx_kl (new against old, within the round),
    clip_fraction, grad_norm (before it is clipped), bc_loss (where there is one); of the games: mean_return and success_rate,
    kl (log pi_old - log pi_ref an action token), advantage_std (before whitening), value_error (explained variance of the
    returns is 1 - this); learning_rate, episodes, tokens (action tokens so far), rollout_seconds, scoring_seconds,
    update_seconds and seconds, the CPU seconds so far.
    """

    def __init__(self, init: Agent, config: PPOConfig, offline: Sequence[Row] = (), seed: int = 0,
                 folder: str | os.PathLike | None = None, spent: float = 0.0, callbacks: list[TrainerCallback] | None = None,
                 trl_options: dict | None = None):
        self.config, self.seed, self.offline, self.spent = config, seed, list(offline), spent
        self._weights = np.array([row.weight for row in self.offline])
        self.folder = Path(folder) if folder is not None else None
        self._nowhere = None if folder is not None else tempfile.TemporaryDirectory()  # TRL wants a folder
        group = processes()
        own, rest = divmod(config.episodes_per_update, group.num_processes)
        if rest or own % config.num_mini_batches:
            raise ValueError(f"{config.episodes_per_update} games a round cannot be shared by {group.num_processes} processes "
                             f"with {config.num_mini_batches} mini-batches each")
        policy = copy.deepcopy(init.policy_model).requires_grad_(True)
        with seeded(seed):
            critic = _Critic(policy)
        told = {
            **config.arguments(trl_ppo.PPOConfig, init, seed, self.folder or self._nowhere.name, folder is not None),
            "per_device_train_batch_size": own, "total_episodes": config.updates * config.episodes_per_update,
            "cliprange_value": config.cliprange_value or 0.0,  # TRL knows no None
            "num_sample_generations": 0, "logging_steps": 1, "save_steps": config.checkpoint_every, **(trl_options or {})}
        games = [{"seed": i} for i in range(config.episodes_per_update)]  # our loop draws its own; TRL wants a data set
        with seeded(seed), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # names that TRL still uses and transformers is about to rename
            super().__init__(trl_ppo.PPOConfig(**told), init.codec.tokenizer, policy, init.policy_model, torch.nn.Identity(),
                             games, critic, data_collator=list, eval_dataset=games, callbacks=callbacks)
        self.remove_callback(transformers.PrinterCallback)
        values = ValueNetwork(trunk(policy), policy.config.vocab_size, 0, False, config.reward_scale, config.gamma)
        values.v = critic.score
        self.agent = Agent(policy, init.codec, init.task, init.context, Decoding(), "PPO", values)
        self.history = pd.DataFrame()

    def create_optimizer_and_scheduler(self, num_training_steps: int) -> None:
        """As TRL's, for networks that share a trunk in the place of its wrapper, which would run it twice."""
        self.model = _PolicyAndValue(self.policy_model, self.value_model)
        super().create_optimizer_and_scheduler(num_training_steps)

    # --------------------------------------------------------------------------------------------- one round

    def play(self, update: int) -> list[Episode]:
        """This process's games of a round."""
        group = self.accelerator
        return collect(self.agent, game_seeds(self.seed, update, self.config.episodes_per_update)[
            group.process_index::group.num_processes])

    @torch.no_grad()
    def weigh(self, episodes: Sequence[Episode]) -> tuple[_Games, dict[str, float]]:
        """Probabilities, values, advantages and returns of the action tokens of these games; and what to log of them."""
        config, agent = self.config, self.agent
        rows = [pack(episode, agent.codec, agent.context, config.gamma) for episode in episodes]
        check_length(rows, agent.policy_model)
        games, size = _Games(rows, [], []), config.micro_batch_size or len(rows)
        kl, rewards, following = [], [], []
        for begin in range(0, len(rows), size):
            part = rows[begin:begin + size]
            steps = collate(part, agent.codec.pad_id).to(self.accelerator.device).steps(following=True)
            counts = [int(row.action_mask.sum()) for row in part]
            [(logits, values)] = self.accelerator.unwrap_model(self.model)([steps])
            reference = head(self.ref_model)(read(self.ref_model, steps.inputs, steps.places)).float()
            logprobs, ref_logprobs = (_taken(x, steps) for x in (logits, reference))
            kl.append(logprobs - ref_logprobs)
            rewards.append(penalized(steps.rewards * config.reward_scale, logprobs, ref_logprobs, config.kl_coef))
            following.append(torch.where(steps.terminal, 0.0, values[steps.next_state]))
            games.logprobs += logprobs.split(counts)
            games.values += values[steps.state].split(counts)
        counts = torch.tensor([len(values) for values in games.values])
        last = torch.zeros(int(counts.sum()), dtype=torch.bool)
        last[counts.cumsum(0) - 1] = True
        values, following = torch.cat(games.values), torch.cat(following)
        advantages = gae(torch.cat(rewards), values, following, last, gamma=config.gamma, lam=config.lam)
        returns, kl = advantages + values, torch.cat(kl)
        total = self._sum({
            "n": torch.ones_like(kl), "advantage": advantages, "advantage2": advantages**2, "kl": kl, "return": returns,
            "return2": returns**2, "error": returns - values, "error2": (returns - values) ** 2, "games": [1.0] * len(episodes),
            "earned": [episode.total_return for episode in episodes], "won": [float(episode.success) for episode in episodes]})
        n = total["n"]
        variance = max(total["advantage2"] - total["advantage"] ** 2 / n, 0.0) / max(n - 1, 1)
        widest = max([variance**0.5, *(row["advantage_std"] for row in self.state.log_history)])
        advantages = whitened(advantages, total["advantage"] / n, variance, config.whiten_floor * widest)
        games.advantages, games.returns = list(advantages.split(counts.tolist())), list(returns.split(counts.tolist()))
        spread, error = (total[f"{x}2"] / n - (total[x] / n) ** 2 for x in ("return", "error"))
        return games, {"mean_return": total["earned"] / total["games"], "success_rate": total["won"] / total["games"],
                       "kl": total["kl"] / n, "advantage_std": variance**0.5,
                       "value_error": error / max(spread, 1e-12), "tokens": n}

    def _sum(self, numbers: dict[str, torch.Tensor | list[float]]) -> dict[str, float]:
        """The sum of each over all processes, in one exchange."""
        sums = torch.stack([torch.as_tensor(x, dtype=torch.float64).sum().to(self.accelerator.device) for x in numbers.values()])
        return dict(zip(numbers, self.accelerator.reduce(sums, "sum").tolist(), strict=True))

    def learn(self, games: _Games, update: int) -> dict[str, float]:
        """The gradient steps of a round; the means of what they log."""
        config, logged = self.config, []
        for epoch in range(config.num_ppo_epochs):
            order = np.random.default_rng([self.seed, update, epoch, self.accelerator.process_index]).permutation(len(games.rows))
            for n, chosen in enumerate(np.split(order, config.num_mini_batches)):
                logged.append(self._step(games, chosen.tolist(), (update - 1) * config.num_ppo_epochs * config.num_mini_batches
                                         + epoch * config.num_mini_batches + n))
        numbers = torch.stack([torch.stack(list(row.values())) for row in logged]).mean(0)
        return dict(zip(logged[0], self.accelerator.reduce(numbers, "mean").tolist(), strict=True))

    def _step(self, games: _Games, chosen: list[int], number: int) -> dict[str, torch.Tensor]:
        """One gradient step on these games; `number` counts the steps of the run from 0."""
        config, accelerator = self.config, self.accelerator
        tokens = torch.tensor(float(sum(len(games.values[i]) for i in chosen)), device=accelerator.device)
        normalizer = float(accelerator.reduce(tokens, "mean"))  # the mean over processes of the gradients is the whole batch's
        size, total = config.micro_batch_size or len(chosen), {}
        for begin in range(0, len(chosen), size):
            part = chosen[begin:begin + size]
            steps = [collate([games.rows[i] for i in part], self.agent.codec.pad_id).to(accelerator.device).steps()]
            cloned = begin == 0 and config.bc_coef > 0
            if cloned:
                batch = share(self.offline, self._weights, number, config.bc_batch_size, self.seed, accelerator)
                batch = batch.to(accelerator.device)
                steps.append(batch.steps())
            (logits, values), *rest = self.model(steps)
            logprobs = _taken(logits, steps[0])
            entropy = (torch.logsumexp(logits, -1) - (softmax(logits, -1) * logits).sum(-1))[steps[0].state]
            loss, logged = ppo_loss(
                logprobs, games.take("logprobs", part), games.take("advantages", part), values[steps[0].state],
                games.take("values", part), games.take("returns", part), entropy, normalizer, cliprange=config.cliprange,
                cliprange_value=config.cliprange_value, vf_coef=config.vf_coef, entropy_coef=config.entropy_coef)
            if cloned:
                imitation = bc_loss(rest[0][0][steps[1].state], steps[1].tokens, steps[1].weight, batch.normalizer)
                loss, logged = loss + config.bc_coef * imitation, {**logged, "bc_loss": imitation.detach()}
            accelerator.backward(loss)
            for name, value in {"loss": loss.detach(), **logged}.items():
                total[name] = total.get(name, 0.0) + value
        norm = accelerator.clip_grad_norm_(self.model.parameters(), config.max_grad_norm)
        if not torch.isfinite(norm):
            raise FloatingPointError(f"the gradient is {float(norm)} at gradient step {number + 1}: try a lower learning_rate")
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {**total, "grad_norm": norm}

    # --------------------------------------------------------------------------------------------- the loop

    def train(self, resume_from_checkpoint: str | os.PathLike | bool | None = None) -> None:
        """All rounds; with `resume_from_checkpoint` (a checkpoint's folder, or True: the newest whole one of the run's folder)
        on from there."""
        config, state = self.config, self.state
        state.max_steps, state.num_train_epochs = config.updates, 1
        state.logging_steps, state.save_steps = self.args.logging_steps, self.args.save_steps
        if resume_from_checkpoint:
            self._restore(newest_checkpoint(self.folder) if resume_from_checkpoint is True else Path(resume_from_checkpoint))
        self.agent.policy_model.eval()
        with few_threads(self.policy_model), no_interrupt() as interrupted:
            self.control = self.callback_handler.on_train_begin(self.args, self.state, self.control)
            spent, tokens = self.spent, 0.0
            if self.state.log_history:
                spent, tokens = (self.state.log_history[-1][name] for name in ("seconds", "tokens"))
            for update in range(self.state.global_step + 1, config.updates + 1):
                times = [time.process_time()]
                episodes = self.play(update)
                times.append(time.process_time())
                games, seen = self.weigh(episodes)
                times.append(time.process_time())
                logged = self.learn(games, update)
                times.append(time.process_time())
                spent, tokens = spent + times[3] - times[0], tokens + seen.pop("tokens")
                if update == 1 and logged["grad_norm"] > 10 and self.accelerator.is_main_process:
                    warnings.warn(f"the first gradient has norm {logged['grad_norm']:.0f}; whitened advantages give 1 or so: V's "
                                  "part may drown the policy's, try a smaller reward_scale", stacklevel=2)
                self.state.global_step = update
                self.state.episode += config.episodes_per_update
                self.state.epoch = update / config.updates
                parts = {f"{name}_seconds": times[i + 1] - times[i] for i, name in enumerate(("rollout", "scoring", "update"))}
                self.log({**logged, **seen, "learning_rate": self.lr_scheduler.get_last_lr()[0], "episodes": self.state.episode,
                          "tokens": tokens, **parts, "seconds": spent})
                self.lr_scheduler.step()
                self.control = self.callback_handler.on_step_end(self.args, self.state, self.control)
                stop = interrupted.is_set()
                if self.folder is not None and (self.control.should_save or stop or update == config.updates):
                    self._save_checkpoint(self.model, trial=None)
                    self.control = self.callback_handler.on_save(self.args, self.state, self.control)
                if stop:
                    raise KeyboardInterrupt(stopped("round", update, config.updates, self.folder))
                if self.control.should_training_stop:
                    break
            self.control = self.callback_handler.on_train_end(self.args, self.state, self.control)
        self.history = self.agent.history = self._frame()

    # --------------------------------------------------------------------------------------------- saving

    def save_model(self, output_dir: str | os.PathLike | None = None, _internal_call: bool = False) -> None:
        """The policy in transformers' files, which `from_pretrained` reads, and the critic, which TRL forgets, beside it."""
        folder = Path(output_dir or self.args.output_dir)
        if self.args.should_save:
            save_weights(folder, self.policy_model, self.agent.codec)
            torch.save(self.value_model.score.state_dict(), folder / "critic.pt")

    def _save_checkpoint(self, model: torch.nn.Module, trial) -> None:
        """A folder as transformers makes them, sealed when it is whole; the two newest are kept. history.csv beside it."""
        if self.args.should_save:
            folder = self.folder / f"checkpoint-{self.state.global_step}"
            shutil.rmtree(folder, ignore_errors=True)
            self.save_model(folder)
            torch.save(self.optimizer.state_dict(), folder / "optimizer.pt")
            torch.save(self.lr_scheduler.state_dict(), folder / "scheduler.pt")
            self.state.save_to_json(str(folder / "trainer_state.json"))
            seal(folder)
            write_atomically(self.folder / "history.csv", self._frame().to_csv(index=False))

    def _frame(self) -> pd.DataFrame:
        """The history so far."""
        return history_frame(self.state.log_history, COLUMNS)

    def _restore(self, folder: Path | None) -> None:
        """Go back to a checkpoint; None, where a run stopped before its first one, is the beginning."""
        if folder is None:
            return
        weights = type(self.policy_model).from_pretrained(folder, dtype=torch.float32).state_dict()
        self.policy_model.load_state_dict(weights)
        self.value_model.score.load_state_dict(torch.load(folder / "critic.pt", weights_only=True))
        for name in ("optimizer", "scheduler"):
            part = self.optimizer if name == "optimizer" else self.lr_scheduler
            part.load_state_dict(torch.load(folder / f"{name}.pt", weights_only=True))
        state = type(self.state).load_from_json(str(folder / "trainer_state.json"))
        for name in ("global_step", "episode", "epoch", "log_history"):
            setattr(self.state, name, getattr(state, name))


def _taken(logits: torch.Tensor, steps: Steps) -> torch.Tensor:
    """(N,) log-probabilities of the tokens taken, from logits (M, vocabulary) at the distinct states."""
    return torch.log_softmax(logits, -1)[steps.state, steps.tokens]


class _Tell(TrainerCallback):
    """Hands each round to our callback, and asks the probe."""

    def __init__(self, callback: Callable | None, probe: Callable | None, probe_every: int):
        self.callback, self.probe, self.probe_every = callback, probe, probe_every
        self.agent: Agent | None = None

    def on_log(self, args, state, control, **_):
        row = state.log_history[-1]
        if self.probe is not None and (row["step"] % self.probe_every == 0 or row["step"] == state.max_steps):
            row.update(probed(self.probe, self.agent))
        if self.callback is not None and state.is_world_process_zero:
            self.callback(row, state.log_history)


def train_ppo(task: str, episodes: list[Episode], init: Agent, config: PPOConfig, seed: int = 0, folder=None,
              resume: bool = False, callback: Callable | None = None, probe: Callable | None = None, probe_every: int = 100,
              spent: float = 0.0) -> Agent:
    """PPO from a cloned agent; `episodes` are read for the BC loss only (`bc_coef` above 0)."""
    rows = make_rows(episodes, init.codec, init.context, next_state=False) if config.reads_data else []
    tell = _Tell(callback, probe, probe_every)
    trainer = MultiTurnPPOTrainer(init, config, rows, seed, folder, spent, callbacks=[tell])
    tell.agent = trainer.agent
    trainer.train(resume_from_checkpoint=resume or None)
    return trainer.agent
