"""The boundary between our errors and the page."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from ..lora_core.errors import LoraError


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
