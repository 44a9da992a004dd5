"""The committed notebooks as they lie there. That they also run is `make test-notebooks`."""

from pathlib import Path

import pytest

from notebook_address import read_address
from notebook_check import problems

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_committed_notebook_is_in_order(path):
    assert problems(path, read_address(ROOT)) == []


def test_the_notebooks_are_numbered_without_a_gap():
    assert [path.name[:3] for path in NOTEBOOKS] == [f"{number:02d}_" for number in range(len(NOTEBOOKS))]
