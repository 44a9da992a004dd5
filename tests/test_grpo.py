"""GRPO: TRL's numbers against hand and slow loops on games of many turns; the trainer's files, its quiet, its processes."""

import dataclasses
import os
import signal
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import trl
from hypothesis import given, settings
from hypothesis import strategies as st

import lmrl_lab as lab
from lmrl_lab.agent import Agent, Decoding
from lmrl_lab.algorithms import grpo
from lmrl_lab.algorithms.grpo import GRPOConfig, MultiTurnGRPOTrainer, train_grpo
from lmrl_lab.algorithms.online import game_seeds
from lmrl_lab.env import TextEnv, register
from lmrl_lab.inspection import token_report
from lmrl_lab.models import tiny_model
from lmrl_lab.tokens import pack
from tests.test_training import LAUNCHERS

TIMES = ["rollout_seconds", "update_seconds", "seconds"]
COLOURS = ("red", "blue")
SMALL = {"updates": 3, "episodes_per_update": 8, "num_generations": 4, "steps_per_generation": 2, "checkpoint_every": 2}


class Parrot(TextEnv):
    """Three turns; a colour is said once or several times; 1 for saying it back. First observations differ in length."""

    task = "parrot"

    def _reset(self, options):
        self.turn = 0
        return self._say(), self._info()

    def _say(self):
        self.colour = COLOURS[self.np_random.integers(2)]
        return " ".join([self.colour] * int(self.np_random.integers(1, 5))) + "\n"

    def _info(self):
        return {"legal_actions": None, "invalid": False, "success": self.turn == 3, "message": ""}

    def _step(self, action):
        self.turn += 1
        reward = float(action.split()[:1] == [self.colour])
        return self._say(), reward, self.turn == 3, False, self._info()


@pytest.fixture(scope="module", autouse=True)
def parrot():
    card = dataclasses.replace(
        lab.TASKS["maze-po"], id="parrot", env=Parrot, vocabulary=(*COLOURS, "\n"), actions=None, max_actions=3, turn_tokens=70,
        evaluation_options=None, settings={})
    yield register(card)
    del lab.TASKS._own["parrot"]


def agent(context="episode", seed=0, task="parrot"):
    return Agent(*tiny_model(lab.TASKS[task], context, seed, layers=2, width=16, heads=2), task, context, Decoding())


def trainer(context="episode", task="parrot", seed=0, **changes):
    return MultiTurnGRPOTrainer(agent(context, task=task), GRPOConfig(**{**SMALL, **changes}), seed)


@pytest.fixture(scope="module")
def few_turns():
    """Games that were played by a run, by context: what the rollout gave, its Episodes, what TRL made of it."""
    out = {}
    for context in ("episode", "turn", 1):
        ours = trainer(context, loss_type="grpo", beta=0.2)
        out[context] = ours, *watched(ours)
    return out


def watched(ours, update=1):
    """(rollout's answer, Episodes, TRL's batch) of one round of a trainer's games."""
    kept = {}

    def play(starts, _trainer):
        kept["answer"] = original(starts, _trainer)
        return kept["answer"]

    def remember(player, seeds):
        kept["episodes"] = collect(player, seeds)
        return kept["episodes"]

    original, collect = ours.rollout_func, grpo.collect
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore", category=FutureWarning):
        patch.setattr(ours, "rollout_func", play)
        patch.setattr(grpo, "collect", remember)
        groups = ours.config.episodes_per_update // ours.config.num_generations
        rows = ours.train_dataset[(update - 1) * groups:update * groups]["prompt"]
        ours.model.train()
        batch = ours._generate_and_score_completions([{"prompt": row} for row in rows for _ in range(ours.num_generations)])
    return kept["answer"], kept["episodes"], batch


# ------------------------------------------------------------------------------------------------------------ the games

