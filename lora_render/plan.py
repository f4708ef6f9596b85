"""From a prompt and a table to the items that are to be rendered, each once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from lora_core.errors import LoraInputError

from .columns import apply_table
from .contents import named_files
from .item import Item, Prompt, Scalar
from .weights import weights_of

HashOf = Callable[[str], str | None]


def plan_items(
    prompt: Prompt,
    rows: Iterable[Mapping[str, Scalar]],
    object_info: Mapping[str, Any],
    hash_of: HashOf,
) -> list[Item]:
    """Returns the items of a table in its order; rows that compute the same are one item, by the first of them.

    Args:
        prompt: The workflow.
        rows: The table.
        object_info: What the host says of its nodes.
        hash_of: Returns the SHA-256 of the file of a name, or None where there is none; see ``Contents``.

    Raises:
        LoraInputError: A column or a value does not fit.
    """
    try:
        return list(_items(prompt, rows, object_info, hash_of).values())
    except RecursionError:
        raise LoraInputError(
            "the workflow has too many nodes in a row, or lists in lists.",
            expected="fewer nodes in a row",
            found="hundreds",
        ) from None


def _items(
    prompt: Prompt,
    rows: Iterable[Mapping[str, Scalar]],
    object_info: Mapping[str, Any],
    hash_of: HashOf,
) -> dict[str, Item]:
    items: dict[str, Item] = {}
    for index, parameters, own in apply_table(prompt, rows, object_info):
        files = _files(own, hash_of)
        key = key_of(own, files)
        if key not in items:
            base, recipe = weights_of(own, object_info)
            items[key] = Item(index, parameters, own, key, files, base, recipe)
    return items


def key_of(prompt: Prompt, files: Mapping[str, str]) -> str:
    """Returns the SHA-256 of what a prompt computes: its classes and inputs, and the contents of its files.

    Titles are not in it, and 1 and 1.0 are the same.
    """
    bare = {node: [each["class_type"], canonical(each["inputs"])] for node, each in prompt.items()}
    text = json.dumps([bare, files], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _files(prompt: Prompt, hash_of: HashOf) -> dict[str, str]:
    names = {name for node in prompt.values() for name in named_files(node["inputs"])}
    found = {name: hash_of(name) for name in sorted(names)}
    return {name: known for name, known in found.items() if known is not None}


def canonical(value: Any) -> Any:
    """Returns a value of JSON with whole numbers as such: 1.0 as 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: canonical(each) for name, each in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [canonical(each) for each in cast("list[Any]", value)]
    return value
