"""Monte-Carlo returns and ILQL: losses against slow loops, gradients, traps, guided play, files."""

import copy

import numpy as np
import pytest
import torch

import lmrl_lab as lab
from lmrl_lab.agent import Agent, Decoding
from lmrl_lab.algorithms import ilql, mc
from lmrl_lab.algorithms.returns import cql_term, taken, value_network
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.models import ValueNetwork, read, seeded, tiny_model, trunk
from lmrl_lab.rollout import ReferenceAgent, rollout
from lmrl_lab.tokens import collate, make_rows, pack
from tests.test_agent import assert_same_games, save_pretrained, short_games
from tests.test_tokens import bpe_codec


@pytest.fixture(scope="module")
def few():
    return lab.generate("maze-po", 12, seed=6, cache=False)


def awake(network, seed=0):
    """The last layers of heads begin at zero, which hides mistakes: give every weight of them a value."""
    generator = torch.Generator().manual_seed(seed)
    for head in [*network.q, *([network.v] if network.v is not None else [])]:
        for parameter in head[-1].parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * 0.3
    return network


def log_softmax(x):
    return x - x.max() - np.log(np.exp(x - x.max()).sum())


# ------------------------------------------------------------------------------------------ losses by hand

def test_expectile_loss_by_hand():
    found = ilql.expectile_loss(torch.tensor([2.0, -2.0, 0.0]), 0.9)
    assert found.tolist() == pytest.approx([0.5 * 0.9 * 4, 0.5 * 0.1 * 4, 0])
    assert ilql.expectile_loss(torch.tensor([3.0, -3.0]), 0.5).tolist() == pytest.approx([2.25, 2.25])


def test_the_minimum_of_the_expectile_loss_is_the_expectile():
    from lmrl_lab.tasks.maze_tables import expectile
    targets, weights, tau = np.array([-7.0, -3.0, -1.0, 0.5]), np.array([1.0, 4.0, 2.0, 1.0]), 0.8
    grid = torch.linspace(-8, 1, 90_001, dtype=torch.float64)
    loss = sum(w * ilql.expectile_loss(t - grid, tau) for t, w in zip(targets, weights))
    assert float(grid[loss.argmin()]) == pytest.approx(expectile(targets, weights, tau), abs=1e-3)
    assert expectile(targets, weights, 0.5) == pytest.approx((targets * weights).sum() / weights.sum())


def test_mc_loss_by_hand():
    q = torch.tensor([[1.0, 1.0], [0.0, np.log(3)]])
    loss, parts = mc.mc_loss(q, torch.tensor([0, 1]), torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 3.0]), 4.0, cql=0.1)
    q_loss = (0.5 * 4 + 3 * 0.5 * np.log(3) ** 2) / 4
    conservative = (np.log(2) + 3 * np.log(4 / 3)) / 4
    assert float(loss) == pytest.approx(q_loss + 0.1 * conservative)
    assert float(parts["q_loss"]) == pytest.approx(q_loss) and float(parts["cql"]) == pytest.approx(conservative)


def test_ilql_loss_by_hand():
    """Two steps: one goes on, one ends the game and must not look at V(s')."""
    q = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0], [0.0, 0.0]]])
    v, v_next = torch.tensor([0.0, 1.0]), torch.tensor([10.0, 100.0])
    loss, parts = ilql.ilql_loss(q, v, v_next, torch.tensor([2.0, -1.0]), torch.tensor([0, 1]), torch.tensor([-1.0, 5.0]),
                                 torch.tensor([False, True]), torch.ones(2), 2.0, gamma=0.5, tau=0.9, cql=0.0)
    y = [-1 + 0.5 * 10, 5.0]
    q_loss = (0.5 * (1 - y[0]) ** 2 + 0.5 * (3 - y[0]) ** 2 + 0.5 * (2 - y[1]) ** 2 + 0.5 * (0 - y[1]) ** 2) / 2
    v_loss = (0.9 * 0.5 * 2**2 + 0.1 * 0.5 * 2**2) / 2
    assert float(parts["q_loss"]) == pytest.approx(q_loss) and float(parts["v_loss"]) == pytest.approx(v_loss)
    assert float(loss) == pytest.approx(q_loss + v_loss)


