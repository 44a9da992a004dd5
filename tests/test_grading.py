"""What comes back from a class: every oddity gets its points where the rest works, and a message; nothing stops the batch."""

import copy
import csv
import json
import os
import time
from pathlib import Path

import nbformat
import pytest

from answers.a1 import horizon
from lmrl_lab import checks
from lmrl_lab.classroom.__main__ import main
from lmrl_lab.classroom.grading import Assignment, Exercise, find, grade_class, grade_notebook, order, read_cells, write_csv
from lmrl_lab.classroom.kernel import Kernel

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks" / "assignments"
NAMES = ["A1", "A2", "A3", "A4", "A5"]


def path_of(kind, name):
    return FOLDER / kind / name / f"{name}.ipynb"


@pytest.fixture(scope="module")
def answered():
    return nbformat.read(path_of("source", "A1"), as_version=4)


@pytest.fixture(scope="module")
def a1():
    return Assignment(path_of("source", "A1"))


@pytest.fixture(scope="module")
def pace(a1):
    """Seconds that this machine, as busy as it is, takes for a whole notebook: time limits in these tests are multiples."""
    start = time.monotonic()
    grade_notebook(path_of("source", "A1"), a1, "anna")
    return time.monotonic() - start


# ---------------------------------------------------------------------------------------------- the assignments, in kernels

@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_answers_get_all_points_and_the_release_none(name, tmp_path):
    assignment = Assignment(path_of("source", name))
    for kind, share in (("source", 1), ("release", 0)):
        marks = grade_notebook(path_of(kind, name), assignment, "anna")
        assert [mark.exercise for mark in marks] == [exercise.name for exercise in assignment.exercises]
        for mark, exercise in zip(marks, assignment.exercises):
            if exercise.test is None:
                assert mark.points is None and mark.message.startswith("by hand:") and mark.maximum == 2
                continue
            assert (mark.points, mark.maximum) == (share * exercise.points, exercise.points), mark
            assert mark.message == "passed" if share else any(w in mark.message for w in ("NotImplementedError", "not defined"))


# ---------------------------------------------------------------------------------------------- thirty odd notebooks

def at(book, id):
    return next(i for i, cell in enumerate(book.cells) if cell.metadata.get("nbgrader", {}).get("grade_id") == id)


def cell(book, id):
    return book.cells[at(book, id)]


def add(code, before="a1-horizon"):
    return lambda book: book.cells.insert(at(book, before), nbformat.v4.new_code_cell(code))


def remove(*ids):
    return lambda book: [book.cells.pop(at(book, id)) for id in ids]


def answer(code, exercise="horizon"):
    return lambda book: cell(book, f"a1-{exercise}").update(source=code)


def both(*changes):
    return lambda book: [change(book) for change in changes] and None


def split(book):
    """A helper and the function that needs it, in two cells: the second half has no name."""
    [place] = [at(book, "a1-horizon")]
    book.cells[place].source = "def count(gamma, share, n):\n    return n if gamma**n <= share else count(gamma, share, n + 1)"
    book.cells.insert(place + 1, nbformat.v4.new_code_cell(
        "def horizon(gamma, share):\n    return None if gamma == 1 and share < 1 else count(gamma, share, 0)"))


def split_in_the_middle(book):
    place = at(book, "a1-horizon")
    head, tail = book.cells[place].source.split("    ### BEGIN SOLUTION\n")
    book.cells[place].source = head
    book.cells.insert(place + 1, nbformat.v4.new_code_cell("    " + tail.lstrip()))


def twice(id, first=None, second=None):
    def change(book):
        place = at(book, id)
        book.cells.insert(place + 1, copy.deepcopy(book.cells[place]))
        for cell, source in zip(book.cells[place:place + 2], (first, second)):
            cell.source = source or cell.source
    return change


def strip_metadata(book):
    for cell in book.cells:
        cell.metadata = {}


def odd_metadata(book):
    book.metadata = {}
    for k, cell in enumerate(book.cells):
        if cell.metadata.get("nbgrader", {}).get("grade_id") not in ("a1-horizon", "a1-horizon-test"):
            cell.metadata["nbgrader"] = [None, [], "text", {"grade_id": 3}, {"grade": 1}][k % 5]


def huge_output(book):
    cell(book, "a1-horizon").outputs = [nbformat.v4.new_output("stream", text="x" * 20_000_000)]


def test_cells_say_pass(book):
    for cell in book.cells:
        if cell.metadata.get("nbgrader", {}).get("grade"):
            cell.source = "pass"


