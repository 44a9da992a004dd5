"""Chess and chess endgames: rules, text, exact distances to mate, policies, data, tokens. Engines: test_chess_engine.py."""

import chess
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmrl_lab as lab
from lmrl_lab.data import cache_dir, replay_problem
from lmrl_lab.episode import Turn
from lmrl_lab.rollout import rollout
from lmrl_lab.tasks import chess as c
from lmrl_lab.tasks import chess_tables as tables

START = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"


class Scripted:
    """A player that answers with given moves, so that a game can be written down in a test."""

    name = "scripted"

    def __init__(self, *answers):
        self.answers = list(answers)

    def choose(self, board, moves, rng):
        move = board.parse_san(self.answers.pop(0))
        assert move in moves
        return move

    def close(self):
        pass


def game(*answers, fen=START, task="chess", **kwargs):
    """(env, first observation, info) where Black answers with `answers`."""
    env = lab.make(task, **({"opponent": "built-in"} if task == "chess" else {}), **kwargs)
    env._opponent = Scripted(*answers)
    return env, *env.reset(seed=0, options={"fen": fen})


def play(env, *moves):
    results = [env.step(move) for move in moves]
    assert [r[1] for r in results[:-1]] == [0.0] * (len(moves) - 1) and not any(r[2] or r[3] for r in results[:-1])
    return results[-1]


# ---------------------------------------------------------------------------------------------- text and rules

def test_text_written_out_by_hand():
    env, text, info = game("e5")
    assert text == ("r n b q k b n r / p p p p p p p p / 8 / 8 / 8 / 8 / P P P P P P P P / R N B Q K B N R   w   "
                    "K Q k q   -   0   1\n")
    assert c.read_fen(text) == START and env.board.fen() == START
    assert "N f 3" in info["legal_actions"] and len(info["legal_actions"]) == 20
    text, reward, terminated, truncated, info = env.step("e 4")
    assert c.read_fen(text) == "rnbqkbnr/pppp1ppp/8/4p3/4P3/8/PPPP1PPP/RNBQKBNR w KQkq - 0 2"
    assert (reward, terminated, truncated, info["invalid"], info["success"]) == (0.0, False, False, False, False)
    assert env.last_moves == (chess.Move.from_uci("e2e4"), chess.Move.from_uci("e7e5"))
    assert info["opponent"] == "scripted"


def test_white_mates_for_one():
    env, *_ = game("e5", "Nc6", "Nf6")
    text, reward, terminated, truncated, info = play(env, "e 4", "B c 4", "Q h 5", "Q x f 7 #")
    assert (reward, terminated, truncated, info["success"]) == (1.0, True, False, True)
    assert info["legal_actions"] == () and "mate" in info["message"] and " b " in c.read_fen(text)


def test_white_is_mated_for_minus_one():
    env, *_ = game("e5", "Qh4#")
    _, reward, terminated, truncated, info = play(env, "f 3", "g 4")
    assert (reward, terminated, truncated, info["success"], info["invalid"]) == (-1.0, True, False, False, False)


@pytest.mark.parametrize("written", ["Nf3", "N f 3", " N f 3 ", "N f 3\n", "Nf3+", "Ng1f3"])
def test_spaces_mean_nothing_and_marks_may_be_left_out(written):
    env, *_ = game("e5")
    assert not env.step(written)[4]["invalid"]


@pytest.mark.parametrize("junk", ["", " ", "e5", "N f 6", "--", "0000", "Z0", "@@@@", "e2e5", "N", "resign", "O-O", "♘f3", "Nf３",
                                  "e 4 e 5", "e4\ne5", "e4\r", "e\t4", "\x00", "K" * 1000, "1. e4 e5 2. Nf3", "e9", "i4", "nf3"])
def test_illegal_move_costs_one_and_keeps_the_position(junk):
    env, before, _ = game("e5", max_moves=3)
    text, reward, terminated, truncated, info = env.step(junk)
    assert (text, reward, terminated, truncated, info["invalid"], info["success"]) == (before, -1.0, False, False, True, False)
    assert env.step("e 4")[1] == 0.0
    assert env.step(junk)[1:4] == (-1.0, False, True)  # the third of White's moves, counted though illegal


