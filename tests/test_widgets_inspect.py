"""The token inspector, driven from Python: stepping, colours and numbers, long games, agents without values, the twin."""

import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pandas as pd
import pytest
from ipywidgets import Button

import lmrl_lab as lab
from lmrl_lab.episode import Episode
from lmrl_lab.widgets import draw_tokens, inspect_tokens
from widget_driving import all_of, click, html_of, said


@pytest.fixture(scope="module")
def trained():
    """id -> an agent that was trained a little, and a game that it played."""
    made = {}
    for task in ("maze-fo", "maze-po"):
        agent = lab.train("ilql", task, lab.generate(task, 60, seed=3), seed=1, steps=25, bc_steps=25)
        made[task] = agent, lab.evaluate(agent, task, episodes=1, return_episodes=True)[1][0]
    bc = lab.train("bc", "maze-fo", lab.generate("maze-fo", 60, seed=3), seed=1, steps=5)
    return {**made, "bc": (bc, made["maze-fo"][1])}


@pytest.fixture
def view(trained):
    return inspect_tokens(*trained["maze-fo"])


def words(html):
    """The pieces of text of some HTML, which must be well-formed XML: every tag closed, every < and & escaped."""
    return [text.strip() for text in ET.fromstring(f"<div>{html}</div>").itertext() if text.strip()]


def chosen(view):
    [chip] = re.findall(r'aria-current="true">.*?</b> <span[^>]*>(.*?)</span>', view.tokens.value)
    return chip


# ------------------------------------------------------------------------------------------ stepping

def test_buttons_and_the_slider_step_through_the_action_tokens_and_stay_inside(view, trained):
    n = len(trained["maze-fo"][1].actions)  # one token a move
    assert view.slider.max == n > 10 and said(view).startswith('<div role="status" aria-live="polite">token 1 of')
    for step, place in (("Next ▶", 2), ("Last", n), ("◀ Previous", n - 1), ("First", 1)):
        click(view, step)
        assert view.slider.value == place and f"token {place} of {n}, &#x27;move" in said(view)
    assert [button.disabled for button in view.buttons] == [True, True, False, False]
    for place, there in ((99_999, n), (-3, 1), (4, 4)):
        view.go(place)
        assert view.slider.value == there
    assert [button.disabled for button in view.buttons] == [False] * 4


def test_next_disagreement_goes_round_all_tokens_where_the_policies_would_choose_differently(view):
    frame = view.report.frame[view.report.frame["is_action"]]
    differ = [n for n, other in enumerate(frame["disagree"], start=1) if other]
    assert 0 < len(differ) < len(frame)
    seen = []
    for _ in range(len(differ) + 1):
        click(view, "Next disagreement ≠")
        seen.append(view.slider.value)
        assert "≠" in chosen(view)
        found = view.report.alternatives(view.slider.value)
        assert found["policy"].idxmax() != found["guided"].idxmax()
    later = [n for n in differ if n > 1] + [n for n in differ if n == 1]
    assert seen == [*later, later[0]]


def test_the_sentence_tells_every_number_of_the_chosen_token(view):
    view.go(3)
    row = view.report.frame[view.report.frame["is_action"]].iloc[2]
    for part in (f"&#x27;{row['token']}&#x27;: the policy alone says {draw_tokens.percent(row['policy'])}, guided "
                 f"{draw_tokens.percent(row['guided'])}", f"Q {draw_tokens.number(row['q'])}, V {draw_tokens.number(row['v'])}",
                 "return that followed", draw_tokens.number(row["return_to_go"])):
        assert part in said(view)
    assert ("until the game was cut" in said(view)) == view.episode.truncated


def test_the_table_holds_both_policies_beside_each_other_and_marks_what_was_taken(view):
    view.go(5)
    found = words(view.table.value)
    assert found[:4] == ["token (✓ taken)", "policy alone", "guided, β = 4", "Q"]
    for k, row in enumerate(view.report.alternatives(5).itertuples()):
        token, *numbers = found[4 + 4 * k:8 + 4 * k]
        name = draw_tokens.shown(row.token)
        assert token.replace("✓", "").strip() == (name if len(name) <= 20 else name[:19] + "…") and ("✓" in token) == row.taken
        assert numbers == [draw_tokens.percent(row.policy), draw_tokens.percent(row.guided), draw_tokens.number(row.q)]


# ------------------------------------------------------------------------------------------ colours

