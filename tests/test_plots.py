"""Figures that notebooks share: what they draw is told in their alt text too."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import lmrl_lab as lab
from lmrl_lab import plots


def test_return_against_entropy_averages_seeds_and_tells_every_point():
    frame = pd.DataFrame([{"method": method, "seed": seed, "temperature": t, "entropy": 2.0 * t, "mean_return": level - t + seed}
                          for method, level in (("BC", -3.0), ("MC", -2.0)) for seed in (0, 1) for t in (0.0, 1.0)])
    picture = plots.against_entropy(frame, "60 words", best=-1.37)
    assert picture.alt == ("60 words: mean return at entropy in nats an action. BC: -2.50 at 0.00, -3.50 at 2.00; "
                           "MC: -1.50 at 0.00, -2.50 at 2.00.")
    assert [line.get_label() for line in picture.figure.axes[0].lines[:2]] == ["BC", "MC"]
    assert "<img alt=" in picture._repr_html_()


@pytest.mark.parametrize("scale", [True, False])
def test_a_picture_with_a_scale_of_colours_keeps_more_of_them(scale):
    if scale:
        picture = plots.score_map(pd.DataFrame([{"task": "wordle", "algorithm": "BC", "mean_return": -4.1, "normalized": 42.0}]))
    else:
        picture = plots.over_turns({"best": np.array([[400, 10, 1]])}, "words")
    colours = len(Image.open(io.BytesIO(picture.png())).convert("RGB").getcolors(2**20))
    assert (64 < colours <= 256) if scale else colours <= 64


def test_over_turns_tells_the_mean_after_each_turn():
    picture = plots.over_turns({"best": np.array([[400, 10, 1], [400, 20, 1]])}, "words that still fit", "The list")
    assert picture.alt.startswith("The list: mean number of words that still fit after each turn")
    assert picture.alt.endswith("best: 400, 15, 1.")


def test_run_curves_have_a_panel_a_column_and_a_line_a_run():
    runs = {name: pd.DataFrame({"step": [1, 2], "mean_return": [-80.0, last], "kl": [0.0, 1e-9]})
            for name, last in (("a", -7.0), ("b", -30.0))}
    picture = plots.run_curves(runs, {"mean_return": "return", "kl": "KL"}, ["kl"])
    assert picture.alt == ("Round by round, first to last. return: a -80 to -7, b -80 to -30; KL: a 0 to 1e-09, b 0 to 1e-09.")
    left, right = picture.figure.axes
    assert [line.get_ydata().tolist() for line in left.lines] == [[-80, -7], [-80, -30]] and left.get_yscale() == "linear"
    assert right.get_yscale() == "log" and right.get_ylim()[0] == 1e-5
    assert [text.get_text() for text in picture.figure.legends[0].get_texts()] == ["a", "b"]


@pytest.mark.parametrize("tasks", [["maze-fo"], ["maze-fo", "maze-po"]])
def test_online_curves_average_the_seeds_of_each_task_and_draw_what_was_named(tasks):
    table = pd.DataFrame([{"task": task, "algorithm": name, "seed": seed, "episodes": 64 * n, "mean_return": level + n + seed}
                          for task in tasks for name, level in (("ppo", -81.0), ("grpo", -91.0)) for seed in (0, 4)
                          for n in (1, 2, 3)])
    picture = plots.online_curves(table, {tasks[-1]: {"ILQL": -7.0}})
    assert "; ".join(f"{name} on {task} goes from {low:.1f} to {low + 2:.1f} in 192 games" for task in tasks
                     for name, low in (("ppo", -78.0), ("grpo", -88.0))) + "." in picture.alt
    axes = picture.figure.axes
    assert [ax.get_title() for ax in axes] == tasks
    assert [len(ax.lines) for ax in axes] == [2] * (len(tasks) - 1) + [3] and axes[-1].lines[2].get_ydata()[0] == -7.0


@pytest.mark.parametrize("size", [60, 400])
def test_compare_draws_the_references_of_the_game_that_was_played(size):
    references = lab.TASKS["wordle"].references_with({"vocabulary": size})
    picture = plots.compare([lab.evaluate("best", "wordle", 5, vocabulary=size)], references=references)
    across = {line.get_xdata()[0] for line in picture.figure.axes[0].lines if line.get_linestyle() == ":"}
    assert across == {references.behaviour, references.best}


def test_groups_of_a_histogram_are_outlines_that_hide_nothing_and_one_group_is_filled():
    values = {name: [0.0] * k + [1.0] * (4 - k) for k, name in enumerate(("a", "b", "c", "d"))}
    picture = plots.histogram(values, "return", "Four", bins=[-0.5, 0.5, 1.5])
    outlines = picture.figure.axes[0].patches
    assert not any(outline.get_fill() for outline in outlines) and len({outline.get_edgecolor() for outline in outlines}) == 4
    assert len({outline.get_linestyle() for outline in outlines}) == 4  # in greyscale too
    assert picture.alt.startswith("Four: histogram of return; a: mean 1, 4 values; b: mean 0.75, 4 values")
    assert plots.histogram({"a": [0.0, 1.0]}, "return").figure.axes[0].patches[0].get_fill()


def test_a_table_with_sentences_shows_them_whole_and_repeatably_and_has_a_plain_twin():
    table = pd.DataFrame({"task": ["a<b"], "why": ["long " * 40], "value": [-1 / 3]}).set_index("task")
    shown = plots.Words(table)
    assert "long " * 39 in shown._repr_html_() and ">-0.33<" in shown._repr_html_() and "long " * 39 in repr(shown)
    assert shown._repr_html_() == plots.Words(table.copy())._repr_html_() and "-0.33" in repr(shown)


def test_a_score_map_tells_every_cell_and_leaves_missing_ones_white():
    table = pd.DataFrame({"task": ["maze-fo", "maze-fo", "wordle"], "algorithm": ["BC", "online filtered BC", "BC"],
                          "mean_return": [-82.0, -7.25, -4.1], "normalized": [50.0, 99.5, -300.0]})
    picture = plots.score_map(table, "two tasks")
    assert picture.alt.endswith("maze-fo: BC -82.0 (50), online filtered BC -7.25 (100); wordle: BC -4.10 (-300).")
    [axes, _] = picture.figure.axes
    assert sorted(text.get_text() for text in axes.texts) == ["-4.10", "-7.25", "-82.0"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["BC", "online\nfiltered BC"]
    assert axes.images[0].get_array().mask.sum() == 1 and len(picture.png()) > 3_000
