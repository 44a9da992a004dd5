"""What a free text asks: tables of phrasings, word stems, and patience with typos. No task's words live here.

A text is first looked up as it stands (without case, accents and punctuation). Else it becomes a set of features (stems of
its words, the words themselves, and "with it", "on it", ...) and goes to the phrasing that shares most with it:

    likeness = shared / (shared + SPARE * (features of the phrasing alone) + (features of the text alone))

A feature counts the more, the fewer keys have it and the more of the key's phrasings do. Features of the text that another
phrasing of the same key has count by POOL. Where the likeness is small, or another key is as near, nothing is understood.
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import snowballstemmer
from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

# words that tell nothing about what is asked
EMPTY = frozenset("""
    a an the is it its are be been being was were do does did done can could would will shall should may might must
    this that these those there i im id you u ur youd we they he she me my your our us them their of to in on at as for
    by with and or if so than thing things object objects item items something anything one ones some any stuff kind
    kinds sort sorts type types whether please tell know what which who how when where why just like such also ever even
    then about typically usually normally generally often sometimes maybe perhaps possibly probably commonly mostly
    mainly primarily largely actually basically really exactly usual typical average normal ok okay hmm um well say
    think guess believe suppose wonder chance true possible considered classified counted count regarded belong belongs
    talking lets ask question first next""".split())
NEGATIONS = frozenset("""
    not no non never nor neither none without lack lacks lacking isnt arent aint doesnt dont didnt cant cannot couldnt
    wont wouldnt wasnt werent hasnt havent shouldnt""".split())
# words that mean the same, forms of a word that its ending does not tell, and words that mean the opposite of another
SAME = {word: same for same, several in {
    "big": "bigger large larger greater", "long": "longer", "metre": "meter meters metres", "colour": "color colors hue",
    "child": "children kid kids", "person": "people human humans man someone somebody anyone", "woman": "women lady ladies",
    "car": "automobile", "television": "tv telly", "jewelry": "jewellery jewelery", "garden": "yard backyard gardens", "two": "2",
    "three": "3", "four": "4", "ten": "10", "1000": "thousand grand", "dollar": "bucks buck", "internet": "web online",
    "gas": "gasoline petrol", "wood": "wooden", "have": "has had having got", "find": "found spot located", "wear": "worn wore",
    "eat": "ate eaten", "make": "made", "hold": "held", "keep": "kept", "drink": "drunk drank", "grow": "grew grown",
    "throw": "threw thrown", "ride": "rode ridden riding", "drive": "drove driven", "fly": "flew flown flies", "hang": "hung",
    "sit": "sat", "sleep": "slept asleep", "write": "wrote written", "blow": "blown", "build": "built", "foot": "feet",
    "tooth": "teeth", "leaf": "leaves"}.items() for word in several.split()}
ANTONYMS = {"smaller": "big", "tinier": "big", "shorter": "long", "less": "more", "fewer": "more", "lighter": "heavier",
            "cheaper": "more"}
AUXILIARY = "(?:is|are|was|were|do|does|did|can|could|would|will|has|have|should)"
NUMBER = r"(?:an? |one )?(?:\d|hundred|thousand|two|three|four|five|ten|grand|met(?:er|re)|yard|foot|mile|kilomet)"
REWRITTEN = tuple((re.compile(pattern), to) for pattern, to in (
    (r"^(?:(?:ok|okay|hmm|um|so|well|and|but|then|alright|hey|please|what about|how about) )+", ""),
    (r"\b(?:other than|anything but|everything but|free of|free from)\b", "not"),
    (r"\b(?:rather than|instead of|as opposed to)\b.*", ""),  # not asked for
    (r"\bc[oa]me across\b", "find"), (r"\bsmall enough\b", "not too big"),
    (rf"\b(?:under|below) (?={NUMBER})", "less than "), (rf"\b(?:over|above) (?={NUMBER})", "more than "),
    (r"\bthan (?:me|i|you|us|myself|yourself)\b", "than person"),
    # "Isn't it alive?" and "It is alive, isn't it?" ask whether it is alive; so does "Is it alive or not?"
    (rf"^(?:{AUXILIARY}nt|cant|wont) (?=(?:it|this|that|there|you|we|they|i|people|the|one)\b)", ""),
    (rf"(?<=\w) (?:{AUXILIARY}(?:nt)?|cant|wont) (?:it|they|you|there|we)(?: not)?$", ""),
    (r"(?<=\w) (?:right|correct|or not|or no|yes|no|then|huh|please)$", "")))
OTHER = ""  # the key of what no key asks for
ASKING = frozenset("what which who whose whom how when where why".split())
PLACES = frozenset("with on in into from at off up out inside through around over under to by".split())  # "write on it"
# Shares of a feature's weight, set on questions of people: a phrasing's own feature; one that another phrasing of the key has;
# a word that no phrasing has; a repaired word; the word itself beside its stem.
SPARE, POOL, UNKNOWN, REPAIRED, WHOLE_WORD = 0.5, 0.5, 0.85, 0.8, 0.4
ALONE = 0.65  # the least likeness of a text with one word that tells something
COMMON, LONGEST = 100, 500  # phrasings with a feature that is not looked up if there are rarer ones; letters of a question


def plain(text: str) -> str:
    """Lower case, no accents, no punctuation, one space between words: "Is it São Paulo?" -> "is it sao paulo"."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    bare = re.sub(r"(?<=\d),(?=\d\d\d)", "", text.lower().replace("'", "").replace("’", ""))
    return " ".join(re.sub(r"[^\w\s]|_", " ", bare).split())


