"""Pictures and transcripts as SVG and HTML strings: pure functions, no controls, no state.

A task's picture is one function in `VIEWS`; tasks without one are shown as a chat. Pictures bring their own background,
text follows JupyterLab's theme variables and falls back to dark on white where they do not exist (Colab, GitHub).
"""

from __future__ import annotations

import base64
import importlib
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from lmrl_lab.env import TextEnv
from lmrl_lab.episode import Turn
from lmrl_lab.tasks.maze import DELTAS, SIDES, Cell, Maze

INK = "var(--jp-ui-font-color1, #1f2328)"
FAINT = "var(--jp-ui-font-color2, #57606a)"
PAPER = "var(--jp-layout-color0, #ffffff)"
PANEL = "var(--jp-layout-color2, #eef0f3)"
LINE = "var(--jp-border-color1, #b6bcc4)"
SANS = "font-family:system-ui,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
MONO = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"

WALL, RIM, FLOOR, GRID = "#3d4757", "#e8ebf0", "#fbfaf5", "#dcd9cc"
TRAIL, TRAIL_TINT, GOAL, WALKER = "#b45f06", "#fbe7c6", "#2e7d4f", "#1f5fbf"
GROUND = "#f3f4f6"  # behind a picture that is not a board
CELL = 28  # pixels
CHAT = 560  # pixels: the width of a chat and of what stands above and below it


# ------------------------------------------------------------------------------------------------------- helpers

