"""Agent: a language model that plays. Decoding with a key-value cache kept across turns; saving and loading.

No env and no loss here. `rollout.ReferenceAgent` is the slow twin that this file is tested against.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from lmrl_lab.env import TASKS
from lmrl_lab.episode import Turn
from lmrl_lab.files import file_hash, folder_hashes
from lmrl_lab.models import (
    ValueNetwork,
    check_positions,
    check_trunk_and_head,
    ends,
    few_threads,
    head,
    load_values,
    max_positions,
    padded,
    pretrained_model,
    read,
    save_values,
    save_weights,
    trunk,
)
from lmrl_lab.policies import row_generator
from lmrl_lab.tokens import Codec, check_context, earlier_turns


@dataclass(frozen=True)
class Decoding:
    """How actions are drawn.

    `temperature`: 1 samples the policy itself, 0 takes the most likely token. `legal_only`: choose among
    `info["legal_actions"]` only (the mask comes before the temperature). `beta`: what guides the policy: its logits
    + beta * Q, the smaller of the Q heads in task units; 0 is the policy alone. `min_p`: tokens of which the policy alone
    says less than this share of its most likely token's probability are not drawn while there are others, whatever their
    values: the values of what the data never did are guesses (the threshold of batch-constrained Q-learning, arXiv
    1910.01708, and of min-p sampling).
    """

    temperature: float = 1.0
    legal_only: bool = False
    beta: float = 0.0
    min_p: float = 0.0

    def __post_init__(self):
        if not 0 <= self.min_p < 1:
            raise ValueError(f"min_p is a share from 0 (all tokens) to below 1, not {self.min_p}")
        if not 0 <= self.beta < float("inf"):
            raise ValueError(f"beta is 0 (the policy alone) or above, not {self.beta}")
        if not self.temperature >= 0:
            raise ValueError(f"temperature is 0 (greedy) or above, not {self.temperature}")

    def guided(self, logits: torch.Tensor, q: torch.Tensor | None) -> torch.Tensor:
        """(..., vocabulary) logits of the policy alone -> those that are drawn from, before the temperature."""
        out = logits if q is None or not self.beta else logits + self.beta * q
        if self.min_p:  # a finite step down: where only such tokens are legal, they still have an order
            out = out - 1e4 * (logits < logits.amax(-1, keepdim=True) + math.log(self.min_p))
        return out


class _RowLayer(DynamicLayer):
    """Keys and values of one layer, (rows, heads, columns, width); each row goes on where its own tokens end."""

    columns: torch.Tensor  # (rows, new tokens): where the new keys go
    room: int  # how many columns there are; what a row has beyond its own tokens is nobody's

    def update(self, key_states, value_states, *args, **kwargs):
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
        rows = torch.arange(len(key_states), device=key_states.device)[:, None]
        if self.room > self.keys.shape[2]:
            self.keys, self.values = (torch.nn.functional.pad(kept, (0, 0, 0, self.room - kept.shape[2]))
                                      for kept in (self.keys, self.values))
        self.keys[rows, :, self.columns] = key_states.transpose(1, 2)
        self.values[rows, :, self.columns] = value_states.transpose(1, 2)
        return self.keys, self.values


class Session:
    """Contexts fed piece by piece; keys and values of what was fed are kept.

    Pieces of different lengths are padded on the right; the next piece of a row overwrites its padding, so a row's keys
    have no holes, and a token may look at the columns up to its own position. With `values`, a second network with a
    cache of its own reads the same pieces; `q` holds what it says, and what `feed` returns is guided by it.
    """

    def __init__(self, model: PreTrainedModel, rows: int, values: ValueNetwork | None = None,
                 decoding: Decoding | None = None):
        self.model, self.values, self.decoding = model, values, decoding or Decoding()
        self.networks = [model] if values is None else [model, values]
        self.caches = [[_RowLayer() for _ in range(net.config.num_hidden_layers)] for net in self.networks]
        self.lengths = np.zeros(rows, np.int64)
        self.room = 0
        self.q: torch.Tensor | None = None  # (rows, vocabulary) after the last `feed`, in task units

    @torch.inference_mode()
    def feed(self, pieces: Sequence[Sequence[int]]) -> torch.Tensor:
        """Add a piece a row; logits (rows, vocabulary) after each piece's last token (of no meaning after an empty one).

        Guided by values, where there are any, as the decoding says.
        """
        ids, sizes = padded(pieces)
        width = ids.shape[1]
        check_positions(self.model, int((self.lengths + sizes).max()))
        columns = self.lengths[:, None] + np.arange(width)
        seen = np.arange(self._make_room(width)) <= columns[:, :, None]  # (rows, new tokens, columns)
        rows, last = np.arange(len(sizes)), np.maximum(sizes - 1, 0)
        logits, self.q = self._run(ids, columns, columns, seen, rows, last)
        self.lengths = self.lengths + sizes
        return logits

    @torch.inference_mode()
    def score(self, logits: torch.Tensor, spelled: Sequence[Sequence[Sequence[int]]],
              ) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
        """For each row, whose last `feed` gave `logits`, and each of its actions, given as token ids: (log-probability of
        the action, Q at its last token or None without values).

        All actions of all rows are read in one pass, side by side behind the row's tokens; none sees another, and nothing of
        them is kept.
        """
        first, flat = torch.log_softmax(logits.float(), -1), [(n, ids) for n, row in enumerate(spelled) for ids in row]
        starts = torch.tensor([ids[0] for _, ids in flat], device=first.device)
        rows = torch.tensor([n for n, _ in flat], device=first.device)
        scores, q = first[rows, starts].clone(), None if self.q is None else self.q[rows, starts].clone()
        width = max((sum(len(ids) - 1 for ids in row) for row in spelled), default=0)
        if width:
            shape = (len(spelled), width)
            ids, depth, owner, place = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.full(shape, -1), np.arange(width)
            followers, begin = [], [0] * len(spelled)  # (row, place, next token, which action)
            for a, (n, tokens) in enumerate(flat):
                part = slice(begin[n], begin[n] + len(tokens) - 1)
                ids[n, part], depth[n, part], owner[n, part] = tokens[:-1], range(len(tokens) - 1), a
                followers += [(n, begin[n] + d, tokens[d + 1], a) for d in range(len(tokens) - 1)]
                begin[n] = part.stop
            check_positions(self.model, int((self.lengths + depth.max(1) + 1).max()))
            at = np.arange(self._make_room(width)) - self.lengths[:, None]  # (rows, columns), < 0: the row's own tokens
            behind = np.take_along_axis(owner, at.clip(0, width - 1), 1)
            seen = (at < 0)[:, None] | ((at[:, None] <= place[:, None]) & (behind[:, None] == owner[:, :, None]))
            n, at, tokens, a = np.array(followers).T
            after, values = self._run(ids, self.lengths[:, None] + place, self.lengths[:, None] + depth, seen, n, at)
            final = np.flatnonzero(np.append(a[1:] != a[:-1], True))  # the last token of each action
            a, tokens, final = (torch.from_numpy(x).to(first.device) for x in (a, tokens, final))
            scores.index_add_(0, a, torch.log_softmax(after.float(), -1).gather(1, tokens[:, None])[:, 0])
            if q is not None:
                q[a[final]] = values[final, tokens[final]]
        sizes = [len(row) for row in spelled]
        return list(zip(scores.split(sizes), [None] * len(sizes) if q is None else q.split(sizes), strict=True))

    def _make_room(self, width: int) -> int:
        """Columns enough for so many new tokens; some are made ahead, since keys are copied when they grow."""
        needed = int(self.lengths.max()) + width
        if needed > self.room:
            self.room = needed + needed // 8
        return self.room

    def _run(self, ids: np.ndarray, columns: np.ndarray, positions: np.ndarray, seen: np.ndarray, rows: np.ndarray,
             places: np.ndarray) -> tuple[torch.Tensor, torch.Tensor | None]:
        """New tokens, all (rows, new tokens): where their keys go, their positions, `seen` (rows, new tokens, columns): which
        columns each may look at. Logits, guided if there are values, and Q at (rows, places), each (n, vocabulary)."""
        device, dtype = self.model.device, self.model.dtype
        positions = positions.clip(max=max_positions(self.model) - 1)  # those of padding
        ids, columns, positions, seen, rows, places = (
            torch.from_numpy(x).to(device) for x in (ids, columns, positions, seen, rows, places))
        # a 4D float mask is the one kind that every attention kernel reads alike
        mask = torch.zeros(seen.shape, device=device, dtype=dtype).masked_fill_(~seen, torch.finfo(dtype).min)[:, None]
        said = []
        for network, layers in zip(self.networks, self.caches, strict=True):
            for layer in layers:
                layer.columns, layer.room = columns, seen.shape[2]
            hidden = trunk(network)(input_ids=ids, attention_mask=mask, use_cache=True, position_ids=positions,
                                    past_key_values=Cache(layers=layers)).last_hidden_state
            said.append(head(network)(hidden[rows, places]))
        q = None if self.values is None else said[1]
        return self.decoding.guided(said[0], q), q

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; a row may be taken several times."""
        if list(rows) == list(range(len(self.lengths))):
            return
        index = np.asarray(rows, np.int64)
        self.lengths, places = self.lengths[index], torch.from_numpy(index).to(self.model.device)
        self.q = None if self.q is None else self.q[places]
        for layer in (layer for layers in self.caches for layer in layers):
            if layer.is_initialized:
                layer.keys, layer.values = layer.keys.index_select(0, places), layer.values.index_select(0, places)


