"""Looking at every number of a tensor once, cheaply."""

from __future__ import annotations

from typing import Final

import torch

from .errors import LoraFileError

_BITS: Final = {
    # type: (integers of its size, all bits but the sign, the first pattern that is not finite)
    torch.float16: (torch.int16, 0x7FFF, 0x7C00),
    torch.bfloat16: (torch.int16, 0x7FFF, 0x7F80),
    torch.float32: (torch.int32, 0x7FFF_FFFF, 0x7F80_0000),
    torch.float64: (torch.int64, 0x7FFF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000),
}

COMPUTABLE: Final = frozenset(_BITS) | {torch.float8_e4m3fn, torch.float8_e5m2}
"""Types whose numbers have a meaning of their own."""


def largest_magnitude(key: str, tensor: torch.Tensor) -> float:
    """The largest absolute value in ``tensor``; LoraFileError if any is NaN or infinite.

    Without their signs, floating point numbers of one format are ordered like their bit patterns,
    with infinity and NaN last: one integer maximum answers both questions, many times faster than
    ``isfinite``. Tensors without data have none to look at: 0.
    """
    if tensor.is_meta or not tensor.numel():
        return 0.0
    integers, magnitude, first_not_finite = _BITS[tensor.dtype]
    largest = int((tensor.contiguous().view(integers) & magnitude).max())
    if largest >= first_not_finite:
        raise LoraFileError(
            f"{key} holds NaN or infinity: its training went wrong, or the file is damaged.",
            key=key,
            expected="finite numbers",
            found="NaN or infinity",
        )
    return float(torch.tensor(largest, dtype=integers).view(tensor.dtype))
