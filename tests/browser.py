"""JupyterLab in a headless chromium, as a student meets it: start a server on a copy, open a notebook, run it, look.

All settings live in a temporary home, so neither the user's configuration nor an earlier session takes part.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SETTINGS = {
    # every cell in the page, also the ones out of sight: what is not rendered cannot be examined
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
# Before there is a kernel, and while its first answer is awaited, the page's own indicator says idle too.
KERNEL = """() => { const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel;
    return kernel?.connectionStatus === 'connected' && kernel.status === 'idle'; }"""
# The command's promise ends after the last cell, or after one that raised. It leaves a mark instead of being awaited,
# because a wait inside the page has no bound.
RUN_ALL = """() => {
    window.allCellsRan = false;
    window.jupyterapp.commands.execute('notebook:run-all-cells').finally(() => { window.allCellsRan = true; });
}"""
IDLE = f"() => window.allCellsRan !== false && ({KERNEL})()"
CELLS = """() => window.jupyterapp.shell.currentWidget.content.widgets.filter(w => w.model.type === 'code').map(w => ({
    source: w.model.sharedModel.getSource(), count: w.model.executionCount, outputs: w.outputArea.model.toJSON() }))"""
SILENT_WIDGETS = """() => [...document.querySelectorAll('.jp-OutputArea-output')].map(e => e.innerText.trim())
    .filter(t => /Error displaying widget|Loading widget|^[A-Z]\\w*\\((children|value|description|layout)=/.test(t))"""

# the cell becomes the active one; the promise is not awaited, the run is waited for by `wait_idle`
RUN_CODE_CELL = """(number) => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    const codes = notebook.widgets.map((w, n) => [w.model.type, n]).filter(([type]) => type === "code");
    notebook.activeCellIndex = codes[number][1];
    window.jupyterapp.commands.execute("notebook:run-cell"); }"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def jupyter(folder: Path, home: Path, **variables: str):
    """JupyterLab on `folder`; yields `notebook name -> address with the token`. Its log is `home/server.log`."""
    for name, settings in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    places = {"CONFIG_DIR": "config", "DATA_DIR": "data", "RUNTIME_DIR": "runtime"}
    environment = {
        **os.environ,
        **{f"JUPYTER_{name}": str(home / place) for name, place in places.items()},
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        **variables,
    }
    port, token = free_port(), secrets.token_hex(16)
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    options += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}", "--expose-app-in-browser"]
    log = home / "server.log"
    with log.open("w") as output:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for_server(f"http://127.0.0.1:{port}/api", server, log)
        yield lambda name: f"http://127.0.0.1:{port}/lab/tree/{name}?reset&token={token}"
    finally:
        server.terminate()  # it ends its kernels first
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


def wait_for_server(url: str, server: subprocess.Popen, log: Path, seconds: float = 90) -> None:
    """Return once the server answers; RuntimeError, with the end of its log, if it ends or stays silent."""
    until = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


class NotebookPage:
    """One notebook open in JupyterLab with a live kernel. `page` is Playwright's, for clicks, typing and pictures."""

    def __init__(self, context, address: str):
        self.page = context.new_page()
        self.events: list[str] = []
        self.origin = address.split("/lab/")[0].partition("://")[2]
        self.page.on("pageerror", lambda error: self.events.append(f"page error: {str(error)[:200]}"))
        self.page.on("request", self._note_request)
        self.page.goto(address, wait_until="domcontentloaded")
        self.page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.content?.widgets", timeout=90_000)
        self.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        # a notebook without a kernelspec in its metadata waits here for ever: JupyterLab asks which kernel to use
        self.page.wait_for_function(KERNEL, timeout=90_000)

    def _note_request(self, request):
        scheme, _, rest = request.url.partition(":")
        if scheme not in ("data", "blob") and not rest.startswith(f"//{self.origin}/"):
            self.events.append(f"left the machine: {request.url[:160]}")

    def run_all_cells(self, seconds: float = 120) -> None:
        """Run > Run All Cells, and wait until the last one is done (or one raised)."""
        self.page.evaluate(RUN_ALL)
        self.wait_idle(seconds)

    def run_cell(self, number: int, seconds: float = 120) -> None:
        """Run one code cell again, and wait until it is done."""
        self.page.evaluate(RUN_CODE_CELL, number)
        self.wait_idle(seconds)

    def wait_idle(self, seconds: float = 60) -> None:
        """Wait until the kernel has nothing to do, after a click or a key. Playwright's TimeoutError if it does not."""
        self.page.wait_for_timeout(300)  # what a click sets off reaches the kernel a moment later
        self.page.wait_for_function(IDLE, timeout=seconds * 1000)

    def cells(self) -> list[dict]:
        """The code cells as the page holds them: source, execution count, outputs."""
        return self.page.evaluate(CELLS)

    def problems(self) -> list[str]:
        """Everything that should not be there after a run; empty means in order."""
        found = list(dict.fromkeys(self.events))
        for number, cell in enumerate(self.cells()):
            if cell["source"].strip() and cell["count"] is None:
                found.append(f"code cell {number} never ran")
            for output in cell["outputs"]:
                if output["output_type"] == "error":
                    found.append(f"code cell {number} raised {output['ename']}: {output['evalue'][:200]}")
                if output.get("name") == "stderr":
                    found.append(f"code cell {number} warned: {str(output['text'])[:200]}")
        return found + [f"a widget that does not show: {text[:120]}" for text in self.page.evaluate(SILENT_WIDGETS)]
