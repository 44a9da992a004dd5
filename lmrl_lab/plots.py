"""Figures. Each is a Picture: an image that carries its alt text into the notebook, on GitHub too.

matplotlib without pyplot, so nothing is shown twice and no global state is left behind.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from PIL import Image

from lmrl_lab.env import TASKS

# readable in greyscale and for colour-blind readers (Okabe and Ito)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


class Words:
    """A table with sentences in it: in a notebook whole and to the left, its row names in one line; as text, plain columns."""

    def __init__(self, table: pd.DataFrame):
        self.table = table

    def _repr_html_(self) -> str:
        def cell(value, tag: str = "td") -> str:
            side = "right" if isinstance(value, (int, float, np.number)) else "left"
            text = html.escape(f"{value:.2f}" if isinstance(value, (float, np.floating)) else str(value))
            nowrap = "white-space:nowrap;" if tag == "th" else ""  # styles in place: those of a <style> are lost on GitHub
            return f'<{tag} style="text-align:{side};vertical-align:top;{nowrap}">{text}</{tag}>'

        head = "".join(cell(name, "th") for name in (self.table.index.name or "", *self.table))
        rows = "".join(f"<tr>{cell(name, 'th')}{''.join(map(cell, row))}</tr>" for name, *row in self.table.itertuples())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def __repr__(self) -> str:
        return self.table.to_string(float_format="{:.2f}".format)


class Picture:
    """A matplotlib figure and its alt text; shows itself in a notebook as an <img> on a white card."""

    def __init__(self, figure: Figure, alt: str):
        self.figure, self.alt = figure, alt

    def png(self, dpi: int = 100) -> bytes:
        drawn, small = io.BytesIO(), io.BytesIO()
        self.figure.savefig(drawn, format="png", dpi=dpi, bbox_inches="tight", facecolor="white")
        # few colours, a third of the bytes, in notebooks that hold a dozen pictures; without a scale of colours fewer still
        scale = any(part.get_array() is not None for ax in self.figure.axes for part in [*ax.images, *ax.collections])
        few = Image.open(drawn).convert("RGB").quantize(256 if scale else 64, dither=Image.Dither.NONE)
        few.save(small, "png", optimize=True)
        return small.getvalue()

    def save(self, path) -> None:
        with open(path, "wb") as file:
            file.write(self.png())

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.png()).decode()
        return (f'<img alt="{html.escape(self.alt, quote=True)}" src="data:image/png;base64,{data}" '
                'style="max-width:100%;background:#fff;border-radius:6px;padding:4px">')

    def __repr__(self) -> str:
        return self.alt


def _axes(width: float = 6.4, height: float = 3.6, columns: int = 1):
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes[0] if columns == 1 else axes


def learning_curves(histories: Mapping[str, pd.DataFrame | Sequence[pd.DataFrame]], metric: str = "loss",
                    x: str = "step", title: str = "") -> Picture:
    """One line a name; several histories of a name (seeds) give their mean and the band from lowest to highest."""
    figure, ax = _axes()
    said = []
    for n, (name, runs) in enumerate(histories.items()):
        runs = [runs] if isinstance(runs, pd.DataFrame) else list(runs)
        table = pd.concat([run.dropna(subset=[metric]).set_index(x)[metric] for run in runs], axis=1).interpolate("index")
        mean = table.mean(axis=1)
        ax.plot(mean.index, mean, color=COLOURS[n % 7], label=name)
        if len(runs) > 1:
            ax.fill_between(table.index, table.min(axis=1), table.max(axis=1), color=COLOURS[n % 7], alpha=0.2, lw=0)
        said.append(f"{name} goes from {mean.iloc[0]:.3g} to {mean.iloc[-1]:.3g}")
    ax.set(xlabel=x, ylabel=metric, title=title)
    if len(histories) > 1:
        ax.legend(frameon=False)
    return Picture(figure, f"{title or metric}: {metric} against {x}. " + "; ".join(said) + ".")


def run_curves(runs: Mapping[str, pd.DataFrame], panels: Mapping[str, str], logarithmic: Sequence[str] = (),
               lowest: float = 1e-5) -> Picture:
    """Several columns of several histories: two panels a row, a line a run.

    runs: name -> history; panels: column -> title; logarithmic: columns with a logarithmic scale, cut off at `lowest`.
    """
    figure, said = Figure(figsize=(5.4, 0.5 + 1.65 * ((len(panels) + 1) // 2)), layout="constrained"), []
    axes = figure.subplots((len(panels) + 1) // 2, 2, sharex=True, squeeze=False).flat
    for ax, (column, title) in zip(axes, panels.items(), strict=False):
        for n, (name, history) in enumerate(runs.items()):
            ax.plot(history["step"], history[column], ["-", "--", ":", "-."][n % 4], color=COLOURS[n % 7], lw=1.2, label=name)
        if column in logarithmic:
            ax.set_yscale("log")
            bottom, top = ax.get_ylim()
            ax.set_ylim(max(bottom, lowest), max(top, 10 * lowest))
        ax.set_title(title, fontsize=9)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
        said.append(f"{title}: " + ", ".join(f"{name} {history[column].iloc[0]:.3g} to {history[column].iloc[-1]:.3g}"
                                             for name, history in runs.items()))
    for ax in figure.axes[len(panels):]:
        ax.remove()
    for ax in figure.axes[-2:]:
        ax.set_xlabel("round")
        ax.tick_params(labelbottom=True)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return Picture(figure, "Round by round, first to last. " + "; ".join(said) + ".")


def online_curves(table: pd.DataFrame, lines: Mapping[str, Mapping[str, float]] | None = None) -> Picture:
    """Return of the games that were played to learn from, against their number: a panel a task, a line an algorithm.

    table: a row a task, algorithm, seed and round with `episodes` and `mean_return` (`maze_online.csv`); the line is the mean of
    the seeds, the band reaches from the lowest to the highest. lines: task -> name -> a return to draw across its panel.
    """
    tasks = list(dict.fromkeys(table["task"]))
    figure, axes = _axes(4.2 * len(tasks), 3.4, len(tasks))
    axes, said = np.atleast_1d(axes), []
    for ax, task in zip(axes, tasks, strict=True):
        here = table[table["task"] == task]
        first, *_, last = here.groupby("episodes")["mean_return"].mean()
        for n, (name, runs) in enumerate(here.groupby("algorithm", sort=False)):
            line = runs.groupby("episodes")["mean_return"].agg(["mean", "min", "max"])
            ax.plot(line.index, line["mean"], ["-", "--", "-."][n % 3], color=COLOURS[n % 7], label=name)
            ax.fill_between(line.index, line["min"], line["max"], color=COLOURS[n % 7], alpha=0.15, lw=0)
            said.append(f"{name} on {task} goes from {line['mean'].iloc[0]:.1f} to {line['mean'].iloc[-1]:.1f} "
                        f"in {line.index[-1]:,} games")
        for name, value in (lines or {}).get(task, {}).items():
            ax.axhline(value, color="#777", ls=":", lw=1.2)
            x, side = (0.01, "left") if abs(first - value) > abs(last - value) else (0.99, "right")  # away from the curves
            ax.annotate(name, (x, value), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points", ha=side,
                        fontsize=8, color="#555")
        ax.set(title=task, xlabel="games played")
    axes[0].set_ylabel("return of the games played")
    axes[-1].legend(frameon=False, fontsize=9)
    return Picture(figure, "Return against games played, mean over seeds. " + "; ".join(said) + ".")


def score_table(scores: Sequence) -> pd.DataFrame:
    """Scores as a table, a row each: return, its 95% interval (NaN: too few games), normalised score, success, invalid, games;
    where there are some, games that a policy could not read to their end."""
    intervals = [f"{s.interval[0]:.2f} to {s.interval[1]:.2f}".replace("nan to nan", "too few games") for s in scores]
    long = any(s.outgrown for s in scores)
    return pd.DataFrame([{"policy": s.policy, "return": f"{s.mean_return:.2f}",
                          "95% interval": interval, "score": f"{s.normalized:.1f}",
                          "success": f"{s.success_rate:.0%}", "invalid": f"{s.invalid_rate:.1%}", "games": s.episodes,
                          **({"too long to read": s.outgrown} if long else {})}
                         for s, interval in zip(scores, intervals, strict=True)]).set_index("policy")


def compare(scores: Sequence, paper: Mapping[str, float] | None = None, title: str = "", references=None,
            kinds: Sequence[str] | None = None) -> Picture:
    """Mean returns with their intervals, best at the top; the card's references as lines, the paper's as hollow marks.

    references: those of a game that keywords have changed, from `card.references_with(keywords)`. kinds: of each score the
    kind of its player; each kind has a colour and a mark of its own.
    """
    card = TASKS[scores[0].task]
    best = references or card.references
    digits = 1 if best.best - best.minimum > 10 else 2  # mazes: tens; a share of games won: hundredths
    groups = list(dict.fromkeys(kinds or [""]))
    ordered = sorted(zip(scores, kinds or [""] * len(scores), strict=True), key=lambda pair: pair[0].mean_return)
    figure, ax = _axes(6.8, 1.3 + 0.42 * len(ordered))
    for y, (s, kind) in enumerate(ordered):
        (low, high), n = s.interval, groups.index(kind)
        ax.plot([low, high], [y, y], color=COLOURS[n % 7], lw=3, solid_capstyle="round")
        ax.plot(s.mean_return, y, MARKERS[n % 7], color=COLOURS[n % 7], ms=8)
        ax.annotate(f"{s.mean_return:.{digits}f}", (s.mean_return, y), (0, 7), textcoords="offset points", ha="center",
                    fontsize=9, bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"}, zorder=5)
        if paper and s.policy in paper:
            ax.plot(paper[s.policy], y, "D", color=COLOURS[1], mfc="none", ms=8)
    for value, name in ((best.behaviour, "behaviour data"), (best.best, "best known")):
        ax.axvline(value, color="#777", ls=":", lw=1.2)
        ax.annotate(name, (value, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points", ha="center",
                    fontsize=9, color="#555")
    ordered = [s for s, _ in ordered]
    ax.set_yticks(range(len(ordered)), [s.policy for s in ordered])
    ax.set_ylim(-0.6, len(ordered) - 0.25)
    if kinds:
        marks = [Line2D([], [], marker=MARKERS[n % 7], color=COLOURS[n % 7], lw=0, label=kind) for n, kind in enumerate(groups)]
        figure.legend(handles=marks, frameon=False, loc="outside lower right", ncols=len(groups), fontsize=9)
    low, high = ax.get_xlim()
    ax.set_xlim(low - 0.03 * (high - low), high + 0.03 * (high - low))
    ax.set_xlabel("return (mean and 95% interval)" + ("; diamond: the paper's" if paper else ""))
    ax.set_title(title, pad=20)
    alt = "; ".join(f"{s.policy} {s.mean_return:.{digits}f}" + f" ({s.interval[0]:.{digits}f} to {s.interval[1]:.{digits}f})"
                    * bool(np.isfinite(s.interval).all()) for s in ordered[::-1])
    return Picture(figure, f"{title or 'Returns'} on {card.id}: {alt}.")


def histogram(groups: Mapping[str, Sequence[float]], xlabel: str, title: str = "", bins=30) -> Picture:
    """Shares of each group's values over common bins; several groups are drawn as outlines, which hide nothing."""
    figure, ax = _axes()
    edges = np.histogram_bin_edges(np.concatenate([np.asarray(v, float) for v in groups.values()]), bins)
    for n, (name, values) in enumerate(groups.items()):
        look = {"histtype": "step", "lw": 2, "ls": ("-", "--", "-.", ":")[n % 4]} if len(groups) > 1 else {"alpha": 0.8}
        ax.hist(values, edges, weights=np.full(len(values), 1 / len(values)), label=f"{name} (mean {np.mean(values):.3g})",
                color=COLOURS[n % 7], **look)
    ax.set(xlabel=xlabel, ylabel="share", title=title)
    if len(groups) > 1:
        ax.legend(frameon=False)
    return Picture(figure, f"{title or xlabel}: histogram of {xlabel}; "
                   + "; ".join(f"{k}: mean {np.mean(v):.3g}, {len(v)} values" for k, v in groups.items()) + ".")


