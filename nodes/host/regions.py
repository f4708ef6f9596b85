"""Masks and prompts in the host: which strengths the inputs of one evaluation get, and where."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import torch

from ...lora_core.algebra import Mask, Recipe, Region, regions_of
from ...lora_core.applying import Places, PlacesOf, Scene, on_latent
from ...lora_core.errors import LoraInputError
from ...lora_core.naming import Layers, Shape, Tokens

NAMES: Final = "lora_algebra"
"""The key of a conditioning's names. The host's nodes copy it with the rest of the dictionary."""

KEPT_PLACES: Final = 32
"""How many sets of places are kept between steps: one for each context window and each batch."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One conditioning in the batch of an evaluation.

    Attributes:
        names: The names that it carries.
        area: The part of the latent image that it sees: its sizes, then its offsets; None for all.
    """

    names: frozenset[str] = frozenset()
    area: tuple[int, ...] | None = None


@dataclass(eq=False)
class Sampling:
    """What the host does not tell the model: it is noted where the host still knows it.

    Attributes:
        chunks: The conditionings, by the host's identity of each.
        size: The latent image that they are areas of.
        images: How many images there are.
        options: What the model notes while it computes.
    """

    chunks: dict[object, Chunk] = field(default_factory=dict[object, Chunk])
    size: Shape = ()
    images: int = 0
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of a recipe, as the host's wrappers know them.

    Attributes:
        parts: What acts in each region.
        layers: What the layers of the model are.
    """

    parts: Mapping[Region, Recipe]
    layers: Layers
    _sampling: Sampling = field(default_factory=Sampling)
    _places: dict[object, Places] = field(default_factory=dict[object, Places])

    @classmethod
    def of(cls, recipe: Recipe, layers: Layers) -> Regions:
        """Returns the regions of a recipe on a model."""
        return cls(regions_of(recipe) or {Region(): recipe}, layers)

    @property
    def names(self) -> frozenset[str]:
        """All names that conditionings may carry."""
        return frozenset(name for region in self.parts for name in region.prompts)

    @property
    def masked(self) -> bool:
        """Whether there are masks."""
        return any(region.masks for region in self.parts)

    @property
    def everywhere(self) -> bool:
        """Whether there are no masks and no prompts."""
        return not (self.names or self.masked)

    def begin(self) -> None:
        """Forgets what was noted of an earlier sampling."""
        self._sampling.chunks, self._sampling.size, self._sampling.images = {}, (), 0

    # --- what the host calls ---------------------------------------------------------------------

    def calc_cond_batch(
        self,
        executor: Any,
        model: Any,
        conds: Sequence[Sequence[Mapping[str, Any]] | None],
        x: torch.Tensor,
        *others: Any,
    ) -> Any:
        """Notes the names and areas of the conditionings; only their identities reach the model."""
        own, size = self._sampling, tuple(x.shape[2:])
        own.size, own.images = size, len(x)
        own.chunks = {
            cond["uuid"]: Chunk(cond.get(NAMES, frozenset()), _area(cond, size))
            for some in conds
            for cond in some or ()
        }
        return executor(model, conds, x, *others)

    def diffusion_model(self, executor: Any, *args: Any, **kwargs: Any) -> Any:
        """Notes the very dictionary that the model writes to while it computes."""
        values = (*args, *kwargs.values())
        own = (v for v in values if isinstance(v, dict) and "cond_or_uncond" in v)
        self._sampling.options = next(own, {})
        return executor(*args, **kwargs)

    # --- one evaluation --------------------------------------------------------------------------

    def gate(
        self,
        rows: Sequence[torch.Tensor],
        model: Any,
        x: torch.Tensor,
        options: Mapping[str, Any],
        conds: Mapping[str, Any],
    ) -> tuple[torch.Tensor, PlacesOf | None]:
        """Returns what a gate needs for an evaluation.

        Args:
            rows: For each region the strengths (images or 1, R).
            model: The host's model.
            x: (chunks · images, …), the noisy latent images.
            options: The host's options for the model.
            conds: What else the host gives the model.

        Returns:
            (1 or batch, R) and None; or with masks (batch, P, R), and the places.

        Raises:
            LoraInputError: It cannot be told where in the picture, or for which prompt, the
                evaluation is.
        """
        chunks = self._chunks(options)
        if self.everywhere:
            own = rows[0]
            return (own if len(own) == 1 else own.repeat(len(chunks), 1)), None
        images = len(x) // len(chunks)
        self._refuse_tiles(x, chunks, images)
        each = [
            _for_batch(own, region, chunks, images)
            for region, own in zip(self.parts, rows, strict=True)
        ]
        if not self.masked:
            total = torch.stack(each).sum(0)
            alike = all(len(own) == 1 for own in rows) and len({*map(self._active, chunks)}) == 1
            return (total[:1] if alike else total), None
        by_masks: dict[tuple[Mask, ...], torch.Tensor] = {}
        for region, own in zip(self.parts, each, strict=True):
            by_masks[region.masks] = by_masks.get(region.masks, 0) + own
        places = self._places_of(model, x, tuple(chunks), options, conds, tuple(by_masks))
        return torch.stack([*by_masks.values()], 1), lambda key, module, x, y: places.of(
            self.layers[key], module, x, y
        )

    def elsewhere(self, rows: Sequence[torch.Tensor]) -> torch.Tensor:
        """Returns the strengths (1, R) of what has no place, from those of each region."""
        factors = (_elsewhere(region.masks) for region in self.parts)
        return torch.stack([f * own for f, own in zip(factors, rows, strict=True)]).sum(0)

    def _chunks(self, options: Mapping[str, Any]) -> list[Chunk]:
        count = len(options.get("cond_or_uncond", (0,)))
        ids: list[object] = options.get("uuids") or []
        known = self._sampling.chunks
        told = len(ids) == count
        if self.names and not (told and all(own in known for own in ids)):
            raise LoraInputError(
                "a LoRA is for one prompt only, but a node here evaluates the model without saying for "
                "which prompt. Take that node out, or use Apply LoRA To Model.",
                key="conditioning",
                expected="the prompts of the batch",
                found="none",
            )
        return [known.get(own, Chunk()) for own in ids] if told else [Chunk()] * count

    def _active(self, chunk: Chunk) -> tuple[bool, ...]:
        return tuple(region.prompts <= chunk.names for region in self.parts)

    def _refuse_tiles(self, x: torch.Tensor, chunks: Sequence[Chunk], images: int) -> None:
        """Refuses cuts of the picture, which some packs put into the batch in an order of their own."""
        own = self._sampling
        if not own.images:
            return
        sizes = {own.size if c.area is None else c.area[: len(own.size)] for c in chunks}
        if images != own.images or len(x) != len(chunks) * images or sizes != {tuple(x.shape[2:])}:
            found = " × ".join(map(str, x.shape[2:]))
            raise LoraInputError(
                f"a node here samples this model in tiles of {found}, so a LoRA for one place or one prompt "
                "has no meaning. Take that node out, or use the LoRA without a mask or prompt.",
                key="mask" if self.masked else "conditioning",
                expected=" × ".join(map(str, own.size)),
                found=found,
            )

    def _places_of(
        self,
        model: Any,
        x: torch.Tensor,
        chunks: tuple[Chunk, ...],
        options: Mapping[str, Any],
        conds: Mapping[str, Any],
        masks: tuple[tuple[Mask, ...], ...],
    ) -> Places:
        tokens = cast(Tokens, self.layers.tokens)  # masks on other models are refused before
        size, frames = _window(options.get("context_window"), self._sampling.size, x)
        counts = tuple(
            _tokens(tokens, model, conds, names) for names in (tokens.before, tokens.after)
        )
        areas = tuple(chunk.area for chunk in chunks)
        key = (areas, size, frames, tuple(x.shape), counts, x.device)
        known = self._places.pop(key, None)
        if known is None:
            images = len(x) // len(chunks)
            parts = [_on_input(own, size, frames, areas, images) for own in masks]
            elsewhere = [*map(_elsewhere, masks)]
            scene = Scene(
                tokens,
                torch.stack(parts).to(x.device),
                torch.tensor(elsewhere, dtype=torch.float32, device=x.device),
                *counts,
                level=lambda: tuple(self._sampling.options.get("activations_shape", ())[-2:]),
            )
            known = Places(scene)
        self._places[key] = known
        for oldest in list(self._places)[:-KEPT_PLACES]:
            del self._places[oldest]
        return known