@pytest.mark.parametrize("task, cap", [("chess", 400), ("chess-endgames", 100)])
def test_a_game_is_cut_after_its_cap_with_an_ordinary_observation(task, cap):
    env = lab.make(task)
    first, _ = env.reset(seed=0)
    for k in range(1, cap + 1):
        text, reward, terminated, truncated, _ = env.step("nonsense")
        assert (text, reward, terminated, truncated) == (first, -1.0, False, k == cap)


def test_the_cap_counts_legal_moves_too():
    env, *_ = game("e5", "d5", max_moves=2)
    assert play(env, "e4", "d4")[1:4] == (0.0, False, True)


def draw(env, *moves):
    _, reward, terminated, truncated, info = play(env, *moves)
    assert (reward, terminated, truncated, info["success"]) == (0.0, True, False, False)
    return info["message"]


def test_stalemate_is_a_draw():
    assert "stalemate" in draw(game(fen="7k/5K2/8/8/8/8/8/6Q1 w - - 0 1")[0], "Qg6")


@pytest.mark.parametrize("fen", ["8/8/8/8/8/k7/8/1R5K w - - 0 1", "8/8/8/8/8/k7/8/1R4BK w - - 0 1"])
def test_too_little_to_mate_with_is_a_draw(fen):
    assert "neither" in draw(game("Kxb2", fen=fen)[0], "Rb2")


def test_the_third_occurrence_is_a_draw_and_the_second_is_not():
    env, *_ = game("Nf6", "Ng8", "Nf6", "Ng8")
    assert "third" in draw(env, "Nf3", "Ng1", "Nf3", "Ng1")


def test_a_position_with_other_castling_rights_is_another():
    env, *_ = game("Kd8", "Ke8", "Kd8", "Ke8", "Kd8", "Ke8", fen="4k2r/8/8/8/8/8/8/4K2R w Kk - 0 1")
    # the first position has the right to castle, those after it do not: the third of these ends the game
    assert "third" in draw(env, "Kd1", "Ke1", "Kd1", "Ke1", "Kd1")


def test_fifty_moves_are_a_draw_and_a_mate_comes_before():
    env, *_ = game("Kb8", fen="k7/8/8/8/8/8/8/K6R w - - 98 80")
    assert "fifty" in draw(env, "Rh2")
    env, *_ = game(fen="k7/8/1K6/8/8/8/8/7R w - - 99 80")
    assert play(env, "Rh8#")[1:3] == (1.0, True)


def test_castling_en_passant_and_promotion_are_spelled_out():
    env, _, info = game("a5", fen="4k3/P7/p7/3pP3/8/8/8/R3K2R w KQ d6 0 1")
    legal = list(info["legal_actions"])
    assert {"O - O", "O - O - O", "e x d 6", "a 8 = Q +", "a 8 = N"} <= set(legal)
    assert all(action in info["legal_actions"] for action in legal)
    env.step("0-0")
    assert env.last_moves[0] == chess.Move.from_uci("e1g1")


@pytest.mark.parametrize("fen, why", [
    ("nonsense", "read"), ("", "read"), (3, "not"), ("8/8/8/8/8/8/8/8 w - - 0 1", "no white king"),
    ("k7/8/8/8/8/8/6r1/K7 b - - 0 1", "White"), ("kR6/8/8/8/8/8/8/K7 w - - 0 1", "opposite check"),
    ("K1k5/8/8/8/8/8/8/8 w - - 0 1", "over"), ("k7/8/8/8/8/8/8/K6R w - - 100 90", "over"),
    ("rnb1kbnr/pppp1ppp/8/4p3/6Pq/5P2/PPPPP2P/RNBQKBNR w KQkq - 1 3", "over"), ("kk6/8/8/8/8/8/8/K6R w - - 0 1", "legal")])
@pytest.mark.parametrize("task", ["chess", "chess-endgames"])
def test_a_bad_fen_is_an_error_that_says_why(task, fen, why):
    with pytest.raises(ValueError, match=why):
        lab.make(task).reset(options={"fen": fen})


@pytest.mark.parametrize("keywords, why", [
    ({"max_moves": 0}, "max_moves"), ({"max_moves": "9"}, "max_moves"), ({"opponent": "stokfish"}, "stockfish"),
    ({"opponent": 3}, "accepted"), ({"opponent": "/no/such/engine"}, "no program"),
    ({"opponent": "built-in", "elo": 1500}, "engines"), ({"opponent": "table", "nodes": 5}, "engines")])
