"""What every task must keep, clause by clause: `check_task("my-task")` says which it does, and shows where one is broken.

A clause is a function of a TaskCard that returns None, or what is wrong. The tasks of the package are tested with the same ones.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

import numpy as np

from lmrl_lab.checks import Result, _short
from lmrl_lab.data import replay_problem
from lmrl_lab.env import MAX_ACTION_CHARS, TASKS, TaskCard, TextEnv
from lmrl_lab.evaluation import evaluate

GAMES = 50  # of each scripted policy
ODD_TEXTS = ("", " ", "\n", "qwxyz", "None", "0", "-1", "\x00", "\ud800", "\N{GRINNING FACE}" * 5, "a" * MAX_ACTION_CHARS)
INFO = ("legal_actions", "invalid", "success", "message")


def check_task(task: str) -> Result:
    """Hold a task to the contract: prints a line a clause, what is wrong where one is broken; `.passed` says if none is."""
    lines, card = [], TASKS[task]
    for clause in CLAUSES:
        wrong = broken(clause, card)
        lines.append(f"{'✗' if wrong else '✓'} {clause.__doc__}" + (f"\n    {wrong}" if wrong else ""))
    good = sum(line.startswith("✓") for line in lines)
    verdict = "all clauses hold" if good == len(CLAUSES) else f"{len(CLAUSES) - good} of {len(CLAUSES)} clauses are broken"
    return Result(good == len(CLAUSES), "\n".join([*lines, f"{task}: {verdict}"]))


def broken(clause: Callable[[TaskCard], str | None], card: TaskCard) -> str | None:
    """What is wrong, in one line; an exception of the task is what is wrong, too."""
    try:
        wrong = clause(card)
    except Exception as error:  # the task is somebody's code on its first day
        wrong = f"{type(error).__name__}: {error}"
    return wrong and " ".join(wrong.split())[:400]


def walk(env: TextEnv, seed: int, steps: int = 40) -> Iterator[tuple]:
    """What an env says while legal moves, where there is a list of them, and now and then nonsense are played; a new game where
    one ends. Yields (observation, info) of each reset and (action, observation, reward, terminated, truncated, info)."""
    text, info = env.reset(seed=seed)
    yield text, info
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        legal = info["legal_actions"]
        action = "qwxyz" if not legal or rng.random() < 0.1 else legal[rng.integers(len(legal))]
        text, reward, terminated, truncated, info = env.step(action)
        yield action, text, reward, terminated, truncated, info
        if terminated or truncated:
            text, info = env.reset()
            yield text, info


def said(step: tuple) -> tuple:
    """A step of `walk` without the object that holds the legal actions."""
    return (*step[:-1], *(step[-1][name] for name in INFO[1:]))


# ---------------------------------------------------------------------------------------------- the clauses

def is_a_text_env(card):
    """the env is a TextEnv that bears the task's id and leaves `reset` and `step` to it"""
    env = card.env()
    if not isinstance(env, TextEnv):
        return f"{type(env).__name__} is no lmrl_lab.env.TextEnv"
    if env.task != card.id:
        return f"its `task` is {env.task!r}, not {card.id!r}"
    own = [name for name in ("reset", "step") if getattr(type(env), name) is not getattr(TextEnv, name)]
    return f"it defines {own[0]} itself: write _{own[0]}" if own else None


def speaks_in_lines(card):
    """an observation is text that ends in one newline, and fits into the space"""
    env = card.env()
    for step in walk(env, 0, 60):
        text = step[-2] if len(step) == 2 else step[1]
        if not isinstance(text, str) or not text.endswith("\n") or text.endswith("\n\n") or text not in env.observation_space:
            return f"it says {_short(text)}"
    return None


def tells_what_it_must(card):
    """rewards are finite numbers, flags are bools, info has legal_actions, invalid, success, message"""
    for step in walk(card.env(), 0, 60):
        info = step[-1]
        if lost := [name for name in INFO if name not in info]:
            return f"info lacks {', '.join(lost)}: {_short(info)}"
        if not all(type(info[name]) is bool for name in ("invalid", "success")):
            return f"invalid and success are True or False: {_short(info)}"
        if len(step) > 2 and not (isinstance(step[2], float) and np.isfinite(step[2]) and type(step[3]) is type(step[4]) is bool):
            return f"(reward, terminated, truncated) is {step[2:5]}, not a float and two bools"
    return None


