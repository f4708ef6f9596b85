"""Writes a new .safetensors file: all of it or nothing, and never over another one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import safetensors
import safetensors.torch
import torch

from ..errors import LoraInputError
from ..formats import CONFIG, config_changed

if TYPE_CHECKING:
    from typing_extensions import Self


class NewFile:
    """A file that gets its name at the end of the block, if that is still free.

    Until then it is next to its place, and its bytes are on the disk before the name is. Whatever
    fails in the block leaves nothing behind.

    Attributes:
        path: Where it is until then.
    """

    def __init__(self, out: Path) -> None:
        """Prepares a file that will be ``out``; LoraInputError if no new one can be there."""
        self.check(out)
        self._out = out
        self.path = out.with_name(f".{out.stem}.{os.getpid()}.part.safetensors")

    @staticmethod
    def check(out: Path) -> None:
        """Refuses a place where no new file can be (LoraInputError)."""
        if out.suffix.lower() != ".safetensors":
            problem = f"A LoRA is written as .safetensors, not as {out.name}."
        elif out.exists() or out.is_symlink():
            problem = f"There is a file {out} already. Choose another name."
        elif not out.parent.is_dir():
            problem = f"There is no folder {out.parent}."
        elif config_changed(out):
            problem = f"{out.name} would be read with the strength in {CONFIG} next to it. Choose another name."
        else:
            return
        raise LoraInputError(problem, key="out", expected="a new .safetensors file", found=str(out))

    def write(self, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
        """Writes the content, in the place of what was written before; OSError if it cannot be."""
        save = cast(Any, safetensors.torch).save_file
        try:
            save(dict(tensors), self.path, dict(metadata))
        except (safetensors.SafetensorError, OSError) as error:
            raise OSError(f"{self._out} cannot be written: {_reason(error)}") from error
        self.path.chmod(0o666 & ~_umask())  # the library makes files only their owner can read
        with self.path.open("rb+") as written:
            os.fsync(written.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self.path.unlink(missing_ok=True)

    def _finish(self) -> None:
        try:
            os.link(self.path, self._out)
        except FileExistsError:
            self.check(self._out)
            raise
        except OSError:  # a file system without links, such as exFAT
            self.check(self._out)
            self.path.rename(self._out)


def _reason(error: Exception) -> str:
    """Returns what the system says, without what the library puts before it."""
    own = error.strerror if isinstance(error, OSError) else None
    return own or str(error).rpartition("I/O error: ")[2]


def _umask() -> int:
    """Returns the umask. The only way to read it is to set it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