def test_a_bad_keyword_is_an_error_that_says_why(keywords, why):
    with pytest.raises(ValueError, match=why):
        lab.make("chess", **keywords)


def test_legal_actions_are_lazy_and_stay_those_of_their_position():
    env, _, info = game("e5")
    legal = info["legal_actions"]
    assert "moves" not in vars(legal) and "e 4" in legal and "e 5" not in legal and 3 not in legal
    assert "moves" not in vars(legal)  # neither listed nor written yet
    first = legal[0]
    env.step("e 4")
    assert legal[0] == first and "e 5" not in legal and len(legal) == 20 == len(set(legal))
    assert sorted(legal) == sorted(c.spell(chess.Board().san(m)) for m in chess.Board().legal_moves)
    assert legal[-2:] == [legal[18], legal[19]] and not legal.__eq__(3)


def test_a_failing_opponent_leaves_the_position_as_it_was():
    env, before, _ = game()  # no answer: the script is empty
    with pytest.raises(IndexError):
        env.step("e 4")
    env._opponent = Scripted("e5")
    assert c.read_fen(env.step("e 4")[0]).startswith("rnbqkbnr/pppp1ppp")


@pytest.mark.parametrize("task, games", [("chess", 150), ("chess-endgames", 600)])
def test_many_random_games_keep_the_rules(task, games):
    env, rng = lab.make(task, **({"opponent": "built-in"} if task == "chess" else {})), np.random.default_rng(0)
    endings = set()
    for _ in range(games):
        _, info = env.reset(seed=int(rng.integers(2**31)))
        over, total = False, 0.0
        while not over:
            legal = info["legal_actions"]
            _, reward, terminated, truncated, info = env.step(legal[rng.integers(len(legal))])
            assert not info["invalid"]
            over, total = terminated or truncated, total + reward
        assert terminated and total in (-1.0, 0.0, 1.0) and env.board.is_valid()
        assert (env.board.is_checkmate(), total > 0) in ((True, not env.board.turn), (False, False))
        endings.add(info["message"])
    assert len(endings) >= 2


def test_an_illegal_move_is_told_by_its_reason():
    one, two = chess.Board("8/8/8/3k4/8/3K4/8/7R w - - 0 1"), chess.Board("7k/8/8/8/8/4K3/8/R6R w - - 0 1")
    assert [c.why_illegal(one, move) for move in ("R h 5", "Rh5+", "K d 4", "K d 5", "R g 5", "Q d 4", "e 4", "O-O", "R h 9", "",
                                                  "--", "R 5 h 4", "\x00é")] == [
        "legal", "legal", "into check", "cannot go there", "cannot go there", "no such piece", "no such piece",
        "cannot go there", "unreadable", "unreadable", "unreadable", "no such piece", "unreadable"]
    assert c.why_illegal(two, "R d 1") == "ambiguous" and c.why_illegal(two, "R a d 1") == "legal"
    pinned = chess.Board("4r2k/8/8/8/8/8/4N3/4K3 w - - 0 1")
    assert c.why_illegal(pinned, "N c 3") == "into check"
    rng = np.random.default_rng(0)
    for _ in range(2_000):
        text = "".join(rng.choice(list("KQRBNabcdefgh12345678x+#=O- "), rng.integers(1, 6)))
        for board in (one, two, pinned):
            assert (c.why_illegal(board, text) == "legal") == (c._parse(board, text) is not None)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=1000), st.text("KQRBNabcdefgh12345678x+#=O- ", max_size=12)), max_size=20))
def test_adversarial_text_is_at_worst_illegal(texts):
    env = lab.make("chess", opponent="built-in")
    env.reset(seed=1)
    for text in texts:
        before = env.board.fen()
        _, reward, terminated, _, info = env.step(text)
        assert not info["invalid"] or (reward == -1.0 and env.board.fen() == before)
        if terminated:
            break


# ---------------------------------------------------------------------------------------------- exact tables

@pytest.mark.parametrize("pieces, longest", [("Q", 10), ("R", 16), ("QR", 6), ("RR", 7)])
def test_every_endgame_is_won_and_the_longest_mates_are_the_known_ones(pieces, longest):
    assert max(tables.tables()[pieces][0]) == longest


