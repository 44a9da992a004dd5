"""Text-Nav as a plan of the house, or as the one room that a partly observed game tells of: SVG strings, and words beside.

What a room holds is read from the transcript, and from the game's state only to reveal it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lmrl_lab.env import TextEnv
from lmrl_lab.episode import Turn
from lmrl_lab.tasks.text_nav import House, State
from lmrl_lab.tasks.text_nav_house import CONTAINERS, DIRECTIONS
from lmrl_lab.widgets.draw import FLOOR, GOAL, GROUND, WALKER, WALL, label, rect, svg, walker

ROOM, HEIGHT, GAP, MARGIN, LINE = 114, 96, 18, 12, 14  # pixels: a room, between rooms, around them, a line of text
UNSEEN, SOFT, STRONG, BROWN = "#e3e5e9", "#57606a", "#1f2328", "#8a4704"


@dataclass(frozen=True)
class Look:
    """What is known of a room: `holder` stands there ("open" or "closed", or "" where it cannot be), with things in or on
    it and on the floor."""

    holder: str = ""
    state: str = ""
    held: tuple[str, ...] = ()
    floor: tuple[str, ...] = ()

    def words(self) -> str:
        what = ", ".join(self.held) or "nothing"
        parts = []
        if self.holder:
            inside = "" if self.state == "closed" and not self.held else (
                f" with {what} {'in' if self.state else 'on'} it")
            parts.append(f"a {self.holder}{f', {self.state},' if self.state else ''}{inside}".removesuffix(","))
        if self.floor:
            parts.append(f"on the floor {', '.join(self.floor)}")
        return "; ".join(parts) or "nothing"

    def lines(self) -> list[str]:
        """The same, a line each, as a plan has room for it."""
        out = [f"{self.holder}, {self.state}" if self.state else self.holder] if self.holder else []
        return [*out, *(f"• {thing}" for thing in self.held), *["floor"] * bool(self.floor),
                *(f"• {thing}" for thing in self.floor)]


# ------------------------------------------------------------------------------------------------- what the text says

def _things(text: str, intro: str) -> tuple[str, ...]:
    found = re.search(intro + r": ([a-z, ]+)\.", text)
    return tuple(found[1].split(", ")) if found and found[1] != "nothing" else ()


def read_look(observation: str) -> Look:
    """What an observation says of the room."""
    stands = re.search(r"There is a (\w+)\.(?: It is (open|closed)\.)?", observation)
    holder, state = (stands[1], stands[2] or "") if stands else ("", "")
    return Look(holder, state, _things(observation, "(?:On|In) it"), _things(observation, "On the floor"))


class Task(NamedTuple):
    """Of the first observation: all that it says of the task, and the thing and the room in it."""

    words: str
    thing: str
    target: str


def read_task(observation: str) -> Task:
    """The task that the first observation sets."""
    found = re.search(r"Your task: put the ([a-z ]+) from the [a-z ]+ into the \w+ in the ([a-z ]+), and close the \w+\.",
                      observation)
    return Task(found[0], *found.groups()) if found else Task("", "", "")


def seen_rooms(turns: Sequence[Turn]) -> tuple[dict[str, Look], str, tuple[str, ...]]:
    """(room -> as it was seen last, the room now, what is carried), read from a fully observed game."""
    looks, here = {}, ""
    for turn in turns[::2]:
        named = re.search(r"You are in the ([a-z ]+)\.", turn.text)
        here = named[1] if named else here
        looks[here] = read_look(turn.text)
    return looks, here, _things(turns[-1].text, "You carry")


def true_rooms(house: House, state: State) -> tuple[dict[str, Look], str, tuple[str, ...]]:
    """The same three as they are, the inside of closed containers too."""
    places = house.places(state)

    def at(place):
        return tuple(thing for thing in house.names if places[thing] == place)

    looks = {}
    for i, room in enumerate(house.rooms):
        holder = house.holders.get(room, "")
        opened = ("open" if state.opened >> i & 1 else "closed") if holder in CONTAINERS else ""
        looks[room] = Look(holder, opened, at(f"{holder} in the {room}"), at(f"floor of the {room}"))
    return looks, house.rooms[state.room], at("carried")


# ------------------------------------------------------------------------------------------------------- the plan

def draw_house(house: House, looks: Mapping[str, Look], here: str, carried: Iterable[str], task: Task) -> str:
    """All rooms with their doors; in each what is known of it, `here` framed; below it the load and the task."""
    columns, rows = (1 + max(position[i] for position in house.positions.values()) for i in (0, 1))
    width = columns * (ROOM + GAP) - GAP + 2 * MARGIN
    base = rows * (HEIGHT + GAP) - GAP + 2 * MARGIN
    load = ", ".join(carried) or "nothing"
    below, height = _paragraphs(MARGIN, base + 6, width - 2 * MARGIN, f"You carry: {load}", task.words)
    parts = [rect(0, 0, width, height, GROUND, 'rx="6"')]
    corner = {room: (MARGIN + x * (ROOM + GAP), MARGIN + y * (HEIGHT + GAP)) for room, (x, y) in house.positions.items()}
    for room in house.rooms:
        parts.append(_room(*corner[room], room, looks.get(room), room == here, room == task.target, task.thing))
    for room in house.rooms:
        for direction, (x, y) in (("east", (ROOM - 1, HEIGHT / 2 - 15)), ("south", (ROOM / 2 - 15, HEIGHT - 1))):
            if direction in house.exits[room]:  # doors go both ways: two directions draw them all
                wide, high = (GAP + 2, 30) if direction == "east" else (30, GAP + 2)
                parts.append(_door(corner[room][0] + x, corner[room][1] + y, wide, high, direction == "east"))
    return svg(width, height, house_words(house, looks, here, load, task), "".join(parts) + below)


def _paragraphs(x: float, y: float, width: float, *texts: str) -> tuple[str, float]:
    """Lines of text under a drawing, the first paragraph in bold, and where they end."""
    parts = []
    for k, text in enumerate(texts):
        for line in textwrap.wrap(text, int(width / 7.4)):
            parts.append(label(x, y, line, 13, SOFT if k else STRONG, "start", "normal" if k else "bold"))
            y += 18
    return "".join(parts), y + 2


def _door(x: float, y: float, width: float, height: float, across: bool) -> str:
    """An opening in the walls of two rooms, with its two jambs."""
    ends = (f"M{x:g},{y:g} h{width:g} M{x:g},{y + height:g} h{width:g}" if across else
            f"M{x:g},{y:g} v{height:g} M{x + width:g},{y:g} v{height:g}")
    return rect(x, y, width, height, FLOOR) + f'<path d="{ends}" stroke="{WALL}" stroke-width="2"/>'


def _room(x: float, y: float, name: str, look: Look | None, here: bool, target: bool, thing: str) -> str:
    edge = f'stroke="{WALL}" stroke-width="2"'
    parts = [rect(x, y, ROOM, HEIGHT, UNSEEN if look is None else FLOOR, edge)]
    if here:
        parts.append(rect(x + 3, y + 3, ROOM - 6, HEIGHT - 6, "none", f'stroke="{WALKER}" stroke-width="3"'))
        parts.append(walker(x + ROOM - 17, y + HEIGHT - 18))
    parts.append(label(x + 9, y + 14, name, 12, STRONG, "start", "bold"))
    if target:
        parts += [rect(x + ROOM - 42, y + 7, 34, 15, GOAL, 'rx="3"'),
                  label(x + ROOM - 25, y + 14.5, "goal", 10, "#ffffff", weight="bold")]
    lines = ["not seen yet"] if look is None else look.lines()
    if len(lines) > 5:
        lines = [*lines[:4], f"and {len(lines) - 4} more"]
    for k, line in enumerate(lines):
        special = bool(thing) and line == f"• {thing}"
        parts.append(label(x + 9, y + 30 + k * LINE, f"★ {thing}" if special else line, 11, BROWN if special else SOFT,
                           "start", "bold" if special else "normal"))
    return "".join(parts)


def house_words(house: House, looks: Mapping[str, Look], here: str, load: str, task: Task) -> str:
    """The whole plan as sentences, the player's room first."""
    out = [f"House of {len(house.rooms)} rooms. You are in the {here}. You carry: {load}. {task.words}"]
    for room in sorted(house.rooms, key=lambda room: room != here):
        doors = ", ".join(f"{direction} to the {other}" for direction, other in house.exits[room].items())
        out.append(f"{room.capitalize()}: {looks[room].words() if room in looks else 'not seen yet'}; doors: {doors}.")
    return " ".join(out)


