"""Lets a package's face win over its modules, as it does in Python: ``lora_core.apply`` is the function.

Griffe reads code without running it, and takes a module ``apply`` for what ``from .apply import apply``
puts in its place.
"""

from __future__ import annotations

import griffe


class Faces(griffe.Extension):
    """Puts what a package imports under a name before a module of that name."""

    def on_package(self, *, pkg: griffe.Module, **_: object) -> None:
        _prefer_imports(pkg)


def _prefer_imports(package: griffe.Module) -> None:
    for name, member in list(package.members.items()):
        if not isinstance(member, griffe.Module):
            continue
        _prefer_imports(member)
        meant = package.imports.get(name)
        if meant and meant != member.path and package.exports and name in package.exports:
            package.set_member(name, griffe.Alias(name, meant, parent=package))
