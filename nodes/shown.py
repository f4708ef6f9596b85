"""What the page shows on a node that applies LoRAs."""

from __future__ import annotations

from ..lora_core.matching import Report, outcomes_of


class Shown:
    """What the page shows on the node.

    The host keeps these objects and sends them again when the node is not run, so the results of a
    run are written into them.
    """

    def __init__(self) -> None:
        self._loras: list[dict[str, object]] = []

    def of(self, report: Report) -> dict[str, object]:
        outcomes = outcomes_of(report)
        self._loras = self._loras or outcomes
        for known, new in zip(self._loras, outcomes, strict=True):
            known.update(new)
        return {"text": (str(report),), "loras": self._loras}
