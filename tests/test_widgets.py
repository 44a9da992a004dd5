"""Widgets, driven from Python as the browser drives them: by typing, by buttons, and looked at as HTML."""

import asyncio
import base64
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from lmrl_lab.data import replay_problem
from lmrl_lab.env import TASKS
from lmrl_lab.episode import Episode, read_episodes
from lmrl_lab.tasks.maze import DELTAS, maze
from lmrl_lab.widgets import draw, play, player
from lmrl_lab.widgets.game import check_seed
from widget_driving import START, WAY, Oracle, all_of, click, enter, html_of, pictures, said


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(player, "WATCH_PAUSE", 0)


# ---------------------------------------------------------------------------------------------- playing

def test_a_fully_observed_game_is_played_by_typing_and_enter():
    game = play("maze-fo", options=START, seed=7)
    for action in WAY:
        enter(game.text, action)
        assert game.text.value == ""
    [episode] = game.episodes
    assert episode.actions == WAY and episode.terminated and episode.policy == "human" and episode.seed == 7
    assert episode.info == {"success": True, "invalid": 0, "options": START}
    assert game.returns == [-5.0] and replay_problem(episode) is None
    assert "Game over after 6 turns: return −5" in said(game)


def test_a_partly_observed_game_is_played_with_buttons():
    game = play("maze-po", options=START)
    for action in WAY:
        click(game, action)
    assert game.returns == [-5.0] and replay_problem(game.episodes[0]) is None


def test_a_game_is_scored_with_the_cards_references():
    game = play("maze-fo", options=START)
    for action in WAY:
        game.step(action)
    score = draw.number(round(TASKS["maze-fo"].references.normalize(-5), 1))
    assert f"your 1 game: best return −5 (score {score})" in game.header.value and f"score {score}" in said(game)


def test_the_same_word_twice_is_two_moves():
    game = play("maze-fo", options=START)
    enter(game.text, "move up")
    enter(game.text, "move up")
    assert [t.text for t in game.game.turns if t.is_action] == ["move up", "move up"]


def test_leaving_the_box_plays_nothing_and_send_plays_what_it_holds():
    game = play("maze-fo", options=START)
    game.text.value = "move right"  # the box is left: a value, and no "submit" before it
    assert len(game.game.infos) == 1
    click(game, "Send")
    assert game.env.position == (5, 4)


def test_enter_plays_what_was_typed_when_the_box_was_left_and_come_back_to():
    game = play("maze-fo", options=START)
    game.text.value = "move right"
    enter(game.text, "move right")  # not edited: no new value follows
    assert game.env.position == (5, 4) and len(game.game.infos) == 2


def test_enter_waits_for_the_edited_text_when_the_box_was_left_and_come_back_to(monkeypatch):
    monkeypatch.setattr(player, "ENTER_WAIT", 0.02)
    game = play("maze-fo", options=START)

    async def type_in_two_goes():
        game.text.value = "move r"
        game.text._handle_custom_msg({"event": "submit"}, [])
        await asyncio.sleep(0)
        game.text.value = "move right"
        await asyncio.sleep(0.06)

    asyncio.run(type_in_two_goes())
    assert [t.text for t in game.game.turns if t.is_action] == ["move right"]


def test_an_empty_box_plays_nothing():
    game = play("maze-fo", options=START)
    enter(game.text, "")
    enter(game.text, "   ")
    assert len(game.game.infos) == 1 and "Type an action first" in said(game)


def test_a_string_that_is_no_move_costs_four_and_is_counted():
    game = play("maze-fo", options=START)
    enter(game.text, "up")
    assert "not a move" in said(game) and "reward −4" in said(game) and game.env.position == (5, 3)
    for action in WAY:
        game.step(action)
    assert game.episodes[0].info["invalid"] == 1 and game.returns == [-9.0]


def test_an_action_that_is_too_long_is_explained_and_not_played():
    game = play("maze-fo", options=START)
    enter(game.text, "x" * 1001)
    assert "at most 1,000 characters" in said(game) and len(game.game.infos) == 1
    assert len(game.text.value) == 1001  # to be mended, not to be typed again


def test_a_game_that_is_over_takes_no_action():
    game = play("maze-fo", options=START)
    for action in WAY:
        game.step(action)
    with pytest.raises(RuntimeError, match="over"):
        game.step("move up")
    enter(game.text, "move up")
    assert "over" in said(game) and len(game.episodes) == 1
    assert all(button.disabled for button in game.buttons.children)


