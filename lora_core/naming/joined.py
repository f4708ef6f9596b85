"""Layers that diffusers joins on request: ``fuse_qkv_projections``, SimpleTuner's
``fused_qkv_projections``.

Every attention that diffusers builds can have them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from .tables import Paths, Shapes, divided
from .targets import Target

_JOINED: Final = {
    # one layer, and those whose rows it holds, one above the other
    "to_qkv": ("to_q", "to_k", "to_v"),
    "to_kv": ("to_k", "to_v"),
    "to_added_qkv": ("add_q_proj", "add_k_proj", "add_v_proj"),
    "to_added_kv": ("add_k_proj", "add_v_proj"),
}


def joined_paths(paths: Mapping[str, Target], shapes: Shapes) -> Paths:
    """Yields the paths of joined layers, for every attention whose separate layers have ``paths``.

    Heights may differ: k and v have fewer heads than q in some models.
    """
    for name, parts in _JOINED.items():
        last = "." + parts[-1]
        for path in paths:
            if path.endswith(last):
                attention = path[: 1 - len(last)]
                pieces = [paths.get(attention + part) for part in parts]
                plain = [piece for piece in pieces if piece is not None and _is_plain(piece)]
                if len(plain) == len(parts):
                    yield from _joined(attention + name, plain, shapes)


def _is_plain(target: Target) -> bool:
    return target.rest is None and target.source is None and not target.halves_swapped


def _joined(path: str, pieces: Sequence[Target], shapes: Shapes) -> Paths:
    rows = [piece.rows or (0, shapes[piece.key][0]) for piece in pieces if shapes[piece.key]]
    ends = [start + height for start, height in rows]
    starts = [start for start, _ in rows]
    if len({piece.key for piece in pieces}) > 1 or starts[1:] != ends[:-1]:
        yield from divided(path, pieces, shapes)
        return
    key = pieces[0].key
    whole = (starts[0], ends[-1]) == (0, shapes[key][0])
    yield path, Target(key, rows=None if whole else (starts[0], ends[-1] - starts[0]))
