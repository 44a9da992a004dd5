"""What notebook 14 builds, held against what the library has, and its exact counts against games played one by one."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lmrl_lab as lab
from answers import nb14 as answers
from lmrl_lab import results
from lmrl_lab.algorithms.bc import bc_loss
from lmrl_lab.checks import nb14
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.tasks.maze import ACTIONS, maze
from notebook_cells import defined


@pytest.fixture(scope="module")
def notebook():
    board = maze("double_t")
    return defined(14, "play", "picture", "build", "loop", "counts", "ideal", "own", lab=lab, board=board,
                   square={words + "\n": s for s, words in enumerate(board.full)},
                   CONTEXTS=[[Turn(words + "\n", False)] for words in board.full],
                   bc=results.agent("bc-maze-fo"))


def test_the_loop_of_the_notebook_is_the_library_s(notebook):
    mine = notebook["loop"](notebook["won"], 2, seed=3)
    library = lab.train("online_filtered_bc", "maze-fo", init=notebook["bc"], seed=3, updates=2)
    assert mine.fingerprint() == library.fingerprint()
    assert mine.history["kept"].tolist() == (library.history["kept"] * 64).tolist()
    assert mine.history["success"].tolist() == library.history["success_rate"].tolist()


def slow_counts(table, follow, goal, starts, worth):
    """Every game that there is, one by one."""
    counts, mean = np.zeros(table.shape), 0.0
    for start, moves in itertools.product(starts, itertools.product(range(table.shape[1]), repeat=len(worth) - 1)):
        here, chance, path = start, 1 / len(starts), []
        for a in moves:
            path.append((here, a))
            chance, here = chance * table[here, a], follow[here, a]
            if here == goal:
                break
        if here == goal:
            chance /= table.shape[1] ** (len(moves) - len(path))  # the moves after the end stand for one game
            mean += chance * worth[len(path)]
            for step in path:
                counts[step] += chance * worth[len(path)]
    return counts, mean


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_the_exact_counts_are_those_of_all_games(seed, limit):
    count = defined(14, "counts", np=np, board=maze("double_t"))["kept_moves"]
    rng = np.random.default_rng(seed)
    table, follow, worth = rng.dirichlet(np.ones(2), 3), rng.integers(0, 3, (3, 2)), np.r_[0, rng.uniform(0, 1, limit)]
    exact, slow = (f(table, worth=worth, follow=follow, goal=2, starts=[0, 1]) for f in (count, slow_counts))
    assert np.allclose(exact[0], slow[0]) and np.isclose(exact[1], slow[1])


def test_the_exact_counts_by_hand_are_the_exercise_s(notebook):
    counts, mean = notebook["kept_moves"](np.full((2, 2), 0.5), [0, 1, 1], np.array([[1, 0], [1, 1]]), 1, [0])
    assert np.isclose(counts[0, 0] / counts[0].sum(), answers.ANSWERS["share_of_on"]["answer"]) and mean == 0.75


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=6), st.integers(0, 2**31 - 1))
def test_cloning_the_kept_games_is_the_policy_gradient_of_being_kept(games, seed):
    """The library's loss on the kept tokens and the exercise's loss of all games have one gradient, up to tokens over games."""
    game = torch.tensor([g for g, (length, _) in enumerate(games) for _ in range(length)])
    weights = torch.tensor([float(kept) for _, kept in games], dtype=torch.float64)
    logits = torch.randn(len(game), 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()
    tokens, kept = torch.arange(len(game)) % 4, weights[game]
    logprobs = torch.log_softmax(logits, 1)[torch.arange(len(game)), tokens]
    [mine] = torch.autograd.grad(answers.game_loss(logprobs, game, weights), logits, retain_graph=True)
    [theirs] = torch.autograd.grad(bc_loss(logits, tokens, kept, max(float(kept.sum()), 1.0)), logits)
    assert torch.allclose(mine, theirs * kept.sum() / len(games))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-6, 0)), max_size=20))
def test_the_line_of_pandas_keeps_what_the_exercise_keeps(games):
    better = defined(14, "play", "own")["better"]
    board = maze("double_t")
    played = [Episode("maze-fo", [Turn(board.full[start], False), Turn(ACTIONS[0], True, float(earned)), Turn("x", False)],
                      False, True) for start, earned in games]
    kept = answers.better_than_own([start for start, _ in games], [float(earned) for _, earned in games])
    if games:
        assert [id(game) for game in better(played)] == [id(played[i]) for i in kept]
    assert set(kept) <= set(range(len(games))) and nb14.better_than_own(answers.better_than_own).passed
