"""PPO: the maths against slow loops; the trainer, its files, its processes. Beside TRL's numbers: `test_ppo_beside_trl.py`."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import TrainerCallback

import lmrl_lab as lab
from lmrl_lab import plots
from lmrl_lab.agent import Agent, Decoding
from lmrl_lab.algorithms import online
from lmrl_lab.algorithms.ppo import MultiTurnPPOTrainer, PPOConfig, gae, penalized, ppo_loss, whitened
from lmrl_lab.episode import Episode, EpisodeFileError, Turn
from lmrl_lab.inspection import state_values, token_report
from lmrl_lab.models import tiny_model
from lmrl_lab.rollout import rollout
from lmrl_lab.tasks import car_dealer
from lmrl_lab.tokens import make_rows
from tests.test_agent import save_pretrained
from tests.test_online_bc import Interrupt
from tests.test_tokens import bpe_codec
from tests.test_training import LAUNCHERS

SMALL = {"updates": 4, "episodes_per_update": 8, "num_mini_batches": 2, "num_ppo_epochs": 2, "checkpoint_every": 2}


@pytest.fixture(scope="module")
def cloned():
    """A clone a context, trained a little."""
    return {context: lab.train("bc", "maze-po", lab.generate("maze-po", 60, seed=3), seed=1, context=context, steps=25)
            for context in ("turn", 2, "episode")}


def trainer(init, config=None, **rest):
    return MultiTurnPPOTrainer(init, config or PPOConfig(**SMALL), **rest)


def played(init, n=4, cut=9):
    """Games of an agent, cut early: rows of different lengths, none of them over."""
    found = []
    for k, episode in enumerate(online.collect(init, list(range(n)))):
        turns = episode.turns[:2 * (cut - k) + 1]
        over = episode.terminated and len(turns) == len(episode.turns)
        found.append(Episode("maze-po", turns, over, not over, episode.seed, "x", episode.info))
    return found


def shaken(model, size=0.3, seed=0):
    """Another model: the same with noise on its weights."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += size * parameter.std().nan_to_num(1.0) * torch.randn(parameter.shape, generator=generator)
    return model


# ---------------------------------------------------------------------------------------------------------- the maths

def slow_advantage(rewards, values, after, gamma, lam):
    """The definition: an exponentially weighted mean of k-step advantages; `after`: the value of what follows the last step."""
    n, known = len(rewards), [*values, after]
    out = []
    for t in range(n):
        k_step = [sum(gamma**i * rewards[t + i] for i in range(k)) + gamma**k * known[t + k] - known[t]
                  for k in range(1, n - t + 1)]
        weights = [(1 - lam) * lam ** (k - 1) for k in range(1, n - t)] + [lam ** (n - t - 1)]
        out.append(sum(w * a for w, a in zip(weights, k_step, strict=True)))
    return out


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=4), st.floats(0, 1), st.floats(0, 1),
       st.integers(0, 2**32 - 1))
def test_gae_is_the_weighted_mean_of_k_step_advantages(games, gamma, lam, seed):
    rng, parts, wanted = np.random.default_rng(seed), [], []
    for n, over in games:
        rewards, values, after = rng.normal(size=n), rng.normal(size=n), 0.0 if over else rng.normal()
        parts.append((rewards, values, [*values[1:], after], [False] * (n - 1) + [True]))
        wanted += slow_advantage(rewards, values, after, gamma, lam)
    rewards, values, following, last = (torch.tensor(np.concatenate(x)) for x in zip(*parts, strict=True))
    assert gae(rewards, values, following, last, gamma=gamma, lam=lam).tolist() == pytest.approx(wanted, abs=1e-9)


def test_gae_by_hand():
    tensor = torch.tensor
    # two steps with r = -1, 0, V = 1, 2, then over: deltas -1 + .5 * 2 - 1 = -1 and 0 - 2 = -2
    over = gae(tensor([-1.0, 0.0]), tensor([1.0, 2.0]), tensor([2.0, 0.0]), tensor([False, True]), gamma=0.5, lam=0.5)
    assert over.tolist() == [-1.5, -2.0]
    # cut where the value is 4: the last delta is 0 + .5 * 4 - 2 = 0
    cut = gae(tensor([-1.0, 0.0]), tensor([1.0, 2.0]), tensor([2.0, 4.0]), tensor([False, True]), gamma=0.5, lam=0.5)
    assert cut.tolist() == [-1.0, 0.0]


