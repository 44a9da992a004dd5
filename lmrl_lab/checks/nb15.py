"""Checks of notebook 15, prompting a chat model. Expected values are worked out by hand; actions also by the library's parser."""

from __future__ import annotations

import re

from lmrl_lab.checks import Result, check_choice, check_function, failed, passed
from lmrl_lab.simulators import parsed

_MOVES = ("move up", "move down", "move left", "move right")
_WORDS = ("s t a r e", "t r a c e", "c r a n e")
_DRESS = ("{}", "Action: {}", "**{}**", "`{}`", "```\n{}\n```", "```text\n{}\n```", "\n\n  {}  \n", "{}.", "- {}", "\"{}\"",
          "Answer: **{}**", "{}\nbecause it is best")
_LONGEST = 900


def few_shot(answer: str) -> Result:
    """The prediction: what two examples in the prompt change for a model that knows nothing."""
    return check_choice("few_shot", answer, ("a", "b", "c", "d"), "b",
                        "every request sends the examples again; what a model makes of them is another matter")


def action_of(function) -> Result:
    """A function (reply, legal actions) -> the one legal action that the first line with words names, or None."""
    cases = [
        (("move up", _MOVES), "move up", "the bare action"),
        (("Action: move up", _MOVES), "move up", "a label before it"),
        (("**Move Up**!", _MOVES), "move up", "marks around it, and capitals"),
        (("```\nmove left\n```", _MOVES), "move left", "a line that is only a fence says nothing"),
        (("```text\nmove left\n```", _MOVES), "move left", "nor does a fence with the name of a language"),
        (("I think that move down is best.", _MOVES), "move down", "whole, within a sentence"),
        (("Action:\n\nmove left", _MOVES), "move left", "a label alone says nothing"),
        (("  move right \nThe goal is there, so not move left.", _MOVES), "move right", "only the first line with words counts"),
        (("Either move up or move down.", _MOVES), None, "two are named: nobody can say which is meant"),
        (("remove upper parts", _MOVES), None, "move up stands within other words there"),
        (("Hm.\nmove up", _MOVES), None, "the first line with words names no action"),
        (("up", _MOVES), None, "half an action is none"),
        (("", _MOVES), None, "nothing was said"),
        (("Guess: s t a r e", _WORDS), "s t a r e", "a word of Wordle, its letters spaced"),
        (("s t a r e, not t r a c e", _WORDS), None, "two again"),
    ]
    for legal in (_MOVES, _WORDS):
        for action in legal:
            for dress in _DRESS:
                read = parsed(dress.format(action), legal)
                cases.append(((dress.format(action), legal), read if read in legal else None, "the library's parser reads it so"))
    return check_function("action_of", function, cases, same=_same, note="15 replies by hand, 84 by the library's parser")


def _same(got, expected) -> bool:
    return type(got) is type(expected) and got == expected


def game_cost(function) -> Result:
    """A function (system, observation, action, turns, price in, price out) -> dollars a game; prices a million tokens."""
    return check_function("game_cost", function, [
        ((100, 10, 5, 1, 2.0, 8.0), 0.00026, "one request: 110 tokens read, 5 written"),
        ((100, 10, 5, 3, 2.0, 8.0), 0.00087, "110, 125 and 140 tokens are read, 15 are written"),
        ((0, 1, 1, 4, 1_000_000.0, 0.0), 16.0, "1 + 3 + 5 + 7 tokens read at a dollar each"),
        ((0, 1, 1, 4, 0.0, 1_000_000.0), 4.0, "four tokens written at a dollar each"),
        ((1000, 0, 0, 100, 10.0, 30.0), 1.0, "the rules are sent a hundred times"),
        ((300, 20, 10, 20, 2.5, 10.0), 0.03225, "20 * 320 + 30 * 190 = 12,100 read, 200 written"),
    ], note="Six bills worked out by hand")


def my_prompt(text: str) -> Result:
    """A prompt for Wordle with what a model has to know, and the exact form of an answer."""
    def missing(what):
        return failed("my_prompt", f"\n  got      {text!r:.60}\n  expected {what}")

    if not isinstance(text, str):
        return missing("a text")
    lines = [line.strip() for line in text.strip().splitlines()]
    form = [line for line in lines if re.fullmatch(r"[a-z]( [a-z]){4}", line)]
    said = "\n".join(line for line in lines if line not in form)
    if not form:
        return missing("a line of its own with an answer as the game reads it: five small letters with spaces between them")
    if not re.search(r"\b(six|6)\b", said, re.I):
        return missing("how many guesses there are")
    if lost := [mark for mark in "gyb" if not re.search(rf"\b{mark}\b", said)]:
        return missing(f"what the mark {lost[0]} means")
    if not re.search(r"\b(only|nothing else|nothing but|nothing before|no other)\b", said, re.I):
        return missing("a word that nothing else is to be said (only, nothing else, ...)")
    if len(text) > _LONGEST:
        return missing(f"at most {_LONGEST} characters: they are paid for with every request")
    return passed("my_prompt", f"{len(text)} characters, about {len(text) // 4} tokens, with every request")
