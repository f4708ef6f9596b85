"""What a node sends to the page besides its outputs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

from comfy_execution.utils import get_executing_context
from server import PromptServer

from ..lora_core.errors import LoraError

REFUSED = "lora_algebra.refused"

EXECUTED = "executed"
"""The host's own event for a node's output, which the page accepts at any time."""


@contextmanager
def report_refusals() -> Generator[None]:
    """Sends one of our errors, with its fields, to the page that queued the prompt."""
    try:
        yield
    except LoraError as error:
        server = getattr(PromptServer, "instance", None)  # there is none in a script
        if server and server.client_id is not None:  # otherwise it would go to every page
            server.send_sync(REFUSED, _fields(error, server.last_node_id), server.client_id)
        raise


def report_later() -> Callable[[Mapping[str, object]], None]:
    """Returns a function that sends a new output of the running node to the page, in place of the
    earlier one."""
    context, server = get_executing_context(), getattr(PromptServer, "instance", None)
    shown = getattr(server, "last_node_id", None)

    def tell(output: Mapping[str, object]) -> None:
        now = get_executing_context()
        if context and now and server and server.client_id is not None:
            node = {"node": context.node_id, "display_node": shown or context.node_id}
            event = {**node, "output": output, "prompt_id": now.prompt_id}
            server.send_sync(EXECUTED, event, server.client_id)

    return tell


def _fields(error: LoraError, node: str | None) -> dict[str, str | None]:
    return {
        "node": node,
        "file": error.file,
        "message": str(error),
        "expected": error.expected,
        "found": error.found,
    }
