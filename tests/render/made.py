"""Entries of a journal, as a rendering leaves them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class File:
    node: str
    kind: str
    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    key: str
    index: int
    parameters: dict
    seeds: dict = field(default_factory=dict)
    prompt_sha256: str = ""
    files: tuple = ()
    models: dict = field(default_factory=dict)
    base: str = ""
    recipe: str = ""
    seconds: float | None = None
    started_at: str | None = None
    finished_at: str | None = None
    worker: str = ""
    attempts: int = 1
    status: str = "ok"
    error: str | None = None


def entry(index, parameters, *paths, **more):
    files = tuple(File("9", "image", path, 1, "00") for path in paths)
    return Entry(f"key {index}", index, parameters, files=files, **more)
