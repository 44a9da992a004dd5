"""Each clause of the contract holds for the package's tasks, and breaks where it should: the task of notebook 22, spoiled."""

import random
from dataclasses import replace

import numpy as np
import pytest

import lmrl_lab as lab
from lmrl_lab import contract
from lmrl_lab.contract import CLAUSES, broken, check_task
from lmrl_lab.env import References
from lmrl_lab.policies import ScriptedPolicy
from notebook_cells import module


@pytest.mark.parametrize("task", list(lab.TASKS))
@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_the_package_s_tasks_keep_the_contract(task, clause):
    assert broken(clause, lab.TASKS[task]) is None


@pytest.fixture(scope="module")
def stones(tmp_path_factory):
    yield module("22", "part", "stones", tmp_path_factory.mktemp("stones"))
    lab.TASKS._own.pop("stones")


def test_the_contract_is_printed_clause_by_clause(stones, capsys):
    result = check_task("stones")
    assert result.passed and capsys.readouterr().out == result.message + "\n"
    said = result.message.replace("\n  ", " ")  # a long line goes on, indented, on the next one
    assert [line[2:] for line in said.split("\n")[:-1]] == [clause.__doc__ for clause in CLAUSES]
    assert all(clause.__doc__ and "\n" not in clause.__doc__ for clause in CLAUSES)


def test_an_unknown_task_is_an_error_and_a_broken_one_is_not(stones, capsys):
    with pytest.raises(ValueError, match="did you mean 'stones'"):
        check_task("stonse")
    lab.register(replace(stones.CARD, id="stones-dumb", env=lambda: 1 / 0))
    try:
        result = check_task("stones-dumb")
    finally:
        lab.TASKS._own.pop("stones-dumb")
    assert not result.passed and result.message.count("ZeroDivisionError") > 5 and "clauses are broken" in result.message


def answering(change):
    """An env whose answers (text, reward, terminated, truncated, info) are changed; a reset's, too, where it has two parts."""
    def make(stones):
        class Changed(stones.StonesEnv):
            def _answer(self, *args, **kwargs):
                return change(self, *super()._answer(*args, **kwargs))
        return {"env": Changed}
    return make


def env(**methods):
    return lambda stones: {"env": type("Changed", (stones.StonesEnv,), methods)}


def card(**fields):
    return lambda stones: {name: value(stones) if callable(value) else value for name, value in fields.items()}


def info(**facts):
    return answering(lambda self, text, reward, over, cut, info: (text, reward, over, cut, {**info, **facts}))


def lost(self, text, reward, over, cut, info):
    del info["message"]
    return text, reward, over, cut, info


def own_pile(draw):
    def _reset(self, options):
        self.pile, self.count = draw(), 0
        return self._answer("you begin")[::4]
    return env(_reset=_reset)


def keeps_count(stones):
    class Changed(stones.StonesEnv):
        count = 0

        def _reset(self, options):
            self.pile = int(self.np_random.integers(10, 21))
            return self._answer("you begin")[::4]
    return {"env": Changed}


def one_pile_for_all(stones):
    class Changed(stones.StonesEnv):
        shared = {"pile": 10}
        pile = property(lambda self: self.shared["pile"], lambda self, value: self.shared.update(pile=value))
    return {"env": Changed}


def trusting(stones):
    class Changed(stones.StonesEnv):
        def _step(self, action):
            self.pile = max(0, self.pile - int(action[-1]))
            return self._answer("taken")
    return {"env": Changed}


class Fumbling(ScriptedPolicy):
    name = "best"

    def choose(self, rng, memory, observation, info):
        return "take 4"


def data(change):
    def fields(stones):
        def behaviour(size, seed):
            return (change(episode, k) for k, episode in enumerate(stones.behaviour_episodes(size, seed)))
        return {"behaviour": behaviour}
    return fields


def rewarded(episode, k):
    episode.turns[-2].reward = 1.0
    return episode


def drawn_anywhere(stones):
    def behaviour(size, seed):
        return stones.behaviour_episodes(size, random.Random().randrange(10**6))
    return {"behaviour": behaviour}


def players(**others):
    return lambda stones: {"policies": {**stones.CARD.policies, **{name: build(stones) for name, build in others.items()}}}


def without(*names):
    return lambda stones: {"policies": {name: p for name, p in stones.CARD.policies.items() if name not in names}}