def test_each_colour_has_its_number_below_every_action_token_and_a_legend(view):
    for name, colour in view.colour.options:
        view.colour.value = colour
        value = view.report.frame[colour].iloc[view.places[0]]
        assert chosen(view).removeprefix("▲ ").removesuffix(" ≠") == draw_tokens.measure(value, colour)
        low, high = draw_tokens.limits(view.report.frame, colour)
        legend = [word for word in words(view.legend.value) if word != "\xa0"]
        assert legend[:3] == [f"colour: {name}", draw_tokens.measure(low, colour), draw_tokens.measure(high, colour)]
    assert [colour for _, colour in view.colour.options] == list(draw_tokens.MEASURES)


@pytest.mark.parametrize("colour, below, above", [("q", -9, -1), ("advantage", -2, 2), ("policy", 0, 1)])
def test_a_scale_runs_from_light_to_dark_with_ink_that_can_be_read(colour, below, above):
    def luminance(text):
        parts = [int(text[i:i + 2], 16) / 255 for i in (1, 3, 5)]
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), parts))
    backs = []
    for k in range(101):
        back, ink = draw_tokens.tint(below + (above - below) * k / 100, colour, (below, above))
        dark, light = sorted([luminance(back), luminance(ink)])
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG AA
        backs.append(luminance(back))
    upper = backs[50:] if colour == "advantage" else backs
    assert upper == sorted(upper, reverse=True)
    if colour == "advantage":
        assert backs[:51] == sorted(backs[:51]) and backs[50] > 0.8
    assert draw_tokens.tint(0.5, colour, (0.5, 0.5)) == draw_tokens.tint((below + above) / 2, colour, (below, above))


def test_shares_and_advantages_read_well():
    assert [draw_tokens.percent(x) for x in (1, 0.934, 0.0996, 0.0421, 0.001, 0.0009, 0)] == [
        "100%", "93%", "10%", "4.2%", "0.1%", "<0.1%", "0%"]
    assert [draw_tokens.measure(x, "advantage") for x in (0.2, -0.2, 0.001)] == ["+0.2", "−0.2", "0"]
    assert [draw_tokens.shown(x) for x in (".\n", "", " move", "  ", "\x07")] == [".↵", "∅", " move", "␣␣", "\\x07"]


# ------------------------------------------------------------------------------------------ what is shown

def test_every_token_near_the_chosen_one_is_shown_in_reading_order(view):
    view.go(4)
    turns = view.report.frame[view.report.frame["turn"].between(7 - 5, 7 + 5)]
    chips = [word for word in words(view.tokens.value) if word not in ("agent", "game", "[−1]", "[0]")]
    expected = []
    for row in turns.itertuples():
        expected.append(draw_tokens.shown(row.token))
        if row.is_action:
            expected.append("▲ " * (row.Index == view.places[3]) + draw_tokens.measure(row.q, "q") + " ≠" * row.disagree)
    assert chips == ["… 2 turns before", *expected, f"… {len(view.episode.turns) - 13} turns after"]


def table(*turns):
    """What the inspector draws from, of the tokens of some turns, with a number a token as Q; and the turns."""
    rows = [(token, n, n % 2 == 1, float(k) if n % 2 else None, False)
            for n, tokens in enumerate(turns) for k, token in enumerate(tokens)]
    frame = pd.DataFrame(rows, columns=["token", "turn", "is_action", "q", "disagree"])
    return frame, [lab.Turn("", n % 2 == 1, -1.0 * (n % 2)) for n in range(len(turns))]


def test_a_token_s_text_is_never_taken_for_html():
    found = words(draw_tokens.draw_tokens(*table(["<b>"], ["&amp;", "</div>"]), 1, "q"))
    assert found == ["game", "<b>", "agent", "&amp;", "▲ 0", "</div>", "1", "[−1]"]


def test_of_a_long_turn_the_part_near_the_chosen_token_is_shown():
    frame, turns = table([f"w{n}" for n in range(500)], [f"a{n}" for n in range(500)])
    for place, first in ((500 + 250, 235), (500, 0), (999, 470)):
        html = draw_tokens.draw_tokens(frame, turns, place, "q")
        assert re.findall(r">w(\d+)<", html) == [str(n) for n in range(470, 500)]
        assert re.findall(r">a(\d+)<", html) == [str(n) for n in range(first, first + 30)]
        assert words(html).count("…") == 1 + (first > 0) + (first < 470)


