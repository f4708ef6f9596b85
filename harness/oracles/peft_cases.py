"""The table of peft's cases."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from . import layers
from .case import Case, Made
from .layers import Layer
from .peft_oracle import AT_ONE, LAW, NAMED, Tuner, build, build_butterfly, build_kasa, build_pissa

Build = Callable[[Tuner, Path, int, torch.dtype], Made]


def _rows(
    family: str,
    variant: str,
    config: str,
    kinds: tuple[Layer, ...],
    builder: Build = build,
    **settings: Any,
) -> list[Case]:
    chosen = {key: settings.pop(key) for key in ("law", "one_patch") if key in settings}
    return [
        Case(
            family,
            "peft",
            layer.kind,
            variant,
            partial(builder, Tuner(config, {"layer": layer}, settings, **chosen)),
        )
        for layer in kinds
    ]


def _several(
    family: str, variant: str, config: str, named: dict[str, Layer], **settings: Any
) -> Case:
    law = settings.pop("law", AT_ONE)
    build_it = partial(build, Tuner(config, named, settings, law=law))
    return Case(family, "peft", "several", variant, build_it)


LINEARS = (layers.LINEAR, layers.SQUARE)
KERNELS = (layers.CONV1, layers.CONV2, layers.CONV3)
FLAT_KERNELS = (layers.CONV1, layers.CONV2, layers.CONV1_POINT, layers.CONV2_POINT)
WIDE = Layer(16, 18)
WIDE_CONVS = (Layer(16, 18, (3,)), Layer(16, 18, (3, 2)))
CONV2_EVEN = Layer(6, 4, (3, 3))
EVEN = Layer(14, 24)
EVEN_SQUARE = Layer(24, 24)
EVEN_CONV = Layer(10, 4, (2, 2))

LORA = [
    *_rows("LoRA", "", "LoraConfig", (*LINEARS, *KERNELS), r=4, lora_alpha=4, law=LAW),
    *_rows("LoRA", "alpha", "LoraConfig", (*LINEARS, *KERNELS), r=4, lora_alpha=6, law=LAW),
    *_rows(
        "LoRA",
        "rsLoRA",
        "LoraConfig",
        (layers.LINEAR, layers.CONV2),
        r=3,
        lora_alpha=2,
        use_rslora=True,
    ),
    *_rows(
        "LoRA",
        "bias",
        "LoraConfig",
        (*LINEARS, *KERNELS),
        r=3,
        lora_alpha=4,
        lora_bias=True,
        law=LAW,
    ),
    _several(
        "LoRA",
        "patterns",
        "LoraConfig",
        NAMED,
        r=4,
        lora_alpha=6,
        rank_pattern={"second": 2},
        alpha_pattern={"third": 1, "^second$": 3},
        law=LAW,
    ),
    _several(
        "LoRA",
        "patterns, rsLoRA",
        "LoraConfig",
        NAMED,
        r=4,
        lora_alpha=6,
        rank_pattern={"second": 2},
        alpha_pattern={"third": 1},
        use_rslora=True,
    ),
    Case("LoRA", "peft", "linear", "PiSSA", partial(build_pissa, {"r": 4, "lora_alpha": 4})),
    Case("LoRA", "peft", "linear", "PiSSA, alpha", partial(build_pissa, {"r": 4, "lora_alpha": 6})),
    Case(
        "LoRA",
        "peft",
        "linear",
        "PiSSA, rsLoRA",
        partial(build_pissa, {"r": 4, "lora_alpha": 6, "use_rslora": True}),
    ),
    *_rows("DoRA", "", "LoraConfig", (*LINEARS, *KERNELS), r=3, lora_alpha=4, use_dora=True),
    *_rows(
        "DoRA",
        "rsLoRA",
        "LoraConfig",
        (layers.LINEAR,),
        r=3,
        lora_alpha=4,
        use_dora=True,
        use_rslora=True,
    ),
    *_rows("LoRA", "", "LoraConfig", (layers.EMBEDDING,), r=3, lora_alpha=4, law=LAW),
    *_rows("DoRA", "", "LoraConfig", (layers.EMBEDDING,), r=3, lora_alpha=4, use_dora=True),
    *_rows(
        "LoRA",
        "trained bias",
        "LoraConfig",
        (layers.LINEAR, layers.CONV2),
        r=3,
        lora_alpha=4,
        bias="lora_only",
    ),
    _several(
        "LoRA",
        "whole layers",
        "LoraConfig",
        {**NAMED, "norm": layers.LAYER_NORM},
        r=3,
        lora_alpha=4,
        target_modules=["first"],
        modules_to_save=["second", "third", "norm"],
    ),
    *_rows("AdaLoRA", "", "AdaLoraConfig", LINEARS, init_r=3, lora_alpha=5, total_step=10),
    *_rows("AdaLoRA", "", "AdaLoraConfig", (layers.CONV2,), init_r=3, lora_alpha=5, total_step=10),
]

LOHA = [
    *_rows("LoHa", "", "LoHaConfig", (*LINEARS, *FLAT_KERNELS), r=2, alpha=2, law=LAW),
    *_rows("LoHa", "alpha", "LoHaConfig", (*LINEARS, *FLAT_KERNELS), r=2, alpha=3, law=LAW),
    *_rows(
        "LoHa",
        "Tucker",
        "LoHaConfig",
        FLAT_KERNELS[:2],
        r=2,
        alpha=3,
        use_effective_conv2d=True,
        law=LAW,
    ),
    _several(
        "LoHa",
        "patterns",
        "LoHaConfig",
        NAMED,
        r=4,
        alpha=6,
        rank_pattern={"second": 2},
        alpha_pattern={"third": 1},
        law=LAW,
    ),
]

LOKR = [
    *_rows("LoKr", "factored", "LoKrConfig", (WIDE, *WIDE_CONVS), r=2, alpha=3, law=LAW),
    *_rows(
        "LoKr",
        "both factored, wide",
        "LoKrConfig",
        (WIDE,),
        r=1,
        alpha=2,
        decompose_both=True,
        law=LAW,
    ),
    *_rows("LoKr", "full", "LoKrConfig", (*LINEARS, *FLAT_KERNELS), r=8, alpha=8, law=LAW),
    *_rows("LoKr", "full, alpha", "LoKrConfig", (*LINEARS, *FLAT_KERNELS), r=8, alpha=4, law=LAW),
    *_rows(
        "LoKr",
        "both factored",
        "LoKrConfig",
        (layers.LINEAR, *WIDE_CONVS),
        r=1,
        alpha=2,
        decompose_both=True,
        law=LAW,
    ),
    *_rows(
        "LoKr",
        "Tucker",
        "LoKrConfig",
        WIDE_CONVS,
        r=2,
        alpha=3,
        use_effective_conv2d=True,
        law=LAW,
    ),
    *_rows("LoKr", "factor 6", "LoKrConfig", (WIDE,), r=1, alpha=1, decompose_factor=6, law=LAW),
]

IA3 = [
    *_rows(
        "IA3",
        "",
        "IA3Config",
        (*LINEARS, layers.CONV2_SQUARE, layers.CONV2, layers.CONV3),
        feedforward_modules=[],
    ),
    *_rows(
        "IA3",
        "feed-forward by regex",
        "IA3Config",
        (layers.CONV2_SQUARE,),
        feedforward_modules="l.*r",
    ),
    _several(
        "IA3",
        "feed-forward by end",
        "IA3Config",
        {"layer": layers.CONV2_SQUARE, "player": layers.CONV2_SQUARE},
        feedforward_modules=["layer"],
    ),
    *_rows(
        "IA3",
        "feed-forward",
        "IA3Config",
        (*LINEARS, layers.CONV2_SQUARE, layers.CONV2, layers.CONV3),
        feedforward_modules=["layer"],
    ),
]

OFT = [
    *_rows("OFT", "", "OFTConfig", (Layer(14, 15), Layer(15, 15)), oft_block_size=5),
    *_rows("OFT", "", "OFTConfig", (layers.CONV2_POINT,), oft_block_size=5),
    *_rows("OFT", "", "OFTConfig", (CONV2_EVEN,), oft_block_size=6, one_patch=True),
    *_rows(
        "OFT",
        "Cayley",
        "OFTConfig",
        (Layer(14, 15), Layer(15, 15), layers.CONV2_POINT),
        oft_block_size=5,
        use_cayley_neumann=False,
    ),
    *(
        case
        for terms in (2, 3, 4, 7)
        for case in _rows(
            "OFT",
            f"{terms} terms",
            "OFTConfig",
            (Layer(14, 15),),
            oft_block_size=5,
            num_cayley_neumann_terms=terms,
        )
    ),
    *_rows(
        "OFT",
        "block share",
        "OFTConfig",
        (Layer(14, 15), layers.CONV2_POINT),
        oft_block_size=5,
        block_share=True,
    ),
    *_rows("OFT", "by r", "OFTConfig", (Layer(14, 15),), r=3, oft_block_size=0),
    *_rows("OFT", "coft", "OFTConfig", (layers.SQUARE,), oft_block_size=3, coft=True, eps=0.25),
    *_rows(
        "OFT",
        "coft, Cayley",
        "OFTConfig",
        (layers.SQUARE,),
        oft_block_size=3,
        coft=True,
        eps=0.25,
        use_cayley_neumann=False,
    ),
    *_rows(
        "OFT",
        "coft, block share",
        "OFTConfig",
        (layers.SQUARE,),
        oft_block_size=3,
        coft=True,
        eps=0.25,
        block_share=True,
    ),
    *_rows("BOFT", "", "BOFTConfig", (EVEN, EVEN_SQUARE, EVEN_CONV), boft_block_size=4),
    *_rows("BOFT", "odd blocks", "BOFTConfig", (Layer(14, 15),), boft_block_size=5),
    *_rows("BOFT", "by blocks", "BOFTConfig", (EVEN,), boft_block_size=0, boft_block_num=4),
    *_rows(
        "BOFT",
        "two stages",
        "BOFTConfig",
        (EVEN, EVEN_SQUARE, EVEN_CONV),
        build_butterfly,
        boft_block_size=2,
        boft_n_butterfly_factor=2,
    ),
    *_rows(
        "BOFT",
        "three stages",
        "BOFTConfig",
        (EVEN, EVEN_SQUARE),
        build_butterfly,
        boft_block_size=6,
        boft_n_butterfly_factor=3,
    ),
    *(
        case
        for name, apply_gs in (("", False), ("Gram-Schmidt", True))
        for case in _rows(
            "HRA",
            name,
            "HRAConfig",
            (*LINEARS, CONV2_EVEN),
            r=3,
            apply_GS=apply_gs,
            init_weights=False,
        )
    ),
]

VECTORS = [
    *_rows("VeRA", "", "VeraConfig", LINEARS, r=3),
    _several("VeRA", "", "VeraConfig", {"first": layers.LINEAR, "second": Layer(10, 20)}, r=3),
]

BLOCKS = [
    *_rows("DeLoRA", "", "DeloraConfig", LINEARS, r=3),
    *_rows("MiSS", "", "MissConfig", (layers.SQUARE, layers.LINEAR), r=4),
    *_rows(
        "MiSS",
        "mini",
        "MissConfig",
        (layers.SQUARE, layers.LINEAR),
        r=4,
        init_weights="mini",
        mini_r=2,
    ),
    *_rows("MiSS", "bat", "MissConfig", (layers.SQUARE, Layer(8, 12)), r=4, init_weights="bat"),
]

RARE = [
    *_rows("PiSSA", "not converted", "LoraConfig", LINEARS, r=3, init_lora_weights="pissa"),
    *_rows("OLoRA", "not converted", "LoraConfig", LINEARS, r=3, init_lora_weights="olora"),
    *_rows("HiRA", "", "HiraConfig", LINEARS, r=3),
    *_rows("GLoRA", "", "GloraConfig", LINEARS, r=3),
    *_rows("RandLoRA", "", "RandLoraConfig", LINEARS, r=3),
    *_rows("FourierFT", "", "FourierFTConfig", LINEARS, n_frequency=9),
    *_rows("C3A", "", "C3AConfig", (layers.SQUARE,), block_size=4),
    *_rows("SHiRA", "", "ShiraConfig", LINEARS, r=3),
    *_rows("RoAd", "", "RoadConfig", (layers.SQUARE,), group_size=2),
    Case("KaSA", "peft", "linear", "", build_kasa),
    *_rows("LN tuning", "", "LNTuningConfig", (layers.LAYER_NORM,)),
    *_rows("OFT", "", "OFTConfig", (layers.EMBEDDING,), oft_block_size=3),
    _several(
        "VeRA",
        "not saved",
        "VeraConfig",
        {"first": layers.LINEAR, "second": Layer(10, 20)},
        r=3,
        save_projection=False,
        projection_prng_key=7,
    ),
    *_rows(
        "GraLoRA", "", "GraloraConfig", (layers.SQUARE, Layer(8, 12)), r=4, gralora_k=2, alpha=4
    ),
    *_rows(
        "GraLoRA",
        "hybrid",
        "GraloraConfig",
        (Layer(8, 12),),
        r=4,
        gralora_k=2,
        hybrid_r=2,
        alpha=4,
    ),
    *_rows("VB-LoRA", "", "VBLoRAConfig", (Layer(8, 12),), r=3, num_vectors=5, vector_length=4),
]

PEFT: list[Case] = [*LORA, *LOHA, *LOKR, *IA3, *OFT, *VECTORS, *BLOCKS]

PEFT_RARE: list[Case] = RARE
"""What may be refused, but never be applied wrongly."""