def drawable(words: str) -> str:
    """Escaped for a picture: characters that XML does not have, control characters say, would spoil all of it."""
    return escape(re.sub(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", words))


def svg(width: float, height: float, label: str, body: str) -> str:
    """A whole picture with a text alternative; narrower than the page it shrinks, it never grows."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{drawable(label)}" '
            f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
            f'style="max-width:100%;height:auto;display:block;{SANS}">{body}</svg>')


def rect(x: float, y: float, width: float, height: float, fill: str, more: str = "") -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}" {more}/>'


def label(x: float, y: float, words: str, size: float = 12, fill: str = "#1f2328", anchor: str = "middle",
          weight: str = "normal") -> str:
    """A line of text whose middle stands at height y."""
    return (f'<text x="{x:g}" y="{y + size * 0.35:g}" font-size="{size:g}" fill="{fill}" text-anchor="{anchor}" '
            f'font-weight="{weight}" xml:space="preserve">{drawable(words)}</text>')


def card(body: str, more: str = "") -> str:
    """A block of HTML with its own ink and paper."""
    return f'<div style="color:{INK};background:{PAPER};{SANS};font-size:14px;line-height:1.45;{more}">{body}</div>'


def quote(text: str) -> str:
    """The game's own words, set apart."""
    return (f'<div style="{MONO};font-size:14px;white-space:pre-wrap;border-left:4px solid #1f5fbf;margin-bottom:6px;'
            f'padding:2px 0 2px 10px">{escape(text.strip()) or "(empty line)"}</div>')


def number(value: float) -> str:
    """At most two decimals and a real minus sign: '−6.84'."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".").replace("-", "−")  # + 0.0: no '−0'


def as_image(html: str) -> str:
    """The same HTML with each SVG as an <img>: viewers that clean a saved notebook drop <svg> but keep images."""
    def image(match):
        picture = match.group(0)
        width, height = (re.search(rf' {side}="([\d.]+)"', picture).group(1) for side in ("width", "height"))
        alternative = re.search(r'aria-label="([^"]*)"', picture).group(1)
        return (f'<img alt="{alternative}" width="{width}" height="{height}" '
                f'src="data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode()}">')
    return re.sub(r"<svg .*?</svg>", image, html, flags=re.DOTALL)


# ------------------------------------------------------------------------------------------------------- the maze

def draw_maze(maze: Maze, position: Cell | None = None, goal: bool = True, trail: Sequence[Cell] = ()) -> str:
    """The whole board: walls, goal (G), walker, visited cells from the start (a ring) on; row and column at the rim."""
    rows, columns = len(maze.rows), len(maze.rows[0])
    parts = [rect(0, 0, columns * CELL, rows * CELL, WALL, 'rx="6"')]
    for r, c in maze.cells:
        tint = TRAIL_TINT if (r, c) in trail else FLOOR
        parts.append(rect(c * CELL, r * CELL, CELL, CELL, tint, f'stroke="{GRID}" stroke-width="1"'))
    parts += [label((c + 0.5) * CELL, CELL / 2, str(c), 12, RIM) for c in range(columns)]
    parts += [label(CELL / 2, (r + 0.5) * CELL, str(r), 12, RIM) for r in range(1, rows)]
    if goal:
        r, c = maze.goal
        parts.append(rect(c * CELL + 2, r * CELL + 2, CELL - 4, CELL - 4, GOAL, 'rx="4"'))
        x, y, size = (0.2, 0.24, 9) if position == maze.goal else (0.5, 0.5, 16)  # beside the walker's head, or alone
        parts.append(label((c + x) * CELL, (r + y) * CELL, "G", size, "#ffffff", weight="bold"))
    if len(trail) > 1:
        points = " ".join(f"{(c + 0.5) * CELL:g},{(r + 0.5) * CELL:g}" for r, c in trail)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{TRAIL}" stroke-width="3" '
                     'stroke-linejoin="round" stroke-linecap="round" stroke-dasharray="1 6"/>')
        parts.append(_circle(trail[0], 6, FLOOR, f'stroke="{TRAIL}" stroke-width="2.5"'))
    if position is not None:
        aside = 4 if goal and position == maze.goal else 0  # leaves room for the G
        parts.append(walker((position[1] + 0.5) * CELL + aside, (position[0] + 0.5) * CELL))
    return svg(columns * CELL, rows * CELL, _maze_words(maze, position, goal, trail), "".join(parts))


def _circle(cell: Cell, radius: float, fill: str, more: str) -> str:
    r, c = cell
    return f'<circle cx="{(c + 0.5) * CELL:g}" cy="{(r + 0.5) * CELL:g}" r="{radius:g}" fill="{fill}" {more}/>'


def walker(x: float, y: float) -> str:
    """A pawn, head and shoulders, centred at x, y."""
    return (f'<g fill="{WALKER}" stroke="#ffffff" stroke-width="1.5"><path d="M{x - 9:g},{y + 11:g} '
            f'q0,-12 9,-12 q9,0 9,12 z"/><circle cx="{x:g}" cy="{y - 5:g}" r="5.5"/></g>')


def _maze_words(maze: Maze, position, goal: bool, trail) -> str:
    words = [f"Maze of {len(maze.rows)} rows and {len(maze.rows[0])} columns, counted from 0."]
    if goal:
        words.append("The goal is at row {}, column {}.".format(*maze.goal))
    if position is not None:
        words.append("The walker is at row {}, column {}. ".format(*position) + maze.walls[maze.index[tuple(position)]])
    if trail:
        words.append("It started at row {}, column {}".format(*trail[0]) + f" and made {len(trail) - 1} moves.")
    return " ".join(words)


def draw_surroundings(observation: str, moves: Iterable[str] = ()) -> str:
    """What a partly observed maze tells: one cell, a wall or an opening on each side; below it the last moves."""
    walled = [name for name, _ in SIDES if name in observation]
    size, thick, room = 252, 30, 104  # the picture, a wall, the cell
    x0, y0 = (size - room) / 2, 44
    parts = [rect(0, 0, size, 262, "#e9eaec", 'rx="6"'), rect(x0, y0, room, room, FLOOR, f'stroke="{GRID}"')]
    for name, (dr, dc) in SIDES:
        x = x0 + (room if dc > 0 else -thick if dc < 0 else 0)
        y = y0 + (room if dr > 0 else -thick if dr < 0 else 0)
        width, height = (thick, room) if dc else (room, thick)
        wall = name in walled
        parts.append(rect(x, y, width, height, WALL if wall else FLOOR))
        turned = f'transform="rotate({90 * dc} {x + width / 2:g} {y + height / 2:g})"' if dc else ""
        words = label(x + width / 2, y + height / 2, "wall" if wall else "open", 13, "#ffffff" if wall else "#57606a")
        parts.append(f"<g {turned}>{words}</g>")
    parts.append(walker(x0 + room / 2, y0 + room / 2))
    moves = list(moves)
    parts.append(label(size / 2, 204, "your last moves (× = into a wall)", 12, "#57606a"))
    parts.append(label(size / 2, 230, "  ".join(moves[-8:]) or "none yet", 17 if moves else 12))
    named = {"→": "right", "←": "left", "↑": "up", "↓": "down", "?": "not a move", "×": " (into a wall)"}
    said = ", ".join("".join(named[mark] for mark in move) for move in moves[-8:])
    return svg(size, 262, f"{observation.strip()} Your last moves: {said or 'none yet'}.", "".join(parts))


def _bumped(observation: str, action: str) -> bool:
    return any(DELTAS[action] == delta and name in observation for name, delta in SIDES)


def view_maze(turns: Sequence[Turn], env: TextEnv, reveal: bool) -> str:
    """Fully observed, or `reveal`: the board. Partly observed: the last observation and the moves, nothing else."""
    steps = [(turns[i - 1].text, turns[i].text) for i in range(1, len(turns), 2)]  # (observation, action)
    if env.observable == "partial" and not reveal:
        arrows = dict(zip(DELTAS, "↑↓←→", strict=True))
        moves = [arrows.get(action, "?") + "×" * (action in DELTAS and _bumped(seen, action)) for seen, action in steps]
        return draw_surroundings(turns[-1].text, moves)
    position = env.position
    trail = [position]
    for seen, action in reversed(steps):  # walls are in the text, so the way can be walked back from its end
        if action in DELTAS and not _bumped(seen, action):
            dr, dc = DELTAS[action]
            trail.append((trail[-1][0] - dr, trail[-1][1] - dc))
    return draw_maze(env.maze, position, trail=trail[::-1])


# ------------------------------------------------------------------------------------------------- text and tables

class Note(NamedTuple):
    """Words beneath a speech bubble; `failed`: what was said was not understood, and the bubble is drawn so."""

    words: str
    failed: bool = False


def draw_chat(turns: Sequence[Turn], player: str | Sequence[str] = "You", partner: str = "Game",
              notes: Mapping[int, Note] | None = None, count: str = "") -> str:
    """Speech bubbles, the game or partner on the left, the player on the right; it stays scrolled to the end.

    player: a name, or one an action. notes: index of a turn -> what stands beneath its bubble. count: how the actions are
    numbered, "question {}". An empty first observation, of a talk that the player begins, has no bubble.
    """
    bubbles, notes = [], notes or {}
    players = itertools.repeat(player) if isinstance(player, str) else iter(player)
    for i, turn in enumerate(turns):
        who, side = (next(players), "end") if turn.is_action else (partner, "start")
        if not i and not turn.text.strip():
            continue
        note = notes.get(i, Note(""))
        colors = "color:#ffffff;background:#1f5fbf;border:1px solid #1f5fbf" if turn.is_action else (
            f"color:{INK};background:{PANEL};border:1px solid transparent")
        if note.failed:
            colors = f"color:{FAINT};background:none;border:1px dashed {FAINT}"
        if count and turn.is_action:
            who = f"{who}, {count.format(i // 2 + 1)}"
        reward = f" [{number(turn.reward)}]" if turn.is_action and turn.reward else ""
        small = f'<div style="font-size:11px;color:{FAINT};text-align:{side}">'
        below = f"{small}{escape(note.words)}</div>" if note.words else ""
        bubbles.append(
            f'<div style="align-self:flex-{side};max-width:85%;margin:3px 0;display:flex;flex-direction:column;'
            f'align-items:flex-{side}">{small}{escape(who + reward)}</div>'
            f'<div style="{colors};border-radius:10px;padding:4px 10px;white-space:pre-wrap;overflow-wrap:anywhere">'
            f'{drawable(turn.text.strip()) or "&#160;"}</div>{below}</div>')
    column = f'<div style="display:flex;flex-direction:column">{"".join(bubbles)}</div>'
    return (f'<div role="log" aria-label="The conversation so far" tabindex="0" style="color:{INK};background:{PAPER};'
            f'{SANS};font-size:14px;line-height:1.4;border:1px solid {LINE};border-radius:6px;padding:6px 10px;'
            f'width:{CHAT}px;max-width:100%;box-sizing:border-box;max-height:340px;overflow-y:auto;display:flex;'
            f'flex-direction:column-reverse">{column}</div>')


def draw_facts(title: str, facts: Mapping[str, object]) -> str:
    """A small table under a chat, a fact a row: what was hidden, say. A long one scrolls; a list is told with commas."""
    told = {name: ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value) for name, value in facts.items()}
    cell = "padding:1px 12px 1px 0;text-align:left;vertical-align:top;background:none"
    name_cell = f"{cell};font-weight:normal;color:{FAINT};white-space:nowrap"
    rows = "".join(f'<tr style="background:none"><th scope="row" style="{name_cell}">{escape(name)}</th>'
                   f'<td style="{cell}">{escape(value)}</td></tr>' for name, value in told.items())
    table = (f'<div tabindex="0" role="group" aria-label="{escape(title)}" style="max-height:190px;overflow-y:auto">'
             f'<table style="border-collapse:collapse;font-size:13px;width:100%;margin:0">{rows}</table></div>') if facts else ""
    return card(f'<div style="font-weight:600;margin-bottom:2px">{escape(title)}</div>{table}',
                f"border:1px solid {LINE};border-radius:6px;padding:4px 10px;margin-top:6px;width:{CHAT}px;max-width:100%;"
                "box-sizing:border-box")


def hidden_words(words: str) -> str:
    """Words for screen readers alone: what a chat shows has to be said in the live region too."""
    return (f'<div style="position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap">'
            f"{escape(words)}</div>")


def draw_transcript(turns: Sequence[Turn], current: int | None = None, around: int = 6) -> str:
    """The game as text, a line a turn. `current` (an index of `turns`) is marked, and only lines near it are given."""
    first, last = (0, len(turns)) if current is None else (max(0, current - around), current + around + 1)
    lines = [] if not first else [f'<div style="color:{FAINT}">… {first} lines before</div>']
    for i, turn in enumerate(turns[first:last], start=first):
        here = i == current
        text = escape(turn.text.rstrip("\n")) or "(empty line)"
        if turn.is_action:
            text = f"&gt; {text}  [{number(turn.reward)}]"
        mark = "" if current is None else "▶ " if here else "  "
        bold, step = (f"font-weight:bold;background:{PANEL};", 'aria-current="step"') if here else ("", "")
        lines.append(f'<div style="{bold}padding-left:3em;text-indent:-3em" {step}>{mark}{text}</div>')
    if last < len(turns):
        lines.append(f'<div style="color:{FAINT}">… {len(turns) - last} lines after</div>')
    return (f'<div role="group" aria-label="Transcript" style="color:{INK};background:{PAPER};{MONO};font-size:13px;'
            f'line-height:1.5;white-space:pre-wrap;overflow-wrap:anywhere;padding:2px 0">{"".join(lines)}</div>')


def draw_actions(actions: Sequence[dict], closed: bool, show: Callable[[str], str] = str) -> str:
    """A table of an agent's actions: `{"action", "probability", "value"}`, the last two may be None.

    The best five have a row each. `closed`: the actions are all that are legal, so a missing part of the probability is said
    to be anything else. `show`: how an action is written.
    """
    if all(row["probability"] is None and row.get("value") is None for row in actions):
        named = escape(", ".join(show(row["action"]) for row in actions))
        return card(f'It would play: <span style="{MONO}">{named}</span>')
    rest = 1 - sum(row["probability"] or 0 for row in actions)
    rows = [(row["action"], row["probability"], row.get("value")) for row in actions[:5]]
    if len(actions) > 5 and rows[0][1] is not None:
        others = [row["probability"] or 0 for row in actions[5:]]
        rows.append((f"({len(others)} more legal)", sum(others), None))
    if closed and rows[0][1] is not None and rest > 0.0005:
        rows.append(("(anything else)", rest, None))
    valued, likely = (any(row[k] is not None for row in rows) for k in (2, 1))
    cell = "padding:2px 12px 2px 0;text-align:left;vertical-align:middle;background:none"
    body = ""
    for action, probability, value in rows:
        body += f'<tr style="background:none"><td style="{cell};{MONO};font-size:13px">{escape(show(action))}</td>'
        if likely:
            share = min(max(probability or 0.0, 0.0), 1.0)
            words = f"{share:.1%}" if share >= 0.001 or not share else "&lt;0.1%"  # as the token inspector has it
            bar = f'<span style="display:block;height:9px;background:#1f5fbf;width:{100 * share:.1f}%"></span>'
            body += (f'<td style="{cell};white-space:nowrap"><span style="display:inline-block;width:92px;'
                     f'margin-right:6px;border:1px solid {LINE}">{bar}</span>{words}</td>')
        if valued:
            body += f'<td style="{cell};text-align:right">{"" if value is None else number(value)}</td>'
        body += "</tr>"
    titles = ["action", *["probability"] * likely, *["value"] * valued]
    head = "".join(f'<th scope="col" style="{cell};font-weight:600;color:{FAINT};font-size:12px">{title}</th>'
                   for title in titles)
    return card(f'<table aria-label="What the agent would do" style="border-collapse:collapse;margin:2px 0"><thead>'
                f'<tr style="background:none">{head}</tr></thead><tbody>{body}</tbody></table>')


def _late(module: str, name: str) -> Callable[..., str]:
    """A function of a module beside this one, imported when a game is first drawn: it draws with the helpers above."""
    return lambda *args, **more: getattr(importlib.import_module(f"lmrl_lab.widgets.{module}"), name)(*args, **more)


View = Callable[..., str]
# id -> view(turns so far, env in its present state, reveal the hidden state?); without `reveal`, a view of a partly
# observed game draws from the turns alone
VIEWS: dict[str, View] = {"maze-fo": view_maze, "maze-po": view_maze, "wordle": _late("draw_wordle", "view"),
                          **dict.fromkeys(("text-nav-fo", "text-nav-po"), _late("draw_text_nav", "view")),
                          **dict.fromkeys(("chess", "chess-endgames"), _late("draw_chess", "view"))}
# tasks whose pictures need no env: games that cannot be played again, published ones say, are drawn all the same
FROM_TEXT = {"wordle", "chess", "chess-endgames"}
# games whose picture is the talk: id -> talk(turns, env or None, reveal?, the players' names, what a published record says
# was hidden)
TALKS: dict[str, View] = {**dict.fromkeys(("twenty-questions", "guess-my-city"), _late("draw_guessing", "view")),
                          "car-dealer": _late("draw_car_dealer", "view")}
# what a player looks up during all of the game: id -> aside(turns)
ASIDES: dict[str, Callable[[Sequence[Turn]], str]] = {"car-dealer": _late("draw_car_dealer", "aside")}
# tasks with something to hide from who plays and who watches
HIDING = {"maze-po", "text-nav-fo", "text-nav-po", "wordle", *TALKS}
# id -> say(turns): the game's last words as HTML, where they need more than to be quoted
SAYINGS: dict[str, Callable[[Sequence[Turn]], str]] = {
    "wordle": _late("draw_wordle", "say"), **dict.fromkeys(("chess", "chess-endgames"), _late("draw_chess", "say")),
    **dict.fromkeys(("twenty-questions", "guess-my-city"), _late("draw_guessing", "say")),
    "car-dealer": _late("draw_car_dealer", "say")}


def view(task: str, turns: Sequence[Turn], env: TextEnv | None, reveal: bool, player: str | Sequence[str] = "You",
         hidden: Mapping[str, str] | None = None, **more) -> str:
    """The picture of a game, or the chat where the task has no picture or the game cannot be rebuilt (env None)."""
    if task in TALKS:
        return TALKS[task](turns, env, reveal, player, hidden)
    if task in VIEWS and (env is not None or task in FROM_TEXT):
        try:
            return VIEWS[task](turns, env, reveal, **more)
        except ValueError:  # a record from elsewhere whose text cannot be read
            if env is not None:
                raise
    return draw_chat(turns, player)


def aside(task: str, turns: Sequence[Turn]) -> str:
    """What stands beside the picture from the first turn to the last; "" for most tasks."""
    return ASIDES[task](turns) if task in ASIDES else ""


def say(task: str, turns: Sequence[Turn]) -> str:
    """What the game said last; nothing for a task without a picture, whose chat has it."""
    if task in SAYINGS:
        return SAYINGS[task](turns)
    return quote(turns[-1].text) if task in VIEWS else ""
