"""What a node tells the page beside its outputs."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from server import PromptServer

from ..lora_core.errors import LoraError

REFUSED = "lora_algebra.refused"


@contextmanager
def refusals_told() -> Generator[None]:
    """Sends an error of ours, with its fields, to the page that queued the prompt."""
    try:
        yield
    except LoraError as error:
        server = getattr(PromptServer, "instance", None)  # there is none in a script
        if server and server.client_id is not None:  # else it would go to every page
            server.send_sync(REFUSED, _fields(error, server.last_node_id), server.client_id)
        raise


def _fields(error: LoraError, node: str | None) -> dict[str, str | None]:
    return {
        "node": node,
        "file": error.file,
        "message": str(error),
        "expected": error.expected,
        "found": error.found,
    }
