"""Answers to the exercises of notebook 17, their stubs, and wrong answers that its checks must refuse."""

from math import ceil, log

import numpy as np


def contradictions(returns, scores):
    found = []
    for i in range(len(returns)):
        for j in range(i + 1, len(returns)):
            more, higher = returns[i] - returns[j], scores[i] - scores[j]
            if more * higher < 0 or more == 0 and higher != 0:
                found.append((i, j))
    return found


def contradictions_stub(returns, scores):
    return []


def contradictions_without_ties(returns, scores):
    return [(i, j) for i in range(len(returns)) for j in range(i + 1, len(returns))
            if (returns[i] - returns[j]) * (scores[i] - scores[j]) < 0]


def contradictions_of_neighbours(returns, scores):
    return [pair for pair in contradictions(returns, scores) if pair[1] == pair[0] + 1]


def contradictions_both_ways(returns, scores):
    found = contradictions(returns, scores)
    return sorted([*found, *((j, i) for i, j in found)])


def contradictions_one_way(returns, scores):
    return [(i, j) for i, j in contradictions(returns, scores) if returns[i] <= returns[j]]


def contradictions_with_equal_scores(returns, scores):
    return [(i, j) for i in range(len(returns)) for j in range(i + 1, len(returns))
            if (returns[i] < returns[j]) != (scores[i] < scores[j])]


def contradictions_of_ranks(returns, scores):
    a, b = np.argsort(returns, kind="stable"), np.argsort(scores, kind="stable")
    return [(int(i), int(j)) for i, j in zip(a, b) if i != j]


def is_right(returns_to_go):
    return bool(np.allclose(returns_to_go([1, 2, 4], 0.5), [3, 4, 4]))


def is_right_stub(returns_to_go):
    return bool(np.allclose(returns_to_go([-1, -1, 0], 1.0), [-2, -1, 0]))


def is_right_without_discount(returns_to_go):
    return bool(np.allclose(returns_to_go([1, 2, 4], 1.0), [7, 6, 4]))


def is_right_of_one_step(returns_to_go):
    return bool(np.allclose(returns_to_go([4], 0.5), [4]))


def is_right_for_the_first_step(returns_to_go):
    return bool(np.isclose(returns_to_go([1, 2, 4], 0.5)[0], 3))


def is_right_if_the_end_is_zero(returns_to_go):
    return bool(np.allclose(returns_to_go([1, 2, 0], 0.5), [2, 2, 0]))


def is_right_for_the_last_step(returns_to_go):
    return bool(np.isclose(returns_to_go([1, 2, 4], 0.5)[-1], 4))


def is_right_of_lists_only(returns_to_go):
    return isinstance(found := returns_to_go([1, 2, 4], 0.5), list) and found == [3, 4, 4]


def always_right(returns_to_go):
    return True


def never_right(returns_to_go):
    return False


def seen_share(train, test):
    known = set(train)
    return sum(item in known for item in test) / len(test) if test else 0.0


def seen_share_stub(train, test):
    return 0.0


def seen_share_of_kinds(train, test):
    return len(set(train) & set(test)) / len(set(test)) if test else 0.0


def seen_share_of_training(train, test):
    return sum(item in set(test) for item in train) / len(train) if train else 0.0


def seen_share_of_parts(train, test):
    return sum(any(item in text for text in train) for item in test) / len(test) if test else 0.0


def seen_share_that_divides_by_zero(train, test):
    return sum(item in train for item in test) / len(test)


def unseen_share(train, test):
    return 1 - seen_share(train, test)


def seen_count(train, test):
    return sum(item in set(train) for item in test)


def records_to_check(share, sure):
    n = 1
    while 1 - (1 - share) ** n < sure:
        n += 1
    return n


def records_to_check_stub(share, sure):
    return 1


def records_of_one_over(share, sure):
    return ceil(1 / share)


def records_by_the_rule_of_three(share, sure):
    return ceil(3 / share)


def records_rounded_down(share, sure):
    return max(1, int(log(1 - sure) / log(1 - share))) if share < 1 else 1


def records_of_sure_over_share(share, sure):
    return ceil(sure / share)


def records_as_a_fraction(share, sure):
    return log(1 - sure) / log(1 - share) if share < 1 else 1


def records_to_be_sure_of_the_rest(share, sure):
    return records_to_check(share, 1 - sure)


ANSWERS = {
    "contradictions": {"answer": contradictions, "stub": contradictions_stub,
                       "wrong": [contradictions_without_ties, contradictions_of_neighbours, contradictions_both_ways,
                                 contradictions_one_way, contradictions_with_equal_scores, contradictions_of_ranks]},
    "three_moves": {"answer": "d", "stub": None, "wrong": ["a", "b", "c", "e", "", -100, "d or c"]},
    "is_right": {"answer": is_right, "stub": is_right_stub,
                 "wrong": [is_right_without_discount, is_right_of_one_step, is_right_for_the_first_step,
                           is_right_if_the_end_is_zero, is_right_for_the_last_step, is_right_of_lists_only, always_right,
                           never_right]},
    "seen_share": {"answer": seen_share, "stub": seen_share_stub,
                   "wrong": [seen_share_of_kinds, seen_share_of_training, seen_share_of_parts, seen_share_that_divides_by_zero,
                             unseen_share, seen_count]},
    "records_to_check": {"answer": records_to_check, "stub": records_to_check_stub,
                         "wrong": [records_of_one_over, records_by_the_rule_of_three, records_rounded_down,
                                   records_of_sure_over_share, records_as_a_fraction, records_to_be_sure_of_the_rest]},
}
