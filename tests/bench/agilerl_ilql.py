"""Speed of one ILQL training step: ours against a plain language-model step and against AgileRL's ILQL step.

Never a dependency and never part of CI or `make bench`: AgileRL brings some seventy packages. In an environment of its own,
from the repository's root (agilerl 2.58.0 imports peft wherever it finds transformers):

    python3 -m venv .venv-agile
    .venv-agile/bin/pip install -c constraints.txt -e . agilerl==2.58.0 peft
    OMP_NUM_THREADS=1 .venv-agile/bin/python tests/bench/agilerl_ilql.py

All steps take the same token ids (16 maze-po games of 20 turns, with the observation after the last action) on trunks of
equal depth, width, heads and vocabulary, without dropout, on one thread; none includes collating. "Tokens" are those of the
16 transcripts without padding, the same number for every step. A step is:

plain    transformers' GPT-2 with its language-model head, cross-entropy of every token; gradient, clip, fused AdamW.
ours     `ilql.batch_loss` (`steps` of the batch, value trunk, two Q heads and a V head at the states, target trunk and the
         taken tokens' target Q); gradient, clip, fused AdamW, `follow`. The cloned policy was trained before, not here.
AgileRL  what its tutorial train_ilql.py does with a batch: `get_loss`, gradient, `optimizer.step()`, `zero_grad()`,
         `soft_update()`; its default AdamW and no clip. Every trunk also makes language-model logits that nobody reads; its
         heads and Q targets have two hidden layers with layer norms, ours one. dm_loss and the logs are always computed.
  values only (awac_weight=0, the default of `get_loss`): two trunks, as ours. The like of our step.
  values only, fused AdamW: that with our optimizer in the place of its own.
  and policy (awac_weight=1): a third trunk and a head, cloned from the data in the same step, which ours does beforehand.

Nothing in AgileRL is changed. Its batch is made by its own `RL_Dataset.collate`, from one DataPoint a game.
"""

from __future__ import annotations

import copy
import statistics
import time
import warnings
from dataclasses import replace  # of a batch: a copy that has not kept its `steps`
from pathlib import Path
from types import SimpleNamespace

import torch
from agilerl.algorithms.ilql import ILQL
from agilerl.data.rl_data import DataPoint, List_RL_Dataset

import lmrl_lab as lab
from lmrl_lab.algorithms.ilql import ILQLConfig, Networks, batch_loss
from lmrl_lab.models import ValueNetwork, tiny_model
from lmrl_lab.tokens import TokenBatch, collate, pack
from lmrl_lab.training import _groups

GAMES, TURNS, HEADS = 16, 20, 4
SIZES = (2, 64, 16), (4, 128, 8), (4, 256, 4)  # layers, width, rounds; the first is the package's own size
REPEATS = 5  # each gives a ratio, of the medians over its rounds
CONFIG = ILQLConfig()


class Games(List_RL_Dataset):
    """The rows of a TokenBatch in AgileRL's format; the row's n-th action token is tokens[action_idxs[n] + 1]."""

    def __init__(self, batch: TokenBatch, codec):
        super().__init__(SimpleNamespace(pad_token_id=codec.pad_id, num_tokens=lambda: codec.vocab_size), None, None)
        self.items = []
        for ids, mask, rewards, following, block, ended in zip(batch.input_ids, batch.action_mask, batch.rewards,
                                                               batch.next_pos, batch.block, batch.terminated):
            columns = mask.nonzero()[:, 0]
            actions = (columns - 1).tolist()
            numbers = ([*actions, int(following[columns[-1]])], actions,
                       (rewards[columns] * CONFIG.reward_scale).tolist(), [0] * len(actions) + [int(ended)])
            self.items.append(DataPoint("", ids[block >= 0].tolist(), *numbers, *numbers))

    get_item = lambda self, idx: self.items[idx]
    size = lambda self: len(self.items)


def fused_adamw(module: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(_groups(module, CONFIG.weight_decay), lr=CONFIG.learning_rate, betas=CONFIG.betas, fused=True)


def our_step(module: torch.nn.Module, loss, after=lambda: None):
    """A step as `training.fit` makes it."""
    optimizer = fused_adamw(module.train())

    def step():
        optimizer.zero_grad()
        loss().backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), CONFIG.clip)
        optimizer.step()
        after()
    return step


