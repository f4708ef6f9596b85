"""What is done already, a line of JSON each, so that a work that was stopped can go on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

from ..errors import LoraInputError
from ..lock import lock

if TYPE_CHECKING:
    from typing_extensions import Self

Entry: TypeAlias = Mapping[str, Any]


class Journal:
    """A file that only grows. A line is with the system when ``add`` returns, so a process that is
    killed loses none. It has one writer at a time; the system lets the next one in when a process
    ends, however that is."""

    def __init__(self, path: Path) -> None:
        """Opens it to go on, and makes it if it is not there.

        Raises:
            LoraInputError: Another process writes it.
            OSError: It cannot be written.
        """
        self._path = path
        self._file: IO[bytes] = path.open("ab", buffering=0)
        try:
            lock(self._file)
        except BlockingIOError as error:
            self._file.close()
            raise _in_use(path) from error
        if self._file.tell() and not _ends_whole(path):
            # what was cut off is a line of its own, which reading leaves out
            self._file.write(b"\n")

    def add(self, entry: Entry) -> None:
        """Writes one more entry."""
        self._file.write(json.dumps(entry).encode() + b"\n")

    def done(self) -> None:
        """Removes it at the end, while nobody else can write it."""
        if os.name == "nt":  # an open file can't be removed there
            self._file.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def read_journal(path: Path) -> list[Entry]:
    """Returns the entries in their order, without those that were cut off; none without a file."""
    if not path.exists():
        return []
    with path.open("rb") as lines:
        return [entry for entry in map(_entry, lines) if entry is not None]


def _entry(line: bytes) -> Entry | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast(Entry, found) if isinstance(found, dict) else None


def _in_use(path: Path) -> LoraInputError:
    return LoraInputError(
        f"Another run writes {path}. Wait until it has ended, or choose another place.",
        key="out",
        expected="a place that no other run uses",
        found=str(path),
    )


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