test_cells_say_pass.__test__ = False
def by_heart():
    """Answers every case that a student sees, and no other."""
    seen = {}
    assert checks.a1.horizon(lambda gamma, share: seen.setdefault((gamma, share), horizon(gamma, share))).passed
    return f"KNOWN = {seen!r}\ndef horizon(gamma, share):\n    return KNOWN[gamma, share]"


WRONG = "def horizon(gamma, share):\n    return 1"
ALL = {"episode_returns", "horizon", "occupancy", "evaluate", "improve", "solve", "belief"}
# what is done to the notebook with all answers -> the exercises that it costs, and a word that the messages hold
ODD = {
    "nothing": (lambda book: None, set(), ""),
    "learnt by heart": (answer(by_heart()), {"horizon"}, "KeyError"),
    "answer deleted": (remove("a1-horizon"), {"horizon"}, "The answer's cell is missing."),
    "answer and test deleted": (remove("a1-horizon", "a1-horizon-test"), {"horizon"}, "missing"),
    "test and what it imports deleted": (remove("a1-given", "a1-horizon-test"), set(), ""),
    "answer split, test deleted": (both(split, remove("a1-horizon-test")), set(), ""),
    "answer split in the middle": (split_in_the_middle, {"horizon"}, "SyntaxError"),
    "answer twice, wrong last": (twice("a1-horizon", second=WRONG), {"horizon"}, "2 times"),
    "answer twice, right last": (twice("a1-horizon", first=WRONG), set(), ""),
    "test twice": (twice("a1-horizon-test"), set(), ""),
    "answer is a text": (lambda book: cell(book, "a1-horizon").update(cell_type="markdown"), {"horizon"}, "not defined"),
    "endless loop": (add("while True:\n    pass"), set(), "did not finish"),
    "endless loop in an answer": (answer("def horizon(gamma, share):\n    while True:\n        pass"), {"horizon"},
                                  "did not finish"),
    "loop that cannot be interrupted": (
        answer("while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"),
        {"horizon"}, "did not finish"),
    "crash at import": (both(add("import nothing_like_this"), add("import lmrl_lab.nothing"), add("import sys\nsys.exit(3)"),
                             add("exit()"), add("quit()")), set(), "nothing_like_this"),
    "os._exit": (add("import os\nos._exit(1)"), set(), "died"),
    "os._exit in an answer": (answer("import os\ndef horizon(gamma, share):\n    os._exit(0)"), {"horizon"}, "died"),
    "crash below Python": (both(add("import ctypes\nctypes.string_at(0)"), add("1 / 0")), set(), "died"),
    "widget, input": (both(add('lab.play("maze-fo")'), add("name = input('who?')")), set(), "StdinNotImplemented"),
    "no JSON": ("{ this is no JSON", ALL, "JSON"),
    "empty file": ("", ALL, "JSON"),
    "a list": ("[1, 2]", ALL, "no list of cells"),
    "nested for ever": ("[" * 100_000, ALL, "JSON"),
    "huge output in the file": (huge_output, set(), ""),
    "prints for ever": (add("while True:\n    print('x' * 10_000)"), set(), "printed more than"),
    "too much memory": (add("x = bytearray(10**11)"), set(), "MemoryError"),
    "checks deleted": (add("from lmrl_lab import checks\ndel checks.a1.horizon, checks.required, checks.Result\nchecks = None"),
                       set(), ""),
    "checks patched": (both(answer(WRONG), add(
        "from lmrl_lab import checks\nfor name in ('horizon', 'evaluate'):\n"
        "    setattr(checks.a1, name, lambda *_, **__: checks.passed('mine'))\n"
        "checks.required = lambda result: None\nimport builtins\nbuiltins.AssertionError = None")), {"horizon"}, "got      1"),
    "tests replaced": (both(answer(WRONG), test_cells_say_pass), {"horizon"}, "got      1"),
    "kernel taken apart": (add("import sys\nget_ipython().run_cell = sys.stdout = None"), set(), ""),
    "no metadata": (strip_metadata, set(), ""),
    "odd metadata": (odd_metadata, set(), ""),
    "folder deleted": (both(add("import os, shutil\nshutil.rmtree(os.getcwd(), ignore_errors=True)"), add("x = '\ud800'")),
                       set(), ""),
    "sleeps in a shell": (add("!sleep 100"), set(), "did not finish"),
}


