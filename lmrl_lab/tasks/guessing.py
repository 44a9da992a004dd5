"""The game behind Twenty Questions and Guess My City: an oracle with a table of answers, the env, and those who ask.

Rules and rewards: LMRL Gym (arXiv 2311.18232), where a language model answers. Here a table does, unless the env is given
a simulator (`lmrl_lab.simulators`). Which table, and what a text asks, is in the two tasks' files.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from lmrl_lab.env import References, TextEnv, unknown
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.policies import MixedPolicy, ScriptedPolicy, played
from lmrl_lab.simulators import Request, Simulator
from lmrl_lab.simulators import simulator as _simulator
from lmrl_lab.tasks.phrases import Phrases, plain

QUESTIONS = 20
YES, NO, WHAT = "Yes.", "No.", "I do not understand."
_ARTICLE = re.compile("^(?:an?|the|some) ")


class Oracle:
    """What can be asked, and what is answered. N things may be hidden; there are Q questions and N guesses.

    names: for each thing all names that count, the first one is told. questions: (Q,) texts. answers: (Q, N) texts.
    find: a text -> the number of its question and whether it asks for the opposite, or None. guess: name -> the text that
    names it. kind: what is hidden, in a word.
    """

    def __init__(self, kind: str, names: Sequence[tuple[str, ...]], questions: Sequence[str], answers: Sequence[Sequence[str]],
                 find: Callable[[str], tuple[int, bool] | None], guess: Callable[[str], str]):
        self.kind, self.names, self.questions = kind, tuple(names), tuple(questions)
        self.things = tuple(several[0] for several in names)
        self.guesses = tuple(guess(name) for name in self.things)
        self.actions = (*self.questions, *self.guesses)
        self.index = {action: k for k, action in enumerate(self.actions)}
        self.number = {plain(name): n for n, several in enumerate(names) for name in several}
        everything = range(len(self.things))
        self.answers = (*map(tuple, answers), *(tuple(YES if n == k else NO for n in everything) for k in everything))
        self._opposite = [tuple({YES: NO, NO: YES}.get(text, text) for text in row) for row in self.answers]
        self._find, self._guess = find, re.compile(f"(?:is it|is the {kind}|is this) (.+)")
        self.read = functools.lru_cache(maxsize=100_000)(self._read)
        # row, answer -> the set of things for which it is the answer, as the bits of an integer
        self.fitting = [{text: sum(1 << n for n in everything if row[n] == text) for text in row} for row in self.answers]

    def named(self, text: str) -> int | None:
        """The number of the thing that this text names as a guess, or None."""
        said = self._guess.fullmatch(plain(text))
        return said and self.number.get(said[1], self.number.get(_ARTICLE.sub("", said[1])))

    def _read(self, text: str) -> tuple[int, tuple[str, ...]] | None:
        """What a text asks: the number of the action it comes to, and the answer for each of the N things; None if unclear."""
        number = self.named(text)
        if number is not None:
            row = len(self.questions) + number
            return row, self.answers[row]
        found = self._find(text)
        return found and (found[0], (self._opposite if found[1] else self.answers)[found[0]])


def finder(keys: Sequence[str], phrases: Callable[[], Phrases],
           opposites: bool = True) -> Callable[[str], tuple[int, bool] | None]:
    """An oracle's `find` for questions with these keys, in their order; the phrasings are made when a text first needs them.
    opposites: whether a text may ask for the opposite; an open question has none."""
    number, phrases = {key: n for n, key in enumerate(keys)}, functools.lru_cache(maxsize=1)(phrases)

    def find(text: str) -> tuple[int, bool] | None:
        found = phrases().find(text)
        return found and (number[found.key], opposites and found.negated)

    return find


class GuessingEnv(TextEnv):
    """Find what is hidden with twenty questions: reward 0 for the one that names it, -1 for any other.

    A question wins if and only if it reads (is it | is the KIND | is this) NAME, without case, accents, punctuation and an
    article. A text that is not understood costs -1 and counts as invalid. `simulator`: who answers; "scripted" is the table.
    """

    oracle: Oracle
    first = "Questions:\n"

    def __init__(self, simulator: str | Simulator = "scripted"):
        self.simulator = _simulator(simulator)
        self._hidden = self._asked = 0

    @property
    def hidden(self) -> str:
        """The first name of what is hidden."""
        return self.oracle.things[self._hidden]

    def _reset(self, options):
        oracle = self.oracle
        name = options.get(oracle.kind)
        if name is None:
            self._hidden = int(self.np_random.integers(len(oracle.things)))
        elif not isinstance(name, str) or plain(name) not in oracle.number:
            raise unknown(f"{oracle.kind} of {self.task}", name, oracle.things)
        else:
            self._hidden = oracle.number[plain(name)]
        self._asked, self._turns = 0, (self.first,)
        return self.first, {"legal_actions": None, "invalid": False, "success": False,
                            "message": f"find the {oracle.kind} in {QUESTIONS} questions"}

    def request(self, action: str) -> Request | None:
        """What the simulator is asked at this action; None where the rules decide."""
        if self.oracle.named(action) is not None:
            return None
        return Request(self.task, ((self.oracle.kind, self.hidden),), (*self._turns, action.removesuffix("\n")))

    def heard(self, reply: str) -> str | None:
        """What the player is told of a simulator's reply; None for one that is no answer."""
        raise NotImplementedError

    def _step(self, action):
        if self.simulator is not None and (request := self.request(action)) is not None:
            answer = self.heard(self.simulator.replies([request])[0])  # if this fails, no question has been used up
            self._asked += 1
        else:
            self._asked += 1
            found = self.oracle.read(action)
            answer = found and found[1][self._hidden]
            if found and answer == YES and found[0] == len(self.oracle.questions) + self._hidden:
                return YES + "\n", 0.0, True, False, {"legal_actions": None, "invalid": False, "success": True,
                                                      "message": f"that is it, after {self._asked} questions"}
        left, told = QUESTIONS - self._asked, (answer or WHAT) + "\n"
        if self.simulator is not None:
            self._turns += (action, told)
        message = f"{left} questions left" if left else f"no question is left; it was: {self.hidden}"
        return told, -1.0, not left, False, {"legal_actions": None, "invalid": answer is None, "success": False,
                                             "message": message}


