"""Checks of notebook 07, Twenty Questions. Expected values are worked out by hand, or by the slow code in this file."""

from __future__ import annotations

import math
import random

from lmrl_lab.checks import Result, check_function, check_number, hint_for

# question -> object -> answer, as the notebook holds the task's table
_FARM = {"Is it alive?": {"cat": "Yes.", "cow": "Yes.", "car": "No.", "cup": "No."},
         "Does it have wheels?": {"cat": "No.", "cow": "No.", "car": "Yes.", "cup": "No."},
         "Can you ride it?": {"cat": "No.", "cow": "No.", "car": "Yes.", "cup": "No."},
         "Does it fit in a room?": {"cat": "Yes.", "cow": "Yes.", "car": "Yes.", "cup": "Yes."},
         "Is it big?": {"cat": "No.", "cow": "Yes.", "car": "Yes.", "cup": "No."},
         "What is it made of?": {"cat": "Flesh.", "cow": "Flesh.", "car": "Steel.", "cup": "Clay."}}
_ALL = ["cat", "cow", "car", "cup"]


def consistent(function) -> Result:
    """A function (objects, answers, facts) -> the objects that fit all answers, in the same order."""
    return check_function("consistent", function, [
        ((_ALL, {}, _FARM), _ALL, "nothing was answered yet, so everything fits"),
        ((_ALL, {"Is it alive?": "Yes."}, _FARM), ["cat", "cow"], "these two are alive"),
        ((_ALL, {"Is it alive?": "No.", "Is it big?": "Yes."}, _FARM), ["car"], "of what is not alive only the car is big"),
        ((_ALL, {"Is it alive?": "Yes.", "Does it have wheels?": "Yes."}, _FARM), [], "nothing has both answers"),
        ((["cup", "car"], {"Is it alive?": "No."}, _FARM), ["cup", "car"], "only the given objects, in the given order"),
        ((_ALL, {"What is it made of?": "Flesh.", "Is it big?": "No."}, _FARM), ["cat"], "an answer may be any text"),
    ], note="Six cases by hand")


def information(function) -> Result:
    """A function (question, objects, facts) -> the bits that the answer is expected to tell."""
    rng = random.Random(7)
    names = [f"thing {n}" for n in range(40)]
    drawn = {f"question {q}": {name: rng.choice(["Yes.", "No.", "Blue."][:2 + q % 2]) for name in names} for q in range(4)}
    cases = [
        (("Is it alive?", _ALL, _FARM), 1.0, "two of four: one bit"),
        (("Does it have wheels?", _ALL, _FARM), 2 - 0.75 * math.log2(3), "one of four: 1/4 of 2 bits and 3/4 of log2(4/3)"),
        (("Does it fit in a room?", _ALL, _FARM), 0.0, "all give the same answer"),
        (("Is it alive?", ["cat", "cow"], _FARM), 0.0, "both of the objects that are left give the same answer"),
        (("Is it big?", ["cow"], _FARM), 0.0, "where one object is left, nothing is to be learnt"),
        (("What is it made of?", _ALL, _FARM), 1.5, "half of the time 1 bit, a quarter of the time 2, and again 2"),
    ]
    cases += [((question, names, drawn), _slow_bits(question, names, drawn), "40 objects, against a slow loop over all pairs")
              for question in drawn]
    return check_function("information", function, cases, note="Six cases by hand and four with 40 objects")


def _slow_bits(question: str, objects: list[str], facts: dict) -> float:
    """Mean over the objects of log2(all / those with the same answer)."""
    seen = [facts[question][name] for name in objects]
    return sum(math.log2(len(seen) / sum(one == other for other in seen)) for one in seen) / len(seen)


def three_left(prediction) -> Result:
    """The best mean return that is to be had when three objects are left."""
    hints = {-1.33: "that is the price of asking first; is there a cheaper way?", -2: "the first name may be the right one",
             -1.5: "with the last object left you know it: its name costs nothing", 0: "you are right at once one time in three",
             -0.67: "two wrong names cost two questions, and you need them one time in three"}
    hint = hint_for(hints, "write down the cost for each of the three objects, and take the mean")
    return check_number("three_left", prediction, -1,
                        "naming one after the other costs 0, 1 or 2, on average 1; asking first costs 4/3", hint)


def contradictions(function) -> Result:
    """A function (facts, rules) -> all (name, a, b) where the answer to a is yes and to b is no, in the rules' order."""
    wheels, ride, big, alive = "Does it have wheels?", "Can you ride it?", "Is it big?", "Is it alive?"
    return check_function("contradictions", function, [
        ((_FARM, []), [], "without a rule nothing can be broken"),
        ((_FARM, [(wheels, ride)]), [], "the only thing with wheels can be ridden"),
        ((_FARM, [(big, alive)]), [("car", big, alive)], "the car is big and not alive"),
        ((_FARM, [(alive, big)]), [("cat", alive, big)], "the rule says nothing of what is not alive"),
        ((_FARM, [(alive, wheels), (big, ride)]), [("cat", alive, wheels), ("cow", alive, wheels), ("cow", big, ride)],
         "one object may break several rules"),
    ], note="Five cases by hand")
