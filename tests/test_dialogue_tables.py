"""The tables behind the dialogue tasks: what must hold of them, and that the checks would notice if it did not."""

import copy
import csv
from pathlib import Path

import pytest

from tests.tables import check_car_dealer, check_guess_my_city, check_twenty_questions

ASSETS = Path(__file__).parents[1] / "lmrl_lab" / "tasks" / "assets"
TABLES = {
    "twenty_questions": (check_twenty_questions, ("facts", "attributes", "doubtful", "other")),
    "guess_my_city": (check_guess_my_city, ("cities", "kinds", "doubtful", "other")),
    "car_dealer": (check_car_dealer, ("stock", "features", "brands_types", "act_phrasings", "buyer_lines")),
}


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def tables():
    return {game: [rows_of(ASSETS / f"{game}_{name}.csv") for name in names] for game, (_, names) in TABLES.items()}


@pytest.mark.parametrize("game", TABLES)
def test_nothing_is_wrong_with_the_tables(game, tables):
    assert list(TABLES[game][0].problems(*tables[game])) == []


# game, table, which row, column, the wrong value, and what the check says of it
WRONG = [
    ("twenty_questions", 0, "Cat", "alive", "0", "animal but alive"),
    ("twenty_questions", 0, "Truck", "vehicle", "0", "category column vehicle"),
    ("twenty_questions", 0, "Ocean", "hemmed_in_by_land", "1", "differ in 1"),
    ("twenty_questions", 0, "Piano", "electric", "yes", "electric is 'yes'"),
    ("twenty_questions", 1, "animal", "phrasings", "Is it a beast?", "1 phrasings"),
    ("twenty_questions", 1, "alive", "opposites", "Is it dead? | Is it animate?", "asks for its opposite of alive"),
    ("twenty_questions", 1, "sweet", "opposites", "is it made of METAL", "sweet and for the attribute of made_of_metal"),
    ("twenty_questions", 1, "sweet", "opposites", "bitter", "is no question"),
    ("twenty_questions", 3, "Is it a bird?", "question", "is it lifeless", "asks for its opposite of alive"),
    ("guess_my_city", 0, "Tokyo", "landmark", "The Tokyo tower.", "names it"),
    ("guess_my_city", 0, "Tokyo", "landmark", "A tower higher than that of Paris.", "names Paris"),
    ("guess_my_city", 0, "Tokyo", "population", "About two million people in the city itself.", "population"),
    ("guess_my_city", 0, "Tokyo", "time_zone", "Eight hours ahead of UTC.", "time zone"),
    ("guess_my_city", 0, "Sydney", "hemisphere", "North of the equator.", "hemisphere"),
    ("guess_my_city", 0, "Osaka", "country", "South Korea.", "country"),
    ("guess_my_city", 0, "Osaka", "food", "", "empty"),
    ("guess_my_city", 1, "climate", "phrasings", "How is the weather?", "2 phrasings"),
    ("guess_my_city", 1, "climate", "question", "Is it in japan", "is the same as"),
    ("guess_my_city", 1, "food", "question", "Is the pizza from Naples?", "names naples"),
    ("guess_my_city", 3, "Who is the mayor?", "question", "What language is spoken there?!", "is the same as"),
    ("car_dealer", 0, "1", "list_price", "800", "car 1"),
    ("car_dealer", 0, "1", "brand", "Skoda", "Skoda"),
    ("car_dealer", 1, "sunroof", "phrasings", "leather | glass roof | moonroof", "leather"),
    ("car_dealer", 4, "leave", "line", "Deal, I'll take it!", "only 'accept' agrees, leave"),
    ("car_dealer", 4, "accept", "line", "Agreed, I'll take it.", "accept needs other slots"),
]


@pytest.mark.parametrize("game, table, row, column, value, told", WRONG)
def test_a_wrong_value_is_noticed(game, table, row, column, value, told, tables):
    damaged = copy.deepcopy(tables[game])
    first = next(r for r in damaged[table] if next(iter(r.values())).split(";")[0] == row)
    assert first[column] != value
    first[column] = value
    assert any(told in problem for problem in TABLES[game][0].problems(*damaged))


@pytest.mark.parametrize("game, key, table", [("twenty_questions", "attribute", "attributes"),
                                              ("guess_my_city", "kind", "kinds")])
def test_questions_of_people_are_labelled_by_what_can_be_asked(game, key, table):
    """`_dev` was written beside the phrasings, `_test` by somebody who had not seen them: phrasings are tuned on the first."""
    known = {row[key] for row in rows_of(ASSETS / f"{game}_{table}.csv")}
    for part in ("dev", "test"):
        rows = rows_of(Path(__file__).parent / "tables" / f"{game}_{part}.csv")
        texts = [row["question"] for row in rows]
        assert len(rows) >= 300 and len(set(texts)) == len(texts)
        assert {row[key] for row in rows} - known == {""} and sum(not row[key] for row in rows) <= 25
        assert {row.get("negated", "0") for row in rows} <= {"0", "1"}


def test_sayings_of_sellers_are_labelled_by_known_acts():
    for part in ("dev", "test"):
        rows = rows_of(Path(__file__).parent / "tables" / f"car_dealer_{part}.csv")
        assert len({row["utterance"] for row in rows}) == len(rows) == 300
        for row in rows:
            acts, keys = row["acts"].split(), {part.split("=")[0] for part in row["details"].split("; ") if part}
            assert acts and len(set(acts)) == len(acts) and set(acts) <= set(check_car_dealer.ACTS)
            assert keys <= check_car_dealer.SLOTS and ("other" not in acts or (acts == ["other"] and not keys))
