"""Chess and chess endgames, White to be played by the agent: rules, text, scripted policies, data, cards.

Task and rewards: LMRL Gym (arXiv 2311.18232). Who plays Black is in `chess_engine.py`, the endgames' exact distances to
mate are in `chess_tables.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import chess
import numpy as np

from lmrl_lab.env import References, TaskCard, TextEnv
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.policies import ScriptedPolicy, played, random_policy, row_generator
from lmrl_lab.tasks import chess_tables
from lmrl_lab.tasks.chess_engine import BuiltIn, Noisy, TablePlayer, UciEngine, find_stockfish, make_player

__all__ = ["CARDS", "ChessEnv", "read_fen", "references", "spell", "test_positions", "why_illegal"]

# 400 is LMRL Gym's cap. An endgame without an illegal move is over by move 100: the fifty-move rule counts, and one
# capture at most starts it anew.
MAX_MOVES = {"chess": 400, "chess-endgames": 100}
TEST_POSITIONS = 645
ILLEGAL = -1.0


def spell(text: str) -> str:
    """Every character apart, as LMRL Gym writes chess: "Nf3" -> "N f 3"; a space of the text becomes three."""
    return " ".join(text)


def read_fen(observation: str) -> str:
    """The FEN that an observation spells."""
    return observation.rstrip("\n")[::2]


class LegalMoves(Sequence):
    """The legal moves of a position as spelled SAN, listed when asked and written out one at a time.

    Listing them costs tens of microseconds and writing them all a millisecond: an agent that does not look pays neither.
    """

    def __init__(self, board: chess.Board):
        self._board = board.copy(stack=False)

    @functools.cached_property
    def moves(self) -> list[chess.Move]:
        return list(self._board.generate_legal_moves())

    def __len__(self) -> int:
        return len(self.moves)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [spell(self._board.san(move)) for move in self.moves[index]]
        return spell(self._board.san(self.moves[index]))

    def __contains__(self, action) -> bool:
        move = _parse(self._board, action) if isinstance(action, str) else None
        return move is not None and spell(self._board.san(move)) == action

    def __eq__(self, other) -> bool:
        return isinstance(other, LegalMoves) and self._board == other._board

    __hash__ = None

    def __repr__(self) -> str:
        return repr(tuple(self))


def _parse(board: chess.Board, action: str) -> chess.Move | None:
    """The legal move that a text names, None if there is none. Spaces mean nothing, and check marks may be left out."""
    try:
        return _read(board, action)
    except ValueError:
        return None


def _read(board: chess.Board, action: str) -> chess.Move | None:
    """As `_parse`, but python-chess's ValueErrors say why there is no such move."""
    return board.parse_san(action.replace(" ", "")) or None  # "--" would be a null move


KINDS = ("unreadable", "no such piece", "cannot go there", "into check", "ambiguous")


def why_illegal(board: chess.Board, action: str) -> str:
    """"legal", or what is wrong with a text as a move here, one of KINDS: it is not spelled as a move; no piece of that
    kind (on the file or rank it names); none that moves to that square; its own king would stand in check; two could go."""
    text = action.replace(" ", "")
    found = chess.SAN_REGEX.match(text)
    try:
        return "legal" if _read(board, action) else "unreadable"
    except chess.AmbiguousMoveError:
        return "ambiguous"
    except chess.IllegalMoveError:
        if found is None:  # castling
            return "cannot go there"
    except ValueError:
        return "unreadable"
    kind = chess.PIECE_SYMBOLS.index((found[1] or "p").lower())
    pieces = [square for square in board.pieces(kind, board.turn)
              if found[2] in (None, chess.square_name(square)[0]) and found[3] in (None, chess.square_name(square)[1])]
    if not pieces:
        return "no such piece"
    goal = chess.parse_square(found[4])
    reached = any(move.to_square == goal and move.from_square in pieces for move in board.pseudo_legal_moves)
    return "into check" if reached else "cannot go there"


