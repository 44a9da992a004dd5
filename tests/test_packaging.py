"""One list of dependencies: what the other files install is what pyproject.toml says. And what may lie at the top."""

import ast
import importlib.util
import re
import shlex
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lmrl_lab.algorithms import TRL
from wheels import build_wheel

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = {r.name: r for r in map(Requirement, PROJECT["dependencies"])}
EXTRAS = {extra: {r.name: r for r in map(Requirement, lines)} for extra, lines in PROJECT["optional-dependencies"].items()}
EVERY = [*CORE.items(), *(item for extra in EXTRAS.values() for item in extra.items())]
ALLOWED = {
    *("notebooks", "lmrl_lab", "tests", "environment.yml", "README.md", "binder"),
    *("pyproject.toml", "constraints.txt", "Makefile", "LICENSE", ".ci", ".gitignore"),
}


def requirement_lines(path):
    lines = (line.partition("#")[0].strip() for line in (ROOT / path).read_text().splitlines())
    return [Requirement(line) for line in lines if line]


PINS = {canonicalize_name(r.name): r for r in requirement_lines("constraints.txt")}


def installed_by(arguments):
    """The names that `pip install ARGUMENTS` asks for, with the project itself resolved to what pyproject says."""
    names, words = set(), iter(arguments)
    for word in words:
        if word in ("-c", "--index-url", "--extra-index-url"):
            next(words)
        elif word in ("-e", "-q") or word.startswith("--"):
            continue
        elif word.startswith("."):
            extras = re.fullmatch(r"\.(?:\[([\w,]+)\])?", word)[1] or ""
            names |= set(CORE).union(*(EXTRAS[extra] for extra in extras.split(",") if extra))
        else:
            names.add(Requirement(word).name)
    return names


def everything(*extras):
    return set(CORE).union(*(EXTRAS[extra] for extra in extras))


def in_git(*options):
    """The files that are committed, or with `-co --exclude-standard` also those that could be."""
    git = subprocess.run(["git", "ls-files", "-z", *options], cwd=ROOT, capture_output=True, text=True)
    if git.returncode:
        pytest.skip("not a git checkout")
    return [name for name in git.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_the_conda_environment_installs_exactly_what_pyproject_lists():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert installed_by(word for line in pip for word in shlex.split(line)) == everything(*EXTRAS)
    others = {re.match(r"\w+", entry)[0] for entry in environment["dependencies"] if isinstance(entry, str)}
    assert others == {"python", "pip", "stockfish"}


def test_binder_installs_exactly_what_pyproject_lists():
    script = (ROOT / "binder" / "postBuild").read_text().replace("\"$(grep '^torch==' constraints.txt)\"", "torch")
    installs = [shlex.split(line, comments=True)[2:] for line in script.splitlines() if line.startswith("pip install")]
    assert installed_by(installs[0]) == {"torch"} and "https://download.pytorch.org/whl/cpu" in installs[0]
    assert installed_by(word for line in installs for word in line) == everything("lab", "trl", "chat")
    environment = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text())
    assert {re.match(r"\w+", entry)[0] for entry in environment["dependencies"]} == {"python", "pip"}
    assert (ROOT / "binder" / "apt.txt").read_text().split() == ["stockfish"]
    for name in ("postBuild", "start"):
        assert (ROOT / "binder" / name).stat().st_mode & 0o111, f"{name} is not executable"


def test_make_installs_every_extra_and_keeps_the_instructor_s_menus_out():
    """nbgrader puts its menus and a "Create Assignment" panel into every student's JupyterLab, if one lets it."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines) if "-e '.[" in line]
    assert installed_by(shlex.split(lines[number])[1:]) == everything(*EXTRAS)
    assert lines[number + 1].strip() == "$(NO_MENUS)" and lines[number + 2].strip() == "$(WRAP)"
    assert any(line.startswith("NO_MENUS") and "labextension disable" in line and "nbgrader" in line for line in lines)


@pytest.mark.parametrize("name, requirement", EVERY, ids=[name for name, _ in EVERY])
def test_the_constraint_satisfies_the_bound(name, requirement):
    (pin,) = PINS[canonicalize_name(name)].specifier
    assert pin.operator == "==" and requirement.specifier.contains(pin.version)


def test_constraints_name_versions_and_nothing_of_the_machine_that_made_them():
    assert len(PINS) == len(requirement_lines("constraints.txt"))
    for pin in PINS.values():
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)) and not pin.url, pin


def test_only_trl_has_an_upper_bound():
    def bounds(requirement):
        return {specifier.operator for specifier in requirement.specifier}

    assert {name for name, requirement in EVERY if bounds(requirement) - {">="}} == {"trl"}
    assert bounds(EXTRAS["trl"]["trl"]) == {">=", "<"}
    assert Requirement(TRL.strip("'")) == EXTRAS["trl"]["trl"]  # what the error says to install where it is missing


def test_torch_is_pinned_in_the_constraints_only():
    pinned = [
        name for name in in_git("-co", "--exclude-standard") if re.search(rb"\btorch\s*==\s*\d", (ROOT / name).read_bytes())
    ]
    assert pinned == ["constraints.txt"]


def test_the_second_environment_lies_within_the_bounds():
    for requirement in requirement_lines("tests/colab/requirements.txt"):
        (pin,) = requirement.specifier
        assert requirement.name not in CORE or CORE[requirement.name].specifier.contains(pin.version)


def test_every_core_dependency_is_imported_by_the_name_it_is_installed_by():
    """The set-up cell of the notebooks relies on it: it asks whether a module of that name is there."""
    assert [name for name in CORE if importlib.util.find_spec(name) is None] == []


def test_the_top_level_has_what_the_design_lists_and_nothing_else():
    assert {name.partition("/")[0] for name in in_git()} <= ALLOWED


def test_the_version_stands_in_two_places_that_agree():
    source = ast.parse((ROOT / "lmrl_lab" / "__init__.py").read_text())
    values = [node.value.value for node in source.body if isinstance(node, ast.Assign) and node.targets[0].id == "__version__"]
    assert values == [PROJECT["version"]]


def test_the_wheel_carries_all_that_the_package_reads(tmp_path):
    """Colab installs the wheel: what is not in it is missing there."""
    source = tmp_path / "source"
    wheel = build_wheel(source, tmp_path)
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("lmrl_lab/")}
    present = {path.relative_to(source).as_posix() for path in (source / "lmrl_lab").rglob("[!.]*") if path.is_file()}
    assert packed == present


def test_the_check_up_asks_for_what_pyproject_asks_for():
    from lmrl_lab.checkup import NEEDED
    needs = [Requirement(line) for line in PROJECT["dependencies"]]
    bounds = {need.name: str(need.specifier).removeprefix(">=") or "0" for need in needs}
    assert NEEDED.items() <= bounds.items()
    assert {name for name, bound in bounds.items() if bound != "0"} <= NEEDED.keys()
