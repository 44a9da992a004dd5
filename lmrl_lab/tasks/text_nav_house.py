"""The houses of Text-Nav: what stands where, what each command does, what is said, ways and shortest solutions.

No game and no policy. The paper's house: LMRL Gym (arXiv 2311.18232); other houses of the same kind are drawn by seed.
"""

from __future__ import annotations

import functools
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from lmrl_lab.env import unknown

MAX_COMMANDS = 15

# all that any house is made of: a tiny tokenizer can give every command of every house a token of its own
ROOMS = ("bedroom", "living room", "dining room", "kitchen", "garden", "backyard", "office", "bathroom",
         "hall", "cellar", "attic", "garage")
DIRECTIONS = {"east": (1, 0), "north": (0, -1), "south": (0, 1), "west": (-1, 0)}  # steps (x, y), y grows to the south
SUPPORTERS = ("table", "shelf")
CONTAINERS = ("fridge", "chest", "cupboard")  # closed at the start
FOOD = ("stale food", "fresh food", "fruit", "bread", "cheese", "fish")
OBJECTS = (*FOOD, "bowl", "coffee cup", "plate", "utensils", "book", "candle", "towel", "key", "hat", "clock")
FURNISHED, OBJECTS_A_HOUSE = 5, 7

COMMANDS = tuple(sorted([
    *(f"go {direction}" for direction in DIRECTIONS),
    *(f"{verb} {container}" for verb in ("open", "close") for container in CONTAINERS),
    *(f"{verb} {thing}" for verb in ("take", "drop") for thing in OBJECTS),
    *(f"eat {thing}" for thing in FOOD),
    *(f"take {thing} from {holder}" for thing in OBJECTS for holder in SUPPORTERS + CONTAINERS),
    *(f"put {thing} on {holder}" for thing in OBJECTS for holder in SUPPORTERS),
    *(f"insert {thing} into {holder}" for thing in OBJECTS for holder in CONTAINERS),
]))


class State(NamedTuple):
    """All that a command can change. Rooms are numbers in `House.rooms`, sets of objects bit masks over `House.names`.

    `held` (in or on what stands there) and `floor` have a mask a room, `opened` a bit a room.
    """

    room: int
    carried: int
    held: tuple[int, ...]
    floor: tuple[int, ...]
    opened: int


class Move(NamedTuple):
    """What a command does: the room it leads to, the bits it flips, and the sentence that answers it."""

    to: int
    carried: int
    held: int
    floor: int
    opened: int
    feedback: str


class View(NamedTuple):
    """What a state looks like: the description, fully and partly observed, `You can: ...`, and the moves by command."""

    full: str
    partial: str
    can: str
    legal: tuple[str, ...]
    moves: dict[str, Move]


