"""Replay, driven from Python: stepping, what is shown, games that cannot be played again."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrl_lab.env import make
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.widgets import draw, play, replay
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


# ------------------------------------------------------------------------------ what a record says was hidden

class Parrot:
    """Stands for a language model that answers."""

    spec = "chat:parrot"

    def replies(self, requests):
        return ["As you say." for _ in requests]


def words(view):
    return " ".join(re.sub(r"<[^>]*>", " ", view.picture.value).split())


@pytest.mark.parametrize("info", [
    {"options": ["object", "Piano"]}, {"hidden": "Piano"}, {"keywords": ["simulator"]}, {"keywords": None},
    {"options": {"buyer": "Piano"}, "hidden": ["Piano"]}])
@pytest.mark.parametrize("task", sorted(draw.TALKS))
def test_a_record_whose_parts_are_no_dicts_is_shown_as_text(task, info):
    turns = [Turn("Hello.\n", False), Turn("glorp", True, 0.0), Turn("As you say.\n", False)]
    view = replay(Episode(task, turns, True, False, 3, "human", info))
    view.go(1)
    assert "cannot be played again" in view.header.value and "glorp" in view.picture.value
    shown = view.reveal.layout.display is None
    assert shown == ("buyer" in info.get("options", ()))  # of all these only the options of the last are facts


@pytest.mark.parametrize("task, options", [("wordle", {"word": "xxxxx"}), ("maze-po", {"start": [5, 3]})])
def test_the_box_is_not_there_where_it_would_change_nothing(task, options):
    turns = [Turn("Wordle:\n", False), Turn("c r a n e", True, -5.0), Turn("b b b b b\n", False)]
    view = replay(Episode(task, turns, False, True, 3, "human", {"options": options}))
    assert "cannot be played again" in view.header.value and view.reveal.layout.display == "none"


def test_a_game_with_a_language_model_records_who_spoke_and_what_was_hidden():
    game = play("guess-my-city", simulator=Parrot(), seed=5)
    game.game.keywords = {"simulator": "chat:as-typed"}  # what names a model and what its spec says may differ
    for _ in range(20):
        game.step("What is it famous for?")
    info = game.episodes[0].info
    assert info["hidden"] == {"city": game.env.hidden} and info["keywords"] == {"simulator": "chat:parrot"}
    view = replay(game.episodes[0])
    assert game.env.hidden not in view.picture.value
    view.reveal.value = True
    assert f"What was hidden city {game.env.hidden}" in words(view)
    assert "hidden" not in finished().info


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_the_buyer_that_is_recorded_is_the_option_that_makes_him_again(seed):
    game = play("car-dealer", simulator=Parrot(), seed=seed)
    while not game.game.over:
        game.step("glorp")
    hidden = game.episodes[0].info["hidden"]
    assert hidden == json.loads(json.dumps(hidden))
    env = make("car-dealer")
    env.reset(seed=0, options={"buyer": hidden})
    assert replace(env.buyer, opening=0) == replace(game.env.buyer, opening=0)
    view = replay(game.episodes[0])
    view.reveal.value = True
    shown = words(view)
    assert f"The buyer brand {hidden['brand']} body {hidden['body']} features {', '.join(hidden['features'])} budget" in shown