def test_games_of_a_group_start_alike_and_go_their_own_ways(few_turns):
    _, answer, episodes, _ = few_turns["episode"]
    firsts = [episode.turns[0].text for episode in episodes]
    assert [e.seed for e in episodes] == [s for s in game_seeds(0, 1, 2) for _ in range(4)]
    for group in (episodes[:4], episodes[4:]):
        assert len({e.turns[0].text for e in group}) == 1
        assert len({tuple(e.actions) for e in group}) == 4
    assert firsts[0] != firsts[4] and len(answer["prompt_ids"][0]) != len(answer["prompt_ids"][4])  # so one is padded


def test_rounds_have_seeds_of_their_own():
    starts = [int(s) for s in trainer(updates=5).train_dataset["prompt"]]
    assert len(starts) == 10 == len(set(starts)) and starts[2:4] == game_seeds(0, 2, 2) and min(starts) >= 2**32
    assert starts != [int(s) for s in trainer(updates=5, seed=1).train_dataset["prompt"]]


def test_sampled_tokens_are_the_tokens_trained_on(few_turns):
    ours, answer, episodes, batch = few_turns["episode"]
    longest = 0
    for i, episode in enumerate(episodes):
        sampled = [token for turn in episode.turns if turn.is_action for token in turn.token_ids]
        longest = max(longest, len(sampled))
        assert [t for t, m in zip(answer["completion_ids"][i], answer["env_mask"][i], strict=True) if m] == sampled
        assert batch["completion_ids"][i][batch["completion_mask"][i] * batch["tool_mask"][i] == 1].tolist() == sampled
        assert tuple(answer["prompt_ids"][i]) == ours.agent.codec.encode(episode.turns)[0]
        # the transcript is whole: the observations between the actions stand in it, masked
        assert answer["prompt_ids"][i] + answer["completion_ids"][i] == pack(
            episode, ours.agent.codec, "episode", next_state=False).input_ids.tolist()
    assert longest > 6  # several tokens an action


@pytest.mark.parametrize("context", ["episode", "turn", 1])
def test_log_probabilities_in_trl_s_batch_are_the_agent_s(few_turns, context):
    ours, _, episodes, batch = few_turns[context]
    mask = (batch["completion_mask"] * batch["tool_mask"]).bool()
    for i, episode in enumerate(episodes):
        said = [p for turn in episode.turns if turn.is_action for p in turn.logprobs]
        assert batch["old_per_token_logps"][i][mask[i]].tolist() == pytest.approx(said, abs=1e-4)
        report = token_report(ours.agent, episode)
        assert np.log(report.loc[report.is_action, "policy"]).tolist() == pytest.approx(said, abs=1e-4)
    assert (batch["old_per_token_logps"][~mask] == 0).all()
    assert torch.equal(batch["ref_per_token_logps"], batch["old_per_token_logps"])  # the clone is the reference


def test_trl_fault_positions_are_wrong_behind_a_padded_prompt(few_turns):
    """Why its own log-probabilities are not used even where the whole transcript is the context."""
    ours, answer, _, batch = few_turns["episode"]
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    seen = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    with torch.no_grad():
        theirs, _, _ = trl.GRPOTrainer._get_per_token_logps_and_entropies(ours, ours.model, ids, seen,
                                                                          batch["completion_ids"].shape[1])
    mask, padded = batch["tool_mask"] * batch["completion_mask"], (batch["prompt_mask"] == 0).any(1)
    error = ((theirs - batch["old_per_token_logps"]) * mask).abs().amax(1)
    assert padded.any() and (error[padded] > 1e-3).all() and (error[~padded] < 1e-4).all()


# ------------------------------------------------------------------------------------------------- advantages and losses

def advantages(few_turns, returns, scale):
    """Of eight games in two groups that had earned this."""
    ours, answer, *_ = few_turns["episode"]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore", category=FutureWarning):
        patch.setattr(ours, "rollout_func", lambda *_: {**answer, "earned": [float(x) for x in returns]})
        patch.setattr(ours, "scale_rewards", scale)
        return ours._generate_and_score_completions([{"prompt": "0"} for _ in returns])["advantages"].tolist()