def test_a_game_that_is_cut_is_a_truncated_episode():
    game = play("maze-po", seed=0)
    for _ in range(100):
        game.step("x")
    [episode] = game.episodes
    assert episode.truncated and not episode.success and episode.info["invalid"] == 100
    assert replay_problem(episode) is None


def test_a_new_game_drops_the_unfinished_one():
    game = play("maze-fo", options=START)
    game.step("move up")
    click(game, "New game")
    assert game.episodes == [] and len(game.game.infos) == 1


def test_the_seed_box_sets_the_seed_and_an_empty_one_counts_up():
    game = play("maze-fo", seed=3)
    click(game, "New game")
    assert game.game.seed == 4
    game.seed.value = " 12 "
    click(game, "New game")
    assert game.game.seed == 12 and game.seed.value == ""
    other = play("maze-fo", seed=12)
    assert other.game.turns == game.game.turns


@pytest.mark.parametrize("typed", ["abc", "-1", "1.5", "99999999999999"])
def test_a_wrong_seed_is_explained_and_the_game_goes_on(typed):
    game = play("maze-fo", options=START)
    game.step("move right")
    game.seed.value = typed
    click(game, "New game")
    assert "a seed is a whole number" in said(game) and len(game.game.infos) == 2


def test_a_seed_from_code_is_checked_too():
    assert check_seed("5") == 5
    with pytest.raises(ValueError, match="whole number"):
        play("maze-fo", seed=2.5)


def test_unknown_names_are_explained():
    with pytest.raises(ValueError, match="did you mean 'maze-fo'"):
        play("mase-fo")
    with pytest.raises(ValueError, match="keyword of maze-fo"):
        play("maze-fo", layuot="umaze")


def test_keywords_change_the_game_and_are_in_its_episode():
    game = play("maze-fo", layout="umaze", options={"start": (1, 3), "goal": [1, 2]})
    game.step("move left")
    [episode] = game.episodes
    assert "score" not in said(game)  # the references are those of the standard game
    assert episode.info["keywords"] == {"layout": "umaze"} and replay_problem(episode) is None


# ---------------------------------------------------------------------------------------------- files

def test_finished_games_are_added_to_a_file_that_reads_back(tmp_path):
    path = tmp_path / "mine" / "games.jsonl"
    game = play("maze-fo", save_to=path, seed=1)
    for _ in range(2):
        way = [a for a in way_to_goal(game.env)]
        for action in way:
            game.step(action)
        game.new_game()
    assert "Added to games.jsonl" not in said(game)  # that was said before the new game
    episodes = read_episodes(path, "maze-fo")
    assert episodes == game.episodes and len(episodes) == 2
    assert all(replay_problem(episode) is None for episode in episodes)


def way_to_goal(env):
    at, out = env.maze.index[env.position], []
    while at != env.maze.goal_index:
        a = env.maze.best_action(at)
        out.append(list(DELTAS)[a])
        at = env.maze.next_cell[at, a]
    return out


def test_a_file_that_cannot_be_written_is_said_and_the_game_is_kept(tmp_path):
    path = tmp_path / "games.jsonl"
    path.write_text("cut")
    game = play("maze-fo", save_to=path, options=START)
    for action in WAY:
        game.step(action)
    assert "NOT saved" in said(game) and len(game.episodes) == 1 and path.read_text() == "cut"


def test_only_a_plain_jsonl_file_is_accepted():
    with pytest.raises(ValueError, match=".jsonl"):
        play("maze-fo", save_to="games.jsonl.gz")


def test_the_download_link_holds_the_finished_games():
    game = play("maze-fo", options=START)
    assert game.download.value == ""
    for action in WAY:
        game.step(action)
    link = ET.fromstring(re.search(r"<a .*</a>", game.download.value).group(0))
    lines = base64.b64decode(link.attrib["href"].split("base64,")[1]).decode().splitlines()
    assert link.attrib["download"].endswith(".jsonl") and "1 finished game " in link.text
    assert [Episode.from_dict(json.loads(line)).actions for line in lines] == [WAY]


# ---------------------------------------------------------------------------------------------- an agent beside

