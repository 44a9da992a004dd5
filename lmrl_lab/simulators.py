"""Language models in the games: as the partner that a player talks with (Simulator), and as a player (ChatPolicy).

How a model is reached is in `chat.py`, what it is told in `prompts/*.txt`; no rule of any game lives here.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from lmrl_lab.chat import (
    ACCEPTED,
    ChatEndpoint,
    Conversation,
    LocalModel,
    SimulatorError,
    Transport,
    Usage,
    clean,
    full_spec,
    spoken,
    transport,
)
from lmrl_lab.env import MAX_ACTION_CHARS, unknown
from lmrl_lab.episode import Episode

__all__ = ["ChatEndpoint", "ChatPolicy", "ChatSimulator", "LocalModel", "ModelSimulator", "Request", "Simulator",
           "SimulatorError", "TransformersSimulator", "Usage", "simulator"]

PROMPTS = Path(__file__).parent / "prompts"


@dataclass(frozen=True)
class Request:
    """What a model in the role of the partner is asked.

    hidden: what the partner knows and the player does not, as (name, text), such as (("object", "Piano"),); the prompt's
    {placeholders} are these names. turns: the texts so far, partner and player in turn, from the partner's first to the
    player's last.
    """

    task: str
    hidden: tuple[tuple[str, str], ...]
    turns: tuple[str, ...]


@runtime_checkable
class Simulator(Protocol):
    """Whoever answers for the partner. `spec` is what a transcript records and `simulator(spec)` builds again."""

    spec: str

    def replies(self, requests: Sequence[Request]) -> list[str]:
        """One reply a request, one line, stripped. Raises SimulatorError."""


def simulator(spec: str | Simulator) -> Simulator | None:
    """The simulator that a spec names: None for "scripted" (the env answers itself), else see `chat.ACCEPTED`.

    The same spec gives the same object, of the last four, so that many games share one model and one memory;
    $OPENAI_BASE_URL is read at each call. A Simulator passes through; anything else is a ValueError.
    """
    if isinstance(spec, str):
        return None if spec == "scripted" else _built(full_spec(spec))
    if isinstance(spec, Simulator):
        return spec
    raise ValueError(f"a simulator is a string ({', '.join(('scripted', *ACCEPTED))}) or has `spec` and `replies`, "
                     f"which a {type(spec).__name__} has not")


@functools.lru_cache(maxsize=4)
def _built(spec: str) -> ModelSimulator:
    if not re.match("(transformers|chat):.", spec):
        raise unknown("simulator", spec, ("scripted", *ACCEPTED))
    return ModelSimulator(transport(spec))


def first_line(text: str, longest: int) -> str:
    """The first line that says something, without marks, quotes and "You:", cut at `longest` characters; "" for none."""
    lines = (_bare(line, _SPEAKER) for line in clean(text).replace("*", "").splitlines())
    return next((line[:longest].strip() for line in lines if line), "")


class ModelSimulator:
    """A language model in the role of the partner.

    prompts_dir: a folder with prompts of your own, named as those in `lmrl_lab/prompts`. remember: so many answers are kept,
    or those of the last call that asked the model, if they are more. What was asked before, word for word, is not asked
    again: a greedy model would say the same, and one with a temperature above 0 says the same while it is remembered, in
    all games. max_chars: a longer reply is cut.
    """

    def __init__(self, transport: Transport, prompts_dir: str | os.PathLike | None = None, remember: int = 4096,
                 max_chars: int = 400):
        self.transport, self.prompts, self.remember, self.max_chars = transport, Path(prompts_dir or PROMPTS), remember, max_chars
        self._answers: OrderedDict[tuple, str] = OrderedDict()

    @property
    def spec(self) -> str:
        return self.transport.spec

    @property
    def usage(self) -> Usage:
        return self.transport.usage

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec!r})"

    def replies(self, requests: Sequence[Request]) -> list[str]:
        asked = {request: self.conversation(request) for request in requests}
        keys = {request: tuple(turn["content"] for turn in conversation) for request, conversation in asked.items()}
        found = {key: self._answers[key] for key in keys.values() if key in self._answers}
        new = {keys[request]: conversation for request, conversation in asked.items() if keys[request] not in found}
        if new:
            said = self.transport.complete(list(new.values()))
            found |= {key: first_line(text, self.max_chars) for key, text in zip(new, said, strict=True)}
        for key, text in found.items():
            self._answers[key] = text
            self._answers.move_to_end(key)
        while new and len(self._answers) > max(self.remember, len(found)):  # what was asked ahead is read one by one: it stays
            self._answers.popitem(last=False)
        return [found[keys[request]] for request in requests]

    def conversation(self, request: Request) -> Conversation:
        """What the model is asked: the prompt with its opening words, then the player as user and itself as assistant."""
        opening, *said = request.turns
        if len(said) % 2 == 0:
            raise ValueError("the last of a request's turns is the player's")
        system = f"{_filled(self.prompts, request)}\n\nYour first words were:\n{opening.strip()}"
        return conversation(system, said)


class TransformersSimulator(ModelSimulator):
    """A local `transformers` model as the partner; `settings` are those of `LocalModel`."""

    def __init__(self, name_or_path: str | os.PathLike, prompts_dir: str | os.PathLike | None = None, **settings):
        super().__init__(LocalModel(name_or_path, **settings), prompts_dir)


class ChatSimulator(ModelSimulator):
    """A model behind a chat endpoint as the partner; `settings` are those of `ChatEndpoint`."""

    def __init__(self, model: str, base_url: str | None = None, prompts_dir: str | os.PathLike | None = None, **settings):
        super().__init__(ChatEndpoint(model, base_url, **settings), prompts_dir)


def conversation(system: str, said: Sequence[str]) -> Conversation:
    """Messages from a system text and texts in turn, the user's first. Some servers refuse an empty one: it becomes "..."."""
    roles = ("user", "assistant")
    return [{"role": "system", "content": system},
            *({"role": roles[i % 2], "content": text.strip() or "..."} for i, text in enumerate(said))]


