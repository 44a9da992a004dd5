"""Text to tokens: the codec of a task and a tokenizer, and Episodes -> packed rows -> TokenBatch.

Every action token is one RL step. Which tokens are actions comes from the turns, never from searching the text.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import PreTrainedTokenizerFast

from lmrl_lab.env import MAX_ACTION_CHARS, TaskCard
from lmrl_lab.episode import Episode, Turn


def tiny_tokenizer(card: TaskCard) -> PreTrainedTokenizerFast:
    """A word-level tokenizer of a task: each phrase of `card.vocabulary` is one token, the longest first.

    Spaces between tokens are dropped. Id 0 is padding, 1 stands for everything that is not in the vocabulary.
    """
    phrases = sorted(dict.fromkeys(card.vocabulary), key=len, reverse=True)
    pattern = "|".join([*(re.escape(p) + (r"\b" if p[-1].isalnum() else "") for p in phrases), r"\w+", r"[^\w ]"])
    vocabulary = {"[PAD]": 0, "[UNK]": 1}
    for phrase in card.vocabulary:
        vocabulary.setdefault(phrase, len(vocabulary))
    core = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    core.pre_tokenizer = Split(Regex(pattern), behavior="removed", invert=True)
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="[UNK]", pad_token="[PAD]")


class Codec:
    """How the turns of one task are spelled in the tokens of one tokenizer.

    Where every action of a closed set is a single token of the tokenizer, that token is the whole action. Elsewhere
    an action is its text and a newline, and any token that holds a newline (or is the end-of-text token) ends it.
    """

    def __init__(self, tokenizer, card: TaskCard):
        self.tokenizer, self.card = tokenizer, card
        self.vocab_size = len(tokenizer)
        self.pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0  # always masked
        self.fingerprint = hashlib.sha256(repr(sorted(tokenizer.get_vocab().items())).encode()).hexdigest()[:12]
        self._encode = functools.lru_cache(maxsize=65_536)(self._encode_uncached)
        self._decode = functools.lru_cache(maxsize=65_536)(self._decode_uncached)
        spelled = [self._ids(action) for action in card.actions or ()]
        self.single_token_actions = bool(spelled) and all(len(i) == 1 and i[0] != tokenizer.unk_token_id for i in spelled)
        if self.single_token_actions:
            self.end_ids = frozenset(ids[0] for ids in spelled)
            self.max_action_tokens = 1
        else:
            ends = {i for i in range(self.vocab_size) if "\n" in tokenizer.decode([i])}
            self.end_ids = frozenset(ends | ({tokenizer.eos_token_id} - {None}))
            self.max_action_tokens = 64
            if self.action_ids("a")[-1] not in self.end_ids:
                raise ValueError("the tokenizer drops newlines, so an action would never end; a byte-level tokenizer keeps them")

    def parts(self) -> torch.Tensor | None:
        """(vocabulary, parts) of 0 and 1, which parts each token is made of; None where the card names none."""
        if self.card.parts is None:
            return None
        made_of = {i: self.card.parts(token) for token, i in self.tokenizer.get_vocab().items()}
        number = {part: k for k, part in enumerate(dict.fromkeys(part for i in sorted(made_of) for part in made_of[i]))}
        table = torch.zeros(self.vocab_size, len(number))
        for i, parts in made_of.items():
            table[i, [number[part] for part in parts]] = 1
        return table

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def _encode_uncached(self, text: str, is_action: bool) -> tuple[int, ...]:
        ids = tuple(self._ids(text + "\n" if is_action and not self.single_token_actions else text))
        if not ids:
            raise ValueError(f"the tokenizer makes no token of {text!r}")
        return ids

    def encode(self, turns: Sequence[Turn], trust_ids: bool = False) -> list[tuple[int, ...]]:
        """Token ids of each turn. With `trust_ids`, an action that carries the ids it was sampled as keeps them."""
        texts = self.card.model_text(turns) if self.card.model_text else [turn.text for turn in turns]
        return [tuple(turn.token_ids) if trust_ids and turn.is_action and turn.token_ids else
                self._encode(text, turn.is_action) for turn, text in zip(turns, texts, strict=True)]

    def action_ids(self, action: str) -> tuple[int, ...]:
        """Token ids of an action, its end included."""
        return self._encode(action, True)

    def decode_action(self, ids: Sequence[int]) -> str:
        """The action that sampled ids stand for, without its end."""
        return self._decode(tuple(ids))

    def _decode_uncached(self, ids: tuple[int, ...]) -> str:
        if ids and ids[-1] == self.tokenizer.eos_token_id:
            ids = ids[:-1]
        text = self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text.split("\n")[0][:MAX_ACTION_CHARS]  # no game takes a longer one


@dataclass
class Row:
    """One packed row, before padding: NumPy arrays of T tokens, and what holds for the row as a whole.

    `block`: tokens attend only within their block (and to what is before them). `next_pos[t]`, for an action token:
    where the value of the next state is read. `rewards` sit on the last token of each action.
    """

    input_ids: np.ndarray
    action_mask: np.ndarray
    rewards: np.ndarray
    returns: np.ndarray
    next_pos: np.ndarray
    position_ids: np.ndarray
    block: np.ndarray
    terminated: bool
    truncated: bool
    weight: float = 1.0


class Steps(NamedTuple):
    """The N action tokens of a batch, each one RL step, and what a network must read for them.

    inputs: arguments of a trunk; places (M,): where in its output, counted through the rows, the M distinct states are
    read; state, next_state (N,): which of these M is s_t, and which is the next state (after a terminal step s_t again,
    never used; None where it was not asked for); tokens (N,) int64; rewards, returns (N,) in task units; terminal (N,)
    bool: the game ended here by its own rules; weight (N,).
    """

    inputs: dict
    places: torch.Tensor
    state: torch.Tensor
    next_state: torch.Tensor | None
    tokens: torch.Tensor
    rewards: torch.Tensor
    returns: torch.Tensor
    terminal: torch.Tensor
    weight: torch.Tensor


@dataclass
class TokenBatch:
    """B packed rows padded on the right to T tokens; what every loss reads.

    `input_ids`, `position_ids`, `block`, `next_pos` (B, T) int64; `action_mask` (B, T) bool, True where the token is an
    action token, i.e. one RL step: its state is read one position earlier; `rewards`, `returns` (B, T) float32 in task
    units, at action tokens; `terminated`, `truncated` (B,) bool, about the last action token of the row: after a
    terminated one no value follows, else the next state is at `next_pos`; `weight` (B,) float32.
    `normalizer`: the weighted number of action tokens that a loss divides its sum by (a float: in a run on several
    processes it is the global number over the number of processes, so that averaged gradients are the right ones).
    """

    input_ids: torch.Tensor
    action_mask: torch.Tensor
    rewards: torch.Tensor
    returns: torch.Tensor
    next_pos: torch.Tensor
    position_ids: torch.Tensor
    block: torch.Tensor
    terminated: torch.Tensor
    truncated: torch.Tensor
    weight: torch.Tensor
    normalizer: float

    def to(self, device) -> TokenBatch:
        moved = {f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "normalizer"}
        return replace(self, **moved)

    def steps(self, following: bool = False) -> Steps:
        """The batch as RL steps, and the least that a network must read for them; made once and kept.

        `following`: also the next states. Where contexts repeat (several blocks a row), each distinct one is read once,
        and nothing is read after the last token that a step needs: neither changes a hidden state or a gradient.
        """
        kept = self.__dict__.setdefault("_steps", {})
        if following not in kept:
            kept[following] = self._make_steps(following)
        return kept[following]

    def _make_steps(self, following: bool) -> Steps:
        rows, columns = self.action_mask.nonzero(as_tuple=True)
        last = torch.ones_like(rows, dtype=torch.bool)
        last[:-1] = rows[1:] != rows[:-1]
        terminal = last & self.terminated[rows]
        state = columns - 1  # what has been seen before the token
        after = torch.where(terminal, state, self.next_pos[rows, columns])  # after a terminal step nothing is read
        needed = torch.zeros_like(self.action_mask)
        needed[rows, state] = True
        if following:
            needed[rows, after] = True
        inputs, place = self._distinct(needed)
        read = torch.stack([place[rows, state], place[rows, after]] if following else [place[rows, state]])
        places, which = torch.unique(read, return_inverse=True)
        return Steps(inputs, places, which[0], which[1] if following else None, self.input_ids[rows, columns],
                     self.rewards[rows, columns], self.returns[rows, columns], terminal, self.weight[rows])

    def _distinct(self, needed: torch.Tensor) -> tuple[dict, torch.Tensor]:
        """(arguments of a trunk, (B, T) where each needed token is found in its flattened output)."""
        b, t = needed.shape
        block = ((self.block >= 0) & (self.position_ids == 0)).flatten().cumsum(0).view(b, t) - 1  # numbered through
        reach = torch.full((int(block.max()) + 1,), -1, device=needed.device)
        reach = reach.scatter_reduce(0, block[needed], self.position_ids[needed], "amax")
        keep = (self.block >= 0) & (self.position_ids <= reach[block])
        width = int(reach.max()) + 1
        table = torch.full((len(reach), width), -1, device=needed.device)
        table[block[keep], self.position_ids[keep]] = self.input_ids[keep]
        distinct, number = torch.unique(table, dim=0, return_inverse=True)
        return {"input_ids": distinct.clamp(min=0), "use_cache": False}, number[block] * width + self.position_ids

    def model_inputs(self) -> dict:
        """Arguments of a causal LM that make each token see its own block only.

        One block a row needs no mask: padding is on the right and never in a loss. Several blocks need a 4D float
        mask; new position ids alone, or a boolean mask, are silently wrong for some attention kernels.
        """
        if not bool((self.block[:, 1:] > self.block[:, :1]).any()):
            return {"input_ids": self.input_ids, "position_ids": self.position_ids, "use_cache": False}
        t = self.input_ids.shape[1]
        causal = torch.ones(t, t, dtype=torch.bool, device=self.block.device).tril()
        allowed = (self.block[:, :, None] == self.block[:, None, :]) & causal
        mask = torch.zeros(allowed.shape, device=self.block.device).masked_fill_(~allowed, torch.finfo(torch.float32).min)
        return {"input_ids": self.input_ids, "position_ids": self.position_ids, "attention_mask": mask[:, None],
                "use_cache": False}


def discounted_returns(rewards: Sequence[float], tokens_per_action: Sequence[int], gamma: float) -> list[np.ndarray]:
    """Return-to-go at each token of each action: gamma discounts once per ACTION TOKEN, the reward is at the last one."""
    out, following = [], 0.0
    for reward, n in zip(reversed(rewards), reversed(tokens_per_action), strict=True):
        last = reward + gamma * following
        values = last * gamma ** np.arange(n - 1, -1, -1.0)
        out.append(values)
        following = values[0]
    return out[::-1]


def check_context(context: str | int) -> str | int:
    """"turn" (the last observation), k (that and the k turns before it) or "episode" (the whole transcript)."""
    if context in ("turn", "episode"):
        return context
    if isinstance(context, int) and not isinstance(context, bool) and context >= 0:
        return context if context else "turn"
    raise ValueError(f"context is 'turn', 'episode' or a number of earlier turns, not {context!r}")


def earlier_turns(context: str | int) -> int | None:
    """How many (observation, action) pairs before the last observation are seen; None for all."""
    return {"turn": 0, "episode": None}.get(context, context)


def pack(episode: Episode, codec: Codec, context: str | int, gamma: float = 1.0,
         steps: slice = slice(None), ids: list | None = None, next_state: bool = True,
         returns: list | None = None) -> Row:
    """Pack the chosen actions (`steps`, consecutive; all of them if not given) of an episode into one row.

    With context "episode" the row is the transcript, one block. Else each action has a block of its own: its k earlier
    turns, its observation, the action. If the last action is not terminal, the observation after it follows (in a
    block of its own), so that a value can be read there; without `next_state` it is left out.
    Raises ValueError where no action is left.
    """
    if ids is None:
        ids = codec.encode(episode.turns, trust_ids=episode.info.get("tokenizer") == codec.fingerprint)
    actions = [i for i, turn in enumerate(episode.turns) if turn.is_action]
    if returns is None:
        returns = discounted_returns(episode.rewards, [len(ids[i]) for i in actions], gamma)
    chosen, returns = actions[steps], dict(zip(actions[steps], returns[steps], strict=True))
    if not chosen:
        raise ValueError("a row without an action token teaches nothing: the episode has no action in this range")
    k = earlier_turns(context)
    final = chosen[-1] == actions[-1]
    terminated, truncated = final and episode.terminated, final and episode.truncated
    if next_state and not terminated and chosen[-1] + 1 == len(episode.turns):
        raise ValueError("this episode stops after an action, neither over nor cut: there is no next state to take a value from")
    follows = next_state and not terminated

    blocks: list[list[int]] = []  # each a list of turn indices; the last turn of a block is its action
    if k is None:
        blocks.append(list(range(0, chosen[-1] + 1 + follows)))
    else:
        blocks += [list(range(max(0, i - 1 - 2 * k), i + 1)) for i in chosen]
        if follows:
            blocks.append(list(range(max(0, chosen[-1] + 1 - 2 * k), chosen[-1] + 2)))
    tokens, mask, rewards, to_go, positions, block, states = [], [], [], [], [], [], []
    for b, block_turns in enumerate(blocks):
        begin = len(tokens)
        own = set(chosen) if k is None else {chosen[b]} if b < len(chosen) else set()
        for i in block_turns:
            n = len(ids[i])
            if i in own:
                states += range(len(tokens) - 1, len(tokens) - 1 + n)
            tokens += ids[i]
            mask += [i in own] * n
            rewards += [0.0] * (n - 1) + [episode.turns[i].reward if i in own else 0.0]
            to_go += list(returns[i]) if i in own else [0.0] * n
        positions += range(len(tokens) - begin)
        block += [b] * (len(tokens) - begin)
    next_pos = np.zeros(len(tokens), np.int64)
    # after the last action: the last token of the observation that follows; where there is none it is never read
    next_pos[np.flatnonzero(mask)] = [*states[1:], len(tokens) - 1]
    return Row(np.array(tokens), np.array(mask), np.array(rewards, np.float32), np.array(to_go, np.float32), next_pos,
               np.array(positions), np.array(block), terminated, truncated)


def make_rows(episodes: Sequence[Episode], codec: Codec, context: str | int, gamma: float = 1.0,
              next_state: bool = True) -> list[Row]:
    """Rows to train on: whole episodes with context "episode", else the distinct steps with their counts as weight.

    A step is (context, action, next context), without `next_state` (context, action); equal steps become one row, its
    `returns` their mean, so the gradient of every loss here (cross-entropy, squared error) is that of all episodes
    packed one by one.
    """
    context = check_context(context)
    if not episodes:
        raise ValueError("no episodes to train on")
    if context == "episode":
        return [pack(episode, codec, context, gamma, next_state=next_state) for episode in episodes]
    k, merged = earlier_turns(context), {}
    for episode in episodes:
        ids = codec.encode(episode.turns, trust_ids=episode.info.get("tokenizer") == codec.fingerprint)
        actions = [i for i, turn in enumerate(episode.turns) if turn.is_action]
        returns = discounted_returns(episode.rewards, [len(ids[i]) for i in actions], gamma)
        for n, i in enumerate(actions):
            final = i == actions[-1]
            ending = (final and episode.terminated, final and episode.truncated) if next_state else None
            seen = tuple(ids[max(0, i - 1 - 2 * k):i + 1 + (next_state and not ending[0])])
            key = (seen, min(k, n), episode.turns[i].reward, ending)
            entry = merged.get(key)
            if entry is None:
                merged[key] = [1, returns[n].copy(), episode, n, ids, returns]
            else:
                entry[0] += 1
                entry[1] += returns[n]
    rows = []
    for count, total, episode, n, ids, returns in merged.values():
        row = pack(episode, codec, context, gamma, slice(n, n + 1), ids, next_state, returns)
        row.weight = float(count)
        row.returns[row.action_mask] = total / count
        rows.append(row)
    return rows


def collate(rows: Sequence[Row], pad_id: int = 0) -> TokenBatch:
    """Pad rows on the right into a TokenBatch. Raises ValueError where a batch has no action token."""
    length = max(len(row.input_ids) for row in rows)

    def stack(name: str, fill, dtype) -> torch.Tensor:
        out = np.full((len(rows), length), fill, dtype)
        for i, row in enumerate(rows):
            values = getattr(row, name)
            out[i, :len(values)] = values
        return torch.from_numpy(out)

    weight = torch.tensor([row.weight for row in rows], dtype=torch.float32)
    mask = stack("action_mask", False, bool)
    normalizer = float((mask * weight[:, None]).sum())
    if normalizer <= 0:
        raise ValueError("a batch without any action token: its loss would be a division by zero")
    return TokenBatch(stack("input_ids", pad_id, np.int64), mask, stack("rewards", 0, np.float32),
                      stack("returns", 0, np.float32), stack("next_pos", 0, np.int64), stack("position_ids", 0, np.int64),
                      stack("block", -1, np.int64), torch.tensor([row.terminated for row in rows]),
                      torch.tensor([row.truncated for row in rows]), weight, normalizer)
