"""A recipe: the value that says which LoRA files to add to a model, and how strongly.

A recipe is a linear combination of files, always held in normal form: every file once, zero
strengths gone, in a fixed order. Strengths are exact decimals, so the laws of the algebra hold to
the last bit: ``a - a`` is the empty recipe, and so is ``0.1 * a + 0.2 * a - 0.3 * a``.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from numbers import Real
from typing import TypeVar

from .errors import LoraInputError
from .recipe_json import Json, read_document

T = TypeVar("T", str, int)

FORMAT = "lora-algebra recipe"
VERSION = 1
LARGEST_STRENGTH = 10**30
MOST_DIGITS = 1000
"""Of an exact strength; behind them it goes on as the nearest floating point number."""

FRACTION = re.compile(r"-?[0-9]{1,1000}/[1-9][0-9]{0,999}")
"""How an exact strength is written that no floating point number says."""


@dataclass(frozen=True, slots=True, order=True)
class FileId:
    """Which file, and which state of it; a rewritten file is another file.

    Attributes:
        path: Where the file lies.
        mtime_ns: Time of its last change, in nanoseconds.
        size: Bytes.
        inode: The file system's number of it.
        beside: Time of the last change of peft's config beside the file, 0 without one.
        name: How to call it in messages; no part of the identity.
    """

    path: str
    mtime_ns: int
    size: int
    inode: int
    name: str = field(default="", compare=False)
    beside: int = 0


@dataclass(frozen=True, slots=True)
class Term:
    """One file of a recipe, with the exact strengths for the denoiser and the text encoders.

    Raises:
        LoraInputError: A strength is beyond ``LARGEST_STRENGTH``.
    """

    file: FileId
    model: Fraction
    clip: Fraction

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", _bounded(self.model))
        object.__setattr__(self, "clip", _bounded(self.clip))

    def times(self, model: Fraction, clip: Fraction) -> Term:
        return Term(self.file, self.model * model, self.clip * clip)

    def plus(self, other: Term) -> Term:
        """The sum with a term of the same file."""
        return Term(self.file, self.model + other.model, self.clip + other.clip)


@dataclass(frozen=True, slots=True)
class Recipe:
    """An immutable linear combination of LoRA files; the empty recipe is the identity.

    >>> ink, light = Recipe.of(FileId("ink", 1, 1, 1)), Recipe.of(FileId("light", 1, 1, 2))
    >>> 0.5 * (ink + light) == 0.5 * light + 0.5 * ink
    True
    >>> bool(ink - ink)
    False
    """

    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", _normal(self.terms))

    @classmethod
    def of(cls, file: FileId, strength: float = 1.0) -> Recipe:
        """The recipe of one file at ``strength``, a finite factor (LoraInputError otherwise)."""
        exact = exact_strength(strength)
        return cls((Term(file, exact, exact),))

    @classmethod
    def sum(cls, recipes: Iterable[Recipe]) -> Recipe:
        """The stack of all ``recipes``; their order does not matter."""
        return cls(tuple(term for recipe in recipes for term in recipe.terms))

    def scaled(self, model: Real | float, clip: Real | float) -> Recipe:
        """Every term times ``model`` for the denoiser and times ``clip`` for the text encoders."""
        by_model, by_clip = exact_strength(model), exact_strength(clip)
        return Recipe(tuple(term.times(by_model, by_clip) for term in self.terms))

    def with_files(self, state: Callable[[FileId], FileId]) -> Recipe:
        """The same strengths of the files that ``state`` gives for each."""
        return Recipe(tuple(Term(state(t.file), t.model, t.clip) for t in self.terms))

    def __add__(self, other: object) -> Recipe:
        if not isinstance(other, Recipe):
            return NotImplemented
        return Recipe.sum((self, other))

    def __radd__(self, other: object) -> Recipe:
        """Lets the builtin ``sum`` start from its 0."""
        return self if other == 0 else NotImplemented

    def __sub__(self, other: object) -> Recipe:
        if not isinstance(other, Recipe):
            return NotImplemented
        return self + -other

    def __neg__(self) -> Recipe:
        return self.scaled(-1, -1)

    def __mul__(self, strength: object) -> Recipe:
        if not isinstance(strength, Real):
            return NotImplemented
        return self.scaled(strength, strength)

    __rmul__ = __mul__

    def __bool__(self) -> bool:
        return bool(self.terms)

    @property
    def fingerprint(self) -> str:
        """64 hex digits, the same for equal recipes in every process."""
        facts = [[*_identity(t.file), str(t.model), str(t.clip)] for t in self.terms]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def to_json(self) -> str:
        """The versioned text form; ``from_json`` gives an equal recipe back."""
        terms = [
            {
                **{slot: getattr(t.file, slot) for slot in FileId.__slots__},
                "model": _written(t.model),
                "clip": _written(t.clip),
            }
            for t in self.terms
        ]
        return json.dumps({"format": FORMAT, "version": VERSION, "terms": terms})

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe written as ``text``; LoraInputError if it is no recipe of a known version."""
        return cls(tuple(map(_term, read_document(text, FORMAT, VERSION, "terms"))))


