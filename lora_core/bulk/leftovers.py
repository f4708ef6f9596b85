"""What is left of files that were being written when we were killed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

PART: Final = re.compile(r"\.(?P<of>.+)\.\d+\.part(\.safetensors)?", re.DOTALL)
"""What a new file is called until it is whole: its own name, with or without its suffix, and the
number of the process that writes it."""


def clear_leftovers(outs: Iterable[Path]) -> None:
    """Removes what is left of ``outs`` next to their places. Nobody may be writing them."""
    names: defaultdict[Path, set[str]] = defaultdict(set)
    for out in outs:
        names[out.parent] |= {out.name, out.stem}
    for folder, own in names.items():
        with suppress(OSError):  # a folder that has gone, or that nobody may change
            for path in [*folder.iterdir()]:
                part = PART.fullmatch(path.name)
                if part and part["of"] in own:
                    path.unlink(missing_ok=True)