@dataclass(frozen=True, eq=False)
class House:
    """A house and its task: put `thing` into what stands in the room `target`, and close that.

    exits: room -> {direction: room}, doors go both ways; positions: room -> (x, y) on a grid, y grows to the south;
    holders: room -> what stands there; objects: room -> what is in or on it at the start.
    Worked out from these: rooms and names (of the objects), in the order of the State's numbers and bits; index: room ->
    its number; source: the room that the thing starts in.
    No two rooms have the same holder and the same exits, so that a room can be told by its looks.
    """

    exits: Mapping[str, Mapping[str, str]]
    positions: Mapping[str, tuple[int, int]]
    holders: Mapping[str, str]
    objects: Mapping[str, tuple[str, ...]]
    thing: str
    target: str

    def __post_init__(self):
        rooms, names = tuple(self.exits), tuple(thing for things in self.objects.values() for thing in things)
        own = {"rooms": rooms, "names": names, "index": {room: i for i, room in enumerate(rooms)},
               "source": next(room for room, things in self.objects.items() if self.thing in things),
               # local looks recur all the time, whole states do not; bounded, as a game may run for days
               "_view": functools.lru_cache(maxsize=16_384)(self._make_view)}
        own["_thing_bit"], own["_target"] = 1 << names.index(self.thing), own["index"][self.target]
        own["_by_looks"] = {self.looks(room): room for room in rooms}
        self.__dict__.update(own)  # frozen for everyone else

    # ------------------------------------------------------------------------------------------ rules

    @property
    def sentence(self) -> str:
        """The task, as the first observation says it."""
        into = self.holders[self.target]
        return (f"Your task: put the {self.thing} from the {self.source} into the {into} in the {self.target}, "
                f"and close the {into}.")

    def start(self, room: str) -> State:
        """The state in which a game begins: nothing carried, every container closed."""
        if not isinstance(room, str) or room not in self.index:
            raise unknown("start room", room, self.rooms)
        held = tuple(sum(1 << self.names.index(thing) for thing in self.objects.get(name, ())) for name in self.rooms)
        return State(self.index[room], 0, held, (0,) * len(held), 0)

    def view(self, state: State) -> View:
        room, carried, held, floor, opened = state
        return self._view(room, carried, held[room], floor[room], opened >> room & 1)

    def after(self, state: State, move: Move) -> State:
        """The state after one of the moves of its view."""
        room, carried, held, floor, opened = state
        if move.held:
            held = (*held[:room], held[room] ^ move.held, *held[room + 1:])
        if move.floor:
            floor = (*floor[:room], floor[room] ^ move.floor, *floor[room + 1:])
        return State(move.to, carried ^ move.carried, held, floor, opened ^ move.opened)

    def won(self, state: State) -> bool:
        """The thing is where it should be, and that is closed."""
        return bool(state.held[self._target] & self._thing_bit) and not state.opened >> self._target & 1

    def places(self, state: State) -> dict[str, str]:
        """Where each object is: "carried", "eaten", "table in the bedroom" or "floor of the bedroom"."""
        out = {}
        for i, thing in enumerate(self.names):
            held, floor = ([room for room, mask in zip(self.rooms, masks, strict=True) if mask >> i & 1]
                           for masks in (state.held, state.floor))
            out[thing] = ("carried" if state.carried >> i & 1 else f"{self.holders[held[0]]} in the {held[0]}" if held
                          else f"floor of the {floor[0]}" if floor else "eaten")
        return out

    def _make_view(self, room: int, carried: int, held: int, floor: int, is_open: int) -> View:
        name = self.rooms[room]
        holder = self.holders.get(name)
        moves, there = {}, []

        def flip(command, feedback, to=room, carried=0, held=0, floor=0, opened=0):
            moves[command] = Move(to, carried, held, floor, opened, feedback)

        for direction, other in self.exits[name].items():
            flip(f"go {direction}", f"You go {direction}.", to=self.index[other])
        if holder in SUPPORTERS:
            there.append(f"There is a {holder}. On it: {self._list(held)}.")
        elif holder and is_open:
            there.append(f"There is a {holder}. It is open. In it: {self._list(held)}.")
            flip(f"close {holder}", f"You close the {holder}.", opened=1 << room)
        elif holder:
            there.append(f"There is a {holder}. It is closed.")
            flip(f"open {holder}", f"You open the {holder}.", opened=1 << room)
        for i, thing in enumerate(self.names):
            bit = 1 << i
            if held & bit and (holder in SUPPORTERS or is_open):
                flip(f"take {thing} from {holder}", f"You take the {thing}.", carried=bit, held=bit)
            if floor & bit:
                flip(f"take {thing}", f"You take the {thing}.", carried=bit, floor=bit)
            if carried & bit:
                flip(f"drop {thing}", f"You drop the {thing}.", carried=bit, floor=bit)
                if thing in FOOD:
                    flip(f"eat {thing}", f"You eat the {thing}.", carried=bit)
                if holder in SUPPORTERS:
                    flip(f"put {thing} on {holder}", f"You put the {thing} on the {holder}.", carried=bit, held=bit)
                elif holder and is_open:
                    flip(f"insert {thing} into {holder}", f"You put the {thing} into the {holder}.", carried=bit, held=bit)
        if floor:
            there.append(f"On the floor: {self._list(floor)}.")
        partial = " ".join([*there, f"Exits: {', '.join(sorted(self.exits[name]))}."])
        legal = tuple(sorted(moves))
        return View(f"You are in the {name}. {partial} You carry: {self._list(carried)}.", partial,
                    f"You can: {', '.join(legal)}.", legal, moves)

    def _list(self, mask: int) -> str:
        return ", ".join(thing for i, thing in enumerate(self.names) if mask >> i & 1) or "nothing"

    # ------------------------------------------------------------------------------------------ looks and ways

    def looks(self, room: str) -> tuple[str | None, str]:
        """(what stands there, the exits): no two rooms share both."""
        return self.holders.get(room), ", ".join(sorted(self.exits[room]))

    def room_of(self, observation: str) -> str:
        """The room that an observation describes, told by its looks alone: works fully and partly observed."""
        stands = re.search(r"There is a (\w+)\.", observation)
        leads = re.search(r"Exits: ([a-z, ]+)\.", observation)
        room = self._by_looks.get((stands and stands[1], leads and leads[1]))
        if room is None:
            raise ValueError(f"this policy was made for another house: no room looks like {observation!r}")
        return room

    def distances(self, goal: str) -> dict[str, int]:
        """Doors between each room and `goal`; a room that has no way to it is left out."""
        found, queue = {goal: 0}, deque([goal])
        while queue:
            here = queue.popleft()
            for other in self.exits[here].values():  # doors go both ways
                if other not in found:
                    found[other] = found[here] + 1
                    queue.append(other)
        return found

    def way(self, goal: str) -> dict[str, str]:
        """For each room but `goal` the direction of a shortest way to it, the first in the alphabet of several."""
        far = self.distances(goal)
        return {room: min(d for d, other in self.exits[room].items() if far[other] < far[room])
                for room in self.rooms if room != goal}

    @functools.cached_property
    def alone(self) -> House:
        """The same house with nothing in it but the thing: enough to plan in."""
        return replace(self, objects={self.source: (self.thing,)})

    @functools.cached_property
    def plan(self) -> dict[State, tuple[int, str]]:
        """State of `alone` -> (fewest commands to the end of the task, the first of them), by breadth-first search.

        A state from which the task cannot be done any more is not in it.
        """
        house = self.alone
        seen = {house.start(room): [] for room in house.rooms}  # state -> the states from which it is reached
        queue = list(seen)
        for state in queue:  # grows while it is read
            if house.won(state):
                continue
            for move in house.view(state).moves.values():
                new = house.after(state, move)
                if new not in seen:
                    seen[new] = []
                    queue.append(new)
                seen[new].append(state)
        left = {state: 0 for state in seen if house.won(state)}
        queue = list(left)
        for state in queue:
            for before in seen[state]:
                if before not in left:
                    left[before] = left[state] + 1
                    queue.append(before)
        best = {}
        for state, n in left.items():
            if n:
                view = house.view(state)
                best[state] = n, next(c for c in view.legal if left.get(house.after(state, view.moves[c])) == n - 1)
        return best

    def commands_needed(self, room: str) -> int | None:
        """Length of the shortest solution from a start room; None where there is none."""
        return self.plan.get(self.alone.start(room), (None,))[0]


