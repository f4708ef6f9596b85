"""What the parts of ``benchmarks.farm`` share: how large they are, what they tell, and the ComfyUI that they ask."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import farm as made
from harness.host import Host
from harness.installs import OLDEST, HostInstall, find_host
from lora_render.cluster import threads_each

Row = Mapping[str, Any]

_THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Asked:
    """How large the measurements are."""

    items: int
    rounds: int
    steps: int
    inks: int
    workers: int
    sleepers: int
    folder: Path


@dataclass(frozen=True)
class Part:
    """A table: rows of the same names."""

    title: str
    rows: Sequence[Row]


def the_install() -> HostInstall:
    """Returns the ComfyUI that all parts use."""
    install = find_host(OLDEST)
    if install is None:
        raise SystemExit("no ComfyUI found: set COMFYUI_PATH (and COMFYUI_PYTHON)")
    return install


def plain_host(folder: Path) -> Host:
    """Returns a ComfyUI with the tiny model, to be started with ``with``."""
    folder.mkdir(parents=True)
    host = Host(the_install(), folder, made.TINY / "models", (), made.PACKS)
    for file in (made.TINY / "loras").iterdir():
        (host.loras_dir / file.name).symlink_to(file)
    return host


@contextmanager
def plain_hosts(*folders: Path) -> Generator[list[Host]]:
    """Starts a ComfyUI in each folder. They share the cores, as those that the farm starts."""
    given, threads = os.environ.get(_THREADS), threads_each(len(folders))
    with ExitStack() as stack:
        if given is None and threads is not None:
            os.environ[_THREADS] = threads
            stack.callback(os.environ.pop, _THREADS)
        yield [stack.enter_context(plain_host(folder)) for folder in folders]
