"""Speed as ratios in one run: `make bench`. Never part of CI; lone times mean nothing on shared machines.

Each pair is timed in turn, A B A B ..., in CPU seconds on one thread; the median of the ratios is printed with the
lowest and the highest, beside the machine's own rate for matrix products in that run.
"""

from __future__ import annotations

import statistics
import time

import torch

import lmrl_lab as lab
from lmrl_lab.agent import Agent
from lmrl_lab.algorithms.bc import batch_loss
from lmrl_lab.episode import Turn
from lmrl_lab.models import tiny_model
from lmrl_lab.tokens import collate, make_rows, pack

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
    import random
    for task in ("maze-fo", "maze-po"):
        env, rates = lab.make(task), []
        moves = [random.Random(0).choice(lab.TASKS[task].actions) for _ in range(1000)] * 200

        def play(env=env, moves=moves):
            env.reset(seed=0)
            for move in moves:
                _, _, terminated, truncated, _ = env.step(move)
                if terminated or truncated:
                    env.reset()

        play()
        rates = [len(moves) / seconds(play) for _ in range(5)]
        print(f"{task + ': env steps a CPU second, random play, resets counted':66} {statistics.median(rates):,.0f}")


def play_cached(agent: Agent, starts: list[str], answers: list[list[str]], infos: list[dict]) -> list[list[str]]:
    agent.reset(list(range(len(starts))))
    said, observations = [], starts
    for turn in range(TURNS):
        said.append(agent.act(observations, infos))
        observations = answers[turn]
    return said


@torch.inference_mode()
def play_generate(agent: Agent, starts: list[str], answers: list[list[str]]) -> list[list[str]]:
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
        out = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=1, do_sample=False, pad_token_id=codec.pad_id)
        actions = [codec.decode_action(row[width:].tolist()) for row in out]
        for history, action, row in zip(histories, actions, out, strict=True):
            history.append(Turn(action, True, token_ids=row[width:].tolist()))
        said.append(actions)
        observations = answers[turn]
    return said


def rollouts(task: str) -> None:
    """The answers are recorded beforehand, so that only the deciding is timed; both sides see the same transcripts."""
    trained = lab.train("bc", task, lab.generate(task, 200, seed=9), seed=9, context="episode", steps=30)
    trained = trained.with_decoding(temperature=0)
    episodes = [e for e in lab.generate(task, 400, seed=9) if len(e.actions) >= TURNS][:ENVS]
    starts = [e.observations[0] for e in episodes]
    answers = [[e.observations[turn + 1] for e in episodes] for turn in range(TURNS)]
    infos = [{"legal_actions": lab.TASKS[task].actions}] * ENVS
    assert play_cached(trained, starts, answers, infos) == play_generate(trained, starts, answers), "actions differ"
    ratio(f"{task}, {ENVS} games x {TURNS} turns, greedy: cache kept across turns / generate()",
          lambda: play_generate(trained, starts, answers), lambda: play_cached(trained, starts, answers, infos))
    legal = trained.with_decoding(legal_only=True)
    ratio("the same, choosing among the legal actions / generate()",
          lambda: play_generate(trained, starts, answers), lambda: play_cached(legal, starts, answers, infos))


def packed_training() -> None:
    model, codec = tiny_model(lab.TASKS["maze-po"], "episode", seed=0)
    episodes = [e for e in lab.generate("maze-po", 200, seed=9) if len(e.actions) >= TURNS][:16]
    for episode in episodes:
        del episode.turns[2 * TURNS + 1:]
        episode.terminated, episode.truncated = False, True
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
    packed_training()


if __name__ == "__main__":
    main()
