"""The leaderboard takes every game that was played and no game that was not; a bad hand-in is a line, never a crash."""

import copy
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lmrl_lab as lab
from lmrl_lab import scoreboard
from lmrl_lab.__main__ import main
from lmrl_lab.data import replay_problem
from lmrl_lab.episode import Turn, append_episode, write_episodes
from lmrl_lab.evaluation import interval_over_seeds
from lmrl_lab.files import folder_hashes
from lmrl_lab.results import FOLDER as RESULTS
from lmrl_lab.scoreboard import leaderboard
from lmrl_lab.widgets.game import Game

TASKS = list(lab.TASKS)
KEYWORDS = {"chess": {"opponent": "built-in"}}
FORGED = 24  # of each task
KINDS = ("random", "behaviour", "best", "human-like")


class HumanLike:
    """The behaviour policy of another seed, which mistypes one move in seven."""

    def __init__(self, task):
        self.policy, self.rng = lab.TASKS[task].policies["behaviour"](), np.random.default_rng(0)

    def reset(self, seeds):
        self.policy.reset([seed + 1_000 for seed in seeds])

    def act(self, observations, infos):
        said = self.policy.act(observations, infos)
        return ["qwxyz"] if self.rng.random() < 1 / 7 else said


def play_by_hand(task, policy, seed):
    """A policy's game, made at the widget's own Game: what `play(save_to=)` writes."""
    game = Game(task, seed=seed, **KEYWORDS.get(task, {}))
    policy.reset([seed])
    text, info = game.turns[-1].text, game.infos[-1]
    while not game.over:
        action = policy.act([text], [info])[0]
        text, _, _, _, info = game.step(action)
        info = {**info, "played": action}
    return game.episodes[0]


@pytest.fixture(scope="module")
def real():
    """task -> kind of player -> its games."""
    made = {}
    for task in TASKS:
        policies = {kind: HumanLike(task) if kind == "human-like" else lab.TASKS[task].policies[kind]() for kind in KINDS}
        number = 2 if task == "chess" else 4
        made[task] = {kind: [play_by_hand(task, policy, seed) for seed in range(50, 50 + number)]
                      for kind, policy in policies.items()}
    return made


def hand_in(folder, student, episodes, name="games.jsonl"):
    return write_episodes(folder / student / name, episodes)


def board_of(folder, task, **arguments):
    return leaderboard(folder, task, policies=(), **KEYWORDS.get(task, {}), **arguments)


# ---------------------------------------------------------------------------------------------- real games

@pytest.mark.parametrize("task", TASKS)
def test_every_game_that_was_played_is_taken(task, real, tmp_path):
    for kind, games in real[task].items():
        hand_in(tmp_path, kind, games)
    board = board_of(tmp_path, task)
    assert board.refused == []
    assert board.kinds == ["person"] * 4 + ["all people"]
    for found in board.scores[:4]:
        played = real[task][found.policy]
        assert found.episodes == len(played)
        assert found.mean_return == pytest.approx(np.mean([episode.total_return for episode in played]))
    doubted = {kind for kind in KINDS for doubt in board.doubts if f" of {kind} are" in doubt}
    assert "human-like" not in doubted  # it draws from another generator
    if task != "chess":  # there are fewer than three games there
        assert "random" in doubted


def test_what_a_class_earns_is_the_mean_over_people(real, tmp_path):
    for kind, games in real["maze-fo"].items():
        hand_in(tmp_path, kind, games[:2] if kind == "best" else games)
    *people, everybody = board_of(tmp_path, "maze-fo").scores
    assert everybody.mean_return == pytest.approx(np.mean([one.mean_return for one in people]))
    returns = [[e.total_return for e in real["maze-fo"][one.policy][:one.episodes]] for one in people]
    assert everybody.interval == interval_over_seeds(returns) and everybody.episodes == 14


# ---------------------------------------------------------------------------------------------- forged games

def possible(episode, task):
    """Whether the game, played in an env here and now, is the record; written for this test alone."""
    env = lab.make(task, **KEYWORDS.get(task, {}))
    text, _ = env.reset(seed=episode.seed, options=episode.info.get("options"))
    seen, rewards, bad, over = [text], [], 0, False
    for action in episode.actions:
        if over:
            return False
        text, reward, terminated, truncated, info = env.step(action)
        over, bad = terminated or truncated, bad + info["invalid"]
        seen.append(text)
        rewards.append(reward)
    ends = (terminated, truncated, info["success"], bad) == (
        episode.terminated, episode.truncated, episode.info.get("success"), episode.info.get("invalid"))
    return over and ends and (seen, rewards) == (episode.observations, episode.rewards)