def test_advantages_by_hand(few_turns):
    """Returns 1 2 3 4 | 5 5 5 7: means 2.5 and 5.5, standard deviations sqrt(5/3) and 1."""
    wanted = [*(np.array([-1.5, -0.5, 0.5, 1.5]) / (5 / 3) ** 0.5), -0.5, -0.5, -0.5, 1.5]
    found = advantages(few_turns, [1, 2, 3, 4, 5, 5, 5, 7], "group")
    assert found == pytest.approx(wanted, abs=1e-3)  # TRL adds 1e-4 to a standard deviation


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-100, 0), min_size=8, max_size=8), st.sampled_from(["group", "batch", "none"]))
def test_advantages_of_a_group_have_no_mean_and_the_spread_that_was_asked_for(few_turns, numbers, scale):
    found = advantages(few_turns, numbers, scale)
    for k in (0, 4):
        group = np.array(numbers[k:k + 4], float)
        spread = {"group": group.std(ddof=1), "batch": np.std(numbers, ddof=1), "none": 1 - 1e-4}[scale] + 1e-4
        assert found[k:k + 4] == pytest.approx(((group - group.mean()) / spread).tolist(), abs=1e-4, rel=1e-3)


def slow_loss(ours, episodes, advantages, old, reference, epsilon, beta, kind):
    """The definition, a game after the other, each action token from a report of its own; the number and how many tokens."""
    total, games, count = 0.0, [], 0
    for i, episode in enumerate(episodes):
        report = token_report(ours.agent, episode)
        now = np.log(report.loc[report.is_action, "policy"].to_numpy())
        terms = []
        for t, logp in enumerate(now):
            ratio = np.exp(logp - old[i][t])
            away = reference[i][t] - logp
            terms.append(-min(ratio * advantages[i], np.clip(ratio, 1 - epsilon, 1 + epsilon) * advantages[i])
                         + beta * ratio * (np.exp(away) - away - 1))
        total, count = total + sum(terms), count + len(terms)
        games.append(np.mean(terms))
    return {"dapo": total / count, "grpo": np.mean(games)}[kind]


@pytest.mark.parametrize("kind", ["dapo", "grpo"])
@pytest.mark.parametrize("context", ["episode", "turn"])
def test_the_loss_against_a_slow_loop_and_without_its_mask(kind, context):
    ours = trainer(context, loss_type=kind, beta=0.3, epsilon=0.1, steps_per_generation=1, num_iterations=2)
    _, episodes, batch = watched(ours)
    mask = (batch["completion_mask"] * batch["tool_mask"]).bool()
    old, ref = ([batch[name][i][mask[i]].tolist() for i in range(8)] for name in ("old_per_token_logps", "ref_per_token_logps"))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # another policy than the one that played
        for parameter in ours.agent.policy_model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    wanted = slow_loss(ours, episodes, batch["advantages"].tolist(), old, ref, 0.1, 0.3, kind)
    ours.current_gradient_accumulation_steps = 1
    loss = ours._compute_loss(ours.model, batch)
    assert loss.item() == pytest.approx(wanted, abs=1e-5) and abs(wanted) > 1e-3
    assert ours._metrics["train"]["clip_ratio/region_mean"][-1] > 0
    # an observation's token enters nothing: whatever is claimed of its old probability, the loss stays
    lied = {**batch, "old_per_token_logps": batch["old_per_token_logps"] - 5.0 * ~mask}
    assert ours._compute_loss(ours.model, lied).item() == pytest.approx(wanted, abs=1e-5)
    unmasked = ours._compute_loss(ours.model, {name: value for name, value in lied.items() if name != "tool_mask"})
    assert abs(unmasked.item() - wanted) > 1e-2


