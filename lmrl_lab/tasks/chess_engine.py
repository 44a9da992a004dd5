"""Who plays the other side: the built-in alpha-beta search, the exact endgame defender, a UCI engine in a process of its own.

A player has a `name`, `choose(board, moves, rng) -> Move` among the given legal moves (all of them; at least one) and
`close()`. What it draws comes from the generator that it is handed; it knows no rule of the tasks.
"""

from __future__ import annotations

import functools
import math
import os
import shutil
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

import chess
import numpy as np

from lmrl_lab.chat import SimulatorError
from lmrl_lab.env import unknown
from lmrl_lab.tasks import chess_tables

MATE = 100_000
NODES, LINES, TEMPERATURE = 10, 4, 300.0  # the default weak opponent: nodes a move, moves scored, centipawns
TIMEOUT = 20.0  # seconds for anything that an engine is asked


# ---------------------------------------------------------------------------------------------- built-in search

_WORTH = {chess.PAWN: 100, chess.KNIGHT: 320, chess.BISHOP: 330, chess.ROOK: 500, chess.QUEEN: 900, chess.KING: 0}


@functools.cache
def _values(late: bool) -> list[list[list[int]]]:
    """[colour][piece type][square]: centipawns. A piece is worth more near the centre, a pawn more further on, a king
    less in the centre until the queens are gone (`late`)."""
    table = [[[0] * 64 for _ in range(7)] for _ in range(2)]
    for square in chess.SQUARES:
        file, rank = square % 8, square // 8
        centre = 7 - (abs(2 * file - 7) + abs(2 * rank - 7)) // 2  # 0 in a corner to 6 in the middle
        extra = {chess.PAWN: (rank - 1) ** 2 * 2 + 5 * (2 < file < 5) * rank, chess.KNIGHT: 8 * centre,
                 chess.BISHOP: 5 * centre, chess.ROOK: 20 * (rank == 6), chess.QUEEN: 2 * centre,
                 chess.KING: 10 * centre if late else -10 * centre - 10 * rank}
        for piece, worth in _WORTH.items():
            table[chess.WHITE][piece][square] = worth + extra[piece]
            table[chess.BLACK][piece][square ^ 56] = worth + extra[piece]
    return table


def _gain(board: chess.Board, move: chess.Move, values: list) -> int:
    """What a move wins at once for the side to move, centipawns: placement, what is taken, what is then retaken."""
    us, piece, to = board.turn, board.piece_type_at(move.from_square), move.to_square
    mine = values[us][piece]
    taken = board.piece_type_at(to)
    if taken is None:
        if piece == chess.PAWN:
            if move.promotion:
                return values[us][move.promotion][to] - mine[move.from_square]
            if to == board.ep_square:
                return mine[to] - mine[move.from_square] + 100
        elif piece == chess.KING and abs(to - move.from_square) == 2:
            return mine[to] - mine[move.from_square] + 40  # castling: the rook comes out too
        return mine[to] - mine[move.from_square]
    gain = mine[to] - mine[move.from_square] + values[not us][taken][to]
    if move.promotion:
        gain += values[us][move.promotion][to] - mine[to]
    if piece != chess.KING and board.is_attacked_by(not us, to):
        gain -= _WORTH[move.promotion or piece]
    return gain


def _checking(board: chess.Board, moves: Sequence[chess.Move]) -> list[chess.Move]:
    """The moves that may give check, found without making them (castling, en passant and a few others pass for nothing)."""
    us, king = board.turn, board.king(not board.turn)
    straight, diagonal = _rays(board, king)
    reach = [0, chess.BB_PAWN_ATTACKS[not us][king], chess.BB_KNIGHT_ATTACKS[king], diagonal, straight, straight | diagonal, 0]
    own = board.occupied_co[us]
    hidden = (straight | diagonal) & own  # a piece that leaves one of these squares may uncover a check
    from_type = board.piece_type_at
    return [m for m in moves if chess.BB_SQUARES[m.to_square] & reach[m.promotion or from_type(m.from_square)]
            or chess.BB_SQUARES[m.from_square] & hidden]


