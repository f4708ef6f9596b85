"""What a term of a recipe adds: a file in one state, or what is made of others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..short_names import base_name, without_suffix

if TYPE_CHECKING:
    from .making import Making


@dataclass(frozen=True, slots=True, order=True)
class FileId:
    """The identity of a file in one state: a file that was rewritten is another file.

    What a method makes of other LoRAs has one as well, of which the path is a hash.

    Attributes:
        path: Path of the file.
        mtime_ns: Time of its last change, in nanoseconds.
        size: Its size in bytes.
        inode: Its number in the file system.
        config_mtime_ns: Time of the last change of peft's config next to the file, in nanoseconds;
            0 if there is none. Its key in JSON is "beside".
        made: How it is made of others; None for a file. The path stands for it in comparisons.
        name: What messages call it; not part of the identity.
    """

    path: str
    mtime_ns: int
    size: int
    inode: int
    name: str = field(default="", compare=False)
    config_mtime_ns: int = 0
    made: Making | None = field(default=None, compare=False, repr=False)

    @property
    def label(self) -> str:
        """The base name without its suffix, as people call the file."""
        return self.name if self.made else without_suffix(base_name(self.name or self.path))
