"""PPO beside TRL's own trainer where both are defined, games of one turn: `python -m tests.bench.trl_ppo`.

64 games, a question of 60 tokens and an answer of 16, a GPT-2 of 2 layers and width 128, 4 passes of one gradient step. In each
round TRL's `PPOTrainer` plays, scores and updates; ours then scores and updates on the very tokens that TRL has sampled. CPU
seconds on one thread; the median of the ratios with the lowest and the highest.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
import warnings

import torch
from transformers import GPT2Config, GPT2LMHeadModel
from trl.experimental.ppo import PPOConfig as TRLConfig
from trl.experimental.ppo import PPOTrainer, ppo_trainer

from lmrl_lab.agent import Agent, Decoding
from lmrl_lab.algorithms.ppo import MultiTurnPPOTrainer, PPOConfig
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.heads import value_head
from lmrl_lab.models import seeded
from tests.bench.__main__ import matmul_rate
from tests.test_ppo_beside_trl import Judge, SharedCritic
from tests.test_tokens import bpe_codec

GAMES, QUESTION, ANSWER, PASSES = 64, 60, 16, 4


def agent(seed: int) -> Agent:
    codec = bpe_codec()
    codec.tokenizer.add_special_tokens({"pad_token": "<|pad|>"})  # an id that the model cannot sample
    with seeded(seed):
        model = GPT2LMHeadModel(GPT2Config(vocab_size=codec.vocab_size, n_positions=128, n_layer=2, n_embd=128,
                                           n_head=4, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, bos_token_id=None,
                                           eos_token_id=None))
    return Agent(model, codec, "maze-po", "episode", Decoding())


def question(codec) -> tuple[str, list[int]]:
    """A text of QUESTION tokens, and its tokens."""
    text = "There are walls to your right, to your left.\n"
    while len(codec.encode([Turn(text, False)])[0]) < QUESTION:
        text = "There is a wall above you. " + text
    tokens = list(codec.encode([Turn(text, False)])[0])
    assert len(tokens) == QUESTION
    return text, tokens


def stock_round(seed: int) -> tuple[list[list[int]], dict[str, float]]:
    """The sampled tokens, and CPU seconds of playing, scoring and updating, of one round of TRL's trainer."""
    start, times = agent(seed), {}

    def stamped(name, function):
        def wrapped(*arguments, **named):
            out = function(*arguments, **named)
            times[name] = time.process_time(), out
            return out
        return wrapped

    _, query = question(start.codec)
    policy, reference = start.policy_model, agent(seed).policy_model
    before = {name: getattr(ppo_trainer, name) for name in ("batch_generation", "masked_whiten")}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        trainer = PPOTrainer(
            TRLConfig(output_dir=folder, report_to="none", bf16=False, gradient_checkpointing=False, use_cpu=True,
                      per_device_train_batch_size=GAMES, total_episodes=GAMES, num_ppo_epochs=PASSES, num_mini_batches=1,
                      learning_rate=1e-4, lr_scheduler_type="constant", temperature=1.0, response_length=ANSWER,
                      num_sample_generations=0, disable_tqdm=True, logging_steps=1, save_strategy="no"),
            start.codec.tokenizer, policy, reference, Judge(), [{"input_ids": query}] * GAMES,
            SharedCritic(policy, value_head(policy.config.hidden_size, 1)), eval_dataset=[{}] * GAMES,
            data_collator=lambda rows: {"input_ids": torch.tensor([row["input_ids"] for row in rows])})
        trainer.log = lambda *arguments, **named: times.setdefault("end", (time.process_time(), None))
        for name, function in before.items():
            setattr(ppo_trainer, name, stamped(name, function))
        try:
            times["begin"] = time.process_time(), None
            with contextlib.redirect_stdout(io.StringIO()):
                trainer.train()
        finally:
            for name, function in before.items():
                setattr(ppo_trainer, name, function)
    begin, played, scored, end = (times[name][0] for name in ("begin", "batch_generation", "masked_whiten", "end"))
    tokens = [row[len(query):] for row in times["batch_generation"][1][0].tolist()]
    return tokens, {"playing": played - begin, "scoring": scored - played, "update": end - scored}


def our_round(seed: int, answers: list[list[int]]) -> dict[str, float]:
    """CPU seconds of scoring and updating on the same tokens."""
    start = agent(seed)
    text, _ = question(start.codec)
    config = PPOConfig(updates=1, episodes_per_update=GAMES, num_mini_batches=1, num_ppo_epochs=PASSES, learning_rate=1e-4)
    trainer = MultiTurnPPOTrainer(start, config)
    episodes = []
    for n, sampled in enumerate(answers):
        turns = [Turn(text, False), Turn(start.codec.decode_action(sampled), True, float(n % 2), sampled)]
        episodes.append(Episode("maze-po", turns, True, False, 0, "x", {"tokenizer": start.codec.fingerprint}))
    times = [time.process_time()]
    games, seen = trainer.weigh(episodes)
    times.append(time.process_time())
    trainer.learn(games, 1)
    times.append(time.process_time())
    assert seen["tokens"] == GAMES * ANSWER, "not the same tokens"
    return {"scoring": times[1] - times[0], "update": times[2] - times[1]}


def main(rounds: int = 7) -> None:
    torch.set_num_threads(1)
    matmul_rate()
    pairs = []
    for seed in range(rounds + 1):
        answers, stock = stock_round(seed)
        pairs.append((stock, our_round(seed, answers)))
    for name in ("scoring", "update"):
        found = sorted(stock[name] / ours[name] for stock, ours in pairs[1:])  # the first round warms up
        print(f"{name}: TRL's / ours {statistics.median(found):.2f}x ({found[0]:.2f} to {found[-1]:.2f}; {rounds} rounds, "
              f"{statistics.median(ours[name] for _, ours in pairs[1:]):.3f} CPU s)")
    print(f"playing, TRL's: {statistics.median(stock['playing'] for stock, _ in pairs[1:]):.3f} CPU s")


if __name__ == "__main__":
    main()
