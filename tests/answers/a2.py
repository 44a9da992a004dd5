"""Answers to assignment A2, and wrong answers that its checks must refuse."""

import math
from collections import Counter, defaultdict

import numpy as np


def stub(*arguments):
    raise NotImplementedError()


def clone(episodes, k):
    counts = defaultdict(Counter)
    for episode in episodes:
        texts = [turn.text.rstrip("\n") for turn in episode.turns]
        for t, action in enumerate(episode.actions):
            first = 0 if k is None else max(0, t - k)
            counts[tuple(texts[2 * first:2 * t + 1])][action] += 1
    return {context: {action: n / said.total() for action, n in said.items()} for context, said in counts.items()}


def clone_counts(episodes, k):
    return {context: {action: 2 * share for action, share in row.items()} for context, row in clone(episodes, k).items()}


def clone_one_turn_too_many(episodes, k):
    return clone(episodes, None if k is None else k + 1)


def clone_without_actions(episodes, k):
    return {context[::2]: row for context, row in clone(episodes, k).items()}


def clone_of_all_contexts_together(episodes, k):
    said = Counter(action for episode in episodes for action in episode.actions)
    return {context: {action: n / said.total() for action, n in said.items()} for context in clone(episodes, k)}


def held_out_loss(table, episodes, k, floor):
    losses = []
    for episode in episodes:
        texts = [turn.text.rstrip("\n") for turn in episode.turns]
        for t, action in enumerate(episode.actions):
            first = 0 if k is None else max(0, t - k)
            row = table.get(tuple(texts[2 * first:2 * t + 1]), {})
            losses.append(-math.log(max(row.get(action, 0.0), floor)))
    return sum(losses) / len(losses)


def held_out_loss_leaves_out_the_unseen(table, episodes, k, floor):
    known = {context: {**defaultdict(float), **row} for context, row in table.items()}
    losses = []
    for episode in episodes:
        texts = [turn.text.rstrip("\n") for turn in episode.turns]
        for t, action in enumerate(episode.actions):
            first = 0 if k is None else max(0, t - k)
            share = known.get(tuple(texts[2 * first:2 * t + 1]), {}).get(action)
            losses += [] if share is None else [-math.log(max(share, floor))]
    return sum(losses) / max(len(losses), 1)


def held_out_loss_mean_of_games(table, episodes, k, floor):
    return sum(held_out_loss(table, [episode], k, floor) for episode in episodes) / len(episodes)


def held_out_loss_sum(table, episodes, k, floor):
    return held_out_loss(table, episodes, k, floor) * sum(len(episode.actions) for episode in episodes)


def held_out_loss_adds_the_floor(table, episodes, k, floor):
    higher = {context: {action: share + floor for action, share in row.items()} for context, row in table.items()}
    return held_out_loss(higher, episodes, k, floor)


def filtered_policy(policy, next_cell, goal):
    arrive = np.zeros(len(policy))
    for _ in range(2_000):
        arrive[goal] = 1
        arrive = (policy * arrive[next_cell]).sum(1)
    arrive[goal] = 1
    kept = policy * arrive[next_cell]
    return kept / np.where(arrive > 0, arrive, 1)[:, None]


def filtered_policy_unchanged(policy, next_cell, goal):
    return policy


def filtered_policy_too_few_moves(policy, next_cell, goal):
    arrive = np.zeros(len(policy))
    for _ in range(3):
        arrive[goal] = 1
        arrive = (policy * arrive[next_cell]).sum(1)
    arrive[goal] = 1
    kept = policy * arrive[next_cell]
    return kept / np.maximum(kept.sum(1, keepdims=True), 1e-12)


def filtered_policy_not_normalised(policy, next_cell, goal):
    arrive = np.zeros(len(policy))
    for _ in range(2_000):
        arrive[goal] = 1
        arrive = (policy * arrive[next_cell]).sum(1)
    arrive[goal] = 1
    return policy * arrive[next_cell]


def filtered_policy_greedy(policy, next_cell, goal):
    return np.eye(4)[filtered_policy(policy, next_cell, goal).argmax(1)]


def filtered_policy_uniform_where_unseen(policy, next_cell, goal):
    kept = filtered_policy(policy, next_cell, goal)
    return np.where(kept.sum(1, keepdims=True) > 0, kept, 0.25)


def mc_q(episodes, gamma, first_visit):
    returns = defaultdict(list)
    for episode in episodes:
        pairs = [(text.rstrip("\n"), action) for text, action in zip(episode.observations, episode.actions)]
        following = 0.0
        for t in reversed(range(len(pairs))):
            following = episode.rewards[t] + gamma * following
            if not first_visit or pairs[t] not in pairs[:t]:
                returns[pairs[t]].append(following)
    return {pair: (sum(found) / len(found), len(found)) for pair, found in returns.items()}


def mc_q_always_every_visit(episodes, gamma, first_visit):
    return mc_q(episodes, gamma, False)