class ChessEnv(TextEnv):
    """White's side of a game: 1 for giving mate, -1 for being mated, 0 for anything else that is legal.

    The observation is the FEN after Black's answer, spelled character by character; an action is SAN, spelled or not.
    A text that is no legal move costs 1, counts as a move and leaves the position as it was. Mate, stalemate,
    insufficient material, the third occurrence of a position and the fifty-move rule end the game; `max_moves` White
    moves cut it (400, endgames 100).

    opponent: "auto" (chess: Stockfish if it is found, else "built-in"; endgames: "table"), "table" (endgames: the longest
    defence), "built-in", "built-in-2", "built-in-3" (half-moves deep), "stockfish", or the path of a UCI engine; `nodes`
    and `elo` are the engine's (see `UciEngine`: the first repeatable, the second not). Option `fen`: the position to start
    from, legal, White to move, not over. Source: TASKS "Chess and Chess Endgames"; the rewards are LMRL Gym's.

    Raises ValueError for settings that do not exist, SimulatorError for an engine that fails.
    """

    option_names = ("fen",)

    def __init__(self, task: str, opponent: str | None = "auto", max_moves: int | None = None, nodes: int | None = None,
                 elo: int | None = None):
        self.task = task
        self.max_moves = MAX_MOVES[task] if max_moves is None else max_moves
        if type(self.max_moves) is not int or self.max_moves < 1:
            raise ValueError(f"max_moves is a number of White's moves, at least 1, not {max_moves!r}")
        if opponent in (None, "auto"):
            opponent = "table" if task == "chess-endgames" and nodes is None and elo is None else "auto"
        self._opponent = make_player(opponent, nodes, elo)
        self._board, self._seen, self._count, self._shown = chess.Board(), {}, 0, ""
        self.last_moves: tuple[chess.Move | None, chess.Move | None] = (None, None)

    @property
    def board(self) -> chess.Board:
        """The position (not a copy: to look at, not to move on)."""
        return self._board

    @property
    def opponent(self) -> str:
        """Who plays Black."""
        return self._opponent.name

    def close(self) -> None:
        """End the opponent's process, if it has one."""
        self._opponent.close()

    def _reset(self, options):
        if options.get("fen") is not None:
            self._board = _checked(options["fen"])
        else:
            self._board = chess.Board() if self.task == "chess" else random_endgame(self.np_random)
        self._seen, self._count, self.last_moves = {self._position(): 1}, 0, (None, None)
        return self._text(), self._info("you play White", LegalMoves(self._board))

    def _step(self, action):
        board = self._board
        move = _parse(board, action)
        self._count += 1
        if move is None:
            return (self._shown, ILLEGAL, False, self._count >= self.max_moves,
                    self._info(f"not a legal move: {action!r:.40}", LegalMoves(board), invalid=True))
        board.push(move)
        replies = list(board.generate_legal_moves())
        result, answer = self._ending(bool(replies)), None
        if result is None:
            try:
                answer = self._opponent.choose(board, replies, self.np_random)
            except BaseException:
                self._seen[self._position()] -= 1
                self._count -= 1
                board.pop()  # the engine failed or was interrupted: the move can be tried again
                raise
            board.push(answer)
            result = self._ending(any(board.generate_legal_moves()))
        self.last_moves = (move, answer)
        if result is not None:
            message, reward = result
            return self._text(), reward, True, False, self._info(message, (), success=reward > 0)
        return (self._text(), 0.0, False, self._count >= self.max_moves,
                self._info("Black has answered", LegalMoves(board)))

    def _text(self) -> str:
        self._shown = spell(self._board.fen()) + "\n"  # kept: an agent that errs sees it again and again
        return self._shown

    def _info(self, message: str, legal, invalid: bool = False, success: bool = False) -> dict:
        return {"legal_actions": legal, "invalid": invalid, "success": success, "message": message,
                "opponent": self._opponent.name}

    def _position(self) -> tuple:
        """What the repetition rule calls a position."""
        board = self._board
        return (board.turn, board.pawns, board.knights, board.bishops, board.rooks, board.queens, board.kings,
                board.occupied_co[True], board.castling_rights, board.ep_square if board.has_legal_en_passant() else None)

    def _ending(self, can_move: bool) -> tuple[str, float] | None:
        """(message, reward) if the move just made ended the game. Counted here: python-chess's claims replay the game."""
        board = self._board
        if not can_move:
            if not board.is_check():
                return "stalemate: a draw", 0.0
            return ("mate: you were mated", -1.0) if board.turn else ("mate: you won", 1.0)
        key = self._position()
        self._seen[key] = times = self._seen.get(key, 0) + 1
        if times >= 3:
            return "the same position for the third time: a draw", 0.0
        if board.halfmove_clock >= 100:
            return "fifty moves without a capture or a pawn's move: a draw", 0.0
        if not (board.pawns or board.rooks or board.queens) and board.is_insufficient_material():
            return "neither side can mate: a draw", 0.0
        return None


