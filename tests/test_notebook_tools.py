"""The tools for notebooks: each check finds the fault it is there for, and nothing is written that did not succeed."""

import csv
import json
import os
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import notebooks
from notebook_address import accept_address, notebook_badges, read_address, readme_badges, setup_source
from notebook_check import WIDGET_VIEW, problems, source_hash

HEADER = "# Title\n<!-- badges -->\n{badges}<!-- /badges -->\n[next](01_next.ipynb)"
GITHUB = "https://github.com/someone/lmrl-lab"


def display(**data):
    return new_output("display_data", {kind.replace("__", "/"): text for kind, text in data.items()})


def in_order():
    """A notebook with no fault: header, set-up cell, and a figure with a text."""
    svg = '<svg aria-label="a curve"><svg></svg></svg><img src="data:image/png;base64,iVB/tmp/x" alt="a curve">'
    book = new_notebook(
        cells=[
            new_markdown_cell(HEADER.format(badges=notebook_badges("", "notebooks/00_a.ipynb"))),
            new_code_cell(setup_source(""), metadata={"tags": ["setup"]}, execution_count=1),
            new_code_cell("x", execution_count=2, outputs=[display(text__html=svg, text__plain="a curve that rises")]),
        ]
    )
    book.metadata["lmrl_lab"] = {"source_hash": source_hash(book)}
    return book


