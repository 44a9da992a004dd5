"""The checks behind the exercises: `checks.nb10.keep_best(your_function)` says pass or shows the first counterexample.

One module a notebook (nb01) and one a graded assignment (a1). A check prints, never raises, and returns a Result; its expected
values come from hand-worked numbers or a reference of its own, never from the learner's function. In assignments
`required(checks.a1.occupancy(your_function))` turns a failure into an error.
"""

from __future__ import annotations

import copy
import importlib
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence

WIDTH = 110  # characters: a notebook would break a longer line in the middle of a word


class Result:
    """What a check found. `passed` is a bool, `message` what was printed, a long line in several."""

    def __init__(self, passed: bool, message: str):
        self.passed, self.message = passed, "\n".join(map(_folded, message.split("\n")))
        print(self.message)

    def _ipython_display_(self) -> None:
        """Nothing more: the message was printed already."""

    def __repr__(self) -> str:
        return f"Result(passed={self.passed})"


def passed(name: str, note: str = "") -> Result:
    return Result(True, f"✓ {name}: passed" + (f". {note}" if note else ""))


def failed(name: str, what: str) -> Result:
    return Result(False, f"✗ {name}: not yet. {what}")


def required(result: Result) -> None:
    """For assignments: AssertionError with the check's message where it did not pass."""
    if not result.passed:
        raise AssertionError(result.message)


def check_function(name: str, function: Callable, cases: Iterable[tuple], same: Callable = None, note: str = "") -> Result:
    """Call `function(*arguments)` for each case `(arguments, expected)` or `(arguments, expected, why)`.

    The first result that differs is shown with what was expected (and why), as is an exception.
    """
    same = same or close
    if not callable(function):
        return failed(name, f"expected a function, got {function!r}")
    for arguments, expected, *why in cases:
        call = f"{getattr(function, '__name__', 'f')}({', '.join(_short(a) for a in arguments)})"
        try:
            got = function(*copy.deepcopy(arguments))  # a function that spoils its arguments must not spoil the check
        except Exception as error:  # whatever a learner's code raises is shown, never raised
            return failed(name, f"\n  {call}\n  raised   {raised(error)}\n  expected {_short(expected)}")
        try:
            equal = bool(same(got, expected))
        except Exception:  # e.g. None, or the wrong shape
            equal = False
        if not equal:
            reason = f"\n  because {why[0]}" if why else ""
            return failed(name, f"\n  {call}\n  got      {_short(got)}\n  expected {_short(expected)}{reason}")
    return passed(name, note)


def compare(name: str, function, table) -> Result | None:
    """For functions of tensors: a failure at the first row (case, arguments by name, expected) in which the function says
    something else, else None. Lists among the arguments become tensors."""
    import torch
    if not callable(function):
        return failed(name, f"Expected a function, got {function!r}.")
    for case, given, expected in table:
        shown = "\n  ".join(f"{key} {value}" for key, value in given.items()) if len(str(given)) < 300 else "(many numbers)"
        try:
            got = function(*(torch.tensor(value) if isinstance(value, list) else value for value in given.values()))
        except Exception as error:  # whatever a learner's code raises is shown, never raised
            return failed(name, f"\n  {case}\n  {shown}\n  raised   {raised(error)}\n"
                                f"  expected {rounded(expected)}")
        number = got.detach() if hasattr(got, "detach") else got
        if not close(number, expected, 1e-4):
            told = rounded(number.tolist()) if hasattr(number, "tolist") else f"{number!r:.100}"
            return failed(name, f"\n  {case}\n  {shown}\n  got      {told}\n  expected {rounded(expected)}")
    return None


def check_choice(name: str, got: str, letters: Sequence[str], right: str, why: str) -> Result:
    """A prediction is one of a few letters; the right one is told only once a letter was chosen."""
    if not isinstance(got, str) or got.strip().lower() not in letters:
        accepted = ", ".join(map(repr, letters))
        return failed(name, f"\n  got      {got!r}\n  expected one of {accepted}: choose first, then run on")
    if got.strip().lower() != right:
        return failed(name, f"\n  got      {got!r}\n  expected {right!r}\n  because {why}")
    return passed(name, why[0].upper() + why[1:])


def check_number(name: str, got, right: float, why: str, hint: Callable[[float], str], tolerance: float = 0.01) -> Result:
    """A prediction is a number; the right one is never told, `hint(got)` is."""
    if got is None:
        return failed(name, "Write a number down before you go on.")
    if not isinstance(got, (int, float)) or isinstance(got, bool):
        return failed(name, f"Expected a number, got {got!r}.")
    if abs(got - right) < tolerance:
        return passed(name, why)
    return failed(name, f"\n  got      {got:g}\n  expected another number: {hint(got)}")


def hint_for(hints: Mapping[float, str], other: str) -> Callable[[float], str]:
    """For `check_number`: the hint of a number that somebody could come to, to two decimals, else `other`."""
    return lambda got: hints.get(round(got, 2) if abs(got) < 1e9 else 0, other)


def close(got, expected, tolerance: float = 1e-5) -> bool:
    """Equal up to rounding, through lists, tuples, arrays and tensors; lengths must agree; None never equals a number."""
    if hasattr(got, "tolist"):
        got = got.tolist()
    if hasattr(expected, "tolist"):
        expected = expected.tolist()
    if isinstance(expected, (list, tuple)):
        return (isinstance(got, (list, tuple)) and len(got) == len(expected)
                and all(close(g, e, tolerance) for g, e in zip(got, expected, strict=True)))
    if isinstance(expected, bool) or not isinstance(expected, (int, float)):
        return type(got) is type(expected) and got == expected
    return isinstance(got, (int, float)) and math.isclose(got, expected, rel_tol=tolerance, abs_tol=tolerance)


def rounded(value):
    """Numbers to four decimals, through lists and tuples."""
    if isinstance(value, (list, tuple)):
        return [rounded(x) for x in value]
    return round(value, 4) if isinstance(value, float) else value


def raised(error: Exception) -> str:
    """Its kind, and what it says where it says anything: the stub's NotImplementedError does not."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _folded(line: str) -> str:
    """A long line broken between words; what goes on stands under what was got and expected."""
    indent = " " * (11 if line.startswith("  ") else 2)
    return "\n".join(textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False))


def _short(value) -> str:
    text = " ".join(repr(value).split())  # an array on one line
    text = re.sub(r"\d+\.\d{7,}", lambda number: f"{float(number[0]):.6g}", text)  # 0.333333, not sixteen threes
    return text if len(text) <= 160 else text[:157] + "..."


def __getattr__(name: str):
    if re.fullmatch(r"nb\d\d|a\d", name):
        return importlib.import_module(f"lmrl_lab.checks.{name}")
    raise AttributeError(f"no check module '{name}'")
