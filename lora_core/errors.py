"""The errors a user can meet; every one names what is wrong, where, and expected against found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .text import sentence

if TYPE_CHECKING:
    from typing_extensions import Self


class LoraError(ValueError):
    """Base of all errors of the core.

    The text is for people and may change; tests and pages read the fields. It is one line of less than
    500 characters, whatever the names in it; the fields hold them whole.

    Attributes:
        message: The text without the file's name.
        file: Name of the LoRA file, if one is to blame.
        key: Name in that file, or of the input, that is to blame.
        expected: What would have been right.
        found: What was there instead.
        row: Which entry of a list is to blame, from 1.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        key: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        row: int | None = None,
    ) -> None:
        where = f"row {row}: " if row else ""
        super().__init__(sentence(where + (f'"{file}": {message}' if file else message)))
        self.message = sentence(message)
        self.file = file
        self.key = key
        self.expected = expected
        self.found = found
        self.row = row

    def in_file(self, file: str, more: str = "") -> Self:
        """The same error, said of ``file``, with ``more`` words behind it.

        The low level knows the cause; the boundary that knows the rest adds it.
        """
        return self._with(self.message + more, file, self.row)

    def in_row(self, row: int | None) -> Self:
        """The same error, said of one entry of a list."""
        return self._with(self.message, self.file, row)

    def _with(self, message: str, file: str | None, row: int | None) -> Self:
        return type(self)(
            message, file=file, key=self.key, expected=self.expected, found=self.found, row=row
        )


class LoraFileError(LoraError):
    """A file is damaged, is no LoRA, or holds something that has no meaning as one."""


class LoraMismatchError(LoraError):
    """A sound LoRA does not fit the model it is applied to."""


class LoraInputError(LoraError):
    """A number, name or recipe given by the caller is not acceptable."""
