"""The one currency: Turn and Episode, and how Episodes are written to and read from files.

Everything that plays leaves Episodes and everything that learns eats them; nothing here knows about a task or a model.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path


class EpisodeFileError(ValueError):
    """A file that does not hold whole, well-formed Episodes of the task asked for."""


@dataclass(slots=True)
class Turn:
    """One utterance.

    `reward` belongs to actions only and is in task units. `token_ids` and `logprobs` are kept where a model sampled
    the action: training must see the tokens that were sampled, and text does not always tokenise back to them.
    """

    text: str
    is_action: bool
    reward: float = 0.0
    token_ids: list[int] | None = None
    logprobs: list[float] | None = None


@dataclass(slots=True)
class Episode:
    """A finished or cut game: observation, action, observation, ..., in the order in which they were said.

    `terminated`: the game ended by its own rules, no value follows. `truncated`: it was cut, and the last turn is an
    ordinary observation from which a value can be taken. `seed` and `info["options"]` start the same game again.
    """

    task: str
    turns: list[Turn]
    terminated: bool
    truncated: bool
    seed: int | None = None
    policy: str = ""
    info: dict = field(default_factory=dict)

    def __post_init__(self):
        if len(self.turns) < 2 or any(turn.is_action != (i % 2 == 1) for i, turn in enumerate(self.turns)):
            raise ValueError("an episode alternates observation and action, starts with an observation and has an action")
        if self.terminated and self.truncated:
            raise ValueError("an episode is terminated or truncated, not both")
        if not self.turns[-1].is_action:
            return
        if self.truncated:
            raise ValueError("a truncated episode ends with the observation that followed its last action")

    @property
    def actions(self) -> list[str]:
        return [turn.text for turn in self.turns if turn.is_action]

    @property
    def observations(self) -> list[str]:
        return [turn.text for turn in self.turns if not turn.is_action]

    @property
    def rewards(self) -> list[float]:
        """One number per action, in task units."""
        return [turn.reward for turn in self.turns if turn.is_action]

    @property
    def total_return(self) -> float:
        """Undiscounted sum of rewards, in task units."""
        return float(sum(turn.reward for turn in self.turns))

    @property
    def success(self) -> bool:
        return bool(self.info.get("success", False))

    def transcript(self) -> str:
        """The game as text, a line a turn, actions marked with '> ' and followed by what they earned."""
        lines = [f"> {t.text}   [{t.reward:+g}]" if t.is_action else t.text.rstrip("\n") for t in self.turns]
        end = "over" if self.terminated else "cut" if self.truncated else "not finished"
        return "\n".join([*lines, f"({end}; return {self.total_return:g})"])

    def to_dict(self) -> dict:
        record = asdict(self)
        for turn in record["turns"]:
            for key in ("token_ids", "logprobs"):
                if turn[key] is None:
                    del turn[key]
        return record

    @classmethod
    def from_dict(cls, record: dict) -> Episode:
        try:
            turns = [Turn(**turn) for turn in record["turns"]]
            for turn in turns:
                if not isinstance(turn.text, str) or type(turn.reward) not in (int, float) or not math.isfinite(turn.reward):
                    raise ValueError("a turn's text is a string and its reward a finite number")
            if not (type(record["terminated"]) is type(record["truncated"]) is bool and isinstance(record.get("info", {}), dict)):
                raise ValueError("terminated and truncated are true or false, info is an object")
            return cls(**{**record, "turns": turns})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an episode: {error}") from None


def episodes_hash(episodes: Iterable[Episode]) -> str:
    """16 hex digits that are the same for the same turns and rewards in the same order."""
    digest = hashlib.sha256()
    for episode in episodes:
        digest.update(repr([(turn.text, turn.is_action, turn.reward) for turn in episode.turns]).encode())
        digest.update(repr((episode.task, episode.terminated, episode.truncated, episode.success)).encode())
    return digest.hexdigest()[:16]


class _GzipFile(gzip.GzipFile):
    def __init__(self, path: Path, mode: str):
        self._raw = open(path, mode + "b")
        super().__init__("", mode + "b", compresslevel=5, fileobj=self._raw, mtime=0)

    def close(self):
        super().close()
        self._raw.close()


def _open(path: Path, mode: str):
    if path.suffix == ".gz":
        # no name and no time in the header: the same episodes give the same bytes
        return _GzipFile(path, mode)
    return open(path, mode + "b")


def write_episodes(path: str | os.PathLike, episodes: Iterable[Episode]) -> Path:
    """Write `.jsonl` or `.jsonl.gz`, an episode a line; the file appears under its name only when it is whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part{path.suffix}")
    try:
        with _open(partial, "w") as file:
            for episode in episodes:
                file.write((json.dumps(episode.to_dict(), ensure_ascii=False) + "\n").encode())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def append_episode(path: str | os.PathLike, episode: Episode) -> Path:
    """Add one episode to a plain `.jsonl` file (made if missing); refuses a file whose last line was cut."""
    path = Path(path)
    if path.suffix == ".gz":
        raise ValueError(f"{path}: episodes are appended to plain .jsonl files only")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                raise EpisodeFileError(f"{path}: the last line is cut; repair or move the file before adding to it")
        file.write((json.dumps(episode.to_dict(), ensure_ascii=False) + "\n").encode())
    return path


def read_json_lines(path: str | os.PathLike, empty_lines: bool = False) -> Iterable[tuple[int, object]]:
    """Yield (line number, parsed line) of a .jsonl or .jsonl.gz file; a cut or broken line is an EpisodeFileError.

    So is an empty line, unless `empty_lines`: then it is None.
    """
    path, number = Path(path), 0
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with _open(path, "r") as file:
            for number, line in enumerate(file, start=1):  # noqa: B007  (the except clauses name the line)
                if not line.endswith(b"\n"):
                    raise EpisodeFileError(f"{path}, line {number}: the file was cut in the middle of this line")
                yield number, None if empty_lines and not line.strip() else json.loads(line)
    except json.JSONDecodeError as error:
        raise EpisodeFileError(f"{path}, line {number}: not JSON ({error.msg})") from None
    except (EOFError, zlib.error, UnicodeDecodeError, OSError) as error:
        raise EpisodeFileError(f"{path}, after line {number}: cut or damaged ({error})") from None


def read_episodes(path: str | os.PathLike, task: str | None = None) -> list[Episode]:
    """Read Episodes back; with `task`, an episode of another task is an error.

    Raises EpisodeFileError that names the file and the line; nothing is read from a file that is not whole.
    """
    episodes = []
    for number, record in read_json_lines(path):
        try:
            episode = Episode.from_dict(record)
        except ValueError as error:
            raise EpisodeFileError(f"{path}, line {number}: {error}") from None
        if task is not None and episode.task != task:
            raise EpisodeFileError(f"{path}, line {number}: an episode of '{episode.task}', not of '{task}'")
        episodes.append(episode)
    return episodes
