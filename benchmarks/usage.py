"""Measures how much memory something takes, and how many tensors of a weight's size it makes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_growth(run: Callable[[], object], device: str) -> float:
    """Returns by how many bytes the process, or what is in use on the GPU, grows at most while it
    runs."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    give_back()
    CLEAR.write_text("5")  # VmHWM starts again from what is resident now
    before = process_bytes("VmRSS")
    run()
    return process_bytes("VmHWM") - before


def process_bytes(name: str) -> int:
    """Returns a size of this process in /proc: VmRSS is resident now, VmHWM the largest ever."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def available_bytes() -> int:
    """Returns the memory that is available without swapping."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024


def give_back() -> None:
    """Gives free memory of the heap back to the system, so that using it again counts as growth."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class LargeTensors(TorchDispatchMode):
    """Counts operations whose result is a new tensor of at least so many entries."""

    def __init__(self, entries: int) -> None:
        super().__init__()
        self.entries = entries
        self.count = 0

    def __torch_dispatch__(
        self,
        function: Any,
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = {_storage(t) for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.numel() >= self.entries:
                self.count += _storage(tensor) not in given
        return result


def large_tensors(run: Callable[[], object], entries: int) -> int:
    """Returns how many tensors of at least ``entries`` entries are made while it runs."""
    with LargeTensors(entries) as counted:
        run()
    return counted.count


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