# ---------------------------------------------------------------------------------------------------- a single room

def draw_room(observation: str, commands: Sequence[str], task: Task) -> str:
    """What a partly observed game tells: this room with its exits; below it the last commands and the task."""
    look, exits = read_look(observation), _things(observation, "Exits")
    size, thick, room_width, room_height = 300, 26, 190, 130
    x, y = (size - room_width) / 2, 38
    last = [command if len(command) <= 40 else command[:39] + "…" for command in commands[-3:]] or ["none yet"]
    below, height = _paragraphs(14, 300, size - 28, "", task.words)
    parts = [rect(x - thick, y - thick, room_width + 2 * thick, room_height + 2 * thick, WALL),
             rect(x, y, room_width, room_height, FLOOR)]
    for direction, (dx, dy) in DIRECTIONS.items():
        if direction in exits:
            wide, high = (thick, 56) if dx else (64, thick)
            left = x + room_width / 2 + dx * (room_width + thick) / 2 - wide / 2
            top = y + room_height / 2 + dy * (room_height + thick) / 2 - high / 2
            middle = left + wide / 2, top + high / 2
            turn = f'transform="rotate({90 * dx} {middle[0]:g} {middle[1]:g})"' if dx else ""
            parts += [rect(left, top, wide, high, FLOOR), f"<g {turn}>{label(*middle, direction, 13, SOFT)}</g>"]
    lines = look.lines() or ["nothing to see"]
    if len(lines) > 7:
        lines = [*lines[:6], f"and {len(lines) - 6} more"]
    for k, line in enumerate(lines):
        parts.append(label(x + 14, y + 18 + k * 16, line, 13, STRONG, "start"))
    parts.append(walker(x + room_width - 20, y + room_height - 18))
    parts.append(label(14, 214, "Your last commands (× = not possible):", 12, SOFT, "start"))
    parts += [label(14, 234 + 18 * k, command, 13, STRONG, "start") for k, command in enumerate(last)]
    said = f"A room; there you see: {look.words()}. Exits: {', '.join(exits)}. "
    said += f"Your last commands: {'; '.join(last)}. {task.words}"
    return svg(size, height, said, rect(0, 0, size, height, GROUND, 'rx="6"') + "".join(parts) + below)


def view(turns: Sequence[Turn], env: TextEnv, reveal: bool) -> str:
    """Fully observed: the plan with what was seen. Partly observed: one room. `reveal`: the plan with everything in it."""
    task = read_task(turns[0].text)
    if reveal:
        return draw_house(env.house, *true_rooms(env.house, env.state), task)
    if env.observable == "full":
        return draw_house(env.house, *seen_rooms(turns), task)
    commands = [action.text.strip() + " ×" * answer.text.startswith("You cannot do that.")
                for action, answer in zip(turns[1::2], turns[2::2], strict=True)]
    return draw_room(turns[-1].text, commands, task)
