"""Distance to mate for White's K+Q, K+R, K+Q+R and K+R+R against a bare king: exact, built once, kept in a file.

Retrograde analysis over whole NumPy arrays; no game is played here. Draws by repetition or by the fifty-move rule do not
enter: the distances are those of perfect play, which repeats nothing and needs 16 moves at most.
"""

from __future__ import annotations

import functools
import hashlib
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import chess
import numpy as np

from lmrl_lab.files import cache_dir, write_atomically

PIECE_SETS = ("Q", "R", "QR", "RR")
NOT_WON = 255
_ROOK, _BISHOP = ((1, 0), (-1, 0), (0, 1), (0, -1)), ((1, 1), (1, -1), (-1, 1), (-1, -1))
_DIRECTIONS = {"R": _ROOK, "Q": _ROOK + _BISHOP}
# the black king is turned and mirrored into these ten squares, everything else with it
_TRIANGLE = [chess.square(file, rank) for file in range(4) for rank in range(file + 1)]


def _symmetry(swap: bool, flip_file: bool, flip_rank: bool) -> list[int]:
    """Where each square goes under one of the board's eight symmetries."""
    out = []
    for square in chess.SQUARES:
        file, rank = square % 8, square // 8
        file, rank = 7 - file if flip_file else file, 7 - rank if flip_rank else rank
        out.append(chess.square(rank, file) if swap else chess.square(file, rank))
    return out


def _canonical() -> tuple[list[int], list[list[int]]]:
    """For each square of the black king: its number in the triangle, and the symmetry that takes it there."""
    symmetries = [_symmetry(s, f, r) for s in (False, True) for f in (False, True) for r in (False, True)]
    chosen = [next(p for p in symmetries if p[king] in _TRIANGLE) for king in chess.SQUARES]
    return [_TRIANGLE.index(p[king]) for king, p in enumerate(chosen)], chosen


_NUMBER, _TURN = _canonical()


