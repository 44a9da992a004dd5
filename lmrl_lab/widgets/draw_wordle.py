"""Wordle's tiles and keyboard, read from the transcript: letter, sign and colour for each mark, and the same in words.

Pure functions to strings. The hidden word and the words left are only shown with `reveal`, or unfolded by the player.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from lmrl_lab.env import TextEnv
from lmrl_lab.episode import Turn
from lmrl_lab.tasks.wordle import MARKS, PATTERNS, TRIES, Vocabulary
from lmrl_lab.widgets.draw import FAINT, GROUND, LINE, MONO, card, label, quote, rect, svg
from lmrl_lab.widgets.moves import closed_up

# mark -> its words, and the fill, ink and edge of a tile
WORDS = {"g": "in place", "y": "elsewhere", "b": "absent"}
LOOKS = {"g": ("#2e7d4f", "#ffffff", "#1b5233"), "y": ("#f2c14e", "#1f2328", "#8a6410"), "b": ("#cfd4db", "#1f2328", "#9aa3ae"),
         "": ("#ffffff", "#1f2328", "#aeb5bf")}
TILE, GAP, LEFT, TOP, WIDTH = 42, 5, 46, 14, 352
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
KEY, KEY_HEIGHT = 28, 32


def read_guesses(turns: Sequence[Turn]) -> list[tuple[str, str]]:
    """(what was guessed, its marks) a try: ("house", "bybgb"), the marks "" where the game answered with an empty line."""
    out = []
    for action, answer in zip(turns[1::2], turns[2::2], strict=False):
        marks = answer.text.replace(" ", "").rstrip("\n")
        word = closed_up(action.text.strip())
        out.append((word, marks if len(word) == len(marks) == 5 and set(marks) <= set(MARKS) else ""))
    return out


def known_letters(guesses: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Letter -> the best mark that it has got: in place before elsewhere before absent."""
    known: dict[str, str] = {}
    for word, marks in guesses:
        for letter, mark in zip(word, marks, strict=False):
            known[letter] = max(mark, known.get(letter, "b"), key=MARKS.index)
    return known


def fitting_words(guesses: Sequence[tuple[str, str]], vocabulary: Vocabulary) -> list[np.ndarray]:
    """The numbers of the words that fit all answers so far, after each guess."""
    possible, out = np.arange(len(vocabulary.words)), []
    for word, marks in guesses:
        if marks and word in vocabulary.index:
            possible = vocabulary.fitting(possible, vocabulary.index[word], PATTERNS.index(marks))
        out.append(possible)
    return out


def _sign(mark: str, x: float, y: float, radius: float, ink: str) -> str:
    """A full disc, a ring or a cross: the mark without its colour."""
    if mark == "b":
        r = radius * 0.85
        return (f'<path d="M{x - r:g},{y - r:g} l{2 * r:g},{2 * r:g} m0,{-2 * r:g} l{-2 * r:g},{2 * r:g}" stroke="{ink}" '
                f'stroke-width="1.5"/>')
    inside = f'fill="{ink}"' if mark == "g" else f'fill="none" stroke="{ink}" stroke-width="1.6"'
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" {inside}/>'


def draw_tiles(guesses: Sequence[tuple[str, str]], left: Sequence[int] = (), word: str | None = None) -> str:
    """Six rows of tiles and a keyboard. `left`: how many words still fit after each guess; `word`: the hidden one."""
    parts = []
    for row in range(TRIES):
        y = TOP + row * (TILE + GAP)
        guess, marks = guesses[row] if row < len(guesses) else ("", "")
        parts.append(label(LEFT - 20, y + TILE / 2, str(row + 1), 12, "#57606a"))
        if row < len(guesses) and not marks:
            shown = guess if len(guess) <= 16 else guess[:15] + "…"
            width = 5 * TILE + 4 * GAP
            parts += [rect(LEFT, y, width, TILE, "#ffffff", 'rx="5" stroke="#aeb5bf" stroke-dasharray="4 3"'),
                      label(LEFT + width / 2, y + 14, shown or "(nothing)", 15),
                      label(LEFT + width / 2, y + 31, "not a word of this game", 11, "#57606a")]
        else:
            parts += [_tile(guess[k:k + 1], marks[k:k + 1], LEFT + k * (TILE + GAP), y) for k in range(5)]
        if row < len(left):
            parts.append(label(LEFT + 5 * (TILE + GAP) + 4, y + TILE / 2, _left(left[row]), 12, "#57606a", "start"))
    y = TOP + TRIES * (TILE + GAP) + 3
    if word is not None:
        parts.append(label(WIDTH / 2, y + 8, f"The word: {word.upper()}", 15, weight="bold"))
        y += 24
    known = known_letters(guesses)
    for k, keys in enumerate(KEYS):
        x = (WIDTH - len(keys) * (KEY + 3) + 3) / 2
        parts += [_key(letter, known.get(letter, ""), x + i * (KEY + 3), y + 4 + k * (KEY_HEIGHT + 4))
                  for i, letter in enumerate(keys)]
    y += 4 + 3 * (KEY_HEIGHT + 4) + 12
    for mark, x in zip("gyb", (46, 148, 256), strict=True):
        parts += [_sign(mark, x, y, 4.5, "#1f2328"), label(x + 11, y, f"{mark}: {WORDS[mark]}", 12, "#3d4757", "start")]
    height = y + 16
    return svg(WIDTH, height, tiles_words(guesses, left, word), rect(0, 0, WIDTH, height, GROUND, 'rx="6"') + "".join(parts))


