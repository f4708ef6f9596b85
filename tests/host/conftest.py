"""Fixtures of the tests that run the real ComfyUI; all of them skip where there is none."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from harness.host import Host, ensure_models
from harness.installs import HostInstall
from harness.tiny_models import DEFAULT_NAMES, MODEL_FILES

LRU = ("--cache-lru", "100")
"""Keeps the results of the last 100 nodes, where the host's own default keeps those of the last prompt."""


@pytest.fixture(scope="session")
def models_dir(host_install: HostInstall) -> Path:
    """The tiny models, built once and kept for later runs."""
    return ensure_models(host_install, {name: MODEL_FILES[name] for name in DEFAULT_NAMES})


@pytest.fixture(scope="session")
def clip_models_dir(host_install: HostInstall, models_dir: Path) -> Path:
    """The same folder, also with the checkpoint that has a text encoder (250 MB)."""
    assert ensure_models(host_install, MODEL_FILES) == models_dir
    return models_dir


@pytest.fixture(scope="session")
def start_host(
    host_install: HostInstall, models_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[Host]]:
    """``with start_host("--cache-none") as host:`` runs a server of one's own."""

    def start(*arguments: str) -> Host:
        return Host(host_install, tmp_path_factory.mktemp("host"), models_dir, arguments)

    return start


@pytest.fixture(scope="session")
def shared_host(
    start_host: Callable[..., AbstractContextManager[Host]],
) -> Iterator[Callable[..., Host]]:
    """``shared_host("--cache-none")`` is the server with these arguments that tests share, emptied now.

    Starting one takes nine seconds.
    """
    with contextlib.ExitStack() as running:

        @functools.cache
        def started(*arguments: str) -> Host:
            return running.enter_context(start_host(*arguments))

        def emptied(*arguments: str) -> Host:
            host = started(*arguments)
            host.free()
            return host

        yield emptied


@pytest.fixture(scope="session")
def host(shared_host: Callable[..., Host]) -> Host:
    """The server that most tests share. It keeps results of earlier prompts, so no test may
    count on an empty cache; ``host.free()`` empties it."""
    return shared_host(*LRU)
