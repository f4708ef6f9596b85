"""Entries of a journal, as a rendering leaves them."""

from __future__ import annotations

from lora_render.journal import Entry, SavedFile


def entry(index, parameters, *paths, **more):
    files = tuple(SavedFile(path, 1, "00", "9", "image", path) for path in paths)
    known = {
        "seeds": (),
        "prompt_hash": "",
        "file_hashes": {},
        "base": "",
        "recipe": "",
        "status": "ok",
    }
    return Entry(f"key {index}", index, parameters, files=files, **known | more)
