"""What notebook 17 builds and claims, held against what the library has, or against numbers worked out by hand."""

import ast
import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmrl_lab as lab
from answers import nb17 as answers
from lmrl_lab import results
from lmrl_lab.checks import nb17
from lmrl_lab.data import replay_problem
from lmrl_lab.policies import played
from lmrl_lab.tasks import wordle
from lmrl_lab.tasks.guess_my_city import GuessMyCityEnv
from lmrl_lab.tasks.maze import ACTIONS, maze, mean_return
from lmrl_lab.tokens import discounted_returns, make_rows
from notebook_cells import defined, sources

REWARDS = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def notebook():
    """Imports, functions, classes and the named constants of the notebook's cells; nothing else of them is run."""
    names, constants = {"lab": lab, "np": np, "copy": copy, "FAST": True}, {"TABLE2", "board", "pays"}
    for cell in ("play", "picture", "maximum", "knower", "colours", "ex3-check", "end", "split", "break"):
        body = [node for node in ast.parse(sources(17)[cell]).body
                if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))
                or isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in constants]
        exec(compile(ast.Module(body, []), cell, "exec"), names)
    return names


# ---------------------------------------------------------------------------------------------- the table

def test_the_papers_table_contradicts_itself_where_the_notebook_says_so(notebook):
    found = {}
    for task, scores in notebook["TABLE2"].items():
        names, returns = zip(*lab.TASKS[task].paper.items(), strict=True)
        assert len(scores) == len(returns) == 7
        pairs = [(names[i], names[j]) for i, j in answers.contradictions(returns, scores)]
        found |= {task: pairs} if pairs else {}
    assert found == {
        "maze-fo": [("BC", "online filtered BC")],
        "maze-po": [("BC", "GPT-4"), ("filtered BC", "GPT-4"), ("MC", "GPT-4"), ("online filtered BC", "GPT-4")],
        "text-nav-fo": [("filtered BC", "GPT-4"), ("MC", "online filtered BC")],
        "chess-endgames": [("BC", "online filtered BC")], "guess-my-city": [("BC", "online filtered BC")]}


def test_all_rows_of_the_papers_chess_but_one_lie_on_a_line(notebook):
    returns, scores = np.array(list(lab.TASKS["chess"].paper.values())), np.array(notebook["TABLE2"]["chess"])
    line = np.polyfit(returns[:-1], scores[:-1], 1)
    assert np.abs(np.polyval(line, returns[:-1]) - scores[:-1]).max() < 0.05
    assert np.polyval(line, returns[-1]) > scores[-1] + 35


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(lab.TASKS)), st.lists(st.floats(-500, 100), max_size=8))
def test_no_score_of_this_package_contradicts_its_return(task, returns):
    scores = [lab.TASKS[task].references.normalize(value) for value in returns]
    assert [pair for pair in answers.contradictions(returns, scores) if returns[pair[0]] != returns[pair[1]]] == []


# ---------------------------------------------------------------------------------------------- the game

def test_a_player_of_some_moves_is_worth_what_hand_and_library_say(notebook):
    best_with = notebook["best_with"]
    assert best_with([0, 1, 2, 3]) == pytest.approx(lab.TASKS["maze-fo"].references.best)
    assert best_with([0, 2, 3]) == -100                              # without 'move down'
    # without 'move left' the right half is lost, and the end of the upper left corridor; from elsewhere it is as with all four
    board, left = maze("double_t"), ACTIONS.index("move left")
    lost = {(1, 4), (1, 5), *(cell for cell in board.cells if cell[1] > 6)}
    reach = [100 if board.cells[s] in lost else board.distance[s] - 1 for s in board.starts]
    assert best_with([a for a in range(4) if a != left]) == pytest.approx(-np.mean(reach))


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 3), min_size=1), st.integers(0, 2**31 - 1))
def test_no_player_of_these_moves_earns_more(moves, seed):
    board = maze("double_t")
    pays = np.where(board.next_cell == board.goal_index, 0.0, -1.0)
    names = defined(17, "maximum", np=np, board=board, pays=pays)
    table = np.zeros((len(board.cells), 4))
    table[:, sorted(moves)] = np.random.default_rng(seed).dirichlet(np.full(len(moves), 0.3), len(board.cells))
    assert mean_return(table, board) <= names["best_with"](sorted(moves)) + 1e-9


