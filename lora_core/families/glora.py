"""GLoRA (Chavan et al. 2023, arXiv:2306.07967), as LyCORIS writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .balance import balanced
from .delta import Delta, LowRank
from .family import Family, Form
from .finite import largest_magnitude
from .products import Through
from .source import Source, check_pair, fold_core, wide


def read(source: Source) -> Sequence[Delta]:
    """Reads W + (alpha / rank) · (W · a1 · a2 + b1 · b2).

    a1 is (in, rank), a2 (rank, in), b1 (out, rank), b2 (rank, in[, kernel…]), or (rank, in) with a
    Tucker core bm (rank, rank, kernel…). The first versions of LyCORIS wrote each pair the other
    way round: a1 (rank, in), a2 (in, rank), b1 (rank, in), b2 (out, rank).
    """
    first = source["glora_a1"]
    wide_first = first.ndim > 1 and first.shape[0] < first.shape[1]
    up, down = ("2", "1") if wide_first else ("1", "2")
    for side in "ab":
        check_pair(source, f"glora_{side}{up}", f"glora_{side}{down}")
    left, right = source[f"glora_a{up}"].flatten(1), source[f"glora_a{down}"].flatten(1)
    scale = source.scale(len(right))
    last, core = source[f"glora_b{down}"], source.get("glora_bm")
    kernel = tuple((last if core is None else core).shape[2:])
    flat = last.flatten(1) if core is None else fold_core(source, "glora_bm", last)
    (first, second), own = balanced(
        (source[f"glora_b{up}"].flatten(1), flat),
        [*source.largest(f"glora_b{up}"), largest_magnitude("product", flat)],
        scale,
    )
    sizes = source.largest(f"glora_a{up}", f"glora_a{down}")
    (left, right), scale = balanced((left, right), sizes, scale)
    return Through(wide(left) * scale, right), LowRank(first, second, own, kernel)


GLORA: Final = Family(
    "GLoRA",
    spellings={
        ".a1.weight": "glora_a1",
        ".a2.weight": "glora_a2",
        ".b1.weight": "glora_b1",
        ".b2.weight": "glora_b2",
        ".bm.weight": "glora_bm",
    },
    forms=(
        Form(
            needs={"glora_a1", "glora_a2", "glora_b1", "glora_b2"},
            takes={"glora_bm", "alpha"},
            read=read,
        ),
    ),
)
