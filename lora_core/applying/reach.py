"""Finds which layers of a model run through their ``forward``, so that a branch can be next to
them.

A model can read the weight of a layer and compute with it directly, for example in one kernel with
what comes before. Then no hook of the layer is called, and a branch would silently add nothing. So
the parameters that a stack changes are watched while the model computes: one that is read although
its layer's ``forward`` never ran needs another route, and one that is not read is not used at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch

if TYPE_CHECKING:
    from typing_extensions import Self

Route: TypeAlias = Literal["weight", "parameter"]
"""How a change gets to a parameter that is used without its layer's ``forward``: through the
function by which the host brings the weight to the device, or by another tensor in its place."""


class Watch:
    """Notes which of some parameters are read, as a context around the model's computation."""

    def __init__(
        self, parameters: Mapping[str, tuple[torch.nn.Module, str]], read: set[str]
    ) -> None:
        """Prepares to watch ``parameters``.

        Args:
            parameters: For every key the layer, and the parameter's name on it.
            read: Receives the keys of those that are read.
        """
        self._read = read
        self._watched: dict[torch.nn.Module, dict[str, str]] = {}
        self._plain: list[tuple[torch.nn.Module, dict[str, Any]]] = []
        for key, (module, name) in parameters.items():
            self._watched.setdefault(module, {})[name] = key

    def __enter__(self) -> Self:
        for module, keys in self._watched.items():
            plain = vars(module)["_parameters"]
            self._plain.append((module, plain))
            vars(module)["_parameters"] = _Noting(plain, keys, self._read)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self._plain:
            module, plain = self._plain.pop()
            noting = vars(module)["_parameters"]
            plain.clear()
            plain.update(noting)  # the host may have replaced some of them in the meantime
            vars(module)["_parameters"] = plain


class _Noting(dict[str, Any]):
    """The parameters of a layer, in place of the dictionary where torch looks up ``layer.weight``."""

    def __init__(self, plain: Mapping[str, Any], keys: Mapping[str, str], read: set[str]) -> None:
        super().__init__(plain)
        self._keys = keys
        self._read = read

    def __getitem__(self, name: str) -> Any:
        if name in self._keys:
            self._read.add(self._keys[name])
        return super().__getitem__(name)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What was seen of the parameters of a stack while their model computed.

    Attributes:
        reached: Parameters whose layers ran through their ``forward``.
        moved: Parameters that were changed by the host's function for them.
        read: Watched parameters that were read.
    """

    reached: set[str] = field(default_factory=set[str])
    moved: set[str] = field(default_factory=set[str])
    read: set[str] = field(default_factory=set[str])

    def __or__(self, other: Seen) -> Seen:
        return Seen(self.reached | other.reached, self.moved | other.moved, self.read | other.read)


@dataclass(slots=True, eq=False)
class Reach:
    """What is known of the parameters of a stack on one model, in one run of a sampler.

    Attributes:
        routes: Routes of parameters that are used without their layer's ``forward``; kept next to
            the model.
        pending: Parameters of which nothing has been seen in this run.
        branches: Parameters whose layers have run through their ``forward``.
    """

    routes: dict[str, Route]
    pending: set[str] = field(default_factory=set[str])
    branches: set[str] = field(default_factory=set[str])

    def begin(self, keys: Iterable[str]) -> None:
        """Begins a run: what a model does not use may have changed since the last one."""
        self.branches.clear()
        self.pending = {key for key in keys if self.routes.get(key) != "parameter"}

    def learn(self, seen: Seen, has_function: Callable[[str], bool]) -> set[str]:
        """Learns from one evaluation; returns the keys whose change it missed, which now have a
        route.

        A layer that is called counts as called even if its weight is read too: models read weights
        to learn their type.

        Args:
            seen: What was seen in this evaluation, and in what came before it.
            has_function: Tells whether the host takes a parameter through a function that can be
                added to.
        """
        self.branches.update(seen.reached.difference(self.routes))
        self.pending -= seen.reached | seen.moved
        missed = self.pending & seen.read
        for key in missed:
            by_function = key not in self.routes and has_function(key)
            self.routes[key] = "weight" if by_function else "parameter"
        self.pending -= {key for key in missed if self.routes[key] == "parameter"}
        return missed
