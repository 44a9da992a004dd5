"""The instructor's command line: `build` makes the students' notebooks, `grade` marks what came back."""

from __future__ import annotations

import argparse
import sys

from lmrl_lab.classroom.grading import grade_class, write_csv
from lmrl_lab.classroom.release import build


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 1 after one line on stderr that says what is missing."""
    parser = argparse.ArgumentParser(prog="python -m lmrl_lab.classroom", description=__doc__)
    parser.add_argument("--root", default="notebooks/assignments", help="the folder with source/ and release/")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="source/ -> release/ (needs the extra [classroom])")
    grade = commands.add_parser("grade", help="a folder of students' folders -> a CSV of points and messages")
    grade.add_argument("submissions", help="holds STUDENT/A1.ipynb or STUDENT/A1/A1.ipynb")
    grade.add_argument("--out", default="grades.csv", help="the CSV file (default: %(default)s)")
    grade.add_argument("--seconds", type=float, default=30.0, help="for each cell (default: %(default)g)")
    grade.add_argument("--total", type=float, default=600.0, help="seconds for each notebook (default: %(default)g)")
    given = parser.parse_args(arguments)
    try:
        if given.command == "build":
            for path in build(given.root):
                print(path)
            return 0
        marks = grade_class(given.submissions, given.root, seconds=given.seconds, total=given.total)
        print(f"{write_csv(given.out, marks)} lines in {given.out}")
    except (FileNotFoundError, ImportError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
