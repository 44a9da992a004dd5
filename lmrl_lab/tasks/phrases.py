"""What a free text asks: tables of phrasings, word stems, and patience with typos. No task's words live here.

A text is first looked up as it stands (without case, accents and punctuation). Else its words are stemmed, words that no
phrasing has are replaced by the nearest one that a phrasing has, and the text goes to the key whose phrasing is nearest by
the cosine of their rare words, if it is near enough and nearer than any other key.
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
EMPTY = frozenset("""a an the is it its it's are be been being was were do does did done can could would will shall should may might
    must this that these those there thing object item something anything one ones some any i you we they he she me my your our us
    them their of to in on at as for by with and or if so please tell know what which who how when where why just like kind sort type
    typically usually normally generally often sometimes maybe really ok okay hmm um well then than about""".split())
NEGATIONS = frozenset("not no never nor without isnt arent doesnt dont cant cannot wont wouldnt wasnt didnt couldnt".split())


def plain(text: str) -> str:
    """Lower case, no accents, no punctuation, one space between words: "Is it São Paulo?" -> "is it sao paulo"."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).lower()
    return " ".join(re.sub(r"[^\w\s]", " ", bare.replace("'", "").replace("’", "")).replace("_", " ").split())


@dataclass(frozen=True)
class Found:
    """What a text asks. negated: yes to the question is no to the text. score: 1 for a phrasing as it stands."""

    key: str
    negated: bool
    score: float


class Phrases:
    """Phrasings by key; `find(text)` says which key a text asks for, or None.

    phrasings: key -> texts. opposites: key -> texts to which yes is no to the key's question. near: the least cosine; apart: how much nearer the best key must be than the next.
    """

    def __init__(self, phrasings: Mapping[str, Sequence[str]], opposites: Mapping[str, Sequence[str]] | None = None,
                 near: float = 0.4, apart: float = 0.0, empty: frozenset[str] = EMPTY):
        self.near, self.apart, self._empty = near, apart, empty
        self._stem = functools.lru_cache(maxsize=None)(snowballstemmer.stemmer("english").stemWord)
        said = [(key, text, turned) for turned, table in ((False, phrasings), (True, opposites or {}))
                for key, several in table.items() for text in several]
        self._exact = {plain(text): Found(key, turned, 1.0) for key, text, turned in said}
        texts = []  # (key, stems, whether a text with as many negations asks for the opposite)
        for key, text, turned in said:
            stems, negated = self._stems(plain(text))
            texts.append((key, stems, turned != negated))
        count = Counter(stem for _, stems, _ in texts for stem in set(stems))
        self._weight = {stem: math.log(1 + len(texts) / n) for stem, n in count.items()}
        self._keys, self._postings = [(key, turned) for key, _, turned in texts], defaultdict(list)
        for n, (_, stems, _) in enumerate(texts):
            vector = self._vector(stems)
            for stem, weight in vector.items():
                self._postings[stem].append((n, weight))
        self._known = list(self._weight)
        self._repair = functools.lru_cache(maxsize=50_000)(self._repair_uncached)
        self.find = functools.lru_cache(maxsize=200_000)(self._find)

    def _stems(self, text: str) -> tuple[list[str], bool]:
        words = text.split()
        return ([self._stem(word) for word in words if word not in self._empty and word not in NEGATIONS],
                sum(word in NEGATIONS for word in words) % 2 == 1)

    def _repair_uncached(self, stem: str) -> str | None:
        """The known stem that this one was meant to be, or None: one slip in four to six letters, two in longer words."""
        if len(stem) < 4:
            return None
        slips = 1 if len(stem) < 7 else 2
        near = process.extractOne(stem, self._known, scorer=DamerauLevenshtein.distance, score_cutoff=slips)
        return near[0] if near and near[0][0] == stem[0] else None

    def _vector(self, stems: Sequence[str]) -> dict[str, float]:
        vector = {stem: self._weight[stem] for stem in stems}
        norm = math.sqrt(sum(weight**2 for weight in vector.values())) or 1.0
        return {stem: weight / norm for stem, weight in vector.items()}

    def _find(self, text: str) -> Found | None:
        text = plain(text)
        return self._exact.get(text) or self._nearest(text)

    def _nearest(self, text: str) -> Found | None:
        stems, negated = self._stems(text)
        known = [found for stem in stems if (found := stem if stem in self._weight else self._repair(stem)) is not None]
        if not known:
            return None
        # a word that nobody knows makes the text less certain, by the weight of a rare word
        unknown = (len(stems) - len(known)) * max(self._weight.values()) / 2
        scores: dict[str, float] = {}
        reached = defaultdict(float)
        vector = {stem: self._weight[stem] for stem in known}
        norm = math.sqrt(sum(weight**2 for weight in vector.values()) + unknown**2)
        for stem, weight in vector.items():
            for n, other in self._postings[stem]:
                reached[n] += weight * other / norm
        for n, score in reached.items():
            key = self._keys[n]
            scores[key] = max(scores.get(key, 0.0), score)
        if not scores:
            return None
        (best, score), *rest = sorted(scores.items(), key=lambda item: -item[1])[:2]
        if score < self.near or (rest and score - rest[0][1] < self.apart):
            return None
        key, turned = best
        return Found(key, turned != negated, score)
