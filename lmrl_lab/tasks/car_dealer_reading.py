"""What a seller's free text says: a list of acts (show a car, name a price, ...) with their details.

No rule of the game lives here. A text is cut into words and slots (brands, types, colours, features, sums), then into
clauses; a clause is read as the phrasing of the table that it is, else by `RULES` in order, else by its slots, else as the
nearest phrasing of the table.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from lmrl_lab.tasks.car_dealer_words import CUT, END, items_of, stem, table


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a seller does with a text.

    kind: one of `KINDS`. features: names ("heated seats"). price, amount: hundreds of dollars, rounded down. percent: as
    said. about: "features" of a question about those, "offer" of a close that takes the buyer's offer in words, "chat" of
    small talk that is known; "" otherwise.
    """

    kind: str
    brand: str = ""
    type: str = ""
    colour: str = ""
    features: tuple[str, ...] = ()
    price: int | None = None
    amount: int | None = None
    percent: float | None = None
    about: str = ""


KINDS = tuple(dict.fromkeys(row["act"] for row in table("act_phrasings")))
OTHER = (Act("other"),)

# ---------------------------------------------------------------------------------------------- clauses -> acts

# (kind, about, pattern) in order; neighbouring rows of the table are one rule. Kind "": certainly no act (his own words told
# back, conditions, what is not offered). "praise" of a feature: what is said of it without its name. The first, about "buyer",
# is for the whole text in lower case: it plays the buyer's part, or says that he has agreed. All others begin with a word: that
# they are tried only after a space makes them much faster
(_, _, PLAYS_BUYER), *RULES = (
    (kind, about, re.compile(("" if about == "buyer" else "(?<![^ ])") + f"(?:{'|'.join(row['pattern'] for row in rows)})"))
    for (kind, about), rows in itertools.groupby(table("rules"), key=lambda row: (row["act"], row["about"])))
OFFER = next(pattern for _, about, pattern in RULES if about == "offer")
OPENING = re.compile(
    r"^(?:oh |well |and )?(?P<greet>(?:hello|hi|hey|greetings|howdy|good (?:morning|afternoon|evening|day)|"
    r"welcome(?: to [\w ]*?(?:showroom|dealership|lot|shop|store|place))?)"
    r"(?: there| sir| madam| again| everyone| friend| and welcome| my friend| to you| folks| welcome)*)(?: |$)"
    r"|^(?P<thanks>(?:many )?(?:thank you|thanks)(?: very much| so much| a lot| kindly)?(?: for (?:that|telling me|your \w+|"
    r"the \w+|coming(?: in| by)?|stopping by|asking|waiting|sharing(?: that)?))?)(?: (?!to )|$)")
_NOT_THERE = re.compile(r"\b(?:no|without|lacks?|lacking|missing|not (?:have|come with|include|offer|got)) "
                        r"(?:(?:the|a|an|this|that|our|any|such|good|really|very) )*(?=FEATURE)")
_PRICED = re.compile(
    r"^(?:and |but |so |well |i (?:can|could|will|would) let )*(?:the |our |this |that |my )?(?:COLOUR |BRAND |TYPE |car |one )*"
    r"(?:\w+ )?(?:costs?|is|goes|go|going|sells|comes to|would cost|would be|will cost|priced|listed) (?:[a-z]+ )*?PRICE")
_ONE = re.compile(r"^(?:\w+ )?(?:the|this|that|our|these|my) (?:new )?(?:COLOUR )?(?:BRAND|TYPE)\b")
_BOASTS = re.compile(r"^(?:this|that|the|such an?) TYPE (?:[a-z]+ )*(?:has|comes|offers|is)\b")
_ASKS = re.compile(
    r"(?:and |so |but |okay |now |then )*(?:(?:what|which|who|where|how)(?: \w+)? (?:are|is|was|do|does|did|will|would|can|could|"
    r"may|should|about|brand|make|type|kind|sort|features?|extras)\b|(?:do|did|are|were|will|would|can|could|have|should) you\b|"
    r"(?:is|are) there\b|(?:does|is|will|would|should) (?:it|the car)\b)")
_ASKS_FEATURE = re.compile(
    r"^(?!.*\b(?:did i|have i|mention|love|see|seen|notice|feel|imagine|is not|are not)\b)(?:.*\b(?:you|your|need|want|fancy|any|"
    r"interest)\b|(?:and |so )*(?:would|should|is|are|does|what about|how about) |(?:the |a |an )?FEATURE$)")
