"""Nodes for ``benchmarks/cold_queue.py``: a model that takes no time to read, and a sampler that stops at its first
step. ComfyUI loads this folder as a node pack."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import ComfyExtension, io

REPOSITORY = Path(__file__).resolve().parents[2]


class FirstStep(Exception):  # noqa: N818 (it is no error)
    """The sampler is about to evaluate the model for the first time."""


class ColdModel(io.ComfyNode):
    """All of SD 1.5 in half precision, with weights that mean nothing."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema("ColdModel", category="benchmarks", outputs=[io.Model.Output()])

    @classmethod
    def execute(cls) -> io.NodeOutput:
        sys.path.append(str(REPOSITORY))  # last: the host has modules with names like some of ours
        from benchmarks import models
        from benchmarks.usage import CLEAR, give_back

        begun = time.time()
        model = models.patcher_of(models.filled(models.sd15(torch.float16), "cpu"), "cpu")
        give_back()
        CLEAR.write_text("5")
        NOTED.update(begun=begun, made=time.time(), processors=time.process_time(), **_memory())
        return io.NodeOutput(model)


class ColdFirstStep(io.ComfyNode):
    """Samples until the first step is about to begin."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        inputs = [io.Model.Input("model")]
        return io.Schema("ColdFirstStep", category="benchmarks", inputs=inputs, is_output_node=True)

    @classmethod
    def execute(cls, model: Any) -> io.NodeOutput:
        import comfy.sample

        nodes = time.time()
        stopped = model.clone()
        stopped.set_model_unet_function_wrapper(_stop)
        latent = torch.zeros(1, 4, 8, 8)
        prompt = [[torch.zeros(1, 77, 768), {}]]
        ways = {"sampler_name": "euler", "scheduler": "normal", "latent_image": latent}
        try:
            comfy.sample.sample(
                stopped, latent, 2, 1.0, positive=prompt, negative=prompt, seed=1, **ways
            )
        except FirstStep:
            now = {"nodes": nodes, "first": time.time(), "spent": time.process_time()}
            peak = {f"then {name}": size for name, size in _memory().items()}
            return io.NodeOutput(ui={"text": [json.dumps({**NOTED, **now, **peak})]})
        raise RuntimeError("the sampler has not evaluated its model")


NOTED: dict[str, float] = {}
"""What was true when the model was made: there is one prompt in each process."""


def _stop(*_: object) -> None:
    raise FirstStep


def _memory() -> dict[str, float]:
    """Returns the bytes of this process: resident now, and the most that were."""
    from benchmarks.usage import process_bytes

    return {name: process_bytes(name) for name in ("VmRSS", "VmHWM", "RssAnon")}


class ColdExtension(ComfyExtension):
    """The nodes of this folder."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [ColdModel, ColdFirstStep]


async def comfy_entrypoint() -> ComfyExtension:
    return ColdExtension()
