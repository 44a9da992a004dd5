"""Games that are saved as they finish: what the file holds, how a broken run goes on, and what is not taken for the same run."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmrl_lab as lab
from lmrl_lab.chat import SimulatorError, Usage
from lmrl_lab.episode import EpisodeFileError
from lmrl_lab.policies import RandomPolicy, ScriptedPolicy
from lmrl_lab.rollout import rollout
from lmrl_lab.simulators import ChatPolicy, ModelSimulator
from tests.chat_server import ChatServer

SEEDS, TASK = [5, 3, 8, 3, 1], "wordle"  # one game twice


class Idle(RandomPolicy):
    def act(self, observations, infos):
        raise AssertionError("a saved game is played again")


class Stopping(RandomPolicy):
    """Plays `acts` steps of its games and raises."""

    def __init__(self, acts, error):
        self.left, self.error = acts, error

    def act(self, observations, infos):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().act(observations, infos)


class Curious(ScriptedPolicy):
    """Asks four questions in an order of its own."""

    name = "curious"

    def choose(self, rng, memory, observation, info):
        return ("Is it alive?", "Is it big?", "Is it red?", "Can I eat it?")[rng.integers(4)]


class Talker:
    """A transport that answers by the length of what was said; it fails at the call number `fails`."""

    spec = "test:talker"

    def __init__(self, fails=None):
        self.fails, self.calls, self.usage = fails, [], Usage()

    def complete(self, conversations):
        self.calls.append(conversations)
        if len(self.calls) == self.fails:
            raise SimulatorError("test:talker: no answer within 1 s (tried 4 times)")
        return [("Yes.", "No.")[sum(len(turn["content"]) for turn in one) % 2] for one in conversations]


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def by_game(episodes):
    return sorted((episode.seed, episode.actions) for episode in episodes)


def test_each_game_is_in_the_file_when_it_is_over_and_is_not_played_again(tmp_path):
    path, told = tmp_path / "new" / "games.jsonl", []
    plain = rollout(RandomPolicy(), TASK, SEEDS)
    assert rollout(RandomPolicy(), TASK, SEEDS, save_to=path, batch=2) == plain
    assert by_game(lab.read_episodes(path, TASK)) == by_game(plain)
    before = path.read_bytes()
    assert rollout(Idle(), TASK, SEEDS, save_to=path, progress=told.append) == plain and not told
    assert rollout(RandomPolicy(), TASK, [9, *SEEDS], save_to=path, progress=told.append)[1:] == plain and told == [6]
    assert path.read_bytes().startswith(before) and len(lines(path)) == 6


@pytest.mark.parametrize("acts", [0, 4, 6, 11, 12, 17])
@pytest.mark.parametrize("error", [SimulatorError("the model is gone (tried once)"), KeyboardInterrupt(), ZeroDivisionError()])
def test_what_was_finished_is_kept_whatever_ends_the_run(tmp_path, acts, error):
    """Wordle: a random player needs all six tries, so games end after 6, 12 and 18 calls, two, two and one."""
    path = tmp_path / "games.jsonl"
    whole = rollout(RandomPolicy(), TASK, SEEDS)
    assert {len(game.actions) for game in whole} == {6}
    with pytest.raises(type(error)) as caught:
        rollout(Stopping(acts, error), TASK, SEEDS, save_to=path, batch=2)
    kept = 2 * (acts // 6)
    assert len(lines(path)) == kept
    if isinstance(error, SimulatorError):
        assert str(caught.value).startswith("the model is gone (tried once); ")
        assert f"{kept} of 5 games are finished and kept in {path}; the same call goes on" in str(caught.value)
    assert rollout(RandomPolicy(), TASK, SEEDS, save_to=path) == whole and len(lines(path)) == 5


def test_without_a_file_the_error_says_how_to_keep_games():
    with pytest.raises(SimulatorError, match="gone; no game is kept in a file, as save_to=FILE would do .2 are finished."):
        rollout(Stopping(9, SimulatorError("gone")), TASK, SEEDS, batch=2)


def test_the_error_holds_the_finished_games(tmp_path):
    whole = rollout(RandomPolicy(), TASK, SEEDS)
    for acts, kept in (3, 0), (9, 2), (13, 4):
        for file in (None, tmp_path / f"{acts}.jsonl"):
            with pytest.raises(SimulatorError) as caught:
                rollout(Stopping(acts, SimulatorError("gone")), TASK, SEEDS, batch=2, save_to=file)
            assert caught.value.episodes == whole[:kept]


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1))
def test_a_file_cut_anywhere_is_gone_on_with_and_a_half_line_is_never_taken_for_whole(share):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "games.jsonl"
        whole = rollout(RandomPolicy(), TASK, SEEDS, save_to=path)
        data = path.read_bytes()
        left = data[:round(share * len(data))]
        path.write_bytes(left)
        assert rollout(RandomPolicy(), TASK, SEEDS, save_to=path) == whole
        good = left[:left.rfind(b"\n") + 1]
        assert path.read_bytes().startswith(good) and by_game(lab.read_episodes(path)) == by_game(whole)


@pytest.mark.parametrize("text", ['{"name": "mine"}', "my notes", '[{"task": "wordle"}]'])
def test_a_file_that_is_not_of_episodes_is_left_alone(tmp_path, text):
    for path in (tmp_path / "cut.jsonl", tmp_path / "whole.jsonl"):
        path.write_text(text + "\n" * path.match("whole*"))
        with pytest.raises(EpisodeFileError):
            rollout(Idle(), TASK, SEEDS, save_to=path)
        assert path.read_text().strip() == text


def test_dropping_a_half_line_is_said(tmp_path, capsys):
    path = tmp_path / "games.jsonl"
    rollout(RandomPolicy(), TASK, SEEDS, save_to=path)
    rollout(RandomPolicy(), TASK, SEEDS, save_to=path)
    assert capsys.readouterr().err == ""
    path.write_bytes(path.read_bytes()[:-2])
    rollout(RandomPolicy(), TASK, SEEDS, save_to=path)
    assert capsys.readouterr().err == f"{path}: the last line was cut, so its game is played again\n"


def test_a_whole_line_without_its_newline_is_a_game(tmp_path, capsys):
    path = tmp_path / "games.jsonl"
    whole = rollout(RandomPolicy(), TASK, SEEDS, save_to=path)
    before = path.read_bytes()
    path.write_bytes(before[:-1])
    assert rollout(Idle(), TASK, SEEDS, save_to=path) == whole
    assert path.read_bytes() == before and capsys.readouterr().err == ""


@pytest.mark.parametrize("change, said", [
    ({"task": "maze-fo"}, "an episode of 'wordle', not of 'maze-fo'"),
    ({"policy": Curious()}, "a game of 'random'"),
    ({"seeds": [1, 2]}, "seed 5"),
    ({"seeds": [5, 3, 8, 1]}, "seed 3"),  # saved twice, asked for once
    ({"options": [{"word": "about"}] * 5}, "options None"),
    ({"vocabulary": 60}, "keywords None"),
])
def test_the_file_of_another_run_is_an_error_and_stays_as_it_is(tmp_path, change, said):
    path = tmp_path / "games.jsonl"
    rollout(RandomPolicy(), TASK, SEEDS, save_to=path)
    data = path.read_bytes()
    for before in (data, data[:-1], data[:-20]):  # whole, without its newline, and with half a line
        path.write_bytes(before)
        with pytest.raises(EpisodeFileError) as caught:
            rollout(**{"policy": Idle(), "task": TASK, "seeds": SEEDS, "save_to": path, **change})
        assert said in str(caught.value) and str(path) in str(caught.value) and path.read_bytes() == before


def test_options_and_keywords_are_known_again(tmp_path):
    path = tmp_path / "games.jsonl"
    given = dict(task="maze-fo", seeds=[1, 2], options=[{"start": (3, 3)}, None], save_to=path, layout="umaze")
    played = rollout(RandomPolicy(), **given)
    assert rollout(Idle(), **given) == played and played[0].info["keywords"] == {"layout": "umaze"}


def test_another_player_of_the_same_name_is_another_player(tmp_path):
    path, prompts = tmp_path / "games.jsonl", tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "player_wordle.txt").write_text("Play.")
    models = [Talker(), Talker(), Talker()]
    models[2].settings = {"temperature": 1.0}
    given = dict(task=TASK, seeds=[1, 2], save_to=path)
    games = rollout(ChatPolicy(models[0], TASK), **given)
    before = path.read_bytes()
    for other in (ChatPolicy(models[1], TASK, prompts_dir=prompts), ChatPolicy(models[2], TASK)):
        with pytest.raises(EpisodeFileError, match="line 1: a game of 'test:talker' .*rules"):
            rollout(other, **given)
    assert path.read_bytes() == before and not models[1].calls + models[2].calls
    assert rollout(ChatPolicy(models[1], TASK), **given) == games and not models[1].calls
    assert "player" not in rollout(ChatPolicy(Talker(), TASK), TASK, [1])[0].info


def test_an_agent_with_other_weights_or_decoding_is_another_player(tmp_path):
    one, two = (lab.train("bc", "maze-fo", lab.generate("maze-fo", 5), seed=seed, steps=1) for seed in (0, 1))
    given = dict(task="maze-fo", seeds=[1, 2], save_to=tmp_path / "games.jsonl")
    games = rollout(one, **given)
    for other in (two, one.with_decoding(temperature=0.5)):
        with pytest.raises(EpisodeFileError, match="a game of"):
            rollout(other, **given)
    assert rollout(one.with_decoding(), **given) == games and games[0].info["player"]["weights"] == one.fingerprint()


def test_the_file_says_where_the_partner_is_and_a_new_address_is_another_partner(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    given = dict(task="twenty-questions", seeds=[1], save_to=tmp_path / "games.jsonl", simulator="chat:m")
    with ChatServer("No.") as first, ChatServer("Yes.") as second:
        monkeypatch.setenv("OPENAI_BASE_URL", first.url)
        [game] = rollout(Curious(), **given)
        assert game.info["keywords"] == {"simulator": f"chat:m@{first.url}"} and set(game.observations[1:-1]) == {"No.\n"}
        assert rollout(Curious(), **given) == [game]
        monkeypatch.setenv("OPENAI_BASE_URL", second.url)
        with pytest.raises(EpisodeFileError, match="keywords"):
            rollout(Curious(), **given)
        [game] = rollout(Curious(), **given | {"save_to": None})
        assert game.info["keywords"] == {"simulator": f"chat:m@{second.url}"} and set(game.observations[1:-1]) == {"Yes.\n"}
    assert rollout(Curious(), "twenty-questions", [1], simulator="scripted")[0].info["keywords"] == {"simulator": "scripted"}


def test_only_plain_files_can_grow(tmp_path):
    for name in ("games.jsonl.gz", "games.csv"):
        with pytest.raises(ValueError, match="plain .jsonl"):
            rollout(Idle(), TASK, SEEDS, save_to=tmp_path / name)


# ---------------------------------------------------------------------------------------------- models as partners

GUESSING = "twenty-questions"


def test_a_model_is_asked_once_a_step_for_all_games_and_says_the_same_as_alone():
    together, alone = Talker(), Talker()
    games = rollout(Curious(), GUESSING, range(6), simulator=ModelSimulator(together))
    apart = rollout(Curious(), GUESSING, range(6), batch=1, simulator=ModelSimulator(alone))
    assert games == apart and {len(game.actions) for game in games} == {20}
    assert len(together.calls) <= 20 < 60 < len(alone.calls)
    assert {observation for game in games for observation in game.observations[1:]} == {"Yes.\n", "No.\n"}
    assert all(game.info["keywords"] == {"simulator": "test:talker"} for game in games)


@pytest.mark.parametrize("fails", [1, 7, 20, 21, 35])
def test_a_run_that_a_model_broke_off_goes_on_to_the_same_games(tmp_path, fails):
    path = tmp_path / "games.jsonl"
    given = dict(task=GUESSING, seeds=range(6), batch=3)
    whole = rollout(Curious(), **given, simulator=ModelSimulator(Talker()))
    with pytest.raises(SimulatorError, match="tried 4 times.*of 6 games are finished") as caught:
        rollout(Curious(), **given, save_to=path, simulator=ModelSimulator(Talker(fails)))
    assert f"; {len(lines(path))} of 6 games" in str(caught.value)
    assert rollout(Curious(), **given, save_to=path, simulator=ModelSimulator(Talker())) == whole
    assert rollout(Idle(), **given | {"seeds": []}, save_to=tmp_path / "other.jsonl") == []
    with pytest.raises(EpisodeFileError, match="keywords"):
        rollout(Curious(), **given, save_to=path)  # the scripted partner is another one


def test_a_dealer_s_buyer_is_asked_ahead_too():
    model = Talker()
    rollout(lab.TASKS["car-dealer"].policies["random"](), "car-dealer", range(3), simulator=ModelSimulator(model))
    assert len(model.calls) <= 25 and len(model.calls[0]) == 3
