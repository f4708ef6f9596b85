"""Finding images in images, to the last bit."""

from __future__ import annotations

import torch
from torch import Tensor


def places(whole: Tensor, part: Tensor) -> list[tuple[int, int]]:
    """Where ``part`` lies in ``whole``, both (height, width, channels): all (x, y) of its corner."""
    height, width = part.shape[:2]
    rows = whole.shape[0] - height + 1, whole.shape[1] - width + 1
    begins = (whole[: rows[0], : rows[1]] == part[0, 0]).all(-1).nonzero().tolist()
    return [(x, y) for y, x in begins if torch.equal(whole[y : y + height, x : x + width], part)]