def repeats_itself(card):
    """the same seed and actions give the same game, in an env that has played before, too"""
    env = card.env()
    first = [said(step) for step in walk(env, 7)]
    for other in (card.env(), env):
        for one, two in zip(first, map(said, walk(other, 7)), strict=False):
            if one != two:
                return f"once {_short(one)}, then {_short(two)}: draw from self.np_random only, and set all up in _reset"
    return None


def goes_on_without_a_seed(card):
    """a reset without a seed goes on with the generator: two envs with one seed agree, game after game"""
    def starts():
        env = card.env()
        env.reset(seed=1)
        return [[said(step) for step in itertools.islice(walk_on(env), 4)] for _ in range(8)]

    one, two = starts(), starts()
    return None if one == two else "two envs with one seed differ after their first game"


def walk_on(env: TextEnv) -> Iterator[tuple]:
    """The first legal move, or nonsense, over and over, in a game that is begun without a seed."""
    text, info = env.reset()
    yield text, info
    over = False
    while not over:
        action = (info["legal_actions"] or ["qwxyz"])[0]
        text, reward, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        yield action, text, reward, terminated, truncated, info


def stands_alone(card):
    """two games at the same time do not disturb each other, nor the generators that all programs share"""
    shared = random.getstate(), _state()
    alone = [said(step) for step in walk(card.env(), 3)]
    if (random.getstate(), _state()) != shared:
        return "it draws from `random` or `np.random`, which are everybody's: use self.np_random"
    beside = walk(card.env(), 99)
    for k, (one, step) in enumerate(zip(alone, walk(card.env(), 3), strict=True)):
        next(beside, None)
        if said(step) != one:
            return f"step {k} is {_short(said(step))} beside another game, and alone {_short(one)}: what is shared?"
    return None


def _state() -> tuple:
    """The state of NumPy's shared generator."""
    name, keys, *rest = np.random.get_state()
    return name, keys.tolist(), *rest


def bears_any_text(card):
    """any text is an action: it is valid or not, never an exception; what is invalid earns nothing and wins nothing"""
    env = card.env()
    for text in ODD_TEXTS:
        info = env.reset(seed=1)[1]
        legal = info["legal_actions"]
        try:
            _, reward, _, _, info = env.step(text)
        except Exception as error:
            return f"the action {_short(text)} raised {type(error).__name__}: {error}"
        listed = legal is not None and text.removesuffix("\n") in legal
        if legal is not None and info["invalid"] == listed:
            return f"the action {_short(text)} is {'' if listed else 'not '}legal, and invalid is {info['invalid']}"
        if info["invalid"] and (info["success"] or not (reward < 0 or reward == 0 == card.references.minimum)):
            return f"the invalid action {_short(text)} earned {reward:g}, success {info['success']}"
    return None


def takes_what_is_legal(card):
    """legal actions are accepted, and belong to the card's `actions`"""
    for before, after in itertools.pairwise(walk(card.env(), 5, 300)):
        legal = before[-1]["legal_actions"]
        if len(after) > 2 and legal and after[0] in legal:
            if after[-1]["invalid"]:
                return f"after {_short(before[-2] if len(before) == 2 else before[1])}, the legal {after[0]!r} is invalid"
            if card.actions and after[0] not in card.actions:
                return f"{after[0]!r} is legal, and not among the card's actions"
    return None


def comes_to_an_end(card):
    """every game ends, after at most `max_actions`: terminated by its rules or truncated, never both"""
    for action in ("qwxyz", *(card.actions or ())[:4]):
        env, count, ends = card.env(), 0, (False, False)
        env.reset(seed=2)
        while not any(ends):
            if count == card.max_actions:
                return f"saying {action!r} {count} times did not end it: truncated is True after max_actions"
            ends, count = env.step(action)[2:4], count + 1
        if all(ends):
            return f"it was terminated and truncated at once, saying {action!r}"
    return None


