"""Checks of notebook 22, make your own task. Expected numbers are worked out by hand, or by the slow loops in this file."""

from __future__ import annotations

import math

from lmrl_lab.checks import Result, _short, check_choice, check_function, check_number, failed, hint_for, passed, raised
from lmrl_lab.env import make
from lmrl_lab.episode import Episode


def four_stones(prediction) -> Result:
    """The best chance to win with four stones against a side that knows the trick half of the time."""
    hints = {0.0: "that is after taking 3: the other side has one stone left, and takes it",
             0.25: "that is after taking 2; taking 1 is better",
             0.5: "that would need a side that never takes the last stones by chance",
             0.67: "that is how likely the other side wins after you take 1",
             0.75: "that is how likely the other side wins after you take 2"}
    return check_number("four_stones", prediction, 1 / 3, "Take one: the other side takes all three with 1/2 + 1/2 * 1/3 = 2/3",
                        hint_for(hints, "go through the three moves; after each, when does the other side take all?"),
                        tolerance=0.005)


def record(function) -> Result:
    """A function (env, choose, seed) -> the Episode of one game."""
    if not callable(function):
        return failed("record", f"Expected a function, got {function!r}.")
    for task, actions, seed, why in (
            ("maze-fo", ["move down"] * 200, 3, "a game that is cut after 100 actions"),
            ("maze-fo", ["move up", "nonsense", "move right", "move down", "hello", "move left"], 4, "nonsense and moves"),
            ("wordle", ["c r a n e", "xyzzy", "s l o t h", "h o u s e", "b a d l y", "p u p p y", "c h i m e"], 5,
             "a game that ends by its rules, with an invalid text in it"),
            ("text-nav-fo", ["go north", "go east", "go south", "go west"], 6, "a house")):
        expected = _recorded(make(task), _saying(actions), seed)
        call = f"\n  record(lab.make({task!r}), choose, seed={seed})   ({why})"
        try:
            got = function(make(task), _saying(actions), seed)
        except Exception as error:  # whatever a learner's code raises is shown, never raised
            return failed("record", f"{call}\n  raised   {raised(error)}\n  expected an Episode")
        if not isinstance(got, Episode):
            return failed("record", f"{call}\n  got      {_short(got)}\n  expected an Episode")
        for name, one, two in _facts(got, expected):
            if one != two:
                return failed("record", f"{call}\n  {name}\n  got      {_short(one)}\n  expected {_short(two)}")
    return passed("record", "Four games of three tasks, turn by turn")


def _saying(actions: list[str]):
    """choose(observation, info): these actions in turn, again and again."""
    said = [0]

    def choose(observation, info):
        said[0] += 1
        return actions[(said[0] - 1) % len(actions)]
    return choose


def _recorded(env, choose, seed: int) -> dict:
    text, info = env.reset(seed=seed)
    found = {"observations": [text], "actions": [], "rewards": [], "invalid": 0}
    terminated = truncated = False
    while not (terminated or truncated):
        action = choose(text, info)
        text, reward, terminated, truncated, info = env.step(action)
        found["observations"].append(text)
        found["actions"].append(action)
        found["rewards"].append(reward)
        found["invalid"] += info["invalid"]
    return {**found, "terminated": terminated, "truncated": truncated, "success": info["success"], "seed": seed, "task": env.task}


def _facts(got: Episode, expected: dict):
    """(what is compared, of the Episode, as expected), the telling ones first."""
    for name in ("task", "actions", "observations", "rewards", "terminated", "truncated", "seed"):
        yield name, getattr(got, name), expected[name]
    yield "the sum of all turns' rewards", got.total_return, float(sum(expected["rewards"]))
    for name in ("success", "invalid"):
        yield f"info['{name}']", got.info.get(name) if isinstance(got.info, dict) else None, expected[name]


def beta_for(function) -> Result:
    """A function (gap, prior, odds) -> the beta with which guidance makes the right move `odds` times as likely."""
    return check_function("beta_for", function, [
        ((1.0, 1.0, math.e), 1.0, "no prior to overcome: beta * 1 = log e"),
        ((0.5, 3.0, 100.0), 2 * math.log(300), "e^(0.5 beta) must be 3 * 100, so beta = 2 log 300 = 11.4"),
        ((10.0, 3.0, 100.0), math.log(300) / 10, "rewards twenty times as large: a twentieth of the beta"),
        ((0.5, 0.5, 2.0), 0.0, "the clone has the right ratio already"),
        ((2.0, 8.0, 1.0), math.log(8) / 2, "only to make the two moves equally likely"),
    ], note="Rewards ten times as large need a tenth of the beta")


def not_found(answer) -> Result:
    """Which of four changes to the game breaks no clause of the contract."""
    return check_choice("not_found", answer, ("a", "b", "c", "d"), "d", "the contract does not know what a player ought to see; "
                        "the others contradict a second run, a second game, or the card")
