"""What our routes have in common: how they read a question, and how they answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from ..lora_core.errors import LoraInputError

LONGEST_NAME_CHARS = 4096
NAME = re.compile(r".+", re.DOTALL)

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def parameter(query: Any, key: str, form: re.Pattern[str], default: str | None = None) -> str:
    """Returns a parameter of a question.

    Raises:
        LoraInputError: It is missing, given twice, too long, or in the wrong format.
    """
    values: list[str] = query.getall(key, [] if default is None else [default])
    if len(values) != 1:
        raise LoraInputError(f"{key} must be given exactly once.", key=key)
    value = values[0]
    if value != default and (len(value) > LONGEST_NAME_CHARS or not form.fullmatch(value)):
        raise LoraInputError(f"{key} is not in the right format.", key=key)
    return value


def written(answer: Mapping[str, object]) -> bytes:
    """Writes JSON; a name that is not valid text, as some systems allow, gets marks in it."""
    return json.dumps(answer, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def reply(body: bytes, status: int = 200) -> web.Response:
    """Answers in JSON."""
    return web.Response(
        body=body, status=status, headers=HEADERS, content_type="application/json", charset="utf-8"
    )


def refusal(error: LoraInputError) -> web.Response:
    """Answers a question that is wrong."""
    return reply(written({"error": error.message}), 400)
