"""A Jupyter kernel that runs other people's cells: with a time limit for each, and started again if one of them kills it.

Cells are strings here; what a cell is worth is not known.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from dataclasses import dataclass

import zmq
from jupyter_client import KernelManager

LONGEST_TEXT = 4_000  # characters kept of what a cell prints; the rest is read and thrown away
FLOOD = 10_000_000  # characters after which a cell is stopped: what is not yet sent fills the kernel's memory
GRACE = 3.0  # seconds that an interrupted cell has to stop before its kernel is killed
PROBE = 5.0  # seconds in which a kernel in good health has long answered

# exit() would end the kernel a moment after its cell, in the middle of somebody else's. builtins are kept for RESTORE.
PREPARE = """
get_ipython().ask_exit = lambda: None
import builtins, sys, types
sys.modules["_kept"] = types.ModuleType("_kept")
sys.modules["_kept"].builtins = dict(vars(builtins))
try:
    import resource
    resource.setrlimit(resource.RLIMIT_DATA, ({memory}, {memory}))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**30, 2**30))
except (ImportError, ValueError):  # Windows; or less is allowed already
    pass
del builtins, sys, types
"""
# The checks as they lie on the disk, whatever a cell has put in their place.
RESTORE = """
import sys as _sys
vars(_sys.modules["builtins"]).update(_sys.modules["_kept"].builtins)
for _name in [name for name in _sys.modules if f"{name}.".startswith("lmrl_lab.checks.")]:
    del _sys.modules[_name]
if "lmrl_lab" in _sys.modules:
    vars(_sys.modules["lmrl_lab"]).pop("checks", None)
"""


@dataclass(frozen=True)
class Outcome:
    """How a cell ended: `status` is "ok", "error", "time" (too long) or "died" (the kernel is gone); `text` is what it printed,
    `error` what it raised, as `name: message`."""

    status: str
    text: str = ""
    error: str = ""


class Kernel:
    """One IPython kernel in an empty folder of its own, without a keyboard. A context manager: it and all that it started end.

    seconds: for each cell. total: seconds for all cells together, after which every cell is a "time" at once. memory: GiB.
    """

    def __init__(self, seconds: float = 30.0, total: float = 600.0, memory: float = 4.0):
        self.seconds, self._memory = seconds, memory
        self._total, self._deadline = total, float("inf")
        self._history: list[str] = []  # what a new kernel must be told
        self._manager = None

    def __enter__(self) -> Kernel:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        self._deadline = time.monotonic() + self._total
        return self

    def __exit__(self, *_) -> None:
        self._kill()
        self._folder.cleanup()

    def run(self, code: str, remember: bool = True, again: bool = True) -> Outcome:
        """Run a cell. One that dies or takes too long is never run again; if `remember`, any other is run again in the kernel
        that replaces one that died. `again`: a second try where an earlier cell may have broken the kernel."""
        outcome, known = self._run(code, self.seconds), len(self._history)
        full = outcome.error.startswith("MemoryError")  # the kernel stays full, whoever filled it
        if full:
            self._kill()
        if self._manager is None:
            self._start()
            if len(self._history) < known or full and again:
                return self.run(code, remember, again and not full)
        if outcome.status in ("ok", "error") and remember and not full:
            self._history.append(code)
        return outcome

    def run_test(self, code: str) -> Outcome:
        """Run an instructor's cell: with the checks and builtins as they were, and without a trace in a later kernel."""
        if self.run(RESTORE, remember=False).status != "ok":
            self.run(RESTORE, remember=False)
        return self.run(code, remember=False)

    def _start(self) -> None:
        try:
            self._launch()
        except RuntimeError:  # its ports were chosen, and then somebody else took one
            self._kill()
            self._launch()
        self._run(PREPARE.format(memory=int(self._memory * 2**30)), 30)
        for code in list(self._history):
            for tried, seconds in ((code, self.seconds), ("0", PROBE)):
                if self._run(tried, seconds).status in ("time", "died"):  # it went well before; or nothing goes after it
                    self._history.remove(code)
                    if self._manager is None:
                        return self._start()
                    break

    def _launch(self) -> None:
        folder = self._folder.name
        settings = dict(os.environ, OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="", IPYTHONDIR=folder, LMRL_LAB_CACHE=folder)
        self._manager = KernelManager(kernel_name="python3")
        self._client = self._manager.blocking_client()  # before anything can fail, so that _kill finds both
        with open(os.devnull, "w") as nowhere:
            self._manager.start_kernel(cwd=folder, env=settings, stdout=nowhere, stderr=nowhere)
        self._client.load_connection_info(self._manager.get_connection_info())
        self._client.start_channels()
        self._client.wait_for_ready(timeout=120)

    def _kill(self) -> None:
        manager, self._manager = self._manager, None
        if manager is None:
            return
        self._client.stop_channels()
        process = manager.provisioner.process if manager.provisioner else None
        if process is not None and hasattr(os, "killpg"):
            try:
                os.killpg(process.pid, signal.SIGKILL)  # the kernel leads a session of its own: what it started goes too
            except (ProcessLookupError, PermissionError):
                pass
        manager.shutdown_kernel(now=True)

    def _run(self, code: str, seconds: float) -> Outcome:
        left = self._deadline - time.monotonic()
        if left <= 0:
            return Outcome("time", error="the time for the whole notebook is over")
        client, text, kept, printed = self._client, [], 0, 0
        request = client.execute(code, store_history=False, allow_stdin=False, stop_on_error=False)
        poller, channels = zmq.Poller(), {channel.socket: channel for channel in (client.shell_channel, client.iopub_channel)}
        for socket in channels:
            poller.register(socket, zmq.POLLIN)
        limit, interrupted = time.monotonic() + min(seconds, left), False
        why = f"did not finish within {min(seconds, left):g} seconds"
        reply, idle, replied = None, False, 0.0
        while not (reply and (idle or time.monotonic() > replied + 1)):  # a flood of output can drown the word that it is over
            ready = dict(poller.poll(200))
            for socket in ready:
                message = channels[socket].get_msg(timeout=1)
                if message["parent_header"].get("msg_id") != request:
                    continue
                kind, content = message["msg_type"], message["content"]
                if kind == "execute_reply":
                    reply, replied = content, time.monotonic()
                elif kind == "status":
                    idle = content["execution_state"] == "idle"
                elif kind == "stream":
                    text.append(content["text"][:LONGEST_TEXT - kept])
                    kept, printed = kept + len(text[-1]), printed + len(content["text"])
            if printed > FLOOD and not interrupted:
                limit, why = 0.0, f"printed more than {FLOOD:,} characters"
            if not ready and not self._manager.is_alive():
                self._kill()
                return Outcome("died", "".join(text), "the kernel died")
            if reply is None and time.monotonic() > limit:
                if interrupted:
                    self._kill()
                    break
                self._manager.interrupt_kernel()
                limit, interrupted = time.monotonic() + GRACE, True
        if interrupted:
            return Outcome("time", "".join(text), why)
        if reply["status"] == "ok":
            return Outcome("ok", "".join(text))
        return Outcome("error", "".join(text), f"{reply.get('ename', 'not run')}: {reply.get('evalue', reply['status'])}")
