"""The node that puts images side by side, with labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io

from ..lora_core.drawing import Look, Words, draw_grid, frames_of, labels_of, near_square
from ..lora_core.lists import columns_of, headers
from ..lora_core.text import shortened
from .types import CATEGORY

BACKGROUNDS = ("white", "black")
LONGEST_LABEL_CHARS = 300


class LoRAGrid(io.ComfyNode):
    """Puts images into one labelled comparison image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoRAGrid",
            display_name="LoRA Grid",
            category=CATEGORY,
            description="Puts the images of a sweep or a batch side by side into one labelled image. "
            "No pixel of them changes.",
            search_aliases=[
                "xy plot",
                "image grid",
                "comparison grid",
                "compare images",
                "contact sheet",
                "lora compare",
            ],
            is_input_list=True,
            inputs=[
                io.Image.Input("images", tooltip="Images from a sweep, or a batch"),
                io.Int.Input(
                    "columns",
                    default=0,
                    min=0,
                    max=256,
                    tooltip="The number of images in a row. With 0, the labels of a sweep decide. "
                    "Without these, up to six images make one row, and more make roughly a square",
                ),
                _pixels(
                    "text_size",
                    0,
                    "Height of the letters in pixels. With 0, it depends on the size of the images",
                ),
                _pixels("gap", 8, "Space around each image in pixels"),
                io.Combo.Input(
                    "background", options=list(BACKGROUNDS), tooltip="The colour around the images"
                ),
                io.String.Input(
                    "labels",
                    multiline=True,
                    default="",
                    optional=True,
                    tooltip="From a sweep, or typed with one line for each image",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "image",
                    display_name="image",
                    tooltip="The grid. If the sweep made batches or videos, there is one grid for each "
                    "of their images",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        images: list[Any],
        columns: list[int],
        text_size: list[int],
        gap: list[int],
        background: list[str],
        labels: list[str] | None = None,
    ) -> io.NodeOutput:
        frames = frames_of(images)
        if not (frames and frames[0]):
            raise ValueError("LoRA Grid needs at least one image; the batch is empty.")
        count = len(frames[0])
        captions = labels_of(_shown(labels or []), images, count)
        width = min(columns[0] or columns_of(captions) or near_square(count), count)
        look = Look(text_size[0], gap[0], background[0] == "black")
        return io.NodeOutput(draw_grid(frames, width, _words(captions, width), look))


def _pixels(name: str, default: int, tooltip: str) -> io.Int.Input:
    return io.Int.Input(name, default=default, min=0, max=256, tooltip=tooltip)


def _shown(labels: Sequence[str]) -> list[str]:
    """Returns the labels of a list, or the lines of a text."""
    each = labels[0].splitlines() if len(labels) == 1 else labels
    return [shortened(str(label), LONGEST_LABEL_CHARS) for label in each]


def _words(labels: Sequence[str], columns: int) -> Words:
    found = headers(labels, columns)
    return Words(top=found[0], left=found[1]) if found else Words(labels)
