"""What a file calls a model's weights, if we write it: the way back from a weight to a name.

A weight has many names and a file needs one. Every name that is given here is one that
``ModelNames.find`` reads as that very weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from .architectures import architecture_named, other_paths
from .components import Component
from .model_names import ModelNames
from .prefixes import PREFIXES, Prefix, own_prefix
from .tables import native_path
from .targets import Shape, Target

NameStyle: TypeAlias = Literal["ComfyUI", "kohya", "diffusers"]

NAME_STYLES: Final[tuple[NameStyle, ...]] = ("ComfyUI", "kohya", "diffusers")

_STARTS: Final[Mapping[NameStyle, tuple[str, ...]]] = {
    "ComfyUI": ("diffusion_model.", "text_encoders."),
    "kohya": ("lora_unet_", "lora_te_", "lora_te1_", "lora_te2_", "lora_te3_", "lora_te4_"),
    "diffusers": ("unet.", "transformer.", "text_encoder"),
}
"""How the prefixes of a style begin; of those that mean a component the first is taken."""

_UNET_BEGINS: Final = "input_blocks."
"""How a weight of what diffusers calls a UNet begins; other denoisers are transformers."""

_IN_DIFFUSERS_WORDS: Final = ("SD 1.5", "SD 2")
"""Where kohya's trainers use the paths of diffusers."""


_ENCODER_WORDS: Final = ("^text_model.",)
"""What is in the paths of text encoders that most programs know; newer ones also know others."""


@dataclass(frozen=True, slots=True)
class WrittenName:
    """The name of one layer in a file.

    Attributes:
        name: The name, without a suffix.
        target: What it means.
    """

    name: str
    target: Target


class WrittenNames:
    """The names of one model's weights in a file of one style."""

    def __init__(self, names: ModelNames, shapes: Mapping[str, Shape], style: NameStyle) -> None:
        """Prepares the names. ``shapes`` are those that ``names`` are made from."""
        self._names = names
        self._shapes = shapes
        self._style: NameStyle = style
        self._inside = {
            part: {k[len(part.root) :]: s for k, s in shapes.items() if k.startswith(part.root)}
            for part in names.components
        }
        self._covers = {part: self._known_covers(part) for part in names.components}

    def of(self, key: str) -> tuple[WrittenName, ...]:
        """Returns the name of a weight, or those of the layers whose rows it holds, in their order.

        The weight's key in the model is its name where no other one is read as the same weight.
        """
        for component, inside in self._inside.items():
            inner = key.removeprefix(component.root)
            if key.startswith(component.root) and inner in inside:
                return self._in(component, inner) or (WrittenName(key, Target(key)),)
        return (WrittenName(key, Target(key)),)

    def _in(self, component: Component, inner: str) -> tuple[WrittenName, ...]:
        for prefix in self._prefixes(component):
            for paths in (*self._covers[component].get(inner, ()), [native_path(inner)]):
                found = self._read(prefix, paths, component.root + inner)
                if found:
                    return found
        return ()

    def _read(self, prefix: Prefix, paths: Iterable[str], key: str) -> tuple[WrittenName, ...]:
        """Returns the names if they are read as all rows of the weight, each of them once."""
        written = [p.replace(".", "_") if prefix.underscored else p for p in paths]
        found = [(name, self._names.find(name)) for name in map(prefix.text.__add__, written)]
        own = [WrittenName(name, t) for name, t in found if t is not None and t.key == key]
        return tuple(own) if len(own) == len(found) and self._whole(own) else ()

    def _whole(self, names: Sequence[WrittenName]) -> bool:
        targets = [each.target for each in names]
        if any(target.rest is not None or target.source is not None for target in targets):
            return False
        if len(targets) == 1 and targets[0].rows is None:
            return True
        end = 0
        for target in targets:
            if target.rows is None or target.rows[0] != end:
                return False
            end += target.rows[1]
        return bool(targets) and end == self._shapes[targets[0].key][0]

    def _prefixes(self, component: Component) -> Iterator[Prefix]:
        starts = _STARTS[self._style]
        if self._style == "ComfyUI" and component.encoder:
            yield own_prefix(component.encoder)
        known = [p for p in PREFIXES if p.role in component.roles and p.role != "whichever"]
        wanted = sorted(
            (start, prefix)
            for prefix in known
            for start, text in enumerate(starts)
            if prefix.text.startswith(text) and self._is_usual(prefix, component)
        )
        yield from (prefix for _, prefix in wanted)

    def _is_usual(self, prefix: Prefix, component: Component) -> bool:
        """Tells whether people write a prefix for such a model."""
        if "base_model" in prefix.text or prefix.text == "lora_unet__":
            return False
        if prefix.text.startswith(("unet.", "transformer.")):
            is_unet = any(key.startswith(_UNET_BEGINS) for key in self._inside[component])
            return is_unet == prefix.text.startswith("unet.")
        several = sum(part.part == "clip" for part in self._names.components) > 1
        return not (several and prefix.text == "lora_te_")

    def _known_covers(self, component: Component) -> dict[str, tuple[list[str], ...]]:
        """Returns the paths of diffusers by weight, if the style has them: for each weight some sets
        of paths that mean all of it, the best first."""
        diffusers = self._style == "diffusers" or (
            self._style == "kohya" and component.architecture in _IN_DIFFUSERS_WORDS
        )
        if not diffusers:
            return {}
        inside = self._inside[component]
        by_key: dict[str, list[_Piece]] = {}
        for path, target in other_paths(inside):
            start, length = target.rows or (0, inside[target.key][0])
            by_key.setdefault(target.key, []).append(_Piece(start, start + length, path))
        known = architecture_named(component.architecture)
        words = _ENCODER_WORDS if component.encoder else known.in_diffusers
        return {
            key: _in_order(
                [*pieces, _Piece(0, inside[key][0], native_path(key))], words, inside[key][0]
            )
            for key, pieces in by_key.items()
        }


class _Piece(NamedTuple):
    """A path that means some rows of a weight."""

    start: int
    end: int
    path: str


def _in_order(pieces: Sequence[_Piece], words: Sequence[str], height: int) -> tuple[list[str], ...]:
    """Returns the sets of paths that mean all rows: first those with the words of diffusers' own
    class, then those of parts before those of the whole, then those that were found first."""

    def rank(cover: Sequence[_Piece]) -> tuple[int, bool, int]:
        own = max(_place_of(piece.path, words) for piece in cover)
        return own, len(cover) == 1, pieces.index(cover[0])

    covers = sorted(_covering(pieces, 0, height), key=rank)
    return tuple([piece.path for piece in cover] for cover in covers)


def _covering(pieces: Sequence[_Piece], start: int, end: int) -> Iterator[list[_Piece]]:
    """Yields every row of pieces, one below the other, from a first row to a last one."""
    if start == end:
        yield []
    for piece in pieces:
        if piece.start == start and start < piece.end <= end:
            for rest in _covering(pieces, piece.end, end):
                yield [piece, *rest]


def _place_of(path: str, words: Sequence[str]) -> int:
    """Returns which of the words is in a path, which begins with ^; how many there are if none is."""
    return next((place for place, word in enumerate(words) if word in f"^{path}"), len(words))
