"""The command line, verb by verb, and what it says when something is wrong."""

import json

import pytest

import lmrl_lab as lab
from lmrl_lab.__main__ import main
from tests.chat_server import ChatServer, free_port


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_generate_train_evaluate_load(tmp_path, capsys):
    data, folder = tmp_path / "d.jsonl.gz", tmp_path / "run"
    assert run(capsys, "generate", "maze-fo", "--size", 30, "--seed", 2, "--out", data)[0] == 0
    assert lab.read_episodes(data, "maze-fo") == lab.generate("maze-fo", 30, seed=2)
    code, out, _ = run(capsys, "train", "bc", "maze-fo", "--data", data, "--set", "steps=12", "--out", folder)
    assert code == 0 and "step     12" in out
    config = json.loads((folder / "config.json").read_text())
    assert config["algorithm"] == "bc" and config["config"]["steps"] == 12
    code, out, _ = run(capsys, "evaluate", folder, "--episodes", 25, "--temperature", 0, "--save-episodes", tmp_path / "e.jsonl")
    agent = lab.load_agent(folder).with_decoding(temperature=0.0)
    assert code == 0 and str(lab.evaluate(agent, "maze-fo", episodes=25)) in out
    assert json.loads((folder / "score.json").read_text())["episodes"] == 25
    assert len(lab.read_episodes(tmp_path / "e.jsonl", "maze-fo")) == 25


def test_ilql_from_the_shell_with_and_without_a_clone_to_start_from(tmp_path, capsys):
    data = tmp_path / "d.jsonl.gz"
    run(capsys, "generate", "maze-fo", "--size", 30, "--seed", 2, "--out", data)
    few = ["--data", data, "--seed", 1, "--set", "steps=4"]
    assert run(capsys, "train", "bc", "maze-fo", *few, "--out", tmp_path / "bc")[0] == 0
    code, out, err = run(capsys, "train", "ilql", "maze-fo", *few, "--init", tmp_path / "bc", "--out", tmp_path / "a")
    assert code == 0 and not err
    assert run(capsys, "train", "ilql", "maze-fo", *few, "--set", "bc_steps=4", "--out", tmp_path / "b")[0] == 0
    one, two = (lab.load_agent(tmp_path / name) for name in "ab")
    assert one.fingerprint() == two.fingerprint() and (tmp_path / "b" / "bc" / "history.csv").exists()
    alone = [run(capsys, "evaluate", tmp_path / name, "--episodes", 25, "--beta", 0)[1] for name in ("a", "bc")]
    assert alone[0].split("return")[1] == alone[1].split("return")[1]  # without its values ILQL is the clone
    assert run(capsys, "evaluate", tmp_path / "bc", "--beta", 2)[0] == 2


def test_a_scripted_policy_by_name(capsys):
    code, out, _ = run(capsys, "evaluate", "best", "maze-po", "--episodes", 25)
    assert code == 0 and "return -7.24" in out


@pytest.mark.parametrize("arguments, said", [
    (["generate", "mase-fo", "--out", "x.jsonl"], "did you mean 'maze-fo'"),
    (["generate", "maze-fo", "--out", "x.csv"], ".jsonl"),
    (["train", "bcc", "maze-fo", "--out", "run"], "did you mean 'bc'"),
    (["train", "bc", "maze-fo", "--set", "stepz=3", "--out", "run"], "did you mean 'steps'"),
    (["train", "bc", "maze-fo", "--data", "none.jsonl", "--out", "run"], "none.jsonl"),
    (["evaluate", "bets", "maze-fo"], "did you mean 'best'"),
    (["evaluate", "runs/none"], "no folder"),
    (["evaluate", "chat:m@http://127.0.0.1:9/v1"], "name the task too"),
    (["evaluate", "best", "maze-fo", "--examples", "2"], "language models"),
    (["evaluate", "best", "maze-fo", "--resume"], "--save-episodes FILE.jsonl"),
    (["evaluate", "best", "maze-fo", "--save-episodes", "e.jsonl.gz", "--resume"], "--save-episodes FILE.jsonl"),
    (["evaluate", "chat:m@http://127.0.0.1:9/v1", "maze-fo", "--save-episodes", "e.jsonl.gz"], "plain .jsonl"),
    (["evaluate", "best", "guess-my-city", "--simulator", "transformers:none", "--save-episodes", "e.jsonl.gz"], "plain .jsonl"),
    (["evaluate", "best", "maze-fo", "--simulator", "chat:m"], "keyword of maze-fo"),
    (["evaluate", "best", "guess-my-city", "--simulator", "oracle"], "scripted"),
    (["evaluate", "chat:m@http://127.0.0.1:9/v1", "maze-fo", "--beta", "1"], "--beta"),
])
def test_mistakes_are_said_in_a_line_and_nothing_is_written(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *arguments)
    assert code == 2 and said in err and err.startswith("error:") and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_saved_games_are_not_played_again(tmp_path, capsys):
    file, best = tmp_path / "e.jsonl", ["evaluate", "best", "twenty-questions", "--save-episodes"]
    assert run(capsys, *best, file, "--episodes", 4)[0] == 0
    begun = file.read_text()
    assert run(capsys, *best, file, "--episodes", 6)[0] == 2 and file.read_text() == begun  # without --resume
    code, out, _ = run(capsys, *best, file, "--episodes", 6, "--resume")
    assert code == 0 and str(lab.evaluate("best", "twenty-questions", episodes=6)) in out
    assert file.read_text().startswith(begun) and len(lab.read_episodes(file, "twenty-questions")) == 6


