"""Text-Nav to the string: houses, every command, observation and reward, its policies, its data, its tokens."""

import random
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmrl_lab as lab
from lmrl_lab.data import replay_problem
from lmrl_lab.tasks import text_nav as t
from lmrl_lab.tasks.text_nav_house import CONTAINERS, DIRECTIONS, FOOD, OBJECTS, ROOMS

TASKS = ("text-nav-fo", "text-nav-po")
every_task = pytest.mark.parametrize("task", TASKS)
HOUSES = [None, *range(30)]
GOAL = ("Your task: put the stale food from the living room into the fridge in the kitchen, and close the fridge. ")
EXITS = {
    "bedroom": {"west": "living room", "south": "bathroom"},
    "living room": {"east": "bedroom", "west": "dining room", "south": "office"},
    "dining room": {"east": "living room", "west": "kitchen"},
    "kitchen": {"east": "dining room", "north": "garden", "west": "backyard"},
    "garden": {"south": "kitchen"},
    "backyard": {"east": "kitchen"},
    "office": {"north": "living room", "east": "bathroom"},
    "bathroom": {"west": "office", "north": "bedroom"},
}


def walk(task, start, script):
    """Play (command, observation) pairs and compare each; returns the last step's (reward, terminated, truncated, info)."""
    env = lab.make(task)
    text, info = env.reset(options={"start": start})
    assert text == script[0]
    out = None
    for command, expected in script[1:]:
        assert command in info["legal_actions"]
        text, *out = env.step(command)
        info = out[-1]
        assert text == expected
    return out


def test_a_fully_observed_solution_from_the_bedroom_to_the_string():
    reward, terminated, truncated, info = walk("text-nav-fo", "bedroom", [
        GOAL + "You are in the bedroom. There is a table. On it: bowl. Exits: south, west. You carry: nothing. "
        "You can: go south, go west, take bowl from table.\n",
        ("go west", "You go west. You are in the living room. There is a table. On it: stale food, fresh food. "
         "Exits: east, south, west. You carry: nothing. "
         "You can: go east, go south, go west, take fresh food from table, take stale food from table.\n"),
        ("take stale food from table", "You take the stale food. You are in the living room. There is a table. "
         "On it: fresh food. Exits: east, south, west. You carry: stale food. You can: drop stale food, eat stale food, "
         "go east, go south, go west, put stale food on table, take fresh food from table.\n"),
        ("go west", "You go west. You are in the dining room. There is a table. On it: coffee cup, plate. "
         "Exits: east, west. You carry: stale food. You can: drop stale food, eat stale food, go east, go west, "
         "put stale food on table, take coffee cup from table, take plate from table.\n"),
        ("go west", "You go west. You are in the kitchen. There is a fridge. It is closed. Exits: east, north, west. "
         "You carry: stale food. You can: drop stale food, eat stale food, go east, go north, go west, open fridge.\n"),
        ("open fridge", "You open the fridge. You are in the kitchen. There is a fridge. It is open. In it: fruit. "
         "Exits: east, north, west. You carry: stale food. You can: close fridge, drop stale food, eat stale food, "
         "go east, go north, go west, insert stale food into fridge, take fruit from fridge.\n"),
        ("insert stale food into fridge", "You put the stale food into the fridge. You are in the kitchen. "
         "There is a fridge. It is open. In it: stale food, fruit. Exits: east, north, west. You carry: nothing. "
         "You can: close fridge, go east, go north, go west, take fruit from fridge, take stale food from fridge.\n"),
        ("close fridge", "You close the fridge. You are in the kitchen. There is a fridge. It is closed. "
         "Exits: east, north, west. You carry: nothing.\n"),
    ])
    assert (reward, terminated, truncated, info["success"], info["legal_actions"]) == (1.0, True, False, True, ())


