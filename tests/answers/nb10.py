"""Answers to the exercises of notebook 10, their stubs, and wrong answers that its checks must refuse."""

import numpy as np
import torch
from torch.nn.functional import cross_entropy


def bc_loss(logits, ids, mask, weight):
    rows, columns = mask.nonzero(as_tuple=True)
    each = torch.nn.functional.cross_entropy(logits[rows, columns - 1], ids[rows, columns], reduction="none")
    return (weight[rows] * each).sum() / weight[rows].sum()


def bc_loss_stub(logits, ids, mask, weight):
    return torch.tensor(0.0)


def bc_loss_unshifted(logits, ids, mask, weight):
    rows, columns = mask.nonzero(as_tuple=True)
    each = cross_entropy(logits[rows, columns], ids[rows, columns], reduction="none")
    return (weight[rows] * each).sum() / weight[rows].sum()


def bc_loss_without_mask(logits, ids, mask, weight):
    each = cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view(len(ids), -1)
    return (weight[:, None] * each).sum() / (weight.sum() * each.shape[1])


def bc_loss_without_weight(logits, ids, mask, weight):
    return bc_loss(logits, ids, mask, torch.ones_like(weight))


def bc_loss_mean_of_rows(logits, ids, mask, weight):
    each = [bc_loss(logits[i:i + 1], ids[i:i + 1], mask[i:i + 1], weight[i:i + 1]) for i in range(len(ids))]
    return (weight * torch.stack(each)).sum() / weight.sum()


def bc_loss_sum(logits, ids, mask, weight):
    rows, _ = mask.nonzero(as_tuple=True)
    return bc_loss(logits, ids, mask, weight) * weight[rows].sum()


def bc_loss_over_all_tokens(logits, ids, mask, weight):
    return bc_loss_sum(logits, ids, mask, weight) / ids.numel()


def keep_best(returns, fraction):
    order = sorted(range(len(returns)), key=lambda i: -returns[i])
    return sorted(order[:max(1, round(fraction * len(returns)))])


def keep_best_stub(returns, fraction):
    return list(range(len(returns)))


def keep_best_worst(returns, fraction):
    return sorted(sorted(range(len(returns)), key=lambda i: returns[i])[:max(1, round(fraction * len(returns)))])


def keep_best_by_rank(returns, fraction):
    return sorted(range(len(returns)), key=lambda i: -returns[i])[:max(1, round(fraction * len(returns)))]


def keep_best_with_all_ties(returns, fraction):
    border = returns[keep_best_by_rank(returns, fraction)[-1]]
    return [i for i, value in enumerate(returns) if value >= border]


def keep_best_perhaps_none(returns, fraction):
    return sorted(keep_best_by_rank(returns, fraction)[:int(fraction * len(returns))])


def weighted_policy(games, weights, squares):
    counts = np.zeros((squares, 4))
    for game, weight in zip(games, weights):
        for square, move in game:
            counts[square, move] += weight
    counts[counts.sum(1) == 0] = 1
    return counts / counts.sum(1, keepdims=True)


def weighted_policy_stub(games, weights, squares):
    return np.full((squares, 4), 0.25)


def weighted_policy_without_weights(games, weights, squares):
    return weighted_policy(games, np.ones(len(games)), squares)


def weighted_policy_zero_rows(games, weights, squares):
    counts = np.zeros((squares, 4))
    for game, weight in zip(games, weights):
        for square, move in game:
            counts[square, move] += weight
    return counts / np.maximum(counts.sum(1, keepdims=True), 1e-12)


def weighted_policy_mean_of_games(games, weights, squares):
    return sum(w * weighted_policy([g], [1.0], squares) for g, w in zip(games, weights)) / sum(weights)


def weighted_policy_smoothed(games, weights, squares):
    counts = np.ones((squares, 4))
    for game, weight in zip(games, weights):
        for square, move in game:
            counts[square, move] += weight
    return counts / counts.sum(1, keepdims=True)


ANSWERS = {
    "bc_loss": {"answer": bc_loss, "stub": bc_loss_stub,
                "wrong": [bc_loss_unshifted, bc_loss_without_mask, bc_loss_without_weight, bc_loss_mean_of_rows, bc_loss_sum,
                          bc_loss_over_all_tokens]},
    "greedy": {"answer": -92.04, "stub": None, "wrong": [-83.6, -6.84, -92.0, -100, 92.04, "-92.04"]},
    "keep_best": {"answer": keep_best, "stub": keep_best_stub,
                  "wrong": [keep_best_worst, keep_best_by_rank, keep_best_with_all_ties, keep_best_perhaps_none]},
    "weighted_policy": {"answer": weighted_policy, "stub": weighted_policy_stub,
                        "wrong": [weighted_policy_without_weights, weighted_policy_zero_rows, weighted_policy_mean_of_games,
                                  weighted_policy_smoothed]},
}
