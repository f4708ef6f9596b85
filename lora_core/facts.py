"""What a file says of itself. (stub of helper core: helper facts writes it on branch facts)"""

from __future__ import annotations

from .term import FileId


def stated_triggers(file: FileId) -> tuple[str, ...]:  # noqa: ARG001
    """The trigger words that the file states."""
    return ()
