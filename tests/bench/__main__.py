"""Speed as ratios in one run: `make bench`. Never part of CI; lone times mean nothing on shared machines.

Each pair is timed in turn, A B A B ..., in CPU seconds on one thread; the median of the ratios is printed with the
lowest and the highest, beside the machine's own rate for matrix products in that run.
"""

from __future__ import annotations

import copy
import random
import statistics
import time
from dataclasses import replace

import torch
from transformers import GPT2Config, GPT2LMHeadModel

import lmrl_lab as lab
from lmrl_lab.agent import Agent, Decoding
from lmrl_lab.algorithms.bc import batch_loss
from lmrl_lab.algorithms.ilql import ILQLConfig, Networks
from lmrl_lab.algorithms.ilql import batch_loss as ilql_loss
from lmrl_lab.episode import Turn
from lmrl_lab.models import ValueNetwork, seeded, tiny_model
from lmrl_lab.tokens import collate, make_rows, pack
from tests.test_tokens import bpe_codec

ENVS, TURNS = 128, 20


def seconds(function) -> float:
    begin = time.process_time()
    function()
    return time.process_time() - begin


def ratio(name: str, slow, fast, rounds: int = 5) -> None:
    """Print how many times faster `fast` is than `slow`."""
    slow(), fast()
    pairs = [(seconds(slow), seconds(fast)) for _ in range(rounds)]
    found = sorted(a / b for a, b in pairs)
    print(f"{name:66} {statistics.median(found):6.1f}x   ({found[0]:.1f} to {found[-1]:.1f}; {rounds} rounds, "
          f"{statistics.median(b for _, b in pairs):.3f} CPU s)", flush=True)


def matmul_rate() -> None:
    a = torch.randn(1024, 1024)
    rates = [2 * 1024**3 * 4 / seconds(lambda: [a @ a for _ in range(4)]) / 1e9 for _ in range(7)]
    print(f"{'matrix products of 1024 x 1024, float32, one thread':66} {statistics.median(rates):6.0f} GFLOP/s")


def env_steps() -> None:
    """Random legal play: the next action is drawn from `info["legal_actions"]`, and drawing and resets are counted."""
    for task, steps, keywords in (("maze-fo", 200_000, {}), ("maze-po", 200_000, {}), ("text-nav-fo", 100_000, {}),
                                  ("text-nav-po", 100_000, {}), ("wordle", 200_000, {"vocabulary": 400}),
                                  ("chess", 4_000, {"opponent": "built-in"}), ("chess-endgames", 10_000, {})):
        env, rng = lab.make(task, **keywords), random.Random(0)

        def play(env=env, rng=rng, steps=steps):
            legal = env.reset(seed=0)[1]["legal_actions"]
            for _ in range(steps):
                _, _, terminated, truncated, info = env.step(legal[int(rng.random() * len(legal))])
                legal = env.reset()[1]["legal_actions"] if terminated or truncated else info["legal_actions"]

        play()
        rates, resets = [steps / seconds(play) for _ in range(5)], 200 if task.startswith("chess") else 20_000
        reset = seconds(lambda env=env, resets=resets: [env.reset() for _ in range(resets)]) / resets
        print(f"{task + ': random legal steps a CPU second, resets counted':66} {statistics.median(rates):9,.0f}   "
              f"(a reset: {1e6 * reset:.0f} microseconds)", flush=True)
        env.close()


def play_cached(agent: Agent, starts: list[str], answers: list[list[str]], infos: list[dict]) -> list[list[str]]:
    agent.reset(list(range(len(starts))))
    said, observations = [], starts
    for turn in range(TURNS):
        said.append(agent.act(observations, infos))
        observations = answers[turn]
    return said


@torch.inference_mode()
def play_generate(agent: Agent, starts: list[str], answers: list[list[str]], new_tokens: int = 1) -> list[list[str]]:
    """The usual way: transformers' generate() on the whole transcript, left-padded, at every turn."""
    model, codec = agent.policy_model, agent.codec
    histories, said, observations = [[] for _ in starts], [], starts
    for turn in range(TURNS):
        contexts = []
        for history, text in zip(histories, observations, strict=True):
            history.append(Turn(text, False))
            contexts.append([token for ids in codec.encode(history, trust_ids=True) for token in ids])
        width = max(map(len, contexts))
        ids = torch.tensor([[codec.pad_id] * (width - len(c)) + c for c in contexts])
        mask = torch.tensor([[0] * (width - len(c)) + [1] * len(c) for c in contexts])
        out = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=new_tokens, do_sample=False,
                             pad_token_id=codec.pad_id)
        actions = [codec.decode_action(row[width:].tolist()) for row in out]
        for history, action, row in zip(histories, actions, out, strict=True):
            history.append(Turn(action, True, token_ids=row[width:].tolist()))
        said.append(actions)
        observations = answers[turn]
    return said


def recorded(task: str) -> tuple[list[str], list[list[str]], list[dict]]:
    """What ENVS games say first, what they say after each turn, and their infos."""
    episodes = [e for e in lab.generate(task, 400, seed=9) if len(e.actions) >= TURNS][:ENVS]
    return ([e.observations[0] for e in episodes], [[e.observations[turn + 1] for e in episodes] for turn in range(TURNS)],
            [{"legal_actions": lab.TASKS[task].actions}] * ENVS)


def rollouts(task: str) -> None:
    """The answers are recorded beforehand, so that only the deciding is timed; both sides see the same transcripts."""
    trained = lab.train("bc", task, lab.generate(task, 200, seed=9), seed=9, context="episode", steps=30)
    trained = trained.with_decoding(temperature=0)
    starts, answers, infos = recorded(task)
    assert play_cached(trained, starts, answers, infos) == play_generate(trained, starts, answers), "actions differ"
    ratio(f"{task}, {ENVS} games x {TURNS} turns, greedy: cache kept across turns / generate()",
          lambda: play_generate(trained, starts, answers), lambda: play_cached(trained, starts, answers, infos))
    legal = trained.with_decoding(legal_only=True)
    ratio("the same, choosing among the legal actions / generate()",
          lambda: play_generate(trained, starts, answers), lambda: play_cached(legal, starts, answers, infos))