@functools.lru_cache(maxsize=64)
def _read(path: Path, changed: int) -> str:
    return path.read_text(encoding="utf-8").strip()


def _prompt(folder: Path, name: str, kind: str) -> tuple[Path, str]:
    """(file, text). Raises ValueError naming the prompts that there are. An edited file is read anew."""
    path = folder / f"{name.replace('-', '_')}.txt"
    if not path.is_file():
        there = [found.stem for found in folder.glob("*.txt") if found.stem.startswith("player_") == name.startswith("player_")]
        raise unknown(f"{kind} in {folder}", path.stem, there)
    return path, _read(path, path.stat().st_mtime_ns)


def _filled(folder: Path, request: Request) -> str:
    path, text = _prompt(folder, request.task, "partner's prompt")
    hidden = dict(request.hidden)
    try:
        return re.sub(r"\{(\w+)\}", lambda found: hidden[found[1]], text)
    except KeyError as error:
        raise ValueError(f"{path}: there is no {{{error.args[0]}}}, only {', '.join(f'{{{name}}}' for name in hidden)}") from None


# ---------------------------------------------------------------------------------------------- a player

class ChatPolicy:
    """A language model that plays a task by its rules in words, with `examples` (Episodes) to go by: a Policy.

    model: a model's name at a chat endpoint, with `base_url` and further settings of `ChatEndpoint` (temperature, timeout,
    max_tokens, ...); a spec such as "transformers:PATH", with the settings of `LocalModel`; or a Transport. The rules are
    `lmrl_lab/prompts/player_TASK.txt`, or the file of that name in `prompts_dir`. `usage` says what was spent so far. All
    unfinished games are asked side by side. Raises ValueError for a task without rules, SimulatorError where the model fails.
    """

    def __init__(self, model: str | Transport, task: str, examples: Iterable[Episode] = (), base_url: str | None = None,
                 prompts_dir: str | os.PathLike | None = None, **settings):
        examples = list(examples)
        others = {episode.task for episode in examples} - {task}
        if others:
            raise ValueError(f"examples of {', '.join(sorted(others))} for a player of {task}")
        if not isinstance(model, str):
            if base_url or settings:
                raise ValueError("settings belong to a model's name; a transport has its own")
            self.transport = model
        elif model.startswith(("transformers:", "chat:")):
            self.transport = transport(model + (f"@{base_url}" if base_url else ""), **settings)
        else:
            self.transport = ChatEndpoint(model, base_url, **settings)
        self.task = task
        self.name = self.transport.spec + (f" with {len(examples)} examples" if examples else "")
        _, self.system = _prompt(Path(prompts_dir or PROMPTS), f"player_{task}", "player's prompt")
        for number, episode in enumerate(examples, 1):
            turns = conversation("", [turn.text for turn in episode.turns])[1:]
            self.system += f"\n\nExample {number}:\n{spoken(turns)}"

    @property
    def usage(self) -> Usage:
        return self.transport.usage

    @property
    def player(self) -> dict[str, str]:
        """What a file of games keeps to tell this player from others of its name: hashes of its rules with examples, and of
        what the transport calls its `settings`."""
        settings = json.dumps(getattr(self.transport, "settings", {}), sort_keys=True, default=str)
        return {name: hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
                for name, text in (("rules", self.system), ("settings", settings))}

    def reset(self, seeds: list[int]) -> None:
        self._said: list[list[str]] = [[] for _ in seeds]

    def act(self, observations: list[str | None], infos: list[dict]) -> list[str | None]:
        live = [i for i, text in enumerate(observations) if text is not None]
        asked = [conversation(self.system, [*self._said[i], observations[i]]) for i in live]
        actions: list[str | None] = [None] * len(observations)
        for i, answer in zip(live, self.transport.complete(asked), strict=True):
            actions[i] = parsed(answer, infos[i]["legal_actions"])
            self._said[i] += [observations[i], actions[i]]
        return actions


