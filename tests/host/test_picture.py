"""The picture of the README is what `make demo` makes, here in ComfyUI."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from examples.tiny import in_host
from tests.core.test_picture import SHOWN
from tools import picture


@pytest.mark.slow
def test_comfyui_makes_the_picture_of_the_readme(host_install, tmp_path, show):
    with in_host.start(host_install, tmp_path) as host:
        images, seconds = picture.timed(lambda: picture.by_host(host))
    made = np.array(picture.draw(images)).astype(int)
    apart = np.abs(made - np.array(Image.open(SHOWN)).astype(int))
    show(
        f"picture by ComfyUI: bytes differ by at most {apart.max()}, {apart.mean():.4f} on average; "
        f"{seconds:.2f} s an image"
    )
    assert apart.mean() < 0.1
