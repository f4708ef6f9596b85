"""Masks on the latent image, and on the places of tokens; masks that sum to 1 still do."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from ..errors import LoraInputError
from ..naming import Shape


def on_latent(values: torch.Tensor, size: Shape, images: int) -> torch.Tensor:
    """Returns a mask on the latent image, stretched over it and reduced by the averages of areas.

    Args:
        values: (N, H, W), one mask, or one for each image or frame.
        size: (h, w) or (frames, h, w) of the latent image.
        images: How many images there are.

    Returns:
        (1 or images, [frames,] h, w).

    Raises:
        LoraInputError: There are as many masks as neither images nor frames.
    """
    flat = functional.interpolate(values[:, None], size=size[-2:], mode="area")[:, 0]
    if len(size) == 2:
        return _for_images(flat, images)
    frames = size[0]
    if frames == 1:
        return _for_images(flat, images)[:, None]
    if len(flat) == 1:
        return flat[None].expand(1, frames, -1, -1)
    return _for_frames(flat, frames)[None]


def _for_images(masks: torch.Tensor, images: int) -> torch.Tensor:
    if len(masks) not in (1, images):
        raise _refused(len(masks), f"1 mask, or {images} for the images of the batch")
    return masks


def _for_frames(masks: torch.Tensor, frames: int) -> torch.Tensor:
    """Returns a mask for each latent frame; of a video's pixels, the first frame stands alone, and
    the others come in groups of 4, 6 or 8."""
    if len(masks) == frames:
        return masks
    stride, over = divmod(len(masks) - 1, frames - 1)
    if over or stride < 1:
        raise _refused(len(masks), f"1 mask, {frames} for the latent frames, or one for each frame")
    groups = masks[1:].view(frames - 1, stride, *masks.shape[1:])
    return torch.cat([masks[:1], groups.mean(1)])


def _refused(found: int, expected: str) -> LoraInputError:
    return LoraInputError(
        f"Mask LoRA has {found} masks. It needs {expected}.",
        key="mask",
        expected=expected,
        found=f"{found} masks",
    )


def on_tokens(mask: torch.Tensor, grid: Sequence[int]) -> torch.Tensor:
    """Returns a mask on fewer places.

    Models repeat the edge of a picture that does not divide into patches, so masks do as well.

    Args:
        mask: (B, [frames,] h, w).
        grid: ([frames,] rows, columns) of the places.

    Returns:
        (B, places).
    """
    have, want = tuple(mask.shape[-2:]), tuple(grid[-2:])
    flat = mask.reshape(-1, 1, *have)
    if have != want:
        patch = [-(-h // w) for h, w in zip(have, want, strict=True)]
        down, right = (w * p - h for h, w, p in zip(have, want, patch, strict=True))
        if 0 <= down < patch[0] and 0 <= right < patch[1]:
            edged = functional.pad(flat, (0, right, 0, down), mode="replicate")
            flat = functional.avg_pool2d(edged, patch)
        else:
            flat = functional.adaptive_avg_pool2d(flat, (want[0], want[1]))
    return flat.reshape(len(mask), -1)