def against_entropy(frame: pd.DataFrame, title: str = "", best: float | None = None) -> Picture:
    """Return against how decided a player is, one line a method through its temperatures, seeds averaged.

    frame: columns method, seed, temperature, entropy (nats an action), mean_return. The band reaches from the lowest to the
    highest seed; `best`: a line across, the best known return.
    """
    figure, ax = _axes(6.8, 4.0)
    said = []
    for n, (method, runs) in enumerate(frame.groupby("method", sort=False)):
        points = runs.groupby("temperature")[["entropy", "mean_return"]].agg(["mean", "min", "max"]).sort_index()
        x, y = points["entropy", "mean"], points["mean_return"]
        ax.plot(x, y["mean"], MARKERS[n % 7] + "-", color=COLOURS[n % 7], ms=5, label=method)
        ax.fill_between(x, y["min"], y["max"], color=COLOURS[n % 7], alpha=0.2, lw=0)
        said.append(f"{method}: " + ", ".join(f"{r:.2f} at {h:.2f}" for h, r in zip(x, y["mean"], strict=True)))
    if best is not None:
        ax.axhline(best, color="#777", ls=":", lw=1.2)
        ax.annotate("best known", (0.99, best), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                    ha="right", fontsize=9, color="#555")
    ax.set(xlabel="entropy of the choice, nats an action (0: greedy)", ylabel="mean return", title=title)
    ax.legend(framealpha=1, edgecolor="none", fontsize=9)  # above the dotted line
    return Picture(figure, f"{title or 'Return against entropy'}: mean return at entropy in nats an action. "
                   + "; ".join(said) + ".")