# it refers to the features that were just named
_HAS_IT = re.compile(
    r"^(?:\w+ )*(?:has|have|got|with|does) (?:it|them|that|those|both|all|one|an? \w+ one)\b|^(?:well )?here (?:it is|they are|"
    r"you go)|\b(?:love|enjoy) (?:it|them)\b|^(?:the )?(?:best|great|excellent|superb|top|perfect)\b|^(?:check|yes|yep|included|"
    r"of course|sure|you got it|done|got it|it does)$")
LEAST = 3_000  # dollars; less is no price of a car
_JOINTS = frozenset("and but so then or plus while".split())


def kind_of(text: str) -> tuple[str, str] | None:
    """(kind, about) by the first of `RULES` that fits; ("", "") for what is certainly no act."""
    for kind, about, pattern in RULES:
        if pattern.search(text):
            return kind, about
    return None


class Nearest:
    """The phrasing nearest to a text, by the cosine of stems weighted by how rare they are."""

    def __init__(self, phrasings: Iterable[tuple[str, str]]):
        texts = [(kind, {stem(word) for word in text.split()}) for kind, text in phrasings]
        count = Counter(part for _, stems in texts for part in stems)
        self.weight = {part: math.log(1 + len(texts) / n) for part, n in count.items()}
        self._where = defaultdict(list)
        self._kinds = [kind for kind, _ in texts]
        for n, (_, stems) in enumerate(texts):
            norm = math.sqrt(sum(self.weight[part] ** 2 for part in stems))
            for part in stems:
                self._where[part].append((n, self.weight[part] / norm))

    def find(self, text: str, least: float = 0.6) -> str | None:
        stems = {stem(word) for word in text.split()}
        if len(stems) == 1:
            return None
        rare = max(self.weight.values()) / 2
        norm = math.sqrt(sum(self.weight.get(part, rare) ** 2 for part in stems)) or 1.0
        reached: dict[int, float] = defaultdict(float)
        for part in stems:
            for n, weight in self._where.get(part, ()):
                reached[n] += weight * self.weight[part] / norm
        best = max(reached, key=reached.get, default=None)
        return None if best is None or reached[best] < least else self._kinds[best]


def _text(items: list[tuple[str, object]]) -> str:
    return " ".join(word for word, _ in items if word not in CUT)


@functools.cache
def _phrasings() -> dict[str, tuple[str, str]]:
    """Clause text -> (kind, about) of the phrasings of the table."""
    out = {}
    for row in table("act_phrasings"):
        text = row["phrasing"]
        for slot, sample in SAMPLES.items():
            text = text.replace("{" + slot + "}", sample)
        clean = _text([item for item in items_of(text) if item[0] not in END])
        about = ""
        if row["act"] in ("ask_needs", "close"):
            about = next((about for kind, about, pattern in RULES if kind == row["act"] and about and pattern.search(clean)), "")
        out[clean] = row["act"], "chat" if row["act"] == "other" else about
    return out


SAMPLES = {"brand": "Kia", "type": "sedan", "colour": "red", "feature": "sunroof", "price": "47,500 dollars",
           "amount": "2,000 dollars", "percent": "5 percent"}


@functools.cache
def _nearest() -> Nearest:
    return Nearest((kind, text) for text, (kind, _) in _phrasings().items())


def _values(items: list) -> dict[str, list]:
    """Slot -> its values, in their order."""
    out = defaultdict(list)
    for slot, value in items:
        if value is not None:
            out[slot].append(value)
    return out


