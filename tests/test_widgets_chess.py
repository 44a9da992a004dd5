"""Chess at the widget: typed and clicked moves, taking back, what the board shows and says, engines that are let go."""

import os
import re
import subprocess

import pytest

from lmrl_lab.data import replay_problem
from lmrl_lab.env import TASKS
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.tasks.chess import spell
from lmrl_lab.tasks.chess_engine import find_stockfish
from lmrl_lab.widgets import draw, play, player, replay
from widget_driving import click, enter, html_of, pictures, said

MATE_IN_ONE = {"fen": "rnbqkbnr/ppppp2p/8/5pp1/4P3/8/PPPP1PPP/RNBQKBNR w KQkq - 0 1"}
CHECKED = {"fen": "rnb1kbnr/pppp1ppp/8/4p3/4P2q/8/PPPP2PP/RNBQKBNR w KQkq - 1 3"}
PROMOTION = {"fen": "8/P6k/8/8/8/8/8/K7 w - - 0 1"}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(player, "WATCH_PAUSE", 0)


def chess_game(**keywords):
    return play("chess", **{"opponent": "built-in", "seed": 1, **keywords})


def picture(widget):
    [found] = pictures(widget.picture.value)
    return found.attrib["aria-label"]


def buttons(game):
    return [button.description for button in game.buttons.children if button.layout.display != "none"]


def moves(game):
    return [turn.text for turn in game.game.turns[1::2]]


@pytest.mark.parametrize("typed", ["Nf3", "N f 3", "nf3", "g1f3", " G1 F3 "])
def test_a_move_is_typed_in_any_spelling_and_kept_as_the_data_spell_it(typed):
    game = chess_game()
    enter(game.text, typed)
    assert moves(game) == ["N f 3"] and "You: Nf3 → Black has answered" in said(game)


def test_castling_and_promotion_are_typed():
    game = chess_game(options={"fen": "4k3/8/8/8/8/8/8/4K2R w K - 0 1"})
    enter(game.text, "o-o")
    assert moves(game) == ["O - O"]
    game = chess_game(options=PROMOTION)
    enter(game.text, "a7a8q")
    assert moves(game) == ["a 8 = Q"]


def test_a_move_is_clicked_piece_first():
    game = chess_game()
    assert buttons(game)[:3] == ["♘ b1", "♘ g1", "♙ a2"] and len(buttons(game)) == 10
    click(game, "♘ g1")
    assert sorted(buttons(game)) == ["Nf3", "Nh3", "← back"]
    assert "Chosen: g1; it can go to f3, h3." in picture(game) and len(game.game.infos) == 1
    click(game, "← back")
    assert "Chosen" not in picture(game) and "♙ a2" in buttons(game)
    click(game, "♙ e2")
    click(game, "e4")
    assert moves(game) == ["e 4"] and "♙ e4" in buttons(game) and "♔ e1" in buttons(game)


def test_promotions_have_a_button_each():
    game = chess_game(options=PROMOTION)
    click(game, "♙ a7")
    assert {"a8=N", "a8=B", "a8=R", "← back"} < set(buttons(game))
    click(game, "a8=Q")
    assert moves(game) == ["a 8 = Q"]


@pytest.mark.parametrize("typed", ["Ke5", "hello", "--", "0000", "e2e5", "♘"])
def test_an_illegal_move_is_asked_about_and_then_costs_one(typed):
    game = chess_game()
    enter(game.text, typed)
    assert "not a legal move here (or fits two pieces), and would cost 1. Press Enter again" in said(game)
    assert len(game.game.infos) == 1
    enter(game.text, typed)
    assert len(game.game.infos) == 2 and game.game.total_return == -1 and game.game.infos[-1]["invalid"]
    assert "not a legal move" in said(game) and "♙ e2" in buttons(game)


def test_mate_ends_the_game_and_says_so():
    game = chess_game(options=MATE_IN_ONE)
    enter(game.text, "Qh5")
    assert game.returns == [1.0] and game.episodes[0].success and replay_problem(game.episodes[0]) is None
    assert "mate: you won (reward 1). Game over after 1 turn: return 1" in said(game)
    assert "1. Qh5# – Black is mated" in said(game) and "Black is mated." in picture(game) and buttons(game) == []