def write(book, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = book if isinstance(book, str) else json.dumps(book)
    path.write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_no_odd_notebook_stops_a_class_or_costs_other_exercises_their_points(answered, tmp_path, monkeypatch, pace):
    seconds = max(4.0, 2 * pace)  # for each cell
    monkeypatch.setattr("lmrl_lab.classroom.kernel.GRACE", 1.0)
    root, submissions = tmp_path / "root", tmp_path / "class"
    write(answered, root / "source" / "A1" / "A1.ipynb")
    names = {f"student {k:02}, {name}": name for k, name in enumerate(ODD)}
    for student, name in names.items():
        book = ODD[name][0]
        if callable(book):
            book = copy.deepcopy(answered)
            ODD[name][0](book)
        write(book, submissions / student / "A1.ipynb")
    assert len(ODD) >= 30
    marks, longest, before = {}, {}, time.monotonic()
    for mark in grade_class(submissions, root, tell=lambda line: None, seconds=seconds, total=15 * seconds):
        marks.setdefault(mark.student, []).append(mark)
        longest[mark.student], before = max(longest.get(mark.student, 0), time.monotonic() - before), time.monotonic()
    assert set(marks) == set(names)
    wrong = []
    for student, name in names.items():
        _, costs, word = ODD[name]
        lost = {mark.exercise.removeprefix("a1-") for mark in marks[student] if mark.points == 0}
        told = " ".join(mark.message for mark in marks[student])
        if lost != costs or word not in told:
            wrong.append((name, lost, told))
        assert sum(mark.points or 0 for mark in marks[student]) == 17 - sum(
            mark.maximum for mark in marks[student] if mark.points == 0)
        assert longest[student] < 20 * seconds, name
    assert wrong == []


def test_a_notebook_that_uses_up_its_time_gets_what_it_earned_so_far(answered, a1, tmp_path, pace):
    book = copy.deepcopy(answered)
    add("while True:\n    pass", before="a1-occupancy")(book)
    write(book, tmp_path / "A1.ipynb")
    marks = grade_notebook(tmp_path / "A1.ipynb", a1, "anna", seconds=1_000, total=max(6.0, 3 * pace))
    assert [mark.points for mark in marks[:2]] == [2, 2] and {mark.points for mark in marks[2:7]} == {0}
    assert "whole notebook" in marks[2].message


# ---------------------------------------------------------------------------------------------- the parts

def test_a_kernel_that_died_is_replaced_by_one_that_knows_what_it_knew():
    with Kernel(seconds=10) as kernel:
        assert kernel.run("a = 1\nprint('hello')").text == "hello\n"
        assert kernel.run("b = a + nothing").error == "NameError: name 'nothing' is not defined"
        assert kernel.run_test("c = 3").status == "ok"
        assert kernel.run("import os; d = 4; os._exit(0)").status == "died"
        assert kernel.run("print(a, 'c' in vars(), 'd' in vars())").text == "1 False False\n"


def test_a_full_memory_costs_the_next_cell_nothing():
    with Kernel(seconds=20, memory=0.5) as kernel:
        assert kernel.run("a = 1").status == "ok"
        assert kernel.run("b = 'x' * 300_000_000\nc = 'x' * 10**9").error.startswith("MemoryError")
        assert kernel.run("c = 'x' * 200_000_000\nprint(a, 'b' in vars())").text == "1 False\n"


def test_what_a_cell_started_ends_with_its_kernel(tmp_path):
    with Kernel(seconds=10) as kernel:
        said = kernel.run("import subprocess; child = subprocess.Popen(['sleep', '1000']); print(child.pid)")
    child = int(said.text)
    for _ in range(50):
        try:
            os.kill(child, 0)
            state = Path(f"/proc/{child}/stat").read_text().split()[2] if Path("/proc").is_dir() else ""
            if state == "Z":
                return
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.1)
    pytest.fail("the child lives on")


def test_a_test_stands_after_its_answer_wherever_the_student_has_put_it(answered, a1, tmp_path):
    def planned(change):
        book = copy.deepcopy(answered)
        change(book)
        write(book, tmp_path / "A1.ipynb")
        cells = read_cells(tmp_path / "A1.ipynb")
        return [what.id if isinstance(what, Exercise) else cells[i].id if i is not None else "given"
                for i, what in order(cells, a1)]

    usual = planned(lambda book: None)
    assert usual[:5] == ["given", None, "a1-episode_returns", "a1-episode_returns-test", "a1-horizon"]

    def up(book):
        book.cells.insert(0, book.cells.pop(at(book, "a1-horizon-test")))

    assert planned(up) == usual
    assert planned(remove("a1-horizon-test")) == usual
    assert planned(twice("a1-horizon-test")) == usual
    assert planned(remove("a1-horizon", "a1-horizon-test")) == [x for x in usual if "horizon" not in str(x)] + ["a1-horizon-test"]
    assert planned(strip_metadata)[-7:] == [exercise.id for exercise in a1.exercises]
    assert planned(both(remove("a1-horizon-test"), add("more", before="a1-occupancy-text"))).index("a1-horizon-test") == 6