def _hundreds(dollars: float) -> int:
    return int(dollars // 100)


def _acts_of(items: list, kind: str, about: str) -> list[Act]:
    """The acts of one clause: its main kind, and what its slots say besides."""
    text, found = _text(items), _values(items)
    car = {"brand": (found["BRAND"] or [""])[0], "type": (found["TYPE"] or [""])[0], "colour": (found["COLOUR"] or [""])[0]}
    prices = [_hundreds(value) for value in found["PRICE"]]
    features = tuple(dict.fromkeys(found["FEATURE"]))
    if features and _NOT_THERE.search(text):
        features = ()
    if kind in ("praise", "present") and about:  # the feature was not named
        features = (*features, about) if about not in features else features
    price = [Act("price", price=prices[0])] if prices else []
    if kind == "ask_needs":
        return [Act(kind, **car, features=features, about="features" if features else about)]
    if kind == "ask_budget":
        return [Act(kind, price=prices[0] if prices else None)]
    if kind == "discount":
        percent = next(iter(found["PERCENT"]), None)
        percent = None if percent is None else int(percent) if percent == int(percent) else percent
        rest = [Act("price", price=prices[1])] if len(prices) > 1 and percent is None else price if percent is not None else []
        first = [Act("praise", features=features)] if features and items[0][0] == "FEATURE" else []
        if "PERCENT" in text[text.find("PRICE"):] and prices:  # the percentage is taken off the price
            first, rest = [*first, *rest], []
        return [*first, Act(kind, **car, amount=prices[0] if prices and percent is None else None, percent=percent), *rest]
    if kind == "close":
        return [*([Act("praise", features=features)] if features else []), *price, Act(kind, about=about)]
    if kind == "present":
        first = next((slot for slot, _ in items if slot in ("PRICE", "BRAND", "TYPE")), "")
        shown = Act(kind, **car, features=features)
        return [replace(price[0], brand=shown.brand, type=shown.type), shown] if price and first == "PRICE" else [shown, *price]
    if kind == "price":
        acts = [Act(kind, **car, price=prices[0]), *([Act("praise", features=features)] if features else [])]
        return acts if text.find("PRICE") < text.find("FEATURE") or car["brand"] else acts[::-1]
    if kind == "praise":
        return [*([Act(kind, features=features)] if features else []), *price]
    return [Act(kind, about=about)]


def _by_slots(text: str, found: dict, question: bool, shown: bool) -> str | None:
    """What a clause without a telling word is, by the slots in it."""
    slots = found["BRAND"] or found["TYPE"]
    if found["PERCENT"]:
        return "discount"
    if found["PRICE"]:
        if max(found["PRICE"]) < LEAST:
            return None
        return "present" if slots and not _PRICED.search(text) else "price"
    if (slots or found["FEATURE"]) and "BRAND TYPE" not in text:
        alone, choice = _SLOT_ONLY.fullmatch(text), " or " in f" {text} "
        if choice and (alone or question) or alone and question or "or something" in text:
            return "ask_needs"
    if found["FEATURE"] and (shown or not slots or not found["BRAND"] and _BOASTS.search(text)):
        return "ask_needs" if question and _ASKS_FEATURE.search(text) else "praise"
    if slots:
        asks = question and not (found["BRAND"] and found["TYPE"]) and not re.search(r"\b(?:this|that|our|the)\b", text)
        shows = found["BRAND"] and found["TYPE"] or _ONE.search(text) or _SLOT_ONLY.fullmatch(text)
        return "ask_needs" if asks else "present" if shows else None
    if found["COLOUR"] and re.search(r"COLOUR (?:one|car)", text):
        return "present"
    return None


def _read_clause(items: list, question: bool, shown: bool) -> list[Act]:
    """The acts of a clause; [] where there is none."""
    text = _text(items)
    if not text:
        return []
    question = question or bool(_ASKS.match(text))
    known = _phrasings().get(text)
    if known:
        return _acts_of(items, *known)
    if opening := OPENING.match(text):
        kind = opening.lastgroup
        rest = items[len(text[:opening.end(kind)].split()):]
        return [Act(kind), *_read_clause(rest, question, shown)]
    found, ruled = _values(items), kind_of(text + (" ?" if question else ""))
    if ruled:
        kind, about = ruled
        if not kind:
            return []
        needs = {"price": ("PRICE",), "discount": ("PRICE", "PERCENT")}.get(kind)
        if not needs or any(found[slot] for slot in needs):
            if kind == "present" and found["PRICE"] and _PRICED.search(text):
                kind = "price"
            if kind == "ask_needs" and "BRAND TYPE" in text and (found["PRICE"] or not question):
                kind = "present"
            if kind == "praise" and "BRAND TYPE" in text and not shown:
                kind = "present"
            return _acts_of(items, kind, about)
    kind = _by_slots(text, found, question, shown)
    if kind is None:
        kind = _nearest().find(text)
        if kind == "other":
            return [Act("other", about="chat")]
        if not (question and kind in ("ask_needs", "ask_budget", "close")):
            return []
    return _acts_of(items, kind, "")


_SLOT_ONLY = re.compile(
    r"(?:(?:and|or|the|a|an|with|also|in|of|even|as well as|both|too|as well|its|our|new|nice|FEATURE|BRAND|TYPE|COLOUR|plus|one|"
    r"from|car|it is COLOUR|all over|throughout|inside|everywhere|that sort of thing|that kind of thing|something like that|"
    r"for example|then) ?)+(?:(?:for|at) (?:only |just )?PRICE)?")


# what begins a clause after a slot where someone leaves out the commas
_STARTS = frozenset(tuple(pair.split()) for pair in (
    "do you|do we|it has|it costs|it comes|shall we|shall i|are you|are we|will you|would you|what is|how much|we sign|want it|"
    "want to|you sign|i can|i could|i take|i will|i give|this one|take it|what do").split("|"))


def _pieces(sentence: list) -> list[list]:
    """A sentence cut at commas, joints and `_STARTS`.

    A piece of bare slots stays with the one before it (or after it, if it is first).
    """
    pieces: list[list] = [[]]
    for item, after in zip(sentence, [*sentence[1:], ("", None)], strict=True):
        if item[0] in CUT and item[1] is None:
            pieces.append([])
        elif (item[0], after[0]) in _STARTS and _values(pieces[-1]) and pieces[-1][-1][0] not in ("if", "when", "that", "once"):
            pieces.append([item])
        elif item[0] in _JOINTS and item[1] is None:
            pieces.append([])
            if item[0] == "or":
                pieces[-1].append(item)
        else:
            pieces[-1].append(item)
    out: list[list] = []
    lead: list = []
    for piece in pieces:
        if not piece:
            continue
        if out and piece[0][0] == "or":
            out[-1] = out[-1] + piece
            continue
        if _SLOT_ONLY.fullmatch(_text(piece)) and not (_values(piece)["BRAND"] and _values(piece)["TYPE"]):
            if out:
                out[-1] = out[-1] + piece
            else:
                lead += piece
            continue
        out.append(lead + piece)
        lead = []
    return out + ([lead] if lead else [])


def _sentences(items: list) -> Iterable[tuple[list, bool]]:
    """(the items of a sentence, whether it ends in "?")."""
    sentence: list = []
    for item in [*items, (".", None)]:
        if item[0] in END and item[1] is None:
            if sentence:
                yield sentence, item[0] == "?"
            sentence = []
        else:
            sentence.append(item)


def _merged(acts: list[Act]) -> tuple[Act, ...]:
    """One question, greeting, thanks or close a text; neighbouring praises are one, and so are two mentions of one car."""
    out: list[Act] = []
    for act in acts:
        same = [i for i, earlier in enumerate(out) if earlier.kind == act.kind]
        if act.kind in ("greet", "thanks", "ask_budget", "close", "ask_needs") and (same := [i for i in same
                                                                                             if act.kind != "ask_needs"
                                                                                             or out[i].about == act.about]):
            i = same[0]
            old = out.pop(i) if act.kind == "close" else out[i]
            new = replace(old, brand=old.brand or act.brand, type=old.type or act.type, colour=old.colour or act.colour,
                          about=old.about or act.about,
                          features=tuple(dict.fromkeys(old.features + act.features)), price=act.price if old.price is None
                          else old.price)
            if act.kind == "close":
                out.append(new)
            else:
                out[i] = new
        elif act.kind in ("praise", "present") and out and out[-1].kind == act.kind and _one_car(out[-1], act):
            old = out[-1]
            out[-1] = replace(old, brand=old.brand or act.brand, type=old.type or act.type, colour=old.colour or act.colour,
                              features=tuple(dict.fromkeys(old.features + act.features)))
        elif act not in out:
            out.append(act)
    useful = [act for act in out if act.kind != "other"]
    return tuple(useful or out[:1])


def _one_car(a: Act, b: Act) -> bool:
    return all(not x or not y or x == y for x, y in ((a.brand, b.brand), (a.type, b.type), (a.colour, b.colour)))


@functools.lru_cache(maxsize=200_000)
def read(text: str) -> tuple[Act, ...]:
    """The acts of a seller's text in their order; `OTHER` where none is understood or the text plays the buyer."""
    if PLAYS_BUYER.search(text.lower().replace("’", "'")):
        return OTHER
    acts: list[Act] = []
    told: list[str] = []  # features of what was no act, or of a bare question: "Navigation?"
    bare = False
    for sentence, question in _sentences(items_of(text)):
        known = _phrasings().get(_text(sentence))
        shown = any(act.kind == "present" for act in acts)
        if known or OFFER.search(_text(sentence)):
            acts += _acts_of(sentence, *(known or ("close", "offer")))
            continue
        for piece in _pieces(sentence):
            clause, features = _text(piece), _values(piece)["FEATURE"]
            if told and not features and _HAS_IT.search(clause):
                if bare:
                    acts.pop()
                acts.append(Act("praise", features=tuple(told)))
                told, bare = [], False
                continue
            found = _read_clause(piece, question, shown)
            acts += found
            bare = question and bool(found) and _SLOT_ONLY.fullmatch(clause) is not None
            if bare or features and not found and not _NOT_THERE.search(clause):
                told = features
            elif found:
                told = []
            shown = shown or any(act.kind == "present" for act in acts)
    return _merged(acts) or OTHER
