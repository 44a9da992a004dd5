"""Scripted car sellers: what they know from the buyer's lines, what they do next, and how they say it.

They read the observations' text and the stock, never the env.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lmrl_lab.policies import MixedPolicy, ScriptedPolicy
from lmrl_lab.tasks.car_dealer_buyer import (
    BUDGETS,
    STOCK,
    Buyer,
    Car,
    car_meant,
    dollars,
    filled,
    in_hundreds,
    listed,
    lowered,
    near,
    told,
)
from lmrl_lab.tasks.car_dealer_reading import SAMPLES, Act, read
from lmrl_lab.tasks.car_dealer_words import table


@dataclass
class Known:
    """What a seller knows from the talk so far; money in hundreds of dollars, None: not told."""

    brand: str | None = None
    type: str | None = None
    wishes: tuple[str, ...] | None = None
    under: int | None = None
    budget: int | None = None
    refused: bool = False
    asked: dict[str, int] = field(default_factory=lambda: {"needs": 0, "features": 0, "budget": 0})
    car: Car | None = None
    price: int = 0
    offer: int = 0
    named: set[str] = field(default_factory=set)
    likely: list[int] | None = None
    said: tuple[Act, ...] = ()
    turns: int = 0

    def hear(self, text: str):
        """The buyer's answer."""
        for situation, value in map(told, text.splitlines()):
            if situation in ("tell_brand", "wrong_brand"):
                self.brand = value
            elif situation in ("tell_type", "wrong_type"):
                self.type = value
            elif situation == "tell_features" and self.wishes is None:
                self.wishes = tuple(re.split(", | and ", value))
            elif situation == "tell_budget_vague":
                self.under = in_hundreds(value)
            elif situation == "tell_budget":
                self.budget = in_hundreds(value)
            elif situation == "refuse_to_tell_budget":
                self.refused = True
            elif situation == "counter_offer":
                self.offer = in_hundreds(value)

    def remember(self, acts: Sequence[Act]):
        """What the seller said himself: the questions asked, and the ledger as it must stand."""
        self.turns += 1
        for act in acts:
            if act.kind == "ask_needs":
                self.asked[act.about or "needs"] += 1
            elif act.kind == "ask_budget":
                self.asked["budget"] += 1
            elif act.kind == "present":
                car = car_meant(act, None, self.car)
                if car and car != self.car:
                    self.car, self.price, self.offer, self.named = car, car.list_price, 0, set()
                self.named.update(act.features)
            elif act.kind == "praise":
                self.named.update(act.features)
            elif act.kind in ("price", "discount") and self.car:
                price = lowered(self.price, act)
                self.price = price if self.car.floor <= price < self.price else self.price


# ---------------------------------------------------------------------------------------------- the sellers' words

def _wordings() -> dict[tuple, list[str]]:
    """(kind, about, slots) -> the phrasings that say it, as sentences."""
    out = defaultdict(list)
    for row in table("act_phrasings"):
        text = row["phrasing"]
        slots = tuple(sorted(re.findall(r"\{(\w+)\}", text)))
        acts = read(functools.reduce(lambda t, slot: t.replace("{" + slot + "}", SAMPLES[slot]), SAMPLES, text))
        about = acts[0].about if row["act"] != "other" else ""
        sentence = text[0].upper() + text[1:] if text[0] != "{" else text
        out[row["act"], about, slots].append(sentence if sentence[-1] in ".?!" else sentence + ".")
    return dict(out)


WORDINGS = _wordings()
SHOWN_PLAIN = WORDINGS["present", "", ("brand", "type")]
SHOWN_COLOURED = WORDINGS["present", "", ("brand", "colour", "type")]
PRAISE_ONE = WORDINGS["praise", "", ("feature",)]
PRAISE_MANY = [text for text in PRAISE_ONE if text.endswith("{feature}.")]
_DOUBLE = frozenset((car.brand, car.type) for car, other in itertools.combinations(STOCK, 2) if car[:2] == other[:2])


