"""The one command for the committed notebooks: execute them, check what is saved in them, write the public address.

    python tests/tools/notebooks.py run [NAME ...] [--table FILE.csv]
    python tests/tools/notebooks.py check [NAME ...]
    python tests/tools/notebooks.py address [URL | --show]

NAME is the beginning of a file name (`12`, `12_ilql`); without one, all. What is checked lives in `notebook_check.py`,
the texts of the header and the set-up cell in `notebook_address.py`; this file does the writing.
"""

import argparse
import csv
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from notebook_address import (
    BADGES,
    ENTRY,
    accept_address,
    notebook_badges,
    read_address,
    readme_badges,
    setup_cells,
    setup_source,
)
from notebook_check import WIDGET_VIEW, problems, source_hash

ROOT = Path(__file__).resolve().parents[2]
CELL_SECONDS = 600
# Kept of the metadata: what a reader's Jupyter needs to start a kernel, and nothing about the kernel that ran.
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def find(names: list[str], folder: Path) -> list[Path]:
    """The notebooks of `folder` whose file name begins with one of `names` (or all), in reading order."""
    paths = sorted(folder.glob("*.ipynb"))
    if lost := [name for name in names if not any(p.name.startswith(name) for p in paths)]:
        sys.exit(f"no notebook begins with {', '.join(lost)}; there are: {', '.join(p.stem for p in paths) or 'none'}")
    return [p for p in paths if not names or p.name.startswith(tuple(names))]


def peak_megabytes(pid: int) -> float | None:
    """The most memory the process ever held, which only Linux tells from outside; None elsewhere."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return int(peak) / 1024 if peak else None


def clean(notebook: nbformat.NotebookNode) -> None:
    """Take out what differs from run to run and machine to machine; note which sources the outputs belong to."""
    notebook.metadata = nbformat.from_dict({**KERNEL, "lmrl_lab": {"source_hash": source_hash(notebook)}})
    notebook.nbformat_minor = max(notebook.nbformat_minor, 5)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            # A view points at a model that lives in the dead kernel; beside it stands the twin that the page can show.
            output.get("data", {}).pop(WIDGET_VIEW, None)


def write(text: str, path: Path) -> None:
    """Replace the file in one step, so that a reader or an interrupt never meets half of it."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text, encoding="utf-8")
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def execute(path: Path) -> tuple[float, float | None]:
    """Run one notebook at full setting on one thread and save it; raises, and leaves the file alone, if a cell fails.

    It runs in an empty folder, as on Colab: what it writes is thrown away. Returns wall seconds and peak memory in MB.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    peak = None
    with tempfile.TemporaryDirectory() as folder:

        def measure(**_):  # after each cell, because the kernel is gone once execute() returns
            nonlocal peak
            peak = peak_megabytes(client.km.provisioner.pid)

        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=CELL_SECONDS,
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,  # where a stream is split depends on the moment
            resources={"metadata": {"path": folder}},
            on_cell_executed=measure,
        )
        settings = dict(os.environ, OMP_NUM_THREADS="1", IPYTHONDIR=folder)
        settings.pop("LMRL_LAB_FAST", None)
        start = time.perf_counter()
        client.execute(env=settings)
        seconds = time.perf_counter() - start
    clean(notebook)
    write(nbformat.writes(notebook) + "\n", path)
    return seconds, peak


def run(paths: list[Path], table: Path | None = None) -> int:
    """Execute the notebooks one after the other, go on after a failure, and return how many failed."""
    rows, failed = [], 0
    for path in paths:
        try:
            seconds, peak = execute(path)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            failed += 1
            print(f"{path.stem}: FAILED, the file is left as it was\n{error}", flush=True)
            continue
        rows.append({"notebook": path.stem, "seconds": round(seconds), "peak_mb": "" if peak is None else round(peak)})
        print("{notebook}: {seconds} s, {peak_mb} MB".format(**rows[-1]), flush=True)
    if table and rows:
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return failed


def check(paths: list[Path], root: Path) -> int:
    """Print every problem of every notebook, and return how many notebooks have one."""
    found = {path.stem: problems(path, read_address(root)) for path in paths}
    for name, lines in found.items():
        print(f"{name}: {'in order' if not lines else ''}" + "".join(f"\n  - {line}" for line in lines))
    return sum(map(bool, found.values()))


def with_address(notebook: nbformat.NotebookNode, where: str, address: str) -> nbformat.NotebookNode:
    """Write header and set-up cell in place. Outputs that belonged to the old sources belong to the new ones too."""
    fresh = notebook.metadata.get("lmrl_lab", {}).get("source_hash") == source_hash(notebook)
    if notebook.cells and notebook.cells[0].cell_type == "markdown":
        notebook.cells[0].source = BADGES.sub(lambda _: notebook_badges(address, where), notebook.cells[0].source)
    for cell in setup_cells(notebook):
        cell.source = setup_source(address)
    if fresh:
        notebook.metadata.lmrl_lab.source_hash = source_hash(notebook)
    return notebook


def write_address(root: Path, url: str) -> list[Path]:
    """Store the address in pyproject.toml and rewrite all that depends on it; returns the files that changed."""
    address = accept_address(url)
    new = {}
    settings = root / "pyproject.toml"
    new[settings] = ENTRY.sub(f'"{address}"', settings.read_text(), count=1)
    readme = root / "README.md"
    if readme.exists():
        badges = readme_badges(address, "notebooks/00_start_here.ipynb")
        new[readme] = BADGES.sub(lambda _: badges, readme.read_text())
    for path in sorted((root / "notebooks").rglob("[!.]*.ipynb")):
        if ".ipynb_checkpoints" not in path.parts:
            notebook = nbformat.read(path, as_version=4)
            new[path] = nbformat.writes(with_address(notebook, path.relative_to(root).as_posix(), address)) + "\n"
    changed = [path for path, text in new.items() if text != path.read_text()]
    for path in changed:
        write(new[path], path)
    return changed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (for tests)")
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="execute in place, at full setting")
    runner.add_argument("--table", type=Path, help="also write seconds and memory as a CSV")
    checker = commands.add_parser("check", help="report what is wrong with the saved notebooks")
    for command in (runner, checker):
        command.add_argument("names", nargs="*", help="beginnings of file names; none means all")
    address = commands.add_parser("address", help="write the repository's public address wherever it stands")
    address.add_argument("url", nargs="?", help="https://github.com/OWNER/NAME, '' for none; without it the present one")
    address.add_argument("--show", action="store_true", help="print it, and write nothing")
    given = parser.parse_args(arguments)

    if given.command == "address":
        try:
            url = accept_address(read_address(given.root) if given.url is None else given.url)
        except ValueError as error:
            sys.exit(str(error))
        for path in [] if given.show else write_address(given.root, url):
            print(f"rewritten: {path.relative_to(given.root)}")
        print(read_address(given.root) or "no public address yet")
        return 0
    paths = find(given.names, given.root / "notebooks")
    failures = run(paths, given.table) if given.command == "run" else check(paths, given.root)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
