"""What a guess of Wordle is worth to the behaviour policy: a table to hold networks against.

The value of a state depends on which words still fit. Here it is taken to depend on how many there are, and on the turn: the
mean return of many behaviour games in such states. One step from there the value of a guess is computed in full, over all
answers that it can get.
"""

from __future__ import annotations

import functools

import numpy as np

from lmrl_lab.tasks.wordle import MISTAKES, PATTERNS, TRIES, WON, WordlePolicy, play_behaviour, words_of


class GuessValues:
    """`state`: (7, words + 1), the value of each turn (0 to 5; 6: over) with so many words that fit, in task units."""

    def __init__(self, vocabulary: int = 200, games: int = 200_000, seed: int = 0):
        self.words = words_of(vocabulary)
        self.state = _state_values(vocabulary, games, seed)

    def of_guess(self, possible: np.ndarray, turn: int, guess: int) -> float:
        """The return from `turn` (0 to 5) on that is expected of this guess, where the words `possible` fit."""
        counts = np.bincount(self.words.patterns[guess, possible], minlength=len(PATTERNS))
        return float(self._mean(counts[None], turn)[0])

    def of_guesses(self, possible: np.ndarray, turn: int) -> np.ndarray:
        """(words,) the same for every guess."""
        return self._mean(self.words.pattern_counts(possible), turn)

    def _mean(self, counts: np.ndarray, turn: int) -> np.ndarray:
        """(guesses, patterns) how many words would answer so -> (guesses,): -1 and what follows, but 0 for the right word."""
        following = counts * (self.state[turn + 1][counts] - 1)
        following[:, WON] = 0
        return following.sum(1) / counts.sum(1)

    def along(self, hidden: int, guesses: list[int]) -> tuple[list[np.ndarray], list[float]]:
        """For each guess of a game: the words that fit before it, and what it is worth."""
        possible, sets, values = np.arange(len(self.words.words)), [], []
        for turn, guess in enumerate(guesses):
            sets.append(possible)
            values.append(self.of_guess(possible, turn, guess))
            possible = self.words.fitting(possible, guess, self.words.patterns[guess, hidden])
        return sets, values


@functools.lru_cache(maxsize=4)
def _state_values(vocabulary: int, games: int, seed: int) -> np.ndarray:
    words = words_of(vocabulary)
    n, state = len(words.words), np.zeros((TRIES + 1, len(words.words) + 1))
    total, count = np.zeros_like(state), np.zeros_like(state)
    for chunk in range(0, games, 20_000):
        hidden, guesses, lengths = play_behaviour(words, min(20_000, games - chunk), [seed, chunk, 2], MISTAKES)
        left = (guesses[np.arange(len(hidden)), lengths - 1] == hidden) - lengths  # the return from the start
        fits = np.ones((len(hidden), n), bool)
        for turn in range(TRIES):
            playing = lengths > turn
            sizes, guess = fits[playing].sum(1), guesses[playing, turn]
            total[turn] += np.bincount(sizes, left[playing] + turn, n + 1)
            count[turn] += np.bincount(sizes, minlength=n + 1)
            fits[playing] &= words.patterns[guess] == words.patterns[guess, hidden[playing]][:, None]
    sizes = np.log(np.arange(1, n + 1))
    near = np.exp(-0.5 * ((sizes[:, None] - sizes) / 0.12) ** 2)  # sizes alike lend each other their games
    for turn in range(TRIES):
        weight = near @ count[turn, 1:]
        known = weight > 5
        state[turn, 1:] = np.interp(sizes, sizes[known], (near @ total[turn, 1:])[known] / weight[known])
    return state


class GreedyValuePolicy(WordlePolicy):
    """The guess of the highest value: one step of policy improvement on the behaviour policy. Draws nothing."""

    name = "greedy on the behaviour policy's values"

    def __init__(self, vocabulary: int = 200):
        super().__init__(vocabulary)
        self.values = GuessValues(vocabulary)

    def begin(self, rng):
        return {**super().begin(rng), "turn": -1}

    def choose(self, rng, memory, observation, info):
        memory["turn"] += 1
        self._turn = memory["turn"]
        return super().choose(rng, memory, observation, info)

    def guess(self, rng, possible):
        return int(self.values.of_guesses(possible, self._turn).argmax())
