"""What notebook 13 builds, held against what the library has."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from answers import nb13 as answers
from lmrl_lab.algorithms import ppo
from lmrl_lab.checks import nb13

games = st.lists(st.integers(1, 6), min_size=1, max_size=4)
shares = st.floats(0, 1)


@settings(max_examples=40, deadline=None)
@given(games, shares, shares, st.integers(0, 2**32 - 1))
def test_the_advantages_of_the_notebook_and_of_its_check_are_the_library_s(lengths, gamma, lam, seed):
    rng, drawn, slow = np.random.default_rng(seed), [], []
    for n in lengths:
        rewards, values = rng.normal(size=n), rng.normal(size=n + 1)
        drawn.append((rewards, values[:-1], values[1:], np.arange(n) == n - 1))
        slow += nb13._slow_advantages(rewards.tolist(), values.tolist(), gamma, lam)
    given_ = [torch.tensor(np.concatenate(parts)) for parts in zip(*drawn, strict=True)]
    library = ppo.gae(*given_, gamma=gamma, lam=lam)
    assert torch.allclose(answers.gae(*given_, gamma, lam), library, atol=1e-9)
    assert np.allclose(slow, library, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.floats(0.01, 0.9), st.integers(0, 2**31 - 1))
def test_the_clipped_loss_of_the_notebook_is_the_library_s(n, cliprange, seed):
    new, old, advantages = torch.randn(3, n, generator=torch.Generator().manual_seed(seed)).double()
    zeros = torch.zeros(n)
    library, _ = ppo.ppo_loss(new, old, advantages, zeros, zeros, zeros, zeros, float(n), cliprange=cliprange,
                              cliprange_value=None, vf_coef=0.0, entropy_coef=0.0)
    assert torch.allclose(answers.clipped_loss(new, old, advantages, cliprange), library.double())


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 20), st.floats(0.0, 3.0), st.integers(0, 2**31 - 1))
def test_the_whitening_of_the_notebook_is_the_library_s(n, floor, seed):
    advantages = torch.randn(n, generator=torch.Generator().manual_seed(seed)).double()
    library = ppo.whitened(advantages, float(advantages.mean()), float(advantages.var()), floor)
    assert torch.allclose(answers.whiten(advantages, floor), library, atol=1e-6)