def test_a_gradient_in_parts_is_the_gradient_of_the_whole():
    weights = []
    for micro in (None, 1):
        config = GRPOConfig(**{**SMALL, "updates": 1, "micro_batch_size": micro, "learning_rate": 0.1})
        ours = MultiTurnGRPOTrainer(agent(), config, trl_options={"optim": "sgd"})  # Adam blows up what is nearly 0
        ours.train()
        weights.append(torch.cat([p.detach().flatten() for p in ours.agent.policy_model.parameters()]))
    start = torch.cat([p.detach().flatten() for p in agent().policy_model.parameters()])
    assert torch.allclose(*weights, atol=1e-5) and (weights[0] - start).abs().max() > 1e-3


# ----------------------------------------------------------------------------------------------------------- the trainer

def test_it_learns_the_maze_in_seconds_and_the_same_again():
    init = lab.train("bc", "maze-fo", lab.generate("maze-fo", 200, seed=3), seed=100, steps=60, batch_size=256)
    before = init.fingerprint()
    run, again = (train_grpo("maze-fo", [], init, GRPOConfig(updates=n, episodes_per_update=32), seed=100) for n in (9, 2))
    assert before == init.fingerprint() != run.fingerprint()
    first, last = run.history.mean_return.iloc[[0, -1]]
    assert first < -70 and last > -40 and run.history.success_rate.iloc[-1] > 0.8
    pd.testing.assert_frame_equal(run.history.drop(columns=TIMES)[:2], again.history.drop(columns=TIMES))
    assert run.name == "GRPO" and run.context == "turn" and not run.policy_model.training


def test_history_has_a_row_a_round_and_the_probe_s_numbers():
    told, asked = [], []

    def probe(player):
        assert not player.policy_model.training
        asked.append(player)
        return {"asked": len(asked)}

    run = train_grpo("parrot", [], agent(), GRPOConfig(**SMALL), callback=lambda row, history: told.append((row, len(history))),
                     probe=probe, probe_every=2, spent=10.0)
    history = run.history
    assert history.step.tolist() == [1, 2, 3] == [n for _, n in told] and history.episodes.tolist() == [8, 16, 24]
    assert history.asked.isna().tolist() == [True, False, False] and asked[0] is run
    assert history.kl.iloc[0] == pytest.approx(0, abs=1e-5) and abs(history.kl.iloc[-1]) > 1e-4
    assert history.tokens.is_monotonic_increasing and history.tokens.iloc[0] >= 24
    assert history.seconds.is_monotonic_increasing and 10 < history.seconds.iloc[0] < 20
    assert history.learning_rate.tolist() == [3e-4] * 3 and history.notna().drop(columns="asked").all().all()
    assert {"loss", "entropy", "clip_fraction", "grad_norm", "mean_return", "success_rate", "no_signal"} <= set(history)


def test_a_cut_run_resumes_to_the_history_of_a_whole_one(tmp_path):
    whole = train_grpo("parrot", [], agent(), GRPOConfig(**SMALL), seed=5)

    def interrupt(row, history):
        if row["step"] == 2 and len(history) == 2 and not (tmp_path / "checkpoint-4").exists():
            os.kill(os.getpid(), signal.SIGINT)

    run = {"seed": 5, "folder": tmp_path, "callback": interrupt}
    config = GRPOConfig(**{**SMALL, "checkpoint_every": 100})
    with pytest.raises(KeyboardInterrupt, match="after round 2 of 3.*resume=True"):
        train_grpo("parrot", [], agent(), config, **run)
    assert len(pd.read_csv(tmp_path / "history.csv")) == 2
    resumed = train_grpo("parrot", [], agent(), config, resume=True, **run)
    pd.testing.assert_frame_equal(whole.history.drop(columns=TIMES), resumed.history.drop(columns=TIMES))
    assert whole.fingerprint() == resumed.fingerprint() and resumed.history.seconds.is_monotonic_increasing
    again = train_grpo("parrot", [], agent(), config, resume=True, **run)  # nothing is left to do
    assert again.fingerprint() == whole.fingerprint() and len(again.history) == 3
    with open(tmp_path / "checkpoint-6" / "model.safetensors", "ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match="changed or cut"):
        train_grpo("parrot", [], agent(), config, resume=True, **run)


def test_without_a_folder_nothing_is_written_printed_sent_or_warned(tmp_path, monkeypatch, capsys):
    import socket
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was opened"))
    monkeypatch.setattr(trl.trainer.base_trainer, "send_telemetry", lambda **_: pytest.fail("a run was reported"))
    state = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ResourceWarning)
        train_grpo("parrot", [], agent(), GRPOConfig(**{**SMALL, "updates": 1}))
    assert torch.equal(state, torch.get_rng_state())
    assert not list(tmp_path.iterdir()) and capsys.readouterr() == ("", "")


