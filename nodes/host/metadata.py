"""Puts a LoRA's metadata on the model, where the host's own loaders leave it for later nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ...lora_core.formats import FACTOR
from ...lora_core.matching import Plan, Report
from ...lora_core.reading import LoraFile

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

METADATA: Final = "lora_metadata"


def carried(files: Iterable[LoraFile]) -> LoraFile | None:
    """Returns the file whose metadata a model carries; None if no file has any.

    In the host's chain the last loader wins. A recipe has no order, so an IC-LoRA wins, whose
    metadata is the only one that a node of the host reads, and otherwise the last one by name.
    """
    noted = sorted((f for f in files if f.metadata), key=lambda file: file.id)
    return max(noted, key=lambda file: (is_ic_lora(file), file.id), default=None)


def is_ic_lora(file: LoraFile) -> bool:
    """Tells whether metadata says how much smaller its reference pictures are."""
    return any(key.endswith(FACTOR) for key in file.metadata)


def carry(clone: ModelPatcher, files: Iterable[LoraFile]) -> object:
    """Puts the metadata on a clone; returns what was there before, for ``restore``."""
    before = clone.get_attachment(METADATA)
    file = carried(files)
    if file is not None:
        clone.set_attachments(METADATA, dict(file.metadata))
    return before


def restore(clone: ModelPatcher, before: object) -> None:
    """Restores what a clone carried before."""
    clone.remove_attachments(METADATA)
    if isinstance(before, Mapping):
        clone.set_attachments(METADATA, before)


def said_of_carried(plan: Plan) -> Report:
    """Returns a plan's report, which says whose metadata later nodes will read if several files
    have some."""
    file = carried(plan.files)
    if file is None or not is_ic_lora(file) or len(plan.files) == 1:
        return plan.report
    loras = zip(plan.files, plan.report.loras, strict=True)
    return Report(tuple(replace(lora, carried=own is file) for own, lora in loras))
