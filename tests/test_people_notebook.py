"""What notebook 20 builds, held against the library, the exercises' answers and slow loops."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmrl_lab as lab
from answers import nb20 as answers
from lmrl_lab import results
from lmrl_lab.evaluation import bootstrap_interval
from lmrl_lab.rollout import rollout
from lmrl_lab.tasks.maze import BeliefPolicy
from notebook_cells import defined
from widget_driving import click

GAMES = list(range(271, 283))
differences = st.lists(st.integers(-8, 8).map(float), min_size=1, max_size=7)


@pytest.fixture(scope="module")
def notebook():
    advisers = {"agent": results.agent("ilql-maze-po-2turns"), "clone": results.agent("bc-maze-po")}
    return defined("20", "play", "design", "blind", "simulated", "study", "pairs", "intervals", "coverage", "ex3-check", "power",
                   lab=lab, ADVISERS=advisers, GAMES=range(271, 283), TASK="maze-po", FAST=True)


def test_a_simulated_student_who_never_slips_or_asks_plays_as_the_best(notebook):
    alone = rollout(notebook["SimulatedStudents"]([1] * 12, [0.0] * 12), "maze-po", GAMES)
    best = rollout(BeliefPolicy(), "maze-po", GAMES)
    assert [game.actions for game in alone] == [game.actions for game in best]


def test_simulated_students_do_what_they_are_told_in_three_positions_of_ten(notebook):
    class Down:
        def action_probabilities(self, contexts, legal):
            assert all(not turns[-1].is_action and len(turns) % 2 for turns in contexts)
            return [np.array([0, 1, 0, 0])] * len(contexts)

    games = rollout(notebook["SimulatedStudents"](list(range(120)), [1.0] * 120, Down()), "maze-po", GAMES * 10)
    actions = [action for game in games for action in game.actions]
    share = actions.count("move down") / len(actions)
    assert share == pytest.approx(0.3 + 0.7 / 4, abs=0.02)  # told to, or a slip that happens to be it


def test_the_same_study_twice_is_the_same_and_everybody_plays_with_both(notebook):
    order = notebook["drawn_order"](4, 3)
    one, two = (notebook["study"](order, [0.3] * 4, notebook["ADVISERS"]) for _ in range(2))
    assert one.equals(two) and sorted(order) == ["agent"] * 2 + ["clone"] * 2
    assert (one.groupby(["student", "adviser"])["seed"].count() == 6).all()
    assert (one[one["game"] < 6]["adviser"] == one[one["game"] < 6]["begins"]).all()


rows = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["agent", "clone"]), st.integers(-30, 0).map(float)), min_size=1,
                max_size=30)


@settings(max_examples=40, deadline=None)
@given(rows)
def test_the_pivot_table_is_the_exercise(rows):
    table = pd.DataFrame(rows, columns=["student", "adviser", "return"]).assign(begins="agent")
    expected = answers.paired(sorted(rows, key=lambda row: row[0]))
    both = {"agent", "clone"} <= set(table["adviser"])
    pairs = defined("20", "pairs")["pairs"](table)["difference"].tolist() if both else []
    assert np.allclose(pairs, expected)


@settings(max_examples=40, deadline=None)
@given(differences)
def test_drawn_sign_patterns_come_to_the_exact_p_value(differences):
    p_value = defined("20", "ex3-check", np=np)["p_value"]
    exact = answers.sign_flip(differences)
    assert p_value(differences, flips=4_000) == pytest.approx(exact, abs=4 * (0.25 / 4_000) ** 0.5)
    assert p_value(differences, flips=1) in (0.5, 1.0)  # never 0: the true pattern counts


def test_the_formula_of_the_paired_interval_agrees_with_the_library_s_bootstrap(notebook):
    rng = np.random.default_rng(0)
    games = rng.normal(0, 3, (2, 40, 6))
    y, groups = games.mean(2), ["agent", "clone"] * 20
    low, high = notebook["three_intervals"](y[0] - y[1], y, games, groups)[0]
    assert (low, high) == pytest.approx(bootstrap_interval(y[0] - y[1], draws=20_000, groups=groups), abs=0.06)


def test_only_the_paired_interval_covers_where_people_react_differently(notebook):
    (paired, _), (_, _), (as_people, _) = notebook["coverage"](classes=400, people=3.0, reaction=4.0)
    assert paired > 0.9 > as_people


def test_the_number_of_people_by_the_formula_has_a_power_of_four_fifths(notebook):
    rng = np.random.default_rng(1)
    d = rng.normal(1.0, 2.0, (4_000, round(7.85 * 4)))
    z = d.mean(1) / (d.std(1, ddof=1) / d.shape[1] ** 0.5)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.03)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.01, 0.3))
def test_holm_rejects_all_that_bonferroni_does_and_only_what_is_below_alpha(p, alpha):
    rejected = answers.holm(p, alpha)
    for x, by_holm, by_bonferroni in zip(p, rejected, answers.bonferroni(p, alpha) if p else [], strict=True):
        assert by_bonferroni <= by_holm <= (x <= alpha)


def test_a_session_shows_the_first_choice_and_no_number_and_saves_who_asked(notebook, tmp_path):
    notebook["STUDY"] = tmp_path
    players = [notebook["session"]("P1", "agent", half) for half in (0, 1)]
    assert [player.game.seed for player in players] == [271, 277]
    for player, adviser in zip(players, ("agent", "clone"), strict=True):
        click(player, "What would the agent do?")
        shown = re.sub(r"<[^>]*>", " ", player.hint.value)
        best = notebook["ADVISERS"][adviser].top_actions(player.game.turns, player.game.infos[-1]["legal_actions"], n=1)
        assert best[0]["action"] in shown and not re.search(r"\d", shown)
        best = BeliefPolicy()
        best.reset([0])
        while not player.game.over:
            player.step(best.act([player.game.turns[-1].text], [player.game.infos[-1]])[0])
    games = [lab.read_episodes(tmp_path / f"P1-{half}.jsonl") for half in (1, 2)]
    assert all(len(played) == 1 and played[0].info["hints"] == 1 and "adviser" not in str(played) for played in games)
