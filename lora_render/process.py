"""A ComfyUI that we start, and that ends with us."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from . import guard
from .server import NoAnswerError, Server, WorkerGoneError, as_list, as_object

LOOPBACK: Final = "127.0.0.1"
LOG_NAME: Final = "comfyui.log"

_FOLDERS: Final = ("output", "temp", "user")

_START_SECONDS: Final = 600.0
"""A ComfyUI with many packs takes minutes on a slow disk."""

_END_SECONDS: Final = 20.0
_STARTS: Final = 2
"""Somebody may take our port before ComfyUI does."""

_LOG_LINES: Final = 12
_NOT_ITS_OWN: Final = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})


@dataclass(frozen=True, slots=True)
class Own:
    """How to start a ComfyUI of our own.

    Attributes:
        path: ComfyUI's folder, which has ``main.py``.
        python: The Python that runs it.
        folder: It gets a folder of its own in here, for its log and all that it writes.
        arguments: More arguments for it.
        environment: More variables for it; None takes one away.
    """

    path: str
    python: str
    folder: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])


class Process:
    """One running ComfyUI of ours. It listens on loopback only."""

    def __init__(self, own: Own, name: str) -> None:
        self._own = own
        self._folder = Path(own.folder).absolute() / name
        self._guard: subprocess.Popen[bytes] | None = None
        self._closed = False
        self.server: Server | None = None

    @property
    def output(self) -> Path:
        """The folder in which it saves."""
        return self._folder / "output"

    def alive(self) -> bool:
        """Returns whether it runs."""
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> Server:
        """Starts it and waits until it answers; WorkerGoneError, with the end of its log, if it does not."""
        for _ in range(_STARTS):
            self.stop()
            if self._closed:
                raise WorkerGoneError("It was stopped.")
            server = self._begin()
            if self._answers(server):
                self.server = server
                return server
        self.stop()
        raise WorkerGoneError(f"ComfyUI does not start. {self._log_end()}")

    def close(self) -> None:
        """Ends it for good: it is not started again."""
        self._closed = True
        self.stop()

    def stop(self) -> None:
        """Ends it and waits until it is gone."""
        self.server = None
        running, self._guard = self._guard, None
        if running is None:
            return
        if running.stdin:
            with contextlib.suppress(OSError):
                running.stdin.close()
        try:
            running.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()

    def _begin(self) -> Server:
        try:
            for kind in _FOLDERS:  # ComfyUI does not make all of them
                (self._folder / kind).mkdir(parents=True, exist_ok=True)
            port = _free_port()
            with (self._folder / LOG_NAME).open("ab") as log:
                command, environment = self._command(port), self._environment()
                self._guard = guard.start(command, log, environment, self._folder)
        except OSError as error:
            raise WorkerGoneError(f"ComfyUI can't be started: {error}") from error
        return Server(f"http://{LOOPBACK}:{port}")

    def _command(self, port: int) -> list[str]:
        folders = [(f"--{kind}-directory", str(self._folder / kind)) for kind in _FOLDERS]
        return [
            _program(self._own.python),
            str(Path(self._own.path).absolute() / "main.py"),
            *("--listen", LOOPBACK, "--port", str(port), "--database-url", "sqlite:///:memory:"),
            *(part for pair in folders for part in pair),
            *self._own.arguments,
        ]

    def _environment(self) -> dict[str, str]:
        """Returns ours, without what leads its Python to our packages, and without Ray's secrets."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in _NOT_ITS_OWN and not name.startswith("RAY_")
        }
        asked = self._own.environment
        kept = {name: value for name, value in kept.items() if name not in asked}
        return kept | {name: value for name, value in asked.items() if value is not None}

    def _answers(self, server: Server) -> bool:
        """Waits for an answer; returns whether it came before the program ended."""
        end = time.monotonic() + _START_SECONDS
        while self.alive() and time.monotonic() < end:
            try:
                system = as_object(as_object(server.get("/system_stats")).get("system"))
            except NoAnswerError:
                time.sleep(0.1)
                continue
            except WorkerGoneError:  # that was somebody else
                return False
            # A stranger may listen there.
            return str(self._folder / "user") in as_list(system.get("argv"))
        return False

    def _log_end(self) -> str:
        try:
            lines = (self._folder / LOG_NAME).read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return f"Its log ({self._folder / LOG_NAME}) ends with:\n" + "\n".join(lines[-_LOG_LINES:])


def _program(name: str) -> str:
    """Returns where a program is, however the folder is called from which it is started; a bare name stays one."""
    return str(Path(name).absolute()) if Path(name).name != name else name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]