def test_the_penalty_is_the_divergence_from_the_clone_a_token():
    logits, reference = torch.randn(1, 5, generator=torch.Generator().manual_seed(0)), torch.zeros(1, 5)
    p, q = torch.log_softmax(logits, -1)[0], torch.log_softmax(reference, -1)[0]
    rewards = penalized(torch.full((5,), -1.0), p, q, 0.1)
    assert (p.exp() * rewards).sum().item() == pytest.approx(-1 - 0.1 * (p.exp() * (p - q)).sum().item(), abs=1e-6)


def test_whitened_by_hand_and_with_a_floor():
    advantages = torch.tensor([1.0, 3.0])
    assert whitened(advantages, 2.0, 4.0).tolist() == pytest.approx([-0.5, 0.5], abs=1e-6)
    assert whitened(advantages, 2.0, 4.0, floor=10.0).tolist() == pytest.approx([-0.1, 0.1], abs=1e-6)
    assert whitened(torch.tensor([2.0, 2.0]), 2.0, 0.0).tolist() == [0.0, 0.0]


def test_ppo_loss_by_hand():
    log = np.log
    # ratios 1.5, .5, 1.5, .5 with advantages 1, 1, -1, -1 and a clip of .2: max(-A rho, -A clip(rho))
    loss, parts = ppo_loss(torch.tensor([log(1.5), log(0.5)] * 2), torch.zeros(4), torch.tensor([1.0, 1.0, -1.0, -1.0]),
                           torch.tensor([1.0, 2.0, 0.0, 0.0]), torch.tensor([0.0, 2.0, 0.0, 0.0]),
                           torch.tensor([0.0, 0.0, 0.0, 3.0]), torch.tensor([0.1, 0.2, 0.3, 0.4]), 4.0, cliprange=0.2,
                           cliprange_value=None, vf_coef=0.5, entropy_coef=0.1)
    policy = (-1.2 - 0.5 + 1.5 + 0.8) / 4
    assert parts["policy_loss"].item() == pytest.approx(policy)
    assert parts["value_loss"].item() == pytest.approx(0.5 * (1 + 4 + 0 + 9) / 4)
    assert parts["entropy"].item() == pytest.approx(0.25) and parts["clip_fraction"].item() == 0.5
    assert parts["approx_kl"].item() == pytest.approx(0.5 * (2 * log(1.5) ** 2 + 2 * log(0.5) ** 2) / 4)
    assert loss.item() == pytest.approx(policy + 0.5 * 0.5 * 14 / 4 - 0.1 * 0.25)


def test_a_clipped_value_moves_by_the_range_only():
    zeros = torch.zeros(2)
    _, parts = ppo_loss(zeros, zeros, zeros, torch.tensor([1.0, 0.1]), zeros, torch.tensor([1.0, 1.0]), zeros, 2.0, cliprange=0.2,
                        cliprange_value=0.2, vf_coef=1.0, entropy_coef=0.0)
    assert parts["value_loss"].item() == pytest.approx(0.5 * (0.8**2 + 0.9**2) / 2)  # the first is read as .2, the second stays


def test_no_gradient_flows_where_the_ratio_is_clipped_the_wrong_way():
    logprobs = torch.tensor([np.log(1.5), np.log(0.5), np.log(1.5), np.log(0.5)], requires_grad=True)
    zeros = torch.zeros(4)
    loss, _ = ppo_loss(logprobs, zeros, torch.tensor([1.0, 1.0, -1.0, -1.0]), zeros, zeros, zeros, zeros, 1.0, cliprange=0.2,
                       cliprange_value=None, vf_coef=0.0, entropy_coef=0.0)
    loss.backward()
    assert logprobs.grad.tolist() == pytest.approx([0.0, -0.5, 1.5, 0.0])


# ------------------------------------------------------------------------------------------------------- the trainer

