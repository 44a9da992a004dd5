"""Answers to the exercises of notebook 06, their stubs, and wrong answers that its checks must refuse."""

import chess


def mate_value(distance, tokens, gamma):
    if distance is None:
        return 0.0
    return gamma ** (distance * tokens - 1)


def mate_value_stub(distance, tokens, gamma):
    return 1.0


def mate_value_one_late(distance, tokens, gamma):
    return 0.0 if distance is None else gamma ** (distance * tokens)


def mate_value_by_moves(distance, tokens, gamma):
    return 0.0 if distance is None else gamma ** (distance - 1)  # once a move instead of once a token


def mate_value_no_draws(distance, tokens, gamma):
    return gamma ** (distance * tokens - 1)


def mate_value_tokens_first(distance, tokens, gamma):
    return 0.0 if distance is None else gamma ** ((distance - 1) * tokens)


def diagnose(fen, move):
    board = chess.Board(fen)
    try:
        board.parse_san(move)
        return "legal"
    except chess.InvalidMoveError:
        return "unreadable"
    except chess.AmbiguousMoveError:
        return "ambiguous"
    except chess.IllegalMoveError:
        reached = {(board.piece_at(m.from_square).symbol(), chess.square_name(m.to_square))
                   for m in board.pseudo_legal_moves}
    return "into check" if (move[0], move[-2:]) in reached else "cannot go there"


def diagnose_stub(fen, move):
    return "legal"


def diagnose_legal_moves_only(fen, move):
    board = chess.Board(fen)
    try:
        board.parse_san(move)
        return "legal"
    except chess.InvalidMoveError:
        return "unreadable"
    except chess.AmbiguousMoveError:
        return "ambiguous"
    except chess.IllegalMoveError:
        reached = {(board.piece_at(m.from_square).symbol(), chess.square_name(m.to_square)) for m in board.legal_moves}
    return "into check" if (move[0], move[-2:]) in reached else "cannot go there"


def diagnose_any_piece(fen, move):
    verdict = diagnose(fen, move)
    if verdict != "cannot go there":
        return verdict
    reached = {chess.square_name(m.to_square) for m in chess.Board(fen).pseudo_legal_moves}
    return "into check" if move[-2:] in reached else verdict


def diagnose_one_error(fen, move):
    try:
        chess.Board(fen).parse_san(move)
        return "legal"
    except ValueError:
        return "unreadable"


def diagnose_no_ambiguity(fen, move):
    verdict = diagnose(fen, move)
    return "legal" if verdict == "ambiguous" else verdict


ANSWERS = {
    "price_of_errors": {"answer": -4, "stub": None, "wrong": [-3, -5, 1, 0.8, "-4"]},
    "mate_value": {"answer": mate_value, "stub": mate_value_stub,
                   "wrong": [mate_value_one_late, mate_value_by_moves, mate_value_no_draws, mate_value_tokens_first]},
    "diagnose": {"answer": diagnose, "stub": diagnose_stub,
                 "wrong": [diagnose_legal_moves_only, diagnose_any_piece, diagnose_one_error, diagnose_no_ambiguity]},
    "stuck": {"answer": -91, "stub": None, "wrong": [-1, -90, -100, -9]},
}
