"""Wordle: rules, colours, scripted policies, behaviour data.

Rules and rewards: LMRL Gym (arXiv 2311.18232); the colours follow the official rule, which counts letters. The words are
the project's own list; a vocabulary of n words is its first n.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lmrl_lab.env import References, TaskCard, TextEnv, unknown
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.policies import ScriptedPolicy, played, random_policy

TRIES = 6
SIZES = (60, 200, 400)
COLORS = ("official", "paper")
ALL_WORDS = tuple((Path(__file__).parent / "assets" / "wordle_words.csv").read_text().split()[1:])
MARKS = "byg"  # absent, elsewhere in the word, in place
PATTERNS = tuple("".join(marks) for marks in itertools.product(MARKS, repeat=5))  # number 242 is "ggggg"
WON = len(PATTERNS) - 1


def marks(guess: str, word: str, colors: str = "official") -> str:
    """Five marks, say "bybgb": g in place, y elsewhere in the word, b absent.

    "official": a letter is yellow only as often as the word has it beyond its greens, counted from the left. "paper":
    every letter that occurs anywhere in the word is yellow, as in LMRL Gym's published code.
    """
    found = ["g" if a == b else "b" for a, b in zip(guess, word, strict=True)]
    left = list(word) if colors == "paper" else [b for a, b in zip(guess, word, strict=True) if a != b]
    for i, letter in enumerate(guess):
        if found[i] == "b" and letter in left:
            found[i] = "y"
            if colors == "official":
                left.remove(letter)
    return "".join(found)


def spaced(word: str) -> str:
    """As the game spells it: "snake" -> "s n a k e"."""
    return " ".join(word)


class Vocabulary:
    """The words of a game, and what each guess would answer for each hidden word.

    words: n strings; actions: the same, spaced; patterns: (n, n) uint8, the number in `PATTERNS` of the marks that guess i
    gets for hidden word j; index: word, spaced or not -> its number.
    """

    def __init__(self, size: int, colors: str):
        self.words, self.colors = ALL_WORDS[:size], colors
        self.actions = tuple(spaced(word) for word in self.words)
        self.index = {spelled: i for i, word in enumerate(self.words) for spelled in (word, spaced(word))}
        number = {pattern: i for i, pattern in enumerate(PATTERNS)}
        self.patterns = np.array([[number[marks(guess, word, colors)] for word in self.words] for guess in self.words],
                                 np.uint8)
        lines = [spaced(pattern) + "\n" for pattern in PATTERNS]
        self.answers = [[lines[k] for k in row] for row in self.patterns.tolist()]
        self._entropies = functools.lru_cache(maxsize=20_000)(self._entropies_uncached)

    def fitting(self, possible: np.ndarray, guess: int, pattern: int) -> np.ndarray:
        """Of the words `possible` (numbers), those that would have answered `guess` with `pattern`."""
        return possible[self.patterns[guess, possible] == pattern]

    def information(self, possible: np.ndarray) -> np.ndarray:
        """(n,) bits that each guess is expected to give, where each of the words `possible` is equally likely hidden."""
        return self._entropies(np.asarray(possible, np.int16).tobytes())

    def pattern_counts(self, possible: np.ndarray) -> np.ndarray:
        """(n, 243) how many of the words `possible` would answer each guess with each pattern."""
        n, guesses = len(PATTERNS), np.arange(len(self.words))[:, None]
        return np.bincount((self.patterns[:, possible] + n * guesses).ravel(), minlength=n * len(guesses)).reshape(-1, n)

    def _entropies_uncached(self, possible: bytes) -> np.ndarray:
        words = np.frombuffer(possible, np.int16)
        shares = self.pattern_counts(words) / len(words)
        return -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(1)


@functools.lru_cache(maxsize=8)
def words_of(size: int = 200, colors: str = "official") -> Vocabulary:
    """The `Vocabulary` of the first `size` words, built once. Raises ValueError for a size or rule that there is not."""
    if size not in SIZES or isinstance(size, bool):
        raise unknown("vocabulary of wordle", size, SIZES)
    if colors not in COLORS:
        raise unknown("colors of wordle", colors, COLORS)
    return Vocabulary(size, colors)


class WordleEnv(TextEnv):
    """Guess a hidden word of five letters in six tries: reward 0 for the right word, -1 for any other guess.

    `vocabulary`: 60, 200 or 400 words, both the hidden ones and those that may be guessed. `colors`: see `marks`. A guess
    that is no word of the vocabulary costs a try and is answered by an empty line. `words` are the vocabulary, `word` is
    the hidden one.
    """

    task = "wordle"
    option_names = ("word",)

    def __init__(self, vocabulary: int = 200, colors: str = "official"):
        self.vocabulary = words_of(vocabulary, colors)
        self.words = self.vocabulary.words
        self._number, self._answers, self._actions = self.vocabulary.index.get, self.vocabulary.answers, self.vocabulary.actions
        self._hidden = self._tries = 0

    @property
    def word(self) -> str:
        """The hidden word."""
        return self.words[self._hidden]

    def _reset(self, options):
        word = options.get("word")
        if word is None:
            self._hidden = int(self.np_random.integers(len(self.words)))
        elif word not in self.vocabulary.index:
            raise ValueError(f"word {word!r} is not one of the {len(self.words)} words of this game; see env.unwrapped.words")
        else:
            self._hidden = self.vocabulary.index[word]
        self._tries = 0
        return "Wordle:\n", {"legal_actions": self._actions, "invalid": False, "success": False,
                             "message": "guess the word of five letters"}

    def _step(self, action):
        self._tries = tries = self._tries + 1
        guess = self._number(action)
        over = tries == TRIES
        if guess is None:
            return "\n", -1.0, over, False, {"legal_actions": self._actions, "invalid": True, "success": False,
                                             "message": "not a word of this game" + self._ending(over)}
        if guess == self._hidden:
            return "g g g g g\n", 0.0, True, False, {"legal_actions": self._actions, "invalid": False, "success": True,
                                                     "message": "that is the word"}
        return self._answers[guess][self._hidden], -1.0, over, False, {
            "legal_actions": self._actions, "invalid": False, "success": False,
            "message": f"{TRIES - tries} tries left" + self._ending(over)}

    def _ending(self, over: bool) -> str:
        return f"; the word was {self.word}" if over else ""


# ---------------------------------------------------------------------------------------------- scripted policies

class WordlePolicy(ScriptedPolicy):
    """A policy that knows which words still fit all answers; subclasses write `guess`."""

    def __init__(self, vocabulary: int = 200, colors: str = "official"):
        self.vocabulary = words_of(vocabulary, colors)

    def begin(self, rng):
        return {"possible": np.arange(len(self.vocabulary.words)), "guess": None}

    def choose(self, rng, memory, observation, info):
        played = info.get("played")  # advice on a game that someone else plays
        guess = memory["guess"] if played is None else self.vocabulary.index.get(played)
        pattern = observation.replace(" ", "").rstrip("\n")
        if guess is not None and pattern in PATTERNS:
            fitting = self.vocabulary.fitting(memory["possible"], guess, PATTERNS.index(pattern))
            if not len(fitting):
                raise ValueError(f"no word of this policy's vocabulary fits {observation!r}: it was made for another game")
            memory["possible"] = fitting
        memory["guess"] = self.guess(rng, memory["possible"])
        return self.vocabulary.actions[memory["guess"]]

    def guess(self, rng: np.random.Generator, possible: np.ndarray) -> int:
        """The number of the word to guess, where `possible` are the numbers of those that fit."""
        raise NotImplementedError


class ConsistentPolicy(WordlePolicy):
    """A random word among those that fit all answers; with probability `mistakes`, any random word instead."""

    name = "consistent"

    def __init__(self, vocabulary: int = 200, colors: str = "official", mistakes: float = 0.0):
        super().__init__(vocabulary, colors)
        if not 0 <= mistakes <= 1:
            raise ValueError(f"mistakes is a probability, not {mistakes!r}")
        self.mistakes = mistakes

    def guess(self, rng, possible):
        if rng.random() < self.mistakes:
            return int(rng.integers(len(self.vocabulary.words)))
        return int(possible[rng.integers(len(possible))])


class InformationPolicy(WordlePolicy):
    """The guess with the most expected information; among equals a word that may be the hidden one. Draws nothing."""

    name = "best"

    def guess(self, rng, possible):
        bits = self.vocabulary.information(possible)
        bits[possible] += 1e-9
        return int(possible[0] if len(possible) <= 2 else bits.argmax())


MISTAKES = 0.67  # of the behaviour policy: drawn anew at each turn


def behaviour_policy(vocabulary: int = 200, colors: str = "official") -> ConsistentPolicy:
    """Each turn a random word with probability .67, else a random word that fits all answers."""
    policy = ConsistentPolicy(vocabulary, colors, MISTAKES)
    policy.name = "behaviour"
    return policy


# ---------------------------------------------------------------------------------------------- behaviour data

def behaviour_episodes(size: int, seed: int, vocabulary: int = 200, colors: str = "official",
                       mistakes: float = MISTAKES) -> Iterator[Episode]:
    """Games of `ConsistentPolicy(mistakes=...)`, played 1,000 at a time in arrays; fewer games are the first of more."""
    words = words_of(vocabulary, colors)
    for chunk in range(0, size, 1_000):
        played = play_behaviour(words, 1_000, [seed, chunk], mistakes)
        for word, guess, n in itertools.islice(zip(*(x.tolist() for x in played), strict=True), size - chunk):
            won = guess[n - 1] == word
            turns = [Turn("Wordle:\n", False)]
            for g in guess[:n]:
                turns += [Turn(words.actions[g], True, 0.0 if g == word else -1.0), Turn(words.answers[g][word], False)]
            yield Episode("wordle", turns, True, False, policy="behaviour",
                          info={"success": won, "invalid": 0, "options": {"word": words.words[word]}})


def play_behaviour(words: Vocabulary, size: int, seed, mistakes: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(hidden words (size,), guesses (size, 6), how many of them were made (size,)) as numbers of words."""
    rng, n = np.random.default_rng(seed), len(words.words)
    hidden, guesses = rng.integers(n, size=size), np.zeros((size, TRIES), np.int64)
    fits, lengths, rows = np.ones((size, n), bool), np.full(size, TRIES), np.arange(size)
    for k in range(TRIES):
        guess = rng.integers(n, size=len(rows))
        clever = rng.random(len(rows)) >= mistakes
        guess[clever] = (rng.random((clever.sum(), n), np.float32) * fits[rows[clever]]).argmax(1)
        guesses[rows, k] = guess
        won = guess == hidden[rows]
        lengths[rows[won]] = k + 1
        rows, guess = rows[~won], guess[~won]
        fits[rows] &= words.patterns[guess] == words.patterns[guess, hidden[rows]][:, None]
    return hidden, guesses, lengths


