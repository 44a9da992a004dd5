"""Checks of notebook 17, reading a benchmark critically. Expected values are worked out by hand, or by this file's slow loops."""

from __future__ import annotations

import random

import numpy as np

from lmrl_lab.checks import Result, check_choice, check_function, failed, passed, raised, rounded


def contradictions(function) -> Result:
    """A function (returns, scores) -> pairs (i, j), i < j, of rows that no increasing scale can explain, in order."""
    rng = random.Random(17)
    returns, scores = [rng.randrange(6) for _ in range(9)], [float(rng.randrange(6)) for _ in range(9)]
    slow = []
    for i in range(9):
        for j in range(i + 1, 9):
            low, high = sorted((i, j), key=lambda n: returns[n])
            if scores[low] > scores[high] or returns[i] == returns[j] and scores[i] != scores[j]:
                slow.append((i, j))
    return check_function("contradictions", function, [
        (([-10.0, -5.0, -1.0], [20.0, 50.0, 90.0]), [], "the more, the higher: nothing to complain of"),
        (([-10.0, -5.0], [60.0, 50.0]), [(0, 1)], "-5 is more than -10, and has the lower score"),
        (([-5.0, -10.0], [50.0, 60.0]), [(0, 1)], "the same two rows in the other order"),
        (([0.1, 0.1], [35.0, 36.0]), [(0, 1)], "one return, two scores"),
        (([0.1, 0.1], [35.0, 35.0]), [], "one return, one score"),
        (([0.1, 0.2], [35.0, 35.0]), [], "two returns may share a score: it is rounded"),
        (([-88.0, -82.9, -79.5], [60.4, 50.1, 53.1]), [(0, 1), (0, 2)], "the lowest return has the highest score"),
        (([3.0, 1.0, 2.0], [1.0, 3.0, 2.0]), [(0, 1), (0, 2), (1, 2)], "upside down: every pair, not only neighbours"),
        (([], []), [], "no rows"),
        ((returns, scores), slow, "nine rows at random, against a slow loop"),
    ], same=lambda got, expected: [tuple(map(int, pair)) for pair in got] == expected)


def three_moves(letter) -> Result:
    """The prediction: the best mean return of the maze for a player that is never told of one of the four moves, `move down`."""
    return check_choice("three_moves", letter, "abcd", "d",
                        "the goal has one neighbour, the square above it: without 'move down' nobody ever arrives, and 100 moves "
                        "cost 100")


def _programs() -> list[tuple[str, object, bool]]:
    """(what it is, a function (rewards, gamma) -> returns-to-go, whether it is right)."""
    def loop(rewards, gamma, following=0.0):
        out = []
        for reward in reversed(list(rewards)):
            following = reward + gamma * following
            out.append(following)
        return out[::-1]

    def powers(rewards, gamma):
        rewards = np.asarray(rewards, float)
        return np.array([(gamma ** np.arange(len(rewards) - t) * rewards[t:]).sum() for t in range(len(rewards))])

    def goes_on(rewards, gamma):  # the value of the last state follows the end, for ever
        return loop(rewards, gamma, rewards[-1] / (1 - gamma) if gamma < 1 else rewards[-1] * 1e9)

    return [
        ("a right program, a loop from the end", loop, True),
        ("a program that counts the last reward twice", lambda r, g: loop(r, g, r[-1]), False),
        ("a program that forgets to discount", lambda r, g: loop(r, 1.0), False),
        ("a program that leaves out a step's own reward", lambda r, g: [*loop(r, g)[1:], 0.0], False),
        ("a right program, with powers of gamma, that returns an array", powers, True),
        ("a program that discounts from the start of the game, not from the step",
         lambda r, g: [g**t * x for t, x in enumerate(loop(r, g))], False),
        ("a program whose value goes on behind the end of the game", goes_on, False),
        ("a program that discounts once too often", lambda r, g: [g * x for x in loop(r, g)], False),
        ("a program that gives every step the return of the whole game", lambda r, g: [loop(r, g)[0]] * len(r), False),
        ("a program that forgets to turn its list round", lambda r, g: loop(r, g)[::-1], False),
    ]


def is_right(function) -> Result:
    """A test: a function of a program (rewards, gamma) -> returns-to-go, which says True if the program is right, else False."""
    if not callable(function):
        return failed("is_right", f"Expected a function, got {function!r}.")
    for what, program, right in _programs():
        told = rounded([float(x) for x in program([1.0, 2.0, 4.0], 0.5)])
        reason = "it is right" if right else f"for rewards [1, 2, 4] and gamma 0.5 it says {told}, and [3, 4, 4] is right"
        try:
            got = function(program)
        except Exception as error:  # whatever a learner's code raises is shown, never raised
            return failed("is_right", f"\n  your test of {what}\n  raised   {raised(error)}\n  expected {right}")
        if not isinstance(got, (bool, np.bool_)) or bool(got) != right:
            return failed("is_right", f"\n  your test of {what}\n  got      {repr(got)[:160]}\n  expected {right}"
                                      f"\n  because {reason}")
    return passed("is_right", "Two right programs and eight wrong ones told apart")


def seen_share(function) -> Result:
    """A function (train, test), lists of texts -> the share of the test's items that occur in the training data."""
    rng = random.Random(18)
    train, test = ([rng.choice("abcdefghijkl") for _ in range(n)] for n in (6, 25))
    slow = sum(any(item == other for other in train) for item in test) / 25
    return check_function("seen_share", function, [
        ((["a", "b"], ["a", "c"]), 0.5, "a is known, c is not"),
        ((["a"], ["a", "a", "a", "b"]), 0.75, "every item of the test counts, also where it stands there three times"),
        ((["a", "a", "a"], ["a", "b"]), 0.5, "how often the training data have it is not asked"),
        ((["a", "b", "c", "d"], ["a"]), 1.0, "a share of the test, not of the training data"),
        ((["a"], ["a", "b", "c", "d"]), 0.25, "the other way round"),
        ((["s n a k e"], ["s n a", "snake"]), 0.0, "a part of a known text is another text"),
        ((["a"], []), 0.0, "no test, nothing seen"),
        (([], ["a"]), 0.0, "no training data"),
        ((train, test), slow, "25 items at random, against a slow loop"),
    ])


def records_to_check(function) -> Result:
    """A function (share, sure) -> how many records must be looked at to meet a faulty one with probability `sure` or more."""
    return check_function("records_to_check", function, [
        ((0.5, 0.5), 1, "half of them are faulty: one look"),
        ((0.5, 0.75), 2, "two looks miss with probability 1/4"),
        ((0.5, 0.8), 3, "two looks find it with 0.75, that is too little; three with 0.875"),
        ((0.25, 0.5), 3, "0.75 to the third is 0.42, its square 0.56"),
        ((0.1, 0.95), 29, "0.9 to the 28th is 0.052, to the 29th 0.047"),
        ((0.01, 0.95), 299, "nearly three over the share"),
        ((0.9, 0.5), 1, "one look, nearly always"),
        ((1.0, 0.99), 1, "all are faulty: one look"),
    ], same=lambda got, expected: not isinstance(got, bool) and got == expected and int(got) == got, note="Eight cases by hand")
