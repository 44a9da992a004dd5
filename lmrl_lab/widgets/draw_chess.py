"""The chess board (python-chess draws it) with last move, check and a chosen piece; the position and the last moves in words.

All of it is read from the transcript. Pure functions to strings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import chess
import chess.svg

from lmrl_lab.env import TextEnv
from lmrl_lab.episode import Turn
from lmrl_lab.tasks.chess import read_fen
from lmrl_lab.widgets.draw import GROUND, RIM, WALL, label, quote, rect, svg

SIZE, CAPTION = 390, 30  # pixels: python-chess's board with its margin, and the line below it
LAST, CHECK, PICKED = "#1f5fbfa0", "#b3261e", "#7db3dc"
COLOURS = {"square light": "#f1e6d2", "square dark": "#bd9a70", "square light lastmove": "#dfe29a",
           "square dark lastmove": "#b3b35a", "margin": WALL, "coord": RIM, "inner border": WALL, "outer border": WALL}


def read_moves(turns: Sequence[Turn]) -> tuple[chess.Board, list[tuple[chess.Board, chess.Move]]]:
    """(the position now, the last White move and Black's answer to it, each with the position before it). ValueError where
    no position can be read."""
    now = _board(turns[-1])
    for k in range(len(turns) - 1 - (not turns[-1].is_action), 0, -2):
        before = _board(turns[k - 1])
        if before is None:
            break
        try:
            move = before.parse_san(turns[k].text.replace(" ", ""))
        except ValueError:  # an illegal move: the position and the last moves are those before it
            now = now or before
            continue
        after = before.copy(stack=False)
        after.push(move)
        now = now or after  # a record that ends with an action
        answer = next((reply for reply in after.legal_moves if _leads_to(after, reply, now)), None)
        return now, [(before, move), *[(after, answer)] * (answer is not None and not _same(after, now))]
    if now is None:
        raise ValueError("no position can be read from this text")
    return now, []


def _board(turn: Turn) -> chess.Board | None:
    try:
        return None if turn.is_action else chess.Board(read_fen(turn.text))
    except ValueError:
        return None


def _same(a: chess.Board, b: chess.Board) -> bool:
    return a.board_fen() == b.board_fen()


def _leads_to(board: chess.Board, move: chess.Move, goal: chess.Board) -> bool:
    board.push(move)
    found = _same(board, goal)
    board.pop()
    return found


# ------------------------------------------------------------------------------------------------------- in words

def moves_words(moves: Sequence[tuple[chess.Board, chess.Move]]) -> str:
    """ "3. Nf3 Nc6" """
    return f"{moves[0][0].fullmove_number}. " + " ".join(board.san(move) for board, move in moves) if moves else ""


def turn_words(board: chess.Board) -> str:
    """Who is to move, in check or not; or how the game ended."""
    side = "White" if board.turn else "Black"
    if board.is_checkmate():
        return f"{side} is mated"
    if board.is_stalemate():
        return f"{side} has no move: stalemate"
    return f"{side} to move" + ", in check" * board.is_check()


def summary(board: chess.Board, moves: Sequence[tuple[chess.Board, chess.Move]]) -> str:
    """ "3. Nf3 Nc6 – White to move" """
    return " – ".join(filter(None, (moves_words(moves), turn_words(board))))


def board_words(board: chess.Board, moves: Sequence[tuple[chess.Board, chess.Move]], picked: str = "") -> str:
    """The whole picture as sentences."""
    out = [f"Chess board, move {board.fullmove_number}. {turn_words(board)}."]
    if moves:
        out.append(f"Last moves: {moves_words(moves)}.")
    for side, name in ((chess.WHITE, "White"), (chess.BLACK, "Black")):
        pieces = []
        for kind in range(chess.KING, 0, -1):
            squares = [chess.square_name(square) for square in board.pieces(kind, side)]
            if squares:
                pieces.append(f"{chess.piece_name(kind)}{'s' * (len(squares) > 1)} {' '.join(squares)}")
        out.append(f"{name}: {', '.join(pieces)}.")
    if picked:
        out.append(f"Chosen: {picked}; it can go to {', '.join(map(chess.square_name, _targets(board, picked)))}.")
    return " ".join(out)


def _targets(board: chess.Board, picked: str) -> chess.SquareSet:
    return chess.SquareSet(move.to_square for move in board.legal_moves if chess.square_name(move.from_square) == picked)


def say(turns: Sequence[Turn]) -> str:
    """The last moves and who is to move: the FEN that agents read is in the transcript, and no pleasure to hear."""
    return quote(summary(*read_moves(turns)))


# ------------------------------------------------------------------------------------------------------- the board

def draw_board(board: chess.Board, moves: Sequence[tuple[chess.Board, chess.Move]] = (), picked: str = "") -> str:
    """Board, an arrow for the last move, a ring around a king in check, crosses where the chosen piece can go."""
    last = moves[-1][1] if moves else None
    arrows = [] if last is None else [chess.svg.Arrow(last.from_square, last.to_square, color=LAST)]
    if board.is_check():
        king = board.king(board.turn)
        arrows.append(chess.svg.Arrow(king, king, color=CHECK))  # python-chess's own glow is a gradient: lost in hidden cells
    drawn = chess.svg.board(board, colors=COLOURS, lastmove=last, arrows=arrows,
                            squares=_targets(board, picked) if picked else None,
                            fill={chess.parse_square(picked): PICKED} if picked else {})
    body = drawn[drawn.index(">") + 1:drawn.rindex("</svg>")]
    # without its own description, letters in a grid, and the old form of each link, whose prefix the opening tag declares
    body = re.sub(r'<desc>.*?</desc>| xlink:href="[^"]*"', "", body, flags=re.DOTALL)
    body += label(SIZE / 2, SIZE + CAPTION / 2, summary(board, moves), 14, weight="bold")
    ground = rect(0, 0, SIZE, SIZE + CAPTION, GROUND, 'rx="6"')
    return svg(SIZE, SIZE + CAPTION, board_words(board, moves, picked), ground + body)


def view(turns: Sequence[Turn], env: TextEnv | None, reveal: bool, picked: str = "") -> str:
    """The board after the last turn; nothing of chess is hidden. `picked`: the square of the piece that is to move."""
    return draw_board(*read_moves(turns), picked)
