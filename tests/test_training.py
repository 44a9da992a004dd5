"""The training loop and BC: gradients against slow loops, resume after a kill, clear refusals."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import lmrl_lab as lab
from lmrl_lab.algorithms import configured
from lmrl_lab.algorithms.bc import batch_loss, bc_loss
from lmrl_lab.models import tiny_model
from lmrl_lab.tasks import maze as m
from lmrl_lab.tokens import collate, make_rows, pack
from lmrl_lab.training import TrainConfig, batch_indices, fit, learning_rate, with_batch_size


@pytest.fixture(scope="module")
def few():
    return lab.generate("maze-po", 12, seed=6, cache=False)


def gradients(model):
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def test_bc_loss_by_hand():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    loss = bc_loss(logits, torch.tensor([1, 2]), torch.tensor([3.0, 1.0]), normalizer=4.0)
    assert float(loss) == pytest.approx(-(3 * np.log(0.25) + np.log(0.8)) / 4)


def test_batch_loss_equals_a_slow_loop_in_float64(few):
    model, codec = tiny_model(lab.TASKS["maze-po"], "episode", seed=2)
    model = model.double()
    rows = make_rows(few[:3], codec, "episode")
    rows[1].weight = 2.0
    loss, logged = batch_loss(model, collate(rows))
    total = count = 0.0
    for row in rows:
        logits = model(input_ids=torch.from_numpy(row.input_ids)[None]).logits[0].detach().numpy()
        for t in np.flatnonzero(row.action_mask):
            scores = logits[t - 1]
            total += row.weight * -(scores[row.input_ids[t]] - np.log(np.exp(scores - scores.max()).sum()) - scores.max())
            count += row.weight
    assert loss.item() == pytest.approx(total / count, rel=1e-6)
    assert 0 <= logged["accuracy"] <= 1


def test_packed_rows_give_the_gradient_of_one_row_a_turn_with_its_whole_history(few):
    model, codec = tiny_model(lab.TASKS["maze-po"], "episode", seed=2)
    batch_loss(model, collate(make_rows(few[:2], codec, "episode")))[0].backward()
    packed = gradients(model)
    model.zero_grad()
    rows = []
    for episode in few[:2]:
        ids = codec.encode(episode.turns)
        for n in range(len(episode.actions)):
            row = pack(episode, codec, "episode", steps=slice(n, n + 1), ids=ids, next_state=False)
            assert row.action_mask.sum() == 1
            rows.append(row)
    batch_loss(model, collate(rows))[0].backward()
    assert torch.allclose(packed, gradients(model), atol=1e-5)


@pytest.mark.parametrize("context", ["turn", 1, 3])
@pytest.mark.parametrize("next_state", [True, False])
def test_distinct_steps_with_counts_give_the_gradient_of_all_episodes(few, context, next_state):
    model, codec = tiny_model(lab.TASKS["maze-po"], context, seed=2)
    distinct = make_rows(few, codec, context, next_state=next_state)
    whole = [pack(episode, codec, context) for episode in few]
    assert len(distinct) < sum(row.action_mask.sum() for row in whole)
    losses = []
    for rows in (distinct, whole):
        model.zero_grad()
        loss = batch_loss(model, collate(rows))[0]
        loss.backward()
        losses.append((loss.item(), gradients(model)))
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-5)
    assert torch.allclose(losses[0][1], losses[1][1], atol=1e-5)


def test_an_observation_is_never_in_the_loss(few):
    """Changing what the observation after the last action says changes no gradient."""
    model, codec = tiny_model(lab.TASKS["maze-po"], "episode", seed=2)
    row = make_rows(few[:1], codec, "episode")[0]
    out = []
    for change in (0, 1):
        row.input_ids[-1] -= change
        model.zero_grad()
        batch_loss(model, collate([row]))[0].backward()
        out.append(gradients(model))
    assert torch.equal(*out)


def test_bc_converges_to_the_tabular_policy_of_the_data():
    """Where contexts repeat, the best imitation is the table of frequencies; exact returns by dynamic programming."""
    episodes, of = lab.generate("maze-fo", 300, seed=100), m.maze()
    agent = lab.train("bc", "maze-fo", episodes, seed=100, steps=250)
    from lmrl_lab.episode import Turn
    contexts = [[Turn(text + "\n", False)] for text in of.observations("full")]
    learned = np.array(agent.action_probabilities([contexts[i] for i in of.starts], [m.ACTIONS] * 25))
    table = m.tabular_policy(episodes, of)[of.starts]
    assert np.abs(learned - table).max() < 0.06
    assert learned.sum(1).min() > 0.99  # hardly any invalid action


# ------------------------------------------------------------------------------------------ the loop

def test_learning_rate_warms_up_and_decays_to_a_tenth():
    config = TrainConfig(steps=120, warmup=20, learning_rate=1.0)
    rates = [learning_rate(step, config) for step in range(121)]
    assert rates[0] == pytest.approx(0.05) and rates[19] == 1.0 and rates[20] == pytest.approx(1.0)
    assert rates[70] == pytest.approx(0.55) and rates[120] == pytest.approx(0.1)
    assert all(a >= b for a, b in zip(rates[20:], rates[21:], strict=False))


def test_batches_cover_every_row_once_an_epoch_and_depend_on_nothing_but_the_step():
    equal = np.ones(10)
    taken = np.concatenate([batch_indices(step, equal, 4, seed=3) for step in range(5)])
    assert sorted(taken[:10]) == sorted(taken[10:]) == list(range(10))
    assert batch_indices(2, equal, 4, 3).tolist() == batch_indices(2, equal, 4, 3).tolist()
    assert batch_indices(7, equal, 10, 3).tolist() == list(range(10))


def test_the_default_batch_is_everything_where_steps_repeat():
    def size(rows, context, config=None):
        return with_batch_size(config or TrainConfig(), context, rows).batch_size

    rows = make_rows(lab.generate("maze-fo", 40, seed=6), tiny_model(lab.TASKS["maze-fo"], "turn")[1], "turn")
    assert sum(row.weight for row in rows) > 8 * len(rows) and size(rows, "turn") == len(rows)
    assert size(rows, "episode") == 16 and size(rows, "turn", TrainConfig(batch_size=7)) == 7
    for row in rows:
        row.weight = 1.0
    assert size(rows, "turn") == 256
    few_times = [replace(row, weight=100.0) for row in rows] * (2048 // len(rows) + 1)
    assert size(few_times, "turn") == 256  # too many to read in every step


def test_rows_with_counts_are_drawn_in_proportion():
    weights = np.array([1.0, 3.0, 6.0])
    drawn = np.bincount(np.concatenate([batch_indices(s, weights, 2, 0) for s in range(3000)]), minlength=3)
    assert drawn / drawn.sum() == pytest.approx(weights / 10, abs=0.02)


def same_history(a, b):
    columns = [c for c in a.columns if c != "seconds"]
    pd.testing.assert_frame_equal(a[columns].reset_index(drop=True), b[columns].reset_index(drop=True))


def test_the_same_seed_gives_the_same_history_and_another_seed_another(few):
    one, two, other = (lab.train("bc", "maze-po", few, seed=s, context=1, steps=12).history for s in (1, 1, 2))
    same_history(one, two)
    assert one.loss.tolist() != other.loss.tolist()


def test_training_leaves_global_generators_and_threads_alone(few):
    torch.manual_seed(5)
    np.random.seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    state = np.random.get_state()[1].tolist()
    lab.train("bc", "maze-po", few, context=1, steps=2)
    assert torch.equal(before, torch.get_rng_state()) and np.random.get_state()[1].tolist() == state
    assert torch.get_num_threads() == threads


def test_a_run_stopped_in_the_middle_resumes_to_the_same_history(few, tmp_path):
    settings = {"seed": 1, "context": 1, "steps": 20, "batch_size": 8, "log_every": 3, "checkpoint_every": 7}
    whole = lab.train("bc", "maze-po", few, **settings)

    def stop(row, history):
        if row["step"] >= 9:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="after step 9"):
        lab.train("bc", "maze-po", few, out=tmp_path / "run", callback=stop, **settings)
    assert pd.read_csv(tmp_path / "run" / "history.csv").step.tolist() == [1, 3, 6, 9]
    resumed = lab.train("bc", "maze-po", few, out=tmp_path / "run", resume=True, **settings)
    same_history(whole.history, resumed.history)
    same_history(whole.history, pd.read_csv(tmp_path / "run" / "history.csv"))
    for a, b in zip(whole.policy_model.parameters(), resumed.policy_model.parameters(), strict=True):
        assert torch.equal(a, b)
    # resuming a finished run trains no further
    same_history(lab.train("bc", "maze-po", few, out=tmp_path / "run", resume=True, **settings).history, whole.history)


def test_a_killed_process_resumes_to_the_same_history(tmp_path):
    """kill -9 in the middle of `python -m lmrl_lab train`, then --resume, against an uninterrupted run."""
    def command(out, *more):
        return [sys.executable, "-m", "lmrl_lab", "train", "bc", "maze-po", "--context", "1", "--data", str(tmp_path / "d.jsonl"),
                "--set", "steps=60", "--set", "checkpoint_every=5", "--set", "batch_size=32", "--out", str(out), *more]

    lab.write_episodes(tmp_path / "d.jsonl", lab.generate("maze-po", 12, seed=6, cache=False))
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command(tmp_path / "whole"), check=True, env=env, capture_output=True)
    running = subprocess.Popen(command(tmp_path / "killed"), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    limit = time.time() + 120
    while not (tmp_path / "killed" / "checkpoint.pt").exists() and time.time() < limit:
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert not (tmp_path / "killed" / "agent").exists()
    refused = subprocess.run(command(tmp_path / "killed"), env=env, capture_output=True, text=True)
    assert refused.returncode == 2 and "--resume" in refused.stderr
    subprocess.run(command(tmp_path / "killed", "--resume"), check=True, env=env, capture_output=True)
    same_history(*(pd.read_csv(tmp_path / name / "history.csv") for name in ("whole", "killed")))
    seeds = range(3)
    from lmrl_lab.rollout import rollout
    games = [[e.actions for e in rollout(lab.load_agent(tmp_path / name), "maze-po", seeds)] for name in ("whole", "killed")]
    assert games[0] == games[1]


def test_a_damaged_or_foreign_checkpoint_is_refused_and_kept(few, tmp_path):
    settings = {"seed": 1, "context": 1, "steps": 4}
    lab.train("bc", "maze-po", few, out=tmp_path / "run", **settings)
    path = tmp_path / "run" / "checkpoint.pt"
    good = path.read_bytes()
    path.write_bytes(good[:len(good) // 2])
    with pytest.raises(ValueError, match="cut or damaged"):
        lab.train("bc", "maze-po", few, out=tmp_path / "run", resume=True, **settings)
    path.write_bytes(good)
    with pytest.raises(ValueError, match="another data"):
        lab.train("bc", "maze-po", few[:11] + few[:1], out=tmp_path / "run", resume=True, **settings)
    with pytest.raises(ValueError, match="another.*config"):
        lab.train("bc", "maze-po", few, out=tmp_path / "run", resume=True, **{**settings, "steps": 5})
    with pytest.raises(FileExistsError, match="already holds a run"):
        lab.train("bc", "maze-po", few, out=tmp_path / "run", **settings)
    assert path.read_bytes() == good
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="nothing was written"):
        lab.train("bc", "maze-po", few, out=tmp_path / "thesis", **settings)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["algorithm"] == "bc"


def test_what_a_probe_says_can_be_resumed_from_whatever_kind_of_number_it_is(few, tmp_path):
    told = {"seed": 1, "out": tmp_path / "run", "probe": lambda agent: {"x": np.mean([1.0, 2.0]), "y": np.float32(3)}}
    lab.train("bc", "maze-po", few, steps=2, **told)
    agent = lab.train("bc", "maze-po", few, steps=2, resume=True, **told)
    assert agent.history.iloc[-1][["x", "y"]].tolist() == [1.5, 3.0]


def test_a_loss_that_is_not_finite_stops_with_a_hint(few):
    with pytest.raises(FloatingPointError, match="learning_rate"):
        lab.train("bc", "maze-po", few, context=1, steps=60, learning_rate=1e20, clip=1e30, warmup=1, log_every=1000)


def test_unknown_names_and_foreign_data_are_errors(few):
    with pytest.raises(ValueError, match="did you mean 'filtered_bc'"):
        lab.train("filterd_bc", "maze-po", few)
    with pytest.raises(ValueError, match="did you mean 'steps'"):
        lab.train("bc", "maze-po", few, stepz=3)
    with pytest.raises(ValueError, match="'maze-po' among the data for 'maze-fo'"):
        lab.train("bc", "maze-fo", few)
    with pytest.raises(ValueError, match="no causal language model"):
        lab.train("bc", "maze-po", few, model="/nowhere/model")


@pytest.mark.parametrize("algorithm", ["ppo", "grpo"])
def test_without_trl_the_error_says_how_to_get_it(monkeypatch, algorithm):
    for name in [name for name in sys.modules if f"{name}.".startswith("trl.") or name == f"lmrl_lab.algorithms.{algorithm}"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(ValueError, match=f"{algorithm} needs TRL.*pip install 'trl>="):
        configured(algorithm, "maze-fo", {})


def test_filtered_bc_trains_on_the_kept_part_only(few):
    agent = lab.train("filtered_bc", "maze-po", lab.generate("maze-po", 60, seed=6), context=1, steps=3, keep=0.1)
    assert agent.name == "filtered BC" and agent.history.tokens.iloc[-1] > 0
    kept = lab.generate("maze-po", 60, seed=6)
    from lmrl_lab.data import keep_best
    tokens = sum(len(e.actions) for e in keep_best(kept, 0.1))
    assert agent.history.tokens.iloc[0] == tokens


def test_two_processes_share_a_batch_without_changing_the_loss(few):
    """Each share normalised by the global count: the mean over processes is the whole batch's loss."""
    from lmrl_lab.training import share

    class Two:
        num_processes = 2

        def __init__(self, rank):
            self.process_index = rank

    class One:
        num_processes, process_index = 1, 0

    model, codec = tiny_model(lab.TASKS["maze-po"], 1, seed=2)
    rows = make_rows(few, codec, 1)
    weights = np.array([row.weight for row in rows])
    for size in (len(rows), 16):
        whole = batch_loss(model, share(rows, weights, 3, size, 0, One()))[0]
        shares = [batch_loss(model, share(rows, weights, 3, size, 0, Two(rank)))[0] for rank in (0, 1)]
        assert sum(shares).item() / 2 == pytest.approx(whole.item(), rel=1e-5)


