"""Strengths of one LoRA as one batch: which items share one, and whose files are whose."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lora_core.algebra import parse_spread
from lora_render.item import Failure, Item, Job, Outcome, Output
from lora_render.png_prompt import with_prompt
from lora_render.spread import split, spread_jobs

LINKED = {"LoadLoRA": ["LORA_RECIPE"], "UNETLoader": ["MODEL"], "VAELoader": ["VAE"]}
KNOWN = {
    **LINKED,
    "ScaleLoRA": ["LORA_RECIPE"],
    "StackLoRAs": ["LORA_RECIPE"],
    "SpreadLoRA": ["LORA_RECIPE"],
    "SweepLoRA": ["LORA_RECIPE", "STRING", "INT"],
    "LoRARows": ["LORA_RECIPE", "STRING", "STRING", "MODEL", "CLIP", "STRING", "MODEL"],
    "ApplyToModel": ["MODEL", "CLIP", "STRING"],
    "CLIPLoader": ["CLIP"],
    "CLIPTextEncode": ["CONDITIONING"],
    "ReferenceLatent": ["CONDITIONING"],
    "LoadImage": ["IMAGE", "MASK"],
    "EmptySD3LatentImage": ["LATENT"],
    "LatentBatchSeedBehavior": ["LATENT"],
    "KSampler": ["LATENT"],
    "VAEDecode": ["IMAGE"],
    "SaveImage": ["IMAGE"],
    "PreviewAny": ["STRING"],
}
OBJECT_INFO = {
    name: {
        "output": output,
        "output_is_list": [name == "SweepLoRA"] * len(output),
        "output_node": name in ("SaveImage", "PreviewAny"),
    }
    for name, output in KNOWN.items()
}


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


BASIC = {
    "1": node("LoadLoRA", lora_name="ink.safetensors", strength=1.0),
    "2": node("UNETLoader", unet_name="base.safetensors"),
    "3": node("ApplyToModel", lora=["1", 0], model=["2", 0], mode="auto"),
    "4": node("CLIPLoader", clip_name="text.safetensors"),
    "5": node("CLIPTextEncode", clip=["4", 0], text="a hill"),
    "6": node("EmptySD3LatentImage", width=64, height=64, batch_size=1),
    "7": node(
        "KSampler",
        model=["3", 0],
        positive=["5", 0],
        negative=["5", 0],
        latent_image=["6", 0],
        sampler_name="euler",
        seed=7,
    ),
    "8": node("VAELoader", vae_name="vae.safetensors"),
    "9": node("VAEDecode", samples=["7", 0], vae=["8", 0]),
    "10": node("SaveImage", images=["9", 0], filename_prefix="hill"),
}


def changed(**changes):
    """BASIC with other nodes (``n3=node(…)``) and inputs (``n3_mode="live"``)."""
    prompt = copy.deepcopy(BASIC)
    for place, value in changes.items():
        number, _, key = place.removeprefix("n").partition("_")
        if key:
            prompt[number]["inputs"][key] = value
        else:
            prompt[number] = value
    return prompt


def items(*prompts):
    return [Item(number, {}, prompt, f"key {number}") for number, prompt in enumerate(prompts)]


def strengths(prompt, values, at=("1", "strength")):
    made = []
    for value in values:
        one = copy.deepcopy(prompt)
        one[at[0]]["inputs"][at[1]] = value
        made.append(one)
    return items(*made)


def sizes(jobs):
    return [len(job.items) for job in jobs]


def spread(prompts, most=8):
    return spread_jobs(prompts, OBJECT_INFO, most)


def test_strengths_of_one_lora_are_one_batch_of_the_same_noise():
    (job,) = spread(strengths(BASIC, [0.1, 1, -0.3]))
    prompt = job.prompt
    assert [item.index for item in job.items] == [0, 1, 2]
    assert prompt["1"]["inputs"]["strength"] == 1.0
    assert prompt["3"]["inputs"]["lora"] == ["SpreadLoRA", 0]
    assert prompt["SpreadLoRA"]["inputs"] == {"lora": ["1", 0], "values": "0.1, 1, -0.3"}
    assert prompt["6"]["inputs"]["batch_size"] == 3
    assert prompt["7"]["inputs"]["latent_image"] == ["LatentBatchSeedBehavior", 0]
    same = {"samples": ["6", 0], "seed_behavior": "fixed"}
    assert prompt["LatentBatchSeedBehavior"]["inputs"] == same
    untouched = {"1", "2", "4", "5", "8", "9", "10"}
    assert {name for name in BASIC if prompt[name] == BASIC[name]} == untouched


def test_the_items_keep_their_own_workflows():
    made = strengths(BASIC, [0.1, 0.2])
    before = copy.deepcopy([item.prompt for item in made])
    spread(made)
    assert [item.prompt for item in made] == before


def test_values_are_written_so_that_none_is_rounded():
    values = [0.1, 1e-7, 0.30000000000000004, 2]
    (job,) = spread(strengths(BASIC, values))
    written = parse_spread(job.prompt["SpreadLoRA"]["inputs"]["values"])
    assert [float(value) for value in written.values] == values


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(8, 8, [8]), (9, 8, [4, 5]), (17, 8, [5, 6, 6]), (3, 2, [1, 2]), (2, 1, [1, 1])],
)
def test_batches_are_of_nearly_one_size_and_none_is_larger_than_allowed(count, most, expected):
    jobs = spread(strengths(BASIC, [number / 10 for number in range(count)]), most)
    assert sizes(jobs) == expected
    assert [item.index for job in jobs for item in job.items] == list(range(count))
    alone = [job for job in jobs if len(job.items) == 1]
    assert all(job.prompt == job.items[0].prompt for job in alone)


def test_what_differs_in_more_is_in_another_batch_and_the_larger_groups_come_first():
    grid = [
        changed(n1_strength=strength, n7_seed=seed)
        for seed in (1, 2, 3)
        for strength in (0.25, 0.5)
    ]
    jobs = spread(items(*grid, changed(n1_strength=0.25, n5_text="a lake")))
    assert [[item.index for item in job.items] for job in jobs] == [[0, 1], [2, 3], [4, 5], [6]]
    assert jobs[-1].prompt == jobs[-1].items[0].prompt


def test_a_grid_of_two_loras_is_spread_along_the_longer_side():
    both = changed(
        n11=node("LoadLoRA", lora_name="light.safetensors", strength=1.0),
        n12=node("StackLoRAs", **{"loras.lora_0": ["1", 0], "loras.lora_1": ["11", 0]}),
        n3_lora=["12", 0],
    )
    grid = []
    for ink in (0.1, 0.2):
        for light in (0.3, 0.4, 0.5):
            one = copy.deepcopy(both)
            one["1"]["inputs"]["strength"], one["11"]["inputs"]["strength"] = ink, light
            grid.append(one)
    jobs = spread(items(*grid))
    assert sizes(jobs) == [3, 3]
    assert {job.prompt["SpreadLoRA"]["inputs"]["values"] for job in jobs} == {"0.3, 0.4, 0.5"}


def test_a_factor_of_a_whole_stack_is_spread_behind_it():
    scaled = changed(
        n11=node("ScaleLoRA", lora=["1", 0], strength_model=1.0, strength_clip=0.5),
        n3_lora=["11", 0],
    )
    (job,) = spread(strengths(scaled, [0.5, 0.75], ("11", "strength_model")))
    assert job.prompt["11"]["inputs"]["strength_model"] == 1.0
    assert job.prompt["3"]["inputs"]["lora"] == ["SpreadLoRA", 0]
    assert job.prompt["SpreadLoRA"]["inputs"]["lora"] == ["11", 0]
    assert sizes(spread(strengths(scaled, [0.5, 0.75], ("11", "strength_clip")))) == [1, 1]


def rows(*each, **inputs):
    return node("LoRARows", rows={"version": 1, "rows": list(each)}, model=["2", 0], **inputs)


def row(name, strength, **more):
    return {"name": name, "strength": strength, "on": True, **more}


def of_rows(*nodes):
    return items(*(changed(n3=each, n7_model=["3", 3]) for each in nodes))


def test_a_row_is_taken_out_of_the_list_and_comes_back_as_a_lora():
    made = of_rows(*(rows(row("ink", s), row("light", 0.5)) for s in (0.1, 0.2)))
    (job,) = spread(made)
    assert job.prompt["3"]["inputs"]["rows"] == {"version": 1, "rows": [row("light", 0.5)]}
    assert job.prompt["3"]["inputs"]["lora"] == ["SpreadLoRA", 0]
    assert job.prompt["LoadLoRA"]["inputs"] == {"lora_name": "ink", "strength": 1.0}
    assert job.prompt["SpreadLoRA"]["inputs"] == {"lora": ["LoadLoRA", 0], "values": "0.1, 0.2"}


def test_a_lora_that_comes_in_stays():
    (job,) = spread(of_rows(*(rows(row("ink", s), lora=["1", 0]) for s in (0.1, 0.2))))
    stack = {"loras.lora_0": ["1", 0], "loras.lora_1": ["SpreadLoRA", 0]}
    assert job.prompt["StackLoRAs"]["inputs"] == stack
    assert job.prompt["3"]["inputs"]["lora"] == ["StackLoRAs", 0]


@pytest.mark.parametrize(
    "more",
    [
        {"blocks": "IN: 0.5"},
        {"low": {"name": "other"}},
        {"only": "high"},
        {"link": "strength_1"},
        {"solo": True},
        {"on": False},
    ],
    ids=str,
)
def test_a_row_that_is_more_than_a_file_is_left_where_it_is(more):
    assert sizes(spread(of_rows(*(rows(row("ink", s, **more)) for s in (0.1, 0.2))))) == [1, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"n3_clip": ["4", 0]},
        {"n3_mode": "merge"},
        {"n6_batch_size": 2},
        {"n6_batch_size": ["1", 0]},
        {"n7_sampler_name": "euler_ancestral"},
        {"n7_sampler_name": "dpmpp_2m_sde"},
        {"n7_sampler_name": "dpm_adaptive"},
        {"n7_latent_image": ["11", 0], "n11": node("VAEEncode", pixels=["9", 0])},
        {"n11": node("KSampler", model=["3", 0], latent_image=["7", 0], sampler_name="euler")},
        {"n11": node("VAEDecode", samples=["6", 0], vae=["8", 0])},
        {"n11": node("LoadImage", image="face.png")},
        {"n11": node("PreviewAny", source=["3", 2])},
        {"n10_filename_prefix": ["3", 2]},
        {"n11": node("PreviewAny", source=["8", 0])},
        {"n5_text": ["11", 1], "n11": node("SweepLoRA", values="0, 1")},
        {
            "n7_positive": ["11", 0],
            "n11": node("ReferenceLatent", conditioning=["5", 0], latent=["6", 0]),
        },
        {"n11": node("SomebodysNode", model=["3", 0])},
        {"n11": node("SomebodysNode")},
        {"n11": node("SpreadLoRA", lora=["1", 0], values="0, 1")},
        {"n3_lora": ["11", 0], "n11": node("SweepLoRA", lora=["1", 0], values="0, 1")},
    ],
    ids=str,
)
def test_any_other_workflow_is_left_as_it_is(change):
    made = strengths(changed(**change), [0.1, 0.2])
    jobs = spread(made)
    assert [job.items for job in jobs] == [(item,) for item in made]
    assert [job.prompt for job in jobs] == [item.prompt for item in made]


def test_nothing_is_spread_in_a_host_without_the_nodes():
    known = {name: info for name, info in OBJECT_INFO.items() if name != "SpreadLoRA"}
    assert sizes(spread_jobs(strengths(BASIC, [0.1, 0.2]), known, 8)) == [1, 1]


def png(grey, prompt):
    info = PngInfo()
    info.add_text("prompt", json.dumps(prompt))
    info.add_text("workflow", "{}")
    file = BytesIO()
    Image.new("RGB", (4, 4), (grey,) * 3).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def batch(count=3):
    (job,) = spread(strengths(BASIC, [number / 10 for number in range(count)]))
    outputs = [
        Output(node, "image", f"{node}_{n}.png", png(n, job.prompt))
        for n in range(count)
        for node in ("10", "20")
    ]
    return job, Outcome("ok", tuple(outputs), seconds=6.0, worker="gpu 1", attempts=2)


def opened(output):
    image = Image.open(BytesIO(output.content))
    return image.getpixel((0, 0))[0], image.text


def test_each_item_gets_its_image_of_each_node_and_its_own_workflow():
    job, outcome = batch()
    parts = split(job, outcome)
    assert len(parts) == 3
    for number, (item, part) in enumerate(zip(job.items, parts, strict=True)):
        assert [output.node for output in part.outputs] == ["10", "20"]
        assert replace(part, outputs=()) == replace(outcome, outputs=(), seconds=2.0)
        for output in part.outputs:
            grey, text = opened(output)
            assert grey == number
            assert json.loads(text["prompt"]) == item.prompt
            assert text["workflow"] == "{}"


def test_a_batch_whose_files_do_not_count_up_is_not_split():
    job, outcome = batch()
    assert split(job, replace(outcome, outputs=outcome.outputs[:-1])) is None
    assert split(job, replace(outcome, outputs=())) is None
    failed = Outcome("error", failure=Failure("out of memory"))
    assert split(job, failed) is None
    assert split(Job(job.items[:2], job.prompt), outcome) is None


@pytest.mark.parametrize("cut", [0, 4, 8, 30, 60, -1])
def test_files_that_are_no_whole_png_stay_as_they_are(cut):
    whole = png(1, BASIC)
    assert with_prompt(whole[:cut], {"a": {}}) == whole[:cut]
    assert with_prompt(whole + b"more", {"a": {}}) == whole + b"more"
    assert with_prompt(b"RIFF" + whole, {"a": {}}) == b"RIFF" + whole


def test_letters_of_all_kinds_are_kept():
    image = Image.open(BytesIO(with_prompt(png(1, BASIC), {"größer": {"плёнка": "\U0001f3a8"}})))
    assert json.loads(image.text["prompt"]) == {"größer": {"плёнка": "\U0001f3a8"}}