def named(conditioning: Any, name: str) -> list[Any]:
    """Returns a conditioning that carries a name; it may carry others as well."""
    return [
        [tokens, {**values, NAMES: values.get(NAMES, frozenset()) | {name}}]
        for tokens, values in conditioning
    ]


def names_in(conds: Mapping[str, Sequence[Mapping[str, Any]]]) -> frozenset[str]:
    """Returns all names that the conditionings of a sampler carry."""
    return frozenset().union(*(c.get(NAMES, ()) for some in conds.values() for c in some or ()))


def _elsewhere(masks: Sequence[Mask]) -> float:
    return math.prod(float(mask.elsewhere) for mask in masks)


def _for_batch(
    rows: torch.Tensor, region: Region, chunks: Sequence[Chunk], images: int
) -> torch.Tensor:
    own = rows.expand(images, -1)
    active = (region.prompts <= chunk.names for chunk in chunks)
    return torch.cat([own if on else torch.zeros_like(own) for on in active])


def _area(cond: Mapping[str, Any], size: Shape) -> tuple[int, ...] | None:
    """Returns the area that the host will cut for a conditioning."""
    area = cond.get("area")
    if area is None:
        return None
    half, count = len(area) // 2, len(size)
    sizes, offsets = list(area[:half]), list(area[half:])
    missing = max(0, count - half)  # of a video, all frames
    sizes = [*size[:missing], *sizes][:count]
    offsets = [*[0] * missing, *offsets][:count]
    cut = (min(whole - at, own) for whole, at, own in zip(size, offsets, sizes, strict=True))
    return (*cut, *offsets)


