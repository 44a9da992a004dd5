"""Speed of Wordle's environment: ours against GEM's, steps a CPU second with random words.

Never a dependency and never part of CI or `make bench`. In an environment of its own, from the repository's root:

    python3 -m venv .venv-gem
    .venv-gem/bin/pip install gem-llm==0.1.0 gymnasium numpy
    PYTHONPATH=. .venv-gem/bin/python tests/bench/gem_wordle.py

Both play the same 400 words, six tries a game, guesses drawn beforehand; resets are counted, making the action's text is not.
GEM's word list is a corpus that nltk downloads: the same 400 words are put in its place, and nothing else is changed.
"""

from __future__ import annotations

import random
import statistics
import time

import nltk
from gem.envs.game_env import wordle as gem_wordle

from lmrl_lab.env import make
from lmrl_lab.tasks.wordle import ALL_WORDS, spaced

STEPS, ROUNDS = 100_000, 7


def rate(env, actions: list[str]) -> float:
    """Steps a CPU second, a new game whenever one is over."""
    begin = time.process_time()
    env.reset()
    step, reset = env.step, env.reset
    for action in actions:
        _, _, terminated, truncated, _ = step(action)
        if terminated or truncated:
            reset()
    return len(actions) / (time.process_time() - begin)


def main() -> None:
    nltk.download = lambda *_, **__: True
    gem_wordle.words = type("Words", (), {"words": staticmethod(lambda _: list(ALL_WORDS))})
    draw = random.Random(0)
    guesses = draw.choices(ALL_WORDS, k=STEPS)
    theirs, ours = gem_wordle.WordleEnv(max_turns=6), make("wordle", vocabulary=400)
    boxed, plain = [rf"\boxed{{{word}}}" for word in guesses], [spaced(word) for word in guesses]
    ours.reset(seed=0)
    rates = [(rate(theirs, boxed), rate(ours, plain)) for _ in range(ROUNDS)]
    ratios = sorted(b / a for a, b in rates)
    print(f"GEM {statistics.median(a for a, _ in rates):,.0f}, ours {statistics.median(b for _, b in rates):,.0f} steps a CPU "
          f"second; ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}; {ROUNDS} rounds)")


if __name__ == "__main__":
    main()
