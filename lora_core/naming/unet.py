"""The UNet of SD 1.5, SD 2 and SDXL.

Its own names number all blocks in a row; diffusers numbers levels, and within a level the resnets,
attentions and samplers separately. Both orders are the same, so walking the blocks gives the names.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from .architecture import Architecture, BlockList, Clue, Layout, Sign, Tokens, has
from .tables import Paths, Shapes, renamed
from .targets import Target

_OUTER: Final = {
    "input_blocks.0.0": "conv_in",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}

# the names of the same weights in SD 2 unCLIP
_CLASS_EMBEDDING: Final = {
    "label_emb.0.0": "class_embedding.linear_1",
    "label_emb.0.2": "class_embedding.linear_2",
}

_STACKS: Final = {
    "input_blocks": "down_blocks.{level}",
    "middle_block": "mid_block",
    "output_blocks": "up_blocks.{level}",
}

# the first word inside a module says what it is
_KINDS: Final = {
    "in_layers": "resnets",
    "emb_layers": "resnets",
    "out_layers": "resnets",
    "skip_connection": "resnets",
    "norm": "attentions",
    "proj_in": "attentions",
    "transformer_blocks": "attentions",
    "proj_out": "attentions",
    "op": "downsamplers",
    "conv": "upsamplers",
}

_INNER: Final = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
    "op": "conv",
}

_LAYER: Final = re.compile(r"(?P<stack>[a-z_]+)\.(?P<at>\d+(?:\.\d+)?)\.(?P<inner>[a-z].*)\.weight")


def paths(shapes: Shapes) -> Paths:
    """Yields the diffusers paths of a UNet in its original layout."""
    yield from renamed(shapes, _OUTER)
    yield from renamed(shapes, _CLASS_EMBEDDING)
    modules = _modules(shapes)
    for stack, name in _STACKS.items():
        yield from _stack_paths(stack, name, modules.get(stack, {}))


def _modules(shapes: Shapes) -> dict[str, dict[tuple[int, ...], list[str]]]:
    """Returns the layers inside every module, by stack and by place in the stack."""
    modules: dict[str, dict[tuple[int, ...], list[str]]] = {}
    for key in shapes:
        layer = _LAYER.fullmatch(key)
        if layer and layer["inner"].partition(".")[0] in _KINDS:
            place = tuple(int(number) for number in layer["at"].split("."))
            modules.setdefault(layer["stack"], {}).setdefault(place, []).append(layer["inner"])
    return modules


def _stack_paths(stack: str, name: str, modules: dict[tuple[int, ...], list[str]]) -> Paths:
    level = 0
    seen: Counter[str] = Counter()
    for place, layers in sorted(modules.items()):
        kind = _KINDS[layers[0].partition(".")[0]]
        native = ".".join([stack, *map(str, place)])
        path = f"{name.format(level=level)}.{kind}.{seen[kind]}"
        for layer in layers:
            yield f"{path}.{_INNER.get(layer, layer)}", Target(f"{native}.{layer}.weight")
        seen[kind] += 1
        if kind in ("downsamplers", "upsamplers"):
            level += 1
            seen.clear()


# --- the models that have one ---------------------------------------------------------------------

_SIGN: Final = "input_blocks.0.0.weight"

LAYOUT: Final = Layout((has(_SIGN),), paths)

# They only differ in size: SDXL is given the picture's size, SD 1.5 is not.
_SIGNS: Final = (_SIGN, "down_blocks.0.resnets.0.conv1.weight")
_SIZE_EMBEDDINGS: Final = ("label_emb.0.0.weight", "add_embedding.linear_1.weight")

_SD_2_TEXT_WIDTH: Final = 1024

# of SD 2, and of SDXL's refiner, which we do not name
_OTHER_TEXT_WIDTHS: Final = (_SD_2_TEXT_WIDTH, 1280)

# diffusers numbers levels, and what is inside of each; both orders are the same
_DOWN: Final = {
    f"down_blocks.{level}.{kind}.{at}.": 3 * level + at + 1
    for level in range(4)
    for kind, places in (("resnets", (0, 1)), ("attentions", (0, 1)))
    for at in places
}
_DOWNSAMPLERS: Final = {f"down_blocks.{level}.downsamplers.": 3 * level + 3 for level in range(4)}
_UP: Final = {
    f"up_blocks.{level}.{kind}.{at}.": 3 * level + at
    for level in range(4)
    for kind in ("resnets", "attentions")
    for at in (0, 1, 2)
}
_UPSAMPLERS: Final = {f"up_blocks.{level}.upsamplers.": 3 * level + 2 for level in range(4)}


def blocks(count: int) -> tuple[BlockList, ...]:
    """Returns the lists of blocks of a UNet with ``count`` blocks on its way in, and as many out."""
    into = {"conv_in.": 0, **_DOWN, **_DOWNSAMPLERS}
    return (
        BlockList("in", ("input_blocks.",), into, count=count),
        BlockList("mid", places={"middle_block.": 0, "mid_block.": 0}, count=1),
        BlockList("out", ("output_blocks.",), {**_UP, **_UPSAMPLERS}, count=count),
    )


TOKENS: Final = Tokens(
    None, re.compile(r"attn2\.to_[kv]$|emb_layers|time_embed|label_emb|time_emb_proj")
)

SDXL: Final = Architecture(
    "SDXL",
    signs=tuple(
        Sign((sign, size), never_reads=_OTHER_TEXT_WIDTHS)
        for sign in _SIGNS
        for size in _SIZE_EMBEDDINGS
    ),
    layouts=(LAYOUT,),
    stated=("sdxl", "stable-diffusion-xl"),
    clues=(Clue(re.compile(r"lora_te2_|text_encoder_2\.")),),
    text_width=2048,
    blocks=blocks(9),
    tokens=TOKENS,
)

SD_15: Final = Architecture(
    "SD 1.5",
    signs=tuple(Sign((sign,), never_reads=_OTHER_TEXT_WIDTHS) for sign in _SIGNS),
    layouts=(LAYOUT,),
    stated=("sd_v1", "sd_1.5", "stable-diffusion-v1"),
    text_width=768,
    blocks=blocks(12),
    tokens=TOKENS,
)

SD_2: Final = Architecture(
    "SD 2",
    signs=tuple(Sign((sign,), reads=(_SD_2_TEXT_WIDTH,)) for sign in _SIGNS),
    layouts=(LAYOUT,),
    stated=("sd_v2", "sd_2", "stable-diffusion-v2"),
    text_width=_SD_2_TEXT_WIDTH,
    blocks=blocks(12),
    tokens=TOKENS,
)