@pytest.mark.parametrize("bad, said", [
    ({"num_generations": 1}, "at least 2"), ({"num_generations": 5}, "groups of 5"), ({"steps_per_generation": 3}, "namely 3"),
    ({"scale_rewards": "std"}, "scale_rewards is one of group"), ({"loss_type": "ppo"}, "loss_type is one of dapo"),
    ({"beta": -1.0}, "beta"), ({"epsilon": "wide"}, "epsilon"), ({"num_iterations": 0}, "num_iterations")])
def test_a_setting_that_makes_no_sense_is_named(bad, said):
    with pytest.raises(ValueError, match=said):
        GRPOConfig(**{**SMALL, **bad})


def test_parts_must_fit_and_a_gradient_must_be_finite():
    with pytest.raises(ValueError, match="in parts of 3"):
        trainer(micro_batch_size=3)
    with pytest.raises(FloatingPointError, match="learning_rate"):
        trainer(learning_rate=1e20, max_grad_norm=1e30, updates=8).train()


def test_train_knows_it_by_name_and_its_agent_comes_back_from_its_folder(tmp_path):
    run = lab.train("grpo", "maze-fo", lab.generate("maze-fo", 20, seed=3), bc_steps=5, seed=1, updates=2, episodes_per_update=8,
                    num_generations=4, steps_per_generation=1, out=tmp_path / "run")
    assert lab.load_agent(tmp_path / "run").fingerprint() == run.fingerprint()
    assert (tmp_path / "run" / "bc" / "agent").exists() and len(pd.read_csv(tmp_path / "run" / "history.csv")) == 2
    with pytest.raises(ValueError, match="did you mean 'num_generations'"):
        lab.train("grpo", "maze-fo", num_generation=4)


def test_two_processes_play_and_learn_as_one(tmp_path):
    lab.write_episodes(tmp_path / "d.jsonl", lab.generate("maze-fo", 20, seed=6, cache=False))
    arguments = ["-m", "lmrl_lab", "train", "grpo", "maze-fo", "--data", str(tmp_path / "d.jsonl"), "--set", "bc_steps=5",
                 *[word for name in ("updates=2", "episodes_per_update=8", "num_generations=4", "steps_per_generation=1")
                   for word in ("--set", name)], "--out"]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    for before, out in ((["-m", *LAUNCHERS["torchrun"]], "two"), ([], "one")):
        run = subprocess.run([sys.executable, *before, *arguments, str(tmp_path / out)], env=env, capture_output=True, text=True,
                             timeout=200)
        assert run.returncode == 0, run.stderr[-6000:]
    one, two = (pd.read_csv(tmp_path / name / "history.csv") for name in ("one", "two"))
    for name in ("mean_return", "success_rate", "no_signal", "entropy", "loss", "kl", "tokens"):
        assert one[name].tolist() == pytest.approx(two[name].tolist(), abs=1e-3), name
