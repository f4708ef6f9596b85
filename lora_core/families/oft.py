"""OFT (Qiu et al. 2023, arXiv:2306.07280) and BOFT (Liu et al. 2024, arXiv:2311.06243), of LyCORIS,
kohya, peft and OneTrainer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch

from .delta import Delta, shape_text
from .family import Family, Form, Scalar
from .finite import largest_magnitude
from .linear_algebra import norm
from .rotation import EXACT, Rotation, halves_apart, strided
from .source import Source, wide

KOHYA_PREFIX: Final = "oft_"
"""How kohya's names for an OFT's modules begin."""

DOUBLED_UNTIL: Final = (0, 18)
"""The version from which peft no longer doubles the last term of its series."""

MOST_TERMS: Final = 64

LARGEST_TURN: Final = 2.0**20
"""The largest entry of Q, times the size of its block.

At this limit, blocks of 2 turn by all but 2 millionths of half a circle, and R = (I + Q) · (I -
Q)⁻¹ can be solved for with digits to spare.
"""

NORM_EPS: Final = 1e-8
"""What LyCORIS and kohya add to a norm."""


def has_stages(source: Source) -> bool:
    """Tells whether LyCORIS' blocks are BOFT's."""
    return source["oft_blocks"].ndim == 4


def read_blocks(source: Source) -> Sequence[Delta]:
    """Reads LyCORIS' and kohya's rescale · Rᵀ · W with blocks (n, b, b), and BOFT's R · W with stages of
    blocks (m, n, b, b).

    Q is X - Xᵀ of each block X. alpha is what |Q| may be at most, in units of the outputs; rescale has
    one number for each output.
    """
    blocks = source["oft_blocks"]
    if blocks.ndim not in (3, 4) or blocks.shape[-1] != blocks.shape[-2] or not blocks.numel():
        found = shape_text(blocks)
        raise source.refuse(
            f": not blocks of rotations: {found}.", expected="(blocks, size, size)", found=found
        )
    skews = blocks.double() - blocks.double().mT
    skews = _bounded(source, skews * _shrinking(source, skews), blocks)
    rescale = source.get("rescale")
    factors = None if rescale is None else rescale.flatten()
    if blocks.ndim == 3:
        return (Rotation(skews.mT[None], False, factors),)
    _check_butterfly(source, blocks)
    return (Rotation(skews, False, factors, strided),)


def _shrinking(source: Source, skews: torch.Tensor) -> torch.Tensor | float:
    """Returns the factor on Q that keeps to the constraint.

    An alpha of 0 is no constraint to LyCORIS, and the tightest one to kohya.
    """
    alpha = source.number("alpha")
    of_kohya = source.name.startswith(KOHYA_PREFIX)
    if alpha is None or (alpha <= 0 and not of_kohya):
        return 1.0
    most = alpha * skews.shape[-1] * skews.shape[-3]
    size = norm(skews)
    if of_kohya:
        return (size.clamp(max=most) + NORM_EPS) / (size + NORM_EPS)
    return torch.where(size + NORM_EPS > most, most / (size + NORM_EPS), 1.0)


def read_triangles(source: Source) -> Sequence[Delta]:
    """Reads peft's and OneTrainer's W · Rᵀ, Q as the upper triangles of its blocks (n, b · (b - 1) / 2).

    One triangle for a wider layer stands for all blocks. OneTrainer multiplies by R itself for
    convolutions, and divides Q where a marker says so.
    """
    flat = source["oft_R"]
    size = (1 + math.isqrt(1 + 8 * flat.shape[-1])) // 2 if flat.ndim == 2 else 0
    if size < 2 or not len(flat) or size * (size - 1) // 2 != flat.shape[1]:
        found = shape_text(flat)
        raise source.refuse(
            f": not triangles of rotations: {found}.",
            expected="(blocks, size · (size - 1) / 2)",
            found=found,
        )
    skews = _skew(flat.double(), size)
    marker = source.get("scaled_oft")
    shared = len(flat) == 1
    if marker is not None or source.settings.one_trainer:
        skews = _bounded(source, skews / _divisor(marker, size), flat)
        return (Rotation(skews[None], True, terms=5, shared=shared, back_in_kernels=True),)
    skews = _bounded(source, _projected(source, skews), flat)
    terms = _terms(source)
    if terms == EXACT:  # this turns in the opposite direction to peft's series
        return (Rotation(-skews[None], True, shared=shared),)
    last = 2 if source.settings.is_before(DOUBLED_UNTIL) else 1
    return (Rotation(skews[None], True, terms=terms, last=last, shared=shared),)


def _bounded(source: Source, skews: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
    """Returns Q in at least float32; refuses entries beyond what a rotation can need."""
    size = skews.shape[-1] * largest_magnitude(source.name, skews)
    if size > LARGEST_TURN:
        found = f"{size / skews.shape[-1]:.3g}"
        raise source.refuse(
            f" is a rotation with entries of {found}, larger than any rotation needs.",
            expected=f"at most {LARGEST_TURN / skews.shape[-1]:.3g}",
            found=found,
        )
    return skews.to(wide(read).dtype)


def _skew(flat: torch.Tensor, size: int) -> torch.Tensor:
    rows, columns = torch.triu_indices(size, size, 1).unbind()
    upper = flat.new_zeros((len(flat), size, size))
    upper[:, rows, columns] = flat
    return upper - upper.mT


def _divisor(marker: torch.Tensor | None, size: int) -> float:
    """Returns what OneTrainer divides Q by.

    Its first versions wrote a number as the marker, and meant another scale.
    """
    if marker is None:
        return 1.0
    if marker.dtype == torch.bool:
        return 2 * math.sqrt(size - 1)
    return math.sqrt(size * (size - 1) / 2)


def _terms(source: Source) -> int:
    option = source.settings.option
    if not option("use_cayley_neumann", default=True):
        return EXACT
    terms = option("num_cayley_neumann_terms", default=5, in_config=5)
    if not 1 <= terms <= MOST_TERMS:
        found = f"{terms:g}"
        raise source.refuse(
            f" is rotated by a series of {found} terms; expected 1 to {MOST_TERMS}.",
            expected=f"1 to {MOST_TERMS}",
            found=found,
        )
    return int(terms)


def _projected(source: Source, skews: torch.Tensor) -> torch.Tensor:
    """Keeps each block's norm to eps / √blocks, as constrained OFT does (coft)."""
    if not source.settings.option("coft", default=False):
        return skews
    eps = source.settings.option("eps", default=6e-5, in_config=6e-5) / math.sqrt(len(skews))
    size = norm(skews, dim=(-2, -1))[:, None, None]
    return torch.where(size <= eps, skews, skews * (eps / size))