def test_notebooks_are_found_in_either_layout_and_under_another_name(answered, tmp_path):
    assignments = [Assignment(path_of("source", name)) for name in NAMES]
    shutil_copy = {"A1.ipynb": "A1", "A2/A2.ipynb": "A2", "my homework (final).ipynb": "A3", ".ipynb_checkpoints/A4.ipynb": "A4",
                   "a5/A5_copy.ipynb": "A5", "a5/Untitled.ipynb": None, "notes.ipynb": None}
    for name, kind in shutil_copy.items():
        write(path_of("release", kind).read_text() if kind else "{}", tmp_path / name)
    found, lost = find(tmp_path, assignments)
    chosen = {name: (str(path.relative_to(tmp_path)), remark) for name, (path, remark) in found.items()}
    assert chosen == {
        "A1": ("A1.ipynb", ""), "A2": ("A2/A2.ipynb", ""),
        "A3": ("my homework (final).ipynb", "found as my homework (final).ipynb"),
        "A5": ("a5/A5_copy.ipynb", "graded a5/A5_copy.ipynb, not a5/Untitled.ipynb")}
    assert lost == ["notes.ipynb"]


def test_a_folder_that_cannot_be_graded_is_a_clear_error_and_leaves_older_marks_alone(tmp_path, capsys):
    (tmp_path / "x.csv").write_text("marks, some of them written in by hand")
    for arguments, word in ((["grade", str(tmp_path / "nobody")], "a folder for each student"),
                            (["grade", str(tmp_path)], "no student's folder"),
                            (["--root", str(tmp_path), "build"], "no assignment at"),
                            (["--root", str(tmp_path), "grade", str(tmp_path)], "no assignment at")):
        if "--root" not in arguments:
            arguments = ["--root", str(FOLDER), *arguments]
        assert main(arguments + (["--out", str(tmp_path / "x.csv")] if "grade" in arguments else [])) == 1
        assert word in capsys.readouterr().err
    assert (tmp_path / "x.csv").read_text() == "marks, some of them written in by hand"


def test_the_command_grades_a_class_into_a_table(tmp_path, capsys, answered):
    write("{}", tmp_path / "class" / "anna" / "A2.ipynb")
    write(answered, tmp_path / "class" / "bob" / "homework A1.ipynb")
    write("{}", tmp_path / "class" / "bob" / "shopping.ipynb")
    (tmp_path / "class" / "carl").mkdir()
    write("{}", tmp_path / "class" / "A1.ipynb")
    out = tmp_path / "marks.csv"
    assert main(["--root", str(FOLDER), "grade", str(tmp_path / "class"), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "no student's folder: A1.ipynb" in said and "bob, A1: 17 of 17" in said and "anna, A1: 0 of 17" in said
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["student", "assignment", "exercise", "points", "maximum", "message"]
    points = {}
    for row in rows:
        key = row["student"], row["assignment"]
        points[key] = points.get(key, 0) + float(row["points"] or 0)
    assert points == {("anna", "A1"): 0, ("anna", "A2"): 0, ("bob", "A1"): 17, ("bob", "A2"): 0, ("bob", "(none)"): 0,
                      ("carl", "A1"): 0, ("carl", "A2"): 0}
    told = {(row["student"], row["assignment"], row["exercise"]): row["message"] for row in rows}
    assert told["carl", "A2", "a2-clone"] == "not handed in" and "no list of cells" in told["anna", "A2", "a2-clone"]
    assert told["bob", "A1", "(notebook)"] == "found as homework A1.ipynb" and "shopping" in told["bob", "(none)", "(notebook)"]


def test_marks_are_in_the_file_as_soon_as_they_are_there(tmp_path):
    def marks():
        from lmrl_lab.classroom.grading import Mark
        yield Mark("anna", "A1", "x", 1.0, 2.0, "a line\nand another \ud800")
        assert "anna" in (tmp_path / "x.csv").read_text()
    assert write_csv(tmp_path / "x.csv", marks()) == 1


def test_a_grader_that_fails_says_so_in_the_marks(monkeypatch, a1):
    def fails(*_, **__):
        raise OSError("no port is free")
    monkeypatch.setattr("lmrl_lab.classroom.grading._run", fails)
    marks = grade_notebook(path_of("source", "A1"), a1, "anna")
    assert {mark.points for mark in marks} == {0.0} and all("no port is free" in mark.message for mark in marks)
