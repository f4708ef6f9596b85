"""A file that is there whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path


@contextlib.contextmanager
def new_file(path: Path) -> Generator[Path]:
    """Gives a place to write to, whose file then takes the name ``path``; an error leaves the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