def _window(window: Any, size: Shape, x: torch.Tensor) -> tuple[Shape, tuple[int, ...] | None]:
    """Returns the whole latent image, and the frames of it that a context window shows."""
    if window is None or getattr(window, "dim", 0) != 2:
        return size or tuple(x.shape[2:]), None
    anchor = getattr(window, "causal_anchor_index", None)
    before = [anchor] if anchor is not None and anchor >= 0 else []
    return (window.total_frames, *(size or tuple(x.shape[2:]))[1:]), (*before, *window.index_list)


def _on_input(
    masks: tuple[Mask, ...],
    size: Shape,
    frames: tuple[int, ...] | None,
    areas: Sequence[tuple[int, ...] | None],
    images: int,
) -> torch.Tensor:
    """Returns (chunks · images, [frames,] h, w), the product of masks on what each input sees."""
    whole = torch.ones(images, *size)
    for mask in masks:
        whole = whole * on_latent(mask.values, size, images)
    if frames is not None:
        whole = whole[:, list(frames)]
    return torch.cat([_cut(whole, area) for area in areas])


def _cut(whole: torch.Tensor, area: tuple[int, ...] | None) -> torch.Tensor:
    if area is None:
        return whole
    half = len(area) // 2
    for dim, (length, start) in enumerate(zip(area[:half], area[half:], strict=True), start=1):
        whole = whole.narrow(dim, start, length)
    return whole


def _tokens(tokens: Tokens, model: Any, conds: Mapping[str, Any], names: Sequence[str]) -> int:
    """Returns how many tokens the references of these names have."""
    method = conds.get("ref_latents_method") or getattr(
        model.diffusion_model, "default_ref_method", "index"
    )
    used = (name for name in names if name != "ref_latents" or method is not None)
    values = (conds.get(name) for name in used)
    lists = (own if isinstance(own, (list, tuple)) else [own] for own in values if own is not None)
    return sum(
        _count(cast(torch.Tensor, own), tokens.patch or ()) for some in lists for own in some
    )


def _count(latent: torch.Tensor, patch: Shape) -> int:
    size = tuple(latent.shape[2:])
    own = ((1,) * len(size) + patch)[-len(size) :]
    return math.prod(-(-cells // each) for cells, each in zip(size, own, strict=True))
