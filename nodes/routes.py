"""Our routes, for the page: what is in a LoRA file, and those of ``overview``. They only read."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from aiohttp import web
from server import PromptServer

from ..lora_core.algebra import FileId
from ..lora_core.errors import LoraError, LoraInputError
from ..lora_core.library import Asked, Facts, block_sizes, close_names, facts_of, warnings_of
from ..lora_core.lists import PRESETS
from ..lora_core.reading import shared_cache
from ..lora_core.text import shortened
from .host import content_of, find_lora, lora_names, resolve_lora
from .overview import overview_routes
from .replies import NAME, parameter, refusal, reply, written

PATH = "/lora_algebra/lora"
LONGEST_ERROR_CHARS = 2000
LARGEST_ANSWER_BYTES = 64 * 1024
FEWER = (60, 30, 15, 5, 0)
"""How many words and notes an answer has, tried until it is small enough."""

FILES_AT_ONCE = 3
"""How many files are read at the same time; the host's own work shares the threads."""

HASH = re.compile(r"[0-9a-fA-F]{64}")
SIZE = re.compile(r"[0-9]{1,18}")
FLAG = re.compile(r"[01]")


def add_routes() -> None:
    """Adds the routes to the running server, unless another copy of the pack has done so.

    The host would not start with two of them.
    """
    server = getattr(PromptServer, "instance", None)  # there is none in a script
    if server is None or any(getattr(route, "path", None) == PATH for route in server.routes):
        return
    turns = asyncio.Semaphore(FILES_AT_ONCE)

    async def lora(request: web.Request) -> web.Response:
        try:
            question = _question(request.query)
        except LoraInputError as error:
            return refusal(error)
        async with turns:  # a slow disk must not block the event loop or all threads
            return reply(await asyncio.to_thread(_answer_about, question))

    for path, handler in {PATH: lora, **overview_routes()}.items():
        server.routes.get(path)(handler)


@dataclass(frozen=True, slots=True)
class _Question:
    """What the page wants to know.

    Attributes:
        asked: The file that is asked for.
        content: Whether its content's hash is wanted,
        blocks: and how much it changes in each block. Both take the whole file.
    """

    asked: Asked
    content: bool
    blocks: bool


def _question(query: Any) -> _Question:
    """Returns what is asked.

    Raises:
        LoraInputError: A parameter is missing, given twice, too long, or in the wrong format.
    """
    name = parameter(query, "name", NAME)
    hash_, size = parameter(query, "hash", HASH, ""), parameter(query, "size", SIZE, "")
    content, blocks = (parameter(query, key, FLAG, "0") == "1" for key in ("content", "blocks"))
    asked = Asked(name, hash_.lower() or None, int(size) if size else None)
    return _Question(asked, content, blocks)


def _answer_about(question: _Question) -> bytes:
    """Returns the answer about a file; an error with it is part of the answer."""
    asked = question.asked
    answer: dict[str, Any] = dict.fromkeys(("name", "how", "facts", "error"))
    answer |= {"asked": asked.name, "close": [], "warnings": []}
    if question.blocks:
        answer |= {"blocks": [], "presets": dict(PRESETS)}
    try:
        found = resolve_lora(asked)
        answer |= {"name": found.name, "how": found.how}
        answer["warnings"] = [warning.to_dict() for warning in warnings_of(asked, found)]
        file = find_lora(found.name)
        facts = _facts(file, question.content)
        if question.blocks and not facts.error:
            answer["blocks"] = [each.to_dict() for each in block_sizes(shared_cache.read(file))]
    except LoraError as error:
        close = [] if answer["name"] else close_names(asked.name, lora_names())
        return written(
            {**answer, "close": close, "error": shortened(str(error), LONGEST_ERROR_CHARS)}
        )
    return _fitting({**answer, "error": facts.error}, facts)


def _facts(file: FileId, content: bool) -> Facts:
    facts = facts_of(file)
    if not content:
        return facts
    try:
        return replace(facts, hash=content_of(file))
    except LoraError as error:
        return replace(facts, error=facts.error or str(error))


def _fitting(answer: Mapping[str, object], facts: Facts) -> bytes:
    """Returns the answer with as many words and notes as there is room for."""
    bodies = (written({**answer, "facts": _fewer(facts, most).to_dict()}) for most in FEWER)
    return next((body for body in bodies if len(body) <= LARGEST_ANSWER_BYTES), None) or written(
        answer
    )


def _fewer(facts: Facts, most: int) -> Facts:
    return replace(
        facts,
        triggers=facts.triggers[:most],
        stated_triggers=facts.stated_triggers[:most],
        metadata=dict(islice((facts.metadata or {}).items(), most)),
    )
