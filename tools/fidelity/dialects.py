"""The dialects: how each of them would write a LoRA for each small model, one row for each.

The evidence for every row is the project or the published file named at it. A row whose names a
model cannot have (diffusers' for a model that diffusers lacks) makes no file, and its cell stays
blank.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import torch

from .layouts import Layout, Shape

Layers = Iterable[tuple[str, Shape]]
Tensors = dict[str, torch.Tensor]

ROOT: Final = "diffusion_model."
UNETS: Final = ("sd15", "sd20", "sdxl", "sdxl_refiner", "svd")
FLUX: Final = ("flux",)
HUNYUAN_VIDEO: Final = ("hunyuan_video", "hunyuan_video15", "hunyuan_image21")


class Spelling(NamedTuple):
    """The ends of a pair's keys."""

    up: str
    down: str
    alpha: bool = False


KOHYA: Final = Spelling(".lora_up.weight", ".lora_down.weight", alpha=True)
PEFT: Final = Spelling(".lora_B.weight", ".lora_A.weight")
NAMED: Final = Spelling(".lora_B.style.weight", ".lora_A.style.weight")
DEFAULT: Final = Spelling(".lora_B.default.weight", ".lora_A.default.weight")
OLD: Final = Spelling("_lora.up.weight", "_lora.down.weight")
MODULE: Final = Spelling(".lora.up.weight", ".lora.down.weight")
LAYER: Final = Spelling(".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight")
BARE: Final = Spelling(".up.weight", ".down.weight")


class Dialect(NamedTuple):
    """A column of the table.

    Attributes:
        title: A name as the dialect writes it; N stands for a name of the host, M for one of
            diffusers.
        layers: The layers it can name, by its own names for them, without the prefix.
        spelling: How its keys end.
        only: The architectures it is known for; empty for all.
        make: Makes the tensors of one layer, if they are not a pair.
    """

    title: str
    prefix: str
    layers: Callable[[Layout], Layers]
    spelling: Spelling = PEFT
    underscored: bool = False
    only: tuple[str, ...] = ()
    make: Callable[[str, Shape, Spelling], Tensors] | None = None

    def file(self, layout: Layout, keep: Callable[[str], bool] = lambda _: True) -> Tensors:
        """Returns the tensors of a file for this model; none if the dialect cannot name its layers.

        Args:
            keep: Tells which of the layers to keep, by the path that the dialect gives them.
        """
        if self.only and layout.name not in self.only:
            return {}
        tensors: Tensors = {}
        for path, shape in self.layers(layout):
            if keep(path):
                name = self.prefix + (path.replace(".", "_") if self.underscored else path)
                tensors |= (self.make or pair)(name, shape, self.spelling)
        return tensors


def pair(name: str, shape: Shape, spelling: Spelling) -> Tensors:
    """Returns a pair of rank 1 for a weight of this shape."""
    out, into, *kernel = shape
    tensors = {
        name + spelling.up: torch.ones(out, 1, *(1 for _ in kernel), dtype=torch.float16),
        name + spelling.down: torch.ones(1, into, *kernel, dtype=torch.float16),
    }
    return tensors | ({f"{name}.alpha": torch.ones(())} if spelling.alpha else {})


def native(layout: Layout) -> Layers:
    """Returns every layer by the host's name for it."""
    return [(path.removeprefix(ROOT), layout.shapes[f"{path}.weight"]) for path in layout.layers]


def diffusers(layout: Layout) -> Layers:
    """Returns every layer by diffusers' name for it."""
    return layout.diffusers.items()


# --- rows that rename -----------------------------------------------------------------------------


def old_processors(layout: Layout) -> Layers:
    """Names layers as diffusers before 0.20: a LoRA belonged to an attention's processor, and
    nothing else had one."""
    for path, shape in layout.diffusers.items():
        attention, _, layer = path.rpartition(".to_")
        if attention:
            yield f"{attention}.processor.to_{layer.removesuffix('.0')}", shape


XLABS: Final = {
    "img_attn.qkv": "processor.qkv_lora1",
    "img_attn.proj": "processor.proj_lora1",
    "txt_attn.qkv": "processor.qkv_lora2",
    "txt_attn.proj": "processor.proj_lora2",
    "linear2": "processor.proj_lora",
}


def xlabs(layout: Layout) -> Layers:
    """Names layers as XLabs and USO: the two projections of each attention, and only q/k/v of a
    single block."""
    for path, shape in native(layout):
        stack, _, rest = path.partition(".")
        block, _, layer = rest.partition(".")
        if layer in XLABS:
            yield f"{stack}.{block}.{XLABS[layer]}", shape
        elif layer == "linear1":
            yield f"{stack}.{block}.processor.qkv_lora", (3 * shape[1], shape[1])