def _left(n: int) -> str:
    return f"{n} word" + "s" * (n != 1)


def _tile(letter: str, mark: str, x: float, y: float) -> str:
    fill, ink, edge = LOOKS[mark]
    out = rect(x, y, TILE, TILE, fill, f'rx="5" stroke="{edge}" stroke-width="1.5"')
    if mark:
        out += label(x + TILE / 2, y + TILE / 2 - 3, letter.upper(), 22, ink, weight="bold")
        out += _sign(mark, x + TILE / 2, y + TILE - 8, 3.5, ink)
    return out


def _key(letter: str, mark: str, x: float, y: float) -> str:
    fill, ink, edge = LOOKS[mark]
    up = 4 if mark else 0
    return (rect(x, y, KEY, KEY_HEIGHT, fill, f'rx="4" stroke="{edge}"') +
            label(x + KEY / 2, y + KEY_HEIGHT / 2 - up, letter.upper(), 14, ink, weight="bold") +
            (_sign(mark, x + KEY / 2, y + KEY_HEIGHT - 7, 2.8, ink) if mark else ""))


# ------------------------------------------------------------------------------------------------------- in words

def marks_words(word: str, marks: str) -> str:
    """ "H absent, O elsewhere, U in place, ..." """
    return ", ".join(f"{letter.upper()} {WORDS[mark]}" for letter, mark in zip(word, marks, strict=True))


def tiles_words(guesses: Sequence[tuple[str, str]], left: Sequence[int] = (), word: str | None = None) -> str:
    """The whole picture as sentences."""
    out = [f"Wordle, {len(guesses)} of {TRIES} tries used."]
    for row, (guess, marks) in enumerate(guesses):
        said = marks_words(guess, marks) if marks else f"{guess[:20] or 'nothing'}, not a word of this game"
        out.append(f"Row {row + 1}: {said}{f'; {_left(left[row])} fit so far' if row < len(left) else ''}.")
    known = known_letters(guesses)
    for mark in "gyb":
        letters = sorted(letter.upper() for letter, best in known.items() if best == mark)
        if letters:
            out.append(f"Letters {WORDS[mark]}: {', '.join(letters)}.")
    if word is not None:
        out.append(f"The word is {word.upper()}.")
    return " ".join(out)


def say(turns: Sequence[Turn]) -> str:
    """The game's last answer, with the marks in words."""
    guesses = read_guesses(turns)
    if not guesses:
        return quote(turns[-1].text)
    word, marks = guesses[-1]
    return quote(turns[-1].text) + (f"<div>{escape(marks_words(word, marks))}.</div>" if marks else "")


# ------------------------------------------------------------------------------------------------------- the view

def view(turns: Sequence[Turn], env: TextEnv | None, reveal: bool) -> str:
    """Tiles; with `reveal` the hidden word and how many words fit, else the fitting words folded away. All but the hidden
    word and the vocabulary is read from the transcript, and without an env (a published game) these are left out."""
    guesses = read_guesses(turns)
    if env is None:
        return draw_tiles(guesses)
    vocabulary = env.vocabulary
    fitting = fitting_words(guesses, vocabulary)
    if reveal:
        return draw_tiles(guesses, [len(words) for words in fitting], env.word)
    possible = fitting[-1] if fitting else range(len(vocabulary.words))
    words = " ".join(vocabulary.words[i] for i in possible)
    return draw_tiles(guesses) + card(
        f'<details style="width:{WIDTH}px;max-width:100%"><summary style="cursor:pointer;color:{FAINT}">Which words still fit?'
        f'</summary><div tabindex="0" style="{MONO};font-size:12px;max-height:110px;overflow-y:auto;border:1px solid {LINE};'
        f'border-radius:4px;padding:4px 8px;margin-top:4px">{len(possible)} of {len(vocabulary.words)}: {words}</div></details>')