SPOILED = [
    (contract.is_a_text_env, card(env=lambda s: lambda: 3), "no lmrl_lab.env.TextEnv"),
    (contract.is_a_text_env, env(task="pebbles"), "its `task` is 'pebbles'"),
    (contract.is_a_text_env, env(step=lambda self, action: self._step(action)), "write _step"),
    (contract.speaks_in_lines, answering(lambda self, text, *rest: (text.strip(), *rest)), "it says 'Stones"),
    (contract.speaks_in_lines, answering(lambda self, text, *rest: (text + "\n", *rest)), "it says 'Stones"),
    (contract.speaks_in_lines, answering(lambda self, text, *rest: ("x" * 30_000 + text, *rest)), "it says 'xxx"),
    (contract.tells_what_it_must, answering(lost), "info lacks message"),
    (contract.tells_what_it_must, info(invalid=0), "True or False"),
    (contract.tells_what_it_must, answering(lambda self, text, reward, *rest: (text, float("nan"), *rest)), "not a float"),
    (contract.tells_what_it_must, answering(lambda self, a, b, over, cut, info: (a, b, over, None, info)), "bools"),
    (contract.repeats_itself, own_pile(lambda: random.randint(10, 20)), "self.np_random only"),
    (contract.repeats_itself, keeps_count, "set all up in _reset"),
    (contract.goes_on_without_a_seed, own_pile(lambda: int(np.random.default_rng().integers(10, 21))), "differ"),
    (contract.stands_alone, own_pile(lambda: np.random.randint(10, 21)), "everybody's"),
    (contract.stands_alone, own_pile(lambda: random.randint(10, 20)), "everybody's"),
    (contract.stands_alone, one_pile_for_all, "what is shared"),
    (contract.bears_any_text, trusting, "raised"),
    (contract.bears_any_text, answering(lambda self, text, reward, *rest: (text, abs(reward), *rest)), "earned 1"),
    (contract.bears_any_text, info(invalid=False), "not legal, and invalid is False"),
    (contract.takes_what_is_legal, info(legal_actions=("take 1", "take 2", "take 3")), "legal 'take 3' is invalid"),
    (contract.takes_what_is_legal, card(actions=("take 1", "take 2")), "not among the card's actions"),
    (contract.comes_to_an_end, answering(lambda self, a, b, over, cut, info: (a, b, over, False, info)), "20 times"),
    (contract.comes_to_an_end, answering(lambda self, a, b, over, cut, info: (a, b, over or cut, over or cut, info)), "at once"),
    (contract.comes_to_an_end, card(max_actions=19), "19 times"),
    (contract.has_players, without("best"), "lacks best"),
    (contract.has_players, players(best=lambda s: lambda: s.Player("best", 0.0), clever=lambda s: s.CARD.policies["best"]),
     "'clever' earns"),
    (contract.has_players, players(best=lambda s: Fumbling), "invalid moves: 100%"),
    (contract.has_data, data(lambda episode, k: replace(episode, task="maze-fo")), "Episodes of maze-fo"),
    (contract.has_data, data(lambda episode, k: replace(episode, seed=k + 1)), "game 0"),
    (contract.has_data, data(rewarded), "the reward is 0, not 1"),
    (contract.has_data, drawn_anywhere, "the second time"),
    (contract.has_data, card(behaviour=lambda s: lambda size, seed: s.behaviour_episodes(size, 0)), "games of seed 0"),
    (contract.has_data, card(behaviour=lambda s: lambda size, seed: list(s.behaviour_episodes(3, seed))), "3 Episodes"),
    (contract.has_references, card(references=References(0.4, 0.31, 0.94)), "do not ascend"),
    (contract.has_references, card(references=References(0.0, 0.31, 1.2)), "best is said to be 1.2"),
    (contract.has_references, card(references=References(0.0, 0.6, 0.943)), "behaviour is said to be 0.6"),
    (contract.is_spelled, card(vocabulary=lambda s: tuple(w for w in s.CARD.vocabulary if w != "20")), "'20' is not in"),
    (contract.is_spelled, card(turn_tokens=3), "have 4 tokens, card.turn_tokens says 3"),
]


@pytest.mark.parametrize("clause, spoil, said", SPOILED, ids=[f"{k}-{clause.__name__}" for k, (clause, *_) in enumerate(SPOILED)])
def test_a_clause_breaks_where_it_should(clause, spoil, said, stones):
    spoiled = lab.register(replace(stones.CARD, **spoil(stones)))
    try:
        assert said in (broken(clause, spoiled) or "")
    finally:
        lab.register(stones.CARD)
    assert broken(clause, stones.CARD) is None


def test_every_clause_has_a_task_that_breaks_it():
    assert {clause for clause, *_ in SPOILED} == set(CLAUSES)
