"""Seeded LoRA files for the tiny models, one real dialect each, and the weights that they change.

It needs only torch and safetensors. ``targets(kind)`` names every weight that a file changes, so
that a test can compute the expected weights by itself; ``delta`` is that computation in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

BASE_GAIN = 0.6
"""The tiny models draw weights from N(0, BASE_GAIN / sqrt(fan-in)); see tiny_models.py."""

BASE_BIAS = 0.02
KOHYA_ALPHA_PER_RANK = 0.5
"""Kohya files store alpha; it differs from the rank here so that ignoring it fails a test."""


@dataclass(frozen=True)
class Target:
    """One weight that a LoRA file changes.

    ``module`` is the name in the file without the tensor's suffix, ``weight`` the key in ComfyUI's
    model. ``shape`` is the shape of the changed part: the whole weight, or ``rows`` (start, count)
    of a fused one. ``diff`` is empty for a low-rank pair, else the suffix of the full difference.
    """

    module: str
    weight: str
    shape: tuple[int, ...]
    rows: tuple[int, int] | None = None
    diff: str = ""


def _sd15() -> tuple[Target, ...]:
    """Yield the modules that kohya's trainer touches, with the convolutions of LoCon training."""
    transformer = "input_blocks.1.1"
    block = f"{transformer}.transformer_blocks.0"
    shapes = {
        "input_blocks.1.0.in_layers.2": (320, 320, 3, 3),
        f"{transformer}.proj_in": (320, 320, 1, 1),
        f"{transformer}.proj_out": (320, 320, 1, 1),
        f"{block}.attn1.to_q": (320, 320),
        f"{block}.attn1.to_k": (320, 320),
        f"{block}.attn1.to_v": (320, 320),
        f"{block}.attn1.to_out.0": (320, 320),
        f"{block}.attn2.to_k": (320, 768),
        f"{block}.attn2.to_v": (320, 768),
        f"{block}.ff.net.0.proj": (2560, 320),
        f"{block}.ff.net.2": (320, 1280),
    }
    return tuple(
        Target("lora_unet_" + module.replace(".", "_"), f"diffusion_model.{module}.weight", shape)
        for module, shape in shapes.items()
    )


def _fused(prefix: str, names: tuple[str, ...], weight: str, width: int) -> tuple[Target, ...]:
    """Yield split projections of ``width`` rows each that the model keeps stacked in one weight."""
    return tuple(
        Target(prefix + name, weight, (width, width), (index * width, width))
        for index, name in enumerate(names)
    )


def _sd3() -> tuple[Target, ...]:
    targets: list[Target] = []
    for index in range(2):
        attn = f"transformer.transformer_blocks.{index}.attn."
        block = f"diffusion_model.joint_blocks.{index}"
        image, text = f"{block}.x_block", f"{block}.context_block"
        targets += _fused(attn, ("to_q", "to_k", "to_v"), f"{image}.attn.qkv.weight", 128)
        context_names = ("add_q_proj", "add_k_proj", "add_v_proj")
        targets += _fused(attn, context_names, f"{text}.attn.qkv.weight", 128)
        targets.append(Target(f"{attn}to_out.0", f"{image}.attn.proj.weight", (128, 128)))
    return tuple(targets)


def _flux() -> tuple[Target, ...]:
    double = "transformer.transformer_blocks.0."
    block = "diffusion_model.double_blocks.0"
    targets = [
        *_fused(f"{double}attn.", ("to_q", "to_k", "to_v"), f"{block}.img_attn.qkv.weight", 128),
        *_fused(
            f"{double}attn.",
            ("add_q_proj", "add_k_proj", "add_v_proj"),
            f"{block}.txt_attn.qkv.weight",
            128,
        ),
        Target(f"{double}attn.to_out.0", f"{block}.img_attn.proj.weight", (128, 128)),
        Target(f"{double}ff.net.0.proj", f"{block}.img_mlp.0.weight", (512, 128)),
        Target(f"{double}ff.net.2", f"{block}.img_mlp.2.weight", (128, 512)),
    ]
    for index in range(2):
        single = f"transformer.single_transformer_blocks.{index}."
        block = f"diffusion_model.single_blocks.{index}"
        fused = f"{block}.linear1.weight"
        targets += _fused(f"{single}attn.", ("to_q", "to_k", "to_v"), fused, 128)
        targets.append(Target(f"{single}proj_mlp", fused, (512, 128), (384, 512)))
        targets.append(Target(f"{single}proj_out", f"{block}.linear2.weight", (128, 640)))
    return tuple(targets)


