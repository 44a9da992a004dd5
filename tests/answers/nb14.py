"""Answers to the exercises of notebook 14, their stubs, and wrong answers that its checks must refuse."""

import numpy as np
import torch


def game_loss(logprobs, game, weights):
    return -(weights[game] * logprobs).sum() / len(weights)


def game_loss_stub(logprobs, game, weights):
    return 0.0 * logprobs.sum()


def game_loss_sign(logprobs, game, weights):
    return (weights[game] * logprobs).sum() / len(weights)


def game_loss_mean_of_tokens(logprobs, game, weights):
    return -(weights[game] * logprobs).mean()


def game_loss_mean_of_kept_tokens(logprobs, game, weights):
    return -(weights[game] * logprobs).sum() / weights[game].sum().clamp(min=1)


def game_loss_mean_of_kept_games(logprobs, game, weights):
    return -(weights[game] * logprobs).sum() / weights.sum().clamp(min=1)


def game_loss_mean_within_games(logprobs, game, weights):
    counts = torch.bincount(game, minlength=len(weights)).clamp(min=1)
    return -(weights[game] * logprobs / counts[game]).sum() / len(weights)


def game_loss_sum(logprobs, game, weights):
    return -(weights[game] * logprobs).sum()


def game_loss_only_where_kept(logprobs, game, weights):
    return -logprobs[weights[game] > 0].sum() / len(weights)


def game_loss_minus_the_mean_weight(logprobs, game, weights):
    return -((weights - weights.mean())[game] * logprobs).sum() / len(weights)


def game_loss_of_probabilities(logprobs, game, weights):
    return -(weights[game] * logprobs.exp()).sum() / len(weights)


def game_loss_without_gradient(logprobs, game, weights):
    return game_loss(logprobs.detach(), game, weights)


def game_loss_a_token_each(logprobs, game, weights):
    return -(weights * logprobs[:len(weights)]).sum() / len(weights)


def better_than_own(starts, returns):
    kept = []
    for i, start in enumerate(starts):
        beside = [earned for other, earned in zip(starts, returns) if other == start]
        if returns[i] > sum(beside) / len(beside):
            kept.append(i)
    return kept


def better_than_own_stub(starts, returns):
    return list(range(len(returns)))


def better_than_all(starts, returns):
    return [i for i, earned in enumerate(returns) if earned > np.mean(returns)]


def better_or_equal(starts, returns):
    return [i for i in range(len(returns)) if returns[i] >= _mean(starts, returns, i)]


def better_than_the_median(starts, returns):
    return [i for i in range(len(returns)) if returns[i] > np.median(_beside(starts, returns, i))]


def only_the_best(starts, returns):
    return [i for i in range(len(returns)) if returns[i] == max(_beside(starts, returns, i))]


def better_than_the_others(starts, returns):
    groups = {start: [i for i, other in enumerate(starts) if other == start] for start in starts}
    return [max(group, key=lambda i: returns[i]) for group in groups.values()]


def better_in_the_order_of_starts(starts, returns):
    return sorted(better_than_own(starts, returns), key=lambda i: str(starts[i]))


def worse_than_own(starts, returns):
    return [i for i in range(len(returns)) if returns[i] < _mean(starts, returns, i)]


def half_of_each_start(starts, returns):
    kept = []
    for start in dict.fromkeys(starts):
        group = sorted((i for i, other in enumerate(starts) if other == start), key=lambda i: -returns[i])
        kept += group[:len(group) // 2]
    return sorted(kept)


def _beside(starts, returns, i):
    return [earned for other, earned in zip(starts, returns) if other == starts[i]]


def _mean(starts, returns, i):
    return sum(_beside(starts, returns, i)) / len(_beside(starts, returns, i))


ANSWERS = {
    "game_loss": {"answer": game_loss, "stub": game_loss_stub,
                  "wrong": [game_loss_sign, game_loss_mean_of_tokens, game_loss_mean_of_kept_tokens,
                            game_loss_mean_of_kept_games, game_loss_mean_within_games, game_loss_sum, game_loss_only_where_kept,
                            game_loss_minus_the_mean_weight, game_loss_of_probabilities, game_loss_without_gradient,
                            game_loss_a_token_each]},
    "share_of_on": {"answer": 0.75, "stub": None, "wrong": [0.5, 2 / 3, 1, 0.25, 75, "0.75", [0.75]]},
    "which_average": {"answer": "b", "stub": None, "wrong": ["a", "c", "d", "b or c", "", 2]},
    "better_than_own": {"answer": better_than_own, "stub": better_than_own_stub,
                        "wrong": [better_than_all, better_or_equal, better_than_the_median, only_the_best,
                                  better_than_the_others, better_in_the_order_of_starts, worse_than_own, half_of_each_start]},
}
