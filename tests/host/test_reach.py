"""Layers that the host computes past their ``forward``: a live LoRA gets to them all the same."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from harness import workflows
from harness.samples import pair, write
from harness.workflows import core_node, in_turn, no_loras, stacked_loras
from tests.host.files import apart, make_loras, sampled

pytestmark = pytest.mark.every_host


def vector(layer: str, size: int, seed: int) -> dict[str, torch.Tensor]:
    noise = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    return {f"diffusion_model.{layer}.diff": 0.5 * noise}


def matrix(layer: str, out: int, inner: int, seed: int) -> dict[str, torch.Tensor]:
    found = pair(f"diffusion_model.{layer}", out, inner, seed=seed)
    return {key: 0.12 * value for key, value in found.items()}


FUSED = {
    "z_image": vector("layers.0.attention.q_norm", 64, 1)
    | vector("layers.1.attention.k_norm", 64, 2),
    "cosmos": vector("blocks.0.self_attn.q_norm", 64, 1)
    | vector("blocks.1.self_attn.k_norm", 64, 2),
    "ltx": matrix("transformer_blocks.0.ff.net.2", 128, 512, 1)
    | matrix("transformer_blocks.1.ff.net.2", 128, 512, 2),
    "wan_i2v": matrix("img_emb.proj.1", 1280, 1280, 1),
    "h3": vector("blocks.0.attn.q_norm", 64, 1)
    | matrix("blocks.1.mlp.fc2", 128, 128, 2)
    | vector("token_refiner.blocks.0.attn.q_norm", 64, 3)
    | matrix("token_refiner.blocks.0.mlp.fc2", 128, 128, 4),
}
"""Of each model what one host or the other computes past its ``forward``."""

CALLED = {
    "z_image": matrix("layers.0.feed_forward.w2", 256, 512, 5),
    "cosmos": vector("blocks.0.cross_attn.q_norm", 64, 5)
    | matrix("blocks.0.mlp.layer2", 128, 512, 6),
    "ltx": matrix("transformer_blocks.0.attn1.to_q", 128, 128, 5),
    "wan_i2v": matrix("blocks.0.self_attn.q", 128, 128, 5),
    "h3": matrix("blocks.0.attn.out_proj", 128, 128, 5),
}
"""And what is called."""

LATENTS = {
    "z_image": ("EmptySD3LatentImage", {"width": 64, "height": 64}),
    "cosmos": ("EmptyHunyuanLatentVideo", {"width": 64, "height": 64, "length": 1}),
    "ltx": ("EmptyLTXVLatentVideo", {"width": 64, "height": 64, "length": 9}),
    "wan_i2v": ("EmptyHunyuanLatentVideo", {"width": 64, "height": 64, "length": 5}),
    "h3": ("EmptyMiniMaxH3LatentAV", {"width": 64, "height": 64, "length": 5}),
}
WIDTHS = {"z_image": 64, "cosmos": 64, "ltx": 4096, "wan_i2v": 64, "h3": 64}
KINDS = ["z_image", "cosmos", "ltx"]


@pytest.fixture
def kinds(host):
    """The models that this host knows."""
    return [*KINDS, "h3"] if host.object_info("EmptyMiniMaxH3LatentAV") else KINDS


class Built:
    """A small model with a LoRA of fused layers, one of called ones, and one of both."""

    def __init__(self, host, folder, kind, weights="float32"):
        self.host, self.kind, self.weights = host, kind, weights
        whole = {"fused": FUSED[kind], "called": CALLED[kind], "both": FUSED[kind] | CALLED[kind]}
        self.files = {
            name: host.add_lora(write(folder / f"{kind} {name}.safetensors", content))
            for name, content in whole.items()
        }

    def graph(self, chain, weights=None, steps=2, batch=1):
        graph = workflows.Graph()
        built = graph.add("TKBuilt", kind=self.kind, weights=weights or self.weights)
        model, _ = chain(graph, [built, 0], None)
        text = {"tokens": 8, "dim": WIDTHS[self.kind], "pooled_dim": 0, "mask": self.kind == "ltx"}
        node, size = LATENTS[self.kind]
        more = {} if self.kind == "h3" else {"batch_size": batch}
        sampled = graph.add(
            "KSampler",
            model=model,
            positive=[graph.add("TKConditioning", seed=1, **text), 0],
            negative=[graph.add("TKConditioning", seed=2, **text), 0],
            latent_image=[graph.add(node, **size, **more), 0],
            seed=5,
            steps=steps,
            cfg=1.0
            if self.kind == "ltx"
            else 2.0,  # attention on a CPU takes no mask for two prompts
            sampler_name="euler",
            scheduler="simple",
            denoise=1.0,
        )
        graph.add("TKSaveTensor", latent=[sampled, 0], name="reach")
        return graph.prompt

    def sampled(self, chain, **how):
        self.host.run(self.graph(chain, **how))
        return load_file(self.host.output_dir / "reach.safetensors")["samples"]

    def lora(self, name, **how):
        return stacked_loras((self.files[name], 1.0), **how)


def test_every_fused_layer_is_reached(host, tmp_path, kinds, show):
    for kind in kinds:
        model = Built(host, tmp_path, kind)
        plain = model.sampled(no_loras)
        for name in model.files:
            merged = model.sampled(model.lora(name, mode="merge"))
            live = model.sampled(model.lora(name, mode="live"))
            error, change = apart(live, merged), apart(plain, merged)
            show(f"{kind}, {name}: live against merge {error:.1e}, the LoRA changes {change:.1e}")
            assert change > 1e-3
            assert error < 1e-5
        assert model.sampled(no_loras).equal(plain)


def test_a_schedule_reaches_them_too(host, tmp_path, kinds):
    for kind in kinds:
        if kind == "h3":  # which computes a part of it once for all steps
            continue
        model = Built(host, tmp_path, kind)
        off, on = model.sampled(no_loras), model.sampled(model.lora("fused", mode="live"))
        never = model.sampled(model.lora("fused", curve="0:0, 1:0.000001"))
        always = model.sampled(model.lora("fused", curve="0:1, 1:0.999999"))
        half = model.sampled(model.lora("fused", curve="0:1, 0.3:0"))
        assert apart(never, off) < 1e-5
        assert apart(always, on) < 1e-5
        assert min(apart(half, off), apart(half, on)) > 1e-4


def test_it_is_the_same_again(host, tmp_path, kinds):
    """The first run, in which the layers are found, gives the bits of the later ones."""
    for kind in kinds:
        model = Built(host, tmp_path, kind)
        first = model.sampled(model.lora("both", mode="live"))
        host.free()
        assert model.sampled(model.lora("both", mode="live")).equal(first)
        assert model.sampled(model.lora("both", mode="live"), steps=1).shape == first.shape
        assert model.sampled(model.lora("both", mode="live")).equal(first)


def test_int8_feed_forwards(host, tmp_path, show):
    """0.33 folds their activation into a kernel of its own, 0.28 calls them."""
    model = Built(host, tmp_path, "ltx", "int8")
    exact = model.sampled(model.lora("both", mode="merge"), weights="int8 whole")
    base = apart(model.sampled(no_loras), model.sampled(no_loras, weights="int8 whole"))
    live = apart(model.sampled(model.lora("both")), exact)
    merge = apart(model.sampled(model.lora("both", mode="merge")), exact)
    change = apart(model.sampled(no_loras, weights="int8 whole"), exact)
    show(
        f"ltx in int8: from float32, live {live:.1e}, merge {merge:.1e}; the base alone {base:.1e}; "
        f"the LoRA changes {change:.1e}"
    )
    assert live < merge
    assert live < change / 5


def test_the_report_says_it_after_the_first_step(host, tmp_path):
    model = Built(host, tmp_path, "cosmos")
    for steps in (3, 4, 3):  # found in the first run; then the sampler runs alone, then nothing
        result = host.run(model.graph(model.lora("both", mode="live"), steps=steps))
        (lora,) = host.shown(result)["ApplyToModel"]["loras"]
        told = "model: 4 of 4 layers at strength 1, live (2 through the weight)"
        assert told in lora["report"]
        assert [lora["parts"][0][key] for key in ("live", "through", "unused")] == [4, 2, 0]
        assert not lora["warnings"]
    merged = host.run(model.graph(model.lora("both", mode="merge")))
    assert "through the weight" not in host.shown(merged)["ApplyToModel"]["text"][0]


def test_what_a_model_skips_is_told_without_an_alarm(host, tmp_path):
    """Wan for pictures has an embedder for a first one, of which there is none here."""
    model = Built(host, tmp_path, "wan_i2v")
    result = host.run(model.graph(model.lora("both", mode="live")))
    (lora,) = host.shown(result)["ApplyToModel"]["loras"]
    assert [lora["parts"][0][key] for key in ("live", "through", "unused")] == [2, 0, 1]
    assert not lora["warnings"]
    host.run(model.graph(model.lora("both", curve="0:1, 1:0")))  # which is not refused for that
    only = host.run(model.graph(model.lora("fused", mode="live")))
    (lora,) = host.shown(only)["ApplyToModel"]["loras"]
    assert [warning["code"] for warning in lora["warnings"]] == ["not_used"]


def test_images_cannot_have_a_strength_each_there(host, tmp_path):
    model = Built(host, tmp_path, "cosmos")
    spread = model.lora("fused", values="0, 1")
    refused = host.run(model.graph(spread, batch=2), expect_error=True)
    assert refused.error_node == "KSampler"
    assert "q_norm.weight together with the layers around it" in refused.error
    model.sampled(model.lora("called", values="0, 1"), batch=2)


@pytest.mark.slow
def test_compiled_code_from_before_is_not_used(host, tmp_path, show):
    """torch runs code that it has made before a hook was there as if it were not."""
    (name,) = make_loras(host, tmp_path, "sd3", 1)
    compiled = core_node("TorchCompileModel", backend="inductor")
    merged = sampled(host, "sd3", stacked_loras((name, 1.0), mode="merge"))
    plain = sampled(host, "sd3", compiled)
    for order in (1, -1):
        chain = in_turn(*[stacked_loras((name, 1.0), mode="live"), compiled][::order])
        error = apart(sampled(host, "sd3", chain), merged)
        show(f"compiled, in order {order:+}: live against merge {error:.1e}")
        assert error < 5e-6
        assert sampled(host, "sd3", compiled).equal(plain)


def test_what_is_computed_once_before_the_first_step(host, tmp_path, kinds, show):
    """MiniMax H3 refines its text before it samples, with feed-forwards that are fused in int8."""
    if "h3" not in kinds:
        pytest.skip("this ComfyUI has no MiniMax H3")
    model = Built(host, tmp_path, "h3", "int8")
    exact = model.sampled(model.lora("fused", mode="merge"), weights="int8 whole")
    plain = model.sampled(no_loras, weights="int8 whole")
    live, change = model.sampled(model.lora("fused")), apart(plain, exact)
    error, base = apart(live, exact), apart(model.sampled(no_loras), plain)
    show(
        f"h3 in int8: from float32, live {error:.1e}; base {base:.1e}; the LoRA changes {change:.1e}"
    )
    assert host.log().count("sampling begins once more") == 1
    assert error < 2 * base < change / 5
    assert model.sampled(model.lora("fused")).equal(live)
    assert host.log().count("sampling begins once more") == 1
    scheduled = host.run(model.graph(model.lora("fused", curve="0:1, 1:0")), expect_error=True)
    assert "outside the steps of its sampler" in scheduled.error
