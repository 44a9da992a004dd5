"""Twenty Questions and Guess My City: rules, oracle, askers, data, and language models as the oracle."""

import csv
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmrl_lab as lab
from lmrl_lab.episode import Turn
from lmrl_lab.policies import played
from lmrl_lab.rollout import rollout
from lmrl_lab.tasks import guess_my_city, guessing, twenty_questions
from lmrl_lab.tasks.guessing import NO, WHAT, YES, Asker, Oracle, RandomAsker, best_row, members
from lmrl_lab.tasks.phrases import plain
from lmrl_lab.tasks.tables import rows

GAMES = {"twenty-questions": twenty_questions, "guess-my-city": guess_my_city}
every_game = pytest.mark.parametrize("task", GAMES)


def small_oracle():
    """Four animals and three questions, small enough for a pencil."""
    questions = ["Does it bark?", "Is it big?", "Where does it live?"]
    answers = [[YES, NO, NO, NO], [NO, NO, YES, YES], ["House.", "House.", "House.", "Wild."]]
    known = {plain(q): (k, False) for k, q in enumerate(questions)} | {"is it small": (1, True)}
    return Oracle("animal", [("Dog", "Hound"), ("Cat",), ("Cow",), ("Bear",)], questions, answers,
                  lambda text: known.get(plain(text)), "Is it a {}?".format)


class Says:
    """A simulator that says what it was told to, and remembers what it was asked."""

    def __init__(self, *replies):
        self.spec, self.said, self.asked = "test:says", list(replies), []

    def replies(self, requests):
        self.asked += requests
        return [self.said.pop(0) for _ in requests]


# ------------------------------------------------------------------------------------------------------- the rules

@every_game
def test_every_listed_name_wins_in_each_wording_and_costs_nothing(task):
    env = lab.make(task)
    oracle = env.oracle
    for n, names in enumerate(oracle.names):
        for k, name in enumerate(names):
            wording = ("Is it {}?", "is it a {}", "Is the KIND {}?", "IS THIS THE {}!")[(n + k) % 4].replace("KIND", oracle.kind)
            env.reset(options={oracle.kind: names[0]})
            *told, info = env.step(wording.format(name.upper() if k % 2 else name))
            assert told == ["Yes.\n", 0.0, True, False] and info["success"] and not info["invalid"]


@every_game
def test_a_wrong_name_is_told_no_and_costs_one(task):
    env = lab.make(task)
    things = env.oracle.things
    for n, name in enumerate(things):
        env.reset(options={env.oracle.kind: name})
        wrong = things[n - 1]
        assert env.step(f"Is it {wrong}?")[:4] == ("No.\n", -1.0, False, False)


@every_game
@pytest.mark.parametrize("text", ["{}", "It is {}!", "I say {}.", "Is it {} or not?", "Is it not {}?", "Could it be {}?",
                                  "Is it {}, or is it {}?", "Yes. Is it {}?"])
def test_nothing_else_wins(task, text):
    env = lab.make(task)
    for names in env.oracle.names[::7]:
        env.reset(options={env.oracle.kind: names[0]})
        _, reward, terminated, _, info = env.step(text.format(names[0], names[0]))
        assert reward == -1.0 and not terminated and not info["success"]


@every_game
@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=60), n=st.integers(0, 99))
def test_no_text_ends_a_game_but_a_name(task, text, n):
    env = lab.make(task)
    env.reset(options={env.oracle.kind: env.oracle.things[n]})
    _, reward, terminated, _, info = env.step(text)
    named = env.oracle.named(text.removesuffix("\n")) == n
    assert (reward, terminated, info["success"]) == ((0.0, True, True) if named else (-1.0, False, False))


@every_game
def test_twenty_questions_and_no_more(task):
    env = lab.make(task)
    hidden = env.oracle.things[3]
    env.reset(options={env.oracle.kind: hidden})
    for k in range(1, 21):
        text, reward, terminated, truncated, info = env.step("blah blah")
        assert (text, reward, info["invalid"], terminated, truncated) == (WHAT + "\n", -1.0, True, k == 20, False)
        assert info["message"] == (f"{20 - k} questions left" if k < 20 else f"no question is left; it was: {hidden}")
    with pytest.raises(RuntimeError, match="reset"):
        env.step("Is it anything?")


