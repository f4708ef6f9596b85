"""The workflow in a PNG, as ComfyUI writes it there."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from .item import Prompt

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
PROMPT: Final = b"prompt\0"


def with_prompt(content: bytes, prompt: Prompt) -> bytes:
    """Returns a PNG whose text ``prompt`` is ``prompt``, if it has such a text.

    No pixel changes, and no other chunk. Damaged and other files are returned as they are.
    """
    chunks = [*_chunks(content)]
    if _written(chunks) != content:
        return content
    text = PROMPT + json.dumps(prompt).encode("ascii")
    return _written((kind, text if _is_prompt(kind, body) else body) for kind, body in chunks)


def _is_prompt(kind: bytes, body: bytes) -> bool:
    return kind == b"tEXt" and body.startswith(PROMPT)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields kind and content of each chunk of a PNG."""
    at = len(SIGNATURE) if content.startswith(SIGNATURE) else len(content)
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        yield kind, content[at + 8 : at + 8 + length]
        at += 12 + length


def _written(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    return SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