def sentence(act: Act, rng: np.random.Generator) -> str:
    """One act in words: a phrasing drawn from the table, with what the act names."""
    def drawn(texts):
        return texts[rng.integers(len(texts))]
    if act.kind == "present":
        texts = SHOWN_COLOURED if act.colour else SHOWN_PLAIN
        values = {"{brand}": act.brand, "{type}": act.type, "{colour}": act.colour}
        if act.features:
            texts = [text[:-1] + " with {feature}." for text in texts if text.endswith("{type}.")]
            values["{feature}"] = listed(act.features, "the ")
        return functools.reduce(lambda text, item: filled(text, *item), values.items(), drawn(texts))
    if act.kind == "praise":
        many = len(act.features) > 1
        return filled(drawn(PRAISE_MANY if many else PRAISE_ONE), "the {feature}" if many else "{feature}",
                      listed(act.features, "the ") if many else act.features[0])
    if act.kind == "ask_needs" and act.features:
        return filled(drawn(WORDINGS["ask_needs", "features", ("feature",)]), "{feature}", act.features[0])
    if act.kind == "price":
        return filled(drawn(WORDINGS["price", "", ("price",)]), "{price}", dollars(act.price))
    if act.kind == "discount" and act.percent is not None:
        return filled(drawn(WORDINGS["discount", "", ("percent",)]), "{percent}", f"{act.percent:g} percent")
    if act.kind == "discount":
        return filled(drawn(WORDINGS["discount", "", ("amount",)]), "{amount}", dollars(act.amount))
    return drawn(WORDINGS[act.kind, act.about, ()])


def say(acts: Sequence[Act], rng: np.random.Generator) -> str:
    """A turn in words: `read(say(acts, rng))` is `acts`."""
    return " ".join([sentence(act, rng) for act in acts])


GREET, NEEDS, BUDGET, CLOSE = map(Act, ("greet", "ask_needs", "ask_budget", "close"))
WISHES = Act("ask_needs", about="features")


def show(car: Car, features: Sequence[str] = ()) -> Act:
    """The act that shows a car; with its colour where brand and type are not enough."""
    return Act("present", car.brand, car.type, car.colour if car[:2] in _DOUBLE else "", tuple(features))


# ---------------------------------------------------------------------------------------------- scripted sellers

def guess(known: Known, budget: int, wishes: Sequence[str] = ()) -> Buyer:
    return Buyer(known.brand or "", known.type or "", tuple(wishes), budget, "impatient", "polite")


def pick(known: Known, under: int, target: int, wishes: Sequence[str] = ()) -> Car:
    """The best fitting car whose floor is at most `under`; among equals the list price nearest to `target`."""
    buyer = guess(known, under, wishes)
    return max((car for car in STOCK if car.floor <= under), key=lambda car: (buyer.met(car), -abs(car.list_price - target),
                                                                              car.list_price))


@functools.lru_cache(maxsize=10_000)
def beliefs(brand: str | None, body: str | None, budget: int) -> tuple[tuple[float, Buyer], ...]:
    """(probability, buyer) of every buyer with this brand, type and budget: one car of the stock meets all his wishes."""
    targets = [car for car in near(budget) if (car.brand, car.type) == (brand, body)]
    out = []
    for car in targets:
        top = min(4, len(car.features))
        for k in range(1, top + 1):
            sets = list(itertools.combinations(sorted(car.features), k))
            out += [(1 / len(targets) / top / len(sets), Buyer(brand, body, wishes, budget, "impatient", "polite"))
                    for wishes in sets]
    return tuple(out)


@functools.lru_cache(maxsize=10_000)
def best_ask(brand: str | None, body: str | None, budget: int) -> tuple[Car, int]:
    """The car and the price with the greatest price times chance that the impatient buyer pays it."""
    best = (0.0, 0, near(budget)[0])
    for car in STOCK:
        pays = [(p, buyer.reservation(car)) for p, buyer in beliefs(brand, body, budget)]
        for _, ask in pays:
            if ask >= car.floor:
                best = max(best, (ask * sum(p for p, r in pays if r >= ask), ask, car), key=lambda x: x[:2])
    return best[2], best[1] or best[2].list_price