# list marks and move numbers; words that announce an action; quotes, bold and code marks are stripped beside them
_MARK = re.compile(r"(?:[-•>#]+\s+|\d{1,3}[.)](?![.\d])\s*(?=\S))")
_WHICH = r"(?:(?:my|the|your|next|final|first|second|third|last|\d+(?:st|nd|rd|th)) )*"
_LABEL = re.compile(_WHICH + r"(?:action|answer|move|guess|command|question|q|seller|player|you)\s*#?\d*"
                             r"(?: is| would be)?[*_]*\s*:", re.I)
_SPEAKER = re.compile(r"(?:buyer|them|you|oracle|answer)\s*:", re.I)  # before what a partner says
_IS = re.compile(_WHICH + r"(?:action|answer|move|guess|command|question) (?:is|would be)\b:?|\bI guess\b(?=\W*\w)", re.I)


def parsed(answer: str, legal: Sequence[str] | None) -> str:
    """The action in a model's answer: its first line that says something, without marks, quotes and "Action:".

    legal: the actions that there are, or None. If the line names exactly one of them, whole and in words of its own, it is
    that one; else the line stays as it is, and the game counts it as what it is. "" for an answer without a line.
    """
    line = next((bare for text in clean(answer).splitlines() if (bare := _bare(text))), "")[:MAX_ACTION_CHARS]
    return _named(line, legal) if legal else line


def _bare(line: str, label: re.Pattern = _LABEL) -> str:
    if re.fullmatch(r"\s*(```|~~~)\w*\s*", line):
        return ""
    while True:
        before, line = line, line.strip().strip("\"'`*“”‘’")
        for pattern in (_MARK, label):
            found = pattern.match(line)
            line = line[found.end():] if found else line
        if line == before:
            return line


def _words(text: str) -> str:
    """Words with one space between, what stands alone from a letter on put together: "1 I play N f 3!" -> "1 I play Nf3"."""
    text = " ".join(re.sub(r"[^\w\s=-]", " ", text).split())
    return re.sub(r"(?<!\S)[^\W\d_](?: \S)+(?!\S)", lambda found: found[0].replace(" ", ""), text)


def _named(line: str, legal: Sequence[str]) -> str:
    said = _words(_IS.sub("", line, 1))  # "guess" itself is a word of Wordle
    for fold in (str, str.lower):  # in chess "b" is a pawn and "B" a bishop: case first counts
        forms = {action: f" {fold(_words(action))} " for action in legal}
        found = {action: form for action, form in forms.items() if form in f" {fold(said)} "}
        # "take cup" stands within "take cup from table": the longer one is meant
        whole = [action for action, form in found.items() if not any(form != other and form in other for other in found.values())]
        if whole:
            return whole[0] if len(whole) == 1 else line
    return line
