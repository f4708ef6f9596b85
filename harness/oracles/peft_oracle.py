"""peft: its tuners, saved by ``save_pretrained`` with the config beside the file."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from . import layers
from .case import Made, Weights
from .fill import fill
from .layers import Layer, effective, net, weights_of

LAW = (-1.0, 0.0, 0.5, 1.0, 2.0)
"""Strengths at which peft's ``set_scale`` means what ours does."""

AT_ONE = (1.0,)

SPREAD = {
    "lora_magnitude_vector": (4.0, 1.0),
    "ia3_l": (1.0, 0.5),
    "oft_R": (0.0, 0.2),
    "boft_R": (0.0, 0.6),
    "boft_s": (1.0, 0.2),
    "delora_lambda": (3.0, 0.0),
    "delora_w_norm": (4.0, 1.0),
    "gralora": (0.0, 0.5),
    "lora_E": (0.0, 0.2),
}


NAMED = {"first": layers.LINEAR, "second": layers.SQUARE, "third": layers.CONV2}


@dataclass(frozen=True)
class Tuner:
    """How peft is asked for an adapter.

    Attributes:
        config: The name of its config class.
        layers: The layers that are adapted, by name.
        options: Options of the config, besides its target modules.
        law: Strengths at which its forward means what ours does.
        one_patch: Its convolution is only one where the kernel has a single place.
    """

    config: str
    layers: dict[str, Layer]
    options: dict[str, Any] = field(default_factory=dict)
    law: tuple[float, ...] = AT_ONE
    one_patch: bool = False


def build(tuner: Tuner, folder: Path, seed: int, dtype: torch.dtype) -> Made:
    base = net(dtype, **tuner.layers)
    weights = weights_of(base)
    with _quiet():
        model = _wrapped(base, tuner).to(dtype)
        fill(_adapter_parameters(model), seed, SPREAD)
        model.save_pretrained(str(folder), safe_serialization=True)
        model.double().eval()
        deltas = {strength: _delta(model, tuner, weights, strength) for strength in tuner.law}
    unchanged = {key for key, delta in deltas[1.0].items() if delta.abs().max() < 1e-13}
    assert all(key.endswith("bias") for key in unchanged), "peft has left a weight alone"
    kept = {s: {k: v for k, v in d.items() if k not in unchanged} for s, d in deltas.items()}
    return Made(folder / "adapter_model.safetensors", weights, kept)


def _wrapped(base: torch.nn.Module, tuner: Tuner) -> Any:
    import peft

    options = {"target_modules": list(tuner.layers), **tuner.options}
    return peft.get_peft_model(base, getattr(peft, tuner.config)(**options))


