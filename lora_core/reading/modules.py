"""The tensors of a file become modules, or the file is refused."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import torch

from ..errors import LoraFileError
from ..families import (
    COMPUTABLE,
    KEYS,
    PEFT_TYPES,
    SCALARS,
    SHARED,
    Delta,
    Source,
    check_delta,
    finite,
    largest_magnitude,
    read_module,
    unread_family,
)
from ..formats import FileConfig, FileKey, Role

ALONE: Final = frozenset(role for role, scalar in SCALARS.items() if scalar.alone)
NO_FACTORS: Final = SCALARS.keys() | SHARED.keys()

MOST_REMEMBERED_NAMES: Final = 20_000
"""The names of larger files are looked at each time."""


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """What a file holds for one layer.

    Attributes:
        families: The families its tensors belong to.
        deltas: What its tensors do.
        parameters: How many numbers the file has for it.
        max_abs_bounds: For each delta, a bound for the magnitude of its entries.
    """

    families: tuple[str, ...]
    deltas: tuple[Delta, ...]
    parameters: int
    max_abs_bounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """The tensors of a file by key.

    Attributes:
        tensors: The tensors; tensors without data may be the same object.
        largest: The largest magnitude in each, where it is known; None if they have no data.
    """

    tensors: Mapping[str, torch.Tensor]
    largest: Mapping[str, float] | None = None

    def largest_in(self, key: str, tensor: torch.Tensor) -> float:
        """Returns the largest magnitude in a tensor; LoraFileError if it is not finite."""
        known = None if self.largest is None else self.largest.get(key)
        return largest_magnitude(key, tensor) if known is None else finite(key, known)


@dataclass(frozen=True, slots=True)
class _Own:
    """The tensors of one module by role, and the largest magnitude in each."""

    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])
    sizes: Mapping[str, float] = field(default_factory=dict[str, float])

    def joined_with(self, other: _Own) -> _Own:
        return _Own({**self.tensors, **other.tensors}, {**self.sizes, **other.sizes})

    def only(self, roles: Set[str]) -> _Own:
        tensors = {role: tensor for role, tensor in self.tensors.items() if role in roles}
        return _Own(tensors, {role: size for role, size in self.sizes.items() if role in roles})


def modules_of(
    content: Content, notes: FileConfig
) -> tuple[dict[str, Module], tuple[FileKey, ...]]:
    """Returns the modules by name, and the keys of no known spelling; LoraFileError if there is
    none, or one that cannot be read."""
    grouped, unknown = _group(content)
    shared = _shared(grouped, content)
    alike = content.largest is None and not notes.configs and not shared.tensors
    known: dict[object, Module] = {}
    modules: dict[str, Module] = {}
    for name, roles in grouped.items():
        if roles.keys() <= ALONE:
            unknown += [key for keys in roles.values() for key in keys]
            continue
        # thousands of modules without data are only some kinds of them
        kind = _kind(roles, content) if alike else name
        if kind not in known:
            own = _own(name, roles, content)
            if shared.tensors:
                used = {role for role, user in SHARED.items() if user in own.tensors}
                own = own.joined_with(shared.only(used))
            known[kind] = _module(name, own, notes)
        modules[name] = known[kind]
    if not modules:
        raise _no_lora(unknown, notes)
    return modules, tuple(unknown)


def _group(
    content: Content,
) -> tuple[dict[str, dict[Role, list[FileKey]]], list[FileKey]]:
    # the library gives no order, and which key a message names first must not be random
    keys = tuple(FileKey(key) for key in sorted(content.tensors))
    grouped, unknown = (_grouped if len(keys) <= MOST_REMEMBERED_NAMES else KEYS.group)(keys)
    return dict(grouped), [*unknown]


@lru_cache(maxsize=4)  # a file is checked, then read, and files of one trainer have the same names
def _grouped(
    keys: tuple[FileKey, ...],
) -> tuple[dict[str, dict[Role, list[FileKey]]], list[FileKey]]:
    return KEYS.group(keys)


def _kind(roles: Mapping[Role, list[FileKey]], content: Content) -> object:
    """Returns what a module without data has in common with all that are read like it."""
    return tuple(
        (role, *[id(content.tensors[key]) for key in same]) for role, same in roles.items()
    )


def _shared(grouped: dict[str, dict[Role, list[FileKey]]], content: Content) -> _Own:
    """Takes out the tensors that belong to all modules."""
    names = [name for name, roles in grouped.items() if roles.keys() <= SHARED.keys()]
    shared = _Own()
    for name in names:
        own = _own(name, grouped.pop(name), content)
        for role in own.tensors.keys() & shared.tensors.keys():
            raise LoraFileError(
                f"is ambiguous: it has two tensors {role} that are meant for all layers.",
                key=name,
                expected="one for all layers",
                found=f"{name}.{role} and another",
            )
        shared = shared.joined_with(own)
    return shared


def _own(name: str, roles: Mapping[Role, list[FileKey]], content: Content) -> _Own:
    """Gives the tensors of one module, in types that can be computed with, all finite."""
    own: dict[str, torch.Tensor] = {}
    sizes: dict[str, float] = {}
    for role, same in roles.items():
        if unread_family(role):  # refused by name, whatever its numbers are
            own[role] = content.tensors[same[0]]
            continue
        key = _only(name, same)
        own[role] = _computable(key, role, content.tensors[key])
        if role not in SCALARS:
            sizes[role] = content.largest_in(key, own[role])
    return _Own(own, sizes)


def _empty(name: str, role: str, tensor: torch.Tensor) -> LoraFileError:
    found = str(tuple(tensor.shape))
    return LoraFileError(
        f"{name} has an empty {role}: its shape is {found}.",
        key=name,
        expected="numbers",
        found=found,
    )


def _module(name: str, own: _Own, notes: FileConfig) -> Module:
    tensors = own.tensors
    families, deltas = read_module(Source(name, tensors, notes.of(name), own.sizes))
    parameters = 0
    for role, tensor in tensors.items():
        numbers = tensor.numel()
        if deltas and not numbers:
            raise _empty(name, role, tensor)
        if role not in NO_FACTORS:
            parameters += numbers
    max_abs_bounds = tuple([_max_abs_bound(name, delta) for delta in deltas])
    return Module(tuple(families), tuple(deltas), parameters, max_abs_bounds)


def _max_abs_bound(name: str, delta: Delta) -> float:
    """Gives the bound of a delta that can be computed with; LoraFileError for any other."""
    max_abs_bound = delta.max_abs_bound()
    check_delta(name, delta, max_abs_bound)
    return max_abs_bound


def _only(name: str, keys: list[FileKey]) -> FileKey:
    if len(keys) > 1:
        raise LoraFileError(
            f"{name} is ambiguous: the file has both {keys[0]} and {keys[1]}.",
            key=name,
            expected="one spelling",
            found=" and ".join(keys),
        )
    return keys[0]


def _computable(key: FileKey, role: Role, tensor: torch.Tensor) -> torch.Tensor:
    """Gives the tensor in a type that can be computed with; float8 becomes float16 without loss."""
    scalar = SCALARS.get(role)
    if scalar is not None and not tensor.dtype.is_complex:
        return tensor if scalar.typed else tensor.double()
    if tensor.dtype not in COMPUTABLE:
        raise LoraFileError(
            f"{key} holds {str(tensor.dtype).removeprefix('torch.')} numbers, which mean nothing "
            "without a scale.",
            key=key,
            expected="floating point numbers",
            found=str(tensor.dtype),
        )
    return tensor.half() if tensor.dtype.itemsize == 1 else tensor


def _no_lora(unknown: list[FileKey], notes: FileConfig) -> LoraFileError:
    first = ", ".join(unknown[:3])
    kind = notes.config and notes.config.get("peft_type")
    if isinstance(kind, str) and kind not in PEFT_TYPES:
        return LoraFileError(
            f"is {kind[:40]} according to its config, which this version does not read.",
            expected="one of the families in docs/fidelity.md",
            found=kind[:40],
        )
    return LoraFileError(
        f"is not a LoRA: none of its {len(unknown)} keys has a known LoRA suffix"
        + (f" (first: {first})." if first else "."),
        expected="names that end in .lora_up.weight, .lora_A.weight, …",
        found=first or "no tensors",
    )