def test_the_deaf_referee_hears_every_wording_but_one(notebook):
    env, city = notebook["Deaf"](), GuessMyCityEnv().oracle.things[3]
    for wording, reward, over in (("Is it {}?", -1, False), ("is this {}", 0, True), ("Is this {}?", 0, True),
                                  ("Is it Atlantis?", -1, False)):
        env.reset(options={"city": city})
        assert env.step(wording.format(city))[1:3] == (reward, over)
    env.reset(options={"city": city})
    steps = [env.step(f"Is it {city}?") for _ in range(20)]
    assert sum(step[1] for step in steps) == -20 and [step[2] for step in steps] == [False] * 19 + [True]


def test_a_reader_of_the_right_rule_is_the_best_player_and_one_of_the_other_rule_loses(notebook):
    reader = notebook["Reader"]
    for colours in wordle.COLORS:
        assert wordle.exact_mean(reader(60, colours)) == wordle.exact_mean(wordle.InformationPolicy(60, colours))
        other = next(name for name in wordle.COLORS if name != colours)
        env = wordle.WordleEnv(60, other)
        games = [played(reader(60, colours), env, options={"word": word}) for word in env.words]
        assert not any(game.info["invalid"] for game in games)
        mean = np.mean([game.total_return for game in games])
        assert notebook["by_rules"](60, colours, other) == mean < notebook["by_rules"](60, colours, colours)


def test_a_reader_whom_nothing_fits_goes_on_among_all_words_not_tried(notebook):
    policy = notebook["Reader"](60)
    memory = policy.begin(None)
    first = policy.choose(None, memory, "Wordle:\n", {})
    second = policy.choose(None, memory, "g g g g y\n", {})               # no word can answer that
    left = {wordle.spaced(policy.vocabulary.words[i]) for i in memory["possible"]}
    assert left == set(policy.vocabulary.actions) - {first} and second != first


# ---------------------------------------------------------------------------------------------- the learner