def test_the_last_move_and_a_check_are_drawn_and_said():
    game = chess_game(options=CHECKED)
    [board] = pictures(game.picture.value)
    assert picture(game).startswith("Chess board, move 3. White to move, in check. White: king e1, queen d1, rooks a1 h1")
    assert len([c for c in board.iter(SVG + "circle") if c.attrib.get("class") == "circle"]) == 1
    assert not [p for p in board.iter(SVG + "polygon")]
    enter(game.text, "g3")
    [board] = pictures(game.picture.value)
    assert [p.attrib["class"] for p in board.iter(SVG + "polygon")] == ["arrow"]
    assert re.search(r"Last moves: 3\. g3 Q\S+\.", picture(game)) and "– White to move" in said(game)
    assert "desc" not in {element.tag.removeprefix(SVG) for element in board.iter()}


def test_an_illegal_move_keeps_the_last_moves_in_sight():
    game = chess_game()
    game.step("e4")
    before = picture(game)
    game.step("Ke5")
    assert picture(game) == before and "1. e4 " in before


# ---------------------------------------------------------------------------------------------- taking back

def test_a_move_is_taken_back_with_the_answer_and_the_game_is_marked():
    game = chess_game(options=MATE_IN_ONE, save_to=None)
    start, infos = picture(game), len(game.game.infos)
    enter(game.text, "a3")
    click(game, "Take back")
    assert picture(game) == start and len(game.game.infos) == infos and "Taken back: a3." in said(game)
    assert "taken back <b>1</b>" in game.header.value and game.take_back.disabled
    enter(game.text, "Qh5")
    [episode] = game.episodes
    assert episode.info["undone"] == 1 and episode.policy == "human" and episode.actions == ["Q h 5 #"]
    assert replay_problem(episode) is None and game.returns == [] and "your" not in game.header.value


def test_the_same_moves_after_taking_back_get_the_same_answers():
    game = chess_game(seed=5)
    for move in ("e4", "d4", "Nf3"):
        game.step(move)
    turns = list(game.game.turns)
    game.undo()
    game.undo()
    for move in ("d4", "Nf3"):
        game.step(move)
    assert game.game.turns == turns and game.game.undone == 2


def test_a_lost_game_stays_lost_and_goes_on_as_another():
    game = chess_game(max_moves=2)
    game.step("e4")
    game.step("Ke5")
    assert game.returns == [-1.0] and game.game.over
    click(game, "Take back")
    assert not game.game.over and not game.send.disabled
    game.step("d4")
    assert [episode.info.get("undone") for episode in game.episodes] == [None, 1] and game.returns == [-1.0]
    assert game.episodes[0].actions == ["e4", "Ke5"] and game.episodes[1].actions == ["e4", "d4"]
    game.new_game()
    assert game.game.undone == 0


def test_moves_of_the_agent_that_are_taken_back_are_not_counted():
    game = chess_game(agent=TASKS["chess"].policies["random"](), max_moves=2)
    click(game, "Let it move")
    click(game, "Take back")
    game.step("e4")
    game.step("d4")
    assert game.episodes[0].policy == "human" and game.episodes[0].info["undone"] == 1


def test_there_is_nothing_to_take_back_at_the_start():
    game = chess_game()
    assert game.take_back.disabled
    with pytest.raises(RuntimeError, match="no move to take back"):
        game.undo()


def test_a_game_that_does_not_repeat_itself_keeps_its_moves(monkeypatch):
    game = chess_game()
    game.step("e4")
    game.step("d4")
    turns, env = list(game.game.turns), game.env
    game.game.turns[2] = Turn("another answer\n", False)
    with pytest.raises(RuntimeError, match="answers differently each time"):
        game.undo()
    assert game.game.env is env and len(game.game.turns) == len(turns) and game.game.undone == 0


def test_only_chess_offers_to_take_back():
    for task in ("maze-fo", "wordle", "text-nav-po"):
        assert "Take back" not in [w.description for w in play(task).box.children[1].children[1].children[1].children]


