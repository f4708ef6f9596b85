"""Says in words why a file is not a safetensors file. The library's own validation decides."""

from __future__ import annotations

import json
from typing import Any, Final

from ..errors import LoraFileError
from ..lenient_json import MOST_WHOLE_NUMBER_DIGITS

LARGEST_HEADER_BYTES: Final = 16 * 2**20
LENGTH_BYTES: Final = 8
"""The bytes before the header: its length, little-endian."""

SNIFFED_BYTES: Final = 64
"""How many bytes are enough to recognise other kinds of files."""

ALL_DIGITS_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")
LONG_NUMBER: Final = b"0" * (MOST_WHOLE_NUMBER_DIGITS + 1)
"""What a long number is when all digits are zeros; a search for any digits takes fifty times as long."""

LARGEST_FILE_BYTES: Final = 4 * 2**30

LOOKS_LIKE: Final = (
    (b"<", "an HTML page: the download failed or needed a login"),
    (b"version https://git-lfs", "a git-lfs pointer: the file itself was never downloaded"),
    (b"PK\x03\x04", "a zip archive, as PyTorch's .pt and .ckpt files are"),
    (b"\x80", "a Python pickle, as old .pt and .ckpt files are"),
    (b"GGUF", "a GGUF file"),
)


def check_beginning(beginning: bytes, size: int, largest: int = LARGEST_HEADER_BYTES) -> None:
    """Refuses what is clearly not a LoRA from its first bytes, before any memory is allocated."""
    if size < LENGTH_BYTES:
        raise LoraFileError(
            f"is empty or cut short ({size} bytes).",
            expected="a safetensors file",
            found=f"{size} bytes",
        )
    length = header_end(beginning) - LENGTH_BYTES
    if LENGTH_BYTES + length > size:
        raise _impossible_header(beginning, length, size)
    if length > largest:
        raise LoraFileError(
            f"has a header of {length} bytes; a sound one has at most {largest}.",
            expected=f"at most {largest} bytes of header",
            found=str(length),
        )


def check_size(size: int) -> None:
    """Refuses a file larger than any LoRA."""
    if size > LARGEST_FILE_BYTES:
        raise LoraFileError(
            f"has {size} bytes; a LoRA has at most {LARGEST_FILE_BYTES}. Is it a checkpoint?",
            expected=f"at most {LARGEST_FILE_BYTES} bytes",
            found=str(size),
        )


def header_end(beginning: bytes) -> int:
    """Returns where the data starts, if the file's first bytes are right."""
    return LENGTH_BYTES + int.from_bytes(beginning[:LENGTH_BYTES], "little")


def explain(beginning: bytes, size: int, error: Exception) -> LoraFileError:
    """Returns the library's error with the most common cause in words: an incomplete download."""
    stated = _stated_size(beginning)
    if stated is not None and stated > size:
        return LoraFileError(
            f"is incomplete: {size} of {stated} bytes. Download it again.",
            expected=f"{stated} bytes",
            found=f"{size} bytes",
        )
    reason = (str(error).splitlines() or [""])[0]  # torch adds its own stack trace
    return LoraFileError(
        f"is damaged or not a safetensors file ({reason}). Download it again.",
        expected="a safetensors file",
        found=reason,
    )


def read_header(beginning: bytes) -> dict[str, Any]:
    """Reads a header that the library has accepted.

    The library allows a name twice, and then two readers may see two different files.
    """
    text = beginning[LENGTH_BYTES : header_end(beginning)]
    long = LONG_NUMBER in text.translate(ALL_DIGITS_ZERO)
    whole = _offset if long else None  # json's own way is several times faster
    return json.loads(text, object_pairs_hook=_each_once, parse_int=whole)


def _offset(digits: str) -> int:
    """Reads a whole number, which is never long in a valid file.

    Python's own limit differs by version, and reading a long number takes quadratic time.
    """
    if len(digits) > MOST_WHOLE_NUMBER_DIGITS:
        raise LoraFileError(
            f"is damaged: its header has a number of {len(digits)} digits.",
            expected=f"at most {MOST_WHOLE_NUMBER_DIGITS} digits",
            found=str(len(digits)),
        )
    return int(digits)


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise LoraFileError(
            "is damaged: a name appears twice in its header.",
            expected="each name once",
            found="a name twice",
        )
    return found


def _impossible_header(beginning: bytes, length: int, size: int) -> LoraFileError:
    text = beginning.lstrip()
    for start, what in LOOKS_LIKE:
        if text.startswith(start):
            return LoraFileError(
                f"is not a safetensors file; it looks like {what}.",
                expected="a safetensors file",
                found=what,
            )
    return LoraFileError(
        f"is cut short or not a safetensors file: its header says {length} bytes, "
        f"the file has {size}.",
        expected=f"at least {LENGTH_BYTES + length} bytes",
        found=f"{size} bytes",
    )


def _stated_size(beginning: bytes) -> int | None:
    """Returns the size that the header asks for, if it can be read; only used in a message."""
    end = header_end(beginning)
    try:
        header = json.loads(beginning[LENGTH_BYTES:end], parse_int=_offset)
        ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        return end + max(ends)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return None