def _rays(board: chess.Board, square: int) -> tuple[int, int]:
    """(squares that a rook, squares that a bishop on `square` would attack)."""
    occupied = board.occupied
    straight = (chess.BB_RANK_ATTACKS[square][chess.BB_RANK_MASKS[square] & occupied]
                | chess.BB_FILE_ATTACKS[square][chess.BB_FILE_MASKS[square] & occupied])
    return straight, chess.BB_DIAG_ATTACKS[square][chess.BB_DIAG_MASKS[square] & occupied]


class BuiltIn:
    """Alpha-beta over material and placement, `depth` half-moves deep; draws among moves within `margin` centipawns.

    At depth 1 it sees a mate in one and what it can take for nothing, and overlooks what it leaves hanging.
    """

    def __init__(self, depth: int = 1, margin: int = 15):
        if depth not in (1, 2, 3):
            raise ValueError(f"the built-in engine searches 1, 2 or 3 half-moves deep, not {depth!r}")
        self.depth, self.margin = depth, margin
        self.name = f"built-in, depth {depth}"

    def choose(self, board: chess.Board, moves: Sequence[chess.Move], rng: np.random.Generator) -> chess.Move:
        if len(moves) == 1:
            return moves[0]
        values = _values(not board.queens)
        if self.depth == 1:
            for move in _checking(board, moves):
                board.push(move)
                mate = board.is_checkmate()
                board.pop()
                if mate:
                    return move
            scores = [_gain(board, move, values) for move in moves]
        else:
            scores = self._search(board, moves, values)
        least = max(scores) - self.margin
        near = [move for move, score in zip(moves, scores) if score >= least]
        return near[int(rng.integers(len(near)))]

    def _search(self, board, moves, values) -> list[int]:
        """A score a move, exact within `margin` of the best and an upper bound below that."""
        gains = [_gain(board, move, values) for move in moves]
        scores, best = [-MATE] * len(moves), -10 * MATE
        for i in sorted(range(len(moves)), key=lambda i: -gains[i]):
            board.push(moves[i])
            scores[i] = -_negamax(board, self.depth - 1, -gains[i], -10 * MATE, -(best - self.margin - 1), values)
            board.pop()
            best = max(best, scores[i])
        return scores

    def close(self) -> None:
        """Nothing to close: the search runs in this process."""


def _negamax(board: chess.Board, depth: int, score: int, alpha: int, beta: int, values: list) -> int:
    """Value for the side to move; `score` is the evaluation so far, kept up to date move by move."""
    moves = list(board.generate_legal_moves())
    if not moves:
        return -MATE - depth if board.is_check() else 0  # a nearer mate counts more
    gains = [_gain(board, move, values) for move in moves]
    if depth == 1:
        return score + max(gains)
    best = -10 * MATE
    for i in sorted(range(len(moves)), key=lambda i: -gains[i]):
        board.push(moves[i])
        best = max(best, -_negamax(board, depth - 1, -score - gains[i], -beta, -alpha, values))
        board.pop()
        alpha = max(alpha, best)
        if alpha >= beta:
            break
    return best


class TablePlayer:
    """Plays a bare king's endgame perfectly, either side: White mates fastest, Black holds out longest or draws.

    Equally good moves are drawn from. In a position that the tables do not hold, `other` plays (`BuiltIn(2)`).
    """

    def __init__(self, other=None):
        self._other = other or BuiltIn(2)
        self.name = "exact tables" if other is None else f"{other.name}, and exact tables"

    def choose(self, board: chess.Board, moves: Sequence[chess.Move], rng: np.random.Generator) -> chess.Move:
        distances = chess_tables.distances_after(board, moves)
        if distances is None:
            return self._other.choose(board, moves, rng)
        wanted = min(distances) if board.turn else max(distances)
        best = [move for move, value in zip(moves, distances) if value == wanted]
        return best[int(rng.integers(len(best)))] if len(best) > 1 else best[0]

    def close(self) -> None:
        self._other.close()


