"""A recipe: the value that says which LoRA files to add to a model, and how strongly.

A recipe is a linear combination of files, always held in normal form: every file once, zero
strengths gone, in a fixed order. Strengths are exact decimals, so the laws of the algebra hold to
the last bit: ``a - a`` is the empty recipe, and so is ``0.1 * a + 0.2 * a - 0.3 * a``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real

from .block_weights import read_blocks
from .curve import Curve
from .file_id import FileId
from .making import JSON_VERSION, Making, files_of
from .mask import Mask
from .modifier import Axis, Modifier
from .modulation import Modulation, images_of
from .recipe_json import read_document
from .spread import Spread
from .strength import exact_strength
from .term import Term, normal
from .term_json import identity_of, read_term, written_term

FORMAT = "lora-algebra recipe"
VERSION = 6
"""The newest version of the JSON form.

A recipe is written in the oldest version that can express it.
"""


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
        object.__setattr__(self, "terms", normal(self.terms))
        if any(term.modulated for term in self.terms):
            _ = self.images  # refuses modifiers for batches of different sizes

    @classmethod
    def of(cls, file: FileId, strength: float = 1.0) -> Recipe:
        """Returns the recipe of one file at ``strength``, a finite factor (LoraInputError
        otherwise)."""
        exact = exact_strength(strength)
        return cls((Term(file, exact, exact),))

    @classmethod
    def made(cls, making: Making) -> Recipe:
        """Returns the recipe of what a method makes of other LoRAs, at strength 1."""
        return cls.of(making.leaf())

    @classmethod
    def sum(cls, recipes: Iterable[Recipe]) -> Recipe:
        """Returns the stack of all ``recipes``; their order does not matter."""
        return cls(tuple(term for recipe in recipes for term in recipe.terms))

    def scaled(self, model: Real | float, clip: Real | float) -> Recipe:
        """Returns every term times ``model`` for the denoiser and times ``clip`` for the text
        encoders."""
        by_model, by_clip = exact_strength(model), exact_strength(clip)
        return Recipe(tuple(term.times(by_model, by_clip) for term in self.terms))

    def modulated(self, modifier: Modifier) -> Recipe:
        """Returns every term times ``modifier`` for the denoiser."""
        modulation, constant = Modulation.of((modifier,))
        scaled = (term.times(constant, Fraction(1)) for term in self.terms)
        return Recipe(tuple(term.modulated_by(modulation) for term in scaled))

    def scheduled(self, curve: Curve) -> Recipe:
        """Returns every term times ``curve`` for the denoiser, over the progress of sampling."""
        return self.modulated(curve)

    def spread(self, values: Spread) -> Recipe:
        """Returns every term times ``values`` for the denoiser, one value for each image of the
        batch."""
        return self.modulated(values)

    def masked(self, mask: Mask) -> Recipe:
        """Returns every term times ``mask`` for the denoiser, at each place in the picture."""
        return self.modulated(mask)

    def blocks(self, text: str) -> Recipe:
        """Returns every term times block weights: lines such as "double 0-6: 0".

        Text encoders keep their strength, unless a line names them: "text: 0".

        Raises:
            LoraInputError: The text cannot be read. A name that a model does not have is refused
                when the recipe meets it.
        """
        weights, encoders = read_blocks(text)
        weighted = self.modulated(weights)
        return weighted if encoders == 1 else weighted._times_clip(encoders)

    def _times_clip(self, factor: Fraction) -> Recipe:
        return Recipe(tuple(term.times(Fraction(1), factor) for term in self.terms))

    @property
    def files(self) -> tuple[FileId, ...]:
        """The files that it takes, also those of which parts are made; each of them once."""
        return tuple(dict.fromkeys(file for term in self.terms for file in files_of(term.file)))

    @property
    def images(self) -> int | None:
        """The size of the batch that the recipe is for; None if it fits any."""
        return images_of(self._modulations)

    @property
    def axes(self) -> frozenset[Axis]:
        """What the strengths for the denoiser depend on."""
        return frozenset(axis for term in self.terms for axis in term.axes)

    @property
    def counts_images(self) -> bool:
        """Whether strengths depend on how many images there are."""
        modifiers = (m for modulation in self._modulations for m in modulation.modifiers)
        return any("image" in m.axes and m.images is None for m in modifiers)

    @property
    def _modulations(self) -> list[Modulation]:
        return [modulation for term in self.terms for modulation, _ in term.modulated]

    @property
    def needs_live(self) -> bool:
        """Whether it has a strength that no merged weight can have."""
        return any(term.needs_live for term in self.terms)

    def with_files(self, state: Callable[[FileId], FileId]) -> Recipe:
        """Returns the same strengths for the files that ``state`` gives for each."""
        return Recipe(tuple(term.with_file(state) for term in self.terms))

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

    def __str__(self) -> str:
        """Writes the sum for people.

        >>> ink, light = (Recipe.of(FileId(f"{n}.safetensors", 1, 1, 1)) for n in ("ink", "light"))
        >>> print(0.5 * ink - light)
        0.5·ink - 1·light
        """
        return " + ".join(map(str, self.terms)).replace("+ -", "- ") or "0"

    @property
    def fingerprint(self) -> str:
        """64 hex digits that are the same for equal recipes in every process."""
        facts = [
            [*_identity(t.file), str(t.strength_model), str(t.strength_clip), *_modulated(t)]
            for t in self.terms
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def to_json(self) -> str:
        """Returns the versioned text form, from which ``from_json`` makes an equal recipe."""
        modifiers = (m for modulation in self._modulations for m in modulation.modifiers)
        versions = [modifier.json_version for modifier in modifiers]
        versions += [JSON_VERSION for term in self.terms if term.file.made]
        version = max(versions, default=1)
        terms = [written_term(term) for term in self.terms]
        return json.dumps({"format": FORMAT, "version": version, "terms": terms})

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Reads the recipe written as ``text``; LoraInputError if it is not a recipe of a known
        version."""
        return cls(tuple(map(read_term, read_document(text, FORMAT, VERSION, "terms"))))


def _identity(file: FileId) -> tuple[str | int, ...]:
    """Returns what a fingerprint takes of a file.

    Without a config next to the file it is as in the first version.
    """
    alone = file.path, file.mtime_ns, file.size, file.inode
    return (*alone, file.config_mtime_ns) if file.config_mtime_ns else alone


def _modulated(term: Term) -> list[str]:
    """Returns what a fingerprint takes of modulations.

    Without any it is as before there were modifiers.
    """
    return [json.dumps(identity_of(term.modulated))] if term.modulated else []
