"""What is in the files that a prompt names, so that a changed file is another item."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any, Final, cast

from lora_core.short_names import SUFFIX

MODELS: Final = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx")
PICTURES: Final = (
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".gif",
    ".mp4",
    ".webm",
    ".mov",
    ".wav",
    ".mp3",
    ".flac",
)
ENDINGS: Final = MODELS + PICTURES
NAMES: Final = frozenset(("name", "lora_name"))
"""Keys of rows whose files may be named without their ending."""

CHUNK: Final = 1 << 20


class Contents:
    """Finds files in folders by the names that prompts hold, and hashes each state of a file once."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Takes folders of models, such as ``models`` with ``loras`` in it, or ``loras`` itself, or ``input``."""
        self.folders = [place for folder in folders for place in _places(folder)]
        self._known: dict[tuple[Path, int, int], str] = {}

    def __call__(self, name: str) -> str | None:
        """Returns the SHA-256 of a file in hex, or None if no folder has it.

        Where several folders have one of that name, it is the hash of all of theirs: which one is meant depends on the node.
        """
        hashes = sorted({self._hash(path) for path in self._find(name)})
        if len(hashes) < 2:
            return hashes[0] if hashes else None
        return hashlib.sha256("".join(hashes).encode()).hexdigest()

    def _find(self, name: str) -> Iterator[Path]:
        parts = PureWindowsPath(name)
        if not name or parts.anchor or ".." in parts.parts or "\0" in name:
            return
        inner = parts.as_posix()
        for spelling in (inner, inner + SUFFIX):
            found = [path for folder in self.folders if (path := folder / spelling).is_file()]
            if found:
                yield from {path.resolve(): path for path in found}.values()
                return

    def _hash(self, path: Path) -> str:
        state = path.stat()
        key = (path, state.st_size, state.st_mtime_ns)
        if key not in self._known:
            self._known[key] = _sha256(path)
        return self._known[key]


def named_files(inputs: Mapping[str, Any]) -> Iterator[str]:
    """Yields what may be names of files among the inputs of a node, also inside of rows."""
    for value in inputs.values():
        yield from _names(value)


def _names(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, str):
        if value and (key in NAMES or value.lower().endswith(ENDINGS)):
            yield value
    elif isinstance(value, Mapping):
        for inner, each in cast("Mapping[str, Any]", value).items():
            yield from _names(each, inner)
    elif isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _names(each)


def _places(folder: Path) -> Iterator[Path]:
    yield folder
    if folder.is_dir():
        yield from sorted(each for each in folder.iterdir() if each.is_dir())


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
