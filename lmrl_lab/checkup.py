"""`doctor()`: is everything here that the notebooks need, and if not, what to type."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform

# as in pyproject.toml; "0": any version
NEEDED = {"torch": "2.11", "transformers": "5.15", "numpy": "2.1.3", "pandas": "2.2.3", "matplotlib": "3.10",
          "ipywidgets": "7.7.1", "gymnasium": "0", "accelerate": "0", "tokenizers": "0"}


def doctor(verbose: bool = False) -> None:
    """Print one stable line if all is well, else what is wrong and what to do; `verbose` adds versions and the machine.

    Looks at installed versions only: it imports neither torch nor transformers unless `verbose` asks for the device.
    """
    problems, found = look()
    for problem in problems:
        print("✗", problem)
    if not problems:
        from lmrl_lab.env import TASKS
        fast = ", fast mode: short trainings, other numbers than in the text" if os.environ.get("LMRL_LAB_FAST") == "1" else ""
        print(f"✓ LMRL Lab is ready: {len(TASKS)} environments{fast}")
    if verbose:
        print(f"Python {platform.python_version()} on {platform.system()}, {os.cpu_count()} processors")
        print(", ".join(f"{name} {version}" for name, version in found.items()))
        if "torch" in found:
            import torch
            device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU only"
            print(f"device: {device}; torch threads: {torch.get_num_threads()} (tiny models use one)")
        print(f"memory: {_memory()}")


def look() -> tuple[list[str], dict[str, str]]:
    """(what is wrong, versions found) of the packages that the notebooks need."""
    problems, found = [], {}
    for name, least in NEEDED.items():
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            problems.append(f"{name} is missing: pip install '{name}>={least}'")
            continue
        if _key(found[name]) < _key(least):
            problems.append(f"{name} {found[name]} is older than {least}: pip install -U '{name}>={least}', "
                            "then restart the kernel")
    return problems, found


def _key(version: str) -> tuple[int, ...]:
    numbers = []
    for part in version.split("+")[0].split("."):
        digits = "".join(ch for ch in part if ch.isdigit())
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return "unknown"
    return f"{total / 2**30:.0f} GiB"


def fast() -> bool:
    """Whether notebooks should run in their short form (LMRL_LAB_FAST=1): for tests and small machines."""
    return os.environ.get("LMRL_LAB_FAST") == "1"