def pair(rng, episode):
    """The place of some action."""
    return 1 + 2 * int(rng.integers(len(episode.actions)))


def reward(rng, e):
    e.turns[pair(rng, e)].reward += float(rng.choice([-1, 0.5, 1, 100]))


def reward_of_an_observation(rng, e):
    e.turns[pair(rng, e) - 1].reward = 3.0


def observation(rng, e):
    e.turns[pair(rng, e) + int(rng.choice([-1, 1]))].text = str(rng.choice(["Success\n", "", "yes\n", "\n"]))


def swapped_observations(rng, e):
    one, two = e.turns[pair(rng, e) - 1], e.turns[pair(rng, e) + 1]
    one.text, two.text = two.text, one.text


def action(rng, e):
    e.turns[pair(rng, e)].text = str(rng.choice([*e.actions, "nonsense", "move up"]))


def order(rng, e):
    one, two = pair(rng, e), pair(rng, e)
    e.turns[one:one + 2], e.turns[two:two + 2] = e.turns[two:two + 2], e.turns[one:one + 2]


def seed(rng, e):
    e.seed = int(rng.integers(1_000))


def no_seed(rng, e):
    e.seed = [None, "7", 7.0, True, -1, [1]][rng.integers(6)]


def dropped_turn(rng, e):
    if len(e.actions) > 1:
        place = pair(rng, e)
        del e.turns[place:place + 2]


def dropped_end(rng, e):
    if len(e.actions) > 1:
        del e.turns[-2:]


def dropped_answer(rng, e):
    if e.terminated:
        del e.turns[-1]


def another_turn(rng, e):
    e.turns += [Turn(e.actions[0], True, 0.0), Turn(e.turns[-1].text, False)]


def flags(rng, e):
    e.terminated, e.truncated = [(False, False), (e.truncated, e.terminated)][rng.integers(2)]


def success(rng, e):
    e.info["success"] = not e.info["success"]


def invalid(rng, e):
    e.info["invalid"] += 1


def no_success(rng, e):
    del e.info["success"]


def keywords(rng, e):
    e.info["keywords"] = [{"layout": "umaze"}, {"opponent": "/bin/true"}, {"simulator": "chat:m@http://127.0.0.1:9"}][rng.integers(3)]


def opponent(rng, e):
    e.info["opponent"] = "somebody weaker"


def chosen_start(rng, e):
    e.info["options"] = {"start": [7, 6]}


def another_task(rng, e):
    e.task = "maze-fo" if e.task != "maze-fo" else "maze-po"


FORGERIES = [reward, reward_of_an_observation, observation, swapped_observations, action, order, seed, no_seed, dropped_turn,
             dropped_end, dropped_answer, another_turn, flags, success, invalid, no_success, keywords, chosen_start,
             another_task]
ELSEWHERE = {keywords, chosen_start, another_task, no_seed, reward_of_an_observation, no_success, dropped_answer}


def forged(games, task, number):
    """(how, Episode) of `number` games that cannot have been played, and those edits that came to a game which can."""
    rng, made, genuine = np.random.default_rng([TASKS.index(task), 8]), [], []
    ways = FORGERIES + [opponent] * task.startswith("chess")
    while len(made) < number:
        way = ways[len(made) % len(ways)]
        episode = copy.deepcopy(games[rng.integers(len(games))])
        before = copy.deepcopy(episode)
        way(rng, episode)
        if episode == before:
            continue
        if way in (action, order, seed, dropped_turn) and possible(episode, task):
            genuine.append(episode)  # another game, and as real as any
            continue
        assert way in ELSEWHERE or way is opponent or not possible(episode, task)
        made.append((way.__name__, episode))
    return made, genuine


def raw(path, episode):
    """A record as somebody may type it, whatever `Episode` says of it."""
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(episode.to_dict()) + "\n")