@pytest.mark.parametrize("context", ["turn", 2, "episode"])
def test_log_probabilities_are_those_that_were_sampled(cloned, context):
    ours = trainer(cloned[context])
    episodes = ours.play(1)
    games, logged = ours.weigh(episodes)
    for episode, found in zip(episodes, games.logprobs, strict=True):
        said = [p for turn in episode.turns if turn.is_action for p in turn.logprobs]
        assert found.tolist() == pytest.approx(said, abs=1e-5)
    assert logged["kl"] == pytest.approx(0, abs=1e-6)  # the reference is the clone itself
    assert logged["mean_return"] == pytest.approx(np.mean([episode.total_return for episode in episodes]))


@pytest.mark.parametrize("context", ["turn", 2, "episode"])
def test_advantages_and_returns_against_a_loop_over_games(cloned, context):
    """Values of each state by a forward of its own window, rewards turn by turn; a cut game goes on with the value of its end."""
    init = cloned[context]
    ours = trainer(init, PPOConfig(**{**SMALL, "kl_coef": 0.3, "gamma": 0.9, "lam": 0.7, "micro_batch_size": 3}))
    ours.ref_model = shaken(copy.deepcopy(init.policy_model))
    with torch.no_grad():
        last = ours.value_model.score[-1].weight  # all values begin at 0
        last += torch.randn(last.shape, generator=torch.Generator().manual_seed(3))
    episodes = played(init)
    reference = Agent(ours.ref_model, init.codec, "maze-po", context, Decoding())
    games, _ = ours.weigh(episodes)
    raw = []
    for episode, returns in zip(episodes, games.returns, strict=True):
        states = [episode.turns[:i] for i, turn in enumerate(episode.turns) if turn.is_action]
        values = state_values(ours.agent, [*states, episode.turns]) * 0.1  # the last one: where it was cut
        report, other = token_report(ours.agent, episode), token_report(reference, episode)
        logp, ref = (np.log(frame.loc[frame.is_action, "policy"].to_numpy()) for frame in (report, other))
        rewards = np.array(episode.rewards) * 0.1 - 0.3 * (logp - ref)
        wanted = slow_advantage(rewards, values[:-1], 0.0 if episode.terminated else values[-1], 0.9, 0.7)
        assert (returns - torch.tensor(values[:-1])).tolist() == pytest.approx(wanted, abs=1e-4)
        raw += wanted
    found = torch.cat(games.advantages).tolist()
    assert found == pytest.approx(((np.array(raw) - np.mean(raw)) / np.std(raw, ddof=1)).tolist(), abs=1e-3)
    assert any(episode.truncated for episode in episodes)


def test_advantages_are_not_blown_up_once_the_run_has_seen_larger_ones(cloned):
    """Against the collapse of notebook 13: a tenth of the spread of round 3 counts as three tenths of it, not as 1."""
    init, plain = cloned["turn"], PPOConfig(**SMALL)
    episodes, advantages = played(init), {}
    for name, before in (("first round", []), ("later", [1.0, 100.0, 10.0])):
        ours = trainer(init, plain)
        ours.state.log_history = [{"advantage_std": spread} for spread in before]
        games, logged = ours.weigh(episodes)
        advantages[name] = torch.cat(games.advantages)
        assert logged["advantage_std"] < 30
    assert advantages["first round"].std() == pytest.approx(1, abs=1e-4) and plain.whiten_floor == 0.3
    assert (advantages["later"] * 30).tolist() == pytest.approx((advantages["first round"] * logged["advantage_std"]).tolist(),
                                                               abs=1e-4)


def test_micro_batches_change_nothing(cloned):
    found = []
    for size in (None, 3):
        ours = trainer(cloned[2], PPOConfig(**{**SMALL, "micro_batch_size": size, "bc_coef": 0.5, "entropy_coef": 0.1}),
                       offline=make_rows(lab.generate("maze-po", 10, seed=3), cloned[2].codec, 2, next_state=False))
        games, _ = ours.weigh(ours.play(1))
        states = [game.turns for game in lab.generate("maze-po", 5, seed=3)]
        found.append((ours.learn(games, 1), state_values(ours.agent, states)))
    (one, values), (several, others) = found
    assert one.keys() == several.keys() and {"bc_loss", "grad_norm", "policy_loss"} <= one.keys()
    assert list(one.values()) == pytest.approx(list(several.values()), abs=1e-5)
    assert values.tolist() == pytest.approx(others.tolist(), abs=1e-4) and values.std() > 1e-3


