"""What a notebook's cells define, without running the rest of them: for tests that hold a notebook to the library."""

import ast
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
DEFINING = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


def defined(number, *cells, **known):
    """The names after running the imports and definitions of some cells (by id) of notebook `number`; `known` come first."""
    [path] = NOTEBOOKS.glob(f"{number}_*.ipynb")
    sources = {cell.id: cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"}
    names = dict(known)
    for cell in cells:
        body = [node for node in ast.parse(sources[cell]).body if isinstance(node, DEFINING)]
        exec(compile(ast.Module(body, []), cell, "exec"), names)
    return names
