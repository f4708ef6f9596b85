"""Our routes for the picker: all files at a glance, what a model is, and a file's video. They only
read."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from ..lora_core.errors import LoraError, LoraInputError
from ..lora_core.library import Glance, Listed, Overview, model_architecture
from ..lora_core.naming import kin_of
from ..lora_core.text import shortened
from .host import MODEL_KINDS, find_lora, find_model, listed_files
from .replies import NAME, parameter, refusal, reply, written

LIBRARY = "/lora_algebra/library"
MODEL = "/lora_algebra/model"
VIDEO = "/lora_algebra/video"

REQUESTS_AT_ONCE = 2
"""How many requests read from disk at the same time."""

KIND = re.compile("|".join(MODEL_KINDS))
CURSOR = re.compile(r"[0-9a-f]{1,32}-[0-9]{1,18}")
LONGEST_ERROR_CHARS = 2000

LARGEST_VIDEO_BYTES = 64 * 2**20
VIDEO_TYPES = {".mp4": "video/mp4", ".webm": "video/webm"}
VIDEO_HEADERS = {
    "Cache-Control": "private, max-age=300",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def overview_routes() -> dict[str, Handler]:
    """Returns the routes by their paths. They do not wait for hashes that are worked out."""
    overview = Overview()
    turns = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def library(request: web.Request) -> web.Response:
        try:
            since = parameter(request.query, "since", CURSOR, "")
        except LoraInputError as error:
            return refusal(error)
        async with turns:
            return reply(await asyncio.to_thread(_library, overview, since))

    async def model(request: web.Request) -> web.Response:
        try:
            kind = parameter(request.query, "kind", KIND)
            name = parameter(request.query, "name", NAME)
        except LoraInputError as error:
            return refusal(error)
        async with turns:
            return reply(await asyncio.to_thread(_about_model, kind, name))

    async def video(request: web.Request) -> web.StreamResponse:
        try:
            name = parameter(request.query, "name", NAME)
        except LoraInputError as error:
            return refusal(error)
        async with turns:
            return await asyncio.to_thread(_video, name)

    return {LIBRARY: library, MODEL: model, VIDEO: video}


def _library(overview: Overview, since: str) -> bytes:
    """Returns what is known of every listed file by now, whether that is all, and a cursor; or after
    the cursor ``since``, only what has become known after it.

    All files are told for a cursor of another run, too. Only an answer with ``since`` is in part.
    """
    news = overview.since(since) if since else None
    if news is not None:
        entries = [_entry(file, glance) for file, glance in news.seen]
        told = {"complete": news.complete, "cursor": news.cursor, "since": since}
        return written({**told, "files": entries})
    files = listed_files()
    cursor = overview.cursor  # before what is known is asked for, so that nothing falls between
    known = overview.known(files)
    entries = [_entry(file, glance) for file, glance in zip(files, known, strict=True)]
    return written({"complete": all(known), "cursor": cursor, "files": entries})


def _entry(file: Listed, glance: Glance | None) -> dict[str, object]:
    """Returns an entry of the list without what is empty: there may be thousands."""
    seen = glance or Glance()
    entry: dict[str, object] = {
        "name": file.name,
        "size": file.size,
        "modified": file.modified,
        "known": glance is not None,
    }
    more: dict[str, object] = {
        "folder": file.folder if file.has_picture or seen.has_cover else None,
        "video": bool(file.video),
        "architectures": seen.architectures,
        "base": seen.base,
        "tags": seen.tags,
    }
    if more["folder"] == 0:
        entry["folder"] = 0  # a number that only looks empty
    return entry | {key: value for key, value in more.items() if value}


def _about_model(kind: str, name: str) -> bytes:
    """Returns the architecture of a model, and those whose LoRAs may fit it; None and none if it is
    not known."""
    answer: dict[str, object] = {"name": name, "kind": kind, "architecture": None, "fits": []}
    try:
        found = model_architecture(find_model(kind, name))
    except LoraError as error:
        return written({**answer, "error": shortened(str(error), LONGEST_ERROR_CHARS)})
    return written(
        {**answer, "architecture": found, "fits": kin_of(found) if found else (), "error": None}
    )


def _video(name: str) -> web.StreamResponse:
    """Returns the video next to a listed file. It is sent in pieces, and in parts if these are asked
    for."""
    try:
        path = next((each.video for each in listed_files([find_lora(name).name])), "")
        status = os.lstat(path) if path else None
    except (LoraError, OSError):
        return web.Response(status=404)
    if status is None or not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_VIDEO_BYTES:
        return web.Response(status=404)
    kind = VIDEO_TYPES[Path(path).suffix.lower()]
    return web.FileResponse(path, headers={**VIDEO_HEADERS, "Content-Type": kind})