ORIGINAL_HUNYUAN: Final = (
    # (the host's spelling, the original repository's)
    (r"txt_in\.t_embedder\.in_layer", "txt_in.t_embedder.mlp.0"),
    (r"txt_in\.t_embedder\.out_layer", "txt_in.t_embedder.mlp.2"),
    (r"txt_in\.c_embedder\.in_layer", "txt_in.c_embedder.linear_1"),
    (r"txt_in\.c_embedder\.out_layer", "txt_in.c_embedder.linear_2"),
    (r"(time|guidance)_in\.in_layer", r"\1_in.mlp.0"),
    (r"(time|guidance)_in\.out_layer", r"\1_in.mlp.2"),
    (r"_attn\.qkv", "_attn_qkv"),
    (r"_attn\.proj", "_attn_proj"),
    (r"mlp\.0", "mlp.fc1"),
    (r"mlp\.2", "mlp.fc2"),
    (r"_mod\.lin$", "_mod.linear"),
    (r"modulation\.lin$", "modulation.linear"),
)


def original_hunyuan(layout: Layout) -> Layers:
    """Returns Tencent's own names, as diffusion-pipe and diffusers' converter know them."""
    for path, shape in native(layout):
        renamed = (re.sub(host, original, path) for host, original in ORIGINAL_HUNYUAN)
        yield next((name for name in renamed if name != path), path), shape


def decoder(layout: Layout) -> Layers:
    """Names layers of ACE-Step 1.5, whose trainers wrap only the decoder."""
    inside = "decoder."
    return [(p.removeprefix(inside), s) for p, s in native(layout) if p.startswith(inside)]


def bfl_control(layout: Layout) -> Layers:
    """Names layers as Black Forest Labs' Canny and Depth LoRAs: every layer and every norm of q and
    k."""
    yield from native(layout)
    for key, shape in layout.shapes.items():
        if key.endswith(("query_norm.weight", "key_norm.weight")):
            yield key.removeprefix(ROOT).replace("_norm.weight", "_norm.scale"), shape


def bfl_tensors(name: str, shape: Shape, spelling: Spelling) -> Tensors:
    """Returns a pair with a bias; the input's is as wide as picture and hint together, and norms
    are set."""
    if name.endswith(".scale"):
        return {name: torch.ones(shape, dtype=torch.float16)}
    out, into = shape
    wide = 2 * into if name == "img_in" else into
    bias = {f"{name}.lora_B.bias": torch.ones(out, dtype=torch.float16)}
    return pair(name, (out, wide), spelling) | bias


def linear(layout: Layout) -> Layers:
    """Returns only the linear layers."""
    return [(path, shape) for path, shape in native(layout) if len(shape) == 2]


def oft_blocks(name: str, shape: Shape, _: Spelling) -> Tensors:
    """Returns kohya's OFT: blocks of 4 rows, and the constraint as alpha."""
    count = shape[0] // 4
    if shape[0] % 4:
        return {}
    return {
        f"{name}.oft_blocks": torch.full((count, 4, 4), 0.01).triu(1),
        f"{name}.alpha": torch.zeros(()),
    }


PREFIXES: Final = (
    Dialect("diffusion_model.N", ROOT, native),
    Dialect("lora_unet_N", "lora_unet_", native, KOHYA, underscored=True),
    Dialect("N", "", native, Spelling(".lora_B.default.weight", ".lora_A.default.weight")),
    Dialect("transformer.N", "transformer.", native),
    Dialect("base_model.model.N", "base_model.model.", native),
    Dialect("lycoris_N", "lycoris_", native, KOHYA, underscored=True),
    Dialect("unet.M", "unet.", diffusers, only=UNETS),
    Dialect("transformer.M", "transformer.", diffusers),
    Dialect("M", "", diffusers),
    Dialect("diffusion_model.M", ROOT, diffusers),
    Dialect("lora_unet_M", "lora_unet_", diffusers, KOHYA, underscored=True),
    Dialect("lora_transformer_M", "lora_transformer_", diffusers, KOHYA, underscored=True),
    Dialect("lycoris_M", "lycoris_", diffusers, KOHYA, underscored=True),
    Dialect("base_model.model.M", "base_model.model.", diffusers),
)
"""Every prefix, for every model."""

