"""A node pack of one node, for the tiny model only: link this folder into custom_nodes."""

from __future__ import annotations

from typing import Any


async def comfy_entrypoint() -> Any:
    from .node import TinyExtension

    return TinyExtension()
