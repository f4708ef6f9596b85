"""The kinds of models that a test runs on."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pytest

from harness.tiny_loras import KINDS

UNET = pytest.param("sd15", marks=pytest.mark.slow)
"""For what does not depend on the kind of layers: a UNet takes ten times as long as a transformer."""

QUICK = tuple(UNET if kind == "sd15" else kind for kind in KINDS)


def slow_but(quick: Collection[str], every: Iterable[str]) -> list[object]:
    """Returns all cases as parameters; those that are not among ``quick`` are slow."""
    slow = pytest.mark.slow
    return [each if each in quick else pytest.param(each, marks=slow) for each in every]