def test_a_partly_observed_solution_from_the_garden_to_the_string():
    kitchen = "There is a fridge. It is closed. Exits: east, north, west. "
    dining = "There is a table. On it: coffee cup, plate. Exits: east, west. "
    carrying = "You can: drop stale food, eat stale food, go east, "
    reward, terminated, _, info = walk("text-nav-po", "garden", [
        GOAL + "Exits: south. You can: go south.\n",
        ("go south", f"You go south. {kitchen}You can: go east, go north, go west, open fridge.\n"),
        ("go east", f"You go east. {dining}You can: go east, go west, take coffee cup from table, take plate from table.\n"),
        ("go east", "You go east. There is a table. On it: stale food, fresh food. Exits: east, south, west. "
         "You can: go east, go south, go west, take fresh food from table, take stale food from table.\n"),
        ("take stale food from table", "You take the stale food. There is a table. On it: fresh food. "
         f"Exits: east, south, west. {carrying}go south, go west, put stale food on table, take fresh food from table.\n"),
        ("go west", f"You go west. {dining}{carrying}go west, put stale food on table, take coffee cup from table, "
         "take plate from table.\n"),
        ("go west", f"You go west. {kitchen}{carrying}go north, go west, open fridge.\n"),
        ("open fridge", "You open the fridge. There is a fridge. It is open. In it: fruit. Exits: east, north, west. "
         "You can: close fridge, drop stale food, eat stale food, go east, go north, go west, "
         "insert stale food into fridge, take fruit from fridge.\n"),
        ("insert stale food into fridge", "You put the stale food into the fridge. There is a fridge. It is open. "
         "In it: stale food, fruit. Exits: east, north, west. You can: close fridge, go east, go north, go west, "
         "take fruit from fridge, take stale food from fridge.\n"),
        ("close fridge", "You close the fridge. There is a fridge. It is closed. Exits: east, north, west.\n"),
    ])
    assert (reward, terminated, info["success"]) == (1.0, True, True)


def test_dropping_taking_and_putting_to_the_string():
    walk("text-nav-fo", "bedroom", [
        GOAL + "You are in the bedroom. There is a table. On it: bowl. Exits: south, west. You carry: nothing. "
        "You can: go south, go west, take bowl from table.\n",
        ("take bowl from table", "You take the bowl. You are in the bedroom. There is a table. On it: nothing. "
         "Exits: south, west. You carry: bowl. You can: drop bowl, go south, go west, put bowl on table.\n"),
        ("drop bowl", "You drop the bowl. You are in the bedroom. There is a table. On it: nothing. On the floor: bowl. "
         "Exits: south, west. You carry: nothing. You can: go south, go west, take bowl.\n"),
        ("take bowl", "You take the bowl. You are in the bedroom. There is a table. On it: nothing. "
         "Exits: south, west. You carry: bowl. You can: drop bowl, go south, go west, put bowl on table.\n"),
        ("put bowl on table", "You put the bowl on the table. You are in the bedroom. There is a table. On it: bowl. "
         "Exits: south, west. You carry: nothing. You can: go south, go west, take bowl from table.\n"),
        ("take bowl from table", "You take the bowl. You are in the bedroom. There is a table. On it: nothing. "
         "Exits: south, west. You carry: bowl. You can: drop bowl, go south, go west, put bowl on table.\n"),
        ("go south", "You go south. You are in the bathroom. Exits: north, west. You carry: bowl. "
         "You can: drop bowl, go north, go west.\n"),
    ])


def test_a_closed_container_hides_what_is_in_it_and_gives_nothing():
    env = lab.make("text-nav-po")
    env.reset(options={"start": "office"})
    text, reward, over, _, info = env.step("take utensils from chest")
    assert text == ("You cannot do that. There is a chest. It is closed. Exits: east, north. "
                    "You can: go east, go north, open chest.\n")
    assert info["invalid"] and (reward, over) == (0.0, False)
    text, *_, info = env.step("open chest")
    assert "In it: utensils." in text and "take utensils from chest" in info["legal_actions"]
    text, *_, info = env.step("close chest")
    assert "utensils" not in text and info["legal_actions"] == ("go east", "go north", "open chest")


