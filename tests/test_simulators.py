"""Language models as partners and players: what they are told, how their words are read, what is remembered."""

import dataclasses
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmrl_lab as lab
from chat_server import ChatServer
from lmrl_lab.chat import Usage, spoken
from lmrl_lab.simulators import (
    PROMPTS,
    ChatPolicy,
    ModelSimulator,
    Request,
    Simulator,
    clean,
    first_line,
    parsed,
    simulator,
)

PIANO = Request("twenty-questions", (("object", "Piano"),), ("Questions:\n", "Is it alive?"))


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


class Recorder:
    """A transport that keeps what it was asked; `answer` is called with the conversation."""

    spec = "test:recorder"

    def __init__(self, answer):
        self.answer, self.calls, self.usage = answer, [], Usage()

    def complete(self, conversations):
        self.calls.append(conversations)
        return [self.answer(one) for one in conversations]


def test_the_same_spec_is_the_same_object_and_objects_pass():
    assert simulator("scripted") is None
    one = simulator("chat:m@http://localhost:1/v1")
    assert one is simulator("chat:m@http://localhost:1/v1") and isinstance(one, Simulator) and simulator(one) is one
    assert simulator("transformers:nowhere").spec == "transformers:nowhere"


def test_a_spec_without_an_address_is_another_object_at_another_address(monkeypatch):
    for port in (1, 2, 1):
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://localhost:{port}/v1/")
        assert simulator("chat:m") is simulator(f"chat:m@http://localhost:{port}/v1")
        assert simulator("chat:m").spec == f"chat:m@http://localhost:{port}/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://me:secret@localhost/v1")
    with pytest.raises(ValueError, match="OPENAI_API_KEY") as caught:
        simulator("chat:m")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("spec", ["scriptet", "", "chat", "chat:", "transformers:", "gpt-4", 3, None, object()])
def test_anything_else_is_an_error_that_lists_what_is_accepted(spec):
    with pytest.raises(ValueError) as caught:
        simulator(spec)
    for accepted in ("scripted", "transformers:PATH_OR_HUB_NAME", "chat:MODEL", "chat:MODEL@BASE_URL"):
        assert accepted in str(caught.value)


# ---------------------------------------------------------------------------------------------- prompts and memory

def test_the_partner_is_told_what_it_knows_and_what_was_said():
    model = Recorder(lambda asked: "No.")
    turns = ("Questions:\n", "Is it alive?", "No.\n", "Is it loud?")
    assert ModelSimulator(model).replies([dataclasses.replace(PIANO, turns=turns)]) == ["No."]
    [[[system, *said]]] = model.calls
    assert said == [{"role": "user", "content": "Is it alive?"}, {"role": "assistant", "content": "No."},
                    {"role": "user", "content": "Is it loud?"}]
    assert system["role"] == "system" and "Piano" in system["content"] and system["content"].endswith("words were:\nQuestions:")
    assert spoken(said) == "Them: Is it alive?\nYou: No.\nThem: Is it loud?"
    with pytest.raises(ValueError, match="player"):
        ModelSimulator(model).replies([dataclasses.replace(PIANO, turns=turns[:3])])


def test_what_was_asked_before_is_not_asked_again():
    model = Recorder(lambda asked: f"about {asked[-1]['content']}")
    partner = ModelSimulator(model, remember=2)

    def ask(*questions):
        return partner.replies([dataclasses.replace(PIANO, turns=("Questions:", question)) for question in questions])

    assert ask("a", "b", "a") == ["about a", "about b", "about a"]
    assert ask("b", "c") == ["about b", "about c"]  # a is forgotten now
    assert ask("b", "c") == ["about b", "about c"]
    assert ask("a", "a") == ["about a"] * 2
    assert [[asked[-1]["content"] for asked in call] for call in model.calls] == [["a", "b"], ["c"], ["a"]]
    assert ask(*"defg", "a") == [f"about {question}" for question in "defga"]  # more at once than it remembers
    assert ask() == []
    model.calls.clear()
    for question in ("x", "y", "x", "z", "x", "y"):  # z puts out y, which was not used for longer than x
        ask(question)
    assert [call[0][-1]["content"] for call in model.calls] == ["x", "y", "z", "y"]
    other = dataclasses.replace(PIANO, hidden=(("object", "Horse"),), turns=("Questions:", "a"))
    partner.replies([other])
    assert "Horse" in model.calls[-1][0][0]["content"], "another object is another question"


