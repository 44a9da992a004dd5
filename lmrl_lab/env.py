"""What a game is: TextEnv (Gymnasium's five-tuple over `str`), TaskCard, and the registry behind `make` and `TASKS`.

No rule of any game lives here, and no model.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium
from gymnasium import spaces

MAX_ACTION_CHARS = 1_000
MAX_OBSERVATION_CHARS = 20_000


class AnyText(spaces.Text):
    """Any `str` up to `max_length` characters. Gymnasium's own Text refuses "" and characters outside its charset."""

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length


def unknown(kind: str, name: object, accepted: Iterable[str]) -> ValueError:
    """The one error for a name that is not known: what is accepted, and the nearest one."""
    accepted = sorted(map(str, accepted))
    near = difflib.get_close_matches(str(name), accepted, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return ValueError(f"unknown {kind} '{name}'{hint} (accepted: {', '.join(accepted) or 'none'})")


class TextEnv(gymnasium.Env):
    """A game over text. A subclass sets `task`, `option_names` and writes `_reset` and `_step`.

    `reset(seed=None, options=None) -> (observation, info)`; `step(action) -> (observation, reward, terminated,
    truncated, info)`. An observation is only the NEW text and ends in one newline. `info` has `legal_actions`
    (strings that `step` accepts, or None where the set is open), `invalid`, `success` and `message`.
    All randomness comes from `self.np_random`.
    """

    metadata = {"render_modes": []}
    task: str = ""
    option_names: tuple[str, ...] = ()
    action_space = functools.cached_property(lambda self: AnyText(MAX_ACTION_CHARS))
    observation_space = functools.cached_property(lambda self: AnyText(MAX_OBSERVATION_CHARS))
    _playing = False

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[str, dict]:
        options = dict(options or {})
        for name in options:
            if name not in self.option_names:
                raise unknown(f"option of {self.task}", name, self.option_names)
        super().reset(seed=seed)
        observation, info = self._reset(options)
        self._playing = True
        return observation, info

    def step(self, action: str) -> tuple[str, float, bool, bool, dict]:
        if type(action) is not str and not isinstance(action, str):
            raise TypeError(f"an action is a str, not {type(action).__name__}: {action!r:.80}")
        if len(action) > MAX_ACTION_CHARS:
            raise ValueError(f"an action has at most {MAX_ACTION_CHARS:,} characters, this one has {len(action):,}")
        if not self._playing:
            raise RuntimeError("this game is over or was never started: call reset() first")
        if action.endswith("\n"):
            action = action[:-1]
        result = self._step(action)
        if result[2] or result[3]:
            self._playing = False
        return result

    def _reset(self, options: dict) -> tuple[str, dict]:
        raise NotImplementedError

    def _step(self, action: str) -> tuple[str, float, bool, bool, dict]:
        raise NotImplementedError


@dataclass(frozen=True)
class References:
    """What a return is measured against, in task units, each computed by code (`command`), with standard errors."""

    minimum: float
    behaviour: float
    best: float
    standard_errors: tuple[float, float, float] = (0.0, 0.0, 0.0)
    command: str = ""

    def normalize(self, value: float) -> float:
        """0 at the minimum, 50 at the behaviour data, 100 at the best known policy; linear between, never clipped."""
        if value >= self.behaviour:
            return 50 + 50 * (value - self.behaviour) / (self.best - self.behaviour)
        return 50 * (value - self.minimum) / (self.behaviour - self.minimum)


@dataclass(frozen=True)
class TaskCard:
    """All that the package knows about a task; a new task is one of these and one line in the registry.

    `env(**kwargs)` builds the game. `policies[name](**kwargs)` builds a scripted policy for the same game.
    `behaviour(size, seed, **kwargs)` yields Episodes of offline data. `evaluation_options(n, **kwargs)` gives the
    reset options of n evaluation games. `context` is what an agent sees: "turn", a number of earlier turns, or
    "episode". `side_by_side`: at most so many games are played together. `keep` is the part of the data that filtered BC
    keeps: "success" or a fraction. `vocabulary` and
    `actions` feed the tiny word-level tokenizer: the phrases that are one token each, and the closed
    action set (`turn_tokens`: at most so many tokens an observation and its action).
    `model_text` maps turns to what a tiny model reads (the plain text unless given). `settings`: algorithm id -> what
    differs here from the defaults of its config. `other_references`: of games that keywords change, keyed by the sorted
    (keyword, value) pairs. `network`: what differs here from `tiny_model`'s defaults. `parts`: a token of the vocabulary -> the
    parts it is made of (a word's letters), so that a tiny model learns about all tokens that share one at a time.
    `clone`: what the algorithms that need a cloned agent start from: "bc", or "filtered_bc" where BC hardly ever succeeds.
    """

    id: str
    title: str
    summary: str
    capability: str
    env: Callable[..., TextEnv]
    policies: Mapping[str, Callable[..., Any]]
    behaviour: Callable[..., Iterable]
    data_size: int
    references: References
    context: str | int
    max_actions: int
    keep: str | float
    vocabulary: tuple[str, ...]
    turn_tokens: int
    actions: tuple[str, ...] | None = None
    evaluation_options: Callable[..., list[dict | None]] | None = None
    evaluation_episodes: int = 200
    side_by_side: int = 256
    model_text: Callable[[list], list[str]] | None = None
    paper: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    other_references: Mapping[tuple, References] = field(default_factory=dict)
    network: Mapping[str, int] = field(default_factory=dict)
    parts: Callable[[str], tuple[str, ...]] | None = None
    clone: str = "bc"

    def references_with(self, keywords: Mapping[str, object]) -> References | None:
        """The references of the game that these `make` keywords give; None where nobody computed any."""
        if not keywords:
            return self.references
        usual = inspect.signature(self.env).parameters
        changed = {name: value for name, value in keywords.items() if name not in usual or value != usual[name].default}
        return self.other_references.get(tuple(sorted(changed.items()))) if changed else self.references

    def _repr_html_(self) -> str:
        best = self.references
        rows = [
            ("What it is", self.summary),
            ("What it isolates", self.capability),
            ("Actions", ", ".join(self.actions) if self.actions and len(self.actions) < 12 else "free text"),
            ("An agent sees", {"turn": "the last observation", "episode": "the whole transcript"}.get(
                self.context, f"the last observation and {self.context} turns before it")),
            ("At most", f"{self.max_actions} actions"),
            ("Return: worst / behaviour data / best", f"{best.minimum:g} / {best.behaviour:.1f} / {best.best:.2f}"),
        ]
        body = "".join(f"<tr><th style='text-align:left'>{k}</th><td style='text-align:left'>{v}</td></tr>"
                       for k, v in rows)
        return f"<table><caption>{self.title} (<code>{self.id}</code>)</caption>{body}</table>"


# id -> the module whose `CARDS` holds it. A new task is one file and one line here.
_MODULES = {
    "maze-fo": "lmrl_lab.tasks.maze",
    "maze-po": "lmrl_lab.tasks.maze",
    "text-nav-fo": "lmrl_lab.tasks.text_nav",
    "text-nav-po": "lmrl_lab.tasks.text_nav",
    "wordle": "lmrl_lab.tasks.wordle",
    "chess": "lmrl_lab.tasks.chess",
    "chess-endgames": "lmrl_lab.tasks.chess",
    "twenty-questions": "lmrl_lab.tasks.twenty_questions",
    "guess-my-city": "lmrl_lab.tasks.guess_my_city",
    "car-dealer": "lmrl_lab.tasks.car_dealer",
}


class _Registry(Mapping):
    """id -> TaskCard; a task's module is imported when its card is first asked for."""

    def __init__(self):
        self._own: dict[str, TaskCard] = {}

    def __getitem__(self, task: str) -> TaskCard:
        if task in self._own:
            return self._own[task]
        if task not in _MODULES:
            raise unknown("task", task, self)
        return importlib.import_module(_MODULES[task]).CARDS[task]

    def __contains__(self, task) -> bool:
        return task in self._own or task in _MODULES

    def __iter__(self):
        return iter([*_MODULES, *self._own])

    def __len__(self):
        return len(_MODULES) + len(self._own)

    def __repr__(self):
        return "\n".join(f"{card.id:18} {card.summary}" for card in self.values())


TASKS = _Registry()


def register(card: TaskCard) -> TaskCard:
    """Add a task of your own to `TASKS` (and replace an own task of the same id)."""
    if card.id in _MODULES:
        raise ValueError(f"'{card.id}' is a task of the package; give yours another id")
    TASKS._own[card.id] = card
    return card


def make(task: str, **kwargs) -> TextEnv:
    """Build a game: `make("maze-fo", layout="umaze")`. Unknown ids, keywords and values are a ValueError."""
    build = TASKS[task].env
    accepted = inspect.signature(build).parameters
    for name in kwargs:
        if name not in accepted:
            raise unknown(f"keyword of {task}", name, accepted)
    return build(**kwargs)


for _task in _MODULES:
    if f"lmrl_lab/{_task}-v0" not in gymnasium.registry:
        gymnasium.register(f"lmrl_lab/{_task}-v0", entry_point=functools.partial(make, _task),
                           disable_env_checker=True, order_enforce=False)
