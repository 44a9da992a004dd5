"""Text-Nav, fully (`text-nav-fo`) and partly (`text-nav-po`) observed: the game, its policies, behaviour data, cards.

Rules and rewards: LMRL Gym (arXiv 2311.18232); houses, commands and sentences are in `text_nav_house.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from lmrl_lab.env import References, TaskCard, TextEnv
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.policies import ScriptedPolicy, random_policy
from lmrl_lab.tasks.text_nav_house import (
    COMMANDS,
    CONTAINERS,
    DIRECTIONS,
    FOOD,
    MAX_COMMANDS,
    OBJECTS,
    ROOMS,
    SUPPORTERS,
    House,
    State,
    house,
)

__all__ = ["CARDS", "COMMANDS", "House", "MAX_COMMANDS", "State", "TextNavEnv", "behaviour_episodes", "cut_at_the_take", "house",
           "references"]

GREAT_HALF = 0.29  # how often the behaviour policy knows its way in the half that holds the task
ON_PLAN = 0.9  # how often, there, it starts the room's plan
# rewards are 0 or 1, so values need no shrinking, and small differences of them much bending
SETTINGS = {"mc": {"reward_scale": 1.0, "beta": 16.0}, "ilql": {"reward_scale": 1.0, "beta": 16.0, "steps": 300},
            "ppo": {"reward_scale": 1.0}}


class TextNavEnv(TextEnv):
    """Carry a thing to a container and close it: reward 1 for that, 0 for everything else, at most 15 commands.

    Source: TASKS "Text-Nav"; the rules are LMRL Gym's. `observable` is "full" or "partial"; `house_seed` draws another
    house. A command that is not admissible is used up and changes nothing: that is what it costs.
    """

    option_names = ("start",)

    def __init__(self, observable: str, house_seed: int | None = None):
        self.task = "text-nav-fo" if observable == "full" else "text-nav-po"
        self.observable, self.house = observable, house(house_seed)
        self._starts = [self.house.start(room) for room in self.house.rooms]
        self.state: State = self._starts[0]
        self.commands_used = 0
        self._losing = f"eat {self.house.thing}"

    @property
    def room(self) -> str:
        """Where the player stands."""
        return self.house.rooms[self.state.room]

    def _reset(self, options):
        start = options.get("start")
        self.state = self._starts[self.np_random.integers(len(self._starts))] if start is None else self.house.start(start)
        self.commands_used = 0
        view = self.house.view(self.state)
        text = f"{self.house.sentence} {view.full if self.observable == 'full' else view.partial} {view.can}\n"
        return text, {"legal_actions": view.legal, "invalid": False, "success": False,
                      "message": f"do it with {MAX_COMMANDS} commands"}

    def _step(self, action):
        self.commands_used = used = self.commands_used + 1
        home = self.house
        move = home.view(self.state).moves.get(action)
        if move is None:
            feedback, message = "You cannot do that.", "not possible here: type one of the commands after 'You can:'"
        else:
            self.state = home.after(self.state, move)
            feedback, message = move.feedback, _LEFT[used]
        won, lost = home.won(self.state), move is not None and action == self._losing
        view = home.view(self.state)
        text = view.full if self.observable == "full" else view.partial
        if won or lost or used >= MAX_COMMANDS:
            message = "done: you win" if won else f"the {home.thing} is eaten: you lose" if lost else _LEFT[MAX_COMMANDS]
            return f"{feedback} {text}\n", float(won), True, False, {
                "legal_actions": (), "invalid": move is None, "success": won, "message": message}
        return f"{feedback} {text} {view.can}\n", 0.0, False, False, {
            "legal_actions": view.legal, "invalid": move is None, "success": False, "message": message}


_LEFT = [f"{MAX_COMMANDS - n} commands left" for n in range(MAX_COMMANDS - 1)] + ["1 command left",
                                                                                "no command left: you lose"]


# ---------------------------------------------------------------------------------------------- policies

class ShortestPolicy(ScriptedPolicy):
    """The optimum, fully and partly observed: the shortest solution from wherever the game stands.

    It tells the room by its looks (what stands there and the exits, never the name), reads from the admissible commands
    what is carried, lies here and is open, and remembers where it last saw the thing and which containers it left open.
    So it needs no record of its moves, and can advise on a game that someone else plays. In a game of its own it never
    needs the memory either: the last observation is enough, also where it is partial.
    """

    name = "shortest"

    def __init__(self, house_seed: int | None = None):
        self.house = house(house_seed)

    def begin(self, rng):
        return {"state": self.house.alone.start(self.house.rooms[0])}

    def choose(self, rng, memory, observation, info):
        state = memory["state"] = self._seen(memory["state"], observation, info["legal_actions"])
        command = self.house.plan.get(state, (0, None))[1]
        if command not in info["legal_actions"]:
            raise ValueError(f"this policy was made for another house: {command!r} is not possible after {observation!r}")
        return command

    def _seen(self, state: State, observation: str, legal: tuple[str, ...]) -> State:
        """What is known now, as a state of the house with nothing but the thing in it."""
        name, thing = self.house.room_of(observation), self.house.thing
        room, holder = self.house.index[name], self.house.holders.get(name)
        carried, held, floor, opened = state[1:]
        here = tuple(int(i == room) for i in range(len(held)))
        nowhere = (0,) * len(held)
        if f"drop {thing}" in legal:
            carried, held, floor = 1, nowhere, nowhere
        elif f"take {thing}" in legal:
            carried, held, floor = 0, nowhere, here
        elif f"take {thing} from {holder}" in legal:
            carried, held, floor = 0, here, nowhere
        if f"open {holder}" in legal:
            opened &= ~(1 << room)
        elif f"close {holder}" in legal:
            opened |= 1 << room
        return State(room, carried, held, floor, opened)


class HalfPolicy(ScriptedPolicy):
    """The behaviour policy: it knows its way in one half of the house, drawn per game and told to nobody.

    In that half, with no plan running, it starts the room's plan with probability .9; everywhere else, and where a plan
    cannot go on, it takes any admissible command. The plans lead to the thing, and with it to the target.
    """

    name = "behaviour"

    def __init__(self, house_seed: int | None = None):
        self.house = home = house(house_seed)
        self.halves = halves(home)
        container = home.holders[home.target]
        self.plans = {False: {room: [f"go {d}"] for room, d in home.way(home.source).items()},
                      True: {room: [f"go {d}"] for room, d in home.way(home.target).items()}}
        holder, thing = home.holders[home.source], home.thing
        reach = [f"open {holder}"] if holder in CONTAINERS else []
        self.plans[False][home.source] = [*reach, f"take {thing} from {holder}", self.plans[True][home.source][0]]
        self.plans[True][home.target] = [f"open {container}", f"insert {thing} into {container}", f"close {container}"]

    def begin(self, rng):
        return {"half": self.halves[int(rng.random() >= GREAT_HALF)], "plan": [], "said": None}

    def choose(self, rng, memory, observation, info):
        legal = info["legal_actions"]
        if info.get("played", memory["said"]) != memory["said"]:  # someone else plays, and did not take the advice
            memory["plan"] = []
        if memory["plan"] and memory["plan"][0] not in legal:
            memory["plan"] = []
        room = self.house.room_of(observation)
        if not memory["plan"] and room in memory["half"] and rng.random() < ON_PLAN:
            plan = self.plans[f"drop {self.house.thing}" in legal][room]
            memory["plan"] = list(plan) if plan[0] in legal else []
        memory["said"] = memory["plan"].pop(0) if memory["plan"] else legal[rng.integers(len(legal))]
        return memory["said"]


def halves(home: House) -> tuple[frozenset[str], frozenset[str]]:
    """(the rooms on the shortest way from the thing to the target and the nearest others, four in all; the other rooms).

    The paper's house: kitchen, dining room, living room, bedroom; and garden, backyard, office, bathroom.
    """
    route, way = [home.source], home.way(home.target)
    while route[-1] != home.target:
        route.append(home.exits[route[-1]][way[route[-1]]])
    near = {room: min(home.distances(room)[stop] for stop in route) for room in home.rooms}
    great = sorted(home.rooms, key=near.get)[:max(len(home.rooms) // 2, len(route))]
    return frozenset(great), frozenset(home.rooms) - frozenset(great)


# ---------------------------------------------------------------------------------------------- behaviour data

def behaviour_episodes(observable: str, size: int, seed: int, house_seed: int | None = None) -> Iterator[Episode]:
    """Games of the behaviour policy from uniform start rooms. FO and PO walk the same ways."""
    env, policy = TextNavEnv(observable, house_seed), HalfPolicy(house_seed)
    rooms = env.house.rooms
    for k in range(size):
        rng = np.random.default_rng([seed, k])
        start = rooms[rng.integers(len(rooms))]
        text, info = env.reset(options={"start": start})
        memory, turns, over = policy.begin(rng), [Turn(text, False)], False
        while not over:
            action = policy.choose(rng, memory, text, info)
            text, reward, over, _, info = env.step(action)
            turns += [Turn(action, True, reward), Turn(text, False)]
        yield Episode(env.task, turns, True, False, policy="behaviour",
                      info={"success": info["success"], "invalid": 0, "options": {"start": start},
                            "half": sorted(memory["half"])})


def cut_at_the_take(episodes: Sequence[Episode]) -> list[Episode]:
    """The same games as if the recorder had been stopped and started again whenever the thing was taken.

    A piece that ends so is truncated and earns nothing; the next begins with the answer to that command. Every step is in
    the data as before, but what earns something begins with the thing in hand: from the start rooms, only stitching helps.
    """
    pieces, taking = [], f"take {house().thing}"
    for episode in episodes:
        cuts = [2 * k + 2 for k, said in enumerate(episode.actions[:-1]) if said.startswith(taking)]  # turns that answer it
        for begin, end in zip([0, *cuts], [*cuts, None], strict=True):
            pieces.append(replace(episode, turns=episode.turns[begin:end and end + 1],
                                  terminated=episode.terminated and end is None,
                                  truncated=episode.truncated or end is not None,
                                  info={**episode.info, "success": episode.success and end is None}))
    return pieces


# ---------------------------------------------------------------------------------------------- cards

def evaluation_options(episodes: int, house_seed: int | None = None) -> list[dict]:
    """Every start room in turn: 400 games are 50 from each of the eight."""
    rooms = house(house_seed).rooms
    return [{"start": rooms[k % len(rooms)]} for k in range(episodes)]


def references(size: int = 40_000, seed: int = 0) -> References:
    """What both cards hold, computed: no reward, the mean return of `size` behaviour games, the task done."""
    returns = [episode.total_return for episode in behaviour_episodes("full", size, seed)]
    best = float(all(house().commands_needed(room) <= MAX_COMMANDS for room in house().rooms))
    return References(0.0, float(np.mean(returns)), best, (0.0, float(np.std(returns, ddof=1) / size**0.5), 0.0))


def _vocabulary() -> tuple[str, ...]:
    """Whole phrases with the punctuation that follows them: an observation takes about 20 tokens."""
    exits = [", ".join(d for i, d in enumerate(DIRECTIONS) if mask >> i & 1) for mask in range(1, 16)]
    return (*COMMANDS, *(command + "," for command in COMMANDS), "You can:", ".\n", "\n",
            "Your task: put the", *FOOD, *(f"from the {room}" for room in ROOMS),
            *(f"into the {holder} in the" for holder in CONTAINERS), *(room + "," for room in ROOMS),
            *(f"and close the {holder}." for holder in CONTAINERS), *(f"You are in the {room}." for room in ROOMS),
            *(f"There is a {holder}. On it:" for holder in SUPPORTERS),
            *(f"There is a {holder}. It is {how}" for holder in CONTAINERS for how in ("closed.", "open. In it:")),
            "On the floor:", "You carry:", "nothing.", *(thing + end for thing in OBJECTS for end in ",."),
            *(f"Exits: {names}." for names in exits), "You cannot do that.", *(f"You go {d}." for d in DIRECTIONS),
            *(f"You {verb} the {holder}." for verb in ("open", "close") for holder in CONTAINERS),
            *(f"You {verb} the {thing}." for verb in ("take", "drop") for thing in OBJECTS),
            *(f"You eat the {thing}." for thing in FOOD), *(f"You put the {thing}" for thing in OBJECTS),
            *(f"on the {holder}." for holder in SUPPORTERS), *(f"into the {holder}." for holder in CONTAINERS))


def _card(observable: str, **fields) -> TaskCard:
    return TaskCard(env=functools.partial(TextNavEnv, observable),
                    policies={"random": random_policy, "behaviour": HalfPolicy, "best": ShortestPolicy},
                    behaviour=functools.partial(behaviour_episodes, observable), data_size=2_500, max_actions=MAX_COMMANDS,
                    keep="success", actions=COMMANDS, vocabulary=_vocabulary(), evaluation_options=evaluation_options,
                    evaluation_episodes=400, settings=SETTINGS,
                    references=References(0.0, 0.253, 1.0, (0.0, 0.002, 0.0), "lmrl_lab.tasks.text_nav.references()"),
                    **fields)


CARDS = {
    "text-nav-fo": _card(
        "full", id="text-nav-fo", title="Text-Nav, fully observed",
        summary="carry the stale food through a house into the fridge, told where you are and what you carry",
        capability="stitching, by intention: each game in the data knows its way in one half of the house; but who knows the "
                   "half with food and fridge wins from everywhere, so that a filter is enough (`cut_at_the_take` changes that)",
        context="turn", turn_tokens=42,
        paper={"BC": 0.39, "filtered BC": 0.54, "MC": 0.63, "ILQL": 0.88, "PPO": 0.81, "online filtered BC": 0.62,
               "GPT-4": 0.52}),
    "text-nav-po": _card(
        "partial", id="text-nav-po", title="Text-Nav, partly observed",
        summary="carry the stale food through a house into the fridge, not told where you are nor what you carry",
        capability="reading: a room must be told by its looks and a load by what can be dropped; apart from that as fully "
                   "observed, and no memory is needed: a text hides nothing that the fully observed one tells",
        context="turn", turn_tokens=33,
        paper={"BC": 0.25, "filtered BC": 0.49, "MC": 0.58, "ILQL": 0.76, "PPO": 0.80, "online filtered BC": 0.53,
               "GPT-4": 0.21}),
}
