"""Strengths of one LoRA as one batch, with the pictures of single runs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from .item import Item, Job, Outcome, Output, Prompt
from .png_prompt import with_prompt
from .spread_graph import Slot, can_spread, slots, spread_prompt, strength_at, without_strength


def spread_jobs(items: Sequence[Item], object_info: Mapping[str, Any], most: int) -> list[Job]:
    """Returns a job for every item, where items whose images one batch can make share one.

    A batch has up to ``most`` images. Jobs are in the order of their first items.
    """
    left = {item.index: item for item in items}
    jobs: list[Job] = []
    for slot, group in _groups(items, object_info):
        alike = [item for item in group if item.index in left]
        for part in _parts(alike, most):
            jobs.append(_batch(part, slot))
            for item in part:
                del left[item.index]
    jobs += [Job((item,), item.prompt) for item in left.values()]
    return sorted(jobs, key=lambda job: job.items[0].index)


def split(job: Job, outcome: Outcome) -> list[Outcome] | None:
    """Returns what became of each item of a batch; None if its files can't be told apart.

    The images carry the item's own workflow, as those of single runs do, and not that of the batch.
    """
    count = len(job.items)
    by_node: dict[str, list[Output]] = defaultdict(list)
    for output in outcome.outputs:
        by_node[output.node].append(output)
    if (
        outcome.status != "ok"
        or not by_node
        or {len(files) for files in by_node.values()} != {count}
    ):
        return None
    seconds = None if outcome.seconds is None else outcome.seconds / count
    return [
        replace(
            outcome,
            outputs=tuple(_of_item(files[at], item.prompt) for files in by_node.values()),
            seconds=seconds,
        )
        for at, item in enumerate(job.items)
    ]


def _groups(
    items: Iterable[Item], object_info: Mapping[str, Any]
) -> Iterator[tuple[Slot, list[Item]]]:
    """Yields items that differ only in one strength, the largest groups first."""
    found: dict[tuple[Slot, str], list[Item]] = defaultdict(list)
    for item in items:
        for slot in slots(item.prompt):
            rest = json.dumps(without_strength(item.prompt, slot), sort_keys=True)
            found[slot, rest].append(item)
    groups = [(slot, group) for (slot, _), group in found.items() if len(group) > 1]
    for slot, group in sorted(groups, key=lambda each: len(each[1]), reverse=True):
        if can_spread(group[0].prompt, slot, object_info):
            yield slot, group


def _parts(items: Sequence[Item], most: int) -> list[Sequence[Item]]:
    """Returns batches of nearly one size, and none of one image alone."""
    count = -(-len(items) // most) if most > 1 else 0
    if len(items) < 2 or not count:
        return []
    cuts = [len(items) * number // count for number in range(count + 1)]
    parts = [items[start:end] for start, end in pairwise(cuts)]
    return [part for part in parts if len(part) > 1]


def _batch(items: Sequence[Item], slot: Slot) -> Job:
    strengths = [strength_at(item.prompt, slot) for item in items]
    return Job(tuple(items), spread_prompt(items[0].prompt, slot, strengths))


def _of_item(output: Output, prompt: Prompt) -> Output:
    return replace(output, content=with_prompt(output.content, prompt))
