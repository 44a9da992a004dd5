"""The notebooks as a student meets them: in JupyterLab, in a browser. `make test-browser`."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from browser import CHROMIUM, FLAGS, NotebookPage, jupyter
from notebooks import KERNEL

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]

WIDGET = """
import ipywidgets
button, shown = ipywidgets.Button(description="count"), ipywidgets.HTML("<b>0</b>")
button.on_click(lambda _: setattr(shown, "value", f"<b>{1 + int(shown.value[3:-4])}</b>"))
ipywidgets.VBox([button, shown])"""
FETCH = "from IPython.display import HTML\nHTML('<img alt=a src=http://far.invalid/a.png>')"
TINY = {
    "works.ipynb": ["import time; time.sleep(1)\nprint('slept')", WIDGET],
    "raises.ipynb": ["1 / 0", "print('never')"],
    "leaks.ipynb": [FETCH, "import sys; print('careful', file=sys.stderr)", "print('VBox(children=())')"],
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the notebooks, with three tiny ones beside them; a notebook's name -> its address."""
    home = tmp_path_factory.mktemp("jupyter")
    folder = home / "notebooks"
    shutil.copytree(NOTEBOOKS, folder, ignore=shutil.ignore_patterns(".*"))
    for name, sources in TINY.items():
        cells = [new_code_cell(source) for source in sources]
        nbformat.write(new_notebook(cells=cells, metadata=KERNEL), folder / name)
    with jupyter(folder, home, LMRL_LAB_FAST="1", OMP_NUM_THREADS="1") as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_notebook(lab, browser):
    """`open_notebook(name)` -> NotebookPage, in a browser session of its own."""
    context = browser.new_context(viewport={"width": 1100, "height": 1400}, reduced_motion="reduce")
    yield lambda name: NotebookPage(context, lab(name))
    context.close()


def test_a_notebook_runs_and_its_widgets_answer(open_notebook):
    notebook = open_notebook("works.ipynb")
    assert notebook.problems() == ["code cell 0 never ran", "code cell 1 never ran"]
    notebook.run_all_cells()
    assert notebook.problems() == []
    assert [cell["count"] for cell in notebook.cells()] == [1, 2]
    assert "".join(notebook.cells()[0]["outputs"][0]["text"]) == "slept\n"
    for _ in range(2):
        notebook.page.get_by_role("button", name="count").click()
        notebook.wait_idle()
    assert notebook.page.locator(".widget-html b").inner_text() == "2"


def test_a_cell_that_raises_is_a_problem_and_so_are_those_that_never_ran(open_notebook):
    notebook = open_notebook("raises.ipynb")
    notebook.run_all_cells()
    assert notebook.problems() == ["code cell 0 raised ZeroDivisionError: division by zero", "code cell 1 never ran"]


def test_a_request_to_elsewhere_a_warning_and_a_dead_widget_are_problems(open_notebook):
    notebook = open_notebook("leaks.ipynb")
    notebook.run_all_cells()
    assert notebook.problems() == [
        "left the machine: http://far.invalid/a.png",
        "code cell 1 warned: careful\n",
        "a widget that does not show: VBox(children=())",
    ]


def test_the_first_notebook_runs_without_a_problem(open_notebook):
    notebook = open_notebook("00_start_here.ipynb")
    notebook.run_all_cells(seconds=180)
    assert notebook.problems() == []