def test_no_gradient_flows_through_the_next_value_or_the_target():
    q, v = torch.randn(2, 3, 4, requires_grad=True), torch.randn(3, requires_grad=True)
    v_next = torch.randn(3, requires_grad=True)
    loss, _ = ilql.ilql_loss(q, v, v_next, torch.randn(3), torch.tensor([0, 1, 2]), torch.zeros(3),
                             torch.zeros(3, dtype=torch.bool), torch.ones(3), 3.0, gamma=0.9, tau=0.7, cql=0.1)
    loss.backward()
    assert v_next.grad is None and q.grad.abs().sum() > 0 and v.grad.abs().sum() > 0


def test_gradients_of_both_losses_are_those_of_finite_differences():
    torch.manual_seed(0)
    tokens, weight = torch.tensor([0, 3, 1]), torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    returns, terminal = torch.randn(3, dtype=torch.float64), torch.tensor([False, True, False])
    q = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    v = torch.randn(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda q: mc.mc_loss(q[0], tokens, returns, weight, 3.5, cql=0.3)[0], (q,))
    assert torch.autograd.gradcheck(
        lambda q, v: ilql.ilql_loss(q, v, returns, returns + 1, tokens, returns, terminal, weight, 3.5, gamma=0.9, tau=0.8,
                                    cql=0.3)[0], (q, v))


def test_the_cql_term_raises_what_was_taken_above_the_rest():
    q = torch.zeros(1, 3, requires_grad=True)
    cql_term(q, torch.tensor([2]), torch.ones(1), 1.0).backward()
    assert q.grad.tolist()[0] == pytest.approx([1 / 3, 1 / 3, -2 / 3])
    assert taken(torch.arange(6.0).view(1, 2, 3), torch.tensor([2, 0])).tolist() == [[2.0, 3.0]]


# ------------------------------------------------------------------------------------------ batches against slow loops

def slow_losses(values, target, rows, gamma, tau, cql, scale):
    """(MC loss with the first Q head, ILQL loss), token by token in NumPy float64, a full forward for every block."""
    def outputs(network, ids):
        with torch.no_grad():
            hidden = network.body(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0]
            return [q(hidden).numpy() for q in network.q], network.v(hidden)[:, 0].numpy()

    monte_carlo = implicit = total = 0.0
    for row in rows:
        for t in np.flatnonzero(row.action_mask):
            def seen(place, row=row):
                return row.input_ids[(row.block == row.block[place]) & (np.arange(len(row.block)) <= place)].tolist()
            token, last = row.input_ids[t], t == np.flatnonzero(row.action_mask)[-1]
            (q1, q2), v = outputs(values, seen(t - 1))
            (t1, t2), _ = outputs(target, seen(t - 1))
            q1, q2, v = q1[-1], q2[-1], v[-1]
            following = 0.0 if last and row.terminated else outputs(values, seen(row.next_pos[t]))[1][-1]
            conservative = -log_softmax(q1)[token]
            monte_carlo += row.weight * (0.5 * (q1[token] - scale * row.returns[t]) ** 2 + cql * conservative)
            y = scale * row.rewards[t] + gamma * following
            q = min(t1[-1][token], t2[-1][token])
            implicit += row.weight * (0.5 * (q1[token] - y) ** 2 + 0.5 * (q2[token] - y) ** 2
                                      + 0.5 * abs(tau - (q < v)) * (v - q) ** 2 + cql * (conservative - log_softmax(q2)[token]))
            total += row.weight
    return monte_carlo / total, implicit / total


