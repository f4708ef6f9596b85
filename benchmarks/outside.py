"""Outside the host: the same factors added to the same weights in place, also by peft and
diffusers.

*ours* is what ``lora_core.apply`` does to each weight. *peft* is ``merge_adapter`` of all adapters. *diffusers*
is ``fuse_lora`` of its own model with the same layers, which calls peft. None of them keeps the original
weights. If the pack has a .venv, both packages come from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from .host import add_our_packages
from .loras import Lora, random_lora
from .report import Section, Settings, Table, ms, progress, times
from .timing import Contender, compete

LAYER = "layer.weight"
RANK = 16
CASES = tuple((width, count) for width in (3072, 1280) for count in (1, 4, 16))
DTYPES = (torch.float16, torch.float32)


def measure(settings: Settings) -> Section:
    add_our_packages()
    cases = CASES[-3:-1] if settings.quick else CASES
    rows = [
        _row(width, count, dtype, settings)
        for dtype in (DTYPES[:1] if settings.quick else DTYPES)
        for width, count in cases
    ]
    columns = ("weight", "type", "LoRAs", *(f"{n} ms" for n in RIVALS), "ours / peft")
    note = (__doc__ or "").partition("\n\n")[2].strip()
    return Section("Outside the host", note, [Table(f"Rank {RANK}", "", columns, rows)])


@torch.no_grad()
def _row(width: int, count: int, dtype: torch.dtype, settings: Settings) -> tuple[str, ...]:
    kind = str(dtype).removeprefix("torch.")
    progress(f"outside the host: {width} {kind}, {count} LoRAs")
    loras = [random_lora({LAYER: (width, width)}, RANK) for _ in range(count)]
    weight = (torch.randn(width, width) * 0.02).to(settings.device, dtype)
    contenders: dict[str, Contender] = {}
    for name, make in RIVALS.items():
        try:
            contenders[name] = make(weight.clone(), loras, settings.device)
        except ImportError as error:
            progress(f"  without {name}: {error}")
    found = compete(contenders, settings.rounds, settings.device)
    medians = [ms(found.median(name)) if name in contenders else "" for name in RIVALS]
    ratio = times(found.ratio("ours", "peft")) if "peft" in contenders else ""
    return (f"{width}×{width}", kind, str(count), *medians, ratio)


def ours(weight: torch.Tensor, loras: Sequence[Lora], device: str) -> Contender:
    from lora_algebra.lora_core.families import LowRank
    from lora_algebra.lora_core.fusing import fuse, merge_
    from lora_algebra.lora_core.matching import WeightTerm
    from lora_algebra.lora_core.naming import Target

    pairs = [LowRank(x[LAYER].up.to(device), x[LAYER].down.to(device), 1.0) for x in loras]
    weight_terms = [WeightTerm(Target(LAYER), pair, 1.0, 0.0, "") for pair in pairs]
    return Contender(lambda: merge_(weight, fuse(weight_terms)))


def peft(weight: torch.Tensor, loras: Sequence[Lora], device: str) -> Contender:
    from peft import inject_adapter_in_model

    model = _Net(weight)
    names = [f"lora{number}" for number in range(len(loras))]
    for name in names:
        inject_adapter_in_model(_config(), model, name)
    _give(model, names, loras, device)
    layer: Any = model.layer
    return Contender(lambda: layer.merge(adapter_names=names), after=_back(layer, weight))


def diffusers(weight: torch.Tensor, loras: Sequence[Lora], device: str) -> Contender:
    from diffusers import ModelMixin
    from diffusers.loaders import PeftAdapterMixin

    class Net(ModelMixin, PeftAdapterMixin):
        def __init__(self) -> None:
            super().__init__()
            self.layer = _linear(weight)

    model = Net()
    names = [f"lora{number}" for number in range(len(loras))]
    for name in names:
        model.add_adapter(_config(), name)
    _give(model, names, loras, device)
    model.set_adapters(names)
    return Contender(lambda: model.fuse_lora(adapter_names=names), after=_back(model.layer, weight))


RIVALS: dict[str, Callable[[torch.Tensor, Sequence[Lora], str], Contender]] = {
    "ours": ours,
    "peft": peft,
    "diffusers": diffusers,
}


class _Net(torch.nn.Module):
    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.layer = _linear(weight)


def _linear(weight: torch.Tensor) -> torch.nn.Linear:
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    layer.weight = torch.nn.Parameter(weight.clone(), requires_grad=False)
    return layer


def _config() -> Any:
    from peft import LoraConfig

    return LoraConfig(r=RANK, lora_alpha=RANK, target_modules=["layer"])


def _give(model: Any, names: Sequence[str], loras: Sequence[Lora], device: str) -> None:
    """Puts the factors where peft has drawn its own."""
    for name, lora in zip(names, loras, strict=True):
        model.layer.lora_A[name].weight.data = lora[LAYER].down.to(device)
        model.layer.lora_B[name].weight.data = lora[LAYER].up.to(device)


def _back(layer: Any, weight: torch.Tensor) -> Callable[[], object]:
    """Undoes a merge exactly, and cheaper than peft would."""

    def run() -> None:
        layer.base_layer.weight.data.copy_(weight)
        layer.merged_adapters.clear()

    return run
