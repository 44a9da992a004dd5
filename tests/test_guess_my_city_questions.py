"""What people ask in Guess My City: how much of it the table of phrasings understands, and how often it is mistaken."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmrl_lab.tasks.phrases import Phrases

TABLES = Path(__file__).parent / "tables"
ASSETS = Path(__file__).parents[1] / "lmrl_lab" / "tasks" / "assets"
OTHER = ""  # how the sets of questions label what no fact answers
NEAR = 0.4  # lower, and "Is the city Mombasa?" passes for a question about the city


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


KINDS = rows_of(ASSETS / "guess_my_city_kinds.csv")
ASKED = {row["kind"]: [row["question"], *row["phrasings"].split(" | ")] for row in KINDS}
OTHERS = [row["question"] for row in rows_of(ASSETS / "guess_my_city_other.csv")]
PHRASES = Phrases(ASKED, near=NEAR, others=OTHERS)


def kind_of(text, phrases=PHRASES):
    found = phrases.find(text)
    return found.key if found else OTHER


def shares(part, phrases=PHRASES):
    """Which share of a set's questions is understood rightly, and which wrongly."""
    rows = rows_of(TABLES / f"guess_my_city_{part}.csv")
    count = Counter((kind == row["kind"], kind != OTHER) for row in rows for kind in [kind_of(row["question"], phrases)])
    return (count[True, True] + count[True, False]) / len(rows), count[False, True] / len(rows)


@pytest.mark.parametrize("part", ["dev", "own"])
def test_most_questions_are_understood_and_few_are_mistaken(part):
    right, wrong = shares(part)
    assert right >= 0.96 and wrong <= 0.015


def test_without_the_phrasings_of_a_kind_or_the_other_questions_the_shares_would_show_it():
    without_climate = Phrases({kind: texts for kind, texts in ASKED.items() if kind != "climate"}, near=NEAR, others=OTHERS)
    assert shares("dev", without_climate)[0] < 0.95
    assert shares("own", Phrases(ASKED, near=NEAR))[1] > 0.02


def test_every_phrasing_is_understood_as_its_kind():
    assert [(text, kind) for kind, texts in ASKED.items() for text in texts if kind_of(text) != kind] == []
    assert [text for text in OTHERS if kind_of(text) != OTHER] == []


# By hand, with wordings around the values that the table does not have.
NAMED = {
    "continent": ["Would it be in Africa?", "So it's an Asian city?", "Could the city be in South America?", "Hm, in Europe?",
                  "Is this city in Oceania?"],
    "country": ["Could this be in Poland?", "Are we in South Korea?", "So is it in Peru?", "Would that be in Kenya?",
                "Is this city in New Zealand?"],
    "capital": ["Is this city the capital of Chile?", "Would the ministers work there?", "Are there many embassies?"],
    "language": ["Do most people there speak Portuguese?", "Is Swahili spoken in this city?", "Would they speak Dutch?",
                 "Is it Urdu?", "Is Russian spoken by the people?"],
    "population": ["Are there over three million people?", "Is it a small city?", "Is that a megacity?",
                   "Has it less than two million inhabitants?", "So is it a large city?"],
    "currency": ["Would I pay in yen?", "So it's the peso?", "Are the coins euros?", "Is that the rupee?", "Is it the zloty?"],
    "climate": ["So it's tropical?", "Would it snow there?", "Is it humid in that city?", "Is there a monsoon in summer?"],
    "water": ["Would it be on the Nile?", "Does it lie on the Baltic?", "Is there a port in this city?", "So it's by the sea?",
              "Is it near the Pacific Ocean?"],
    "landscape": ["Would I see a volcano?", "So it's in the mountains?", "Is the city on an island?", "Any desert around?"],
    "landmark": ["Is there some famous bridge?", "Has it a famous cathedral?", "Could I see a pagoda?", "Has it a big statue?"],
    "famous_for": ["Is that city known for its nightlife?", "Is it famous for carnival?", "Why is that city so famous?"],
    "food": ["Would I eat sushi there?", "Do the people eat tacos?", "Is the local food spicy?", "Is it known for its noodles?"],
    "sport": ["Do the people play cricket?", "Is baseball a big sport there?", "Did that city host the Olympics?", "Skiing?"],
    "religion": ["Are the people there Buddhists?", "Would most people be Hindu?", "Are they mostly Catholics there?", "Islam?"],
    "history": ["Was this city in the Ottoman Empire?", "Was that once a British colony?", "Was it founded by Romans?"],
    "people": ["Was a famous composer born in the city?", "Did a great painter live there?", "Is any famous actor from there?"],
    "hemisphere": ["So it's south of the equator?", "Is the city in the northern hemisphere?", "Is that near the equator?"],
    "time_zone": ["Would it be UTC+9?", "Is the city ahead of UTC?", "Is it five hours behind Greenwich?", "GMT+2?"],
    "industry": ["Do the people make cars?", "Is there much banking?", "Is that city known for its oil industry?", "Software?"],
    "transport": ["Are there any trams in the city?", "Has it a metro?", "Would I see rickshaws there?", "Is there a ferry?"],
    "neighbours": ["Is that city near a border?", "Which other city would be close?", "Is it near the German border?"],
    "flag_colors": ["Is there any blue on that flag?", "Has the flag a star?", "Is their flag red and white?"],
}


@pytest.mark.parametrize("kind", ASKED)
def test_naming_a_value_asks_for_its_kind(kind):
    assert {text: kind_of(text) for text in NAMED[kind]} == dict.fromkeys(NAMED[kind], kind)


@pytest.mark.parametrize("text", [
    "", "?!", "Hello there", "Is it Mombasa?", "Is the city Nagoya?", "I think it is Leipzig.", "Which city is it then?",
    "What is the name of this city?", "Does its name start with an S?", "How many letters are there?", "Is it a nice city?",
    "Is it expensive there?", "Is that city safe at night?", "Who would be the mayor?", "How do I get there from Berne?",
    "What is the weather today?", "Could I have a hint?", "Have you ever visited it?", "qwertz uiop asdfgh"])
def test_what_no_fact_answers_is_not_understood(text):
    assert kind_of(text) == OTHER


@given(st.sampled_from([text for texts in [*ASKED.values(), OTHERS] for text in texts]), st.sampled_from(["", "?", "!!", " ..."]))
def test_case_and_marks_change_nothing(text, marks):
    assert kind_of(text.upper() + marks) == kind_of(text)
