"""Behaviour data: seeds, the cache that notices damage, filters, splits, and published files."""

import json

import pytest

import lmrl_lab as lab
from lmrl_lab import data
from lmrl_lab.data import keep_best, load_published, replay_problem, split
from lmrl_lab.episode import Episode, EpisodeFileError, Turn

every_task = pytest.mark.parametrize("task", list(lab.TASKS))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LMRL_LAB_CACHE", str(tmp_path))
    return tmp_path


def game(value, success=False):
    return Episode("maze-fo", [Turn("a\n", False), Turn("b", True, value), Turn("c\n", False)], success, not success,
                   info={"success": success})


@every_task
def test_the_same_seed_gives_the_same_data_and_another_seed_other_data(task, cache):
    first = lab.generate(task, 5, seed=1, cache=False)
    assert lab.generate(task, 5, seed=1, cache=False) == first != lab.generate(task, 5, seed=2, cache=False)
    assert lab.generate(task, 3, seed=1, cache=False) == first[:3]


@every_task
def test_behaviour_data_can_be_played_again(task, cache):
    assert [replay_problem(e) for e in lab.generate(task, 10, seed=3, cache=False)] == [None] * 10


def test_the_cache_is_used_and_equals_fresh_data(cache, monkeypatch):
    fresh = lab.generate("maze-fo", 8, seed=4)
    assert sorted(p.suffix for p in cache.iterdir()) == [".gz", ".json"]
    monkeypatch.setattr(data, "_made", lambda *a: pytest.fail("the cache was not used"))
    assert lab.generate("maze-fo", 8, seed=4) == fresh


