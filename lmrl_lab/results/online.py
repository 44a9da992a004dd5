"""The online algorithms in the mazes: learning curves and end results, and what PPO's collapse needs and what cures it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

import pandas as pd

from lmrl_lab.agent import Agent
from lmrl_lab.data import generate
from lmrl_lab.evaluation import evaluate
from lmrl_lab.results import once, trained
from lmrl_lab.tasks import maze, maze_board

CODE = (maze, maze_board, sys.modules[__name__])
BC = {"BC": ("bc", {}, None)}  # methods as in `trained`; all others start from it
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
AS_THEY_ARE = {"reward_scale": 1.0, "kl_coef": 0.1}  # kl_coef goes with the rewards
SCALES = {"rewards times .1": {}, "rewards as they are": AS_THEY_ARE,
          "rewards as they are, V's loss times .01": {**AS_THEY_ARE, "vf_coef": 0.005}}


def maze_online(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """Each online algorithm from the BC agent at default settings: a row a run, and a row a round."""
    rows, curves = [], []
    for task, usual in UPDATES.items():
        methods = {**BC, **{f"{algorithm}-{updates}": (algorithm, {"updates": updates}, "BC")
                            for algorithm in ALGORITHMS for updates in (usual, LONGER * usual)}}
        for seed in seeds:
            agent = _maker(methods, task, seed)
            for method in [name for name in methods if name not in BC]:
                *curve, run = once(f"online-{task}-{method}-{seed}", functools.partial(_run, agent, method, task, seed), *CODE)
                rows.append(run)
                curves += curve if run["updates"] == usual else []
                print(pd.DataFrame([run]).round(2).to_string(index=False), flush=True)
    return {"maze_online_runs": pd.DataFrame(rows), "maze_online": pd.DataFrame(curves)}


def ppo_stability(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """PPO on maze-fo, 60 rounds, where it collapses, and with one thing changed at a time: a row a cure and seed."""
    rows = _changed(seeds, {cure: {**COLLAPSE, **change} for cure, change in CURES.items()}, _stability)
    return {"ppo_stability": pd.DataFrame(rows)}


def ppo_scale(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """PPO on maze-fo at default settings, 60 rounds, and with rewards that are not scaled down: the gradients of V and policy
    meet in the trunk, and the larger one is followed. A row a setting and seed; grad_norm: the first round's, not clipped."""
    rows = _changed(seeds, SCALES, lambda history, setting, seed: [
        {"setting": setting, "seed": seed, **tenths(history["mean_return"]), **falls(history["mean_return"]),
         "grad_norm": history["grad_norm"].iloc[0]}])
    return {"ppo_scale": pd.DataFrame(rows)}


def _changed(seeds: list[int], changes: dict[str, dict], told: Callable[[pd.DataFrame, str, int], list[dict]]) -> list[dict]:
    """PPO on maze-fo, 60 rounds, with each of these changes: what is `told` of its history."""
    rows, methods = [], {**BC, **{name: ("ppo", {"updates": 60, **own}, "BC") for name, own in changes.items()}}
    for seed in seeds:
        agent = _maker(methods, "maze-fo", seed)
        for name in changes:
            rows += once(f"ppo-{name}-{seed}", lambda agent=agent, name=name, seed=seed: told(
                agent(name).history, name, seed), *CODE)
            print(pd.DataFrame(rows[-1:]).round(2).to_string(index=False), flush=True)
    return rows


def _maker(methods: dict[str, tuple], task: str, seed: int) -> Callable[[str], Agent]:
    """name of a method -> its agent, trained when it is first asked for."""
    data = functools.partial(generate, task, seed=seed)
    return functools.partial(trained, methods=methods, task=task, episodes=data, seed=seed, agents={})


def _run(agent: Callable[[str], Agent], method: str, task: str, seed: int) -> list[dict]:
    """A row a round, and behind them one for the run: its best and its last tenth, and an evaluation at its end."""
    player = agent(method)
    told, history = {"task": task, "algorithm": method.split("-")[0], "seed": seed}, player.history
    curve = [{**told, "step": int(row["step"]), "episodes": int(row["episodes"]), "seconds": row["seconds"],
              "mean_return": row["mean_return"]} for row in history.to_dict("records")]
    score = evaluate(player, task, seed=seed)
    parts = {part: history[part].sum() if part in history else float("nan")
             for part in ("rollout_seconds", "scoring_seconds", "update_seconds")}  # PPO's profile
    return [*curve, {**told, "updates": len(history), **tenths(history["mean_return"]), "mean_return": score.mean_return,
                     "interval_low": score.interval[0], "interval_high": score.interval[1], "success_rate": score.success_rate,
                     "cpu_seconds": player.spent, "tokens": history["tokens"].iloc[-1], **parts}]


def _stability(history: pd.DataFrame, cure: str, seed: int) -> list[dict]:
    return [{"cure": cure, "seed": seed, **tenths(history["mean_return"]), **falls(history["mean_return"]),
             "entropy": history["entropy"].iloc[-1], "kl": history["kl"].iloc[-1], "largest_step": history["approx_kl"].max()}]


def tenths(returns: pd.Series) -> dict[str, float]:
    """The best and the last tenth of a run, means over a tenth of its rounds."""
    means = returns.rolling(max(1, len(returns) // 10)).mean()
    return {"best_tenth": means.max(), "last_tenth": means.iloc[-1]}


def falls(returns: pd.Series, good: float = -8.5, bad: float = -10.0) -> dict[str, float]:
    """After the first round with a return of at least `good`: how many are below `bad`, and the worst; NaN if there was none."""
    reached = returns[(returns >= good).cummax()]
    return {"reached": int(returns.index[(returns >= good)].min()) + 1 if len(reached) else float("nan"),
            "falls": int((reached < bad).sum()) if len(reached) else float("nan"), "worst": reached.min()}


EXPERIMENTS = {"maze_online": maze_online, "ppo_stability": ppo_stability, "ppo_scale": ppo_scale}
