"""Play many games at once with any policy: seeds -> Episodes. Beside it the slow, simple agent that checks the fast one.

Importing this needs no torch; the reference agent imports it when it is used.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lmrl_lab.env import TASKS, TextEnv, make, unknown
from lmrl_lab.episode import Episode, EpisodeFileError, Turn, append_episode
from lmrl_lab.policies import Policy
from lmrl_lab.simulators import SimulatorError


def rollout(policy: Policy, task: str, seeds: Sequence[int], options: Sequence[dict | None] | None = None,
            batch: int | None = None, progress: Callable[[int], None] | None = None,
            save_to: str | os.PathLike | None = None, outgrown: str = "raise", **kwargs) -> list[Episode]:
    """Play one game a seed, `batch` of them side by side (the card's number if None); Episodes in the order of the seeds.

    `options[i]` goes to the reset of game i, `kwargs` to `make`. `progress(n)` is told how many games are finished. The
    game and the policy's row are both seeded with seeds[i], so a game does not depend on which others play beside it; only
    a language model that draws (a `LocalModel` with a temperature above 0, most endpoints) may say something else in other
    company.

    outgrown: what happens where an agent that reads whole transcripts cannot read one any further. "raise": a ValueError, as no
    result should come of it unnoticed; "cut": the game is cut at the observation before (truncated); "silent": the agent says
    nothing from then on, and the game goes by its own rules. The latter two stand in such a game's `info["outgrown"]`. A window
    of turns that is too long is always an error.

    save_to: a plain .jsonl file to which each Episode is added when it is finished. The same call goes on after an
    interruption: games that the file holds are not played again. With it `info["player"]` holds what a policy says of
    itself in `player` (an agent: its weights and decoding; a ChatPolicy: its rules and settings). Raises EpisodeFileError
    where the file holds a game that this call does not play (of another task, policy, player, keyword, seed or option);
    SimulatorError where a language model or a chess engine fails, with the games that were finished by then in its `episodes`.
    """
    options = [None] * len(seeds) if options is None else list(options)
    if len(options) != len(seeds):
        raise ValueError(f"{len(seeds)} seeds and {len(options)} options")
    if outgrown not in (ways := ("raise", "cut", "silent")):
        raise unknown("way with outgrown games", outgrown, ways)
    batch = TASKS[task].side_by_side if batch is None else batch
    name, episodes = getattr(policy, "name", type(policy).__name__), [None] * len(seeds)
    keywords = {key: getattr(value, "spec", value) for key, value in kwargs.items()}
    if "simulator" in kwargs:  # its own spec says where it is, which a short one leaves to the environment
        env = make(task, **kwargs)
        keywords["simulator"] = getattr(getattr(env, "simulator", None), "spec", keywords["simulator"])
        env.close()
    player = getattr(policy, "player", None) if save_to is not None else None
    if save_to is not None:
        for i, episode in _saved(Path(save_to), task, (name, player), seeds, options, keywords, outgrown):
            episodes[i] = episode
    missing = [i for i, episode in enumerate(episodes) if episode is None]
    done = len(seeds) - len(missing)

    def finished(i: int, episode: Episode) -> None:
        nonlocal done
        if keywords:
            episode.info["keywords"] = dict(keywords)
        if player:
            episode.info["player"] = dict(player)
        episodes[i], done = episode, done + 1
        if save_to is not None:
            append_episode(save_to, episode)

    for begin in range(0, len(missing), batch):
        part = missing[begin:begin + batch]
        try:
            _play(policy, [make(task, **kwargs) for _ in part], [seeds[i] for i in part], [options[i] for i in part], name,
                  lambda row, episode, part=part: finished(part[row], episode), outgrown)
        except SimulatorError as error:
            kept = (f"{done} of {len(seeds)} games are finished and kept in {save_to}; the same call goes on from there"
                    if save_to is not None else f"no game is kept in a file, as save_to=FILE would do ({done} are finished)")
            raise SimulatorError(f"{error}; {kept}", [e for e in episodes if e is not None]) from None
        if progress:
            progress(done)
    return episodes


def _saved(path: Path, task: str, who: tuple, seeds: Sequence[int], options: list, keywords: dict,
           outgrown: str) -> list[tuple[int, Episode]]:
    """(which game, Episode) for each whole line of a file that `rollout` has written; who: (policy's name, player or None).

    Only a file that belongs to this call is mended: a half last line is taken off, one that lacks its newline gets it.
    """
    if path.suffix != ".jsonl":
        raise ValueError(f"{path}: games are saved to plain .jsonl files")
    if not path.exists():
        return []
    data = path.read_bytes()
    *lines, last = data.split(b"\n")
    half = bool(last) and not _is_json(last)
    if half and not last.startswith(b'{"task": '[:len(last)]):
        raise EpisodeFileError(f"{path}: the last line is neither whole nor half an episode; save to another file")
    if last and not half:
        lines.append(last)

    def label(*parts) -> str:  # as it reads in a file, where a tuple is a list
        return json.dumps(parts, sort_keys=True)

    wanted: dict[str, list[int]] = {}
    for i in range(len(seeds)):
        wanted.setdefault(label(*who, keywords, int(seeds[i]), options[i] or {}), []).append(i)
    found = []
    for number, line in enumerate(lines, 1):
        try:
            episode = Episode.from_dict(json.loads(line))
        except ValueError as error:
            raise EpisodeFileError(f"{path}, line {number}: not an episode ({error})") from None
        if episode.task != task:
            raise EpisodeFileError(f"{path}, line {number}: an episode of '{episode.task}', not of '{task}'")
        info = episode.info
        if info.get("outgrown") not in (None, outgrown):
            raise EpisodeFileError(f"{path}, line {number}: a game that its player could not read to its end, "
                                   f"\"{info['outgrown']}\" and not \"{outgrown}\"; save to another file")
        games = wanted.get(label(episode.policy, info.get("player"), info.get("keywords", {}), episode.seed,
                                 info.get("options", {})))
        if not games:
            raise EpisodeFileError(f"{path}, line {number}: a game of '{episode.policy}' ({info.get('player')}) with seed "
                                   f"{episode.seed}, options {info.get('options')} and keywords {info.get('keywords')}, "
                                   "which this call does not play; save to another file")
        found.append((games.pop(), episode))
    if half:
        print(f"{path}: the last line was cut, so its game is played again", file=sys.stderr)
        os.truncate(path, len(data) - len(last))
    elif last:
        with open(path, "ab") as file:
            file.write(b"\n")
    return found


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _ask_ahead(envs: list[TextEnv], observations: list[str | None], actions: list[str | None]) -> None:
    """Ask each language model once for all that the games will ask it in their next step: they find the replies remembered."""
    asked: dict[int, tuple] = {}
    for env, text, action in zip(envs, observations, actions, strict=True):
        model = getattr(env, "simulator", None)
        if text is not None and model is not None:
            request = env.request(action)
            if request is not None:
                asked.setdefault(id(model), (model, []))[1].append(request)
    for model, requests in asked.values():
        model.replies(requests)


def _play(policy: Policy, envs: list[TextEnv], seeds: list[int], options: list, name: str,
          finished: Callable[[int, Episode], None], outgrown: str) -> None:
    """Play the games to their ends; `finished` is told each row and its Episode as soon as it is over."""
    started = [env.reset(seed=int(seed), options=option) for env, seed, option in zip(envs, seeds, options, strict=True)]
    observations: list[str | None] = [text for text, _ in started]
    infos = [info for _, info in started]
    turns = [[Turn(text, False)] for text in observations]
    invalid: list[list[int]] = [[] for _ in envs]
    long, can_tell = set(), hasattr(policy, "outgrown")  # rows of games that the agent cannot read any further
    talking = any(getattr(env, "simulator", None) is not None for env in envs)
    policy.reset([int(seed) for seed in seeds])
    fingerprint = getattr(getattr(policy, "codec", None), "fingerprint", None)

    def over(i: int, terminated: bool) -> None:
        observations[i] = None
        info = {"success": infos[i]["success"], "invalid": sum(invalid[i])}
        if options[i]:
            info["options"] = {k: list(v) if isinstance(v, tuple) else v for k, v in options[i].items()}
        if fingerprint:
            info["tokenizer"] = fingerprint
        if i in long:
            info["outgrown"] = outgrown
        finished(i, Episode(envs[i].task, turns[i], terminated, not terminated, int(seeds[i]), name, info))

    try:
        while any(text is not None for text in observations):
            if outgrown == "silent" and can_tell:
                long.update(policy.outgrown([None if i in long else text for i, text in enumerate(observations)], infos))
            said = policy.act([None if i in long else text for i, text in enumerate(observations)], infos)
            actions = ["" if i in long else action for i, action in enumerate(said)]
            choices = getattr(policy, "last_choices", None)
            if talking:
                _ask_ahead(envs, observations, actions)
            ends: dict[int, list[bool]] = {}  # terminated, truncated
            for i, action in enumerate(actions):
                if observations[i] is None:
                    continue
                observations[i], reward, *ends[i], infos[i] = envs[i].step(action)
                ids, logprobs = choices[i] if choices and i not in long else (None, None)
                turns[i] += [Turn(action, True, reward, ids, logprobs), Turn(observations[i], False)]
                invalid[i].append(infos[i]["invalid"])
            if outgrown == "cut" and can_tell:  # a token more: the value after the last observation is asked
                going_on = [text if i in ends and not ends[i][0] and len(turns[i]) > 3 else None  # else nothing is before it
                            for i, text in enumerate(observations)]
                long.update(policy.outgrown(going_on, infos, 1))
            for i, (terminated, truncated) in ends.items():
                if i in long and outgrown == "cut":
                    del turns[i][-2:], invalid[i][-1]
                    over(i, terminated=False)
                elif terminated or truncated:
                    over(i, terminated)
    finally:
        for env in envs:
            env.close()


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