def over_turns(groups: Mapping[str, np.ndarray], ylabel: str, title: str = "") -> Picture:
    """How a number develops over a game, one line a group: the mean, and the band of the middle 80% of the games.

    groups: name -> (games, turns + 1), from before the first turn on; the scale is logarithmic.
    """
    figure, ax = _axes()
    said = []
    for n, (name, numbers) in enumerate(groups.items()):
        x, mean = np.arange(numbers.shape[1]), numbers.mean(0)
        ax.plot(x, mean, MARKERS[n % 7] + "-", color=COLOURS[n % 7], ms=5, label=name)
        ax.fill_between(x, *np.quantile(numbers, (0.1, 0.9), axis=0), color=COLOURS[n % 7], alpha=0.12, lw=0)
        said.append(f"{name}: " + ", ".join(f"{value:.3g}" for value in mean))
    ax.set(xlabel="turns played", ylabel=ylabel, title=title, yscale="log")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.legend(frameon=False)
    return Picture(figure, f"{title or ylabel}: mean number of {ylabel} after each turn, from before the first. "
                   + "; ".join(said) + ".")


def score_map(table: pd.DataFrame, title: str = "") -> Picture:
    """A benchmark as a map: tasks down, algorithms across, the normalised score as colour and the return as a number.

    table: a row a task and algorithm (or its name) with `mean_return` and `normalized`, in the order wanted
    (`benchmark_table.csv` at one temperature). The colours end at 0 and 100; a cell that is not there stays white.
    """
    tasks, algorithms = list(dict.fromkeys(table["task"])), list(dict.fromkeys(table["algorithm"]))
    scores, returns = (table.pivot(index="task", columns="algorithm", values=name).loc[tasks, algorithms]
                       for name in ("normalized", "mean_return"))
    told = returns.map(lambda value: f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}")
    figure, ax = _axes(1.6 + 1.0 * len(algorithms), 0.9 + 0.42 * len(tasks))
    shown = ax.imshow(scores.to_numpy(float), cmap="viridis", vmin=0, vmax=100, aspect="auto")
    for (r, c), score in np.ndenumerate(scores.to_numpy(float)):
        if np.isfinite(score):
            ax.text(c, r, told.iloc[r, c], ha="center", va="center", fontsize=9,
                    color="black" if score > 60 else "white")
    ax.set_xticks(range(len(algorithms)), [name.replace(" ", "\n", 1) for name in algorithms], fontsize=9)
    ax.set_yticks(range(len(tasks)), tasks, fontsize=9)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title, fontsize=10)
    figure.colorbar(shown, ax=ax, label="score", shrink=0.9)
    said = "; ".join(f"{task}: " + ", ".join(f"{name} {told.loc[task, name]} ({scores.loc[task, name]:.0f})"
                                             for name in algorithms if np.isfinite(scores.loc[task, name])) for task in tasks)
    return Picture(figure, f"{title or 'Scores'}: return, and in brackets the score, of each algorithm on each task. {said}.")


