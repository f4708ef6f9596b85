"""The same work on files by their paths, in the words of the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

from ..algebra import Making, Recipe
from ..combining import read_rule
from ..errors import LoraInputError
from ..naming import NAME_STYLES, NameStyle
from ..reading import shared_cache
from .analyse import Analysis, analyse
from .checkpoint import checkpoint
from .extract import Extracted, extract_files
from .save import DTYPES, Format, Saved, save
from .source import Source
from .steps import Progress

T = TypeVar("T")

AnyPath: TypeAlias = "str | os.PathLike[str]"


def combine(
    parts: Sequence[Recipe], method: str = "sum", *, density: float | None = None, seed: int = 0
) -> Recipe:
    """Makes one LoRA of several, which is worked out when it is applied or saved.

    Args:
        parts: The LoRAs, each with its strength.
        method: "sum", "ties", "dare", "knots", "tsv" or "orthogonal".
        density: The share of the changes that ties, dare and knots keep; 0.2 if not given.
        seed: What the random choices of dare begin with.

    Raises:
        LoraInputError: A part varies with the steps, in a batch or in the picture.
    """
    if method == "sum":
        return Recipe.sum(parts)
    told = {
        "density": None if density is None else f"{density:g}",
        "seed": str(seed) if seed else None,
    }
    options = tuple((name, text) for name, text in told.items() if text is not None)
    return Recipe.made(Making(method, tuple(part.terms for part in parts), options))


def resize(recipe: Recipe, rank: str) -> Recipe:
    """Makes a LoRA smaller, with the least error that is possible.

    Args:
        recipe: The LoRA, or a sum.
        rank: The largest rank of a layer ("32"), the error of the whole ("1%"), "sv_ratio",
            "sv_cumulative" or "sv_fro" with a number, "sv_knee", or "exact" for all of it.

    Raises:
        LoraInputError: ``rank`` is none of these, or the recipe varies.
    """
    if not recipe or read_rule(rank) is None:
        return recipe
    return Recipe.made(Making("resize", (recipe.terms,), (("rank", rank.strip()),)))


def save_lora(
    recipe: Recipe,
    out: AnyPath,
    *,
    model: AnyPath | None = None,
    rank: str = "exact",
    dtype: str | None = None,
    names: str | None = None,
    progress: Progress | None = None,
) -> Saved:
    """Writes what a recipe adds to a model as one new LoRA file.

    Args:
        recipe: What to keep.
        out: The new file.
        model: The checkpoint that the LoRAs are for. It is needed where they call their layers
            differently, for other names, and where they depend on its weights, as DoRA does.
        rank: How much is kept, as in ``resize``.
        dtype: "float16", "bfloat16" or "float32"; the type of the parts if not given.
        names: "ComfyUI", "kohya" or "diffusers"; those of the parts if not given.
        progress: Is called with (weights done, weights to do); what it raises ends the work.

    Raises:
        LoraError: The recipe cannot be in a file, or a part does not fit.
        OSError: The file cannot be written. Then there is none.
    """
    form = format_of(rank, dtype, names)
    if form.style is not None and model is None:
        raise LoraInputError(
            "Other names follow from the model's. Say which model it is; only its header is read.",
            key="model",
            expected="a checkpoint",
            found="none",
        )
    return save(recipe, [_model(model, recipe)], Path(out), form, progress)


def extract_lora(
    tuned: AnyPath,
    base: AnyPath,
    out: AnyPath,
    *,
    rank: str = "64",
    dtype: str = "float16",
    names: str | None = None,
    progress: Progress | None = None,
) -> Extracted:
    """Writes what one checkpoint has and another has not as a LoRA. They are read a layer at a time.

    Args:
        tuned: The finished checkpoint.
        base: The one that it came from.
        out: The new file.
        rank: How much is kept, as in ``resize``.
        dtype: "float16", "bfloat16" or "float32".
        names: "ComfyUI", which they are if not given, "kohya" or "diffusers".
        progress: Is called with (weights done, weights to do); what it raises ends the work.

    Raises:
        LoraError: The two are not the same architecture, or have no difference.
        OSError: The file cannot be written. Then there is none.
    """
    form = format_of(rank, dtype, names)
    return extract_files(Path(tuned), Path(base), Path(out), form, progress)


def analyse_loras(
    recipe: Recipe, *, model: AnyPath | None = None, progress: Progress | None = None
) -> Analysis:
    """Finds out what the LoRAs of a recipe change where, and how alike they are.

    Args:
        recipe: The LoRAs, with their strengths.
        model: The checkpoint that they are for, as in ``save_lora``, and to compare with.
        progress: Is called with (weights done, weights to do); what it raises ends the work.

    Raises:
        LoraError: A file is damaged or does not fit, or there is nothing to analyse.
    """
    return analyse(recipe, _model(model, recipe), progress)


def format_of(rank: str, dtype: str | None, names: str | None) -> Format:
    """Returns how a file is written; LoraInputError if one of the words is not known."""
    styles: dict[str, NameStyle] = {style: style for style in NAME_STYLES}
    style = _known("names", names, styles)
    return Format(read_rule(rank), _known("dtype", dtype, DTYPES), style)


def _known(key: str, word: str | None, words: Mapping[str, T]) -> T | None:
    if word is None or word in words:
        return None if word is None else words[word]
    expected = ", ".join(words)
    raise LoraInputError(
        f"{word} is not known as {key}. It can be {expected}.",
        key=key,
        expected=expected,
        found=word,
    )


def _model(model: AnyPath | None, recipe: Recipe) -> Source:
    """Returns the model that was named, or what the files themselves say."""
    if model is not None:
        return checkpoint(Path(model))
    return Source.of_files([shared_cache.read(file) for file in recipe.files])
