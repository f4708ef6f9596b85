"""A worker in place of one with a ComfyUI: it does at once what the parameters of an item say."""

from __future__ import annotations

import os
import signal
import time

from lora_render.comfy import Place
from lora_render.item import Failure, Job, Outcome, Output
from lora_render.worker import Gone


class Painter:
    """``do`` is "paint" (also if missing), "fail", "sleep", "die" (its process ends), "leave" (it is gone for good)
    or "raise". With ``on`` it does that only as the worker of that name, and paints otherwise."""

    def __init__(self, place: Place) -> None:
        self._name = place.name

    def ready(self) -> list[str] | Gone:
        """Is ready at once, unless it is called "never"."""
        return Gone("it never starts") if self._name == "never" else []

    def object_info(self) -> dict[str, str] | Gone:
        """Says who was asked."""
        return {"asked": self._name, "pid": str(os.getpid())}

    def render(self, job: Job) -> Outcome | Gone:
        """Does what the job says."""
        asked = job.items[0].parameters
        do = asked.get("do", "paint") if asked.get("on", self._name) == self._name else "paint"
        if do == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if do == "leave":
            return Gone("it leaves")
        if do == "raise":
            raise ValueError("an error of ours")
        if do == "fail":
            return Outcome("error", failure=Failure("it fails"), worker=self._name)
        time.sleep(float(asked.get("seconds", 600 if do == "sleep" else 0)))
        pixels = tuple(Output("1", "images", "x.png", item.key.encode()) for item in job.items)
        return Outcome("ok", pixels, seconds=0.0, worker=self._name)

    def stop(self) -> None:
        """Has nothing to stop."""
