"""What long experiments stand on: cells that are kept, methods that start from one another."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

import lmrl_lab as lab
from lmrl_lab import results
from lmrl_lab.algorithms import configured
from lmrl_lab.results import chess as chess_results
from lmrl_lab.results import dialogue as dialogue_results
from lmrl_lab.results import once, trained
from lmrl_lab.results import online as online_results
from lmrl_lab.results import wordle as wordle_results


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LMRL_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "results"


def test_a_cell_is_computed_once_as_long_as_its_code_is_the_same(own_cache, tmp_path):
    asked, module = [], SimpleNamespace(__file__=str(tmp_path / "code.py"))
    (tmp_path / "code.py").write_text("first")

    def cell():
        asked.append(1)
        return [{"n": len(asked), "x": 0.5}]

    assert once("a", cell, module) == once("a", cell, module) == [{"n": 1, "x": 0.5}]
    assert once("b", cell, module) == [{"n": 2, "x": 0.5}]
    (tmp_path / "code.py").write_text("second")
    assert once("a", cell, module) == [{"n": 3, "x": 0.5}]
    assert all(json.loads(path.read_text()) for path in own_cache.iterdir()) and len(list(own_cache.iterdir())) == 3


def test_a_cell_that_fails_is_not_kept(own_cache):
    def fails():
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        once("a", fails)
    assert not own_cache.exists() or not list(own_cache.iterdir())
    assert once("a", lambda: [{"x": 1}]) == [{"x": 1}]


def test_a_method_starts_from_the_agent_it_names_and_both_are_trained_once():
    data, asked, agents = lab.generate("maze-fo", 30, seed=3), [], {}
    short = {"steps": 3, "batch_size": 8}
    methods = {"bc": ("bc", short, None), "mc": ("mc", short, "bc"), "ilql": ("ilql", short, "bc")}

    def episodes():
        asked.append(1)
        return data

    mc, ilql = (trained(name, methods, "maze-fo", episodes, 0, agents) for name in ("mc", "ilql"))
    assert list(agents) == ["bc", "mc", "ilql"] and len(asked) == 3
    assert mc.policy_model is ilql.policy_model is agents["bc"].policy_model
    assert agents["bc"].spent < mc.spent and trained("mc", methods, "maze-fo", episodes, 0, agents) is mc and len(asked) == 3


def test_methods_name_settings_and_starts_that_exist():
    for methods in (chess_results.METHODS, wordle_results.METHODS):
        for name, (algorithm, settings, start) in methods.items():
            assert (start in methods and start != name) == (algorithm in lab.algorithms.FROM_CLONE) and isinstance(settings, dict)


def test_a_result_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ValueError, match="no result 'maze_cb.csv'.*maze_bc.csv.*make results"):
        results.table("maze_cb")


def test_first_texts_are_sorted_into_shares():
    with_few = lab.train("bc", "chess-endgames", lab.generate("chess-endgames", 20, seed=3, cache=False), steps=2, batch_size=8)
    found = chess_results.said_first(with_few)
    kinds = {name: share for name, share in found.items() if name != "illegal"}
    assert sum(kinds.values()) == pytest.approx(found["illegal"]) and 0.5 < found["illegal"] <= 1


def test_tenths_and_falls_by_hand():
    returns = pd.Series([-80.0, -40, -8, -7, -30, -7, -9, -11, -7, -6] * 2)  # a tenth: two rounds
    assert online_results.tenths(returns) == {"best_tenth": -6.5, "last_tenth": -6.5}
    assert online_results.tenths(returns[:4]) == {"best_tenth": -7.0, "last_tenth": -7.0}
    # from the third round on: -30 and -11, then -80, -40, -30 and -11
    assert online_results.falls(returns) == {"reached": 3, "falls": 6, "worst": -80.0}
    never = online_results.falls(pd.Series([-80.0, -40.0]))
    assert all(value != value for value in never.values())


def test_the_online_tables_have_a_row_a_run_and_a_row_a_round(own_cache, monkeypatch):
    monkeypatch.setattr(online_results, "UPDATES", {"maze-fo": 1})
    monkeypatch.setattr(online_results, "ALGORITHMS", ("ppo", "online_filtered_bc"))
    monkeypatch.setattr(online_results, "LONGER", 2)
    monkeypatch.setattr(online_results, "evaluate", lambda agent, task, seed: lab.evaluate(agent, task, 4, seed))
    tables = online_results.maze_online([0])
    runs, curves = tables["maze_online_runs"], tables["maze_online"]
    assert runs["updates"].tolist() == [1, 2, 1, 2] and runs["algorithm"].tolist() == ["ppo"] * 2 + ["online_filtered_bc"] * 2
    assert curves["step"].tolist() == [1, 1] and curves["episodes"].tolist() == [64, 64]
    assert runs["last_tenth"].tolist()[0] == curves["mean_return"].tolist()[0]


def test_what_is_changed_in_ppo_is_changed_and_nothing_else(own_cache, monkeypatch):
    asked = []

    def history(algorithm, task, episodes, seed, init=None, **settings):
        asked.append((algorithm, task, seed, init and init.name, settings))
        curve = pd.DataFrame({"mean_return": [-80.0, -7.0, -9.0, -30.0], "grad_norm": [3.0, 2.0, 1.0, 1.0], "entropy": 1.0,
                              "kl": 0.5, "approx_kl": 0.25})
        return SimpleNamespace(name=algorithm, history=curve)

    monkeypatch.setattr("lmrl_lab.algorithms.train", history)
    rows = online_results.ppo_scale([3])["ppo_scale"]
    assert rows["setting"].tolist() == list(online_results.SCALES) and set(rows["seed"]) == {3}
    told = dict(best_tenth=-7, last_tenth=-30, reached=2, falls=1, worst=-30, grad_norm=3)
    assert all(row.items() >= told.items() for row in rows.to_dict("records"))
    assert asked[0] == ("bc", "maze-fo", 3, None, {})
    assert asked[1:] == [("ppo", "maze-fo", 3, "bc", {"updates": 60, **own}) for own in online_results.SCALES.values()]
    asked.clear()
    cures = online_results.ppo_stability([3])["ppo_stability"]
    assert cures["cure"].tolist() == list(online_results.CURES) and set(cures["largest_step"]) == {0.25}
    assert asked[1][-1] == {"updates": 60, "learning_rate": 3e-3, "whiten_floor": 0.0}
    assert asked[2][-1] == {"updates": 60, "learning_rate": 1e-3, "whiten_floor": 0.0}
    assert all(configured("ppo", "maze-fo", own) for *_, own in asked[1:])


def test_what_ppo_says_in_chess_is_counted_in_its_own_games():
    assert all(configured("ppo", "chess", own) for own in chess_results.PPO.values())
    [row] = chess_results.ppo_rounds("card", 1, rounds=1)
    fines, spent = row["illegal"] * row["texts"], -16 * row["mean_return"]  # an illegal text costs 1, and so does a lost game
    assert fines == pytest.approx(round(fines)) and fines <= spent + 1e-6 and spent <= fines + 16 + 1e-6
    assert row["text_tokens"] * row["texts"] == pytest.approx(row["tokens"]) and 1 < row["text_tokens"] < 64


def test_how_far_from_a_sale_values_tell_it_is_counted_back_from_the_end(monkeypatch):
    """A game of 25 tokens, one of 2: Q is right at the last token, upside down at the three before, of the right kind before."""
    earned = [8.0, 2.0, 5.0, 5.0]
    games = [pd.DataFrame({"episode": n, "return_to_go": value, "q": [value] * 21 + [-value] * 3 + [value]})
             for n, value in enumerate(earned)]
    games.append(pd.DataFrame({"episode": 4, "return_to_go": 3.0, "q": [-3.0, 3.0]}))
    monkeypatch.setattr(dialogue_results, "generate", lambda *_, **__: [])
    monkeypatch.setattr(dialogue_results, "trained", lambda *_: None)
    monkeypatch.setattr(dialogue_results, "calibration", lambda agent, episodes: pd.concat(games, ignore_index=True))
    rows = pd.DataFrame(dialogue_results._tokens(7)).query("method == 'MC on filtered BC'").set_index("left")
    assert rows["tokens"].to_dict() == {"1": 5, "2-4": 13, "5-10": 24, "11-20": 40, "21 or more": 20}
    assert rows["correlation"].round(6).to_dict() == {"1": 1.0, "2-4": -1.0, "5-10": 1.0, "11-20": 1.0, "21 or more": 1.0}
    assert rows.loc["1", "spread"] == pytest.approx(pd.Series([*earned, 3.0]).std())
