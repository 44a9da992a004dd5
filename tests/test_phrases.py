"""The reader of free wordings, on a small table whose answers are known by hand and on what people ask in Twenty Questions."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmrl_lab.tasks.phrases import Found, Phrases, asked, plain

TABLES = Path(__file__).parent / "tables"
ASSETS = Path(__file__).parents[1] / "lmrl_lab" / "tasks" / "assets"

SMALL = Phrases(
    {"alive": ["Is it alive?", "Is it a living organism?"],
     "kitchen": ["Is it found in a kitchen?", "Do you keep it in the kitchen?"],
     "writing": ["Do you write with it?"],
     "written_on": ["Do you write on it?"],
     "car": ["Is it bigger than a car?"],
     "house": ["Is it bigger than a house?"],
     "pocket": ["Does it fit in a pocket?"],
     "red": ["Is it red?"],
     "green": ["Is it green?"],
     "metal": ["Is it metal?", "Is it made of metal?", "Is it made of gold or silver?"],
     "vegetable": ["Is it a vegetable?"]},
    opposites={"alive": ["Is it dead?", "Is it inanimate?"], "pocket": ["Is it too big for a pocket?"]},
    others=["Is it a fish?", "Is it alive in a story?"])


KEYS = "alive kitchen writing written_on car house pocket red green metal vegetable".split()


def reading(text, phrases=SMALL):
    """key, "not key" or None."""
    found = phrases.find(text)
    return found and ("not " if found.negated else "") + found.key


def test_a_plain_text_has_no_case_accents_or_punctuation():
    assert plain("  Is it São-Paulo’s\tmetro_line?! ") == "is it sao paulos metro line"
    assert plain("over $1,000, or 12,5?") == "over 1000 or 12 5"
    assert plain("?!…") == plain("") == ""


@pytest.mark.parametrize("text, rest", [
    ("ok so is it alive", "is it alive"), ("what about metal", "metal"), ("isnt it alive", "it alive"),
    ("it is alive isnt it", "it is alive"), ("is it alive or not", "is it alive"),
    ("can you keep it cant you", "can you keep it"),
    ("is it of something other than wood", "is it of something not wood"), ("is it red rather than green", "is it red "),
    ("does it cost under a thousand dollars", "does it cost less than a thousand dollars"),
    ("is it small enough for a pocket", "is it not too big for a pocket"), ("is it bigger than me", "is it bigger than person")])
def test_what_people_say_around_a_question_is_taken_off(text, rest):
    assert asked(text) == rest


def test_a_phrasing_is_found_as_it_stands_whatever_its_case_and_marks():
    assert SMALL.find("is it FOUND, in a kitchen") == Found("kitchen", False, 1.0)
    assert SMALL.find("Is it dead?") == Found("alive", True, 1.0)


@pytest.mark.parametrize("text, key", [
    ("So, would it be alive?", "alive"), ("living organisms?", "alive"), ("Do people keep it in kitchens?", "kitchen"),
    ("Is it larger than an automobile?", "car"), ("metal?", "metal"), ("written on?", "written_on"),
    ("Would you write with it?", "writing"), ("Could people write on it?", "written_on"), ("something to write with", "writing")])
def test_other_forms_and_orders_of_the_words_are_understood(text, key):
    assert reading(text) == key


@pytest.mark.parametrize("text, key", [
    ("vegtable?", "vegetable"), ("Is it a vegetabel?", "vegetable"), ("a vegetables", "vegetable"),
    ("Is it found in a kitchin?", "kitchen"),
    ("Is it a table?", None), ("rod?", None), ("mortal?", None)])
def test_one_or_two_slips_in_a_long_word_are_repaired_and_a_short_word_is_left_alone(text, key):
    assert reading(text) == key


@pytest.mark.parametrize("text, key", [
    ("Is it not alive?", "not alive"), ("It isn't alive?", "not alive"), ("So it's not alive, is it?", "not alive"),
    ("Isn't it alive?", "alive"), ("It's alive, isn't it?", "alive"), ("Is it alive or not?", "alive"),
    ("non-metal?", "not metal"),
    ("isn't it not alive?", "not alive"), ("Is it made of something other than metal?", "not metal"),
    ("Is it not inanimate?", "alive"), ("Isn't it dead?", "not alive"), ("Can't you keep it in the kitchen?", "kitchen"),
    ("Is it smaller than a car?", "not car"), ("It's no smaller than a house", "house"),
    ("Would it be too big for my pocket?", "not pocket"), ("Is it small enough for a pocket?", "pocket")])
def test_negations_and_opposites_turn_the_answer(text, key):
    assert reading(text) == key


@pytest.mark.parametrize("text", [
    "Is it red or green?", "Is it alive or dead?", "Is it bigger or smaller than a car?", "Is it not red or green?",
    "Is it bigger than a mouse?", "Is it bigger?", "Do you write?", "What is it made of?", "Where do you keep it?",
    "Is it a fish?", "Are these fish?", "Is it alive in that story?", "Is it expensive?", "xyzzy", "is it", "?", ""])
def test_ties_questions_of_another_sort_and_unknown_words_are_not_understood(text):
    assert reading(text) is None


def test_an_or_inside_a_phrasing_is_understood():
    assert reading("Was it made of silver or gold?") == "metal"


def test_unknown_words_make_a_text_less_certain():
    scores = [SMALL.find(f"Do people keep it {words} in the kitchen?").score for words in ("", "frobbed", "frobbed thrumped")]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == 3
    assert SMALL.find("Is it a frobbed thrump of the kitchen, a snark, a gribble, a zorn, a quux?") is None


def test_open_questions_are_understood_where_phrasings_are_open():
    cities = Phrases({"river": ["Which river flows through it?"], "food": ["What do people eat there?"]})
    assert (reading("which river runs through it", cities), reading("what did they eat", cities)) == ("river", "food")
    assert reading("how many people eat there", cities) is None  # no phrasing begins with "how"


def test_an_empty_table_understands_nothing():
    assert Phrases({}).find("Is it alive?") is None


NASTY = ["\x00", "a" * 100_000, "is it " * 5_000, "is it alive or " * 300, "ıs ıt alıve?", "İs it alive?", "\ud800", "🐘?",
         "ﬁt in a pocket", "' OR 1=1 --", "\u202eevila ti si", "=alive", "with it", "than than than", "0" * 500 + ",000",
         "isn't it"]


def test_a_text_longer_than_any_question_is_not_read():
    assert reading("is it alive " + "really " * 50) == "alive" and reading("is it alive " + "really " * 80) is None


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_nasty_texts_raise_nothing(text):
    assert reading(text) in {None, "alive", "pocket"}


WORDS = "is it not isnt alive dead bigger smaller than a car house or metal write with on kitchen what fish vegtable , ?".split()


@given(st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map(" ".join)))
def test_whatever_is_said_the_answer_is_a_known_key_or_none_and_the_same_again(text):
    found = SMALL.find(text)
    if found is not None:
        assert found.key in set(KEYS) and 0.5 <= found.score <= 1.0 + 1e-9
    again = SMALL._find(text)  # not from the cache
    assert again == found


# ------------------------------------------------------------------------------------- what people ask in Twenty Questions


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


ROWS = rows_of(ASSETS / "twenty_questions_attributes.csv")
ASKED = {row["attribute"]: [row["question"], *row["phrasings"].split(" | ")] for row in ROWS}
TURNED = {row["attribute"]: row["opposites"].split(" | ") if row["opposites"] else [] for row in ROWS}
OTHERS = [row["question"] for row in rows_of(ASSETS / "twenty_questions_other.csv")]
TWENTY = Phrases(ASKED, TURNED, others=OTHERS)


def shares(part, phrases):
    """Which share of a set's questions is understood rightly, and which wrongly."""
    rows = rows_of(TABLES / f"twenty_questions_{part}.csv")
    wanted = [row["attribute"] and ("not " if row["negated"] == "1" else "") + row["attribute"] or None for row in rows]
    read = [reading(row["question"], phrases) for row in rows]
    return (sum(map(lambda a, b: a == b, read, wanted)) / len(rows),
            sum(a is not None and a != b for a, b in zip(read, wanted)) / len(rows))


