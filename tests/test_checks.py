"""Every exercise's check is itself tested, and notebook, check and `tests/answers/nbXX.py` are held together.

`ANSWERS = {check: {"answer": ..., "stub": ..., "wrong": [three or more]}}`, functions or plain values. In the notebook
an exercise is a code cell that defines the stub, a code cell with `checks.nbXX.check(name)`, and in a markdown cell before
or after these `<details><summary>Answer</summary>` with a python block that defines the same name (for a plain value, words
that hold it will do).
"""

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path

import nbformat
import numpy as np
import pytest

import lmrl_lab as lab
from lmrl_lab import checks

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(path.stem for path in (ROOT / "lmrl_lab" / "checks").glob("*[0-9].py"))  # nb: notebooks, a: assignments
FOLDED = re.compile(r"<summary>\s*Answer\s*</summary>(.*?)</details>", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def public(module) -> list[str]:
    return [name for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")]


def answers(notebook: str):
    return importlib.import_module(f"answers.{notebook}")


EXERCISES = [(notebook, name) for notebook in MODULES for name in public(getattr(checks, notebook))]
each_exercise = pytest.mark.parametrize("notebook, name", EXERCISES, ids=lambda part: part)
each_in_a_notebook = pytest.mark.parametrize("notebook, name", [e for e in EXERCISES if e[0].startswith("nb")],
                                             ids=lambda part: part)  # the assignments' own tests: test_assignments.py


def outcome(notebook: str, name: str, given, capsys) -> checks.Result:
    """What the check says; that it prints, and prints what it returns, is part of every test."""
    capsys.readouterr()
    result = getattr(getattr(checks, notebook), name)(given)  # a check never raises
    assert isinstance(result, checks.Result) and isinstance(result.passed, bool)
    assert capsys.readouterr().out == result.message + "\n"
    return result


@pytest.mark.parametrize("notebook", MODULES)
def test_every_check_has_an_answer_a_stub_and_three_wrong_answers(notebook):
    entries = answers(notebook).ANSWERS
    assert set(entries) == set(public(getattr(checks, notebook))) and entries
    for entry in entries.values():
        assert set(entry) == {"answer", "stub", "wrong"} and len(entry["wrong"]) >= 3


@each_exercise
def test_the_answer_passes(notebook, name, capsys):
    result = outcome(notebook, name, answers(notebook).ANSWERS[name]["answer"], capsys)
    assert result.passed, result.message
    assert result.message.startswith("✓")


@each_exercise
def test_the_stub_and_every_wrong_answer_fail_and_are_told_why(notebook, name, capsys):
    entry = answers(notebook).ANSWERS[name]
    for given in [entry["stub"], *entry["wrong"]]:
        result = outcome(notebook, name, given, capsys)
        assert not result.passed and result.message.startswith("✗"), f"{given!r} passes"
        if entry["stub"] is not None:  # a prediction may keep its secret
            assert "expected" in result.message.lower() or "raised " in result.message, result.message
        if callable(given):
            assert "got " in result.message or "raised " in result.message, result.message


def _raises(*arguments):
    raise ZeroDivisionError("division by zero")


def _mutates(*arguments):
    for argument in arguments:
        if isinstance(argument, (list, dict)):
            argument.clear()


@each_exercise
def test_no_answer_however_odd_makes_a_check_raise(notebook, name, capsys):
    values = [None, 0, 1.5, float("nan"), True, "", "text", b"bytes", [], [None], [[]], {}, {1: None}, (), object(),
              int, np.zeros(0), np.zeros((2, 2))]
    for given in [*values, lambda: None, _raises, _mutates, *(lambda *a, v=v: v for v in values)]:
        assert not outcome(notebook, name, given, capsys).passed, f"{given!r} passes"


@each_exercise
def test_an_answer_that_spoils_its_arguments_does_not_spoil_the_check(notebook, name, capsys):
    answer = answers(notebook).ANSWERS[name]["answer"]
    if callable(answer):
        outcome(notebook, name, _mutates, capsys)
    assert outcome(notebook, name, answer, capsys).passed


def test_an_error_is_told_with_its_words_where_it_has_any():
    def stub(x):
        raise NotImplementedError()

    def careless(x):
        return x[3]

    for function, told in ((stub, "raised   NotImplementedError\n"), (careless, "raised   IndexError: tuple index out of range")):
        assert told in checks.check_function("f", function, [(((1,),), 1)]).message
        assert told in checks.compare("f", function, [("a case", {"x": (1,)}, 1.0)]).message


# ---------------------------------------------------------------------------------------------- in the notebook

def exercise(notebook: str, name: str) -> tuple[str, str, list[str]]:
    """(the name that is checked, source of the cell that defines it, the folded answers near its check, nearest first)."""
    [path] = (ROOT / "notebooks").glob(f"{notebook[2:]}_*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    calls = {k: match for k, cell in enumerate(cells) if cell.cell_type == "code"
             for match in [re.search(rf"checks\.{notebook}\.(\w+)\((\w+)\)", cell.source)] if match}
    found = [(k, match[2]) for k, match in calls.items() if match[1] == name]
    assert len(found) == 1, f"{path.name} has {len(found)} cells with checks.{notebook}.{name}(...)"
    [(place, variable)] = found
    defines = re.compile(rf"^(def {variable}\(|{variable} *=)", re.MULTILINE)
    stub = next(cell.source for cell in reversed(cells[:place])
                if cell.cell_type == "code" and defines.search(cell.source))
    before = max((k for k in calls if k < place), default=-1)
    after = min((k for k in calls if k > place), default=len(cells))
    order = [*range(place - 1, before, -1), *range(place + 1, after)]
    return variable, stub, [text for k in order if cells[k].cell_type == "markdown" for text in FOLDED.findall(cells[k].source)]


def meaning(source: str, function: str) -> str:
    """A function's code without its name, comments, docstring and annotations."""
    [tree] = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == function]
    tree.name, tree.returns = "f", None
    for argument in tree.args.args:
        argument.annotation = None
    if ast.get_docstring(tree):
        tree.body = tree.body[1:]
    return ast.unparse(tree)


def same(notebook: str, name: str, source: str, variable: str, part: str, capsys) -> None:
    """`source`, from the notebook, defines what the answers module holds, and the check says of it what it should."""
    module = answers(notebook)
    expected = module.ANSWERS[name][part]
    namespace = {**vars(getattr(checks, notebook)), **vars(module), "np": np, "lab": lab}
    namespace.pop(variable, None)
    exec(source, namespace)
    assert outcome(notebook, name, namespace[variable], capsys).passed == (part == "answer")
    if callable(expected):
        shared = textwrap.dedent(inspect.getsource(expected))
        assert meaning(source, variable) == meaning(shared, expected.__name__)
    else:
        assert namespace[variable] == expected


def test_a_long_line_is_printed_in_several_and_no_word_is_cut(capsys):
    said = "✗ f: not yet.\n  f(" + ", ".join(["'a word'"] * 40) + ")\n  got      1"
    printed = checks.Result(False, said).message
    assert capsys.readouterr().out == printed + "\n"
    assert max(map(len, printed.splitlines())) <= checks.WIDTH
    assert printed.split() == said.split()  # the same words, whole and in the same order
    assert (printed.splitlines()[0], printed.splitlines()[-1]) == ("✗ f: not yet.", "  got      1")


def test_a_fraction_is_told_with_six_digits():
    result = checks.check_function("same", lambda x: x, [((1 / 3,), 0.5)])
    assert "(0.333333)" in result.message and "got      0.333333\n" in result.message


@each_in_a_notebook
def test_the_notebook_holds_the_same_stub(notebook, name, capsys):
    variable, stub, _ = exercise(notebook, name)
    same(notebook, name, stub, variable, "stub", capsys)


@each_in_a_notebook
def test_the_notebook_folds_away_the_same_answer(notebook, name, capsys):
    variable, _, folded = exercise(notebook, name)
    blocks = [textwrap.dedent(code) for text in folded for code in PYTHON.findall(text)]
    defining = [code for code in blocks if re.search(rf"^(def {variable}\(|{variable} *=)", code, re.MULTILINE)]
    expected = answers(notebook).ANSWERS[name]["answer"]
    if defining:
        same(notebook, name, defining[0], variable, "answer", capsys)
    else:
        assert folded and not callable(expected), f"no folded answer defines {variable}"
        assert re.search(rf"(?<!\w){re.escape(str(expected))}(?!\w)", folded[0].replace("\u2212", "-")), folded[0]
