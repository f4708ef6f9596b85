"""diffusers' pipelines as oracles: saved by the pipeline's own function, fused by its own model.

The same weights are here in the host's layout. Our result goes through diffusers' own converter and
must equal diffusers' own result. If there is no converter, our tables of names replace it: then the
test covers the arithmetic, the scale, and that the names reach every layer, but not the names.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import diffusers
import torch
from diffusers.loaders import lora_pipeline
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

import lora_core
from lora_core.naming import ModelNames, Target

from . import conversions, diffusers_models
from .layouts import Layout, layouts

Weights = dict[str, torch.Tensor]

ROOT: Final = "diffusion_model."
STRENGTH: Final = 0.5
TABLES: Final = "our tables (diffusers has no converter)"
LAYERS: Final = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
RANK: Final = 4
SCALES: Final[dict[str, Any]] = {"lora_alpha": 6}
"""alpha is not the rank, so that the file's notes matter."""

PIPELINES: Final[dict[str, str]] = {
    # the architecture: the pipeline whose save_lora_weights writes the file
    "sd15": "StableDiffusionPipeline",
    "sd20": "StableDiffusionPipeline",
    "sdxl": "StableDiffusionXLPipeline",
    "sdxl_refiner": "StableDiffusionXLImg2ImgPipeline",
    "sd3": "StableDiffusion3Pipeline",
    "sd35m": "StableDiffusion3Pipeline",
    "flux": "FluxPipeline",
    "flux2": "Flux2Pipeline",
    "chroma": "ChromaPipeline",
    "auraflow": "AuraFlowPipeline",
    "ltxv": "LTXPipeline",
    "ltxav": "LTX2Pipeline",
    "hunyuan_video": "HunyuanVideoPipeline",
    "cogvideox": "CogVideoXPipeline",
    "mochi": "MochiPipeline",
    "lumina2": "Lumina2Pipeline",
    "z_image": "ZImagePipeline",
    "wan_t2v": "WanPipeline",
    "wan_i2v": "WanImageToVideoPipeline",
    "wan_vace": "WanVACEPipeline",
    "hidream": "HiDreamImagePipeline",
    "qwen_image": "QwenImagePipeline",
    "krea2": "Krea2Pipeline",
    "ideogram4": "Ideogram4Pipeline",
    "ernie": "ErnieImagePipeline",
    "cosmos_predict2": "Cosmos2_5_PredictBasePipeline",
    "kandinsky5": "Kandinsky5T2VPipeline",
    "kandinsky5_image": "Kandinsky5T2IPipeline",
    "ace_step15": "AceStepPipeline",
    "anima": "AnimaLoraLoaderMixin",  # its pipeline is put together from blocks
}
CANNOT_SAVE: Final = ("AnimaLoraLoaderMixin",)
"""Those that load LoRAs and have no function to save them; the one below all others is used."""

CASES: Final[dict[str, tuple[str, Mapping[str, Any]]]] = {
    **{name: (name, SCALES) for name in PIPELINES},
    "flux, rsLoRA": ("flux", SCALES | {"use_rslora": True}),
    "flux, patterns": (
        "flux",
        SCALES | {"rank_pattern": {"to_q": 2, "proj_mlp": 3}, "alpha_pattern": {"to_k": 1.5}},
    ),
}
"""Every row of the table: the architecture, and how its LoRA is scaled."""