@pytest.mark.parametrize("context", ["turn", 2, "episode"])
@pytest.mark.parametrize("words", ["one token a move", "byte-level BPE"])
def test_batch_losses_equal_a_slow_loop_in_float64(few, context, words):
    model, codec = tiny_model(lab.TASKS["maze-po"], "episode", seed=2)
    if words == "byte-level BPE":
        codec = bpe_codec()
        model.resize_token_embeddings(codec.vocab_size)
    games = [short(few[0], 4), short(few[1], 3, over=True), short(few[2], 2)]
    rows = make_rows(games, codec, context, gamma=0.9)
    rows[0].weight = 2.0
    values = awake(ValueNetwork(trunk(model), codec.vocab_size, 2, True, reward_scale=0.1, gamma=0.9)).double()
    networks = ilql.Networks(values)
    awake(networks.target, seed=1)
    settings = {"gamma": 0.9, "cql": 0.2, "reward_scale": 0.1}
    found = (mc.batch_loss(values, collate(rows), mc.MCConfig(**settings))[0],
             ilql.batch_loss(networks, collate(rows), ilql.ILQLConfig(tau=0.8, **settings))[0])
    expected = slow_losses(values, networks.target, rows, 0.9, 0.8, 0.2, 0.1)
    assert [float(x.detach()) for x in found] == pytest.approx(expected, rel=1e-6)


def short(episode, n, over=False):
    """The first n actions of a game, cut there or said to be over there."""
    turns = [copy.copy(turn) for turn in episode.turns[:2 * n + 1]]
    if over:
        turns[-2].reward = 0.0
    return Episode(episode.task, turns, over, not over)


def test_distinct_steps_give_the_gradient_of_all_episodes(few):
    """One row a distinct step, with its count, against every game packed on its own."""
    model, codec = tiny_model(lab.TASKS["maze-po"], 2, seed=2)
    begin, gradients = awake(ValueNetwork(trunk(model), codec.vocab_size, 2, True, 0.1)), []
    for rows in (make_rows(few, codec, 2, 0.9), [pack(episode, codec, 2, 0.9) for episode in few]):
        values = copy.deepcopy(begin)
        networks = ilql.Networks(values)
        ilql.batch_loss(networks, collate(rows), ilql.ILQLConfig(gamma=0.9))[0].backward()
        mc.batch_loss(values, collate(rows), mc.MCConfig(gamma=0.9))[0].backward()
        gradients.append(torch.cat([p.grad.flatten() for p in values.parameters()]))
    assert gradients[0].abs().max() > 1e-3 and torch.allclose(*gradients, atol=1e-4)


def test_a_terminal_step_ignores_what_follows_and_a_cut_one_does_not(few):
    """The same four moves, once over and once cut, with a V that is large everywhere."""
    model, codec = tiny_model(lab.TASKS["maze-po"], "turn", seed=2)
    found = []
    for over in (True, False):
        values = ValueNetwork(copy.deepcopy(trunk(model)), codec.vocab_size, 2, True, reward_scale=1.0)
        values.v[-1].bias.data[:] = 50.0
        rows = [pack(short(few[0], 1, over), codec, "turn")]
        rows[0].rewards[:] = 0.0
        _, parts = ilql.batch_loss(ilql.Networks(values), collate(rows), ilql.ILQLConfig(gamma=0.9, reward_scale=1.0))
        found.append(float(parts["q_loss"].detach()))
    assert found == pytest.approx([0.0, (0.9 * 50) ** 2])  # Q is zero; both heads miss by y


