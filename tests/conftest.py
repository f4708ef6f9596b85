"""What every test run says at its end: what was measured, and what could not run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest

from tests.support.host import skip_notice

MEASURED = pytest.StashKey[list[str]]()
NOTICES = pytest.StashKey[set[str]]()


@pytest.fixture
def show(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds a line to what the run says it has measured."""
    return request.config.stash.setdefault(MEASURED, []).append


@pytest.fixture(scope="session")
def notice(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds a line to the very last ones of the run: what did not run, and why."""
    return request.config.stash.setdefault(NOTICES, set()).add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = terminalreporter.config.stash.get(MEASURED, [])
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """The very last lines, so that nobody takes a run without the host for a whole one."""
    known = (skip_notice() or _browser_notice(), _node_notice())
    for line in (*filter(None, known), *sorted(config.stash.get(NOTICES, ()))):
        print(f"\n!!! {line} !!!")


def _browser_notice() -> str | None:
    browsers = ("chromium", "chromium-browser", "google-chrome")
    if os.environ.get("CHROMIUM") or any(map(shutil.which, browsers)):
        return None
    return "WEB TESTS SKIPPED: no Chromium found (CHROMIUM). Nothing ran in the real page."


def _node_notice() -> str | None:
    if shutil.which("node"):
        return None
    return "CURVE TESTS SKIPPED: no Node.js found. Nothing ran of what draws a curve."