def test_language_models_play_and_answer(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ChatServer("Is it a piano?") as server:
        code, out, _ = run(capsys, "evaluate", f"chat:m@{server.url}", "twenty-questions", "--episodes", 2, "--examples", 1,
                           "--temperature", 0.5, "--save-episodes", tmp_path / "e.jsonl")
        shown = server.requests[0]
    games = lab.read_episodes(tmp_path / "e.jsonl", "twenty-questions")
    assert code == 0 and {action for game in games for action in game.actions} == {"Is it a piano?"}
    best = max(lab.generate("twenty-questions", 500), key=lambda game: game.total_return)
    assert best.actions[0] in shown["messages"][0]["content"] and shown["temperature"] == 0.5
    with ChatServer("No, sorry.") as server:
        code, out, _ = run(capsys, "evaluate", "best", "twenty-questions", "--episodes", 2, "--simulator", f"chat:m@{server.url}",
                           "--save-episodes", tmp_path / "f.jsonl")
    assert code == 0 and server.requests
    for game in lab.read_episodes(tmp_path / "f.jsonl", "twenty-questions"):
        assert game.info["keywords"] == {"simulator": f"chat:m@{server.url}"} and set(game.observations[1:-1]) == {"No.\n"}
        assert "language model" in lab.data.replay_problem(game)  # and nobody is asked


def test_a_model_that_fails_is_said_in_a_line(capsys):
    code, _, err = run(capsys, "evaluate", f"chat:m@http://127.0.0.1:{free_port()}/v1", "maze-fo", "--episodes", 1)
    assert code == 2 and err.startswith("error:") and "Traceback" not in err and "no game is kept" in err


def test_an_interruption_says_where_the_finished_games_are(tmp_path, capsys, monkeypatch):
    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("lmrl_lab.rollout._play", stopped)
    file = tmp_path / "e.jsonl"
    assert run(capsys, "evaluate", "best", "maze-fo")[::2] == (
        130, "stopped: no game is kept; --save-episodes FILE.jsonl keeps those that are finished\n")
    code, _, err = run(capsys, "evaluate", "best", "maze-fo", "--save-episodes", file)
    assert code == 130 and f"kept in {file}; the same with --resume" in err


def test_existing_files_are_not_overwritten(tmp_path, capsys):
    (tmp_path / "d.jsonl").write_text("mine")
    assert run(capsys, "generate", "maze-fo", "--size", 2, "--out", tmp_path / "d.jsonl")[0] == 2
    assert (tmp_path / "d.jsonl").read_text() == "mine"


def test_a_setting_without_a_value_is_explained(capsys):
    with pytest.raises(SystemExit):
        main(["train", "bc", "maze-fo", "--set", "steps", "--out", "x"])
    assert "NAME=VALUE" in capsys.readouterr().err


def test_doctor_says_ready_and_shows_versions(capsys):
    code, out, _ = run(capsys, "doctor")
    assert code == 0 and out.startswith("✓ LMRL Lab is ready") and "torch" in out and "memory" in out


def test_doctor_names_what_is_old_or_missing(monkeypatch, capsys):
    from lmrl_lab import checkup
    monkeypatch.setattr(checkup, "NEEDED", {"torch": "99.0", "no-such-package": "1.0"})
    checkup.doctor()
    out = capsys.readouterr().out
    assert "older than 99.0" in out and "no-such-package is missing" in out and "ready" not in out
    assert checkup._key("2.13.0+cpu") > checkup._key("2.11") and checkup._key("5.15.0") == (5, 15, 0)