# ---------------------------------------------------------------------------------------------- what a tiny model reads

def model_text(turns: list[Turn]) -> list[str]:
    """The same turns with each mark beside its letter and place: "b y b g b" after "s n a k e" -> "1sb 2ny 3ab 4kg 5eb"."""
    out, guess = [], ""
    for turn in turns:
        if turn.is_action:
            guess = turn.text.replace(" ", "")
            out.append(turn.text)
        elif turn.text == "\n":
            out.append("(no word)")
        else:
            marks = turn.text.rstrip("\n").split(" ")
            out.append(turn.text if len(marks) != 5 else
                       " ".join(f"{i}{letter}{mark}" for i, (letter, mark) in enumerate(zip(guess, marks, strict=True), 1)))
    return out


def letters(token: str) -> tuple[str, ...]:
    """The parts of a word's token: each letter in its place, and each letter anywhere; nothing for other tokens."""
    word = token.replace(" ", "")
    if spaced(word) != token or len(word) != 5 or not word.isalpha():
        return ()
    return (*(f"{i}{letter}" for i, letter in enumerate(word, 1)), *dict.fromkeys(word))


# ---------------------------------------------------------------------------------------------- card

def references(size: int = 200, games: int = 40_000) -> References:
    """What the card holds, computed: the mean of `games` behaviour games, and the exact mean of the best policy."""
    words = words_of(size)
    hidden, guesses, lengths = play_behaviour(words, games, [0, 1], MISTAKES)
    won = guesses[np.arange(games), lengths - 1] == hidden
    returns = -(lengths - won).astype(float)
    return References(-float(TRIES), float(returns.mean()), exact_mean(InformationPolicy(size)),
                      (0.0, float(returns.std(ddof=1) / games**0.5), 0.0), f"lmrl_lab.tasks.wordle.references({size})")


