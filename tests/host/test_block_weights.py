"""Block weights in the host: merged into weights, live, and refused by name."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from harness.tiny_loras import delta, targets
from harness.workflows import render, stacked_loras
from tests.host.files import (
    apart,
    assert_nothing_is_left,
    base_hash,
    base_weights,
    growth,
    latent,
    make_loras,
    patched_weights,
    sampled,
)
from tests.host.kinds import UNET

BLOCKS = {
    "sd15": ("in 1 attn: 0", ".attn"),
    "sd3": ("joint 0: 0", "joint_blocks.0."),
    "flux": ("double 0: 0", "double_blocks.0."),
    "wan": ("block 0: 0", ".blocks.0."),
}
"""For each kind, a line that switches some layers off, and what is in the names of their weights."""

KINDS = (UNET, "sd3", "flux", "wan")


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loras")
    return {kind: make_loras(host, folder, kind, 1)[0] for kind in BLOCKS}


@pytest.fixture(scope="module", autouse=True)
def bases(host):
    before = {kind: base_hash(host, kind) for kind in BLOCKS}
    yield
    for kind, base in before.items():
        assert_nothing_is_left(host, kind, base)


def weighted(host, kind, base, name, off, other=1.0):
    """The weights that a LoRA should give, in float64, with the layers at 0 whose names hold ``off``."""
    tensors = load_file(host.loras_dir / name)
    weights = {key: weight.double() for key, weight in base.items()}
    for target in targets(kind):
        start, count = target.rows or (0, target.shape[0])
        factor = 0.0 if off in target.weight else other
        weights[target.weight][start : start + count] += factor * delta(tensors, target)
    return weights


@pytest.mark.parametrize("kind", KINDS)
def test_a_block_at_0_is_not_touched_and_others_get_their_factor(host, loras, kind):
    line, off = BLOCKS[kind]
    base = base_weights(host, kind)
    chain = stacked_loras((loras[kind], 0.8), blocks=f"{line}\nother: 0.5")
    found = patched_weights(host, kind, chain)
    expected = weighted(host, kind, base, loras[kind], off, 0.8 * 0.5)
    untouched = [key for key in base if off in key]
    assert untouched
    assert len(untouched) < len(base)
    for key, weight in found.items():
        if key in untouched:
            assert torch.equal(weight, base[key]), key
        else:
            error = (weight.double() - expected[key]).abs().max() / expected[key].abs().max()
            assert error < 1e-6, key
            assert not torch.equal(weight, base[key]), key


@pytest.mark.parametrize("kind", KINDS)
def test_live_is_as_merged(host, loras, kind):
    line, _ = BLOCKS[kind]
    merged = sampled(host, kind, stacked_loras((loras[kind], 0.8), blocks=line, mode="merge"))
    before = host.counters()
    live = sampled(host, kind, stacked_loras((loras[kind], 0.8), blocks=line, mode="live"))
    assert growth(before, host.counters())["calculate_weight"] == 0
    whole = sampled(host, kind, stacked_loras((loras[kind], 0.8), mode="live"))
    assert apart(live, merged) < 1e-5
    assert apart(live, whole) > 1e-3


def test_with_a_schedule_they_multiply(host, loras):
    """A constant curve of 0.5 is a factor of 0.5; one that varies needs live, with blocks as well."""
    line, _ = BLOCKS["flux"]
    varying = stacked_loras((loras["flux"], 1.0), blocks=line, curve="0:0.5, 1:0.5001", mode="live")
    half = stacked_loras((loras["flux"], 0.5), blocks=line)
    assert apart(sampled(host, "flux", varying), sampled(host, "flux", half)) < 1e-4


def test_a_preset_comes_before_the_lines(host, loras):
    name = loras["flux"]
    lines = stacked_loras((name, 0.8), blocks="NONE\ndouble 0: 1")
    prompt = render("flux", stacked_loras((name, 0.8), blocks="double 0: 1"), save="chosen")
    prompt["LoRABlockWeights"]["inputs"]["preset"] = "NONE"
    found = latent(host, prompt, "chosen")
    assert apart(found, sampled(host, "flux", lines)) == 0
    assert apart(found, sampled(host, "flux", stacked_loras((name, 0.8)))) > 1e-3


def test_a_name_that_the_model_does_not_have_is_refused_with_its_names(host, loras, show):
    chain = stacked_loras((loras["flux"], 1.0), blocks="in 4: 0")
    result = host.run(render("flux", chain), expect_error=True)
    show(f"a name of another architecture: {result.error.strip()}")
    assert result.error_node == "ApplyToModel"
    assert "'in 4' names nothing in Flux" in result.error
    assert "double 0" in result.error


@pytest.mark.parametrize("text", ["double 0", "MIDD0.7", "1,0,0", "double 0: many"])
def test_what_cannot_be_read_is_refused_before_anything_runs(host, loras, text):
    chain = stacked_loras((loras["flux"], 1.0), blocks=text)
    result = host.run(render("flux", chain), expect_error=True)
    assert result.status == "invalid"
    assert result.validation_errors("LoRABlockWeights")
