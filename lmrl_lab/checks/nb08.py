"""Checks of notebook 08, Guess My City. Expected values are worked out by hand, or by the slow code in this file."""

from __future__ import annotations

import random

from lmrl_lab.checks import Result, check_function, check_number, hint_for

# question -> city -> answer, as the notebook holds the task's table
_SMALL = {"What food is typical there?": {"Rome": "Pasta.", "Milan": "Pasta.", "Lima": "Raw fish.", "Lagos": "Rice."},
          "What continent is it on?": {"Rome": "Europe.", "Milan": "Europe.", "Lima": "South America.", "Lagos": "Africa."},
          "Is it a capital city?": {"Rome": "Yes.", "Milan": "No.", "Lima": "Yes.", "Lagos": "No."},
          "What is it famous for?": {"Rome": "Ruins.", "Milan": "Fashion.", "Lima": "Fog.", "Lagos": "Music."}}
_FOUR = ["Rome", "Milan", "Lima", "Lagos"]


def best_return(prediction) -> Result:
    """The mean return of the best player there can be in Guess My City."""
    hints = {0: "then every first guess would be right", -2: "the right name costs nothing",
             -1.98: "that is the price of naming a city first; is there a better first move?",
             -6.64: "that is log2 of 100 with a minus: questions of yes and no. Here an answer may tell more than one bit",
             -5.64: "questions of yes and no would need about so many. Here an answer may tell more than one bit"}
    return check_number("best_return", prediction, -1, "one question whose answer no two cities share, then the name",
                        hint_for(hints, "look at the longest bars: how many cities are left after such an answer?"))


def expected_left(function) -> Result:
    """A function (question, cities, facts) -> the mean number of cities that are left after the answer."""
    food, continent, capital, famous = _SMALL
    rng = random.Random(8)
    names = [f"city {n}" for n in range(30)]
    drawn = {f"question {q}": {name: rng.choice("abcdefg"[:2 + q]) for name in names} for q in range(4)}
    cases = [
        ((capital, _FOUR, _SMALL), 2.0, "two and two: two are left, whatever is answered"),
        ((food, _FOUR, _SMALL), 1.5, "for two cities 2 are left, for two cities 1: (2 + 2 + 1 + 1) / 4"),
        ((famous, _FOUR, _SMALL), 1.0, "no two share an answer"),
        ((food, ["Rome", "Milan"], _SMALL), 2.0, "both have the same answer, and only these two are left"),
        ((continent, ["Lima"], _SMALL), 1.0, "one is left, and one stays"),
    ]
    cases += [((question, names, drawn), _slow_left(question, names, drawn), "30 cities, against a slow loop over all pairs")
              for question in drawn]
    return check_function("expected_left", function, cases, note="Five cases by hand and four with 30 cities")


def _slow_left(question: str, cities: list[str], facts: dict) -> float:
    answers = [facts[question][name] for name in cities]
    return sum(one == other for one in answers for other in answers) / len(answers)


def learn(function) -> Result:
    """A function (games) -> {(said, told): {winning guess: how often}}, from the won games alone."""
    food, capital = ("What food is typical there?", "Pasta."), ("Is it a capital city?", "Yes.")
    rome, milan = ("Is it Rome?", "Yes."), ("Is it Milan?", "Yes.")
    not_milan = ("Is it Milan?", "No.")
    return check_function("learn", function, [
        (([],), {}, "no games, nothing learnt"),
        (([[food, rome]],), {food: {"Is it Rome?": 1}}, "one won game: the answer goes with the name that won"),
        (([[food, not_milan]],), {}, "a lost game does not say which city it was"),
        (([[rome]],), {}, "a lucky first guess was told nothing before it"),
        (([[food, capital, rome], [food, milan], [food, rome]],),
         {food: {"Is it Rome?": 2, "Is it Milan?": 1}, capital: {"Is it Rome?": 1}}, "counts over all games"),
        (([[food, not_milan, rome]],), {food: {"Is it Rome?": 1}, not_milan: {"Is it Rome?": 1}},
         "a wrong name and its No. are an answer like others"),
    ], same=lambda got, wanted: {key: dict(names) for key, names in got.items()} == wanted, note="Six cases by hand")


def gives_away(function) -> Result:
    """A function (answer, names) -> True where the answer holds one of the names as whole words."""
    rome, york, paulo = ("Rome", "Roma"), ("New York", "NYC"), ("São Paulo",)
    return check_function("gives_away", function, [
        (("Pasta with cheese.", rome), False, "no name is in it"),
        (("The old centre of Rome.", rome), True, "the name stands there"),
        (("I live in ROMA, my friend!", rome), True, "a second name counts, and case does not matter"),
        (("Romeo and Juliet.", rome), False, "Romeo is another word"),
        (("Rice from Sao Paulo", paulo), True, "an accent makes no other name"),
        (("Saint Paul's church.", paulo), False, "a part of the name is not the name"),
        (("A new stadium.", york), False, "one word of two is not the name"),
        (("New York-style pizza.", york), True, "a hyphen parts words"),
        (("", york), False, "nothing was said"),
    ], note="Nine cases by hand")
