"""Checkpoints that are folders: sealed when they are whole, so that a cut one is never gone on from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from lmrl_lab.files import folder_hashes, write_atomically

SEAL = "whole.json"


def seal(folder: Path, keep: int = 2) -> None:
    """Write down the files of a finished `checkpoint-N` and their hashes; of older ones beside it, `keep - 1` stay."""
    (folder / SEAL).unlink(missing_ok=True)
    write_atomically(folder / SEAL, json.dumps(folder_hashes(folder), indent=1))
    for old in sorted(folder.parent.glob("checkpoint-*"), key=_number)[:-keep]:
        shutil.rmtree(old)


def _number(folder: Path) -> int:
    return int(folder.name.split("-")[1])


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest whole `checkpoint-N` in a run's folder; None where there is none yet.

    Raises ValueError where a file of it was changed or cut after it had been sealed.
    """
    whole = [path for path in folder.glob("checkpoint-*") if (path / SEAL).exists()]
    if not whole:
        return None
    newest = max(whole, key=_number)
    wanted, found = json.loads((newest / SEAL).read_text()), folder_hashes(newest)
    for name, digest in wanted.items():
        if found.get(name) != digest:
            raise ValueError(f"{newest} was changed or cut: {name} is not the file that was saved; remove the folder to go on "
                             "from the checkpoint before")
    return newest
