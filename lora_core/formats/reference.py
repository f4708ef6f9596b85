"""What an IC-LoRA says of its reference pictures, which later nodes of the host look for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

FACTOR: Final = "reference_downscale_factor"
"""What "Get IC-LoRA Parameters" reads: in 0.28 by this name, in 0.33 by the end of a name."""


def reference_notes(notes: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Returns what metadata says of reference pictures, if all that say something agree."""
    said = [{key: value for key, value in own.items() if key.endswith(FACTOR)} for own in notes]
    different = {tuple(sorted(own.items())) for own in said if own}
    return dict(different.pop()) if len(different) == 1 else {}
