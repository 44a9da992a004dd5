"""Answers to assignment A3, and wrong answers that its checks must refuse."""

import copy
from collections import defaultdict

import numpy as np
import torch


def stub(*arguments):
    raise NotImplementedError()


def transitions(episode):
    texts = [text.rstrip("\n") for text in episode.observations]
    steps = [(texts[t], action, episode.rewards[t], texts[t + 1]) for t, action in enumerate(episode.actions)]
    if episode.terminated:
        steps[-1] = (*steps[-1][:3], None)
    return steps


def transitions_never_end(episode):
    texts = [text.rstrip("\n") for text in episode.observations]
    return [(texts[t], action, episode.rewards[t], texts[t + 1]) for t, action in enumerate(episode.actions)]


def transitions_end_where_cut(episode):
    steps = transitions_never_end(episode)
    return [*steps[:-1], (*steps[-1][:3], None)]


def transitions_without_the_last(episode):
    return transitions_never_end(episode)[:-1]


def transitions_with_newlines(episode):
    return [(s + "\n", a, r, after if after is None else after + "\n") for s, a, r, after in transitions(episode)]


def expectile(values, weights, tau):
    values, weights = np.asarray(values, float), np.asarray(weights, float)
    v = np.average(values, weights=weights)
    for _ in range(100):  # fixed point: a mean in which what lies above v counts tau, and the rest 1 - tau
        v = np.average(values, weights=weights * np.where(values > v, tau, 1 - tau))
    return v


def expectile_without_weights(values, weights, tau):
    return expectile(values, [float(w > 0) for w in weights], tau)


def expectile_flipped(values, weights, tau):
    return expectile(values, weights, 1 - tau)


def expectile_between_mean_and_maximum(values, weights, tau):
    mean = np.average(values, weights=weights)
    best = max(v for v, w in zip(values, weights) if w)
    return mean + (2 * tau - 1) * (best - mean)


def expectile_one_step(values, weights, tau):
    values, weights = np.asarray(values, float), np.asarray(weights, float)
    v = np.average(values, weights=weights)
    return np.average(values, weights=weights * np.where(values > v, tau, 1 - tau))


def expectile_quantile(values, weights, tau):
    return np.quantile(np.repeat(values, weights), tau)


def tabular_ilql(steps, gamma, tau, rounds):
    states = {s for s, *_ in steps} | {after for *_, after in steps if after is not None}
    v = dict.fromkeys(states, 0.0)
    for _ in range(rounds):
        targets = defaultdict(list)
        for s, a, reward, after in steps:
            targets[s, a].append(reward + (gamma * v[after] if after is not None else 0.0))
        q = {pair: sum(found) / len(found) for pair, found in targets.items()}
        for s in states:
            here = [(value, len(targets[pair])) for pair, value in q.items() if pair[0] == s]
            if here:
                values, counts = np.array(here).T
                v[s] = values.mean()
                for _ in range(50):
                    v[s] = np.average(values, weights=counts * np.where(values > v[s], tau, 1 - tau))
    return q, v


def tabular_ilql_mean(steps, gamma, tau, rounds):
    return tabular_ilql(steps, gamma, 0.5, rounds)


def tabular_ilql_best_target(steps, gamma, tau, rounds):
    kept = {}
    for step in steps:
        kept[step[:2]] = max(kept.get(step[:2], step), step, key=lambda x: x[2])
    return tabular_ilql(list(kept.values()), gamma, tau, rounds)


def tabular_ilql_each_pair_once(steps, gamma, tau, rounds):
    states = {s for s, *_ in steps} | {after for *_, after in steps if after is not None}
    v = dict.fromkeys(states, 0.0)
    for _ in range(rounds):
        targets = defaultdict(list)
        for s, a, reward, after in steps:
            targets[s, a].append(reward + (gamma * v[after] if after is not None else 0.0))
        q = {pair: sum(found) / len(found) for pair, found in targets.items()}
        for s in states:
            here = [value for pair, value in q.items() if pair[0] == s]
            v[s] = expectile(here, [1] * len(here), tau) if here else 0.0
    return q, v


def tabular_ilql_one_round_more(steps, gamma, tau, rounds):
    return tabular_ilql(steps, gamma, tau, rounds + 1)


def tabular_ilql_through_the_end(steps, gamma, tau, rounds):
    return tabular_ilql([(s, a, r, s if after is None else after) for s, a, r, after in steps], gamma, tau, rounds)


def tabular_ilql_only_states_with_actions(steps, gamma, tau, rounds):
    q, v = tabular_ilql(steps, gamma, tau, rounds)
    return q, {s: v[s] for s, *_ in steps}


def follow(target, online, rate):
    with torch.no_grad():
        for slow, fast in zip(target.parameters(), online.parameters()):
            slow.lerp_(fast, rate)


def follow_copies(target, online, rate):
    target.load_state_dict(online.state_dict())


def follow_turned_round(target, online, rate):
    follow(target, online, 1 - rate)


def follow_moves_the_online_one(target, online, rate):
    follow(online, target, rate)


def follow_a_copy(target, online, rate):
    moved = copy.deepcopy(target)
    follow(moved, online, rate)
    return moved


