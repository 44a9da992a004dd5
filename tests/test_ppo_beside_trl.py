"""PPO beside TRL: its own numbers on games of one turn, and the faults of TRL that the trainer steps around, by name."""

import copy
import inspect
import warnings
from types import SimpleNamespace

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel
from trl.experimental.ppo import PPOConfig as TRLConfig
from trl.experimental.ppo import PPOTrainer, ppo_trainer

from lmrl_lab.agent import Agent, Decoding
from lmrl_lab.algorithms.ppo import PPOConfig
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.models import seeded
from tests.test_ppo import shaken, trainer
from tests.test_tokens import bpe_codec

# ------------------------------------------------------------------------------- beside TRL, where a game is one turn

LENGTH, GAMES = 5, 8


class Judge(torch.nn.Module):
    """A reward model for TRL: a number for the whole text, from its ids."""

    base_model_prefix = "body"

    def body(self, input_ids, **_):
        return SimpleNamespace(hidden_states=[torch.sin(input_ids.float()).cumsum(-1)[..., None]])

    def score(self, hidden):
        return hidden


class SharedCritic(torch.nn.Module):
    base_model_prefix = "body"

    def __init__(self, policy, score):
        super().__init__()
        self.body, self.score = policy.transformer, score


def bpe_agent(seed=0):
    codec = bpe_codec()
    with seeded(seed):
        model = GPT2LMHeadModel(GPT2Config(vocab_size=codec.vocab_size, n_positions=64, n_layer=2, n_embd=32, n_head=2,
                                           initializer_range=0.2, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
                                           bos_token_id=None, eos_token_id=None))
    return Agent(model, codec, "maze-po", "episode", Decoding())


@pytest.fixture(scope="module")
def beside_trl(tmp_path_factory):
    """One round of TRL's trainer on games of a single turn, what it played and computed; and ours on the same games."""
    agent, other = bpe_agent(), shaken(bpe_agent().policy_model)
    agent.codec.tokenizer.add_special_tokens({"pad_token": "<|pad|>"})  # an id that the model cannot sample
    config = PPOConfig(updates=1, episodes_per_update=GAMES, num_mini_batches=1, num_ppo_epochs=3, learning_rate=1e-3,
                       adam_beta2=0.999, max_grad_norm=1e9, gamma=0.9, lam=0.8, kl_coef=0.05, reward_scale=1.0,
                       cliprange_value=0.2)
    ours = trainer(agent, config)
    ours.ref_model = other
    with torch.no_grad():
        for parameter in ours.value_model.score.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))

    observation = "There is a wall above you.\n"
    query = list(agent.codec.encode([Turn(observation, False)])[0])
    policy = bpe_agent().policy_model
    score = copy.deepcopy(ours.value_model.score)
    seen = {}

    def spy(name, function):
        def wrapped(*arguments, **named):
            seen.setdefault(name, []).append((arguments, out := function(*arguments, **named)))
            return out
        return wrapped

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        for name in ("batch_generation", "masked_whiten"):
            patch.setattr(ppo_trainer, name, spy(name, getattr(ppo_trainer, name)))
        theirs = PPOTrainer(
            TRLConfig(output_dir=str(tmp_path_factory.mktemp("trl")), report_to="none", bf16=False, gradient_checkpointing=False,
                      use_cpu=True, per_device_train_batch_size=GAMES, total_episodes=GAMES, num_ppo_epochs=3, num_mini_batches=1,
                      learning_rate=1e-3, lr_scheduler_type="constant", weight_decay=0.0, gamma=0.9, lam=0.8, kl_coef=0.05,
                      cliprange=0.2, cliprange_value=0.2, vf_coef=0.5, temperature=1.0, response_length=LENGTH,
                      num_sample_generations=0, disable_tqdm=True, logging_steps=1, save_strategy="no", max_grad_norm=1e-9),
            agent.codec.tokenizer, policy, other, Judge(), [{"input_ids": query}] * GAMES, SharedCritic(policy, score),
            data_collator=lambda rows: {"input_ids": torch.tensor([row["input_ids"] for row in rows])}, eval_dataset=[{}] * GAMES)
        theirs.train()
    tokens = seen["batch_generation"][0][1][0]
    rewards = Judge().body(tokens).hidden_states[0][:, -1, 0]
    episodes = []
    for row, reward in zip(tokens.tolist(), rewards.tolist(), strict=True):
        sampled = row[len(query):]
        turns = [Turn(observation, False), Turn(agent.codec.decode_action(sampled), True, reward, sampled)]
        episodes.append(Episode("maze-po", turns, True, False, 0, "x", {"tokenizer": agent.codec.fingerprint}))
    games, logged = ours.weigh(episodes)
    return SimpleNamespace(ours=ours, theirs=theirs, games=games, weighed=logged, log=theirs.state.log_history[0], policy=policy,
                           score=score, whitening=seen["masked_whiten"][0])


