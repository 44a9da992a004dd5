"""Answers, stubs and wrong answers of notebook 22."""

import numpy as np

from lmrl_lab.episode import Episode, Turn

# ------------------------------------------------------------------------------------------------------- record


def record(env, choose, seed):
    text, info = env.reset(seed=seed)
    turns, over, invalid = [Turn(text, False)], False, 0
    while not over:
        action = choose(text, info)
        text, reward, terminated, truncated, info = env.step(action)
        turns += [Turn(action, True, reward), Turn(text, False)]
        invalid += info["invalid"]
        over = terminated or truncated
    return Episode(env.task, turns, terminated, truncated, seed, "mine", {"success": info["success"], "invalid": invalid})


def record_stub(env, choose, seed):
    text, info = env.reset(seed=seed)
    action = choose(text, info)
    text, reward, terminated, truncated, info = env.step(action)
    return Episode(env.task, [Turn(action, False), Turn(text, True)], terminated, truncated)


def one_step(env, choose, seed):
    text, info = env.reset(seed=seed)
    action = choose(text, info)
    after, reward, terminated, truncated, info = env.step(action)
    turns = [Turn(text, False), Turn(action, True, reward), Turn(after, False)]
    facts = {"success": info["success"], "invalid": int(info["invalid"])}
    return Episode(env.task, turns, terminated, truncated, seed, "mine", facts)


def changed(**fields):
    def wrong(env, choose, seed):
        episode = record(env, choose, seed)
        for name, value in fields.items():
            setattr(episode, name, value(episode))
        return episode
    return wrong


def without_a_seed(env, choose, seed):
    return record(env, lambda text, info: choose(text, info), seed + 1)


def rewards_on_observations(env, choose, seed):
    episode = record(env, choose, seed)
    for action, answer in zip(episode.turns[1::2], episode.turns[2::2]):
        action.reward, answer.reward = 0.0, action.reward
    return episode


def until_it_is_terminated(env, choose, seed):
    text, info = env.reset(seed=seed)
    turns, terminated, invalid = [Turn(text, False)], False, 0
    while not terminated:
        action = choose(text, info)
        text, reward, terminated, truncated, info = env.step(action)
        turns += [Turn(action, True, reward), Turn(text, False)]
        invalid += info["invalid"]
    return Episode(env.task, turns, terminated, truncated, seed, "mine", {"success": info["success"], "invalid": invalid})


def invalid_once(env, choose, seed):
    episode = record(env, choose, seed)
    episode.info["invalid"] = int(episode.info["invalid"] > 0)
    return episode


# ------------------------------------------------------------------------------------------------------- beta_for


def beta_for(gap, prior, odds):
    return np.log(odds * prior) / gap


def beta_for_stub(gap, prior, odds):
    return 1.0


def prior_forgotten(gap, prior, odds):
    return np.log(odds) / gap


def prior_divided(gap, prior, odds):
    return np.log(odds / prior) / gap


def times_the_gap(gap, prior, odds):
    return np.log(odds * prior) * gap


def decimal_logarithm(gap, prior, odds):
    return np.log10(odds * prior) / gap


ANSWERS = {
    "four_stones": {"answer": 0.333, "stub": None, "wrong": [0.5, 0.25, 0.0, 2 / 3, 33, "1/3", [1 / 3]]},
    "record": {"answer": record, "stub": record_stub,
               "wrong": [one_step, without_a_seed, rewards_on_observations, until_it_is_terminated, invalid_once,
                         changed(turns=lambda e: e.turns[:-1], truncated=lambda e: False), changed(seed=lambda e: None),
                         changed(info=lambda e: {}), changed(terminated=lambda e: True, truncated=lambda e: False)]},
    "beta_for": {"answer": beta_for, "stub": beta_for_stub,
                 "wrong": [prior_forgotten, prior_divided, times_the_gap, decimal_logarithm]},
    "not_found": {"answer": "d", "stub": None, "wrong": ["a", "b", "c", "", "a and d", 4]},
}