def cut_games() -> list:
    """16 games of maze-po, cut after TURNS turns."""
    episodes = [e for e in lab.generate("maze-po", 200, seed=9) if len(e.actions) >= TURNS][:16]
    for episode in episodes:
        del episode.turns[2 * TURNS + 1:]
        episode.terminated, episode.truncated = False, True
    return episodes


def packed_training() -> None:
    model, codec = tiny_model(lab.TASKS["maze-po"], "episode", seed=0)
    episodes = cut_games()
    packed = collate([pack(e, codec, "episode", next_state=False) for e in episodes])
    single = collate([pack(e, codec, "episode", steps=slice(n, n + 1), next_state=False)
                      for e in episodes for n in range(TURNS)])

    def step(batch):
        model.zero_grad()
        batch_loss(model, batch)[0].backward()

    step(packed)
    first = torch.cat([p.grad.flatten() for p in model.parameters()])
    step(single)
    gap = (first - torch.cat([p.grad.flatten() for p in model.parameters()])).abs().max().item()
    assert gap < 1e-5, f"gradients differ by {gap}"
    ratio(f"BC gradient, 16 games x {TURNS} turns: packed rows / one row a turn", lambda: step(single), lambda: step(packed))
    print(f"{'largest difference between the two gradients':66} {gap:.1e}")
    rows = make_rows(lab.generate("maze-fo", seed=9), tiny_model(lab.TASKS["maze-fo"], "turn")[1], "turn", next_state=False)
    steps = sum(row.weight for row in rows)
    print(f"{'maze-fo: distinct rows with counts for the steps of 1,240 games':66} {len(rows)} for {steps:,.0f}")


def constrained() -> None:
    """Actions of three tokens, spelled by a byte-level BPE: the four legal ones scored in one pass against generate()."""
    codec = bpe_codec()
    with seeded(0):
        model = GPT2LMHeadModel(GPT2Config(vocab_size=codec.vocab_size, n_positions=2048, n_layer=2, n_embd=64, n_head=4,
                                           initializer_range=0.15, bos_token_id=None, eos_token_id=None))
    assert {len(codec.action_ids(action)) for action in lab.TASKS["maze-po"].actions} == {3}
    agent, (starts, answers, infos) = Agent(model, codec, "maze-po", "episode", Decoding(0, legal_only=True)), recorded("maze-po")
    ratio(f"byte-level BPE, {ENVS} games x {TURNS} turns: legal actions in one pass a turn / generate()",
          lambda: play_generate(agent, starts, answers, 3), lambda: play_cached(agent, starts, answers, infos), rounds=3)


def ilql_training() -> None:
    """A gradient step of ILQL against one of the same trunk as a plain language model, on the same 16 games."""
    model, codec = tiny_model(lab.TASKS["maze-po"], "episode", seed=0)
    episodes = cut_games()
    config, batch = ILQLConfig(), collate([pack(e, codec, "episode", 0.99) for e in episodes])
    labels = batch.input_ids.masked_fill(batch.block < 0, -100)
    networks = Networks(ValueNetwork(copy.deepcopy(model.base_model), codec.vocab_size, 2, True, config.reward_scale))

    def step(module, loss, after=lambda: None):
        optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], fused=True)

        def run():
            optimizer.zero_grad()
            loss().backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            after()
        return lambda: [run() for _ in range(10)]

    ratio(f"time of an ILQL step / a language-model step, 16 games x {TURNS} turns",
          step(networks, lambda: ilql_loss(networks, replace(batch), config)[0], lambda: networks.follow(0.05)),
          step(model, lambda: model(input_ids=batch.input_ids, labels=labels, use_cache=False).loss))


def guided_rollouts() -> None:
    for task in ("maze-po", "maze-fo"):
        agent = lab.train("ilql", task, lab.generate(task, 200, seed=9), seed=9, context="episode", steps=10, bc_steps=10)
        agent, (starts, answers, infos) = agent.with_decoding(temperature=0), recorded(task)
        plain = agent.with_decoding(beta=0.0)
        ratio(f"{task}, {ENVS} games x {TURNS} turns: time of value-guided / plain decoding",
              lambda agent=agent, games=(starts, answers, infos): play_cached(agent, *games),
              lambda plain=plain, games=(starts, answers, infos): play_cached(plain, *games))


def same_contexts_once() -> None:
    agent = lab.train("bc", "maze-fo", lab.generate("maze-fo", 200, seed=9), seed=9, steps=30)
    texts = [lab.make("maze-fo").reset(seed=n)[0] for n in range(ENVS)]
    infos = [{"legal_actions": lab.TASKS["maze-fo"].actions}] * ENVS

    def every_row():
        for _ in range(TURNS):
            agent.action_probabilities([[Turn(text, False)] for text in texts], [infos[0]["legal_actions"]] * ENVS)

    def distinct():
        agent.reset(list(range(ENVS)))
        for _ in range(TURNS):
            agent.act(texts, infos)

    ratio("'turn' context, 128 games: equal contexts computed once / every row", every_row, distinct)


def main() -> None:
    torch.set_num_threads(1)
    matmul_rate()
    env_steps()
    for task in ("maze-po", "maze-fo"):
        rollouts(task)
    same_contexts_once()
    constrained()
    guided_rollouts()
    packed_training()
    ilql_training()


if __name__ == "__main__":
    main()
