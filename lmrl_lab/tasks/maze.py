"""The maze, fully (`maze-fo`) and partly (`maze-po`) observed: rules, text, scripted policies, data, exact values.

Rules and rewards: LMRL Gym (arXiv 2311.18232); the board itself is in `maze_board.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from lmrl_lab.env import References, TaskCard, TextEnv
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.policies import ScriptedPolicy, played, random_policy
from lmrl_lab.tasks.maze_board import ACTIONS, DELTAS, LAYOUTS, SIDES, Cell, Maze, maze

__all__ = ["ACTIONS", "CARDS", "LAYOUTS", "Maze", "MazeEnv", "exact_returns", "maze", "mean_return", "references",
           "tabular_policy"]

MAX_ACTIONS = 100
BUMP, INVALID = -1.0, -4.0

class MazeEnv(TextEnv):
    """A walk to the goal: reward 0 for the move that reaches it, -1 for any other move, -4 for any other string.

    Source: TASKS "Maze"; the rules are LMRL Gym's. `observable` is "full" or "partial".
    """

    option_names = ("start", "goal")

    def __init__(self, observable: str, layout: str = "double_t"):
        self.task = "maze-fo" if observable == "full" else "maze-po"
        self.observable, self.layout = observable, layout
        self._set_maze(maze(layout))
        self._cell = self._count = 0

    def _set_maze(self, of: Maze) -> None:
        self.maze = of
        self._texts = [text + "\n" for text in of.observations(self.observable)]
        self._next = [dict(zip(ACTIONS, map(int, row), strict=True)) for row in of.next_cell]

    @property
    def position(self) -> Cell:
        """Where the walker stands, as (row, column)."""
        return self.maze.cells[self._cell]

    def _reset(self, options):
        goal, start = options.get("goal"), options.get("start")
        wanted = maze(self.layout, None if goal is None else self.maze.check_cell("goal", goal))
        if start is not None and (start := wanted.check_cell("start", start)) == wanted.goal:
            raise ValueError(f"start {start} is the goal")
        if wanted is not self.maze:
            self._set_maze(wanted)
        self._cell = wanted.starts[self.np_random.integers(len(wanted.starts))] if start is None else wanted.index[start]
        self._count = 0
        return self._texts[self._cell], {"legal_actions": ACTIONS, "invalid": False, "success": False,
                                         "message": "find the goal"}

    def _step(self, action):
        self._count = count = self._count + 1
        cell = self._cell
        new = self._next[cell].get(action)
        if new is None:
            info = {"legal_actions": ACTIONS, "invalid": True, "success": False,
                    "message": "not a move: type one of " + ", ".join(ACTIONS)}
            return self._texts[cell], INVALID, False, count >= MAX_ACTIONS, info
        self._cell = new
        if new == self.maze.goal_index:
            return "Success\n", 0.0, True, False, {"legal_actions": ACTIONS, "invalid": False, "success": True,
                                                   "message": "you reached the goal"}
        return self._texts[new], BUMP, False, count >= MAX_ACTIONS, {
            "legal_actions": ACTIONS, "invalid": False, "success": False,
            "message": "moved" if new != cell else "a wall: you stay where you are"}


# ---------------------------------------------------------------------------------------------- exact values

def exact_returns(table: np.ndarray, of: Maze, max_actions: int = MAX_ACTIONS) -> np.ndarray:
    """Expected undiscounted return from each cell under a policy that looks at the cell only, by dynamic programming.

    `table`: (cells, 4) probabilities of ACTIONS; what a row lacks to 1 is the probability of an invalid action.
    Returns (cells,), 0 at the goal. The starts are `of.starts`.
    """
    invalid = 1 - table.sum(1)
    if (table < -1e-9).any() or (invalid < -1e-6).any():
        raise ValueError("each row of the table must hold probabilities that sum to at most 1")
    value = np.zeros(len(of.cells))
    reach = of.next_cell == of.goal_index
    for _ in range(max_actions):
        value = (table * (np.where(reach, 0.0, BUMP) + value[of.next_cell])).sum(1) + invalid * (INVALID + value)
        value[of.goal_index] = 0.0
    return value


def mean_return(table: np.ndarray, of: Maze) -> float:
    """Mean of `exact_returns` over the start cells."""
    return float(exact_returns(table, of)[of.starts].mean())


def tabular_policy(episodes: list[Episode], of: Maze, observable: str = "full") -> np.ndarray:
    """(cells, 4) relative frequencies of the actions taken in the data after each cell's observation.

    A cell whose observation never occurs gets the uniform row.
    """
    texts = of.observations(observable)
    counts: dict[str, np.ndarray] = {text: np.zeros(4) for text in texts}
    for episode in episodes:
        for seen, said in zip(episode.turns[::2], episode.turns[1::2], strict=False):
            if said.text in DELTAS and seen.text.rstrip("\n") in counts:
                counts[seen.text.rstrip("\n")][ACTIONS.index(said.text)] += 1
    table = np.array([counts[text] for text in texts])
    table[table.sum(1) == 0] = 1
    return table / table.sum(1, keepdims=True)


# ---------------------------------------------------------------------------------------------- policies

class TablePolicy(ScriptedPolicy):
    """Draws from a row of probabilities that depends on the last observation only."""

    def __init__(self, rows: dict[str, np.ndarray], name: str):
        self.name = name
        self._cumulative = {text: np.cumsum(row) for text, row in rows.items()}

    def choose(self, rng, memory, observation, info):
        row = self._cumulative.get(observation.rstrip("\n"))
        if row is None:
            raise ValueError(f"this policy was made for another maze: it has never seen {observation!r}")
        return ACTIONS[min(int(np.searchsorted(row, rng.random() * row[-1], side="right")), 3)]


def _table_policy(table: np.ndarray, of: Maze, observable: str, name: str) -> TablePolicy:
    return TablePolicy(dict(zip(of.observations(observable), table, strict=True)), name)


def shortest_path_policy(layout: str = "double_t", goal: Cell | None = None) -> TablePolicy:
    """FO optimum: the shortest way from the cell that the observation names."""
    of = maze(layout, goal)
    return _table_policy(np.eye(4)[[of.best_action(i) for i in range(len(of.cells))]], of, "full", "shortest path")


def _share_rows(of: Maze) -> tuple[list[str], np.ndarray]:
    """The distinct wall sentences of the cells that can be stood on, and (cells,) the sentence of each."""
    names = sorted({of.walls[i] for i in of.starts})
    lookup = {name: k for k, name in enumerate(names)}
    return names, np.array([lookup.get(text, 0) for text in of.walls])


@functools.lru_cache(maxsize=16)
def best_memoryless_deterministic_table(layout: str = "double_t", goal: Cell | None = None) -> np.ndarray:
    """(cells, 4) one-hot table: the best fixed action per wall sentence.

    All 4^k assignments are walked where k <= 7 sentences occur; beyond that, coordinate ascent from 40 random starts.
    """
    of = maze(layout, goal)
    names, row_of = _share_rows(of)
    if len(names) <= 7:
        choice = np.stack(np.meshgrid(*[np.arange(4, dtype=np.int8)] * len(names), indexing="ij"), -1)
        choice = choice.reshape(-1, len(names))
        return np.eye(4)[choice[_deterministic_returns(choice, row_of, of).argmax()]][row_of]
    rng, best, best_value = np.random.default_rng(0), None, -np.inf
    for _ in range(40):
        current, value = rng.integers(4, size=len(names)), -np.inf
        while True:
            trials = np.repeat(current[None], 4 * len(names), 0)
            trials[np.arange(len(trials)), np.repeat(np.arange(len(names)), 4)] = np.tile(np.arange(4), len(names))
            values = _deterministic_returns(trials, row_of, of)
            if values.max() <= value + 1e-12:
                break
            current, value = trials[values.argmax()], values.max()
        if value > best_value:
            best, best_value = current, value
    return np.eye(4)[best][row_of]


def _deterministic_returns(choice: np.ndarray, row_of: np.ndarray, of: Maze) -> np.ndarray:
    """(policies, sentences) actions -> (policies,) mean return over the starts, all policies walked side by side."""
    step = of.next_cell[np.arange(len(of.cells)), choice[:, row_of]].astype(np.int16)  # (policies, cells)
    step[:, of.goal_index] = of.goal_index
    at = np.repeat(np.array(of.starts, np.int16)[None], len(choice), 0)
    total = np.zeros(len(choice))
    for _ in range(MAX_ACTIONS):
        at = np.take_along_axis(step, at, 1)
        away = (at != of.goal_index).sum(1)
        total -= away
    return total / len(of.starts)


@functools.lru_cache(maxsize=16)
def best_memoryless_table(layout: str = "double_t", goal: Cell | None = None) -> np.ndarray:
    """(cells, 4) table: the best action probabilities per wall sentence, by exact policy gradient.

    The gradient of the 100-step return with respect to each sentence's probabilities (visits times action values)
    drives multiplicative updates from several random beginnings; a local optimum is possible in principle.
    """
    of = maze(layout, goal)
    names, row_of = _share_rows(of)
    rng, best, best_value = np.random.default_rng(0), None, -np.inf
    for restart in range(4):
        rows = rng.dirichlet(np.full(4, 2.0), len(names)) if restart else np.full((len(names), 4), 0.25)
        for step in range(600):
            gradient = np.zeros_like(rows)
            np.add.at(gradient, row_of, _visits_times_values(rows[row_of], of))
            gradient -= (gradient * rows).sum(1, keepdims=True)
            rows = rows * np.exp((2.0 if step < 400 else 0.7) * gradient / (1e-9 + np.abs(gradient).max(1, keepdims=True))
                                 / (1 + step / 30))
            rows = np.maximum(rows, 1e-7)
            rows /= rows.sum(1, keepdims=True)
        value = mean_return(rows[row_of], of)
        if value > best_value:
            best, best_value = rows[row_of], value
    return best


def _visits_times_values(table: np.ndarray, of: Maze) -> np.ndarray:
    """(cells, 4): d mean return / d probability of each action in each cell, over the 100-step horizon."""
    n, reward = len(of.cells), np.where(of.next_cell == of.goal_index, 0.0, BUMP)
    values, value = [], np.zeros(n)
    for _ in range(MAX_ACTIONS):
        q = reward + value[of.next_cell]
        values.append(q)
        value = (table * q).sum(1)
        value[of.goal_index] = 0
    visits, out = np.zeros(n), np.zeros((n, 4))
    visits[of.starts] = 1 / len(of.starts)
    for q in reversed(values):
        out += visits[:, None] * q
        flow = np.bincount(of.next_cell.ravel(), (visits[:, None] * table).ravel(), n)
        flow[of.goal_index] = 0
        visits = flow
    return out


class BeliefPolicy(ScriptedPolicy):
    """The PO optimum: remembers which cells are still possible and plans over such beliefs.

    Moves are deterministic, so a belief is one equally likely particle per start cell that still fits, wherever each
    has walked to; value iteration over the beliefs that can occur gives the fewest expected moves.
    """

    name = "best with memory"

    def __init__(self, layout: str = "double_t", goal: Cell | None = None):
        self.maze = maze(layout, goal)
        self._plan = _belief_plan(layout, self.maze.goal)

    def begin(self, rng):
        return {"belief": tuple(self.maze.starts), "action": None}

    def choose(self, rng, memory, observation, info):
        text, belief = observation.rstrip("\n"), memory["belief"]
        action = info.get("played") or memory["action"]  # "played": advice on a game that someone else plays
        if action in ACTIONS:  # anything else does not move
            belief = (int(self.maze.next_cell[i, ACTIONS.index(action)]) for i in belief)
        memory["belief"] = belief = tuple(sorted(i for i in belief if self.maze.observed[i] == text))
        if belief not in self._plan:
            raise ValueError(f"this policy was made for another maze: no cell fits {observation!r}")
        memory["action"] = ACTIONS[self._plan[belief]]
        return memory["action"]


@functools.lru_cache(maxsize=16)
def _belief_plan(layout: str, goal: Cell | None) -> dict[tuple, int]:
    of = maze(layout, goal)

    def split(particles):
        groups: dict[str, list] = {}
        for i in particles:
            if i != of.goal_index:
                groups.setdefault(of.walls[i], []).append(i)
        return [tuple(sorted(group)) for group in groups.values()]

    follow: dict[tuple, list[list[tuple]]] = {}  # belief -> for each action the beliefs that can be next
    queue = split(of.starts)
    while queue:
        belief = queue.pop()
        if belief not in follow:
            follow[belief] = [split(of.next_cell[list(belief), a].tolist()) for a in range(4)]
            queue += [b for nexts in follow[belief] for b in nexts]
    # cost: expected number of moves that do not reach the goal, times the number of particles
    cost, plan = dict.fromkeys(follow, 0), dict.fromkeys(follow, 0)
    for _ in range(MAX_ACTIONS):
        new = {}
        for belief, options in follow.items():
            scores = [sum(len(b) + cost[b] for b in nexts) for nexts in options]
            plan[belief] = int(np.argmin(scores))
            new[belief] = scores[plan[belief]]
        if new == cost:
            break
        cost = new
    return plan


def best_memoryless_policy(layout: str = "double_t", goal: Cell | None = None) -> TablePolicy:
    """PO, no memory, free to randomise."""
    return _table_policy(best_memoryless_table(layout, goal), maze(layout, goal), "partial", "best memoryless")


def best_memoryless_deterministic_policy(layout: str = "double_t", goal: Cell | None = None) -> TablePolicy:
    """PO, no memory, always the same action after the same sentence."""
    return _table_policy(best_memoryless_deterministic_table(layout, goal), maze(layout, goal), "partial",
                         "best memoryless deterministic")


# ---------------------------------------------------------------------------------------------- behaviour data

def sub_mazes(of: Maze) -> list[tuple[float, list[int]]]:
    """(weight, cells) of the parts in which the behaviour data stays; one part where the shape is not the double T."""
    if of.rows != maze("double_t").rows:
        return [(1.0, list(range(len(of.cells))))]
    parts = ((0.4, lambda r, c: r <= 5 and c <= 5 or (r, c) == (5, 6)),
             (0.4, lambda r, c: r <= 5 and c >= 7 or (r, c) == (5, 6)),
             (0.2, lambda r, c: r >= 5 and 5 <= c <= 7))
    return [(weight, [i for i, (r, c) in enumerate(of.cells) if inside(r, c)]) for weight, inside in parts]


def behaviour_episodes(observable: str, size: int, seed: int, layout: str = "double_t",
                       length: int = 50, skill: float = 0.15) -> Iterator[Episode]:
    """Games that each stay in one part of the maze: with probability `skill` the shortest way if it stays inside,
    else a uniform move among those that stay inside; cut after `length` actions. FO and PO walk the same ways."""
    if not 1 <= length <= MAX_ACTIONS or not 0 <= skill <= 1:
        raise ValueError(f"length is from 1 to {MAX_ACTIONS} actions and skill from 0 to 1, not {length!r} and {skill!r}")
    env = MazeEnv(observable, layout)
    of = env.maze
    parts = sub_mazes(of)
    weights = np.array([weight for weight, _ in parts])
    inside = [{i: [a for a in range(4) if of.next_cell[i, a] in cells] for i in cells} for _, cells in parts]
    best = [of.best_action(i) for i in range(len(of.cells))]
    for k in range(size):
        rng = np.random.default_rng([seed, k])
        part = int(rng.choice(len(parts), p=weights / weights.sum()))
        starts = [i for i in parts[part][1] if i != of.goal_index]
        cell = int(starts[rng.integers(len(starts))])
        start = of.cells[cell]
        text, info = env.reset(options={"start": start})
        turns, terminated = [Turn(text, False)], False
        while not terminated and len(turns) < 2 * length:
            allowed = inside[part][cell]
            a = best[cell] if rng.random() < skill and best[cell] in allowed else allowed[rng.integers(len(allowed))]
            text, reward, terminated, _, info = env.step(ACTIONS[a])
            turns += [Turn(ACTIONS[a], True, reward), Turn(text, False)]
            cell = int(of.next_cell[cell, a])
        yield Episode(env.task, turns, terminated, not terminated, policy="behaviour",
                      info={"success": info["success"], "invalid": 0, "options": {"start": list(start)},
                            "part": "LRB"[part] if len(parts) == 3 else "all"})


def behaviour_policy(layout: str = "double_t", observable: str = "full") -> TablePolicy:
    """The policy that the behaviour data amounts to, observation by observation (4,000 games, seed 0)."""
    return _table_policy(_behaviour_table(layout, observable), maze(layout), observable, "behaviour")


@functools.lru_cache(maxsize=4)
def _behaviour_table(layout: str, observable: str, size: int = 4_000) -> np.ndarray:
    return tabular_policy(list(behaviour_episodes(observable, size, 0, layout)), maze(layout), observable)


# ---------------------------------------------------------------------------------------------- cards

def evaluation_options(episodes: int, layout: str = "double_t") -> list[dict]:
    """Every start cell in turn: 800 games are 32 from each of the double T's 25 starts."""
    of = maze(layout)
    return [{"start": of.cells[of.starts[k % len(of.starts)]]} for k in range(episodes)]


