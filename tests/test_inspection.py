"""Looking in token by token: the numbers of play, slow loops, numbers by hand, and how Q is held against the returns."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch

import lmrl_lab as lab
from lmrl_lab import plots
from lmrl_lab.agent import Agent, Decoding
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.inspection import TokenReport, calibration, state_values, token_report
from lmrl_lab.models import ValueNetwork, seeded, tiny_model, trunk
from lmrl_lab.rollout import rollout
from tests.test_agent import short_games
from tests.test_tokens import bpe_codec
from tests.test_values import awake

CASES = [("maze-fo", "turn"), ("maze-po", 2), ("maze-po", "episode"), ("bpe", 1), ("bpe", "episode")]


def guided_agent(kind, context, v_head=True):
    """A random policy guided by random values; "bpe": its actions are several tokens long."""
    task = "maze-po" if kind == "bpe" else kind
    with seeded(0):
        model, codec = tiny_model(lab.TASKS[task], "episode", seed=2, layers=1, width=32)
        if kind == "bpe":
            codec = bpe_codec()
            codec.max_action_tokens = 5
            model.resize_token_embeddings(codec.vocab_size)
        values = awake(ValueNetwork(copy.deepcopy(trunk(model)), codec.vocab_size, 2, v_head, reward_scale=0.5, gamma=0.9))
    return Agent(model, codec, task, context, Decoding(1, beta=0.5), value_model=values)


@pytest.fixture(scope="module")
def played():
    """(kind, context) -> an agent and a game that it played, cut after a few turns."""
    made = {}
    for kind, context in CASES:
        agent = guided_agent(kind, context)
        episode = short_games(agent, agent.task, steps=4, games=3)[1]
        episode.info["tokenizer"] = agent.codec.fingerprint
        made[kind, context] = agent, episode
    return made


def of_actions(frame):
    return frame[frame["is_action"]].reset_index(drop=True)


# ------------------------------------------------------------------------------------------ the table

@pytest.mark.parametrize("kind, context", CASES)
def test_the_table_is_the_transcript_token_by_token(played, kind, context):
    agent, episode = played[kind, context]
    frame, ids = token_report(agent, episode), agent.codec.encode(episode.turns, trust_ids=True)
    assert frame["token_id"].tolist() == [i for turn in ids for i in turn]
    assert frame["turn"].tolist() == [n for n, turn in enumerate(ids) for _ in turn]
    assert frame["is_action"].tolist() == [n % 2 == 1 for n in frame["turn"]]
    if kind == "bpe":
        for n, turn in enumerate(episode.turns):
            assert turn.is_action or "".join(frame["token"][frame["turn"] == n]) == turn.text
    others = frame[~frame["is_action"]].drop(columns=["token_id", "token", "turn", "is_action"])
    assert not others.pop("disagree").any() and others.isna().all(axis=None)


@pytest.mark.parametrize("kind, context", CASES)
def test_guided_probabilities_are_those_that_the_tokens_were_drawn_with(played, kind, context):
    agent, episode = played[kind, context]
    drawn = [p for turn in episode.turns if turn.is_action for p in turn.logprobs]
    assert np.log(of_actions(token_report(agent, episode))["guided"]).tolist() == pytest.approx(drawn, abs=1e-4)


@pytest.mark.parametrize("kind, context", CASES)
def test_probabilities_and_q_of_actions_are_those_of_score_actions(played, kind, context):
    agent, episode = played[kind, context]
    episode = copy.deepcopy(episode)
    for turn in episode.turns:
        turn.token_ids = None  # the actions as text, which is what score_actions reads
    frame = of_actions(token_report(agent, episode))
    for n, turn in enumerate(episode.turns):
        if turn.is_action:
            rows = frame[frame["turn"] == n]
            for beta, column in ((0.5, "guided"), (0.0, "policy")):
                ids = agent.codec.action_ids(turn.text)
                [(scores, q)] = agent.with_decoding(beta=beta).score_actions([episode.turns[:n]], [[ids]])
                assert np.log(rows[column]).sum() == pytest.approx(scores[0], abs=1e-4)
                assert rows["q"].iloc[-1] == pytest.approx(q[0], abs=1e-4)


@pytest.mark.parametrize("v_head", [True, False])
@pytest.mark.parametrize("kind, context", CASES)
def test_every_number_equals_a_slow_loop_in_float64(played, kind, context, v_head):
    """A full forward for each action token, of what its own context shows and no more."""
    agent, episode = played[kind, context]
    agent = agent if v_head else guided_agent(kind, context, v_head=False)
    frame = of_actions(token_report(agent, episode))
    ids, slow = agent.codec.encode(episode.turns, trust_ids=True), []
    policy_model, values = copy.deepcopy(agent.policy_model).double(), copy.deepcopy(agent.value_model).double()
    for n in range(1, len(episode.turns), 2):
        first = {"turn": n - 1, "episode": 0}.get(context, max(0, n - 1 - 2 * context) if isinstance(context, int) else 0)
        for k, token in enumerate(ids[n]):
            seen = torch.tensor([[i for turn in ids[first:n] for i in turn] + list(ids[n][:k])])
            with torch.no_grad():
                logits = policy_model(seen, use_cache=False).logits[0, -1]
                hidden = values.body(input_ids=seen, use_cache=False).last_hidden_state[0, -1]
                q = torch.minimum(values.q[0](hidden), values.q[1](hidden)) / 0.5
                p, g = torch.softmax(logits, -1), torch.softmax(logits + 0.5 * q, -1)
                v = values.v(hidden)[0] / 0.5 if v_head else (g * q).sum()
            row = {"policy": p[token], "guided": g[token], "q": q[token], "v": v, "advantage": q[token] - v,
                   "kl": sum(a * torch.log(a / b) for a, b in zip(g, p, strict=True)),
                   "disagree": p.argmax() != g.argmax(), "reward": episode.turns[n].reward if k == len(ids[n]) - 1 else 0}
            slow.append({name: float(x) for name, x in row.items()})
    following = 0.0
    for row in reversed(slow):
        row["return_to_go"] = following = row["reward"] + 0.9 * following
    for name, expected in pd.DataFrame(slow).items():
        assert frame[name].astype(float).tolist() == pytest.approx(expected.tolist(), abs=1e-4, rel=1e-4), name


def test_the_return_that_followed_by_hand():
    agent = guided_agent("maze-po", "turn")
    wall = Turn("There is a wall above you.\n", False)
    episode = Episode("maze-po", [wall, Turn("move up", True, -1.0), wall, Turn("move left", True, -4.0), wall,
                                  Turn("move down", True, 0.0)], True, False)
    frame = of_actions(token_report(agent, episode))
    assert frame["return_to_go"].tolist() == pytest.approx([-1 + 0.9 * -4, -4, 0])
    assert frame["token"].tolist() == ["move up", "move left", "move down"]


def test_ids_of_another_tokenizer_are_not_trusted(played):
    agent, episode = played["bpe", "episode"]
    episode = copy.deepcopy(episode)
    episode.turns[1].token_ids, episode.turns[1].text = [5, 6, 7], "move up"
    assert token_report(agent, episode).query("turn == 1")["token_id"].tolist() == [5, 6, 7]
    episode.info["tokenizer"] = "another"
    assert token_report(agent, episode).query("turn == 1")["token_id"].tolist() == list(agent.codec.action_ids("move up"))


def test_a_policy_without_values_is_its_own_guide(played):
    agent, episode = played["maze-po", "episode"]
    clone = Agent(agent.policy_model, agent.codec, "maze-po", "episode")
    frame, guided = of_actions(token_report(clone, episode)), of_actions(token_report(agent, episode))
    assert frame["policy"].tolist() == frame["guided"].tolist() == pytest.approx(guided["policy"].tolist())
    assert frame[["q", "v", "advantage"]].isna().all(axis=None)
    assert not frame["disagree"].any() and not frame["kl"].any()
    assert frame["return_to_go"].iloc[0] == episode.total_return
    assert TokenReport(clone, episode).alternatives(1)["q"].isna().all()
    with pytest.raises(ValueError, match="no values"):
        state_values(clone, [episode.turns[:1]])


# ------------------------------------------------------------------------------------------ one token

@pytest.mark.parametrize("kind, context", [("maze-fo", "turn"), ("bpe", "episode")])
def test_alternatives_are_the_tops_of_both_policies_and_the_token_taken(played, kind, context):
    agent, episode = played[kind, context]
    report = TokenReport(agent, episode)
    frame = of_actions(report.frame)
    everything = [report.alternatives(n, top=10_000) for n in range(1, len(frame) + 1)]
    for n, (row, whole) in enumerate(zip(frame.itertuples(), everything, strict=True), start=1):
        assert len(whole) == agent.codec.vocab_size
        assert whole[["policy", "guided"]].sum().tolist() == pytest.approx([1, 1], abs=1e-4)
        some = report.alternatives(n, top=2)
        best = {*whole.nlargest(2, "policy").index, *whole.nlargest(2, "guided").index, *whole.index[whole["taken"]]}
        assert some["policy"].tolist() == whole.loc[sorted(best), "policy"].tolist()
        assert some["guided"].is_monotonic_decreasing
        [taken] = some[some["taken"]].itertuples()
        assert (taken.token, taken.policy, taken.guided, taken.q) == (
            row.token, pytest.approx(row.policy, abs=1e-6), pytest.approx(row.guided, abs=1e-6), pytest.approx(row.q, abs=1e-5))
    for wrong in (0, len(frame) + 1):
        with pytest.raises(ValueError, match="counted from 1"):
            report.alternatives(wrong)


# ------------------------------------------------------------------------------------------ many states, many games

@pytest.mark.parametrize("kind, context", CASES)
@pytest.mark.parametrize("v_head", [True, False])
def test_values_of_states_are_v_at_the_first_token_of_the_action(kind, context, v_head):
    agent = guided_agent(kind, context, v_head)
    episode = short_games(agent, agent.task, steps=4, games=3)[1]
    for turn in episode.turns:
        turn.token_ids = None
    frame = token_report(agent, episode).query("is_action").groupby("turn").first()
    states = [episode.turns[:n] for n in frame.index]
    again = [*states, states[0]]
    assert state_values(agent, again).tolist() == pytest.approx([*frame["v"], frame["v"].iloc[0]], abs=1e-4)
    for wrong in ([], episode.turns[:2]):
        with pytest.raises(ValueError, match="ends with an observation"):
            state_values(agent, [wrong])


def test_calibration_is_a_row_for_each_action_token_of_all_games(played):
    agent, episode = played["maze-po", 2]
    over = Episode("maze-po", episode.turns[:-1], True, False)
    frame = calibration(agent, [episode, over])
    n = len(episode.actions)
    assert frame["episode"].tolist() == [0] * n + [1] * n
    assert frame["truncated"].tolist() == [True] * n + [False] * n and (frame["terminated"] == ~frame["truncated"]).all()
    assert frame["is_action"].all() and frame["q"].notna().all() and frame["return_to_go"].notna().all()
    with pytest.raises(ValueError, match="no episodes"):
        calibration(agent, [])


def test_the_picture_of_calibration_says_what_it_shows():
    ended = pd.DataFrame({"q": [-4.0, -4.0, -1.0, -1.0], "return_to_go": [-5.0, -3.0, -1.0, -1.0], "truncated": False})
    cut = pd.DataFrame({"q": [-2.0], "return_to_go": [-9.0], "truncated": True})
    said = plots.calibration(pd.concat([ended, cut]), "Maze")
    assert repr(said) == ("Maze: return that followed against Q, with the line where they are equal. Games that ended: 4 action "
                          "tokens, mean Q -2.50, mean return -2.50, root mean square difference 0.71. Games cut short: 1 action "
                          "token, mean Q -2.00, mean return until the cut -9.00, root mean square difference 7.00.")
    assert said.png().startswith(b"\x89PNG")
    assert "Games cut" not in repr(plots.calibration(ended))
    with pytest.raises(ValueError, match="no Q"):
        plots.calibration(ended.assign(q=np.nan))


# ------------------------------------------------------------------------------------------ bad input

def test_what_cannot_be_looked_into_is_said(played):
    agent, episode = played["maze-po", 2]
    other = Episode("maze-fo", episode.turns, False, True)
    silent = copy.deepcopy(episode)
    silent.turns = silent.turns[:1]
    for wrong, message in [((agent, other), "trained for 'maze-po'"), ((agent, silent), "no action"),
                           ((agent, [episode]), r"episodes\[0\]"), (("optimal", episode), "language-model agent")]:
        with pytest.raises(ValueError, match=message):
            token_report(*wrong)


def test_a_game_that_does_not_fit_the_model_is_an_error():
    small, codec = tiny_model(lab.TASKS["maze-po"], "turn")
    [episode] = rollout(lab.TASKS["maze-po"].policies["random"](), "maze-po", [0])
    with pytest.raises(ValueError, match="positions"):
        token_report(Agent(small, codec, "maze-po", "episode"), episode)