def exact_strength(value: object, name: str = "strength") -> Fraction:
    """The decimal a person meant by ``value``: 0.1 is one tenth, not the nearest binary number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _not_finite(value, name)
    try:
        number = float(value)
    except OverflowError:
        raise _too_large(name) from None
    if not math.isfinite(number):
        raise _not_finite(value, name)
    return Fraction(repr(number))


def _not_finite(value: object, name: str) -> LoraInputError:
    return LoraInputError(
        f"{name} must be a finite number, not {value!r}",
        key=name,
        expected="a finite number",
        found=repr(value),
    )


def _too_large(name: str) -> LoraInputError:
    return LoraInputError(
        f"{name} is beyond {LARGEST_STRENGTH:.0e}, where no model makes sense",
        key=name,
        expected=f"at most {LARGEST_STRENGTH:.0e}",
        found="a larger number",
    )


def _identity(file: FileId) -> tuple[str | int, ...]:
    """Without a config beside the file, fingerprints are those of before there could be one."""
    alone = file.path, file.mtime_ns, file.size, file.inode
    return (*alone, file.beside) if file.beside else alone


def _normal(terms: Iterable[Term]) -> tuple[Term, ...]:
    by_file: dict[FileId, list[Term]] = {}
    for term in terms:
        by_file.setdefault(term.file, []).append(term)
    sums = (reduce(Term.plus, same) for same in by_file.values())
    return tuple(sorted(filter(_counts, sums), key=lambda term: term.file))


def _counts(term: Term) -> bool:
    return bool(term.model or term.clip)


def _bounded(strength: Fraction) -> Fraction:
    """``strength``, with no more digits than are worth carrying."""
    if abs(strength) > LARGEST_STRENGTH:
        raise _too_large("strength")
    if max(abs(strength.numerator), strength.denominator) >= 10**MOST_DIGITS:
        return Fraction(repr(float(strength)))
    return strength


def _written(strength: Fraction) -> float | str:
    """A plain number where that says it exactly, else a fraction as text."""
    number = float(strength)
    return number if Fraction(repr(number)) == strength else str(strength)


def _term(entry: Json) -> Term:
    if not isinstance(entry, dict):
        raise LoraInputError("a term of a recipe must be an object", found=type(entry).__name__)
    path, name = (_field(entry, key, str) for key in ("path", "name"))
    mtime_ns, size, inode = (_field(entry, key, int) for key in ("mtime_ns", "size", "inode"))
    beside = _field(entry, "beside", int) if "beside" in entry else 0
    file = FileId(path, mtime_ns, size, inode, name, beside)
    return Term(file, _read_strength(entry, "model"), _read_strength(entry, "clip"))


def _field(entry: dict[str, Json], key: str, kind: type[T]) -> T:
    value = entry.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise LoraInputError(
            f"a term of a recipe needs {key} as {kind.__name__}, found {type(value).__name__}",
            key=key,
            expected=kind.__name__,
            found=type(value).__name__,
        )
    return value


def _read_strength(entry: dict[str, Json], key: str) -> Fraction:
    value = entry.get(key)
    if not isinstance(value, str):
        return exact_strength(value, key)
    if not FRACTION.fullmatch(value):
        raise _not_finite(value[:40], key)
    return Fraction(value)