def test_the_hint_shows_the_agents_actions_with_probabilities_and_values():
    agent = Oracle()
    game = play("maze-fo", agent=agent, options=START)
    click(game, "What would the agent do?")
    turns, legal = agent.asked[-1]
    assert len(turns) == 1 and not turns[-1].is_action and tuple(legal) == tuple(DELTAS)
    text = re.sub(r"<[^>]*>", " ", game.hint.value)
    assert re.search(r"move right\s+90.0%\s+−1.5", text) and "−8.25" in text and re.search(r"else\)\s+3.0%", text)
    game.step("move right")
    assert game.hint.value == ""


def test_a_tiny_probability_is_told_in_words_of_percent():
    actions = [{"action": "move up", "probability": 1 - 1e-8, "value": None},
               {"action": "move down", "probability": 1e-8, "value": None},
               {"action": "move left", "probability": 0.0, "value": None}]
    text = re.sub(r"<[^>]*>", " ", draw.draw_actions(actions, closed=True))
    assert "100.0%" in text and "&lt;0.1%" in text and " 0.0%" in text and "e-0" not in text


def test_a_game_with_hints_says_so():
    game = play("maze-fo", agent=Oracle(), options=START)
    click(game, "What would the agent do?")
    for action in WAY:
        game.step(action)
    assert game.episodes[0].info["hints"] == 1 and game.episodes[0].policy == "human"


def test_the_agents_moves_are_marked_and_such_games_are_not_mine():
    game = play("maze-fo", agent=Oracle(), options=START)
    click(game, "Let it move")
    game.step(WAY[1])
    click(game, "Watch it finish")
    assert game.episodes[0].policy == "human and agent" and game.episodes[0].info["agent_moves"] == 5
    game.new_game()
    click(game, "Watch it finish")
    assert game.episodes[1].policy == "agent" and game.returns == []
    assert "your" not in game.header.value


def test_a_scripted_policy_is_played_over_the_transcript():
    best = TASKS["maze-fo"].policies["best"]()
    game = play("maze-fo", agent=best, options=START)
    game.step("move right")
    click(game, "What would the agent do?")
    assert "move right" in game.hint.value and "may be lost" not in game.hint.value
    click(game, "Watch it finish")
    assert game.episodes[0].total_return == -5


def test_a_policy_with_a_memory_goes_by_the_moves_that_were_made_whoever_made_them():
    """The belief policy, asked after a person's detour, still knows where it can be and finishes from there."""
    game = play("maze-po", agent=TASKS["maze-po"].policies["best"](), options={"start": (1, 1)})
    for action in ("move right", "move left", "jump", "move up", "move right"):
        game.step(action)
        click(game, "What would the agent do?")
        assert re.findall(r"move \w+", game.hint.value)
    click(game, "Watch it finish")
    assert game.episodes[0].success and len(game.episodes[0].actions) <= 5 + 12


def test_an_agent_that_fails_is_explained_and_the_game_goes_on():
    class Broken:
        def top_actions(self, turns, legal_actions, n=5):
            raise ValueError("made for another task")

    game = play("maze-fo", agent=Broken(), options=START)
    click(game, "What would the agent do?")
    click(game, "Let it move")
    assert "made for another task" in said(game) and len(game.game.infos) == 1


def test_without_an_agent_there_is_nothing_to_ask():
    assert not any(getattr(w, "description", "") == "What would the agent do?" for w in all_of(play("maze-fo").box))


# ---------------------------------------------------------------------------------------------- what is seen

def test_a_partly_observed_game_hides_the_position_until_it_is_over():
    game = play("maze-po", options={"start": (3, 3)})
    game.show_record.value = True
    for action in ["move down", "jump", "move left", "move down", *WAY]:
        assert not game.game.over
        bundle = game._repr_mimebundle_()
        for text in (html_of(game), bundle["text/html"], bundle["text/plain"], decoded(bundle["text/html"])):
            assert not re.search(r"position|row \d|column|Maze of|polyline|goal is at", text)
        game.step(action)
    assert game.game.over
    [board] = pictures(game.picture.value)
    assert "The walker is at row 8, column 6" in board.attrib["aria-label"]
    assert "It started at row 3, column 3" in board.attrib["aria-label"]


def decoded(html):
    return "\n".join(base64.b64decode(part).decode() for part in re.findall(r"base64,([A-Za-z0-9+/=]+)", html))


