"""The one offline loop: rows and a loss in, a trained network and its history out; checkpoint, resume, live callback.

Runs on `accelerate`: one process on a CPU, a GPU, or several machines. Which loss it is, is not known here.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator, PartialState

from lmrl_lab.models import few_threads, max_positions, seeded
from lmrl_lab.tokens import Row, TokenBatch, collate


@dataclass
class TrainConfig:
    """What every offline algorithm can be told; an algorithm's own config adds to it."""

    steps: int = 300  # gradient steps
    batch_size: int | None = None  # rows a gradient step, over all processes (all, where there are no more);
    #   None: 16 rows that are whole episodes, or 256 single steps, or all of them where they repeat (at most 2,048
    #   distinct ones that occur 8 times or more on average): then each gradient is that of all the data, without noise
    learning_rate: float = 2e-3  # peak, after the warm-up; decays along a cosine to a tenth
    warmup: int = 20  # steps
    betas: tuple[float, float] = (0.9, 0.95)  # AdamW
    weight_decay: float = 0.01
    clip: float = 1.0  # largest norm of the gradient
    log_every: int = 10  # steps between two rows of the history
    checkpoint_every: int = 100  # steps between two checkpoints, where there is a folder

    reads_data = True  # of the online algorithms' configs see `OnlineConfig`

    def __post_init__(self):
        for name in ("steps", "batch_size", "warmup", "log_every", "checkpoint_every"):
            value, least = getattr(self, name), 0 if name == "warmup" else 1
            if value is None and name == "batch_size":
                continue
            setattr(self, name, whole(name, value, least))
        for name in ("learning_rate", "weight_decay", "clip"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value < math.inf or (value == 0 and name != "weight_decay"):
                raise ValueError(f"{name} is a number above 0, not {value!r}")


def whole(name: str, value: float, least: int = 1) -> int:
    """The value as an int; ValueError, with the setting's name, where it is no whole number or too small."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value != int(value) or value < least:
        raise ValueError(f"{name} is a whole number, at least {least}, not {value!r}")
    return int(value)


def processes() -> PartialState:
    """The processes of this run, however it was launched; asked for before an Accelerator, it must be told of CPU runs."""
    return PartialState(cpu=os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes", "y"))


def with_batch_size(config: TrainConfig, context: str | int, rows: Sequence[Row]) -> TrainConfig:
    """The config with its default batch size made definite, see `TrainConfig.batch_size`."""
    if config.batch_size:
        return config
    if context == "episode":
        return replace(config, batch_size=16)
    repeated = len(rows) <= 2048 and sum(row.weight for row in rows) >= 8 * len(rows)
    return replace(config, batch_size=len(rows) if repeated else 256)


def check_length(rows: Sequence[Row], model) -> None:
    """Raise ValueError where a row needs more positions than the model has."""
    longest, limit = max(int(row.position_ids.max()) + 1 for row in rows), max_positions(model)
    if longest > limit:
        raise ValueError(f"a transcript of {longest} tokens does not fit into the model's {limit} positions; train with a "
                         "shorter context, say context=4 (turns), or on shorter episodes")


Loss = Callable[[torch.nn.Module, TokenBatch], tuple[torch.Tensor, dict[str, float]]]


class _WithLoss(torch.nn.Module):
    """The loss inside `forward`, so that a loss may use parts of its networks on their own under several processes."""

    def __init__(self, networks: torch.nn.Module, loss: Loss):
        super().__init__()
        self.networks, self._loss = networks, loss

    def forward(self, batch: TokenBatch):
        return self._loss(self.networks, batch)


def fit(networks: torch.nn.Module, loss: Loss, rows: Sequence[Row], config: TrainConfig, seed: int = 0,
        folder: str | os.PathLike | None = None, resume: bool = False,
        callback: Callable[[dict, list[dict]], None] | None = None, after_step: Callable[[], None] | None = None,
        agent=None, probe: Callable[[object], dict[str, float]] | None = None, probe_every: int = 100,
        spent: float = 0.0) -> pd.DataFrame:
    """Minimise `loss` over `rows`; the history has a line every `log_every` steps.

    `loss(networks, batch)` returns the loss (summed over action tokens, divided by `batch.normalizer`) and numbers to
    log. With a `folder`, a checkpoint is written there every `checkpoint_every` steps and when the run is interrupted
    (Ctrl-C waits for the step to end); `resume=True` goes on from it and gives the history of an uninterrupted run.
    `after_step()` is called after each step of the optimizer. `probe(agent)` returns numbers for the history, say a
    return, every `probe_every` steps and at the end; its time is not counted. `spent`: CPU seconds before this run.
    Columns of the history: step, loss, what the loss logs, grad_norm, learning_rate, tokens (action tokens so far, with
    their weights), seconds (CPU seconds so far), what the probe returns.
    """
    folder = Path(folder) if folder is not None else None
    weights = np.array([row.weight for row in rows])
    identity = {"config": json.loads(json.dumps(asdict(config))), "seed": seed, "data": _rows_hash(rows)}
    accelerator = Accelerator()
    optimizer = torch.optim.AdamW(_groups(networks, config.weight_decay), lr=config.learning_rate, betas=config.betas,
                                  fused=True)  # a quarter of the time of the default on tiny models
    module, optimizer = accelerator.prepare(_WithLoss(networks, loss).train(), optimizer)
    history, first, tokens = [], 0, 0.0
    with few_threads(networks), seeded(seed), no_interrupt() as interrupted:
        if resume and folder is not None and (folder / "checkpoint.pt").exists():
            state = load_checkpoint(folder / "checkpoint.pt", identity)
            accelerator.unwrap_model(module).load_state_dict(state["networks"])
            optimizer.load_state_dict(state["optimizer"])
            torch.set_rng_state(state["rng"])
            torch.cuda.set_rng_state_all(state["cuda_rng"])
            history, first, tokens, spent = state["history"], state["step"], state["tokens"], state["seconds"]
        begin, batch = time.process_time(), None
        for step in range(first, config.steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, config)
            if batch is None or len(rows) > (config.batch_size or 256):  # else every step takes all the rows
                batch = share(rows, weights, step, config.batch_size or 256, seed, accelerator).to(accelerator.device)
            tokens += batch.normalizer * accelerator.num_processes
            value, logged = module(batch)
            optimizer.zero_grad()
            accelerator.backward(value)
            norm = accelerator.clip_grad_norm_(module.parameters(), config.clip)
            if not math.isfinite(norm):
                raise FloatingPointError(f"the gradient is {float(norm)} at step {step + 1}: try a lower learning_rate")
            optimizer.step()
            if after_step:
                after_step()
            done = step + 1
            probing = probe is not None and (done % probe_every == 0 or done == config.steps)
            if done % config.log_every == 0 or done == config.steps or done == 1 or probing:
                numbers = torch.tensor([float(x.detach()) if torch.is_tensor(x) else x for x in (value, *logged.values())],
                                       device=accelerator.device)
                loss_value, *values = accelerator.reduce(numbers, "mean").tolist()
                if not math.isfinite(loss_value):
                    raise FloatingPointError(f"the loss is {loss_value} at step {done}: try a lower learning_rate")
                row = {"step": done, "loss": loss_value, **dict(zip(logged, values, strict=True)), "grad_norm": float(norm),
                       "learning_rate": learning_rate(step, config), "tokens": tokens,
                       "seconds": spent + time.process_time() - begin}
                if probing:
                    networks.eval()
                    row.update(probed(probe, agent))
                    networks.train()
                    begin = time.process_time() - (row["seconds"] - spent)
                history.append(row)
                if callback and accelerator.is_main_process:
                    callback(row, history)
            stop = interrupted.is_set()
            if folder is not None and accelerator.is_main_process and (
                    stop or done == config.steps or done % config.checkpoint_every == 0):
                save_checkpoint(folder, {
                    "identity": identity, "step": done, "networks": accelerator.unwrap_model(module).state_dict(),
                    "optimizer": optimizer.state_dict(), "history": history, "tokens": tokens,
                    "rng": torch.get_rng_state(), "cuda_rng": torch.cuda.get_rng_state_all(),
                    "seconds": spent + time.process_time() - begin})
            if stop:
                raise KeyboardInterrupt(stopped("step", done, config.steps, folder))
    networks.eval()
    return pd.DataFrame(history)


def probed(probe: Callable[[object], dict[str, float]], agent) -> dict[str, float]:
    """What the probe says, as plain numbers: a checkpoint with NumPy's in its history could not be read again."""
    return {name: float(value) for name, value in probe(agent).items()}


def stopped(unit: str, done: int, total: int, folder: str | os.PathLike | None) -> str:
    """What an interrupted run says; unit: "step" or "round"."""
    kept = (f"go on with resume=True, the checkpoint is in {folder}" if folder
            else "without a folder (out=) nothing of it is kept")
    return f"training stopped after {unit} {done} of {total}; {kept}"


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine from the peak down to a tenth of it. `step` counts from 0."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    part = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * part)))


def batch_indices(step: int, weights: np.ndarray, batch_size: int, seed: int) -> np.ndarray:
    """Which rows step `step` takes; a function of its arguments alone, so a resumed run needs no other state.

    All rows where they fit. Rows of equal weight: epochs in a shuffled order. Rows with counts: drawn in proportion to
    their counts (and then each counts once).
    """
    n = len(weights)
    if n <= batch_size:
        return np.arange(n)
    if weights.min() != weights.max():
        return np.random.default_rng([seed, step]).choice(n, batch_size, p=weights / weights.sum())
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    orders = {epoch: np.random.default_rng([seed, int(epoch), 1]).permutation(n) for epoch in np.unique(places // n)}
    return np.array([orders[place // n][place % n] for place in places])


def share(rows: Sequence[Row], weights: np.ndarray, step: int, batch_size: int, seed: int,
          accelerator: Accelerator) -> TokenBatch:
    """This process's part of the step's batch, normalised so that the mean over processes is the whole batch's loss."""
    chosen = batch_indices(step, weights, batch_size, seed)
    processes, rank = accelerator.num_processes, accelerator.process_index
    if len(chosen) < processes:
        raise ValueError(f"{len(chosen)} rows cannot be shared by {processes} processes")
    drawn = len(rows) > batch_size
    total = sum(float(rows[i].action_mask.sum()) * (1.0 if drawn else rows[i].weight) for i in chosen)
    batch = collate([rows[i] for i in chosen[rank::processes]])
    if drawn:
        batch.weight = torch.ones_like(batch.weight)
    batch.normalizer = total / processes
    return batch


def _groups(networks: torch.nn.Module, weight_decay: float) -> list[dict]:
    """Weight decay for matrices only, as is usual: not for biases and layer norms."""
    learned = [p for p in networks.parameters() if p.requires_grad]
    return [{"params": [p for p in learned if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in learned if p.ndim < 2], "weight_decay": 0.0}]


def _rows_hash(rows: Sequence[Row]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        for value in vars(row).values():
            digest.update(np.asarray(value).tobytes())
    return digest.hexdigest()[:16]


def save_checkpoint(folder: Path, state: dict) -> None:
    """Write checkpoint.pt, then history.csv; each appears under its name only when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".checkpoint.{os.getpid()}.part"
    torch.save(state, partial)
    os.replace(partial, folder / "checkpoint.pt")
    partial = folder / f".history.{os.getpid()}.part"
    pd.DataFrame(state["history"]).to_csv(partial, index=False)
    os.replace(partial, folder / "history.csv")


def load_checkpoint(path: Path, identity: dict) -> dict:
    try:
        state = torch.load(path, weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ValueError(f"{path} is cut or damaged and cannot be resumed from ({type(error).__name__})") from error
    for name, value in identity.items():
        before = state["identity"][name]
        if before != value:
            changed = ", ".join(f"{k} was {before.get(k)}, is {v}" for k, v in value.items() if before.get(k) != v) \
                if isinstance(value, dict) else f"was {before}, is {value}"
            raise ValueError(f"{path} belongs to a run with another {name}: {changed}")
    return state


@contextmanager
def no_interrupt():
    """Ctrl-C sets an event instead of breaking a step in the middle; a second one breaks at once. Within another
    `no_interrupt` the outer one is told."""
    event = threading.Event()

    def handle(number, frame):
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    handle.waits = True
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or hasattr(before, "waits"):
        yield event
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
