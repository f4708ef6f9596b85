"""What runs in an actor of Ray's: one ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .comfy import Comfy, Place
from .item import Job, Outcome
from .process import Own
from .server import WorkerGoneError


@dataclass(frozen=True, slots=True)
class Gone:
    """What a worker answers when its ComfyUI can't be used any more."""

    reason: str


class Worker:
    """What runs in an actor: one ComfyUI. It answers with values, since Ray rewrites what is raised."""

    def __init__(self, place: Place) -> None:
        self._comfy = Comfy(place)
        self._own = isinstance(place.at, Own)

    def ready(self) -> list[str] | Gone:
        """Waits until ComfyUI answers; returns the ids of the prompts that it has from earlier runs."""
        try:
            self._comfy.ready()
            return [] if self._own else self._comfy.holds()
        except WorkerGoneError as gone:
            return Gone(str(gone))

    def render(self, job: Job) -> Outcome | Gone:
        """Returns what became of a job."""
        try:
            return self._comfy.render(job)
        except WorkerGoneError as gone:
            return Gone(str(gone))

    def object_info(self) -> Mapping[str, Any] | Gone:
        """Returns the host's description of all nodes."""
        try:
            return self._comfy.object_info()
        except WorkerGoneError as gone:
            return Gone(str(gone))

    def stop(self) -> None:
        """Ends ComfyUI."""
        self._comfy.stop()
