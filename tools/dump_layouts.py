"""``python -m tools.dump_layouts``: writes tests/data/layouts.json from what is installed here.

The host's part is found by its own Python, diffusers' by ours. The file is kept, so that the tests
of the core need neither. A host leaves out the models that it does not have: the file is from
0.33.0.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from tools.fidelity import diffusers_models
from tools.fidelity.host import ask_host
from tools.fidelity.layouts import FILE, by_rule, tree

DOTTED = (
    "unet.base_model.model.",
    "base_model.model.",
    "transformer.",
    "diffusion_model.",
    "unet.",
    "text_encoders.",
    "text_encoder.",
    "text_encoder_2.",
    "",
)
UNDERSCORED = (
    "lora_prior_unet_",
    "lora_unet_",
    "lora_transformer_",
    "lycoris_",
    "lora_prior_te_",
    *(f"lora_te{number}_" for number in (1, 2, 3, "")),
)

Paths = dict[str, Any]
LAYERS = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def main() -> int:
    found = ask_host("dump")
    if found is None:
        print("No ComfyUI found (COMFYUI_PATH, or ~/comfy/ComfyUI).", file=sys.stderr)
        return 1
    models = {name: _entry(model) | _in_diffusers(name) for name, model in found["models"].items()}
    texts = {name: _entry(model) for name, model in found["texts"].items()}
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(_lines({"models": models, "texts": texts}), encoding="utf-8")
    print(f"{FILE.stat().st_size:,} bytes: {len(models)} models, {len(texts)} text encoders")
    return 0


def _lines(kinds: Mapping[str, Mapping[str, Any]]) -> str:
    """Writes JSON with a line for each entry."""
    parts = []
    for kind, entries in kinds.items():
        rows = (
            f"{json.dumps(n)}:{json.dumps(e, separators=(',', ':'))}" for n, e in entries.items()
        )
        parts.append(f"{json.dumps(kind)}:{{\n" + ",\n".join(rows) + "\n}")
    return "{" + ",\n".join(parts) + "}\n"


def _entry(model: Mapping[str, Any]) -> dict[str, Any]:
    shapes = model["shapes"]
    layers = set(model["layers"])
    matrices = [key for key in shapes if key.endswith(".weight") and len(shapes[key]) > 1]
    kind = {"class": model["class"]} if "class" in model else {}
    return {
        **kind,
        "weights": tree(shapes),
        "no_layers": [key for key in matrices if key not in layers],
        "names": _grouped(shapes, model["names"], "class" in model),
    }


def _grouped(
    shapes: Mapping[str, Any], names: Mapping[str, list[Any]], denoiser: bool
) -> list[dict[str, Any]]:
    """Groups the host's names without those that follow a rule: prefixes that share all their paths
    together."""
    ruled = {name: key for key in shapes for name in by_rule(key, denoiser)}
    special = {name: target for name, target in names.items() if [ruled.get(name)] != target}
    keys = {key: index for index, key in enumerate(shapes)}
    dotted: dict[str, Paths] = {}
    underscored: dict[str, Paths] = {}
    for name, target in special.items():
        kind = underscored if name.startswith(UNDERSCORED) else dotted
        prefix = next(p for p in (*UNDERSCORED, *DOTTED) if name.startswith(p))
        kind.setdefault(prefix, {})[name.removeprefix(prefix)] = _leaf(keys, target)
    groups = [
        {"dotted": prefixes, "underscored": [], "paths": paths}
        for prefixes, paths in _together(dotted)
    ]
    for prefix, paths in underscored.items():
        same = next((g for g in groups if _joined(g["paths"]) == paths), None)
        if same is None:
            same = {"dotted": [], "underscored": [], "paths": paths}
            groups.append(same)
        same["underscored"].append(prefix)
    return [group | {"paths": tree(group["paths"])} for group in groups]


def _leaf(keys: Mapping[str, int], target: list[Any]) -> Any:
    key, *cut = target
    if not cut:
        return keys[key]
    dimension, *rows = cut
    if dimension:
        raise ValueError(f"{key} is cut along its dimension {dimension}")
    return [keys[key], *rows]


def _together(dotted: Mapping[str, Paths]) -> Iterable[tuple[list[str], Paths]]:
    groups: list[tuple[list[str], Paths]] = []
    for prefix, paths in dotted.items():
        same = next((group for group in groups if group[1] == paths), None)
        if same is None:
            groups.append(([prefix], paths))
        else:
            same[0].append(prefix)
    return groups


def _joined(paths: Paths) -> Paths:
    return {path.replace(".", "_"): leaf for path, leaf in paths.items()}


def _in_diffusers(name: str) -> dict[str, Any]:
    if name not in diffusers_models.MODELS:
        return {}
    with torch.device("meta"):
        model = diffusers_models.build(name)
    layers = {
        path: list(module.weight.shape)
        for path, module in model.named_modules()
        if isinstance(module, LAYERS)
    }
    return {"diffusers": {"class": type(model).__name__, "layers": tree(layers)}}


if __name__ == "__main__":
    sys.exit(main())
