"""The Car Dealer's stock and buyers: what a buyer pays for which car, what he is drawn from, and his lines both ways.

Money is integer hundreds of dollars. No turn is played here.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from lmrl_lab.env import unknown
from lmrl_lab.tasks.car_dealer_reading import Act
from lmrl_lab.tasks.car_dealer_words import FEATURES, table

BUDGETS = (100, 300, 500, 700, 900)
CHARACTERS = ("bargain", "wishes", "impatient")


class Car(NamedTuple):
    """A car of the stock; list_price and floor (the least price that the house allows) in hundreds of dollars."""

    brand: str
    type: str
    colour: str
    features: tuple[str, ...]
    list_price: int
    floor: int

    @property
    def name(self) -> str:
        return f"{self.colour} {self.brand} {self.type}"


STOCK = tuple(Car(row["brand"], row["type"], row["colour"], tuple(FEATURES[i] for i in row["features"].split(";")),
                  10 * int(row["list_price"]), 8 * int(row["list_price"])) for row in table("stock"))
BRANDS, TYPES = (tuple(dict.fromkeys(getattr(car, kind) for car in STOCK)) for kind in ("brand", "type"))
LINES: dict[tuple[str, str], list[str]] = defaultdict(list)
for _row in table("buyer_lines"):
    LINES[_row["situation"], _row["tone"]].append(_row["line"])
SITUATIONS, TONES = (tuple(dict.fromkeys(key[i] for key in LINES)) for i in (0, 1))


def dollars(price: int) -> str:
    """475 -> "47,500 dollars"."""
    return f"{100 * price:,} dollars"


def listed(names: Sequence[str], article: str = "") -> str:
    """("a", "b", "c") -> "a, b and c", each with its article."""
    names = [article + name for name in names]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


OPENING = "The cars, with their list prices; the house sells none under four fifths of its list price:\n" + "".join(
    f"{car.name}, {dollars(car.list_price)}: {listed(car.features)}\n" for car in STOCK)


@dataclass(frozen=True)
class Buyer:
    """Who buys. budget: hundreds of dollars; opening: his first counter offer, in twentieths of his reservation price."""

    brand: str
    body: str
    features: tuple[str, ...]
    budget: int
    character: str
    tone: str
    opening: int = 14

    def met(self, car: Car) -> int:
        """How many of brand, type and wishes the car has; 2 + the number of wishes is all."""
        return (car.brand == self.brand) + (car.type == self.body) + len(set(self.features) & set(car.features))

    def worth(self, car: Car) -> int:
        """The mean of budget and list price where all is met, half of it where nothing is."""
        wanted = 2 + len(self.features)
        return (self.budget + car.list_price) * (wanted + self.met(car)) // (4 * wanted)

    def reservation(self, car: Car, strain: int = 0) -> int:
        """The most that he pays, at most his budget; 0: nothing at all. `strain`: what talk has cost with an impatient one."""
        if self.character == "bargain":
            return min(self.budget, self.worth(car), 9 * car.list_price // 10)
        if self.character == "wishes":
            return min(self.budget, car.list_price) if self.met(car) == 2 + len(self.features) else 0
        return max(0, min(self.budget, self.worth(car), car.list_price) - strain)


@functools.cache
def near(budget: int) -> tuple[Car, ...]:
    """The cars that a buyer of this budget may have set his heart on."""
    return tuple(car for car in STOCK if 6 * budget <= 10 * car.list_price <= 12 * budget)


def drawn_buyer(rng: np.random.Generator, fixed: dict) -> Buyer:
    """A buyer; `fixed`: what is not drawn, by field. One car meets all of a buyer of whom nothing is fixed."""
    budget = fixed.get("budget") or BUDGETS[rng.integers(len(BUDGETS))]
    cars = near(budget)
    if fixed:
        cars = [car for car in cars
                if car.brand == fixed.get("brand", car.brand) and car.type == fixed.get("body", car.type)] or cars
    target = cars[rng.integers(len(cars))]
    count = 1 + rng.integers(min(4, len(target.features)))
    wishes = tuple(target.features[i] for i in sorted(rng.permutation(len(target.features))[:count]))
    character, tone = CHARACTERS[rng.integers(len(CHARACTERS))], TONES[rng.integers(len(TONES))]
    buyer = Buyer(target.brand, target.type, wishes, budget, character, tone, int(rng.integers(13, 16)))
    return replace(buyer, **fixed) if fixed else buyer


def checked_buyer(given: object) -> dict:
    """The option `buyer` as fields of `Buyer`. Raises ValueError for a name or value that there is not."""
    accepted = {"brand": BRANDS, "body": TYPES, "features": tuple(FEATURES.values()), "budget": tuple(b // 10 for b in BUDGETS),
                "character": CHARACTERS, "tone": TONES}
    if not isinstance(given, dict):
        raise ValueError(f"buyer is a dict of {', '.join(accepted)}, not {given!r:.80}")
    fixed = dict(given)
    for name, value in given.items():
        if name not in accepted:
            raise unknown("part of a buyer", name, accepted)
        if name == "features":
            if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= 4 or any(value.count(one) > 1 for one in value):
                raise ValueError(f"features are 1 to 4 different names of features, not {value!r:.80}")
            fixed[name] = tuple(value)
        for one in value if name == "features" else (value,):
            if isinstance(one, bool) or one not in accepted[name]:
                raise unknown(f"{name} of a buyer", one, accepted[name])
    return fixed | ({"budget": 10 * given["budget"]} if "budget" in given else {})


@functools.lru_cache(maxsize=100_000)
def filled(line: str, slot: str, value: str) -> str:
    """A buyer's or seller's line with its slot filled; "a" becomes "an" where it must."""
    return re.sub(r"\b([Aa]) (?=Audi|SUV|orange)", r"\1n ", line.replace(slot, value))


@functools.lru_cache(maxsize=100_000)
def car_meant(act: Act, price: int | None, current: Car | None) -> Car | None:
    """The car of the stock that an act names; None where none fits. Where several fit: the current one, else the one with
    most of the features named, then the nearest list price to `price`, then the first."""
    cars = [car for car in STOCK if act.brand in ("", car.brand) and act.type in ("", car.type)]
    cars = [car for car in cars if act.colour == car.colour] or (cars if act.brand or act.type else [])
    if not cars or current in cars:
        return current if cars else None
    return max(cars, key=lambda car: (len(set(act.features) & set(car.features)),
                                      -abs(car.list_price - (price or car.list_price))))


def lowered(price: int, act: Act) -> int:
    """The price that a `price` or `discount` act names for a car that stands at `price`; a percentage is rounded down."""
    if act.kind == "price":
        return act.price
    if act.percent is not None:
        return price - price * int(10 * act.percent) // 1000
    return price - act.amount


# ---------------------------------------------------------------------------------------------- his lines, told back

BITS = {situation: 1 << i for i, situation in enumerate(SITUATIONS)}
SLOTS = {situation: slot[0] for situation in SITUATIONS if (slot := re.findall(r"\{\w+\}", LINES[situation, "polite"][0]))}
_FEATURE = "|".join(FEATURES.values())
_NAMES = re.compile(rf"(?P<price>[\d,]+ dollars)|(?P<brand>\b(?:{'|'.join(BRANDS)})\b)|(?P<type>\b(?:{'|'.join(TYPES)})\b)"
                    rf"|(?P<feature>\b(?:{_FEATURE})\b(?:(?:, | and )(?:{_FEATURE})\b)*)")
_TOLD = {_NAMES.sub(lambda found: "{" + found.lastgroup + "}", re.sub(r"\b([Aa])n? (?=\{)", r"\1 ", line)): situation
         for (situation, _), lines in LINES.items() for line in lines}


@functools.lru_cache(maxsize=100_000)
def told(line: str) -> tuple[str, str]:
    """(situation, what fills its slot, "" if nothing) of one line of the buyer's; ("", "") where it is no line of his."""
    found = [match for match in _NAMES.finditer(line)]
    bare = re.sub(r"\b([Aa])n (?=\{)", r"\1 ", _NAMES.sub(lambda match: "{" + match.lastgroup + "}", line))
    return (_TOLD[bare], found[0][0] if found and bare.find("{") >= 0 and _TOLD[bare] in SLOTS
            else "") if bare in _TOLD else ("", "")


def in_hundreds(text: str) -> int:
    """ "47,500 dollars" -> 475."""
    return int(text.split()[0].replace(",", "")) // 100
