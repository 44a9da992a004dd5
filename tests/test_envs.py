"""What holds for every registered environment beyond the contract of `test_contract.py`: TextEnv itself, and many games."""

import os
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import lmrl_lab as lab
from lmrl_lab.env import TextEnv
from lmrl_lab.policies import ScriptedPolicy

IDS = list(lab.TASKS)
every_task = pytest.mark.parametrize("task", IDS)


def some_actions(env, info, rng, n):
    """Legal where the set is closed, free text where not, a little nonsense everywhere."""
    for _ in range(n):
        legal = info["legal_actions"]
        yield "qwxyz" if legal is None or rng.random() < 0.1 else legal[rng.integers(len(legal))]


def play(env, seed, n=40, options=None):
    """A transcript of n steps, started anew where a game ends."""
    text, info = env.reset(seed=seed, options=options)
    rng, out = np.random.default_rng(seed), [text]
    for action in some_actions(env, info, rng, n):
        text, reward, terminated, truncated, info = env.step(action)
        out.append((action, text, reward, terminated, truncated, info["invalid"], info["success"], info["message"]))
        if terminated or truncated:
            text, info = env.reset()
            out.append(text)
    return out


@every_task
def test_gymnasium_s_own_checker_is_content(task):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(f"lmrl_lab/{task}-v0").unwrapped, skip_render_check=True)


@every_task
def test_gymnasium_make_and_lab_make_play_the_same_game(task):
    assert play(gymnasium.make(f"lmrl_lab/{task}-v0"), 5) == play(lab.make(task), 5)


@every_task
def test_another_seed_is_another_game_and_what_is_played_lies_in_the_space(task):
    env, seven = lab.make(task), play(lab.make(task), 7)
    assert seven != play(env, 8)
    assert all(step[0] in env.action_space for step in seven if isinstance(step, tuple))


@every_task
def test_reset_without_a_seed_continues_the_stream(task):
    def starts(env):
        action = (env.reset(seed=1)[1]["legal_actions"] or lab.TASKS[task].actions or ["hello"])[0]
        return [(env.reset()[0], env.step(action)[0]) for _ in range(12)]

    first, again = starts(lab.make(task)), starts(lab.make(task))
    assert first == again
    if lab.TASKS[task].actions:
        assert len(set(first)) > 1


@every_task
def test_spaces_accept_any_text_up_to_their_length(task):
    space = lab.make(task).action_space
    assert "" in space and "é" in space and "a" * 1000 in space
    assert "a" * 1001 not in space and 3 not in space and None not in space


@every_task
@pytest.mark.parametrize("bad", [None, 3, b"move up", ["move up"]])
def test_an_action_that_is_no_string_is_a_type_error_and_changes_nothing(task, bad):
    env, twin = lab.make(task), lab.make(task)
    info = env.reset(seed=2)[1]
    twin.reset(seed=2)
    with pytest.raises(TypeError, match="str"):
        env.step(bad)
    action = (info["legal_actions"] or ["hello"])[0]
    assert env.step(action)[:4] == twin.step(action)[:4]


@every_task
def test_an_action_over_a_thousand_characters_is_a_value_error_and_changes_nothing(task):
    env, twin = lab.make(task), lab.make(task)
    info = env.reset(seed=2)[1]
    twin.reset(seed=2)
    with pytest.raises(ValueError, match="1,000"):
        env.step("a" * 1001)
    action = (info["legal_actions"] or ["hello"])[0]
    assert env.step(action)[:4] == twin.step(action)[:4]


@every_task
@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=8))
def test_no_text_crashes_a_game_or_earns_by_being_invalid(task, texts):
    env = lab.make(task)
    info = env.reset(seed=1)[1]
    for text in texts:
        legal = info["legal_actions"]
        _, reward, terminated, truncated, info = env.step(text)
        if info["invalid"]:
            # where no return is below 0 (Text-Nav) it costs a turn of the few that there are
            assert (reward < 0 or reward == 0 == lab.TASKS[task].references.minimum) and not info["success"]
            assert legal is None or text not in legal
        if terminated or truncated:
            break


@every_task
def test_a_trailing_newline_makes_no_difference(task):
    env, twin = lab.make(task), lab.make(task)
    info = env.reset(seed=4)[1]
    twin.reset(seed=4)
    action = (info["legal_actions"] or ["hello"])[0]
    assert env.step(action + "\n")[:4] == twin.step(action)[:4]


@every_task
def test_stepping_before_reset_or_after_the_end_says_call_reset(task):
    env = lab.make(task)
    with pytest.raises(RuntimeError, match="reset"):
        env.step("hello")
    env.reset(seed=0)
    over = False
    while not over:
        _, _, terminated, truncated, _ = env.step("nonsense")
        over = terminated or truncated
    with pytest.raises(RuntimeError, match="reset"):
        env.step("hello")


