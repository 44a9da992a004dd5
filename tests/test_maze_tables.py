"""The tables that networks are held against are themselves held against definitions, linear algebra and play."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lmrl_lab as lab
from lmrl_lab.tasks import maze as m
from lmrl_lab.tasks import maze_tables as t
from lmrl_lab.tasks.maze_board import ACTIONS, maze

GAMMA = 0.99


@pytest.fixture(scope="module")
def data():
    return lab.generate("maze-fo", 400, seed=5, cache=False)


@pytest.fixture(scope="module")
def steps(data):
    return t.steps_of(data)


def test_steps_of_a_game_by_hand():
    E, T = lab.Episode, lab.Turn
    turns = [T("a\n", False), T("move up", True, -1.0), T("b\n", False), T("move down", True, 0.0), T("Success\n", False)]
    over = t.steps_of([E("maze-po", turns, True, False)], 1)
    assert over == [(("a",), 0, -1.0, ("a", "move up", "b"), 0), (("a", "move up", "b"), 1, 0.0, None, 0)]
    cut = t.steps_of([E("maze-po", turns, False, True)], 0)
    assert cut[-1].following == ("Success",) and cut[0].context == ("a",)


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 3)), min_size=1, max_size=5), st.sampled_from([0.5, 0.7, 0.95, 1]))
def test_an_expectile_balances_what_is_above_and_below(pairs, tau):
    values, weights = (np.array(column, float) for column in zip(*pairs, strict=True))
    found = float(t.expectile(values, weights, tau))
    if not weights.any():
        assert np.isnan(found)
    elif tau == 1:
        assert found == values[weights > 0].max()
    else:
        distance = values - found
        assert (weights * np.where(distance > 0, tau, 1 - tau) * distance).sum() == pytest.approx(0, abs=1e-6)


def test_mc_values_are_the_mean_of_the_returns_that_followed(data, steps):
    found, slow = t.mc_values(steps, 0.9), {}
    for episode in data:
        for k, action in enumerate(episode.actions):
            following = sum(0.9**n * r for n, r in enumerate(episode.rewards[k:]))
            slow.setdefault((episode.observations[k].rstrip("\n"), ACTIONS.index(action)), []).append(following)
    assert int((found.counts > 0).sum()) == len(slow)
    for (text, action), returns in slow.items():
        assert found.q[found.index[(text,)], action] == pytest.approx(np.mean(returns))
        assert found.counts[found.index[(text,)], action] == len(returns)


def cells_of(values, of):
    return [values.index[(text,)] for text in of.observations("full")[:len(of.cells)] if (text,) in values.index]


def test_q_learning_within_the_data_stitches_the_shortest_ways(steps):
    of, found = maze(), t.expectile_values(steps, GAMMA, 1)
    for i in of.starts:
        d = of.distance[i]
        assert found.v[found.index[(of.full[i],)]] == pytest.approx(-(1 - GAMMA ** (d - 1)) / (1 - GAMMA), abs=1e-6)
    policy = t.guided_policy(found, np.inf)
    table = np.array([policy.get((text,), np.full(4, 0.25)) for text in of.observations("full")])
    assert m.mean_return(table, of) == pytest.approx(-6.84)


def test_an_expectile_of_one_half_evaluates_the_data_by_linear_algebra(steps):
    found = t.expectile_values(steps, 0.9, 0.5)
    n = len(found.index)
    matrix, reward, count = np.zeros((n, n)), np.zeros(n), np.zeros(n)
    for s in steps:
        i = found.index[s.context]
        count[i] += 1
        reward[i] += s.reward
        if s.following is not None:
            matrix[i, found.index[s.following]] += 1
    matrix, reward = matrix / np.maximum(count, 1)[:, None], reward / np.maximum(count, 1)
    assert found.v == pytest.approx(np.linalg.solve(np.eye(n) - 0.9 * matrix, reward), abs=1e-6)


def test_values_rise_with_the_expectile_up_to_the_maximum(steps):
    tables = [t.expectile_values(steps, GAMMA, tau).v for tau in (0.5, 0.8, 0.99, 1)]
    assert all((low <= high + 1e-9).all() for low, high in zip(tables, tables[1:], strict=False))


def test_terminals_that_bootstrap_lose_the_goal(steps):
    """A published fault: the value of the move into the goal goes on for ever, so nothing is gained by arriving."""
    of = maze()
    right, wrong = (t.expectile_values(steps, GAMMA, 1, fault, rounds=4_000) for fault in (False, True))
    before = (of.full[of.index[7, 6]],)  # the cell above the goal
    assert right.v[right.index[before]] == 0
    assert wrong.v[wrong.index[before]] == pytest.approx(0, abs=1e-6)  # "start again" there: arrive again and again
    counted = t.expectile_values(steps, GAMMA, 0.5, True)
    assert counted.v[counted.index[before]] < t.expectile_values(steps, GAMMA, 0.5).v[right.index[before]] - 1


def test_guided_policy_tilts_the_frequencies_and_knows_only_what_was_done():
    values = t.Values({"c": 0, "end": 1}, np.array([[3.0, 1, 0, 0], [0, 0, 0, 0]]),
                      np.array([[-2.0, -1, np.nan, np.nan], [np.nan] * 4]), np.zeros(2))
    assert set(t.guided_policy(values, 1)) == {"c"}
    weights = np.array([3 * np.exp(-2), np.exp(-1)])
    assert t.guided_policy(values, 1)["c"][:2] == pytest.approx(weights / weights.sum())
    assert t.guided_policy(values, 0)["c"].tolist() == [0.75, 0.25, 0, 0]
    assert t.guided_policy(values, np.inf)["c"].tolist() == [0, 1, 0, 0]


# ------------------------------------------------------------------------------------------ exact returns

def test_without_earlier_turns_a_window_maze_is_the_maze():
    of, chain, rng = maze(), t.window_maze("full", 0), np.random.default_rng(0)
    table = rng.dirichlet(np.ones(4), len(of.cells)) * 0.95  # 5% invalid
    rows = {(text,): row for text, row in zip(of.observations("full"), table, strict=True)}
    assert chain.mean_return(np.array([rows[c] for c in chain.contexts])) == pytest.approx(m.mean_return(table, of))
    assert len(chain.contexts) == 25 and len(t.window_maze("partial", 0).contexts) == 7


@pytest.mark.parametrize("k", [1, 2, 3])
def test_exact_returns_with_earlier_turns_agree_with_play(k):
    chain, rng = t.window_maze("partial", k), np.random.default_rng(k)
    table = rng.dirichlet(np.full(4, 0.5), len(chain.contexts))
    policy = t.ContextPolicy(dict(zip(chain.contexts, table, strict=True)), k)
    score = lab.evaluate(policy, "maze-po", 400, seed=3)
    low, high = score.interval
    exact = chain.mean_return(table)
    assert low - (high - low) / 2 < exact < high + (high - low) / 2


def test_one_earlier_turn_is_enough_for_the_best_player():
    """The best player with memory, written as a table over contexts of one turn: exactly its -7.24."""
    chain, rows = t.window_maze("partial", 1), {}
    for i in maze().starts:
        for step in t.steps_of([played_best(i)], 1):
            rows.setdefault(step.context, np.eye(4)[step.action])
    table = np.array([rows.get(c, np.full(4, 0.25)) for c in chain.contexts])
    assert chain.mean_return(table) == pytest.approx(-7.24, abs=1e-9)


def played_best(cell):
    from lmrl_lab.rollout import rollout
    return rollout(m.BeliefPolicy(), "maze-po", [0], [{"start": maze().cells[cell]}])[0]


def test_the_belief_is_the_set_of_cells_that_fit():
    of = maze()
    key = t.belief_key(of)
    start = of.walls[of.index[5, 6]]  # "a wall above you": three cells read so
    assert {of.cells[i] for i in key((start,))} == {c for c, text in zip(of.cells, of.walls) if text == start and c != of.goal}
    down = of.walls[of.index[6, 6]]
    assert {of.cells[i] for i in key((start, "move down", down))} >= {(6, 6)}


def test_exact_return_of_an_agent_agrees_with_its_games():
    agent = lab.train("bc", "maze-po", lab.generate("maze-po", 60, seed=3), seed=1, context=2, steps=25)
    score = lab.evaluate(agent, "maze-po", 400, seed=3)
    low, high = score.interval
    assert low - (high - low) / 2 < t.exact_return(agent) < high + (high - low) / 2
    agent.context = "episode"
    with pytest.raises(ValueError, match="3 turns"):
        t.exact_return(agent)


def test_ilql_arrives_at_the_fixed_point_of_the_tables():
    """The network's Q and V on the fully observed maze against expectile value iteration on the same data."""
    episodes, of = lab.generate("maze-fo", 400, seed=5), maze()
    tables = t.expectile_values(t.steps_of(episodes), 0.9, 0.8)
    agent = lab.train("ilql", "maze-fo", episodes, seed=0, steps=700, bc_steps=100, gamma=0.9, tau=0.8, cql=0.0, polyak=0.2)
    contexts = [[lab.Turn(of.full[i] + "\n", False)] for i in of.starts]
    spelled = [[agent.codec.action_ids(a) for a in ACTIONS]] * len(contexts)
    q = np.array([values for _, values in agent.score_actions(contexts, spelled)])
    rows = [tables.index[(of.full[i],)] for i in of.starts]
    gap = np.abs(q - tables.q[rows])[tables.counts[rows] > 20]
    assert gap.size > 80 and gap.max() < 0.3 and gap.mean() < 0.1  # values lie between 0 and -9.3; CQL is off
