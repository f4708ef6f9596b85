"""One picture, three ways: ComfyUI with our nodes, diffusers with our core, diffusers alone."""

from __future__ import annotations

import warnings
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("diffusers")
pytest.importorskip("peft")

from examples.tiny import in_host
from examples.tiny.autoencoder import SCALE, SHIFT
from examples.tiny.measure import SCENE, SEEDS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from examples.tiny import in_diffusers
from harness.workflows import stacked_loras

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CASES = {
    "base": {},
    "ink": {"ink": 1.0},
    "0.5 ink + 1.0 light": {"ink": 0.5, "light": 1.0},
    "snow - 0.5 light": {"snow": 1.0, "light": -0.5},
}


@pytest.fixture(scope="module")
def host(host_install, tmp_path_factory):
    with in_host.start(host_install, tmp_path_factory.mktemp("host")) as running:
        yield running


@pytest.fixture(scope="module")
def pipe():
    return in_diffusers.pipeline()


def in_comfyui(host, seed: int, strengths):
    """The latents as the model has them, and the image."""
    loras = [(in_host.lora_name(name), strength) for name, strength in strengths.items()]
    chain = stacked_loras(*loras) if loras else in_host.no_loras
    (image,) = in_host.images(host, in_host.prompt(SCENE, seed, chain, save="latents"))
    latents = load_file(host.output_dir / "latents.safetensors")["samples"]
    return (latents - SHIFT) * SCALE, image


def apart(a, b) -> np.ndarray:
    """Largest and mean difference of the latents, then of the bytes of the image."""
    latents = (a[0] - b[0]).abs()
    pixels = np.abs(a[1].astype(int) - b[1])
    return np.array([latents.max(), latents.mean(), pixels.max(), pixels.mean()])


@pytest.mark.parametrize("case", CASES)
def test_the_images_agree(host, pipe, show, case):
    """Nothing but the order of sums differs; now and then a byte is cut off on the other side."""
    strengths = CASES[case]
    rows: dict[str, list[np.ndarray]] = {"diffusers' adapters": [], "ComfyUI": []}
    for seed in SEEDS:
        with in_diffusers.by_our_core(pipe, strengths) if strengths else nullcontext():
            ours = in_diffusers.render(pipe, SCENE, seed)
        with in_diffusers.by_diffusers(pipe, strengths) if strengths else nullcontext():
            theirs = in_diffusers.render(pipe, SCENE, seed)
        rows["diffusers' adapters"].append(apart(ours, theirs))
        rows["ComfyUI"].append(apart(ours, in_comfyui(host, seed, strengths)))
    for other, differences in rows.items():
        worst = np.max(differences, axis=0)
        latent, latent_mean, pixel, pixel_mean = worst
        show(
            f"{case}: core in diffusers against {other}: latents {latent:.1e} (mean "
            f"{latent_mean:.1e}), bytes {pixel:.0f} (mean {pixel_mean:.4f}), worst of 8 seeds"
        )
        assert (worst < (3e-4, 1e-5, 1.5, 0.01)).all()


def test_another_seed_is_another_picture(host, pipe):
    """So that agreeing means something."""
    here = in_diffusers.render(pipe, SCENE, 1)
    assert torch.isfinite(here[0]).all()
    assert apart(here, in_comfyui(host, 2, {}))[3] > 5
