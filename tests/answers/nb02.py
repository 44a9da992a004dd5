"""Answers to the exercises of notebook 02, their stubs, and wrong answers that its checks must refuse."""

from lmrl_lab.checks.nb02 import SENTENCES

UP, DOWN, LEFT, RIGHT = (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)
CERTAIN = {2: RIGHT, 3: LEFT, 4: DOWN, 5: DOWN, 6: RIGHT, 7: LEFT}
UNIFORM = dict.fromkeys(range(1, 8), (0.25, 0.25, 0.25, 0.25))


def one_move(walls, last):
    fixed = {2: "move right", 3: "move left", 4: "move down", 5: "move down", 6: "move right", 7: "move left"}
    for number, move in fixed.items():
        if walls == SENTENCES[number]:
            return move
    return last if last in ("move left", "move right") else "move right"


def one_move_stub(walls, last):
    return "move down"


def one_move_forgetful(walls, last):
    return one_move(walls, None)  # a fixed move in the corridor: no memory at all


def one_move_up_too(walls, last):
    return "move up" if walls == "There is a wall above you." else one_move(walls, last)


def one_move_short(walls, last):
    return one_move(walls, last).removeprefix("move ")  # not what the game reads


def one_move_back(walls, last):
    back = {"move left": "move right", "move right": "move left"}
    return back.get(last, "move right") if walls == "There are walls above you, below you." else one_move(walls, last)


def one_move_raises(walls, last):
    return last.upper()


ANSWERS = {
    "coin": {"answer": "d", "stub": None, "wrong": ["a", "b", "c", "D", -12.6]},
    "memoryless": {"answer": {1: (0, 0, 0.5, 0.5), **CERTAIN}, "stub": UNIFORM,
                   "wrong": [{1: LEFT, **CERTAIN}, {1: RIGHT, **CERTAIN},
                             {1: (0, 0, 0.5, 0.5), **CERTAIN, 4: UP}, {1: (0, 0, 1, 1), **CERTAIN}, CERTAIN]},
    "one_move": {"answer": one_move, "stub": one_move_stub,
                 "wrong": [one_move_forgetful, one_move_up_too, one_move_short, one_move_back, one_move_raises]},
}
