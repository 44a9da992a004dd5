"""Replay, driven from Python: stepping, what is shown, games that cannot be played again."""

import re

import pytest

from lmrl_lab.episode import Episode, Turn
from lmrl_lab.widgets import play, replay
from widget_driving import START, WAY, Oracle, click, pictures


def finished(task="maze-po", **keywords):
    game = play(task, **{"options": START, **keywords})
    for action in WAY:
        game.step(action)
    return game.episodes[0]


def test_replay_steps_through_a_game_and_stays_inside_it():
    view = replay(finished())
    assert view.slider.max == 6 and "turn <b>0</b> of 6" in view.header.value
    for turn, shown in ((2, 2), (99, 6), (-5, 0)):
        view.go(turn)
        assert view.slider.value == shown and f"turn <b>{shown}</b> of 6" in view.header.value
    click(view, "Next ▶")
    assert "return so far <b>−1</b> of −5" in view.header.value
    click(view, "Last")
    assert "the game is over" in view.header.value
    click(view, "◀ Previous")
    click(view, "First")
    assert view.slider.value == 0


def test_replay_shows_the_hidden_state_of_every_turn():
    view = replay(finished("maze-po"))
    for turn, cell in ((0, "row 5, column 3"), (6, "row 8, column 6"), (4, "row 6, column 6")):
        view.go(turn)
        [board] = pictures(view.picture.value)
        assert f"The walker is at {cell}" in board.attrib["aria-label"]


def test_replay_marks_the_current_turn_in_the_transcript():
    view = replay(finished())
    view.go(3)
    [marked] = re.findall(r'aria-current="step">▶ ([^<]*)<', view.text.value)
    assert marked == "There is a wall above you."


def test_replay_chooses_among_several_games():
    short = finished("maze-fo", layout="double_t")
    view = replay([finished(), short])
    view.go(6)
    view.choice.value = 1
    assert view.slider.value == 0 and "fully observed" in view.header.value
    assert len(view.choice.options) == 2 and "return −5" in view.choice.options[0][0]


def test_a_published_game_is_replayed_as_text():
    episode = finished("maze-fo")
    published = Episode("maze-fo", episode.turns[:-1], True, False, policy="published", info={"success": True})
    view = replay(published)
    view.go(6)
    assert "cannot be played again" in view.header.value and not pictures(view.picture.value)
    assert "published" in view.picture.value and "move down" in view.picture.value


def test_a_game_that_does_not_fit_the_rules_is_replayed_as_text():
    episode = finished()
    episode.turns[3] = Turn("move right", True, -2.0)
    assert "the reward is -1" in replay(episode).header.value
    episode.task = "no-such-task"
    assert "no-such-task" in replay(episode).header.value


def test_replay_shows_what_an_agent_would_have_done():
    view = replay(finished("maze-fo"), agent=Oracle())
    assert "What oracle would do" in view.hint.value and "move right" in view.hint.value
    view.go(6)
    assert view.hint.value == ""
    text = replay(Episode("maze-fo", finished("maze-fo").turns, True, False), agent=Oracle())
    assert "move right" in text.hint.value


def test_replay_has_a_plain_twin():
    view = replay(finished())
    view.go(6)
    bundle = view._repr_mimebundle_()
    assert "return -5" in bundle["text/plain"]
    assert "<img alt=" in bundle["text/html"] and "<svg" not in bundle["text/html"]


def test_replaying_nothing_is_an_error():
    with pytest.raises(ValueError, match="nothing to replay"):
        replay([])
