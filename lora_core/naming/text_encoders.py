"""Text encoders: CLIP, which comes in three layouts, T5 and BERT, and language models."""

from __future__ import annotations

from typing import Final

from .architecture import Layout, has
from .tables import Paths, Shapes, fused, indices, native_path, renamed
from .targets import Target

_WRAPPER: Final = "text_model."

_INSIDE: Final = ("embeddings.", "encoder.", "final_layer_norm.")

# transformers wraps a language model once for its head and once for vision, and has changed its
# mind about the order; ComfyUI and trainers keep the names that they know.
_LANGUAGE_WRAPPERS: Final = (
    "model.language_model.",
    "language_model.model.",
    "language_model.",
    "model.",
    "",
)

_LANGUAGE_INSIDE: Final = ("embed_tokens", "layers.", "norm")

_VISUAL: Final = {"visual.": "model.visual.", "model.visual.": "visual."}

_BERT: Final = "bert."

# one of these is in every encoder that files are made for
_SIGNS: Final = ("text_model.", "encoder.block.", "model.embed_tokens.", "model.layers.", _BERT)

_OPEN_CLIP_OUTER: Final = {
    "token_embedding": "embeddings.token_embedding",
    "positional_embedding": "embeddings.position_embedding",
    "ln_final": "final_layer_norm",
}

_OPEN_CLIP_FUSED: Final = {
    "attn.in_proj_weight": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
}

_OPEN_CLIP_BLOCK: Final = {
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def _clip_paths(shapes: Shapes) -> Paths:
    """Yields the paths of transformers' CLIP with its wrapper, if it has none here, and without it.

    transformers 5 dropped the wrapper from the encoder without a projection; the files stay as they
    are.
    """
    for key in shapes:
        path = native_path(key)
        if path.startswith(_WRAPPER):
            yield path.removeprefix(_WRAPPER), Target(key)
        elif key.startswith(_INSIDE):
            yield _WRAPPER + path, Target(key)


def _open_clip_paths(shapes: Shapes) -> Paths:
    """Yields the paths of transformers' CLIP, with and without its wrapper, for an OpenCLIP
    encoder.

    ``text_projection`` is left out: OpenCLIP multiplies by it from the other side.
    """
    for wrapper in ("", _WRAPPER):
        yield from renamed(shapes, _OPEN_CLIP_OUTER, diffusers=wrapper)
        for block in indices(shapes, "transformer.resblocks."):
            native = f"transformer.resblocks.{block}."
            layer = f"{wrapper}encoder.layers.{block}."
            yield from fused(shapes, _OPEN_CLIP_FUSED, native, layer)
            yield from renamed(shapes, _OPEN_CLIP_BLOCK, native, layer)


def _language_paths(shapes: Shapes) -> Paths:
    """Yields the paths of a language model in every wrapper that it may have elsewhere."""
    for key in shapes:
        path = native_path(key)
        wrapper = next(w for w in _LANGUAGE_WRAPPERS if path.startswith(w))
        inside = path.removeprefix(wrapper)
        if inside.startswith(_LANGUAGE_INSIDE):
            yield from ((other + inside, Target(key)) for other in _LANGUAGE_WRAPPERS)
        for here, there in _VISUAL.items():
            if path.startswith(here):
                yield there + path.removeprefix(here), Target(key)


def _bert_paths(shapes: Shapes) -> Paths:
    """Yields the paths of a BERT by itself, without the head that it has here."""
    for key in shapes:
        if key.startswith(_BERT):
            yield native_path(key).removeprefix(_BERT), Target(key)


LAYOUTS: Final = (
    Layout(
        (
            has("text_model.encoder.layers.0.self_attn.q_proj.weight"),
            has("encoder.layers.0.self_attn.q_proj.weight"),
        ),
        _clip_paths,
    ),
    Layout((has("transformer.resblocks.0.attn.in_proj_weight"),), _open_clip_paths),
    Layout(tuple(has(f"{w}embed_tokens.weight") for w in _LANGUAGE_WRAPPERS), _language_paths),
    Layout((has("bert.embeddings.word_embeddings.weight"),), _bert_paths),
)
"""The layouts of text encoders. They have no architecture: messages name the denoiser's."""


def is_encoder(shapes: Shapes) -> bool:
    """Tells whether this is a text encoder in the layout of transformers, which is also ComfyUI's."""
    return any(key.startswith(_SIGNS) for key in shapes)


def is_clip(shapes: Shapes) -> bool:
    """Tells whether this is a CLIP, in any layout."""
    return any(key.startswith((_WRAPPER, "encoder.layers.", "transformer.res")) for key in shapes)


def is_t5(shapes: Shapes) -> bool:
    """Tells whether this is a T5, or a relative of it."""
    return "encoder.block.0.layer.0.SelfAttention.q.weight" in shapes
