"""What a weight of a model is: of which block, of which kind, for text or picture.

The lists of blocks and what is special are rows of the architectures. Kinds and parts otherwise
follow from the words in a weight's name, since all architectures use the same ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, TypeVar, cast

from .architecture import Architecture, BlockList, Tokens
from .architectures import ARCHITECTURES, architecture_named
from .components import denoiser_root
from .targets import Shape

T = TypeVar("T")

KINDS: Final = ("attn", "cross attn", "ff", "norm", "mod", "conv", "fused")
"""The kinds of layers inside of blocks. A fused layer holds attention and feed-forward as one, so
it is neither of them."""

PARTS: Final = ("txt", "img", "video", "audio", "video_to_audio", "audio_to_video")
"""The sides of a model that layers belong to."""

KEPT_ANSWERS: Final = 16
"""How many answers about a model are remembered: more than one recipe asks for."""

_ENDING: Final = re.compile(r"[._](weight|bias|scale)$")

# words between dots and underscores
_NORM: Final = re.compile(r"norm|(^|_)ln(_|$)")
_RESNET_NORM: Final = re.compile(r"(^|\.)(in|out)_layers\.0$")
_MODULATION: Final = re.compile(
    r"(^|_)mod(_|$)|^mod[CX]+$|modulation|^ada(_|$)|^adaln_(single|proj|ln)|scale_shift|modulate"
    r"|^emb_layers$|^time_emb_proj$",
    re.IGNORECASE,
)
_MODULATING_NORM: Final = re.compile(r"norm\w*\.linear(_\d)?$")
_ATTENTION: Final = re.compile(r"attn|attention(?!s)|^(to_)?(q|k|v|o|qkv)(_proj)?$")
_CROSS: Final = re.compile(r"cross|(^|_)attn2$")
_FEED_FORWARD: Final = re.compile(r"(^|_)(ff|ffn|mlp|feed_forward)(_|$)|^(mlp[CX]|moe)$")
_CONVOLUTION: Final = re.compile(r"(^|_)conv(_|\d|$)|^(op|depthwise|skip_connection)$")
_RESNET_CONVOLUTION: Final = re.compile(r"(^|\.)(in_layers\.2|out_layers\.3)$|^0$")

_TEXT: Final = re.compile(r"(^|[._])(txt|context|instruct)([._]|$)")
_ADDED: Final = re.compile(r"(^|[._])(add_[qkv]_proj|to_add_out|norm_added_[qk])([._]|$)")
_PICTURE: Final = re.compile(r"(^|[._])(img|x_block)([._]|$)")
_OUTER: Final = re.compile(r"^(txt|img)_")


@dataclass(frozen=True, slots=True)
class Layer:
    """One weight of a model.

    Attributes:
        key: The weight's name in the model.
        path: The path of its module, without what the model puts before its denoiser.
        block: The name of the list of blocks that it is in; "" if it is in no block.
        index: The number of its block.
        kinds: Its kinds, of ``KINDS``; none outside of blocks.
        parts: What it belongs to, of ``PARTS``.
        model: All layers of its model.
    """

    key: str
    path: str
    block: str
    index: int
    kinds: frozenset[str]
    parts: frozenset[str]
    model: Layers = field(compare=False, repr=False)


class Layers(Mapping[str, Layer]):
    """All weights of a denoiser, by name: found out when somebody asks, and once.

    Attributes:
        base: The name of the architecture; None if it is not known.
    """

    def __init__(self, shapes: Mapping[str, Shape], base: str | None = None) -> None:
        self.base = base
        self._shapes = shapes
        self._answers: dict[Hashable, object] = {}

    def __getitem__(self, key: str) -> Layer:
        return self._layers[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    @cached_property
    def blocks(self) -> Mapping[str, Mapping[int, Sequence[Layer]]]:
        """The layers in blocks, by list and number, in the order in which the model runs them."""
        found: dict[str, dict[int, list[Layer]]] = {own.name: {} for own in self._known.blocks}
        for layer in self.values():
            if layer.block:
                found.setdefault(layer.block, {}).setdefault(layer.index, []).append(layer)
        return {name: dict(sorted(own.items())) for name, own in found.items() if own}

    @cached_property
    def numbers(self) -> Mapping[str, tuple[int, ...]]:
        """The numbers of the blocks of each list, in the order in which the model runs them."""
        return {name: tuple(own) for name, own in self.blocks.items()}

    @property
    def tokens(self) -> Tokens | None:
        """Where the picture is in what the layers read; None if we do not know."""
        return self._known.tokens

    def answer(self, question: Hashable, find: Callable[[], T]) -> T:
        """Returns what ``find`` said to an equal ``question`` before, or says now."""
        known = self._answers.get(question)
        if known is not None:
            return cast(T, known)
        answer = self._answers[question] = find()
        for oldest in list(self._answers)[:-KEPT_ANSWERS]:
            self._answers.pop(oldest, None)
        return answer

    @cached_property
    def _inside(self) -> Mapping[str, str]:
        """The whole names of the weights, by their names inside of the denoiser."""
        root = denoiser_root(self._shapes)
        return {key[len(root) :]: key for key in self._shapes if key.startswith(root)}

    @cached_property
    def _known(self) -> Architecture:
        return _architecture(
            self.base, {own: self._shapes[key] for own, key in self._inside.items()}
        )

    @cached_property
    def _layers(self) -> Mapping[str, Layer]:
        places = _places(self._known.blocks)
        return {key: self._layer(key, own, places) for own, key in self._inside.items()}

    def _layer(self, key: str, inside: str, places: Sequence[_Place]) -> Layer:
        path = _ENDING.sub("", inside)
        known = self._known
        block, index, inner = _block(path, places) if known.blocks else _unnamed_block(path)
        kinds, parts = _said(path, known)
        own = next((each for each in known.blocks if each.name == block), None)
        return Layer(
            key=key,
            path=path,
            block=block,
            index=index,
            kinds=_kinds(inner, kinds) if block else frozenset(),
            parts=frozenset(parts or _parts(inner, own)),
            model=self,
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """How the names of layers in some blocks begin; a number follows if there is none here."""

    pattern: re.Pattern[str]
    name: str
    number: int | None


def _architecture(base: str | None, shapes: Mapping[str, Shape]) -> Architecture:
    """Returns the architecture, or for a variant without a name of its own, one that is built alike."""
    known = architecture_named(base)
    if known.blocks:
        return known
    alike = (each for each in ARCHITECTURES if any(layout.fits(shapes) for layout in each.layouts))
    return next(alike, known)


def _places(blocks: tuple[BlockList, ...]) -> tuple[_Place, ...]:
    fixed = (
        _Place(re.compile(re.escape(start)), own.name, number)
        for own in blocks
        for start, number in own.places.items()
    )
    numbered = (
        _Place(re.compile(re.escape(start) + r"(\d+)(\.|$)"), own.name, None)
        for own in blocks
        for start in own.paths
    )
    return (*fixed, *numbered)


def _block(path: str, places: Sequence[_Place]) -> tuple[str, int, str]:
    """Returns the list, the number, and the path inside of the block; "" if it is in no block."""
    for place in places:
        found = place.pattern.match(f"{path}.")
        if found:
            number = int(found[1]) if place.number is None else place.number
            return place.name, number, path[found.end() :] or path
    return "", 0, path


def _unnamed_block(path: str) -> tuple[str, int, str]:
    """Returns the same for an architecture that nobody has described: the list is called by its
    path.

    >>> _unnamed_block("decoder.layers.3.attn.to_q")
    ('decoder layer', 3, 'attn.to_q')
    """
    found = re.match(r"([^\d.][^.]*(?:\.[^\d.][^.]*)*)\.(\d+)\.(.+)", path)
    if found is None:
        return "", 0, path
    name = found[1].replace(".", " ").lower()
    return name.removesuffix("s"), int(found[2]), found[3]


def _said(path: str, known: Architecture) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the kinds and the parts that the architecture's row says."""
    names = [own.names for own in known.traits if own.pattern.search(path)]
    kinds = next((own for own in names if set(own) & {*KINDS}), ())
    return kinds, next((own for own in names if set(own) & {*PARTS}), ())


