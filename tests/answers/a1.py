"""Answers to assignment A1, and wrong answers that its checks must refuse."""

import numpy as np

from lmrl_lab.tasks.maze import ACTIONS


def stub(*arguments):
    raise NotImplementedError()


def episode_returns(episode, gamma, after):
    following, out = 0.0 if episode.terminated else after, []
    for reward in reversed(episode.rewards):
        following = reward + gamma * following
        out.append(following)
    return out[::-1]


def episode_returns_never_bootstraps(episode, gamma, after):
    return episode_returns(episode, gamma, 0.0)


def episode_returns_bootstraps_after_the_end(episode, gamma, after):
    following, out = after, []
    for reward in reversed(episode.rewards):
        following = reward + gamma * following
        out.append(following)
    return out[::-1]


def episode_returns_from_the_start(episode, gamma, after):
    full = [*episode.rewards, 0.0 if episode.terminated else after]
    return [sum(gamma**k * full[k] for k in range(t, len(full))) for t in range(len(full) - 1)]


def episode_returns_without_own_reward(episode, gamma, after):
    return [r - own for r, own in zip(episode_returns(episode, gamma, after), episode.rewards)]


def horizon(gamma, share):
    if gamma == 1 and share < 1:
        return None
    n = 0
    while gamma**n > share:
        n += 1
    return n


def horizon_one_over(gamma, share):
    return None if gamma == 1 else round(1 / (1 - gamma))


def horizon_rounded_down(gamma, share):
    return None if gamma == 1 else max(0, horizon(gamma, share) - 1)


def horizon_strictly_below(gamma, share):
    if gamma == 1:
        return None
    n = 0
    while gamma**n >= share:
        n += 1
    return n


def horizon_infinite(gamma, share):
    return float("inf") if gamma == 1 else horizon(gamma, share)


def occupancy(policy, next_cell, start, goal, gamma, steps):
    chance, total = np.zeros(len(policy)), np.zeros(len(policy))
    chance[start] = 1
    for t in range(steps):
        chance[goal] = 0
        total += gamma**t * chance
        chance = np.bincount(next_cell.ravel(), (chance[:, None] * policy).ravel(), len(policy))
    return total


def occupancy_counts_the_goal(policy, next_cell, start, goal, gamma, steps):
    chance, total = np.eye(len(policy))[start], np.zeros(len(policy))
    for t in range(steps):
        total += gamma**t * chance
        chance = np.bincount(next_cell.ravel(), (chance[:, None] * policy).ravel(), len(policy))
    return total


def occupancy_without_discount(policy, next_cell, start, goal, gamma, steps):
    return occupancy(policy, next_cell, start, goal, 1.0, steps)


def occupancy_one_step_more(policy, next_cell, start, goal, gamma, steps):
    return occupancy(policy, next_cell, start, goal, gamma, steps + 1)


def occupancy_as_shares(policy, next_cell, start, goal, gamma, steps):
    total = occupancy(policy, next_cell, start, goal, gamma, steps)
    return total / max(total.sum(), 1e-9)


def evaluate(policy, next_cell, goal, gamma):
    cells = np.arange(len(policy))
    moves = np.zeros((len(policy), len(policy)))
    np.add.at(moves, (cells[:, None], next_cell), policy)
    cost = -(policy * (next_cell != goal)).sum(1)
    moves[goal], cost[goal] = 0, 0
    return np.linalg.solve(np.eye(len(policy)) - gamma * moves, cost)


def evaluate_pays_for_the_last_move(policy, next_cell, goal, gamma):
    return evaluate(policy, np.where(next_cell == goal, -1, next_cell) % len(policy), -1, gamma)


def evaluate_goal_goes_on(policy, next_cell, goal, gamma):
    moves = np.zeros((len(policy), len(policy)))
    np.add.at(moves, (np.arange(len(policy))[:, None], next_cell), policy)
    return np.linalg.solve(np.eye(len(policy)) - gamma * moves, -(policy * (next_cell != goal)).sum(1))


def evaluate_too_few_sweeps(policy, next_cell, goal, gamma):
    value = np.zeros(len(policy))
    for _ in range(100):
        value = (policy * (np.where(next_cell == goal, 0.0, -1.0) + gamma * value[next_cell])).sum(1)
        value[goal] = 0
    return value


def evaluate_the_best_instead(policy, next_cell, goal, gamma):
    value = np.zeros(len(policy))
    for _ in range(3_000):
        value = (np.where(next_cell == goal, 0.0, -1.0) + gamma * value[next_cell]).max(1)
        value[goal] = 0
    return value


def improve(values, next_cell, goal, gamma):
    q = np.where(next_cell == goal, 0.0, -1.0) + gamma * np.asarray(values)[next_cell]
    best = q > q.max(1, keepdims=True) - 1e-9
    return best / best.sum(1, keepdims=True)


