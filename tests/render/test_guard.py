"""A program runs only for as long as its owner lives."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

import pytest

from lora_render import guard

SLEEP = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""

OWNER = f"""
import subprocess, sys, time
guarded = subprocess.Popen(
    [sys.executable, {guard.__file__!r}, sys.executable, "-c", {SLEEP!r}], stdin=subprocess.PIPE
)
print(guarded.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_it_ends_with_all_that_it_started_when_its_owner_is_killed():
    """All of them hold our pipe: its end is their end."""
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE) as owner:
        assert owner.stdout
        for _ in range(2):
            owner.stdout.readline()
        owner.send_signal(signal.SIGKILL)
        with alarm(owner):
            assert owner.stdout.read() == b""


@contextlib.contextmanager
def alarm(process):
    """Ends a test that waits for ever."""
    timer = threading.Timer(60, process.stdout.close)
    timer.start()
    yield
    timer.cancel()


@pytest.mark.parametrize("status", [0, 7])
def test_its_status_is_that_of_the_program(status):
    command = [sys.executable, guard.__file__, sys.executable, "-c", f"raise SystemExit({status})"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as guarded:
        assert guarded.wait(60) == status


def test_ctrl_c_in_the_terminal_does_not_end_it():
    """It reaches every process of the terminal; ours ends when its owner does."""
    script = "print('here', flush=True); import time; time.sleep(600)"
    command = [sys.executable, guard.__file__, sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as guarded:
        assert guarded.stdin
        assert guarded.stdout
        guarded.stdout.readline()
        guarded.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            guarded.wait(0.3)
        guarded.stdin.close()
        assert guarded.wait(60) == -signal.SIGKILL or guarded.returncode
