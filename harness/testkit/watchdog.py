"""Ends the host when the process that started it is gone, however that one ended."""

import os
import signal
import sys
import threading

WATCHED = "LORA_ALGEBRA_TESTS_WATCHED"
"""Environment variable: standard input is a pipe that the starter holds open while it lives."""


def start() -> None:
    """Watch, if this host was started to be watched."""
    if os.environ.get(WATCHED):
        threading.Thread(target=_watch, daemon=True, name="testkit watchdog").start()


def _watch() -> None:
    # The system closes the starter's end of the pipe even if that one is killed.
    while os.read(sys.__stdin__.fileno(), 1):
        pass
    if os.name != "nt" and os.getpid() == os.getpgrp():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
