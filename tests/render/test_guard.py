"""A program runs only for as long as its owner lives."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lora_render import guard

SLEEP = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print('here', flush=True)
time.sleep(600)
"""

SLEEP_ALONE = "print('here', flush=True); import time; time.sleep(600)"

OWNER = f"""
import sys, time
sys.path.insert(0, {str(Path(guard.__file__).parent)!r})
import guard
print("guard", guard.start([sys.executable, "-c", {SLEEP!r}]).pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
@pytest.mark.parametrize("killed", ["owner", "the owner's group", "guard"])
def test_it_ends_with_its_owner_and_with_its_guard(killed):
    """All of them hold our pipe: its end is their end. Ray kills the whole group of a worker that it has lost."""
    if killed == "guard" and sys.platform != "linux":
        pytest.skip("only Linux ends what a killed guard has started")
    script = OWNER if killed != "guard" else OWNER.replace(repr(SLEEP), repr(SLEEP_ALONE))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True
    ) as owner:
        assert owner.stdout
        said = [owner.stdout.readline().decode().split() for _ in range(2)]
        (guarded,) = [int(words[1]) for words in said if words[0] == "guard"]
        if killed == "owner":
            owner.send_signal(signal.SIGKILL)
        elif killed == "guard":
            os.kill(guarded, signal.SIGKILL)
            owner.send_signal(signal.SIGKILL)
        else:
            os.killpg(owner.pid, signal.SIGKILL)
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