def test_eating_other_food_is_only_a_waste_and_eating_the_stale_food_ends_the_game_without_reward():
    env = lab.make("text-nav-fo")
    env.reset(options={"start": "living room"})
    assert env.step("eat fresh food")[4]["invalid"]  # it must be carried
    env.step("take fresh food from table")
    text, reward, terminated, _, info = env.step("eat fresh food")
    assert text.startswith("You eat the fresh food. You are") and "On it: stale food." in text
    assert (reward, terminated, info["invalid"]) == (0.0, False, False)
    assert env.house.places(env.state)["fresh food"] == "eaten"
    env.step("take stale food from table")
    text, reward, terminated, truncated, info = env.step("eat stale food")
    assert text == ("You eat the stale food. You are in the living room. There is a table. On it: nothing. "
                    "Exits: east, south, west. You carry: nothing.\n")
    assert (reward, terminated, truncated, info["success"]) == (0.0, True, False, False) and "eaten" in info["message"]


def test_the_food_in_an_open_fridge_is_not_enough():
    env = lab.make("text-nav-fo")
    env.reset(options={"start": "living room"})
    for command in ("take stale food from table", "go west", "go west", "open fridge", "insert stale food into fridge",
                    "go east", "go west", "take stale food from fridge", "close fridge"):
        _, reward, over, _, info = env.step(command)
        assert (reward, over, info["invalid"]) == (0.0, False, False)
    for command in ("open fridge", "insert stale food into fridge"):
        env.step(command)
    assert env.step("close fridge")[1:3] == (1.0, True)


