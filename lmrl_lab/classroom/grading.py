"""The marks of a class: whatever is handed in, each exercise gets its points where it works, and a message.

The tests are those of the source, never those that come back. A student's cells run in their order in one kernel, each test
after the cells that belong to its exercise. No notebook can stop a batch.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

from lmrl_lab.classroom.kernel import Kernel, Outcome
from lmrl_lab.classroom.release import source_paths

LARGEST_MB = 100
LONGEST_MESSAGE = 1_500


class Cell(NamedTuple):
    """`kind`: code, markdown or raw; `id`: nbgrader's grade_id, or None."""

    kind: str
    source: str
    id: str | None
    nbgrader: dict


class Exercise(NamedTuple):
    """One graded cell of the source. `answer`: the grade_id of the cell that a student fills in; `test`: the instructor's cell,
    None for a text that is marked by hand."""

    id: str
    answer: str
    points: float
    test: str | None

    @property
    def name(self) -> str:
        return self.id.removesuffix("-test")


@dataclass(frozen=True)
class Mark:
    """A line of the table. `points` is None where nobody but the instructor can tell."""

    student: str
    assignment: str
    exercise: str
    points: float | None
    maximum: float
    message: str


class Assignment:
    """What the source of an assignment says: `exercises` in order, `given` (its read-only code cells, which need nothing that a
    student writes), `ids` of all its cells."""

    def __init__(self, path: str | os.PathLike):
        self.name, self.exercises, answer = Path(path).stem, [], None
        self.given, self.given_ids = [], set()
        cells = read_cells(path)
        for cell in cells:
            told = cell.nbgrader
            if told.get("solution"):
                answer = cell.id
            if told.get("grade"):
                test = None if told.get("solution") else cell.source
                self.exercises.append(Exercise(cell.id, answer, float(told["points"]), test))
            elif cell.kind == "code" and told.get("locked"):
                self.given.append(cell.source)
                self.given_ids.add(cell.id)
        self.ids = {cell.id for cell in cells if cell.id}
        if not self.exercises:
            raise ValueError(f"{path} has no graded cell")


def read_cells(path: str | os.PathLike) -> list[Cell]:
    """The cells of a notebook, read with a forgiving eye; ValueError says why a file is none."""
    path = Path(path)
    if path.stat().st_size > LARGEST_MB * 2**20:
        raise ValueError(f"larger than {LARGEST_MB} MB: clear the outputs")
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a notebook, its JSON is broken ({error!s:.100})") from None
    if not isinstance(data, dict) or not isinstance(data.get("cells"), list):
        raise ValueError("not a notebook: it has no list of cells")
    cells = []
    for cell in data["cells"]:
        if not isinstance(cell, dict):
            continue
        source, metadata = cell.get("source", ""), cell.get("metadata")
        source = "".join(map(str, source)) if isinstance(source, list) else str(source)
        told = metadata.get("nbgrader") if isinstance(metadata, dict) else None
        told = told if isinstance(told, dict) else {}
        name = told.get("grade_id")
        cells.append(Cell(str(cell.get("cell_type")), source.encode(errors="replace").decode(),  # a half of a surrogate pair
                          name if isinstance(name, str) else None, told))
    return cells


def order(cells: Sequence[Cell], assignment: Assignment) -> list[tuple[int | None, str | Exercise]]:
    """What is run, in order: (position in the notebook, code) for a student's cells, (None, Exercise) for tests.

    A test stands where the student has it, but not before the exercise's answer; where the student has none, after the answer
    and the cells without a name that follow it; at the end where there is neither. What the source gives comes first.
    """
    ours = {exercise.id for exercise in assignment.exercises if exercise.test is not None} | assignment.given_ids
    after: dict[int, list[Exercise]] = {}
    for exercise in assignment.exercises:
        if exercise.test is None:
            continue
        own = [i for i, cell in enumerate(cells) if cell.id == exercise.id]
        answers = [i for i, cell in enumerate(cells) if cell.id == exercise.answer]
        place = max(own + answers, default=len(cells))
        if answers and not own:
            while place + 1 < len(cells) and cells[place + 1].id not in assignment.ids:
                place += 1
        after.setdefault(place, []).append(exercise)
    plan: list[tuple] = [(None, code) for code in assignment.given]
    for i, cell in enumerate(cells):
        if cell.kind == "code" and cell.id not in ours:
            plan.append((i, cell.source))
        plan += [(None, exercise) for exercise in after.get(i, [])]
    return plan + [(None, exercise) for exercise in after.get(len(cells), [])]


def grade_notebook(path: str | os.PathLike, assignment: Assignment, student: str, note: str = "", **limits) -> list[Mark]:
    """A mark for each exercise, and one named "(notebook)" where there is more to say. Never raises an Exception."""
    try:
        cells = read_cells(path)
        found, notes = _run(cells, assignment, limits)
    except Exception as error:  # a class must not wait for one notebook
        return without(assignment, student, f"{Path(path).name}: {error or type(error).__name__}"[:LONGEST_MESSAGE])
    marks = []
    for exercise in assignment.exercises:
        if exercise.test is None:
            text = next((cell.source for cell in cells if cell.id == exercise.id), "")
            marks.append((exercise.name, None, exercise.points, f"by hand: {text or '(nothing)'}"))
            continue
        outcome, trouble = found[exercise]
        if outcome.status == "ok":
            points, message = exercise.points, "passed"
        else:
            points = 0.0
            message = " ".join([*trouble, outcome.error.removeprefix("AssertionError: ")])
        marks.append((exercise.name, points, exercise.points, message))
    if note or notes:
        marks.append(("(notebook)", None, 0.0, "; ".join([note] * bool(note) + notes)))
    return [Mark(student, assignment.name, *rest, message[:LONGEST_MESSAGE]) for *rest, message in marks]


