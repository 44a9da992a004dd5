"""The algorithms by name: `train("bc", "maze-fo")`. A new algorithm is one file and one line here."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path

from accelerate.utils import broadcast_object_list

from lmrl_lab.data import generate
from lmrl_lab.env import TASKS, unknown
from lmrl_lab.episode import Episode, episodes_hash
from lmrl_lab.files import write_atomically
from lmrl_lab.tokens import check_context

# id -> (module, config, function)
ALGORITHMS = {
    "bc": ("lmrl_lab.algorithms.bc", "BCConfig", "train_bc"),
    "filtered_bc": ("lmrl_lab.algorithms.bc", "FilteredBCConfig", "train_filtered_bc"),
    "mc": ("lmrl_lab.algorithms.mc", "MCConfig", "train_mc"),
    "ilql": ("lmrl_lab.algorithms.ilql", "ILQLConfig", "train_ilql"),
    "ppo": ("lmrl_lab.algorithms.ppo", "PPOConfig", "train_ppo"),
    "online_filtered_bc": ("lmrl_lab.algorithms.online_bc", "OnlineFilteredBCConfig", "train_online_filtered_bc"),
    "grpo": ("lmrl_lab.algorithms.grpo", "GRPOConfig", "train_grpo"),
}
TRL = "'trl>=1.10,<1.13'"
FROM_CLONE = ("mc", "ilql", "ppo", "online_filtered_bc", "grpo")  # start from a cloned agent instead of a network


def train(algorithm: str, task: str, episodes: list[Episode] | None = None, *, seed: int = 0, init=None,
          model: str | os.PathLike | None = None, context: str | int | None = None,
          out: str | os.PathLike | None = None, resume: bool = False, live: bool = False,
          callback: Callable[[dict, list[dict]], None] | None = None,
          probe: Callable[[object], dict[str, float]] | None = None, probe_every: int = 100, **settings):
    """Train an agent on Episodes.

    episodes: the data; None generates the task's behaviour data with seed 0, where they are read. init: the cloned agent that
    all but BC and filtered BC start from; None trains the card's `clone` first, and its seconds are counted. model: a folder
    or hub name of a causal language model; None makes a tiny GPT-2 from nothing. context: what the agent sees; None: the
    card's default. out: a run folder (config.json, history.csv, a checkpoint, agent/; bc/ or filtered_bc/ is the run of the
    clone before); resume: go on from its checkpoint. live: draw the learning curve while it grows. probe:
    `probe(agent) -> {name: number}` is asked every `probe_every` steps and written into the history, its time not counted.
    settings: fields of the algorithm's config, say `steps=100`; what is not given comes from the task's card, then from the
    config's own defaults.
    Returns an Agent; `agent.history` is a DataFrame. Raises ValueError for unknown names and for data of other tasks.
    """
    config, card = configured(algorithm, task, settings), TASKS[task]
    context = _context(card, context, algorithm, init, model)
    if episodes is None:
        episodes = generate(task) if init is None or config.reads_data else []
    episodes = list(episodes)
    for episode in episodes:
        if episode.task != task:
            raise ValueError(f"an episode of '{episode.task}' among the data for '{task}'")
    folder = Path(out) if out is not None else None
    if folder is not None:
        run = {"algorithm": algorithm, "task": task, "seed": seed, "context": context, "init": init and init.fingerprint(),
               "model": None if model is None else str(model), "data": episodes_hash(episodes), "config": asdict(config)}
        _on_main_process(lambda: _claim(folder, run, resume))
    told = {"seed": seed, "folder": folder, "resume": resume}
    if algorithm not in FROM_CLONE:
        from lmrl_lab.models import pretrained_model, tiny_model
        network = tiny_model(card, context, seed, **card.network) if model is None else pretrained_model(model, card)
        begin = (*network, context)
    else:
        if init is None:
            init = train(card.clone, task, episodes, seed=seed, model=model, context=context,
                         out=folder and folder / card.clone, resume=resume, live=live, callback=callback, **config.cloning())
            told["spent"] = float(init.history["seconds"].iloc[-1])
        begin = (init,)
    curve = None
    if live:
        from lmrl_lab.widgets import LiveCurve
        curve = LiveCurve(title=f"{algorithm} on {task}")

    def tell(row, history):
        for listener in (curve, callback):
            if listener is not None:
                listener(row, history)

    try:
        agent = _part(algorithm, 2)(task, episodes, *begin, config, **told, callback=tell, probe=probe, probe_every=probe_every)
    finally:  # an interrupted run leaves its curve too
        if curve is not None:
            curve.finish()
    if folder is not None:
        _on_main_process(lambda: agent.save(folder / "agent"))
    return agent


def configured(algorithm: str, task: str, settings: Mapping[str, object]):
    """The algorithm's config: its own defaults, then the task's card's, then these settings. ValueError for unknown names."""
    if algorithm not in ALGORITHMS:
        raise unknown("algorithm", algorithm, ALGORITHMS)
    own, config = TASKS[task].settings.get(algorithm, {}), _part(algorithm, 1)
    names = [field.name for field in fields(config)]
    for name in settings:
        if name not in names:
            raise unknown(f"setting of {algorithm}", name, names)
    return config(**{**own, **settings})


def _part(algorithm: str, part: int):
    """Its config (1) or its function (2), which is imported now: PPO and GRPO need TRL, which may be missing or too new."""
    try:
        return getattr(importlib.import_module(ALGORITHMS[algorithm][0]), ALGORITHMS[algorithm][part])
    except ImportError as error:
        if (error.name or "").split(".")[0] != "trl":
            raise
        raise ValueError(f"{algorithm} needs TRL ({error}): pip install {TRL}") from None


def _context(card, context: str | int | None, algorithm: str, init, model) -> str | int:
    """What the agent is to see; raises ValueError where an `init` does not fit the rest."""
    if init is None:
        return card.context if context is None else check_context(context)
    if algorithm not in FROM_CLONE:
        raise ValueError(f"{algorithm} starts from nothing or from a model, not from an agent (init)")
    if init.task != card.id:
        raise ValueError(f"the agent to start from was trained for '{init.task}', not for '{card.id}'")
    if model is not None:
        raise ValueError("give an agent to start from (init) or a model, not both")
    if context is not None and check_context(context) != init.context:
        raise ValueError(f"the agent to start from sees context={init.context!r}, not {context!r}")
    return init.context


def _on_main_process(function: Callable[[], object]) -> None:
    """Call it in one of the processes of a run; every process raises what it raised there."""
    outcome: list = [None]
    from lmrl_lab.training import processes
    if processes().is_main_process:
        try:
            function()
        except Exception as error:
            outcome = [error]
    if (error := broadcast_object_list(outcome)[0]) is not None:
        raise error


def _claim(folder: Path, config: dict, resume: bool) -> None:
    """Write config.json; refuse a folder that holds another run, or this one when it is not to be resumed."""
    path, config = folder / "config.json", json.loads(json.dumps(config))
    if path.exists() and [p.name for p in folder.iterdir()] != ["config.json"]:  # alone it is a run that never began
        if not resume:
            raise FileExistsError(f"{folder} already holds a run; resume it (resume=True, --resume) or name another folder")
        before = json.loads(path.read_text())
        changed = [name for name in config if before.get(name) != config[name]]
        if changed:
            raise ValueError(f"{folder} holds a run with another {', '.join(changed)}: it cannot be resumed with these")
    elif folder.exists() and any(p != path for p in folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty and holds no run; nothing was written")
    else:
        write_atomically(path, json.dumps(config, indent=1))
