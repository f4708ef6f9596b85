"""A lock on an open file, which the system opens however its owner ends, also by kill -9."""

from __future__ import annotations

import os
from typing import IO, Final

LOCKED_BYTE: Final = 2**40
"""On Windows a lock is on bytes, which nobody else can read then: one where no content is."""


def lock(file: IO[bytes]) -> bool:
    """Locks a file until it is closed.

    Returns:
        Whether it is locked: some file systems, such as some over a network, have no locks.

    Raises:
        BlockingIOError: Another process has it, or this one by another open file.
    """
    try:
        _lock(file)
    except (BlockingIOError, PermissionError) as error:
        raise BlockingIOError(*error.args) from error
    except OSError:
        return False
    return True


def _lock(file: IO[bytes]) -> None:
    if os.name == "nt":
        import msvcrt

        before = file.tell()
        file.seek(LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        finally:
            file.seek(before)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