@every_game
def test_the_last_question_may_win(task):
    env = lab.make(task)
    env.reset(options={env.oracle.kind: env.oracle.things[5]})
    for _ in range(19):
        env.step("what")
    assert env.step(f"is it {env.oracle.things[5]}")[1:3] == (0.0, True)


@every_game
def test_hidden_things_are_drawn_evenly_and_can_be_fixed_by_any_name(task):
    env = lab.make(task)
    drawn = []
    env.reset(seed=0)
    for _ in range(2_000):
        env.reset()
        drawn.append(env.hidden)
    assert set(drawn) == set(env.oracle.things)
    many = max(map(drawn.count, set(drawn)))
    assert many < 3 * 2_000 / len(env.oracle.things)
    names = next(names for names in env.oracle.names if len(names) > 1)
    env.reset(options={env.oracle.kind: names[-1].upper()})
    assert env.hidden == names[0]
    for wrong in ("Atlantis", 7, ""):
        with pytest.raises(ValueError, match=f"{env.oracle.kind} of {task}"):
            env.reset(options={env.oracle.kind: wrong})


# ------------------------------------------------------------------------------------------------------- the oracle

@every_game
def test_each_question_of_the_table_gets_the_tables_answer(task):
    env = lab.make(task)
    oracle = env.oracle
    draw = random.Random(0)
    for k, question in enumerate(oracle.questions):
        n = draw.randrange(len(oracle.things))
        env.reset(options={oracle.kind: oracle.things[n]})
        text, reward, terminated, _, info = env.step(question)
        assert (text, reward, terminated, info["invalid"]) == (oracle.answers[k][n] + "\n", -1.0, False, False)


def test_the_oracle_knows_well_known_facts():
    env = lab.make("twenty-questions")
    for name, question, answer in (("Cat", "Is it an animal?", YES), ("Piano", "Is it an animal?", NO),
                                   ("Apple", "Can you eat it?", YES),
                                   ("Apple", "Isn't it edible?", YES), ("Hammer", "Can you eat it?", NO),
                                   ("Lion", "is it alive", YES)):
        env.reset(options={"object": name})
        assert env.step(question)[0] == answer + "\n", (name, question)
    env = lab.make("guess-my-city")
    for name, question, answer in (("Paris", "What country is it in?", "France."),
                                   ("Tokyo", "Which language do they speak there?", "Japanese."),
                                   ("Cairo", "what continent is it on", "Africa.")):
        env.reset(options={"city": name})
        assert env.step(question)[0] == answer + "\n", (name, question)


def understood(task, part):
    """(right, wrong): shares of the questions of a set that are read as its author meant them, and as something else."""
    module, table = GAMES[task], task.replace("-", "_")
    key = {"twenty-questions": "attribute", "guess-my-city": "kind"}[task]
    keys = [row[key] for row in rows(f"{table}_{key}s")]
    with open(Path(__file__).parent / "tables" / f"{table}_{part}.csv", newline="", encoding="utf-8") as file:
        asked = list(csv.DictReader(file))
    right = wrong = 0
    for row in asked:
        found = module.oracle()._find(row["question"])
        meant = (keys.index(row[key]), row.get("negated") == "1") if row[key] else None
        right, wrong = right + (found == meant), wrong + (found is not None and found != meant)
    return right / len(asked), wrong / len(asked)


@pytest.mark.parametrize("task, right, wrong", [("twenty-questions", 0.88, 0.02), ("guess-my-city", 0.90, 0.05)])
def test_what_people_ask_is_mostly_understood(task, right, wrong):
    """300 questions by somebody who saw no phrasing: 89.0% right and 1.7% wrong, 91.0% and 4.7% when they were first run."""
    found = understood(task, "test")
    assert found[0] >= right and found[1] <= wrong


def test_no_answer_about_a_city_names_it():
    oracle = guess_my_city.oracle()
    for n, names in enumerate(oracle.names):
        for row in oracle.answers[:len(oracle.questions)]:
            assert not any(f" {plain(name)} " in f" {plain(row[n])} " for name in names), (names[0], row[n])


def test_a_question_for_the_opposite_gets_the_opposite_answer():
    oracle = small_oracle()
    assert oracle.read("Is it small?") == (1, (YES, YES, NO, NO))
    assert oracle.read("Is it big?") == (1, (NO, NO, YES, YES))
    assert oracle.read("Is it a hound?") == (3, (YES, NO, NO, NO))
    assert oracle.read("Is it nice?") is None


