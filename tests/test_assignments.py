"""The graded assignments: the release is what the source gives, answers get all points, and every wrong answer loses its own.

In a source the exercise `returns` of A1 is a cell with the grade_id `a1-returns` and, after it, `a1-returns-test`, which calls
`checks.a1.returns(variable)`. What is graded in kernels, and the odd things that come back from a class: test_grading.py.
"""

import ast
import copy
import importlib
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest

from lmrl_lab import checks
from lmrl_lab.classroom.__main__ import main
from lmrl_lab.classroom.grading import Assignment
from lmrl_lab.classroom.release import build, source_paths, student_version
from lmrl_lab.env import TASKS
from notebook_address import read_address, setup_cells, setup_source

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks" / "assignments"
NAMES = ["A1", "A2", "A3", "A4", "A5"]
CALL = re.compile(r"checks\.(a\d)\.(\w+)\((\w+)(?:, seed=(\d+))?\)")
each = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def own_registry():
    """A5 registers a task: other tests should not meet it."""
    before = dict(TASKS._own)
    yield
    TASKS._own.clear()
    TASKS._own.update(before)


def source(name):
    return nbformat.read(FOLDER / "source" / name / f"{name}.ipynb", as_version=4)


def release(name):
    return nbformat.read(FOLDER / "release" / name / f"{name}.ipynb", as_version=4)


def told(cell):
    return cell.metadata.get("nbgrader", {})


def graded(notebook):
    """{exercise: (its test cell, the variable that is checked)}, in order."""
    found = {}
    for cell in notebook.cells:
        if told(cell).get("grade") and cell.cell_type == "code":
            [call, *others] = CALL.findall(cell.source)
            assert all(other[:3] == call[:3] for other in others)
            found[call[1]] = cell, call[2]
    return found


def answers(name):
    return importlib.import_module(f"answers.{name.lower()}").ANSWERS


def run_answers(name):
    """The variables after all of a student's cells, filled in as in the source."""
    space = {}
    for cell in source(name).cells:
        if cell.cell_type == "code" and not told(cell).get("grade"):
            exec(cell.source, space)
    return space


def loses(name, space):
    """The exercises whose tests raise an AssertionError with a message; any other error is a fault of the test."""
    lost = []
    for exercise, (cell, _) in graded(source(name)).items():
        try:
            exec(cell.source, dict(space))
        except AssertionError as error:
            assert str(error).startswith("✗"), error
            lost.append(exercise)
    return lost


def test_the_sources_are_the_five_assignments():
    assert [path.stem for path in source_paths(FOLDER)] == NAMES


@each
def test_the_release_is_what_the_source_gives(name):
    pytest.importorskip("nbgrader")
    assert nbformat.writes(student_version(source(name))) + "\n" == \
        (FOLDER / "release" / name / f"{name}.ipynb").read_text(), "run `make assignments`"


def test_build_writes_what_is_committed_and_says_where_there_is_nothing(tmp_path):
    pytest.importorskip("nbgrader")
    with pytest.raises(FileNotFoundError, match="no assignment at"):
        build(tmp_path)
    (tmp_path / "source" / "A1").mkdir(parents=True)
    (tmp_path / "source" / "A1" / "A1.ipynb").write_text(nbformat.writes(source("A1")))
    [path] = build(tmp_path)
    assert path == tmp_path / "release" / "A1" / "A1.ipynb"
    assert path.read_text() == (FOLDER / "release" / "A1" / "A1.ipynb").read_text()


def test_without_nbgrader_build_says_what_to_install(tmp_path, monkeypatch, capsys):
    (tmp_path / "source" / "A1").mkdir(parents=True)
    (tmp_path / "source" / "A1" / "A1.ipynb").write_text(nbformat.writes(source("A1")))
    monkeypatch.setitem(sys.modules, "nbgrader", None)
    assert main(["--root", str(tmp_path), "build"]) == 1
    assert "nbgrader" in (said := capsys.readouterr().err) and "lmrl-lab[classroom]" in said
    assert not (tmp_path / "release").exists()


@each
def test_the_release_gives_nothing_away_and_locks_what_is_not_the_student_s(name):
    text = (FOLDER / "release" / name / f"{name}.ipynb").read_text()
    assert "SOLUTION" not in text and "HIDDEN" not in text and "seed=" not in "".join(
        cell.source for cell, _ in graded(release(name)).values())
    for cell in release(name).cells:
        assert not cell.get("outputs")
        if not told(cell):
            assert "setup" in cell.metadata.tags and cell.metadata.jupyter.source_hidden
        elif not told(cell)["solution"]:
            assert cell.metadata.editable is False and cell.metadata.deletable is False
        elif cell.cell_type == "code":
            assert "raise NotImplementedError()" in cell.source


