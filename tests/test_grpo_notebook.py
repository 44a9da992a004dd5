"""What notebook 21 builds, held against what TRL's trainer and the library do."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from answers import nb21 as answers
from lmrl_lab.checks import nb21
from tests.test_grpo import trainer, watched


@pytest.fixture(scope="module")
def round_played():
    """A trainer of a network that knows nothing, and a round of its games: the rollout's answer, Episodes, TRL's batch."""
    ours = trainer("turn", "maze-fo", beta=0.3, epsilon=0.1, steps_per_generation=1, num_iterations=2)
    return ours, *watched(ours)


@settings(max_examples=25, deadline=None)
@given(returns=st.lists(st.integers(-100, 0), min_size=8, max_size=8))
def test_the_advantages_of_the_notebook_are_trl_s(round_played, returns):
    ours, answer, *_ = round_played
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore", category=FutureWarning):
        patch.setattr(ours, "rollout_func", lambda *_: {**answer, "earned": [float(x) for x in returns]})
        theirs = ours._generate_and_score_completions([{"prompt": "0"} for _ in returns])["advantages"]
    yours = answers.group_advantages(torch.tensor(returns, dtype=torch.float32), 4)
    assert torch.allclose(yours, theirs, atol=1e-4, rtol=1e-4)
    assert yours.tolist() == pytest.approx(nb21._slow_advantages([float(x) for x in returns], 4), abs=1e-4, rel=1e-4)


def test_the_loss_of_the_notebook_is_trl_s(round_played):
    ours, _, _, batch = round_played
    mask = batch["completion_mask"] * batch["tool_mask"]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # another policy than the one that played, so that ratio, clip and price all matter
        for parameter in ours.agent.policy_model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    ours.current_gradient_accumulation_steps = 1
    theirs = ours._compute_loss(ours.model, batch)
    ids, seen = (torch.cat([batch[f"prompt_{name}"], batch[f"completion_{name}"]], 1) for name in ("ids", "mask"))
    with torch.no_grad():
        now, _, _ = ours._get_per_token_logps_and_entropies(ours.model, ids, seen, mask.shape[1])
    given_ = now, batch["old_per_token_logps"], batch["ref_per_token_logps"], batch["advantages"], mask
    assert answers.grpo_loss(*given_, 0.1, 0.3).item() == pytest.approx(theirs.item(), abs=1e-5)
    assert answers.grpo_loss(*given_, 0.1, 0.0).item() != pytest.approx(theirs.item(), abs=1e-4)
    assert answers.grpo_loss(*given_, 10.0, 0.3).item() != pytest.approx(theirs.item(), abs=1e-4)


def test_the_mask_of_the_notebook_is_the_library_s(round_played):
    ours, answer, episodes, _ = round_played
    for i, episode in enumerate(episodes):
        turns = episode.turns[:-1]  # what the game says after the last action is left out: nobody reads on
        parts = zip(ours.agent.codec.encode(turns, trust_ids=True), turns, strict=True)
        yours = answers.env_mask([(list(ids), turn.is_action) for ids, turn in parts])
        assert episode.turns[-2].is_action and len(yours[1]) == len(yours[2])
        assert yours == tuple(answer[name][i] for name in ("prompt_ids", "completion_ids", "env_mask"))


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.integers(2, 7))
def test_the_share_of_silent_groups_is_what_counting_says(p, size):
    assert np.isclose(answers.no_signal(p, size), nb21._slow_no_signal(p, size), atol=1e-12)