@pytest.fixture
def root(tmp_path):
    """A repository with two notebooks in order and no public address."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n\n[tool.lmrl_lab]\naddress = ""  # where\n')
    (tmp_path / "README.md").write_text(f"# LMRL\n<!-- badges -->\n{readme_badges('', '')}<!-- /badges -->\ntext\n")
    save(in_order(), tmp_path / "notebooks" / "00_a.ipynb")
    save(in_order(), tmp_path / "notebooks" / "01_next.ipynb")
    return tmp_path


def save(book, path):
    path.write_text(nbformat.writes(book) + "\n")
    return path


def test_a_notebook_without_a_fault_has_no_problems(root):
    assert problems(root / "notebooks" / "00_a.ipynb", "") == []


def shown(**data):
    return lambda book: book.cells[2].outputs.append(display(**data))


def printed(text, name="stdout"):
    return lambda book: book.cells[2].outputs.append(new_output("stream", name=name, text=text))


def source(number, text):
    return lambda book: book.cells[number].update(source=text)


FAULTS = {
    "stale": (source(2, "y"), "older than the sources"),
    "never run by the tool": (lambda book: book.metadata.pop("lmrl_lab"), "older than the sources"),
    "run twice": (lambda book: book.cells[2].update(execution_count=3), "execution counts"),
    "not run": (lambda book: book.cells[1].update(execution_count=None), "execution counts"),
    "error": (
        lambda book: book.cells[2].outputs.append(new_output("error", ename="KeyError", evalue="'a'", traceback=[])),
        "cell 2: an error is saved: KeyError",
    ),
    "warning": (printed("UserWarning: no", "stderr"), "cell 2: a warning is saved"),
    "widget state": (lambda book: book.metadata.update(widgets={}), "widget state"),
    "widget view": (shown(**{WIDGET_VIEW: {"model_id": "1"}, "text/html": "x"}), "a widget's view"),
    "widget alone": (shown(text__plain="VBox(children=(Button(),))"), "without a plain twin"),
    "large": (printed("x" * 300_001), "more than 300"),
    "home": (printed("saved to /root/runs/a"), "a path of the machine that ran it: /root/runs/a"),
    "colab": (shown(text__html="<b>/content/runs</b>"), "a path of the machine"),
    "file url": (printed("file:///tmp/a.html"), "a path of the machine"),
    "bare png": (shown(image__png="iVBO"), "a bare image"),
    "bare svg": (shown(**{"image/svg+xml": "<svg/>"}), "a bare image"),
    "img": (shown(text__html='<p><img src="a.png" alt=" "></p>'), "<img> without a text"),
    "svg": (shown(text__html='<svg role="img"><path/></svg>'), "<svg> without a text"),
    "svg never closed": (shown(text__html="<svg><path>"), "<svg> without a text"),
    "second svg": (shown(text__html="<svg><title>a</title></svg><svg></svg>"), "<svg> without a text"),
    "markdown picture": (source(0, "![](a.png)"), "a picture without a text"),
    "dead link": (source(0, "see [the next](02_none.ipynb#top)"), "not there: 02_none.ipynb#top"),
    "long cell": (source(2, "x\n" * 26), "26 lines of code"),
    "control character": (source(0, "the \x08eta"), "cell 0: a control character"),
    "no header": (lambda book: book.cells.pop(0), "no badges"),
    "old badge": (source(0, HEADER.format(badges="Colab\n")), "no badges as"),
    "no set-up": (lambda book: book.cells.pop(1), "tag `setup`"),
    "set-up edited": (source(1, "import lmrl_lab as lab"), "tag `setup`"),
    "old format": (lambda book: [book.update(nbformat_minor=4), *(c.pop("id") for c in book.cells)], "no cell ids"),
    "same id twice": (lambda book: book.cells[1].update(id=book.cells[2].id), "one that stands twice"),
    "no outputs": (lambda book: book.cells[2].pop("outputs"), "not a valid notebook"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_and_named(name, root):
    spoil, expected = FAULTS[name]
    book = in_order()
    spoil(book)
    path = root / "notebooks" / "00_a.ipynb"
    path.write_text(json.dumps(book))  # as it is: nbformat would mend some of the faults while writing
    found = problems(path, "")
    assert any(expected in line for line in found), found


@pytest.mark.parametrize(
    "text",
    ["see https://example.org/home/x", "either/tmp", "https://work.example", "a </content>", "./work/x", "1 / 2"],
)
def test_what_only_looks_like_a_path_is_left_alone(text, root):
    book = in_order()
    printed(text)(book)
    assert problems(save(book, root / "notebooks" / "00_a.ipynb"), "") == []


def test_check_fails_and_says_where(root, capsys):
    assert notebooks.main(["--root", str(root), "check"]) == 0
    book = in_order()
    book.cells[2].source = "changed"
    save(book, root / "notebooks" / "01_next.ipynb")
    assert notebooks.main(["--root", str(root), "check"]) == 1
    assert "00_a: in order\n01_next: \n  - outputs are older" in capsys.readouterr().out


def test_run_executes_in_place_and_keeps_only_what_is_the_same_every_time(root):
    book = new_notebook(metadata={"widgets": {"state": 1}, "kernelspec": {"name": "other", "display_name": "Other"}})
    book.cells = [
        new_markdown_cell("text", id="first"),
        new_code_cell("import os\nprint(os.environ['OMP_NUM_THREADS'])\nprint(os.environ.get('LMRL_LAB_FAST'))", id="second"),
        new_code_cell("import ipywidgets\nipywidgets.HTML('a')", id="third", execution_count=9),
        new_code_cell("open('litter', 'w').write('x');", id="fourth", metadata={"execution": {"iopub.status.busy": "1"}}),
    ]
    path = save(book, root / "notebooks" / "02_run.ipynb")
    table = root / "cost.csv"
    assert notebooks.main(["--root", str(root), "run", "02", "--table", str(table)]) == 0
    once = path.read_text()
    after = nbformat.reads(once, as_version=4)
    assert [cell.id for cell in after.cells] == ["first", "second", "third", "fourth"]
    assert [cell.execution_count for cell in after.cells[1:]] == [1, 2, 3]
    assert after.cells[1].outputs[0].text == "1\nNone\n"
    assert list(after.cells[2].outputs[0].data) == ["text/plain"]
    assert after.cells[3].metadata == {}
    assert set(after.metadata) == {"kernelspec", "language_info", "lmrl_lab"}
    assert after.metadata.lmrl_lab.source_hash == source_hash(after)
    assert sorted(p.name for p in path.parent.iterdir()) == ["00_a.ipynb", "01_next.ipynb", "02_run.ipynb"]
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert row["notebook"] == "02_run" and int(row["seconds"]) < 60
    if sys.platform == "linux":
        assert 20 < int(row["peak_mb"]) < 1000

    assert notebooks.main(["--root", str(root), "run", "02"]) == 0
    assert path.read_text() == once


def test_run_leaves_a_notebook_that_fails_as_it_was_and_goes_on(root, capsys):
    before = save(new_notebook(cells=[new_code_cell("1 / 0")]), root / "notebooks" / "02_bad.ipynb").read_text()
    good = save(new_notebook(cells=[new_code_cell("1 + 1")]), root / "notebooks" / "03_good.ipynb")
    assert notebooks.main(["--root", str(root), "run", "02", "03"]) == 1
    assert (root / "notebooks" / "02_bad.ipynb").read_text() == before
    assert nbformat.read(good, as_version=4).cells[0].outputs[0].data["text/plain"] == "2"
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_an_unknown_name_lists_the_notebooks(root):
    with pytest.raises(SystemExit, match="no notebook begins with 7; there are: 00_a, 01_next"):
        notebooks.main(["--root", str(root), "run", "7"])


def test_the_address_reaches_every_place_and_goes_back(root):
    def everything():
        return {p: p.read_text() for p in root.rglob("*") if p.is_file()}

    before = everything()
    assert len(notebooks.write_address(root, GITHUB + ".git")) == 4
    assert read_address(root) == GITHUB
    assert '"  # where' in (root / "pyproject.toml").read_text()
    readme = (root / "README.md").read_text()
    assert "colab.research.google.com/github/someone/lmrl-lab/blob/main/notebooks/00_start_here.ipynb" in readme
    assert readme.endswith("<!-- /badges -->\ntext\n")
    path = root / "notebooks" / "01_next.ipynb"
    assert problems(path, GITHUB) == []  # its outputs have not become stale
    assert problems(path, "") != []
    book = nbformat.read(path, as_version=4)
    assert "mybinder.org/v2/gh/someone/lmrl-lab/main?urlpath=lab/tree/notebooks/01_next.ipynb" in book.cells[0].source
    assert f'"git+{GITHUB}"' in book.cells[1].source
    assert notebooks.write_address(root, GITHUB) == []
    assert notebooks.main(["--root", str(root), "address"]) == 0 and read_address(root) == GITHUB
    notebooks.write_address(root, "")
    assert everything() == before


def test_the_address_does_not_make_stale_outputs_look_fresh(root):
    book = in_order()
    book.cells[2].source = "changed"
    path = save(book, root / "notebooks" / "00_a.ipynb")
    notebooks.write_address(root, GITHUB)
    assert any("older than the sources" in line for line in problems(path, GITHUB))


@pytest.mark.parametrize("url", ["github.com/a/b", "http://github.com/a/b", "https://github.com/a", 'https://x.org/a/b"c'])
def test_what_is_no_address_is_refused(url, root):
    with pytest.raises(SystemExit, match="is no repository's address"):
        notebooks.main(["--root", str(root), "address", url])
    assert read_address(root) == ""
    with pytest.raises(ValueError, match="accepted: https://github.com/OWNER/NAME"):
        accept_address(url)


# The set-up cell runs in a Python of its own without site-packages (-S), as on a machine that has nothing installed.
# `pip` is replaced by a note of its arguments, and by an installation of a tiny lmrl_lab that asks for three things.
FAKE = """
import pathlib, subprocess, sys
site = pathlib.Path("site"); site.mkdir(exist_ok=True); sys.path.insert(0, "site")
def pip(arguments, check):
    print("pip", *arguments[4:])
    assert arguments[:4] == [sys.executable, "-m", "pip", "install"] and check
    if "--no-deps" in arguments:
        (site / "lmrl_lab.py").write_text("def doctor(): print('doctor')")
        (site / "lmrl_lab-1.dist-info").mkdir()
        needs = ["present>=1", "absent>=2.1", "trl>=1; extra == 'trl'"]
        (site / "lmrl_lab-1.dist-info" / "METADATA").write_text(
            "Metadata-Version: 2.1\\nName: lmrl-lab\\nVersion: 1\\n" + "".join(f"Requires-Dist: {n}\\n" for n in needs))
