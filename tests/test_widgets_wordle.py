"""Wordle at the widget: typed words, tiles and keyboard in colour, sign and words, what stays hidden, published games."""

import base64
import json
import re

import pytest

from lmrl_lab.data import replay_problem
from lmrl_lab.env import TASKS
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.widgets import draw, draw_wordle, play, replay
from widget_driving import click, enter, html_of, pictures, said

HOUSE = {"word": "house"}


def picture(widget):
    [found] = pictures(widget.picture.value)
    return found.attrib["aria-label"]


def shown_texts(widget):
    [found] = pictures(widget.picture.value)
    return [element.text for element in found.iter("{http://www.w3.org/2000/svg}text")]


def test_a_word_is_typed_in_any_spelling_and_kept_as_the_data_spell_it():
    game = play("wordle", options=HOUSE, seed=1)
    for typed in ("horse", " H O R S E ", "House"):
        enter(game.text, typed)
    [episode] = game.episodes
    assert episode.actions == ["h o r s e", "h o r s e", "h o u s e"] and episode.success
    assert game.returns == [-2.0] and replay_problem(episode) is None
    assert "You: house → that is the word (reward 0). Game over after 3 turns: return −2 (score" in said(game)


def test_many_words_make_no_buttons():
    game = play("wordle", options=HOUSE)
    assert not game.buttons.children and game.text.placeholder == "for example: house"


def test_each_mark_is_told_in_words_and_by_a_sign_of_its_own():
    game = play("wordle", options={"word": "chair"})
    enter(game.text, "horse")
    assert picture(game).startswith(
        "Wordle, 1 of 6 tries used. Row 1: H elsewhere, O absent, R elsewhere, S absent, E absent.")
    assert "Letters elsewhere: H, R." in picture(game) and "Letters absent: E, O, S." in picture(game)
    assert "y b y b b" in said(game) and "H elsewhere, O absent" in said(game)
    signs = {mark: re.sub(r'"[#\d.-][^"]*"', "", draw_wordle._sign(mark, 0, 0, 3, "#000000")) for mark in "gyb"}
    assert len(set(signs.values())) == 3
    assert {"g: in place", "y: elsewhere", "b: absent"} <= set(shown_texts(game))


def test_the_keyboard_shows_the_best_that_is_known_of_a_letter():
    guesses = [("geese", "bbybb"), ("slept", "bbggb"), ("???", "")]
    known = draw_wordle.known_letters(guesses)
    assert known == {"g": "b", "e": "g", "s": "b", "l": "b", "p": "g", "t": "b"}


def test_a_word_that_the_game_does_not_have_is_asked_about_and_then_costs_a_try():
    game = play("wordle", options=HOUSE)
    enter(game.text, "zzzzz")
    assert "zzzzz&#x27; is not a word of this game, and would cost a try. Press Enter again" in said(game)
    assert len(game.game.infos) == 1 and game.text.value == "zzzzz"
    game.text.value = "zzzzy"
    click(game, "Send")  # another word is asked about too
    assert len(game.game.infos) == 1
    enter(game.text, "zzzzy")
    assert len(game.game.infos) == 2 and game.game.infos[-1]["invalid"] and game.game.total_return == -1
    assert "Row 1: zzzzy, not a word of this game." in picture(game) and "not a word of this game" in shown_texts(game)
    enter(game.text, "zzzzy")  # asked again: a try later it may be a slip again
    assert len(game.game.infos) == 2


@pytest.mark.parametrize("nonsense", ["", "<b>&'\"", "x" * 900, "h o u s e s", "\n\n", "é\x07\u202e", "\ud800"])
def test_nonsense_from_code_is_drawn_as_text(nonsense):
    game = play("wordle", options=HOUSE)
    game.step(nonsense)
    assert "Row 1:" in picture(game) and "<b>&'" not in html_of(game)
    assert max(map(len, shown_texts(game))) < 30


def test_a_game_of_nonsense_can_be_downloaded():
    game = play("wordle", options=HOUSE)
    for _ in range(6):
        game.step("\ud800 é")
    data = re.search(r"base64,([^\"]+)", game.download.value)[1]
    record = json.loads(base64.b64decode(data))
    assert Episode.from_dict(record).actions == ["\ud800 é"] * 6


