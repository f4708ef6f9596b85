"""LoRA (Hu et al. 2021, arXiv:2106.09685), and LoCon, its form for convolutions (LyCORIS, Yeh et al.
2023, arXiv:2309.14859)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from .balance import balanced
from .delta import Delta, Dense, LowRank
from .family import Family, Form, Scalar
from .finite import largest_magnitude
from .source import Source, check_pair, fold_core

CHANGED_BASES: Final = ("pissa", "olora", "corda", "lora_ga", "loftq")
"""peft's initialisations that split the base model's weights and train a part of them."""

OTHER_FAMILIES: Final = {
    "kasa_config": "KaSA",
    "use_qalora": "QALoRA",
    "use_bdlora": "BD-LoRA",
    "arrow_config": "Arrow",
    "velora_config": "VeLoRA",
    "monteclora_config": "MonteCLoRA",
    "alora_invocation_tokens": "Activated LoRA",
}
"""Options of peft's config that turn a LoRA's tensors into something else → what they become."""


def read(source: Source) -> Sequence[Delta]:
    """Reads W + (alpha / rank) · up · down, and as much of a bias (out,) stored with the up.

    up is (out, rank[, 1, …]), down is (rank, in[, kernel…]); with a Tucker core ``mid``
    (rank, rank, kernel…) the down is (rank, in[, 1, …]). A ``reshape_weight`` says that the layer is to
    read more inputs than it has.
    """
    check_pair(source, "up", "down")
    _refuse_more_than_lora(source)
    up, down, mid = source["up"], source["down"], source.get("mid")
    _check_reshape(source)
    flat = down.flatten(1) if mid is None else fold_core(source, "mid", down)
    kernel = tuple((down if mid is None else mid).shape[2:])
    (size,) = source.largest("up")
    sizes = size, source.largest("down")[0] if mid is None else largest_magnitude("product", flat)
    noted = source.scale(down.shape[0])
    factors = up.flatten(1), flat
    (up, down), scale = balanced(factors, sizes, noted)
    known = sizes if up is factors[0] and down is factors[1] else None
    widens = "reshape_weight" in source.tensors
    pair = LowRank(up, down, scale, kernel, widens=widens, sizes=known)
    bias = source.get("up_bias")
    return (pair,) if bias is None else (pair, Dense(bias.double() * noted, "bias"))


def _refuse_more_than_lora(source: Source) -> None:
    """Refuses tensors named like LoRA's, which their config says are something else."""
    config = source.settings.config
    if config is None:
        return
    start = str(config.get("init_lora_weights")).lower()
    if start.startswith(CHANGED_BASES):
        raise source.refuse(
            f" was trained from {start}, which changes the base model first. Convert it with "
            "peft's path_initial_model_for_weight_conversion.",
            expected="a LoRA of the base model itself",
            found=start,
        )
    if config.get("fan_in_fan_out"):
        raise source.refuse(
            " was trained on a layer whose weight is transposed (fan_in_fan_out).",
            expected="a layer of torch",
            found="fan_in_fan_out",
        )
    for option, family in OTHER_FAMILIES.items():
        if config.get(option):
            raise source.refuse(
                f" is {family}, which this version does not read.", expected="LoRA", found=family
            )


def _check_reshape(source: Source) -> None:
    """Refuses a ``reshape_weight`` that does not match the pair."""
    wanted = source.get("reshape_weight")
    if wanted is None or (wanted.is_meta and wanted.numel() == 2):
        return
    size = len(source["up"]), source["down"].shape[1]
    if wanted.is_meta or not torch.equal(
        wanted.double().flatten(), torch.tensor(size, dtype=torch.float64)
    ):
        found = "a shape" if wanted.is_meta else " x ".join(f"{n:g}" for n in _numbers(wanted))
        raise source.refuse(
            f" asks to be reshaped to {found}, but its factors are made for {size}.",
            expected=str(size),
            found=found,
        )


def _numbers(tensor: torch.Tensor) -> list[float]:
    return [float(number) for number in tensor.flatten()[:4]]


def read_embedding(source: Source) -> Sequence[Delta]:
    """Reads peft's LoRA of an embedding, W + (alpha / rank) · downᵀ · upᵀ: it sees the weight transposed.

    The weight is (tokens, width), up (width, rank), down (rank, tokens).
    """
    check_pair(source, "embedding_up", "embedding_down")
    up, down = source["embedding_up"], source["embedding_down"]
    sizes = source.largest("embedding_down", "embedding_up")
    (down, up), scale = balanced(
        (down.flatten(1).T, up.flatten(1).T), sizes, source.scale(len(down))
    )
    return (LowRank(down, up, scale),)


LORA: Final = Family(
    "LoRA",
    spellings={
        # kohya, LyCORIS, musubi, OneTrainer
        ".lora_up.weight": "up",
        ".lora_down.weight": "down",
        ".lora_mid.weight": "mid",
        ".alpha": "alpha",
        # peft, diffusers, ai-toolkit, SimpleTuner: their A is the down, their B the up
        ".lora_B*.weight": "up",
        ".lora_A*.weight": "down",
        ".lora_B*.bias": "up_bias",
        ".lora_embedding_B*": "embedding_up",
        ".lora_embedding_A*": "embedding_down",
        # Mochi
        ".lora_B*": "up",
        ".lora_A*": "down",
        # diffusers' official SD 1.5 and SDXL saves
        ".lora.up.weight": "up",
        ".lora.down.weight": "down",
        # diffusers' old attention processors
        "_lora.up.weight": "up",
        "_lora.down.weight": "down",
        # diffusers' text encoders
        ".lora_linear_layer.up.weight": "up",
        ".lora_linear_layer.down.weight": "down",
        # XLabs' and USO's processors: one for the image, two for the text
        "_lora1|.up.weight": "up",
        "_lora1|.down.weight": "down",
        "_lora2|.up.weight": "up",
        "_lora2|.down.weight": "down",
        # Black Forest Labs' control LoRAs
        ".reshape_weight": "reshape_weight",
    },
    forms=(
        Form(
            needs={"up", "down"},
            takes={"mid", "alpha", "up_bias", "reshape_weight"},
            read=read,
        ),
        Form(needs={"embedding_up", "embedding_down"}, takes={"alpha"}, read=read_embedding),
    ),
    peft_types={"LORA"},
    scalars=(Scalar("alpha", alone=True), Scalar("reshape_weight", alone=True)),
    decomposes=True,
)
