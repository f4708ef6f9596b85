"""Black Forest Labs' control LoRAs: biases, norms that are replaced, and a layer that gets wider."""

from __future__ import annotations

import pytest
import torch

from harness import workflows
from harness.samples import tensors, write
from harness.workflows import host_loras, render, stacked_loras
from tests.host.files import latent, patched_weights, saved

WIDTH = 128
IMG_IN = "diffusion_model.img_in.weight"

LAYERS = {
    # twice the inputs that the model has
    "img_in": (WIDTH, 128),
    "double_blocks.0.img_attn.qkv": (3 * WIDTH, WIDTH),
    "double_blocks.0.img_mlp.2": (WIDTH, 4 * WIDTH),
    "single_blocks.0.linear1": (7 * WIDTH, WIDTH),
    "final_layer.linear": (64, WIDTH),
}
NORMS = {"single_blocks.0.norm.key_norm": 32, "double_blocks.0.img_attn.norm.query_norm": 32}


def content(host) -> dict[str, torch.Tensor]:
    graph = workflows.Graph()
    loaded = workflows.load(graph, "flux")
    keys = [f"diffusion_model.{name}.weight" for name in [*LAYERS, *NORMS]]
    graph.add("TKWeights", model=loaded.model, keys=str(keys).replace("'", '"'), name="base")
    base = saved(host, graph.prompt)
    made: dict[str, torch.Tensor] = {}
    for seed, name in enumerate(LAYERS):
        out, inner = base[f"diffusion_model.{name}.weight"].shape
        wide = 2 * inner if name == "img_in" else inner
        found = tensors(seed, up=(out, 4), down=(4, wide), bias=(out,))
        made[f"{name}.lora_B.weight"] = 0.1 * found["up"]
        made[f"{name}.lora_A.weight"] = 0.1 * found["down"]
        made[f"{name}.lora_B.bias"] = 0.1 * found["bias"]
    for seed, name in enumerate(NORMS):
        (size,) = base[f"diffusion_model.{name}.weight"].shape
        made[f"{name}.scale"] = 1 + 0.1 * tensors(seed, x=(size,))["x"]
    return made


@pytest.fixture(scope="module")
def control(host, tmp_path_factory):
    file = tmp_path_factory.mktemp("control") / "control.safetensors"
    return host.add_lora(write(file, content(host)))


def test_it_does_what_the_hosts_own_loader_does(host, control, show):
    ours = patched_weights(host, "flux", stacked_loras((control, 1.0)))
    theirs = patched_weights(host, "flux", host_loras((control, 1.0)))
    assert ours.keys() == theirs.keys()
    assert len(ours) == 2 * len(LAYERS) + len(NORMS)
    for key, weight in theirs.items():
        assert ours[key].shape == weight.shape
        torch.testing.assert_close(ours[key], weight, rtol=1e-6, atol=1e-6)
    assert ours[IMG_IN].shape[1] == 128
    show(
        f"control LoRA on Flux: {len(ours)} weights as the host has them, img_in now {ours[IMG_IN].shape}"
    )


def test_the_wider_model_is_sampled_alike_and_gone_afterwards(host, control):
    before = host.run(render("flux")).report("TKHash")
    ours = latent(host, render("flux", stacked_loras((control, 1.0)), save="ours"), "ours")
    theirs = latent(host, render("flux", host_loras((control, 1.0)), save="theirs"), "theirs")
    assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()
    assert host.run(render("flux")).report("TKHash") == before


def test_half_of_it_is_half_of_everything(host, control):
    """The host replaces norms whatever the strength; ours go half of the way."""
    whole = patched_weights(host, "flux", stacked_loras((control, 1.0)))
    half = patched_weights(host, "flux", stacked_loras((control, 0.5)))
    none = patched_weights(host, "flux", stacked_loras((control, 1.0), (control, -0.9999)))
    for key, weight in whole.items():
        torch.testing.assert_close(
            half[key] - none[key], (weight - none[key]) / 2, rtol=1e-2, atol=1e-4
        )


def test_a_plain_lora_behind_the_hosts_control_lora_leaves_the_further_inputs_alone(
    host, control, tmp_path
):
    """While the host's patch is on the model, the layer is planned for as wide as that makes it."""
    factors = tensors(9, up=(WIDTH, 4), down=(4, 64))
    content = {
        "transformer.x_embedder.lora_B.weight": 0.1 * factors["up"],
        "transformer.x_embedder.lora_A.weight": 0.1 * factors["down"],
    }
    plain = host.add_lora(write(tmp_path / "plain.safetensors", content))

    def behind(graph, model, clip):
        model, clip = host_loras((control, 1.0))(graph, model, clip)
        return stacked_loras((plain, 1.0))(graph, model, clip)

    before = patched_weights(host, "flux", host_loras((control, 1.0)))[IMG_IN]
    after = patched_weights(host, "flux", behind)[IMG_IN]
    delta = 0.01 * factors["up"] @ factors["down"]
    torch.testing.assert_close(after[:, :64], before[:, :64] + delta, rtol=1e-5, atol=1e-5)
    assert torch.equal(after[:, 64:], before[:, 64:])
