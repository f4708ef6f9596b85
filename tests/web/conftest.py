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

from tests.support.frontend import NEWER, SKIPPED, ensure_frontend
from tests.support.host import Host, find_host, skip_notice

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.web.interop import Interop
    from tests.web.page import Page

SHOTS = "LORA_ALGEBRA_SHOTS"
"""Environment variable: the folder for pictures of the page."""

FRONTENDS = {"1.45": None, "1.58": NEWER}
"""Name -> version to fetch; None is the one that the host brings."""

OWN = next(iter(FRONTENDS))
RENDERERS = ("classic", "nodes2")


@dataclass(frozen=True)
class Stand:
    """What a test in the page stands on."""

    renderer: str
    frontend: str

    def __str__(self) -> str:
        return f"{self.renderer}-{self.frontend}"

    def suffix(self) -> str:
        """Of the names of pictures."""
        newer = "" if self.frontend == OWN else f"_{self.frontend}"
        return f"{self.renderer}{newer}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Both renderers, and with the mark ``every_page`` in both frontends."""
    if "stand" not in metafunc.fixturenames:
        return
    everywhere = metafunc.definition.get_closest_marker("every_page")
    frontends = FRONTENDS if everywhere else [OWN]
    stands = [Stand(renderer, frontend) for frontend in frontends for renderer in RENDERERS]
    metafunc.parametrize("stand", stands, indirect=True, scope="session", ids=str)


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
) -> Iterator[Callable[[str], Host]]:
    """The host that serves a frontend, started when it is first asked for."""
    pytest.importorskip("playwright", reason="the tests in the page need playwright")
    from tests.web.stage import running_host

    install = find_host()
    if install is None:
        pytest.skip(skip_notice() or "")

    with contextlib.ExitStack() as running:

        @functools.cache
        def start(frontend: str) -> Host | None:
            version = FRONTENDS[frontend]
            folder = ensure_frontend(version) if version else None
            if version and folder is None:
                return None
            served = ("--front-end-root", str(folder)) if folder else ()
            fresh = tmp_path_factory.mktemp(f"host-{frontend}")
            return running.enter_context(running_host(install, fresh, served))

        def host_of(frontend: str) -> Host:
            started = start(frontend)
            if started is None:
                notice(SKIPPED)
                pytest.skip(SKIPPED)
            return started

        yield host_of


@pytest.fixture(scope="session")
def any_host(hosts: Callable[[str], Host]) -> Host:
    """For what does not depend on the page."""
    return hosts(OWN)


@pytest.fixture(scope="session")
def stand(request: pytest.FixtureRequest) -> Stand:
    return request.param


@pytest.fixture(scope="session")
def host(stand: Stand, hosts: Callable[[str], Host]) -> Host:
    """The one behind the page."""
    return hosts(stand.frontend)


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
