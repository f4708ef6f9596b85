"""The parts of a model, and the paths of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..errors import LoraInputError
from .architectures import architecture, other_paths
from .joined import joined_paths
from .prefixes import Prefix, Role
from .tables import Shapes, native_path, scale_path
from .targets import Part, Shape, Target
from .text_encoders import is_clip, is_encoder, is_t5

_DENOISER: Final[tuple[Role, ...]] = ("denoiser", "whichever")
_ONLY: Final[tuple[Role, ...]] = ("text_encoder",)
_FIRST: Final[tuple[Role, ...]] = (*_ONLY, "text_encoder_1")
_SECOND: Final[tuple[Role, ...]] = ("text_encoder_2",)
# SD 3's third encoder and Flux's second, which kohya also numbers as the third.
_T5: Final[tuple[Role, ...]] = ("text_encoder_2", "text_encoder_3")
# How encoders are numbered differs between models and trainers. No two kinds of them have a path
# in common, so all but CLIP, of which there may be two, can answer to every number.
_ANY: Final[tuple[Role, ...]] = (*_FIRST, *_T5, "text_encoder_4")

_ROOTS: Final[Mapping[str, tuple[Role, ...]]] = {
    "model.diffusion_model.": _DENOISER,
    "diffusion_model.": _DENOISER,
    # SD 1.5, SD 2
    "cond_stage_model.transformer.": _FIRST,
    "cond_stage_model.model.": _FIRST,
    # SDXL; its refiner has only diffusers' second, and SD 2 may have this layout, too
    "conditioner.embedders.0.transformer.": _FIRST,
    "conditioner.embedders.0.model.": _FIRST + _SECOND,
    "conditioner.embedders.1.model.": _SECOND,
}

# bundled checkpoints, and separate text encoders of ComfyUI
_ENCODER_ROOT: Final = re.compile(r"(text_encoders\.)?(?P<name>\w+)\.transformer\.")
_SECOND_CLIP: Final = "clip_g"

_DECLARED: Final[Mapping[str, tuple[Role, ...]]] = {
    "unet": _DENOISER,
    "transformer": _DENOISER,
    "text_encoder": (*_FIRST, "whichever"),
    "text_encoder_2": ("text_encoder_2", "whichever"),
    "text_encoder_3": ("text_encoder_3", "whichever"),
    "text_encoder_4": ("text_encoder_4", "whichever"),
}

# The first and the second text encoder share their paths: only the first can be meant by default.
_UNDECLARED: Final[tuple[Role, ...]] = ("denoiser", *_FIRST, "whichever")

# A parameter of OpenCLIP that files never mean: their text_projection is a layer, its transpose.
_UNREACHABLE: Final = "text_projection"

# torch's MultiheadAttention keeps q, k and v in a parameter; peft calls it by the module's name.
_FUSED: Final = ".in_proj_weight"


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """One module of a model, such as its UNet.

    Attributes:
        root: What the model puts before its weights' names.
        roles: What files may call it.
        encoder: ComfyUI's name for it, such as "clip_l", or None.
        architecture: The name of its architecture, or None.
        dotted: The targets by path; their keys lack the root.
        underscored: The same by the paths with "_" instead of ".".
    """

    root: str
    roles: tuple[Role, ...]
    encoder: str | None
    architecture: str | None
    dotted: Mapping[str, Target]
    underscored: Mapping[str, Target]

    @property
    def part(self) -> Part | None:
        """What the component is; None for a bare module, which names may take for either."""
        return None if self.roles is _UNDECLARED else self._part("whichever")

    def find(self, name: str, prefix: Prefix) -> Target | None:
        """Returns what ``name`` means here if it starts with ``prefix``, which means this
        component."""
        if not name.startswith(prefix.text):
            return None
        paths = self.underscored if prefix.underscored else self.dotted
        target = paths.get(name[len(prefix.text) :])
        if target is None:
            return None
        return target.named(self.root.__add__, self._part(prefix.role))

    def _part(self, role: Role) -> Part:
        """Returns the part. A file that does not say what it means relies on the component."""
        meant = role if role != "whichever" else self.roles[0]
        return "model" if meant == "denoiser" else "clip"


def components(shapes: Mapping[str, Shape], declared: str | None) -> tuple[Component, ...]:
    """Returns the components of a model; the whole is one if declared so, or if it has no roots.

    Raises:
        LoraInputError: There is no component called ``declared``.
    """
    if declared is not None:
        return (_component("", _declared_roles(shapes, declared), shapes),)
    inside = _by_root(shapes)
    if not inside:
        return (_component("", _UNDECLARED, shapes),)
    encoders = {root: own for root, own in inside.items() if root not in _ROOTS}
    return (
        *(_component(root, _ROOTS[root], inside[root]) for root in _ROOTS if root in inside),
        *(_component(root, _encoder_roles(root, encoders), own) for root, own in encoders.items()),
    )


def denoiser_root(shapes: Shapes) -> str:
    """Returns what a model puts before the names of its denoiser's weights; "" if it is one."""
    roots = (root for root, roles in _ROOTS.items() if roles is _DENOISER)
    return next((root for root in roots if any(key.startswith(root) for key in shapes)), "")