@each
def test_the_assignment_has_the_shape_that_the_guide_promises(name):
    notebook, assignment = source(name), Assignment(FOLDER / "source" / name / f"{name}.ipynb")
    assert 5 <= len(assignment.exercises) <= 8
    points = sum(exercise.points for exercise in assignment.exercises)
    assert 10 <= points <= 20 and f"*{points:g} points" in notebook.cells[0].source
    texts = "\n".join(cell.source for cell in notebook.cells[1:] if cell.cell_type == "markdown")
    assert sum(map(int, re.findall(r"\((\d+) points?(?:, marked by hand)?\)", texts))) == points
    ids = [told(cell)["grade_id"] for cell in notebook.cells if told(cell)]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(rf"{name.lower()}-[\w-]+", id) for id in ids)
    [setup] = setup_cells(notebook)
    assert setup.source == setup_source(read_address(ROOT))
    assert [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")] == []


@each
def test_each_check_is_an_exercise_with_further_hidden_cases(name):
    found = graded(source(name))
    assert set(found) == set(answers(name))
    for exercise, (cell, variable) in found.items():
        shown, hidden = CALL.findall(cell.source)
        assert told(cell)["grade_id"] == f"{name.lower()}-{exercise}-test"
        assert shown == (name.lower(), exercise, variable, "") and hidden[3]
        before, inside = cell.source.split("### BEGIN HIDDEN TESTS\n")
        assert "seed=" in inside and "seed=" not in before and inside.endswith("### END HIDDEN TESTS")


def definitions(code):
    """{name: what it is} of a module or cell, without docstrings, comments and annotations."""
    found = {}
    for node in ast.parse(code).body:
        for inner in ast.walk(node):
            if isinstance(inner, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(inner):
                inner.body = inner.body[1:]
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = ast.unparse(node)
        elif isinstance(node, ast.Assign):
            found[ast.unparse(node.targets[0])] = ast.unparse(node)
    return found


@each
def test_the_source_holds_the_answers_that_are_tested(name):
    ours = definitions((ROOT / "tests" / "answers" / f"{name.lower()}.py").read_text())
    there = {}
    for cell in source(name).cells:
        if told(cell).get("solution") and cell.cell_type == "code":
            there |= definitions(cell.source)
    assert {variable for _, variable in graded(source(name)).values()} <= set(there)
    assert there == {defined: ours[defined] for defined in there}


@each
def test_the_answers_get_all_points(name):
    assert loses(name, run_answers(name)) == []


@each
def test_no_answer_leans_on_another_exercise(name):
    """Then a wrong one costs no others. In A5 all is about one game: there the next test runs the others."""
    found = {variable for _, variable in graded(source(name)).values()}
    for cell in source(name).cells:
        if told(cell).get("solution") and cell.cell_type == "code" and name != "A5":
            used = {node.id for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Name)}
            assert not used & found, told(cell)["grade_id"]


@each
def test_every_wrong_answer_loses_its_own_points_and_no_others(name):
    space = run_answers(name)
    found = graded(source(name))
    with_variable = {exercise: [other for other, (_, v) in found.items() if v == variable]
                     for exercise, (_, variable) in found.items()}
    for exercise, (cell, variable) in found.items():
        neighbours = [found[other][0] for other in with_variable[exercise] if other != exercise]
        for wrong in answers(name)[exercise]["wrong"]:
            spoilt = {**space, variable: wrong}
            if isinstance(wrong, type(space.get("card"))):
                TASKS._own[wrong.id] = wrong
            with pytest.raises(AssertionError, match="✗"):
                exec(cell.source, dict(spoilt))
            for neighbour in neighbours:  # tests of other variables do not see this one
                exec(neighbour.source, dict(spoilt))


def test_required_raises_what_the_check_says_and_only_then(capsys):
    checks.required(checks.passed("x"))
    with pytest.raises(AssertionError, match="✗ x: not yet. why"):
        checks.required(checks.failed("x", "why"))


def test_the_seed_draws_other_cases(capsys):
    """Who answers the cases that are seen, and nothing else, fails the hidden ones."""
    from answers.a1 import horizon
    seen = {}

    def remembers(gamma, share):
        return seen.setdefault((gamma, share), horizon(gamma, share))

    assert checks.a1.horizon(remembers).passed
    known = copy.deepcopy(seen)
    assert checks.a1.horizon(lambda *case: known.get(case)).passed
    assert not checks.a1.horizon(lambda *case: known.get(case), seed=1072).passed


@pytest.mark.slow
def test_nbgrader_itself_makes_the_same_release_and_the_same_marks(tmp_path, monkeypatch):
    """For who already has a course in nbgrader: its own commands, its own database, our source folder."""
    pytest.importorskip("nbgrader")
    from nbgrader.api import Gradebook
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # nbgrader starts alembic
    config = Config()
    config.CourseDirectory.root, config.CourseDirectory.db_url = str(tmp_path), f"sqlite:///{tmp_path}/gradebook.db"
    shutil.copytree(FOLDER / "source", tmp_path / "source")
    api = NbGraderAPI(config=config)
    for name in NAMES:
        assert api.generate_assignment(name)["success"]
        made = nbformat.read(tmp_path / "release" / name / f"{name}.ipynb", as_version=4)
        assert [(c.source, c.metadata) for c in made.cells] == [(c.source, c.metadata) for c in release(name).cells]
    for student, folder in (("anna", "source"), ("bob", "release")):
        shutil.copytree(FOLDER / folder / "A1", tmp_path / "submitted" / student / "A1")
        assert api.autograde("A1", student)["success"]
    with Gradebook(config.CourseDirectory.db_url) as book:
        scores = {student: book.find_submission("A1", student).score for student in ("anna", "bob")}
    assert scores == {"anna": 17.0, "bob": 0.0}
