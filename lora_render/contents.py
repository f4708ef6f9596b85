"""What is in the files that a prompt names, so that a changed file is another item."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any, Final, cast

from lora_core.library import folded
from lora_core.short_names import base_name

MODELS: Final = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx")

A_FILE: Final = re.compile(r"[^\n]{1,1000}\.\w{1,12}")
"""What may be a file by its ending: nodes read pictures, videos, sounds and latents of many kinds."""

NAMED: Final = re.compile(r"(?:.+_)?name")
"""Inputs, and keys of rows, that name a file, perhaps without its ending: ``name``, ``lora_name``."""

IN_TEXT: Final = re.compile(
    r'<\s*(?:lora|lyco)\s*:\s*(?:"([^"<>]*)"|([^:<>"]*))|embedding:([^\s:,()\[\]<>|]+)',
    re.IGNORECASE,
)
"""What names a file in a text: a tag of a LoRA, or ComfyUI's word for an embedding."""

FILES: Final = "files"
"""An input of **Sweep LoRA**, with a name, a folder (``styles/``) or a pattern (``ink-*``) on each line."""

ROWS: Final = "rows"
"""The input of **LoRA Rows**, which scripts may give as text."""

MARK: Final = re.compile(r"\s*\[(?:input|output|temp)\]$")
"""What ComfyUI writes behind the name of a picture, to say in which of its folders it is."""

CHUNK: Final = 1 << 20


class Contents:
    """Finds files in folders by the names that prompts hold, and hashes each state of a file once.

    Which files there are is looked up once.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        """Takes folders of models, such as ``models`` with ``loras`` in it, or ``loras`` itself, or ``input``."""
        self.folders = folders
        self._known: dict[tuple[Path, int, int], str] = {}

    def __call__(self, name: str) -> str | None:
        """Returns the SHA-256 of a file in hex, or None if no folder has it.

        Where several files are of that name, it is the hash of all of theirs: which one is meant depends on the
        node. A folder or a pattern means all its files.
        """
        found = {path.resolve(): path for path in self._find(name)}
        hashes = sorted({*filter(None, map(self._known_hash, found.values()))})
        if len(hashes) < 2:
            return hashes[0] if hashes else None
        return hashlib.sha256("".join(hashes).encode()).hexdigest()

    def _known_hash(self, path: Path) -> str | None:
        """Returns the hash of a file; None for a link that leads nowhere, and for what we may not read."""
        with contextlib.suppress(OSError):
            return self._hash(path)
        return None

    def _find(self, name: str) -> Sequence[Path]:
        """Returns the files of a name, as hosts spell it or without its folder and ending."""
        name = self._below(name)
        parts = PureWindowsPath(name)
        if parts.anchor or ".." in parts.parts:
            return ()
        asked = folded(name)
        if asked.endswith("/") or "*" in asked or "?" in asked:
            return self._alike(asked)
        return self._names.get(asked) or self._names.get(base_name(asked)) or ()

    def _below(self, name: str) -> str:
        """Returns a whole path as that below one of the folders."""
        folders = [folder.absolute() for folder in self.folders]
        inside = (folder for folder in folders if Path(name).is_relative_to(folder))
        folder = next(inside, None)
        return Path(name).relative_to(folder).as_posix() if folder else name

    def _alike(self, asked: str) -> list[Path]:
        pattern = re.escape(asked).replace(r"\*", ".*").replace(r"\?", ".")
        meant = re.compile(pattern + ".*" * asked.endswith("/"))
        found = (paths for name, paths in self._names.items() if meant.fullmatch(name))
        return [path for paths in found for path in paths]

    @functools.cached_property
    def _names(self) -> Mapping[str, Sequence[Path]]:
        """All names that files may have: below a folder or one of its own folders, or bare; also without ending."""
        found: defaultdict[str, list[Path]] = defaultdict(list)
        for folder in self.folders:
            for path in _files(folder):
                below = path.relative_to(folder)
                for place in {below, Path(*below.parts[1:]) if below.parts[1:] else below}:
                    for spelling in _spellings(folded(place.as_posix())):
                        found[spelling].append(path)
        return found

    def _hash(self, path: Path) -> str:
        state = path.stat()
        key = (path, state.st_size, state.st_mtime_ns)
        if key not in self._known:
            self._known[key] = _sha256(path)
        return self._known[key]


def named_files(inputs: Mapping[str, Any]) -> Iterator[str]:
    """Yields what may be names of files among the inputs of a node, also inside of rows and texts."""
    for name, value in inputs.items():
        yield from _names(value, name)


def _names(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, str):
        yield from _in_text(value, key)
    elif isinstance(value, Mapping):
        for inner, each in cast("Mapping[str, Any]", value).items():
            yield from _names(each, inner)
    elif isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _names(each, key)


def _in_text(text: str, key: str) -> Iterator[str]:
    text = MARK.sub("", text)
    if key == FILES:
        yield from filter(None, map(str.strip, text.splitlines()))
    elif key == ROWS and (rows := _rows(text)):
        yield from _names(rows, key)
    elif text and (NAMED.fullmatch(key) or A_FILE.fullmatch(text)):
        yield text
    for match in IN_TEXT.finditer(text):
        yield from (name.strip() for name in match.groups() if name and name.strip())


def _rows(text: str) -> Any:
    """Returns the rows that a text holds, None if it is another text."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text)
    return None


def _spellings(name: str) -> set[str]:
    """Returns a folded name, the same without its folders, and both without the ending of a model."""
    whole = {name, base_name(name)}
    ending = next((ending for ending in MODELS if name.endswith(ending)), "")
    return whole | {each.removesuffix(ending) for each in whole}


def _files(folder: Path) -> Iterator[Path]:
    """Yields all files below a folder. Links are followed, but no folder is entered twice."""
    entered: set[str] = set()
    for place, inner, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in entered:
            inner.clear()
            continue
        entered.add(real)
        yield from (Path(place, name) for name in names)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