APART: Final = ("connector", "llm_adapter")
"""Parts that no option makes small and that diffusers' model has not (LTX-2's, Anima's): their
weights are there, but without numbers."""


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        layers: Layers that the file changes.
        error: The largest relative error of a delta, in float64.
        source: The source of the layout of the weights.
        problem: Why there is no error, or what else is wrong; empty if nothing.
    """

    name: str
    pipeline: str
    layers: int
    error: float
    source: str
    problem: str = ""


def measure(case: str) -> Row:
    """Returns how far our result is from diffusers' for one row."""
    name, options = CASES[case]
    layout = layouts()[name]
    torch.manual_seed(0)
    model = diffusers_models.build(name).double()
    apart = {key for key in layout.shapes if any(part in key for part in APART)}
    ours = {
        key: torch.zeros(()).expand(shape) if key in apart else _numbers(shape)
        for key, shape in layout.shapes.items()
    }
    conversion = conversions.of(name) or conversions.Conversion(TABLES, _by_tables(model, layout))
    config = dict(getattr(model, "config", {}))

    def converted() -> Weights:
        weights = {k.removeprefix(ROOT): v.clone() for k, v in ours.items() if k not in apart}
        return conversion.convert(weights, config)

    before = converted()
    paths = _load(model, before)
    fused, file = _trained(model, paths, PIPELINES[name], options)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lora.safetensors"
        path.write_bytes(file)
        report = lora_core.apply(ours, STRENGTH * lora_core.load(path))
    after = converted()
    problem = _problem(before, after, fused, report)
    error = max(_error(before[key], after[key], fused[key]) for key in fused)
    return Row(case, PIPELINES[name], len(paths), error, conversion.source, problem)


def _numbers(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64) / math.sqrt(shape[-1] if shape else 1)


def _load(model: torch.nn.Module, weights: Weights) -> list[str]:
    """Puts the weights into the model; returns the layers that it has, which are the ones to train."""
    own = model.state_dict()
    model.load_state_dict({k: v for k, v in weights.items() if k in own}, strict=False)
    layers = [path for path, module in model.named_modules() if isinstance(module, LAYERS)]
    return [path for path in layers if f"{path}.weight" in weights]


def _trained(
    model: torch.nn.Module, paths: list[str], pipeline: str, options: Mapping[str, Any]
) -> tuple[Weights, bytes]:
    """Returns what diffusers makes of the layers' weights, and the file it saves."""
    config = LoraConfig(r=RANK, target_modules=paths, init_lora_weights=False, **options)
    model.add_adapter(config)
    model.double()
    state = {k: v.contiguous() for k, v in get_peft_model_state_dict(model).items()}
    kind = getattr(diffusers, pipeline, None) or getattr(lora_pipeline, pipeline)
    part = "unet" if hasattr(kind, "unet_name") else "transformer"
    state = convert_state_dict_to_diffusers(state) if part == "unet" else state
    notes = model.peft_config["default"].to_dict()
    with tempfile.TemporaryDirectory() as folder:
        if pipeline in CANNOT_SAVE:
            kind._save_lora_weights(folder, {part: state}, {part: notes})
        else:
            layers, about = f"{part}_lora_layers", f"{part}_lora_adapter_metadata"
            kind.save_lora_weights(folder, **{layers: state, about: notes})
        (saved,) = Path(folder).iterdir()
        file = saved.read_bytes()
    model.fuse_lora(lora_scale=STRENGTH)
    fused = model.state_dict()
    return {f"{path}.weight": fused[f"{path}.base_layer.weight"] for path in paths}, file


def _problem(before: Weights, after: Weights, fused: Weights, report: lora_core.Report) -> str:
    (lora,) = report.loras
    if lora.unknown:
        return f"not applied: {', '.join(lora.unknown[:3])}"
    other = [k for k in before if k not in fused and not torch.equal(before[k], after[k])]
    return f"changed, too: {', '.join(other[:3])}" if other else ""


def _error(before: torch.Tensor, ours: torch.Tensor, theirs: torch.Tensor) -> float:
    theirs = theirs.reshape(before.shape)
    return float((ours - theirs).norm() / (theirs - before).norm())


def _by_tables(model: torch.nn.Module, layout: Layout) -> Any:
    """Returns a conversion by our own names, for an architecture that diffusers cannot convert."""
    names = ModelNames(layout.shapes)
    layers = [path for path, module in model.named_modules() if isinstance(module, LAYERS)]
    targets = {path: names.find(f"transformer.{path}") for path in layers}

    def convert(weights: Weights, _: Any) -> Weights:
        return {
            f"{path}.weight": _cut(weights[target.key.removeprefix(ROOT)], target)
            for path, target in targets.items()
            if target is not None
        }

    return convert


def _cut(weight: torch.Tensor, target: Target) -> torch.Tensor:
    rows = weight if target.rows is None else weight.narrow(0, *target.rows)
    return torch.cat(rows.chunk(2)[::-1]) if target.halves_swapped else rows
