"""What the page shows on a node that applies LoRAs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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


class ShownOfTwo:
    """The same for a node that applies to two models: one report, in the order of a list.

    Either model may have more to say in a run.
    """

    def __init__(self, names: Sequence[str], tell: Callable[[Mapping[str, object]], None]) -> None:
        self._names, self._tell, self._shown = names, tell, Shown()
        self._reports: dict[str, Report] = {}

    def add(self, side: str, report: Report) -> None:
        self._reports[side] = report.on(side)

    def later(self, side: str, report: Report) -> None:
        """Takes what a run has shown, and tells the page."""
        self.add(side, report)
        self._tell(self.shown())

    @property
    def report(self) -> Report:
        loras = (lora for report in self._reports.values() for lora in report.loras)
        return Report(tuple(loras)).in_order(self._names)

    def shown(self) -> dict[str, object]:
        return self._shown.of(self.report)