# ---------------------------------------------------------------------------------------------- those who ask

class Asker(ScriptedPolicy):
    """Remembers which things fit all answers so far. With probability `stray` it asks what it has not asked yet, whatever that
    tells; with probability `hasty` it names one that fits; else it asks what gives the most expected information. An answer
    rules a thing out if the asker knows the fact: each with probability `knows`."""

    name = "best"

    def __init__(self, oracle: Oracle, stray: float = 0.0, hasty: float = 0.0, knows: float = 1.0):
        if not (0 <= stray and 0 <= hasty and stray + hasty <= 1 and 0 <= knows <= 1):
            raise ValueError(f"stray, hasty and knows are probabilities, the first two together at most 1, "
                             f"not {stray!r}, {hasty!r} and {knows!r}")
        self.oracle, self.stray, self.hasty, self.knows = oracle, stray, hasty, knows

    def begin(self, rng):
        return {"fits": (1 << len(self.oracle.things)) - 1, "row": None, "asked": set()}

    def choose(self, rng, memory, observation, info):
        oracle = self.oracle
        if info.get("played") is not None:  # advice on a game that someone else plays
            found = oracle.read(info["played"])
            memory["row"] = found and found[0]
            turned = bool(found) and found[1] != oracle.answers[found[0]]
            observation = {YES: NO + "\n", NO: YES + "\n"}.get(observation.rstrip("\n"), observation) if turned else observation
        if memory["row"] is not None:
            fits = memory["fits"] & oracle.fitting[memory["row"]].get(observation.rstrip("\n"), 0)
            if self.knows < 1 and memory["row"] < len(oracle.questions):
                fits |= sum(1 << n for n in members(memory["fits"] & ~fits) if rng.random() >= self.knows)
            memory["asked"].add(memory["row"])
            # a language model's answers may contradict the table: then all that has not been named fits again
            questions = len(oracle.questions)
            memory["fits"] = fits or sum(1 << n for n in range(len(oracle.things)) if questions + n not in memory["asked"])
        memory["row"] = self._row(rng, memory)
        return oracle.actions[memory["row"]]

    def _row(self, rng, memory) -> int:
        questions, fits = len(self.oracle.questions), memory["fits"]
        draw = rng.random() if self.stray or self.hasty else 1.0
        if draw >= self.stray + self.hasty:
            best = best_row(self.oracle, fits)
            if best not in memory["asked"]:  # else it was answered against the table: what is new is asked
                return best
        hasty = self.stray <= draw < self.stray + self.hasty
        rows = [] if hasty else [row for row in range(questions) if row not in memory["asked"]]
        rows = rows or [questions + n for n in members(fits)]
        return rows[rng.integers(len(rows))]