# ---------------------------------------------------------------------------------------------- which house

def _doors(cells: Mapping[tuple[int, int], str], pairs: set) -> dict[str, dict[str, str]]:
    """room -> {direction: room} from rooms on a grid and the pairs of cells with a door between them."""
    return {room: {name: cells[x + dx, y + dy] for name, (dx, dy) in DIRECTIONS.items()
                   if frozenset({(x, y), (x + dx, y + dy)}) in pairs} for (x, y), room in cells.items()}


def _paper_house() -> House:
    positions = {"bedroom": (4, 1), "living room": (3, 1), "dining room": (2, 1), "kitchen": (1, 1), "garden": (1, 0),
                 "backyard": (0, 1), "office": (3, 2), "bathroom": (4, 2)}
    doors = (("bedroom", "living room"), ("living room", "dining room"), ("dining room", "kitchen"), ("kitchen", "garden"),
             ("kitchen", "backyard"), ("living room", "office"), ("office", "bathroom"), ("bedroom", "bathroom"))
    return House(
        _doors({cell: room for room, cell in positions.items()}, {frozenset(map(positions.get, pair)) for pair in doors}),
        positions,
        {"bedroom": "table", "living room": "table", "dining room": "table", "kitchen": "fridge", "office": "chest"},
        {"bedroom": ("bowl",), "living room": ("stale food", "fresh food"), "dining room": ("coffee cup", "plate"),
         "kitchen": ("fruit",), "office": ("utensils",)}, "stale food", "kitchen")


