"""The transformer of Ideogram 4, which is called otherwise only where diffusers splits it."""

from __future__ import annotations

from typing import Final

from .tables import Stack, Table

TABLE: Final = Table(
    outer={},
    stacks=(
        Stack(
            "layers.",
            "layers.",
            {"attention.o": "attention.to_out.0"},
            {"attention.qkv": ("attention.to_q", "attention.to_k", "attention.to_v")},
        ),
    ),
)