def test_fit_without_a_folder_writes_nothing(few, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, codec = tiny_model(lab.TASKS["maze-po"], 1, seed=2)
    history = fit(model, batch_loss, make_rows(few, codec, 1), TrainConfig(steps=3))
    assert history.step.tolist() == [1, 3] and not list(tmp_path.iterdir())


LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"],
    # --multi_gpu is accelerate's word for several processes on a machine; with --cpu it starts one, unless MPI is there
    "accelerate launch": ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
                          "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"],
}


@pytest.mark.parametrize("algorithm, launcher", [("bc", "torchrun"), ("ilql", "accelerate launch"), ("mc", "torchrun")])
def test_two_real_processes_train_one_agent_with_the_history_of_one_process(algorithm, launcher, tmp_path):
    """Two processes share every batch; one of them writes the run folder."""
    lab.write_episodes(tmp_path / "d.jsonl", lab.generate("maze-po", 12, seed=6, cache=False))
    arguments = ["-m", "lmrl_lab", "train", algorithm, "maze-po", "--context", "1", "--data", str(tmp_path / "d.jsonl"),
                 "--set", "steps=8", "--set", "log_every=1", *["--set", "bc_steps=5"] * (algorithm != "bc"), "--out"]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    for before, out in ((["-m", *LAUNCHERS[launcher]], "two"), ([], "one")):
        command = [sys.executable, *before, *arguments, str(tmp_path / out)]
        run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=200)
        assert run.returncode == 0, run.stderr[-2000:]
        assert run.stdout.count("the agent is in") == 1 and run.stdout.count("step      7") == 1
    one, two = (pd.read_csv(tmp_path / name / "history.csv") for name in ("one", "two"))
    assert one.loss.tolist() == pytest.approx(two.loss.tolist(), abs=1e-4) and one.tokens.tolist() == two.tokens.tolist()
    assert lab.load_agent(tmp_path / "two").task == "maze-po"