def test_a_game_of_a_hundred_turns_is_drawn_quickly_and_briefly(trained):
    games = lab.evaluate("random", "maze-fo", episodes=20, return_episodes=True)[1]
    view = inspect_tokens(trained["maze-fo"][0], next(game for game in games if len(game.actions) == 100))
    view.go(40)
    assert len(view.places) == 100 and len(html_of(view)) < 40_000 and len(view._repr_mimebundle_()["text/html"]) < 60_000
    begin = time.process_time()
    for n in range(41, 51):
        view.go(n)
    assert (time.process_time() - begin) / 10 < 0.05


def test_the_longest_turns_make_no_more_than_sixty_kilobytes():
    frame, turns = table(*[["word"] * 50, ["token"] * 50] * 20)
    assert len(draw_tokens.draw_tokens(frame, turns, 50 * 19 + 5, "q")) < 60_000


def test_only_core_controls_are_used(view):
    assert {type(widget).__name__ for widget in all_of(view.box)} <= {"HTML", "Dropdown", "IntSlider", "Button", "VBox", "HBox"}
    assert sum(isinstance(widget, Button) for widget in all_of(view.box)) == 5


# ------------------------------------------------------------------------------------------ agents and games of every kind

def test_an_agent_without_values_shows_its_probabilities_and_nothing_else(trained):
    view = inspect_tokens(*trained["bc"])
    assert [colour for _, colour in view.colour.options] == ["policy"] == [view.colour.value]
    click(view, "Next ▶")
    assert "guided" not in html_of(view) and "nan" not in html_of(view) and "Q" not in said(view)
    assert "nan" not in repr(view).lower() and words(view.table.value)[:2] == ["token (✓ taken)", "policy alone"]
    assert not any("disagreement" in getattr(widget, "description", "") for widget in all_of(view.box))


def test_values_that_do_not_guide_are_shown_too(trained):
    agent, episode = trained["maze-fo"]
    view = inspect_tokens(agent.with_decoding(beta=0.0), episode, colour="v")
    assert [colour for _, colour in view.colour.options] == ["q", "v", "advantage", "policy"] and view.colour.value == "v"
    assert "Q" in said(view) and "guided" not in said(view)


def test_a_game_that_a_person_played_is_looked_into(trained):
    agent, _ = trained["maze-po"]
    game = lab.play("maze-po", options={"start": (5, 3)})
    for action in [*["move right"] * 3, *["move down"] * 3]:
        game.step(action)
    view = inspect_tokens(agent, game.episodes[0], colour="kl")
    click(view, "Last")
    assert "played by human, return −5" in view.header.value and "return that followed 0" in said(view)


def test_a_game_of_one_move_needs_no_slider(trained):
    agent, episode = trained["maze-fo"]
    view = inspect_tokens(agent, Episode("maze-fo", episode.turns[:3], False, True))
    assert view.slider.layout.display == "none" and all(button.disabled for button in view.buttons)
    view.go(2)
    assert view.slider.value == 1 and "token 1 of 1" in said(view)


def test_a_move_that_is_not_legal_is_looked_into_as_well(trained):
    agent, episode = trained["maze-fo"]
    turns = [lab.Turn(t.text, t.is_action, t.reward) for t in episode.turns[:3]]
    turns[1].text = "dance"
    view = inspect_tokens(agent, Episode("maze-fo", turns, False, True))
    assert "[UNK]" in said(view)


def test_a_wrong_colour_or_game_is_an_error(trained):
    agent, episode = trained["maze-fo"]
    with pytest.raises(ValueError, match="colour is one of q, v"):
        inspect_tokens(agent, episode, colour="Q")
    with pytest.raises(ValueError, match="trained for 'maze-fo'"):
        inspect_tokens(agent, trained["maze-po"][1])


# ------------------------------------------------------------------------------------------ the plain twin

def test_it_has_a_plain_twin_of_the_chosen_token_and_a_table_of_all(view):
    view.go(7)
    bundle = view._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == view.box.model_id
    plain = bundle["text/plain"]
    assert "token 7 of" in plain and "return_to_go" in plain and "token_id" not in plain
    found = words(bundle["text/html"])
    for part in (*words(view.tokens.value), *words(view.table.value), *words(view.legend.value), "All action tokens"):
        assert part in found
    assert "script" not in bundle["text/html"] and 'aria-current="true"' in bundle["text/html"]


def test_importing_the_inspector_needs_no_torch_and_no_pandas():
    code = ("import sys; from lmrl_lab.widgets import inspect_tokens, inspector, draw_tokens; "
            "sys.exit(any(m in sys.modules for m in ('torch', 'pandas', 'matplotlib')))")
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=60).returncode == 0
