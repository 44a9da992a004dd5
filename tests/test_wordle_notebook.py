"""What notebook 04 builds, held against what the library has."""

import numpy as np

from answers import nb04 as answers
from lmrl_lab.checks import nb04
from lmrl_lab.tasks import wordle


def test_the_marks_of_the_notebook_and_of_its_check_are_the_library_s_on_all_pairs():
    for guess in wordle.ALL_WORDS:
        for word in wordle.ALL_WORDS[::3]:
            assert wordle.marks(guess, word) == answers.marks(guess, word) == nb04._slow_marks(guess, word)


def test_the_information_of_the_notebook_is_the_library_s():
    words, rng = wordle.words_of(200), np.random.default_rng(0)
    for size in (1, 2, 7, 60):
        possible = rng.choice(200, size, replace=False)
        listed, bits = [words.words[i] for i in possible], words.information(possible)
        for guess in rng.choice(200, 10):
            assert np.isclose(answers.information(words.words[guess], listed), bits[guess])


def test_the_trap_is_what_house_leaves_and_the_best_player_asks_drink():
    words = wordle.words_of(400)
    left = words.fitting(np.arange(400), words.index["house"], wordle.PATTERNS.index("ybbyg"))
    assert [words.words[i] for i in left] == list(nb04.TRAP)
    assert words.words[wordle.InformationPolicy(400).guess(None, left)] == "drink"


def test_how_often_the_second_guess_is_ruled_out_already():
    words, best = wordle.words_of(400), wordle.InformationPolicy(400)
    first = best.guess(None, np.arange(400))
    pieces = [words.fitting(np.arange(400), first, k) for k in np.unique(words.patterns[first]) if k != wordle.WON]
    assert sum(len(piece) for piece in pieces) == 399
    assert sum(len(piece) for piece in pieces if best.guess(None, piece) not in piece) == 154
