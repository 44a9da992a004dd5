"""Answers to the exercises of notebook 08, their stubs, and wrong answers that its checks must refuse."""

import re
from collections import Counter

from lmrl_lab.tasks.phrases import plain

# ---------------------------------------------------------------------------------------------- expected_left


def expected_left(question, cities, facts):
    sizes = Counter(facts[question][name] for name in cities).values()
    return sum(n * n for n in sizes) / len(cities)


def expected_left_stub(question, cities, facts):
    return float(len(cities))


def expected_left_mean_group(question, cities, facts):  # each answer counts once, however likely it is
    return len(cities) / len({facts[question][name] for name in cities})


def expected_left_largest_group(question, cities, facts):
    return max(Counter(facts[question][name] for name in cities).values())


def expected_left_others(question, cities, facts):  # without the right city itself
    return expected_left(question, cities, facts) - 1


def expected_left_of_the_table(question, cities, facts):
    return expected_left(question, list(facts[question]), facts)


def expected_left_not_divided(question, cities, facts):
    return expected_left(question, cities, facts) * len(cities)


# ---------------------------------------------------------------------------------------------- learn


def learn(games):
    seen = {}
    for game in games:
        name, last = game[-1]
        if last == "Yes.":
            for heard in game[:-1]:
                seen.setdefault(heard, Counter())[name] += 1
    return seen


def learn_stub(games):
    return {}


def learn_lost_games_too(games):
    seen = {}
    for game in games:
        for heard in game[:-1]:
            seen.setdefault(heard, Counter())[game[-1][0]] += 1
    return seen


def learn_the_guess_as_well(games):
    seen = {}
    for game in games:
        name, last = game[-1]
        if last == "Yes.":
            for heard in game:
                seen.setdefault(heard, Counter())[name] += 1
    return seen


def learn_without_counts(games):
    return {heard: dict.fromkeys(names, 1) for heard, names in learn(games).items()}


def learn_by_answer_alone(games):
    return {told: names for (_, told), names in learn(games).items()}


def learn_last_answer_only(games):
    return learn([game[-2:] for game in games])


# ---------------------------------------------------------------------------------------------- gives_away


def gives_away(answer, names):
    return any(f" {plain(name)} " in f" {plain(answer)} " for name in names)


def gives_away_stub(answer, names):
    return False


def gives_away_inside_words(answer, names):
    return any(plain(name) in plain(answer) for name in names)


def gives_away_first_name(answer, names):
    return gives_away(answer, names[:1])


def gives_away_as_spelled(answer, names):
    return any(f" {name} " in f" {answer} " for name in names)


def gives_away_any_word(answer, names):
    return any(word in plain(answer).split() for name in names for word in plain(name).split())


def gives_away_with_accents(answer, names):
    said = " ".join(re.sub(r"[^\w\s]", " ", answer.lower()).split())
    return any(f" {name.lower()} " in f" {said} " for name in names)


ANSWERS = {
    "best_return": {"answer": -1, "stub": None, "wrong": [0, -2, -1.98, -6.64, "-1"]},
    "expected_left": {"answer": expected_left, "stub": expected_left_stub,
                      "wrong": [expected_left_mean_group, expected_left_largest_group, expected_left_others,
                                expected_left_of_the_table, expected_left_not_divided]},
    "learn": {"answer": learn, "stub": learn_stub,
              "wrong": [learn_lost_games_too, learn_the_guess_as_well, learn_without_counts, learn_by_answer_alone,
                        learn_last_answer_only]},
    "gives_away": {"answer": gives_away, "stub": gives_away_stub,
                   "wrong": [gives_away_inside_words, gives_away_first_name, gives_away_as_spelled, gives_away_any_word,
                             gives_away_with_accents]},
}
