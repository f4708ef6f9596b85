"""The picture of the README is what `make demo` makes, here in diffusers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools import picture

pytestmark = pytest.mark.thorough

SHOWN = Path(__file__).parents[2] / "docs" / "picture.png"


@pytest.mark.filterwarnings("ignore")
def test_diffusers_and_our_core_make_the_picture_of_the_readme(show):
    made = np.array(picture.draw(picture.by_diffusers())).astype(int)
    shown = np.array(Image.open(SHOWN)).astype(int)
    assert made.shape == shown.shape
    apart = np.abs(made - shown)
    show(
        f"picture by diffusers: bytes differ by at most {apart.max()}, {apart.mean():.4f} on average"
    )
    assert apart.mean() < 0.1
