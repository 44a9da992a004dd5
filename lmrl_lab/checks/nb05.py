"""Checks of notebook 05, chess. Expected values are worked out by hand."""

from __future__ import annotations

from lmrl_lab.checks import Result, check_function, check_number, hint_for


def stuck_return(prediction) -> Result:
    """The mean return of an agent that errs in 6 of 10 texts in a game cut after 400, without mate."""
    hints = {-160: "that is the legal ones", 240: "a fine is negative", -600: "a fine is 1 for each illegal text",
             -0.6: "that is the return of one text", -400: "some texts are legal"}
    return check_number("stuck_return", prediction, -240,
                        "400 texts, six tenths of them fined; the mates hardly matter beside that",
                        hint_for(hints, "how many texts does the game have, and what does each illegal one cost?"))


def first_new(function) -> Result:
    """A function (game, others) -> index of the game's first position that no other game has, None if there is none."""
    return check_function("first_new", function, [
        ((["a", "b", "x", "c"], [["a", "b", "c"]]), 2, "the third position, number 2 from 0, is in no other game"),
        ((["x"], [["a"], ["b"]]), 0, "already the first one is new"),
        ((["a", "b"], [["b"], ["c", "a"]]), None, "both are known, from two different games"),
        ((["a", "b"], []), 0, "there are no other games"),
        ((["a", "x", "b", "y"], [["a", "b"]]), 1, "only the first new one counts"),
        (([], [["a"]]), None, "a game without positions has no new one"),
    ])
