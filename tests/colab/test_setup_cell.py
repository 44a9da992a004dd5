"""The set-up cell with the real pip, in an environment that has what Colab has and not what Colab lacks."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from notebook_address import setup_source
from wheels import build_wheel

LACKING = ("chess", "rapidfuzz", "snowballstemmer")


@pytest.fixture
def python(tmp_path):
    """A fresh environment of links into this one, less the package itself and what Colab lacks; its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "fresh"], check=True)
    (fresh,) = (tmp_path / "fresh" / "lib").glob("python*/site-packages")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.lower().removeprefix("__editable__.").startswith(("lmrl_lab", "__editable__", *LACKING)):
            (fresh / entry.name).symlink_to(entry)
    return tmp_path / "fresh" / "bin" / "python"


def small_wheel(folder, name):
    """A wheel with one empty module: these tests ask what pip does, and need no network for it."""
    with zipfile.ZipFile(folder / f"{name}-9.0-py3-none-any.whl", "w") as wheel:
        info = f"{name}-9.0.dist-info"
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def installed(python):
    code = "import importlib.metadata as m; print(*{f'{d.name}=={d.version}' for d in m.distributions()}, sep='\\n')"
    return set(subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_it_adds_the_package_and_what_is_missing_and_upgrades_nothing(python, tmp_path):
    shelf, folder = tmp_path / "shelf", tmp_path / "content"
    shelf.mkdir()
    folder.mkdir()
    for name in LACKING:
        small_wheel(shelf, name)
    version = build_wheel(tmp_path / "source", folder).name.split("-")[1]
    before = installed(python)
    settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(shelf), "PIP_CONFIG_FILE": "/dev/null", "PATH": ""}
    command = [python, "-c", setup_source("")]
    result = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("✓ LMRL Lab is ready")
    after = installed(python)
    assert before - after == set()
    assert after - before == {f"lmrl-lab=={version}", *(f"{name}==9.0" for name in LACKING)}
