"""What a seller's words are: word stems, sums of money, and the names of brands, types, colours and features in a text."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import defaultdict

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

from lmrl_lab.tasks.tables import rows


def table(name: str) -> list[dict[str, str]]:
    """The rows of assets/car_dealer_<name>.csv."""
    return rows(f"car_dealer_{name}")


FEATURES = {row["id"]: row["name"] for row in table("features")}

# ---------------------------------------------------------------------------------------------- words and sums

SHORT = dict(pair.split("=") for pair in (
    "i'm=i am|let's=let us|lets=let us|can't=can not|cannot=can not|won't=will not|shan't=shall not|ain't=is not|wanna=want to|"
    "gonna=going to|gotta=have to|lemme=let me|gimme=give me|u=you|ur=your|r=are|pls=please|plz=please|thx=thanks|ty=thanks|"
    "whats=what is|hows=how is|dont=do not|im=i am|ive=i have|youre=you are|gray=grey|wats=what is|wat=what|wich=which|"
    "thats=that is|theres=there is|heres=here is|its=it is|cant=can not|wont=will not|isnt=is not|doesnt=does not|"
    "didnt=did not|ill=i will|youll=you will|youd=you would|weve=we have|ya=you|yer=your|helo=hello|hallo=hello|hullo=hello|"
    "hiya=hello|heya=hello|gday=hello|sup=hello|yo=hello|mornin=morning|tysm=thank you so much|ta=thanks|thanx=thanks|"
    "tnx=thanks|ok=okay|alrighty=okay|wud=would|cud=could|shud=should|hav=have|luv=love|kinda=kind of|"
    "dollarz=dollars|prolly=probably|dunno=do not know|outta=out of|sry=sorry").split("|"))
ENDINGS = (("n't", " not"), ("'ll", " will"), ("'ve", " have"), ("'re", " are"), ("'d", " would"), ("'s", " is"))
_DIGITS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen""".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
UNITS = {word: n for n, word in enumerate(_DIGITS)} | {word: 10 * n for n, word in enumerate(_TENS, 2)} | {"fourty": 40}
SCALES = {"hundred": 100, "thousand": 1000, "thousands": 1000, "grand": 1000, "k": 1000, "thou": 1000, "large": 1000}
DOLLARS = frozenset("dollars dollar bucks usd $ € £ euros euro".split())
PERCENTS = frozenset("% percent percents pct".split())
BEFORE_SUM = frozenset("""minus for at about to is pay spend say below under ask asking want by around roughly take knock cut
    off only just exactly down up costs cost price be do accept maybe with say said it wants want need needs okay fine so then
    alright""".split())
AFTER_SUM = frozenset("""off less and or but if then today now all total sound sounds cheaper okay right deal flat it
    would even final for altogether tops max""".split())
# what a number may count besides dollars
COUNTED = frozenset("miles mile mi km kilometres kilometers mpg mph hp years year months weeks days hours people times".split())
MOST = 1e9  # dollars; more is read as this
_TOKEN = re.compile(r"\d[\d.,]*\d|\d|[a-z]+(?:'[a-z]+)?|[$€£%]|[.,!?;:\n]")


def words(text: str) -> list[str]:
    """Lower case, no accents, short forms written out: "I'll take $45k!" -> i will take $ 45 k !"""
    text = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    text = text.replace("’", "'").replace("—", ",").replace("–", ",")
    text = re.sub(r"\b(?:[a-z]\.){2,}", lambda found: found[0].replace(".", ""), text)
    text = re.sub(r"\b4 ?x ?4\b", "fourbyfour", text).replace("4wd", "awd").replace("per cent", "percent")
    text = re.sub(r"(?<=\w)-(?=\w)", " ", re.sub(r"(?<!\w)-+(?=\s)", ",", text))
    out: list[str] = []
    for token in _TOKEN.findall(text):
        if token in SHORT:
            out += SHORT[token].split()
        elif "'" in token:
            for ending, full in ENDINGS:
                if token.endswith(ending):
                    token = token[:-len(ending)] + full
                    break
            out += token.replace("'", "").split()
        else:
            out.append(token)
    return out


