"""What a notebook's cells define, without running the rest of them: for tests that hold a notebook to the library."""

import ast
import functools
import importlib.util
import sys
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
DEFINING = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


@functools.cache
def sources(number):
    """{id: source} of the code cells of notebook `number`."""
    [path] = NOTEBOOKS.glob(f"{number}_*.ipynb")
    return {cell.id: cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"}


def defined(number, *cells, **known):
    """The names after running the imports and definitions of some cells (by id) of notebook `number`; `known` come first."""
    names = dict(known)
    for cell in cells:
        body = [node for node in ast.parse(sources(number)[cell]).body if isinstance(node, DEFINING)]
        exec(compile(ast.Module(body, []), cell, "exec"), names)
    return names


def written(number, magic):
    """The file that the cells with `%%magic n` of notebook `number` write."""
    parts = [source for source in sources(number).values() if source.startswith(f"%%{magic} ")]
    return "\n\n\n".join(source.partition("\n")[2] for source in parts) + "\n"


def module(number, magic, name, folder):
    """That file, written into `folder` and imported as `name`."""
    path = Path(folder) / f"{name}.py"
    path.write_text(written(number, magic))
    spec = importlib.util.spec_from_file_location(name, path)
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found
