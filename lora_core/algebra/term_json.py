"""The JSON form of one file of a recipe. What is read may come from any source."""

from __future__ import annotations

from fractions import Fraction

from ..errors import LoraInputError
from ..strict_json import Json
from .file_id import FileId
from .json_fields import field_of, objects_of
from .making import Making
from .modulation import Modulation, modifiers_in
from .strength import read_strength, written
from .term import Modulated, Term


def written_term(term: Term) -> dict[str, Json]:
    """Returns what ``read_term`` reads."""
    file = term.file
    entry: dict[str, Json] = {
        "path": file.path,
        "mtime_ns": file.mtime_ns,
        "size": file.size,
        "inode": file.inode,
        "name": file.name,
        "beside": file.config_mtime_ns,
        "model": written(term.strength_model),
        "clip": written(term.strength_clip),
    }
    if file.made:
        entry["made"] = file.made.to_json(written_term)
    return entry | ({"varying": written_modulated(term.modulated)} if term.modulated else {})


def written_modulated(modulated: Modulated) -> Json:
    """Returns the JSON form of strengths with modifiers."""
    return [
        {"strength": written(strength), **modulation.to_json()}
        for modulation, strength in modulated
    ]


def identity_of(modulated: Modulated) -> Json:
    """Returns what a fingerprint takes of strengths with modifiers."""
    return [
        {"strength": written(strength), **modulation.identity()}
        for modulation, strength in modulated
    ]


def read_term(entry: Json) -> Term:
    """Reads the term written as ``entry``; LoraInputError if it is not one."""
    if not isinstance(entry, dict):
        raise LoraInputError("a term of a recipe must be an object", found=type(entry).__name__)
    if "made" in entry:
        return _read_made(entry)
    path, name = (field_of(entry, key, str) for key in ("path", "name"))
    mtime_ns, size, inode = (field_of(entry, key, int) for key in ("mtime_ns", "size", "inode"))
    config_mtime_ns = field_of(entry, "beside", int) if "beside" in entry else 0
    file = FileId(path, mtime_ns, size, inode, name, config_mtime_ns)
    return _read_strengths(entry, file)


def _read_made(entry: dict[str, Json]) -> Term:
    """Reads the term of what is made of others; its path follows from them."""
    made = entry["made"]
    if not isinstance(made, dict):
        raise LoraInputError("what is made must be an object", found=type(made).__name__)
    return _read_strengths(entry, Making.read(made, read_term).leaf())


def _read_strengths(entry: dict[str, Json], file: FileId) -> Term:
    modulated = tuple(map(_read_modulated, objects_of(entry, "varying")))
    return Term(file, read_strength(entry, "model"), read_strength(entry, "clip"), modulated)


def _read_modulated(entry: dict[str, Json]) -> tuple[Modulation, Fraction]:
    """Reads a strength with its modifiers; constant ones become part of the strength."""
    modulation, constant = Modulation.of(modifiers_in(entry))
    return modulation, read_strength(entry, "strength") * constant
