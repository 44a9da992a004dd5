"""What notebook 22 builds: the file of the task held against games that are played, and its claims about the contract."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmrl_lab as lab
from answers import nb22 as answers
from lmrl_lab.contract import CLAUSES, broken
from lmrl_lab.policies import played
from notebook_cells import defined, module, written


@pytest.fixture(scope="module")
def stones(tmp_path_factory):
    yield module("22", "part", "stones", tmp_path_factory.mktemp("stones"))
    lab.TASKS._own.pop("stones")


def test_the_whole_task_is_one_file_of_less_than_eighty_lines():
    text = written("22", "part")
    assert len(text.splitlines()) < 80 and text.count("register(") == 1


def test_what_the_other_side_does_is_what_its_probabilities_say(stones):
    env, seen = stones.StonesEnv(), {5: np.zeros(3), 6: np.zeros(3), 7: np.zeros(3), 8: np.zeros(3)}
    env.reset(seed=0)
    for _ in range(4_000):
        for pile in seen:
            env.reset()
            env.pile = pile + 1
            env.step("take 1")
            seen[pile][pile - env.pile - 1] += 1
    for pile, counts in seen.items():
        assert counts / counts.sum() == pytest.approx(stones.chances(pile), abs=0.03)
    assert all(sum(stones.chances(pile)) == pytest.approx(1) and len(stones.chances(pile)) == min(3, pile)
               for pile in range(1, 21)) and not len(stones.chances(0))


def slow_win(stones, table, pile, memo):
    """The chance to win, by going through all games."""
    if pile not in memo:
        memo[pile] = 0.0
        for take, chance in enumerate(table[pile], 1):
            left = pile - take
            memo[pile] += chance * (1.0 if not left else sum(
                p * slow_win(stones, table, left - k, memo) for k, p in enumerate(stones.chances(left), 1) if left > k))
    return memo[pile]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_exact_solution_is_that_of_all_games_and_nobody_beats_the_best(stones, seed):
    rng = np.random.default_rng(seed)
    table = [[], *(rng.dirichlet(np.ones(min(3, pile))) for pile in range(1, 21))]
    win, best = stones.solve(table)[0], stones.solve()[0]
    assert win == pytest.approx([0.0, *(slow_win(stones, table, pile, {}) for pile in range(1, 21))])
    assert (win <= best + 1e-12).all()


@pytest.mark.parametrize("name, skill", [("behaviour", 0.0), ("best", 1.0)])
def test_players_earn_their_exact_chance(stones, name, skill):
    exact = stones.solve(stones.Player(name, skill).table)[0][10:].mean()
    score = lab.evaluate(name, "stones", 1_500)
    assert score.mean_return == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 1_500) ** 0.5)
    assert exact == pytest.approx(getattr(stones.CARD.references, name))


def test_the_value_of_four_stones_is_the_exercise_s(stones):
    assert stones.solve()[0][4] == pytest.approx(answers.ANSWERS["four_stones"]["answer"], abs=5e-4)


def test_the_recorder_of_the_exercise_is_the_library_s(stones):
    player = stones.Player("behaviour", 0.0)

    def choose(observation, info):
        return player.act([observation], [info])[0]

    for seed in range(5):
        player.reset([seed])
        mine = answers.record(stones.StonesEnv(), choose, seed)
        library = played(stones.Player("behaviour", 0.0), stones.StonesEnv(), seed)
        assert replace(mine, policy="behaviour") == library


def test_a_beta_of_the_exercise_gives_the_odds(stones):
    for gap, prior, odds in itertools.product((0.1, 0.5, 2.0), (0.5, 3.0), (2.0, 100.0)):
        logits = np.log([1.0, prior]) + answers.beta_for(gap, prior, odds) * np.array([gap, 0.0])
        assert np.exp(logits[0] - logits[1]) == pytest.approx(odds)


def test_the_careless_version_of_the_notebook_breaks_four_of_the_first_nine_clauses(stones):
    careless = defined("22", "caught", stones=stones, np=np)["Careless"]
    card = replace(stones.CARD, id=careless.task, env=careless)
    np.random.seed(0)
    assert [clause.__name__ for clause in CLAUSES[:9] if broken(clause, card)] == [
        "repeats_itself", "goes_on_without_a_seed", "stands_alone", "takes_what_is_legal"]


def test_the_contract_finds_the_three_mistakes_of_exercise_four_and_not_the_leak(stones):
    class Shared(stones.StonesEnv):
        def _reset(self, options):
            self.pile, self.count = random.randint(10, 20), 0
            return self._answer("you begin")[::4]

    class Counting(stones.StonesEnv):
        count = 0

        def _reset(self, options):
            self.pile = int(self.np_random.integers(10, 21))
            return self._answer("you begin")[::4]

    class Leaking(stones.StonesEnv):
        def _answer(self, *args, **kwargs):
            text, *rest = super()._answer(*args, **kwargs)
            return text[:-1] + (" I see it." if self.np_random.random() < 0.5 else " I am tired.") + "\n", *rest

    words = tuple(word for word in stones.CARD.vocabulary if word != "20")
    changed = {"a": {"env": Shared}, "b": {"env": Counting}, "c": {"vocabulary": words},
               "d": {"env": Leaking, "vocabulary": (*stones.CARD.vocabulary, " I see it.", " I am tired."), "turn_tokens": 6}}

    class Reader(stones.Player):
        def choose(self, rng, memory, observation, info):
            return super().choose(rng, memory, " ".join(observation.split()[:2]), info)

    def behaviour(size, seed):
        return (played(Reader("behaviour", 0.0), Leaking(), 1_000_000 * seed + k) for k in range(size))

    changed["d"] |= {"behaviour": behaviour, "policies": {
        "random": stones.CARD.policies["random"], "best": lambda: Reader("best", 1.0)}}
    found = {}
    for letter, fields in changed.items():
        card = lab.register(replace(stones.CARD, **fields))
        try:
            found[letter] = [clause.__name__ for clause in CLAUSES if broken(clause, card)]
        finally:
            lab.register(stones.CARD)
    assert found["a"] and found["b"] and found["c"] == ["is_spelled"]
    assert [letter for letter, clauses in found.items() if not clauses] == [answers.ANSWERS["not_found"]["answer"]]
