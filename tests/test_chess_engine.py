"""Who plays Black: the built-in search, UCI engines that behave and that do not, and no process left behind."""

import gc
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import chess
import numpy as np
import pytest

import lmrl_lab as lab
from lmrl_lab.simulators import SimulatorError
from lmrl_lab.tasks import chess_engine as e
from lmrl_lab.tasks.chess import spell

needs_stockfish = pytest.mark.skipif(e.find_stockfish() is None, reason="no stockfish: apt-get install stockfish")
on_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="counts processes in /proc, which only Linux has")

FAKE = """#!{python}
import sys, time, chess
board, moves = chess.Board(), 0
for line in sys.stdin:
    words = line.split()
    if words[0] == "uci":
        {uci}
        print("id name Fake\\nid author nobody\\n{options}\\nuciok", flush=True)
    elif words[0] == "isready":
        print("readyok", flush=True)
    elif words[0] == "position":
        board = chess.Board(" ".join(words[2:8]) if words[1] == "fen" else chess.STARTING_FEN)
    elif words[0] == "quit":
        break
    elif words[0] == "go":
        moves += 1
        {go}
        print("bestmove", next(iter(board.legal_moves)), flush=True)
"""


@pytest.fixture
def fake(tmp_path):
    """A UCI engine in a file; what it does wrong is a line of Python, at `uci` or at `go`."""
    def write(uci="pass", go="pass", options="option name Hash type spin default 1 min 1 max 9"):
        path = tmp_path / "fake"
        path.write_text(FAKE.format(python=sys.executable, uci=uci, go=go, options=options))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)
    return write


