"""What is rendered, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Scalar = str | int | float | bool
Prompt = Mapping[str, Mapping[str, Any]]
"""A workflow in ComfyUI's API format: node id -> ``class_type``, ``inputs`` and perhaps ``_meta``."""

Status = Literal["ok", "error", "invalid", "interrupted", "no output", "timeout", "lost"]
"""How an item ended. A node raised; ComfyUI refused the prompt; somebody interrupted it; nothing was saved;
it ran for longer than the limit; its ComfyUI or its worker was lost too often. All but "ok" have failed."""


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt to run.

    Attributes:
        index: The first row of the table that asks for it, from 0.
        parameters: What the row sets: column -> value, as the workflow has it.
        prompt: The whole prompt.
        key: SHA-256 in hex of what it will compute: the prompt without titles, and the contents of
            the files that it names.
        files: SHA-256 in hex of each file that the prompt names, where known.
        base: Which models are loaded; equal for items that load the same.
        recipe: What is done to the weights; equal for items that need no other patches.
    """

    index: int
    parameters: Mapping[str, Scalar]
    prompt: Prompt
    key: str
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    base: str = ""
    recipe: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item failed: a sentence, and the node where known."""

    message: str
    node: str | None = None
    class_type: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A file that a node has saved: its bytes, in memory."""

    node: str
    kind: str
    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item.

    Attributes:
        status: "ok" or how it failed.
        outputs: The saved files of an item that is "ok".
        failure: Why, for all others.
        seconds: From the start to the end of the run, by ComfyUI's own clock.
        worker: Who rendered it: name and machine.
        attempts: How often it was begun.
        started, finished: When, in seconds since 1970, by ComfyUI's clock.
    """

    status: Status
    outputs: tuple[Output, ...] = ()
    failure: Failure | None = None
    seconds: float | None = None
    worker: str = ""
    attempts: int = 1
    started: float | None = None
    finished: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker gets at a time: one prompt, for one item, or for several whose images it makes as one batch.

    Attributes:
        items: The items, in the order of the images of the batch. They have one ``base``; the ``recipe`` of the
            first stands for all.
        prompt: The item's own, or that of the batch.
        folder: The id of the folder that its files go to.
    """

    items: tuple[Item, ...]
    prompt: Prompt
    folder: str = ""
