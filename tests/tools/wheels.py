"""Build the package's wheel for tests, from a copy, so that no build folder is left in the repository."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = "import setuptools.build_meta as backend, sys; backend.build_wheel(sys.argv[1])"


def build_wheel(source: Path, folder: Path) -> Path:
    """Copy what the wheel is made of to `source`, a new folder, and build it into `folder`; its path."""
    shutil.copytree(ROOT / "lmrl_lab", source / "lmrl_lab", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, "-c", BUILD, folder], cwd=source, check=True, capture_output=True)
    (wheel,) = folder.glob("lmrl_lab-*-py3-none-any.whl")
    return wheel