def _ray(square: int, direction: tuple[int, int]) -> list[int]:
    """The squares from `square` to the edge, nearest first."""
    out, (file, rank) = [], (square % 8 + direction[0], square // 8 + direction[1])
    while 0 <= file < 8 and 0 <= rank < 8:
        out.append(chess.square(file, rank))
        file, rank = file + direction[0], rank + direction[1]
    return out


def _on(axis: int, square: int) -> tuple:
    """The index of the part of an array in which the piece of that axis stands on `square`."""
    return (slice(None),) * axis + (square,)


def _white_to_move_is_legal(pieces: str) -> tuple[np.ndarray, np.ndarray]:
    """(placements without overlap or touching kings, those where Black stands in check), both (10, 64, 64, ...) bool."""
    shape = (10,) + (64,) * (1 + len(pieces))
    valid, check = np.ones(shape, bool), np.zeros(shape, bool)
    for number, king in enumerate(_TRIANGLE):
        for square in (king, *chess.SquareSet(chess.BB_KING_ATTACKS[king])):
            valid[number, square] = False
        for axis, piece in enumerate(pieces, start=1):
            valid[number][_on(axis, king)] = False
            for direction in _DIRECTIONS[piece]:
                unblocked = np.ones((64,) * len(pieces), bool)  # over where the other white pieces stand
                for square in _ray(king, direction):
                    check[number][_on(axis, square)] |= unblocked
                    for other in range(len(pieces)):
                        unblocked[_on(other, square)] = False
    for square in chess.SQUARES:
        for first in range(1, len(shape)):
            for second in range(first + 1, len(shape)):
                valid[_on(second, square)][_on(first, square)] = False
    return valid, check


def _after_white(black: np.ndarray, pieces: str) -> np.ndarray:
    """The least of `black` that a white move reaches, for every placement; NOT_WON where there is no such move."""
    best = np.full_like(black, NOT_WON)
    for square in chess.SQUARES:
        for to in chess.SquareSet(chess.BB_KING_ATTACKS[square]):
            np.minimum(best[:, square], black[:, to], out=best[:, square])
    for axis, piece in enumerate(pieces, start=2):
        for direction in _DIRECTIONS[piece]:
            reach = np.full_like(black, NOT_WON)  # the least over the squares further along this ray
            for square in chess.SQUARES[::-1 if 8 * direction[1] + direction[0] > 0 else 1]:  # far ends first
                ahead = _ray(square, direction)[:1]
                if not ahead:
                    continue
                least = np.minimum(black[_on(axis, ahead[0])], reach[_on(axis, ahead[0])])
                if ahead[0] in _TRIANGLE:
                    least[_TRIANGLE.index(ahead[0])] = NOT_WON
                for other in range(1, least.ndim):  # another white piece stands in the way
                    least[_on(other, ahead[0])] = NOT_WON
                reach[_on(axis, square)] = least
            np.minimum(best, reach, out=best)
    return best


def _after_black(white: np.ndarray, smaller: Sequence[np.ndarray]) -> np.ndarray:
    """The greatest of `white` that a black move reaches; 0 where Black has none. `smaller[k]`: white's k-th piece is gone."""
    best = np.zeros_like(white)
    for number, king in enumerate(_TRIANGLE):
        for to in chess.SquareSet(chess.BB_KING_ATTACKS[king]):
            turned = np.array(_TURN[to])

            def look(table, to=to, turned=turned):
                return table[_NUMBER[to]][np.ix_(*[turned] * (table.ndim - 1))]

            value = look(white)
            for axis, table in enumerate(smaller, start=1):
                value[_on(axis, to)] = look(table)
            np.maximum(best[number], value, out=best[number])
    return best


def _build(pieces: str, smaller: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(white to move, black to move): White's moves to mate, (10, 64, 64, ...) uint8, NOT_WON where there is no mate.

    White-to-move placements that cannot be (Black in check) hold 0, so that Black's maximum passes over them.
    """
    valid, check = _white_to_move_is_legal(pieces)
    legal = valid & ~check
    white = np.where(legal, NOT_WON, 0).astype(np.uint8)
    while True:
        reply = _after_black(white, smaller)
        reply[(reply == 0) & ~check] = NOT_WON  # stalemate; with check it is mate, and 0 stands
        black = np.where(valid, reply, NOT_WON).astype(np.uint8)
        least = _after_white(black, pieces)
        new = np.where(legal, np.where(least == NOT_WON, NOT_WON, least + 1), 0).astype(np.uint8)
        if (new == white).all():
            return white, black
        white = new


def build() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """All four tables, made from the rules alone (a few seconds)."""
    bare = np.zeros((10, 64), np.uint8)  # Black took the last piece: legal, and never won, where the kings do not touch
    for number, king in enumerate(_TRIANGLE):
        bare[number] = [NOT_WON * (chess.square_distance(king, square) > 1) for square in chess.SQUARES]
    tables = {piece: _build(piece, [bare]) for piece in "QR"}
    for pair in ("QR", "RR"):  # without the first piece the second is left
        tables[pair] = _build(pair, [tables[pair[1]][0], tables[pair[0]][0]])
    return tables


# ---------------------------------------------------------------------------------------------- the file

def _path() -> Path:
    """In the folder of generated data; the name carries this module's hash, so that other code builds its own."""
    return cache_dir() / f"chess-tables-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]}.bin"


def _sizes() -> list[tuple[str, tuple[int, ...]]]:
    return [(pieces, (2, 10) + (64,) * (1 + len(pieces))) for pieces in PIECE_SETS]


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """The file's tables, None where it is missing, cut or changed: its first 32 bytes are the hash of the rest."""
    try:
        content = path.read_bytes()
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            raise ValueError("changed or cut")
        raw, out, begin = zlib.decompress(content[32:]), {}, 0
        for pieces, shape in _sizes():
            n = int(np.prod(shape))
            out[pieces] = np.frombuffer(raw, np.uint8, n, begin).reshape(shape)
            begin += n
        return out
    except FileNotFoundError:
        return None
    except (OSError, ValueError, zlib.error) as error:
        print(f"the cached endgame tables {path.name} cannot be used ({error}): making them again", file=sys.stderr)
        return None


@functools.lru_cache(maxsize=1)
def tables() -> dict[str, tuple[bytes, bytes]]:
    """piece set -> (white to move, black to move) as flat bytes; read from the cache, or built and kept there."""
    path = _path()
    arrays = _read(path)
    if arrays is None:
        arrays = {pieces: np.stack(pair) for pieces, pair in build().items()}
        packed = zlib.compress(b"".join(arrays[pieces].tobytes() for pieces, _ in _sizes()), 1)
        try:
            write_atomically(path, hashlib.sha256(packed).digest() + packed)
        except OSError as error:
            print(f"the endgame tables could not be cached ({error}); going on without", file=sys.stderr)
    return {pieces: (array[0].tobytes(), array[1].tobytes()) for pieces, array in arrays.items()}


# ---------------------------------------------------------------------------------------------- looking up

def pieces_of(board: chess.Board) -> str | None:
    """White's pieces beside the king as one of PIECE_SETS, None where the tables do not know the material."""
    if board.occupied_co[chess.BLACK] & ~board.kings or board.castling_rights:
        return None
    queens, rooks = board.queens.bit_count(), board.rooks.bit_count()
    if queens + rooks + 2 != board.occupied.bit_count():
        return None
    pieces = "Q" * queens + "R" * rooks
    return pieces if pieces in PIECE_SETS else None


def _squares(board: chess.Board) -> list[int]:
    """White's king, then the pieces in the order of the set's name."""
    white = board.occupied_co[chess.WHITE]
    return [(board.kings & white).bit_length() - 1, *chess.scan_forward(board.queens), *chess.scan_forward(board.rooks)]


def _look(pieces: str, side: int, king: int, squares: Sequence[int]) -> int:
    turn, index = _TURN[king], _NUMBER[king]
    for square in squares:
        index = index * 64 + turn[square]
    return tables()[pieces][side][index]


def distance(board: chess.Board) -> int | None:
    """White's moves to mate with best play (0: mated), NOT_WON where White cannot force it, None if not in the tables."""
    pieces = pieces_of(board)
    if pieces is None:
        return None
    return _look(pieces, 0 if board.turn else 1, board.king(chess.BLACK), _squares(board))


def distances_after(board: chess.Board, moves: Sequence[chess.Move]) -> list[int] | None:
    """`distance` after each of the legal `moves`, without making them; None if the position is not in the tables."""
    pieces = pieces_of(board)
    if pieces is None:
        return None
    squares, king = _squares(board), board.king(chess.BLACK)
    if board.turn:
        flat, turn, out = tables()[pieces][1], _TURN[king], []
        for move in moves:
            index = _NUMBER[king]
            for square in squares:
                index = index * 64 + turn[move.to_square if square == move.from_square else square]
            out.append(flat[index])
        return out
    out = []
    for move in moves:
        to = move.to_square
        if to not in squares:
            out.append(_look(pieces, 0, to, squares))
        else:  # a piece is taken: the rest, or nothing, goes on
            at = squares.index(to)
            left = pieces[:at - 1] + pieces[at:]
            out.append(_look(left, 0, to, squares[:at] + squares[at + 1:]) if left else NOT_WON)
    return out


def can_win(pieces: str, king: int, squares: Sequence[int]) -> bool:
    """Whether this is a legal position with White to move (black king; white king, pieces), and White can force mate."""
    return 0 < _look(pieces, 0, king, squares) < NOT_WON
