"""Twenty Questions: 158 objects, an oracle that says yes or no, scripted askers, behaviour data.

Objects and rewards: LMRL Gym (arXiv 2311.18232). What is true of the objects stands in `assets/twenty_questions_facts.csv`
and how it may be asked in `assets/twenty_questions_attributes.csv`, for anybody to read and correct.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from lmrl_lab.env import References, TaskCard
from lmrl_lab.episode import Episode
from lmrl_lab.tasks import guessing
from lmrl_lab.tasks.guessing import NO, QUESTIONS, YES, Asker, GuessingEnv, Oracle, RandomAsker
from lmrl_lab.tasks.phrases import Phrases, plain
from lmrl_lab.tasks.tables import rows, texts

# names that take no article in a question
BARE = frozenset(("Pants", "Shoes", "Boots", "Socks", "Peas", "Scissors", "Gloves", "Pliers", "Corn", "Spinach", "Broccoli",
                  "Celery", "Paper", "Toothpaste", "Glue", "Lego"))


def guess(name: str) -> str:
    """The question that names an object: "Is it an apple?"."""
    lower = name if name == "Lego" else name[0].lower() + name[1:]
    return f"Is it {lower}?" if name in BARE else f"Is it {'an' if name[0] in 'AEIOU' else 'a'} {lower}?"


@functools.lru_cache(maxsize=1)
def oracle() -> Oracle:
    """The table, read once."""
    facts, attributes = rows("twenty_questions_facts"), rows("twenty_questions_attributes")
    names = [row["attribute"] for row in attributes]

    def phrases() -> Phrases:
        return Phrases({row["attribute"]: [row["question"], *texts(row["phrasings"])] for row in attributes},
                       {row["attribute"]: texts(row["opposites"]) for row in attributes},
                       others=[row["question"] for row in rows("twenty_questions_other")])

    return Oracle("object", [tuple(row["object"].split(";")) for row in facts], [row["question"] for row in attributes],
                  [[YES if row[name] == "1" else NO for row in facts] for name in names],
                  guessing.finder(names, phrases), guess)


class TwentyQuestionsEnv(GuessingEnv):
    __doc__ = GuessingEnv.__doc__

    task = "twenty-questions"
    option_names = ("object",)
    oracle = functools.cached_property(lambda self: oracle())

    def heard(self, reply):
        return {"yes": YES, "no": NO}.get((plain(reply).split() or [""])[0])


# ---------------------------------------------------------------------------------------------- data and card

# (stray, hasty), see `Asker`: a fair asker, a wandering one, one who names too early, an aimless one
PLAYERS = ((0.4, 0.05), (0.7, 0.05), (0.4, 0.4), (0.95, 0.05))


def best_policy() -> Asker:
    """The question with the most expected information; of three objects or fewer that fit, one is named."""
    return Asker(oracle())


def behaviour_policy():
    """In each game one of four askers, from fair to aimless."""
    return guessing.mixture(oracle(), PLAYERS)


def behaviour_episodes(size: int, seed: int) -> Iterator[Episode]:
    """Games of the behaviour policy."""
    return guessing.episodes(TwentyQuestionsEnv(), behaviour_policy(), size, seed)


def references(games: int = 6_000) -> References:
    """What the card holds, computed: the mean of `games` behaviour games, and the exact mean of the best policy."""
    return guessing.references(TwentyQuestionsEnv(), behaviour_policy(), best_policy(), games,
                               f"lmrl_lab.tasks.twenty_questions.references({games})")


_REFERENCES = References(-20.0, -15.574, -6.842, (0.0, 0.063, 0.0), "lmrl_lab.tasks.twenty_questions.references(6000)")
# the CQL term is what holds back names that the data hardly say in a state: without it they look as good as the right one
_VALUES = {"steps": 1_200, "batch_size": 64, "learning_rate": 3e-3, "beta": 1.0, "gamma": 1.0, "cql": 0.1}
CARDS = {
    "twenty-questions": TaskCard(
        id="twenty-questions", title="Twenty Questions", summary="find a hidden object by questions that are answered yes or no",
        capability="gathering information: each question should halve what is still possible",
        env=TwentyQuestionsEnv, behaviour=behaviour_episodes, data_size=20_000, max_actions=QUESTIONS, keep=0.3,
        context="episode",
        policies={"random": lambda: RandomAsker(oracle()), "behaviour": behaviour_policy, "best": best_policy},
        references=_REFERENCES, turn_tokens=2,
        evaluation_options=lambda episodes: guessing.evaluation_options(oracle(), episodes),
        evaluation_episodes=158 * 2, network={"layers": 1, "width": 128},
        actions=oracle().actions, vocabulary=guessing.vocabulary(oracle(), GuessingEnv.first),
        model_text=lambda turns: guessing.model_text(oracle(), turns),
        settings={"bc": {"steps": 3_000, "batch_size": 64, "learning_rate": 3e-3},
                  "filtered_bc": {"steps": 1_200, "batch_size": 64, "learning_rate": 3e-3},
                  "mc": _VALUES, "ilql": {**_VALUES, "tau": 0.7, "polyak": 0.05},
                  "ppo": {"updates": 200, "gamma": 1.0},
                  # soon the games with easy words are all that is kept: it is best after a few rounds
                  "online_filtered_bc": {"updates": 15, "episodes_per_update": 256, "keep": 0.1, "learning_rate": 3e-4}},
        paper={"BC": -16.0, "filtered BC": -14.6, "MC": -13.9, "ILQL": -14.2, "PPO": -14.9, "online filtered BC": -16.8,
               "GPT-4": -13.0}),
}
