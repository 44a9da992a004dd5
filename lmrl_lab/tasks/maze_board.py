"""The board of the maze: layouts, cells, moves, distances, and the two kinds of text. No game and no policy.

Shape of the double-T maze and the text: LMRL Gym (arXiv 2311.18232); the other shapes: D4RL's maze2d.
"""

from __future__ import annotations

import functools
from collections import deque

import numpy as np

from lmrl_lab.env import unknown

ACTIONS = ("move up", "move down", "move left", "move right")
DELTAS = {"move up": (-1, 0), "move down": (1, 0), "move left": (0, -1), "move right": (0, 1)}
# the order in which walls are named
SIDES = (("to your right", (0, 1)), ("to your left", (0, -1)), ("above you", (-1, 0)), ("below you", (1, 0)))

LAYOUTS = {
    "double_t": """
#############
#.....#.....#
###.#####.###
###.#####.###
###.#####.###
###.......###
######.######
######.######
######G######
#############""",
    "umaze": """
#####
#G..#
###.#
#...#
#####""",
    "medium": """
########
#..##..#
#..#...#
##...###
#..#...#
#.#..#.#
#...#.G#
########""",
    "large": """
############
#....#.....#
#.##.#.#.#.#
#......#...#
#.####.###.#
#..#.#.....#
##.#.#.#.###
#..#...#.G.#
############""",
}

Cell = tuple[int, int]


class Maze:
    """One layout with one goal: cells, moves, distances and the two kinds of text, all looked up in tables."""

    def __init__(self, drawing: str, goal: Cell | None = None):
        rows = drawing.strip("\n").split("\n")
        if len({len(row) for row in rows}) != 1 or set("".join(rows)) - set("#.G"):
            raise ValueError("a maze is drawn in equally long rows of '#' (wall), '.' (free) and 'G' (goal)")
        self.rows = rows
        self.cells: list[Cell] = [(r, c) for r, row in enumerate(rows) for c, x in enumerate(row) if x != "#"]
        if any(r in (0, len(rows) - 1) or c in (0, len(rows[0]) - 1) for r, c in self.cells):
            raise ValueError("a maze needs a wall all around it")
        self.index = {cell: i for i, cell in enumerate(self.cells)}
        drawn = [(r, c) for r, row in enumerate(rows) for c, x in enumerate(row) if x == "G"]
        if goal is None and len(drawn) != 1:
            raise ValueError("a maze needs exactly one goal 'G'")
        self.goal = self.check_cell("goal", goal) if goal is not None else drawn[0]
        n, self.goal_index = len(self.cells), self.index[self.goal]
        # next_cell[i, a]: where action a leads from cell i; into a wall: stay
        self.next_cell = np.array([[self.index.get((r + dr, c + dc), i) for dr, dc in (DELTAS[a] for a in ACTIONS)]
                                   for i, (r, c) in enumerate(self.cells)])
        self.distance = np.full(n, -1)
        self.distance[self.goal_index] = 0
        queue = deque([self.goal_index])
        while queue:
            i = queue.popleft()
            for j in self.next_cell[i]:  # moves are symmetric, so this walks backwards too
                if self.distance[j] < 0:
                    self.distance[j] = self.distance[i] + 1
                    queue.append(int(j))
        if (self.distance < 0).any():
            raise ValueError("some cells cannot reach the goal")
        self.starts = [i for i in range(n) if i != self.goal_index]
        self.walls = [self._wall_sentence(r, c) for r, c in self.cells]
        self.observed = list(self.walls)  # what a PO player reads; the goal shows itself
        self.observed[self.goal_index] = "Success"
        self.full = [f"The goal is at position {_digits(self.goal)}. Your current position is at position "
                     f"{_digits(cell)}. {walls}" for cell, walls in zip(self.cells, self.walls, strict=True)]

    def check_cell(self, what: str, cell) -> Cell:
        found = tuple(cell) if isinstance(cell, (tuple, list)) else None
        if found not in self.index or not all(isinstance(x, (int, np.integer)) for x in found):
            raise ValueError(f"{what} {cell!r} is no free cell; free cells as (row, column): {self.cells}")
        return found

    def observations(self, observable: str) -> list[str]:
        """Text of each cell ("full" or "partial"), without the newline; the goal's is `Success`."""
        texts = list(self.full if observable == "full" else self.walls)
        texts[self.goal_index] = "Success"
        return texts

    def best_action(self, i: int) -> int:
        """The first action, in the order of ACTIONS, that shortens the way to the goal."""
        return int(np.argmin(self.distance[self.next_cell[i]]))

    def _wall_sentence(self, r: int, c: int) -> str:
        sides = [name for name, (dr, dc) in SIDES if (r + dr, c + dc) not in self.index]
        if not sides:
            return "There are no walls near you."
        start = "There is a wall " if len(sides) == 1 else "There are walls "
        return start + ", ".join(sides) + "."


def _digits(cell: Cell) -> str:
    """(8, 10) -> '8, 1 0': numbers are written digit by digit."""
    return ", ".join(" ".join(str(x)) for x in cell)


def _random_drawing(seed: int, height: int = 4, width: int = 5) -> str:
    """A spanning tree on a grid of rooms (depth-first), with two walls taken out so that there are loops."""
    rng = np.random.default_rng(seed)
    grid = np.full((2 * height + 1, 2 * width + 1), "#")
    room = (int(rng.integers(height)), int(rng.integers(width)))
    stack, seen = [room], {room}
    grid[2 * room[0] + 1, 2 * room[1] + 1] = "."
    while stack:
        r, c = stack[-1]
        near = [(r + dr, c + dc) for dr, dc in DELTAS.values()
                if 0 <= r + dr < height and 0 <= c + dc < width and (r + dr, c + dc) not in seen]
        if not near:
            stack.pop()
            continue
        nr, nc = near[rng.integers(len(near))]
        grid[r + nr + 1, c + nc + 1] = grid[2 * nr + 1, 2 * nc + 1] = "."
        seen.add((nr, nc))
        stack.append((nr, nc))
    inner = [(r, c) for r in range(1, 2 * height) for c in range(1, 2 * width) if (r + c) % 2 and grid[r, c] == "#"]
    for k in rng.permutation(len(inner))[:2]:
        grid[inner[k]] = "."
    rooms = sorted(seen)
    r, c = rooms[rng.integers(len(rooms))]
    grid[2 * r + 1, 2 * c + 1] = "G"
    return "\n".join("".join(row) for row in grid)


def maze(layout: str = "double_t", goal: Cell | None = None) -> Maze:
    """The Maze of a layout: a name in LAYOUTS, "random-SEED", or a drawing of '#', '.' and 'G'."""
    if not isinstance(layout, str):
        raise unknown("maze layout", layout, [*LAYOUTS, "random-SEED"])
    return _maze(layout, None if goal is None else tuple(goal))


@functools.lru_cache(maxsize=256)
def _maze(layout: str, goal: Cell | None) -> Maze:
    if "#" in layout:
        return Maze(layout, goal)
    if layout.startswith("random-") and layout[7:].isdigit():
        return Maze(_random_drawing(int(layout[7:])), goal)
    if layout not in LAYOUTS:
        raise unknown("maze layout", layout, [*LAYOUTS, "random-SEED"])
    return Maze(LAYOUTS[layout], goal)
