"""An answer to assignment A5, and games and cards with one fault each that its checks must refuse."""

import dataclasses
import random

import numpy as np

from lmrl_lab.env import References, TaskCard, TextEnv
from lmrl_lab.policies import ScriptedPolicy, played, random_policy

GUESSES = tuple(f"guess {n}" for n in range(1, 17))
LIMIT = 12


class Game(TextEnv):
    """Find a number from 1 to 16: 0 for the right guess, -1 for a wrong one, -2 for anything else; cut after 12 turns."""

    task = "number-hunt"

    def _info(self, message, invalid=False, success=False):
        return {"legal_actions": GUESSES, "invalid": invalid, "success": success, "message": message}

    def _reset(self, options):
        self._secret = int(self.np_random.integers(1, 17))
        self._turns = 0
        return "A number from 1 to 16.\n", self._info("find the number")

    def _step(self, action):
        self._turns += 1
        cut = self._turns >= LIMIT
        if action not in GUESSES:
            return "What?\n", -2.0, False, cut, self._info("type guess and a number", invalid=True)
        number = int(action.split()[1])
        if number == self._secret:
            return "Found.\n", 0.0, True, False, self._info("that is it", success=True)
        return "Higher.\n" if number < self._secret else "Lower.\n", -1.0, False, cut, self._info("not yet")


class Bisect(ScriptedPolicy):
    """Remembers between which numbers the secret lies, and guesses the middle one; `wild`: how often any of them instead."""

    name = "bisect"

    def __init__(self, wild=0.0):
        self.wild = wild

    def begin(self, rng):
        return {"low": 1, "high": 16, "guess": None}

    def choose(self, rng, memory, observation, info):
        if observation == "Higher.\n":
            memory["low"] = max(memory["low"], memory["guess"] + 1)
        if observation == "Lower.\n":
            memory["high"] = min(memory["high"], memory["guess"] - 1)
        memory["guess"] = (memory["low"] + memory["high"]) // 2
        if rng.random() < self.wild:
            memory["guess"] = int(rng.integers(1, 17))
        return f"guess {memory['guess']}"


def behaviour(size, seed):
    for k in range(size):
        yield played(Bisect(wild=0.6), Game(), seed=1_000_000 * seed + k)


card = TaskCard(
    id="number-hunt", title="Number hunt", summary="find a number from 1 to 16 by asking higher or lower",
    capability="memory: the last answer alone does not say what is still possible",
    env=Game, policies={"random": random_policy, "best": Bisect}, behaviour=behaviour, data_size=500,
    references=References(-12.0, -4.63, -2.375, command="mean of behaviour(4000, 0); 1, 2, 4, 8, 1 numbers take 1 to 5 guesses"),
    context="episode", max_actions=LIMIT, keep=0.3, turn_tokens=12, actions=GUESSES,
    vocabulary=(*GUESSES, "A number from 1 to 16.\n", "Higher.\n", "Lower.\n", "Found.\n", "What?\n"))


# ---------------------------------------------------------------------------------------------- games with one fault

class WithoutNewline(Game):
    def _reset(self, options):
        text, info = super()._reset(options)
        return text.rstrip("\n"), info


class TwoNewlines(Game):
    def _step(self, action):
        text, *rest = super()._step(action)
        return text + "\n", *rest


class WithoutMessage(Game):
    def _info(self, message, **flags):
        return {name: value for name, value in super()._info(message, **flags).items() if name != "message"}


class SuccessAsNumber(Game):
    def _info(self, message, **flags):
        info = super()._info(message, **flags)
        return {**info, "success": int(info["success"])}


class WithoutName(Game):
    task = ""


class GlobalRandom(Game):
    def _reset(self, options):
        text, info = super()._reset(options)
        self._secret = random.randint(1, 16)
        return text, info


class GlobalNumpy(Game):
    def _reset(self, options):
        text, info = super()._reset(options)
        self._secret = int(np.random.randint(1, 17))
        return text, info


class AlwaysTheSame(Game):
    def _reset(self, options):
        text, info = super()._reset(options)
        self._secret = 7
        return text, info


class OwnGenerator(Game):
    def _reset(self, options):
        text, info = super()._reset(options)
        self._secret = int(np.random.default_rng().integers(1, 17))
        return text, info