class Agent:
    """A causal language model as a Policy, guided by values if it has any.

    policy_model: the network. codec: how turns are spelled in its tokens. task: the id it was trained for.
    context: "turn", a number of earlier turns, or "episode". value_model: Q or V (or both) of the same tokens, or None.
    `last_choices` holds, a row, the token ids of the last action and their log-probabilities under the distribution they
    were drawn from (greedy: at temperature 1).
    """

    def __init__(self, policy_model: PreTrainedModel, codec: Codec, task: str, context: str | int,
                 decoding: Decoding | None = None, name: str = "agent", value_model: ValueNetwork | None = None):
        check_trunk_and_head(policy_model.eval())
        self.policy_model, self.value_model, self.codec, self.task = policy_model, value_model and value_model.eval(), codec, task
        self.context, self.decoding, self.name = check_context(context), decoding or Decoding(), name
        if self.decoding.beta and not self.has_q:
            raise ValueError("beta guides by Q, and this agent has none (train it with mc or ilql)")

    def with_decoding(self, **changes) -> Agent:
        """The same networks under another way to draw: `agent.with_decoding(temperature=0)`."""
        return type(self)(self.policy_model, self.codec, self.task, self.context, replace(self.decoding, **changes), self.name,
                          self.value_model)

    @property
    def has_q(self) -> bool:
        """Whether its values have Q heads; those of PPO have V alone."""
        return self.value_model is not None and len(self.value_model.q) > 0

    def fingerprint(self) -> str:
        """A hash of the policy's and the values' weights: which agent this is."""
        digest = hashlib.sha256()
        for network in (self.policy_model, self.value_model):
            for name, tensor in (network.state_dict() if network is not None else {}).items():
                digest.update(name.encode() + tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]

    @property
    def player(self) -> dict:
        """What a file of games keeps to tell this agent from others of its name: weights, context, decoding."""
        return {"weights": self.fingerprint(), "context": self.context, **asdict(self.decoding)}

    def _new_session(self, rows: int, with_values: bool = False) -> Session:
        values = self.value_model if self.decoding.beta or (with_values and self.has_q) else None
        return Session(self.policy_model, rows, values, self.decoding)

    # ------------------------------------------------------------------------------------------ playing

    def reset(self, seeds: list[int]) -> None:
        self._rngs = [row_generator(seed) for seed in seeds]
        self._turns: list[list[Turn]] = [[] for _ in seeds]
        self._unfed: list[list[int]] = [[] for _ in seeds]
        self._session, self._place = None, [0] * len(seeds)  # the session's row that holds a game's transcript
        self.last_choices: list[tuple[list[int], list[float]] | None] = [None] * len(seeds)

    def act(self, observations: list[str | None], infos: list[dict]) -> list[str | None]:
        rows = [i for i, text in enumerate(observations) if text is not None]
        for i in rows:
            self._turns[i].append(Turn(observations[i], False))
        with few_threads(self.policy_model):
            chosen = self._choose(rows, [infos[i].get("legal_actions") for i in rows])
        actions: list[str | None] = [None] * len(observations)
        self.last_choices = [None] * len(observations)
        for i, (text, ids, logprobs) in zip(rows, chosen, strict=True):
            self._turns[i].append(Turn(text, True, token_ids=ids))
            actions[i], self.last_choices[i] = text, (ids, logprobs)
        return actions

    def outgrown(self, observations: list[str | None], infos: list[dict], room: int = 0) -> list[int]:
        """Rows whose transcript, with this observation, leaves less than `room` positions of the model, see `rollout`."""
        limit, found = max_positions(self.policy_model), []
        for i in (i for i, text in enumerate(observations) if text is not None and self.context == "episode"):
            size = len(self._unfed[i]) + (int(self._session.lengths[self._place[i]]) if self._turns[i] else 0)
            size += len(self._encode_last([*self._turns[i], Turn(observations[i], False)]))
            spelled = infos[i].get("legal_actions") if self.decoding.legal_only else None
            if size + max([room, *(len(self.codec.action_ids(action)) - 1 for action in spelled or [])]) > limit:
                found.append(i)
        return found

    def _choose(self, rows: list[int], legal: list) -> list[tuple[str, list[int], list[float]]]:
        """(text, token ids, log-probabilities) of an action for each of these rows, whose last turn is an observation."""
        if not rows:
            return []
        session, logits = self._read(rows)
        rngs = [self._rngs[i] for i in rows]
        if self.decoding.legal_only:
            if any(not actions for actions in legal):
                raise ValueError("legal_only needs a task with a closed action set")
            if not self.codec.single_token_actions:
                return self._choose_legal(session, logits, rows, legal, rngs)
            allowed = torch.stack([self._legal_tokens(tuple(actions)) for actions in legal])
            logits = logits.masked_fill(~allowed.to(logits.device), -torch.inf)  # the mask comes before the temperature
        ids: list[list[int]] = [[] for _ in rows]
        logprobs: list[list[float]] = [[] for _ in rows]
        open_rows, most, limit = list(range(len(rows))), self.codec.max_action_tokens, max_positions(self.policy_model)
        while True:
            tokens, scores = self._draw(logits[open_rows], [rngs[n] for n in open_rows])
            for n, token, score in zip(open_rows, tokens, scores, strict=True):
                ids[n].append(token)
                logprobs[n].append(score)
            open_rows = [n for n in open_rows if ids[n][-1] not in self.codec.end_ids and len(ids[n]) < most
                         and session.lengths[n] + 1 < limit]  # else it ends where its model does
            if not open_rows:
                break
            pieces: list[list[int]] = [[] for _ in rows]
            for n in open_rows:
                pieces[n] = ids[n][-1:]
            logits = session.feed(pieces)
        for n, i in enumerate(rows):
            self._unfed[i] = ids[n][-1:]  # the last token of an action rides with the next observation
        return [(self.codec.decode_action(ids[n]), ids[n], logprobs[n]) for n in range(len(rows))]

    @functools.lru_cache(maxsize=256)  # noqa: B019  (an agent lives as long as its lesson)
    def _legal_tokens(self, actions: tuple[str, ...]) -> torch.Tensor:
        """(vocabulary,) True at the tokens of these actions, each of which is one token."""
        allowed = torch.zeros(self.codec.vocab_size, dtype=torch.bool)
        allowed[[self.codec.action_ids(action)[0] for action in actions]] = True
        return allowed

    def _choose_legal(self, session, logits, rows, legal, rngs):
        """Draw among legal actions of several tokens, each scored by all of its tokens."""
        chosen = []
        spelled = [[self.codec.action_ids(action) for action in actions] for actions in legal]
        for n, (scores, _) in enumerate(session.score(logits, spelled)):
            temperature = self.decoding.temperature
            total = torch.logsumexp(scores / (temperature or 1.0), 0)
            k = int(scores.argmax()) if not temperature else _inverse_cdf((scores / temperature)[None], [rngs[n]])[0]
            ids = list(self.codec.action_ids(legal[n][k]))
            # one number for the whole action, on its last token: tokens are not drawn one by one here
            logprobs = [0.0] * (len(ids) - 1) + [float(scores[k] / (temperature or 1.0) - total)]
            chosen.append((legal[n][k], ids, logprobs))
            self._unfed[rows[n]] = ids
        return chosen

    def _draw(self, logits: torch.Tensor, rngs: list) -> tuple[list[int], list[float]]:
        """One token a row, and its log-probability, from logits (rows, vocabulary)."""
        scaled = torch.log_softmax(logits.float() / (self.decoding.temperature or 1.0), -1)
        tokens = _inverse_cdf(scaled, rngs) if self.decoding.temperature else scaled.argmax(-1).tolist()
        return tokens, scaled[range(len(tokens)), tokens].tolist()

    def _read(self, rows: list[int]) -> tuple[Session | None, torch.Tensor]:
        """Feed what is new of each row; logits (rows, vocabulary) that choose the first token of its action. The session
        is None where the rest of an action is not needed."""
        if self.context == "episode":
            # games with the same transcript so far share a row of the session, until they differ
            if self._session is None:
                self._session = self._new_session(1)
            new = [(self._place[i], *self._unfed[i], *self._encode_last(self._turns[i])) for i in rows]
            distinct = {piece: n for n, piece in enumerate(dict.fromkeys(new))}
            self._session.select([piece[0] for piece in distinct])
            logits = self._session.feed([piece[1:] for piece in distinct])
            back = [distinct[piece] for piece in new]
            if not self.codec.single_token_actions:  # the tokens of an action are fed one by one
                self._session.select(back)
                logits, back = logits[back], list(range(len(rows)))
            for i, place in zip(rows, back, strict=True):
                self._place[i], self._unfed[i] = place, []
            return self._session, logits[back]
        contexts = [self._window(self._turns[i]) for i in rows]
        distinct = {context: n for n, context in enumerate(dict.fromkeys(contexts))}
        back = [distinct[context] for context in contexts]
        if self.codec.single_token_actions:  # then nothing more is fed, and no keys need be kept
            return None, self._after(list(distinct))[back]
        session = self._new_session(len(distinct))
        logits = session.feed(list(distinct))[back]
        session.select(back)
        return session, logits

    @torch.inference_mode()
    def _after(self, windows: Sequence[Sequence[int]]) -> torch.Tensor:
        """Logits (windows, vocabulary) after each of them, guided as the decoding says; without a cache."""
        inputs, places = ends(windows, self.policy_model)
        logits = head(self.policy_model)(read(self.policy_model, inputs, places))
        q = self.value_model.min_q(read(self.value_model, inputs, places)) if self.decoding.beta else None
        return self.decoding.guided(logits, q)

    def _encode_last(self, turns: list[Turn]) -> tuple[int, ...]:
        return self.codec.encode(turns if self.codec.card.model_text else turns[-1:])[-1]

    def _window(self, turns: list[Turn]) -> tuple[int, ...]:
        """Token ids of the context that ends with the last turn, an observation."""
        k = earlier_turns(self.context)
        if self.codec.card.model_text is None and k is not None:
            turns = turns[-1 - 2 * k:]
            if not k:
                return self.codec.encode(turns)[0]
        ids = self.codec.encode(turns, trust_ids=True)
        return tuple(token for turn in (ids if k is None else ids[-1 - 2 * k:]) for token in turn)

    # ------------------------------------------------------------------------------------------ looking in

    def score_actions(self, contexts: Sequence[Sequence[Turn]],
                      spelled: Sequence[Sequence[Sequence[int]]]) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """For each transcript (turns that end with an observation) and each action after it, given as its token ids:

        (log-probabilities under free decoding at temperature 1, Q at the action's last token or None without values).
        """
        windows = [self._window(_retold(turns)) for turns in contexts]
        with few_threads(self.policy_model):
            session = self._new_session(len(windows), with_values=True)
            found = session.score(session.feed(windows), spelled)
        return [(scores.cpu().double().numpy(), None if q is None else q.cpu().double().numpy()) for scores, q in found]

    def action_probabilities(self, contexts: Sequence[Sequence[Turn]], legal: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Probability of each legal action after each transcript (a list of turns that ends with an observation).

        Under free decoding at temperature 1: what a row lacks to 1 goes to strings that are not legal.
        """
        spelled = [[self.codec.action_ids(action) for action in actions] for actions in legal]
        return [np.exp(scores) for scores, _ in self.score_actions(contexts, spelled)]

    def top_actions(self, turns: Sequence[Turn], legal_actions: Sequence[str] | None, n: int = 5, seed: int = 0) -> list[dict]:
        """The n likeliest legal actions after a transcript, or n sampled ones where the set is open.

        A list of {"action", "probability", "value"}, the likeliest first; value is None for a policy without values.
        """
        if legal_actions is None:
            probe = self.with_decoding(legal_only=False)
            turns = _retold(turns)
            probe.reset(list(range(seed, seed + n)))
            probe._turns = [list(turns) for _ in range(n)]
            if self.context == "episode":
                probe._unfed = [[t for ids in self.codec.encode(turns[:-1], trust_ids=True) for t in ids] for _ in range(n)]
            with few_threads(self.policy_model):
                spelled = {text: tuple(ids) for text, ids, _ in probe._choose(list(range(n)), [None] * n)}
        else:
            spelled = {action: self.codec.action_ids(action) for action in legal_actions}
        [(scores, q)] = self.score_actions([turns], [list(spelled.values())])
        found = zip(spelled, np.exp(scores).tolist(), [None] * len(spelled) if q is None else q.tolist(), strict=True)
        return [{"action": action, "probability": probability, "value": value}
                for action, probability, value in sorted(found, key=lambda item: -item[1])[:n]]

    # ------------------------------------------------------------------------------------------ files

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the agent to a folder, which appears only when it is whole; an agent that was there is replaced."""
        folder = Path(folder).resolve()
        if folder.exists() and any(folder.iterdir()) and not (folder / "agent.json").exists():
            raise FileExistsError(f"{folder} holds something that is not an agent; nothing was written")
        partial = folder.with_name(f".{folder.name}.{os.getpid()}.part")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            save_weights(partial / "policy", self.policy_model, self.codec)
            values = None if self.value_model is None else save_values(partial / "value", self.value_model)
            record = {"format": 1, "task": self.task, "name": self.name, "context": self.context,
                      "decoding": asdict(self.decoding), "value": values, "files": folder_hashes(partial)}
            (partial / "agent.json").write_text(json.dumps(record, indent=1))
            if folder.exists():
                old = partial.with_suffix(".old")
                os.replace(folder, old)
                try:
                    os.replace(partial, folder)
                except OSError:
                    os.replace(old, folder)
                    raise
                shutil.rmtree(old)
            else:
                os.replace(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return folder


def load_agent(folder: str | os.PathLike) -> Agent:
    """Read an agent back. Raises FileNotFoundError or ValueError that say which file is missing or changed."""
    folder = Path(folder)
    if (folder / "agent").is_dir():  # a run folder
        folder = folder / "agent"
    if not (folder / "agent.json").exists():
        raise FileNotFoundError(f"{folder} is no saved agent: it has no agent.json")
    try:
        record = json.loads((folder / "agent.json").read_text())
        files, card, name = dict(record["files"]), TASKS[record["task"]], record["name"]
        context, decoding, value = check_context(record["context"]), Decoding(**record["decoding"]), record.get("value")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / 'agent.json'} is cut or damaged ({error!r})") from None
    for file, digest in files.items():
        if not (folder / file).exists():
            raise FileNotFoundError(f"the agent in {folder} is not whole: {file} is missing")
        if file_hash(folder / file) != digest:
            raise ValueError(f"the agent in {folder} was changed or cut: {file} is not the file that was saved")
    model, codec = pretrained_model(folder / "policy", card)
    return Agent(model, codec, card.id, context, decoding, name, value and load_values(folder / "value", value))


def _retold(turns: Sequence[Turn]) -> list[Turn]:
    """The turns as text alone: whose tokens they were sampled as is not known here."""
    return [Turn(turn.text, turn.is_action, turn.reward) for turn in turns]


def _inverse_cdf(logprobs: torch.Tensor, rngs: list) -> list[int]:
    """Draw one index a row from unnormalised log-probabilities; row i uses one number of its own generator."""
    mass = torch.softmax(logprobs.cpu().double(), -1).cumsum(-1)  # on the CPU: not every device has float64
    uniform = torch.tensor([[rng.random()] for rng in rngs], dtype=torch.float64)
    return torch.searchsorted(mass, uniform * mass[:, -1:], right=True).clamp_(max=mass.shape[1] - 1)[:, 0].tolist()