def kinds_of_words(inner: str, said: tuple[str, ...]) -> frozenset[str]:
    """Returns the kinds of a layer of which the path has underscores between all words, as kohya
    writes it. Numbers show where one module ends; other words can be a part of a name or all of it.
    """
    kinds = tuple(name for name in said if name in KINDS)
    dotted = re.sub(r"(?:^|(?<=[a-z])_)(\d+)(?:_|$)", r".\1.", inner).strip(".")
    words = {word for part in dotted.split(".") for word in (part, *part.split("_"))}
    return frozenset(kinds or _general_kinds(dotted, sorted(words)))


def _kinds(inner: str, said: tuple[str, ...]) -> frozenset[str]:
    """Returns the kinds of a layer at a path inside of a block; a norm is one wherever it is."""
    words = inner.split(".")
    general = _general_kinds(inner, words)
    return frozenset(said) | (general & {"norm"}) if said else frozenset(general)


def _general_kinds(inner: str, words: list[str]) -> set[str]:
    if any(map(_MODULATION.search, words)) or _MODULATING_NORM.search(inner):
        return {"mod"}
    is_norm = any(map(_NORM.search, words)) or _RESNET_NORM.search(inner)
    kinds = {"norm"} if is_norm else set[str]()
    places = [word for word in words if not _NORM.search(word)]
    if any(map(_ATTENTION.search, places)):
        kinds.add("attn")
    if any(map(_CROSS.search, places)):
        kinds |= {"attn", "cross attn"}
    if any(map(_FEED_FORWARD.search, places)):
        kinds.add("ff")
    if any(map(_CONVOLUTION.search, places)) or _RESNET_CONVOLUTION.search(inner):
        kinds.add("conv")
    return kinds


def _parts(inner: str, own: BlockList | None) -> tuple[str, ...]:
    """Returns what a layer belongs to, by its path inside of a block, or by its whole path."""
    if own is None:
        outer = _OUTER.match(inner)
        return (outer[1],) if outer else ()
    if _TEXT.search(inner) or (own.part == "img" and _ADDED.search(inner)):
        return ("txt",)
    if _PICTURE.search(inner):
        return ("img",)
    return (own.part,) if own.part else ()