def test_what_was_asked_ahead_is_paid_once_however_little_is_remembered():
    model = Recorder(lambda asked: "No.")
    partner = ModelSimulator(model, remember=2)
    requests = [dataclasses.replace(PIANO, turns=("Questions:", question)) for question in "abcde"]
    partner.replies(requests)
    for request in requests:  # a step of five games
        assert partner.replies([request]) == ["No."]
    assert len(model.calls) == 1
    partner.replies([PIANO])
    partner.replies(requests[:1])
    assert len(model.calls) == 3, "then it is forgotten"


def test_prompts_of_one_s_own(tmp_path):
    model = Recorder(lambda asked: "No.")
    (tmp_path / "twenty_questions.txt").write_text("Think of a {object}! {}\n")
    ModelSimulator(model, prompts_dir=tmp_path).replies([PIANO])
    assert model.calls[-1][0][0]["content"].startswith("Think of a Piano! {}\n\n")
    (tmp_path / "twenty_questions.txt").write_text("A longer text about a {objekt}")
    with pytest.raises(ValueError, match=r"twenty_questions.txt: there is no \{objekt\}, only \{object\}"):
        ModelSimulator(model, prompts_dir=tmp_path).replies([PIANO])
    with pytest.raises(ValueError, match=r"guess_my_city.*accepted: twenty_questions"):
        ModelSimulator(model, prompts_dir=tmp_path).replies([Request("guess-my-city", (), ("a", "b"))])


@pytest.mark.parametrize("name, wanted", [("twenty_questions", {"object"}), ("guess_my_city", {"city"}), (
    "car_dealer", {"brand", "body", "features", "budget", "character", "tone"})])
def test_the_partner_s_prompts_use_what_the_games_give(name, wanted):
    assert set(re.findall(r"\{(\w+)\}", (PROMPTS / f"{name}.txt").read_text())) == wanted


TASKS = ("maze-fo", "maze-po", "text-nav-fo", "text-nav-po", "wordle", "chess", "chess-endgames", "twenty-questions",
         "guess-my-city", "car-dealer")


@pytest.mark.parametrize("task", TASKS)
def test_a_player_is_told_the_rules_and_an_answer_of_the_form_that_the_game_takes(task):
    lines = ChatPolicy(Recorder(str), task).system.splitlines()
    if task in lab.TASKS and lab.TASKS[task].actions and task != "wordle":
        _, info = lab.make(task).reset(seed=0)
        assert set(lines) & set(lab.TASKS[task].actions), "no line of the rules is an action"
        assert not task.startswith("maze") or set(info["legal_actions"]) <= set(lines)
    elif task.startswith("chess"):
        assert any(re.fullmatch(r"[KQRN] [a-h] [1-8]( #)?", line) for line in lines)
    elif task == "wordle":
        assert any(re.fullmatch(r"[a-z]( [a-z]){4}", line) for line in lines)
    else:
        assert any(line.endswith("?") for line in lines)


# ---------------------------------------------------------------------------------------------- what a model said

@pytest.mark.parametrize("said, line", [
    ("Yes.", "Yes."), ("  \n\n  No. \nThem: Is it red?", "No."), ("You: Yes.", "Yes."), ("", ""), (" \n ", ""),
    ("<think>It is\nalive.</think>\nYes.", "Yes."), ("<think>It is", ""), ("Deal: I take it.", "Deal: I take it."),
    ("**Deal:** I take it.", "Deal: I take it."), ('"Deal: fine."', "Deal: fine."), ("Buyer: Deal: ok", "Deal: ok"),
    ("*Buyer:* **Deal: ok**", "Deal: ok"), ("Deal! I take it.", "Deal! I take it."), ("```\nOracle: No.\n```", "No."),
    ("Question: how much?", "Question: how much?"), ("1. Yes.", "Yes."), ("12.", "12."), ('Has it "ABS"?', 'Has it "ABS"?'),
    ("x" * 30, "x" * 20), ("a b" * 2 + " " * 40 + "c", "a ba b"), ("You:\nYes.", "Yes.")])
def test_a_reply_is_one_line(said, line):
    assert first_line(said, 20) == line


@given(st.text())
def test_whatever_is_said_a_reply_and_an_action_are_one_line_without_space_around(text):
    for line in (first_line(text, 20), parsed(text, None), parsed(text, ("move up", "move down"))):
        assert line == line.strip() and len(line.splitlines()) <= 1
    assert len(first_line(text, 20)) <= 20 and "<think>" not in clean(text)


