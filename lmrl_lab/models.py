"""Networks: a tiny GPT-2 from nothing, or any causal language model from a folder or the hub; trunk and head apart.

No loss and no decoding here.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedModel

from lmrl_lab.env import TaskCard
from lmrl_lab.heads import PartsGPT2Config, PartsGPT2LMHeadModel, value_head
from lmrl_lab.tokens import Codec, earlier_turns, tiny_tokenizer

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


@contextmanager
def few_threads(model: torch.nn.Module):
    """One torch thread for a tiny model (under 5 million weights): on shared cores it is slower on two. Restored after."""
    before = torch.get_num_threads()
    if sum(p.numel() for p in model.parameters()) < 5_000_000:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int):
    """Seed torch's, NumPy's and Python's global generators for a while, then put them back as they were."""
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])


def position_limit(card: TaskCard, context: str | int) -> int:
    """Positions that the task can fill in this context, the observation after the last action included."""
    k = earlier_turns(context)
    return card.turn_tokens * ((card.max_actions if k is None else k) + 1)


def max_positions(model: PreTrainedModel) -> int:
    """How many tokens the model can read; a very large number where it has no limit."""
    return getattr(model.config, "max_position_embeddings", None) or 2**30


def check_positions(model: PreTrainedModel, tokens: int) -> None:
    """Raise ValueError where so many tokens do not fit."""
    if tokens > max_positions(model):
        raise ValueError(f"the transcript has outgrown the model's {max_positions(model)} positions; "
                         "train and play with a shorter context, say context=4 (turns)")


def tiny_model(card: TaskCard, context: str | int, seed: int = 0, layers: int = 2, width: int = 64,
               heads: int = 4) -> tuple[GPT2LMHeadModel, Codec]:
    """A small GPT-2 with random weights and the task's word-level codec; where the card names the parts of tokens, its head
    knows them.

    Weights start with standard deviation 1.2 / sqrt(width): GPT-2's own .02 belongs to width 768, and at width 64 the
    attention hardly learns from it.
    """
    codec = Codec(tiny_tokenizer(card), card)
    settings = {"vocab_size": codec.vocab_size, "n_positions": position_limit(card, context), "n_layer": layers,
                "n_embd": width, "n_head": heads, "activation_function": "gelu_pytorch_tanh", "resid_pdrop": 0.0,
                "embd_pdrop": 0.0, "attn_pdrop": 0.0, "initializer_range": 1.2 / width**0.5, "bos_token_id": None,
                "eos_token_id": None, "pad_token_id": codec.pad_id}
    parts = codec.parts()
    with seeded(seed):
        if parts is None:
            return GPT2LMHeadModel(GPT2Config(**settings)), codec
        return PartsGPT2LMHeadModel(PartsGPT2Config(part_count=parts.shape[1], **settings), parts), codec


def pretrained_model(path: str | os.PathLike, card: TaskCard) -> tuple[PreTrainedModel, Codec]:
    """Any causal language model and its tokenizer, from a folder or, where there is a network, by its hub name."""
    try:
        model, report = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, output_loading_info=True)
        tokenizer = AutoTokenizer.from_pretrained(path)
    except Exception as error:  # a damaged file raises whatever its format's reader raises
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"no causal language model with a tokenizer could be loaded from '{path}': {reason}") from error
    lost = sorted({str(key) for kind in ("missing_keys", "mismatched_keys") for key in report.get(kind, ())})
    if lost:
        raise ValueError(f"the model in '{path}' is not whole: it lacks {', '.join(lost[:3])}{' and more' * (len(lost) > 3)}")
    return model, Codec(tokenizer, card)


def trunk(model: PreTrainedModel | ValueNetwork) -> torch.nn.Module:
    """The model without its head: gives hidden states (B, T, width)."""
    return model.base_model


def head(model: PreTrainedModel | ValueNetwork) -> Callable[[torch.Tensor], torch.Tensor]:
    """What stands on the trunk: hidden states (..., width) -> a number a token (..., vocabulary), logits or Q."""
    return model.get_output_embeddings()


def read(model: PreTrainedModel | ValueNetwork, inputs: dict, places: torch.Tensor) -> torch.Tensor:
    """Hidden states (n, width) at `places` (n,) of the trunk's output, counted through its rows one after the other.

    The last block's feed-forward part, a third of a small model's work, is computed there only: what it would give at
    other places is read by nobody.
    """
    wanted = torch.unique(places)
    mlps = [module for name, module in trunk(model).named_modules() if name.endswith(".mlp")]
    last = mlps[-1] if mlps and 2 * len(wanted) < inputs["input_ids"].numel() else None

    def at_wanted(hidden: torch.Tensor) -> torch.Tensor:
        flat = hidden.flatten(0, 1)
        found = type(last).forward(last, flat.index_select(0, wanted)[None])[0]
        return torch.zeros_like(flat).index_copy(0, wanted, found).view_as(hidden)

    if last is not None:
        last.forward = at_wanted  # for this call: it hides the method of the class
    try:
        hidden = trunk(model)(**inputs).last_hidden_state
    finally:
        if last is not None:
            del last.forward
    return hidden.flatten(0, 1).index_select(0, places)


