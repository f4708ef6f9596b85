"""The errors that a user can meet.

Every one says what is wrong, where, what was expected and what was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .text import sentence

if TYPE_CHECKING:
    from typing_extensions import Self


class LoraError(ValueError):
    """The base of all errors of the core.

    The text is for people and may change; tests and pages read the fields. It is one line of less
    than 500 characters, however long the names in it are; the fields hold them whole.

    Attributes:
        message: The text without the file's name.
        file: Name of the LoRA file, if one is at fault.
        key: The name at fault, in that file or among the inputs.
        expected: What was expected.
        found: What was found instead.
        row: Which entry of a list is at fault, counted from 1.
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
        """Returns the same error for ``file``, with the words of ``more`` after it.

        The low level knows the cause; the boundary that knows the rest adds it.
        """
        return self._with(self.message + more, file, self.row)

    def in_row(self, row: int | None) -> Self:
        """Returns the same error for one entry of a list."""
        return self._with(self.message, self.file, row)

    def _with(self, message: str, file: str | None, row: int | None) -> Self:
        return type(self)(
            message, file=file, key=self.key, expected=self.expected, found=self.found, row=row
        )


class LoraFileError(LoraError):
    """A file is damaged, is not a LoRA, or holds something that makes no sense in one."""


class LoraMismatchError(LoraError):
    """A valid LoRA does not fit the model it is applied to."""


class LoraInputError(LoraError):
    """A number, name or recipe from the caller is not acceptable."""
