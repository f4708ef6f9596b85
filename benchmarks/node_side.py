"""The node side of ten LoRAs on SDXL: from ten chosen files to a patched model, before any weight is touched.

The host's ten chained loaders against one Apply, for the first time and with a strength moved. In
between, nothing but the base model is kept, as in the host's default cache. The model is SDXL's
UNet without data.

Run with the host's python: python -m benchmarks.node_side
"""

from __future__ import annotations

import gc
import importlib.util
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

HOST = Path.home() / "comfy" / "ComfyUI"
PACK = Path(__file__).parents[1]
FILES, RANK, ROUNDS = 10, 16, 5

SDXL_UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "num_res_blocks": [2, 2, 2],
    "channel_mult": [1, 2, 4],
    "transformer_depth": [0, 0, 2, 2, 10, 10],
    "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
    "transformer_depth_middle": 10,
    "context_dim": 2048,
    "adm_in_channels": 2816,
    "num_classes": "sequential",
    "num_head_channels": 64,
    "use_linear_in_transformer": True,
    "use_spatial_transformer": True,
    "legacy": False,
    "dtype": torch.float16,
}

Apply = Callable[[float], Any]


def use_host(host: Path) -> None:
    sys.path.insert(0, str(host))
    sys.argv = [sys.argv[0], "--cpu"]
    from comfy import options

    options.enable_args_parsing()


def the_pack() -> Any:
    """Our side of the host, imported as the host does."""
    spec = importlib.util.spec_from_file_location(
        "lora_algebra", PACK / "__init__.py", submodule_search_locations=[str(PACK)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(PACK)
    package = importlib.util.module_from_spec(spec)
    sys.modules["lora_algebra"] = package
    spec.loader.exec_module(package)
    return importlib.import_module("lora_algebra.nodes.host")


def sdxl() -> Any:
    """A patcher of SDXL's UNet in float16, on torch's meta device."""
    from comfy import model_patcher, supported_models

    config = supported_models.SDXL({**supported_models.SDXL.unet_config, **SDXL_UNET})
    config.set_inference_dtype(torch.float16, None)
    with torch.device("meta"):
        model = config.get_model({}, device=torch.device("meta"))
    cpu = torch.device("cpu")
    return model_patcher.ModelPatcher(model, cpu, cpu)


def attention_layers(model: torch.nn.Module) -> dict[str, tuple[int, int]]:
    """Every linear layer of the transformers, as trainers choose them."""
    return {
        name: (layer.out_features, layer.in_features)
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear)
        and ("transformer_blocks" in name or name.endswith(("proj_in", "proj_out")))
    }


def write_lora(path: Path, layers: dict[str, tuple[int, int]], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    for key, (out, into) in layers.items():
        name = "lora_unet_" + key.removeprefix("diffusion_model.").replace(".", "_")
        tensors[f"{name}.lora_up.weight"] = torch.randn(out, RANK, generator=generator).half()
        tensors[f"{name}.lora_down.weight"] = torch.randn(RANK, into, generator=generator).half()
        tensors[f"{name}.alpha"] = torch.tensor(float(RANK))
    save_file(tensors, path)


def hosts(base: Any, names: list[str]) -> Apply:
    import nodes

    loaders = [nodes.LoraLoaderModelOnly() for _ in names]

    def apply(strength: float) -> Any:
        model = base
        for loader, name in zip(loaders, names, strict=True):
            (model,) = loader.load_lora_model_only(model, name, strength)
        return model

    return apply


def ours(host: Any, base: Any, names: list[str]) -> Apply:
    from lora_algebra.lora_core.recipe import Recipe

    def apply(strength: float) -> Any:
        files = [Recipe.of(host.find_lora(name)) for name in names]
        return host.apply_recipe(Recipe.sum(files) * strength, base, None)[0]

    return apply


def timed(apply: Apply, strength: float) -> float:
    gc.collect()
    start = time.perf_counter()
    patched = apply(strength)
    took = time.perf_counter() - start
    del patched
    return took


def measure(host: Any, names: list[str]) -> None:
    first: list[list[float]] = [[], []]
    moved: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        both = (ours(host, sdxl(), names), hosts(sdxl(), names))
        for apply, once, again in zip(both, first, moved, strict=True):
            once.append(timed(apply, 1.0))
            again += [timed(apply, strength) for strength in (0.9, 0.8)]
    for what, (mine, theirs) in (("first time", first), ("strength moved", moved)):
        one, other = statistics.median(mine), statistics.median(theirs)
        print(
            f"{what}: ours {one * 1e3:.0f} ms, host {other * 1e3:.0f} ms, ratio {one / other:.3f}"
        )


def main(folder: str = tempfile.gettempdir()) -> None:
    use_host(HOST)
    host = the_pack()
    import folder_paths

    logging.disable(logging.INFO)
    layers = attention_layers(sdxl().model)
    names = [f"sdxl_{index}.safetensors" for index in range(FILES)]
    with tempfile.TemporaryDirectory(dir=folder) as where:
        folder_paths.add_model_folder_path("loras", where, is_default=True)
        for index, name in enumerate(names):
            write_lora(Path(where) / name, layers, index)
        print(f"{FILES} LoRAs of {len(layers)} layers, rank {RANK}, {ROUNDS} rounds, medians")
        measure(host, names)


if __name__ == "__main__":
    main(*sys.argv[1:])
