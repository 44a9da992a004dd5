"""Answers, stubs and wrong answers of notebook 20."""

import itertools
import math

import numpy as np

# ------------------------------------------------------------------------------------------------------- plan


def plan(codes, seed):
    order = ["A", "B"] * (len(codes) // 2)
    np.random.default_rng(seed).shuffle(order)
    return dict(zip(codes, order))


def plan_stub(codes, seed):
    return {code: "A" for code in codes}


def coins(codes, seed):
    return {code: "AB"[side] for code, side in zip(codes, np.random.default_rng(seed).integers(2, size=len(codes)))}


def in_turn(codes, seed):
    return dict(zip(codes, "AB" * len(codes)))


def in_turn_from_either(codes, seed):
    return dict(zip(codes, "AB" * len(codes) if seed % 2 else "BA" * len(codes)))


def halves(codes, seed):
    return dict(zip(codes, "A" * (len(codes) // 2) + "B" * (len(codes) // 2)))


def unseeded(codes, seed):
    order = ["A", "B"] * (len(codes) // 2)
    np.random.default_rng().shuffle(order)
    return dict(zip(codes, order))


def first_is_always_a(codes, seed):
    order = ["A", "B"] * (len(codes) // 2)
    order = order[1:]
    np.random.default_rng(seed).shuffle(order)
    return dict(zip(codes, ["A", *order]))


def a_list(codes, seed):
    return list(plan(codes, seed).values())


# ------------------------------------------------------------------------------------------------------- paired


def paired(rows):
    earned = {}
    for student, adviser, value in rows:
        earned.setdefault(student, {"agent": [], "clone": []})[adviser].append(value)
    return [float(np.mean(by["agent"]) - np.mean(by["clone"])) for by in earned.values() if by["agent"] and by["clone"]]


def paired_stub(rows):
    return [0.0]


def other_way_round(rows):
    return [-d for d in paired(rows)]


def sums(rows):
    totals = {}
    for student, adviser, value in rows:
        totals.setdefault(student, []).append(value if adviser == "agent" else -value)
    return [sum(values) for values in totals.values()]


def one_number(rows):
    return float(np.mean(paired(rows)))


def unpaired(rows):
    agent, clone = ([value for _, by, value in rows if by == adviser] for adviser in ("agent", "clone"))
    return [a - c for a, c in zip(agent, clone)]


def in_alphabetical_order(rows):
    return paired(sorted(rows))


def with_zeros(rows):
    earned = {}
    for student, adviser, value in rows:
        earned.setdefault(student, {"agent": [], "clone": []})[adviser].append(value)
    return [sum(by["agent"]) / max(1, len(by["agent"])) - sum(by["clone"]) / max(1, len(by["clone"])) for by in earned.values()]


# ------------------------------------------------------------------------------------------------------- sign_flip


def sign_flip(differences):
    signs = np.array(list(itertools.product([1, -1], repeat=len(differences))))
    sums = np.abs(signs @ np.array(differences))
    return float(np.mean(sums >= abs(sum(differences)) - 1e-9))


def sign_flip_stub(differences):
    return 1.0


def one_sided(differences):
    signs = np.array(list(itertools.product([1, -1], repeat=len(differences))))
    return float(np.mean(signs @ np.array(differences) >= sum(differences) - 1e-9))


def strictly_farther(differences):
    signs = np.array(list(itertools.product([1, -1], repeat=len(differences))))
    return float(np.mean(np.abs(signs @ np.array(differences)) > abs(sum(differences)) + 1e-9))


def signs_alone(differences):
    n, up = len(differences), sum(d > 0 for d in differences)
    more = max(up, n - up)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(more, n + 1)) / 2**n)


def shuffled_order(differences):
    return float(np.mean([sum(order) >= sum(differences) - 1e-9 for order in itertools.permutations(differences[:5])]))


def normal(differences):
    d = np.array(differences)
    return 1.0 if len(d) < 2 else float(math.erfc(abs(d.mean()) / ((d.std(ddof=1) + 1e-12) / len(d) ** 0.5) / 2**0.5))


# ------------------------------------------------------------------------------------------------------- holm


def holm(p, alpha):
    found = [False] * len(p)
    for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[i] > alpha / (len(p) - rank):
            break
        found[i] = True
    return found


def holm_stub(p, alpha):
    return [x <= alpha for x in p]


def bonferroni(p, alpha):
    return [x <= alpha / len(p) for x in p]


def without_a_stop(p, alpha):
    order = sorted(range(len(p)), key=lambda i: p[i])
    return [p[i] <= alpha / (len(p) - order.index(i)) for i in range(len(p))]


def benjamini_hochberg(p, alpha):
    order, n = sorted(p), len(p)
    limit = max((x for rank, x in enumerate(order, 1) if x <= alpha * rank / n), default=-1)
    return [x <= limit for x in p]


def sorted_order(p, alpha):
    return holm(sorted(p), alpha)


def strictly_below(p, alpha):
    found = [False] * len(p)
    for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[i] >= alpha / (len(p) - rank):
            break
        found[i] = True
    return found


ANSWERS = {
    "plan": {"answer": plan, "stub": plan_stub,
             "wrong": [coins, in_turn, in_turn_from_either, halves, unseeded, first_is_always_a, a_list]},
    "paired": {"answer": paired, "stub": paired_stub,
               "wrong": [other_way_round, sums, one_number, unpaired, in_alphabetical_order, with_zeros]},
    "sign_flip": {"answer": sign_flip, "stub": sign_flip_stub,
                  "wrong": [one_sided, strictly_farther, signs_alone, shuffled_order, normal]},
    "at_least_one": {"answer": 0.401, "stub": None, "wrong": [0.05, 0.5, 0.599, 0.4, 40, "0.401", [0.401]]},
    "holm": {"answer": holm, "stub": holm_stub,
             "wrong": [bonferroni, without_a_stop, benjamini_hochberg, sorted_order, strictly_below]},
}