def references(data_seeds: int = 20) -> dict[str, References]:
    """What the cards hold, computed: the mean over data sets of the exact return of the data's tabular policy."""
    of = maze()
    values = [mean_return(tabular_policy(list(behaviour_episodes("full", 1_240, seed)), of), of)
              for seed in range(data_seeds)]
    best = {"maze-fo": mean_return(np.eye(4)[[of.best_action(i) for i in range(len(of.cells))]], of),
            "maze-po": float(np.mean([played(BeliefPolicy(), MazeEnv("partial"), options={"start": of.cells[i]}).total_return
                                      for i in of.starts]))}
    return {task: References(-100.0, float(np.mean(values)), value, (0.0, float(np.std(values, ddof=1) / data_seeds**0.5), 0.0))
            for task, value in best.items()}


# punctuation goes with the phrase before it: half as many tokens, and nothing is said that could not be said before
_VOCABULARY = (*ACTIONS, "The goal is at position", "Your current position is at position", "There are no walls near you.\n",
               "There is a wall", "There are walls", *(side + end for side, _ in SIDES for end in (",", ".\n")), "Success\n",
               *"0123456789", ",", ".")
_COMMAND = "lmrl_lab.tasks.maze.references()"


def _card(observable: str, **fields) -> TaskCard:
    return TaskCard(env=functools.partial(MazeEnv, observable), behaviour=functools.partial(behaviour_episodes, observable),
                    data_size=1_240, max_actions=MAX_ACTIONS, keep="success", actions=ACTIONS, vocabulary=_VOCABULARY,
                    evaluation_options=evaluation_options, evaluation_episodes=800, **fields)