def read_butterfly(source: Source) -> Sequence[Delta]:
    """Reads peft's BOFT, s · W · (Rₘ ⋯ R₁)ᵀ, with blocks X (m, n, b, b) and s (out, 1).

    Q is half of X - Xᵀ.
    """
    blocks, factors = source["boft_R"], source.get("boft_s")
    if blocks.ndim != 4 or blocks.shape[-1] != blocks.shape[-2] or not blocks.numel():
        found = shape_text(blocks)
        raise source.refuse(
            f": not stages of rotations: {found}.", expected="(stages, n, b, b)", found=found
        )
    order = None
    if len(blocks) > 1:
        _check_butterfly(source, blocks)
        order = halves_apart
    skews = _bounded(source, (blocks.double().mT - blocks.double()) / 2, blocks)
    return (Rotation(skews, True, None if factors is None else factors.flatten(), order),)


def _check_butterfly(source: Source, blocks: torch.Tensor) -> None:
    stages, count, size = blocks.shape[:3]
    if size % 2 or stages > 32 or count % 2 ** (stages - 1):
        found = shape_text(blocks)
        raise source.refuse(
            f": {count} blocks of {size} cannot form a butterfly of {stages} stages.",
            expected="even blocks, as many as the last stage puts together",
            found=found,
        )


OFT: Final = Family(
    "OFT",
    spellings={
        # LyCORIS, kohya
        ".oft_blocks": "oft_blocks",
        ".rescale": "rescale",
        # peft, and what OneTrainer adds to it
        ".oft_R*.weight": "oft_R",
        ".oft_R*.scaled_oft": "scaled_oft",
        ".scaled_oft*": "scaled_oft",
    },
    forms=(
        # LyCORIS writes BOFT under the keys of its OFT: only the blocks' dimensions tell them apart
        Form(
            needs={"oft_blocks"},
            takes={"rescale", "alpha"},
            read=read_blocks,
            when=has_stages,
            name="BOFT",
        ),
        Form(needs={"oft_blocks"}, takes={"rescale", "alpha"}, read=read_blocks),
        Form(needs={"oft_R"}, takes={"scaled_oft"}, read=read_triangles),
    ),
    peft_types={"OFT"},
    scalars=(Scalar("scaled_oft", typed=True),),
)

BOFT: Final = Family(
    "BOFT",
    spellings={".boft_R*": "boft_R", ".boft_s*": "boft_s"},
    forms=(Form(needs={"boft_R"}, takes={"boft_s"}, read=read_butterfly),),
    peft_types={"BOFT"},
)
