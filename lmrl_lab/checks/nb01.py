"""Checks of notebook 01, language as a decision process: returns, next states, blocks, and a prediction."""

from __future__ import annotations

import functools
from collections.abc import Callable

from lmrl_lab.checks import Result, check_choice, check_function, close

# rows worked out by hand, o an observation's token and A an action's: returns of (rewards, mask, gamma)
_RETURNS = [
    (([0, -1], [0, 1], 0.5), [0, -1], "the only action token earns -1 itself; k = 0 is its own reward"),
    (([0, 0, 8], [0, 1, 1], 0.5), [0, 4, 8],
     "two tokens of one action are two steps: the first is one step from the reward"),
    (([0, 2, 0, 0, 0, 8], [0, 1, 0, 0, 0, 1], 0.5), [0, 6, 0, 0, 0, 8],
     "2 + 0.5 * 8: the three tokens of the observation between the two actions do not discount"),
    (([0, -1, 0, -1, 0, 0, 0, -1], [0, 1, 0, 1, 0, 0, 0, 1], 1.0), [0, -3, 0, -2, 0, 0, 0, -1],
     "without a discount it is a sum"),
    (([0, 0, 4, 0, 0, 0, 16], [0, 1, 1, 0, 1, 1, 1], 0.5), [0, 3, 6, 0, 4, 8, 16], "turns of two and of three tokens"),
]


def returns_to_go(function: Callable[[list, list, float], list]) -> Result:
    """returns_to_go(rewards, mask, gamma): a number a token, 0 at tokens that are no action's."""
    return check_function("returns_to_go", function, _RETURNS)


# (mask, truncated) -> where V of the next state is read, one entry an action token
_NEXT = [
    (([0, 0, 1, 0, 0, 0, 1], False), [5, None],
     "the next action stands at 6, its state is read at 5; after the end there is no state"),
    (([0, 1, 1, 0, 1], False), [1, 3, None], "within an action the next token's state is the token itself"),
    (([0, 1, 0, 0, 1, 0, 0], True), [3, 6], "a cut game has a last state: the last token of the final observation"),
    (([0, 0, 1, 1, 0, 0, 0, 1, 1, 0], True), [2, 6, 7, 9], "two actions of two tokens each, then the cut"),
]


def next_positions(function: Callable[[list, bool], list]) -> Result:
    """next_positions(mask, truncated): for each action token the position of its next state, or None."""
    return check_function("next_positions", function, _NEXT, same=_same_positions)


def _same_positions(got, expected) -> bool:
    return len(got) == len(expected) and all(
        g is None if e is None else g is not None and not isinstance(g, bool) and close(int(g), e)
        for g, e in zip(got, expected, strict=True))


# block ids of a row -> which token (a line) sees which (a column)
_BLOCKS = [
    (([0, 0],), [[1, 0], [1, 1]], "one block: each token sees itself and what is before it"),
    (([0, 1],), [[1, 0], [0, 1]], "two blocks: the second token must not see the first"),
    (([0, 0, 1, 1, 1],), [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1, 1]],
     "a block of two tokens, then one of three"),
]


def may_attend(function: Callable[[list[int]], list[list[bool]]]) -> Result:
    """may_attend(block): (T, T) true or false, line t says what token t sees."""
    return check_function("may_attend", _with_numbers(function) if callable(function) else function, _BLOCKS)


def _with_numbers(function: Callable) -> Callable:
    """The same function with true and false told as 1 and 0, so that a message can be read at a glance."""
    @functools.wraps(function)
    def told(block):
        got = function(block)
        try:
            return [[int(bool(x)) for x in line] for line in got]
        except (TypeError, ValueError):
            return got
    return told


def prediction(guess: str) -> Result:
    """How many earlier turns does a clone of the best player need: "a" none, "b" one, "c" three, "d" all of them?"""
    return check_choice("prediction", guess, "abcd", "b",
                   "the last move tells the corridor's two directions apart, and nothing older is needed")
