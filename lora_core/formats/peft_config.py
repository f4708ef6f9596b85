"""Reads peft's config, which it saves next to the tensors: only there it says their scale."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from ..errors import LoraFileError

TENSORS: Final = "adapter_model.safetensors"
CONFIG: Final = "adapter_config.json"
LARGEST_CONFIG_BYTES: Final = 2**20


def config_changed(file: Path) -> int:
    """Returns when the config next to ``file`` was last changed, in nanoseconds; 0 if there is
    none.

    It only counts under the name that peft itself gives it: otherwise it could belong to another
    file.
    """
    if file.name != TENSORS:
        return 0
    try:
        status = file.with_name(CONFIG).stat()
    except OSError:
        return 0
    # opening a pipe would wait forever, and some archives set all times to 0
    return max(status.st_mtime_ns, 1) if stat.S_ISREG(status.st_mode) else 0


def read_config(file: Path) -> str | None:
    """Reads the config next to ``file``; None if there is none, LoraFileError if it is far too
    long."""
    if not config_changed(file):
        return None
    with file.with_name(CONFIG).open("rb") as opened:
        data = opened.read(LARGEST_CONFIG_BYTES + 1)
    if len(data) > LARGEST_CONFIG_BYTES:
        raise LoraFileError(
            f"has an {CONFIG} next to it that is larger than {LARGEST_CONFIG_BYTES} bytes.",
            key=CONFIG,
            expected=f"at most {LARGEST_CONFIG_BYTES} bytes",
            found="more",
        )
    return data.decode("utf-8", errors="replace")
