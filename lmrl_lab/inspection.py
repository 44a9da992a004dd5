"""Look into an agent token by token: probabilities, Q, V, and the return that followed, for every token of an Episode.

Numbers only: `widgets.inspector` and `plots.calibration` draw them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from lmrl_lab.agent import Agent
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.models import check_positions, ends, few_threads, head, read
from lmrl_lab.tokens import collate, pack

CHUNK = 128  # states whose whole vocabulary is held in memory at a time


class TokenReport:
    """What an agent thinks at each token of an Episode, whoever played it.

    The agent reads each state in its own context, as in play; both policies are told at temperature 1 and without a mask
    of legal actions. `frame`: a row a token of the transcript, in order:

    token_id, token (its text), turn (index of `episode.turns`), is_action; and for action tokens, else NaN:
    reward (task units, on an action's last token), return_to_go (task units, discounted once an action token),
    policy (its probability under the policy alone), guided (under logits + beta * Q), kl (KL(guided || policy) of the state,
    nats), disagree (bool: the likeliest tokens of the two differ), and from a value model, in task units: q (the smallest
    Q head), v (the V head or, without one, the guided policy's expectation of Q), advantage (q - v).

    Without a value model q, v and advantage are NaN, guided is policy, and the return is not discounted; with V alone (PPO) q and
    advantage are NaN.
    """

    def __init__(self, agent: Agent, episode: Episode):
        _check(agent, episode)
        self.agent, codec = agent, agent.codec
        ids = codec.encode(episode.turns, trust_ids=episode.info.get("tokenizer") == codec.fingerprint)
        gamma = 1.0 if agent.value_model is None else agent.value_model.gamma
        batch = collate([pack(episode, codec, agent.context, gamma, ids=ids, next_state=False)], codec.pad_id)
        steps = batch.to(agent.policy_model.device).steps()
        with few_threads(agent.policy_model), torch.inference_mode():
            self._hidden = [hidden[steps.state] for hidden in _read(agent, steps.inputs, steps.places)]  # (N, width)
            self._tokens = steps.tokens
            parts = [self._measure(begin) for begin in range(0, len(steps.tokens), CHUNK)]
        columns = {"reward": steps.rewards, "return_to_go": steps.returns,
                   **{name: torch.cat([part[name] for part in parts]) for name in parts[0]}}

        texts = {i: codec.tokenizer.decode([i], clean_up_tokenization_spaces=False) for turn in ids for i in turn}
        self.frame = pd.DataFrame([(i, texts[i], n, episode.turns[n].is_action) for n, turn in enumerate(ids) for i in turn],
                                  columns=["token_id", "token", "turn", "is_action"])
        for name, numbers in columns.items():
            self.frame[name] = False if numbers.dtype is torch.bool else np.nan
            self.frame.loc[self.frame["is_action"], name] = numbers.cpu().numpy()

    def _measure(self, begin: int) -> dict[str, torch.Tensor]:
        """Columns of `frame` for CHUNK action tokens: each (n,)."""
        part = slice(begin, begin + CHUNK)
        policy, guided, q, v = _minds(self.agent, [hidden[part] for hidden in self._hidden])
        taken = range(len(policy)), self._tokens[part]
        q = q[taken]
        return {"policy": policy[taken].exp(), "guided": guided[taken].exp(), "q": q, "v": v, "advantage": q - v,
                "kl": (guided.exp() * (guided - policy)).sum(-1).clamp(min=0),
                "disagree": policy.argmax(-1) != guided.argmax(-1)}

    def alternatives(self, n: int, top: int = 6) -> pd.DataFrame:
        """What could have stood at the n-th action token, counted from 1: the `top` likeliest tokens of either policy.

        Columns token, policy and guided (probabilities), q (task units; NaN without values), taken (bool: this one was); the
        token that was taken is always there. Likeliest under the guided policy first.
        """
        if not 1 <= n <= len(self._tokens):
            raise ValueError(f"action tokens are counted from 1 to {len(self._tokens)}; there is no number {n}")
        with few_threads(self.agent.policy_model), torch.inference_mode():
            policy, guided, q, _ = (x[0].cpu() for x in _minds(self.agent, [hidden[n - 1:n] for hidden in self._hidden]))
        taken, top = int(self._tokens[n - 1]), min(top, len(policy))
        shown = sorted({taken, *policy.topk(top).indices.tolist(), *guided.topk(top).indices.tolist()}, key=lambda i: -guided[i])
        decode = self.agent.codec.tokenizer.decode
        return pd.DataFrame({"token": [decode([i], clean_up_tokenization_spaces=False) for i in shown],
                             "policy": policy[shown].exp().numpy(), "guided": guided[shown].exp().numpy(),
                             "q": q[shown].numpy(), "taken": [i == taken for i in shown]})


def token_report(agent: Agent, episode: Episode) -> pd.DataFrame:
    """The `frame` of a TokenReport: a row a token, in the order of the transcript."""
    return TokenReport(agent, episode).frame


def calibration(agent: Agent, episodes: Sequence[Episode]) -> pd.DataFrame:
    """All action tokens of many episodes, to hold Q against the return that followed (`plots.calibration` draws it).

    The columns of `token_report`, and: episode (index of `episodes`), terminated, truncated (the episode's).
    """
    if not episodes:
        raise ValueError("no episodes: there is nothing to hold the values against")
    frames = [token_report(agent, episode).query("is_action").assign(
        episode=n, terminated=episode.terminated, truncated=episode.truncated) for n, episode in enumerate(episodes)]
    return pd.concat(frames, ignore_index=True)


def state_values(agent: Agent, contexts: Sequence[Sequence[Turn]]) -> np.ndarray:
    """V after each transcript (turns that end with an observation): (n,) in task units.

    The V head or, without one, the guided policy's expectation of Q. Transcripts are read as text, in the agent's context.
    """
    if agent.value_model is None:
        raise ValueError("this agent has no values (train it with mc, ilql or ppo)")
    if any(not turns or turns[-1].is_action for turns in contexts):
        raise ValueError("a state is a transcript that ends with an observation")
    windows = [agent._window([Turn(turn.text, turn.is_action) for turn in turns]) for turns in contexts]
    distinct, found = list(dict.fromkeys(windows)), {}
    for begin in range(0, len(distinct), CHUNK):
        part = distinct[begin:begin + CHUNK]
        with few_threads(agent.policy_model), torch.inference_mode():
            v = _minds(agent, _read(agent, *ends(part, agent.policy_model)))[-1]
        found.update(zip(part, v.tolist(), strict=True))
    return np.array([found[window] for window in windows])


def _read(agent: Agent, inputs: dict, places: torch.Tensor) -> list[torch.Tensor]:
    """Hidden states (N, width) at N places of the policy and, if there is one, of the value model."""
    check_positions(agent.policy_model, inputs["input_ids"].shape[1])
    return [read(network, inputs, places) for network in (agent.policy_model, agent.value_model) if network is not None]


def _minds(agent: Agent, hidden: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """At n states: log-probabilities of the policy and of the guided policy, Q, each (n, vocabulary); V (n,)."""
    logits = head(agent.policy_model)(hidden[0]).float()
    policy = torch.log_softmax(logits, -1)
    if agent.value_model is None:
        unknown = torch.full_like(policy, torch.nan)
        return policy, policy, unknown, unknown[:, 0]
    if not agent.has_q:
        return policy, policy, torch.full_like(policy, torch.nan), agent.value_model.state_value(hidden[1]).float()
    q = agent.value_model.min_q(hidden[1]).float()
    guided = torch.log_softmax(agent.decoding.guided(logits, q), -1)
    v = (guided.exp() * q).sum(-1) if agent.value_model.v is None else agent.value_model.state_value(hidden[1]).float()
    return policy, guided, q, v


def _check(agent: Agent, episode: Episode) -> None:
    if not isinstance(agent, Agent):
        raise ValueError(f"only a language-model agent has tokens to look into, not {agent!r:.60}")
    if not isinstance(episode, Episode):
        raise ValueError(f"one Episode is looked into, not a {type(episode).__name__}: take one of them, as episodes[0]")
    if episode.task != agent.task:
        raise ValueError(f"this agent was trained for '{agent.task}', and the episode is one of '{episode.task}'")
    if not episode.actions:
        raise ValueError("this episode has no action, so there is nothing to look into")