class Noisy:
    """Another player, but each move is with probability `epsilon` drawn uniformly from the legal ones."""

    def __init__(self, player, epsilon: float):
        self._player, self.epsilon = player, epsilon
        self.name = f"{player.name}, {epsilon:.0%} random"

    def choose(self, board: chess.Board, moves: Sequence[chess.Move], rng: np.random.Generator) -> chess.Move:
        if rng.random() < self.epsilon:
            return moves[int(rng.integers(len(moves)))]
        return self._player.choose(board, moves, rng)

    def close(self) -> None:
        self._player.close()


# ---------------------------------------------------------------------------------------------- UCI engines

def find_stockfish() -> str | None:
    """Path of a Stockfish, also where Debian puts it (/usr/games is not on root's PATH); None if there is none."""
    return shutil.which("stockfish") or shutil.which("stockfish", path="/usr/games:/usr/local/bin:/opt/homebrew/bin")


NO_STOCKFISH = ("no Stockfish was found: install it (Debian, Ubuntu, Colab: apt-get install stockfish; macOS: brew install "
                "stockfish), give the path of a UCI engine, or use opponent='built-in'")


_THREAD = "chess engines"


@functools.lru_cache(maxsize=1)
def _loop(process: int):
    """One event loop for all engines, in a daemon thread: python-chess's own threads keep an interpreter from ending."""
    import asyncio
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name=_THREAD, daemon=True).start()
    return loop


def _wait(coroutine, seconds: float = TIMEOUT):
    """The coroutine's result, or TimeoutError after `seconds`."""
    import asyncio
    return asyncio.run_coroutine_threadsafe(asyncio.wait_for(coroutine, seconds), _loop(os.getpid())).result()


def _end(transport, process: int) -> None:
    """Kill an engine's process and wait until it is gone (an engine that hangs answers no `quit`)."""
    import asyncio
    if process != os.getpid():  # a forked copy of the owner: the engine is not its own
        return

    async def end():
        transport.close()
        while transport.get_returncode() is None:
            await asyncio.sleep(0.005)

    if threading.current_thread().name == _THREAD:  # collected while the loop itself was at work: it cannot wait for itself
        return transport.close()
    try:
        _wait(end(), 5)
    except (TimeoutError, RuntimeError):  # the loop is gone: the process was killed with the interpreter
        pass


