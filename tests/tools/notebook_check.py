"""What must hold for a notebook as it lies in the repository. Reads the file only: nothing is executed here."""

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat

from notebook_address import BADGES, notebook_badges, setup_cells, setup_source

LARGEST_KB = 300
LONGEST_CELL = 25
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MACHINE_PATH = re.compile(r"(?<![\w.<-])(?<!:/)/(?:root|home|tmp|work|content)\b(?:/[\w.-]+)*")
WIDGET_REPR = re.compile(r"[A-Z]\w*\((?:children|value|description|layout|options|style)=")
LINK = re.compile(r"(?<!!)\[[^]]*\]\(<?([^)\s>]+)>?[^)]*\)")
IMAGE_WITHOUT_TEXT = re.compile(r"!\[\s*\]\(")
DATA_URI = re.compile(r"data:[\w/+.-]+;base64,[\w/+=\s]+")


CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")


def source_hash(notebook) -> str:
    """A digest of all that was executed or read: every cell's type and source, in order."""
    cells = [[cell["cell_type"], cell["source"]] for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


class Pictures(HTMLParser):
    """Collects the pictures of a piece of HTML that a screen reader would pass over in silence."""

    def __init__(self, html: str):
        super().__init__()
        self.silent: list[str] = []
        self._svg_depth, self._svg_named = 0, False
        self.feed(html)
        self.close()
        if self._svg_depth and not self._svg_named:
            self.silent.append("<svg>")

    def handle_starttag(self, tag, attrs):
        given = {name: (value or "").strip() for name, value in attrs}
        hidden = given.get("aria-hidden") == "true"
        if tag == "img" and not (given.get("alt") or hidden):
            self.silent.append("<img>")
        if tag == "svg":
            self._svg_depth += 1
            if self._svg_depth == 1:  # an svg inside another is a part of that picture
                self._svg_named = bool(hidden or given.get("aria-label") or given.get("aria-labelledby"))
        self._svg_named |= tag == "title" and self._svg_depth == 1

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag == "svg" and self._svg_depth:
            self._svg_depth -= 1
            if not self._svg_depth and not self._svg_named:
                self.silent.append("<svg>")


def output_problems(output) -> list[str]:
    """What is wrong with one saved output."""
    if output["output_type"] == "error":
        return [f"an error is saved: {output['ename']}: {output['evalue'][:80]}"]
    found = []
    if output["output_type"] == "stream":
        text = output["text"]
        if output["name"] == "stderr":
            found.append(f"a warning is saved: {text.strip()[:80]}")
    else:
        data = output["data"]
        html, plain = data.get("text/html", ""), data.get("text/plain", "")
        text = "\n".join(str(value) for kind, value in data.items() if not kind.startswith("image/"))
        if WIDGET_VIEW in data:
            found.append("a widget's view is saved")
        if not html and WIDGET_REPR.match(plain):
            found.append(f"a widget without a plain twin: {plain[:60]}")
        if any(kind.startswith("image/") for kind in data) and not html:
            found.append("a bare image: emit text/html with an <img alt=...> or a labelled <svg> instead")
        found += [f"{tag} without a text for those who cannot see it" for tag in Pictures(html).silent]
    if paths := MACHINE_PATH.findall(DATA_URI.sub("", text)):
        found.append(f"a path of the machine that ran it: {paths[0]}")
    return found


def text_problems(source: str, folder: Path) -> list[str]:
    """What is wrong with one markdown cell: links to files that are not there, pictures without a text."""
    found = []
    for link in LINK.findall(source):
        target = unquote(link.partition("#")[0])
        if target and ":" not in target and not (folder / target).exists():
            found.append(f"a link to a file that is not there: {link}")
    if IMAGE_WITHOUT_TEXT.search(source) or Pictures(source).silent:
        found.append("a picture without a text for those who cannot see it")
    return found


def header_problems(notebook, name: str, address: str) -> list[str]:
    """Where the header and the set-up cell differ from what `make address` writes."""
    found = []
    header = notebook.cells[0].source if notebook.cells and notebook.cells[0].cell_type == "markdown" else ""
    if BADGES.sub(notebook_badges(address, f"notebooks/{name}"), header) != header or not BADGES.search(header):
        found.append("cell 0: no badges as `make address` writes them between <!-- badges --> and <!-- /badges -->")
    if [cell.source for cell in setup_cells(notebook)] != [setup_source(address)]:
        found.append("not exactly one code cell with the tag `setup`, as `make address` writes it")
    return found


def problems(path: Path, address: str) -> list[str]:
    """All that is wrong with the notebook at `path`, with the number of the cell (from 0); empty means in order."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = json.loads(text)
        ids = [cell.get("id") for cell in raw["cells"]]  # asked first: nbformat mends them silently
        if (raw["nbformat"], raw["nbformat_minor"]) < (4, 5) or None in ids or len(set(ids)) < len(ids):
            return ["no cell ids, or one that stands twice (format 4.5 has them)"]
        notebook = nbformat.reads(text, as_version=nbformat.NO_CONVERT)
        nbformat.validate(notebook)
    except Exception as error:  # nbformat and its schema raise a dozen kinds; all mean the same here
        return ["not a valid notebook: " + str(error).partition("\n")[0]]

    found = header_problems(notebook, path.name, address)
    if (size := path.stat().st_size) > LARGEST_KB * 1000:
        found.append(f"{size // 1000} KB, more than {LARGEST_KB}")
    if "widgets" in notebook.metadata:
        found.append("widget state is saved in the metadata")
    if notebook.metadata.get("lmrl_lab", {}).get("source_hash") != source_hash(notebook):
        found.append(f"outputs are older than the sources: make notebooks ARGS={path.stem}")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("not executed once from top to bottom (execution counts)")

    for number, cell in enumerate(notebook.cells):
        here = []
        if cell.cell_type == "markdown":
            here = text_problems(cell.source, path.parent)
        elif cell.cell_type == "code":
            if (lines := len(cell.source.splitlines())) > LONGEST_CELL:
                here.append(f"{lines} lines of code, more than {LONGEST_CELL}")
            here += [line for output in cell.outputs for line in output_problems(output)]
        if CONTROL.search(cell.source):  # a "\b" that was meant as the beginning of "\beta"
            here.append("a control character in the source")
        found += [f"cell {number}: {line}" for line in here]
    return found