subprocess.run = pip
(site / "present.py").write_text("")
"""


def set_up(address, folder):
    code = FAKE + f"source = {setup_source(address)!r}\nexec(source, {{}})\nexec(source, {{}})"
    return subprocess.run([sys.executable, "-S", "-E", "-c", code], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("address", ["", GITHUB])
def test_the_set_up_cell_is_short(address):
    lines = setup_source(address).splitlines()
    assert len(lines) <= 15 and max(map(len, lines)) <= 120


def test_set_up_calls_no_pip_where_the_package_is_there(tmp_path):
    (tmp_path / "lmrl_lab.py").write_text("def doctor(): print('doctor')")
    (tmp_path / "lmrl_lab-0.1.0-py3-none-any.whl").touch()
    for address in ("", GITHUB):
        assert set_up(address, tmp_path).stdout == "doctor\ndoctor\n"


def test_set_up_installs_the_uploaded_wheel_and_only_what_is_missing(tmp_path):
    (tmp_path / "lmrl_lab-0.1.0-py3-none-any.whl").touch()
    expected = "pip -q --no-deps lmrl_lab-0.1.0-py3-none-any.whl\npip -q absent>=2.1\ndoctor\ndoctor\n"
    result = set_up("", tmp_path)
    assert result.stdout == expected, result.stderr


def test_set_up_installs_from_the_address(tmp_path):
    assert set_up(GITHUB, tmp_path).stdout.startswith(f"pip -q --no-deps git+{GITHUB}\npip -q absent>=2.1\n")


def test_set_up_says_what_to_do_where_there_is_nothing(tmp_path):
    result = set_up("", tmp_path)
    assert result.returncode and not result.stdout
    assert "upload lmrl_lab-*.whl (`make wheel`), run again. Else: `make lab`" in result.stderr.splitlines()[-1]


def test_the_command_runs_from_any_folder(tmp_path):
    command = [sys.executable, os.path.abspath(notebooks.__file__), "address", "--show"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()