def test_the_hidden_word_shows_after_the_end_only():
    game = play("wordle", options={"word": "chair"}, seed=2)
    game.show_record.value = True
    for word in ("horse", "shore", "heart", "x", "horse", "horse"):
        bundle = game._repr_mimebundle_()
        for text in (picture(game), *shown_texts(game), said(game), bundle["text/plain"]):
            assert "chair" not in text.lower()
        assert "The word" not in html_of(game)
        game.step(word)
    assert "The word is CHAIR." in picture(game) and "The word: CHAIR" in shown_texts(game)
    assert "the word was chair" in said(game)


def test_the_words_that_still_fit_are_folded_away():
    game = play("wordle", options=HOUSE, vocabulary=60)
    assert "60 of 60: " in game.picture.value and "<details style" in game.picture.value
    first = TASKS["wordle"].policies["best"](vocabulary=60)
    first.reset([0])
    game.step(first.act([game.game.turns[0].text], [game.game.infos[0]])[0])
    possible = re.search(r">(\d+) of 60: ([a-z ]+)<", game.picture.value)
    assert int(possible[1]) == len(possible[2].split()) < 60


def test_returns_of_other_vocabularies_have_scores_of_their_own():
    game = play("wordle", options=HOUSE, vocabulary=60)
    references = TASKS["wordle"].references_with({"vocabulary": 60})
    game.step("h o r s e")
    game.step("h o u s e")
    assert f"score {draw.number(round(references.normalize(-1), 1))}" in said(game)
    paper = play("wordle", options=HOUSE, colors="paper")
    paper.step("h o u s e")
    assert "score" not in said(paper)


def test_an_agent_beside_is_asked_and_plays_on():
    game = play("wordle", agent=TASKS["wordle"].policies["best"](), options=HOUSE)
    enter(game.text, "horse")
    click(game, "What would the agent do?")
    assert re.search(r"It would play: <span[^>]*>house<", game.hint.value)
    click(game, "Watch it finish")
    assert game.episodes[0].policy == "human and agent" and game.episodes[0].success


def test_replay_shows_the_word_and_how_many_fit():
    game = play("wordle", options=HOUSE, seed=3)
    for word in ("h o r s e", "s h o r e", "h o u s e"):
        game.step(word)
    view = replay(game.episodes[0], agent=TASKS["wordle"].policies["best"]())
    assert "The word is HOUSE." in picture(view) and "It would play" in view.hint.value
    view.go(3)
    assert "1 word fit so far" in picture(view) and "Row 3: H in place" in picture(view)


def test_a_published_game_without_seed_is_drawn_from_its_text():
    turns = [Turn("Wordle:\n", False), Turn("s n a k e", True, -1.0), Turn("y b b b g\n", False),
             Turn("h o u s e", True, 0.0), Turn("g g g g g\n", False)]
    view = replay(Episode("wordle", turns, True, False, policy="published", info={"success": True}))
    assert "Drawn from its text: the game cannot be played again" in view.header.value
    view.go(1)
    assert "Row 1: S elsewhere, N absent, A absent, K absent, E in place." in picture(view)
    assert "The word" not in picture(view) and "s n a k e" in view.text.value


def test_the_saved_notebook_keeps_the_tiles_as_an_image():
    game = play("wordle", options=HOUSE)
    game.step("h o r s e")
    twin = game._repr_mimebundle_()["text/html"]
    assert "<svg" not in twin and '<img alt="Wordle, 1 of 6 tries used. Row 1: H in place' in twin


def test_words_of_a_row_stay_inside_the_picture():
    """Every label starts and ends inside, at the width that the widest letters take."""
    game = play("wordle", options=HOUSE)
    for word in ("horse", "w" * 40, "shore", "m m m m m m", "horse", "horse"):
        game.step(word)
    [found] = pictures(game.picture.value)
    width = float(found.attrib["width"])
    for element in found.iter("{http://www.w3.org/2000/svg}text"):
        size, x = float(element.attrib["font-size"]), float(element.attrib["x"])
        reach = 0.62 * size * len(element.text)
        left = {"start": x, "middle": x - reach / 2}[element.attrib["text-anchor"]]
        assert left >= -2 and left + reach <= width + 2, element.text
