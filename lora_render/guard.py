"""Runs a program for as long as somebody holds the other end of our standard input.

It is started as a file of its own, with the program and its arguments. The system closes the pipe however its
owner ends, also by kill -9. Then the program ends, with all that it has started. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    """Runs ``command`` and returns its exit status."""
    # Ctrl-C reaches every process of a terminal; ours ends when its owner does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=os.name != "nt")  # noqa: S603
    threading.Thread(target=_end_with_owner, args=(child,), daemon=True).start()
    return child.wait()


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
