"""Text-Nav at the widget: commands as buttons and typed, the plan of the house, the single room, what stays hidden."""

import re

import numpy as np
import pytest

from lmrl_lab.data import replay_problem
from lmrl_lab.env import TASKS, make
from lmrl_lab.episode import Turn
from lmrl_lab.tasks.text_nav_house import ROOMS, house
from lmrl_lab.widgets import draw_text_nav, play, replay
from widget_driving import click, enter, html_of, pictures, said

WAY = ["take stale food from table", "go west", "go west", "open fridge", "insert stale food into fridge", "close fridge"]
START = {"start": "living room"}


def picture(widget):
    [found] = pictures(widget.picture.value)
    return found.attrib["aria-label"]


def buttons(game):
    return [button.description for button in game.buttons.children if button.layout.display != "none"]


@pytest.mark.parametrize("task", ["text-nav-fo", "text-nav-po"])
def test_a_game_is_played_with_buttons_that_follow_the_admissible_commands(task):
    game = play(task, options=START, seed=4)
    for command in WAY:
        assert buttons(game) == list(game.game.infos[-1]["legal_actions"])
        click(game, command)
    [episode] = game.episodes
    assert game.returns == [1.0] and episode.success and replay_problem(episode) is None
    assert buttons(game) == [] and "done: you win" in said(game) and "(score 100)" in said(game)


def test_commands_are_typed_with_articles_and_directions_alone():
    game = play("text-nav-fo", options=START)
    for typed in ("Take the stale food from the table", "west", " go  WEST "):
        enter(game.text, typed)
    assert [turn.text for turn in game.game.turns[1::2]] == ["take stale food from table", "go west", "go west"]
    assert game.env.room == "kitchen"


def test_a_command_that_is_not_possible_is_asked_about_and_then_used_up():
    game = play("text-nav-po", options=START)
    enter(game.text, "dance")
    assert "not possible here, and would use up a command. Press Enter again" in said(game) and len(game.game.infos) == 1
    enter(game.text, "dance")
    assert len(game.game.infos) == 2 and "Your last commands: dance ×" in picture(game)


def test_the_plan_shows_what_was_seen_and_nothing_else():
    game = play("text-nav-fo", options=START)
    assert "You are in the living room. You carry: nothing." in picture(game)
    assert "Kitchen: not seen yet; doors: " in picture(game)
    for command in WAY[:5]:
        click(game, command)
    assert "Living room: a table with fresh food on it; doors: " in picture(game)
    assert "Kitchen: a fridge, open, with stale food, fruit in it; doors: " in picture(game)
    assert "Bedroom: not seen yet" in picture(game) and "bowl" not in picture(game)


def test_a_partly_observed_game_names_no_room_and_no_load_until_it_is_over():
    game = play("text-nav-po", options=START, seed=5)
    task_rooms = ("living room", "kitchen")  # the first observation, which stays in sight, names these two
    for command in ["take stale food from table", "fly", "go west", "go east", *WAY[1:]]:
        bundle = game._repr_mimebundle_()
        for text in (picture(game), said(game), html_of(game), bundle["text/plain"], bundle["text/html"]):
            assert not re.search("|".join(room for room in ROOMS if room not in task_rooms), text)
            assert "carry" not in text and "You are in" not in text and "House of" not in text
        game.step(command)
    assert game.game.over and "House of 8 rooms. You are in the kitchen. You carry: nothing." in picture(game)
    assert "Kitchen: a fridge, closed, with stale food, fruit in it" in picture(game)


def test_the_single_room_shows_exits_and_things():
    game = play("text-nav-po", options={"start": "dining room"})
    assert picture(game).startswith("A room; there you see: a table with coffee cup, plate on it. Exits: east, west.")
    [found] = pictures(game.picture.value)
    texts = [element.text for element in found.iter("{http://www.w3.org/2000/svg}text")]
    assert {"east", "west", "table", "• plate", "none yet"} <= set(texts) and "north" not in texts
    game.step("take plate from table")
    game.step("drop plate")
    assert "on the floor plate" in picture(game)


@pytest.mark.parametrize("house_seed", [None, 1, 2, 7])
def test_what_is_read_from_the_text_is_what_the_state_holds(house_seed):
    env, rng = make("text-nav-fo", house_seed=house_seed), np.random.default_rng(0)
    for seed in range(6):
        text, info = env.reset(seed=seed)
        turns, over = [Turn(text, False)], False
        while not over:
            action = info["legal_actions"][rng.integers(len(info["legal_actions"]))]
            text, _, over, _, info = env.step(action)
            turns += [Turn(action, True), Turn(text, False)]
            looks, here, carried = draw_text_nav.seen_rooms(turns)
            true, room, load = draw_text_nav.true_rooms(env.house, env.state)
            seen, real = looks[here], true[here]
            assert (here, set(carried)) == (room, set(load))
            assert (seen.holder, seen.state, set(seen.floor)) == (real.holder, real.state, set(real.floor))
            assert set(seen.held) == (set() if real.state == "closed" else set(real.held))


@pytest.mark.parametrize("house_seed", [None, *range(8)])
def test_other_houses_are_drawn_inside_the_picture_with_all_their_doors(house_seed):
    game = play("text-nav-fo", house_seed=house_seed, seed=0)
    [found] = pictures(game.picture.value)
    width, height = float(found.attrib["width"]), float(found.attrib["height"])
    spaces = "{http://www.w3.org/2000/svg}"
    for element in found.iter(spaces + "rect"):
        x, y, w, h = (float(element.attrib[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x and 0 <= y and x + w <= width and y + h <= height
    for element in found.iter(spaces + "text"):
        x, size = float(element.attrib["x"]), float(element.attrib["font-size"])
        assert element.attrib["text-anchor"] == "middle" or x + 0.57 * size * len(element.text) <= width
    doors = sum(len(exits) for exits in house(house_seed).exits.values()) // 2
    assert len(found.findall(spaces + "path")) == doors  # each a pair of jambs
    assert TASKS["text-nav-fo"].references_with(game.game.keywords) is None or house_seed is None


def test_a_room_with_many_things_says_how_many_more():
    floor = tuple(f"thing {k}" for k in range(9))
    drawn = draw_text_nav._room(0, 0, "attic", draw_text_nav.Look("table", floor=floor), False, False, "")
    assert "and 7 more" in drawn and "thing 1" in drawn and "thing 2" not in drawn


@pytest.mark.parametrize("task", ["text-nav-fo", "text-nav-po"])
def test_the_agents_advice_goes_by_the_moves_that_were_made(task):
    game = play(task, agent=TASKS[task].policies["best"](), options=START)
    for command in ["take stale food from table", "go east"]:
        game.step(command)
    click(game, "What would the agent do?")
    assert "go west" in game.hint.value
    click(game, "Watch it finish")
    assert game.episodes[0].success and len(game.episodes[0].actions) == 8


def test_replay_reveals_the_house_turn_by_turn():
    game = play("text-nav-po", options=START, seed=6)
    for command in WAY:
        game.step(command)
    view = replay(game.episodes[0], agent=TASKS["text-nav-po"].policies["best"]())
    assert "Living room: a table with stale food, fresh food on it" in picture(view) and "take stale food" in view.hint.value
    view.go(3)
    assert "You are in the kitchen. You carry: stale food." in picture(view)
    view.go(0)
    assert "You are in the living room. You carry: nothing." in picture(view)