MOVES = ("move up", "move down", "move left", "move right")
WORDS = ("h o u s e", "g u e s s")
HOUSE = ("go east", "take cup", "take cup from table", "take coffee cup", "open fridge")
CHESS = ("N f 3", "e 4", "e x d 5", "b x c 3", "B x c 3", "R e 5 +", "O - O", "Q g 7 #", "e 8 = Q", "e 8 = N")


@pytest.mark.parametrize("said, legal, action", [
    ("move up", MOVES, "move up"),
    ("Action: move up", MOVES, "move up"),
    ("**My next action:** `move up`.", MOVES, "move up"),
    ("```text\nmove up\n```", MOVES, "move up"),
    ("```move up```", MOVES, "move up"),
    ("1. Move Up!", MOVES, "move up"),
    ("> - \"move up\"", MOVES, "move up"),
    ("Action:\n\nmove left\nmove up", MOVES, "move left"),
    ("<think>move down?</think>I move up now.", MOVES, "move up"),
    ("I would move up or move down.", MOVES, "I would move up or move down."),
    ("remove upper", MOVES, "remove upper"),
    ("up", MOVES, "up"),
    ("take cup from table", HOUSE, "take cup from table"),
    ("Now I take cup from table.", HOUSE, "take cup from table"),
    ("I take the cup, then take cup", HOUSE, "take cup"),
    ("take coffee cup, go east", HOUSE, "take coffee cup, go east"),
    ("Nf3", CHESS, "N f 3"),
    ("1. N f 3", CHESS, "N f 3"),
    ("1.e4", CHESS, "e 4"),
    ("I play N f 3.", CHESS, "N f 3"),
    ("N e 4", CHESS, "N e 4"),
    ("bxc3", CHESS, "b x c 3"),
    ("B x c 3", CHESS, "B x c 3"),
    ("Re5", CHESS, "R e 5 +"),
    ("R e 5 +", CHESS, "R e 5 +"),
    ("Castle: O-O-O", CHESS, "Castle: O-O-O"),
    ("O-O", CHESS, "O - O"),
    ("Qg7#", CHESS, "Q g 7 #"),
    ("e8=N", CHESS, "e 8 = N"),
    ("qg7", CHESS, "Q g 7 #"),
    ("My guess is s t a r e", ("s t a r e", "t r a c e"), "s t a r e"),
    ("STARE", ("s t a r e",), "s t a r e"),
    ("Question: Is it an animal?", None, "Is it an animal?"),
    ("“Is it an animal?”", None, "Is it an animal?"),
    ("2) Is it 3.5 metres long?", None, "Is it 3.5 metres long?"),
    ("3.5 metres?", None, "3.5 metres?"),
    ("Question 5: Is it a piano?", None, "Is it a piano?"),
    ("**Question 5:** Is it a piano?", None, "Is it a piano?"),
    ("**Question #5**: Is it a piano?", None, "Is it a piano?"),
    ("Q5: Is it a piano?", None, "Is it a piano?"),
    ("My next question is: Is it a piano?", None, "Is it a piano?"),
    ("My question is big", None, "My question is big"),
    ("Guess 3: h o u s e", WORDS, "h o u s e"),
    ("My 3rd guess: h o u s e", WORDS, "h o u s e"),
    ("My second guess is house", WORDS, "h o u s e"),
    ("I guess h o u s e", WORDS, "h o u s e"),
    ("I guess", WORDS, "g u e s s"),
    ("Number 3 h o u s e", WORDS, "h o u s e"),
    ("My guess is clear", WORDS, "My guess is clear"),
    ("Move 3: N f 3", CHESS, "N f 3"),
    ("3... N f 3", CHESS, "N f 3"),
    ("", MOVES, ""), ("", None, "")])
def test_an_answer_is_read_as_one_action(said, legal, action):
    assert parsed(said, legal) == action


DRESS = st.sampled_from(["{}", "Action: {}", "**{}**", "`{}`", "\n\n- {}\nbecause it is near", "```\n{}\n```", "\"{}\".",
                         "<think>hm</think>\n{}", "My answer: {}", "1. {}", "  {}  ", "Move 3: {}", "**My 2nd answer:** {}"])


