"""`LiveCurve`: a chart that grows while something trains, and stays in the saved notebook as a still picture.

It is an ordinary output that is updated in place (`update_display`), not a widget: every kind of notebook keeps it.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Mapping, Sequence

from IPython import get_ipython
from IPython.display import display, update_display

from lmrl_lab.widgets.draw import as_image, label, rect, svg

COLORS = ("#0072b2", "#d55e00", "#009e73", "#aa4499")
DASHES = ("none", "7 3", "2 3", "9 3 2 3")
INK, FAINT, GRID = "#24292f", "#57606a", "#e3e6ea"
LEFT, BOTTOM, LEGEND, POINTS = 56, 38, 17, 240  # pixels, pixels, pixels a line, points drawn of a series at most
Series = list[tuple[float, float]]


class LiveCurve:
    """Give it to training as its callback: `curve(row, history)`; `curve.finish()` draws the last state.

    metrics: names to draw, each in a panel of its own; a tuple of names shares one. None: the loss, and whatever is
    called a return or an evaluation.
    references: name -> level, drawn as lines where returns are. every: seconds between two pictures.
    """

    def __init__(self, metrics: Sequence[str | tuple[str, ...]] | None = None, title: str = "",
                 references: Mapping[str, float] | None = None, every: float = 0.5):
        self.metrics, self.title, self.references, self.every = metrics, title, dict(references or {}), every
        self._history: Sequence[dict] = []
        self._rows, self._drawn, self._cell, self._display_id, self._still = 0, -math.inf, None, None, False

    def __call__(self, row: dict, history: Sequence[dict]) -> None:
        """Take note of the newest row, and redraw if the last picture is older than `every` seconds."""
        cell = getattr(get_ipython(), "execution_count", None)
        if len(history) < self._rows or cell != self._cell:  # another run, or the cell ran again and its output is gone
            self._display_id, self._drawn = None, -math.inf
        self._history, self._rows, self._cell, self._still = history, len(history), cell, False
        if time.monotonic() - self._drawn >= self.every:
            self._show()

    def finish(self) -> None:
        """Draw everything there is, as an image that viewers of saved notebooks do not strip."""
        if self._rows:
            self._history, self._still = list(self._history), True
            self._show()

    def _show(self) -> None:
        if self._display_id is None:
            self._display_id = secrets.token_hex(8)
            display(self, display_id=self._display_id)
        else:
            update_display(self, display_id=self._display_id)
        self._drawn = time.monotonic()

    def _repr_html_(self) -> str:
        picture = draw_curves(self._history, self.metrics, self.title, self.references)
        return as_image(picture) if self._still else picture

    def __repr__(self) -> str:
        return curve_words(self._history, _panels(self._history, self.metrics), self.title, self.references)


# ------------------------------------------------------------------------------------------------------ the data

def _panels(history: Sequence[dict], metrics) -> list[tuple[str, ...]]:
    if metrics is not None:
        return [(names,) if isinstance(names, str) else tuple(names) for names in metrics]
    seen = dict.fromkeys(name for row in history for name in row)
    return [(name,) for name in seen if name == "loss" or "return" in name or name.startswith("eval")] or [("loss",)]


def _number(value) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _series(history: Sequence[dict], name: str) -> tuple[Series, float | None]:
    """(the finite points as (step, value), the last value, which may be nan or None)."""
    values = [(float(row.get("step", k)), _number(row.get(name))) for k, row in enumerate(history, start=1)]
    values = [(step, value) for step, value in values if value is not None]
    return [p for p in values if math.isfinite(p[1])], values[-1][1] if values else None


def _thinned(points: Series) -> Series:
    """About POINTS points at most: means of equally many neighbours between the first and the last."""
    size = -(-len(points) // POINTS)
    if size <= 1:
        return points
    groups = [points[i:i + size] for i in range(1, len(points) - 1, size)]
    return [points[0], *(tuple(sum(column) / len(group) for column in zip(*group)) for group in groups), points[-1]]


def _takes_references(names: tuple[str, ...]) -> bool:
    return any("return" in name for name in names)


def curve_words(history: Sequence[dict], panels: list[tuple[str, ...]], title: str,
                references: Mapping[str, float]) -> str:
    """The picture in words: the newest value of each metric, and the reference levels."""
    last = history[-1].get("step", len(history)) if history else 0
    said = [f"{name} {short(value)}" for names in panels for name in names
            for value in [_series(history, name)[1]] if value is not None]
    if any(map(_takes_references, panels)):
        said += [f"{name} is at {short(level)}" for name, level in references.items()]
    return f"{title or 'Learning curve'}, step {last:g}: {', '.join(said) or 'no numbers yet'}"


# ------------------------------------------------------------------------------------------------------ the picture

def short(value: float) -> str:
    """Three significant digits: '12,300', '−6.84', '0.00031'."""
    if not math.isfinite(value):
        return str(value)
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.1e}".replace("-", "−")
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    words = f"{value:,.{digits}f}"
    return (words.rstrip("0").rstrip(".") if "." in words else words).replace("-", "−")


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) from `low` to `high`."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def draw_curves(history: Sequence[dict], metrics=None, title: str = "",
                references: Mapping[str, float] | None = None) -> str:
    """An SVG with a panel for each metric over `step`; arguments as for LiveCurve."""
    panels, references = _panels(history, metrics), references or {}
    columns = min(2, len(panels))
    width, height, top = (620, 290, 30 if title else 6) if columns == 1 else (380, 250, 30 if title else 6)
    rows = -(-len(panels) // columns)
    total = (columns * width + 16, rows * height + top + 6)
    parts = [rect(0.5, 0.5, total[0] - 1, total[1] - 1, "#ffffff", 'rx="6" stroke="#d0d4da"')]
    if title:
        parts.append(label(16, 20, title, 14, INK, "start", "600"))
    for k, names in enumerate(panels):
        x, y = 8 + (k % columns) * width, top + (k // columns) * height
        parts.append(f'<g transform="translate({x} {y})">{_panel(history, names, references, width, height)}</g>')
    return svg(*total, curve_words(history, panels, title, references), "".join(parts))


def _panel(history, names: tuple[str, ...], references: Mapping[str, float], width: int, height: int) -> str:
    lines = [_series(history, name) for name in names]
    if not _takes_references(names):
        references = {}
    levels = {name: level for name, level in references.items() if math.isfinite(level)}
    tags = [f"{name} {short(level)}" for name, level in levels.items()]
    right = width - (14 + 6.3 * max(map(len, tags)) if tags else 24)
    head, bottom = 8 + LEGEND * len(names), height - BOTTOM
    steps = [float(row.get("step", k)) for k, row in enumerate(history, start=1)] or [0.0]  # one axis for all panels
    values = [p[1] for points, _ in lines for p in points] + list(levels.values()) or [0.0]
    x_low, x_high = _widened(min(steps), max(steps), 0.0)
    y_low, y_high = _widened(min(values), max(values), 0.06)

    def at(step: float, value: float) -> tuple[float, float]:
        return (LEFT + (step - x_low) / (x_high - x_low) * (right - LEFT),
                bottom - (value - y_low) / (y_high - y_low) * (bottom - head))

    parts = []
    for value in ticks(y_low, y_high):
        y = at(x_low, value)[1]
        parts += [_line(LEFT, y, right, y, GRID), label(LEFT - 6, y, short(value), 11, FAINT, "end")]
    for step in ticks(x_low, x_high, 4):
        if step == round(step):  # steps are whole
            x = at(step, y_low)[0]
            parts += [_line(x, bottom, x, bottom + 4, FAINT), label(x, bottom + 13, short(step), 11, FAINT)]
    parts += [_line(LEFT, bottom, right, bottom, FAINT), label((LEFT + right) / 2, bottom + 29, "step", 11, FAINT)]
    parts += _references(levels, tags, at, x_low, right, head, bottom)
    for k, (name, (points, last)) in enumerate(zip(names, lines, strict=True)):
        color, dash, y = COLORS[k % 4], DASHES[k % 4], 2 + LEGEND * (k + 0.5)
        words = f"{name.replace('_', ' ')}  {'' if last is None else short(last)}"
        parts += [_line(LEFT, y, LEFT + 22, y, color, 2.5, dash), label(LEFT + 28, y, words, 12, INK, "start")]
        places = [at(*point) for point in _thinned(points)]
        if len(places) > 1:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2" '
                         f'stroke-dasharray="{dash}" stroke-linejoin="round"/>')
        if len(places) <= 40:
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.8" fill="{color}"/>' for x, y in places]
    return "".join(parts)


def _references(levels: Mapping[str, float], tags: list[str], at, x_low: float, right: float, head: float,
                bottom: float) -> list[str]:
    """Dashed lines, their names beside the panel and pushed apart where two levels are close."""
    parts, free = [], bottom + 99
    placed = sorted(((at(x_low, level)[1], tag) for level, tag in zip(levels.values(), tags)), reverse=True)
    for n, (y, tag) in enumerate(placed):  # from the lowest line up, leaving room for those above
        parts.append(_line(LEFT, y, right, y, FAINT, 1.2, "4 3"))
        free = min(free - 14, max(y, head + 14 * (len(placed) - 1 - n)))
        parts.append(label(right + 5, free, tag, 11, INK, "start"))
    return parts


def _widened(low: float, high: float, share: float) -> tuple[float, float]:
    """An interval of a length above zero, `share` wider at each end."""
    if high - low <= 1e-9 * abs(high):
        margin = 0.1 * abs(high) or 1.0
        return low - margin, high + margin
    return low - share * (high - low), high + share * (high - low)


def _line(x1: float, y1: float, x2: float, y2: float, color: str, width: float = 1, dash: str = "none") -> str:
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" stroke-width="{width}" '
            f'stroke-dasharray="{dash}"/>')