@every_task
def test_the_fifteenth_command_ends_the_game_valid_or_not(task):
    env = lab.make(task)
    env.reset(options={"start": "garden"})
    for n in range(15):
        text, reward, terminated, truncated, info = env.step("dance" if n % 2 else ["go south", "go north"][n // 2 % 2])
        assert (reward, terminated, truncated, info["invalid"]) == (0.0, n == 14, False, bool(n % 2))
    assert not info["success"] and "You can:" not in text and info["message"] == "no command left: you lose"


def test_the_task_can_be_done_with_the_fifteenth_command():
    env = lab.make("text-nav-po")
    env.reset(options={"start": "living room"})
    for command in [*["wait"] * 9, "take stale food from table", "go west", "go west", "open fridge",
                    "insert stale food into fridge"]:
        assert not env.step(command)[2]
    assert env.step("close fridge")[1:4] == (1.0, True, False)


@pytest.mark.parametrize("bad", ["", "go", "Go west", "go west ", " go west", "go west\n\n", "go north", "look", "inventory",
                                 "take bowl", "take bowl from the table", "drop bowl", "open table", "wait", "↑"])
def test_any_other_string_uses_up_a_command_and_changes_nothing(bad):
    env = lab.make("text-nav-fo")
    text, before = env.reset(options={"start": "bedroom"})
    state = env.state
    after, reward, terminated, truncated, info = env.step(bad)
    assert after == "You cannot do that. " + text.removeprefix(GOAL)
    assert (reward, terminated, truncated, info["invalid"], info["success"]) == (0.0, False, False, True, False)
    assert env.state == state and env.commands_used == 1 and info["legal_actions"] == before["legal_actions"]


# ------------------------------------------------------------------------------------------ against a slow game


class Slow:
    """The rules once more, apart from the package: places by name, nothing cached."""

    def __init__(self, house, room):
        self.h, self.room, self.open = house, room, set()
        self.place = {thing: ("held", where) for where, things in house.objects.items() for thing in things}

    def at(self, *place):
        return [thing for thing in self.place if self.place[thing] == place]

    def commands(self):
        holder = self.h.holders.get(self.room)
        out = {f"go {d}" for d in self.h.exits[self.room]}
        mine, reachable = self.at("carried"), holder in ("table", "shelf") or self.room in self.open
        if holder in ("fridge", "chest", "cupboard"):
            out.add(f"{'close' if self.room in self.open else 'open'} {holder}")
        if reachable:
            out |= {f"take {x} from {holder}" for x in self.at("held", self.room)}
            out |= {f"put {x} on {holder}" if holder in ("table", "shelf") else f"insert {x} into {holder}" for x in mine}
        out |= {f"take {x}" for x in self.at("floor", self.room)} | {f"drop {x}" for x in mine}
        return sorted(out | {f"eat {x}" for x in mine if x in ("stale food", "fresh food", "fruit", "bread", "cheese", "fish")})

    def do(self, command):
        verb, rest = command.split(" ", 1)
        thing = rest.split(" from ")[0].split(" on ")[0].split(" into ")[0]
        if verb == "go":
            self.room = self.h.exits[self.room][rest]
        elif verb in ("open", "close"):
            self.open ^= {self.room}
        else:
            self.place[thing] = {"take": ("carried",), "eat": ("eaten",), "drop": ("floor", self.room)}.get(
                verb, ("held", self.room))

    def describe(self, full, over):
        holder, say = self.h.holders.get(self.room), lambda things: (", ".join(things) or "nothing") + "."
        out = [f"You are in the {self.room}."] if full else []
        if holder in ("table", "shelf"):
            out.append(f"There is a {holder}. On it: {say(self.at('held', self.room))}")
        elif holder:
            out.append(f"There is a {holder}. It is " + (
                f"open. In it: {say(self.at('held', self.room))}" if self.room in self.open else "closed."))
        if self.at("floor", self.room):
            out.append(f"On the floor: {say(self.at('floor', self.room))}")
        out.append(f"Exits: {say(sorted(self.h.exits[self.room]))}")
        if full:
            out.append(f"You carry: {say(self.at('carried'))}")
        return " ".join(out if over else [*out, f"You can: {say(self.commands())}"]) + "\n"


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(TASKS), st.sampled_from(HOUSES), st.integers(0, 7), st.lists(st.integers(0, 999), max_size=15))
def test_every_observation_and_command_is_that_of_a_slow_game_written_apart(task, house_seed, start, choices):
    env = lab.make(task, house_seed=house_seed)
    slow = Slow(env.house, env.house.rooms[start])
    text, info = env.reset(options={"start": slow.room})
    full = task == "text-nav-fo"
    assert text == env.house.sentence + " " + slow.describe(full, False)
    for choice in choices:
        legal = slow.commands()
        assert list(info["legal_actions"]) == legal and set(legal) <= set(t.COMMANDS)
        command = legal[choice % len(legal)]
        slow.do(command)
        text, reward, over, truncated, info = env.step(command)
        target = env.house.target
        won = slow.place[env.house.thing] == ("held", target) and target not in slow.open
        assert text.split(". ", 1)[1] == slow.describe(full, over) and env.room == slow.room
        assert (reward, info["success"], truncated, info["invalid"]) == (float(won), won, False, False)
        assert over == (won or slow.place[env.house.thing] == ("eaten",) or env.commands_used == 15)
        if over:
            return


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(HOUSES), st.integers(0, 7), st.lists(st.integers(0, 999), max_size=10))
def test_every_admissible_command_is_accepted_and_every_other_of_the_pool_is_not(house_seed, start, choices):
    env = lab.make("text-nav-fo", house_seed=house_seed)
    _, info = env.reset(options={"start": env.house.rooms[start]})
    for choice in choices:
        if env.step(info["legal_actions"][choice % len(info["legal_actions"])])[2]:
            return
        info = {"legal_actions": env.house.view(env.state).legal}
    state = env.state
    for command in t.COMMANDS:
        env.state, env.commands_used, env._playing = state, 0, True
        *_, after = env.step(command)
        assert after["invalid"] == (command not in info["legal_actions"]), command
        assert (env.state == state) == after["invalid"]


# ------------------------------------------------------------------------------------------ houses


def test_the_paper_s_house_is_the_one_written_down():
    home = t.house()
    assert home.exits == EXITS and home.thing == "stale food" and home.target == "kitchen"
    assert home.holders == {"bedroom": "table", "living room": "table", "dining room": "table", "kitchen": "fridge",
                            "office": "chest"}
    assert home.objects == {"bedroom": ("bowl",), "living room": ("stale food", "fresh food"),
                            "dining room": ("coffee cup", "plate"), "kitchen": ("fruit",), "office": ("utensils",)}


