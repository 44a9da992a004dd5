"""Answers to the exercises of notebook 16, their stubs, and wrong answers that its checks must refuse."""

import numpy as np


def normalized(value, worst, behaviour, best):
    if value < behaviour:
        return 50 * (value - worst) / (behaviour - worst)
    return 50 + 50 * (value - behaviour) / (best - behaviour)


def normalized_stub(value, worst, behaviour, best):
    return 0.0


def normalized_one_line(value, worst, behaviour, best):
    return 100 * (value - worst) / (best - worst)


def normalized_clipped(value, worst, behaviour, best):
    return min(max(normalized(value, worst, behaviour, best), 0.0), 100.0)


def normalized_ratio(value, worst, behaviour, best):
    return 100 * value / best


def normalized_no_offset(value, worst, behaviour, best):
    return 50 * (value - behaviour) / (best - behaviour)


def normalized_upper_line_only(value, worst, behaviour, best):
    return 50 + 50 * (value - behaviour) / (best - behaviour)


def resampled_mean(returns, rng):
    seeds = rng.integers(len(returns), size=len(returns))
    return np.mean([np.mean(rng.choice(returns[s], len(returns[s]))) for s in seeds])


def resampled_mean_stub(returns, rng):
    return np.mean([np.mean(games) for games in returns])


def resampled_mean_games_only(returns, rng):
    return np.mean([np.mean(rng.choice(games, len(games))) for games in returns])


def resampled_mean_seeds_only(returns, rng):
    return np.mean([np.mean(returns[s]) for s in rng.integers(len(returns), size=len(returns))])


def resampled_mean_pooled(returns, rng):
    games = np.concatenate(returns)
    return np.mean(rng.choice(games, len(games)))


def resampled_mean_pooled_after_seeds(returns, rng):
    seeds = rng.integers(len(returns), size=len(returns))
    return np.mean(np.concatenate([rng.choice(returns[s], len(returns[s])) for s in seeds]))


def resampled_mean_same_games_again(returns, rng):
    drawn = [np.mean(rng.choice(games, len(games))) for games in returns]
    return np.mean([drawn[s] for s in rng.integers(len(returns), size=len(returns))])


def resampled_mean_without_replacement(returns, rng):
    seeds = rng.permutation(len(returns))
    return np.mean([np.mean(rng.choice(returns[s], len(returns[s]))) for s in seeds])


def resampled_mean_one_game_a_seed(returns, rng):
    return np.mean([rng.choice(returns[s]) for s in rng.integers(len(returns), size=len(returns))])


ANSWERS = {
    "width": {"answer": "c", "stub": None, "wrong": ["a", "b", "d"]},
    "normalized": {"answer": normalized, "stub": normalized_stub,
                   "wrong": [normalized_one_line, normalized_clipped, normalized_ratio, normalized_no_offset,
                             normalized_upper_line_only]},
    "resampled_mean": {"answer": resampled_mean, "stub": resampled_mean_stub,
                       "wrong": [resampled_mean_games_only, resampled_mean_seeds_only, resampled_mean_pooled,
                                 resampled_mean_pooled_after_seeds, resampled_mean_same_games_again,
                                 resampled_mean_without_replacement, resampled_mean_one_game_a_seed]},
    "unanimous": {"answer": 3.75, "stub": None, "wrong": [1.875, 15, 0.25, 7.5]},
}