def test_most_questions_of_people_are_understood_and_few_are_mistaken():
    for part, least, most in (("dev", 0.98, 0.01), ("own", 0.95, 0.02)):
        right, wrong = shares(part, TWENTY)
        assert right >= least and wrong <= most, part


def test_without_opposites_other_questions_or_an_attribute_the_shares_would_show_it():
    assert shares("dev", Phrases(ASKED, others=OTHERS))[0] < shares("dev", TWENTY)[0]
    assert shares("own", Phrases(ASKED, TURNED))[1] > shares("own", TWENTY)[1]
    few = {key: texts for n, (key, texts) in enumerate(ASKED.items()) if n % 10}
    assert shares("dev", Phrases(few, {key: TURNED[key] for key in few}, others=OTHERS))[0] < 0.95


def test_every_phrasing_opposite_and_other_question_is_read_as_the_table_says():
    assert [text for key, texts in ASKED.items() for text in texts if reading(text, TWENTY) != key] == []
    assert [text for key, texts in TURNED.items() for text in texts if reading(text, TWENTY) != f"not {key}"] == []
    assert [text for text in OTHERS if TWENTY.find(text)] == []


def test_phrasings_that_were_left_out_are_mostly_understood_by_the_others():
    left_out = [(key, text) for key, texts in ASKED.items() for text in texts[5::20]]
    rest = {key: [text for text in texts if (key, text) not in set(left_out)] for key, texts in ASKED.items()}
    phrases = Phrases(rest, TURNED, others=OTHERS)
    read = [(key, reading(text, phrases)) for key, text in left_out]
    assert len(read) > 200
    assert sum(key == found for key, found in read) / len(read) >= 0.75
    assert sum(found not in (key, None) for key, found in read) / len(read) <= 0.1
