"""Checks of assignment A5, a task of one's own: the contract of every environment, policy, data set and card of the package.

Four checks take what builds the game (a class, or a function without arguments), three take its TaskCard. `seed` chooses which
games are played.
"""

from __future__ import annotations

import contextlib
import functools
import math
import random
from collections.abc import Callable, Iterator

import numpy as np

from lmrl_lab.checks import Result, failed, passed, raised
from lmrl_lab.data import replay_problem
from lmrl_lab.env import MAX_OBSERVATION_CHARS, TASKS, TaskCard, TextEnv
from lmrl_lab.episode import Episode

LONGEST = 100  # actions: a game of the course is over by then
_NONSENSE = ["", " ", "\n", "\x00", "\u00e9", "\U0001f451" * 20, "\ud800", "a" * 1000, "0" * 999, "-1", "None", "{}", "%s%n"]


class _Broken(Exception):
    """A rule of the contract that does not hold: what was got and what was expected."""

    def __init__(self, where: str, got, expected: str):
        super().__init__(f"\n  {where}\n  got      {_brief(got)}\n  expected {expected}")


def _brief(value) -> str:
    text = repr(value)
    return text if len(text) <= 160 else text[:157] + "..."


def _contract(check: Callable) -> Callable:
    """A function that raises _Broken, as a check: whatever else is raised comes from the learner's code."""
    name = check.__name__

    @functools.wraps(check)
    def told(given, seed: int = 0) -> Result:
        try:
            return passed(name, check(given, seed))
        except _Broken as broken:
            return failed(name, str(broken))
        except Exception as error:  # shown, never raised
            return failed(name, f"\n  raised   {raised(error)}\n  expected a game that keeps the contract")
    return told


def _built(build) -> TextEnv:
    env = build() if callable(build) else build
    if not isinstance(env, TextEnv):
        raise _Broken("what is checked", env, "a subclass of TextEnv that is built without arguments")
    return env


def _steps(env: TextEnv, choose: Callable, seed: int | None, most: int = LONGEST + 1) -> Iterator[tuple]:
    """Play one game: (action, observation, reward, terminated, truncated, info); the first has no action."""
    observation, info = env.reset(seed=seed)
    yield None, observation, None, False, False, info
    for _ in range(most):
        action = choose(info)
        observation, reward, terminated, truncated, info = env.step(action)
        yield action, observation, reward, terminated, truncated, info
        if terminated or truncated:
            return


def _legal(seed) -> Callable[[dict], str]:
    rng = random.Random(f"legal {seed}")
    return lambda info: rng.choice(list(info["legal_actions"]))


@_contract
def observations(build, seed) -> str:
    """What `reset` and `step` say and tell: text that ends in one newline, and the four entries of `info`."""
    env = _built(build)
    if not isinstance(env.task, str) or not env.task:
        raise _Broken("the class attribute `task`", env.task, "the id of your task, a string")
    for game in range(10):
        for action, text, *_, info in _steps(env, _legal((seed, game)), seed + game):
            where = "after reset" if action is None else f"after {action!r}"
            if not isinstance(text, str) or not text.endswith("\n") or text.endswith("\n\n") or len(text) > MAX_OBSERVATION_CHARS:
                raise _Broken(f"the observation {where}", text, "a text that ends in exactly one newline")
            if not isinstance(info, dict) or not {"legal_actions", "invalid", "success", "message"} <= set(info):
                raise _Broken(f"info {where}", info, "a dictionary with legal_actions, invalid, success and message")
            if type(info["invalid"]) is not bool or type(info["success"]) is not bool or not isinstance(info["message"], str):
                raise _Broken(f"info {where}", info, "invalid and success are True or False, message is a text")
            legal = list(info["legal_actions"])
            if len(set(legal)) < 2 or len(set(legal)) < len(legal) or not all(isinstance(a, str) and a.strip() and "\n" not in a
                                                                              for a in legal):
                raise _Broken(f"info['legal_actions'] {where}", legal, "two or more different texts in one line")
            if action is None and (info["invalid"] or info["success"]):
                raise _Broken("info after reset", info, "nothing has been done yet: neither invalid nor a success")
    return "Ten games"