def test_the_bc_loss_pulls_towards_the_data(cloned):
    """With PPO's own terms off, its gradient is behaviour cloning's."""
    data = lab.generate("maze-po", 10, seed=3)
    rows = make_rows(data, cloned["turn"].codec, "turn", next_state=False)
    config = PPOConfig(**{**SMALL, "bc_coef": 1.0, "vf_coef": 0.0, "bc_batch_size": 10_000, "learning_rate": 1e-2})
    ours = trainer(cloned["turn"], config, offline=rows)
    games, _ = ours.weigh(ours.play(1))
    games.advantages = [torch.zeros_like(a) for a in games.advantages]
    first = ours.learn(games, 1)["bc_loss"]
    assert ours.learn(games, 2)["bc_loss"] < first - 0.02


def test_gradients_are_clipped_and_mini_batches_are_steps(cloned):
    config = PPOConfig(**{**SMALL, "max_grad_norm": 1e-12, "weight_decay": 0.0})
    ours = trainer(cloned["turn"], config)
    steps = []
    ours.optimizer.step = lambda *a, **k: steps.append(max(float(p.grad.abs().max()) for p in ours.model.parameters()))
    ours.learn(ours.weigh(ours.play(1))[0], 1)
    assert len(steps) == config.num_ppo_epochs * config.num_mini_batches and max(steps) <= 1e-11


def test_the_start_agent_is_left_as_it_was_and_training_changes_the_copy(cloned):
    before = cloned["turn"].fingerprint()
    agent = lab.train("ppo", "maze-po", init=cloned["turn"], **SMALL)
    assert cloned["turn"].fingerprint() == before != agent.fingerprint()
    assert agent.history["step"].tolist() == [1, 2, 3, 4] and agent.name == "PPO"
    assert agent.history["episodes"].tolist() == [8, 16, 24, 32]
    again = lab.train("ppo", "maze-po", init=cloned["turn"], **SMALL)
    times = [name for name in agent.history if "seconds" in name]
    assert agent.history.drop(columns=times).equals(again.history.drop(columns=times))


def test_training_games_are_never_those_of_an_evaluation():
    seeds = [online.game_seeds(0, update, 64) for update in range(50)]
    assert len({s for part in seeds for s in part}) == 50 * 64 and min(min(part) for part in seeds) >= 2**32
    assert online.game_seeds(1, 3, 5) != online.game_seeds(0, 3, 5)


def test_a_dozen_rounds_solve_the_maze():
    """From a clone that needs more than 60 moves to one that needs fewer than 20."""
    init = lab.train("bc", "maze-fo", seed=100, steps=200)
    agent = lab.train("ppo", "maze-fo", init=init, seed=100, updates=12)
    earned = agent.history["mean_return"]
    assert earned.iloc[0] < -60 and earned.iloc[-3:].mean() > -20 and agent.history["success_rate"].iloc[-1] == 1.0


def test_the_critic_is_saved_with_the_agent(cloned, tmp_path):
    agent = lab.train("ppo", "maze-po", init=cloned[2], **SMALL)
    agent.save(tmp_path / "a")
    back = lab.load_agent(tmp_path / "a")
    contexts = [[Turn("There is a wall above you.\n", False)], lab.generate("maze-po", 1, seed=5)[0].turns[:5]]
    values = state_values(agent, contexts)
    assert values.tolist() == pytest.approx(state_values(back, contexts).tolist(), abs=1e-6) and abs(values).max() > 0.1
    assert not back.has_q and back.fingerprint() == agent.fingerprint()
    with pytest.raises(ValueError, match="guides by Q"):
        back.with_decoding(beta=1.0)
    frame = token_report(back, lab.generate("maze-po", 1, seed=5)[0]).query("is_action")
    assert frame["q"].isna().all() and frame["v"].notna().all()
    assert back.top_actions(contexts[0], lab.TASKS["maze-po"].actions, 2)[0]["value"] is None


