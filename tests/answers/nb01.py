"""Answers, stubs and wrong answers of notebook 01; `tests/test_checks.py` holds notebook and checks to them."""

import numpy as np


def answer_returns_to_go(rewards, mask, gamma):
    returns, following = [0.0] * len(rewards), 0.0
    for t in reversed(range(len(rewards))):
        if mask[t]:
            following = rewards[t] + gamma * following
            returns[t] = following
    return returns


def stub_returns_to_go(rewards, mask, gamma):
    return list(rewards)  # your code


def discounted_every_token(rewards, mask, gamma):
    returns, following = [0.0] * len(rewards), 0.0
    for t in reversed(range(len(rewards))):
        following = rewards[t] + gamma * following
        returns[t] = following if mask[t] else 0.0
    return returns


def no_discount(rewards, mask, gamma):
    return [sum(rewards[t:]) if mask[t] else 0 for t in range(len(rewards))]


def own_reward_left_out(rewards, mask, gamma):
    returns, following = [0.0] * len(rewards), 0.0
    for t in reversed(range(len(rewards))):
        if mask[t]:
            returns[t] = gamma * following
            following = rewards[t] + gamma * following
    return returns


def also_at_observations(rewards, mask, gamma):
    returns, following = [0.0] * len(rewards), 0.0
    for t in reversed(range(len(rewards))):
        if mask[t]:
            following = rewards[t] + gamma * following
        returns[t] = following
    return returns


def once_a_turn(rewards, mask, gamma):
    returns, following = [0.0] * len(rewards), 0.0
    for t in reversed(range(len(rewards))):
        if mask[t]:
            last = t + 1 == len(mask) or not mask[t + 1]
            following = rewards[t] + (gamma if last else 1.0) * following
            returns[t] = following
    return returns


def return_so_far(rewards, mask, gamma):
    returns, so_far = [0.0] * len(rewards), 0.0
    for t in range(len(rewards)):
        if mask[t]:
            so_far = rewards[t] + gamma * so_far
            returns[t] = so_far
    return returns


def answer_next_positions(mask, truncated):
    actions = [t for t, m in enumerate(mask) if m]
    last = len(mask) - 1 if truncated else None
    return [t - 1 for t in actions[1:]] + [last]


def stub_next_positions(mask, truncated):
    return [t + 1 for t, m in enumerate(mask) if m]  # your code: the token after each action token is not it


def the_next_action_itself(mask, truncated):
    actions = [t for t, m in enumerate(mask) if m]
    return actions[1:] + [len(mask) - 1 if truncated else None]


def own_state(mask, truncated):
    return [t - 1 for t, m in enumerate(mask) if m]


def never_ends(mask, truncated):
    actions = [t for t, m in enumerate(mask) if m]
    return [t - 1 for t in actions[1:]] + [len(mask) - 1]


def a_cut_is_an_end(mask, truncated):
    actions = [t for t, m in enumerate(mask) if m]
    return [t - 1 for t in actions[1:]] + [None]


def last_one_forgotten(mask, truncated):
    actions = [t for t, m in enumerate(mask) if m]
    return [t - 1 for t in actions[1:]]


def answer_may_attend(block):
    block = np.array(block)
    same = block[:, None] == block[None, :]
    return same & np.tril(np.ones_like(same))


def stub_may_attend(block):
    n = len(block)
    return np.tril(np.ones((n, n), dtype=bool))  # your code: this looks into earlier blocks, too


def sees_the_future(block):
    block = np.array(block)
    return block[:, None] == block[None, :]


def not_itself(block):
    block = np.array(block)
    return np.tril(block[:, None] == block[None, :], -1)


def later_sees_earlier_blocks(block):
    block = np.array(block)
    return block[:, None] >= block[None, :]


def turned_over(block):
    return answer_may_attend(block).T


ANSWERS = {
    "returns_to_go": {
        "answer": answer_returns_to_go,
        "stub": stub_returns_to_go,
        "wrong": [discounted_every_token, no_discount, own_reward_left_out, also_at_observations, once_a_turn,
                  return_so_far],
    },
    "next_positions": {
        "answer": answer_next_positions,
        "stub": stub_next_positions,
        "wrong": [the_next_action_itself, own_state, never_ends, a_cut_is_an_end, last_one_forgotten],
    },
    "may_attend": {
        "answer": answer_may_attend,
        "stub": stub_may_attend,
        "wrong": [sees_the_future, not_itself, later_sees_earlier_blocks, turned_over],
    },
    "prediction": {"answer": "b", "stub": None, "wrong": ["a", "c", "d", 1]},
}
