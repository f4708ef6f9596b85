"""What the page is told of every file after a run."""

import json

import torch

from harness.samples import net, pair, write
from lora_core import Recipe, apply, load
from lora_core.matching.report_json import outcomes_of

TEXT = "lora_te1_text_model_encoder_layers_0_mlp_fc1"


def outcome(path, content, metadata=None, strengths=(1, 1), model=None):
    recipe = load(write(path / "a.safetensors", content, metadata)).scaled(*strengths)
    (only,) = outcomes_of(apply(model or net(), recipe))
    return json.loads(json.dumps(only, allow_nan=False))


def codes(*arguments, **more):
    return [warning["code"] for warning in outcome(*arguments, **more)["warnings"]]


def test_all_of_it_applied(tmp_path):
    part = {"part": "model", "strength": 0.5, "found": 1, "applied": 1, "connected": True}
    none = {"part": "clip", "strength": 0.5, "found": 0, "applied": 0, "connected": False}
    none_live = {"live": 0, "through": 0, "unused": 0}
    told = outcome(tmp_path, pair("linear", 6, 8), strengths=(0.5, 0.5))
    assert told.pop("report").startswith("a.safetensors (LoRA, rank 4)\n    model: 1 of 1 layer")
    assert told == {
        "name": "a.safetensors",
        "state": "applied",
        "applied": 1,
        "found": 1,
        "parts": [{**part, **none_live}, {**none, **none_live}],
        "unknown": 0,
        "first_unknown": [],
        "warnings": [],
        "base": None,
        "model": None,
    }


def test_nothing_to_tell_of():
    assert outcomes_of(apply(net(), Recipe())) == []


def test_names_that_mean_nothing_make_it_partial(tmp_path):
    content = pair("linear", 6, 8) | {f"\x1b{n} who.knows": torch.ones(1) for n in range(5)}
    told = outcome(tmp_path, content | pair("gone" * 100, 4, 4))
    assert (told["state"], told["applied"], told["found"], told["unknown"]) == ("partial", 1, 2, 6)
    assert told["first_unknown"][0] == ("gone" * 100)[:182] + "… (400 characters)"
    assert told["first_unknown"][1:] == ["\ufffd0 who.knows", "\ufffd1 who.knows"]
    assert [w["code"] for w in told["warnings"]] == ["unknown_layers"]
    assert told["warnings"][0]["text"].startswith("Unknown to the model, not applied: 6 (gone")


def test_a_text_encoder_that_is_not_connected_is_a_warning_and_not_a_part_that_failed(tmp_path):
    content = pair("linear", 6, 8) | pair(TEXT, 6, 8)
    told = outcome(tmp_path, content)
    assert (told["state"], told["applied"], told["found"]) == ("applied", 1, 1)
    assert [w["code"] for w in told["warnings"]] == ["clip_not_connected"]
    assert codes(tmp_path, content, strengths=(1, 0)) == []  # which is what the user wants


def test_alpha_zero_an_unread_scale_and_another_base(tmp_path):
    content = pair("linear", 6, 8, alpha=0.0) | pair("other", 10, 6)
    assert codes(tmp_path, content, {"lora_adapter_metadata": "["}) == [
        "alpha_zero",
        "scale_unread",
    ]
    model = {"input_blocks.0.0.weight": torch.zeros(4, 4)}
    content = pair("lora_unet_input_blocks_0_0", 4, 4)
    notes = {"ss_base_model_version": "sdxl_base_v1-0"}
    told = outcome(tmp_path, content, notes, model=model)
    assert [w["code"] for w in told["warnings"]] == ["made_for_other"]
    assert (told["base"], told["model"]) == ("SDXL", "SD 1.5")
