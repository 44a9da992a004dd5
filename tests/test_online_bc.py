"""Online filtered BC: what a round keeps and learns from, its history, interruptions; whom Ctrl-C tells."""

import math
import os
import signal
from types import SimpleNamespace

import pandas as pd
import pytest

import lmrl_lab as lab
from lmrl_lab.algorithms.online import collect, game_seeds
from lmrl_lab.algorithms.online_bc import OnlineFilteredBCConfig, _imitate, kept_games, summary
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.training import no_interrupt, stopped

SMALL = {"updates": 4, "episodes_per_update": 8, "checkpoint_every": 2}


@pytest.fixture(scope="module")
def cloned():
    return lab.train("bc", "maze-fo", seed=3, steps=60)


def game(earned, success):
    return Episode("maze-fo", [Turn("x\n", False), Turn("move up", True, earned)], True, False, 0, "p", {"success": success})


def test_a_round_keeps_its_successes_or_its_best_part_or_nothing():
    games = [game(-3, True), game(-1, False), game(-2, True)]
    assert kept_games(games, "success") == [games[0], games[2]] and kept_games(games, 1 / 3) == [games[1]]
    assert kept_games(games[1:2], "success") == []
    assert summary(games) == {"mean_return": -2.0, "success_rate": 2 / 3}


def test_the_history_says_what_was_played_and_what_was_kept(cloned):
    agent = lab.train("online_filtered_bc", "maze-fo", init=cloned, seed=5, **SMALL)
    first, row = collect(cloned, game_seeds(5, 1, 8)), agent.history.iloc[0]  # a round's games are the clone's own
    won = [episode for episode in first if episode.success]
    assert row["mean_return"] == pytest.approx(summary(first)["mean_return"]) and row["kept"] == len(won) / 8 > 0
    assert row["kept_return"] == pytest.approx(summary(won)["mean_return"]) and row["kept_return"] > row["mean_return"]
    assert agent.history["step"].tolist() == [1, 2, 3, 4] and agent.history["episodes"].tolist() == [8, 16, 24, 32]
    assert agent.history["tokens"].is_monotonic_increasing and agent.name == "online filtered BC"
    assert agent.fingerprint() != cloned.fingerprint() and agent.value_model is None
    again = lab.train("online_filtered_bc", "maze-fo", init=cloned, seed=5, **SMALL)
    assert agent.history.drop(columns="seconds").equals(again.history.drop(columns="seconds"))


def test_a_round_without_a_success_teaches_nothing(cloned):
    """From a clone that hardly ever arrives: no game kept, no step taken, and the run goes on."""
    lost = lab.train("bc", "maze-fo", [e for e in lab.generate("maze-fo", 60, seed=1) if not e.success], seed=1, steps=80)
    agent = lab.train("online_filtered_bc", "maze-fo", init=lost, seed=0, updates=1, episodes_per_update=2)
    row = agent.history.iloc[0]
    assert row["kept"] == 0 and math.isnan(row["loss"]) and math.isnan(row["kept_return"]) and row["tokens"] == 0
    assert agent.fingerprint() == lost.fingerprint()


def test_fewer_distinct_steps_than_processes_teach_nothing(cloned, monkeypatch):
    """A round of one whole-transcript game among two processes: nothing to share out, and the run goes on."""
    monkeypatch.setattr("lmrl_lab.algorithms.online_bc.processes", lambda: SimpleNamespace(num_processes=10**6))
    won, before = [game(-1, True)], cloned.fingerprint()
    assert _imitate(cloned.policy_model, won, cloned, OnlineFilteredBCConfig(), 1, 0) == {} and cloned.fingerprint() == before


def test_it_learns():
    """Successes are imitated: from three games in ten that arrive to nearly all."""
    init = lab.train("bc", "maze-fo", seed=100, steps=200)
    history = lab.train("online_filtered_bc", "maze-fo", init=init, seed=100, updates=12).history
    assert history["success_rate"].iloc[0] < 0.6 and history["success_rate"].iloc[-3:].mean() > 0.85


class Interrupt:
    def __init__(self, round_):
        self.round = round_

    def __call__(self, row, history):
        if row["step"] == self.round:
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_run_goes_on_to_the_same_history(cloned, tmp_path):
    whole = lab.train("online_filtered_bc", "maze-fo", init=cloned, out=tmp_path / "whole", **SMALL)
    with pytest.raises(KeyboardInterrupt, match="after round 3 of 4; go on with resume"):
        lab.train("online_filtered_bc", "maze-fo", init=cloned, out=tmp_path / "cut", callback=Interrupt(3), **SMALL)
    resumed = lab.train("online_filtered_bc", "maze-fo", init=cloned, out=tmp_path / "cut", resume=True, **SMALL)
    one, other = (pd.read_csv(tmp_path / name / "history.csv").drop(columns="seconds") for name in ("cut", "whole"))
    assert one.equals(other) and resumed.fingerprint() == whole.fingerprint()
    with pytest.raises(ValueError, match="another config"):
        lab.train("online_filtered_bc", "maze-fo", init=cloned, out=tmp_path / "cut", resume=True, **{**SMALL, "passes": 2})


def test_without_a_folder_an_interruption_says_that_nothing_is_kept(cloned):
    with pytest.raises(KeyboardInterrupt, match="after round 1 of 4; without a folder"):
        lab.train("online_filtered_bc", "maze-fo", init=cloned, callback=Interrupt(1), **SMALL)
    assert "checkpoint is in runs/x" in stopped("round", 1, 2, "runs/x")


def test_the_outer_of_two_handlers_is_told():
    """Cloning within a round must not take the round's Ctrl-C."""
    before = signal.getsignal(signal.SIGINT)
    with no_interrupt() as outer:
        with no_interrupt() as inner:
            os.kill(os.getpid(), signal.SIGINT)
            assert outer.is_set() and not inner.is_set()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)  # a second one breaks at once
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("wrong", [{"passes": 0}, {"keep": 1.5}, {"batch_size": 0}, {"updates": 1.5}])
def test_settings_that_make_no_sense(cloned, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        lab.train("online_filtered_bc", "maze-fo", init=cloned, **{"updates": 1, "episodes_per_update": 2, **wrong})
    assert OnlineFilteredBCConfig(updates=2.0).updates == 2


def test_behaviour_data_is_made_only_where_it_is_read(cloned, monkeypatch):
    """A whole data set of Wordle or chess takes minutes, and who learns by playing does not look at it."""
    import lmrl_lab.algorithms as algorithms
    made = []
    monkeypatch.setattr(algorithms, "generate", lambda task, *_, **__: made.append(task) or lab.generate(task, 20, seed=1))
    lab.train("online_filtered_bc", "maze-fo", init=cloned, updates=1, episodes_per_update=2)
    assert made == []
    lab.train("ppo", "maze-fo", init=cloned, updates=1, episodes_per_update=4, bc_coef=1.0)
    assert made == ["maze-fo"]  # the BC loss reads it
    lab.train("mc", "maze-fo", init=cloned, steps=1)
    lab.train("online_filtered_bc", "maze-fo", updates=1, episodes_per_update=2, bc_steps=2)  # and so does the clone before
    assert made == ["maze-fo"] * 3