def random_positions(pieces, n, turn, seed):
    rng = np.random.default_rng(seed)
    while n:
        squares = rng.choice(64, 2 + len(pieces), replace=False).tolist()
        board = chess.Board(None)
        for square, symbol in zip(squares, "kK" + pieces):
            board.set_piece_at(square, chess.Piece.from_symbol(symbol))
        board.turn = turn
        if board.is_valid():
            n -= 1
            yield board


@pytest.mark.parametrize("pieces", tables.PIECE_SETS)
@pytest.mark.parametrize("turn", [chess.WHITE, chess.BLACK])
def test_distances_fit_those_after_every_move(pieces, turn):
    """The definition, with python-chess's own move generator: one more than the least, or the greatest of the replies."""
    for board in random_positions(pieces, 150, turn, seed=len(pieces)):
        moves, own = list(board.legal_moves), tables.distance(board)
        after = []
        for move in moves:
            board.push(move)
            distance = tables.distance(board)
            after.append(tables.NOT_WON if distance is None else distance)  # bare kings
            board.pop()
        assert tables.distances_after(board, moves) == after
        if turn:
            assert own == min(after) + 1 <= 16
        elif not moves:
            assert own == (0 if board.is_checkmate() else tables.NOT_WON)
        else:
            assert own == max(after)


def test_short_mates_fit_a_plain_search():
    def mate_in(board, n):
        """Whether White, to move, mates in n or fewer: plain search, nothing but the rules."""
        for move in list(board.legal_moves):
            board.push(move)
            replies = list(board.legal_moves)
            found = board.is_checkmate() or bool(replies) and n > 1
            for reply in replies if found else ():
                board.push(reply)
                found = mate_in(board, n - 1)
                board.pop()
                if not found:
                    break
            board.pop()
            if found:
                return True
        return False

    for pieces in ("Q", "R"):
        for board in random_positions(pieces, 40, True, seed=9):
            own = tables.distance(board)
            assert mate_in(board, 1) == (own <= 1) and mate_in(board, 2) == (own <= 2)


def test_material_that_is_not_in_the_tables_is_said_to_be_unknown():
    for fen in (START, "k7/8/8/8/8/8/8/K6B w - - 0 1", "k7/8/8/8/8/8/8/KQQ5 w - - 0 1", "k6r/8/8/8/8/8/8/KQ6 w - - 0 1",
                "k7/7p/8/8/8/8/8/KQ6 w - - 0 1", "8/8/8/8/8/8/k7/4K2R w K - 0 1", "k7/8/8/8/8/8/8/K7 w - - 0 1"):
        assert tables.distance(chess.Board(fen)) is None and tables.distances_after(chess.Board(fen), []) is None


@pytest.mark.parametrize("harm", ["cut", "changed", "empty", "a folder"])
def test_a_damaged_table_file_is_made_again(harm, tmp_path, monkeypatch, capsys):
    if not tables._path().exists():  # another test of this process may have made them in a cache of its own
        tables.tables.__wrapped__()
    whole = tables._path().read_bytes()
    assert tables._path().parent == cache_dir()
    real = {pieces: np.stack([np.frombuffer(flat, np.uint8).reshape(shape[1:]) for flat in tables.tables()[pieces]])
            for pieces, shape in tables._sizes()}
    monkeypatch.setenv("LMRL_LAB_CACHE", str(tmp_path))
    monkeypatch.setattr(tables, "build", lambda: {pieces: tuple(array) for pieces, array in real.items()})
    path = tables._path()
    path.mkdir() if harm == "a folder" else path.write_bytes(
        {"cut": whole[:-9], "changed": whole[:999] + bytes([whole[999] ^ 1]) + whole[1000:], "empty": b""}[harm])
    made = tables.tables.__wrapped__()
    assert made == tables.tables() and "making them again" in capsys.readouterr().err
    if harm != "a folder":
        assert path.read_bytes() == whole and tables.tables.__wrapped__() == made


# ---------------------------------------------------------------------------------------------- endgames

def test_the_test_positions_are_645_spread_over_the_four_piece_sets():
    boards = [chess.Board(fen) for fen in c.test_positions()]
    assert len(set(c.test_positions())) == 645 and all(b.is_valid() and b.turn and not b.is_game_over() for b in boards)
    counts = {pieces: sum(tables.pieces_of(b) == pieces for b in boards) for pieces in tables.PIECE_SETS}
    assert min(counts.values()) == 161 and sum(counts.values()) == 645
    options = lab.TASKS["chess-endgames"].evaluation_options(700)
    assert [o["fen"] for o in options] == [*c.test_positions(), *c.test_positions()[:55]]