def _wan() -> tuple[Target, ...]:
    shapes = {
        **{f"self_attn.{name}": (128, 128) for name in "qkvo"},
        **{f"cross_attn.{name}": (128, 128) for name in "qkvo"},
        "ffn.0": (256, 128),
        "ffn.2": (128, 256),
    }
    blocks = [f"diffusion_model.blocks.{index}" for index in range(2)]
    pairs = [
        Target(f"{block}.{name}", f"{block}.{name}.weight", shape)
        for block in blocks
        for name, shape in shapes.items()
    ]
    first = blocks[0]
    return (
        *pairs,
        Target(f"{first}.norm3", f"{first}.norm3.weight", (128,), diff=".diff"),
        Target(f"{first}.self_attn.o", f"{first}.self_attn.o.bias", (128,), diff=".diff_b"),
    )


_TARGETS = {"sd15": _sd15(), "sd3": _sd3(), "flux": _flux(), "wan": _wan()}
KINDS = tuple(_TARGETS)


def targets(kind: str) -> tuple[Target, ...]:
    """Return every weight that ``write_lora(..., kind)`` changes."""
    return _TARGETS[kind]


def write_lora(
    path: Path,
    kind: str,
    *,
    seed: int,
    rank: int = 4,
    scale: float = 0.2,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write one LoRA for the tiny model ``kind``.

    At strength 1 each change has about ``scale`` times the Frobenius norm of the weight it changes.
    """
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    for target in targets(kind):
        tensors |= _tensors(target, kind, rank, scale, generator)
    metadata = {"ss_network_dim": str(rank), "ss_base_model_version": "sd_v1"}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: tensor.to(dtype).contiguous() for key, tensor in tensors.items()},
        path,
        metadata=metadata if kind == "sd15" else {"format": "pt"},
    )


def delta(tensors: dict[str, torch.Tensor], target: Target) -> torch.Tensor:
    """Return the change at strength 1, float64, shaped ``target.shape``; ``tensors`` is a loaded
    file."""
    if target.diff:
        return tensors[target.module + target.diff].double()
    kohya = f"{target.module}.lora_up.weight" in tensors
    up_name, down_name = ("lora_up", "lora_down") if kohya else ("lora_B", "lora_A")
    up = tensors[f"{target.module}.{up_name}.weight"].double()
    down = tensors[f"{target.module}.{down_name}.weight"].double()
    alpha = tensors.get(f"{target.module}.alpha")
    factor = 1.0 if alpha is None else float(alpha) / down.shape[0]
    return factor * (up.flatten(1) @ down.flatten(1)).reshape(target.shape)


def _tensors(
    target: Target, kind: str, rank: int, scale: float, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    if target.diff:
        # Norm weights are one, biases small: the same share of very different sizes.
        size = scale * (BASE_BIAS if target.diff == ".diff_b" else 1.0)
        return {target.module + target.diff: torch.randn(target.shape, generator=generator) * size}
    if kind == "sd15":
        return _kohya_pair(target, rank, scale, generator)
    up, down = _pair(target.shape, rank, scale, generator)
    return {f"{target.module}.lora_B.weight": up, f"{target.module}.lora_A.weight": down}


def _kohya_pair(
    target: Target, rank: int, scale: float, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    up, down = _pair(target.shape, rank, scale / KOHYA_ALPHA_PER_RANK, generator)
    return {
        f"{target.module}.lora_up.weight": up,
        f"{target.module}.lora_down.weight": down,
        f"{target.module}.alpha": torch.tensor(rank * KOHYA_ALPHA_PER_RANK),
    }


def _pair(
    shape: tuple[int, ...], rank: int, scale: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return up and down factors; a convolution's kernel is in ``down``, as trainers store it."""
    rows, *rest = shape
    fan_in = math.prod(rest)
    ones = [1] * (len(rest) - 1)
    # The product of standard normal factors has norm sqrt(rows * rank * fan_in); a base weight has
    # BASE_GAIN * sqrt(rows). Each factor takes the root of the ratio.
    spread = math.sqrt(scale * BASE_GAIN / math.sqrt(rank * fan_in))
    up = torch.randn(rows, rank, *ones, generator=generator) * spread
    down = torch.randn(rank, *rest, generator=generator) * spread
    return up, down
