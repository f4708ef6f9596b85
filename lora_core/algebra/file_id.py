"""Which file, and which state of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..short_names import base_name, without_suffix


@dataclass(frozen=True, slots=True, order=True)
class FileId:
    """Which file, and which state of it; a rewritten file is another file.

    Attributes:
        path: Where the file lies.
        mtime_ns: Time of its last change, in nanoseconds.
        size: Bytes.
        inode: The file system's number of it.
        beside: Time of the last change of peft's config beside the file, 0 without one.
        name: How to call it in messages; no part of the identity.
    """

    path: str
    mtime_ns: int
    size: int
    inode: int
    name: str = field(default="", compare=False)
    beside: int = 0

    @property
    def label(self) -> str:
        """The base name without its suffix, as people call the file."""
        return without_suffix(base_name(self.name or self.path))
