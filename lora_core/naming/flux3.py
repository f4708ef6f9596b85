"""The transformer of FLUX.3: a stack of blocks for each kind of token, and one for all of them.

It is taken from diffusers' converter and was not run: no ComfyUI with it was available.
"""

from __future__ import annotations

import re
from typing import Final

from .architecture import Architecture, BlockList, Clue, Layout, has
from .tables import Paths, Shapes, indices, renamed

_OUTER: Final = {
    "txt_in": "context_embedder",
    "time_in.in_layer": "timestep_embedder.linear_1",
    "time_in.out_layer": "timestep_embedder.linear_2",
    "ref_time_in.in_layer": "target_timestep_embedder.linear_1",
    "ref_time_in.out_layer": "target_timestep_embedder.linear_2",
    "final_layer.image.linear": "proj_out",
}

# shift over scale here, scale over shift in diffusers
_LAST_MODULATION: Final = {"final_layer.image.adaLN_modulation.1": "norm_out.linear"}

_BLOCK: Final = {
    "q_proj": "attn.to_q",
    "k_proj": "attn.to_k",
    "v_proj": "attn.to_v",
    "attn_out": "attn.to_out.0",
    "norm.query_norm": "attn.norm_q",
    "norm.key_norm": "attn.norm_k",
    "mlp_in": "ff.linear_in",
    "mlp_out": "ff.linear_out",
}

_MODES: Final = "content_mode_blocks."

_STACKS: Final = {
    "txt_mode_blocks.": "txt_mode_blocks.",
    "single_blocks.": "single_transformer_blocks.",
}


def paths(shapes: Shapes) -> Paths:
    """Yields the diffusers paths of a FLUX.3 transformer in its original layout."""
    yield from renamed(shapes, _OUTER)
    yield from renamed(shapes, _LAST_MODULATION, halves_swapped=True)
    for mode in indices(shapes, "emb_in."):
        yield from renamed(shapes, {f"emb_in.{mode}": f"x_embedders.{mode}"})
    for kind in ("early_stream_modulations.", "single_stream_modulations."):
        for mode in indices(shapes, kind):
            yield from renamed(shapes, {f"{kind}{mode}.lin": f"{kind}{mode}.linear"})
    modes = {f"{_MODES}{mode}.": f"mode_blocks.{mode}." for mode in indices(shapes, _MODES)}
    for stack, other in (_STACKS | modes).items():
        for block in indices(shapes, stack):
            yield from renamed(shapes, _BLOCK, f"{stack}{block}.", f"{other}{block}.")


_SIGN: Final = has("txt_mode_blocks.0.q_proj.weight", "single_blocks.0.mlp_in.weight")

FLUX_3: Final = Architecture(
    "FLUX.3",
    signs=(_SIGN, has("txt_mode_blocks.0.attn.to_q.weight")),
    layouts=(Layout((_SIGN,), paths),),
    stated=("flux_3", "flux-3", "flux.3", "flux3"),
    clues=(Clue(re.compile(r"(txt|content)_mode_blocks|(^|[\n._])mode_blocks")),),
    blocks=(
        BlockList("text block", ("txt_mode_blocks.",), part="txt"),
        BlockList("image block", ("content_mode_blocks.image.", "mode_blocks.image."), part="img"),
        BlockList("single", ("single_blocks.", "single_transformer_blocks.")),
    ),
)