def stem(word: str) -> str:
    """The word without its commonest English ending: heated, heating, heats -> heat."""
    for ending in ("ing", "ed", "ly", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[:-len(ending)]
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def _number(token: str) -> float | None:
    """The value of digits: "47,500", "47.500" -> 47500; "47.5" -> 47.5."""
    if not token[0].isdigit():
        return None
    if re.fullmatch(r"\d{1,3}([.,]\d{3})+", token):
        return min(float(re.sub(r"[.,]", "", token)), MOST)
    return min(float(token.replace(",", ".")), MOST) if re.fullmatch(r"\d+([.,]\d+)?", token) else None


def _sum(tokens: list[str], i: int) -> tuple[str, float, int] | None:
    """(PRICE, PERCENT or NUMBER, its value in dollars or percent, index after it) of the sum that begins at token i."""
    start, money = i, tokens[i] in "$€£"
    i += money
    total = current = 0.0
    said, scaled, digits = 0, False, False
    while i < len(tokens):
        token = tokens[i]
        value = _number(token)
        after = tokens[i + 1] if i + 1 < len(tokens) else ""
        if value is not None and not (digits and not scaled):
            current, digits = current + value, True
        elif token in UNITS and not (current and UNITS[token] >= 10 and current < 100):
            current += UNITS[token]
        elif token in SCALES and (said or money):
            if token == "hundred":
                current = min((current or 1) * 100, MOST)
            else:
                total, current = total + (current or 1) * 1000, 0.0
            scaled = True
        elif token in ("a", "an", "one", "another") and after in SCALES and not said:
            current = 1.0
        elif token == "couple" and said == 0 and tokens[i + 1:i + 3] and tokens[min(i + 2, len(tokens) - 1)] in SCALES:
            current, i = 2.0, i + 1
        elif token == "and" and said and tokens[i + 1:i + 3] == ["a", "half"]:
            current, i = current + 0.5, i + 2
        elif not (token == "and" and scaled and (after in UNITS or (after[:1].isdigit() and tokens[i + 2:i + 3] != ["%"]
                                                                    and (_number(after) or 1e9) < 1000))):
            break
        said, i = said + 1, i + 1
    if not said:
        return None
    value, unit = min(total + current, MOST), tokens[i] if i < len(tokens) else ""
    if unit in PERCENTS:
        return "PERCENT", value, i + 1
    if unit in DOLLARS:
        return "PRICE", value, i + 1
    if unit in COUNTED:
        return "NUMBER", value, i
    if money or scaled and (digits or value >= 100) or value >= 2100 or value >= 1000 and "," in tokens[start]:
        return "PRICE", value, i
    if not digits and said == 1 and value < 10:  # "this one", "four seats"
        return None
    return "NUMBER", value, i


# ---------------------------------------------------------------------------------------------- slots

def _slot_phrases() -> dict[str, list[tuple[tuple[str, ...], str, str]]]:
    """First stem -> [(stems, slot, name)], longest first."""
    named = [("FEATURE", row["name"], [row["name"], *row["phrasings"].split(" | ")])
             for row in table("features")]
    named += [(row["kind"].upper(), row["name"], [row["name"], *row["phrasings"].split(" | ")]) for row in table("brands_types")]
    named += [("COLOUR", colour, [colour]) for colour in sorted({row["colour"] for row in table("stock")})]
    out = defaultdict(list)
    for slot, name, wordings in named:
        for wording in dict.fromkeys(tuple(stem(word) for word in words(text)) for text in wordings):
            out[wording[0]].append((wording, slot, name))
    return {first: sorted(found, key=lambda x: -len(x[0])) for first, found in out.items()}


_SLOTS = _slot_phrases()
SLOT_STEMS = frozenset(part for found in _SLOTS.values() for wording, _, _ in found for part in wording)


def _slot(stems: list[str], i: int) -> tuple[str, str, int] | None:
    for wording, slot, name in _SLOTS.get(stems[i], ()):
        if tuple(stems[i:i + len(wording)]) == wording:
            return slot, name, i + len(wording)
    return None


END, CUT = frozenset(".!?;\n"), frozenset((",", ":"))
EVERYDAY = frozenset("""while write trunk couple track trick block back range great safely greed feather hearing weather sliver
    struck price blue whole white coup sedate front hatch coat court count fort forty food trust tracks heard heater seals coupled
    sounds round ground found""".split())
# words other than a slot's that a slip of the pen may have meant
KEYWORDS = """accept afternoon agreed anything budget cheaper contract decision discount dollars features hello hundred looking
    maximum morning offer papers percent prefer price recommend reduce sign spend suggest thank thanks thousand welcome
    would""".split()


@functools.cache
def _common_words() -> frozenset[str]:
    lines = [row["line"] for row in table("buyer_lines")] + [row["phrasing"] for row in table("act_phrasings")]
    ruled = re.findall("[a-z]{4,}", " ".join(row["pattern"] for row in table("rules")))
    return frozenset((*EVERYDAY, *(word for line in lines for word in words(line)), *ruled, *SHORT, *UNITS, *SCALES, *DOLLARS,
                      *PERCENTS))


@functools.cache
def _meant() -> list[str]:
    """Words that a slip of the pen may have meant: those of slots, and `KEYWORDS`."""
    rows = [row["phrasings"] for row in table("features") + table("brands_types")]
    rows += [row["name"] for row in table("features") + table("brands_types")] + [row["colour"] for row in table("stock")]
    return sorted({word for row in rows for word in words(row) if len(word) >= 4 and word.isalpha()} | set(KEYWORDS))


@functools.cache
def _short_brands() -> frozenset[str]:
    """Brands' words that other words are too near to: of these only two letters may be swapped."""
    rows = [row for row in table("brands_types") if row["kind"] == "brand"]
    return frozenset(word for row in rows for word in words(f"{row['name']} {row['phrasings']}") if len(word) < 6)


@functools.lru_cache(maxsize=50_000)
def _repaired(word: str) -> str:
    """The word that an unknown one was meant to be: one slip in five to seven letters, two in longer ones; else itself."""
    if len(word) < 5 or not word.isalpha() or word in _common_words() or stem(word) in SLOT_STEMS:
        return word
    near = process.extractOne(word, _meant(), scorer=DamerauLevenshtein.distance, score_cutoff=1 if len(word) < 8 else 2)
    if not near or near[0][0] != word[0] or stem(near[0]) == stem(word):
        return word
    swapped = sorted(near[0]) == sorted(word)
    return near[0] if swapped or near[0] not in _short_brands() else word


def items_of(text: str) -> list[tuple[str, object]]:
    """A text as (word, None) and (SLOT, value)."""
    tokens = [_repaired(token) for token in words(text)]
    stems = [stem(token) for token in tokens]
    out, i = [], 0
    while i < len(tokens):
        token = tokens[i]
        if found := _slot(stems, i):
            slot, name, i = found
            if token == "fourbyfour" and name == "SUV":
                slot = "4X4"
            out.append((slot, name))
            continue
        if token[0].isdigit() or token in UNITS or token in "$€£" or token in ("a", "an", "one", "another", "couple"):
            if found := _sum(tokens, i):
                slot, value, after = found
                if slot == "NUMBER":
                    before = tokens[i - 1] if i else ","
                    behind = tokens[after] if after < len(tokens) else "."
                    likely = before in BEFORE_SUM or before in END or before in CUT
                    ends = behind in AFTER_SUM or behind in END or behind in CUT
                    meant = likely and ends and (3 <= value < 150 or value >= 1000 or before in ("minus", "by", "off"))
                    slot = "PRICE" if meant or behind in ("off", "less", "cheaper") else "number"
                    value = value * 1000 if value < 150 else value
                out.append((slot, value) if slot != "number" else (slot, None))
                i = after
                continue
        out.append((token, None))
        i += 1
    if any(slot == "4X4" for slot, _ in out):
        slot = ("FEATURE", "four-wheel drive") if any(slot == "TYPE" for slot, _ in out) else ("TYPE", "SUV")
        out = [slot if item[0] == "4X4" else item for item in out]
    return out