def _run(cells: Sequence[Cell], assignment: Assignment, limits: dict) -> tuple[dict, list[str]]:
    """({exercise: (how its test ended, what is wrong with its answer's cells)}, what is wrong with other cells)."""
    bad: dict[int, Outcome] = {}
    tested: dict[Exercise, Outcome] = {}
    with Kernel(**limits) as kernel:
        for position, what in order(cells, assignment):
            if isinstance(what, Exercise):
                tested[what] = kernel.run_test(what.test)
            elif what.strip():
                outcome = kernel.run(what)
                if outcome.status != "ok" and position is not None:
                    bad[position] = outcome
    count, answers, found = Counter(cell.id for cell in cells), {e.answer for e in assignment.exercises}, {}
    for exercise, outcome in tested.items():
        trouble = [f"The answer's cell: {bad[i].error}." for i in bad if cells[i].id == exercise.answer]
        if exercise.answer not in count:
            trouble.append("The answer's cell is missing.")
        if count[exercise.answer] > 1:
            trouble.append(f"The answer's cell is there {count[exercise.answer]} times.")
        found[exercise] = outcome, trouble
    return found, [f"cell {i + 1}: {outcome.error:.200}" for i, outcome in bad.items() if cells[i].id not in answers]


def without(assignment: Assignment, student: str, message: str) -> list[Mark]:
    """No points for any exercise, and why."""
    return [Mark(student, assignment.name, exercise.name, 0.0, exercise.points, message) for exercise in assignment.exercises]


def find(folder: str | os.PathLike, assignments: Sequence[Assignment]) -> tuple[dict[str, tuple[Path, str]], list[str]]:
    """A student's notebooks: {assignment: (file, remark)}, and files that belong to none.

    A file belongs to the assignment that most of its nbgrader cells come from; failing that, to the one in its own or its
    folder's name (`A1`). Of several, the one that is called as the assignment is taken, else the one with most cells of it.
    """
    candidates: dict[str, list[tuple]] = {}
    lost = []
    for path in sorted(Path(folder).rglob("*.ipynb")):
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts) or not path.is_file():
            continue
        try:
            there = {cell.id for cell in read_cells(path)}
        except (ValueError, OSError):
            there = set()
        shared = {assignment.name: len(there & assignment.ids) for assignment in assignments}
        name = max(shared, key=shared.get)
        if not shared[name]:
            named = [a.name for a in assignments
                     if re.search(rf"(?<![a-z0-9]){a.name}(?![0-9])", inside.as_posix(), re.IGNORECASE)]
            if not named:
                lost.append(str(inside))
                continue
            name = named[-1]
        candidates.setdefault(name, []).append((path.stem != name, -shared[name], str(inside), path))
    chosen = {}
    for name, files in candidates.items():
        first, *others = sorted(files)
        remark = f"graded {first[2]}, not {', '.join(other[2] for other in others)}" if others else \
            f"found as {first[2]}" if first[0] else ""
        chosen[name] = first[3], remark
    return chosen, lost


def grade_class(submissions: str | os.PathLike, root: str | os.PathLike, tell: Callable[[str], None] = print,
                **limits) -> Iterator[Mark]:
    """Marks of every student (a folder of `submissions`) in every assignment that anybody handed in.

    root: the folder that holds `source`. limits: see `Kernel`. Raises FileNotFoundError where there is nothing to grade.
    """
    assignments = [Assignment(path) for path in source_paths(root)]
    if not Path(submissions).is_dir():
        raise FileNotFoundError(f"no folder {submissions}: it should hold a folder for each student")
    students = sorted(path for path in Path(submissions).iterdir() if path.is_dir() and not path.name.startswith("."))
    if not students:
        raise FileNotFoundError(f"no student's folder in {submissions}: a notebook lies at {submissions}/STUDENT/A1.ipynb")
    for path in sorted(Path(submissions).glob("*.ipynb")):
        tell(f"not graded, because it lies in no student's folder: {path.name}")
    found = {folder.name: find(folder, assignments) for folder in students}
    handed_in = [a for a in assignments if any(a.name in notebooks for notebooks, _ in found.values())]
    for student, (notebooks, lost) in found.items():
        for assignment in handed_in:
            if assignment.name in notebooks:
                path, remark = notebooks[assignment.name]
                marks = grade_notebook(path, assignment, student, remark, **limits)
            else:
                marks = without(assignment, student, "not handed in")
            by_hand = sum(mark.maximum for mark in marks if mark.points is None)
            points, most = sum(mark.points or 0 for mark in marks), sum(mark.maximum for mark in marks)
            tell(f"{student}, {assignment.name}: {points:g} of {most:g}" + (f", {by_hand:g} of them by hand" if by_hand else ""))
            yield from marks
        for name in lost:
            yield Mark(student, "(none)", "(notebook)", None, 0.0, f"{name} belongs to no assignment that is known")


def write_csv(path: str | os.PathLike, marks: Iterator[Mark]) -> int:
    """Write each mark as soon as it is there, a line each; returns how many.

    A file that is there is replaced once there is a first mark, not by a mistyped folder.
    """
    number, marks = 0, iter(marks)
    first = list(itertools.islice(marks, 1))
    with open(path, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Mark)], lineterminator="\n")
        writer.writeheader()
        for mark in itertools.chain(first, marks):
            writer.writerow(asdict(mark))
            file.flush()
            number += 1
    return number
