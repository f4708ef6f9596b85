"""The boundary between our errors and the page."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from ..lora_core.errors import LoraError

DOUBLE: Final = re.compile(r'"([^"\n]*)"')
SINGLE: Final = re.compile(r"(?<!\w)'([^'\n]*)'(?!\w)")

SHOWN: Final = str.maketrans(
    {
        '"': "”",
        "'": "’",
        "/": " › ",
        "<": "\N{FULLWIDTH LESS-THAN SIGN}",
        ">": "\N{FULLWIDTH GREATER-THAN SIGN}",
        "&": "\N{FULLWIDTH AMPERSAND}",
        "=": "\N{FULLWIDTH EQUALS SIGN}",
    }
)
"""Replacements for characters that pages before 1.49 show as HTML: a slash as ``&amp;amp;#x2F;``."""


@contextmanager
def plain_errors() -> Generator[None]:
    """Lets one of our errors leave as a builtin ValueError with the same sentence.

    The page puts the class before the sentence and cuts both to three lines. A class of another
    module comes with its whole path, so that nothing of the sentence would be left.
    """
    try:
        yield
    except LoraError as error:
        raise ValueError(str(error)) from error


def validation_error(error: LoraError | str) -> str:
    """Returns the sentence for ``validate_inputs``, in letters that every page shows unchanged."""
    double = DOUBLE.sub(r"“\1”", str(error))
    return SINGLE.sub(r"‘\1’", double).translate(SHOWN)