@_contract
def seeding(build, seed) -> str:
    """All chance comes from `self.np_random`: the same seed gives the same game, and nothing else is touched."""
    def story(env, number, choices=None):
        return [step[:5] for step in _steps(env, _legal(choices or number), number)]

    random.seed(seed)
    np.random.seed(seed)
    before = random.getstate(), np.random.get_state()[1].tolist()
    stories = [story(_built(build), seed + n) for n in range(8)]
    if (random.getstate(), np.random.get_state()[1].tolist()) != before:
        raise _Broken("the generators of the modules random and numpy", "other states after some games",
                      "that nobody draws from them")
    for n, first in enumerate(stories):
        random.seed(seed + 99 + n)
        np.random.seed(seed + 99 + n)
        again = story(_built(build), seed + n)
        if again != first:
            raise _Broken(f"a second game with seed {seed + n} and the same actions", again[-1],
                          f"the same game, {_brief(first[-1])}")
    if all(story(_built(build), seed + n, "one") == story(_built(build), seed, "one") for n in range(30)):
        raise _Broken("30 seeds, the same actions", "30 times the same game", "games that differ from seed to seed")
    one, two = _built(build), _built(build)
    game = _steps(one, _legal(seed), seed)
    told = [next(game)[:5]]
    for n, step in enumerate(game):
        two.reset(seed=seed + 50 + n)
        told.append(step[:5])
    if told != stories[0]:
        raise _Broken("a game while another one of the same class is reset", told[-1],
                      f"that games do not disturb each other, {_brief(stories[0][-1])}")
    return "Same seed, same game; other seed, another game; nothing shared"


@_contract
def endings(build, seed) -> str:
    """One finite reward a turn, flags that are True or False, never both; every game ends, and a game that is over stays over."""
    env = _built(build)
    players = {"random legal actions": _legal(seed), "the first legal action": lambda info: info["legal_actions"][0],
               "the last legal action": lambda info: info["legal_actions"][-1], "nonsense": lambda info: "qwxyz"}
    for player, choose in players.items():
        for game in range(10):
            step = None
            try:
                for step in _steps(env, choose, seed + game):
                    _check_end(step)
            except _Broken:
                raise
            except Exception:
                if player == "nonsense":  # what odd texts do is another exercise
                    break
                raise
            if not (step[3] or step[4]):
                raise _Broken(f"a game with seed {seed + game} and {player}", f"no end after {LONGEST} actions",
                              f"terminated, or truncated after at most {LONGEST} actions")
            try:
                env.step(choose(step[5]))
            except RuntimeError:
                continue
            raise _Broken("a step after the end", "another observation", "TextEnv's RuntimeError: write _step, not step")
    return "Forty games"


def _check_end(step: tuple) -> None:
    action, _, reward, terminated, truncated, info = step
    where = f"after {action!r}"
    if type(terminated) is not bool or type(truncated) is not bool:
        raise _Broken(f"terminated and truncated {where}", (terminated, truncated), "True or False each")
    if action is not None and (isinstance(reward, bool) or not isinstance(reward, (int, float)) or not math.isfinite(reward)):
        raise _Broken(f"the reward {where}", reward, "one finite number")
    if terminated and truncated:
        raise _Broken(f"terminated and truncated {where}", (terminated, truncated), "at most one of them")
    if truncated and info.get("success"):
        raise _Broken(f"info {where}", info, "a game that was cut is no success")


@_contract
def odd_texts(build, seed) -> str:
    """No text crashes the game; `invalid` is True for what is not legal, and earns nothing; what is legal is not invalid."""
    rng = random.Random(seed)
    for game in range(20):
        env = _built(build)
        _, info = env.reset(seed=seed + game)
        for _ in range(30):
            legal = list(info["legal_actions"])
            odd = [*_NONSENSE, legal[0] + "x", legal[0] + " ", " " + legal[0], legal[0].swapcase(), legal[0] + "\n\n",
                   f"{legal[0]}, {legal[-1]}", f"{legal[0]} {legal[0]}"]
            text = rng.choice(odd) if rng.random() < 0.7 else rng.choice(legal)
            try:
                _, reward, terminated, truncated, info = env.step(text)
            except Exception as error:
                raise _Broken(f"the text {text!r:.60}", raised(error),
                              "an answer: any text is a turn") from None
            accepted = text.removesuffix("\n") in legal
            if bool(info["invalid"]) is accepted:
                raise _Broken(f"info['invalid'] after {text!r:.60}", info["invalid"],
                              f"{not accepted}: it is {'one' if accepted else 'none'} of {_brief(legal)}")
            if not accepted and (reward > 0 or info["success"]):
                raise _Broken(f"reward and success after {text!r:.60}", (reward, info["success"]),
                              "nothing is won with an invalid text")
            if terminated or truncated:
                break
    return "Twenty games of hostile players"


