"""The parts a model consists of, and the paths of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ..errors import LoraInputError
from ..targets import Part, Shape, Target
from .architectures import architecture, other_paths
from .prefixes import Prefix, Role
from .tables import Shapes, native_path
from .text_encoders import is_t5

_DENOISER: Final[tuple[Role, ...]] = ("denoiser", "whichever")
_FIRST: Final[tuple[Role, ...]] = ("text_encoder",)
_SECOND: Final[tuple[Role, ...]] = ("text_encoder_2",)
# SD 3's third encoder and Flux's second, which kohya numbers as the third all the same. No CLIP has
# a path of T5's, so that answering to both confuses nothing.
_T5: Final[tuple[Role, ...]] = ("text_encoder_2", "text_encoder_3")

_ROOTS: Final[Mapping[str, tuple[Role, ...]]] = {
    "model.diffusion_model.": _DENOISER,
    "diffusion_model.": _DENOISER,
    # SD 1.5, SD 2
    "cond_stage_model.transformer.": _FIRST,
    "cond_stage_model.model.": _FIRST,
    # SDXL; its refiner has but diffusers' second, and SD 2 may be laid out so, too
    "conditioner.embedders.0.transformer.": _FIRST,
    "conditioner.embedders.0.model.": _FIRST + _SECOND,
    "conditioner.embedders.1.model.": _SECOND,
    # bundled checkpoints, and ComfyUI's text encoders by themselves
    "text_encoders.clip_l.transformer.": _FIRST,
    "text_encoders.clip_h.transformer.": _FIRST,
    "text_encoders.clip_g.transformer.": _SECOND,
    "text_encoders.t5xxl.transformer.": _T5,
    "text_encoders.umt5xxl.transformer.": _FIRST,
    "clip_l.transformer.": _FIRST,
    "clip_h.transformer.": _FIRST,
    "clip_g.transformer.": _SECOND,
    "t5xxl.transformer.": _T5,
    "umt5xxl.transformer.": _FIRST,
}

_DECLARED: Final[Mapping[str, tuple[Role, ...]]] = {
    "unet": _DENOISER,
    "transformer": _DENOISER,
    "text_encoder": ("text_encoder", "whichever"),
    "text_encoder_2": ("text_encoder_2", "whichever"),
    "text_encoder_3": ("text_encoder_3", "whichever"),
}

# The first and the second text encoder share their paths: only the first can be meant by default.
_UNDECLARED: Final[tuple[Role, ...]] = ("denoiser", "text_encoder", "whichever")

# A parameter of OpenCLIP that files never mean: their text_projection is a layer, its transpose.
_UNREACHABLE: Final = "text_projection"


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """One module of a model, such as its UNet.

    Attributes:
        root: What the model puts in front of its weights' names.
        roles: What files may call it.
        architecture: The name of it, or None.
        dotted: The targets by path; their keys lack the root.
        underscored: The same by the paths with "_" in place of ".".
    """

    root: str
    roles: tuple[Role, ...]
    architecture: str | None
    dotted: Mapping[str, Target]
    underscored: Mapping[str, Target]

    @property
    def part(self) -> Part | None:
        """What the component is; None for a bare module, which the names take for either."""
        return None if self.roles is _UNDECLARED else self._part("whichever")

    def find(self, name: str, prefix: Prefix) -> Target | None:
        """What ``name`` means here if it starts with ``prefix``, which means this component."""
        if not name.startswith(prefix.text):
            return None
        paths = self.underscored if prefix.underscored else self.dotted
        target = paths.get(name[len(prefix.text) :])
        if target is None:
            return None
        return replace(target, key=self.root + target.key, part=self._part(prefix.role))

    def _part(self, role: Role) -> Part:
        """A file that does not say what it means trusts the component to know."""
        said = role if role != "whichever" else self.roles[0]
        return "model" if said == "denoiser" else "clip"


def components(shapes: Mapping[str, Shape], declared: str | None) -> tuple[Component, ...]:
    """The components of a model; the whole of it is one if declared so, or if it has no roots.

    Raises:
        LoraInputError: There is no component called ``declared``.
    """
    if declared is not None:
        return (_component("", _declared_roles(shapes, declared), shapes),)
    inside = _by_root(shapes)
    if not inside:
        return (_component("", _UNDECLARED, shapes),)
    return tuple(_component(root, _ROOTS[root], inside[root]) for root in _ROOTS if root in inside)


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
        root = next((root for root in _ROOTS if key.startswith(root)), None)
        if root is not None:
            inside.setdefault(root, {})[key[len(root) :]] = shape
    return inside


def _component(root: str, roles: tuple[Role, ...], shapes: Shapes) -> Component:
    own = dict(_own_paths(shapes))
    other = dict(other_paths(shapes))
    return Component(
        root=root,
        roles=roles,
        architecture=architecture(shapes),
        dotted={**other, **own},
        underscored={**_underscored(other), **_underscored(own)},
    )


def _own_paths(shapes: Shapes) -> Iterator[tuple[str, Target]]:
    return ((native_path(key), Target(key)) for key in shapes if key != _UNREACHABLE)


def _underscored(paths: Mapping[str, Target]) -> dict[str, Target]:
    """The paths as kohya writes them; one that could mean two weights means neither."""
    found: dict[str, Target] = {}
    ambiguous: set[str] = set()
    for path, target in paths.items():
        name = path.replace(".", "_")
        if found.setdefault(name, target) != target:
            ambiguous.add(name)
    return {name: target for name, target in found.items() if name not in ambiguous}
