"""What one file does to some models at strength 1.

It is matched once and holds for every recipe with that file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from ..algebra import FileId
from ..reading import LoraFile
from .match import MatchedDelta, ModelView, match_file
from .report import LoraReport, report_match


@dataclass(frozen=True, slots=True, eq=False)
class FileMatch:
    """What one file does to some models at strength 1, found and checked.

    Nothing in it depends on strengths, so it holds for every recipe with that file.
    """

    file: LoraFile
    deltas: tuple[MatchedDelta, ...]
    report: LoraReport

    @classmethod
    def of(cls, file: LoraFile, models: Sequence[ModelView]) -> FileMatch:
        """Matches ``file``; LoraFileError or LoraMismatchError if it cannot be applied."""
        match = match_file(file, models)
        return cls(file, match.deltas, report_match(match))


FileMatches: TypeAlias = Mapping[FileId, FileMatch]

NONE_KNOWN: Final[FileMatches] = MappingProxyType({})
