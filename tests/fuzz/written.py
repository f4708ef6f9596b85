"""Files of any content: the library would refuse to write most of them."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from .grammar import STORED, Draft

TYPES = STORED | {
    torch.int8: "I8",
    torch.bool: "BOOL",
    torch.int64: "I64",
    torch.complex64: "C64",
}


def written(draft: Draft, folder: Path) -> Path:
    """The file on disk, and the config beside it where it has one."""
    header: dict[str, object] = {"__metadata__": draft.metadata} if draft.metadata else {}
    body = bytearray()
    for key, tensor in draft.tensors.items():
        data = (
            tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
            if tensor.numel()
            else b""
        )
        entry = {"dtype": TYPES[tensor.dtype], "shape": [*tensor.shape]}
        header[key] = {**entry, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    data = len(text).to_bytes(8, "little") + text + bytes(body)
    for damage in draft.damage:
        data = damage(data)
    config = folder / "adapter_config.json"
    config.unlink(missing_ok=True)
    if draft.config is not None:
        config.write_text(draft.config)
    path = folder / "adapter_model.safetensors"
    path.write_bytes(data)
    return path