# ------------------------------------------------------------------------------------------------------- the askers

def test_best_row_by_hand():
    """Of four animals "big" leaves two and two (1 bit each), "bark" one and three; of three or two, the first is named."""
    oracle = small_oracle()
    assert oracle.actions[best_row(oracle, 0b1111)] == "Is it big?"
    assert oracle.actions[best_row(oracle, 0b0110)] == "Is it a Cat?"
    assert oracle.actions[best_row(oracle, 0b1101)] == "Is it a Dog?"
    assert members(0b1101) == [0, 2, 3]
    assert [oracle.fitting[2][text] for text in ("House.", "Wild.")] == [0b0111, 0b1000]


@every_game
def test_the_best_row_is_that_of_a_slow_count(task):
    oracle, draw = GAMES[task].oracle(), random.Random(1)
    for _ in range(20):
        numbers = sorted(draw.sample(range(len(oracle.things)), draw.randint(4, 40)))

        unknown = []
        for row in oracle.answers[:len(oracle.questions)]:
            told = [row[n] for n in numbers]
            unknown.append(sum(told.count(text) * np.log2(told.count(text)) for text in set(told)))
        assert unknown[best_row(oracle, sum(1 << n for n in numbers))] == pytest.approx(min(unknown))


@every_game
def test_the_best_policy_always_wins_and_the_card_has_its_mean(task):
    env, policy, card = lab.make(task), GAMES[task].best_policy(), lab.TASKS[task]
    games = [played(policy, env, options={env.oracle.kind: name}) for name in env.oracle.things]
    assert all(game.success and not game.info["invalid"] for game in games)
    assert np.mean([game.total_return for game in games]) == pytest.approx(card.references.best, abs=5e-4)


@every_game
def test_the_cards_behaviour_mean(task):
    found = guessing.references(lab.make(task), GAMES[task].behaviour_policy(), GAMES[task].best_policy(), 400, "")
    card = lab.TASKS[task].references
    assert abs(found.behaviour - card.behaviour) < 4 * found.standard_errors[1]


@every_game
def test_everybody_asks_what_the_env_understands(task):
    card = lab.TASKS[task]
    for name, make in card.policies.items():
        for game in rollout(make(), task, range(8)):
            assert game.info["invalid"] == 0, name
            assert game.success or len(game.actions) == 20


def test_an_asker_that_knows_little_rules_out_little():
    oracle = guess_my_city.oracle()
    left = {}
    for knows in (0.0, 0.5, 1.0):
        policy = Asker(oracle, stray=1.0, knows=knows)
        policy.reset([0])
        policy.act(["Questions:\n"], [{}])
        row = policy._memories[0]["row"]
        policy.act([oracle.answers[row][0] + "\n"], [{}])
        left[knows] = len(members(policy._memories[0]["fits"]))
    fitting = len(members(oracle.fitting[row][oracle.answers[row][0]]))
    assert left[0.0] == 100 and left[1.0] == fitting and left[1.0] < left[0.5] < left[0.0]


def test_an_asker_whose_answers_contradict_the_table_goes_on():
    oracle = small_oracle()
    policy = Asker(oracle)
    policy.reset([0])
    first = policy.act(["Questions:\n"], [{}])[0]
    said = [first, *(policy.act(["Maybe.\n"], [{}])[0] for _ in range(6))]
    assert sorted(said) == sorted(oracle.actions)  # nothing can be ruled out but what it has named: each is said once


def test_an_asker_takes_over_a_game_that_somebody_else_played():
    oracle = small_oracle()
    policy = Asker(oracle)
    policy.reset([0])
    policy.act(["Questions:\n"], [{"played": None}])
    assert policy.act(["No.\n"], [{"played": "Is it small?"}])[0] == "Is it a Cow?"  # it is big: Cow or Bear


@pytest.mark.parametrize("wrong", [{"stray": -0.1}, {"stray": 0.7, "hasty": 0.4}, {"knows": 1.2}])
def test_impossible_askers(wrong):
    with pytest.raises(ValueError, match="probabilities"):
        Asker(small_oracle(), **wrong)


def test_the_random_asker_asks_anything():
    oracle = small_oracle()
    policy = RandomAsker(oracle)
    policy.reset([0])
    assert {policy.act(["No.\n"], [{}])[0] for _ in range(200)} == set(oracle.actions)


