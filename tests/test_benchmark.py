"""The benchmark: cut, killed, shared out and gone on with, it is the benchmark of one run; what does not belong is refused."""

import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmrl_lab as lab
from lmrl_lab import benchmark as module
from lmrl_lab import benchmark_tables as tables
from lmrl_lab.__main__ import main
from lmrl_lab.benchmark import Benchmark, differences
from lmrl_lab.evaluation import interval_over_seeds
from lmrl_lab.tasks import car_dealer, maze
from tests.chat_server import Answer, ChatServer

SETTINGS = {"bc": {"steps": 20, "batch_size": 32}, "mc": {"steps": 4, "batch_size": 32, "checkpoint_every": 2}}
SET = [word for algorithm, own in SETTINGS.items() for name, value in own.items()
       for word in ("--set", f"{algorithm}.{name}={value}")]
GRID = ["benchmark", "--tasks", "maze-fo", "text-nav-fo", "--seeds", "0", "1", "--algorithms", "bc", "mc", "--episodes", "16",
        *SET]
TIMES = ["train_cpu_seconds", "eval_cpu_seconds", "wall_seconds", "cpu_seconds"]
# a process that is killed by the system when the clone is trained and the values are at their first checkpoint
KILLED = """
import os, signal, sys
from lmrl_lab import training
save = training.save_checkpoint
def save_and_die(folder, state):
    save(folder, state)
    if folder.name == "text-nav-fo-mc-1" and state["step"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
training.save_checkpoint = save_and_die
from lmrl_lab.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def tiny(folder, **changes):
    return Benchmark(**{"folder": folder, "tasks": ["maze-fo"], "algorithms": ["bc", "mc"], "seeds": [1], "episodes": 16,
                        "settings": SETTINGS, **changes})


def header(path):
    return [line for line in path.read_text().splitlines() if line.startswith("#")]


@pytest.fixture
def quick(monkeypatch):
    """As many cells as are asked for without training: `train` only says what it was asked."""
    asked = []

    def train(algorithm, task, episodes, **told):
        asked.append((algorithm, task, told["seed"]))
        raise (FloatingPointError if task == "maze-fo" else RuntimeError)("the gradient is nan")

    monkeypatch.setattr(module, "train", train)
    return asked


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    tiny(folder).run(tell=lambda line: None)
    return folder


@pytest.mark.slow
def test_two_shards_at_once_one_killed_and_run_again_give_the_table_of_one_run(tmp_path, capsys):
    both, alone = tmp_path / "both", tmp_path / "alone"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(*command):
        return subprocess.Popen([sys.executable, *command], env=environment, stdout=subprocess.PIPE, text=True)

    first = start("-m", "lmrl_lab", *GRID, "--out", both, "--shard", "1/2")
    killed = start("-c", KILLED, *GRID, "--out", both, "--shard", "2/2")
    assert killed.wait(300) == -signal.SIGKILL and first.wait(300) == 0
    assert json.loads((both / "cells" / "text-nav-fo-mc-1.json").read_text())["train"] is None
    assert (both / "runs" / "text-nav-fo-mc-1" / "checkpoint.pt").exists()
    kept = {path: path.stat().st_mtime_ns for path in both.glob("*/*-bc-*") if path.is_file()}
    again = start("-m", "lmrl_lab", *GRID, "--out", both, "--shard", "2/2")
    assert again.wait(300) == 0 and "text-nav-fo mc seed 1" in (out := again.stdout.read()) and "bc seed" not in out
    assert kept == {path: path.stat().st_mtime_ns for path in kept} and len(kept) == 4

    assert main([*GRID, "--out", str(alone)]) == 0
    for name, rows in (("benchmark.csv", 16), ("benchmark_table.csv", 8)):
        one, two = (pd.read_csv(folder / name, comment="#") for folder in (alone, both))
        assert len(one) == rows
        pd.testing.assert_frame_equal(one.drop(columns=TIMES, errors="ignore"), two.drop(columns=TIMES, errors="ignore"))
        assert header(alone / name) == header(both / name)
    made, versions, cells = header(alone / "benchmark.csv")
    assert "torch" in versions and "trl" in versions and cells == "# 8 cells; missing of this command's: none"
    command = shlex.split(made)[3:]
    capsys.readouterr()
    assert command[:3] == ["python", "-m", "lmrl_lab"] and main([*command[3:], "--out", str(both), "--list"]) == 0
    assert capsys.readouterr().out.count("done") == 8  # what the header says makes these cells


def test_what_a_cell_says_is_what_training_and_play_give(finished):
    rows = pd.read_csv(finished / "benchmark.csv", comment="#")
    assert rows[["algorithm", "temperature"]].values.tolist() == [["bc", 1], ["bc", 0], ["mc", 1], ["mc", 0]]
    data = lab.generate("maze-fo", seed=1)
    bc = lab.train("bc", "maze-fo", data, seed=1, **SETTINGS["bc"])
    mc = lab.train("mc", "maze-fo", data, seed=1, init=bc, **SETTINGS["mc"])
    for row in rows.itertuples():
        agent = {"bc": bc, "mc": mc}[row.algorithm]
        score = lab.evaluate(agent.with_decoding(temperature=row.temperature), "maze-fo", 16, seed=1)
        assert (row.mean_return, row.interval_low, row.interval_high, row.normalized, row.success_rate, row.invalid_rate,
                row.mean_length, row.episodes) == pytest.approx((
                    score.mean_return, *score.interval, score.normalized, score.success_rate, score.invalid_rate,
                    score.mean_length, score.episodes), rel=1e-5)
        assert row.tokens == pytest.approx(agent.history["tokens"].iloc[-1], rel=1e-5)
    bc_seconds, mc_seconds = rows.train_cpu_seconds[[0, 2]]
    assert 0 < bc_seconds < mc_seconds  # the clone's are in them


@pytest.mark.parametrize("start", ["bc", "filtered_bc"])
def test_all_that_start_from_a_clone_start_from_the_card_s_trained_once(tmp_path, monkeypatch, start):
    monkeypatch.setitem(maze.CARDS, "maze-fo", replace(lab.TASKS["maze-fo"], clone=start))
    own = {**SETTINGS, "ilql": {"steps": 1}, "filtered_bc": {"steps": 3}}
    benchmark = tiny(tmp_path / "made", algorithms=["mc", "ilql"], settings=own)
    assert benchmark.run(tell=lambda line: None) == []
    lab.train("mc", "maze-fo", seed=1, out=tmp_path / "train", steps=1, bc_steps=2)  # and so does `train` by itself
    assert (tmp_path / "train" / start / "history.csv").exists()
    tmp_path /= "made"
    clone = lab.load_agent(tmp_path / "runs" / f"maze-fo-{start}-1").fingerprint()
    assert {json.loads((tmp_path / "runs" / f"maze-fo-{name}-1" / "config.json").read_text())["init"]
            for name in ("mc", "ilql")} == {clone}
    table = pd.read_csv(tmp_path / "benchmark.csv", comment="#")
    assert set(table.algorithm) == {"mc", "ilql"} and set(table.start) == {start}  # the clone was not asked for
    record = benchmark.records()[("maze-fo", start, 1)]
    assert record["train"] and not record["plays"]


def test_a_run_stopped_while_it_plays_does_not_train_again(tmp_path, monkeypatch, capsys):
    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    arguments = ["benchmark", "--tasks", "maze-fo", "--algorithms", "bc", "--seeds", "0", "--episodes", "16",
                 "--set", "bc.steps=6", "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(module, "evaluate", stopped)
        assert main(arguments) == 130 and "the same command goes on" in capsys.readouterr().err
    assert main([*arguments, "--list"]) == 0 and capsys.readouterr().out == "trained  maze-fo bc seed 0\n"
    monkeypatch.setattr(module, "train", stopped)
    assert main(arguments) == 0 and main([*arguments, "--list"]) == 0
    assert capsys.readouterr().out.endswith("done     maze-fo bc seed 0\n")


def test_listing_runs_nothing(tmp_path, capsys):
    arguments = [*GRID, "--out", str(tmp_path / "none"), "--list"]
    assert main(arguments) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == 8 and listed[:2] == ["to do    maze-fo bc seed 0", "to do    maze-fo mc seed 0"]
    assert main([*arguments, "--shard", "2/2"]) == 0
    assert capsys.readouterr().out.splitlines() == [line for line in listed if line.endswith("1")]
    assert not (tmp_path / "none").exists()


@settings(deadline=None)
@given(st.lists(st.sampled_from(list(lab.TASKS)), min_size=1, unique=True), st.sets(st.integers(0, 9), min_size=1, max_size=4),
       st.integers(1, 7))
def test_shards_hold_every_cell_once_keep_a_clone_s_cells_together_and_are_even(tasks, seeds, n):
    benchmark = Benchmark("none", tasks, ["bc", "mc"], list(seeds))
    shards = [benchmark.cells((i, n)) for i in range(1, n + 1)]
    assert sorted(chain(*shards)) == sorted(benchmark.cells()) and len(set(chain(*shards))) == 2 * len(tasks) * len(seeds)
    units = [{(cell.task, cell.seed) for cell in shard} for shard in shards]
    assert sum(map(len, units)) == len(set().union(*units))
    assert max(map(len, units)) - min(map(len, units)) <= 1


@pytest.mark.parametrize("changes, said", [
    ({"settings": {**SETTINGS, "bc": {**SETTINGS["bc"], "steps": 7}}}, "settings.steps was 20, is 7"),
    ({"episodes": 17}, "episodes was 16, is 17"),
    ({"episodes": None}, "episodes was 16, is 800"),
    ({"tasks": ["text-nav-fo"], "settings": {}}, "settings.steps was 20, is 300"),  # it would stand in the same table
])
def test_a_cell_of_another_benchmark_is_refused_and_what_differs_is_said(finished, quick, changes, said):
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=r"maze-fo-bc-1.json belongs to another benchmark") as caught:
        tiny(finished, **changes).run()
    assert said in str(caught.value) and quick == []
    assert before == {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}


def test_a_cell_names_the_clone_it_starts_from(finished):
    cell = module.Cell("maze-fo", "mc", 0)
    found, now = (tiny("none", settings={"bc": {"steps": steps}}).configuration(cell) for steps in (6, 7))
    assert list(differences(found, now)) == ["clone.steps was 6, is 7"]


def test_a_chess_cell_says_who_plays_black(monkeypatch):
    """That depends on what is installed, and the scale of the table with it."""
    found = []
    for path in (None, "/there/stockfish"):
        monkeypatch.setattr("lmrl_lab.tasks.chess_engine.find_stockfish", lambda found=path: found)
        monkeypatch.setattr("shutil.which", lambda name, **rest: name)
        found.append(tiny("none", tasks=["chess"], settings={}).configuration(module.Cell("chess", "bc", 0)))
    assert list(differences(*found)) == ["opponent was built-in, depth 1, is stockfish, 10 nodes a move"]
    assert "opponent" not in tiny("none").configuration(module.Cell("maze-fo", "bc", 0))


@pytest.mark.parametrize("name, value, said", [
    ("code", "0" * 12, "code was"), ("threads", 99, "threads was"), ("machine", "abacus", "machine was"),
    ("versions", {"torch": "0.1"}, "versions.torch was"),
])
def test_a_cell_of_another_version_code_or_machine_is_refused(finished, monkeypatch, name, value, said):
    real = module.circumstances()
    monkeypatch.setattr(module, "circumstances", lambda: {**real, name: value if name != "versions" else {**real[name], **value}})
    with pytest.raises(ValueError, match=said):
        tiny(finished).run()


def test_the_code_that_counts_is_what_trains_plays_and_scores(tmp_path, monkeypatch):
    package = tmp_path / "lmrl_lab"
    for name in ("agent.py", "plots.py", "benchmark_tables.py", "algorithms/bc.py", "tasks/maze.py", "tasks/assets/a.csv",
                 "prompts/p.txt"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("1")
    for name in ("benchmark", "files"):
        monkeypatch.setattr(f"lmrl_lab.{name}.__file__", str(package / f"{name}.py"))
    changed = {}
    for path in [path for path in package.rglob("*") if path.is_file()]:
        before = module.circumstances()["code"]
        path.write_text("2")
        changed[path.name] = module.circumstances()["code"] != before
    assert changed == {"agent.py": True, "bc.py": True, "maze.py": True, "a.csv": True, "p.txt": True, "plots.py": False,
                       "benchmark_tables.py": False}


def copied(finished, tmp_path):
    for path in finished.glob("cells/*.json"):
        (tmp_path / "cells").mkdir(exist_ok=True)
        (tmp_path / "cells" / path.name).write_bytes(path.read_bytes())
    return tmp_path / "cells"


@pytest.mark.parametrize("spoil", [lambda text: text[:len(text) // 2], lambda text: "", lambda text: "[]",
                                   lambda text: text.replace('"seed": 1', '"seed": 0')])
def test_a_half_file_or_a_renamed_one_is_not_taken_for_a_cell(finished, tmp_path, quick, spoil):
    cells = copied(finished, tmp_path)
    (cells / "maze-fo-mc-1.json").write_text(spoil((cells / "maze-fo-mc-1.json").read_text()))
    with pytest.raises(ValueError, match="maze-fo-mc-1.json is cut or damaged.*remove it and"):
        tiny(tmp_path).run()
    assert quick == [] and not (tmp_path / "benchmark.csv").exists()


def test_what_is_being_written_is_not_seen(finished, tmp_path, quick):
    cells = copied(finished, tmp_path)
    os.rename(cells / "maze-fo-mc-1.json", cells / ".maze-fo-mc-1.json.123.part")
    failed = tiny(tmp_path).run(tell=lambda line: None)
    assert len(failed) == 1 and set(pd.read_csv(tmp_path / "benchmark.csv", comment="#").algorithm) == {"bc"}


def test_a_run_folder_without_an_owner_is_left_alone(tmp_path, quick):
    (tmp_path / "runs" / "maze-fo-bc-1").mkdir(parents=True)
    with pytest.raises(ValueError, match="holds a run of which"):
        tiny(tmp_path).run()
    assert quick == []


def test_a_failing_cell_does_not_stop_the_others_and_is_said_at_the_end(finished, tmp_path, quick, capsys):
    copied(finished, tmp_path)
    code = main([*GRID, "--out", str(tmp_path)])
    out, err = capsys.readouterr()
    assert code == 1 and err.count("error:") == 6 and "text-nav-fo-bc-1 failed: the gradient is nan" in err
    assert len(pd.read_csv(tmp_path / "benchmark.csv", comment="#")) == 4
    missing = header(tmp_path / "benchmark.csv")[2]
    assert missing.startswith("# 2 cells") and "text-nav-fo-mc-0" in missing and "maze-fo-bc-1" not in missing
    assert "seeds" in out and "failed" in out


def test_the_last_shard_to_write_writes_what_another_one_finished_meanwhile(finished, tmp_path, monkeypatch):
    cells, write = copied(finished, tmp_path), tables.write
    late = (cells / "maze-fo-mc-1.json").read_text()
    (cells / "maze-fo-mc-1.json").unlink()

    def slow(*args):
        (cells / "maze-fo-mc-1.json").write_text(late)
        write(*args)

    monkeypatch.setattr(tables, "write", slow)
    tiny(tmp_path, algorithms=["bc"]).run()
    assert set(pd.read_csv(tmp_path / "benchmark.csv", comment="#").algorithm) == {"bc", "mc"}


@pytest.mark.parametrize("arguments, said", [
    (["--shard", "0/2"], "1/2"), (["--shard", "3/2"], "1/2"), (["--shard", "2"], "1/2"), (["--shard", "1/2/3"], "1/2"),
    (["--shard", "-1/2"], "1/2"), (["--shard=1/0"], "1/2"),
    (["--tasks", "mase-fo"], "did you mean 'maze-fo'"), (["--algorithms", "ilqll"], "did you mean 'ilql'"),
    (["--set", "ppo.bc_steps=3"], "its steps are bc.steps"),
    (["--set", "bc.stepz=3"], "did you mean 'steps'"), (["--set", "bcc.steps=3"], "did you mean 'bc'"),
    (["--set", "steps=3"], "ALGORITHM.NAME"), (["--set", "bc.steps=0"], "steps is a whole number"),
    (["--episodes", "0"], "episodes is a whole number"), (["--seeds", "-1"], "seed"),
    (["--algorithms", "few_shot"], "--few-shot chat:MODEL"), (["--examples", "2"], "--few-shot chat:MODEL"),
])
def test_mistakes_are_said_before_anything_is_trained(tmp_path, monkeypatch, capsys, quick, arguments, said):
    monkeypatch.chdir(tmp_path)
    if "--algorithms" not in arguments:
        arguments = [*arguments, "--algorithms", "bc"]
    if arguments[:1] == ["--shard"] and arguments[1].startswith("-"):
        arguments = [f"--shard={arguments[1]}", *arguments[2:]]
    assert main(["benchmark", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err and err.startswith("error:") and list(tmp_path.iterdir()) == [] and quick == []


def test_a_few_shot_player_keeps_its_games_and_goes_on(tmp_path, capsys):
    arguments = ["benchmark", "--tasks", "twenty-questions", "--algorithms", "few_shot", "--seeds", "0", "--episodes", "2",
                 "--examples", "1", "--out", str(tmp_path), "--few-shot"]
    with ChatServer("Is it a piano?") as server:
        spec = f"chat:m@{server.url}"
        assert main([*arguments, spec]) == 0
        asked = len(server.requests)
        best = max(lab.generate("twenty-questions", 500), key=lambda game: game.total_return)
        assert best.actions[0] in server.requests[0]["messages"][0]["content"]
        games = lab.read_episodes(tmp_path / "games" / "twenty-questions-few_shot-0.jsonl", "twenty-questions")
        rows = pd.read_csv(tmp_path / "benchmark.csv", comment="#")
        assert len(rows) == 1 and rows.temperature[0] == 0 and rows.mean_return[0] == np.mean([g.total_return for g in games])
        (tmp_path / "cells" / "twenty-questions-few_shot-0.json").unlink()  # as if it had been killed just before
        assert main([*arguments, spec]) == 0 and len(server.requests) == asked
        assert pd.read_csv(tmp_path / "benchmark_table.csv", comment="#").paper[0] == -13.0
    assert main([*arguments, "chat:other"]) == 2 and "model was" in capsys.readouterr().err
    with ChatServer(Answer({}, 400)) as server:
        assert main([*arguments[:-3], "--out", str(tmp_path / "b"), "--few-shot", f"chat:m@{server.url}"]) == 1
    assert "twenty-questions-few_shot-0 failed" in capsys.readouterr().err and not (tmp_path / "b" / "benchmark.csv").exists()


def record(seed, returns, task="maze-fo", algorithm="ppo", temperature=1.0, seconds=10.0):
    n = len(returns)
    play = {"temperature": temperature, "cpu_seconds": 2.0, "wall_seconds": 3.0, "returns": returns,
            "success": [1] + [0] * (n - 1), "invalid": [1] * n, "length": [4 * seed + 4] * n, "starts": None}
    return {"configuration": {"task": task, "algorithm": algorithm, "seed": seed}, "plays": [play],
            "train": {"cpu_seconds": seconds, "wall_seconds": 20.0, "tokens": 7.0}}


def test_pooled_numbers_by_hand():
    records = [record(1, [-100.0, -60.0], seconds=30.0), record(0, [-10.0, -20.0, -30.0, -40.0])]
    [row] = tables.pooled(records).to_dict("records")
    low, high = interval_over_seeds([[-10.0, -20.0, -30.0, -40.0], [-100.0, -60.0]])
    normalize = lab.TASKS["maze-fo"].references.normalize
    assert row == {
        "task": "maze-fo", "algorithm": "ppo", "start": None, "temperature": 1.0, "seeds": 2,
        "mean_return": pytest.approx((-25 - 80) / 2),
        "interval_low": low, "interval_high": high, "normalized": pytest.approx(normalize(-52.5)),
        "normalized_low": normalize(low), "normalized_high": normalize(high), "success_rate": pytest.approx((1 / 4 + 1 / 2) / 2),
        "invalid_rate": pytest.approx(6 / (4 * 4 + 2 * 8)), "cpu_seconds": pytest.approx((12 + 32) / 2), "seed_low": -80.0,
        "seed_high": -25.0, "outgrown": 0, "paper": -37.7}
    one, two = tables.by_seed(records).to_dict("records")
    assert (one["seed"], two["seed"]) == (0, 1) and one["mean_return"] == -25 and two["mean_length"] == 8
    assert one["train_cpu_seconds"] == 10 and one["eval_cpu_seconds"] == 2 and one["wall_seconds"] == 23 and one["tokens"] == 7
    records[0]["plays"][0]["outgrown"] = [1]  # a record made before games were counted has none: there it was an error
    assert tables.by_seed(records)["outgrown"].tolist() == [0, 1] and tables.pooled(records)["outgrown"].tolist() == [1]
    assert [tables.line(one).endswith("; 1 games longer than the agent can read") for one in records] == [True, False]


def test_games_that_outgrow_an_agent_are_played_and_counted(tmp_path, monkeypatch):
    monkeypatch.setitem(car_dealer.CARDS, "car-dealer", replace(lab.TASKS["car-dealer"], turn_tokens=8, data_size=20))
    own = {"bc": {"steps": 1}}
    assert Benchmark(tmp_path, ["car-dealer"], ["bc"], [1], 4, own).run(tell=lambda line: None) == []
    agent = lab.load_agent(tmp_path / "runs" / "car-dealer-bc-1")
    scores = [lab.evaluate(agent.with_decoding(temperature=t), "car-dealer", 4, seed=1) for t in (1.0, 0.0)]
    rows = pd.read_csv(tmp_path / "benchmark.csv", comment="#")
    assert rows["outgrown"].tolist() == [score.outgrown for score in scores] and scores[0].outgrown > 0
    assert rows["mean_return"].tolist() == pytest.approx([score.mean_return for score in scores])


def test_games_of_fixed_starts_are_drawn_within_their_starts():
    records = [record(seed, [0.0, 10.0] * 20) for seed in (0, 1)]
    for one in records:
        one["plays"][0]["starts"] = [0, 1] * 20
    for table in (tables.by_seed(records), tables.pooled(records)):
        assert set(table.interval_low) == set(table.interval_high) == {5}


def test_rows_stand_in_the_order_of_tasks_algorithms_and_sampled_before_greedy():
    rows = tables.pooled([record(0, [0.0], task, algorithm, temperature) for task in ("wordle", "maze-fo")
                          for algorithm in ("few_shot", "ppo", "bc") for temperature in (0.0, 1.0)])
    assert rows[["task", "algorithm", "temperature"]].values.tolist() == [
        [task, algorithm, temperature] for task in ("maze-fo", "wordle") for algorithm in ("bc", "ppo", "few_shot")
        for temperature in (1.0, 0.0)]


@pytest.mark.parametrize("task", list(lab.TASKS))
def test_the_names_of_the_paper_s_columns_are_those_on_the_cards(task):
    assert set(lab.TASKS[task].paper) <= set(tables.NAMES.values())


def test_the_default_is_all_tasks_all_algorithms_and_three_seeds(monkeypatch):
    assert Benchmark("none").command() == ["python", "-m", "lmrl_lab", "benchmark"]
    benchmark = Benchmark("none", seeds=[2, 1, 2])
    assert benchmark.tasks == list(lab.TASKS) and benchmark.seeds == [1, 2] and "few_shot" not in benchmark.algorithms
    assert {"bc", "filtered_bc", "mc", "ilql", "ppo"} <= set(benchmark.algorithms)
    assert Path(benchmark.folder) == Path("none")