@settings(deadline=None)
@given(st.sampled_from(["maze-po", "text-nav-fo", "wordle", "chess", "chess-endgames"]), st.integers(0, 2**31), DRESS, st.data())
def test_a_legal_action_comes_out_of_any_dress(task, seed, dress, data):
    env = lab.make(task, **({"opponent": "built-in"} if task == "chess" else {}))
    _, info = env.reset(seed=seed)
    env.close()
    action = data.draw(st.sampled_from(list(info["legal_actions"])))
    assert parsed(dress.format(action), info["legal_actions"]) == action


# ---------------------------------------------------------------------------------------------- a player

def test_a_player_s_conversation_and_its_examples():
    [example, _] = lab.generate("maze-fo", 2, seed=0, cache=False)
    model = Recorder(lambda asked: "I think:\n" if len(asked) > 2 else "**Action:** move up")
    policy = ChatPolicy(model, "maze-fo", examples=[example])
    assert policy.name == "test:recorder with 1 examples" and policy.task == "maze-fo" and policy.usage is model.usage
    policy.reset([1, 2, 3])
    infos = [{"legal_actions": MOVES}] * 3
    assert policy.act(["first\n", None, "other\n"], infos) == ["move up", None, "move up"]
    assert policy.act(["second\n", None, None], infos) == ["I think:", None, None]
    [[one, two], [three]] = model.calls
    assert one[1:] == [{"role": "user", "content": "first"}] and two[1:] == [{"role": "user", "content": "other"}]
    assert three[1:] == [{"role": "user", "content": "first"}, {"role": "assistant", "content": "move up"},
                         {"role": "user", "content": "second"}]
    assert f"Example 1:\nThem: {example.turns[0].text}You: {example.turns[1].text}\nThem: " in one[0]["content"]
    assert one[0]["content"].startswith((PROMPTS / "player_maze_fo.txt").read_text().strip())
    policy.reset([1])
    policy.act(["\n"], infos[:1])
    assert model.calls[-1][0][1:] == [{"role": "user", "content": "..."}], "a reset forgets; some servers refuse an empty text"
    with pytest.raises(ValueError, match="examples of maze-fo"):
        ChatPolicy(model, "maze-po", examples=[example])
    with pytest.raises(ValueError, match="did you mean 'player_maze_fo'"):
        ChatPolicy(model, "mase-fo")
    with pytest.raises(ValueError, match="a transport has its own"):
        ChatPolicy(model, "maze-fo", temperature=1.0)


def test_a_player_behind_a_server_scores_as_the_policy_that_it_copies():
    best = lab.TASKS["maze-fo"].policies["best"]()

    def answer(request, headers):
        best.reset([0])
        [move] = best.act([request["messages"][-1]["content"] + "\n"], [{}])
        return f"Let me see.\nAction: {move}".split("\n", 1)[1]

    with ChatServer(answer) as server:
        policy = ChatPolicy("m", "maze-fo", base_url=server.url, temperature=0.5)
        score, games = lab.evaluate(policy, "maze-fo", episodes=6, return_episodes=True)
    wanted, _ = lab.evaluate("best", "maze-fo", episodes=6, return_episodes=True)
    assert (score.mean_return, score.success_rate, score.invalid_rate) == (wanted.mean_return, 1.0, 0.0)
    actions = sum(len(game.actions) for game in games)
    assert policy.usage == Usage(actions, 5 * actions, 2 * actions) and score.policy == f"chat:m@{server.url}"
    assert {request["temperature"] for request in server.requests} == {0.5}


def test_a_player_by_spec():
    assert ChatPolicy("transformers:here", "chess", max_new_tokens=8).transport.max_new_tokens == 8
    assert ChatPolicy("chat:a@http://localhost:1/v1", "chess").name == "chat:a@http://localhost:1/v1"
    assert ChatPolicy("llama:8b", "chess", base_url="http://localhost:1/v1").name == "chat:llama:8b@http://localhost:1/v1"


def test_a_word_that_announces_a_guess_is_not_the_guess():
    """"guess" is a word of Wordle, so "My guess is enjoy." names two words of the game."""
    legal = ["e n j o y", "g u e s s"]
    assert parsed("My guess is e n j o y.", legal) == parsed("The final answer would be: ENJOY", legal) == "e n j o y"
    assert parsed("guess", legal) == "g u e s s"
    assert parsed("The answer is a piano", None) == "The answer is a piano"