def test_the_target_follows_slowly():
    model, codec = tiny_model(lab.TASKS["maze-po"], "turn", seed=2)
    networks = ilql.Networks(ValueNetwork(trunk(model), codec.vocab_size, 2, True))
    before = [p.clone() for p in networks.target.parameters()]
    for p in networks.values.parameters():
        p.data += 1.0
    networks.follow(0.25)
    for old, new in zip(before, networks.target.parameters(), strict=True):
        assert torch.allclose(new, old + 0.25) and not new.requires_grad


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen2"])
def test_reading_a_few_places_gives_the_hidden_states_and_gradients_of_reading_all(kind, tmp_path):
    """The last feed-forward part runs where it is read only; nothing else may change."""
    from transformers import AutoModelForCausalLM
    body = trunk(AutoModelForCausalLM.from_pretrained(save_pretrained(tmp_path / kind, kind, bpe_codec()))).double()
    inputs, places = {"input_ids": torch.arange(40).view(4, 10), "use_cache": False}, torch.tensor([7, 38, 7, 12])
    found = []
    for sparse in (True, False):
        body.zero_grad()
        if sparse:
            hidden = read(ValueNetwork(body, 8).double(), inputs, places)
        else:
            hidden = body(**inputs).last_hidden_state.flatten(0, 1)[places]
        (hidden * torch.arange(hidden.numel()).view_as(hidden)).sum().backward()
        found.append([hidden.detach(), *(p.grad for p in body.parameters() if p.grad is not None)])
    assert len(found[0]) == len(found[1]) > 10
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-9)
    assert not any("forward" in vars(module) for module in body.modules())  # as it was


# ------------------------------------------------------------------------------------------ agents

@pytest.fixture(scope="module")
def trained():
    made = {}
    for task, context in [("maze-fo", "turn"), ("maze-po", "episode"), ("maze-po", 2)]:
        data = lab.generate(task, 60, seed=3)
        made[task, context] = lab.train("ilql", task, data, seed=1, context=context, steps=25, batch_size=16, bc_steps=25)
    return made


CASES = [("maze-fo", "turn"), ("maze-po", "episode"), ("maze-po", 2)]


@pytest.mark.parametrize("task, context", CASES)
@pytest.mark.parametrize("decoding", [Decoding(0, False, 4), Decoding(1, False, 4), Decoding(0.5, beta=1), Decoding(1, True, 4),
                                      Decoding(1, beta=4, min_p=0.5)], ids=str)
def test_guided_cached_rollouts_equal_the_reference(trained, task, context, decoding):
    agent = trained[task, context].with_decoding(**vars(decoding))
    assert_same_games(short_games(agent, task, 12), short_games(ReferenceAgent(agent), task, 12))


def test_guided_actions_of_several_tokens_equal_the_reference(few):
    from lmrl_lab.models import seeded
    codec = bpe_codec()
    with seeded(0):
        model = tiny_model(lab.TASKS["maze-po"], "episode", seed=2)[0]
        model.resize_token_embeddings(codec.vocab_size)
        values = awake(ValueNetwork(copy.deepcopy(trunk(model)), codec.vocab_size, 2, True))
    codec.max_action_tokens = 5
    agent = Agent(model, codec, "maze-po", "episode", Decoding(1, beta=2), value_model=values)
    assert_same_games(short_games(agent, steps=4), short_games(ReferenceAgent(agent), steps=4))


@pytest.mark.parametrize("context", ["episode", 1])
def test_all_actions_of_all_rows_scored_in_one_pass_equal_a_forward_for_each(few, context):
    """Ragged transcripts, actions of one to many tokens; then the games go on as if nothing had been scored."""
    codec = bpe_codec()
    model = tiny_model(lab.TASKS["maze-po"], "episode", seed=2)[0]
    model.resize_token_embeddings(codec.vocab_size)
    values = awake(ValueNetwork(copy.deepcopy(trunk(model)), codec.vocab_size, 2, True, reward_scale=0.1))
    agent = Agent(model, codec, "maze-po", context, Decoding(beta=0.5), value_model=values)
    contexts = [few[0].turns[:1], few[1].turns[:5], few[2].turns[:3]]
    spelled = [[codec.action_ids(a) for a in ("move up", "x", "move down, said at length")], [codec.action_ids("move left")],
               [(7,), codec.action_ids("move right"), codec.action_ids("move up")]]
    for turns, row, (scores, q) in zip(contexts, spelled, agent.score_actions(contexts, spelled), strict=True):
        before = list(agent._window(turns))
        for ids, score, value in zip(row, scores, q, strict=True):
            with torch.no_grad():
                seen = {"input_ids": torch.tensor([[*before, *ids]]), "use_cache": False}
                every = values.min_q(values.body(**seen).last_hidden_state[0])
                logp = torch.log_softmax(model(**seen).logits[0] + 0.5 * every, -1)
            at = range(len(before) - 1, len(before) - 1 + len(ids))
            assert score == pytest.approx(sum(float(logp[t, token]) for t, token in zip(at, ids, strict=True)), abs=1e-4)
            assert value == pytest.approx(float(every[at[-1], ids[-1]]), abs=1e-4)
    greedy = agent.with_decoding(temperature=0, legal_only=True)
    for episode in short_games(greedy, steps=4, games=3):
        for t in range(0, len(episode.turns) - 1, 2):
            [best, *_] = agent.top_actions(episode.turns[:t + 1], lab.TASKS["maze-po"].actions)
            assert episode.turns[t + 1].text == best["action"]


