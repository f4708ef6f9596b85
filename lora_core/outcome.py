"""What became of each file, as plain values for the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from .report import SHOWN_NAMES, LoraReport, PartReport, Report
from .text import printable, shortened

LONGEST_NAME: Final = 200


def outcomes_of(report: Report) -> list[dict[str, object]]:
    """One entry for each file, ready for JSON.

    A file is "applied", or "partial" where something of it that belongs to what is connected was
    not. ``warnings`` have a code for programs and a sentence for people.
    """
    return [_outcome(lora) for lora in report.loras]


def _outcome(lora: LoraReport) -> dict[str, object]:
    connected = [part for part in lora.parts if part.connected]
    applied = sum(part.applied for part in connected)
    found = sum(part.found for part in connected)
    return {
        "name": lora.name,
        "state": "partial" if lora.unknown or applied < found else "applied",
        "applied": applied,
        "found": found,
        "parts": [_part(part) for part in lora.parts],
        "unknown": len(lora.unknown),
        "first_unknown": _first_unknown(lora),
        "warnings": [{"code": code, "text": printable(text)} for code, text in _warnings(lora)],
        "base": lora.base,
        "model": lora.model,
    }


def _part(part: PartReport) -> dict[str, object]:
    return {name: value for name, value in asdict(part).items() if name != "varying"}


def _first_unknown(lora: LoraReport) -> list[str]:
    return [shortened(name, LONGEST_NAME) for name in lora.unknown[:SHOWN_NAMES]]


def _warnings(lora: LoraReport) -> Iterator[tuple[str, str]]:
    yield from _of_layers(lora)
    yield from _of_text(lora)
    if lora.disagrees:
        made_for = f"Its notes say it was made for {lora.disagrees}; the model is {lora.model}."
        yield "made_for_other", made_for
    if lora.scale_unread:
        yield "scale_unread", "Its notes on its scale cannot be read: taken as alpha = rank."


def _of_layers(lora: LoraReport) -> Iterator[tuple[str, str]]:
    if lora.unknown:
        names = ", ".join(_first_unknown(lora))
        more = ", …" if len(lora.unknown) > SHOWN_NAMES else ""
        text = f"{len(lora.unknown)} names in it are unknown and not applied: {names}{more}."
        yield "unknown_layers", text
    if lora.silent:
        yield "alpha_zero", f"Layers whose alpha is 0, so that they have no effect: {lora.silent}."


def _of_text(lora: LoraReport) -> Iterator[tuple[str, str]]:
    model, clip = (
        next(part for part in lora.parts if part.part == which) for which in ("model", "clip")
    )
    if not clip.strength:
        return
    if clip.found and not clip.connected:
        text = f"Layers of the text encoder, not applied, since no CLIP is connected: {clip.found}."
        yield "clip_not_connected", text
    if not clip.found and clip.strength != model.strength:
        text = f"It has nothing for a text encoder, so that {clip.strength:g} there has no effect."
        yield "no_clip_layers", text
