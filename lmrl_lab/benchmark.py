"""The benchmark: every algorithm on every task and seed, a file a cell, so that it may be cut, shared out and gone on with.

Here cells are trained and played. `DIR/cells` holds a file a cell, `DIR/runs` the run folders of their training, `DIR/games`
what a language model played. What is counted from the finished cells stands in `benchmark_tables.py`.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import platform
import re
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch

import lmrl_lab
from lmrl_lab import benchmark_tables as tables
from lmrl_lab.agent import Agent, load_agent
from lmrl_lab.algorithms import ALGORITHMS, FROM_CLONE, configured, train
from lmrl_lab.data import examples, generate
from lmrl_lab.env import TASKS, make, unknown
from lmrl_lab.episode import Episode
from lmrl_lab.evaluation import evaluate, start_groups
from lmrl_lab.files import code_hash, write_atomically
from lmrl_lab.simulators import ChatPolicy
from lmrl_lab.training import processes

TEMPERATURES = (1.0, 0.0)  # of the two evaluations of a cell: sampled and greedy
USUAL = [name for name in ALGORITHMS if name != "grpo"]  # the paper's; GRPO is made where it is asked for


class Cell(NamedTuple):
    task: str
    algorithm: str
    seed: int  # of the data, of the networks and of the evaluation

    def __str__(self) -> str:
        return f"{self.task}-{self.algorithm}-{self.seed}"


@dataclass
class Benchmark:
    """A benchmark in a folder: `Benchmark("runs/benchmark", ["maze-fo"]).run()`.

    tasks, algorithms: ids, None: all tasks, the `USUAL` algorithms. episodes: games of an evaluation, None: the card's. settings:
    algorithm -> what differs from the cards' settings, on all tasks. few_shot: the spec of a language model that plays too, told
    the rules and shown `examples` games. Raises ValueError for what is not known.

    A cell belongs to the configuration that it was made with: settings, games, versions, and a hash of the code as it is when
    this object is made. A folder that holds a cell of another one is refused.
    """

    folder: Path
    tasks: Sequence[str] | None = None
    algorithms: Sequence[str] | None = None
    seeds: Sequence[int] = (0, 1, 2)
    episodes: int | None = None
    settings: dict[str, dict] = field(default_factory=dict)
    few_shot: str | None = None
    examples: int = 0

    def __post_init__(self):
        self.folder = Path(self.folder)
        self.tasks = _in_order("task", self.tasks or TASKS, list(TASKS))
        self.algorithms = _in_order("algorithm", self.algorithms or USUAL, [*ALGORITHMS, "few_shot"])
        _in_order("algorithm", self.settings, list(ALGORITHMS))
        if idle := [f"{algorithm}.bc_steps" for algorithm, own in self.settings.items() if "bc_steps" in own]:
            raise ValueError(f"{', '.join(idle)}: all cells of a task and seed start from one clone; its steps are bc.steps or "
                             "filtered_bc.steps")
        if self.few_shot is not None and "few_shot" not in self.algorithms:
            self.algorithms.append("few_shot")
        if self.few_shot is None and ("few_shot" in self.algorithms or self.examples):
            raise ValueError("few_shot, and examples, need a language model: --few-shot chat:MODEL[@URL] or transformers:PATH")
        self.seeds = sorted(set(self.seeds))
        for name, value in (("a seed", min(self.seeds)), ("episodes", self.episodes)):
            if value is not None and (not isinstance(value, int) or value < (name == "episodes")):
                raise ValueError(f"{name} is a whole number, at least {int(name == 'episodes')}, not {value!r}")
        self._circumstances = circumstances()
        for cell in self.cells():  # what is wrong is said before the night, and all code is read now
            self.configuration(cell)

    def units(self, shard: tuple[int, int] = (1, 1)) -> list[tuple[str, int]]:
        """The (task, seed) of shard (i, n), i from 1 to n. What starts from one clone is one unit; units, ordered by task and
        then seed, are dealt out in turn."""
        i, n = shard
        return [(task, seed) for task in self.tasks for seed in self.seeds][i - 1::n]

    def cells(self, shard: tuple[int, int] = (1, 1)) -> list[Cell]:
        return [Cell(task, algorithm, seed) for task, seed in self.units(shard) for algorithm in self.algorithms]

    # ------------------------------------------------------------------------------------------------ what belongs to what

    def configuration(self, cell: Cell) -> dict:
        """All that a cell's numbers depend on, as it reads in a file."""
        card = TASKS[cell.task]
        record = {**cell._asdict(), "episodes": self.episodes or card.evaluation_episodes, **self._circumstances}
        if (black := _opponent(cell.task)) is not None:
            record["opponent"] = black
        if cell.algorithm == "few_shot":
            record |= {"model": self.few_shot, "examples": self.examples}
        else:
            record |= {"context": card.context, "settings": self._settings(cell.task, cell.algorithm)}
            if cell.algorithm in FROM_CLONE:
                record |= {"start": card.clone, "clone": self._settings(cell.task, card.clone)}
        return json.loads(json.dumps(record))

    def _settings(self, task: str, algorithm: str) -> dict:
        """All settings of an algorithm on a task, as `train` makes them up."""
        return asdict(configured(algorithm, task, self.settings.get(algorithm, {})))

    def _read(self, path: Path) -> tuple[Cell, dict]:
        """A cell's file. Raises ValueError where it is not whole, or of another configuration: it says what differs."""
        try:
            record = json.loads(path.read_text())
            found = record["configuration"]
            cell = Cell(found["task"], found["algorithm"], found["seed"])
            train, plays = record["train"], record["plays"]
            if path.stem != str(cell) or (plays and not train and cell.algorithm != "few_shot"):
                raise ValueError("it is not what its name says")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is cut or damaged ({error}); remove it and {self.folder / 'runs' / path.stem}, and the "
                             "same command makes this cell again") from None
        wanted = self.configuration(cell)
        if cell.algorithm == "few_shot" and self.few_shot is None:  # not asked for now: whichever model it was
            wanted |= {"model": found.get("model"), "examples": found.get("examples")}
        if changed := list(differences(found, wanted)):
            raise ValueError(f"{path} belongs to another benchmark: {', '.join(changed)}; name another folder (--out)")
        return cell, record

    def records(self) -> dict[Cell, dict]:
        """All cells that the folder holds, the begun ones too."""
        return dict(self._read(path) for path in sorted((self.folder / "cells").glob("*.json")))

    def finished(self) -> dict[Cell, dict]:
        return {cell: record for cell, record in self.records().items() if record["plays"]}

    # ------------------------------------------------------------------------------------------------ making cells

    def run(self, shard: tuple[int, int] = (1, 1), csv: Path | None = None, tell: Callable[[str], None] = print) -> list[str]:
        """Make the missing cells of a shard, then the tables of all that the folder holds; what failed, a line a cell.

        Other shards of as many may run in the same folder at the same time. A run that was stopped or killed goes on when it
        is called again, in the middle of a cell's training from its last checkpoint.
        """
        self.records()  # a folder of something else is refused before anything is trained
        failed = []
        for task, seed in self.units(shard):
            data = functools.cache(functools.partial(generate, task, seed=seed))
            for algorithm in self.algorithms:
                cell = Cell(task, algorithm, seed)
                if self._begun(cell)["plays"]:
                    continue
                try:
                    self._play(cell, data)
                    tell(tables.line(self._begun(cell)))
                except (ValueError, FloatingPointError, RuntimeError) as error:  # out of memory, too: the others are worth having
                    failed.append(f"{cell} failed: {error}")
                    tell(failed[-1])
        csv, written = csv or self.folder / "benchmark.csv", {}
        while written != (done := self.finished()):  # another shard may have finished, and written, meanwhile
            tables.write(csv, done.values(), self.header(done))
            written = done
        return failed

    def _begun(self, cell: Cell) -> dict:
        """The cell's record; the first time a new one, written before anything else is, so that a run folder has an owner."""
        path = self.folder / "cells" / f"{cell}.json"
        if path.exists():
            return self._read(path)[1]
        if (run := self.folder / "runs" / str(cell)).exists():
            raise ValueError(f"{run} holds a run of which {path} says nothing; remove it or name another folder (--out)")
        return self._write(cell, {"configuration": self.configuration(cell), "train": None, "plays": None})

    def _write(self, cell: Cell, record: dict) -> dict:
        write_atomically(self.folder / "cells" / f"{cell}.json", json.dumps(record))
        return record

    def _trained(self, cell: Cell, data: Callable[[], list[Episode]]) -> tuple[Agent, dict]:
        """The cell's agent, read back from its run folder, and its record with what the training took, that of the clone it
        starts from included. Seconds count preparation and loop; what was lost between a checkpoint and a kill they do not."""
        record, folder = self._begun(cell), self.folder / "runs" / str(cell)
        if not record["train"] or not (folder / "agent").exists():  # who removes run folders to save space trains them again
            init, before = None, {"cpu_seconds": 0.0, "wall_seconds": 0.0}
            if cell.algorithm in FROM_CLONE:
                init, cloned = self._trained(cell._replace(algorithm=TASKS[cell.task].clone), data)
                before = cloned["train"]
            episodes, history = data(), folder / "history.csv"
            spent = float(pd.read_csv(history)["seconds"].iloc[-1]) if history.exists() else 0.0  # up to the checkpoint
            begin = time.process_time(), time.monotonic()
            agent = train(cell.algorithm, cell.task, episodes, seed=cell.seed, init=init, out=folder, resume=True,
                          **self.settings.get(cell.algorithm, {}))
            self._write(cell, record | {"train": {
                "cpu_seconds": before["cpu_seconds"] + spent + time.process_time() - begin[0],
                "wall_seconds": before["wall_seconds"] + spent + time.monotonic() - begin[1],  # at least: of the part before a
                #   checkpoint the CPU seconds are known
                "tokens": float(agent.history["tokens"].iloc[-1])}})
        return load_agent(folder), self._begun(cell)

    def _play(self, cell: Cell, data: Callable[[], list[Episode]]) -> None:
        """Play the cell's games, and write down what the tables need of each."""
        if cell.algorithm == "few_shot":
            policy = ChatPolicy(self.few_shot, cell.task, examples(cell.task, self.examples))
            players, record = {policy.transport.settings["temperature"]: policy}, self._begun(cell)
            save_to = self.folder / "games" / f"{cell}.jsonl"
            save_to.parent.mkdir(parents=True, exist_ok=True)
        else:
            agent, record = self._trained(cell, data)
            players, save_to = {t: agent.with_decoding(temperature=t) for t in TEMPERATURES}, None
        plays = []
        for temperature, policy in players.items():
            begin = time.process_time(), time.monotonic()
            _, games = evaluate(policy, cell.task, self.episodes, cell.seed, return_episodes=True, save_to=save_to)
            plays.append({
                "temperature": temperature, "cpu_seconds": time.process_time() - begin[0],
                "wall_seconds": time.monotonic() - begin[1], "returns": [game.total_return for game in games],
                "success": [int(game.success) for game in games], "invalid": [game.info.get("invalid", 0) for game in games],
                "length": [len(game.actions) for game in games], "starts": start_groups(games),
                "outgrown": [i for i, game in enumerate(games) if game.info.get("outgrown")]})
        self._write(cell, record | {"plays": plays})

    # ------------------------------------------------------------------------------------------------ what it says of itself

    def command(self) -> list[str]:
        """The shell command that makes all of it, without the folder."""
        words = ["python", "-m", "lmrl_lab", "benchmark"]
        for name, values, usual in (("tasks", self.tasks, list(TASKS)), ("seeds", self.seeds, [0, 1, 2]),
                                    ("algorithms", [a for a in self.algorithms if a != "few_shot"], USUAL)):
            words += [] if values == usual else [f"--{name}", *map(str, values)]
        words += ["--episodes", str(self.episodes)] if self.episodes else []
        words += [word for algorithm, own in sorted(self.settings.items()) for name, value in sorted(own.items())
                  for word in ("--set", f"{algorithm}.{name}={value}")]
        words += ["--few-shot", self.few_shot] if self.few_shot else []
        return words + (["--examples", str(self.examples)] if self.examples else [])

    def header(self, done: dict[Cell, dict]) -> list[str]:
        """What stands above a table: the command, the versions, and which of its cells are not there yet."""
        about = self._circumstances
        missing = [str(cell) for cell in self.cells() if cell not in done]
        return [f"made by: {shlex.join(self.command())}",
                ", ".join(f"{name} {version}" for name, version in about["versions"].items())
                + f"; {about['machine']}, {about['device']}, threads {about['threads']}; code {about['code']}",
                f"{len(done)} cells; missing of this command's: {', '.join(missing) or 'none'}"]

    def summary(self) -> str:
        """All finished cells, the seeds together."""
        done = self.finished()
        if not done:
            return "no cell is finished"
        table = tables.pooled(done.values()).drop(columns=["normalized_low", "normalized_high", "invalid_rate", "cpu_seconds"])
        return table.round(2).to_string(index=False)

    def listed(self, shard: tuple[int, int] = (1, 1)) -> Iterator[str]:
        """A line a cell of a shard: its name and how far it is."""
        records = self.records()
        for cell in self.cells(shard):
            record = records.get(cell)
            state = "to do" if record is None else "done" if record["plays"] else "trained" if record["train"] else "begun"
            yield f"{state:8} {cell.task} {cell.algorithm} seed {cell.seed}"


