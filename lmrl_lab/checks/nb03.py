"""Checks of notebook 03, Text-Nav. Expected answers are worked out by hand from the plan of the house, or played in the game."""

from __future__ import annotations

import random

from lmrl_lab.checks import Result, check_choice, check_function, failed, passed
from lmrl_lab.env import make

PLAN = {"bedroom": ("south", "west"), "living room": ("east", "south", "west"), "dining room": ("east", "west"),
        "kitchen": ("east", "north", "west"), "garden": ("south",), "backyard": ("east",), "office": ("east", "north"),
        "bathroom": ("north", "west")}


def looks_alike(choice: str) -> Result:
    """The prediction: how many of the partly observed views stand for more than one of the fully observed ones."""
    return check_choice(
        "looks_alike", choice, ("a", "b", "c"), "c",
        "none: no two rooms have the same exits, and whatever is carried can be dropped, so its name stands after 'You can:'")


def where(function) -> Result:
    """A function (partly observed text) -> the name of the room, wherever the things in it have gone."""
    cases = [(("There is a fridge. It is closed. Exits: east, north, west. You can: go east, go north, go west, open fridge.\n",),
              "kitchen", "exits to the east, north and west: the plan has that once"),
             (("You go west. There is a table. On it: nothing. Exits: south, west. You can: drop bowl, go south, go west, "
               "put bowl on table.\n",), "bedroom", "the bowl is gone, the exits are not; 'go west' is how you came"),
             (("You cannot do that. Exits: east. You can: go east.\n",), "backyard", "the kitchen is its only exit")]
    env, rng = make("text-nav-po"), random.Random(0)
    for room in PLAN:
        text, info = env.reset(options={"start": room})
        cases.append(((text,), room, "the game began there; the rooms that the task names are not where you stand"))
        over = False
        while not over:
            text, _, over, _, info = env.step(rng.choice(info["legal_actions"] or ("go west",)))
            cases.append(((text,), env.room, "that is where the game says you are"))
    return check_function("where", function, cases, same=lambda got, expected: got == expected,
                          note=f"{len(cases)} views, of all eight rooms")


def by_hand(pair) -> Result:
    """Two values of `go south` in the garden, from ten recordings: of what followed, and of one step ahead."""
    name, right = "by_hand", (0.0, 0.6)
    if pair is None:
        return failed(name, "Write a pair of numbers down before you go on: my_values = (0.25, 0.25), say.")
    numbers = isinstance(pair, (tuple, list)) and len(pair) == 2 and all(
        isinstance(x, (int, float)) and not isinstance(x, bool) for x in pair)
    if not numbers:
        return failed(name, f"\n  got      {pair!r}\n  expected a pair of two numbers, (what followed, one step ahead)")
    said = ("what followed", "one step ahead")
    why = ("look only at the four recordings that begin in the garden: how many of them win?",
           "how many of all the visits to the kitchen were followed by a win?")
    for got, expected, which, hint in zip(pair, right, said, why, strict=True):
        if not abs(got - expected) < 0.005:
            return failed(name, f"\n  got      {got:g} for {which}\n  expected another number: {hint}")
    return passed(name, "The recordings from the garden know nothing of the wins; the kitchen, which they all share, does")


def cut(choice: str) -> Result:
    """The prediction: which of four players learned from tables get worse when recordings are cut in two."""
    return check_choice(
        "cut", choice, ("a", "b", "c"), "b",
        "a clone counts steps and one step ahead needs steps, and not one step has changed; a filter and a return that followed "
        "need whole games")
