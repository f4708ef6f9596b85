"""Inspects a LoRA file without any model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..naming import part_of
from ..reading import LoraFile, base_of_file, dialects_of, trainer_of
from ..text import printable
from .sidecars import read_sidecars
from .triggers import stated_words


@dataclass(frozen=True, slots=True)
class Summary:
    """What a file holds.

    Attributes:
        name: Name of the file.
        size: Its size in bytes.
        families: How many layers each family has.
        ranks: How many pairs each rank has.
        model: How many layers it has for the denoiser.
        clip: How many layers it has for the text encoders.
        parameters: How many numbers all layers have.
        unknown: Keys of no known spelling.
        base: The base model it seems to be made for.
        dialects: Whose names it uses for layers.
        trainer: The program that trained it, if its metadata says so.
        triggers: Words that a prompt should have, according to its metadata and the notes next to
            it.
        metadata: Its metadata.
    """

    name: str
    size: int
    families: dict[str, int]
    ranks: dict[int, int]
    model: int
    clip: int
    parameters: int
    unknown: tuple[str, ...]
    base: str | None
    dialects: tuple[str, ...]
    trainer: str | None
    triggers: tuple[str, ...]
    metadata: dict[str, str]

    def to_dict(self) -> dict[str, object]:
        """Returns the same as plain values, ready for JSON."""
        return {
            "name": self.name,
            "size": self.size,
            "families": self.families,
            "ranks": self.ranks,
            "model": self.model,
            "clip": self.clip,
            "parameters": self.parameters,
            "unknown": self.unknown,
            "base": self.base,
            "dialects": self.dialects,
            "trainer": self.trainer,
            "triggers": self.triggers,
            "metadata": self.metadata,
        }

    def __str__(self) -> str:
        rows = [
            ("size", f"{self.size:,} bytes, {self.parameters:,} parameters"),
            ("made for", self.base or "not known"),
            ("trainer", self.trainer or "not known"),
            ("triggers", ", ".join(self.triggers) or "none stated"),
            ("names", ", ".join(self.dialects)),
            ("layers", f"{self.model} of the model, {self.clip} of the text encoder"),
            ("families", _counted(self.families)),
            ("ranks", _counted(self.ranks) or "none"),
            ("unknown", f"{len(self.unknown)} tensors" if self.unknown else "nothing"),
            ("notes", ", ".join(sorted(self.metadata)) or "none"),
        ]
        lines = [self.name, *(f"    {name:9} {text}" for name, text in rows)]
        return printable("\n".join(lines))


def inspect_file(file: LoraFile) -> Summary:
    """Returns the summary of a file that has been read."""
    modules = file.modules
    deltas = [delta for module in modules.values() for delta in module.deltas]
    parts = Counter(part_of(name) for name in modules)
    return Summary(
        name=file.id.name,
        size=file.id.size,
        families=dict(Counter(f for module in modules.values() for f in module.families)),
        ranks=dict(sorted(Counter(d.rank for d in deltas if d.rank is not None).items())),
        model=parts["model"],
        clip=parts["clip"],
        parameters=sum(module.parameters for module in modules.values()),
        unknown=file.unknown,
        base=base_of_file(file),
        dialects=dialects_of(modules),
        trainer=trainer_of(file.metadata, file.notes),
        triggers=stated_words(file.metadata, read_sidecars(file.id.path).words),
        metadata=dict(file.metadata),
    )


def _counted(counts: dict[str, int] | dict[int, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items())
