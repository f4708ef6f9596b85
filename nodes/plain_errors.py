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
"""In place of what the page before 1.49 shows of an objection as HTML: a slash as ``&amp;amp;#x2F;``."""


@contextmanager
def plain_errors() -> Generator[None]:
    """Lets an error of ours leave as a builtin ValueError with the same sentence.

    The page puts the class in front of the sentence and cuts both to three lines: a class of
    another module with the whole path of it, so that nothing of the sentence would be left.
    """
    try:
        yield
    except LoraError as error:
        raise ValueError(str(error)) from error


def validation_error(error: LoraError | str) -> str:
    """What ``validate_inputs`` returns: the same sentence, in letters that every page shows as they are."""
    double = DOUBLE.sub(r"“\1”", str(error))
    return SINGLE.sub(r"‘\1’", double).translate(SHOWN)
