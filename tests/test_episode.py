"""Episodes: shape, and files that are whole or refused."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmrl_lab.episode import Episode, EpisodeFileError, Turn, append_episode, read_episodes, write_episodes


def episode(task="maze-fo", rewards=(-1.0, 0.0), texts=None, terminated=True, **info):
    turns = [Turn("start\n", False)]
    for k, reward in enumerate(rewards):
        turns += [Turn((texts or ["go"] * len(rewards))[k], True, reward), Turn("then\n", False)]
    return Episode(task, turns, terminated, not terminated, seed=3, policy="test", info=info)


@given(
    st.lists(st.tuples(st.text(max_size=30), st.floats(-5, 5)), min_size=1, max_size=5),
    st.booleans(),
    st.sampled_from([".jsonl", ".jsonl.gz"]),
)
def test_any_episode_comes_back_from_a_file_as_it_was(tmp_path_factory, steps, terminated, ending):
    path = tmp_path_factory.mktemp("episodes") / ("some" + ending)
    one = episode(rewards=[r for _, r in steps], texts=[t for t, _ in steps], terminated=terminated, success=terminated)
    one.turns[1].token_ids, one.turns[1].logprobs = [4, 5], [-0.5, -0.25]
    write_episodes(path, [one, one])
    assert read_episodes(path) == [one, one]


def test_the_same_episodes_make_the_same_bytes_under_any_name(tmp_path):
    a, b = (write_episodes(tmp_path / name, [episode()]) for name in ("a.jsonl.gz", "other.jsonl.gz"))
    assert a.read_bytes() == b.read_bytes()


def test_return_actions_and_transcript():
    one = episode(rewards=(-1.0, -4.0, 0.0))
    assert one.total_return == -5
    assert one.rewards == [-1, -4, 0] and one.actions == ["go"] * 3 and one.observations[0] == "start\n"
    assert "> go   [-4]" in one.transcript() and "return -5" in one.transcript()


@pytest.mark.parametrize(
    "turns, flags",
    [
        ([Turn("a\n", False)], (True, False)),
        ([Turn("a", True), Turn("b\n", False)], (True, False)),
        ([Turn("a\n", False), Turn("b\n", False)], (True, False)),
        ([Turn("a\n", False), Turn("b", True), Turn("c\n", False)], (True, True)),
        ([Turn("a\n", False), Turn("b", True)], (False, True)),
    ],
)
def test_a_malformed_episode_is_refused(turns, flags):
    with pytest.raises(ValueError):
        Episode("maze-fo", turns, *flags)


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_a_file_cut_anywhere_inside_a_line_is_an_error_that_names_the_file(tmp_path, ending):
    path = write_episodes(tmp_path / ("data" + ending), [episode(), episode()])
    whole = path.read_bytes()
    for cut in (len(whole) - 1, len(whole) - 9, len(whole) // 4):
        path.write_bytes(whole[:cut])
        with pytest.raises(EpisodeFileError, match="data"):
            read_episodes(path)


def test_an_episode_of_another_task_names_line_and_tasks(tmp_path):
    path = write_episodes(tmp_path / "x.jsonl", [episode(), episode(task="maze-po")])
    with pytest.raises(EpisodeFileError, match="line 2.*maze-po.*maze-fo"):
        read_episodes(path, "maze-fo")


@pytest.mark.parametrize(
    "line", ["[]", "{}", '{"turns": 3}', "not json", '{"task": "x", "turns": [], "terminated": "no", "truncated": false}',
                                  '{"task": "x", "turns": [{"text": "a", "is_action": false}, {"text": "b", "is_action": true, '
                                  '"reward": NaN}], "terminated": true, "truncated": false}',
                                  '{"task": "x", "turns": [{"text": 1, "is_action": false}]}']
)
def test_a_line_that_is_no_episode_is_refused(tmp_path, line):
    (tmp_path / "x.jsonl").write_text(line + "\n")
    with pytest.raises(EpisodeFileError, match="line 1"):
        read_episodes(tmp_path / "x.jsonl")


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = write_episodes(tmp_path / "x.jsonl", [episode()])
    before = path.read_bytes()

    def broken():
        yield episode()
        raise RuntimeError("the generator broke")

    with pytest.raises(RuntimeError):
        write_episodes(path, broken())
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["x.jsonl"]


def test_append_adds_a_line_and_refuses_a_cut_file(tmp_path):
    path = tmp_path / "mine" / "games.jsonl"
    append_episode(path, episode())
    append_episode(path, episode(rewards=(-4.0,)))
    assert [e.total_return for e in read_episodes(path)] == [-1, -4]
    path.write_bytes(path.read_bytes()[:-5])
    before = path.read_bytes()
    with pytest.raises(EpisodeFileError, match="cut"):
        append_episode(path, episode())
    assert path.read_bytes() == before


def test_gz_that_is_not_gz_is_refused(tmp_path):
    (tmp_path / "x.jsonl.gz").write_text(json.dumps(episode().to_dict()) + "\n")
    with pytest.raises(EpisodeFileError):
        read_episodes(tmp_path / "x.jsonl.gz")
    with gzip.open(tmp_path / "y.jsonl.gz", "wt") as file:
        file.write(json.dumps(episode().to_dict()) + "\n")
    assert len(read_episodes(tmp_path / "y.jsonl.gz")) == 1


def test_any_flipped_byte_of_a_compressed_file_is_an_episode_file_error_or_harmless(tmp_path):
    path = write_episodes(tmp_path / "x.jsonl.gz", [episode()] * 3)
    good = path.read_bytes()
    for place in range(12, len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1:])
        with pytest.raises(EpisodeFileError):
            read_episodes(path)