def improve_first_of_equals(values, next_cell, goal, gamma):
    q = np.where(next_cell == goal, 0.0, -1.0) + gamma * np.asarray(values)[next_cell]
    return np.eye(4)[q.argmax(1)]


def improve_forgets_the_reward(values, next_cell, goal, gamma):
    q = np.asarray(values)[next_cell]
    best = q > q.max(1, keepdims=True) - 1e-9
    return best / best.sum(1, keepdims=True)


def improve_softly(values, next_cell, goal, gamma):
    q = np.exp(np.where(next_cell == goal, 0.0, -1.0) + gamma * np.asarray(values)[next_cell])
    return q / q.sum(1, keepdims=True)


def improve_without_normalising(values, next_cell, goal, gamma):
    return (improve(values, next_cell, goal, gamma) > 0).astype(float)


def solve(next_cell, goal, gamma):
    value, old = np.zeros(len(next_cell)), None
    while old is None or np.abs(value - old).max() > 1e-9:
        old = value
        value = (np.where(next_cell == goal, 0.0, -1.0) + gamma * value[next_cell]).max(1)
        value[goal] = 0
    return value


def solve_pays_for_the_last_move(next_cell, goal, gamma):
    value = gamma * solve(next_cell, goal, gamma) - 1
    value[goal] = 0
    return value


def solve_uniform(next_cell, goal, gamma):
    return evaluate(np.full(next_cell.shape, 0.25), next_cell, goal, gamma)


def solve_without_discount(next_cell, goal, gamma):
    return solve(next_cell, goal, 0.9999)


def solve_returns_a_policy(next_cell, goal, gamma):
    return improve(solve(next_cell, goal, gamma), next_cell, goal, gamma)


def belief(next_cell, observed, transcript):
    cells = {i for i, text in enumerate(observed) if text == transcript[0]}
    for action, text in zip(transcript[1::2], transcript[2::2]):
        if action in ACTIONS:
            cells = {int(next_cell[i, ACTIONS.index(action)]) for i in cells}
        cells = {i for i in cells if observed[i] == text}
    return cells


def belief_last_observation_only(next_cell, observed, transcript):
    return {i for i, text in enumerate(observed) if text == transcript[-1]}


def belief_ignores_where_it_came_from(next_cell, observed, transcript):
    if len(transcript) < 3 or transcript[-2] not in ACTIONS:
        return belief_last_observation_only(next_cell, observed, transcript)
    return {int(j) for j in next_cell[:, ACTIONS.index(transcript[-2])] if observed[j] == transcript[-1]}


def belief_moves_only(next_cell, observed, transcript):
    cells = {i for i, text in enumerate(observed) if text == transcript[0]}
    for action in transcript[1::2]:
        cells = {int(next_cell[i, ACTIONS.index(action)]) for i in cells} if action in ACTIONS else cells
    return cells


def belief_counts_particles(next_cell, observed, transcript):
    cells = [i for i, text in enumerate(observed) if text == transcript[0]]
    for action, text in zip(transcript[1::2], transcript[2::2]):
        if action in ACTIONS:
            cells = [int(next_cell[i, ACTIONS.index(action)]) for i in cells]
        cells = [i for i in cells if observed[i] == text]
    return cells


ANSWERS = {
    "episode_returns": {"answer": episode_returns, "stub": stub,
                        "wrong": [episode_returns_never_bootstraps, episode_returns_bootstraps_after_the_end,
                                  episode_returns_from_the_start, episode_returns_without_own_reward]},
    "horizon": {"answer": horizon, "stub": stub,
                "wrong": [horizon_one_over, horizon_rounded_down, horizon_strictly_below, horizon_infinite]},
    "occupancy": {"answer": occupancy, "stub": stub,
                  "wrong": [occupancy_counts_the_goal, occupancy_without_discount, occupancy_one_step_more,
                            occupancy_as_shares]},
    "evaluate": {"answer": evaluate, "stub": stub,
                 "wrong": [evaluate_pays_for_the_last_move, evaluate_goal_goes_on, evaluate_too_few_sweeps,
                           evaluate_the_best_instead]},
    "improve": {"answer": improve, "stub": stub,
                "wrong": [improve_first_of_equals, improve_forgets_the_reward, improve_softly, improve_without_normalising]},
    "solve": {"answer": solve, "stub": stub,
              "wrong": [solve_pays_for_the_last_move, solve_uniform, solve_without_discount, solve_returns_a_policy]},
    "belief": {"answer": belief, "stub": stub,
               "wrong": [belief_last_observation_only, belief_ignores_where_it_came_from, belief_moves_only,
                         belief_counts_particles]},
}
