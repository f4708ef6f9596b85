"""What is killed in the middle: a ComfyUI, a worker, the driver, a host. Nothing is lost, and nothing is there twice.

The driver is a process of its own; see harness/drive.py.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from harness.farm import comfyuis, parent
from harness.host import REPOSITORY
from harness.installs import environment_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="it finds processes in /proc"),
]

SECONDS = 500
"""After which a test gives up waiting."""


class Driver:
    """``python -m harness.drive`` on a folder; ``until("ended", 5)`` reads what it says."""

    def __init__(self, install, out, *arguments):
        self.out = out
        self.said = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness.drive", out, *map(str, arguments)],
            cwd=REPOSITORY,
            env=os.environ | environment_of(install),
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        self._alarm = threading.Timer(SECONDS, self.kill)
        self._alarm.start()
        return self

    def __exit__(self, *_):
        self._alarm.cancel()
        self.kill()
        self.process.stdout.close()
        self.process.wait()

    def until(self, word, count=1):
        """Reads until it has said that many lines that begin with a word."""
        while sum(line.startswith(word) for line in self.said) < count:
            line = self.process.stdout.readline()
            assert line, "".join(self.said)
            self.said.append(line)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)

    def summary(self):
        self.until("{")
        assert self.process.wait(60) == 0
        return json.loads(self.said[-1])


@pytest.fixture
def drive(host_install):
    """``with drive(out, "--count", 20) as driver:`` renders in the ComfyUI of the test."""
    return functools.partial(Driver, host_install)


def lines(out):
    return [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]


def check_whole(out, count):
    """Every item has one line, and every file is there, once."""
    entries = lines(out)
    assert Counter(entry["index"] for entry in entries) == Counter(range(count))
    assert len({entry["key"] for entry in entries}) == count
    paths = [file["path"] for entry in entries for file in entry["files"]]
    assert sorted(paths) == sorted(f"images/{file.name}" for file in (out / "images").iterdir())
    for entry in entries:
        assert bool(entry["files"]) == (entry["status"] == "ok")


def wait_until(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_comfyui_and_a_worker_are_killed_while_items_fail_hang_and_end_comfyui(
    drive, base, tmp_path, show
):
    out = tmp_path / "out"
    troubles = ("--trouble", "9=raise", "--trouble", "17=deaf", "--trouble", "22=end")
    began = time.monotonic()
    with drive(out, "--base", base, "--count", 40, "--limit", 30, *troubles) as driver:
        driver.until("ended", 4)
        os.kill(comfyuis(out)["w0"], signal.SIGKILL)
        driver.until("ended", 10)
        os.kill(parent(parent(comfyuis(out)["w1"])), signal.SIGKILL)
        summary = driver.summary()
        show(f"40 items, two kills, three bad items: {time.monotonic() - began:.0f} s")
    assert summary["failed"] == {"9": "error", "17": "timeout", "22": "lost"}
    assert (summary["done"], summary["not_done"], summary["stopped"]) == (37, [], None)
    check_whole(out, 40)
    assert any(line.startswith("lost w1") for line in driver.said)
    assert not comfyuis(out)


def test_after_the_driver_was_killed_its_comfyuis_end_and_the_next_run_goes_on(
    drive, base, tmp_path, show
):
    out = tmp_path / "out"
    arguments = ("--base", base, "--count", 16)
    with drive(out, *arguments) as driver:
        driver.until("ended", 5)
        assert len(comfyuis(out)) == 2
        driver.kill()
        driver.process.wait()
        killed = time.monotonic()
        wait_until(lambda: not comfyuis(out))
        show(f"ComfyUIs have ended {time.monotonic() - killed:.1f} s after their driver")
    before = len(lines(out))
    assert 5 <= before < 16
    with drive(out, *arguments) as driver:
        began = time.monotonic()
        driver.until("ended")
        show(
            f"resumed after {time.monotonic() - began:.1f} s, the start of Ray and ComfyUI included"
        )
        summary = driver.summary()
    assert (summary["done"], summary["failed"], summary["not_done"]) == (16 - before, {}, [])
    check_whole(out, 16)


def test_ctrl_c_ends_it_with_what_is_done(drive, base, tmp_path):
    out = tmp_path / "out"
    with drive(out, "--base", base, "--count", 12) as driver:
        driver.until("ended", 3)
        driver.process.send_signal(signal.SIGINT)
        summary = driver.summary()
    assert summary["stopped"] == "interrupted"
    assert summary["done"] + len(summary["not_done"]) == 12
    assert len(lines(out)) == summary["done"]
    wait_until(lambda: not comfyuis(out))


def test_two_hosts_by_url_and_a_driver_that_is_killed_run_every_prompt_once(
    drive, start_host, tmp_path
):
    """What they were asked for by the first driver is taken over by the second one."""
    out = tmp_path / "out"
    with start_host() as one, start_host() as two:
        urls = [part for host in (one, two) for part in ("--url", f"http://127.0.0.1:{host.port}")]
        with drive(out, *urls, "--count", 24) as driver:
            driver.until("ended", 8)
            driver.kill()
            driver.process.wait()
        with drive(out, *urls, "--count", 24) as driver:
            summary = driver.summary()
        assert (summary["failed"], summary["not_done"], summary["stopped"]) == ({}, [], None)
        asked = [host.log().count("got prompt") for host in (one, two)]
        assert min(asked) >= 4
        assert sum(asked) == 24
    check_whole(out, 24)


def test_a_host_that_goes_away_leaves_the_rest_to_the_other(drive, start_host, tmp_path):
    out = tmp_path / "out"
    with start_host() as one, start_host() as two:
        urls = [part for host in (one, two) for part in ("--url", f"http://127.0.0.1:{host.port}")]
        with drive(out, *urls, "--count", 16, "--patience", 3) as driver:
            driver.until("ended", 6)
            two.stop()
            summary = driver.summary()
    assert (summary["done"], summary["failed"], summary["stopped"]) == (16, {}, None)
    assert any(line.startswith("lost w1 True") for line in driver.said)
    check_whole(out, 16)