def between(exits, a, b):
    """Doors from room a to room b."""
    queue, far = deque([a]), {a: 0}
    while queue:
        here = queue.popleft()
        for other in exits[here].values():
            if other not in far:
                far[other] = far[here] + 1
                queue.append(other)
    return far[b]


@pytest.mark.parametrize("seed", HOUSES)
def test_every_house_is_a_map_is_of_the_kind_and_can_be_solved_from_every_room(seed):
    home = t.house(seed)
    assert t.house(seed) is home and len(home.rooms) == 8 and set(home.rooms) <= set(ROOMS)
    assert len(set(home.positions.values())) == 8 and min(min(p) for p in home.positions.values()) == 0
    for room in home.rooms:
        for direction, other in home.exits[room].items():
            dx, dy = DIRECTIONS[direction]
            assert home.positions[other] == (home.positions[room][0] + dx, home.positions[room][1] + dy)
            assert room in home.exits[other].values()
    assert len({home.looks(room) for room in home.rooms}) == 8
    assert len(home.names) == 7 and set(home.names) <= set(OBJECTS) and len(home.holders) == 5
    assert home.thing in FOOD and home.holders[home.target] in CONTAINERS and home.source != home.target
    for task in TASKS:  # from every room, by the room's looks alone
        played = lab.evaluate("best", task, episodes=8, return_episodes=True, house_seed=seed)[1]
        assert [e.info["options"]["start"] for e in played] == list(home.rooms)
        for episode, start in zip(played, home.rooms, strict=True):
            fewest = (between(home.exits, start, home.source) + (home.holders[home.source] in CONTAINERS) + 1
                      + between(home.exits, home.source, home.target) + 3)
            assert episode.success and len(episode.actions) == fewest == home.commands_needed(start) <= 15


def test_houses_differ_by_seed_and_a_bad_seed_says_what_is_accepted():
    assert len({t.house(seed).sentence for seed in HOUSES}) > 20
    assert lab.make("text-nav-fo", house_seed=3).house is lab.make("text-nav-po", house_seed=3).house
    for bad in (-1, 1.5, "1", True, [1]):
        with pytest.raises(ValueError, match="house_seed is None .* 0 up"):
            lab.make("text-nav-fo", house_seed=bad)


def test_the_same_seed_draws_the_same_house_when_it_is_drawn_anew():
    from lmrl_lab.tasks import text_nav_house
    first = t.house(11)
    text_nav_house._house.cache_clear()
    again = t.house(11)
    assert again is not first
    assert all(getattr(again, name) == getattr(first, name) for name in first.__dataclass_fields__)


def test_starts_are_uniform_and_the_start_option_lists_the_rooms():
    env, counts = lab.make("text-nav-fo"), {}
    for seed in range(1600):
        env.reset(seed=seed)
        counts[env.room] = counts.get(env.room, 0) + 1
    assert set(counts) == set(EXITS)
    assert sum((n - 200) ** 2 / 200 for n in counts.values()) < 24.3  # chi-square, 7 degrees, p = .001
    for bad in ("cellar", 3, ["kitchen"], ("kitchen",)):
        with pytest.raises(ValueError, match="accepted: backyard, bathroom, bedroom, dining room"):
            env.reset(options={"start": bad})
    with pytest.raises(ValueError, match="did you mean 'kitchen'"):
        env.reset(options={"start": "kichen"})


def test_places_say_where_everything_is():
    env = lab.make("text-nav-fo")
    env.reset(options={"start": "bedroom"})
    assert env.house.places(env.state)["fruit"] == "fridge in the kitchen"
    env.step("take bowl from table")
    assert env.house.places(env.state)["bowl"] == "carried"
    env.step("drop bowl")
    assert env.house.places(env.state)["bowl"] == "floor of the bedroom"