def test_values_of_actions_are_the_smaller_head_in_task_units(trained):
    agent = trained["maze-fo", "turn"]
    turns = [Turn(lab.make("maze-fo").reset(seed=1)[0], False)]
    legal = lab.TASKS["maze-fo"].actions
    ids = list(agent.codec.encode(turns)[0])
    with torch.no_grad():
        hidden = agent.value_model.body(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0, -1]
        both = torch.stack([q(hidden) for q in agent.value_model.q]) / 0.1
        logits = agent.policy_model(torch.tensor([ids]), use_cache=False).logits[0, -1] + 4.0 * both.amin(0)
    guided = torch.log_softmax(logits, -1)
    for row in agent.top_actions(turns, legal):
        token = agent.codec.action_ids(row["action"])[0]
        assert row["value"] == pytest.approx(float(both[:, token].min()), abs=1e-4)
        assert row["probability"] == pytest.approx(float(guided[token].exp()), abs=1e-5)
    plain = agent.with_decoding(beta=0.0)
    assert [row["value"] for row in plain.top_actions(turns, legal)][0] is not None  # values are told, and do not guide
    sampled = agent.top_actions(turns, None)
    assert {row["action"]: row["value"] for row in sampled}.items() <= {
        row["action"]: pytest.approx(row["value"], abs=1e-4) for row in agent.top_actions(turns, legal)}.items()


def test_beta_without_values_is_refused(trained):
    agent = trained["maze-fo", "turn"]
    with pytest.raises(ValueError, match="has none"):
        Agent(agent.policy_model, agent.codec, "maze-fo", "turn", Decoding(beta=1))
    for wrong in (-1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="beta"):
            Decoding(beta=wrong)


def test_save_and_load_carry_the_values(trained, tmp_path):
    agent = trained["maze-po", 2]
    agent.save(tmp_path / "a")
    again = lab.load_agent(tmp_path / "a")
    assert again.decoding == agent.decoding and again.fingerprint() == agent.fingerprint()
    assert (again.value_model.gamma, again.value_model.reward_scale) == (0.99, 0.1)
    games = [[e.actions for e in rollout(a, "maze-po", range(3))] for a in (agent, again)]
    assert games[0] == games[1]
    (tmp_path / "a" / "value" / "heads.safetensors").write_bytes(b"cut")
    with pytest.raises(ValueError, match="heads.safetensors"):
        lab.load_agent(tmp_path / "a")


def test_training_starts_from_a_given_clone_and_leaves_it_alone(few):
    bc = lab.train("bc", "maze-po", few, seed=1, context=1, steps=5)
    before = bc.fingerprint()
    agent = lab.train("mc", "maze-po", few, seed=1, init=bc, steps=5)
    assert bc.fingerprint() == before and agent.policy_model is bc.policy_model and agent.context == 1
    alone = lab.train("mc", "maze-po", few, seed=1, context=1, steps=5, bc_steps=5)
    assert alone.fingerprint() == agent.fingerprint()
    for wrong, message in [({"context": 2}, "context"), ({"model": "x"}, "not both")]:
        with pytest.raises(ValueError, match=message):
            lab.train("ilql", "maze-po", few, init=bc, **wrong)
    with pytest.raises(ValueError, match="trained for 'maze-po'"):
        lab.train("ilql", "maze-fo", [], init=bc)
    with pytest.raises(ValueError, match="not from an agent"):
        lab.train("bc", "maze-po", few, init=bc)


