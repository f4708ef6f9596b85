"""The arithmetic of merging: one read and one write of a weight for a whole stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from ..families import CHUNK_ENTRIES, sum_type
from ..naming import Shape
from .fuse import Patch, resolved

Piece = tuple[Patch, slice, slice]
"""A patch, the rows that it changes of some rows of the weight, and its own rows for them."""


def wider_shape(patches: Sequence[Patch]) -> Shape | None:
    """Returns the shape that the weight will have after ``patches``; None if it keeps its own."""
    replaced = next((patch.shape for patch in patches if patch.shape is not None), None)
    if replaced is not None:
        return replaced
    wider = [(len(patch.ups[0]), patch.width) for patch in patches if patch.width is not None]
    return max(wider, default=None)


def merged(weight: torch.Tensor, patches: Sequence[Patch], strength: float = 1.0) -> torch.Tensor:
    """Returns ``weight`` with strength · (what ``patches`` do) added, in place; a new one if it
    gets wider.

    New inputs start from zero. A patch that widens is a plain pair, which does not look at the
    weight. A weight of another shape replaces all of it, at the strength of 1 that
    ``check_replaced`` demands.
    """
    shape = wider_shape(patches)
    if shape is None:
        merge_(weight, patches, strength)
        return weight
    replacing = [patch.dense for patch in patches if patch.shape is not None]
    if replacing and replacing[0] is not None:
        return replacing[0].to(device=weight.device, dtype=weight.dtype).view(shape).clone()
    sums = weight.to(sum_type(weight.dtype))
    wider = torch.nn.functional.pad(sums, (0, shape[1] - weight.shape[1]))
    merge_(wider[:, : weight.shape[1]], [p for p in patches if p.width is None], strength)
    for patch in patches:
        if patch.width is not None:
            merge_(wider[:, : patch.width], [patch], strength)
    return wider.to(weight.dtype)


def merge_(weight: torch.Tensor, patches: Sequence[Patch], strength: float = 1.0) -> None:
    """Adds strength · (what ``patches`` do) to ``weight``, in place, with a single rounding.

    Every patch is resolved on the incoming weight. Weights smaller than float32 are summed in
    float32, a chunk of rows at a time.
    """
    rows = weight if weight.ndim else weight.view(1)
    wide = sum_type(weight.dtype)
    against = [resolved(p, rows if p.rows is None else rows.narrow(0, *p.rows)) for p in patches]
    ready = [_folded(patch, strength, weight.device, wide) for patch in against]
    whole = wide == weight.dtype and all(patch.column is None for patch in ready)
    step = len(rows) if whole else max(1, CHUNK_ENTRIES * len(rows) // max(1, rows.numel()))
    for start in range(0, len(rows), max(1, step)):
        chunk = rows[start : start + step]
        sums = chunk.to(wide)
        _merge_rows(sums, start, ready, strength)
        if sums is not chunk:
            chunk.copy_(sums)


def _folded(patch: Patch, strength: float, device: torch.device, dtype: torch.dtype) -> Patch:
    """Returns the same patch with gate and ``strength`` in its one up, joined, moved and cast once
    for all chunks."""
    if patch.gate is None:
        return patch
    up = _side_by_side(patch.ups, 1, device, dtype)
    down = _side_by_side(patch.downs, 0, device, dtype)
    gate = patch.gate.to(up) * strength
    return replace(patch, ups=(up * gate,), gate=None, downs=(down,))


def _side_by_side(
    tensors: Sequence[torch.Tensor], dim: int, device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    """Joins the factors while they are small: half the bytes, and one transfer for all of them."""
    if len({(tensor.device, tensor.dtype) for tensor in tensors}) > 1:
        tensors = [tensor.to(device=device, dtype=dtype) for tensor in tensors]
    joined = tensors[0] if len(tensors) == 1 else torch.cat(list(tensors), dim)
    return joined.to(device=device, dtype=dtype)


def _merge_rows(
    weight: torch.Tensor, start: int, patches: Sequence[Patch], strength: float
) -> None:
    """Merges into the rows of a weight, beginning at ``start``."""
    pieces: list[Piece] = [
        (patch, *piece)
        for patch in patches
        if (piece := _overlap(patch, start, len(weight))) is not None
    ]
    _keep(weight, pieces, strength)
    for patch, here, own in pieces:
        _add(weight[here], patch, own, strength)


def _overlap(patch: Patch, start: int, length: int) -> tuple[slice, slice] | None:
    """Returns which of ``length`` rows of the weight from ``start`` on a patch changes, and its own
    rows for them; None if it changes none of them."""
    begin, count = patch.rows if patch.rows else (0, start + length)
    first, last = max(begin, start), min(begin + count, start + length)
    if first >= last:
        return None
    return slice(first - start, last - start), slice(first - begin, last - begin)


def _keep(weight: torch.Tensor, pieces: Sequence[Piece], strength: float) -> None:
    """Scales each entry by 1 + strength · Σ (the patches' factors on the weight itself)."""
    if all(p.keep == 1.0 and p.row is None and p.column is None for p, *_ in pieces):
        return
    columns = any(patch.column is not None for patch, *_ in pieces)
    width = weight[0].numel() if columns else 1
    factor = torch.ones((len(weight), width), dtype=weight.dtype, device=weight.device)
    for patch, here, own in pieces:
        share = factor[here]
        share += strength * (patch.keep - 1.0)
        if patch.row is not None:
            share += strength * patch.row[own, None].to(share)
        if patch.column is not None:
            share += strength * _spread(patch.column, width).to(share)
    weight.mul_(factor.view(weight.shape if columns else (-1, *[1] * (weight.ndim - 1))))


def _spread(column: torch.Tensor, width: int) -> torch.Tensor:
    """Repeats factors for inputs at every place of their kernels."""
    return column.repeat_interleave(width // len(column))


def _add(part: torch.Tensor, patch: Patch, own: slice, strength: float) -> None:
    """Adds a folded patch to rows of a weight."""
    for up, down in zip(patch.ups, patch.downs, strict=True):
        if part.is_contiguous():
            part.view(len(part), -1).addmm_(up[own], down)
        else:
            part.add_((up[own] @ down).view(part.shape))
    if patch.dense is not None:
        dense = patch.dense[own].to(device=part.device, dtype=part.dtype)
        part.add_(dense.reshape(part.shape), alpha=strength)
