"""The online algorithms in the mazes: learning curves and end results, and what PPO's collapse needs and what cures it."""

from __future__ import annotations

import sys

import pandas as pd

from lmrl_lab.agent import Agent
from lmrl_lab.algorithms import train
from lmrl_lab.data import generate
from lmrl_lab.evaluation import evaluate
from lmrl_lab.results import once
from lmrl_lab.tasks import maze, maze_board

CODE = (maze, maze_board, sys.modules[__name__])
ALGORITHMS = ("ppo", "online_filtered_bc", "grpo")
UPDATES = {"maze-fo": 40, "maze-po": 60}
LONGER = 3  # times as long, to see whether anything collapses
# what is changed, one thing at a time, in a run that collapses: a large learning rate and whitening without a floor
COLLAPSE = {"learning_rate": 3e-3, "whiten_floor": 0.0}
CURES = {
    "nothing": {}, "learning rate 1e-3": {"learning_rate": 1e-3}, "learning rate 3e-4": {"learning_rate": 3e-4},
    "learning rate 1e-4": {"learning_rate": 1e-4}, "KL .1": {"kl_coef": 0.1}, "BC loss 1": {"bc_coef": 1.0},
    "entropy .02": {"entropy_coef": 0.02}, "value weight .1": {"vf_coef": 0.1}, "reward scale .01": {"reward_scale": 0.01},
    "256 games": {"episodes_per_update": 256}, "whitening floor .3": {"whiten_floor": 0.3},
    "floor .3, rate 3e-4": {"whiten_floor": 0.3, "learning_rate": 3e-4}}


def maze_online(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """Each online algorithm from the BC agent at default settings: a row a run, and a row a round."""
    rows, curves = [], []
    for task in UPDATES:
        for seed in seeds:
            bc = _Clone(task, seed)
            for algorithm in ALGORITHMS:
                for updates in (UPDATES[task], LONGER * UPDATES[task]):
                    found = once(f"online-{task}-{algorithm}-{updates}-{seed}",
                                 lambda a=algorithm, n=updates, bc=bc: _run(a, n, bc), *CODE)
                    rows.append(found[-1])
                    if updates == UPDATES[task]:
                        curves += found[:-1]
                    print(pd.DataFrame(rows[-1:]).round(2).to_string(index=False), flush=True)
    return {"maze_online_runs": pd.DataFrame(rows), "maze_online": pd.DataFrame(curves)}


def ppo_stability(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """PPO on maze-fo, 60 rounds, where it collapses, and with one thing changed at a time: a row a cure and seed."""
    rows = []
    for seed in seeds:
        bc = _Clone("maze-fo", seed)
        for cure, change in CURES.items():
            settings = {**COLLAPSE, **change}
            rows += once(f"stability-{cure}-{seed}", lambda cure=cure, s=settings, bc=bc: [_stability(cure, s, bc)], *CODE)
            print(pd.DataFrame(rows[-1:]).round(2).to_string(index=False), flush=True)
    return {"ppo_stability": pd.DataFrame(rows)}


class _Clone:
    """The BC agent of a task and seed, trained when it is first asked for."""

    def __init__(self, task: str, seed: int):
        self.task, self.seed, self._agent = task, seed, None

    @property
    def agent(self) -> Agent:
        if self._agent is None:
            self._agent = train("bc", self.task, generate(self.task, seed=self.seed), seed=self.seed)
        return self._agent


def _run(algorithm: str, updates: int, bc: _Clone) -> list[dict]:
    """A row a round, and behind them one for the run: its best and its last tenth, and an evaluation at its end."""
    told = {"task": bc.task, "algorithm": algorithm, "seed": bc.seed}
    agent = train(algorithm, bc.task, init=bc.agent, seed=bc.seed, updates=updates)
    history = agent.history
    curve = [{**told, "step": int(row["step"]), "episodes": int(row["episodes"]), "seconds": row["seconds"],
              "mean_return": row["mean_return"]} for row in history.to_dict("records")]
    score = evaluate(agent, bc.task, seed=bc.seed)
    return [*curve, {**told, "updates": updates, **tenths(history["mean_return"]), "mean_return": score.mean_return,
                     "interval_low": score.interval[0], "interval_high": score.interval[1], "success_rate": score.success_rate,
                     "cpu_seconds": history["seconds"].iloc[-1]}]


def _stability(cure: str, settings: dict, bc: _Clone) -> dict:
    history = train("ppo", bc.task, generate(bc.task, seed=bc.seed), init=bc.agent, seed=bc.seed, updates=60, **settings).history
    return {"cure": cure, "seed": bc.seed, **tenths(history["mean_return"]), **falls(history["mean_return"]),
            "entropy": history["entropy"].iloc[-1], "kl": history["kl"].iloc[-1], "largest_step": history["approx_kl"].max()}


def tenths(returns: pd.Series) -> dict[str, float]:
    """The best and the last tenth of a run, means over a tenth of its rounds."""
    means = returns.rolling(max(1, len(returns) // 10)).mean()
    return {"best_tenth": means.max(), "last_tenth": means.iloc[-1]}


def falls(returns: pd.Series, good: float = -8.5, bad: float = -10.0) -> dict[str, float]:
    """After the first round with a return of at least `good`: how many are below `bad`, and the worst; NaN if there was none."""
    reached = returns[(returns >= good).cummax()]
    return {"reached": int(returns.index[(returns >= good)].min()) + 1 if len(reached) else float("nan"),
            "falls": int((reached < bad).sum()) if len(reached) else float("nan"), "worst": reached.min()}


EXPERIMENTS = {"maze_online": maze_online, "ppo_stability": ppo_stability}