class UciEngine:
    """A UCI engine, started when its first move is asked for and ended by `close()`, garbage collection or exit.

    By default weak and repeatable: it searches `nodes` nodes, scores its four best lines, and one is drawn with
    probability proportional to exp(centipawns / temperature) (0: the best). Each move is searched afresh, with one thread
    and an empty hash table, so it depends on the position and the generator only. `elo` uses UCI_LimitStrength and
    UCI_Elo instead, at 50 ms a move: NOT repeatable, the engine seeds itself from the clock and the time is real.

    Raises ValueError for a path that is no program or an `elo` the engine does not support, SimulatorError for an engine
    that crashes, does not answer within `timeout` seconds, or plays an illegal move.
    """

    def __init__(self, path: str | os.PathLike, nodes: int | None = None, elo: int | None = None,
                 temperature: float = TEMPERATURE, timeout: float = TIMEOUT):
        if shutil.which(path) is None:
            raise ValueError(f"'{path}' is no program that can be started: give the path of a UCI engine")
        if nodes is not None and elo is not None:
            raise ValueError("nodes and elo are two ways to weaken an engine: give one")
        if nodes is not None and (type(nodes) is not int or nodes < 1):
            raise ValueError(f"nodes is a number of positions a move, at least 1, not {nodes!r}")
        self.path, self.nodes, self.elo = str(path), None if elo is not None else nodes or NODES, elo
        self.temperature, self.timeout = temperature, timeout
        self.name = f"{Path(path).stem}, " + (f"Elo {elo}" if elo is not None else f"{self.nodes} nodes a move")
        self._protocol = self._finalizer = None

    def choose(self, board: chess.Board, moves: Sequence[chess.Move], rng: np.random.Generator) -> chess.Move:
        move = self._ask(lambda: self._choose(board.copy(stack=False), rng))
        if move not in moves:
            self.close()
            raise SimulatorError(f"the chess engine {self.path} answered {move} in {board.fen()}, which is not legal there: "
                                 "use another engine, or opponent='built-in'")
        return move

    def close(self) -> None:
        """End the process; the next move starts another."""
        if self._finalizer is not None:
            self._finalizer()
        self._protocol = self._finalizer = None

    def _ask(self, question):
        import chess.engine
        try:
            if self._protocol is None:
                self._start()
            return _wait(question(), self.timeout)
        except TimeoutError:
            problem = f"did not answer within {self.timeout:g} seconds"
        except (chess.engine.EngineError, OSError) as error:
            problem = f"failed ({str(error) or type(error).__name__})"
        except BaseException:  # a setting that it does not have, or Ctrl-C while it thinks: no half-answered engine is kept
            self.close()
            raise
        self.close()
        raise SimulatorError(f"the chess engine {self.path} {problem}: its process was ended; try again, use another engine, "
                             "or opponent='built-in'")

    def _start(self) -> None:
        import chess.engine

        async def start():
            transport, protocol = await chess.engine.UciProtocol.popen(self.path)
            self._finalizer = weakref.finalize(self, _end, transport, os.getpid())  # from here on nothing is left running
            await protocol.initialize()
            return protocol

        protocol = _wait(start(), self.timeout)
        options = protocol.options
        settings = {name: value for name, value in (("Threads", 1), ("Hash", 1)) if name in options}
        if self.elo is not None:
            if not {"UCI_LimitStrength", "UCI_Elo"} <= set(options):
                raise ValueError(f"the chess engine {self.path} has no UCI_Elo: leave elo out, and give nodes instead")
            low, high = options["UCI_Elo"].min, options["UCI_Elo"].max
            if type(self.elo) is not int or not low <= self.elo <= high:
                raise ValueError(f"the chess engine {self.path} plays at elo {low} to {high}, not {self.elo!r}")
            settings |= {"UCI_LimitStrength": True, "UCI_Elo": self.elo}
        _wait(protocol.configure(settings), self.timeout)
        self._protocol = protocol

    async def _choose(self, board: chess.Board, rng: np.random.Generator) -> chess.Move | None:
        import chess.engine
        if self.elo is not None:
            return (await self._protocol.play(board, chess.engine.Limit(time=0.05), game=object())).move
        lines = LINES if self.temperature and "MultiPV" in self._protocol.options else None
        analysis = await self._protocol.analysis(board, chess.engine.Limit(nodes=self.nodes), multipv=lines, game=object())
        best = (await analysis.wait()).move
        scored = {}  # a deeper line that was begun may name a move twice: its better place counts
        for info in analysis.multipv:
            if info.get("pv") and "score" in info:
                scored.setdefault(info["pv"][0], info["score"].relative.score(mate_score=MATE))
        if lines is None or len(scored) < 2:
            return best
        top = max(scored.values())
        weights = np.array([math.exp((value - top) / self.temperature) for value in scored.values()])
        return list(scored)[int(rng.choice(len(weights), p=weights / weights.sum()))]


# ---------------------------------------------------------------------------------------------- by name

OPPONENTS = ("auto", "built-in", "built-in-2", "built-in-3", "stockfish", "table")


def make_player(name: str, nodes: int | None = None, elo: int | None = None):
    """The player of a name: one of OPPONENTS, or the path of a UCI engine ("auto": Stockfish if found, else built-in).

    Raises ValueError for an unknown name, a Stockfish that is not there, and `nodes` or `elo` where no engine plays.
    """
    if name == "auto":
        name = "built-in" if find_stockfish() is None and nodes is None and elo is None else "stockfish"
    if name == "stockfish":
        path = find_stockfish()
        if path is None:
            raise ValueError(NO_STOCKFISH)
        return UciEngine(path, nodes, elo)
    if isinstance(name, os.PathLike) or isinstance(name, str) and os.sep in name:
        return UciEngine(name, nodes, elo)
    if name not in OPPONENTS:
        raise unknown("opponent", name, (*OPPONENTS, "the path of a UCI engine"))
    if nodes is not None or elo is not None:
        raise ValueError(f"nodes and elo are for UCI engines; the opponent is '{name}'")
    return TablePlayer() if name == "table" else BuiltIn(int(name[9:] or 1))