def agilerl_step(batch: TokenBatch, codec, layers: int, width: int, policy: bool, fused: bool = False):
    dataset = Games(batch, codec)
    items = dataset.collate(list(dataset), "cpu")
    acted = items["tokens"][:, 1:].gather(1, items["action_idxs"])[items["terminals"][:, :-1] == 0]
    assert torch.equal(items["tokens"], batch.input_ids) and torch.equal(acted, batch.steps().tokens), "not the same batch"
    agent = ILQL(dataset, {"vocab_size": codec.vocab_size, "n_layer": layers, "n_embd": width, "n_head": HEADS,
                           "dim_feedfwd": 4 * width, "block_size": batch.input_ids.shape[1], "activation": "GELU",
                           "dropout": 0.0, "layer_norm_eps": 1e-5, "min_layers": 1, "max_layers": 16, "bias": True},
                 batch_size=GAMES, lr=CONFIG.learning_rate, alpha=CONFIG.polyak, gamma=CONFIG.gamma, tau=CONFIG.tau,
                 double_q=True, weight_decay=CONFIG.weight_decay).train()
    agent.optimizer = fused_adamw(agent) if fused else agent.optimizer

    def step():
        weights = {"awac_weight": float(policy), "v_loss_weight": 1.0, "q_loss_weight": 1.0, "cql_loss_weight": CONFIG.cql}
        agent.get_loss(items, **weights)[0].backward()
        agent.optimizer.step()
        agent.optimizer.zero_grad()
        agent.soft_update()
    return step


def seconds(step) -> float:
    begin, _ = time.process_time(), step()
    return time.process_time() - begin


def compare(layers: int, width: int, rounds: int) -> None:
    episodes = [e for e in lab.generate("maze-po", 200, seed=9) if len(e.actions) >= TURNS][:GAMES]
    for episode in episodes:
        del episode.turns[2 * TURNS + 1:]
        episode.terminated, episode.truncated = False, True
    model, codec = tiny_model(lab.TASKS["maze-po"], "episode", seed=0, layers=layers, width=width, heads=HEADS)
    networks = Networks(ValueNetwork(copy.deepcopy(model.base_model), codec.vocab_size, 2, True, CONFIG.reward_scale))
    batch = collate([pack(e, codec, "episode", CONFIG.gamma) for e in episodes])
    labels, tokens = batch.input_ids.masked_fill(batch.block < 0, -100), int((batch.block >= 0).sum())
    steps = {
        "plain": our_step(model, lambda: model(input_ids=batch.input_ids, labels=labels, use_cache=False).loss),
        "ours": our_step(networks, lambda: batch_loss(networks, replace(batch), CONFIG)[0],
                         lambda: networks.follow(CONFIG.polyak)),
        "AgileRL, values only": agilerl_step(batch, codec, layers, width, policy=False),
        "AgileRL, values only, fused AdamW": agilerl_step(batch, codec, layers, width, policy=False, fused=True),
        "AgileRL, values and policy": agilerl_step(batch, codec, layers, width, policy=True)}
    [step() for _ in range(3) for step in steps.values()]
    medians = {name: [] for name in steps}
    for _ in range(REPEATS):
        times = [[seconds(step) for step in steps.values()] for _ in range(rounds)]  # A B C A B C ...
        for name, column in zip(steps, zip(*times)):
            medians[name].append(statistics.median(column))
    print(f"{layers} layers x {width}: {tokens:,} tokens, {int(batch.action_mask.sum())} of them actions; CPU time of a step")
    for name, own in medians.items():
        line = f"  {name:34} {statistics.median(own) * 1e3:7.1f} ms {tokens / statistics.median(own):8,.0f} tokens/s"
        for other in ("plain", "ours"):
            found = sorted(a / b for a, b in zip(own, medians[other]))
            line += f"{statistics.median(found):7.2f} x {other} ({found[0]:.2f} to {found[-1]:.2f})"
        print(line, flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"lmrl_lab from {Path(lab.__file__).parent}")
    for size in SIZES:
        compare(*size)
