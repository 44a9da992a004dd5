"""Where generated files are kept, and how a file is written so that it is never taken for whole before it is."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

# modules of which nothing goes into a number
UNREAD = {"__main__", "benchmark_tables", "checkup", "contract", "inspection", "plots", "scoreboard"}


def cache_dir() -> Path:
    """Where generated data is kept: $LMRL_LAB_CACHE, else a folder in the user's cache."""
    if "LMRL_LAB_CACHE" in os.environ:
        return Path(os.environ["LMRL_LAB_CACHE"])
    base = os.environ.get("LOCALAPPDATA") if os.name == "nt" else os.environ.get("XDG_CACHE_HOME")
    return Path(base or Path.home() / ".cache") / "lmrl_lab"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file that appears under its name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    if isinstance(content, bytes):
        partial.write_bytes(content)
    else:
        partial.write_text(content)
    os.replace(partial, path)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def code_hash(*more: Path) -> str:
    """12 digits of a hash of what a stored number depends on: the package's modules and algorithms without the `UNREAD` ones,
    the tasks' tables, and the files `more`."""
    package = Path(__file__).parent
    code = {path.resolve() for path in (*(path for pattern in ("*.py", "algorithms/*.py", "tasks/assets/*.csv")
                                          for path in package.glob(pattern)), *more)}
    read = sorted(path for path in code if path.stem not in UNREAD)
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in read)).hexdigest()[:12]


def folder_hashes(folder: Path) -> dict[str, str]:
    """The files below a folder, by their paths in it, and the `file_hash` of each."""
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in sorted(folder.rglob("*")) if path.is_file()}
