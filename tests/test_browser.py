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
INSPECT = """
import lmrl_lab as lab
agent = lab.train("ilql", "maze-fo", lab.generate("maze-fo", 60, seed=3), seed=1, steps=20, bc_steps=20)
_, episodes = lab.evaluate(agent, "maze-fo", episodes=1, return_episodes=True)
lab.inspect_tokens(agent, episodes[0])"""
PLAYS = [
    "import lmrl_lab as lab\nlab.play('wordle', options={'word': 'house'}, seed=1)",
    "lab.play('chess', agent=lab.TASKS['chess'].policies['best'](opponent='built-in'), opponent='built-in', seed=1)",
]
TALKS = [
    "import lmrl_lab as lab\nlab.play('twenty-questions', options={'object': 'Piano'}, seed=1)",
    "lab.play('guess-my-city', options={'city': 'Paris'}, seed=1)",
    "lab.play('car-dealer', agent=lab.TASKS['car-dealer'].policies['best'](), seed=3)",
]
TINY = {
    "talks.ipynb": TALKS,
    "inspects.ipynb": [INSPECT],
    "plays.ipynb": PLAYS,
    "works.ipynb": ["import time; time.sleep(1)" + "  # a long line".ljust(120, ".") + "\nprint('slept')", WIDGET],
    "raises.ipynb": ["1 / 0", "print('never')"],
    "leaks.ipynb": [FETCH, "import sys; print('careful', file=sys.stderr)", "print('VBox(children=())')"],
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the notebooks, with tiny ones beside them; a notebook's name -> its address."""
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
    wide = "editors => editors.map(editor => editor.scrollWidth > editor.clientWidth)"  # binder/overrides.json wraps lines
    assert notebook.page.locator(".jp-CodeCell .cm-scroller").evaluate_all(wide) == [False, False]
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


def test_the_first_notebook_runs_and_its_maze_is_played_by_keyboard_and_by_buttons(open_notebook):
    """Notebook 00 as a student uses it: run all, play to the goal, and find oneself in the comparison."""
    notebook = open_notebook("00_start_here.ipynb")
    notebook.run_all_cells(seconds=240)
    assert notebook.problems() == []
    sources = [cell["source"] for cell in notebook.cells()]
    number = next(n for n, source in enumerate(sources) if "lab.play(" in source)
    cell = notebook.page.locator(".jp-CodeCell").nth(number)
    cell.scroll_into_view_if_needed()
    box = cell.get_by_placeholder("for example: move up")

    def shown():
        return " ".join(cell.inner_text().split())

    def type_in(action):
        box.fill(action)
        box.press("Enter")
        notebook.wait_idle()

    def click(action):
        cell.get_by_role("button", name=action).click()
        notebook.wait_idle()

    assert "position 5, 3" in shown()  # seed 5 starts here; the goal is three to the right and three down
    type_in("move up")
    assert "turn 1 return −1 " in shown() and "You: move up → moved" in cell.get_by_role("status").first.inner_text()
    type_in("jump")
    assert "not a move" in shown() and "turn 2 return −5 " in shown()
    type_in("move down")  # back to the corridor
    for _ in range(3):
        click("move right")
    type_in("move down")
    click("move down")
    type_in("move down")
    assert "turn 9 return −11 " in shown() and "you reached the goal" in shown()
    assert "maze" in cell.get_by_role("img").first.get_attribute("aria-label").lower()
    compare = next(n for n, source in enumerate(sources) if "plots.compare(" in source)
    notebook.run_cell(compare)
    picture = notebook.page.locator(".jp-CodeCell").nth(compare).locator("img").last
    assert "you -11.0" in picture.get_attribute("alt")
    assert notebook.problems() == []


def test_words_and_chess_moves_are_typed_asked_about_clicked_and_taken_back(open_notebook):
    notebook = open_notebook("plays.ipynb")
    notebook.run_all_cells()
    assert notebook.problems() == []
    wordle, chess = (notebook.page.locator(".jp-CodeCell").nth(number) for number in (0, 1))

    def enter(cell, text):
        box = cell.locator("input[type=text]").first
        box.fill(text)
        box.press("Enter")
        notebook.page.wait_for_timeout(500)  # a text that was there before is played a moment after Enter
        notebook.wait_idle()

    def said(cell):
        return " ".join(cell.get_by_role("status").first.inner_text().split())

    def picture(cell):
        return cell.get_by_role("img").first.get_attribute("aria-label")

    enter(wordle, "horse")
    assert "Row 1: H in place, O in place, R absent, S in place, E in place." in picture(wordle)
    for shown in ("Wordle, 1 of 6 tries used", "Row 2: zzzzz, not a word"):
        enter(wordle, "zzzzz")
        assert shown in picture(wordle)
    enter(wordle, "House")
    assert "that is the word" in said(wordle) and "The word is HOUSE." in picture(wordle)

    for name in ("♘ g1", "Nf3"):
        chess.get_by_role("button", name=name).click()
        notebook.wait_idle()
    assert "You: Nf3 → Black has answered" in said(chess) and "Last moves: 1. Nf3 " in picture(chess)
    chess.get_by_role("button", name="♙ e2").focus()
    for _ in range(2):  # the piece, and then the first of its moves: the focus is there
        notebook.page.keyboard.press("Enter")
        notebook.wait_idle()
    assert "You: e3 →" in said(chess) or "You: e4 →" in said(chess)
    chess.get_by_role("button", name="Take back").click()
    notebook.wait_idle()
    assert "Taken back: e" in said(chess) and "Last moves: 1. Nf3 " in picture(chess)
    enter(chess, "e2e4")
    assert "You: e4 →" in said(chess)
    chess.get_by_role("button", name="What would the agent do?").click()
    notebook.wait_idle()
    assert "It would play:" in chess.inner_text()
    assert notebook.problems() == []


def test_the_three_dialogues_are_played_as_chats_by_keyboard_and_by_buttons(open_notebook):
    notebook = open_notebook("talks.ipynb")
    notebook.run_all_cells()
    assert notebook.problems() == []
    questions, city, dealer = (notebook.page.locator(".jp-CodeCell").nth(number) for number in range(3))

    def enter(cell, text):
        box = cell.locator("input[type=text]").first
        box.fill(text)
        box.press("Enter")
        notebook.wait_idle()

    def click(cell, *names):
        for name in names:
            cell.get_by_role("button", name=name, exact=True).click()
            notebook.wait_idle()

    def chat(cell):
        return " ".join(cell.get_by_role("log").inner_text().split())

    enter(questions, "Is it smaller than a car?")
    assert chat(questions).endswith("understood as: the opposite of: Is it bigger than a car? Oracle Yes.")
    questions.get_by_role("button", name="parts", exact=True).focus()
    for _ in range(2):  # the group, and then its first question: the focus is there
        notebook.page.keyboard.press("Enter")
        notebook.wait_idle()
    assert "You, question 2 of 20 [−1] Does it have wheels?" in chat(questions)
    click(questions, "Take back")
    enter(questions, "piano")
    assert "that is it, after 2 questions" in questions.get_by_role("status").first.inner_text()
    assert "Musical instruments" in questions.get_by_role("group", name="The object: Piano").inner_text()

    click(city, "food")
    enter(city, "glorp")
    assert "Croissants" in chat(city) and "glorp not understood, and it cost a question" in chat(city)

    for cell in (questions, city, dealer):
        log = cell.get_by_role("log").evaluate("e => [e.scrollTop, e.scrollWidth - e.clientWidth]")
        assert log == [0, 0]  # at its end (it grows upwards), and nothing sticks out of it
    stock = dealer.get_by_role("group", name="The stock: 38 cars")
    assert stock.evaluate("e => e.scrollWidth - e.clientWidth") == 0
    # no car's name runs into its price
    assert stock.evaluate("e => Math.max(...[...e.querySelectorAll('tbody th')].map(c => c.scrollWidth - c.clientWidth))") == 0
    stock.evaluate("e => { e.scrollTop = 120; }")
    click(dealer, "show a car under 60,000", "white Toyota SUV", "offer a discount", "10 percent", "What would the agent do?")
    assert "It would play:" in dealer.inner_text() and stock.evaluate("e => e.scrollTop") == 120
    click(dealer, "close the deal")
    assert "sold: the white Toyota SUV for 51,300 dollars" in dealer.get_by_role("status").first.inner_text()
    buyer = dealer.get_by_role("group", name="The buyer").inner_text()
    assert "he would have paid up to 51,300 dollars" in " ".join(buyer.split())
    assert notebook.problems() == []


def test_the_tokens_of_a_game_are_looked_into_step_by_step(open_notebook):
    """Buttons and the choice of a colour; what they change is said in words and drawn."""
    notebook = open_notebook("inspects.ipynb")
    notebook.run_all_cells(seconds=120)
    assert notebook.problems() == []
    page = notebook.page

    def status():
        return " ".join(page.get_by_role("status").last.inner_text().split())

    first = status()
    assert first.startswith("token 1 of ")
    page.get_by_role("button", name="Next ▶").click()
    notebook.wait_idle()
    second = status()
    assert second.startswith("token 2 of ") and "Q " in second and second != first
    drawn = page.get_by_role("group", name="Tokens of turns").inner_text()
    page.locator(".widget-dropdown select").select_option("probability, policy alone")
    notebook.wait_idle()
    assert page.get_by_role("group", name="Tokens of turns").inner_text() != drawn and status() == second
    assert notebook.problems() == []