def padded(pieces: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """(ids (n, longest), zeros behind each piece; their sizes (n,)). What stands on the right is seen by no token before it."""
    sizes = np.array([len(piece) for piece in pieces])
    ids = np.zeros((len(sizes), sizes.max()), np.int64)
    ids[np.arange(sizes.max()) < sizes[:, None]] = np.concatenate([np.asarray(piece, np.int64) for piece in pieces])
    return ids, sizes


def ends(windows: Sequence[Sequence[int]], model: PreTrainedModel) -> tuple[dict, torch.Tensor]:
    """What `read` needs for the hidden states after each of these windows: inputs, and the places of the last tokens."""
    ids, sizes = padded(windows)
    check_positions(model, ids.shape[1])
    places = np.arange(len(sizes)) * ids.shape[1] + sizes - 1
    return ({"input_ids": torch.from_numpy(ids).to(model.device), "use_cache": False},
            torch.from_numpy(places).to(model.device))


class ValueNetwork(torch.nn.Module):
    """Q heads over the vocabulary and, if asked, a V head, on a trunk of their own (PPO: V alone, on the policy's trunk).

    body: the trunk, (B, T) ids -> (B, T, width); it is kept, not copied. parts: of the tokens, for Q heads that know them, see
    `heads`. All values begin at 0. Inside, values are rewards times `reward_scale`; `min_q` and `state_value`
    give task units. `gamma`: the discount that it was trained with.
    """

    def __init__(self, body: torch.nn.Module, vocab_size: int, q_heads: int = 1, v_head: bool = False,
                 reward_scale: float = 1.0, gamma: float = 1.0, parts: torch.Tensor | None = None):
        super().__init__()
        self.body, self.reward_scale, self.gamma = body, reward_scale, gamma
        width = body.config.hidden_size
        self.q = torch.nn.ModuleList(value_head(width, vocab_size, parts) for _ in range(q_heads))
        self.v = value_head(width, 1) if v_head else None

    config = property(lambda self: self.body.config)
    device = property(lambda self: self.body.device)
    dtype = property(lambda self: self.body.dtype)
    base_model = property(lambda self: self.body)

    def get_output_embeddings(self) -> Callable[[torch.Tensor], torch.Tensor]:
        return self.min_q

    @torch.no_grad()
    def start_at(self, value: float) -> None:
        """Let all values begin at `value` (task units) instead of 0."""
        for head in [*self.q, *([self.v] if self.v is not None else [])]:
            head.start_at(value * self.reward_scale)

    def min_q(self, hidden: torch.Tensor) -> torch.Tensor:
        """(..., width) -> (..., vocabulary): the smallest of the Q heads, in task units."""
        return torch.stack([q(hidden) for q in self.q]).amin(0) / self.reward_scale

    def state_value(self, hidden: torch.Tensor) -> torch.Tensor:
        """(..., width) -> (...): V in task units. Only where there is a V head."""
        return self.v(hidden)[..., 0] / self.reward_scale


@torch.no_grad()
def check_trunk_and_head(model: PreTrainedModel) -> None:
    """Raise ValueError for a model whose logits are not head(trunk(x)), or that looks at a sliding window of its past."""
    window = getattr(model.config, "sliding_window", None)
    if window and "sliding_attention" in (getattr(model.config, "layer_types", None) or ()):
        raise ValueError(f"{type(model).__name__} sees a sliding window of {window} tokens; such a model is not supported")
    ids = torch.arange(3, device=model.device)[None] % model.config.vocab_size
    apart = head(model)(trunk(model)(input_ids=ids, use_cache=False).last_hidden_state)
    if not torch.allclose(apart, model(input_ids=ids, use_cache=False).logits, atol=1e-4, rtol=1e-4):
        raise ValueError(f"{type(model).__name__} changes its logits after the head; such a model is not supported")


def save_values(folder: Path, values: ValueNetwork) -> dict:
    """Write trunk and heads; returns what `load_values` must be told beside the folder."""
    values.body.save_pretrained(folder)
    save_file({name: tensor for name, tensor in values.state_dict().items() if not name.startswith("body.")},
              folder / "heads.safetensors")
    return {"vocab_size": values.config.vocab_size, "q_heads": len(values.q), "v_head": values.v is not None,
            "reward_scale": values.reward_scale, "gamma": values.gamma}


def load_values(folder: Path, record: dict) -> ValueNetwork:
    """What `save_values` wrote."""
    heads = load_file(folder / "heads.safetensors")
    values = ValueNetwork(AutoModel.from_pretrained(folder, dtype=torch.float32), **record, parts=heads.get("q.0.parts"))
    lost = values.load_state_dict(heads, strict=False).missing_keys
    if lost := [name for name in lost if not name.startswith("body.")]:
        raise ValueError(f"the values in '{folder}' are not whole: they lack {', '.join(lost[:3])}")
    return values.eval()


def save_weights(folder: Path, model: PreTrainedModel, codec: Codec) -> None:
    """Model and tokenizer in transformers' own files, so that `from_pretrained(folder)` reads them."""
    model.save_pretrained(folder)
    codec.tokenizer.save_pretrained(folder)
