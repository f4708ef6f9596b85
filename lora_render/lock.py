"""A lock on a file, which the system opens however its owner ends, also by kill -9."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO


def locked(path: Path) -> IO[bytes] | None:
    """Returns the open lock, which is made if it isn't there; None if somebody else has it.

    It is free again when it is closed. OSError if the file can't be opened.
    """
    file = path.open("ab")
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
