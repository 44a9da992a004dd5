"""Scores: numbers by hand, intervals that cover, dynamic programming against play."""

import json

import numpy as np
import pytest

import lmrl_lab as lab
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.evaluation import Score, bootstrap_interval, interval_over_seeds, score
from lmrl_lab.policies import MixedPolicy, RandomPolicy
from lmrl_lab.tasks import maze as m


def game(rewards, success=False, invalid=0, task="maze-fo"):
    turns = [Turn("a\n", False)] + [t for r in rewards for t in (Turn("x", True, r), Turn("b\n", False))]
    return Episode(task, turns, success, not success, policy="someone", info={"success": success, "invalid": invalid})


def test_a_score_by_hand():
    s = score([game([-1, -1, 0], True), game([-4, -1, -1, -1], invalid=1), game([0], True)], seed=9)
    assert s.mean_return == pytest.approx(-3) and s.success_rate == pytest.approx(2 / 3)
    assert s.invalid_rate == pytest.approx(1 / 8) and s.mean_length == pytest.approx(8 / 3)
    assert s.normalized == pytest.approx(lab.TASKS["maze-fo"].references.normalize(-3))
    assert s.interval[0] <= s.mean_return <= s.interval[1] and (s.episodes, s.policy, s.seed) == (3, "someone", 9)
    assert json.loads(s.to_json())["task"] == "maze-fo" and "return -3.00" in str(s) and "<table" in s._repr_html_()


def test_few_games_a_start_are_not_resampled_within_the_start():
    games = []
    for k in range(40):
        games.append(game([-float(k)]))
        games[-1].info["options"] = {"start": [1, k // 2]}
    low, high = score(games).interval
    assert high - low > 5


def test_scores_need_episodes_of_one_task():
    with pytest.raises(ValueError, match="no episodes"):
        score([])
    with pytest.raises(ValueError, match="several tasks"):
        score([game([0]), game([0], task="maze-po")])


def test_the_bootstrap_interval_covers_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), 0
    for n in range(200):
        low, high = bootstrap_interval(rng.exponential(size=60), draws=400, seed=n)
        hits += low <= 1 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_groups_are_resampled_within_themselves():
    values, groups = [0.0] * 50 + [10.0] * 50, [0] * 50 + [1] * 50
    assert bootstrap_interval(values, groups=groups) == (5, 5)
    low, high = bootstrap_interval(values)
    assert low < 4.5 and high > 5.5
    with pytest.raises(ValueError, match="nothing"):
        bootstrap_interval([])


def test_play_and_dynamic_programming_agree_within_the_interval():
    agent = lab.train("bc", "maze-fo", lab.generate("maze-fo", 200, seed=101), seed=101, steps=80)
    of = m.maze()
    contexts = [[Turn(text + "\n", False)] for text in of.observations("full")]
    table = np.array(agent.action_probabilities(contexts, [m.ACTIONS] * len(contexts)))
    exact, played = m.mean_return(table, of), lab.evaluate(agent, "maze-fo", seed=101)
    low, high = played.interval
    assert low - 1 <= exact <= high + 1


def test_evaluation_is_repeatable_and_seeded():
    a, b, c = (lab.evaluate("random", "maze-fo", episodes=30, seed=s) for s in (1, 1, 2))
    assert a == b and a.mean_return != c.mean_return


def test_evaluation_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="did you mean 'best'"):
        lab.evaluate("bets", "maze-fo")
    for bad in (0, -3, 1.5):
        with pytest.raises(ValueError, match="episodes"):
            lab.evaluate("random", "maze-fo", episodes=bad)
    agent = lab.train("bc", "maze-fo", lab.generate("maze-fo", 5, seed=1), steps=1)
    with pytest.raises(ValueError, match="trained for 'maze-fo'"):
        lab.evaluate(agent, "maze-po", episodes=1)