class SharedSecret(Game):
    def _reset(self, options):
        text, info = super()._reset(options)
        type(self).shared = self._secret
        return text, info

    def _step(self, action):
        self._secret = self.shared
        return super()._step(action)


class NeverCut(Game):
    def _step(self, action):
        text, reward, terminated, _, info = super()._step(action)
        return text, reward, terminated, False, info


class BothFlags(Game):
    def _step(self, action):
        text, reward, terminated, truncated, info = super()._step(action)
        return text, reward, terminated or truncated, truncated, info


class FlagsAsNumbers(Game):
    def _step(self, action):
        text, reward, terminated, truncated, info = super()._step(action)
        return text, reward, int(terminated), truncated, info


class NoRewardAtTheEnd(Game):
    def _step(self, action):
        text, reward, *rest = super()._step(action)
        return text, reward if reward < 0 else None, *rest


class GoesOnAfterTheEnd(Game):
    def step(self, action):
        self._playing = True
        return super().step(action)


class Crashes(Game):
    def _step(self, action):
        int(action.split()[1])
        return super()._step(action)


class Guesswork(Game):
    def _step(self, action):
        return super()._step(action.strip().lower())


class NeverInvalid(Game):
    def _info(self, message, **flags):
        return {**super()._info(message, **flags), "invalid": False}


class NonsensePays(Game):
    def _step(self, action):
        text, reward, *rest = super()._step(action)
        return text, 1.0 if reward == -2 else reward, *rest


class WrongIsInvalid(Game):
    def _step(self, action):
        text, reward, *rest, info = super()._step(action)
        return text, reward, *rest, {**info, "invalid": reward < 0}


# ---------------------------------------------------------------------------------------------- cards with one fault

def but(**changes):
    return dataclasses.replace(card, **changes)


class Shouts(Bisect):
    def choose(self, rng, memory, observation, info):
        return super().choose(rng, memory, observation, info).upper()


def unseeded(size, seed):
    return behaviour(size, random.randrange(10**6))


def best_games_only(size, seed):
    for k in range(size):
        game = played(Bisect(), Game(), seed=1_000_000 * seed + k)
        game.turns[:] = game.turns[:2]
        game.terminated, game.truncated = True, False
        yield game


def improved(size, seed):
    for game in behaviour(size, seed):
        game.turns[-2].reward += 1
        yield game


def flattened(size, seed):
    for game in behaviour(size, seed):
        if game.total_return == -5:
            yield game


ENVS = {
    "observations": [None, WithoutNewline, TwoNewlines, WithoutMessage, SuccessAsNumber, WithoutName],
    "seeding": [None, GlobalRandom, GlobalNumpy, AlwaysTheSame, OwnGenerator, SharedSecret],
    "endings": [None, NeverCut, BothFlags, FlagsAsNumbers, NoRewardAtTheEnd, GoesOnAfterTheEnd],
    "odd_texts": [None, Crashes, Guesswork, NeverInvalid, NonsensePays, WrongIsInvalid],
}
CARDS = {
    "players": [None, but(policies={"best": Bisect}), but(policies={"random": random_policy, "best": random_policy}),
                but(policies={"random": random_policy, "best": Shouts}), but(references=References(-12.0, -1.0, -2.375)),
                but(references=References(-12.0, -5.0, 0.0)), but(references=References(-6.0, -5.0, -2.375))],
    "recordings": [None, but(behaviour=lambda size, seed: behaviour(size, 0)), but(behaviour=unseeded),
                   but(behaviour=lambda size, seed: behaviour(size + 1, seed)), but(behaviour=best_games_only),
                   but(behaviour=improved), but(behaviour=flattened)],
    "learnable": [None, but(vocabulary=(*GUESSES, "Higher.\n", "Lower.\n", "Found.\n")), but(turn_tokens=1), but(actions=None),
                  but(vocabulary=card.vocabulary[3:])],
}


ANSWERS = {name: {"answer": Game, "stub": wrong[0], "wrong": wrong[1:]} for name, wrong in ENVS.items()} | \
          {name: {"answer": card, "stub": wrong[0], "wrong": wrong[1:]} for name, wrong in CARDS.items()}