@pytest.mark.parametrize("bad", [{"steps": 0}, {"steps": 2.5}, {"log_every": 0}, {"learning_rate": "fast"}, {"learning_rate": 0},
                                 {"clip": float("nan")}, {"warmup": -1}, {"batch_size": 0}, {"checkpoint_every": True}])
def test_a_setting_that_makes_no_sense_is_named_and_claims_no_folder(few, tmp_path, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        lab.train("bc", "maze-po", few, context=1, out=tmp_path / "run", **bad)
    assert not (tmp_path / "run").exists()
    assert TrainConfig(steps=1e1).steps == 10


def test_a_run_that_failed_before_its_first_step_leaves_its_folder_to_the_next(few, tmp_path):
    short = [e for e in lab.generate("maze-po", 60, seed=6) if not e.success]
    with pytest.raises(ValueError, match="no episode"):
        lab.train("filtered_bc", "maze-po", short, context=1, steps=2, out=tmp_path / "run")
    lab.train("bc", "maze-po", few, context=1, steps=2, out=tmp_path / "run")


def test_a_transcript_longer_than_the_model_is_refused_before_training():
    from transformers import GPT2Config, GPT2LMHeadModel

    from lmrl_lab.algorithms.bc import BCConfig, train_bc
    codec = tiny_model(lab.TASKS["maze-fo"], "turn")[1]
    small = GPT2LMHeadModel(GPT2Config(vocab_size=codec.vocab_size, n_positions=64, n_layer=1, n_embd=16, n_head=2))
    with pytest.raises(ValueError, match="shorter context"):
        train_bc("maze-fo", lab.generate("maze-fo", 3, seed=1), small, codec, "episode", BCConfig(steps=1))
