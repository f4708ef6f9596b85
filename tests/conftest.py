"""What every test run says at its end: what was measured, and what could not run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import hypothesis
import pytest

from harness.installs import HOSTS, OLDEST, HostInstall, find_host, skip_notice

SLOW = "--slow"
PART = "--part"

PARTS = ("classic", "nodes2", "sampling", "rest", "newer")
"""`make test` runs them side by side."""

SAMPLING = ("meaning", "spread", "schedule", "live", "live_lifetime")
"""Files of tests/host: about half of the work in the oldest host."""

MEASURED = pytest.StashKey[list[str]]()
NOTICES = pytest.StashKey[set[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        SLOW, action="store_true", help="also the slow tests, and every test in every host and page"
    )
    parser.addoption(
        PART,
        choices=PARTS,
        help="one part of the tests in hosts and pages: each starts servers of its own",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the slow tests, unless they are asked for, and all but one part, if one is."""
    slow, part = config.getoption(SLOW), config.getoption(PART)
    chosen = [
        item
        for item in items
        if (slow or not item.get_closest_marker("slow")) and part in (None, part_of(item))
    ]
    config.hook.pytest_deselected(items=list(set(items).difference(chosen)))
    items[:] = chosen


def part_of(item: pytest.Item) -> str:
    """The part that a test in a host or in a page belongs to: of the page, those of one renderer."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if "tests/web" in item.path.as_posix():
        return params["stand"].renderer if "stand" in params else PARTS[0]
    if params.get("host_install", OLDEST) != OLDEST:
        return "newer"
    return "sampling" if item.path.stem.removeprefix("test_") in SAMPLING else "rest"


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
    browsers = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    if os.environ.get("CHROMIUM") or any(map(shutil.which, browsers)):
        return None
    return "WEB TESTS SKIPPED: no Chromium found (CHROMIUM). Nothing ran in the real page."


def _node_notice() -> str | None:
    if shutil.which("node"):
        return None
    return "CURVE TESTS SKIPPED: no Node.js found. Nothing ran of what draws a curve."