def has_players(card):
    """the policies play by the rules; there is a "random" and a "best", and none is better than "best\""""
    if lost := {"random", "best"} - set(card.policies):
        return f"card.policies lacks {', '.join(sorted(lost))}"
    scores = {name: evaluate(name, card.id, min(GAMES, card.side_by_side), seed=3) for name in card.policies}
    if wrong := [f"'{name}' makes invalid moves: {score.invalid_rate:.0%} of them"
                 for name, score in scores.items() if score.invalid_rate]:
        return wrong[0]
    for name, score in scores.items():
        if score.mean_return > scores["best"].mean_return:
            return f"'{name}' earns {score.mean_return:.3g}, 'best' {scores['best'].mean_return:.3g}, in the same games"
    return None


def has_data(card):
    """behaviour(size, seed) gives Episodes of this task, the same for the same seed, that can be played again"""
    one, again, other = (list(card.behaviour(20, seed)) for seed in (0, 0, 1))
    if len(one) != 20 or {episode.task for episode in one} != {card.id}:
        return f"behaviour(20, 0) gives {len(one)} Episodes of {', '.join({episode.task for episode in one})}"
    if one != again:
        return "behaviour(20, 0) gives other games the second time"
    if one == other:
        return "behaviour(20, 1) gives the games of seed 0"
    return next((f"game {k}: {wrong}" for k, episode in enumerate(one) if (wrong := replay_problem(episode))), None)


def has_references(card):
    """the references are what they say: minimum < behaviour < best, and data and "best" earn about that"""
    r = card.references
    if not r.minimum < r.behaviour < r.best:
        return f"minimum {r.minimum:g}, behaviour {r.behaviour:g}, best {r.best:g} do not ascend"
    data = list(card.behaviour(min(200, card.data_size, 4 * card.side_by_side), 5))
    if any(episode.truncated and len(episode.actions) < card.max_actions for episode in data):
        data = []  # recordings that were cut (the maze's) do not have the return of whole games
    best = evaluate("best", card.id, min(4 * GAMES, card.side_by_side), seed=4, return_episodes=True)[1]
    for name, games, told in (("behaviour", data, r.behaviour), ("best", best, r.best)):
        returns = [episode.total_return for episode in games] or [told]
        mean, error = np.mean(returns), np.std(returns) / len(returns) ** 0.5
        if abs(mean - told) > 4 * error + 0.01 * (r.best - r.minimum):
            return f"{name} is said to be {told:.4g}; {len(games)} games earned {mean:.4g} (standard error {error:.2g})"
    return None


def is_spelled(card):
    """the vocabulary spells all that is said: a tiny model reads no unknown token, and at most `turn_tokens` a turn"""
    from lmrl_lab.tokens import Codec, tiny_tokenizer
    tokenizer = tiny_tokenizer(card)
    codec = Codec(tokenizer, card)
    for episode in itertools.islice(card.behaviour(40, 2), 40):
        spelled = codec.encode(episode.turns)
        for turn, ids in zip(episode.turns, spelled, strict=True):
            if tokenizer.unk_token_id in ids:
                text = turn.text if card.model_text is None else card.model_text(episode.turns)[episode.turns.index(turn)]
                return f"in {_short(text)} {_short(unknown_words(tokenizer, text))} is not in card.vocabulary"
        longest = max(len(a) + len(b) for a, b in itertools.pairwise(spelled))
        if longest > card.turn_tokens:
            return f"an observation and its action have {longest} tokens, card.turn_tokens says {card.turn_tokens}"
    return None


def unknown_words(tokenizer, text: str) -> str:
    pieces = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    return next((text[a:b] for i, (a, b) in zip(pieces["input_ids"], pieces["offset_mapping"], strict=True)
                 if i == tokenizer.unk_token_id), text)


CLAUSES = (is_a_text_env, speaks_in_lines, tells_what_it_must, repeats_itself, goes_on_without_a_seed, stands_alone,
           bears_any_text, takes_what_is_legal, comes_to_an_end, has_players, has_data, has_references, is_spelled)
