"""The node that shows what is in LoRAs."""

from __future__ import annotations

import json
from typing import Any

import torch
from comfy_api.latest import io, ui

from ..lora_core.algebra import Recipe
from ..lora_core.drawing import draw_analysis
from ..lora_core.workbench import plain, words
from .host import analyse_recipe
from .plain_errors import plain_errors
from .types import CATEGORY, Lora


class AnalyseLoRA(io.ComfyNode):
    """Shows what LoRAs change where, how alike they are, and where they fight."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnalyseLoRA",
            display_name="Analyse LoRA",
            category=CATEGORY,
            description="Shows how much a LoRA or the LoRAs of a stack change in each block, how alike "
            "they are, where they cancel each other, and how small each could be.",
            search_aliases=["lora analysis", "lora heatmap", "compare loras", "lora inspector"],
            is_output_node=True,
            inputs=[
                Lora.Input("lora", display_name="LORA", tooltip="A LoRA or a stack"),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="The model that it is for, to compare with its weights. DoRA, OFT and the "
                    "like need it",
                ),
            ],
            outputs=[
                io.Image.Output("image", display_name="image"),
                io.String.Output("report", display_name="report"),
                io.String.Output("json", display_name="JSON", tooltip="All numbers"),
            ],
        )

    @classmethod
    def execute(cls, lora: Recipe, model: Any = None) -> io.NodeOutput:
        with plain_errors():
            analysis = analyse_recipe(lora, model)
        drawn = draw_analysis(analysis)
        image, report = torch.from_numpy(drawn).float()[None] / 255, words(analysis)
        shown = {**ui.PreviewImage(image, cls=cls).as_dict(), "text": (report,)}
        return io.NodeOutput(image, report, json.dumps(plain(analysis)), ui=shown)