# ------------------------------------------------------------------------------------------ policies


@every_task
def test_the_best_policy_needs_7_625_commands_and_always_wins(task):
    score = lab.evaluate("best", task, episodes=40)
    assert (score.mean_return, score.success_rate, score.mean_length) == (1.0, 1.0, 7.625)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TASKS), st.sampled_from(HOUSES), st.integers(0, 7), st.lists(st.integers(0, 999), max_size=8))
def test_advice_stays_the_shortest_way_after_any_moves_of_someone_else(task, house_seed, start, choices):
    env = lab.make(task, house_seed=house_seed)
    policy = t.ShortestPolicy(house_seed)
    policy.reset([0])
    text, info = env.reset(options={"start": env.house.rooms[start]})
    for choice in choices:  # someone else plays, never eating the food
        policy.act([text], [info])
        legal = [c for c in info["legal_actions"] if c != f"eat {env.house.thing}"]
        played = legal[choice % len(legal)]
        text, _, over, _, info = env.step(played)
        info["played"] = played
        if over:
            return
    slow, lengths = env.state, 0
    env.commands_used = 0
    while True:
        text, reward, over, _, info = env.step(policy.act([text], [info])[0])
        lengths += 1
        if over:
            break
    assert reward == 1.0 and lengths == _fewest(env.house, slow)


def _fewest(home, state):
    """Breadth-first over commands that touch the task."""
    queue, seen = deque([(state, 0)]), {state}
    while queue:
        here, n = queue.popleft()
        for command, move in home.view(here).moves.items():
            if home.thing in command or command.split()[0] in ("go", "open", "close"):
                new = home.after(here, move)
                if home.won(new):
                    return n + 1
                if new not in seen:
                    seen.add(new)
                    queue.append((new, n + 1))


@every_task
@pytest.mark.parametrize("house_seed", [None, 5])
def test_the_last_observation_is_enough_to_win_in_the_fewest_commands_also_partly_observed(task, house_seed):
    """What is missing in PO can be read elsewhere in the same text: the room in its looks, the load in `drop ...`."""
    env, policy = lab.make(task, house_seed=house_seed), t.ShortestPolicy(house_seed)
    for room in env.house.rooms:
        text, info = env.reset(options={"start": room})
        over = False
        while not over:
            policy.reset([0])  # forgets everything
            text, reward, over, _, info = env.step(policy.act([text], [info])[0])
        assert reward == 1.0 and env.commands_used == env.house.commands_needed(room)


def test_a_policy_made_for_another_house_says_so():
    policy = t.ShortestPolicy()
    policy.reset([0])
    for text, legal in (("Exits: south, north.\n", ("go north",)), ("Exits: south.\n", ("go north",))):
        with pytest.raises(ValueError, match="another house"):
            policy.act([text], [{"legal_actions": legal}])


def test_the_behaviour_plans_are_those_of_the_task_page():
    policy = t.HalfPolicy()
    assert policy.halves == ({"kitchen", "dining room", "living room", "bedroom"},
                             {"garden", "backyard", "office", "bathroom"})
    both = {"bedroom": ["go west"], "office": ["go north"], "bathroom": ["go north"], "garden": ["go south"],
            "backyard": ["go east"]}
    assert policy.plans[False] == {**both, "living room": ["take stale food from table", "go west"],
                                   "dining room": ["go east"], "kitchen": ["go east"]}
    assert policy.plans[True] == {**both, "living room": ["go west"], "dining room": ["go west"], "kitchen": [
        "open fridge", "insert stale food into fridge", "close fridge"]}


@pytest.fixture(scope="module")
def games():
    return lab.generate("text-nav-fo", 5_000, seed=1, cache=False)


def test_the_behaviour_follows_its_plan_as_often_as_the_page_says(games):
    first = {True: [], False: []}
    for episode in games:
        if episode.info["options"]["start"] == "bedroom":
            first["bedroom" in episode.info["half"]].append(episode.actions[0])
    known, unknown = first[True], first[False]
    assert len(known) / (len(known) + len(unknown)) == pytest.approx(0.29, abs=0.06)
    assert known.count("go west") / len(known) == pytest.approx(0.9 + 0.1 / 3, abs=0.06)
    assert unknown.count("go west") / len(unknown) == pytest.approx(1 / 3, abs=0.08)


