"""A LoRA that is made of others by a method: a value like a file, and computed when it is needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..errors import LoraInputError
from ..strict_json import Json
from .file_id import FileId
from .json_fields import field_of, list_of
from .term import Term, normal

JSON_VERSION: Final = 6
"""The first version of a recipe's JSON form that has such values."""

_SCHEME: Final = "made:"


@dataclass(frozen=True, slots=True)
class Making:
    """How a LoRA is made of others.

    Attributes:
        method: The name of the method.
        parts: What it is made of, in an order that may matter: the terms of one recipe each.
        options: What the method is told, as text by name, sorted.

    Raises:
        LoraInputError: There is nothing to make it of, or a part varies over steps, images or
            places, of which a method knows nothing.
    """

    method: str
    parts: tuple[tuple[Term, ...], ...]
    options: tuple[tuple[str, str], ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(part for part in map(normal, self.parts) if part))
        object.__setattr__(self, "options", tuple(sorted(self.options)))
        if not self.parts:
            raise LoraInputError(
                f"There is no LoRA for {self.method}.",
                key="loras",
                expected="one LoRA or more",
                found="none",
            )
        _refuse_varying(self.method, [term for part in self.parts for term in part])

    def __str__(self) -> str:
        """Writes the method as a function of its parts, and of what it is told."""
        parts = [" + ".join(map(str, part)).replace("+ -", "- ") for part in self.parts]
        return f"{self.method}({', '.join([*parts, *(f'{k} {v}' for k, v in self.options)])})"

    def leaf(self) -> FileId:
        """Returns what stands for the result in a recipe, in the place of a file."""
        facts = [
            self.method,
            [list(option) for option in self.options],
            [[_identity(term) for term in part] for part in self.parts],
        ]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        return FileId(_SCHEME + digest, 0, 0, 0, str(self), made=self)

    def with_files(self, state: Callable[[FileId], FileId]) -> FileId:
        """Returns the leaf for the same method on the files that ``state`` gives."""
        parts = tuple(tuple(term.with_file(state) for term in part) for part in self.parts)
        return Making(self.method, parts, self.options).leaf()

    def to_json(self, written: Callable[[Term], Json]) -> dict[str, Json]:
        """Returns what ``read`` reads; ``written`` gives the JSON form of a term."""
        return {
            "method": self.method,
            "options": dict(self.options),
            "parts": [[written(term) for term in part] for part in self.parts],
        }

    @classmethod
    def read(cls, entry: Mapping[str, Json], term: Callable[[Json], Term]) -> Making:
        """Reads what ``to_json`` wrote; LoraInputError if it is anything else."""
        found = dict(entry)
        options = found.get("options")
        told = options if isinstance(options, dict) else {}
        parts = [_terms(part, term) for part in list_of(found, "parts")]
        return cls(
            field_of(found, "method", str),
            tuple(parts),
            tuple((name, field_of(told, name, str)) for name in told),
        )


def files_of(leaf: FileId) -> Iterator[FileId]:
    """Yields a file, or those that a leaf is made of."""
    if leaf.made is None:
        yield leaf
        return
    for part in leaf.made.parts:
        for term in part:
            yield from files_of(term.file)


def _terms(part: Json, term: Callable[[Json], Term]) -> tuple[Term, ...]:
    return tuple(term(entry) for entry in list_of({"parts": part}, "parts"))


def _identity(term: Term) -> list[str]:
    file = term.file
    return [
        *map(str, (file.path, file.mtime_ns, file.size, file.inode, file.config_mtime_ns)),
        str(term.strength_model),
        str(term.strength_clip),
        *(f"{strength} {json.dumps(known.identity())}" for known, strength in term.modulated),
    ]


def _refuse_varying(method: str, terms: Sequence[Term]) -> None:
    for term in terms:
        for modulation, _ in term.modulated:
            if modulation.needs_live:
                raise LoraInputError(
                    f"{term.file.name} is {modulation}, which {method} cannot look at. "
                    f"Put that behind {method} instead of before it.",
                    key="loras",
                    expected="strengths and block weights",
                    found=str(modulation),
                )
