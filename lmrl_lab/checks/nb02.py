"""Checks of notebook 02, the maze. Expected numbers are worked out by hand from the rules, or played in the game."""

from __future__ import annotations

import numpy as np

from lmrl_lab.checks import Result, failed, passed
from lmrl_lab.env import make
from lmrl_lab.tasks.maze import ACTIONS, exact_returns, maze

PAPER_BEST_PO = -52.9  # the best of the paper's partly observed maze (its ILQL)
# the seven sentences of the partly observed maze, in the notebook's order
SENTENCES = {
    1: "There are walls above you, below you.",
    2: "There are walls to your left, above you, below you.",
    3: "There are walls to your right, above you, below you.",
    4: "There is a wall above you.",
    5: "There are walls to your right, to your left.",
    6: "There are walls to your left, below you.",
    7: "There are walls to your right, below you.",
}


def coin(answer: str) -> Result:
    """The prediction: how much the best memoryless player gains from a coin."""
    if not isinstance(answer, str) or answer not in ("a", "b", "c", "d"):
        return failed("coin", "Choose a, b, c or d before you go on: my_prediction = \"b\", say.")
    if answer != "d":
        return failed("coin", f"You said ({answer}), and it is not that. Go on to the next exercise, build such a player, "
                              "read its exact return, and come back.")
    return passed("coin", "-12.6: one coin, in one of seven situations, is worth 42 points")


def memoryless(rows: dict) -> Result:
    """Seven rows of probabilities (up, down, left, right), one a wall sentence, that beat the paper's best."""
    if not isinstance(rows, dict) or set(rows) != set(SENTENCES):
        return failed("memoryless", "Expected a dictionary with the keys 1 to 7.")
    for name, row in rows.items():
        try:
            row = np.asarray(row, float)
            fine = row.shape == (4,) and np.isfinite(row).all() and row.min() >= 0 and abs(row.sum() - 1) < 1e-6
        except (TypeError, ValueError):
            fine = False
        if not fine:
            return failed("memoryless", f"Row {name} is {rows[name]!r}; expected four probabilities "
                                        "(up, down, left, right) that sum to 1.")
    of = maze()
    number = {sentence: name for name, sentence in SENTENCES.items()}
    table = np.array([rows[number.get(walls, 1)] for walls in of.walls], float)  # the goal's row is never used
    each = exact_returns(table, of)
    value = float(each[of.starts].mean())
    if value > PAPER_BEST_PO:
        return passed("memoryless", f"Exact return {value:.2f}; the paper's best result is {PAPER_BEST_PO}, "
                                    "the best possible without memory is -12.60")
    worst = of.starts[int(np.argmin(each[of.starts]))]
    row, column = of.cells[worst]
    return failed("memoryless", f"\n  got      exact return {value:.2f}\n  expected above {PAPER_BEST_PO}\n  from row {row}, "
                                f"column {column} your player expects {each[worst]:.1f}: walk that way with a finger")


def one_move(function) -> Result:
    """A player (walls, last move or None) -> move for the partly observed maze, better than any without memory."""
    if not callable(function):
        return failed("one_move", f"Expected a function, got {function!r}.")
    env, total = make("maze-po"), 0.0
    of, lost = env.maze, None
    for i in of.starts:
        text, _ = env.reset(options={"start": of.cells[i]})
        last, over, earned = None, False, 0.0
        while not over:
            try:
                move = function(text.strip(), last)
            except Exception as error:  # whatever a learner's code raises is shown, never raised
                return failed("one_move", f"\n  one_move({text.strip()!r}, {last!r})\n  raised   {error!r}")
            if not isinstance(move, str) or move not in ACTIONS:
                return failed("one_move", f"\n  one_move({text.strip()!r}, {last!r})\n  got      {move!r}\n"
                                          f"  expected one of {', '.join(ACTIONS)}")
            text, reward, terminated, truncated, _ = env.step(move)
            last, over, earned = move, terminated or truncated, earned + reward
        if not terminated and lost is None:
            lost = of.cells[i]
        total += earned
    value = total / len(of.starts)
    if value > -12.6:
        return passed("one_move", f"Return {value:.2f} over the 25 starts; the best possible with any memory is -7.24")
    where = f"\n  from row {lost[0]}, column {lost[1]} it never arrives" if lost else ""
    return failed("one_move", f"\n  got      return {value:.2f} over the 25 starts\n  expected above -12.60, the best "
                              f"without memory{where}")
