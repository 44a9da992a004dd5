"""Buttons and typed names of the three dialogues: what can be asked, and what a seller can do, in words that the games read."""

from __future__ import annotations

from collections.abc import Sequence

from lmrl_lab.tasks import guess_my_city, twenty_questions
from lmrl_lab.tasks.car_dealer_buyer import STOCK, dollars
from lmrl_lab.tasks.car_dealer_words import FEATURES
from lmrl_lab.tasks.guessing import Oracle
from lmrl_lab.tasks.tables import rows
from lmrl_lab.widgets.moves import Offers

# a group of questions -> the attribute with which it begins in the table, whose rows stand together by topic
GROUPS = {"kind": "sports_equipment", "size, material": "fits_in_pocket", "shape, colour, place": "round", "parts": "has_wheels",
          "use": "electric", "vehicles, clothes": "can_ride", "music, animals, food": "wind_instrument",
          "sport, nature, art": "ball"}
# names of a group of cars -> the lowest list price that is no longer in it, in hundreds of dollars
CARS = {"show a car under 30,000": 300, "show a car under 60,000": 600, "show a car from 60,000 on": 10**6}


def _read_name(oracle: Oracle, typed: str) -> str:
    """A name alone is a guess: "Piano" -> "Is it a piano?"; not where the word alone asks something."""
    number = oracle.named(f"is it {typed}")
    return typed if number is None or oracle.read(typed) is not None else oracle.guesses[number]


def read_object(typed: str, observation: str) -> str:
    return _read_name(twenty_questions.oracle(), typed)


def read_city(typed: str, observation: str) -> str:
    return _read_name(guess_my_city.oracle(), typed)


def offer_questions(legal: Sequence[str] | None, observation: str) -> Offers:
    """A button for each group of questions about the object."""
    offers, inside = {}, ""
    starts = {attribute: group for group, attribute in GROUPS.items()}
    for row in rows("twenty_questions_attributes"):
        inside = starts.get(row["attribute"], inside)
        questions = offers.setdefault(inside, {})
        questions[row["question"]] = row["question"]
    return offers


def offer_kinds(legal: Sequence[str] | None, observation: str) -> Offers:
    """A button for each kind of fact about the city."""
    return {row["kind"].replace("_", " "): row["question"] for row in rows("guess_my_city_kinds")}


def offer_acts(legal: Sequence[str] | None, observation: str) -> Offers:
    """A button for each thing that a seller can do; cars, features and discounts are groups."""
    offers: Offers = {"ask about wishes": "What kind of car are you looking for?",
                      "ask about features": "Which features are important to you?",
                      "ask about the budget": "What is your budget?"}
    for car in STOCK:
        group = next(name for name, end in CARS.items() if car.list_price < end)
        cars = offers.setdefault(group, {})
        cars[car.name] = f"Let me show you the {car.name} for {dollars(car.list_price)}."
    offers["praise a feature"] = {name: f"This car comes with the {name}." for name in FEATURES.values()}
    offers["offer a discount"] = {f"{percent} percent": f"I can offer a discount of {percent} percent."
                                  for percent in (2, 3, 5, 10, 15)}
    return offers | {"take the buyer's offer": "I accept your offer.", "close the deal": "Do we have a deal?"}