@pytest.mark.parametrize("task", TASKS)
def test_no_forged_game_is_taken(task, real, tmp_path):
    games = [game for kind in ("human-like", "behaviour", "best") for game in real[task][kind]]
    made, genuine = forged(games, task, FORGED)
    for i, (way, episode) in enumerate(made):
        raw(tmp_path / "forged" / f"{i:03} {way}" / "games.jsonl", episode)
    board = board_of(tmp_path / "forged", task)
    assert [row["student"] for row in board.refused] == [f"{i:03} {way}" for i, (way, _) in enumerate(made)]
    assert board.scores == [] and all(row["why"] for row in board.refused)
    for i, episode in enumerate(genuine):  # an edit that nobody can tell from play is no forgery: the docstring says so
        raw(tmp_path / "genuine" / str(i) / "games.jsonl", episode)
    if genuine:
        assert board_of(tmp_path / "genuine", task).refused == []


def test_there_are_more_than_two_hundred_forged_games_of_every_kind():
    assert len(TASKS) * FORGED > 200 and len(TASKS) == 10 and FORGED > len(FORGERIES)


# ---------------------------------------------------------------------------------------------- files

def test_a_game_counts_once_however_often_it_is_handed_in(real, tmp_path):
    games = real["wordle"]["human-like"]
    hand_in(tmp_path, "ana", [*games, games[1]])
    hand_in(tmp_path, "ana", games[:1], "again.jsonl")  # read before games.jsonl
    board = board_of(tmp_path, "wordle")
    assert [s.episodes for s in board.scores] == [4]
    assert [row["what"] for row in board.refused] == ["games.jsonl, line 1", "games.jsonl, line 5"]
    assert all("once more, move for move" in row["why"] for row in board.refused)


def test_the_first_of_two_games_with_one_seed_counts(tmp_path):
    first, second = (play_by_hand("wordle", lab.TASKS["wordle"].policies[kind](), 3) for kind in ("random", "best"))
    hand_in(tmp_path, "ana", [first, second])
    board = board_of(tmp_path, "wordle")
    assert board.scores[0].mean_return == first.total_return != second.total_return
    assert "the first one counts" in board.refused[0]["why"]


def test_only_the_games_of_the_class_count_and_missing_ones_are_told(real, tmp_path):
    hand_in(tmp_path, "ana", real["maze-po"]["human-like"])
    board = board_of(tmp_path, "maze-po", seeds=[50, 51, 99])
    assert board.scores[0].policy == "ana (2 of 3 games)" and board.scores[0].episodes == 2
    assert [row["why"] for row in board.refused] == [f"seed {s} is none of the games that were to be played" for s in (52, 53)]
    assert "too few games" in board.table.to_string() and "nan" not in board.picture.alt


@pytest.mark.parametrize("change, said", [
    ({"policy": "random"}, "by 'random'"), ({"policy": "human and agent"}, "human and agent"),
    ({"info": {"hints": 2}}, "advice, 2 times"), ({"info": {"undone": 1}}, "taken back, 1 times"),
    ({"info": {"agent_moves": 3}}, "an agent made 3"), ({"info": {"options": {"start": [7, 6]}}}, "where the player wanted"),
])
def test_a_game_that_is_not_one_person_s_own_is_refused(change, said, real, tmp_path):
    [episode] = copy.deepcopy(real["maze-fo"]["human-like"][:1])
    episode.policy = change.get("policy", "human")
    episode.info |= change.get("info", {})
    hand_in(tmp_path, "ana", [episode])
    board = board_of(tmp_path, "maze-fo")
    assert board.scores == [] and said in board.refused[0]["why"]


def test_files_that_are_no_hand_ins_are_refused_by_name_and_stop_nothing(real, tmp_path):
    good = real["maze-fo"]["human-like"]
    hand_in(tmp_path, "ana", good)
    whole = (tmp_path / "ana" / "games.jsonl").read_bytes()
    ben = tmp_path / "ben"
    ben.mkdir()
    bad = {"cut.jsonl": whole[:-40], "half.jsonl": whole[:-1], "empty line.jsonl": b"\n", "list.jsonl": b"[1]\n",
           "deep.jsonl": b"[" * 200_000 + b"\n", "bytes.jsonl": bytes(range(256)), "number.jsonl": b"7\n",
           "notes.txt": b"hello", "games.jsonl.gz": b"\x1f\x8b", "nan.jsonl": b'{"task": NaN}\n', "$x^$ \x1b[2J.csv": b"",
           "turns.jsonl": b'{"task": "maze-fo", "turns": [{"text": 3, "is_action": 0}], "terminated": 1, "truncated": 0}\n',
           "null.jsonl": b"null\n"}
    for name, content in bad.items():
        (ben / name).write_bytes(content)
    (ben / "folder").mkdir()
    os.mkfifo(ben / "pipe.jsonl")  # whoever reads from it waits for ever
    (ben / "link.jsonl").symlink_to(tmp_path / "ana" / "games.jsonl")
    (ben / ".hidden").write_text("left alone")
    (tmp_path / "readme.txt").write_text("in nobody's folder")
    board = board_of(tmp_path, "maze-fo")
    assert [(s.policy, s.episodes) for s in board.scores] == [("ana", 4)]
    assert len(board.refused) == len(bad) + 4
    assert all(row["why"] and len(row["why"]) <= 300 and row["why"].isprintable() and row["what"].isprintable()
               for row in board.refused)
    assert "the file was cut" in next(row["why"] for row in board.refused if row["what"] == "cut.jsonl")
    assert board._repr_html_().count("<img alt=") == 1 and "readme.txt" in repr(board)


