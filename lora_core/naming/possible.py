"""Which architectures a file can be for, by the names of its layers alone."""

from __future__ import annotations

from collections.abc import Collection

from .architecture import Architecture, Clue
from .architectures import ARCHITECTURES, architecture_named
from .block_names import BlockNames


def possible_architectures(names: Collection[str]) -> tuple[str, ...]:
    """Returns the architectures that a file with layers of these ``names`` can be for; () if the
    names do not show any.

    A file must not be taken for one that does not fit its own model. So names that several
    architectures use leave all of them possible, and so are those with such blocks that no names
    would show.
    """
    found = _first_clue("\n".join(names))
    if found is None:
        return ()
    known, clue = found
    words, several = _block_words(known, names), _means_several(known, clue)
    others = (each for each in ARCHITECTURES if several or not each.clues)
    alike = {each.name for each in others if _has_all(each, words)}
    return tuple(each.name for each in ARCHITECTURES if each is known or each.name in alike)


def kin_of(name: str | None) -> tuple[str, ...]:
    """Returns the architectures whose LoRAs may fit a model of the one of that name; () if it is
    not known."""
    known = architecture_named(name)
    return tuple(each.name for each in ARCHITECTURES if each.is_kin(known))


def _first_clue(text: str) -> tuple[Architecture, Clue] | None:
    clues = ((known, clue) for known in ARCHITECTURES for clue in known.clues)
    return next(((known, clue) for known, clue in clues if clue.pattern.search(text)), None)


def _means_several(known: Architecture, clue: Clue) -> bool:
    """Tells whether a clue says no more than how blocks are called."""
    paths = (path for blocks in known.blocks for path in blocks.paths)
    return clue.means is not None or any(clue.pattern.search(f"{path}0.") for path in paths)


def _block_words(known: Architecture, names: Collection[str]) -> frozenset[str]:
    """Returns how the blocks of a file are called."""
    blocks = BlockNames(known.name)
    spelled = (blocks.spelled(name) for name in names)
    return frozenset(word for _, word in filter(None, spelled))


def _has_all(known: Architecture, words: frozenset[str]) -> bool:
    paths = {path.replace(".", "_").rstrip("_") for own in known.blocks for path in own.paths}
    return bool(words) and words <= paths