def follow_new_weights(target, online, rate):
    for layer, other in zip(target, online):
        for name in ("weight", "bias"):
            mixed = (1 - rate) * getattr(layer, name).detach() + rate * getattr(other, name).detach()
            setattr(layer, name, torch.nn.Parameter(mixed))


def follow_first_layer_only(target, online, rate):
    follow(target[0], online[0], rate)


def follow_shares_numbers(target, online, rate):
    follow(target, online, rate)
    if rate == 1:
        for slow, fast in zip(target.parameters(), online.parameters()):
            slow.data = fast.data


def guided(logits, q1, q2, beta, legal, temperature):
    scores = (logits + beta * torch.minimum(q1, q2)).masked_fill(~legal, -torch.inf)
    if temperature == 0:
        return torch.nn.functional.one_hot(scores.argmax(), len(scores)).float()
    return torch.softmax(scores / temperature, 0)


def guided_first_head(logits, q1, q2, beta, legal, temperature):
    return guided(logits, q1, q1, beta, legal, temperature)


def guided_mean_of_heads(logits, q1, q2, beta, legal, temperature):
    mean = (q1 + q2) / 2
    return guided(logits, mean, mean, beta, legal, temperature)


def guided_smaller_head_as_a_whole(logits, q1, q2, beta, legal, temperature):
    lower = q1 if q1.sum() < q2.sum() else q2
    return guided(logits, lower, lower, beta, legal, temperature)


def guided_masks_with_zero(logits, q1, q2, beta, legal, temperature):
    return guided(logits * legal, q1 * legal, q2 * legal, beta, legal | True, temperature)


def guided_masks_without_normalising(logits, q1, q2, beta, legal, temperature):
    return guided(logits, q1, q2, beta, legal | True, temperature) * legal


def guided_divides_by_zero(logits, q1, q2, beta, legal, temperature):
    return torch.softmax((logits + beta * torch.minimum(q1, q2)).masked_fill(~legal, -torch.inf) / temperature, 0)


def guided_temperature_on_logits_only(logits, q1, q2, beta, legal, temperature):
    if temperature in (0, 1):
        return guided(logits, q1, q2, beta, legal, temperature)
    return guided(logits / temperature, q1, q2, beta, legal, 1.0)


def guided_exponentials(logits, q1, q2, beta, legal, temperature):
    if temperature == 0:
        return guided(logits, q1, q2, beta, legal, temperature)
    weights = torch.exp((logits + beta * torch.minimum(q1, q2)) / temperature) * legal
    return weights / weights.sum()


def impossible(values, lowest, highest, gamma, left):
    if left is None:
        total = 1 / (1 - gamma)
    else:
        total = sum(gamma**k for k in range(left))
    slack = 1e-6
    return [not lowest * total - slack <= v <= highest * total + slack for v in values]


def impossible_without_discount(values, lowest, highest, gamma, left):
    return impossible(values, lowest, highest, 1.0, 100 if left is None else left)


def impossible_always_without_limit(values, lowest, highest, gamma, left):
    return impossible(values, lowest, highest, min(gamma, 0.9999), None)


def impossible_above_only(values, lowest, highest, gamma, left):
    return impossible(values, -1e9, highest, gamma, left)


def impossible_turned_round(values, lowest, highest, gamma, left):
    return [not x for x in impossible(values, lowest, highest, gamma, left)]


def impossible_strict(values, lowest, highest, gamma, left):
    total = sum(gamma**k for k in range(10_000 if left is None else left))
    return [not lowest * total + 1e-9 < v < highest * total - 1e-9 for v in values]


ANSWERS = {
    "transitions": {"answer": transitions, "stub": stub,
                    "wrong": [transitions_never_end, transitions_end_where_cut, transitions_without_the_last,
                              transitions_with_newlines]},
    "expectile": {"answer": expectile, "stub": stub,
                  "wrong": [expectile_without_weights, expectile_flipped, expectile_between_mean_and_maximum, expectile_one_step,
                            expectile_quantile]},
    "tabular_ilql": {"answer": tabular_ilql, "stub": stub,
                     "wrong": [tabular_ilql_mean, tabular_ilql_best_target, tabular_ilql_each_pair_once,
                               tabular_ilql_one_round_more, tabular_ilql_through_the_end,
                               tabular_ilql_only_states_with_actions]},
    "follow": {"answer": follow, "stub": stub,
               "wrong": [follow_copies, follow_turned_round, follow_moves_the_online_one, follow_a_copy, follow_new_weights,
                         follow_first_layer_only, follow_shares_numbers]},
    "guided": {"answer": guided, "stub": stub,
               "wrong": [guided_first_head, guided_mean_of_heads, guided_smaller_head_as_a_whole, guided_masks_with_zero,
                         guided_masks_without_normalising, guided_divides_by_zero, guided_temperature_on_logits_only,
                         guided_exponentials]},
    "impossible": {"answer": impossible, "stub": stub,
                   "wrong": [impossible_without_discount, impossible_always_without_limit, impossible_above_only,
                             impossible_turned_round, impossible_strict]},
}