def test_a_file_too_large_to_be_games_is_not_read(tmp_path, monkeypatch, real):
    monkeypatch.setattr(scoreboard, "LARGEST_MB", 0.0001)
    hand_in(tmp_path, "ana", real["maze-fo"]["best"])
    assert "MB" in board_of(tmp_path, "maze-fo").refused[0]["why"]


def test_a_student_s_odd_name_draws(real, tmp_path):
    hand_in(tmp_path, "<b>$\\frac{$\u202e", real["maze-fo"]["best"])
    board = board_of(tmp_path, "maze-fo")
    assert board.scores[0].policy == "<b>??frac{??" and "<b>?" not in board._repr_html_().replace("<p><b>", "")
    assert board.picture.png()


def test_names_that_look_alike_are_two_people_and_a_class_of_nobody_shows_itself(real, tmp_path):
    for name in ("ana$", "ana\\", "b" * 50 + "1", "b" * 50 + "2"):
        hand_in(tmp_path, name, real["maze-fo"]["best"])
    names = [score.policy for score in board_of(tmp_path, "maze-fo").scores]
    assert len(set(names)) == 5 and {"ana?", "ana? (2)", "b" * 40, "b" * 40 + " (4)"} < set(names)
    (tmp_path / "empty").mkdir()
    nobody = board_of(tmp_path / "empty", "maze-fo")
    assert "nobody" in repr(nobody) and "nobody" in nobody._repr_html_() and len(nobody.table) == len(nobody.refusals()) == 0


def test_games_of_a_neighbour_are_a_doubt_unless_they_are_the_best_there_is(real, tmp_path):
    for student in ("ana", "ben"):
        hand_in(tmp_path, student, [*real["maze-fo"]["human-like"]])
    hand_in(tmp_path, "carla", real["maze-fo"]["best"])
    hand_in(tmp_path, "dan", real["maze-fo"]["best"])
    doubts = board_of(tmp_path, "maze-fo").doubts
    assert doubts == ["4 games of ben and ana are equal, move for move, and not the best player's"]


def test_a_game_against_whoever_auto_stands_for_elsewhere_says_so(real, tmp_path):
    [episode] = copy.deepcopy(real["chess"]["human-like"][:1])
    assert episode.info["opponent"] == "built-in, depth 1"  # what the widget writes, whether it was named or not
    episode.info["opponent"], episode.info["keywords"] = "leela, 10 nodes a move", {}
    hand_in(tmp_path, "ana", [episode])
    assert "another game" in board_of(tmp_path, "chess").refused[0]["why"]
    assert "against 'leela, 10 nodes a move'" in leaderboard(tmp_path, "chess", policies=()).refused[0]["why"]


def test_a_record_starts_no_program(real, tmp_path):
    [episode] = copy.deepcopy(real["chess"]["human-like"][:1])
    program = tmp_path / "engine"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path / 'started'}\n")
    program.chmod(0o755)
    for keywords in ({"opponent": str(program)}, {"opponent": str(program), "nodes": 3}):
        episode.info["keywords"] = keywords
        assert "program of its own" in replay_problem(episode) and not (tmp_path / "started").exists()


def test_what_cannot_be_checked_is_an_error_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        leaderboard(tmp_path / "nowhere", "maze-fo")
    with pytest.raises(ValueError, match="language model"):
        leaderboard(tmp_path, "car-dealer", simulator="transformers:x")
    with pytest.raises(ValueError, match="accepted"):
        leaderboard(tmp_path, "maze-fo", nonsense=1)
    with pytest.raises(ValueError, match="did you mean 'best'"):
        leaderboard(tmp_path, "maze-fo", policies=["bets"])


