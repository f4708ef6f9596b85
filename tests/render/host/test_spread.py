"""In the real ComfyUI: a batch of strengths has the pictures of single runs."""

from __future__ import annotations

import copy
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from examples.tiny import in_host
from harness.workflows import stacked_loras
from lora_render.item import Item, Outcome, Output
from lora_render.spread import split, spread_jobs
from lora_render.spread_graph import STEADY

STRENGTHS = (-0.5, 0.3, 0.85, 1.4)
INK, LIGHT = in_host.lora_name("ink"), in_host.lora_name("light")
SAMPLED = "KSampler"


@pytest.fixture(scope="module")
def host(host_install, tmp_path_factory):
    with in_host.start(host_install, tmp_path_factory.mktemp("host")) as running:
        yield running


def workflow(sampler="euler"):
    chain = stacked_loras((INK, 1.0), (LIGHT, 0.5), mode="auto")
    prompt = in_host.prompt(in_host.XY_SCENE, 7, chain, steps=4)
    prompt[SAMPLED]["inputs"]["sampler_name"] = sampler
    return prompt


def with_strengths(prompt, node="LoadLoRA", key="strength"):
    made = []
    for index, strength in enumerate(STRENGTHS):
        own = copy.deepcopy(prompt)
        own[node]["inputs"][key] = strength
        made.append(Item(index, {}, own, str(index)))
    return made


def saved(host, prompt):
    """The files that SaveImage has written, as the farm has them."""
    written = host.run(prompt).outputs["SaveImage"]["images"]
    paths = [host.output_dir / each["subfolder"] / each["filename"] for each in written]
    return tuple(Output("SaveImage", "image", path.name, path.read_bytes()) for path in paths)


def pixels(output):
    with Image.open(BytesIO(output.content)) as image:
        return np.array(image.convert("RGB")).astype(int)


def largest_difference(host, items):
    """Between the images of a batch and of single runs; and between the first and the last."""
    (job,) = spread_jobs(items, host.object_info(), 8)
    parts = split(job, Outcome("ok", saved(host, job.prompt)))
    batch = [pixels(output) for part in parts for output in part.outputs]
    alone = [pixels(output) for item in items for output in saved(host, item.prompt)]
    assert len(batch) == len(alone) == len(items)
    worst = max(np.abs(one - other).max() for one, other in zip(batch, alone, strict=True))
    return worst, np.abs(alone[0] - alone[-1]).max()


def same(host, items, show, what):
    worst, change = largest_difference(host, items)
    show(f"{what}: a batch of 4 and single runs differ by {worst} of 255; strengths by {change}")
    assert worst <= 1
    assert change > 40


@pytest.mark.every_host
def test_a_strength_in_a_batch_is_the_strength_alone(host, show):
    same(host, with_strengths(workflow()), show, "LoRA File")


@pytest.mark.slow
@pytest.mark.parametrize("sampler", sorted(STEADY))
def test_every_sampler_of_the_list(host, show, sampler):
    same(host, with_strengths(workflow(sampler)), show, sampler)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["euler_ancestral", "dpmpp_sde", "lcm"])
def test_a_sampler_with_noise_of_its_own_would_be_wrong(host, monkeypatch, sampler):
    """So that the list is not longer than it may be."""
    items = with_strengths(workflow(sampler))
    assert len(spread_jobs(items, host.object_info(), 8)) == len(items)
    monkeypatch.setattr("lora_render.spread_graph.STEADY", {sampler})
    assert largest_difference(host, items)[0] > 1


@pytest.mark.slow
def test_a_factor_of_a_stack(host, show):
    chain = stacked_loras((INK, 0.8), (LIGHT, 0.4), scale=1.0, mode="auto")
    prompt = in_host.prompt(in_host.XY_SCENE, 7, chain, steps=4)
    same(host, with_strengths(prompt, "ScaleLoRA", "strength_model"), show, "Scale LoRA")


@pytest.mark.slow
def test_a_row(host, show):
    made = []
    for index, strength in enumerate(STRENGTHS):
        prompt = workflow()
        each = [{"name": INK, "strength": strength}, {"name": LIGHT, "strength": 0.5}]
        inputs = {"rows": {"version": 1, "rows": each}, "model": ["UNETLoader", 0]}
        prompt["ApplyToModel"] = {"class_type": "LoRARows", "inputs": inputs}
        prompt[SAMPLED]["inputs"]["model"] = ["ApplyToModel", 3]
        made.append(Item(index, {}, prompt, str(index)))
    same(host, made, show, "LoRA Rows")


@pytest.mark.slow
def test_the_samplers_in_parts(host, show):
    prompt = workflow()
    old = prompt[SAMPLED]["inputs"]
    parts = {
        "noise": ("RandomNoise", {"noise_seed": 7}),
        "guider": (
            "CFGGuider",
            {key: old[key] for key in ("model", "positive", "negative", "cfg")},
        ),
        "sampler": ("KSamplerSelect", {"sampler_name": "dpmpp_2m"}),
        "sigmas": (
            "BasicScheduler",
            {"model": old["model"], "scheduler": "simple", "steps": 4, "denoise": 1.0},
        ),
    }
    for name, (class_type, inputs) in parts.items():
        prompt[name] = {"class_type": class_type, "inputs": inputs}
    prompt[SAMPLED] = {
        "class_type": "SamplerCustomAdvanced",
        "inputs": {name: [name, 0] for name in parts} | {"latent_image": old["latent_image"]},
    }
    same(host, with_strengths(prompt), show, "the sampler in parts")
