"""Guess My City: 100 cities, an oracle that answers open questions with facts, scripted askers, behaviour data.

Game and rewards: LMRL Gym (arXiv 2311.18232). The facts stand in `assets/guess_my_city_cities.csv`, how they may be asked
for in `assets/guess_my_city_kinds.csv`. No fact names its city.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from lmrl_lab.env import References, TaskCard
from lmrl_lab.episode import Episode
from lmrl_lab.tasks import guessing
from lmrl_lab.tasks.guessing import QUESTIONS, Asker, GuessingEnv, Oracle, RandomAsker
from lmrl_lab.tasks.phrases import Phrases, plain
from lmrl_lab.tasks.tables import rows, texts

SECRET = "I must not say that."
NEAR = 0.4  # see `Phrases`: questions vary more here, and have fewer kinds to be mistaken for


@functools.lru_cache(maxsize=1)
def oracle() -> Oracle:
    """The table, read once."""
    cities, kinds = rows("guess_my_city_cities"), rows("guess_my_city_kinds")
    names = [row["kind"] for row in kinds]

    def phrases() -> Phrases:
        return Phrases({row["kind"]: [row["question"], *texts(row["phrasings"])] for row in kinds}, near=NEAR,
                       others=[row["question"] for row in rows("guess_my_city_other")])

    return Oracle("city", [tuple(row["city"].split(";")) for row in cities], [row["question"] for row in kinds],
                  [[row[kind] for row in cities] for kind in names],
                  guessing.finder(names, phrases, opposites=False), "Is it {}?".format)


class GuessMyCityEnv(GuessingEnv):
    __doc__ = GuessingEnv.__doc__

    task = "guess-my-city"
    option_names = ("city",)
    oracle = functools.cached_property(lambda self: oracle())

    def heard(self, reply):
        # a longer name also where a word is made of it: Parisians
        names = (re.escape(plain(name)) + (r"\w*" if len(name) > 4 else "s?") for name in self.oracle.names[self._hidden])
        named = re.search(rf"\b(?:{'|'.join(names)})\b", plain(reply))
        return SECRET if named else reply or None


# ---------------------------------------------------------------------------------------------- data and card

# (stray, hasty, knows), see `Asker`: they ask on and on, some know nearly all facts and some half of them
PLAYERS = ((0.97, 0.03, 0.9), (0.95, 0.05, 0.9), (0.93, 0.07, 0.7), (0.9, 0.1, 0.5))


def best_policy() -> Asker:
    """The question with the most expected information; of three cities or fewer that fit, one is named."""
    return Asker(oracle())


def behaviour_policy():
    """In each game one of four askers, who ask aimlessly and know half to nine tenths of the facts."""
    return guessing.mixture(oracle(), PLAYERS)


def behaviour_episodes(size: int, seed: int) -> Iterator[Episode]:
    """Games of the behaviour policy."""
    return guessing.episodes(GuessMyCityEnv(), behaviour_policy(), size, seed)


def references(games: int = 6_000) -> References:
    """What the card holds, computed: the mean of `games` behaviour games, and the exact mean of the best policy."""
    return guessing.references(GuessMyCityEnv(), behaviour_policy(), best_policy(), games,
                               f"lmrl_lab.tasks.guess_my_city.references({games})")


_REFERENCES = References(-20.0, -14.259, -1.0, (0.0, 0.076, 0.0), "lmrl_lab.tasks.guess_my_city.references(6000)")
# the CQL term is what holds back names that the data hardly say in a state: without it they look as good as the right one
_VALUES = {"steps": 800, "batch_size": 64, "learning_rate": 3e-3, "beta": 1.0, "gamma": 1.0, "cql": 0.03}
CARDS = {
    "guess-my-city": TaskCard(
        id="guess-my-city", title="Guess My City", summary="find a hidden city by open questions about it",
        capability="gathering information: open answers, some of which tell nearly everything and some nearly nothing",
        env=GuessMyCityEnv, behaviour=behaviour_episodes, data_size=20_000, max_actions=QUESTIONS, keep=0.1,
        context="episode",
        policies={"random": lambda: RandomAsker(oracle()), "behaviour": behaviour_policy, "best": best_policy},
        references=_REFERENCES, turn_tokens=2,
        evaluation_options=lambda episodes: guessing.evaluation_options(oracle(), episodes),
        evaluation_episodes=100 * 4, network={"layers": 1, "width": 128},
        actions=oracle().actions, vocabulary=guessing.vocabulary(oracle(), GuessingEnv.first),
        model_text=lambda turns: guessing.model_text(oracle(), turns),
        settings={"bc": {"steps": 1_500, "batch_size": 64, "learning_rate": 3e-3},
                  "filtered_bc": {"steps": 600, "batch_size": 64, "learning_rate": 5e-3},
                  "mc": _VALUES, "ilql": {**_VALUES, "tau": 0.7, "polyak": 0.05},
                  "ppo": {"updates": 300, "gamma": 1.0},
                  "online_filtered_bc": {"updates": 150, "episodes_per_update": 256, "keep": 0.3}},
        clone="filtered_bc",  # the clone of all games finds one city in two hundred games: nothing to learn from
        paper={"BC": -17.0, "filtered BC": -15.2, "MC": -11.2, "ILQL": -12.5, "PPO": -15.1, "online filtered BC": -19.2,
               "GPT-4": -10.13}),
}
