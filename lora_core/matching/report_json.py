"""What became of each file, as plain values for the page."""

from __future__ import annotations

from ..warning import first_names
from .report import LoraReport, PartReport, Report


def outcomes_of(report: Report) -> list[dict[str, object]]:
    """Returns one entry for each file, ready for JSON.

    A file is "applied", or "partial" if something of it that belongs to a connected part was not
    applied. ``warnings`` have a code for programs and a text for people, with the values that it is
    made of. ``side`` says which of two models, where that has to be said.
    """
    return [_outcome(lora) for lora in report.loras]


def _outcome(lora: LoraReport) -> dict[str, object]:
    connected = [part for part in lora.parts if part.connected]
    applied = sum(part.applied for part in connected)
    found = sum(part.found for part in connected)
    return {
        **({"side": lora.side} if lora.side else {}),
        "name": lora.name,
        "state": "partial" if lora.unknown or applied < found else "applied",
        "applied": applied,
        "found": found,
        "parts": [_part(part) for part in lora.parts],
        "unknown": len(lora.unknown),
        "first_unknown": first_names(lora.unknown),
        "warnings": [warning.to_dict() for warning in lora.warnings],
        "base": lora.base,
        "model": lora.model,
        "report": str(lora),
    }


def _part(part: PartReport) -> dict[str, object]:
    return {
        "part": part.part,
        "strength": part.strength,
        "found": part.found,
        "applied": part.applied,
        "connected": part.connected,
        "live": part.live,
        "through": part.through,
        "unused": part.unused,
    }
