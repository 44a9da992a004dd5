"""Answers to the exercises of notebook 11, their stubs, and wrong answers that its checks must refuse."""

import numpy as np
import torch
from torch.nn.functional import cross_entropy


def returns_to_go(rewards, lengths, gamma):
    per_token = []
    for reward, n in zip(rewards, lengths):
        per_token += [0.0] * (n - 1) + [reward]
    out, following = [], 0.0
    for reward in reversed(per_token):
        following = reward + gamma * following
        out.append(following)
    return out[::-1]


def returns_to_go_stub(rewards, lengths, gamma):
    return [0.0 for n in lengths for _ in range(n)]


def returns_to_go_discounted_once_an_action(rewards, lengths, gamma):
    each = returns_to_go(rewards, [1] * len(rewards), gamma)
    return [value for value, n in zip(each, lengths) for _ in range(n)]


def returns_to_go_reward_on_the_first_token(rewards, lengths, gamma):
    per_token = [r for reward, n in zip(rewards, lengths) for r in [reward] + [0.0] * (n - 1)]
    return returns_to_go(per_token, [1] * len(per_token), gamma)


def returns_to_go_reward_on_every_token(rewards, lengths, gamma):
    per_token = [reward for reward, n in zip(rewards, lengths) for _ in range(n)]
    return returns_to_go(per_token, [1] * len(per_token), gamma)


def returns_to_go_without_discount(rewards, lengths, gamma):
    return returns_to_go(rewards, lengths, 1.0)


def returns_to_go_whole_return(rewards, lengths, gamma):
    return [returns_to_go(rewards, lengths, gamma)[0]] * sum(lengths)


def returns_to_go_without_own_reward(rewards, lengths, gamma):
    return [gamma * value for value in returns_to_go(rewards, lengths, gamma)[1:]] + [0.0]


def returns_to_go_last_reward_twice(rewards, lengths, gamma):
    return returns_to_go([*rewards, rewards[-1]], [*lengths, lengths[-1]], gamma)[:sum(lengths)]


def mc_loss(q, tokens, returns, weight, cql):
    taken = q[torch.arange(len(tokens)), tokens]
    error = 0.5 * (taken - returns) ** 2
    conservative = torch.nn.functional.cross_entropy(q, tokens, reduction="none")
    return (weight * (error + cql * conservative)).sum() / weight.sum()


def mc_loss_stub(q, tokens, returns, weight, cql):
    return (0.0 * q).sum()


def mc_loss_without_half(q, tokens, returns, weight, cql):
    return mc_loss(q, tokens, returns, weight, cql) + mc_loss(q, tokens, returns, weight, 0.0)


def mc_loss_of_all_tokens(q, tokens, returns, weight, cql):
    error = 0.5 * ((q - returns[:, None]) ** 2).mean(1)
    return (weight * (error + cql * cross_entropy(q, tokens, reduction="none"))).sum() / weight.sum()


def mc_loss_without_weight(q, tokens, returns, weight, cql):
    return mc_loss(q, tokens, returns, torch.ones_like(weight), cql)


def mc_loss_sum(q, tokens, returns, weight, cql):
    return mc_loss(q, tokens, returns, weight, cql) * weight.sum()


def mc_loss_cql_subtracted(q, tokens, returns, weight, cql):
    return mc_loss(q, tokens, returns, weight, -cql)


def mc_loss_without_cql(q, tokens, returns, weight, cql):
    return mc_loss(q, tokens, returns, weight, 0.0)


def mc_loss_cql_not_weighed(q, tokens, returns, weight, cql):
    return mc_loss(q, tokens, returns, weight, 0.0) + cql * cross_entropy(q, tokens)


def mc_loss_without_gradient(q, tokens, returns, weight, cql):
    return mc_loss(q.detach(), tokens, returns, weight, cql)


def guided_row(pi, q, beta):
    row = pi * np.exp(beta * (q - q.max()))
    return row / row.sum()


def guided_row_stub(pi, q, beta):
    return pi


def guided_row_overflows(pi, q, beta):
    with np.errstate(all="ignore"):
        row = pi * np.exp(beta * q)
        return row / row.sum()


def guided_row_not_normalised(pi, q, beta):
    return pi * np.exp(beta * (q - q.max()))


def guided_row_without_the_policy(pi, q, beta):
    return guided_row(np.ones_like(pi), q, beta)


def guided_row_divides_by_beta(pi, q, beta):
    return guided_row(pi, q, 1 / max(beta, 1e-9))


def guided_row_adds_to_probabilities(pi, q, beta):
    row = np.exp(pi + beta * (q - q.max()))
    return row / row.sum()


def guided_row_greedy(pi, q, beta):
    return np.eye(len(q))[q.argmax()] if beta else pi


ANSWERS = {
    "returns_to_go": {"answer": returns_to_go, "stub": returns_to_go_stub,
                      "wrong": [returns_to_go_discounted_once_an_action, returns_to_go_reward_on_the_first_token,
                                returns_to_go_reward_on_every_token, returns_to_go_without_discount, returns_to_go_whole_return,
                                returns_to_go_without_own_reward, returns_to_go_last_reward_twice]},
    "cut_return": {"answer": -25.5, "stub": None, "wrong": [-50, -100, -25, -1, 25.5, "-25.5", [-25.5]]},
    "mc_loss": {"answer": mc_loss, "stub": mc_loss_stub,
                "wrong": [mc_loss_without_half, mc_loss_of_all_tokens, mc_loss_without_weight, mc_loss_sum,
                          mc_loss_cql_subtracted, mc_loss_without_cql, mc_loss_cql_not_weighed, mc_loss_without_gradient]},
    "guided_row": {"answer": guided_row, "stub": guided_row_stub,
                   "wrong": [guided_row_overflows, guided_row_not_normalised, guided_row_without_the_policy,
                             guided_row_divides_by_beta, guided_row_adds_to_probabilities, guided_row_greedy]},
    "two_games": {"answer": ([0, -1], [-1, -1, -1, 1]), "stub": ([0], [0]),
                  "wrong": [([-1, -1, -1, 1], [0, -1]), ([0, 1], [-1, -1, 1]), ([0, -1], [-1, -1, 1]), ([0, -1], [-1, 0]),
                            ([2], [1]), ([0, -1], [-3, 1]), ([1, -1], [-1, 1])]},
}