# ------------------------------------------------------------------------------------------------------- data and tokens

@every_game
def test_data_is_seeded_genuine_and_without_repeats_of_seeds(task):
    some, again, other = (lab.generate(task, size=30, seed=seed, cache=False) for seed in (3, 3, 4))
    assert [e.turns for e in some] == [e.turns for e in again]
    assert [e.turns for e in some] != [e.turns for e in other]
    assert len({e.seed for e in some}) == 30
    assert all(lab.data.replay_problem(e) is None for e in some)
    assert [e.turns for e in lab.generate(task, size=10, seed=3, cache=False)] == [e.turns for e in some[:10]]


def test_model_text_by_hand():
    oracle = small_oracle()
    said = ["Questions:", "IS IT SMALL", "No.", "where does it live", "House.", "hm?", WHAT, "Is it a hound?", "No."]
    turns = [Turn(text + "\n" * (1 - k % 2), k % 2 == 1) for k, text in enumerate(said)]
    assert guessing.model_text(oracle, turns) == [
        "Questions:", "Is it big?", "Yes. Is it big?", "Where does it live?", "House.", "hm?", WHAT, "Is it a Dog?",
        "No. Is it a Dog?"]


@every_game
def test_all_that_is_said_in_the_data_is_one_token_a_turn(task):
    from lmrl_lab.tokens import Codec, tiny_tokenizer
    card = lab.TASKS[task]
    codec = Codec(tiny_tokenizer(card), card)
    assert codec.single_token_actions
    for game in lab.generate(task, size=40, seed=0, cache=False):
        ids = codec.encode(game.turns)
        assert all(len(turn) == 1 for turn in ids)
        assert codec.tokenizer.unk_token_id not in {i for turn in ids for i in turn}
    assert all(codec.decode_action(codec.action_ids(action)) == action for action in card.actions)


# ------------------------------------------------------------------------------------------------------- models as the oracle

def test_a_model_answers_questions_and_the_rules_judge_names():
    model = Says("yes, it is.", "NO", "Perhaps.", "")
    env = lab.make("twenty-questions", simulator=model)
    env.reset(options={"object": "Piano"})
    assert env.step("Is it nice?")[:2] == ("Yes.\n", -1.0)
    assert env.step("Is it blue?")[0] == "No.\n"
    text, reward, _, _, info = env.step("Is it what?")
    assert (text, reward, info["invalid"]) == (WHAT + "\n", -1.0, True)
    assert env.step("Well?")[4]["invalid"]
    assert env.step("Is it a guitar?")[:3] == ("No.\n", -1.0, False)  # nobody is asked
    assert env.step("Is it a piano?")[1:3] == (0.0, True)
    assert [request.turns for request in model.asked[:2]] == [
        ("Questions:\n", "Is it nice?"), ("Questions:\n", "Is it nice?", "Yes.\n", "Is it blue?")]
    assert {request.hidden for request in model.asked} == {(("object", "Piano"),)} and len(model.asked) == 4


def test_a_model_cannot_give_a_city_away():
    model = Says("It is in Japan.", "I am TOKYO of course", "Tokyo's food is famous!", "")
    env = lab.make("guess-my-city", simulator=model)
    env.reset(options={"city": "Tokyo"})
    told = [env.step(f"Question {k}?") for k in range(4)]
    secret = guess_my_city.SECRET + "\n"
    assert [step[0] for step in told] == ["It is in Japan.\n", secret, secret, WHAT + "\n"]
    assert [step[4]["invalid"] for step in told] == [False, False, False, True]


@pytest.mark.parametrize("city, said, passes", [
    ("Rome", "Rome's walls are old.", False), ("Rome", "The romance of it!", True), ("Paris", "Parisians love it.", False),
    ("Paris", "A comparison with Lyon.", True), ("Ho Chi Minh City", "It was called Saigon.", False)])
def test_words_made_of_the_name(city, said, passes):
    env = lab.make("guess-my-city", simulator=Says(said))
    env.reset(options={"city": city})
    assert (env.step("Tell me about it!")[0] == said + "\n") == passes


@every_game
def test_the_default_oracle_by_name_has_the_references(task):
    card = lab.TASKS[task]
    assert card.references_with({"simulator": "scripted"}) is card.references
    assert card.references_with({"simulator": "chat:m"}) is None
