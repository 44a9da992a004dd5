"""Play many games at once with any policy: seeds -> Episodes. Beside it the slow, simple agent that checks the fast one.

Importing this needs no torch; the reference agent imports it when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lmrl_lab.env import TASKS, TextEnv, make
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.policies import Policy


def rollout(policy: Policy, task: str, seeds: Sequence[int], options: Sequence[dict | None] | None = None,
            batch: int | None = None, progress: Callable[[int], None] | None = None, **kwargs) -> list[Episode]:
    """Play one game a seed, `batch` of them side by side (the card's number if None); Episodes in the order of the seeds.

    `options[i]` goes to the reset of game i, `kwargs` to `make`. `progress(n)` is told how many games are finished. The
    game and the policy's row are both seeded with seeds[i], so a game does not depend on which others play beside it.
    """
    options = [None] * len(seeds) if options is None else list(options)
    if len(options) != len(seeds):
        raise ValueError(f"{len(seeds)} seeds and {len(options)} options")
    batch = TASKS[task].side_by_side if batch is None else batch
    name, episodes = getattr(policy, "name", type(policy).__name__), []
    for begin in range(0, len(seeds), batch):
        part = slice(begin, begin + batch)
        episodes += _play(policy, [make(task, **kwargs) for _ in seeds[part]], list(seeds[part]), options[part], name)
        if progress:
            progress(len(episodes))
    for episode in episodes:
        if kwargs:
            episode.info["keywords"] = dict(kwargs)
    return episodes


def _play(policy: Policy, envs: list[TextEnv], seeds: list[int], options: list, name: str) -> list[Episode]:
    n = len(envs)
    started = [env.reset(seed=int(seed), options=option) for env, seed, option in zip(envs, seeds, options, strict=True)]
    observations: list[str | None] = [text for text, _ in started]
    infos = [info for _, info in started]
    turns = [[Turn(text, False)] for text in observations]
    invalid, episodes = [0] * n, [None] * n
    policy.reset([int(seed) for seed in seeds])
    fingerprint = getattr(getattr(policy, "codec", None), "fingerprint", None)
    try:
        while any(text is not None for text in observations):
            actions = policy.act(observations, infos)
            choices = getattr(policy, "last_choices", None)
            for i, action in enumerate(actions):
                if observations[i] is None:
                    continue
                text, reward, terminated, truncated, infos[i] = envs[i].step(action)
                ids, logprobs = choices[i] if choices else (None, None)
                turns[i] += [Turn(action, True, reward, ids, logprobs), Turn(text, False)]
                invalid[i] += infos[i]["invalid"]
                observations[i] = None if terminated or truncated else text
                if observations[i] is None:
                    info = {"success": infos[i]["success"], "invalid": invalid[i]}
                    if options[i]:
                        info["options"] = {k: list(v) if isinstance(v, tuple) else v for k, v in options[i].items()}
                    if fingerprint:
                        info["tokenizer"] = fingerprint
                    episodes[i] = Episode(envs[i].task, turns[i], terminated, truncated and not terminated,
                                          int(seeds[i]), name, info)
    finally:
        for env in envs:
            env.close()
    return episodes


class ReferenceAgent:
    """The same agent without a cache and without batches: a full forward for every token of every row.

    Slow and short, it defines what `Agent` must do; use it where a model does not take a key-value cache.
    """

    def __init__(self, agent):
        self.agent, self.codec, self.name = agent, agent.codec, agent.name

    def reset(self, seeds):
        from lmrl_lab.policies import row_generator
        self.rngs, self.turns = [row_generator(seed) for seed in seeds], [[] for _ in seeds]

    def act(self, observations, infos):
        self.last_choices = [None] * len(observations)
        return [None if text is None else self._act(i, text, infos[i]) for i, text in enumerate(observations)]

    def _act(self, i, text, info):
        import torch
        self.turns[i].append(Turn(text, False))
        ids, logprobs, decoding = [], [], self.agent.decoding
        context = list(self.agent._window(self.turns[i]))
        legal = {self.codec.action_ids(a): a for a in info["legal_actions"]} if decoding.legal_only else None
        while not ids or (ids[-1] not in self.codec.end_ids and len(ids) < self.codec.max_action_tokens):
            with torch.inference_mode():
                seen = {"input_ids": torch.tensor([context + ids]), "use_cache": False}
                alone = logits = self.agent.policy_model(**seen).logits[0, -1].double()
                if decoding.beta:
                    values = self.agent.value_model
                    logits = logits + decoding.beta * values.min_q(values.body(**seen).last_hidden_state[0, -1]).double()
                if decoding.min_p:
                    shares = torch.softmax(alone, -1)
                    logits = logits - 1e4 * (shares < decoding.min_p * shares.max())
            if legal:
                if any(len(spelled) > 1 for spelled in legal):
                    raise ValueError("the reference knows legal_only for actions of one token")
                mask = torch.full_like(logits, -torch.inf)
                mask[[spelled[0] for spelled in legal]] = 0
                logits = logits + mask
            scores = torch.log_softmax(logits / (decoding.temperature or 1.0), -1)
            if decoding.temperature:
                mass = scores.exp().cumsum(-1)
                token = int(torch.searchsorted(mass, self.rngs[i].random() * mass[-1], right=True))
            else:
                token = int(scores.argmax())
            ids.append(token)
            logprobs.append(float(scores[token]))
        action = self.codec.decode_action(ids)
        self.turns[i].append(Turn(action, True, token_ids=ids))
        self.last_choices[i] = (ids, logprobs)
        return action