def _checked(fen) -> chess.Board:
    """A position to start from; ValueError with the reason if it cannot be."""
    if not isinstance(fen, str):
        raise ValueError(f"fen is a position in Forsyth-Edwards notation, not {fen!r:.80}")
    try:
        board = chess.Board(fen)
    except ValueError as error:
        raise ValueError(f"fen cannot be read ({error}): {fen!r:.100}") from None
    if not board.is_valid():
        problems = ", ".join(flag.name.lower().replace("_", " ") for flag in board.status())
        raise ValueError(f"fen is not a legal position ({problems}): {fen!r:.100}")
    if not board.turn:
        raise ValueError(f"fen must have White to move: {fen!r:.100}")
    if board.is_game_over() or board.halfmove_clock >= 100:
        raise ValueError(f"fen is a game that is over: {fen!r:.100}")
    return board


# ---------------------------------------------------------------------------------------------- endgame positions

def _placement(rng: np.random.Generator, pieces: str) -> chess.Board:
    """A uniform legal position of White's king and `pieces` against the bare king, White to move."""
    while True:
        king, *squares = rng.integers(64, size=2 + len(pieces)).tolist()
        if chess_tables.can_win(pieces, king, squares):
            break
    board = chess.Board(None)
    board.set_piece_at(king, chess.Piece(chess.KING, chess.BLACK))
    for symbol, square in zip("K" + pieces, squares):
        board.set_piece_at(square, chess.Piece.from_symbol(symbol))
    return board


def random_endgame(rng: np.random.Generator) -> chess.Board:
    """A piece set and then a position, both uniform; never one of the test positions."""
    while True:
        board = _placement(rng, chess_tables.PIECE_SETS[rng.integers(len(chess_tables.PIECE_SETS))])
        if board.board_fen() not in _test_boards():
            return board


@functools.lru_cache(maxsize=1)
def test_positions() -> tuple[str, ...]:
    """The 645 FENs of the test set, the four piece sets in turn; no data set has a game through one of them."""
    rng, out = np.random.default_rng(TEST_POSITIONS), {}
    while len(out) < TEST_POSITIONS:
        out[_placement(rng, chess_tables.PIECE_SETS[len(out) % len(chess_tables.PIECE_SETS)]).fen()] = None
    return tuple(out)


test_positions.__test__ = False  # pytest would take it for a test


@functools.lru_cache(maxsize=1)
def _test_boards() -> frozenset[str]:
    return frozenset(fen.split(" ")[0] for fen in test_positions())


def endgame_options(episodes: int, **_) -> list[dict]:
    """Every test position in turn."""
    return [{"fen": test_positions()[k % TEST_POSITIONS]} for k in range(episodes)]


# ---------------------------------------------------------------------------------------------- policies

class PlayerPolicy(ScriptedPolicy):
    """White by a player of `chess_engine.py`, from the observation alone; `draw(rng)` gives each game its player."""

    def __init__(self, name: str, draw):
        self.name, self._draw = name, draw

    def begin(self, rng):
        return self._draw(rng)

    def choose(self, rng, memory, observation, info):
        board = chess.Board(read_fen(observation))
        return spell(board.san(memory.choose(board, list(board.generate_legal_moves()), rng)))


def _mixed_player(task: str, rng: np.random.Generator):
    """The data's White. Endgames: perfect, but a share epsilon ~ U(0, 1) of the moves is random. Full games: the built-in
    engine, one or two half-moves deep, with epsilon ~ U(0, 0.5)."""
    if task == "chess-endgames":
        return Noisy(TablePlayer(), float(rng.random()))
    return Noisy(BuiltIn(2 if rng.random() < 0.3 else 1), float(rng.random()) / 2)


def behaviour_policy(task: str, **_) -> PlayerPolicy:
    """What plays White in the data."""
    return PlayerPolicy("behaviour", functools.partial(_mixed_player, task))


def best_policy(task: str, **_) -> PlayerPolicy:
    """Endgames: the exact tables. Full games: Stockfish at 2,000 nodes a move if it is found, else the built-in engine
    three half-moves deep, with the tables."""
    if task == "chess-endgames":
        player = TablePlayer()
    else:
        path = find_stockfish()
        player = TablePlayer(BuiltIn(3)) if path is None else UciEngine(path, 2_000, temperature=0)
    return PlayerPolicy(player.name, lambda rng: player)


# ---------------------------------------------------------------------------------------------- behaviour data

_DATA_OPPONENT = {"chess": "built-in", "chess-endgames": "table"}  # the same data wherever it is made


