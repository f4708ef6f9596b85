"""Shows the page how far a work is, and ends it when somebody interrupts."""

from __future__ import annotations

import comfy.model_management
import comfy.utils

from ...lora_core.matching import Progress


def shown_progress() -> Progress:
    """Returns what shows the progress of the node that runs now, and raises the host's exception if
    somebody interrupts it."""
    bar = comfy.utils.ProgressBar(1)

    def step(done: int, total: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, total)

    return step
