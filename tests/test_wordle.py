"""Wordle to the string: the colour rule, rewards, options, policies, data, what a tiny model reads."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lmrl_lab as lab
from lmrl_lab.data import replay_problem
from lmrl_lab.episode import Turn
from lmrl_lab.models import tiny_model
from lmrl_lab.tasks import wordle as w
from lmrl_lab.tasks.wordle_values import GreedyValuePolicy, GuessValues

words5 = st.text("abcde", min_size=5, max_size=5)


def official(guess, word):
    """The rule once more, another way: greens first, then as many yellows of a letter as the word has left."""
    left = Counter(word) - Counter(a for a, b in zip(guess, word, strict=True) if a == b)
    out = ""
    for a, b in zip(guess, word, strict=True):
        if a == b:
            out += "g"
        else:
            out += "y" if left[a] > 0 else "b"
            left[a] -= 1
    return out


@pytest.mark.parametrize("guess, word, marks, paper", [
    ("snake", "snake", "ggggg", "ggggg"),
    ("about", "house", "bbyyb", "bbyyb"),
    ("geese", "eagle", "yybbg", "yyybg"),  # two e in the word: one in place, one elsewhere, the third e is black
    ("llama", "label", "gyybb", "gyyby"),
    ("sweet", "sheep", "gbggb", "gbggb"),
    ("class", "salsa", "byygy", "byygy"),
    ("eerie", "abide", "bbbyg", "yybyg"),
])
def test_marks_written_out_by_hand(guess, word, marks, paper):
    assert (w.marks(guess, word), w.marks(guess, word, "paper")) == (marks, paper)


@given(words5, words5)
def test_marks_follow_the_official_rule(guess, word):
    found = w.marks(guess, word)
    assert found == official(guess, word)
    assert (found == "ggggg") == (guess == word)
    for mine, papers in zip(found, w.marks(guess, word, "paper"), strict=True):
        assert mine == papers or (mine, papers) == ("b", "y")  # the paper's rule only ever adds yellows


def test_a_game_written_out_by_hand():
    env = lab.make("wordle")
    text, info = env.reset(options={"word": "house"})
    assert text == "Wordle:\n" and info["legal_actions"] == tuple(" ".join(x) for x in w.ALL_WORDS[:200])
    assert env.step("a b o u t")[:4] == ("b b y y b\n", -1.0, False, False)
    text, reward, terminated, _, info = env.step("q q q q q")
    assert (text, reward, terminated, info["invalid"]) == ("\n", -1.0, False, True)
    assert env.step("house")[:4] == ("g g g g g\n", 0.0, True, False)
    assert env.word == "house"


@pytest.mark.parametrize("bad", ["", "cat", "s n a k", "s n a k e s", "zzzzz", "S N A K E", "ｓｎａｋｅ", " s n a k e",
                                 "s  n a k e", "about\x00", "a b o u t\n\n", "trend"])
def test_anything_else_costs_a_try_and_is_answered_by_an_empty_line(bad):
    env = lab.make("wordle", vocabulary=60)
    env.reset(seed=1)
    for k in range(6):
        text, reward, terminated, truncated, info = env.step(bad)
        assert (text, reward, terminated, truncated, info["invalid"]) == ("\n", -1.0, k == 5, False, True)
    assert not info["success"] and env.word in info["message"]


def test_the_sixth_wrong_guess_ends_the_game_and_a_sixth_right_one_wins():
    env = lab.make("wordle")
    for last, reward, success in (("about", -1.0, False), ("house", 0.0, True)):
        env.reset(options={"word": "house"})
        for _ in range(5):
            assert env.step("table")[2] is False
        _, found, terminated, truncated, info = env.step(last)
        assert (found, terminated, truncated, info["success"]) == (reward, True, False, success)


def test_vocabularies_are_nested_and_hold_distinct_words():
    assert len(set(w.ALL_WORDS)) == len(w.ALL_WORDS) == 400
    assert all(len(x) == 5 and x.isascii() and x.isalpha() and x.islower() for x in w.ALL_WORDS)
    for n in (60, 200, 400):
        assert lab.make("wordle", vocabulary=n).unwrapped.words == w.ALL_WORDS[:n]
    for bad in (100, "200", None, True):
        with pytest.raises(ValueError, match="accepted: 200, 400, 60"):
            lab.make("wordle", vocabulary=bad)
    with pytest.raises(ValueError, match="did you mean 'paper'"):
        lab.make("wordle", colors="papr")
    with pytest.raises(ValueError, match="not one of the 60 words"):
        lab.make("wordle", vocabulary=60).reset(options={"word": "trend"})


def test_the_hidden_word_is_uniform():
    env, counts = lab.make("wordle", vocabulary=60), Counter()
    for seed in range(3000):
        env.reset(seed=seed)
        counts[env.word] += 1
    assert len(counts) == 60 and sum((n - 50) ** 2 / 50 for n in counts.values()) < 98.3  # chi-square, 59 degrees, p = .001


@pytest.mark.parametrize("colors", ["official", "paper"])
def test_the_table_of_answers_is_the_rule(colors):
    words = w.words_of(60, colors)
    for i in range(0, 60, 7):
        for j in range(60):
            assert w.PATTERNS[words.patterns[i, j]] == w.marks(words.words[i], words.words[j], colors)
            assert words.answers[i][j].replace(" ", "") == w.PATTERNS[words.patterns[i, j]] + "\n"


def test_information_is_entropy_over_the_words_left():
    words, possible = w.words_of(60), np.array([0, 5, 7, 21, 33])
    bits = words.information(possible)
    for guess in (0, 4, 33, 59):
        counts = Counter(w.marks(words.words[guess], words.words[k]) for k in possible)
        assert bits[guess] == pytest.approx(-sum(n / 5 * np.log2(n / 5) for n in counts.values()))


def consistent_by_hand(turns, vocabulary):
    seen = [(turns[i].text.replace(" ", ""), turns[i + 1].text.replace(" ", "").strip()) for i in range(1, len(turns) - 1, 2)]
    return {x for x in vocabulary if all(official(guess, x) == answer for guess, answer in seen)}


@pytest.mark.parametrize("colors", ["official", "paper"])
def test_the_consistent_policy_plays_only_words_that_fit(colors):
    score, games = lab.evaluate("consistent", "wordle", episodes=40, return_episodes=True, colors=colors, vocabulary=60)
    assert score.success_rate > 0.9
    if colors == "official":
        for episode in games:
            for k in range(1, len(episode.turns), 2):
                assert episode.turns[k].text.replace(" ", "") in consistent_by_hand(episode.turns[:k], w.ALL_WORDS[:60])


def test_a_policy_made_for_another_game_says_so():
    policy = w.ConsistentPolicy(60)
    policy.reset([0])
    first = policy.act(["Wordle:\n"], [{}])[0]
    with pytest.raises(ValueError, match="made for another game"):
        [policy.act([text], [{"played": played}]) for text, played in
         (("g b b b b\n", first), ("b g g g g\n", first))]
    with pytest.raises(ValueError, match="probability"):
        w.ConsistentPolicy(60, mistakes=1.5)


def test_advice_goes_by_what_was_really_played():
    policy = w.InformationPolicy(60)
    policy.reset([0])
    policy.act(["Wordle:\n"], [{}])
    answer = " ".join(official("about", "house")) + "\n"
    [advised] = policy.act([answer], [{"played": "a b o u t"}])
    twin = w.InformationPolicy(60)
    twin.reset([0])
    twin._memories[0]["guess"] = w.words_of(60).index["about"]
    assert advised == twin.act([answer], [{}])[0]


@pytest.mark.parametrize("size", [60, 200])
def test_references_on_the_card_are_what_the_command_gives(size):
    found, card = w.references(size, games=20_000), lab.TASKS["wordle"].references_with({"vocabulary": size})
    assert found.best == pytest.approx(card.best, abs=1e-3)
    assert abs(found.behaviour - card.behaviour) < 4 * (found.standard_errors[1] + card.standard_errors[1])


def test_the_figures_of_the_brief_hold_on_400_words():
    card = lab.TASKS["wordle"].references_with({"vocabulary": 400})
    assert card.behaviour == pytest.approx(-4.1, abs=0.1) and card.best == pytest.approx(-1.95, abs=0.0501)
    assert lab.TASKS["wordle"].references_with({"colors": "paper"}) is None


def test_scores_of_another_vocabulary_are_normalised_by_its_own_references():
    score = lab.evaluate("best", "wordle", episodes=60, vocabulary=60)
    assert score.normalized == pytest.approx(100, abs=0.1)  # every word once: the exact mean
    assert np.isnan(lab.evaluate("best", "wordle", episodes=20, colors="paper").normalized)


def test_behaviour_data_is_the_behaviour_policy():
    """Each turn's guess fits all answers with probability .33 + .67 * (share of words that fit)."""
    games = lab.generate("wordle", 3_000, seed=1, cache=False, vocabulary=60)
    assert all(replay_problem(e) is None for e in games[:40])
    hits = expected = n = 0
    for e in games[:600]:
        for k in range(3, len(e.turns), 2):
            fits = consistent_by_hand(e.turns[:k], w.ALL_WORDS[:60])
            hits += e.turns[k].text.replace(" ", "") in fits
            expected += 0.33 + 0.67 * len(fits) / 60
            n += 1
    assert abs(hits - expected) < 4 * (n * 0.25) ** 0.5
    assert np.mean([e.total_return for e in games]) == pytest.approx(-3.322, abs=0.15)
    played = lab.evaluate("behaviour", "wordle", episodes=1_200, vocabulary=60)
    assert played.mean_return == pytest.approx(-3.322, abs=0.25)