@pytest.mark.parametrize("settings", [{"tau": 0}, {"tau": 1.5}, {"polyak": 0}, {"gamma": 1.1}, {"cql": -1}, {"reward_scale": 0}],
                         ids=str)
def test_settings_that_make_no_sense_are_refused(few, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        lab.train("ilql", "maze-po", few, **settings)


# ------------------------------------------------------------------------------------------ training

@pytest.mark.parametrize("algorithm, heads", [("mc", 1), ("ilql", 2)])
def test_values_begin_at_the_data_s_mean_return(few, algorithm, heads):
    """Zero would be optimistic where every move costs 1."""
    agent = lab.train(algorithm, "maze-po", few, seed=1, context=1, steps=1, bc_steps=1, learning_rate=1e-9, gamma=0.9)
    returns = [sum(0.9**k * r for k, r in enumerate(e.rewards[t:])) for e in few for t in range(len(e.actions))]
    values = agent.value_model
    hidden = torch.randn(3, values.config.hidden_size)
    assert len(values.q) == heads
    assert torch.allclose(values.min_q(hidden), torch.tensor(np.mean(returns), dtype=torch.float32), atol=1e-3)
    if algorithm == "ilql":
        assert torch.allclose(values.state_value(hidden), torch.tensor(np.mean(returns), dtype=torch.float32), atol=1e-3)


def test_mc_values_arrive_at_the_table_of_mean_returns():
    from lmrl_lab.tasks import maze_tables as t
    episodes, of = lab.generate("maze-fo", 200, seed=5), lab.make("maze-fo").maze
    table = t.mc_values(t.steps_of(episodes), 0.9)
    agent = lab.train("mc", "maze-fo", episodes, seed=0, steps=200, bc_steps=50, gamma=0.9)
    spelled = [[agent.codec.action_ids(a) for a in lab.TASKS["maze-fo"].actions]]
    for i in of.starts:
        [(_, q)] = agent.score_actions([[Turn(of.full[i] + "\n", False)]], spelled)
        n = table.index[(of.full[i],)]
        assert q[table.counts[n] > 20] == pytest.approx(table.q[n][table.counts[n] > 20], abs=0.35)


def test_a_probe_is_asked_on_schedule_with_the_agent_that_plays_and_is_not_timed(few):
    import time
    asked = []

    def probe(agent):
        asked.append(agent.fingerprint())
        begin = time.process_time()
        while time.process_time() - begin < 0.3:
            pass
        return {"answer": len(asked)}

    agent = lab.train("ilql", "maze-po", few, seed=1, context=1, steps=25, bc_steps=2, probe=probe, probe_every=10)
    history = agent.history
    assert history.dropna().step.tolist() == [10, 20, 25] and history.dropna().answer.tolist() == [1, 2, 3]
    assert len(set(asked)) == 3 and asked[-1] == agent.fingerprint()
    assert history.seconds.is_monotonic_increasing
    alone = lab.train("ilql", "maze-po", few, seed=1, context=1, steps=25, bc_steps=2)
    assert alone.fingerprint() == agent.fingerprint()  # and it changes nothing


@pytest.mark.parametrize("algorithm", ["mc", "ilql"])
def test_a_run_stopped_in_either_phase_resumes_to_the_same_history(few, tmp_path, algorithm):
    import signal
    settings = {"seed": 1, "context": 1, "steps": 20, "bc_steps": 12, "log_every": 3, "checkpoint_every": 7}
    whole = lab.train(algorithm, "maze-po", few, **settings)
    folder, calls = tmp_path / "run", []

    def stop_at(step, phase):
        def stop(row, history):
            calls.append(row["step"])
            if row["step"] == step and ("q_loss" in row) == phase:
                signal.raise_signal(signal.SIGINT)
        return stop

    for step, phase, resume in ((6, False, False), (9, True, True)):  # once while it clones, once while it learns values
        with pytest.raises(KeyboardInterrupt, match=f"after step {step}"):
            lab.train(algorithm, "maze-po", few, out=folder, resume=resume, callback=stop_at(step, phase), **settings)
    resumed = lab.train(algorithm, "maze-po", few, out=folder, resume=True, **settings)
    columns = [c for c in whole.history if c != "seconds"]
    assert whole.history[columns].equals(resumed.history[columns])
    assert whole.fingerprint() == resumed.fingerprint() == lab.load_agent(folder).fingerprint()
    assert resumed.history.seconds.iloc[-1] > resumed.history.seconds.iloc[0] > 0


def test_a_run_from_another_clone_is_not_resumed(few, tmp_path):
    one, two = (lab.train("bc", "maze-po", few, seed=s, context=1, steps=3) for s in (1, 2))
    lab.train("mc", "maze-po", few, seed=1, init=one, steps=3, out=tmp_path / "run")
    with pytest.raises(ValueError, match="another init"):
        lab.train("mc", "maze-po", few, seed=1, init=two, steps=3, out=tmp_path / "run", resume=True)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen2"])
@pytest.mark.parametrize("algorithm", ["mc", "ilql"])
def test_any_causal_model_from_a_folder_learns_values(tmp_path, kind, algorithm):
    folder = save_pretrained(tmp_path / kind, kind, bpe_codec())
    agent = lab.train(algorithm, "maze-po", lab.generate("maze-po", 6, seed=3), model=folder, context=1, steps=2,
                      bc_steps=2, beta=1.0)
    agent.codec.max_action_tokens = 5
    assert_same_games(short_games(agent, steps=3, games=3), short_games(ReferenceAgent(agent), steps=3, games=3))
    agent.save(tmp_path / "agent")
    again = lab.load_agent(tmp_path / "agent")
    assert again.fingerprint() == agent.fingerprint() and type(again.value_model.body) is type(agent.value_model.body)
    legal = lab.TASKS["maze-po"].actions
    turns = [Turn(lab.make("maze-po").reset(seed=1)[0], False)]
    assert again.top_actions(turns, legal) == agent.top_actions(turns, legal)


@pytest.mark.parametrize("task", ["maze-po", "wordle"])
@pytest.mark.parametrize("algorithm", ["mc", "ilql"])
def test_without_a_cql_term_only_the_taken_values_are_made_and_the_gradient_is_the_same(task, algorithm):
    episodes = lab.generate(task, 6, seed=3, cache=False)
    start = lab.train("bc", task, episodes, steps=3)
    rows = make_rows(episodes, start.codec, start.context)
    gradients = []
    for cql in (0.0, 1e-30):  # so small a term leaves no trace in float32
        config = {"mc": mc.MCConfig, "ilql": ilql.ILQLConfig}[algorithm](cql=cql)
        with seeded(0):
            values = value_network(start, rows, config, q_heads=1 + (algorithm == "ilql"), v_head=algorithm == "ilql")
            for parameter in values.parameters():
                torch.nn.init.normal_(parameter, std=0.1)
        network = values if algorithm == "mc" else ilql.Networks(values)
        loss, _ = {"mc": mc.batch_loss, "ilql": ilql.batch_loss}[algorithm](network, collate(rows), config)
        loss.backward()
        gradients.append((loss.detach(), [p.grad for p in values.parameters() if p.grad is not None]))
    assert torch.allclose(*(loss for loss, _ in gradients), rtol=1e-5)
    assert len(gradients[0][1]) == len(gradients[1][1]) > 10
    for one, other in zip(gradients[0][1], gradients[1][1], strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-6)
