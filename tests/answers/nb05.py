"""Answers to the exercises of notebook 05, their stubs, and wrong answers that its checks must refuse."""


def first_new(game, others):
    known = {position for other in others for position in other}
    return next((k for k, position in enumerate(game) if position not in known), None)


def first_new_stub(game, others):
    return 0


def first_new_same_place(game, others):
    return next((k for k, position in enumerate(game) if not any(o[k:k + 1] == [position] for o in others)), None)


def first_new_last(game, others):
    known = {position for other in others for position in other}
    return max((k for k, position in enumerate(game) if position not in known), default=None)


def first_new_count(game, others):
    known = {position for other in others for position in other}
    return sum(position in known for position in game)


def first_new_in_all(game, others):
    return next((k for k, position in enumerate(game) if not all(position in other for other in others)), None)


ANSWERS = {
    "stuck_return": {"answer": -240, "stub": None, "wrong": [-160, 240, -400, -0.6, "-240"]},
    "first_new": {"answer": first_new, "stub": first_new_stub,
                  "wrong": [first_new_same_place, first_new_last, first_new_count, first_new_in_all]},
}
