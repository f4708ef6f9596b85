"""Fixtures of the tests that run the real ComfyUI; all of them skip where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from harness.host import Host, ensure_models
from harness.installs import HostInstall
from harness.tiny_models import DEFAULT_NAMES, MODEL_FILES


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
def host(start_host: Callable[..., AbstractContextManager[Host]]) -> Iterator[Host]:
    """The server that the tests share. It keeps results of earlier prompts, so no test may
    count on an empty cache; ``host.free()`` empties it."""
    with start_host("--cache-lru", "100") as running:
        yield running
