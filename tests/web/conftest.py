"""Fixtures of the tests in the real page: one host and one browser for all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.host import Host, find_host, skip_notice

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.web.page import Page

SHOTS = "LORA_ALGEBRA_SHOTS"
"""Environment variable: the folder for pictures of the page."""


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
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    pytest.importorskip("playwright", reason="the tests in the page need playwright")
    from tests.web.stage import running_host

    install = find_host()
    if install is None:
        pytest.skip(skip_notice() or "")
    with running_host(install, tmp_path_factory.mktemp("host")) as started:
        yield started


@pytest.fixture(scope="session", params=["classic", "nodes2"])
def open_page(request: pytest.FixtureRequest, browser: Browser, host: Host) -> Iterator[Page]:
    """The page, opened once for each renderer."""
    from tests.web.page import Page

    opened = Page(browser, host, request.param)
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
def shoot(page: Page) -> Callable[[str], None]:
    """Takes a picture of the page, if somebody wants to see it."""
    folder = os.environ.get(SHOTS)

    def take(name: str) -> None:
        if folder:
            page.screenshot(Path(folder) / f"{name}_{page.renderer}.png")

    return take