class Seller(ScriptedPolicy):
    """A seller that reads the buyer's lines; subclasses write `turn`: what to do from what is known.

    `leaves`: in this share of the turns it does something else than its style.
    """

    def __init__(self, reward: str = "price", leaves: float = 0.0):
        if not 0 <= leaves <= 1:
            raise ValueError(f"leaves is a probability, not {leaves!r}")
        self.leaves = leaves

    def begin(self, rng):
        return Known()

    def choose(self, rng, memory, observation, info):
        if info.get("played") is not None:  # advice on a game that someone else plays
            memory.said = read(info["played"])
        memory.remember(memory.said)
        memory.hear(observation)
        leave = self.leaves and rng.random() < self.leaves
        memory.said = tuple(anything(rng, memory) if leave else self.turn(memory, rng))
        return say(memory.said, rng)

    def turn(self, known: Known, rng: np.random.Generator) -> list[Act]:
        """The acts of this turn."""
        raise NotImplementedError


def anything(rng: np.random.Generator, known: Known) -> list[Act]:
    """One or two acts that any seller may do at this point."""
    car = known.car or pick(known, 10**4, int(rng.integers(100, 1000)))
    other = STOCK[rng.integers(len(STOCK))] if rng.random() < 0.3 else pick(known, 10**4, int(rng.integers(100, 1000)),
                                                                            known.wishes or ())
    start = [] if known.car else [show(car)]
    price = known.price if known.car else car.list_price
    lower = Act("price", price=price - price * int(rng.integers(2, 9)) // 100)
    k = int(rng.integers(1, len(car.features) + 1))
    some = tuple(car.features[i] for i in sorted(rng.permutation(len(car.features))[:k]))
    choices = [[NEEDS], [BUDGET], [WISHES], [NEEDS, BUDGET], [GREET], [CLOSE], [show(other),
                                                                                Act("price", price=other.list_price)],
               [*start, Act("praise", features=some)], [*start, lower], [*start, lower, CLOSE],
               [*start, Act("discount", percent=int(rng.integers(2, 12)))], [*start, Act("discount",
                                                                                         percent=int(rng.integers(2, 12))),
                                                                                         CLOSE]]
    return choices[rng.integers(len(choices))]


class RandomSeller(Seller):
    """One to three random acts a turn, about random cars and sums."""

    name = "random"

    def turn(self, known, rng):
        car = STOCK[rng.integers(len(STOCK))]
        acts = [GREET, NEEDS, WISHES, BUDGET, CLOSE, show(car), Act("praise", features=(car.features[0],)), Act("thanks"),
                Act("price", price=int(rng.integers(50, 1000))), Act("discount", amount=int(rng.integers(1, 100))),
                Act("discount", percent=int(rng.integers(1, 21))), Act("other")]
        chosen = [acts[i] for i in rng.permutation(len(acts))[:rng.integers(1, 4)]]
        return [act for act in chosen if act.kind != "other"] or [Act("other")]  # chatter beside an act is not read


class Discounter(Seller):
    """Asks once for needs and budget, shows the fitting car, then takes 3 % of its list price off every turn and closes."""

    name = "discounter"

    def turn(self, known, rng):
        if known.brand is None and not known.asked["needs"]:
            return [GREET, NEEDS, BUDGET]
        if known.car is None:
            under = known.under or 1000
            car = pick(known, under, under)
            return [show(car), Act("price", price=car.list_price)]
        return [Act("discount", amount=-(-3 * known.car.list_price // 100)), CLOSE]


class FeatureTalker(Seller):
    """Asks for all wishes, shows the best fitting car, praises what it has, and again every turn; never a discount."""

    name = "feature-talker"

    def turn(self, known, rng):
        if known.brand is None and not known.asked["needs"]:
            return [GREET, NEEDS]
        if known.wishes is None and known.asked["features"] < 2:
            return [WISHES]
        if known.budget is None and known.asked["budget"] < 2:
            return [BUDGET]
        if known.car is None:
            budget = known.budget or known.under or 1000
            car = pick(known, budget, budget, known.wishes or ())
            return [show(car), Act("price", price=min(car.list_price, budget)), Act("praise", features=car.features)]
        unnamed = tuple(feature for feature in known.car.features if feature not in known.named)
        return [Act("praise", features=unnamed or known.car.features[:1]), CLOSE]


class Straight(Seller):
    """Needs and budget in one turn, the budget once more, one car, one price, and the decision every turn; no other talk."""

    name = "straight"

    def turn(self, known, rng):
        if known.brand is None and not known.asked["needs"]:
            return [NEEDS, BUDGET]
        if known.budget is None and known.asked["budget"] < 2:
            return [BUDGET]
        if known.car is None:
            likely = [b for b in BUDGETS if beliefs(known.brand, known.type, b) and b <= (known.under or 1000)]
            car, ask = best_ask(known.brand, known.type, known.budget or (likely or [known.under or 500])[-1])
            return [show(car), Act("price", price=ask), CLOSE]
        return [CLOSE]


class BestSeller(Seller):
    """Asks for needs and budget twice: who refuses bargains, who tells his wishes has wishes, the rest are impatient. Then the
    best known response to each."""

    name = "best"

    def turn(self, known, rng):
        if known.asked["needs"] + known.asked["budget"] < 4 and known.car is None and known.turns <= 4:
            return [NEEDS, BUDGET]
        if known.refused:
            return self.haggle(known)
        return self.please(known) if known.wishes is not None else self.quick(known)

    def haggle(self, known: Known) -> list[Act]:
        """The budget from the counter offer on a dear car, then the car that pays the most, with the discount at once."""
        under = known.under or 1000
        if known.likely is None:
            if not known.offer:
                probe = pick(known, 10**4, under, known.wishes or ()) if known.car is None else known.car
                return [show(probe), Act("price",
                                         price=probe.list_price)] if known.car is None else [Act("price", price=known.price),
                                                                                             CLOSE]
            known.likely = [b for b in BUDGETS if (b < 400) == (under == 400)
                            and any(self.most(known, b, known.car) * o // 20 == known.offer for o in (13, 14, 15))]
            known.likely = [b for b in known.likely if beliefs(known.brand, known.type,
                                                               b)] or known.likely or [b for b in BUDGETS if b < under]
        if not known.likely:
            return [Act("discount", percent=4), CLOSE]
        budget = known.likely.pop()
        cars = [car for car in STOCK if car.floor <= self.most(known, budget, car)]
        if not cars:
            return [Act("discount", percent=4), CLOSE]
        car = max(cars, key=lambda car: self.most(known, budget, car))
        stands = known.price if car == known.car else car.list_price
        return [show(car), Act("discount", amount=stands - self.most(known, budget, car)), CLOSE]

    @staticmethod
    def most(known: Known, budget: int, car: Car) -> int:
        """What a bargaining buyer with this budget would pay for the car."""
        return min(budget, guess(known, budget, known.wishes or ()).worth(car), 9 * car.list_price // 10)

    @staticmethod
    def please(known: Known) -> list[Act]:
        """The dearest car with every wish, each wish named, the most that he can pay, no discount."""
        budget = known.budget or known.under or 1000
        if known.car is None:
            buyer = guess(known, budget, known.wishes)
            car = max((car for car in STOCK if car.floor <= budget), key=lambda car: (buyer.met(car),
                                                                                      min(car.list_price, budget)))
            return [show(car), Act("price", price=min(car.list_price, budget)), Act("praise", features=known.wishes), CLOSE]
        unnamed = tuple(wish for wish in known.wishes if wish not in known.named)
        return [Act("praise", features=unnamed), CLOSE] if unnamed else [CLOSE]

    @staticmethod
    def quick(known: Known) -> list[Act]:
        """One car, one plain price, the decision; a lower plain price only if he does not pay it."""
        budget = known.budget or known.under or 1000
        if known.car is None:
            car, ask = best_ask(known.brand, known.type, min(BUDGETS, key=lambda b: abs(b - budget)))
            return [show(car), Act("price", price=ask), CLOSE]
        return [Act("price", price=max(known.car.floor, known.price - budget // 20)), CLOSE]


STYLES = (Discounter, FeatureTalker, Straight)
LEAVES = 0.25  # share of the turns in which a seller of the behaviour data leaves its style


def behaviour_policy(reward: str = "price") -> MixedPolicy:
    """In each game one of the paper's three styles, which is left in a quarter of the turns."""
    policy = MixedPolicy([functools.partial(style, leaves=LEAVES) for style in STYLES], [1, 1, 1])
    policy.name = "behaviour"
    return policy