def test_the_cell_of_a_partly_observed_game_shows_walls_openings_and_the_last_moves():
    game = play("maze-po", options={"start": (3, 3)})
    for action in ["move left", "move up", "fly"]:
        game.step(action)
    [cell] = pictures(game.picture.value)
    texts = [t.text for t in cell.iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(texts[:4]) == ["open", "open", "wall", "wall"]
    assert texts[-1].split() == ["←×", "↑", "?"]
    assert "left (into a wall), up, not a move" in cell.attrib["aria-label"]


@pytest.mark.parametrize("layout", ["double_t", "umaze", "large", "random-3"])
def test_the_board_is_well_formed_and_says_where_things_are(layout):
    of = maze(layout)
    cell = of.cells[0]
    board = ET.fromstring(draw.draw_maze(of, cell, trail=of.cells[:2]))
    assert board.attrib["role"] == "img"
    assert "The goal is at row {}, column {}".format(*of.goal) in board.attrib["aria-label"]
    assert "The walker is at row {}, column {}".format(*cell) in board.attrib["aria-label"]
    texts = [t.text for t in board.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("G") == 1
    assert texts[:len(of.rows[0])] == [str(c) for c in range(len(of.rows[0]))]


def test_the_trail_is_the_way_that_was_walked_bumps_and_nonsense_included():
    for task in ("maze-fo", "maze-po"):
        game = play(task, options={"start": (4, 3)})
        for action in ["move left", "hop", "move up", "move down", "move down", *WAY]:
            game.step(action)
        [board] = pictures(game.picture.value)
        assert "It started at row 4, column 3 and made 9 moves" in board.attrib["aria-label"]


def test_the_observation_is_read_out_in_the_live_region():
    game = play("maze-fo", options=START)
    game.step("move right")
    assert "Your current position is at position 5, 4." in said(game) and "moved" in said(game)


def test_the_transcript_shows_when_asked_for():
    game = play("maze-fo", options=START)
    game.step("move right")
    assert game.record.value == ""
    game.show_record.value = True
    assert "&gt; move right  [−1]" in game.record.value


def test_what_is_typed_is_shown_as_text():
    game = play("maze-fo", options=START)
    game.show_record.value = True
    game.step("<b onclick='x'>&")
    game._repr_mimebundle_()
    assert "<b onclick" not in html_of(game) and "&lt;b onclick=&#x27;x&#x27;&gt;&amp;" in html_of(game)
    assert "<b onclick" not in draw.draw_chat(game.game.turns)


def test_buttons_follow_a_changing_set_of_legal_actions():
    game = play("maze-fo")
    first = game.buttons.children
    game._show_buttons(["go west", "take bowl"])
    assert [b.description for b in game.buttons.children if b.layout.display != "none"] == ["go west", "take bowl"]
    game._show_buttons([f"word {k}" for k in range(200)])
    assert all(b.layout.display == "none" for b in game.buttons.children)
    game._show_buttons(None)
    assert game.buttons.children == first
    game._show_buttons(tuple(DELTAS))
    click(game, "move up")
    assert len(game.game.infos) == 2


def test_tasks_without_a_picture_are_shown_as_a_chat(monkeypatch):
    monkeypatch.setattr(draw, "VIEWS", {})
    game = play("maze-po", seed=1)
    game.step("move up")
    chat = ET.fromstring(game.picture.value)
    assert chat.attrib["role"] == "log" and chat.attrib["aria-label"]
    assert "move up" in "".join(chat.itertext()) and "You [−1]" in "".join(chat.itertext())


def test_the_saved_notebook_keeps_an_image_and_the_text():
    game = play("maze-fo", options=START)
    game.step("move right")
    bundle = game._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == game.box.model_id
    assert "<svg" not in bundle["text/html"] and '<img alt="Maze of 10 rows' in bundle["text/html"]
    [board] = pictures(decoded(bundle["text/html"]))
    assert board.attrib["role"] == "img"
    assert "&gt; move right" in bundle["text/html"] and "> move right   [-1]" in bundle["text/plain"]


def test_numbers_have_a_real_minus_and_no_negative_zero():
    assert [draw.number(x) for x in (-6.84, -0.001, 0.0, 3, 2.50, -100)] == ["−6.84", "0", "0", "3", "2.5", "−100"]


def test_importing_the_widgets_needs_no_torch_pandas_or_matplotlib():
    code = ("import sys; from lmrl_lab.widgets import play, replay, LiveCurve; play('maze-fo', seed=0); "
            "sys.exit(any(m in sys.modules for m in ('torch', 'pandas', 'matplotlib')))")
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=60).returncode == 0