def _adapter_parameters(model: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Returns all that is trained, and buffers that are saved with it.

    AdaLoRA's count of ranks becomes trainable by mistake when it is moved to another type.
    """
    parameters = [(n, p) for n, p in model.named_parameters() if "ranknum" not in n]
    trained = [(name, parameter) for name, parameter in parameters if parameter.requires_grad]
    return trained + [(n, b) for n, b in model.named_buffers() if "delora_w_norm" in n]


def _delta(model: Any, tuner: Tuner, weights: Weights, strength: float) -> Weights:
    deltas: Weights = {}
    for name, layer in tuner.layers.items():
        wrapped = getattr(model.base_model.model, name)
        if len(tuner.law) > 1:
            wrapped.set_scale("default", strength)
        found = effective(wrapped, layer, one_patch=tuner.one_patch)
        for part, value in found.items():
            deltas[f"{name}.{part}"] = value - weights[f"{name}.{part}"].double()
    return deltas


@contextmanager
def _quiet() -> Generator[None]:
    """Silences peft, which warns about layers and models that are not transformers, and tries to
    compile CUDA."""
    with (
        warnings.catch_warnings(),
        mock.patch("peft.tuners.boft.layer.get_fbd_cuda", lambda: None),
    ):
        warnings.simplefilter("ignore")
        yield


class _BlockDiagonal:
    """What peft's CUDA extension does; without it, peft refuses more than one butterfly stage."""

    @staticmethod
    def forward(blocks: torch.Tensor) -> list[torch.Tensor]:
        return [torch.stack([torch.block_diag(*stage) for stage in blocks])]


def build_butterfly(tuner: Tuner, folder: Path, seed: int, dtype: torch.dtype) -> Made:
    with mock.patch(f"{__name__}._quiet", _with_extension):
        return build(tuner, folder, seed, dtype)


@contextmanager
def _with_extension() -> Generator[None]:
    with (
        warnings.catch_warnings(),
        mock.patch("peft.tuners.boft.layer.get_fbd_cuda", lambda: _BlockDiagonal),
    ):
        warnings.simplefilter("ignore")
        yield


def build_kasa(folder: Path, seed: int, dtype: torch.dtype) -> Made:
    from peft import KasaConfig

    options = {"r": 3, "lora_alpha": 4, "kasa_config": KasaConfig()}
    return build(Tuner("LoraConfig", {"layer": layers.LINEAR}, options), folder, seed, dtype)


def build_pissa(options: dict[str, Any], folder: Path, seed: int, dtype: torch.dtype) -> Made:
    """Trains PiSSA a little, and saves it as the LoRA that it is to the original weights.

    It changes the base when it is set up, and only in float32. The base is therefore what its
    forward is before training, and not what it was made from, which differs in the last digits.
    """
    layer = layers.LINEAR
    tuner = Tuner("LoraConfig", {"layer": layer}, {"init_lora_weights": "pissa", **options})
    with _quiet():
        model = _wrapped(net(torch.float32, layer=layer), tuner)
        model.peft_config["default"].init_lora_weights = True
        begin = folder / "begin"
        model.to(dtype).save_pretrained(str(begin), safe_serialization=True)
        trained = model.base_model.model.layer
        before = effective(model.double().base_model.model.layer, layer)
        model.to(dtype)
        weights = {f"layer.{name}": value.to(dtype) for name, value in before.items()}
        _train(trained, seed)
        model.save_pretrained(
            str(folder),
            safe_serialization=True,
            path_initial_model_for_weight_conversion=str(begin),
        )
        after = effective(model.double().base_model.model.layer, layer)
    delta = after["weight"] - before["weight"]
    return Made(folder / "adapter_model.safetensors", weights, {1.0: {"layer.weight": delta}})


@torch.no_grad()
def _train(layer: Any, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in (layer.lora_A["default"].weight, layer.lora_B["default"].weight):
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.add_(noise.to(parameter.dtype))


def build_two_at_once(
    folder: Path, strengths: tuple[float, float]
) -> tuple[Path, Path, Weights, Weights]:
    """Builds two LoRAs of one model, and what peft makes of both at these strengths.

    Returns:
        Both files, the base weights and the deltas of the stack.
    """
    import peft

    base = net(torch.float64, **NAMED)
    weights = weights_of(base)
    with _quiet():
        model = _wrapped(base, Tuner("LoraConfig", NAMED, {"r": 4, "lora_alpha": 4}))
        other = peft.LoraConfig(target_modules=list(NAMED), r=2, lora_alpha=2)
        model.add_adapter("other", other)
        named = [(n, p) for n, p in model.double().named_parameters() if "lora_" in n]
        fill(named, 0, SPREAD)
        model.save_pretrained(str(folder), safe_serialization=True)
        model.base_model.set_adapter(["default", "other"])
    deltas: Weights = {}
    for name, layer in NAMED.items():
        wrapped = getattr(model.base_model.model, name)
        for adapter, strength in zip(("default", "other"), strengths, strict=True):
            wrapped.set_scale(adapter, strength)
        key = f"{name}.weight"
        deltas[key] = effective(wrapped, layer)["weight"] - weights[key]
    first, second = folder, folder / "other"
    file = "adapter_model.safetensors"
    return first / file, second / file, weights, deltas
