"""Twenty Questions and Guess My City as a chat: how the oracle understood each question, and what was hidden.

Pure functions to strings. Without an env (a published game) nothing is claimed about what its oracle understood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lmrl_lab.episode import Turn
from lmrl_lab.tasks.guessing import QUESTIONS, WHAT, YES, GuessingEnv, Oracle
from lmrl_lab.tasks.phrases import plain
from lmrl_lab.tasks.tables import rows
from lmrl_lab.widgets.draw import Note, draw_chat, draw_facts, hidden_words


def understood(oracle: Oracle, text: str) -> str:
    """What the oracle took a question for, "" where that is the question itself or nothing."""
    found = oracle.read(text)
    if found is None or plain(oracle.actions[found[0]]) == plain(text):
        return ""
    turned = "the opposite of: " if found[1] != oracle.answers[found[0]] else ""
    return f"understood as: {turned}{oracle.actions[found[0]]}"


def notes(turns: Sequence[Turn], oracle: Oracle | None) -> dict[int, Note]:
    """Index of a question -> what stands beneath it. `oracle`: who answered, if it is known."""
    out = {}
    for i in range(1, len(turns), 2):
        if i + 1 < len(turns) and turns[i + 1].text.strip() == WHAT:
            out[i] = Note("not understood, and it cost a question", failed=True)
        elif oracle is not None and (words := understood(oracle, turns[i].text)):
            out[i] = Note(words)
    return out


def hidden_facts(env: GuessingEnv) -> str:
    """The thing that was hidden, and what the table says of it."""
    oracle, n = env.oracle, env.oracle.things.index(env.hidden)
    facts = {"also called": ", ".join(oracle.names[n][1:])} if len(oracle.names[n]) > 1 else {}
    answers = [row[n] for row in oracle.answers[:len(oracle.questions)]]
    if oracle.kind == "city":
        kinds = [row["kind"].replace("_", " ") for row in rows("guess_my_city_kinds")]
        facts |= dict(zip(kinds, answers, strict=True))
    else:
        facts["category"] = rows("twenty_questions_facts")[n]["category"]
        true = [question for question, answer in zip(oracle.questions, answers, strict=True) if answer == YES]
        facts["yes to"] = " · ".join(true)
    return draw_facts(f"The {oracle.kind}: {env.hidden}", facts)


def view(turns: Sequence[Turn], env: GuessingEnv | None, reveal: bool, player: str | Sequence[str] = "You",
         hidden: Mapping[str, str] | None = None) -> str:
    """The chat; with `reveal` what was hidden, from the env or from a published record."""
    oracle = env.oracle if env is not None and env.simulator is None else None  # a language model understands as it likes
    chat = draw_chat(turns, player, "Oracle", notes(turns, oracle), f"question {{}} of {QUESTIONS}")
    if not reveal or env is None and not hidden:
        return chat
    return chat + (hidden_facts(env) if env is not None else draw_facts("What was hidden", hidden))


def say(turns: Sequence[Turn]) -> str:
    """The oracle's last answer, for screen readers: the chat shows it."""
    return hidden_words(f"Oracle: {turns[-1].text.strip()}")
