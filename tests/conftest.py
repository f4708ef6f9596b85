"""What every test run says at its end: what was measured, and what could not run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import hypothesis
import pytest

from harness.installs import HOSTS, OLDEST, HostInstall, find_host, skip_notice

SLOW = "--slow"

MEASURED = pytest.StashKey[list[str]]()
NOTICES = pytest.StashKey[set[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        SLOW, action="store_true", help="also the slow tests, and every test in every host and page"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the slow tests, unless they are asked for."""
    if config.getoption(SLOW):
        return
    fast = [item for item in items if not item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("slow")])
    items[:] = fast


def pytest_configure() -> None:
    """No test is wrong for being slow: hypothesis would measure each example."""
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """In the oldest host, and with the mark ``every_host`` in the others."""
    if "host_install" not in metafunc.fixturenames:
        return
    everywhere = metafunc.definition.get_closest_marker("every_host")
    names = HOSTS if everywhere or metafunc.config.getoption(SLOW) else [OLDEST]
    metafunc.parametrize("host_install", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def host_install(request: pytest.FixtureRequest) -> HostInstall:
    """The ComfyUI that a test runs in."""
    install = find_host(request.param)
    if install is None:
        pytest.skip(skip_notice(request.param) or "")
    return install


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
    known = (*map(skip_notice, HOSTS), _browser_notice(), _node_notice())
    for line in dict.fromkeys([*filter(None, known), *sorted(config.stash.get(NOTICES, ()))]):
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
