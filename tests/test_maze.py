"""The maze to the string: every cell, action, observation and reward, its policies, its data, its exact values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmrl_lab as lab
from lmrl_lab.data import replay_problem
from lmrl_lab.policies import played
from lmrl_lab.rollout import rollout
from lmrl_lab.tasks import maze as m

PICTURE = [
    "#############",
    "#.....#.....#",
    "###.#####.###",
    "###.#####.###",
    "###.#####.###",
    "###.......###",
    "######.######",
    "######.######",
    "######G######",
    "#############",
]
DELTA = {"move up": (-1, 0), "move down": (1, 0), "move left": (0, -1), "move right": (0, 1)}


def free(r, c):
    return PICTURE[r][c] != "#"


CELLS = [(r, c) for r in range(10) for c in range(13) if free(r, c)]
STARTS = [cell for cell in CELLS if cell != (8, 6)]


def sentence(r, c):
    """Written from the rules, apart from the package."""
    sides = [
        name
        for name, blocked in [
            ("to your right", not free(r, c + 1)),
            ("to your left", not free(r, c - 1)),
            ("above you", not free(r - 1, c)),
            ("below you", not free(r + 1, c)),
        ]
        if blocked
    ]
    return {0: "There are no walls near you.", 1: f"There is a wall {sides[0] if sides else ''}."}.get(
        len(sides), f"There are walls {', '.join(sides)}."
    )


def digits(n):
    return " ".join(str(n))


@pytest.mark.parametrize("task", ["maze-fo", "maze-po"])
def test_every_cell_action_observation_and_reward(task):
    env = lab.make(task)
    for r, c in STARTS:
        for action, (dr, dc) in DELTA.items():
            text, info = env.reset(options={"start": (r, c)})
            full = f"The goal is at position 8, 6. Your current position is at position {digits(r)}, {digits(c)}. "
            assert text == (full if task == "maze-fo" else "") + sentence(r, c) + "\n"
            assert info["legal_actions"] == tuple(DELTA) and not info["invalid"]
            new = (r + dr, c + dc) if free(r + dr, c + dc) else (r, c)
            text, reward, terminated, truncated, info = env.step(action)
            assert env.position == new and not truncated and not info["invalid"]
            if new == (8, 6):
                assert (text, reward, terminated, info["success"]) == ("Success\n", 0.0, True, True)
            else:
                full = f"The goal is at position 8, 6. Your current position is at position {digits(new[0])}, {digits(new[1])}. "
                assert text == (full if task == "maze-fo" else "") + sentence(*new) + "\n"
                assert (reward, terminated, info["success"]) == (-1.0, False, False)


def test_examples_of_text_written_out_by_hand():
    env = lab.make("maze-fo")
    assert env.reset(options={"start": (5, 3)})[0] == (
        "The goal is at position 8, 6. Your current position is at position "
        "5, 3. There are walls to your left, below you.\n"
    )
    assert env.reset(options={"start": (1, 10)})[0] == (
        "The goal is at position 8, 6. Your current position is at position "
        "1, 1 0. There are walls above you, below you.\n"
    )
    assert lab.make("maze-po").reset(options={"start": (5, 6)})[0] == "There is a wall above you.\n"


@pytest.mark.parametrize(
    "bad", ["", "up", "Move up", "move up ", " move up", "move  up", "move up\n\n", "move north", "↑"]
)
def test_any_other_string_costs_four_and_does_not_move(bad):
    env = lab.make("maze-fo")
    before = env.reset(options={"start": (5, 3)})[0]
    text, reward, terminated, truncated, info = env.step(bad)
    assert (text, reward, terminated, truncated, info["invalid"]) == (before, -4.0, False, False, True)


def test_the_hundredth_action_truncates_and_its_observation_is_an_ordinary_one():
    env = lab.make("maze-po")
    env.reset(options={"start": (1, 1)})
    for n in range(100):
        text, reward, terminated, truncated, info = env.step("move up" if n % 2 else "nonsense")
        assert truncated == (n == 99) and not terminated
    assert text == sentence(1, 1) + "\n"


def test_reaching_the_goal_with_the_hundredth_action_terminates():
    env = lab.make("maze-fo")
    env.reset(options={"start": (7, 6)})
    for _ in range(99):
        env.step("move left")
    assert env.step("move down")[1:4] == (0.0, True, False)


def test_starts_are_uniform_over_the_25_cells():
    env, counts = lab.make("maze-fo"), {}
    for seed in range(2500):
        env.reset(seed=seed)
        counts[env.position] = counts.get(env.position, 0) + 1
    assert sorted(counts) == sorted(STARTS)
    assert sum((n - 100) ** 2 / 100 for n in counts.values()) < 51.2  # chi-square, 24 degrees, p = .001


def test_start_and_goal_options_and_their_errors():
    env = lab.make("maze-fo")
    text, _ = env.reset(options={"start": (1, 1), "goal": (1, 3)})
    assert text.startswith("The goal is at position 1, 3. Your current position is at position 1, 1.")
    env.step("move right")
    assert env.step("move right")[0] == "Success\n"
    assert env.reset(options={"start": (1, 1)})[0].startswith("The goal is at position 8, 6.")
    for options in ({"start": (0, 0)}, {"start": (8, 6)}, {"goal": (0, 0)}, {"start": "here"}, {"start": 3}):
        with pytest.raises(ValueError, match="free cell|is the goal"):
            env.reset(options=options)


@pytest.mark.parametrize("layout", ["double_t", "umaze", "medium", "large", *(f"random-{n}" for n in range(30))])
def test_every_layout_can_be_won_from_everywhere(layout):
    of = m.maze(layout)
    table = np.eye(4)[[of.best_action(i) for i in range(len(of.cells))]]
    assert np.allclose(m.exact_returns(table, of)[of.starts], 1 - of.distance[of.starts])
    assert m.maze(layout) is of  # built once


def test_random_mazes_differ_by_seed_and_bad_layouts_say_what_is_accepted():
    assert m.maze("random-1").rows != m.maze("random-2").rows
    with pytest.raises(ValueError, match="did you mean 'umaze'"):
        lab.make("maze-fo", layout="umase")
    for bad in (3, None, "random-x"):
        with pytest.raises(ValueError, match="layout"):
            lab.make("maze-fo", layout=bad)
    for drawing in ("#####\n#.G.\n#####", "####\n#..#\n####", "#####\n#G.G#\n#####", "#####\n#G#.#\n#####", "..G\n###"):
        with pytest.raises(ValueError):
            lab.make("maze-fo", layout=drawing)
    assert lab.make("maze-fo", layout="####\n#.G#\n####").reset()[0].startswith("The goal is at position 1, 2.")


# ------------------------------------------------------------------------------------------ policies and exact values


def test_exact_returns_by_hand_in_a_corridor():
    of = m.maze("######\n#..G.#\n######")
    right = np.zeros((4, 4))
    right[:, 3] = 1
    # cells 1,1  1,2  G  1,4: two moves, one move, and a walk into the wall for 100 actions
    assert m.exact_returns(right, of).tolist() == [-1.0, 0.0, 0.0, -100.0]
    half = right * 0.5  # half of the actions are invalid: -4 each until the move comes
    assert m.exact_returns(half, of, max_actions=2)[1] == pytest.approx(0.5 * 0 + 0.5 * (-4) + 0.25 * (-4))
    with pytest.raises(ValueError, match="sum"):
        m.exact_returns(right * 1.1, of)


def test_exact_returns_agree_with_play_for_a_random_walk():
    of = m.maze()
    exact = m.mean_return(np.full((26, 4), 0.25), of)
    assert lab.evaluate("random", "maze-fo", episodes=2000, seed=5).mean_return == pytest.approx(exact, abs=1.5)


def test_the_shipped_policies_reach_their_figures():
    assert lab.evaluate("best", "maze-fo", episodes=25).mean_return == pytest.approx(-6.84)
    assert lab.evaluate("best", "maze-po", episodes=25).mean_return == pytest.approx(-7.24)
    of = m.maze()
    assert m.mean_return(m.best_memoryless_table(), of) == pytest.approx(-12.6, abs=0.01)
    assert m.mean_return(m.best_memoryless_deterministic_table(), of) == pytest.approx(-54.64)
    played = lab.evaluate("best memoryless deterministic", "maze-po", episodes=25)
    assert played.mean_return == pytest.approx(-54.64)
    assert lab.evaluate("best memoryless", "maze-po", episodes=1000).mean_return == pytest.approx(-12.6, abs=1)


def test_memoryless_policies_treat_equal_sentences_alike():
    of = m.maze()
    for table in (m.best_memoryless_table(), m.best_memoryless_deterministic_table()):
        rows = {}
        for i in of.starts:
            rows.setdefault(of.walls[i], []).append(table[i])
        assert all(np.allclose(row, group[0]) for group in rows.values() for row in group)


def test_no_memoryless_deterministic_policy_is_better_than_the_shipped_one():
    """A plain walk in the env for a sample of the 16,384 assignments, and for all one-sentence changes of the best."""
    names = sorted({sentence(r, c) for r, c in STARTS})

    def walk(choice):
        total = 0
        for start in STARTS:
            cell, n = start, 0
            while n < 100:
                dr, dc = list(DELTA.values())[choice[names.index(sentence(*cell))]]
                cell = (cell[0] + dr, cell[1] + dc) if free(cell[0] + dr, cell[1] + dc) else cell
                n += 1
                if cell == (8, 6):
                    break
                total -= 1
        return total / 25

    of, table = m.maze(), m.best_memoryless_deterministic_table()
    best = [int(table[next(i for i in of.starts if of.walls[i] == name)].argmax()) for name in names]
    assert walk(best) == pytest.approx(-54.64)
    rng = np.random.default_rng(0)
    others = [[*best[:k], a, *best[k + 1 :]] for k in range(7) for a in range(4)] + rng.integers(
        4, size=(150, 7)
    ).tolist()
    assert max(walk(choice) for choice in others) <= -54.64 + 1e-9


def test_the_gradient_behind_the_stochastic_policy_is_the_numerical_one():
    of, rng = m.maze("umaze"), np.random.default_rng(0)
    table = rng.dirichlet(np.ones(4), len(of.cells))
    analytic, step = m._visits_times_values(table, of), 1e-6

    def value(t):  # the same 100-step return for tables that need not sum to 1
        v = np.zeros(len(of.cells))
        for _ in range(100):
            v = (t * (np.where(of.next_cell == of.goal_index, 0.0, -1.0) + v[of.next_cell])).sum(1)
            v[of.goal_index] = 0
        return v[of.starts].mean()

    for i, a in [(0, 1), (2, 3), (5, 0)]:
        up, down = table.copy(), table.copy()
        up[i, a] += step
        down[i, a] -= step
        assert analytic[i, a] == pytest.approx((value(up) - value(down)) / (2 * step), rel=1e-4, abs=1e-4)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 200))
def test_memory_beats_no_memory_and_sight_beats_memory_in_random_mazes(seed):
    of = m.maze(f"random-{seed}")
    policy, env = m.BeliefPolicy(f"random-{seed}"), lab.make("maze-po", layout=f"random-{seed}")
    memory = np.mean([played(policy, env, options={"start": of.cells[i]}).total_return for i in of.starts])
    assert m.mean_return(m.best_memoryless_deterministic_table(f"random-{seed}"), of) - 1e-9 <= memory
    assert memory <= 1 - of.distance[of.starts].mean() + 1e-9


def test_a_policy_made_for_another_maze_says_so():
    with pytest.raises(ValueError, match="another maze"):
        rollout(m.shortest_path_policy("umaze"), "maze-fo", [0])


# ------------------------------------------------------------------------------------------ data


def test_behaviour_data_stays_in_its_part_and_is_cut_at_50():
    episodes = lab.generate("maze-fo", 400, seed=5, cache=False)
    part_of = {
        "L": lambda r, c: (r <= 5 and c <= 5) or (r, c) == (5, 6),
        "R": lambda r, c: (r <= 5 and c >= 7) or (r, c) == (5, 6),
        "B": lambda r, c: r >= 5 and 5 <= c <= 7,
    }
    env, shares = lab.make("maze-fo"), {"L": 0, "R": 0, "B": 0}
    for episode in episodes:
        part = episode.info["part"]
        shares[part] += 1
        env.reset(options=episode.info["options"])
        assert part_of[part](*env.position)
        for action in episode.actions:
            env.step(action)
            assert part_of[part](*env.position)
        assert len(episode.actions) <= 50
        assert episode.truncated == (len(episode.actions) == 50 and not episode.success)
        assert episode.terminated == episode.success
        assert episode.turns[-1].is_action is False
        assert not episode.success or part == "B"
        assert replay_problem(episode) is None
    assert shares["L"] / 400 == pytest.approx(0.4, abs=0.08) and shares["B"] / 400 == pytest.approx(0.2, abs=0.06)


def test_the_behaviour_moves_as_often_as_the_rules_say():
    """At (5, 9), part R: the way goes left with .15, else evenly over the moves that stay inside; four of them do."""
    episodes = lab.generate("maze-fo", 1500, seed=2, cache=False)
    table = m.tabular_policy([e for e in episodes if e.info["part"] == "R"], m.maze())
    i = m.maze().index[(5, 9)]
    assert table[i] == pytest.approx([0.85 / 4, 0.85 / 4, 0.15 + 0.85 / 4, 0.85 / 4], abs=0.03)
    junction = m.maze().index[(5, 6)]  # the best move, down, leaves part R, and so does left: only up and right stay
    assert table[junction] == pytest.approx([0.5, 0, 0, 0.5], abs=0.04)


def test_fo_and_po_data_walk_the_same_ways():
    full, partial = (lab.generate(task, 30, seed=1, cache=False) for task in ("maze-fo", "maze-po"))
    assert [e.actions for e in full] == [e.actions for e in partial]
    assert partial[0].task == "maze-po" and "position" not in partial[0].turns[0].text


def test_the_data_s_tabular_policy_and_the_card_s_references():
    references = m.references(data_seeds=3)
    for task in ("maze-fo", "maze-po"):
        card = lab.TASKS[task].references
        assert references[task].best == pytest.approx(card.best) and card.minimum == -100
        assert references[task].behaviour == pytest.approx(card.behaviour, abs=2)
        assert card.behaviour == pytest.approx(-82, abs=2)
    assert m.maze().distance[m.maze().starts].mean() == pytest.approx(7.84)


def test_a_tabular_policy_counts():
    episodes = lab.generate("maze-fo", 1, seed=0, cache=False)
    table = m.tabular_policy(episodes, m.maze())
    texts = m.maze().observations("full")
    seen = episodes[0].turns[0].text.rstrip("\n")
    said = [
        a.text
        for o, a in zip(episodes[0].turns[::2], episodes[0].turns[1::2], strict=False)
        if o.text.rstrip("\n") == seen
    ]
    expected = [said.count(a) / len(said) for a in m.ACTIONS]
    assert table[texts.index(seen)].tolist() == expected
    assert np.allclose(table.sum(1), 1)


def test_normalised_score_is_0_50_100_at_the_references():
    r = lab.TASKS["maze-fo"].references
    assert [r.normalize(x) for x in (-100, -82.31, -6.84)] == [0, 50, 100]
    assert r.normalize(-400) < 0 and r.normalize(0) > 100  # never clipped
    assert r.normalize((-82.31 - 6.84) / 2) == pytest.approx(75)


def test_evaluation_plays_every_start_32_times():
    options = lab.TASKS["maze-fo"].evaluation_options(800)
    starts = [tuple(o["start"]) for o in options]
    assert {s: starts.count(s) for s in set(starts)} == {s: 32 for s in STARTS}
