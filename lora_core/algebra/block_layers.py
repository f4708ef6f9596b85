"""Where the names in block weights lead in a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from itertools import chain
from typing import Final, TypeAlias

from ..errors import LoraInputError
from ..naming import KINDS, PARTS, Layer, Layers
from .block_text import OTHER, SPANS, Line, Numbers, Selector

Test: TypeAlias = Callable[[Layer], bool]

Block: TypeAlias = "tuple[str, int]"
"""A block: the name of its list, and its number there."""

MID: Final = "mid"
"""Short for the middle third of all blocks, unless the model has a block of that name."""


def factors_of(lines: Iterable[Line], model: Layers) -> dict[str, Fraction]:
    """Returns the factor of every weight of a model by its name; 1 for what nothing names.

    Raises:
        LoraInputError: A line names nothing in this model.
    """
    names = _Names.of(model)
    factors: dict[str, Fraction] = {}
    rest = Fraction(1)
    for line in lines:
        if line.selector is None:
            rest = line.first
        else:
            factors |= _factors(line, names.layers(line.selector), names)
    return {key: factors.get(key, rest) for key in model}


def _factors(line: Line, layers: Sequence[Layer], names: _Names) -> dict[str, Fraction]:
    """Returns the factors of one line. A range changes blocks only, from the first to the last of
    them; if there is only one, it gets the last factor."""
    if line.first == line.last:
        return dict.fromkeys((layer.key for layer in layers), line.first)
    places = {layer.key: names.places[_block(layer)] for layer in layers if layer.block}
    if layers and not places:
        raise _nothing(line.name, names.model)
    order = {place: at for at, place in enumerate(sorted(set(places.values())), start=1)}
    step = (line.last - line.first) / max(1, len(order) - 1)
    return {key: line.last - step * (len(order) - order[place]) for key, place in places.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _Names:
    """The names that a model has for its layers.

    Attributes:
        tests: What each name says of a layer, unless it is a name of a list.
        lists: The lists of blocks, by each of their names.
        places: Where each block comes in the order in which the model runs them.
    """

    model: Layers
    tests: Mapping[str, Test]
    lists: Mapping[str, str]
    places: Mapping[Block, int]

    @classmethod
    def of(cls, model: Layers) -> _Names:
        blocks = [(name, own) for name, numbers in model.numbers.items() for own in numbers]
        lists: dict[str, str] = {}
        for name in model.numbers:
            for more in (f"{name} block", f"{name} layer", name.replace(" ", "_")):
                lists.setdefault(more, name)
        lists |= {name: name for name in model.numbers}
        tests = {**_spans(blocks), **_properties()}
        return cls(model, tests, lists, {block: place for place, block in enumerate(blocks)})

    def layers(self, selector: Selector) -> list[Layer]:
        """Returns the layers that a selector names.

        None is a mistake, except that models with few blocks may have none in their middle.
        """
        names = [*self._joined(selector.words, selector), *self._joined(selector.more, selector)]
        lists = [self.lists[name] for name in names if name in self.lists]
        if selector.numbers:
            self._check_numbers(selector, lists)
        tests = [self.tests[name] for name in names if name not in self.lists]
        layers = self._in_lists(lists, selector.numbers)
        found = [layer for layer in layers if _is_named(layer, selector.patterns, tests)]
        only_spans = bool(self.places) and {*names} <= {*SPANS, MID} and not selector.patterns
        if not (found or only_spans):
            raise _nothing(str(selector), self.model)
        return found

    def _in_lists(self, lists: Sequence[str], numbers: Numbers) -> Iterable[Layer]:
        """Returns the layers of some blocks, or all without a list; no block is in two lists.

        Most lines name one block, so the rest of a model is not looked at for each of them.
        """
        if not lists:
            return self.model.values()
        if len({*lists}) > 1:
            return ()
        blocks = self.model.blocks[lists[0]]
        own = _numbers(numbers, blocks) if numbers else blocks
        return chain.from_iterable(blocks[number] for number in own)

    def _joined(self, words: Sequence[str], selector: Selector) -> Iterator[str]:
        """Joins words to names that the model has, always the longest one."""
        while words:
            lengths = range(len(words), 0, -1)
            length = next((n for n in lengths if self._has(" ".join(words[:n]))), 0)
            if not length:
                raise _nothing(str(selector), self.model)
            yield " ".join(words[:length])
            words = words[length:]

    def _has(self, name: str) -> bool:
        return name in self.lists or name in self.tests

    def _check_numbers(self, selector: Selector, lists: Sequence[str]) -> None:
        """Refuses numbers without a list, and those that the list does not have."""
        known = self.model.numbers[lists[0]] if len(lists) == 1 else ()
        for first, last in selector.numbers:
            if first not in known or (last is not None and last not in known):
                raise _nothing(str(selector), self.model)


def _is_named(layer: Layer, patterns: Sequence[str], tests: Sequence[Test]) -> bool:
    return all(test(layer) for test in tests) and all(_fits(own, layer) for own in patterns)


def _block(layer: Layer) -> Block:
    return layer.block, layer.index


def _spans(blocks: Sequence[Block]) -> dict[str, Test]:
    """Returns the thirds of all blocks of a model, and the even and odd ones."""
    thirds = {
        name: {block for n, block in enumerate(blocks) if (6 * n + 3) // (2 * len(blocks)) == third}
        for third, name in enumerate(("early", "middle", "late"))
    }
    halves = {
        name: {block for block in blocks if block[1] % 2 == half}
        for half, name in enumerate(("evens", "odds"))
    }
    spans = {**thirds, **halves, MID: thirds["middle"]}
    return {name: lambda layer, own=own: _block(layer) in own for name, own in spans.items()}


def _properties() -> dict[str, Test]:
    kinds = {kind: _of_kind(kind) for kind in KINDS}
    parts = {part: _of_part(part) for part in PARTS}
    return {**kinds, **parts, **{part.replace("_", " "): test for part, test in parts.items()}}


def _of_kind(kind: str) -> Test:
    return lambda layer: kind in layer.kinds


def _of_part(part: str) -> Test:
    return lambda layer: part in layer.parts


def _numbers(ranges: Numbers, known: Collection[int]) -> Iterator[int]:
    """Yields those of the known numbers that are in some ranges."""
    for first, last in ranges:
        end = max(known, default=0) if last is None else last
        yield from (number for number in range(first, end + 1) if number in known)


def _fits(pattern: str, layer: Layer) -> bool:
    inside = layer.key[layer.key.index(layer.path) :]
    return any(fnmatchcase(name, pattern) for name in (layer.key, inside, layer.path))


def names_of(model: Layers) -> str:
    """Returns the names that lines can use for a model, as text."""
    lists = [_list_text(name, numbers) for name, numbers in model.numbers.items()]
    kinds = [kind for kind in KINDS if any(kind in layer.kinds for layer in model.values())]
    parts = [part for part in PARTS if any(part in layer.parts for layer in model.values())]
    return ", ".join([*lists, *kinds, *parts, *(SPANS if lists else ()), OTHER])


def _list_text(name: str, numbers: Sequence[int]) -> str:
    if numbers == (0,) and name == MID:
        return name
    return f"{name} {numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else f"{name} {numbers[0]}"


def _nothing(name: str, model: Layers) -> LoraInputError:
    expected = names_of(model)
    where = model.base or "this model"
    return LoraInputError(
        f"block weights: {name[:60]!r} names nothing in {where}. It has {expected}.",
        key="weights",
        expected=expected,
        found=name,
    )
