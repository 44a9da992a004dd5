"""Answers to the exercises of notebook 07, their stubs, and wrong answers that its checks must refuse."""

from collections import Counter
from math import log, log2

NO, YES = "No.", "Yes."

# ---------------------------------------------------------------------------------------------- consistent


def consistent(objects, answers, facts):
    return [name for name in objects if all(facts[question][name] == answer for question, answer in answers.items())]


def consistent_stub(objects, answers, facts):
    return objects


def consistent_any(objects, answers, facts):
    return [name for name in objects if any(facts[question][name] == answer for question, answer in answers.items())]


def consistent_last_answer(objects, answers, facts):
    found = objects
    for question, answer in answers.items():
        found = [name for name in objects if facts[question][name] == answer]
    return found


def consistent_of_the_table(objects, answers, facts):
    everything = next(iter(facts.values()))
    return [name for name in everything if all(facts[question][name] == answer for question, answer in answers.items())]


def consistent_yes_only(objects, answers, facts):  # an answer "No." rules out nothing
    return consistent(objects, {question: YES for question, answer in answers.items() if answer == YES}, facts)


def consistent_as_a_set(objects, answers, facts):
    return set(consistent(objects, answers, facts))


# ---------------------------------------------------------------------------------------------- information


def information(question, objects, facts):
    sizes = Counter(facts[question][name] for name in objects).values()
    return sum(n / len(objects) * log2(len(objects) / n) for n in sizes)


def information_stub(question, objects, facts):
    return 0.0


def information_in_nats(question, objects, facts):
    sizes = Counter(facts[question][name] for name in objects).values()
    return sum(n / len(objects) * log(len(objects) / n) for n in sizes)


def information_of_yes_alone(question, objects, facts):
    p = sum(facts[question][name] == YES for name in objects) / len(objects)
    return -p * log2(p) if p else 0.0


def information_of_yes_and_no(question, objects, facts):  # right for two answers, wrong for three
    p = sum(facts[question][name] == YES for name in objects) / len(objects)
    return -p * log2(p) - (1 - p) * log2(1 - p) if 0 < p < 1 else 0.0


def information_of_the_whole_table(question, objects, facts):
    return information(question, list(facts[question]), facts)


def information_of_equal_groups(question, objects, facts):
    return log2(len({facts[question][name] for name in objects}))


# ---------------------------------------------------------------------------------------------- contradictions


def contradictions(facts, rules):
    return [(name, a, b) for a, b in rules for name in facts[a] if facts[a][name] == YES and facts[b][name] == NO]


def contradictions_stub(facts, rules):
    return []


def contradictions_both_ways(facts, rules):
    return [(name, a, b) for a, b in rules for name in facts[a] if facts[a][name] != facts[b][name]]


def contradictions_turned_round(facts, rules):
    return [(name, a, b) for a, b in rules for name in facts[a] if facts[a][name] == NO and facts[b][name] == YES]


def contradictions_names_only(facts, rules):
    return [name for name, _, _ in contradictions(facts, rules)]


def contradictions_first_rule(facts, rules):
    return contradictions(facts, rules[:1])


ANSWERS = {
    "consistent": {"answer": consistent, "stub": consistent_stub,
                   "wrong": [consistent_any, consistent_last_answer, consistent_of_the_table, consistent_yes_only,
                             consistent_as_a_set]},
    "information": {"answer": information, "stub": information_stub,
                    "wrong": [information_in_nats, information_of_yes_alone, information_of_yes_and_no,
                              information_of_the_whole_table, information_of_equal_groups]},
    "three_left": {"answer": -1, "stub": None, "wrong": [-4 / 3, -2, -1.5, 0, -2 / 3, "-1"]},
    "contradictions": {"answer": contradictions, "stub": contradictions_stub,
                       "wrong": [contradictions_both_ways, contradictions_turned_round, contradictions_names_only,
                                 contradictions_first_rule]},
}
