"""How a person makes a move: what typed words stand for, what is asked before a mistake is played, which buttons there are.

One `Manners` a task, in `manners`; the controls are in `player`, the pictures in `draw`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MAX_BUTTONS = 40  # a larger set of legal actions is typed
# what a button does: play an action, or show the buttons of a group
Offers = dict[str, "str | dict[str, str]"]


def _one_a_button(legal: Sequence[str] | None, observation: str) -> Offers:
    return {action: action for action in legal} if legal is not None and len(legal) <= MAX_BUTTONS else {}


def _no_buttons(legal: Sequence[str] | None, observation: str) -> Offers:
    return {}


@dataclass(frozen=True)
class Manners:
    """read(typed, observation) -> the action that is meant; show(action) -> how a person is told of it; example: of what can
    be typed (else a legal action); mistake: what is said of an action that is not legal before it is played, which takes a
    second Enter ("" plays it at once); offers(legal actions, observation) -> the buttons; undo: moves can be taken back;
    position_only: scripted policies go by the last observation alone, so they need not be played over the whole game;
    engine: the env's `close()` only ends a process, which the next move starts again; sentences: what is typed is long.
    """

    read: Callable[[str, str], str] = lambda typed, observation: typed
    show: Callable[[str], str] = lambda action: action
    example: str = ""
    mistake: str = ""
    offers: Callable[[Sequence[str] | None, str], Offers] = _one_a_button
    undo: bool = False
    position_only: bool = False
    engine: bool = False
    sentences: bool = False


def closed_up(action: str) -> str:
    """ "h o u s e" -> "house"; a text that is not spelled with single spaces stays as it is."""
    return action[::2] if len(action) > 1 and set(action[1::2]) == {" "} else action


def spelled(text: str) -> str:
    """ "house" -> "h o u s e", as data and agents have it; a long text is no word and no move, and stays as it is."""
    return " ".join(text) if len(text) <= 20 else text


# ------------------------------------------------------------------------------------------------------- wordle

def _read_word(typed: str, observation: str) -> str:
    """ "House" or "H O U S E" -> "h o u s e"."""
    return spelled("".join(typed.split()).lower())


# ------------------------------------------------------------------------------------------------------- text-nav

def _read_command(typed: str, observation: str) -> str:
    """ "Take the bowl from the table" -> "take bowl from table", "west" -> "go west"."""
    words = [word for word in typed.lower().split() if word != "the"]
    return " ".join(["go"] * (len(words) == 1 and words[0] in ("east", "north", "south", "west")) + words)


# ------------------------------------------------------------------------------------------------------- chess

def _read_chess(typed: str, observation: str) -> str:
    """SAN in any spelling, or the two squares of a move, as spelled SAN: "nf3" or "g1f3" -> "N f 3"."""
    import chess

    from lmrl_lab.tasks.chess import read_fen
    board, text = chess.Board(read_fen(observation)), "".join(typed.split())
    for read, words in ((board.parse_san, text), (board.parse_uci, text.lower()),
                        (board.parse_san, text[:1].upper() + text[1:]), (board.parse_san, text.upper())):
        try:
            move = read(words)
        except ValueError:
            continue
        if move:  # "--" and "0000" are null moves
            return spelled(board.san(move))
    return spelled(text)


def _offer_chess(legal: Sequence[str] | None, observation: str) -> Offers:
    """A button for each piece that can move, named by its square, which opens a button for each of its moves."""
    import chess

    from lmrl_lab.tasks.chess import read_fen
    if not legal:  # the game is over
        return {}
    board = chess.Board(read_fen(observation))
    offers: Offers = {}
    for move in sorted(board.legal_moves, key=lambda move: (-board.piece_type_at(move.from_square), move.from_square)):
        piece = f"{board.piece_at(move.from_square).unicode_symbol()} {chess.square_name(move.from_square)}"
        offers.setdefault(piece, {})[board.san(move)] = spelled(board.san(move))
    return offers


# ------------------------------------------------------------------------------------------------------- dialogues

def _late(name: str) -> Callable:
    """A function of `moves_dialogue`, imported with the tasks' tables when a dialogue is first played."""
    return lambda *args: getattr(importlib.import_module("lmrl_lab.widgets.moves_dialogue"), name)(*args)


# ------------------------------------------------------------------------------------------------------- the tasks

PLAIN = Manners()
_TEXT_NAV = Manners(read=_read_command, example="go west", mistake="not possible here, and would use up a command")
_CHESS = Manners(read=_read_chess, show=closed_up, example="e4, Nf3 or g1f3", offers=_offer_chess, undo=True,
                 mistake="not a legal move here (or fits two pieces), and would cost 1", position_only=True, engine=True)
_ALL = {
    "wordle": Manners(read=_read_word, show=closed_up, example="house", offers=_no_buttons,
                      mistake="not a word of this game, and would cost a try"),
    "twenty-questions": Manners(read=_late("read_object"), example="Is it alive?  or: piano", undo=True,
                                offers=_late("offer_questions"), sentences=True),
    "guess-my-city": Manners(read=_late("read_city"), example="What is the food?  or: Paris", undo=True,
                             offers=_late("offer_kinds"), sentences=True),
    "car-dealer": Manners(example="What is your budget?", undo=True, offers=_late("offer_acts"),
                          sentences=True),
    "text-nav-fo": _TEXT_NAV, "text-nav-po": _TEXT_NAV, "chess": _CHESS, "chess-endgames": _CHESS,
}


def manners(task: str) -> Manners:
    """The manners of a task; a task without its own is played word for word."""
    return _ALL.get(task, PLAIN)