def test_transformers_callbacks_are_called_and_may_stop_it(cloned):
    class Stop(TrainerCallback):
        seen = []

        def on_log(self, args, state, control, logs=None, **_):
            self.seen.append(("log", logs["mean_return"]))

        def on_step_end(self, args, state, control, **_):
            control.should_training_stop = state.global_step == 2

        def on_train_end(self, *_, **__):
            self.seen.append("end")

    ours = trainer(cloned["turn"], callbacks=[Stop()], trl_options={"logging_steps": 1})
    ours.train()
    assert [s[0] if isinstance(s, tuple) else s for s in Stop.seen] == ["log", "log", "end"] and len(ours.history) == 2


# ----------------------------------------------------------------------------------------- files, interruptions, processes

def without_times(path):
    frame = pd.read_csv(path)
    return frame[[name for name in frame if "seconds" not in name]]


@pytest.mark.parametrize(("scale", "loud"), [(0.1, False), (1.0, True)])
def test_a_first_gradient_that_is_v_s_alone_is_told(cloned, scale, loud):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        lab.train("ppo", "maze-po", init=cloned["turn"], seed=0, updates=2, episodes_per_update=8, reward_scale=scale)
    said = [str(w.message) for w in told if "reward_scale" in str(w.message)]
    assert len(said) == loud and all(re.match(r"the first gradient has norm \d\d+; ", text) for text in said)


def test_games_that_outgrow_the_model_are_cut_and_learned_from(monkeypatch):
    """A seller who has hardly learned to speak says up to 64 tokens a text; here its model can read 26 times 8."""
    monkeypatch.setitem(car_dealer.CARDS, "car-dealer", replace(lab.TASKS["car-dealer"], turn_tokens=8))
    agent = lab.train("bc", "car-dealer", lab.generate("car-dealer", 20, seed=3), seed=1, steps=1)
    limit = agent.policy_model.config.n_positions
    with pytest.raises(ValueError, match="outgrown the model's 208 positions"):
        rollout(agent, "car-dealer", range(4))
    quiet = rollout(agent, "car-dealer", range(4), outgrown="silent")
    assert any(game.info.get("outgrown") for game in quiet)
    for game in quiet:
        sizes = np.cumsum([len(ids) for ids in agent.codec.encode(game.turns, trust_ids=True)])
        silent = [not turn.text and turn.token_ids is None for turn in game.turns if turn.is_action]
        read = sizes[::2][:len(silent)]  # up to each observation, while it speaks
        assert silent == sorted(silent) and game.info.get("outgrown") == ("silent" if any(silent) else None)
        assert all(size <= limit for size, quiet in zip(read, silent) if not quiet)
        assert not any(silent) or read[silent.index(True)] > limit
        env = lab.make("car-dealer")
        assert [env.reset(seed=game.seed)[0], *(env.step(action)[0] for action in game.actions)] == game.observations
    score, played = lab.evaluate(agent, "car-dealer", 4, return_episodes=True)
    assert score.outgrown == sum("outgrown" in game.info for game in played) > 0
    assert all(game.terminated or len(game.actions) == 25 for game in played)
    assert lab.evaluate(agent, "car-dealer", 4, batch=1) == score  # whoever plays beside it
    assert "too long to read" in plots.score_table([score]) and str(score.outgrown) in score._repr_html_()
    with pytest.raises(ValueError, match="outgrown the model's 208 positions"):
        lab.evaluate(agent, "car-dealer", 4, outgrown="raise")
    assert f"4 games, {score.outgrown} of them longer than the agent can read" in str(score)
    with pytest.raises(ValueError, match="cut, raise, silent"):
        rollout(agent, "car-dealer", [0], outgrown="quiet")
    games = online.collect(agent, range(4))
    assert any(game.info.get("outgrown") for game in games)
    for game in games:
        sizes = [len(ids) for ids in agent.codec.encode(game.turns, trust_ids=True)]
        assert sum(sizes) <= limit
        if game.info.get("outgrown"):
            assert game.truncated and not game.success and sum(sizes) > limit - 64 - 2 * max(sizes[::2]) - 1
        env = lab.make("car-dealer")
        shown = [env.reset(seed=game.seed)[0], *(env.step(action)[0] for action in game.actions)]
        assert shown == game.observations
    trained = lab.train("ppo", "car-dealer", init=agent, seed=0, updates=1, episodes_per_update=4)
    assert np.isfinite(trained.history[["loss", "mean_return", "grad_norm"]].to_numpy()).all()