def test_a_plan_is_dropped_when_someone_else_does_not_follow_it():
    policy = t.HalfPolicy()
    room, legal = "There is a chest. It is closed. Exits: east, north.\n", ("go east", "go north", "go west", "open chest")

    def says(seed, played):
        memory = {"half": frozenset(), "plan": ["go west"], "said": "take stale food from table"}
        return policy.choose(np.random.default_rng(seed), memory, room, {"legal_actions": legal, "played": played})

    assert {says(seed, "go south") for seed in range(40)} == set(legal)
    assert {says(seed, "take stale food from table") for seed in range(40)} == {"go west"}


def test_the_behaviour_policy_plays_as_its_data_was_played():
    assert lab.evaluate("behaviour", "text-nav-po", episodes=2_000).success_rate == pytest.approx(0.26, abs=0.04)
    assert lab.evaluate("behaviour", "text-nav-fo", episodes=20, house_seed=4).invalid_rate == 0


# ------------------------------------------------------------------------------------------ data and references


def test_behaviour_data_wins_about_26_percent_and_can_be_played_again(games):
    assert np.mean([e.success for e in games]) == pytest.approx(0.26, abs=0.03)
    assert {e.total_return for e in games} == {0.0, 1.0} and all(len(e.actions) <= 15 for e in games)
    assert all(e.terminated and not e.truncated and e.success == (e.total_return == 1) for e in games)
    assert [replay_problem(e) for e in games[:200]] == [None] * 200


@every_task
def test_data_of_other_houses_can_be_played_again(task):
    episodes = lab.generate(task, 40, seed=2, cache=False, house_seed=7)
    assert [replay_problem(e) for e in episodes] == [None] * 40
    assert episodes[0].info["keywords"] == {"house_seed": 7}
    assert episodes[0].turns[0].text.startswith(t.house(7).sentence)


def test_fo_and_po_data_walk_the_same_ways():
    full, partial = (lab.generate(task, 40, seed=1, cache=False) for task in TASKS)
    assert [e.actions for e in full] == [e.actions for e in partial]
    assert partial[0].task == "text-nav-po" and "You are in" not in partial[0].turns[0].text


def test_the_card_s_references_are_the_computed_ones():
    computed = t.references(size=3_000)
    for task in TASKS:
        card = lab.TASKS[task]
        assert (card.references.minimum, card.references.best) == (computed.minimum, computed.best) == (0.0, 1.0)
        assert computed.behaviour == pytest.approx(card.references.behaviour, abs=4 * computed.standard_errors[1])
        assert card.references.behaviour == pytest.approx(0.26, abs=0.02)
        assert [card.references.normalize(x) for x in (0, card.references.behaviour, 1)] == [0, 50, 100]
        options = [o["start"] for o in card.evaluation_options(card.evaluation_episodes)]
        assert {room: options.count(room) for room in EXITS} == dict.fromkeys(EXITS, 50)


def test_cutting_at_the_take_loses_no_step_and_leaves_nothing_that_wins_from_the_start():
    for task in TASKS:
        games = lab.generate(task, 400, cache=False)
        pieces = t.cut_at_the_take(games)
        assert len(pieces) > len(games) and sum(p.success for p in pieces) == sum(g.success for g in games) > 0
        rest = list(pieces)
        for game in games:  # pieces in the order of the games, each beginning with the text that the last one ended with
            own = [rest.pop(0)]
            while not own[-1].terminated:
                own.append(rest.pop(0))
            assert [a for piece in own for a in piece.actions] == game.actions
            assert [r for piece in own for r in piece.rewards] == game.rewards
            assert all(a.turns[-1] is b.turns[0] for a, b in zip(own, own[1:]))
            assert [piece.truncated for piece in own] == [True] * (len(own) - 1) + [False]
            assert own[0].turns[0] is game.turns[0] and own[-1].turns[-1] is game.turns[-1]
            assert own[-1].success == game.success and not any(piece.success for piece in own[:-1])
            for piece in own[:-1]:
                assert piece.actions[-1].startswith("take stale food") and not piece.total_return
        for piece in pieces:
            if piece.success:
                assert "drop stale food" in piece.turns[0].text  # in hand from the first text on
        assert not rest and t.cut_at_the_take(pieces) == pieces