def test_other_layouts_are_evaluated_from_all_their_starts():
    result, episodes = lab.evaluate("best", "maze-fo", episodes=12, layout="umaze", return_episodes=True)
    assert result.mean_return == pytest.approx(1 - m.maze("umaze").distance[m.maze("umaze").starts].mean())
    assert np.isnan(result.normalized)  # the card's references are those of the double T
    assert episodes[0].info["keywords"] == {"layout": "umaze"}


def test_a_mixed_policy_plays_one_of_its_policies_a_game():
    best, noise = m.shortest_path_policy, RandomPolicy
    policy = MixedPolicy([best, noise], [3, 1])
    from lmrl_lab.rollout import rollout
    of = m.maze()
    episodes = rollout(policy, "maze-fo", range(400), [{"start": (1, 1)}] * 400)
    perfect = np.mean([e.total_return == 1 - of.distance[of.index[(1, 1)]] for e in episodes])
    assert perfect == pytest.approx(0.75, abs=0.07)
    for makers, weights in (([best], [1, 2]), ([best], [0]), ([best, noise], [1, -1])):
        with pytest.raises(ValueError, match="weight"):
            MixedPolicy(makers, weights)


def test_a_score_is_a_record():
    assert Score.__dataclass_params__.frozen


def test_the_interval_over_one_seed_is_that_over_its_games():
    values, groups = list(np.random.default_rng(0).exponential(size=50)), [0, 1] * 25
    assert interval_over_seeds([values]) == bootstrap_interval(values)
    assert interval_over_seeds([values], groups=[groups], seed=3, level=0.8) == bootstrap_interval(
        values, groups=groups, seed=3, level=0.8)


def test_the_interval_over_seeds_by_hand():
    # three seeds whose games are all alike: of 27 draws one (3.7% > 2.5%) holds the lowest three times, one the highest
    assert interval_over_seeds([[0.0] * 20, [1.0] * 20, [5.0] * 20]) == (0, 5)
    # at 90% and two seeds: a quarter of the draws each, so the same; at 40%: half of the draws hold both
    assert interval_over_seeds([[0.0], [4.0]], level=0.9) == (0, 4)
    assert interval_over_seeds([[0.0], [4.0]], level=0.4) == (2, 2)
    # seeds count the same, however many games each has
    assert interval_over_seeds([[0.0] * 90, [4.0]], level=0.4) == (2, 2)
    # games of fixed starts are drawn within their starts, seed by seed: nothing is left to chance here
    assert interval_over_seeds([[0.0, 10.0], [10.0, 0.0]], groups=[[0, 1], [1, 0]]) == (5, 5)
    assert interval_over_seeds([[0.0, 10.0] * 8, [10.0, 0.0] * 8], groups=[None, [1, 0] * 8])[0] < 5
    for nothing in ([], [[1.0], []]):
        with pytest.raises(ValueError, match="nothing"):
            interval_over_seeds(nothing)


def test_a_seed_drawn_twice_is_played_by_other_games_each_time():
    rng = np.random.default_rng(5)
    values = [list(rng.normal(size=100)) for _ in range(2)]
    values[1] = list(np.array(values[1]) - np.mean(values[1]) + np.mean(values[0]))  # the seeds' means are equal
    low, high = interval_over_seeds(values)
    # the variance of the mean of two means of 100 games; the same games twice would make it half as large again
    assert (high - low) / 2 == pytest.approx(1.96 * (np.var(values) / 200) ** 0.5, rel=0.07)


@pytest.mark.parametrize("seeds, spread, least, most", [(10, 1.0, 0.86, 0.97), (3, 1.0, 0.68, 0.84), (3, 0.0, 0.96, 1.0)])
def test_the_interval_over_seeds_covers_as_often_as_its_docstring_says(seeds, spread, least, most):
    rng, hits = np.random.default_rng(1), 0
    for n in range(300):
        returns = rng.normal(size=(seeds, 1)) * spread + rng.normal(size=(seeds, 30))
        low, high = interval_over_seeds(returns, draws=400, seed=n)
        hits += low <= 0 <= high
    assert least <= hits / 300 <= most