@every_task
def test_unknown_options_and_keywords_list_what_is_accepted(task):
    with pytest.raises(ValueError, match="accepted"):
        lab.make(task).reset(seed=0, options={"nonsense": 1})
    with pytest.raises(ValueError, match="accepted"):
        lab.make(task, nonsense=1)


GAMES = int(os.environ.get("LMRL_LAB_GAMES", "0"))  # of each kind; 0: a few. LMRL_LAB_GAMES=1000 is the long way
HOSTILE = ["", " ", "\n", "\r\n", "\x00", "\x1b[2J", "\u00e9", "\uff4d\uff4f\uff56\uff45", "\U0001f451" * 20,
           "\u202edrawkcab", "\ud800",
           "a" * 1000, "0" * 999, "-1", "None", "True", "{}", "<script>", "'; drop table", "%s%n", "move up; move down",
           "move up move up", "e4 e5 Nf3 Nc6 Bb5", "s n a k e s n a k e", "go west, go west", "O-O-O-O", "Kxa9", "e2e4", "0000",
           "--", "a1=Q"]


class Hostile(ScriptedPolicy):
    """Says what nobody should; now and then something legal, so that the game goes on."""

    name = "hostile"

    def choose(self, rng, memory, observation, info):
        legal = info["legal_actions"]
        if legal and rng.random() < 0.2:
            action = legal[rng.integers(len(legal))]
            return action if rng.random() < 0.5 else action + [" ", "x", "\n\n", ", " + action][rng.integers(4)]
        return HOSTILE[rng.integers(len(HOSTILE))]


@every_task
@pytest.mark.parametrize("kind", ["random", "hostile", "best"])
def test_many_games_end_and_their_returns_stay_in_range(task, kind):
    card = lab.TASKS[task]
    keywords = {"opponent": "built-in"} if task == "chess" else {}
    few = {"chess": 2 if kind == "best" else 8, "chess-endgames": 16}.get(task, 60)
    policy = Hostile() if kind == "hostile" else kind
    score, games = lab.evaluate(policy, task, episodes=GAMES or few, seed=7, return_episodes=True, **keywords)
    worst = {"maze-fo": -4, "maze-po": -4, "text-nav-fo": 0, "text-nav-po": 0, "car-dealer": 0}.get(task, -1) * card.max_actions
    most = {"text-nav-fo": 1, "text-nav-po": 1, "chess": 1, "chess-endgames": 1, "car-dealer": 100}.get(task, 0)
    for game in games:
        assert (worst if kind == "hostile" else card.references.minimum) <= game.total_return <= most
        assert len(game.actions) <= card.max_actions and game.terminated != game.truncated
        assert (game.info["invalid"] > 0) <= (kind == "hostile")
    assert kind != "best" or task == "chess" or score.success_rate == 1


@every_task
def test_the_card_is_complete_and_shows_itself(task):
    card = lab.TASKS[task]
    assert card.id == task and card.references.command
    assert card.references.minimum < card.references.behaviour < card.references.best
    assert card.title in card._repr_html_()
    assert issubclass(type(card.env()), TextEnv)
    assert {"random", "best"} <= set(card.policies)


def test_an_unknown_task_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'maze-fo'"):
        lab.make("mase-fo")
    assert "nothing" not in lab.TASKS and "maze-fo" in lab.TASKS


def test_a_task_of_ones_own_is_registered_played_and_trained_on():
    import dataclasses
    from functools import partial

    from lmrl_lab.env import TASKS, register
    from lmrl_lab.tasks.maze import MazeEnv, behaviour_episodes

    class Small(MazeEnv):
        def __init__(self):
            super().__init__("full", "umaze")
            self.task = "small-maze"

    def data(size, seed):
        for episode in behaviour_episodes("full", size, seed, "umaze"):
            episode.task = "small-maze"
            yield episode

    card = register(
        dataclasses.replace(
            TASKS["maze-fo"],
            id="small-maze",
            env=Small,
            behaviour=data,
            evaluation_options=None,
            policies={"random": partial(lab.TASKS["maze-fo"].policies["random"])},
        )
    )
    try:
        assert lab.TASKS["small-maze"] is card
        agent = lab.train("bc", "small-maze", lab.generate("small-maze", 20, cache=False), steps=3)
        assert lab.evaluate(agent, "small-maze", episodes=4).episodes == 4
        with pytest.raises(ValueError, match="another id"):
            register(lab.TASKS["maze-fo"])
    finally:
        del TASKS._own["small-maze"]
