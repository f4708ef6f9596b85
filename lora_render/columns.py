"""Puts the rows of a table into a prompt: which input a column means, and its value in the type of that input.

A column is ``Node title.input``, ``ClassType.input`` or ``#id.input``; for LoRA Rows also ``Rows.NAME.strength``. Titles and names of
inputs may have dots in them, so what matches with the longest name counts, and titles come before classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, cast

from lora_core.errors import LoraError, LoraInputError

from .item import Prompt, Scalar
from .rows_columns import RowPlace, find_row, row_columns, with_row
from .typed import Limits, check_limits, kind_of, limits_of, typed

ROWS_CLASS: Final = "LoRARows"
ROWS_INPUT: Final = "rows"
SHOWN: Final = 5

Applied = tuple[int, Mapping[str, Scalar], Prompt]


@dataclass(frozen=True, slots=True)
class Place:
    """What a column means: an input of a node, or a field of a row of LoRA Rows."""

    node: str
    name: str
    kind: str
    row: RowPlace | None = None
    limits: Limits = (None, None)


def apply_table(
    prompt: Prompt,
    rows: Iterable[Mapping[str, Scalar]],
    object_info: Mapping[str, Any] | None = None,
) -> list[Applied]:
    """Returns the prompt of each row: its index from 0, what it sets, and the prompt.

    Nodes that no row changes are shared by all prompts.

    Args:
        prompt: The workflow.
        rows: Column -> value; what is not there stays as the workflow has it.
        object_info: What the host says of its nodes: the types of their inputs. Without it a value gets the type that the workflow
            has there.

    Raises:
        LoraInputError: A column means no input, several, or one that is linked; or a value does not fit.
    """
    columns = _Columns(prompt, object_info or {})
    return [(index, *_applied(columns, index, row)) for index, row in enumerate(rows)]


def _applied(
    columns: _Columns, index: int, row: Mapping[str, Scalar]
) -> tuple[dict[str, Scalar], Prompt]:
    nodes = dict(columns.prompt)
    parameters: dict[str, Scalar] = {}
    set_by: dict[tuple[str, str, RowPlace | None], str] = {}
    for column, given in row.items():
        place = columns.place(column)
        first = set_by.setdefault((place.node, place.name, place.row), column)
        if first != column:
            raise _bad(
                column, f'it means the same input as "{first}"', "one column for each input", first
            )
        try:
            parameters[column] = _set(nodes, place, given)
        except LoraError as error:
            message = f'row {index + 1}, column "{column}": {error.message}'
            raise LoraInputError(
                message, key=column, expected=error.expected, found=error.found
            ) from None
    return parameters, nodes


def _set(nodes: dict[str, Mapping[str, Any]], place: Place, given: Scalar) -> Scalar:
    """Sets an input in a copy of its node, and returns the value in its type."""
    node = nodes[place.node]
    inputs = dict(node["inputs"])
    value = typed(given, inputs[place.name] if place.row is None else None, place.kind)
    check_limits(value, place.limits)
    inputs[place.name] = (
        value if place.row is None else with_row(inputs[place.name], place.row, value)
    )
    nodes[place.node] = {**node, "inputs": inputs}
    return value


class _Columns:
    """Which input each column of a table means."""

    def __init__(self, prompt: Prompt, object_info: Mapping[str, Any]) -> None:
        self.prompt = prompt
        self.info = object_info
        self.known: dict[str, Place] = {}

    def place(self, column: str) -> Place:
        """Returns what a column means."""
        if column not in self.known:
            self.known[column] = self._found(column)
        return self.known[column]

    def _found(self, column: str) -> Place:
        for names in (_ids, _titles, _classes):
            fits = [
                each
                for node in self.prompt
                for each in self._fits(column, node, names(self.prompt, node))
            ]
            if fits:
                longest = max(length for length, _ in fits)
                return self._only(column, [place for length, place in fits if length == longest])
        raise self._unknown(column)

    def _fits(self, column: str, node: str, name: str) -> Iterator[tuple[int, Place]]:
        if not name or not column.startswith(f"{name}."):
            return
        rest = column[len(name) + 1 :]
        entry = self.prompt[node]
        if rest in entry["inputs"]:
            about = self.info.get(entry["class_type"]), entry["inputs"], rest
            yield len(name), Place(node, rest, kind_of(*about), None, limits_of(*about))
        elif entry["class_type"] == ROWS_CLASS and ROWS_INPUT in entry["inputs"]:
            row = find_row(entry["inputs"], rest)
            if row is not None:
                yield len(name), Place(node, ROWS_INPUT, row.kind, row, row.limits)

    def _only(self, column: str, places: Sequence[Place]) -> Place:
        if len(places) > 1:
            others = [_own_name(column, self.prompt, place) for place in places]
            raise _bad(
                column,
                f"it means {len(places)} nodes. Write {_listed(others)}, or give the nodes titles of their own",
                "one node",
                f"{len(places)}",
            )
        (place,) = places
        value = self.prompt[place.node]["inputs"][place.name]
        if place.row is None and is_link(value, self.prompt):
            raise _bad(
                column,
                f"that input is linked to {self._behind(value)}",
                "an input with a value",
                "a link",
            )
        return place

    def _behind(self, link: Sequence[Any]) -> str:
        node = self.prompt[link[0]]
        title = _titles(self.prompt, link[0]) or node["class_type"]
        inputs = [name for name, value in node["inputs"].items() if not is_link(value, self.prompt)]
        instead = _listed([f'"#{link[0]}.{name}"' for name in inputs])
        return f"node {link[0]} ({title})" + (f". That node has {instead}" if inputs else "")

    def _unknown(self, column: str) -> LoraInputError:
        known = [name for node in self.prompt for name in self._names(node)]
        close = get_close_matches(column, known, SHOWN, 0.5)
        hint = (
            f". Close names: {_listed(close)}"
            if close
            else f". There are {_listed(known[:SHOWN])}, …"
        )
        return _bad(column, f"the workflow has no input of this name{hint}", "an input", column)

    def _names(self, node: str) -> Iterator[str]:
        entry = self.prompt[node]
        own = dict.fromkeys((_titles(self.prompt, node), entry["class_type"], f"#{node}"))
        free = [name for name, value in entry["inputs"].items() if not is_link(value, self.prompt)]
        if entry["class_type"] == ROWS_CLASS:
            free += row_columns(entry["inputs"].get(ROWS_INPUT))
        yield from (f"{name}.{each}" for name in own if name for each in free)


def is_link(value: Any, prompt: Prompt) -> bool:
    """Tells whether the value of an input is a link to another node."""
    if not isinstance(value, list):
        return False
    parts = cast("list[Any]", value)
    if len(parts) != 2 or not isinstance(parts[1], int):
        return False
    return isinstance(parts[0], str) and parts[0] in prompt


def _ids(_prompt: Prompt, node: str) -> str:
    return f"#{node}"


def _titles(prompt: Prompt, node: str) -> str:
    return str(prompt[node].get("_meta", {}).get("title") or "")


def _classes(prompt: Prompt, node: str) -> str:
    return str(prompt[node]["class_type"])


def _own_name(column: str, prompt: Prompt, place: Place) -> str:
    names = (_titles(prompt, place.node), _classes(prompt, place.node))
    rest = next(column[len(name) + 1 :] for name in names if name and column.startswith(f"{name}."))
    return f'"#{place.node}.{rest}"'


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _bad(column: str, problem: str, expected: str, found: str) -> LoraInputError:
    return LoraInputError(
        f'column "{column}": {problem}.', key=column, expected=expected, found=found
    )
