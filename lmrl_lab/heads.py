"""What stands on a trunk: plain heads, and heads that know which parts tokens are made of. No trunk and no loss here."""

from __future__ import annotations

import torch
from torch.nn.functional import softplus
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, GPT2Model


class PlainHead(torch.nn.Sequential):
    """Linear, ReLU, Linear: (..., width) -> (..., outputs). The last layer is zero, so that all outputs begin at 0."""

    def __init__(self, width: int, outputs: int):
        super().__init__(torch.nn.Linear(width, 2 * width), torch.nn.ReLU(), torch.nn.Linear(2 * width, outputs))
        torch.nn.init.zeros_(self[-1].weight)
        torch.nn.init.zeros_(self[-1].bias)

    def start_at(self, value: float) -> None:
        self[-1].bias.fill_(value)

    def taken(self, hidden: torch.Tensor, rows: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """(N,) what `self(hidden[rows])` says of `tokens` (N,), without the outputs of the other tokens."""
        last = self[-1]
        return (self[1](self[0](hidden))[rows] * last.weight[tokens]).sum(-1) + last.bias[tokens]


class PartsHead(torch.nn.Module):
    """(..., width) -> (..., tokens), from what the tokens are made of: a word's letters in their places, say.

    K times over, every part gets a score; a token's score is the sum over its parts; what comes out is the weighted sum of the
    softplus of these K scores, a level that all tokens with parts share, and a bias of the token's own. So whatever is
    learnt about a part holds for all tokens that have it, and "one part is wrong" can count as much as "all parts are
    wrong", which no linear head of this width can say. A token without parts has its bias only. parts: (tokens, parts),
    0 or 1.
    """

    def __init__(self, width: int, parts: torch.Tensor, scores: int = 4):
        super().__init__()
        self.register_buffer("parts", parts.float().clone())
        hidden = 2 * width
        self.inner = torch.nn.Linear(width, hidden)
        self.score = torch.nn.Linear(hidden, scores * parts.shape[1])
        self.gate = torch.nn.Linear(hidden, scores)
        self.level = torch.nn.Linear(hidden, 1)
        self.bias = torch.nn.Parameter(torch.zeros(len(parts)))
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Small random scores, outputs of zero."""
        torch.nn.init.normal_(self.score.weight, std=0.2 / self.score.in_features**0.5)
        torch.nn.init.zeros_(self.score.bias)
        for layer in (self.gate, self.level):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        inner, made = torch.relu(self.inner(hidden)), self.parts.any(1).nonzero()[:, 0]
        scores = self.score(inner).unflatten(-1, (-1, self.parts.shape[1])) @ self.parts[made].T
        mixed = (self.gate(inner)[..., None, :] @ softplus(scores))[..., 0, :] + self.level(inner)
        return self.bias.expand(*mixed.shape[:-1], -1).index_add(-1, made, mixed)

    def start_at(self, value: float) -> None:
        self.bias.fill_(value)

    def taken(self, hidden: torch.Tensor, rows: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """(N,) what `self(hidden[rows])` says of `tokens` (N,), without the outputs of the other tokens."""
        inner, parts = torch.relu(self.inner(hidden)), self.parts[tokens]
        scores = torch.einsum("nkp,np->nk", self.score(inner).unflatten(-1, (-1, parts.shape[1]))[rows], parts)
        mixed = (self.gate(inner)[rows] * softplus(scores)).sum(-1) + self.level(inner)[rows, 0]
        return self.bias[tokens] + torch.where(parts.any(1), mixed, 0.0)


def value_head(width: int, outputs: int, parts: torch.Tensor | None = None) -> PlainHead | PartsHead:
    """A head over the vocabulary (or a single number), all of whose outputs begin at 0."""
    return PlainHead(width, outputs) if parts is None else PartsHead(width, parts)


class PartsGPT2Config(GPT2Config):
    """A GPT-2 whose head knows the parts of its tokens; `part_count` of them."""

    model_type = "lmrl_lab_parts_gpt2"

    def __init__(self, part_count: int = 1, **rest):
        super().__init__(**{"tie_word_embeddings": False, **rest})
        self.part_count = part_count


class PartsGPT2Model(GPT2Model):
    """The trunk: GPT-2's own."""

    config_class = PartsGPT2Config


class PartsGPT2LMHeadModel(GPT2LMHeadModel):
    """GPT-2 with a `PartsHead` in the place of its linear head; saved and loaded by transformers' own means."""

    config_class = PartsGPT2Config
    _tied_weights_keys = None

    def __init__(self, config: PartsGPT2Config, parts: torch.Tensor | None = None):
        super().__init__(config)
        self.lm_head = PartsHead(config.n_embd, torch.zeros(config.vocab_size, config.part_count) if parts is None else parts)
        if parts is not None:
            with torch.no_grad():  # attention that begins even: what parts say is added up before anything is picked out
                for block in self.transformer.h:
                    block.attn.c_attn.weight[:, :2 * config.n_embd] *= 0.1


AutoConfig.register(PartsGPT2Config.model_type, PartsGPT2Config)
AutoModel.register(PartsGPT2Config, PartsGPT2Model)
AutoModelForCausalLM.register(PartsGPT2Config, PartsGPT2LMHeadModel)