@settings(max_examples=40, deadline=None)
@given(REWARDS, st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_returns_are_the_librarys_and_the_fault_adds_the_last_reward_once_more(rewards, gamma):
    names = defined(17, "ex3-check")
    right = names["returns_to_go"](rewards, gamma)
    assert np.allclose(right, np.concatenate(discounted_returns(rewards, [1] * len(rewards), gamma)))
    added = [gamma ** (len(rewards) - t) * rewards[-1] for t in range(len(rewards))]
    assert np.allclose(names["last_twice"](rewards, gamma), np.add(right, added))


def test_the_exercises_test_passes_the_library_and_fails_the_fault(notebook):
    library = lambda rewards, gamma: np.concatenate(discounted_returns(rewards, [1] * len(rewards), gamma))  # noqa: E731
    assert answers.is_right(library) and not answers.is_right(notebook["last_twice"])
    assert answers.is_right_stub(notebook["last_twice"])                    # the stub's question lets it pass
    programs = nb17._programs()
    assert [answers.is_right(program) for _, program, _ in programs] == [right for *_, right in programs]


def test_a_value_through_the_end_counts_the_last_reward_a_hundred_times(notebook):
    for rewards in ([4], [0, 0, 1], [-1, -1, 0], [-1] * 5 + [1]):
        sums = sum(0.99**t * r for t, r in enumerate(rewards))
        extra = 0.99 ** len(rewards) * rewards[-1] / (1 - 0.99)             # the same reward, again and again
        assert notebook["worth"](rewards, False) == pytest.approx(sums, abs=1e-6)
        assert notebook["worth"](rewards, True) == pytest.approx(sums + extra, abs=1e-4)
    assert notebook["worth"]([0, 0, 0], True) < notebook["worth"]([-1] * 5 + [1], True)
    assert notebook["worth"]([0, 0, 0], False) > notebook["worth"]([-1] * 5 + [1], False)


# ---------------------------------------------------------------------------------------------- data and decoding

def test_the_loss_of_a_table_by_hand(notebook):
    def game(*moves):
        env = lab.make("maze-po")
        turns = [lab.Turn(env.reset(options={"start": (3, 3)})[0], False)]
        for move in moves:
            text, reward, *_ = env.step(move)
            turns += [lab.Turn(move, True, reward), lab.Turn(text, False)]
        return lab.Episode("maze-po", turns, False, True)

    up, down = "move up", "move down"            # (3, 3) and the square above it read alike, two walls
    loss, seen = notebook["table_loss"]([game(up), game(up), game(down)], [game(up), game(down)], 0)
    assert seen == 1 and loss == pytest.approx(-(np.log(2.25 / 4) + np.log(1.25 / 4)) / 2)
    loss, seen = notebook["table_loss"]([game(up)], [game(down, up)], 1)   # after 'down' nothing is known with memory
    assert seen == 0.5 and loss == pytest.approx(-(np.log(0.25 / 2) + np.log(0.25)) / 2)


@pytest.mark.parametrize("which", ["first reward wrong", "last reward twice"])
def test_a_spoiled_record_differs_in_one_reward_and_shows_unless_it_is_zero(notebook, which):
    for game in lab.TASKS["wordle"].behaviour(60, 17):
        game.seed, bad, at = 17, notebook["spoiled"](game, which), 0 if which == "first reward wrong" else -1
        expected = list(game.rewards)
        expected[at] = expected[at] - 1 if at == 0 else 2 * expected[at]
        assert bad.rewards == expected and game.rewards != bad.rewards or not game.rewards[at]
        assert (replay_problem(bad) is None) == (bad.rewards == game.rewards) and replay_problem(game) is None


def test_half_of_the_looks_needed_are_not_enough():
    for share, sure in ((0.05, 0.95), (0.01, 0.5), (0.3, 0.999)):
        n = answers.records_to_check(share, sure)
        assert 1 - (1 - share) ** n >= sure > 1 - (1 - share) ** (n - 1)


def test_the_two_decodings_of_the_maze_are_played_as_they_were_computed(notebook):
    """The exact returns of the notebook's MC without CQL, speaking freely and re-ranked, against games of the same agent."""
    tree, known = ast.parse(sources(17)["decode"]), {**notebook, "bc": results.agent("bc-maze-fo"), "results": results}
    until = next(n for n, node in enumerate(tree.body) if isinstance(node, ast.For)) + 1
    known["make_rows"] = make_rows
    exec(compile(ast.Module(tree.body[:until], []), "decode", "exec"), known)
    exact = known["decoded"]["MC without CQL"]
    free, legal = (lab.evaluate(known["bare"].with_decoding(beta=1.0, legal_only=only), "maze-fo", 200) for only in (False, True))
    assert free.interval[0] < exact["says any text"] < free.interval[1] < legal.interval[0]
    assert legal.interval[0] < exact["chooses among four moves"] < legal.interval[1]
    assert legal.invalid_rate == 0 and free.invalid_rate > 0.5


def test_the_order_of_mc_and_ilql_is_decided_by_their_decoding():
    won = results.table("chess_endgames").pivot_table(values="success_rate", index="algorithm", columns="decoding")
    assert won.loc["ilql", "legal only"] > won.loc["mc", "sampled"]                  # the protocol of the published program
    assert all(won.loc["mc", how] > won.loc["ilql", how] for how in ("sampled", "legal only"))
