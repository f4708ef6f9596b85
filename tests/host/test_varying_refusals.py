"""What cannot vary, or not so, is said in words before a weight is touched."""

from __future__ import annotations

import pytest
import torch

from harness.samples import tensors, write
from harness.workflows import in_turn, no_loras, render, stacked_loras
from tests.host.files import growth, make_loras, sampled

pytestmark = pytest.mark.every_host


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    return {"flux": make_loras(host, tmp_path_factory.mktemp("loras"), "flux", 2)}


BAD_CURVES = {
    "wavy": ("wavy", 0.0, 1.0),
    "right to left": ("0:0, 0.5:1, 0.4:0", 0.0, 1.0),
    "nothing": ("", 0.0, 1.0),
    "window": ("linear", 0.8, 0.2),
}


@pytest.mark.parametrize("what", BAD_CURVES)
def test_a_bad_curve_is_refused_before_anything_runs(host, loras, what, show):
    chain = stacked_loras((loras["flux"][0], 1.0), curve=BAD_CURVES[what])
    result = host.run(render("flux", chain), expect_error=True)
    assert result.status == "invalid"
    # The host says it of every input that the node looks at.
    (validation_error,) = {o.partition(" - ")[2] for o in result.validation_errors("ScheduleLoRA")}
    show(f"curve, {what}: {validation_error}")
    assert "expected" in validation_error
    assert "curve" in validation_error or "schedule goes from 0.8 to 0.2" in validation_error


def test_a_linked_curve_is_refused_when_it_runs(host, loras):
    prompt = render("flux", stacked_loras((loras["flux"][0], 1.0), curve="linear"))
    prompt["TKText"] = {"class_type": "TKText", "inputs": {"text": "wavy"}}
    prompt["ScheduleLoRA"]["inputs"]["curve"] = ["TKText", 0]
    result = host.run(prompt, expect_error=True)
    assert (result.status, result.error_node) == ("error", "ScheduleLoRA")
    assert "'wavy'" in result.error


def test_a_merge_of_a_schedule_is_refused(host, loras, show):
    chain = stacked_loras((loras["flux"][0], 1.0), curve="linear", mode="merge")
    result = host.run(render("flux", chain), expect_error=True)
    show(f"merge of a schedule: {result.error.strip()}")
    assert result.error_node == "ApplyToModel"
    assert loras["flux"][0] in result.error
    assert "Set the mode to auto or live" in result.error


BAD_VALUES = {
    "a word": "much",
    "nothing": " , ",
    "too large": "0, 5000",
    "a range of one": "0..1 x 1",
}


@pytest.mark.parametrize("what", BAD_VALUES)
def test_bad_values_are_refused_before_anything_runs(host, loras, what, show):
    chain = stacked_loras((loras["flux"][0], 1.0), values=BAD_VALUES[what])
    result = host.run(render("flux", chain), expect_error=True)
    assert result.status == "invalid"
    (validation_error,) = result.validation_errors("SpreadLoRA")
    show(f"values, {what}: {validation_error}")
    assert "values: found" in validation_error
    assert "expected" in validation_error


def test_a_merge_of_a_spread_is_refused(host, loras):
    chain = stacked_loras((loras["flux"][0], 1.0), values="0, 1", mode="merge")
    result = host.run(render("flux", chain, batch=2), expect_error=True)
    assert "spread over 2 images, 0 to 1" in result.error


LAYER = "diffusion_model.double_blocks.0.img_attn.proj"


def dora():
    made = tensors(3, up=(128, 4), down=(4, 128))
    return {
        f"{LAYER}.lora_up.weight": 0.1 * made["up"],
        f"{LAYER}.lora_down.weight": 0.1 * made["down"],
        f"{LAYER}.dora_scale": torch.full((128, 1), 0.7),
    }


def oft():
    return {f"{LAYER}.oft_blocks": 0.1 * tensors(4, blocks=(32, 4, 4))["blocks"]}


STUCK = {"DoRA": dora, "OFT": oft}


@pytest.mark.parametrize("how", [{"curve": "linear"}, {"values": "0, 1"}], ids=["curve", "values"])
@pytest.mark.parametrize("family", STUCK)
def test_what_is_no_pair_cannot_vary(host, loras, tmp_path, family, how, show):
    file = f"stuck {family}.safetensors"
    name = host.add_lora(write(tmp_path / file, STUCK[family]()))
    right = stacked_loras((loras["flux"][0], 0.5))
    expected = sampled(host, "flux", right, batch=2)
    before = host.counters()
    result = host.run(render("flux", stacked_loras((name, 1.0), **how), batch=2), expect_error=True)
    show(f"{family}: {result.error.strip()}")
    assert result.error_node == "ApplyToModel"
    assert file in result.error
    assert "Use one strength for it" in result.error
    assert not any(growth(before, host.counters()).values())
    assert sampled(host, "flux", right, batch=2).equal(expected)


@pytest.mark.parametrize("family", STUCK)
def test_what_is_no_pair_is_merged_where_live_is_asked(host, loras, tmp_path, family):
    """With one strength it needs no branch, beside another that has one."""
    name = host.add_lora(write(tmp_path / f"merged {family}.safetensors", STUCK[family]()))
    files = [(name, 0.5), (loras["flux"][0], 0.5)]
    live, merged = (
        sampled(host, "flux", stacked_loras(*files, mode=mode)) for mode in ("live", "merge")
    )
    assert (live - merged).abs().max() < 1e-5 * merged.abs().max()
    assert not merged.equal(sampled(host, "flux", no_loras))
    one = in_turn(*(stacked_loras(file, mode="live") for file in files))
    assert sampled(host, "flux", one).equal(live)
