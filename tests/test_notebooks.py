"""The committed notebooks as they lie there. That they also run is `make test-notebooks`."""

from pathlib import Path

import pytest

from notebook_address import BADGES, read_address, readme_badges
from notebook_check import problems

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_committed_notebook_is_in_order(path):
    assert problems(path, read_address(ROOT)) == []


def test_no_two_notebooks_share_a_number():
    numbers = [path.name[:2] for path in NOTEBOOKS]
    assert all(n.isdigit() for n in numbers) and len(set(numbers)) == len(numbers)


def test_the_readme_carries_the_badges_of_the_present_address():
    expected = readme_badges(read_address(ROOT), "notebooks/00_start_here.ipynb")
    assert BADGES.findall((ROOT / "README.md").read_text()) == [expected]


def test_the_first_notebook_links_all_the_others():
    text = NOTEBOOKS[0].read_text()
    assert [path.name for path in NOTEBOOKS[1:] if f"({path.name})" not in text] == []