def behaviour_episodes(task: str, size: int, seed: int, opponent: str | None = None) -> Iterator[Episode]:
    """Games of `behaviour_policy` against `opponent` (chess: "built-in", endgames: "table", so that no engine is needed).

    No endgame comes through a test position.
    """
    opponent = _DATA_OPPONENT[task] if opponent is None else opponent
    env = ChessEnv(task, opponent)
    try:
        for k in range(size):
            for attempt in range(1_000):
                game_seed = int(np.random.SeedSequence([seed, k, attempt]).generate_state(1)[0])
                episode = _game(env, game_seed)
                if episode is not None:
                    break
            if opponent != "table":  # not what `make` builds by default, everywhere
                episode.info["keywords"] = {"opponent": opponent}
            yield episode
    finally:
        env.close()


def _game(env: ChessEnv, seed: int) -> Episode | None:
    """One game of the data, or None where it comes through a test position."""
    rng = row_generator(seed)
    player = _mixed_player(env.task, rng)
    text, info = env.reset(seed=seed)
    turns, terminated, truncated = [Turn(text, False)], False, False
    forbidden = _test_boards() if env.task == "chess-endgames" else ()
    while not (terminated or truncated):
        board = env.board
        action = spell(board.san(player.choose(board, info["legal_actions"].moves, rng)))
        text, reward, terminated, truncated, info = env.step(action)
        turns += [Turn(action, True, reward), Turn(text, False)]
        if not terminated and forbidden and board.board_fen() in forbidden:
            return None
    return Episode(env.task, turns, terminated, truncated, seed, "behaviour",
                   {"success": info["success"], "invalid": 0, "white": player.name, "opponent": env.opponent})


# ---------------------------------------------------------------------------------------------- what a tiny model reads

PIECES = "KQRBNPkqrbnp"
_SQUARES = tuple(f"{file} {rank}" for file in "abcdefgh" for rank in "12345678")
_ENDS = (*_SQUARES, *(f"= {piece}" for piece in "QRBN"), "O - O", "O - O - O", "+", "#")
# the last token of an action carries its end: no step is spent on saying that the move is over
SPELLING = (*"KQRBN", *_ENDS, *(end + "\n" for end in _ENDS), *"abcdefgh", *"12345678", "x", "\n")  # all that moves are made of
_RIGHTS = ("cK", "cQ", "ck", "cq", *(f"ep{file}{rank}" for rank in "36" for file in "abcdefgh"))


def _placed(pieces: str) -> tuple[str, ...]:
    return tuple(f"{piece}{square[0]}{square[2]}" for piece in pieces for square in _SQUARES)


def model_text(turns: Sequence[Turn]) -> list[str]:
    """Every piece with its square as one token, White's king first, then the castling rights that are left and the square
    for en passant: "Ke1 Rd4 Pg2 kh8 pa7 ck". Three or four tokens in an endgame, 36 at the start of a game, where a token a
    square takes 69 (measured: `results/chess_endgames_texts.csv`). Move counters are left out. Actions are spelled SAN."""
    return [spell(turn.text.replace(" ", "")) if turn.is_action else _pieces_text(turn.text) for turn in turns]


def _pieces_text(observation: str) -> str:
    fields = read_fen(observation).split(" ")
    if len(fields) != 6:
        return observation
    placement, _, castling, en_passant, _, _ = fields
    squares: dict[str, list[str]] = {}
    for rank, row in zip("87654321", placement.split("/")):
        column = 0
        for symbol in row:
            if symbol.isdigit():
                column += int(symbol)
            else:
                squares.setdefault(symbol, []).append(f"{symbol}{'abcdefgh'[column % 8]}{rank}")
                column += 1
    rights = [*(f"c{side}" for side in castling if side != "-"), *([f"ep{en_passant}"] if en_passant != "-" else [])]
    return " ".join([*(text for symbol in PIECES for text in squares.get(symbol, ())), *rights]) or observation


# ---------------------------------------------------------------------------------------------- cards

def references(task: str, opponent: str, games: int = 2_000, best_games: int = 200) -> References:
    """What the cards hold, measured: `games` games of the data (seed 0) and `best_games` of the best policy, both against
    `opponent`. The minimum is an illegal move at every turn."""
    data = [episode.total_return for episode in behaviour_episodes(task, games, 0, opponent)]
    policy, env = best_policy(task), ChessEnv(task, opponent)
    try:
        best = [played(policy, env, seed).total_return for seed in range(best_games)]
    finally:
        env.close()
    errors = (float(np.std(returns, ddof=1) / len(returns)**0.5) for returns in (data, best))
    return References(-float(MAX_MOVES[task]), float(np.mean(data)), float(np.mean(best)), (0.0, *errors),
                      _command(task, opponent, *(() if (games, best_games) == (2_000, 200) else (games, best_games))))


