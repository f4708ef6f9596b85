"""The dialects of text encoders: a row for what each project calls each encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from .dialects import KOHYA, LAYER, PEFT, Dialect, Layers, Spelling
from .layouts import Layout

INSIDE: Final = (".encoder.layers.", ".encoder.block.", ".encoder.layer.", ".layers.")
"""Blocks, which is what trainers train of a text encoder."""


class Encoder(NamedTuple):
    """The names of one encoder: where the host keeps it, and what a project calls it."""

    root: str
    prefix: str


def blocks(
    *encoders: Encoder, underscored: bool = False, skip: str = ""
) -> Callable[[Layout], Layers]:
    """Returns a chooser of the layers in blocks of these encoders; ``skip`` is what a project omits
    first."""

    def layers(layout: Layout) -> Iterator[tuple[str, tuple[int, ...]]]:
        for encoder in encoders:
            root = f"{encoder.root}.transformer."
            for path in layout.layers:
                if path.startswith(root) and any(inside in path for inside in INSIDE):
                    inner = path.removeprefix(root).removeprefix(skip)
                    shape = layout.shapes[f"{path}.weight"]
                    yield (
                        encoder.prefix + (inner.replace(".", "_") if underscored else inner),
                        shape,
                    )

    return layers


def own(layout: Layout) -> Layers:
    """Returns every layer by the host's name for it."""
    return [(path, layout.shapes[f"{path}.weight"]) for path in layout.layers]


def composite(layout: Layout) -> Layers:
    """Returns the host's names without the encoder's; the host accepts them for all but CLIP."""
    for path in layout.layers:
        root, _, inner = path.partition(".")
        if not root.startswith("clip_"):
            yield inner, layout.shapes[f"{path}.weight"]


def _kohya(title: str, only: str, *encoders: Encoder, skip: str = "") -> Dialect:
    return Dialect(title, "", blocks(*encoders, underscored=True, skip=skip), KOHYA, only=(only,))


def _diffusers(only: str, *roots: str, spelling: Spelling = PEFT) -> Dialect:
    names = ("text_encoder.", "text_encoder_2.", "text_encoder_3.", "text_encoder_4.")
    encoders = [Encoder(root, name) for root, name in zip(roots, names, strict=False)]
    title = "text_encoder.N.lora_linear_layer" if spelling is LAYER else "text_encoder.N"
    return Dialect(title, "", blocks(*encoders), spelling, only=(only,))


_ROOTS: Final[Mapping[str, tuple[str, ...]]] = {
    # the order of diffusers' pipelines
    "sd15": ("clip_l",),
    "sd20": ("clip_h",),
    "sdxl": ("clip_l", "clip_g"),
    "stable_cascade_c": ("clip_g",),
    "sd3": ("clip_l", "clip_g", "t5xxl"),
    "flux": ("clip_l", "t5xxl"),
    "hunyuan_video": ("llama", "clip_l"),
    "hunyuan_dit": ("hydit_clip", "mt5xl"),
    "auraflow": ("pile_t5xl",),
    "ltxv": ("t5xxl",),
    "wan_t2v": ("umt5xxl",),
}

TEXT_DIALECTS: Final = (
    Dialect("text_encoders.NAME.transformer.N", "text_encoders.", own),
    Dialect("text_encoders.transformer.N", "text_encoders.", composite),
    # huggingface/diffusers
    *(_diffusers(name, *roots) for name, roots in _ROOTS.items()),
    *(_diffusers(name, *roots, spelling=LAYER) for name, roots in _ROOTS.items()),
    # kohya-ss/sd-scripts and Nerogar/OneTrainer: lora_te, lora_te1, …
    _kohya("lora_te", "sd15", Encoder("clip_l", "lora_te_")),
    _kohya("lora_te1", "sd15", Encoder("clip_l", "lora_te1_")),
    _kohya("lora_te", "sd20", Encoder("clip_h", "lora_te_")),
    _kohya("lora_te1", "sdxl", Encoder("clip_l", "lora_te1_"), Encoder("clip_g", "lora_te2_")),
    _kohya("lora_te", "sdxl_refiner", Encoder("clip_g", "lora_te_")),
    _kohya("lora_prior_te", "stable_cascade_c", Encoder("clip_g", "lora_prior_te_")),
    _kohya("lora_te", "stable_cascade_c", Encoder("clip_g", "lora_te_")),
    _kohya(
        "lora_te1",
        "sd3",
        Encoder("clip_l", "lora_te1_"),
        Encoder("clip_g", "lora_te2_"),
        Encoder("t5xxl", "lora_te3_"),
    ),
    _kohya("lora_te1", "flux", Encoder("clip_l", "lora_te1_"), Encoder("t5xxl", "lora_te2_")),
    _kohya("lora_te3", "flux", Encoder("clip_l", "lora_te1_"), Encoder("t5xxl", "lora_te3_")),
    _kohya("lora_te1", "hunyuan_dit", Encoder("hydit_clip", "lora_te1_"), skip="bert."),
    _kohya("lora_te", "anima", Encoder("qwen3_06b", "lora_te_"), skip="model."),
    _kohya("lora_te", "z_image", Encoder("qwen3_4b", "lora_te_"), skip="model."),
    _kohya("lora_te", "omnigen2", Encoder("qwen25_3b", "lora_te_"), skip="model."),
)
