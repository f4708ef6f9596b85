"""A bank of heads instead of one, patched by the host itself into its own MiniMax-H3."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import comfy.model_patcher
import host_models
import torch

REPOSITORY = Path(__file__).parents[3]
PACK = "lora_algebra_here"
HEAD = "diffusion_model.final_layer.video_out"


def banks(_: str) -> dict[str, Any]:
    """Returns what becomes of the head's weight and bias, and whether the host says it reads banks."""
    if "minimax_h3" not in host_models.MODELS:
        return {}
    nodes = _pack()
    torch.manual_seed(0)
    model = host_models.build("minimax_h3").to_empty(device="cpu")
    for weight in model.parameters():
        torch.nn.init.normal_(weight)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    patcher = comfy.model_patcher.ModelPatcher(model, torch.device("cpu"), torch.device("cpu"))
    values = {
        end: torch.randn(4 * len(before[f"{HEAD}.{end}"]), *before[f"{HEAD}.{end}"].shape[1:])
        for end in ("weight", "bias")
    }
    for end, value in values.items():
        key = f"{HEAD}.{end}"
        patcher.add_patches({key: _adapter(nodes, key, value)})
    patcher.patch_model()
    patched = {end: model.state_dict()[f"{HEAD}.{end}"] for end in values}
    equal = {end: torch.equal(patched[end].cpu(), value) for end, value in values.items()}
    patcher.unpatch_model()
    after = model.state_dict()
    return {
        "reads_banks": nodes.host.view._reads_banks(),
        "replaced": equal,
        "restored": all(torch.equal(after[key], value) for key, value in before.items()),
    }


def _adapter(nodes: Any, key: str, value: torch.Tensor) -> Any:
    core = sys.modules[f"{PACK}.lora_core.matching.match"]
    families = sys.modules[f"{PACK}.lora_core.families"]
    targets = sys.modules[f"{PACK}.lora_core.naming.targets"]
    slot = "bias" if key.endswith("bias") else "weight"
    delta = families.Replacement(value, slot)
    weight_term = core.WeightTerm(
        targets.Target(key), delta, 1.0, 0.0, "pdd", shape=tuple(value.shape)
    )
    return nodes.host.adapter.FusedAdapter.of((weight_term,))


def _pack() -> ModuleType:
    """Returns the pack as the host imports it, without its nodes."""
    file = REPOSITORY / "__init__.py"
    spec = importlib.util.spec_from_file_location(
        PACK, file, submodule_search_locations=[str(REPOSITORY)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(str(file))
    sys.modules[PACK] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    importlib.import_module(f"{PACK}.nodes.host.view")
    importlib.import_module(f"{PACK}.nodes.host.adapter")
    return sys.modules[f"{PACK}.nodes"]