def _draw_house(rng: np.random.Generator) -> House | None:
    """A house of eight rooms on a 5 x 3 grid; None where the draw breaks a rule of the kind."""
    names = [ROOMS[i] for i in rng.permutation(len(ROOMS))[:8]]
    cells, pairs = {(int(rng.integers(5)), int(rng.integers(3))): names[0]}, set()
    while len(cells) < len(names):  # each new room gets a door to a room that is there
        here = list(cells)[rng.integers(len(cells))]
        dx, dy = list(DIRECTIONS.values())[rng.integers(4)]
        new = here[0] + dx, here[1] + dy
        if new not in cells and 0 <= new[0] < 5 and 0 <= new[1] < 3:
            cells[new] = names[len(cells)]
            pairs.add(frozenset({here, new}))
    for x, y in cells:
        for new in ((x + 1, y), (x, y + 1)):
            if new in cells and rng.random() < 0.3:
                pairs.add(frozenset({(x, y), new}))
    left, top = min(x for x, _ in cells), min(y for _, y in cells)
    furnished = [names[i] for i in rng.permutation(len(names))[:FURNISHED]]
    source, target = furnished[:2]
    # the target is a container, two other holders are supporters: there is something to open, and not too much of it
    kinds = [(SUPPORTERS + CONTAINERS)[rng.integers(5)], CONTAINERS[rng.integers(3)], SUPPORTERS[rng.integers(2)],
             SUPPORTERS[rng.integers(2)], (SUPPORTERS + CONTAINERS)[rng.integers(5)]]
    thing = FOOD[rng.integers(len(FOOD))]
    others = [other for other in OBJECTS if other != thing]
    objects = {room: [] for room in furnished}
    objects[source].append(thing)
    for i in rng.permutation(len(others))[:OBJECTS_A_HOUSE - 1]:
        objects[furnished[rng.integers(FURNISHED)]].append(others[i])
    house = House(_doors(cells, pairs), {room: (x - left, y - top) for (x, y), room in cells.items()},
                  dict(zip(furnished, kinds, strict=True)), {room: tuple(things) for room, things in objects.items()},
                  thing, target)
    alike = len({house.looks(room) for room in names}) < len(names)
    if alike or house.distances(source)[target] < 2:
        return None
    needed = [house.commands_needed(room) for room in names]
    return None if None in needed or max(needed) > MAX_COMMANDS else house


@functools.lru_cache(maxsize=64)
def _house(seed: int | None) -> House:
    if seed is None:
        return _paper_house()
    rng = np.random.default_rng([seed, 0x7E47])
    while (house := _draw_house(rng)) is None:
        pass
    return house


def house(house_seed: int | None = None) -> House:
    """The paper's house (None), or another one of the same kind, always the same for the same seed (0 and up).

    Every house can be solved within 15 commands from every room. Raises ValueError for anything else.
    """
    if house_seed is not None and (isinstance(house_seed, bool) or not isinstance(house_seed, int) or house_seed < 0):
        raise ValueError(f"house_seed is None (the paper's house) or a whole number from 0 up, not {house_seed!r}")
    return _house(house_seed)