def maze_map(of, values: Sequence[float] | None = None, table: np.ndarray | None = None, title: str = "", label: str = "",
             ax=None, limits: tuple[float, float] | None = None) -> Picture | None:
    """A maze with a number a cell as colour (`values`, NaN: none) and a policy as arrows (`table`, (cells, 4)).

    An arrowhead's area is the probability of that move. With `ax`, draws into it and returns None. `limits`: the ends of
    a colour scale that several maps share; no scale is drawn then.
    """
    figure, own = (None, ax) if ax is not None else _axes(6.0, 4.4)
    heat = np.full((len(of.rows), len(of.rows[0])), np.nan)
    if values is not None:
        for cell, value in zip(of.cells, values, strict=True):
            heat[cell] = value
    walls = np.array([[x == "#" for x in row] for row in of.rows])
    own.imshow(np.where(walls, 0.25, np.nan), cmap="gray", vmin=0, vmax=1)
    low, high = limits or (None, None)
    shown = own.imshow(heat, cmap="viridis", vmin=low, vmax=high) if values is not None else None
    if shown is not None and limits is None:
        own.figure.colorbar(shown, ax=own, label=label, shrink=0.8)
    if table is not None:
        for (r, c), row in zip(of.cells, table, strict=True):
            if (r, c) == of.goal:
                continue
            for p, (dr, dc) in zip(row, ((-1, 0), (1, 0), (0, -1), (0, 1)), strict=True):
                if p >= 0.005:  # the area is the probability
                    size = p**0.5
                    tip, wide = np.array([c + (0.06 + 0.4 * size) * dc, r + (0.06 + 0.4 * size) * dr]), 0.24 * size
                    base = np.array([c + 0.06 * dc, r + 0.06 * dr])
                    side = wide * np.array([dr, dc])
                    own.fill(*np.array([tip, base + side, base - side]).T, fc="#D55E00", ec="white", lw=0.4)
    own.text(of.goal[1], of.goal[0], "G", ha="center", va="center", weight="bold",
             bbox={"boxstyle": "circle,pad=0.15", "fc": "white", "ec": "#333"})
    own.set_xticks(range(walls.shape[1]))
    own.set_yticks(range(walls.shape[0]))
    own.tick_params(length=0, labelsize=8)
    own.spines[:].set_visible(False)
    own.set_title(title)
    if figure is None:
        return None
    finite = [] if values is None else [v for v in values if np.isfinite(v)]
    span = f"; {label} from {min(finite):.3g} to {max(finite):.3g}" if finite else ""
    arrows = "; arrows show the policy's moves" if table is not None else ""
    return Picture(figure, f"{title or 'Map'}: a maze of {len(of.cells)} cells, goal at {of.goal}{span}{arrows}.")