def test_a_tiny_model_reads_each_mark_beside_its_letter_and_place():
    turns = [Turn("Wordle:\n", False), Turn("s n a k e", True), Turn("b y b g b\n", False), Turn("x", True), Turn("\n", False)]
    assert w.model_text(turns) == ["Wordle:\n", "s n a k e", "1sb 2ny 3ab 4kg 5eb", "x", "(no word)"]


def test_every_word_is_one_token_and_nothing_is_unknown():
    card = lab.TASKS["wordle"]
    _, codec = tiny_model(card, "episode")
    assert codec.single_token_actions
    for action in card.actions:
        assert codec.decode_action(codec.action_ids(action)) == action
    for episode in lab.generate("wordle", 50, seed=2, cache=False, vocabulary=400):
        ids = codec.encode(episode.turns)
        assert [len(x) for x in ids[:3]] == [1, 1, 5]
        assert codec.tokenizer.unk_token_id not in {t for turn in ids for t in turn}


def test_the_table_of_guess_values_is_a_mean_over_answers():
    values, possible = GuessValues(60, games=20_000), np.array([3, 8, 20, 21, 40])
    for turn in (0, 3, 5):
        row = values.of_guesses(possible, turn)
        for guess in (3, 8, 55):
            answers = Counter(w.marks(w.ALL_WORDS[guess], w.ALL_WORDS[k]) for k in possible)
            slow = sum(0 if answer == "ggggg" else n * (values.state[turn + 1][n] - 1) for answer, n in answers.items()) / 5
            assert row[guess] == pytest.approx(slow) == pytest.approx(values.of_guess(possible, turn, guess))


def test_at_the_last_guess_the_value_of_a_state_is_the_chance_to_miss():
    """The behaviour policy hits with .33 / (words that fit) + .67 / 60."""
    state = GuessValues(60).state
    for n in (1, 2):  # more are rarely left by then
        assert state[5, n] == pytest.approx(0.33 / n + 0.67 / 60 - 1, abs=0.03)
    assert (state[6] == 0).all()
    sets, along = GuessValues(60).along(7, [0, 7])
    assert list(sets[0]) == list(range(60)) and 7 in sets[1] and len(along) == 2


def test_one_step_of_improvement_on_the_behaviour_policy_is_as_good_as_information_gain():
    assert w.exact_mean(GreedyValuePolicy(200)) == pytest.approx(-1.71, abs=0.03)
