"""Speed of the scripted dialogue games: ours against TextArena's, steps a CPU second, and ours for texts never seen before.

Never a dependency and never part of CI or `make bench`. In an environment of its own, from the repository's root:

    python3 -m venv .venv-textarena
    .venv-textarena/bin/pip install textarena==0.7.4 gymnasium numpy rapidfuzz snowballstemmer
    PYTHONPATH=. .venv-textarena/bin/python tests/bench/textarena_dialogue.py

TextArena's oracle is a language model behind a service: a stub that says yes stands in its place, so that only the environment is
timed. Its car's buyer and seller are both players, and its package lacks the files with their instructions: empty ones are put
in their place. Resets are counted, making the texts is not.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from pathlib import Path

os.environ.setdefault("OPENROUTER_API_KEY", "none")  # its oracle's client wants one when it is made; nothing is ever sent

from textarena.envs.TwentyQuestions.env import TwentyQuestionsEnv  # noqa: E402
from textarena.envs.UsedCarNegotiation import env as used_cars  # noqa: E402

from lmrl_lab.env import make  # noqa: E402
from lmrl_lab.policies import played  # noqa: E402
from lmrl_lab.tasks import car_dealer, guess_my_city, twenty_questions  # noqa: E402

STEPS, ROUNDS = 20_000, 5


def ours(task: str, texts: list[str]) -> float:
    """Steps a CPU second, a new game whenever one is over."""
    env = make(task)
    env.reset(seed=0)
    begin = time.process_time()
    for text in texts:
        _, _, terminated, truncated, _ = env.step(text)
        if terminated or truncated:
            env.reset()
    return len(texts) / (time.process_time() - begin)


def theirs(env, players: int, texts: list[str]) -> float:
    """The same; what the next player is shown comes from a call of its own."""
    begin = time.process_time()
    env.reset(num_players=players)
    env.get_observation()
    for text in texts:
        done, _ = env.step(text)
        if done:
            env.reset(num_players=players)
        env.get_observation()
    return len(texts) / (time.process_time() - begin)


def typo(text: str, draw: random.Random) -> str:
    """The text with two neighbouring letters changed over and a number behind it: nobody has asked this before."""
    at = draw.randrange(1, max(2, len(text) - 2))
    return f"{text[:at]}{text[at + 1:at + 2]}{text[at]}{text[at + 2:]} {draw.random():.12f}"


def compared(name: str, rates: list[tuple[float, float]]) -> None:
    ratios = sorted(b / a for a, b in rates)
    print(f"{name}: TextArena {statistics.median(a for a, _ in rates):,.0f}, ours {statistics.median(b for _, b in rates):,.0f} "
          f"steps a CPU second; ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}; {ROUNDS} rounds)")


def main() -> None:
    draw = random.Random(0)
    questions = draw.choices(twenty_questions.oracle().questions, k=STEPS)
    sales = [turn.text for seed in range(2_000) for turn in
             played(car_dealer.behaviour_policy(), make("car-dealer"), seed).turns if turn.is_action]
    sales = (sales * (STEPS // len(sales) + 1))[:STEPS]
    offers = [f"[OFFER: ${draw.randrange(7_000, 10_000)}]" if k % 2 else "[DISCUSS: It is a fine car.]" for k in range(STEPS)]
    asked = TwentyQuestionsEnv()
    asked.get_gamemaster_response = lambda action: "Yes"  # its own keeps the questions of all games and grows slower
    folder = Path(used_cars.__file__).parent / "instructions"
    for name in ("blue_book.txt", *(f"{role}/{side}.txt" for role in ("buyer", "seller") for side in ("strong", "weak"))):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    kinds = draw.choices(guess_my_city.oracle().questions, k=STEPS)
    for task, texts in (("twenty-questions", questions), ("guess-my-city", kinds), ("car-dealer", sales)):
        ours(task, texts)  # "phrasings seen before"
    compared("Twenty Questions", [(theirs(asked, 1, questions), ours("twenty-questions", questions)) for _ in range(ROUNDS)])
    compared("Guess My City beside its Twenty Questions",
             [(theirs(asked, 1, questions), ours("guess-my-city", kinds)) for _ in range(ROUNDS)])
    compared("Car Dealer beside its UsedCarNegotiation",
             [(theirs(used_cars.UsedCarNegotiationEnv(), 2, offers), ours("car-dealer", sales)) for _ in range(ROUNDS)])
    for task, texts in (("twenty-questions", questions), ("guess-my-city", kinds), ("car-dealer", sales)):
        new = [ours(task, [typo(text, draw) for text in texts[:4_000]]) for _ in range(ROUNDS)]
        print(f"{task}: {statistics.median(new):,.0f} steps a CPU second for new free text ({min(new):,.0f} to {max(new):,.0f})")


if __name__ == "__main__":
    main()