SPECIAL: Final = (
    # huggingface/diffusers: loaders/lora_conversion_utils.py, and its older saves
    Dialect("diffusers' old processors", "unet.", old_processors, OLD, only=UNETS),
    Dialect("unet.M.lora", "unet.", diffusers, MODULE, only=UNETS),
    Dialect("unet.base_model.model.M", "unet.base_model.model.", diffusers, only=UNETS),
    Dialect("transformer.base_model.model.M", "transformer.base_model.model.", diffusers),
    Dialect("an adapter's name: M.lora_A.style", "transformer.", diffusers, NAMED),
    Dialect("an adapter's name: N.lora_A.style", ROOT, native, NAMED),
    # XLabs-AI/x-flux, bytedance/USO
    Dialect("XLabs", "", xlabs, BARE, only=FLUX),
    Dialect("XLabs in diffusion_model", ROOT, xlabs, BARE, only=FLUX),
    # modelscope/DiffSynth-Studio: without --remove_prefix_in_ckpt
    Dialect("DiffSynth", "pipe.dit.", native, DEFAULT, only=("wan_t2v", "wan_i2v", "qwen_image")),
    # black-forest-labs/FLUX.1-Canny-dev-lora, -Depth-dev-lora
    Dialect("BFL control", "", bfl_control, PEFT, only=FLUX, make=bfl_tensors),
    # alibaba-pai/Wan2.1-Fun-*-InP-MPS reward LoRAs
    Dialect(
        "Wan Fun",
        "lora_unet__",
        native,
        KOHYA,
        underscored=True,
        only=("wan_t2v", "wan_i2v", "wan_vace", "wan_camera"),
    ),
    # tdrussell/diffusion-pipe, Tencent's names
    Dialect(
        "HunyuanVideo's own: transformer", "transformer.", original_hunyuan, only=HUNYUAN_VIDEO
    ),
    Dialect("HunyuanVideo's own: diffusion_model", ROOT, original_hunyuan, only=HUNYUAN_VIDEO),
    Dialect(
        "HunyuanVideo's own: lora_unet",
        "lora_unet_",
        original_hunyuan,
        KOHYA,
        underscored=True,
        only=HUNYUAN_VIDEO,
    ),
    # kohya-ss/sd-scripts: networks/oft.py, networks/oft_flux.py
    Dialect(
        "kohya OFT",
        "oft_unet_",
        linear,
        underscored=True,
        only=("sd15", "sdxl", "flux"),
        make=oft_blocks,
    ),
    # Stability-AI/StableCascade, OneTrainer
    Dialect(
        "lora_prior_unet_N",
        "lora_prior_unet_",
        native,
        KOHYA,
        underscored=True,
        only=("stable_cascade_c",),
    ),
    # ace-step/ACE-Step-1.5
    Dialect("ACE-Step 1.5", "base_model.model.", decoder, only=("ace_step15",)),
    Dialect(
        "ACE-Step 1.5, LyCORIS",
        "lycoris_",
        decoder,
        KOHYA,
        underscored=True,
        only=("ace_step15",),
    ),
)
"""What some projects write, or wrote, for some models."""

OFTEN_PARTIAL: Final = ("diffusion_model.N", "lora_unet_N", "unet.M", "transformer.M")
"""The prefixes that partial files are made for, too; a name means the same in any file."""

BLOCK: Final = re.compile(r"(.*?[._])(\d+)[._]")


def every_other(path: str) -> bool:
    """Returns the layers of odd blocks, and none outside blocks, for a block-filtered file."""
    found = BLOCK.match(path)
    return found is not None and int(found[2]) % 2 == 1


def first_stack(layout: Layout, dialect: Dialect) -> Callable[[str], bool]:
    """Returns the stack named first, for a file trained on one stack only, such as double blocks."""
    stacks = [found[1] for path, _ in dialect.layers(layout) if (found := BLOCK.match(path))]
    first = "double_blocks." if "double_blocks." in stacks else next(iter(stacks), "")
    return lambda path: bool(first) and path.startswith(first)


class Kind(NamedTuple):
    """A table: a set of columns, and which layers their files hold."""

    title: str
    dialects: tuple[Dialect, ...]
    keep: Callable[[Layout, Dialect], Callable[[str], bool]]


PARTS: Final = (*(d for d in PREFIXES if d.title in OFTEN_PARTIAL), *SPECIAL)

KINDS: Final = (
    Kind("whole", PREFIXES + SPECIAL, lambda *_: lambda _: True),
    Kind("every other block", PARTS, lambda *_: every_other),
    Kind("one stack", PARTS, first_stack),
)


def files(
    layouts: Mapping[str, Layout], kinds: Iterable[Kind] = KINDS
) -> Iterator[tuple[str, Layout, Dialect, Tensors]]:
    """Yields every file: the kind of table it belongs to, its model, its dialect, its tensors."""
    for kind in kinds:
        for layout in layouts.values():
            for dialect in kind.dialects:
                tensors = dialect.file(layout, kind.keep(layout, dialect))
                if tensors:
                    yield kind.title, layout, dialect, tensors