def test_partly_observed_a_text_hides_nothing_that_the_same_moment_s_fully_observed_text_tells():
    told = {}
    for full, partial in zip(*(lab.generate(task, 400, cache=False) for task in TASKS)):
        for a, b in zip(full.observations[:-1], partial.observations):
            assert told.setdefault(b, a) == a  # so a memory has nothing to add
    assert len(told) > 300


# ------------------------------------------------------------------------------------------ what a model reads


def hoarder(env, seed):
    """Observations of a game that opens and takes all it can: the longest texts there are."""
    rng = random.Random(seed)
    text, info = env.reset(seed=seed)
    yield text
    over = False
    while not over:
        wanted = [c for c in info["legal_actions"] if c.startswith(("take", "open"))]
        legal = wanted if wanted and rng.random() < 0.9 else info["legal_actions"]
        text, _, over, _, info = env.step(rng.choice(legal) if seed % 5 else "nonsense")
        yield text


@every_task
def test_a_command_is_one_token_no_text_is_unknown_and_an_observation_is_short(task):
    from lmrl_lab.tokens import Codec, tiny_tokenizer
    card = lab.TASKS[task]
    codec = Codec(tiny_tokenizer(card), card)
    assert codec.single_token_actions and len(codec.end_ids) == len(card.actions) == len(t.COMMANDS) < 300
    assert all(codec.decode_action(codec.action_ids(action)) == action for action in card.actions)
    longest = {}
    for house_seed in HOUSES:
        env = lab.make(task, house_seed=house_seed)
        texts = [text for seed in range(12) for text in hoarder(env, seed)]
        home, n = env.house, len(env.house.rooms)
        everything = t.State(home._target, 2**7 - 1, (0,) * n, (0,) * n, 1 << home._target)
        view = home.view(everything)  # all of it carried to the open container: nothing says more
        texts.append(f"You put the bowl into the {home.holders[home.target]}. "
                     f"{view.full if task == 'text-nav-fo' else view.partial} {view.can}\n")
        lengths = []
        for text in set(texts):
            ids = codec.tokenizer.encode(text, add_special_tokens=False)
            words = codec.tokenizer.convert_ids_to_tokens(ids)
            assert codec.tokenizer.unk_token_id not in ids
            assert "".join("".join(words).split()) == "".join(text.split())
            lengths.append(len(ids))
        longest[house_seed] = max(lengths)
    assert max(longest.values()) + 1 <= card.turn_tokens
    assert longest[None] <= 40
    data = [len(ids) for e in lab.generate(task, 200, cache=False) for ids in codec.encode(e.turns)[::2]]
    assert np.mean(data) < 15


@pytest.mark.parametrize("house_seed", HOUSES)
def test_partly_observed_text_never_names_a_room_nor_what_is_carried(house_seed):
    env = lab.make("text-nav-po", house_seed=house_seed)
    for seed in range(10):
        for text in hoarder(env, seed):
            text = text.removeprefix(env.house.sentence)
            assert not any(room in text for room in ROOMS) and "carry" not in text and "You are" not in text


def test_a_plan_with_numbers_says_them_in_words_and_leaves_out_what_has_none():
    from lmrl_lab import plots
    picture = plots.house_maps(t.house(), {"one": {"kitchen": 0.5, "garden": float("nan")}, "two": {"office": 1.0}}, "share")
    assert repr(picture) == "Plan of the house with a number a room, share. one: kitchen 0.50; two: office 1.00."
    assert picture.png().startswith(b"\x89PNG")
