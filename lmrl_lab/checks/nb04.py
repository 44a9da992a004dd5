"""Checks of notebook 04, Wordle. Expected marks and bits are worked out by hand, or by the slow code in this file."""

from __future__ import annotations

import math
import random

import numpy as np

from lmrl_lab.checks import Result, check_choice, check_function, failed, passed
from lmrl_lab.tasks.wordle import ALL_WORDS

TRAP = ("shade", "shake", "shape", "share")  # what "house" leaves of 400 words when it is answered by y b b y g


def marks(function) -> Result:
    """A function (guess, word) -> five marks by the official rule."""
    cases = [
        (("snake", "snake"), "ggggg", "every letter is in its place"),
        (("light", "snake"), "bbbbb", "no letter of light is in snake"),
        (("house", "snake"), "bbbyg", "e is in its place, s is elsewhere"),
        (("eagle", "snake"), "bybbg", "snake has one e, and the green one at the end has used it up"),
        (("level", "hello"), "ygbby", "hello has two l, so both are yellow; its only e is green in place 2"),
        (("eerie", "hotel"), "ybbbb", "hotel has one e, none of the three is in its place: the first from the left is yellow"),
        (("error", "fruit"), "bgbbb", "the r in place 2 is green and fruit has no other"),
        (("hello", "level"), "bgyyb", "level has two l, and neither stands where you guessed one"),
    ]
    rng = random.Random(4)
    doubled = [word for word in ALL_WORDS if len(set(word)) < 5]
    for _ in range(300):
        guess, word = rng.choice(doubled), rng.choice(ALL_WORDS)
        cases.append(((guess, word), _slow_marks(guess, word), "a slow count letter by letter says so"))
    return check_function("marks", function, cases, note="Eight cases worked out by hand and 300 pairs with a double letter")


def _slow_marks(guess: str, word: str) -> str:
    """Letter by letter of the alphabet: greens first, then as many yellows from the left as the word has left."""
    found = ["b"] * 5
    for letter in set(guess):
        here = [i for i in range(5) if guess[i] == letter]
        green = [i for i in here if word[i] == letter]
        yellow = [i for i in here if i not in green][:word.count(letter) - len(green)]
        for i in here:
            found[i] = "g" if i in green else "y" if i in yellow else "b"
    return "".join(found)


def information(function) -> Result:
    """A function (guess, possible words) -> the bits that the guess is expected to give."""
    rng = random.Random(1)
    drawn = rng.sample(ALL_WORDS, 50)
    cases = [
        (("house", ["snake", "mouse"]), 1.0, "two words, two answers: one bit"),
        (("shade", list(TRAP)), 2 - 0.75 * math.log2(3), "one word of four is told at once, three share an answer: "
                                                         "1/4 of 2 bits and 3/4 of log2(4/3)"),
        (("drink", list(TRAP)), 2.0, "four answers, although drink is none of the four words"),
        (("light", ["snake"]), 0.0, "where only one word is left, nothing is to be learnt"),
        (("funny", ["table", "glass", "world"]), 0.0, "all three give the same answer"),
        (("right", ["light", "night", "fight", "right", "table", "house", "snake", "bread"]), 15 / 8 + 3 / 8 * math.log2(8 / 3),
         "three of eight words share an answer, bgggg; the other five have one each, worth 3 bits"),
        (("learn", drawn), _slow_bits("learn", drawn), "50 words, against a slow loop over all pairs"),
        (("quick", drawn), _slow_bits("quick", drawn), "50 words, against a slow loop over all pairs"),
    ]
    return check_function("information", function, cases, note="Eight sets of words, the largest with 50")


def _slow_bits(guess: str, possible: list[str]) -> float:
    """Mean over the words of log2(all / those with the same answer)."""
    seen = [_slow_marks(guess, word) for word in possible]
    return sum(math.log2(len(seen) / sum(one == other for other in seen)) for one in seen) / len(seen)


def outside(answer: str) -> Result:
    """The prediction: how often the second guess with the most information can not be the word."""
    return check_choice("outside", answer, ("a", "b", "c", "d"), "c",
                        "in 154 of 399 games a word that is already ruled out tells the rest apart best")


def probe(word: str) -> Result:
    """A word of the 400 that tells the four words of the trap apart."""
    if not isinstance(word, str) or word.replace(" ", "").lower() not in ALL_WORDS:
        return failed("probe", f"\n  got      {word!r}\n  expected one of the 400 words of this game, as a text")
    word = word.replace(" ", "").lower()
    answers = {hidden: _slow_marks(word, hidden) for hidden in TRAP}
    groups = [[hidden for hidden in TRAP if answers[hidden] == seen] for seen in dict.fromkeys(answers.values())]
    if len(groups) == len(TRAP):
        return passed("probe", f"{word}: " + ", ".join(f"{hidden} answers {seen}" for hidden, seen in answers.items()))
    alike = max(groups, key=len)
    return failed("probe", f"\n  got      {word}, which answers {answers[alike[0]]} for {' and for '.join(alike)}\n"
                           "  expected four different answers")


def games_needed(function) -> Result:
    """A function (gap, spread) -> how many games a word until two means that differ by `gap` stand two errors apart."""
    def whole(gap, spread):
        got = function(gap, spread)
        return got.item() if isinstance(got, np.generic) else got

    if not callable(function):
        return failed("games_needed", f"Expected a function, got {function!r}.")
    whole.__name__ = getattr(function, "__name__", "games_needed")
    return check_function("games_needed", whole, [
        ((1.0, 1.0), 8, "means of 8 games: variance 1/8 each, 1/4 of their difference; error 1/2, twice that is the gap"),
        ((0.5, 1.0), 32, "half the gap: four times the games"),
        ((1.0, 2.0), 32, "twice the spread: four times the games"),
        ((3.0, 2.0), 4, "32/9 = 3.6 games are not a whole number, and 3 are too few"),
        ((0.25, 1.5), 288, "8 times 1.5 squared, over 0.25 squared"),
        ((0.125, 1.25), 800, "8 times 1.25 squared, over 0.125 squared"),
    ], note="Six cases by hand")
