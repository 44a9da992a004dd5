"""Checks of notebook 00, start here: a prediction, and a filter of one's own."""

from __future__ import annotations

from collections.abc import Callable

from lmrl_lab.checks import Result, check_choice, check_function
from lmrl_lab.episode import Episode, Turn


def prediction(guess: str) -> Result:
    """Where does a clone of all the recordings score: "a" under 30, "b" near 50, "c" above 80?"""
    return check_choice("prediction", guess, "abc", "b",
                   "a copy plays like what it copies, and 50 is where the recordings score")


def keep_short(function: Callable[[list[Episode], int], list[Episode]]) -> Result:
    """keep_short(episodes, longest): the games that reached the goal in at most `longest` moves, in their order."""
    won, lost = _game(3, True), _game(2, False)
    longer, edge = _game(7, True), _game(5, True)
    rows = [
        ([won, lost], 5, [won], "a short game that never reached the goal is not kept"),
        ([longer, won], 5, [won], "7 moves are more than 5"),
        ([edge, longer], 5, [edge], "at most 5 moves: a game of exactly 5 is kept"),
        ([longer, edge, won], 9, [longer, edge, won], "the games keep their order, and here all fit"),
        ([lost], 9, [], "nothing is left"),
    ]
    cases = [(([_Shown(e) for e in games], longest), [_Shown(e) for e in kept], why)
             for games, longest, kept, why in rows]
    return check_function("keep_short", function, cases, same=lambda got, expected: list(got) == expected)


class _Shown(Episode):
    """An Episode that shows itself in a few words in the message of a check."""

    def __init__(self, episode: Episode):
        super().__init__(episode.task, episode.turns, episode.terminated, episode.truncated, info=episode.info)

    def __repr__(self) -> str:
        return f"<{len(self.actions)} moves, {'goal' if self.success else 'no goal'}>"


def _game(moves: int, won: bool) -> Episode:
    turns = [Turn("a wall\n", False)]
    for k in range(moves):
        turns += [Turn("move up", True, 0.0 if won and k == moves - 1 else -1.0), Turn("a wall\n", False)]
    return Episode("maze-fo", turns, won, not won, info={"success": won})
