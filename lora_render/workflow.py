"""Reads a saved workflow: API JSON, the JSON that the page saves, or a picture that ComfyUI has saved."""

from __future__ import annotations

import importlib
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from lora_core.errors import LoraInputError

from .item import Prompt
from .ui_workflow import convert

PNG: Final = b"\x89PNG\r\n\x1a\n"
MOST_BYTES: Final = 64 * 2**20
"""How much JSON is read; a workflow of a thousand nodes has about one percent of it."""

KEYS: Final = ("prompt", "workflow")
"""What ComfyUI writes into pictures. The prompt is what has run, so it comes first."""

JsonObject = dict[str, Any]


def read_workflow(path: Path) -> JsonObject:
    """Returns the JSON of a workflow, as it is in the file.

    A picture (PNG, WebP or JPEG) has it in its notes: the prompt, or the page's workflow where there is no prompt.

    Raises:
        LoraInputError: The file cannot be read, or there is no workflow in it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise LoraInputError(
            "there is no such file.",
            file=path.name,
            key="workflow",
            expected="a workflow",
            found="nothing",
        ) from None
    except OSError as error:
        raise _no_workflow(path, "a file that can be read", error.strerror or str(error)) from None
    if data.startswith(PNG):
        return _of_picture(path, dict(_png_texts(data)))
    if data[:2] == b"\xff\xd8" or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        return _of_picture(path, dict(_exif_texts(path)))
    if len(data) > MOST_BYTES:
        raise _no_workflow(path, f"at most {MOST_BYTES} bytes", f"{len(data)}")
    try:
        return _object(path, data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise _no_workflow(path, "JSON or a picture", "something else") from None


def to_prompt(workflow: Mapping[str, Any], object_info: Mapping[str, Any]) -> Prompt:
    """Returns the prompt that a workflow means.

    Args:
        workflow: As ``read_workflow`` returns it.
        object_info: What the host says of its nodes; only asked for what the page has saved.

    Raises:
        LoraInputError: It is no workflow, or it cannot be converted exactly.
    """
    if isinstance(workflow.get("nodes"), list):
        return convert(workflow, object_info)
    wrapped = workflow.get("prompt")
    if isinstance(wrapped, Mapping) and "class_type" not in wrapped:
        workflow = cast("Mapping[str, Any]", wrapped)
    if not workflow:
        raise _no_prompt("nodes", "none")
    return {node: _entry(node, each) for node, each in workflow.items()}


def _entry(node: str, entry: Any) -> dict[str, Any]:
    """Returns what counts of a node; ComfyUI saves more with it, such as ``is_changed``."""
    fields: Mapping[str, Any] = (
        cast("Mapping[str, Any]", entry) if isinstance(entry, Mapping) else {}
    )
    kind, inputs = fields.get("class_type"), fields.get("inputs")
    if not isinstance(kind, str) or not isinstance(inputs, Mapping):
        raise _no_prompt(
            f'a node with "class_type" and "inputs" at "{node[:40]}"', str(cast(object, entry))[:40]
        )
    kept = {"inputs": dict(cast("Mapping[str, Any]", inputs)), "class_type": kind}
    return kept | ({"_meta": fields["_meta"]} if isinstance(fields.get("_meta"), Mapping) else {})


def _of_picture(path: Path, texts: Mapping[str, str]) -> JsonObject:
    for key in KEYS:
        if key in texts:
            return _object(path, texts[key])
    raise _no_workflow(path, "a picture with a workflow in it", "one without")


def _png_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Yields the texts of a PNG: plain (tEXt), compressed (zTXt) and in any language (iTXt)."""
    at = len(PNG)
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        name, _, rest = data[at + 8 : at + 8 + length].partition(b"\0")
        at += 12 + length
        key = name.decode("latin-1")
        if key not in KEYS:
            continue
        if kind == b"tEXt":
            yield key, rest.decode("latin-1")
        elif kind == b"zTXt":
            yield key, _inflated(rest[1:]).decode("latin-1")
        elif kind == b"iTXt":
            text = rest[2:].split(b"\0", 2)[-1]
            yield key, (_inflated(text) if rest[:1] == b"\1" else text).decode("utf-8", "replace")


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MOST_BYTES)
    except zlib.error:
        return b""


def _exif_texts(path: Path) -> Iterator[tuple[str, str]]:
    """Yields the texts that ComfyUI writes into the camera's fields: ``prompt:{…}`` and ``workflow:{…}``."""
    try:
        pictures: Any = importlib.import_module("PIL.Image")
    except ImportError:
        raise _no_workflow(path, "Pillow to read it (pip install pillow)", "none") from None
    try:
        with pictures.open(path) as picture:
            values: list[Any] = [*picture.getexif().values()]
    except (OSError, SyntaxError, pictures.DecompressionBombError) as error:
        raise _no_workflow(path, "a picture that can be read", str(error)) from None
    for value in values:
        key, colon, text = value.partition(":") if isinstance(value, str) else ("", "", "")
        if colon and key.lower() in KEYS:
            yield key.lower(), text


def _object(path: Path, text: str) -> JsonObject:
    try:
        # ComfyUI itself writes NaN; nothing that a node takes is one
        found = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise _no_workflow(path, "JSON", str(error)) from None
    if not isinstance(found, dict):
        raise _no_workflow(path, "an object with nodes", type(found).__name__)
    return cast("JsonObject", found)


def _no_workflow(path: Path, expected: str, found: str) -> LoraInputError:
    return LoraInputError(
        f"this is not a workflow: expected {expected}, found {found}",
        file=path.name,
        key="workflow",
        expected=expected,
        found=found,
    )


def _no_prompt(expected: str, found: str) -> LoraInputError:
    return LoraInputError(
        f"the workflow is not a prompt: expected {expected}, found {found}",
        key="workflow",
        expected=expected,
        found=found,
    )