def _command(*arguments) -> str:
    return f"lmrl_lab.tasks.chess.references({', '.join(map(repr, arguments))})"


def _card(task: str, **fields) -> TaskCard:
    return TaskCard(id=task, env=functools.partial(ChessEnv, task), behaviour=functools.partial(behaviour_episodes, task),
                    policies={"random": random_policy, "behaviour": functools.partial(behaviour_policy, task),
                              "best": functools.partial(best_policy, task)},
                    max_actions=MAX_MOVES[task], keep="success", context="turn", model_text=model_text, **fields)


# one wide layer with many heads: two of width 64 say half again as many illegal moves after as much CPU time
_NETWORK = {"layers": 1, "width": 128, "heads": 8}


def _settings(batch_size: int, gamma: float, games: int, ppo: dict, online: dict) -> dict[str, dict]:
    """Rewards are about 1, and so is the scale. Moves differ by hundredths in value, hence the large beta; a low gamma sets
    quick mates apart from slow ones. With little CQL beta lifts illegal tokens, whose values nothing holds down; with much,
    Q becomes a second, worse clone.

    PPO is told one thing more on whole games, where a return is minus some hundred fines: a scale at which V's gradient does
    not drown the policy's, and a price of leaving the clone in that scale. (No discount, either; `chess_ppo` of
    `lmrl_lab.results` finds that .99 does as well.)"""
    clone = {"steps": 2_500, "batch_size": batch_size, "learning_rate": 5e-3}
    values = {"steps": 800, "batch_size": batch_size, "learning_rate": 2e-3, "gamma": gamma, "beta": 8.0, "cql": 0.03,
              "reward_scale": 1.0}
    return {"bc": clone, "filtered_bc": clone, "mc": values, "ilql": {**values, "tau": 0.9},
            "ppo": {"episodes_per_update": games, "reward_scale": 1.0, **ppo},
            "online_filtered_bc": {"updates": 20, "episodes_per_update": games, "learning_rate": 3e-4, **online}}


# the default opponent depends on what is installed, and the card's references go with it
_AGAINST = {
    "built-in": References(-400.0, -0.184, 0.995, (0.0, 0.020, 0.005), _command("chess", "built-in")),
    "stockfish": References(-400.0, -0.942, 1.0, (0.0, 0.013, 0.0), _command("chess", "stockfish", 500, 100)),
}
CARDS = {
    "chess": _card(
        "chess", title="Chess", summary="play White against an engine",
        capability="strategy over a long game, and legality: few texts are a legal move",
        vocabulary=(*_placed(PIECES), *_RIGHTS, *SPELLING), turn_tokens=37 + 64,  # an untrained model's action may have 64
        network=_NETWORK, data_size=3_000, side_by_side=16, evaluation_episodes=64,
        settings=_settings(256, 0.98, 16, {
            "updates": 40, "num_ppo_epochs": 2, "micro_batch_size": 4, "gamma": 1.0, "reward_scale": 0.02,
            "kl_coef": 0.001}, {"keep": 0.3}),
        references=_AGAINST["built-in" if find_stockfish() is None else "stockfish"],
        other_references={(("opponent", name),): of for name, of in _AGAINST.items()},
        paper={"BC": -22.3, "filtered BC": -56.5, "MC": -28.2, "ILQL": -21.4, "PPO": -16.0, "online filtered BC": -22.3,
               "GPT-4": -81.3}),
    "chess-endgames": _card(
        "chess-endgames", title="Chess endgames", summary="mate a bare king with queen or rook, alone or together",
        capability="credit: one reward at the end of up to fifty moves, and some moves throw it away",
        vocabulary=(*_placed("KQRk"), *SPELLING), turn_tokens=4 + 64,
        network=_NETWORK, settings=_settings(512, 0.95, 128, {"gamma": 0.99, "learning_rate": 1e-4}, {}), data_size=30_000,
        clone="filtered_bc",  # the clone of all games mates in 7 of 100
        references=References(-100.0, 0.475, 1.0, (0.0, 0.011, 0.0), _command("chess-endgames", "table")),
        evaluation_options=endgame_options, evaluation_episodes=TEST_POSITIONS,
        paper={"BC": 0.112, "filtered BC": -0.439, "MC": 0.588, "ILQL": 0.452, "PPO": 0.814, "online filtered BC": 0.112,
               "GPT-4": -22.87}),
}