# ---------------------------------------------------------------------------------------------- an agent, replay, files

def test_an_agent_with_values_is_asked_about_all_legal_moves():
    class Likes:
        def top_actions(self, turns, legal_actions, n=5):
            return [{"action": action, "probability": 0.04, "value": 0.5} for action in list(legal_actions)[:n]]

    game = chess_game(agent=Likes())
    click(game, "What would the agent do?")
    text = re.sub(r"<[^>]*>", " ", game.hint.value)
    assert len(re.findall(r"4\.0%", text)) == 5 and re.search(r"\(15 more legal\)\s+60\.0%", text)
    assert re.search(r"\(anything else\)\s+20\.0%", text)  # what is no legal move
    assert re.search(r"\b[NBRQK]?[a-h][1-8]\b", text)


def test_the_best_policy_is_asked_about_the_position_alone_and_wins_an_endgame():
    game = play("chess-endgames", agent=TASKS["chess-endgames"].policies["best"](), seed=2)
    click(game, "What would the agent do?")
    assert "It would play:" in game.hint.value
    click(game, "Watch it finish")
    assert game.episodes[0].success and game.episodes[0].policy == "agent"
    view = replay(game.episodes[0], agent=TASKS["chess-endgames"].policies["best"]())
    assert "It would play:" in view.hint.value
    view.go(99)
    assert "Black is mated." in picture(view) and "the game is over" in view.header.value
    view.go(1)
    assert re.search(r"Last moves: 1\. \S+ K\S+\.", picture(view))


def test_a_published_game_is_drawn_from_its_text():
    fens = ["rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1",
            "rnbqkbnr/pppp1ppp/8/4p3/4P3/8/PPPP1PPP/RNBQKBNR w KQkq e6 0 2"]
    turns = [Turn(spell(fens[0]) + "\n", False), Turn("e 4", True), Turn(spell(fens[1]) + "\n", False), Turn("N f 3", True)]
    view = replay(Episode("chess", turns, True, False, policy="published"))
    assert "Drawn from its text" in view.header.value
    view.go(1)
    assert "Last moves: 1. e4 e5." in picture(view)
    view.go(2)  # the record ends with White's move
    assert "Last moves: 2. Nf3. " in picture(view) and "Black to move." in picture(view)


def test_a_text_that_is_no_position_is_shown_as_a_chat():
    view = replay(Episode("chess", [Turn("hello\n", False), Turn("e 4", True), Turn("\n", False)], True, False))
    assert not pictures(view.picture.value) and 'role="log"' in view.picture.value


def test_the_saved_notebook_keeps_the_board_as_an_image():
    game = chess_game()
    game.step("e4")
    twin = game._repr_mimebundle_()["text/html"]
    assert "<svg" not in twin and '<img alt="Chess board, move 2. White to move.' in twin


def test_nonsense_is_shown_as_text():
    game = chess_game()
    for nonsense in ("<b>&", "\x07", "x" * 1000, "", "💥"):
        game.step(nonsense)
        assert pictures(game.picture.value)
    game._repr_mimebundle_()
    assert "<b>&" not in html_of(game)


@pytest.mark.skipif(find_stockfish() is None, reason="no Stockfish")
def test_no_engine_outlives_its_game():
    def engines():
        return subprocess.run(["pgrep", "-P", str(os.getpid()), "stockfish"], capture_output=True,
                              text=True).stdout.split()

    before = len(engines())
    first = play("chess", opponent="stockfish", seed=1, max_moves=3)
    first.step("e4")
    assert len(engines()) == before + 1
    second = play("chess", opponent="stockfish", seed=1, max_moves=2)  # the cell is run again
    second.step("e4")
    assert len(engines()) == before + 1
    second.undo()
    second.step("e4")
    second.step("d4")
    assert second.game.over and len(engines()) == before
    replay(second.episodes[0]).go(2)
    assert len(engines()) == before
    first.step("d4")  # the older widget still plays
    first.step("Nf3")
    assert first.game.over and len(engines()) == before
    assert draw.view("chess", first.game.turns, None, True) == first.picture.value
