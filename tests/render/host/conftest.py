"""Fixtures of the tests that run Ray or ComfyUI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import farm
from harness.host import Host
from harness.installs import HostInstall
from harness.painter import Painter
from lora_render.cluster import Cluster
from lora_render.comfy import Comfy, Place
from tests.render.host.painted import Workers


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base folder for ComfyUI with the tiny model, the pack and the test nodes."""
    return farm.lay_out(tmp_path_factory.mktemp("farm") / "base")


@pytest.fixture
def own(host_install: HostInstall, base: Path, tmp_path: Path) -> Callable[..., Place]:
    """``own("w0")``: the place of a ComfyUI that is started for it."""

    def make(name: str, **how: float) -> Place:
        return Place(name, farm.own(host_install, base, tmp_path / "out" / "workers"), **how)

    return make


@pytest.fixture(scope="session")
def start_host(
    host_install: HostInstall, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Host]:
    """``with start_host() as host:`` runs a server of one's own with the tiny model."""

    def start() -> Host:
        folder = tmp_path_factory.mktemp("host")
        made = Host(host_install, folder, farm.TINY / "models", (), farm.PACKS)
        for file in (farm.TINY / "loras").iterdir():
            (made.loras_dir / file.name).symlink_to(file)
        return made

    return start


@pytest.fixture(scope="session")
def host(start_host: Callable[[], Host]) -> Iterator[Host]:
    """The server that tests share."""
    with start_host() as running:
        yield running


@pytest.fixture
def comfy(host: Host) -> Iterator[Comfy]:
    """The shared server, as a worker has it."""
    asked = Comfy(Place("w0", f"http://127.0.0.1:{host.port}", patience=60))
    yield asked
    asked.stop()


@pytest.fixture(scope="module")
def cluster():
    """Ray, once for all tests: it takes seconds to start."""
    running = Cluster(None, 0)
    yield running
    running.close()


@pytest.fixture(scope="module")
def workers(cluster):
    """``workers("w0", "w1")`` are painters in actors of these names, which later tests get again."""
    actors = {}

    def start(*names):
        for name in {*names} - {*actors}:
            (actors[name],) = cluster.actors([Place(name, "")], Painter)
        started = Workers(cluster, {name: actors[name] for name in names})
        while len(started.calls._kept) < len(names):
            started.calls.first_ready(300)
        return started

    yield start
    cluster.stop([*actors.values()])
