"""Runs a program for as long as somebody holds the other end of our standard input.

It is started as a file of its own, with the program and its arguments. The system closes the pipe however its
owner ends, also by kill -9. Then the program ends, with all that it has started. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

_PR_SET_PDEATHSIG: Final = 1


def start(
    command: Sequence[str],
    log: IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Starts ``command`` with a guard, which is returned. It ends when the guard's standard input is closed.

    The guard has a session of its own: what kills all of its owner's group, as Ray does, would kill it before it
    can end its program.
    """
    guarded = [sys.executable, __file__, *command]
    return subprocess.Popen(  # noqa: S603
        guarded,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env=environment,
        cwd=folder,
        start_new_session=True,
    )


def main(command: list[str]) -> int:
    """Runs ``command`` and returns its exit status."""
    # Ctrl-C reaches every process of a terminal; ours ends when its owner does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_dies_with_us(),  # noqa: PLW1509 - no thread has been started yet
    )
    threading.Thread(target=_end_with_owner, args=(child,), daemon=True).start()
    return child.wait()


def _dies_with_us() -> Callable[[], object] | None:
    """Returns what makes Linux end a program when the guard itself is killed; other systems have nothing like it."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return functools.partial(prctl, _PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_with_owner(child: subprocess.Popen[bytes]) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    if os.name == "nt":
        kill = ["taskkill", "/F", "/T", "/PID", str(child.pid)]
        subprocess.run(kill, capture_output=True, check=False)  # noqa: S603
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