@pytest.mark.parametrize("harm", ["cut", "edit", "manifest cut", "manifest gone", "data gone", "manifest of other settings"])
def test_a_harmed_cache_is_noticed_and_made_again(cache, harm, capsys):
    whole = lab.generate("maze-fo", 8, seed=4)
    [path], [manifest] = cache.glob("*.gz"), cache.glob("*.json")
    good = path.read_bytes()
    if harm == "cut":
        path.write_bytes(good[:len(good) // 2])
    elif harm == "edit":
        from lmrl_lab.episode import write_episodes
        whole[0].turns[1].reward = 5.0
        write_episodes(path, whole)
        whole[0].turns[1].reward = -1.0
    elif harm == "manifest cut":
        manifest.write_text(manifest.read_text()[:20])
    elif harm == "manifest gone":
        manifest.unlink()
    elif harm == "data gone":
        path.unlink()
    else:
        manifest.write_text(manifest.read_text().replace('"seed": 4', '"seed": 5'))
    assert lab.generate("maze-fo", 8, seed=4) == whole
    assert path.read_bytes() == good
    if "gone" not in harm:
        assert "making it again" in capsys.readouterr().err


def test_changed_code_makes_other_data(cache, monkeypatch):
    lab.generate("maze-fo", 3, seed=1)
    monkeypatch.setattr(data, "_code_hash", lambda card: "changed")
    lab.generate("maze-fo", 3, seed=1)
    assert len(list(cache.glob("*.gz"))) == 2


def test_a_cache_that_cannot_be_written_does_not_stop_the_lesson(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LMRL_LAB_CACHE", str(tmp_path / "file" / "below"))
    assert len(lab.generate("maze-fo", 3, seed=1)) == 3
    assert "could not be cached" in capsys.readouterr().err


def test_layouts_change_the_data_and_bad_arguments_are_errors(cache):
    episodes = lab.generate("maze-fo", 4, seed=0, layout="umaze")
    assert episodes != lab.generate("maze-fo", 4, seed=0)
    assert episodes[0].info["keywords"] == {"layout": "umaze"} and replay_problem(episodes[0]) is None
    with pytest.raises(ValueError, match="did you mean 'layout'"):
        lab.generate("maze-fo", 4, layuot="umaze")
    for size in (0, -1, 2.5, "many"):
        with pytest.raises(ValueError, match="size"):
            lab.generate("maze-fo", size)


def test_keep_best_by_success_and_by_fraction():
    games = [game(-3), game(-1, True), game(-2), game(-1, True), game(-5)]
    assert keep_best(games, "success") == [games[1], games[3]]
    assert keep_best(games, 0.2) == [games[1]]  # a tie: the earlier one
    assert keep_best(games, 0.6) == [games[1], games[2], games[3]]
    assert keep_best(games, 0.01) == [games[1]] and keep_best(games, 1.0) == games
    for bad in (0, 1.1, "best", None, -0.5):
        with pytest.raises(ValueError, match="keep"):
            keep_best(games, bad)
    with pytest.raises(ValueError, match="no episode"):
        keep_best([game(-1)], "success")


def test_split_holds_out_whole_episodes():
    games = [game(-i) for i in range(20)]
    train, held = split(games, 0.25, seed=1)
    assert len(held) == 5 and sorted(e.total_return for e in train + held) == sorted(e.total_return for e in games)
    assert split(games, 0.25, seed=1)[1] == held != split(games, 0.25, seed=2)[1]
    with pytest.raises(ValueError, match="fraction"):
        split(games, 1.0)


@pytest.mark.parametrize("change, said", [
    (lambda e: setattr(e.turns[1], "reward", 0.0), "reward"),
    (lambda e: setattr(e.turns[2], "text", "Success\n"), "answer"),
    (lambda e: setattr(e.turns[0], "text", "elsewhere\n"), "first observation"),
    (lambda e: e.info["options"].update(start=[7, 6]), "first observation"),
    (lambda e: (setattr(e, "terminated", True), setattr(e, "truncated", False)), "terminated"),
])
def test_replaying_finds_what_was_changed(change, said):
    episode = next(e for e in lab.generate("maze-fo", 20, seed=0, cache=False) if e.truncated)
    change(episode)
    assert said in replay_problem(episode)


# ------------------------------------------------------------------------------------------ published files

STEPS = [{"state": "There is a wall above you.\n", "action": "move down\n", "reward": -1.0, "done": False},
         {"state": "There are walls to your right, to your left.\n", "action": "move down\n", "reward": 0.0, "done": True}]
HISTORY = {"text_history": ["There is a wall above you.\n", "move down\n", "There are walls to your right, to your left.\n",
                            "move down\n", "Success\n"], "rewards": [-1.0, 0.0], "dones": [False, True]}


def published(tmp_path, *records):
    path = tmp_path / "maze.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return path


@pytest.mark.parametrize("record", [
    STEPS,
    {name: [s[name] for s in STEPS] for name in STEPS[0]},
    HISTORY,
    {"text_history": HISTORY["text_history"][:4], "rewards": [0, -1.0, 0, 0.0], "dones": [False, False, False, True]},
    {**HISTORY, "rewards": [0, -1.0, 0, 0.0, 0], "dones": [False, False, False, True, True]},
])
def test_published_maze_rows_become_episodes(tmp_path, record):
    [episode] = load_published(published(tmp_path, record), "maze-po")
    assert episode.actions == ["move down", "move down"] and episode.rewards == [-1, 0]
    assert episode.terminated and not episode.truncated and episode.success
    assert episode.observations[:2] == [s["state"] for s in STEPS]


def test_a_published_game_that_was_cut_is_truncated(tmp_path):
    cut = [dict(step, done=False, reward=-1.0) for step in STEPS]
    [episode] = load_published(published(tmp_path, cut), "maze-fo")
    assert episode.truncated and not episode.success and not episode.turns[-1].is_action
    # and it can be trained on like any other
    assert lab.train("bc", "maze-fo", [episode], steps=2).history.loss.notna().all()


@pytest.mark.parametrize("record", [
    [], {}, 3, [{"state": "a"}], [{"state": None, "action": "b", "reward": 0.0, "done": True}],
    {"text_history": [], "rewards": [], "dones": []},
    {"text_history": ["a", "b"], "rewards": [1, 2, 3], "dones": [True]},
    {"state": ["a"], "action": ["b"], "reward": [0.0], "done": []}])
def test_a_row_of_another_shape_names_file_and_line(tmp_path, record):
    with pytest.raises(EpisodeFileError, match="maze.jsonl, line 2"):
        load_published(published(tmp_path, STEPS, record), "maze-fo")


def test_an_unknown_task_or_a_missing_file_is_said(tmp_path):
    with pytest.raises(ValueError, match="unknown task"):
        load_published(published(tmp_path, STEPS), "mazes")
    with pytest.raises(FileNotFoundError):
        load_published(tmp_path / "none.jsonl", "maze-fo")


def test_describe_counts():
    table = data.describe([game(-1, True), game(-3)])
    assert table["return"].tolist() == [-1, -3] and table["success"].tolist() == [True, False]


def test_data_of_a_generator_without_a_file_is_not_cached(cache):
    import dataclasses
    namespace = {"Episode": Episode, "Turn": Turn, "__name__": "typed_in"}

    def define(text):
        exec(f"def generator(size, seed):\n    for _ in range(size):\n        yield Episode('mine', [Turn('{text}', False), "
             "Turn('b', True)], True, False)", namespace)
        card = dataclasses.replace(lab.TASKS["maze-fo"], id="mine", behaviour=namespace["generator"])
        lab.TASKS._own["mine"] = card

    try:
        define("one")
        assert lab.generate("mine", 2)[0].turns[0].text == "one"
        define("two")
        assert lab.generate("mine", 2)[0].turns[0].text == "two"
    finally:
        del lab.TASKS._own["mine"]


def test_lengths_and_skills_out_of_range_are_named():
    for bad in ({"length": 200}, {"length": 0}, {"skill": 1.5}):
        with pytest.raises(ValueError, match="length"):
            lab.generate("maze-fo", 2, **bad)


WORDLE = {"sequence": [["Wordle:\n", 0], ["a b o u t\n", 1], ["b b y b b\n", 0], ["h o u s e\n", 1], ["g g g g g\n", 0]],
          "reward": [-1.0, 0.0, 0.0, 0.0], "done": True}


@pytest.mark.parametrize("rewards", [[-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0, 0.0], [-1.0, 0.0]])
def test_published_wordle_sequences_become_episodes(tmp_path, rewards):
    [episode] = load_published(published(tmp_path, {**WORDLE, "reward": rewards}), "wordle")
    assert episode.actions == ["a b o u t", "h o u s e"] and episode.rewards == [-1, 0]
    assert episode.observations == ["Wordle:\n", "b b y b b\n", "g g g g g\n"]
    assert episode.terminated and episode.success


def test_a_published_wordle_sequence_out_of_turn_is_refused(tmp_path):
    with pytest.raises(EpisodeFileError, match="alternate"):
        load_published(published(tmp_path, {**WORDLE, "sequence": WORDLE["sequence"][1:], "reward": [0, 0, 0, 0]}), "wordle")


FENS = ["8/8/8/8/8/k7/7R/1K6 w - - 0 1", "8/8/8/8/k7/8/7R/1K6 w - - 2 2"]


def test_published_chess_rows_are_grouped_into_games_and_spelled_with_spaces(tmp_path):
    step = {"from_state": FENS[0], "action": "Rh3+", "reward": 0, "done": False}
    path = published(tmp_path, step, {**step, "from_state": FENS[1], "action": "Rh4#", "reward": 1, "done": True}, step)
    path.write_text(path.read_text() + "\n" + json.dumps(step) + "\n")
    whole, cut, last = load_published(path, "chess-endgames")
    assert whole.actions == ["R h 3 +", "R h 4 #"] and whole.rewards == [0, 1] and whole.success and whole.terminated
    assert whole.turns[0].text == " ".join(FENS[0]) + "\n"
    assert cut.truncated and last.truncated and not cut.success and cut.actions == ["R h 3 +"]
    spaced = {**step, "from_state": " ".join(FENS[0]), "action": "R h 3 +", "done": True}
    assert load_published(published(tmp_path, spaced), "chess-endgames")[0].turns == cut.turns[:2]
    with pytest.raises(EpisodeFileError, match="line 2"):
        load_published(published(tmp_path, step, {"from_state": FENS[0], "done": True}), "chess-endgames")


# ------------------------------------------------------------------------------------------ published conversations

LION = {"lines": ["Is it an animal? Yes.", "Is it a pet? No.", "Is it a lion? Yes."], "correct": True, "word": ["Lion"]}
TALK = {"buyer_info": {"personality": "polite", "preferred_features": ["sunroof", "heated seats"], "budget": 90000},
        "lines": [{"role": "Seller", "text": "Hello!"}, {"role": "Buyer", "text": "Hi, a Toyota please."},
                  {"role": "Seller", "text": "This one is\n80,000 dollars."}, {"role": "Buyer", "text": "I take it."}],
        "output": {"car_bought": True, "msrp": 80000, "buy_price": 78500}, "original_conversation": "{\"lines\": ..."}


def written(tmp_path, value, indent=None, name="convos.json"):
    path = tmp_path / name
    path.write_text(value if isinstance(value, str) else json.dumps(value, indent=indent))
    return path


@pytest.mark.parametrize("task, first", [("twenty-questions", "Questions:\n"), ("guess-my-city", "Questions:\n")])
@pytest.mark.parametrize("lines", [
    LION["lines"], [" Is it an animal?  Yes.\n", "Is it a pet? No.", "Is it a lion? Yes."],
    ["Is it an animal?", " Yes.", "Is it a pet?", "No.", "Is it a lion?", "Yes."]])
@pytest.mark.parametrize("word", ["Lion", ["Lion", "King of beasts"], [["Lion"], ["Cat"]]])
def test_published_questions_become_episodes(tmp_path, task, first, lines, word):
    [episode] = load_published(written(tmp_path, [{**LION, "lines": lines, "word": word}]), task)
    assert episode.actions == ["Is it an animal?", "Is it a pet?", "Is it a lion?"] and episode.rewards == [-1, -1, 0]
    assert episode.observations == [first, "Yes.\n", "No.\n", "Yes.\n"] and episode.terminated and episode.success
    assert list(episode.info["hidden"].values()) == ["Lion"] and episode.policy == "published"


def test_a_question_may_hold_a_question_mark_and_an_answer_may_be_long(tmp_path):
    record = {**LION, "lines": ["Is it far? Or near? It lies by the sea, far in the south."], "correct": False}
    [episode] = load_published(written(tmp_path, [record]), "guess-my-city")
    assert episode.actions == ["Is it far? Or near?"] and episode.observations[1] == "It lies by the sea, far in the south.\n"
    assert episode.truncated and not episode.success and episode.rewards == [-1]


def test_an_answer_that_asks_back_does_not_spoil_a_file_with_a_line_each(tmp_path):
    lines = ["Is it an animal?", "What? Yes.", "Is it a lion?", "Yes."]
    [episode] = load_published(written(tmp_path, [{**LION, "lines": lines}]), "twenty-questions")
    assert episode.actions == lines[::2] and episode.observations == ["Questions:\n", "What? Yes.\n", "Yes.\n"]
    with pytest.raises(EpisodeFileError, match="conversation 1"):  # the question is the line without a question mark
        load_published(written(tmp_path, [{**LION, "lines": ["It is an animal.", "What? Yes.", *lines]}]), "twenty-questions")


def test_twenty_wrong_questions_are_a_whole_game_and_more_are_none(tmp_path):
    record = {**LION, "lines": ["Is it a lion? No."] * 20, "correct": False}
    [episode] = load_published(written(tmp_path, [record]), "twenty-questions")
    assert episode.terminated and episode.total_return == -20
    with pytest.raises(EpisodeFileError, match="conversation 1: .*21 questions"):
        load_published(written(tmp_path, [{**record, "lines": ["Is it a lion? No."] * 21}]), "twenty-questions")


@pytest.mark.parametrize("spoken", [
    TALK["lines"],
    ["Seller: Hello!", "Buyer: Hi, a Toyota please.", "seller: This one is 80,000 dollars.", " Buyer : I take it."],
    [{"role": "Dealer", "text": "Hello!"}, {"role": "Buyer", "text": "Hi,"}, {"role": "Buyer", "text": "a Toyota please."},
     {"role": "Dealer", "text": "This one is"}, {"role": "Dealer", "text": "80,000 dollars."},
     {"role": "Buyer", "text": "I take it."}]])
def test_published_sales_become_episodes(tmp_path, spoken):
    [episode] = load_published(written(tmp_path, {"polite": [{**TALK, "lines": spoken}], "rude": []}), "car-dealer")
    assert episode.actions == ["Hello!", "This one is 80,000 dollars."] and episode.rewards == [0, 78.5]
    assert episode.observations == ["\n", "Hi, a Toyota please.\n", "I take it.\n"]
    assert episode.terminated and episode.success
    assert episode.info["hidden"] == {"personality": "polite", "preferred features": "sunroof, heated seats", "budget": "90000"}


def test_a_buyer_may_begin_and_a_seller_may_end(tmp_path):
    lines = TALK["lines"][1:3]
    cut = {**TALK, "lines": lines}
    del cut["output"]
    whole, cut = load_published(written(tmp_path, [{**TALK, "lines": lines}, cut]), "car-dealer")
    assert whole.turns[0].text == "Hi, a Toyota please.\n" and whole.turns[-1].is_action and whole.rewards == [78.5]
    assert cut.truncated and cut.turns[-1].text == "\n" and cut.rewards == [0] and not cut.success


@pytest.mark.parametrize("output, price", [
    ({"car_bought": False, "msrp": 80000, "buy_price": None}, 0), ({"car_bought": True, "msrp": 80000, "buy_price": None}, 0),
    ({"car_bought": False, "buy_price": 70000}, 0), ({"car_bought": 0, "price": 70000}, 0),
    ({"car_bought": 1, "price": 70000}, 70), ({"car_bought": None, "price": 70000}, 0),
    ({"buy_or_not": "yes", "price": "$35,500"}, 35.5), ({"buy_or_not": "no", "price": 35000}, 0), ({"price": 47}, 47),
    ({"buy_or_not": "not buy", "price": "35k"}, 0), ({"price": 28750.0}, 28.75), ({}, 0), ("no deal", 0), ("sold at 35k", 35),
    ("Decision=Accept MSRP=$80,000 Buy Price=$78,000", 78), ("Decision=Reject MSRP=$80,000", 0),
    ("The buyer didn't pay 20,000", 0), ("The buyer bought the car for $45,000. No discount was given.", 45),
    ("Sold at 45,000 dollars, with 10% off", 45), ("sold at 45,000, with 7.5 percent off", 45),
    ("The buyer bought it for 45,000 dollars in 2023.", 45), ("bought for 45k in 2023; no extras", 45),
    ("No discount was given. The list price was $50,000. Sold for $47,500.", 47.5), ("It was sold. Price: 35,000", 35),
    ("Not sold. The price was $45,000.", 0), ("Decision: reject. The last price was $45,000.", 0)])
def test_the_sale_price_is_read_from_the_output(tmp_path, output, price):
    [episode] = load_published(written(tmp_path, [{**TALK, "output": output}]), "car-dealer")
    assert episode.total_return == pytest.approx(price) and episode.success == (price > 0) and episode.terminated


def test_conversations_may_be_a_list_over_many_lines_or_a_conversation_a_line(tmp_path):
    records = [LION, {**LION, "correct": False}]
    many = load_published(written(tmp_path, records, indent=2), "twenty-questions")
    lines = written(tmp_path, "".join(json.dumps(record) + "\n" for record in records), name="convos.jsonl")
    assert load_published(lines, "twenty-questions") == many and [e.success for e in many] == [True, False]
    assert load_published(written(tmp_path, json.dumps(LION) + "\n"), "twenty-questions") == many[:1]


@pytest.mark.parametrize("record", [
    3, [], {}, {**LION, "lines": []}, {**LION, "lines": "Is it? Yes."}, {**LION, "lines": ["Is it an animal?"]},
    {**LION, "lines": ["Is it an animal? Yes.", "Is it a pet?"]}, {**LION, "lines": ["It is an animal.", "Yes."]},
    {**LION, "lines": [None]}, {**LION, "correct": "yes"}, {**LION, "word": []}, {**LION, "word": None},
    {"lines": LION["lines"]}])
def test_a_conversation_of_another_shape_names_file_and_place(tmp_path, record):
    with pytest.raises(EpisodeFileError, match="convos.json, conversation 2"):
        load_published(written(tmp_path, [LION, record]), "twenty-questions")
    lines = written(tmp_path, "".join(json.dumps(one) + "\n" for one in (LION, LION, record)), name="convos.jsonl")
    with pytest.raises(EpisodeFileError, match="convos.jsonl, line 3"):
        load_published(lines, "twenty-questions")


@pytest.mark.parametrize("change", [
    {"lines": []}, {"lines": ["Hello!"]}, {"lines": ["Judge: Hello!"]}, {"lines": [{"role": "Seller"}]}, {"lines": [4]},
    {"lines": ["Buyer: Hello!"]}, {"output": 7}, {"buyer_info": 7}])
def test_a_sale_of_another_shape_names_file_and_place(tmp_path, change):
    with pytest.raises(EpisodeFileError, match="convos.json, conversation 1"):
        load_published(written(tmp_path, {"rude": [{**TALK, **change}]}), "car-dealer")


@pytest.mark.parametrize("text, place", [
    ("[\n" + json.dumps(LION) + ",\n" + json.dumps(LION)[:40], "line 3"), (json.dumps(LION) + "\n{\"lines\"\n", "line 2"),
    ("not json", "line 1"), ("", "line 1"), ("7", "line 1"), ('{"polite": 7}', "line 1")])
def test_a_cut_or_foreign_file_names_file_and_line(tmp_path, text, place):
    with pytest.raises(EpisodeFileError, match=f"convos.json, {place}"):
        load_published(written(tmp_path, text), "twenty-questions")
    with pytest.raises(FileNotFoundError):
        load_published(tmp_path / "none.json", "car-dealer")


@pytest.mark.parametrize("task, record", [("twenty-questions", LION), ("car-dealer", TALK)])
def test_published_conversations_can_be_trained_on(tmp_path, task, record):
    episodes = load_published(written(tmp_path, [record]), task)
    assert lab.train("bc", task, episodes, steps=2).history.loss.notna().all()