def side_by_side(of, panels: Mapping[str, dict], label: str = "") -> Picture:
    """Several `maze_map`s in a row, on one scale of colours: title -> the arguments `values` and `table`."""
    figure, axes = _axes(3.3 * len(panels) + 0.8, 2.9, len(panels))
    values = [v for content in panels.values() for v in content.get("values", ()) if np.isfinite(v)]
    for ax, (title, content) in zip(np.atleast_1d(axes), panels.items(), strict=True):
        maze_map(of, title=title, ax=ax, limits=(min(values), max(values)) if values else None, **content)
        if "values" in content:
            shown = ax.images[-1]
    if values:
        figure.colorbar(shown, ax=axes, label=label, shrink=0.8)
    return Picture(figure, "Mazes side by side: " + "; ".join(panels) + ".")


def house_maps(home, panels: Mapping[str, Mapping[str, float]], label: str = "", form: str = "{:.2f}",
               limits: tuple[float, float] | None = None) -> Picture:
    """Plans of a Text-Nav house, two in a row, a number a room: title -> {room: number}, on one scale of colours.

    A room without a number, or with NaN, stays white. `form` writes the numbers; `limits`: the ends of the scale, else those of
    the numbers.
    """
    columns, rows = (max(place[i] for place in home.positions.values()) + 1 for i in (0, 1))
    across, down, size = min(2, len(panels)), (len(panels) + 1) // 2, 1.05 if len(panels) == 1 else 0.8
    figure = Figure(figsize=(size * columns * across + 0.9, (0.78 * size * rows + 0.4) * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False)
    numbers = [v for values in panels.values() for v in values.values() if np.isfinite(v)]
    colours = ScalarMappable(Normalize(*(limits or (min(numbers), max(numbers)))), "viridis")
    said = []
    for ax in axes.flat:
        ax.axis("off")
    for ax, (title, values) in zip(axes.flat, panels.items(), strict=False):
        for room, (x, y) in home.positions.items():
            for other in home.exits[room].values():
                ax.plot([x, home.positions[other][0]], [y, home.positions[other][1]], color="#777", lw=7, zorder=1)
            value = values.get(room, float("nan"))
            known = bool(np.isfinite(value))
            fill = colours.to_rgba(value) if known else (1.0, 1.0, 1.0, 1.0)
            ax.add_patch(Rectangle((x - 0.42, y - 0.36), 0.84, 0.72, fc=fill, ec="#444", lw=1, zorder=2))
            ink = "white" if np.dot(fill[:3], (0.3, 0.59, 0.11)) < 0.5 else "black"
            look = {"ha": "center", "va": "center", "color": ink, "zorder": 3}
            ax.text(x, y - 0.13, room.replace(" ", "\n"), fontsize=7.5, linespacing=0.9, **look)
            ax.text(x, y + 0.22, form.format(value) if known else "", fontsize=9, weight="bold", **look)
        ax.set(xlim=(-0.55, columns - 0.45), ylim=(rows - 0.5, -0.5), aspect="equal")
        ax.set_title(title, fontsize=10)
        said.append(f"{title}: " + ", ".join(f"{room} {form.format(v)}" for room, v in values.items() if np.isfinite(v)))
    figure.colorbar(colours, ax=axes, label=label, shrink=0.8)
    return Picture(figure, f"Plan of the house with a number a room, {label}. " + "; ".join(said) + ".")


def calibration(frame: pd.DataFrame, title: str = "") -> Picture:
    """Q against the return that followed, token by token: is the value model right about this player?

    frame: of `inspection.calibration`. Mean and the 10 to 90% band of the returns, over up to 10 equally filled bins of Q.
    Games that were cut short stand apart: their returns stop at the cut, and Q does not.
    """
    frame = frame[frame["q"].notna()]
    if frame.empty:
        raise ValueError("this table has no Q: the agent has no value model")
    figure, ax = _axes(6.0, 4.2)
    said = []
    for n, (name, word) in enumerate((("games that ended", "return"), ("games cut short", "return until the cut"))):
        part = frame[frame["truncated"] == bool(n)]
        if part.empty:
            continue
        q, followed = part["q"].to_numpy(), part["return_to_go"].to_numpy()
        edges = np.unique(np.quantile(q, np.linspace(0, 1, 11)))
        bins = np.searchsorted(edges[1:-1], q, side="right")
        x, mean, low, high = np.array([[q[bins == b].mean(), followed[bins == b].mean(),
                                        *np.quantile(followed[bins == b], (0.1, 0.9))] for b in np.unique(bins)]).T
        ax.fill_between(x, low, high, color=COLOURS[n], alpha=0.2, lw=0)
        ax.plot(x, mean, MARKERS[n] + "-", color=COLOURS[n], ms=5, label=f"{name} ({len(q)} action tokens)")
        said.append(f"{name.capitalize()}: {len(q)} action token{'s' * (len(q) > 1)}, mean Q {q.mean():.2f}, mean {word} "
                    f"{followed.mean():.2f}, root mean square difference {((q - followed) ** 2).mean() ** 0.5:.2f}")
    ends = frame["q"].min(), frame["q"].max()
    ax.plot(ends, ends, ls=":", color="#555", label="Q = return")
    ax.set(xlabel="Q of the token that was taken", ylabel="return that followed", title=title)
    ax.legend(frameon=False, fontsize=9)
    return Picture(figure, f"{title or 'Calibration'}: return that followed against Q, with the line where they are equal. "
                   + ". ".join(said) + ".")


class TokenStrip:
    """Tokens as chips, action tokens framed and marked; a number under each, if given. Plain text: `repr`."""

    def __init__(self, tokens: Sequence[str], action_mask: Sequence[bool], numbers: Mapping[str, Sequence] | None = None):
        self.tokens = [token.replace("\n", "↵") for token in tokens]
        self.mask, self.numbers = [bool(m) for m in action_mask], dict(numbers or {})

    def __repr__(self) -> str:
        return " ".join(f"[{t}]" if m else t for t, m in zip(self.tokens, self.mask, strict=True))

    def _repr_html_(self) -> str:
        chips = []
        for i, (token, action) in enumerate(zip(self.tokens, self.mask, strict=True)):
            frame = "2px solid #D55E00" if action else "1px solid #999"
            below = "".join(f'<div style="font-size:10px;color:#777">{name} {column[i]}</div>'
                            for name, column in self.numbers.items() if column[i] not in (None, ""))
            chips.append('<span style="display:inline-block;vertical-align:top;text-align:center;margin:2px">'
                         f'<span style="border:{frame};border-radius:4px;padding:1px 5px;font-family:monospace;'
                         f'font-weight:{"bold" if action else "normal"}">{html.escape(token)}</span>{below}</span>')
        return ('<div role="img" aria-label="tokens in order, action tokens in brackets: '
                f'{html.escape(repr(self), quote=True)}">{"".join(chips)}'
                '<div style="font-size:11px;color:#777">bold with a thick frame: action tokens; ↵ is a newline</div></div>')
