"""What must hold of the tables of the Car Dealer: `problems(...)` says what does not."""

import re
from collections import Counter, defaultdict

BUDGETS = (10, 30, 50, 70, 90)  # thousands of dollars
SLOTS = {"brand", "type", "feature", "price", "amount", "percent", "colour"}
ACTS = "greet ask_needs ask_budget present praise price discount close thanks other".split()
TONES = "polite rude talkative terse cheerful nervous formal sarcastic indecisive enthusiastic".split()
# the slot that every line of a situation has; a situation with None has none
SITUATIONS = {
    "greeting": None, "tell_brand": "brand", "tell_type": "type", "tell_features": "feature",
    "tell_budget_vague": "price", "tell_budget": "price", "refuse_to_tell_budget": None, "like_car": None,
    "car_lacks_wish": "feature", "wrong_brand": "brand", "wrong_type": "type", "too_expensive": None,
    "ask_price": None, "ask_discount": None, "counter_offer": "price", "price_fine": None,
    "impatient_at_small_talk": None, "annoyed_at_discount_talk": None, "annoyed_at_feature_talk": None,
    "not_understood": None, "undecided": None, "accept": "price", "leave": None,
}
AGREEMENT = re.compile(
    r"\b(deal|agreed?|sold|done|accept|(i'll|i will|let me) (take|buy|have) (it|this|that)|you win|it's mine"
    r"|sign|shake hands|i (will |'ll )?pay|bought|purchase the)\b", re.I)


def wordings(row: dict) -> list[str]:
    return [wording.strip() for wording in row["phrasings"].split("|")]


def slots(text: str) -> set[str]:
    return set(re.findall(r"\{(\w*)\}", text))


def problems(stock: list[dict], features: list[dict], brands_types: list[dict], phrasings: list[dict], lines: list[dict]):
    """Yield what is wrong with the five tables, each a list of rows."""
    for rows in (stock, features, brands_types, phrasings, lines):
        yield from (f"an empty cell, outer or double spaces, or a control character: {row}" for row in rows for v in row.values()
                    if not v or v != v.strip() or "  " in v or not v.isprintable())
    for rows, column in ((lines, "line"), (phrasings, "phrasing")):
        yield from (f"twice: {text}" for text, n in Counter(row[column].lower() for row in rows).items() if n > 1)
        yield from (f"slots: {row[column]}" for row in rows if slots(row[column]) - SLOTS or row[column].count("{") != len(
            re.findall(r"\{\w+\}", row[column])) or row[column].count("{") != row[column].count("}"))
    yield from check_cars(stock, features, brands_types)
    yield from (f"{act} has {n} phrasings" for act in ACTS if not 20 <= (n := sum(r["act"] == act for r in phrasings)) <= 40)
    yield from (f"unknown act {row['act']}" for row in phrasings if row["act"] not in ACTS)
    count = Counter((row["situation"], row["tone"]) for row in lines)
    yield from (f"{s}, {t}: {count[s, t]} lines" for s in SITUATIONS for t in TONES if count[s, t] < 2)
    for row in lines:
        if row["situation"] not in SITUATIONS or row["tone"] not in TONES:
            yield f"unknown situation or tone: {row}"
        elif slots(row["line"]) != {SITUATIONS[row["situation"]]} - {None}:
            yield f"{row['situation']} needs other slots: {row['line']}"
        if bool(AGREEMENT.search(row["line"])) != (row["situation"] == "accept"):
            yield f"only 'accept' agrees, {row['situation']}: {row['line']}"


def check_cars(stock: list[dict], features: list[dict], brands_types: list[dict]):
    """Yield what is wrong with the stock and with what its parts are called."""
    ids = {row["id"] for row in features}
    known = {kind: {row["name"] for row in brands_types if row["kind"] == kind} for kind in ("brand", "type")}
    for n, row in enumerate(stock, 1):
        own = row["features"].split(";")
        if int(row["id"]) != n or not 1 <= len(own) <= 5 or len(set(own)) < len(own) or not 8 <= int(row["list_price"]) <= 95:
            yield f"car {row['id']}: number, features or list price"
        yield from (f"car {row['id']}: unknown {name}" for name in set(own) - ids)
        yield from (f"car {row['id']}: no wordings for {row[kind]}" for kind in known if row[kind] not in known[kind])
    if not 30 <= len(stock) <= 40 or len(features) != 8 or not 8 <= len(known["brand"]) <= 10 or not 5 <= len(known["type"]) <= 7:
        yield "sizes of the tables"
    owner = defaultdict(set)
    for row in (*brands_types, *features):
        if not 2 <= len(wordings(row)) <= 30:
            yield f"{row['name']} has {len(wordings(row))} wordings"
        for wording in {row["name"].lower(), *(w.lower() for w in wordings(row))}:
            owner[wording].add(row["name"])
    yield from (f"{wording} means {sorted(names)}" for wording, names in owner.items() if len(names) > 1)
    for budget in BUDGETS:
        if (n := sum(10 * abs(int(row["list_price"]) - budget) <= 4 * budget for row in stock)) < 4:
            yield f"only {n} cars near a budget of {budget}"
