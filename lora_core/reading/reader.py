"""Reads LoRA files: validated, copied to memory, and shared as long as somebody uses them."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Final
from weakref import WeakValueDictionary

import torch

from ..algebra import FileId
from ..errors import LoraFileError
from ..families import (
    ADAPTER,
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
from ..formats import FileConfig, FileKey, Role, read_config
from .copying import copied
from .file_faults import check_size, explain
from .header import UNSOUND, Head, read_head, unopened
from .tensors import outlines_of, parts_of

MOST_REMEMBERED: Final = 4096
"""How many files are remembered as sound."""


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


@dataclass(frozen=True, eq=False)
class LoraFile:
    """A valid LoRA in memory.

    Attributes:
        id: The file, in one state.
        modules: The modules by the layer's name, as the file writes it.
        unknown: Keys of no known spelling.
        metadata: The file's own metadata, unchecked text.
        notes: What the metadata, and peft's config next to the file, say about its modules.
        interleaved: Whether q, k and v of MiniMax-H3 would be stored head by head in it.
    """

    id: FileId
    modules: Mapping[str, Module]
    unknown: tuple[FileKey, ...]
    metadata: Mapping[str, str]
    notes: FileConfig
    interleaved: bool = False


class FileCache:
    """Reads every file once while anybody holds it; safe from several threads.

    References are weak: what the host frees is freed. Only the names of checked files stay.
    """

    def __init__(self) -> None:
        self._files: WeakValueDictionary[FileId, LoraFile] = WeakValueDictionary()
        self._sound: dict[FileId, None] = {}  # in the order of the checks
        self._lock = Lock()

    def read(self, file: FileId) -> LoraFile:
        """Returns the content of ``file``; LoraFileError if it is not a valid LoRA or has changed
        since."""
        with self._lock:
            known = self._files.get(file)
            if known is None:
                known = read_file(file)
                self._files[file] = known
                self._remember(file)
            return known

    def check(self, file: FileId) -> None:
        """Does what ``check_file`` does, once for each state of a file."""
        with self._lock:
            known = file in self._sound
        if not known:
            check_file(file)
            with self._lock:
                self._remember(file)

    def _remember(self, file: FileId) -> None:
        self._sound[file] = None
        while len(self._sound) > MOST_REMEMBERED:
            del self._sound[next(iter(self._sound))]


shared_cache: Final = FileCache()
"""The one cache that all nodes share."""


def check_file(file: FileId) -> None:
    """Refuses a damaged file, or one that is not a LoRA, from its header alone, in milliseconds."""
    try:
        check_size(file.size)
        outline_of(file, read_head(file))
    except LoraFileError as error:
        raise error.in_file(file.name) from error


def outline_of(file: FileId, head: Head) -> LoraFile:
    """Reads ``file`` without its numbers, as far as its header says; LoraFileError if it is not a
    LoRA."""
    try:
        outlines = outlines_of(head.tensors)
    except UNSOUND as error:
        raise explain(head.beginning, file.size, error) from error
    return _file(file, head, outlines)


def read_file(file: FileId) -> LoraFile:
    """Reads ``file`` whole and checks everything; LoraFileError names what is wrong."""
    try:
        return _parsed(file)
    except LoraFileError as error:
        raise error.in_file(file.name) from error


def _notes(file: FileId, metadata: Mapping[str, str]) -> FileConfig:
    try:
        return FileConfig.read(metadata, read_config(Path(file.path)))
    except OSError as error:
        raise unopened(error) from error


def _parsed(file: FileId) -> LoraFile:
    check_size(file.size)
    head = read_head(file)
    data, largest = copied(file, head)
    try:
        tensors = parts_of(data, head.tensors)
    except UNSOUND as error:
        raise explain(head.beginning, file.size, error) from error
    return _file(file, head, tensors, largest)


def _file(
    file: FileId,
    head: Head,
    tensors: Mapping[str, torch.Tensor],
    largest: Mapping[str, float] | None = None,
) -> LoraFile:
    notes = _notes(file, head.metadata)
    modules, unknown = _modules(_Content(tensors, largest or {}), notes)
    interleaved = any(key.endswith(ADAPTER) for key in tensors)
    return LoraFile(file, modules, unknown, head.metadata, notes, interleaved)


@dataclass(frozen=True, slots=True)
class _Content:
    """The tensors of a file by key, and the largest magnitude in each, where it is known already."""

    tensors: Mapping[str, torch.Tensor]
    largest: Mapping[str, float]

    def largest_in(self, key: str, tensor: torch.Tensor) -> float:
        """Returns the largest magnitude in a tensor; LoraFileError if it is not finite."""
        known = self.largest.get(key)
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


def _modules(
    content: _Content, notes: FileConfig
) -> tuple[dict[str, Module], tuple[FileKey, ...]]:
    # the library gives no order, and which key a message names first must not be random
    grouped, unknown = KEYS.group(map(FileKey, sorted(content.tensors)))
    shared = _shared(grouped, content)
    modules: dict[str, Module] = {}
    for name, roles in grouped.items():
        if all(role in SCALARS and SCALARS[role].alone for role in roles):
            unknown += [key for keys in roles.values() for key in keys]
        else:
            own = _own(name, roles, content)
            used = {role for role, user in SHARED.items() if user in own.tensors}
            modules[name] = _module(name, own.joined_with(shared.only(used)), notes)
    if not modules:
        raise _no_lora(unknown, notes)
    return modules, tuple(unknown)


def _shared(
    grouped: dict[str, dict[Role, list[FileKey]]], content: _Content
) -> _Own:
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


def _own(
    name: str, roles: Mapping[Role, list[FileKey]], content: _Content
) -> _Own:
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
    for role, tensor in tensors.items():
        if deltas and not tensor.numel():
            raise _empty(name, role, tensor)
    own_factors = tensors.keys() - SCALARS.keys() - SHARED.keys()
    parameters = sum(tensors[role].numel() for role in own_factors)
    max_abs_bounds = tuple(_max_abs_bound(name, delta) for delta in deltas)
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