def mc_q_always_first_visit(episodes, gamma, first_visit):
    return mc_q(episodes, gamma, True)


def mc_q_first_of_all_games(episodes, gamma, first_visit):
    found = {}
    for episode in episodes:
        for pair, value in mc_q([episode], gamma, first_visit).items():
            found.setdefault(pair, value)
    return found


def mc_q_last_visit(episodes, gamma, first_visit):
    found = mc_q(episodes, gamma, first_visit)
    last = defaultdict(list)
    for episode in episodes:
        here, following = {}, 0.0
        for text, action, reward in reversed(list(zip(episode.observations, episode.actions, episode.rewards))):
            following = reward + gamma * following
            here.setdefault((text.rstrip("\n"), action), following)
        for pair, value in here.items():
            last[pair].append(value)
    return {pair: (sum(v) / len(v), len(v)) for pair, v in last.items()} if first_visit else found


def mc_q_without_discount(episodes, gamma, first_visit):
    return mc_q(episodes, 1.0, first_visit)


def advantage_weights(returns, values, temperature, largest):
    exponents = (np.asarray(returns) - np.asarray(values)) / temperature
    weights = np.exp(np.minimum(exponents, np.log(largest)))
    return weights / weights.mean()


def advantage_weights_without_values(returns, values, temperature, largest):
    return advantage_weights(returns, np.zeros(len(values)), temperature, largest)


def advantage_weights_cut_last(returns, values, temperature, largest):
    return np.minimum(advantage_weights(returns, values, temperature, 1e9), largest)


def advantage_weights_sum_to_one(returns, values, temperature, largest):
    return advantage_weights(returns, values, temperature, largest) / len(returns)


def advantage_weights_never_cut(returns, values, temperature, largest):
    exponents = (np.asarray(returns) - np.asarray(values)) / temperature
    weights = np.exp(exponents - exponents.max())
    return weights / weights.mean()


def advantage_weights_times_temperature(returns, values, temperature, largest):
    return advantage_weights(returns, values, 1 / temperature, largest)


def off_policy_return(games, target, behaviour):
    with np.errstate(divide="ignore"):
        log_ratio = np.log(target) - np.log(behaviour)
    logs = np.array([sum(log_ratio[cell, action] for cell, action, _ in game) for game in games])
    if np.isneginf(logs).all():
        return None
    weights = np.exp(logs - logs.max())
    returns = np.array([sum(reward for *_, reward in game) for game in games])
    return float((weights * returns).sum() / weights.sum())


def off_policy_return_plain_mean(games, target, behaviour):
    return sum(reward for game in games for *_, reward in game) / len(games)


def off_policy_return_not_weighted(games, target, behaviour):
    weights = [math.prod(target[s, a] / behaviour[s, a] for s, a, _ in game) for game in games]
    return sum(w * sum(r for *_, r in game) for w, game in zip(weights, games)) / len(games)


def off_policy_return_overflows(games, target, behaviour):
    weights = [math.prod(float(target[s, a] / behaviour[s, a]) for s, a, _ in game) for game in games]
    if not any(weights):
        return None
    return sum(w * sum(r for *_, r in game) for w, game in zip(weights, games)) / sum(weights)


def off_policy_return_turned_round(games, target, behaviour):
    return off_policy_return(games, behaviour, target)


def off_policy_return_zero_where_unknown(games, target, behaviour):
    found = off_policy_return(games, target, behaviour)
    return 0.0 if found is None else found


ANSWERS = {
    "clone": {"answer": clone, "stub": stub,
              "wrong": [clone_counts, clone_one_turn_too_many, clone_without_actions, clone_of_all_contexts_together]},
    "held_out_loss": {"answer": held_out_loss, "stub": stub,
                      "wrong": [held_out_loss_leaves_out_the_unseen, held_out_loss_mean_of_games, held_out_loss_sum,
                                held_out_loss_adds_the_floor]},
    "filtered_policy": {"answer": filtered_policy, "stub": stub,
                        "wrong": [filtered_policy_unchanged, filtered_policy_too_few_moves, filtered_policy_not_normalised,
                                  filtered_policy_greedy, filtered_policy_uniform_where_unseen]},
    "mc_q": {"answer": mc_q, "stub": stub,
             "wrong": [mc_q_always_every_visit, mc_q_always_first_visit, mc_q_first_of_all_games, mc_q_last_visit,
                       mc_q_without_discount]},
    "advantage_weights": {"answer": advantage_weights, "stub": stub,
                          "wrong": [advantage_weights_without_values, advantage_weights_cut_last, advantage_weights_sum_to_one,
                                    advantage_weights_never_cut, advantage_weights_times_temperature]},
    "off_policy_return": {"answer": off_policy_return, "stub": stub,
                          "wrong": [off_policy_return_plain_mean, off_policy_return_not_weighted, off_policy_return_overflows,
                                    off_policy_return_turned_round, off_policy_return_zero_where_unknown]},
}