def test_resets_are_legal_and_never_a_test_position():
    env = lab.make("chess-endgames")
    env.reset(seed=0)
    seen = []
    for _ in range(800):
        env.reset()
        assert env.board.is_valid() and env.board.turn and not env.board.is_game_over()
        assert env.board.board_fen() not in c._test_boards()
        seen.append(tables.pieces_of(env.board))
    assert min(seen.count(pieces) for pieces in tables.PIECE_SETS) > 150


def test_the_best_policy_wins_every_test_position_in_exactly_the_table_s_moves():
    card = lab.TASKS["chess-endgames"]
    episodes = rollout(card.policies["best"](), "chess-endgames", range(645), card.evaluation_options(645))
    for episode in episodes:
        assert episode.success and episode.total_return == 1.0
        assert len(episode.actions) == tables.distance(chess.Board(episode.info["options"]["fen"]))


def test_black_takes_what_hangs_and_an_endgame_of_other_material_is_played_too():
    env = lab.make("chess-endgames")
    env.reset(seed=0, options={"fen": "8/8/8/4k3/8/8/8/K6Q w - - 0 1"})
    _, reward, terminated, _, info = env.step("Qe4")
    assert (reward, terminated) == (0.0, True) and "neither" in info["message"]
    env.reset(seed=0, options={"fen": "4k3/4p3/8/8/8/8/4P3/4K3 w - - 0 1"})
    assert env.step("e4")[1:3] == (0.0, False) and env.opponent == "exact tables"


# ---------------------------------------------------------------------------------------------- data

@pytest.mark.parametrize("task, size", [("chess", 12), ("chess-endgames", 200)])
def test_data_is_the_same_for_the_same_seed_and_can_be_replayed(task, size):
    data = lab.generate(task, size, seed=3)
    assert data == lab.generate(task, size, seed=3, cache=False) != lab.generate(task, size, seed=4)
    card = lab.TASKS[task]
    for episode in data:
        assert replay_problem(episode) is None
        assert not episode.info["invalid"] and episode.total_return in (-1.0, 0.0, 1.0)
        assert episode.success == (episode.total_return == 1.0) and len(episode.actions) <= card.max_actions
        assert {"white", "opponent"} <= set(episode.info)


def test_no_game_of_the_endgame_data_comes_through_a_test_position():
    data = lab.generate("chess-endgames", 1_000, seed=0)
    assert not {c.read_fen(o).split(" ")[0] for e in data for o in e.observations} & c._test_boards()
    assert abs(np.mean([e.total_return for e in data]) - lab.TASKS["chess-endgames"].references.behaviour) < 0.05
    for pieces in tables.PIECE_SETS:
        won = [e.success for e in data if tables.pieces_of(chess.Board(c.read_fen(e.turns[0].text))) == pieces]
        assert 0.2 < np.mean(won) < 0.9


def test_the_behaviour_policy_plays_what_the_data_holds():
    data = lab.generate("chess-endgames", 20, seed=5)
    policy = lab.TASKS["chess-endgames"].policies["behaviour"]()
    played = rollout(policy, "chess-endgames", [e.seed for e in data])
    assert [e.actions for e in played] == [e.actions for e in data]


# ---------------------------------------------------------------------------------------------- tokens

@pytest.fixture(scope="module")
def codec():
    from lmrl_lab.tokens import Codec, tiny_tokenizer
    card = lab.TASKS["chess"]
    return Codec(tiny_tokenizer(card), card)


SPECIAL = ["N b d 2", "R 1 e 2", "e x d 8 = Q +", "e 8 = N", "b x a 1 = R #", "Q h 4 e 1", "Q h 4 x e 1 #", "O - O",
           "O - O - O", "O - O +", "O - O - O #", "N 1 x c 3 +", "b 4",
           "B b 4", "B b 4 +", "b x c 3", "a 1", "h 8 = B", "K x a 1", "R a x b 1"]


@pytest.mark.parametrize("action", SPECIAL)
def test_an_action_comes_back_from_its_tokens_character_by_character(codec, action):
    ids = codec.action_ids(action)
    assert codec.decode_action(ids) == action and codec.tokenizer.unk_token_id not in ids
    assert ids[-1] in codec.end_ids and not set(ids[:-1]) & codec.end_ids