# ---------------------------------------------------------------------------------------------- agents

def agent(folder, name="bc-maze-fo"):
    shutil.copytree(RESULTS / name, folder)
    return folder


def sealed(folder):
    """The folder with hashes that fit what is in it, as somebody who knows the format can write them."""
    record = json.loads((folder / "agent.json").read_text())
    files = folder_hashes(folder)
    files.pop("agent.json")
    (folder / "agent.json").write_text(json.dumps({**record, "files": files}))


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_agents_play_here_and_a_bad_one_is_a_line(real, tmp_path):
    import torch
    hand_in(tmp_path / "class", "ana", real["maze-fo"]["human-like"])
    agent(tmp_path / "class" / "ana" / "mine")
    pickled = agent(tmp_path / "class" / "ben" / "pickled")
    (pickled / "policy" / "model.safetensors").unlink()
    torch.save(Evil(tmp_path / "touched"), pickled / "policy" / "pytorch_model.bin")
    sealed(pickled)
    coded = agent(tmp_path / "class" / "carla" / "coded")
    config = json.loads((coded / "policy" / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}}
    (coded / "policy" / "config.json").write_text(json.dumps(config))
    (coded / "policy" / "own.py").write_text(f"open({str(tmp_path / 'touched')!r}, 'w')\n")
    sealed(coded)
    board = leaderboard(tmp_path / "class", "maze-fo", episodes=25, policies=["best"])
    assert {row["what"] for row in board.refused} == {"pickled", "coded"} and not (tmp_path / "touched").exists()
    assert dict(zip([s.policy for s in board.scores], board.kinds, strict=True)) == {
        "ana": "person", "ana: mine": "agent", "best": "scripted"}
    expected = lab.evaluate(lab.load_agent(RESULTS / "bc-maze-fo"), "maze-fo", 25)
    found = board.scores[[s.policy for s in board.scores].index("ana: mine")]
    assert (found.mean_return, found.interval) == (expected.mean_return, expected.interval)
    assert isinstance(board.table, pd.DataFrame) and list(board.table.index)[0] == "best"


def test_an_agent_that_does_not_come_to_an_end_is_stopped(tmp_path):
    agent(tmp_path / "ana" / "slow")
    board = board_of(tmp_path, "maze-fo", time_limit=0.05)
    assert board.scores == [] and "did not finish its games in 0.05 seconds" in board.refused[0]["why"]


def cut(folder):
    path = folder / "policy" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def lost(folder):
    (folder / "policy" / "config.json").unlink()


def no_json(folder):
    (folder / "agent.json").write_text("{")


def cut_but_sealed(folder):
    cut(folder)
    sealed(folder)


@pytest.mark.parametrize("damage, said", [(cut, "changed or cut"), (lost, "missing"), (no_json, "damaged"),
                                          (cut_but_sealed, "could be loaded")])
def test_a_damaged_agent_says_what_is_wrong_with_it(damage, said, tmp_path):
    call = json.dumps([str(agent(tmp_path / "mine")), "maze-fo", 5, 1, str(tmp_path / "out.jsonl"), {}])
    damage(tmp_path / "mine")
    with pytest.raises(SystemExit, match=said):  # what the process says in its last line
        scoreboard._play_here(call)


# ---------------------------------------------------------------------------------------------- the shell

def test_the_board_from_the_shell(real, tmp_path, capsys):
    for kind in ("human-like", "best"):
        for episode in real["maze-fo"][kind]:
            append_episode(tmp_path / "class" / kind / "games.jsonl", episode)
    call = ["leaderboard", str(tmp_path / "class"), "maze-fo", "--episodes", "25", "--seeds", *map(str, range(50, 54)),
            "--csv", str(tmp_path / "board.csv"), "--picture", str(tmp_path / "board.png")]
    assert main(call) == 0
    out = capsys.readouterr().out
    assert "all 2 people" in out and "human-like" in out and "behaviour" in out
    assert len(pd.read_csv(tmp_path / "board.csv")) == 6 and Path(tmp_path / "board.png").read_bytes()[:4] == b"\x89PNG"
    assert main(["leaderboard", str(tmp_path / "none"), "maze-fo"]) == 2
