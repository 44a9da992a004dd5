"""Checks of notebook 06, chess endgames. Expected values are worked out by hand, or read off the rules."""

from __future__ import annotations

from lmrl_lab.checks import Result, check_function, check_number, hint_for

_ROOK, _TWO = "8/8/8/3k4/8/3K4/8/7R w - - 0 1", "7k/8/8/8/8/4K3/8/R6R w - - 0 1"
_CASES = [
    ((_ROOK, "Rh5"), "legal", "the rook goes up its file"),
    ((_ROOK, "Kd4"), "into check", "the king reaches d4, but the black king on d5 is next to it"),
    ((_ROOK, "Kd5"), "cannot go there", "d5 is two squares away"),
    ((_ROOK, "Rg5"), "cannot go there", "g5 is neither on the rook's file nor on its rank"),
    ((_ROOK, "Qd4"), "cannot go there", "there is no queen"),
    ((_ROOK, "Rh9"), "unreadable", "there is no ninth rank"),
    ((_ROOK, "King"), "unreadable", "that is a word"),
    ((_ROOK, ""), "unreadable", "nothing was said"),
    ((_TWO, "Rd1"), "ambiguous", "both rooks reach d1"),
    ((_TWO, "Rad1"), "legal", "it says which rook"),
    ((_TWO, "Kd2"), "legal", "a step of the king"),
    (("7k/8/8/8/8/8/R7/K7 w - - 0 1", "Ra1"), "cannot go there", "the white king stands on a1"),
]


def price_of_errors(prediction) -> Result:
    """The mean return of an agent that always wins in 20 legal moves and errs in one text of five."""
    hints = {-3: "20 texts are not enough: every fined one must be said again", -5: "is there no reward for the mate?",
             1: "the fines count too", 0.8: "a fine is -1 each time", -19: "only one text in five is fined"}
    return check_number("price_of_errors", prediction, -4, "25 texts on average: 5 fines and one mate, and success is 100%",
                        hint_for(hints, "how many texts does it say until 20 of them were legal?"))


def stuck(prediction) -> Result:
    """The return of a greedy game of at most 100 moves whose tenth text is illegal."""
    hints = {-1: "what does it say next, in the same position?", -90: "the tenth one is fined too",
             -100: "the first nine texts were legal"}
    return check_number("stuck", prediction, -91, "the same position, the same text: moves 10 to 100 are fined, 91 of them",
                        hint_for(hints, "a greedy player that reads the same text says the same thing"))


def mate_value(function) -> Result:
    """A function (distance or None, tokens a move, gamma) -> the value before the first token."""
    return check_function("mate_value", function, [
        ((1, 1, 0.5), 1.0, "the very next token carries the reward"),
        ((1, 3, 0.5), 0.25, "the reward is on the third token, two steps after the first"),
        ((2, 1, 0.5), 0.5, "one token now, the mate with the next"),
        ((2, 2, 0.5), 0.125, "four tokens, three steps"),
        ((5, 2, 1.0), 1.0, "without discount every win is worth the same"),
        ((None, 2, 0.9), 0.0, "what cannot be won is worth nothing"),
        ((16, 2, 0.99), 0.99**31),
    ])


def diagnose(function) -> Result:
    """A function (fen, move) -> "legal", "unreadable", "ambiguous", "into check" or "cannot go there"."""
    return check_function("diagnose", function, _CASES)
