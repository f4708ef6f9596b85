"""The identity of a file in one state."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..short_names import base_name, without_suffix


@dataclass(frozen=True, slots=True, order=True)
class FileId:
    """The identity of a file in one state: a file that was rewritten is another file.

    Attributes:
        path: Path of the file.
        mtime_ns: Time of its last change, in nanoseconds.
        size: Its size in bytes.
        inode: Its number in the file system.
        config_mtime_ns: Time of the last change of peft's config next to the file, in nanoseconds;
            0 if there is none. Its key in JSON is "beside".
        name: What messages call it; not part of the identity.
    """

    path: str
    mtime_ns: int
    size: int
    inode: int
    name: str = field(default="", compare=False)
    config_mtime_ns: int = 0

    @property
    def label(self) -> str:
        """The base name without its suffix, as people call the file."""
        return without_suffix(base_name(self.name or self.path))