@contextlib.contextmanager
def _registered(card) -> Iterator[TaskCard]:
    """The card in the registry, for as long as it is checked."""
    if not isinstance(card, TaskCard):
        raise _Broken("what is checked", card, "a TaskCard")
    if card.id in TASKS and card.id not in TASKS._own:
        raise _Broken("the card's id", card.id, "another one than those of the package")
    before = TASKS._own.get(card.id)
    TASKS._own[card.id] = card
    try:
        yield card
    finally:
        TASKS._own.pop(card.id)
        if before is not None:
            TASKS._own[card.id] = before


@_contract
def players(card, seed) -> str:
    """The policies "random" and "best", and references that say what is true of them."""
    from lmrl_lab.evaluation import evaluate
    with _registered(card):
        if not {"random", "best"} <= set(card.policies):
            raise _Broken("the card's policies", sorted(card.policies), "at least 'random' and 'best'")
        by_chance, best = (evaluate(name, card.id, episodes=300, seed=seed + 1) for name in ("random", "best"))
    if best.invalid_rate or by_chance.invalid_rate:
        raise _Broken("the share of invalid actions of (random, best)", (by_chance.invalid_rate, best.invalid_rate), "0 of both")
    if not best.mean_return > by_chance.mean_return:
        raise _Broken("the returns of (random, best)", (by_chance.mean_return, best.mean_return),
                      "that the best player earns more")
    told = card.references
    if not told.minimum < told.behaviour < told.best:
        raise _Broken("references", (told.minimum, told.behaviour, told.best), "minimum < behaviour < best")
    if abs(told.best - best.mean_return) > 0.1 * (told.best - told.minimum):
        raise _Broken("references.best", told.best, f"about what the best player earns in 300 games, {best.mean_return:.2f}")
    if min(by_chance.mean_return, best.mean_return) < told.minimum:
        raise _Broken("references.minimum", told.minimum, f"at most what random play earns, {by_chance.mean_return:.2f}")
    return f"random {by_chance.mean_return:.2f}, best {best.mean_return:.2f} in 300 games"


@_contract
def recordings(card, seed) -> str:
    """`behaviour(size, seed)`: that many Episodes of this task, the same for the same seed, genuine, good ones and bad ones."""
    with _registered(card):
        games = list(card.behaviour(30, seed))
        if len(games) != 30 or not all(isinstance(game, Episode) and game.task == card.id for game in games):
            raise _Broken("behaviour(30, seed)", f"{len(games)} games of {sorted({getattr(g, 'task', '?') for g in games})}",
                          f"30 Episodes of {card.id!r}")
        if list(card.behaviour(30, seed)) != games:
            raise _Broken("behaviour with the same seed", "other games", "the same games again")
        if list(card.behaviour(30, seed + 1)) == games:
            raise _Broken("behaviour with another seed", "the same games", "other games")
        for number, game in enumerate(games):
            problem = replay_problem(game)
            if problem:
                raise _Broken(f"game {number}, its actions played again", problem,
                              "what is recorded; `seed` and info['options'] start the same game")
    returns = [game.total_return for game in games]
    if len(set(returns)) < 3:
        raise _Broken("the returns of 30 games", sorted(set(returns)),
                      "three or more different ones: a filter needs better and worse")
    mean = sum(returns) / 30
    if not card.references.minimum <= mean <= card.references.best:
        raise _Broken("the mean return of 30 games", mean, f"between minimum and best, {card.references}")
    return f"30 games, returns from {min(returns):g} to {max(returns):g}"


@_contract
def learnable(card, seed) -> str:
    """A tiny model can read and play it: words that are in the vocabulary, turns that fit, three steps of BC, two games."""
    from lmrl_lab.algorithms import train
    from lmrl_lab.evaluation import evaluate
    from lmrl_lab.tokens import Codec, tiny_tokenizer
    with _registered(card):
        games = list(card.behaviour(30, seed))
        codec = Codec(tiny_tokenizer(card), card)
        unknown = codec.tokenizer.unk_token_id
        for turn in (turn for game in games for turn in game.turns):
            [ids] = codec.encode([turn])
            if unknown in ids:
                raise _Broken("a text of the data in tokens", codec.tokenizer.convert_ids_to_tokens(ids),
                              f"no [UNK]: every word and mark of {turn.text!r:.80} is in card.vocabulary")
        longest = max(sum(map(len, codec.encode(game.turns[i:i + 2])))
                      for game in games for i in range(0, len(game.turns) - 1, 2))
        if longest > card.turn_tokens:
            raise _Broken("card.turn_tokens", card.turn_tokens, f"at least {longest}, the longest observation with its action")
        agent = train("bc", card.id, games, steps=3, seed=seed)
        score = evaluate(agent, card.id, episodes=2)
    return f"three steps of BC, then two games: return {score.mean_return:g}"