def read_shard(text: str) -> tuple[int, int]:
    """"2/3" -> (2, 3): the second of three parts."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError(f"a shard is I/N, part I from 1 to N of N parts, say 1/2, not '{text}'")
    return int(found[1]), int(found[2])


def _in_order(kind: str, names: Iterable[str], known: list[str]) -> list[str]:
    """Each once, in the order of the known ones."""
    for name in names:
        if name not in known:
            raise unknown(kind, name, known)
    return sorted(set(names), key=known.index)


def _opponent(task: str) -> str | None:
    """Who plays the other side, where that depends on what is installed."""
    env = make(task)
    try:
        return getattr(env, "opponent", None)
    finally:
        env.close()


def circumstances() -> dict:
    """Versions, machine and code. The hash is of all files that train, play and score, of the tasks' tables and the prompts."""
    package = Path(__file__).parent
    versions = {"lmrl_lab": lmrl_lab.__version__, "python": platform.python_version()}
    for name in ("torch", "transformers", "trl"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {"versions": versions, "machine": platform.machine(), "device": processes().device.type,
            "threads": torch.get_num_threads(),
            "code": code_hash(*package.glob("tasks/*.py"), *package.glob("prompts/*.txt"))}


def differences(found: dict, wanted: dict, path: str = "") -> Iterator[str]:
    """What two configurations disagree in: "settings.steps was 5, is 300"."""
    for name in [*wanted, *(name for name in found if name not in wanted)]:
        before, now = found.get(name), wanted.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from differences(before, now, f"{path}{name}.")
        elif before != now:
            yield f"{path}{name} was {before}, is {now}"