def denoiser_architecture(shapes: Shapes) -> str | None:
    """Returns the name of the architecture of a model's denoiser, or None if it is not known."""
    root = denoiser_root(shapes)
    own = {key[len(root) :]: shape for key, shape in shapes.items() if key.startswith(root)}
    return architecture(own)


def _declared_roles(shapes: Shapes, declared: str) -> tuple[Role, ...]:
    roles = _DECLARED.get(declared)
    if roles is None:
        raise LoraInputError(
            f"A model has no component called {declared!r}. Use one of: {', '.join(_DECLARED)}.",
            key="component",
            expected=", ".join(_DECLARED),
            found=declared,
        )
    if is_t5(shapes) and declared != "text_encoder":
        return (*_T5, "whichever")
    return roles


def _by_root(shapes: Mapping[str, Shape]) -> dict[str, dict[str, Shape]]:
    inside: dict[str, dict[str, Shape]] = {}
    for key, shape in shapes.items():
        root = _root(key)
        if root is not None:
            inside.setdefault(root, {})[key[len(root) :]] = shape
    return {root: own for root, own in inside.items() if root in _ROOTS or is_encoder(own)}


def _root(key: str) -> str | None:
    known = next((root for root in _ROOTS if key.startswith(root)), None)
    if known is not None:
        return known
    encoder = _ENCODER_ROOT.match(key)
    return encoder[0] if encoder else None


def _encoder_name(root: str) -> str | None:
    encoder = None if root in _ROOTS else _ENCODER_ROOT.fullmatch(root)
    return encoder["name"] if encoder else None


def _encoder_roles(root: str, encoders: Mapping[str, Shapes]) -> tuple[Role, ...]:
    """Returns what files call one of a model's text encoders, which depends on the others."""
    if len(encoders) == 1:  # LyCORIS and peft on the module itself do not say which they mean
        return (*_numbers(root, encoders), "whichever")
    return _numbers(root, encoders)


def _numbers(root: str, encoders: Mapping[str, Shapes]) -> tuple[Role, ...]:
    if not is_clip(encoders[root]):
        return _ANY
    others = [own for other, own in encoders.items() if other != root]
    if _encoder_name(root) == _SECOND_CLIP:
        # Alone it is SDXL's refiner's or Cascade's, unless it is SD 3's without the first.
        return _SECOND if any(is_clip(own) for own in others) else _ONLY + _SECOND
    # Next to a language model it is diffusers' second.
    return _FIRST + _SECOND if any(_is_language_model(own) for own in others) else _FIRST


def _is_language_model(shapes: Shapes) -> bool:
    return not is_clip(shapes) and not is_t5(shapes)


def _component(root: str, roles: tuple[Role, ...], shapes: Shapes) -> Component:
    own = _own_paths(shapes)
    other = dict(other_paths(shapes))
    joined = dict(joined_paths({**other, **own}, shapes))
    return Component(
        root=root,
        roles=roles,
        encoder=_encoder_name(root),
        architecture=architecture(shapes),
        dotted={**joined, **other, **own},
        underscored={**_underscored(joined), **_underscored(other), **_underscored(own)},
    )


def _own_paths(shapes: Shapes) -> dict[str, Target]:
    """Returns every weight by its module's path."""
    reachable = [key for key in shapes if key != _UNREACHABLE]
    scales = {scale_path(key): Target(key) for key in reachable}
    attention = {key.removesuffix(_FUSED): Target(key) for key in reachable if key.endswith(_FUSED)}
    return scales | attention | {native_path(key): Target(key) for key in reachable}


def _underscored(paths: Mapping[str, Target]) -> dict[str, Target]:
    """Returns the paths as kohya writes them; one that could mean two weights means neither."""
    found: dict[str, Target] = {}
    ambiguous: set[str] = set()
    for path, target in paths.items():
        name = path.replace(".", "_")
        if found.setdefault(name, target) != target:
            ambiguous.add(name)
    return {name: target for name, target in found.items() if name not in ambiguous}