@pytest.mark.parametrize("size", range(9, 30))
def test_an_agent_speaks_as_long_as_it_can_read(size):
    """What may be read is read: beside a model without a limit, the games are the same up to where it is full."""
    def agent(positions):
        model, codec = tiny_model(replace(lab.TASKS["maze-po"], turn_tokens=positions, max_actions=0), "episode", seed=0)
        return Agent(model, codec, "maze-po", "episode", Decoding(legal_only=True))

    limited, free = agent(size), agent(500)
    weights = limited.policy_model.state_dict()
    weights["transformer.wpe.weight"] = free.policy_model.state_dict()["transformer.wpe.weight"][:size]
    limited.policy_model.load_state_dict(weights)
    free.policy_model.load_state_dict({**weights, "transformer.wpe.weight": free.policy_model.state_dict()[
        "transformer.wpe.weight"]})
    for mine, other in zip(rollout(limited, "maze-po", range(6), outgrown="silent"), rollout(free, "maze-po", range(6))):
        ids = free.codec.encode(other.turns)
        speaks = sum(np.cumsum([len(piece) for piece in ids])[:-1:2] <= size)
        assert mine.actions[:speaks] == other.actions[:speaks] and set(mine.actions[speaks:]) <= {""}
        assert len(mine.actions) == 100 or mine.terminated
        cut = rollout(limited, "maze-po", [mine.seed], outgrown="cut") if size > 20 else []
        for game in cut:
            assert sum(len(piece) for piece in limited.codec.encode(game.turns)) < size or game.terminated


def test_a_file_of_cut_games_is_not_taken_for_played_ones(tmp_path, monkeypatch):
    monkeypatch.setitem(car_dealer.CARDS, "car-dealer", replace(lab.TASKS["car-dealer"], turn_tokens=8))
    agent = lab.train("bc", "car-dealer", lab.generate("car-dealer", 20, seed=3), seed=1, steps=1)
    seeds = [1_000_000 + i for i in range(4)]
    rollout(agent, "car-dealer", seeds, outgrown="cut", save_to=tmp_path / "games.jsonl")
    with pytest.raises(EpisodeFileError, match='"cut" and not "silent"'):
        lab.evaluate(agent, "car-dealer", 4, save_to=tmp_path / "games.jsonl")


def test_an_interrupted_run_goes_on_to_the_same_history(cloned, tmp_path):
    whole = lab.train("ppo", "maze-po", init=cloned[2], out=tmp_path / "whole", **SMALL)
    with pytest.raises(KeyboardInterrupt, match="after round 3 of 4; go on with resume"):
        lab.train("ppo", "maze-po", init=cloned[2], out=tmp_path / "cut", callback=Interrupt(3), **SMALL)
    half = tmp_path / "cut" / "checkpoint-4"  # what a crash leaves
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    resumed = lab.train("ppo", "maze-po", init=cloned[2], out=tmp_path / "cut", resume=True, **SMALL)
    assert without_times(tmp_path / "cut" / "history.csv").equals(without_times(tmp_path / "whole" / "history.csv"))
    assert resumed.fingerprint() == whole.fingerprint()
    assert {p.name for p in (tmp_path / "whole").iterdir()} == {
        "config.json", "history.csv", "agent", "checkpoint-2", "checkpoint-4"}


