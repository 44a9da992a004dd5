"""The shape of the package: who may import whom, how heavy the door is, how long a file may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lmrl_lab

PACKAGE = Path(lmrl_lab.__file__).parent
# each room may import the rooms before it
ORDER = ["files", "episode", "env", "policies", "chat", "simulators", "tasks", "data", "tokens", "heads", "models", "agent",
         "rollout", "inspection", "training", "algorithms", "evaluation", "benchmark_tables", "benchmark", "plots", "checkup",
         "scoreboard", "widgets", "checks", "contract", "classroom", "results", "__main__"]
FRONT = {"__init__"}
LATE = {("algorithms", "widgets"), ("evaluation", "plots")}  # inside a function, where a figure is asked for


def files():
    return sorted(path for path in PACKAGE.rglob("*.py"))


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_import_only_from_rooms_above(path):
    here = room(path)
    if here in FRONT:
        return
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("lmrl_lab"):
            parts = node.module.split(".")
            names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("lmrl_lab.")]
        for name in names:
            if name in ORDER and name != here and (here, name) not in LATE:
                assert ORDER.index(name) < ORDER.index(here), f"{here} imports {name}"


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_are_short_and_say_what_they_are(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 500
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "a file begins by saying what lives in it"


def test_no_module_is_named_like_a_function_of_the_front_door():
    assert not {path.stem for path in PACKAGE.iterdir()} & set(lmrl_lab._HOME) - {"TASKS"}


def test_every_name_of_the_front_door_exists():
    for name in lmrl_lab._HOME:
        assert getattr(lmrl_lab, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = lmrl_lab.nothing_like_this


def test_a_scripted_game_needs_no_torch_and_no_pandas():
    code = ("import sys, lmrl_lab as lab; env = lab.make('maze-fo'); env.reset(seed=0); env.step('move up');"
            "print(lab.evaluate('random', 'maze-fo', episodes=3).episodes);"
            "print([m for m in ('torch', 'pandas', 'transformers', 'matplotlib', 'ipywidgets') if m in sys.modules])")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "3\n[]\n"


def test_trl_is_imported_by_its_two_algorithms_only():
    for path in files():
        if path.name not in ("ppo.py", "grpo.py"):
            assert "import trl" not in path.read_text() and "from trl" not in path.read_text()
