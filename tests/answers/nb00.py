"""Answers, stubs and wrong answers of notebook 00; `tests/test_checks.py` holds notebook and checks to them."""


def answer_keep_short(episodes, longest):
    return [e for e in episodes if e.success and len(e.actions) <= longest]


def stub_keep_short(episodes, longest):
    return list(episodes)  # your code: keep some of them


def forgot_success(episodes, longest):
    return [e for e in episodes if len(e.actions) <= longest]


def forgot_length(episodes, longest):
    return [e for e in episodes if e.success]


def shorter_only(episodes, longest):
    return [e for e in episodes if e.success and len(e.actions) < longest]


def counted_turns(episodes, longest):
    return [e for e in episodes if e.success and len(e.turns) <= longest]


def sorted_by_length(episodes, longest):
    return sorted((e for e in episodes if e.success and len(e.actions) <= longest), key=lambda e: len(e.actions))


def gave_a_number(episodes, longest):
    return sum(e.success and len(e.actions) <= longest for e in episodes)


ANSWERS = {
    "prediction": {"answer": "b", "stub": None, "wrong": ["a", "c", "d", 50, ""]},
    "keep_short": {
        "answer": answer_keep_short,
        "stub": stub_keep_short,
        "wrong": [forgot_success, forgot_length, shorter_only, counted_turns, sorted_by_length, gave_a_number],
    },
}
