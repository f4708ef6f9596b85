"""What the host calls to get the nodes; nothing happens before."""

from __future__ import annotations

import re
from typing import Any

OLDEST_HOST = (0, 28, 0)
"""The oldest ComfyUI that the tests have run in."""


async def comfy_entrypoint() -> Any:
    """The extension with all nodes; ImportError with one clear sentence in a host too old."""
    refuse_old_host()
    from comfy_api.latest import ComfyExtension, io

    from .nodes import NODES
    from .nodes.routes import add_routes

    class LoraAlgebra(ComfyExtension):
        async def on_load(self) -> None:
            add_routes()

        async def get_node_list(self) -> list[type[io.ComfyNode]]:
            return NODES

    return LoraAlgebra()


def refuse_old_host() -> None:
    """ImportError if the running ComfyUI is older than the oldest known to work."""
    from comfyui_version import __version__ as version

    numbers = tuple(map(int, re.findall(r"\d+", version)[:3]))
    if numbers < OLDEST_HOST:
        oldest = ".".join(map(str, OLDEST_HOST))
        raise ImportError(f"LoRA Algebra needs ComfyUI {oldest} or newer; this is {version}.")
