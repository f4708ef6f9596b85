"""The tiny model and its LoRAs by diffusers, without the host."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import lora_core

pytest.importorskip("diffusers")
pytest.importorskip("peft")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from diffusers.loaders.single_file_utils import (
        convert_sd3_transformer_checkpoint_to_diffusers,
    )

    from examples.tiny import in_diffusers
    from examples.tiny.files import DIALECTS, HERE, NAMES, TRANSFORMER, lora_file
    from examples.tiny.measure import MEADOW, SCENE, brightness, ground, saturation
    from examples.tiny.transformer import CONFIG, from_host, to_host

pytestmark = pytest.mark.filterwarnings("ignore")

MOST_BYTES = 12e6


@pytest.fixture(scope="module")
def pipe():
    return in_diffusers.pipeline()


def test_the_files_stay_small(show):
    sizes = {path: path.stat().st_size for path in HERE.rglob("*.safetensors")}
    assert len(sizes) == 2 + len(NAMES) * len(DIALECTS)
    show(f"the tiny model and its LoRAs: {sum(sizes.values()) / 1e6:.1f} MB")
    assert sum(sizes.values()) <= MOST_BYTES


def test_the_layouts_are_those_that_diffusers_knows():
    ours = load_file(TRANSFORMER)
    theirs = convert_sd3_transformer_checkpoint_to_diffusers(
        dict(ours), num_layers=CONFIG["num_layers"], caption_projection_dim=128
    )
    found = from_host(ours)
    assert found.keys() == theirs.keys()
    assert all(torch.equal(found[key], theirs[key]) for key in theirs)
    back = to_host(found)
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[key], ours[key]) for key in ours)


def changed(weights, name: str, dialect: str):
    """A copy of the weights with the LoRA."""
    copy = {key: value.clone() for key, value in weights.items()}
    report = lora_core.apply(copy, lora_core.load(lora_file(name, dialect), 0.7))
    assert not report.loras[0].unknown
    return copy


@pytest.mark.parametrize("name", NAMES)
def test_every_dialect_changes_the_same_by_the_same(name):
    plain = {key: value.double() for key, value in load_file(TRANSFORMER).items()}
    first, *others = (changed(plain, name, dialect) for dialect in DIALECTS)
    # kohya's names for SD 3 are those of the host's layout alone
    others += [to_host(changed(from_host(plain), name, d)) for d in ("diffusers", "lycoris")]
    assert all((first[key] != plain[key]).any() for key in plain if "x_block.mlp.fc1.w" in key)
    for other in others:
        assert all(torch.allclose(first[key], other[key], rtol=0, atol=1e-9) for key in plain)


def test_our_core_draws_what_diffusers_adapters_draw(pipe):
    strengths = {"ink": 0.5, "light": 1.0}
    with in_diffusers.by_our_core(pipe, strengths):
        ours = in_diffusers.render(pipe, SCENE, 1)
    with in_diffusers.by_diffusers(pipe, strengths):
        theirs = in_diffusers.render(pipe, SCENE, 1)
    assert (ours[0] - theirs[0]).abs().max() < 1e-3
    assert np.abs(ours[1].astype(int) - theirs[1]).max() <= 1


@pytest.mark.parametrize(("name", "sign"), [("ink", -1), ("light", 1)])
def test_saturation_follows_the_strength(pipe, name, sign):
    found = []
    for strength in (-1.0, 0.0, 0.5, 1.0):
        with in_diffusers.by_our_core(pipe, {name: strength}):
            found.append(sign * saturation(in_diffusers.render(pipe, SCENE, 3)[1]))
    assert found == sorted(found)


def test_snow_turns_the_ground_white(pipe):
    with in_diffusers.by_our_core(pipe, {"snow": 1.0}):
        snow = ground(in_diffusers.render(pipe, MEADOW, 3)[1])
    assert brightness(snow) > 215
    assert saturation(snow) < 15
