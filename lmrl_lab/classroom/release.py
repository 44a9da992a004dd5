"""From an assignment with its answers to the one that students get, by nbgrader's own steps; no database, no course folder."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import nbformat

from lmrl_lab.files import write_atomically


def student_version(source: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without answers, hidden tests and outputs, its instructions and tests locked; `source` stays as it is.

    The steps are those of `nbgrader generate_assignment`. Raises nbgrader's errors for metadata that it would refuse, and
    ImportError where the extra [classroom] is not installed.
    """
    try:
        from nbgrader import preprocessors as steps
    except ImportError as error:
        raise ImportError(f"{error}. Students' notebooks are built by nbgrader, which `make lab` installs; "
                          "without make: pip install 'lmrl-lab[classroom]'") from error
    notebook, resources = copy.deepcopy(source), {}
    for step in (steps.LockCells, steps.ClearSolutions, steps.ClearOutput, steps.CheckCellMetadata, steps.ClearHiddenTests,
                 steps.ClearMarkScheme, steps.ComputeChecksums, steps.CheckCellMetadata):
        notebook, resources = step().preprocess(notebook, resources)
    return notebook


def build(root: str | os.PathLike) -> list[Path]:
    """Write `root/release/NAME/NAME.ipynb` for every `root/source/NAME/NAME.ipynb`; returns the files written.

    Raises FileNotFoundError where there is no source.
    """
    written = []
    for path in source_paths(root):
        target = Path(root) / "release" / path.parent.name / path.name
        text = nbformat.writes(student_version(nbformat.read(path, as_version=4))) + "\n"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, text)
        written.append(target)
    return written


def source_paths(root: str | os.PathLike) -> list[Path]:
    """The assignments with their answers, in order; FileNotFoundError says where they were looked for."""
    paths = sorted(path for path in Path(root).glob("source/*/*.ipynb") if path.stem == path.parent.name)
    if not paths:
        raise FileNotFoundError(f"no assignment at {Path(root) / 'source' / 'NAME' / 'NAME.ipynb'}")
    return paths