class RandomAsker(ScriptedPolicy):
    """Any question or guess, whatever was answered."""

    name = "random"

    def __init__(self, oracle: Oracle):
        self.oracle = oracle

    def choose(self, rng, memory, observation, info):
        return self.oracle.actions[rng.integers(len(self.oracle.actions))]


def members(bits: int) -> list[int]:
    """The numbers of the things in a set."""
    return [n for n, bit in enumerate(reversed(f"{bits:b}")) if bit == "1"]


@functools.lru_cache(maxsize=200_000)
def best_row(oracle: Oracle, fits: int) -> int:
    """The action with the most expected information about which of these things is hidden; of three or fewer one is named:
    names cost 0, 1 and 2, but a question and then names 1, 1 and 2."""
    numbers, questions = members(fits), len(oracle.questions)
    if len(numbers) <= 3:
        return questions + numbers[0]
    codes = _codes(oracle)[:, numbers]
    counts = np.stack([(codes == value).sum(1) for value in range(2)]) if codes.max() < 2 else _counts(codes)
    expected = (counts * np.log2(np.maximum(counts, 1))).sum(0)  # N times the bits that stay unknown
    return int(expected.argmin())


def _counts(codes: np.ndarray) -> np.ndarray:
    """(answers, rows): how often each answer stands in each row."""
    rows, values = len(codes), int(codes.max()) + 1
    flat = codes + np.arange(rows)[:, None] * values
    return np.bincount(flat.ravel(), minlength=rows * values).reshape(rows, values).T


@functools.lru_cache(maxsize=4)
def _codes(oracle: Oracle) -> np.ndarray:
    """(Q, N): each question's answers as numbers from 0."""
    return np.array([[{text: k for k, text in enumerate(dict.fromkeys(row))}[text] for text in row]
                     for row in oracle.answers[:len(oracle.questions)]])


def mixture(oracle: Oracle, players: Sequence[tuple[float, ...]]) -> MixedPolicy:
    """The behaviour policy: in each game an `Asker` with one of these (stray, hasty, knows)."""
    policy = MixedPolicy([functools.partial(Asker, oracle, *player) for player in players], [1.0] * len(players))
    policy.name = "behaviour"
    return policy


def episodes(env: GuessingEnv, policy, size: int, seed: int) -> Iterator[Episode]:
    """Games of a policy, the n-th with seed [seed, n] in one number; what was hidden stands in `info["options"]`."""
    for game in range(size):
        own = int(np.random.SeedSequence([seed, game]).generate_state(1)[0])
        options = {env.oracle.kind: env.oracle.things[own % len(env.oracle.things)]}
        yield played(policy, env, own, options)


def model_text(oracle: Oracle, turns: Sequence[Turn]) -> list[str]:
    """The same turns as a tiny model reads them: any wording as the question it comes to, and each yes or no together with
    what it was an answer to. "Would it swim?", "No." -> "Can it swim?", "No. Can it swim?"."""
    out, asked = [], None
    for turn in turns:
        if turn.is_action:
            asked = oracle.read(turn.text)
            out.append(turn.text if asked is None else oracle.actions[asked[0]])
        else:
            told = turn.text.rstrip("\n")
            if asked and asked[1] != oracle.answers[asked[0]]:
                told = {YES: NO, NO: YES}.get(told, told)
            out.append(f"{told} {oracle.actions[asked[0]]}" if asked and told in (YES, NO) else told or "\n")
    return out


def vocabulary(oracle: Oracle, first: str) -> tuple[str, ...]:
    """What is one token for a tiny model: the first observation, all actions, and all answers as `model_text` spells them."""
    told = [answer if answer not in (YES, NO) else f"{answer} {action}"
            for action, row in zip(oracle.actions, oracle.answers, strict=True) for answer in dict.fromkeys(row)]
    return tuple(dict.fromkeys((first.rstrip("\n"), *oracle.actions, *told, WHAT)))


def evaluation_options(oracle: Oracle, number: int) -> list[dict]:
    """Every hidden thing in turn."""
    return [{oracle.kind: oracle.things[k % len(oracle.things)]} for k in range(number)]


def references(env: GuessingEnv, behaviour, best: Asker, games: int, command: str) -> References:
    """The mean of `games` behaviour games with its standard error, and the exact mean of a policy that draws nothing."""
    returns = np.array([episode.total_return for episode in episodes(env, behaviour, games, 0)])
    exact = np.mean([played(best, env, options={env.oracle.kind: name}).total_return for name in env.oracle.things])
    return References(-float(QUESTIONS), float(returns.mean()), float(exact),
                      (0.0, float(returns.std(ddof=1) / games**0.5), 0.0), command)