def test_a_damaged_checkpoint_is_named_and_the_one_before_can_be_used(cloned, tmp_path):
    lab.train("ppo", "maze-po", init=cloned["turn"], out=tmp_path / "run", **SMALL)
    (tmp_path / "run" / "checkpoint-4" / "critic.pt").write_bytes(b"")
    with pytest.raises(ValueError, match="critic.pt is not the file"):
        lab.train("ppo", "maze-po", init=cloned["turn"], out=tmp_path / "run", resume=True, **SMALL)
    shutil.rmtree(tmp_path / "run" / "checkpoint-4")
    agent = lab.train("ppo", "maze-po", init=cloned["turn"], out=tmp_path / "run", resume=True, **SMALL)
    assert agent.history["step"].tolist() == [1, 2, 3, 4]


def test_without_a_folder_nothing_is_written(cloned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lab.train("ppo", "maze-po", init=cloned["turn"], **SMALL)
    assert not list(tmp_path.iterdir())


def test_another_data_set_or_setting_is_not_resumed(cloned, tmp_path):
    lab.train("ppo", "maze-po", init=cloned["turn"], out=tmp_path / "run", **SMALL)
    with pytest.raises(ValueError, match="another config"):
        lab.train("ppo", "maze-po", init=cloned["turn"], out=tmp_path / "run", resume=True, **{**SMALL, "kl_coef": 0.5})
    told = {**SMALL, "bc_coef": 1.0, "init": cloned["turn"], "out": tmp_path / "pulled"}
    lab.train("ppo", "maze-po", lab.generate("maze-po", 6, seed=1), **told)
    with pytest.raises(ValueError, match="another data"):
        lab.train("ppo", "maze-po", lab.generate("maze-po", 6, seed=2), resume=True, **told)


@pytest.mark.parametrize("wrong, said", [
    ({"num_mini_batches": 3}, "cannot be cut into 3"), ({"gamma": 1.5}, "gamma is from 0 to 1"),
    ({"updates": 0}, "updates is a whole"), ({"learning_rate": 0.0}, "learning_rate is above 0"),
    ({"cliprange": -1}, "cliprange"), ({"kl_coef": float("nan")}, "kl_coef"), ({"reward_scale": 0}, "reward_scale"),
    ({"episodes_per_update": 2.5}, "episodes_per_update")])
def test_settings_that_make_no_sense(wrong, said):
    with pytest.raises(ValueError, match=said):
        PPOConfig(**wrong)


def test_a_gradient_that_is_no_number_is_said(cloned):
    ours = trainer(cloned["turn"])
    games, _ = ours.weigh(ours.play(1))
    games.advantages[0] = games.advantages[0] * float("nan")
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        ours.learn(games, 1)


def test_any_model_of_transformers_learns_too(tmp_path):
    """A byte-level tokenizer, several tokens an action, rewards on the last one."""
    path = save_pretrained(tmp_path / "model", "qwen2", bpe_codec())
    agent = lab.train("ppo", "maze-po", lab.generate("maze-po", 6, seed=3), model=path, context=1, bc_steps=2,
                      **{**SMALL, "updates": 1, "micro_batch_size": 2})
    assert len(agent.history) == 1 and np.isfinite(agent.history["loss"]).all() and not agent.codec.single_token_actions


def test_two_real_processes_share_a_round(tmp_path, cloned):
    cloned[2].save(tmp_path / "clone")
    arguments = ["-m", "lmrl_lab", "train", "ppo", "maze-po", "--init", str(tmp_path / "clone"), "--out"]
    sets = [word for name, value in {**SMALL, "num_mini_batches": 1}.items() for word in ("--set", f"{name}={value}")]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    for before, out in ((["-m", *LAUNCHERS["accelerate launch"]], "two"), ([], "one")):
        run = subprocess.run([sys.executable, *before, *arguments, str(tmp_path / out), *sets], env=env, capture_output=True,
                             text=True, timeout=300)
        assert run.returncode == 0, run.stderr[-2000:]
    one, two = (without_times(tmp_path / out / "history.csv") for out in ("one", "two"))
    assert one.columns.tolist() == two.columns.tolist()
    assert np.allclose(one, two, atol=1e-3, rtol=1e-3), (one - two).abs().max()
    assert json.loads((tmp_path / "two" / "config.json").read_text())["config"]["updates"] == 4
