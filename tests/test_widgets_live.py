"""The growing curve: what it draws, how often, and what it leaves in a saved notebook."""

import math
import re
import time
import xml.etree.ElementTree as ET

import pytest

from lmrl_lab.widgets import LiveCurve, live

TEXT = "{http://www.w3.org/2000/svg}text"


@pytest.fixture
def shown(monkeypatch):
    """Every picture, as (display id, html, is it new?)."""
    out = []
    monkeypatch.setattr(live, "display", lambda it, display_id: out.append((display_id, it._repr_html_(), True)))
    monkeypatch.setattr(live, "update_display",
                        lambda it, display_id: out.append((display_id, it._repr_html_(), False)))
    return out


def rows(n, every=10):
    return [{"step": 5 * k, "loss": 2 / k, "learning_rate": 1e-3, "seconds": 0.1 * k, "tokens": 100 * k,
             **({"eval_return": -90.0 + k} if k % every == 0 else {})} for k in range(1, n + 1)]


def train(curve, history):
    seen = []
    for row in history:
        seen.append(row)
        curve(row, seen)
    curve.finish()


def parsed(history, *arguments):
    picture = ET.fromstring(live.draw_curves(history, *arguments))
    assert picture.attrib["role"] == "img"
    return picture, [t.text for t in picture.iter(TEXT)]


@pytest.mark.parametrize("history", [
    [], rows(1), rows(60), rows(3000),
    [{"step": 1, "loss": math.nan}], [{"step": 1, "loss": math.inf}], [{"loss": None}],
    [{"step": k, "loss": math.nan if k % 3 else 1.0, "eval_return": -5.0} for k in range(30)],
    [{"step": k, "loss": 0.25} for k in range(9)], [{"step": k, "loss": 1e-9 * k} for k in range(9)],
    [{"step": k, "loss": 1e12 * k} for k in range(9)], [{"step": 1, "loss": "no number", "eval_<&>'\"": 3}]])
def test_any_history_is_a_well_formed_picture(history):
    picture, _ = parsed(history, None, "a <title> & more", {"best": -6.84, "lost": math.nan})
    for element in picture.iter():
        assert not any("nan" in value or "inf" in value for key, value in element.attrib.items() if key != "aria-label")


def test_the_loss_and_the_returns_are_drawn_unless_told_otherwise():
    _, texts = parsed(rows(20))
    assert "loss  0.1" in texts and "eval return  −70" in texts
    assert not any("seconds" in t or "tokens" in t for t in texts)
    _, texts = parsed(rows(20), ["learning_rate", ("loss", "eval_return")])
    assert [t for t in texts if "  " in t] == ["learning rate  0.001", "loss  0.1", "eval return  −70"]


def test_the_words_tell_the_last_values_and_the_references():
    picture, _ = parsed(rows(20), None, "ilql on maze-fo", {"behaviour": -82.31, "best": -6.84})
    assert picture.attrib["aria-label"] == ("ilql on maze-fo, step 100: loss 0.1, eval_return −70, "
                                            "behaviour is at −82.3, best is at −6.84")


def test_a_loss_that_is_no_number_is_named():
    history = [*rows(20), {"step": 105, "loss": math.nan}]
    assert "loss  nan" in parsed(history)[1]


def test_names_of_close_references_do_not_overlap_and_stay_in_the_picture():
    references = {"behaviour": -82.3, "random": -82.2, "published": -82.1, "best": -6.84, "optimum": -6.8}
    picture = ET.fromstring(live.draw_curves(rows(60), ["eval_return"], "", references))
    heights = sorted(float(t.attrib["y"]) for t in picture.iter(TEXT) if t.text.split()[0] in references)
    assert len(heights) == 5 and min(b - a for a, b in zip(heights, heights[1:])) >= 13
    assert heights[0] > 0 and heights[-1] < float(picture.attrib["height"])


def test_long_histories_draw_few_points_and_keep_the_first_and_the_last():
    points = [(float(k), float(k)) for k in range(10_000)]
    thin = live._thinned(points)
    assert len(thin) <= live.POINTS + 3 and thin[0] == points[0] and thin[-1] == points[-1]
    assert all(abs(x - y) < 1e-9 for x, y in thin)


@pytest.mark.parametrize("low, high, expected", [
    (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (-90, -5, [-80, -60, -40, -20]), (3, 303, [100, 200, 300])])
def test_ticks_are_round_numbers(low, high, expected):
    assert live.ticks(low, high) == pytest.approx(expected) or live.ticks(low, high, 4) == pytest.approx(expected)


def test_numbers_are_short():
    values = [12345, -6.84, 0.00031, 0, 1e-7, 2.5, math.nan, 1e12]
    assert [live.short(v) for v in values] == ["12,345", "−6.84", "0.00031", "0", "1.0e−07", "2.5", "nan", "1.0e+12"]


def test_pictures_are_updated_in_place_and_not_too_often(shown):
    train(LiveCurve(every=60), rows(50))
    assert [new for *_, new in shown] == [True, False] and len({i for i, *_ in shown}) == 1
    assert "<svg" in shown[0][1] and "<svg" not in shown[1][1]
    assert shown[1][1].startswith('<img alt="Learning curve, step 250')


def test_every_row_can_be_drawn(shown):
    train(LiveCurve(every=0), rows(5))
    assert len(shown) == 6


def test_another_run_gets_a_picture_of_its_own(shown):
    curve = LiveCurve(every=60)
    train(curve, rows(5))
    train(curve, rows(3))
    assert [new for *_, new in shown] == [True, False, True, False]


def test_running_the_cell_again_shows_a_new_picture_also_when_a_run_is_resumed(shown, monkeypatch):
    class Shell:
        execution_count = 1

    monkeypatch.setattr(live, "get_ipython", lambda: Shell)
    curve, history = LiveCurve(every=60), rows(5)
    train(curve, history)
    Shell.execution_count = 2
    curve({}, rows(6))
    assert [new for *_, new in shown] == [True, False, True]


def test_nothing_is_shown_before_the_first_row(shown):
    LiveCurve().finish()
    assert shown == []


def test_outside_a_notebook_it_is_a_line_of_text(capsys):
    train(LiveCurve(title="bc", every=60), rows(10))
    assert capsys.readouterr().out.splitlines() == ["bc, step 5: loss 2", "bc, step 50: loss 0.2, eval_return −80"]


def test_a_picture_takes_milliseconds():
    history = rows(1000)
    live.draw_curves(history)
    begin = time.process_time()
    live.draw_curves(history)
    assert time.process_time() - begin < 0.1


def test_the_saved_notebook_keeps_one_still_picture():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(
        "from lmrl_lab.widgets import LiveCurve\ncurve, history = LiveCurve(title='t', every=0), []\n"
        "for k in range(1, 30):\n    history.append({'step': k, 'loss': 1 / k})\n    curve(history[-1], history)\n"
        "curve.finish()")])
    nbclient.NotebookClient(notebook, timeout=60).execute()
    [output] = notebook.cells[0].outputs
    assert re.fullmatch(r'<img alt="t, step 29: loss 0.0345" .*>', output["data"]["text/html"])
    assert output["data"]["text/plain"] == "t, step 29: loss 0.0345"