def children():
    """Process ids of this process's children, ended but not yet waited for included."""
    out = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                out.add(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return out


@pytest.fixture
def nothing_left():
    if not Path("/proc/self/stat").exists():
        return (yield)
    gc.collect()
    before = children()
    yield
    gc.collect()
    until = time.monotonic() + 5
    while children() - before and time.monotonic() < until:
        time.sleep(0.02)
    assert not children() - before


def start(task="chess", **keywords):
    env = lab.make(task, **keywords)
    return env, *env.reset(seed=0)


def short_timeout(env, seconds=2.0):
    env._opponent.timeout = seconds
    return env


# ---------------------------------------------------------------------------------------------- UCI engines

@on_linux
def test_an_engine_starts_with_its_first_move_and_ends_with_its_env(fake, nothing_left):
    before = children()
    env, _, info = start(opponent=fake())
    assert children() == before and info["opponent"] == "fake, 10 nodes a move"
    env.step("illegal")
    assert children() == before
    assert env.step("e4")[1:4] == (0.0, False, False) and len(children() - before) == 1
    env.step("d4")
    assert len(children() - before) == 1
    env.reset(seed=1)
    env.step("e4")
    assert len(children() - before) == 1
    env.close()
    assert children() == before
    assert env.step("d4")[1] == 0.0  # a closed env may go on: the engine starts anew
    env.close()
    env.close()


@on_linux
def test_an_env_that_is_forgotten_ends_its_engine(fake, nothing_left):
    before = children()
    for _ in range(3):
        env, *_ = start(opponent=fake())
        env.step("e4")
    assert len(children() - before) == 1
    del env
    gc.collect()
    assert children() == before


@on_linux
@pytest.mark.parametrize("ending", ["", "raise SystemExit(0)", "1 / 0"])
def test_an_interpreter_that_ends_ends_its_engines(fake, ending):
    code = (f"import lmrl_lab as lab; envs = [lab.make('chess', opponent={fake()!r}) for _ in range(2)]\n"
            f"for env in envs: env.reset(seed=0); env.step('e4'); print(env._opponent._protocol.transport.get_pid())\n{ending}")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    pids = [int(line) for line in done.stdout.split()]
    assert len(pids) == 2 and not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert ending == "1 / 0" or not done.stderr


@pytest.mark.parametrize("fault", [{"uci": "sys.exit(3)"}, {"go": "sys.exit(3)"}, {"go": "if moves > 1: sys.exit(3)"},
                                   {"go": "print('bestmove e9e9', flush=True)"}, {"go": "print('bestmove (none)', flush=True)"},
                                   {"uci": "print('\\0' * 9, flush=True); sys.exit(1)"}])
def test_an_engine_that_crashes_or_talks_nonsense_is_an_error_that_says_what_to_do(fake, nothing_left, fault):
    path = fake(**fault)
    env = short_timeout(start(opponent=path)[0])  # some nonsense python-chess takes for silence
    with pytest.raises(SimulatorError, match="built-in") as error:
        for move in ("e4", "d4", "c4"):
            before = env.board.fen()
            env.step(move)
    assert path in str(error.value) and env.board.fen() == before


@pytest.mark.parametrize("fault", [{"uci": "time.sleep(60)"}, {"go": "time.sleep(60)"}])
def test_an_engine_that_hangs_is_killed_and_is_an_error(fake, nothing_left, fault):
    env = short_timeout(start(opponent=fake(**fault))[0])
    began = time.monotonic()
    with pytest.raises(SimulatorError, match="did not answer within 2 seconds"):
        env.step("e4")
    assert time.monotonic() - began < 10 and env.board.fen() == chess.STARTING_FEN


def test_an_engine_that_answers_an_illegal_move_is_an_error(fake, nothing_left):
    env = short_timeout(start(opponent=fake(go="print('bestmove e2e4', flush=True); continue"))[0])
    with pytest.raises(SimulatorError, match="fake"):
        env.step("e4")


def test_after_a_failure_the_next_move_starts_a_new_engine(fake, nothing_left, tmp_path):
    env, *_ = start(opponent=fake(go="sys.exit(3)"))
    with pytest.raises(SimulatorError):
        env.step("e4")
    fake()  # repaired
    assert env.step("e4")[1:4] == (0.0, False, False)


def test_an_interrupted_move_is_taken_back_and_its_engine_ended(fake, nothing_left, monkeypatch):
    env, *_ = start(opponent=fake())
    env.step("e4")
    before, wait = env.board.fen(), e._wait

    def interrupted(coroutine, seconds):
        wait(coroutine, seconds)
        monkeypatch.setattr(e, "_wait", wait)
        raise KeyboardInterrupt

    monkeypatch.setattr(e, "_wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        env.step("d4")
    assert env.board.fen() == before and env.step("d4")[1] == 0.0


def test_a_file_that_is_no_program_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("no engine")
    with pytest.raises(ValueError, match="no program"):
        lab.make("chess", opponent=str(tmp_path / "notes.txt"))
    with pytest.raises(ValueError, match="no program"):
        lab.make("chess", opponent=tmp_path / "missing")


def test_a_program_that_cannot_run_is_an_error(tmp_path, nothing_left):
    path = tmp_path / "broken"
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o755)
    env, *_ = start(opponent=str(path))
    with pytest.raises(SimulatorError, match="broken"):
        env.step("e4")


def test_settings_that_an_engine_does_not_have_are_errors(fake, nothing_left):
    env, *_ = start(opponent=fake(), elo=1500)
    with pytest.raises(ValueError, match="no UCI_Elo"):
        env.step("e4")
    options = ("option name UCI_LimitStrength type check default false\\n"
               "option name UCI_Elo type spin default 1350 min 1350 max 2850")
    for elo in (1200, 3000, "1500"):
        env, *_ = start(opponent=fake(options=options), elo=elo)
        with pytest.raises(ValueError, match="1350 to 2850"):
            env.step("e4")
    env, *_ = start(opponent=fake(options=options), elo=1350)
    assert env.step("e4")[1] == 0.0 and "Elo 1350" in env.opponent
    for bad in ({"nodes": 0}, {"nodes": 1.5}, {"nodes": 5, "elo": 1500}):
        with pytest.raises(ValueError, match="nodes"):
            lab.make("chess", opponent=fake(), **bad)


def test_without_stockfish_the_built_in_engine_plays_and_asking_for_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(e, "find_stockfish", lambda: None)
    assert start()[2]["opponent"] == "built-in, depth 1"
    for keywords in ({"opponent": "stockfish"}, {"elo": 1500}, {"nodes": 20}):
        with pytest.raises(ValueError, match="apt-get install stockfish"):
            lab.make("chess", **keywords)


# ---------------------------------------------------------------------------------------------- Stockfish

def transcript(env, seed, moves=25):
    rng, (text, info) = np.random.default_rng(seed), env.reset(seed=seed)
    out = [text]
    for _ in range(moves):
        legal = info["legal_actions"]
        text, reward, terminated, truncated, info = env.step(legal[rng.integers(len(legal))])
        out.append((text, reward))
        if terminated or truncated:
            break
    env.close()
    return out


@needs_stockfish
def test_stockfish_plays_the_same_game_for_the_same_seed_and_another_for_another(nothing_left):
    first = transcript(lab.make("chess", opponent="stockfish"), 3)
    assert first == transcript(lab.make("chess", opponent="stockfish"), 3) == transcript(lab.make("chess"), 3)
    env, others = lab.make("chess", opponent="stockfish"), []
    for seed in (0, 1, 2):
        env.reset(seed=seed)
        others.append([env.step(move)[0] for move in ("e4", "a3", "h3")])
    assert len({str(other) for other in others}) > 1
    env.reset(seed=1)
    assert [env.step(move)[0] for move in ("e4", "a3", "h3")] == others[1]  # whatever was played before


@needs_stockfish
@on_linux
def test_games_side_by_side_have_an_engine_each_and_leave_none(nothing_left):
    score = lab.evaluate("random", "chess", episodes=3, seed=1, max_moves=3)
    assert score.episodes == 3 and score.invalid_rate == 0


@needs_stockfish
def test_stockfish_refuses_an_elo_that_it_would_ignore(nothing_left):
    env, *_ = start(elo=1200)
    with pytest.raises(ValueError, match="1200"):
        env.step("e4")
    env, *_ = start(elo=1400)
    assert env.step("e4")[1] == 0.0
    env.close()


@needs_stockfish
def test_stockfish_defends_an_endgame_too(nothing_left):
    env, _, info = start("chess-endgames", opponent="stockfish", nodes=50)
    env.step(info["legal_actions"][0])
    assert "stockfish" in env.opponent
    env.close()


# ---------------------------------------------------------------------------------------------- the built-in search

def choices(player, fen, n=20):
    board = chess.Board(fen)
    moves, rng = list(board.legal_moves), np.random.default_rng(0)
    chosen = {board.san(player.choose(board, moves, rng)) for _ in range(n)}
    assert board.fen() == chess.Board(fen).fen() and not board.move_stack
    return chosen


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("fen, best", [
    ("r5k1/8/8/8/8/8/5PPP/6K1 b - - 0 1", {"Ra1#"}), ("7k/8/8/3q4/4P3/8/8/K7 w - - 0 1", {"exd5"}),
    ("r3kb1r/ppp2ppp/2n5/8/8/2N5/PPP2qPP/R2QKB1R w KQkq - 0 1", {"Kxf2"}), ("k7/8/1K6/8/8/8/8/7R w - - 0 1", {"Rh8#"}),
    ("2k5/P7/2K5/8/8/8/8/8 w - - 0 1", {"a8=Q#", "a8=R#"}), ("8/8/8/8/8/5k2/7p/5K2 b - - 0 1", {"h1=Q#", "h1=R#"})])
def test_the_built_in_engine_sees_mates_and_what_is_for_nothing(depth, fen, best):
    chosen = choices(e.BuiltIn(depth), fen)
    assert chosen and chosen <= best


def test_two_half_moves_leave_no_queen_hanging():
    fen = "4k3/2p5/3p4/4p3/3Q4/8/8/4K3 w - - 0 1"
    for move in choices(e.BuiltIn(2), fen):
        board = chess.Board(fen)
        board.push_san(move)
        assert not any(board.piece_type_at(reply.to_square) == chess.QUEEN for reply in board.legal_moves)
    assert choices(e.BuiltIn(2), "4k3/8/8/8/8/4p3/3P4/4K3 w - - 0 1") == {"dxe3"}


def test_the_running_evaluation_is_that_of_the_board():
    """The sum of gains along a game is the difference of the evaluations, but for what a capture expects to lose again."""
    def evaluate(board, values):
        return sum(values[piece.color][piece.piece_type][square] * (1 if piece.color else -1)
                   for square, piece in board.piece_map().items())

    rng, checked = np.random.default_rng(1), 0
    for _ in range(20):
        board = chess.Board()
        while not board.is_game_over() and len(board.move_stack) < 120:
            moves, values = list(board.legal_moves), e._values(False)
            move = moves[rng.integers(len(moves))]
            gain, before, sign = e._gain(board, move, values), evaluate(board, values), 1 if board.turn else -1
            retaken = board.piece_at(move.to_square) and board.is_attacked_by(not board.turn, move.to_square)
            special = board.is_castling(move) or board.is_en_passant(move)
            board.push(move)
            if not retaken and not special:
                assert gain == sign * (evaluate(board, values) - before)
                checked += 1
    assert checked > 1000


def test_alpha_beta_finds_what_a_full_search_finds():
    def full(board, depth, score, values):
        moves = list(board.legal_moves)
        if not moves:
            return -e.MATE - depth if board.is_check() else 0
        best = -10 * e.MATE
        for move in moves:
            gain = e._gain(board, move, values)
            if depth == 1:
                best = max(best, score + gain)
                continue
            board.push(move)
            best = max(best, -full(board, depth - 1, -score - gain, values))
            board.pop()
        return best

    rng = np.random.default_rng(2)
    for _ in range(6):
        board = chess.Board()
        for _ in range(int(rng.integers(4, 40))):
            moves = list(board.legal_moves)
            if not moves:
                break
            board.push(moves[rng.integers(len(moves))])
        moves, values = list(board.legal_moves), e._values(not board.queens)
        if len(moves) < 2:
            continue
        scores = e.BuiltIn(3)._search(board, moves, values)
        assert max(scores) == full(board, 3, 0, values)


def test_deeper_beats_shallower():
    env, total = lab.make("chess", opponent="built-in", max_moves=80), 0.0
    player = e.BuiltIn(2)
    for seed in range(8):
        _, info = env.reset(seed=seed)
        rng, over = np.random.default_rng(seed), False
        while not over:
            move = player.choose(env.board, info["legal_actions"].moves, rng)
            _, reward, terminated, truncated, info = env.step(spell(env.board.san(move)))
            over, total = terminated or truncated, total + reward
    assert total > 0


@pytest.mark.parametrize("bad", [0, 4, "1", None])
def test_a_depth_that_does_not_exist_is_an_error(bad):
    with pytest.raises(ValueError, match="1, 2 or 3"):
        e.BuiltIn(bad)