def test_advantages_are_trl_s_on_games_of_one_turn(beside_trl):
    (advantages, mask), out = beside_trl.whitening
    assert mask.all()
    found = torch.stack(beside_trl.games.advantages)
    assert found.shape == (GAMES, LENGTH) and torch.allclose(found, out, atol=1e-5)
    values = torch.stack(beside_trl.games.values)
    assert torch.allclose(torch.stack(beside_trl.games.returns) - values, advantages, atol=1e-5)
    assert advantages.std() > 0.1 and beside_trl.weighed["kl"] > 0.1  # else nothing was compared


def test_losses_and_weights_after_a_round_are_trl_s(beside_trl):
    ours, log = beside_trl.ours.learn(beside_trl.games, 1), beside_trl.log
    for name, theirs in (("policy_loss", "loss/policy_avg"), ("value_loss", "loss/value_avg"), ("entropy", "policy/entropy_avg"),
                         ("approx_kl", "policy/approxkl_avg"), ("clip_fraction", "policy/clipfrac_avg")):
        assert ours[name] == pytest.approx(log[theirs], abs=1e-5), name
    assert beside_trl.weighed["kl"] * LENGTH == pytest.approx(log["objective/kl"], abs=1e-4)
    assert ours["approx_kl"] > 1e-3 and ours["clip_fraction"] > 0
    ids = torch.arange(30)[None]  # what the networks say after three steps; a bias that has no effect may differ
    with torch.no_grad():
        mine, yours = (model(input_ids=ids, output_hidden_states=True)
                       for model in (beside_trl.ours.policy_model, beside_trl.policy))
        assert torch.allclose(mine.logits, yours.logits, atol=1e-4) and mine.logits.std() > 0.5
        values = beside_trl.ours.value_model.score(mine.hidden_states[-1])
        assert torch.allclose(values, beside_trl.score(yours.hidden_states[-1]), atol=1e-4) and values.std() > 0.02


# --------------------------------------------------------------- the faults of TRL that the trainer steps around, by name

def source(name):
    return inspect.getsource(getattr(PPOTrainer, name) if hasattr(PPOTrainer, name) else getattr(ppo_trainer, name))


def test_trl_fault_num_mini_batches_makes_no_smaller_steps():
    """Its optimizer, prepared with gradient accumulation 1, steps once a MICRO batch, and that is the whole local batch."""
    loop = source("train")
    assert "range(0, args.local_mini_batch_size, args.per_device_train_batch_size)" in loop


def test_trl_fault_max_grad_norm_is_never_used():
    assert "clip_grad" not in source("train") and "max_grad_norm" not in source("train")


def test_trl_fault_the_critic_is_not_saved():
    assert "self.model = self.model.policy" in source("save_model") and "value_model" not in source("save_model")


def test_trl_fault_padding_enters_the_logged_means():
    loop = source("train")
    assert "entropy_stats[ppo_epoch_idx, minibatch_idx, gradient_accumulation_idx] = entropy.mean()" in loop
    assert "approxkl = 0.5 * (logprobs_diff**2).mean()" in loop


def test_trl_fault_padding_is_told_by_the_pad_token_s_id():
    assert "attention_mask = query_responses != pad_token_id" in source("forward")


def test_trl_cannot_resume():
    assert list(inspect.signature(PPOTrainer.train).parameters) == ["self"]
