"""What the tests start ends with them, even where they are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from pathlib import Path

import pytest

from harness.host import REPOSITORY

MARK = "LORA_ALGEBRA_TESTS_MARK"
"""Environment variable that every process which descends from a script of these tests has."""

PATIENCE = 30.0

HOST = """
    from pathlib import Path
    from harness.host import Host
    from harness.installs import HostInstall
    install = HostInstall(Path({path!r}), Path({python!r}), {version!r})
    models = Path({folder!r}, "models")
    models.mkdir()
    with Host(install, Path({folder!r}, "host"), models):
        print("started", flush=True)
        input()
"""

BROWSER = """
    from tests.web.stage import find_chromium, running_browser
    with running_browser(find_chromium()) as browser:
        browser.new_page().goto("about:blank")
        print("started", flush=True)
        input()
"""


def descendants(mark: str) -> list[str]:
    """The programs that run with ``mark`` in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "comm").read_text().strip())
        except OSError:
            continue  # it has ended, or is another user's
    return found


def assert_all_end_with(script: str) -> None:
    mark = uuid.uuid4().hex
    starter = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=REPOSITORY,
        env=os.environ | {MARK: mark},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with starter:
        assert starter.stdout and starter.stdout.readline() == "started\n"
        assert len(descendants(mark)) > 1
        starter.send_signal(signal.SIGKILL)
        starter.wait()
    deadline = time.monotonic() + PATIENCE
    while left := descendants(mark):
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def linux() -> None:
    if not Path("/proc/self/environ").exists():
        pytest.skip("only where /proc tells which processes descend from which")


@pytest.mark.slow
def test_a_host_ends_with_a_process_that_is_killed(host_install, tmp_path):
    said = {"path": host_install.path, "python": host_install.python, "folder": tmp_path}
    places = {name: str(path) for name, path in said.items()}
    assert_all_end_with(HOST.format(version=host_install.version, **places))


@pytest.mark.slow
def test_a_browser_ends_with_a_process_that_is_killed():
    pytest.importorskip("playwright")
    from tests.web.stage import find_chromium

    if find_chromium() is None:
        pytest.skip("no Chromium found (CHROMIUM)")
    assert_all_end_with(BROWSER)
