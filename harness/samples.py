"""Small LoRA files and small models for the core tests."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file


def tensors(seed: int, **shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Returns random float32 tensors by name."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def pair(
    name: str, out: int, inner: int, rank: int = 4, seed: int = 0, alpha: float | None = None
) -> dict[str, torch.Tensor]:
    """Returns a kohya LoRA of one layer."""
    made = tensors(seed, up=(out, rank), down=(rank, inner))
    found = {f"{name}.lora_up.weight": made["up"], f"{name}.lora_down.weight": made["down"]}
    return found if alpha is None else {**found, f"{name}.alpha": torch.tensor(alpha)}


def conv(name: str, out: int, inner: int, *kernel: int, seed: int) -> dict[str, torch.Tensor]:
    """Returns a kohya LoRA of rank 4 of one convolution."""
    made = tensors(seed, up=(out, 4, *[1] * len(kernel)), down=(4, inner, *kernel))
    return {f"{name}.lora_up.weight": made["up"], f"{name}.lora_down.weight": made["down"]}


def write(
    path: Path, content: Mapping[str, torch.Tensor], metadata: dict[str, str] | None = None
) -> Path:
    """Writes a .safetensors file with this content."""
    save_file({key: value.clone().contiguous() for key, value in content.items()}, path, metadata)
    return path


def raw(
    header: object, body: bytes = b"", length: int | None = None, text: bytes | None = None
) -> bytes:
    """Returns a file byte by byte, right or wrong: ``header`` as JSON, or ``text`` in its place."""
    written = json.dumps(header).encode() if text is None else text
    return struct.pack("<Q", len(written) if length is None else length) + written + body


class Net(torch.nn.Module):
    """One layer of every kind that a plain LoRA can touch."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(8, 6)
        self.other = torch.nn.Linear(6, 10)
        self.conv1 = torch.nn.Conv1d(4, 6, 3)
        self.conv2 = torch.nn.Conv2d(4, 6, 3)
        self.conv3 = torch.nn.Conv3d(4, 6, (1, 2, 3))
        self.norm = torch.nn.LayerNorm(8)


def net(seed: int = 0, dtype: torch.dtype = torch.float32) -> Net:
    torch.manual_seed(seed)
    return Net().to(dtype)


def bits(module: torch.nn.Module) -> dict[str, bytes]:
    """Returns every weight as bytes, so that NaN and -0.0 count."""
    return {
        key: weight.detach().contiguous().view(torch.uint8).numpy().tobytes()
        for key, weight in module.state_dict().items()
    }
