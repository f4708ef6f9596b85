"""What a new file says about itself, for the trainers, hosts and sites that read such notes."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Final

from ..algebra import FileId, Recipe
from ..formats import reference_notes
from ..library import stated_triggers
from ..naming import architecture_named
from ..reading import LoraFile, shared_hashes

RECIPE: Final = "lora_algebra.recipe"
"""The recipe, in our own JSON, with names in the place of paths."""

PARTS: Final = "lora_algebra.parts"
"""What the file was made of: names and hashes of the contents (AutoV3)."""

ERROR: Final = "lora_algebra.error"
"""‖file − recipe‖ / ‖recipe‖ over all layers, as it was measured."""

_BASES: Final = ("ss_base_model_version", "modelspec.architecture", "modelspec.implementation")
"""Notes that are kept where all parts agree."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of the files that a new one is made of.

    Attributes:
        name: Its base name.
        autov3: The hash of its content.
        triggers: The words that it states.
    """

    name: str
    autov3: str
    triggers: tuple[str, ...]

    @classmethod
    def of(cls, file: FileId) -> Part:
        """Reads what a file is called, holds and states."""
        return cls(file.label, shared_hashes.of(file), stated_triggers(file))


def metadata_of(
    recipe: Recipe,
    files: Sequence[LoraFile],
    ranks: Collection[int],
    base: str | None,
    title: str,
) -> dict[str, str]:
    """Returns the metadata of a new file, without the error.

    Args:
        recipe: What it holds.
        files: The files of the recipe.
        ranks: Those of the pairs in the new file.
        base: What the model is, if that is known.
        title: What people call the new file.
    """
    parts = [Part.of(file.id) for file in files]
    words = list(dict.fromkeys(word for part in parts for word in part.triggers))
    return {
        "format": "pt",
        **_agreed([file.metadata for file in files], base),
        "ss_network_module": "networks.lora",
        **sizes(ranks),
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.title": title,
        "modelspec.date": datetime.now(timezone.utc).replace(microsecond=0).isoformat(),
        "modelspec.merged_from": ", ".join(part.name for part in parts),
        **({"modelspec.trigger_phrase": ", ".join(words)} if words else {}),
        RECIPE: recipe.with_files(_without_path).to_json(),
        PARTS: json.dumps([{"name": part.name, "autov3": part.autov3} for part in parts]),
    }


def _agreed(notes: Sequence[Mapping[str, str]], base: str | None) -> dict[str, str]:
    """Returns what all files say about their base model, or the model's own word for it."""
    said = {key: {note.get(key) for note in notes} for key in _BASES}
    agreed = {key: values.pop() for key, values in said.items() if len(values) == 1}
    stated = architecture_named(base).stated[:1]
    ours = {_BASES[0]: stated[0]} if stated else {}
    kept = {key: value for key, value in agreed.items() if value}
    return ours | kept | reference_notes(notes)


def sizes(ranks: Collection[int]) -> dict[str, str]:
    """Returns rank and alpha, or "Dynamic" as resized files say it."""
    size = str(next(iter(ranks))) if len(ranks) == 1 else "Dynamic"
    return {"ss_network_dim": size, "ss_network_alpha": size}


def _without_path(file: FileId) -> FileId:
    """Returns a file as one on another computer can know it: by its name, and by its content where two
    have the same name."""
    path = f"{file.label} {shared_hashes.of(file)}"
    return replace(file, path=path, mtime_ns=0, inode=0, config_mtime_ns=0, name=file.label)