CARDS = {
    "maze-fo": _card(
        "full", id="maze-fo", title="Maze, fully observed", summary="walk to the goal of a maze, told where you are",
        capability="stitching: no game in the data goes all the way, parts of many do",
        policies={"random": random_policy, "behaviour": behaviour_policy, "best": shortest_path_policy},
        references=References(-100.0, -82.31, -6.84, (0.0, 0.14, 0.0), _COMMAND), context="turn", turn_tokens=16,
        settings={"mc": {"beta": 0.5}, "ilql": {"tau": 0.9}},  # at .99 the values run away here
        paper={"BC": -72.1, "filtered BC": -56.4, "MC": -48.1, "ILQL": -6.97, "PPO": -37.7, "online filtered BC": -71.7,
               "GPT-4": -39.7}),
    "maze-po": _card(
        "partial", id="maze-po", title="Maze, partly observed",
        summary="walk to the goal of a maze, told only the walls near you",
        capability="partial observability: the same sentence in many places; memory tells them apart",
        policies={"random": random_policy, "behaviour": functools.partial(behaviour_policy, observable="partial"),
                  "best": BeliefPolicy, "best memoryless": best_memoryless_policy,
                  "best memoryless deterministic": best_memoryless_deterministic_policy},
        references=References(-100.0, -82.31, -7.24, (0.0, 0.14, 0.0), _COMMAND), context="episode", turn_tokens=5,
        settings={"mc": {"beta": 0.5}, "ilql": {"tau": 0.99},
                  "online_filtered_bc": {"updates": 150, "keep": 0.3, "learning_rate": 3e-4}},
        paper={"BC": -79.5, "filtered BC": -82.9, "MC": -80.3, "ILQL": -52.9, "PPO": -91.7, "online filtered BC": -79.5,
               "GPT-4": -88.0}),
}