def exact_mean(policy: WordlePolicy) -> float:
    """Mean return over all hidden words of a policy that draws nothing."""
    words = policy.vocabulary
    env = WordleEnv(len(words.words), words.colors)
    return sum(played(policy, env, options={"word": word}).total_return for word in words.words) / len(words.words)


def evaluation_options(episodes: int, vocabulary: int = 200, colors: str = "official") -> list[dict]:
    """Every word in turn: 400 games are two of each of 200 words."""
    return [{"word": ALL_WORDS[k % vocabulary]} for k in range(episodes)]


_REFERENCES = {n: References(-6.0, behaviour, best, (0.0, error, 0.0), f"lmrl_lab.tasks.wordle.references({n})")
               for n, behaviour, error, best in ((60, -3.322, 0.009, -1.367), (200, -3.779, 0.008, -1.725),
                                                 (400, -4.048, 0.008, -1.900))}
# no CQL term: every word is in the data after nearly everything, and the clone knows what is no word
_VALUES = {"steps": 1_000, "batch_size": 256, "learning_rate": 2e-3, "gamma": 1.0, "reward_scale": 1.0, "cql": 0.0}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
CARDS = {
    "wordle": TaskCard(
        id="wordle", title="Wordle", summary="guess a hidden word of five letters in six tries",
        capability="strategy: a guess that cannot be right may be the better question",
        env=WordleEnv, behaviour=behaviour_episodes, data_size=100_000, max_actions=TRIES, keep=0.3, context="episode",
        policies={"random": random_policy, "behaviour": behaviour_policy, "consistent": ConsistentPolicy,
                  "best": InformationPolicy},
        references=_REFERENCES[200], other_references={(("vocabulary", n),): found for n, found in _REFERENCES.items()},
        turn_tokens=6, evaluation_options=evaluation_options,
        evaluation_episodes=1_000, actions=tuple(spaced(word) for word in ALL_WORDS),
        vocabulary=(*(spaced(word) for word in ALL_WORDS), "Wordle:\n", "(no word)",
                    *(f"{i}{letter}{mark}" for i in range(1, 6) for letter in _LETTERS for mark in MARKS)),
        settings={"bc": {"steps": 1_500, "batch_size": 256, "learning_rate": 4e-3},
                  "filtered_bc": {"steps": 1_500, "batch_size": 256, "learning_rate": 4e-3},
                  "mc": {**_VALUES, "beta": 4.0},
                  "ilql": {**_VALUES, "steps": 1_200, "beta": 8.0, "tau": 0.7, "polyak": 0.1},
                  "ppo": {"updates": 200, "episodes_per_update": 256, "gamma": 1.0},
                  "online_filtered_bc": {"updates": 40, "episodes_per_update": 1_024, "keep": 0.1, "learning_rate": 3e-4,
                                         "batch_size": 64}},
        model_text=model_text, parts=letters, network={"layers": 1, "width": 128},
        paper={"BC": -2.81, "filtered BC": -2.85, "MC": -2.16, "ILQL": -2.04, "PPO": -2.63, "online filtered BC": -2.15,
               "GPT-4": -5.42}),
}
