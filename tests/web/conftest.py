"""Fixtures of the tests in the real page: a host for each of its pages, one browser for all."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.host import Host
from harness.installs import NEWER, OLDEST, find_host, skip_notice
from tests.conftest import SLOW
from tests.support import frontend

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.web.interop import Interop
    from tests.web.page import Page

SHOTS = "LORA_ALGEBRA_SHOTS"
"""Environment variable: the folder for pictures of the page."""


@dataclass(frozen=True)
class Served:
    """A page, and the host that serves it. ``version`` is to be fetched; None is the host's own."""

    host: str
    page: str
    version: str | None = None

    def __str__(self) -> str:
        return f"{self.host}-{self.page}"


OWN = Served(OLDEST, "1.45")
NEWEST = Served(NEWER, "1.58", frontend.NEWER)
OLD_WITH_NEWEST = Served(OLDEST, "1.58", frontend.NEWER)
EVERY = (OWN, OLD_WITH_NEWEST, Served(NEWER, "1.49"), NEWEST)

RENDERERS = ("classic", "nodes2")
"""The usual one first."""


@dataclass(frozen=True)
class Stand:
    """What a test in the page stands on."""

    renderer: str
    served: Served

    def __str__(self) -> str:
        return f"{self.renderer}-{self.served}"

    def suffix(self) -> str:
        """Of the names of pictures."""
        newer = "" if self.served == OWN else f"_{self.served.page}"
        return f"{self.renderer}{newer}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test in the oldest page as it comes; with the mark ``newest_page`` in the newest one with the
    other renderer instead, and with ``every_page`` in both."""
    if "stand" not in metafunc.fixturenames:
        return
    stands = [Stand(RENDERERS[0], OWN)]
    if metafunc.config.getoption(SLOW):
        stands = [Stand(renderer, served) for served in EVERY for renderer in RENDERERS]
    elif mark := _page_mark(metafunc.definition):
        # The oldest host can serve the newest page as well.
        newest = Stand(RENDERERS[1], NEWEST if find_host(NEWER) else OLD_WITH_NEWEST)
        stands = [*stands, newest] if mark == "every_page" else [newest]
    metafunc.parametrize("stand", stands, indirect=True, scope="session", ids=str)


def _page_mark(test: pytest.Item) -> str | None:
    """The nearest of the marks that say where a test runs."""
    names = (mark.name for mark in test.iter_markers())
    return next((name for name in names if name in ("every_page", "newest_page")), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    pytest.importorskip("playwright", reason="the tests in the page need playwright")
    from tests.web.stage import find_chromium, running_browser

    chromium = find_chromium()
    if chromium is None:
        pytest.skip("the tests in the page need Chromium (CHROMIUM)")
    with running_browser(chromium) as started:
        yield started


@pytest.fixture(scope="session")
def hosts(
    tmp_path_factory: pytest.TempPathFactory, notice: Callable[[str], None]
) -> Iterator[Callable[[Served], Host]]:
    """The host that serves a page, started when it is first asked for."""
    pytest.importorskip("playwright", reason="the tests in the page need playwright")
    from tests.web.stage import running_host

    with contextlib.ExitStack() as running:

        @functools.cache
        def start(served: Served) -> Host | str:
            """Or why there is none."""
            install = find_host(served.host)
            if install is None:
                return skip_notice(served.host) or ""
            arguments: tuple[str, ...] = ()
            if served.version:
                folder = frontend.ensure_frontend(served.version)
                if folder is None:
                    return frontend.SKIPPED
                arguments = ("--front-end-root", str(folder))
            fresh = tmp_path_factory.mktemp(f"host-{served}")
            return running.enter_context(running_host(install, fresh, arguments))

        def host_of(served: Served) -> Host:
            started = start(served)
            if isinstance(started, str):
                notice(started)
                pytest.skip(started)
            return started

        yield host_of


@pytest.fixture(scope="session")
def any_host(hosts: Callable[[Served], Host]) -> Host:
    """For what does not depend on the page."""
    return hosts(OWN)


@pytest.fixture(scope="session")
def stand(request: pytest.FixtureRequest) -> Stand:
    return request.param


@pytest.fixture(scope="session")
def host(stand: Stand, hosts: Callable[[Served], Host]) -> Host:
    """The one behind the page."""
    return hosts(stand.served)


@pytest.fixture(scope="session")
def open_page(stand: Stand, browser: Browser, host: Host) -> Iterator[Page]:
    """The page, opened once for each stand."""
    from tests.web.page import Page

    opened = Page(browser, host, stand.renderer)
    yield opened
    opened.close()


@pytest.fixture
def page(open_page: Page) -> Iterator[Page]:
    """The page with an empty workflow. A test that makes it complain has failed."""
    open_page.clear()
    open_page.complaints.clear()
    yield open_page
    assert open_page.complaints == []


@pytest.fixture
def interop(page: Page) -> Iterator[Interop]:
    from tests.web.interop import Interop

    yield Interop(page)
    Interop(page).close_toasts()


@pytest.fixture
def shoot(page: Page, stand: Stand) -> Callable[[str], None]:
    """Takes a picture of the page, if somebody wants to see it."""
    folder = os.environ.get(SHOTS)

    def take(name: str) -> None:
        if folder:
            page.settle()
            page.screenshot(Path(folder) / f"{name}_{stand.suffix()}.png")

    return take