def test_every_legal_move_of_many_games_comes_back_and_nothing_is_unknown(codec):
    rng, unknown, seen = np.random.default_rng(0), codec.tokenizer.unk_token_id, set()
    env = lab.make("chess", opponent="built-in")
    for _ in range(40):
        text, info = env.reset(seed=int(rng.integers(2**31)))
        over = False
        while not over:
            legal = info["legal_actions"]
            action = legal[rng.integers(len(legal))]
            seen.update(legal[:6])
            seen.add(action)
            observed, said = codec.encode([Turn(text, False), Turn(action, True)])
            board = chess.Board(c.read_fen(text))
            flags = bin(board.castling_rights).count("1") + (board.fen().split()[3] != "-")
            assert len(observed) == len(board.piece_map()) + flags and unknown not in observed and unknown not in said
            assert len(observed) + len(said) <= lab.TASKS["chess"].turn_tokens
            text, _, terminated, truncated, info = env.step(action)
            over = terminated or truncated
    assert len(seen) > 400
    for action in seen:
        ids = codec.action_ids(action)
        assert codec.decode_action(ids) == action and unknown not in ids


def test_what_a_tiny_model_reads_is_one_token_a_piece_then_castling_and_en_passant():
    text = c.spell("r3k2r/8/8/3pP3/8/8/8/R3K2R w Kq d6 0 1") + "\n"
    board, action = c.model_text([Turn(text, False), Turn("Nf3", True)])
    assert board == "Ke1 Ra1 Rh1 Pe5 ke8 ra8 rh8 pd5 cK cq epd6" and action == "N f 3"
    assert c.model_text([Turn("something else\n", False)]) == ["something else\n"]


def test_what_a_tiny_model_reads_of_an_endgame_is_one_token_a_piece():
    from lmrl_lab.tokens import Codec, tiny_tokenizer
    card = lab.TASKS["chess-endgames"]
    codec, kinds = Codec(tiny_tokenizer(card), card), set()
    position = Turn(c.spell("8/7R/8/8/8/2k5/8/R2K4 w - - 3 9") + "\n", False)
    assert card.model_text([position, Turn("Rh3+", True)]) == ["Kd1 Rh7 Ra1 kc3", "R h 3 +"]
    assert card.model_text([Turn("something else\n", False)]) == ["something else\n"]
    for episode in lab.generate("chess-endgames", 300, seed=3):
        for turn, ids in zip(episode.turns, codec.encode(episode.turns), strict=True):
            assert codec.tokenizer.unk_token_id not in ids
            assert not turn.is_action or codec.decode_action(ids) == turn.text
            kinds.add((turn.is_action, len(ids)))
    assert kinds == {(False, 2), (False, 3), (False, 4), (True, 2), (True, 3), (True, 4)}
    for pieces in tables.PIECE_SETS:
        for board in random_positions(pieces, 40, True, seed=1):
            for move in board.legal_moves:
                ids = codec.action_ids(c.spell(board.san(move)))
                assert codec.decode_action(ids) == c.spell(board.san(move)) and codec.tokenizer.unk_token_id not in ids


@pytest.mark.parametrize("task", ["chess", "chess-endgames"])
def test_a_tiny_agent_is_trained_and_plays(task):
    import torch
    torch.set_num_threads(1)
    agent = lab.train("bc", task, lab.generate(task, 4), steps=3)
    score = lab.evaluate(agent, task, episodes=2, max_moves=4, opponent="built-in")
    assert -8 <= score.mean_return <= 1 and score.episodes == 2


def test_references_are_measured_against_the_opponent_that_they_name():
    card = lab.TASKS["chess"]
    assert card.references_with({"opponent": "built-in"}).behaviour > card.references_with({"opponent": "stockfish"}).behaviour
    measured = c.references("chess-endgames", "table", games=300, best_games=20)
    stored = lab.TASKS["chess-endgames"].references
    assert measured.best == stored.best == 1.0 and measured.minimum == stored.minimum == -100
    assert abs(measured.behaviour - stored.behaviour) < 4 * (measured.standard_errors[1] + stored.standard_errors[1])
    assert stored.command == "lmrl_lab.tasks.chess.references('chess-endgames', 'table')"