def asked(text: str) -> str:
    """A plain text without what people say around a question."""
    for pattern, to in REWRITTEN:
        text = pattern.sub(to, text)
    return text


@dataclass(frozen=True)
class Found:
    """What a text asks. negated: yes to the question is no to the text. score: 1 for a phrasing as it stands."""

    key: str
    negated: bool
    score: float


class Phrases:
    """Phrasings by key; `find(text)` says which key a text asks for, or None.

    phrasings: key -> texts. opposites: key -> texts to which yes is no to the key's question. others: texts that ask for no key;
    what is nearest to one of them is not understood. near: the least likeness. apart: how much nearer the best key must be than
    the next.
    """

    def __init__(self, phrasings: Mapping[str, Sequence[str]], opposites: Mapping[str, Sequence[str]] | None = None,
                 near: float = 0.5, apart: float = 0.01, others: Sequence[str] = ()):
        self.near, self.apart = near, apart
        self._stem = functools.lru_cache(maxsize=50_000)(snowballstemmer.stemmer("english").stemWord)
        self._repair = functools.lru_cache(maxsize=50_000)(self._repair_uncached)
        self.find = functools.lru_cache(maxsize=200_000)(self._find)
        said = [(key, plain(text), turned) for turned, table in ((False, {**phrasings, OTHER: others}), (True, opposites or {}))
                for key, several in table.items() for text in several]
        self._exact = {text: Found(key, turned, 1.0) for key, text, turned in said}
        self._openers = {text.split()[0] for text, found in self._exact.items() if text and found.key != OTHER}
        self._words = sorted({word for text in self._exact for word in text.split() if len(word) > 4})
        self._in_key: dict[str, Counter] = defaultdict(Counter)  # feature -> key -> how many of its phrasings have it
        entries, size = {}, Counter(key for key, _, _ in said)
        for key, text, turned in said:
            features, negated = self._features(text)
            entries[key, turned != negated, tuple(features)] = None  # several texts may have the same features
            for feature in features:
                self._in_key[feature][key] += 1
        self._unknown = UNKNOWN * math.log(1 + len(size))
        self._weight = {feature: math.log(1 + len(size) / len(keys)) * (WHOLE_WORD if feature[0] == "=" else 1)
                        for feature, keys in self._in_key.items()}
        self._entries, self._postings = [], defaultdict(list)  # feature -> numbers of the entries that have it
        for n, (key, turned, features) in enumerate(entries):
            counts = {f: self._weight[f] * (1 + self._in_key[f][key] / size[key]) for f in features}
            self._entries.append(((key, turned), sum(counts.values()), counts))
            for feature in features:
                self._postings[feature].append(n)

    def _features(self, text: str, repair: bool = False) -> tuple[dict[str, float], bool]:
        """Features of a plain text with how sure they are (1, less for a repaired word), and whether the text is negated."""
        words, features, than, negations = asked(text).split(), {}, "", 0
        for word, after in zip(words, [*words[1:], "it"]):
            if word in PLACES and after == "it":
                features[f"{word} it"] = 1.0
            if word == "than":
                than = "than "  # "bigger than a car" is not about a car
            negations += word in NEGATIONS or word in ANTONYMS
            if word in EMPTY or word in NEGATIONS:
                continue
            word, sure = ANTONYMS.get(word, word), 1.0
            stem = than + self._stem(SAME.get(word, word))
            if repair and stem not in self._weight and (meant := self._repair(word)):
                sure, word, stem = REPAIRED, meant, than + self._stem(SAME.get(meant, meant))
            features[stem] = features["=" + word] = sure
        return features, negations % 2 == 1

    def _repair_uncached(self, word: str) -> str | None:
        """The known word that this one was meant to be, or None: one slip in six to eight letters, two in longer words."""
        if len(word) < 6:  # most short words are one slip from another: "robot" is no "root"
            return None
        near = process.extractOne(word, self._words, scorer=DamerauLevenshtein.distance, score_cutoff=1 if len(word) < 9 else 2)
        return near[0] if near and near[0][0] == word[0] else None

    def _find(self, text: str) -> Found | None:
        text = plain(text[:2 * LONGEST])
        if len(text) > LONGEST:
            return None
        if found := self._exact.get(text):
            return found if found.key != OTHER else None
        first = asked(text).partition(" ")[0]
        if first in ASKING and first not in self._openers:  # no phrasing asks for an answer of this sort
            return None
        found, features = self._nearest(text)
        return found if found and self._of_one_mind(asked(text).split(" or "), found, features) else None

    def _of_one_mind(self, parts: list[str], found: Found, features: Mapping[str, float]) -> bool:
        """Whether the parts of "X or Y" go together: "red or green?" and "bigger or smaller than a car?" have no answer."""
        if len(parts) == 1:
            return True
        read = [self._features(part) for part in parts]
        others = [other for part in parts if (other := self._nearest(part)[0]) and other.score > 0.75]
        return len({negated for _, negated in read}) == 1 and (
            all((other.key, other.negated) == (found.key, found.negated) for other in others)
            or all(features.keys() & own for own, _ in read))

    def _nearest(self, text: str) -> tuple[Found | None, Mapping[str, float]]:
        """What a plain text asks, and the features of the phrasing that is nearest to it."""
        features, negated = self._features(text, repair=True)
        told, total, pool = [], 0.0, defaultdict(float)  # told: (feature, how sure, what it counts in the text)
        for feature, sure in features.items():
            mass = self._weight.get(feature, 0.0 if feature[0] == "=" or feature.endswith(" it") else self._unknown)
            told.append((feature, sure, mass * sure))
            total += mass
            for key in self._in_key.get(feature, ()):
                pool[key] += mass * sure
        having = [self._postings.get(feature, ()) for feature in features]
        rare = [numbers for numbers in having if len(numbers) < COMMON]  # words that many phrasings have choose none
        best: dict[tuple[str, bool], tuple[float, int]] = {}
        for n in set().union(*(rare if any(rare) else having)):
            key, size, counts = self._entries[n]
            value = own = 0.0
            for feature, sure, mass in told:
                if feature in counts:
                    value += counts[feature] * sure
                    own += mass
            known = POOL * (pool[key[0]] - own) if key[0] != OTHER else 0.0
            likeness = (value + known) / (value + SPARE * (size - value) + total - own)
            if key not in best or likeness > best[key][0]:
                best[key] = likeness, n
        (key, (score, n)), *rest = sorted(best.items(), key=lambda item: -item[1][0])[:2] or [((OTHER, False), (0.0, 0))]
        stems = sum(feature[0] != "=" and not feature.endswith(" it") for feature in features)
        near = ALONE if stems == 1 else self.near  # one word must be nearly all of a phrasing
        if key[0] == OTHER or not stems or score < near or (rest and score - rest[0][1][0] < self.apart):
            return None, {}
        return Found(key[0], key[1] != negated, score), self._entries[n][2]
