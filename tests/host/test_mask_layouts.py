"""Where the picture is in the layers of every architecture that takes masks."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from harness.samples import pair, write
from harness.workflows import Graph, apply_lora, mask_lora, stack_loras
from tests.host.files import apart, latent
from tests.host.kinds import slow_but
from tests.host.test_masks import loaded

pytestmark = pytest.mark.every_host

IMAGE = ("EmptySD3LatentImage", {"width": 64, "height": 64})
VIDEO = ("EmptyHunyuanLatentVideo", {"width": 64, "height": 64, "length": 5})
STILL = ("EmptyHunyuanLatentVideo", {"width": 64, "height": 64, "length": 1})

KINDS = {
    "anima": (STILL, 1024, 0, "final_layer.linear"),
    "chroma": (IMAGE, 64, 0, "final_layer.linear"),
    "cosmos": (VIDEO, 64, 0, "final_layer.linear"),
    "flux": (IMAGE, 64, 64, "single_blocks.0.linear2"),
    "flux_2": (
        ("EmptyFlux2LatentImage", {"width": 128, "height": 128}),
        64,
        0,
        "single_blocks.0.linear2",
    ),
    "hunyuan_video": (VIDEO, 64, 64, "single_blocks.0.linear2"),
    "hunyuan_video_15": (
        ("EmptyHunyuanVideo15Latent", {"width": 128, "height": 128, "length": 5}),
        64,
        64,
        "final_layer.linear",
    ),
    "krea2": (IMAGE, 128, 0, "last.linear"),
    "ltx": (
        ("EmptyLTXVLatentVideo", {"width": 256, "height": 256, "length": 9}),
        4096,
        0,
        "proj_out",
    ),
    "lumina": (IMAGE, 64, 0, "final_layer.linear"),
    "qwen_image": (IMAGE, 64, 0, "proj_out"),
    "sd2": (("EmptyLatentImage", {"width": 64, "height": 64}), 1024, 0, "out.2"),
    "sdxl": (("EmptyLatentImage", {"width": 64, "height": 64}), 2048, 1280, "out.2"),
    "wan_i2v": (VIDEO, 64, 0, "head.head"),
    "z_image": (IMAGE, 64, 0, "final_layer.linear"),
}
"""For each model its latent image, the widths of its text and pooled text, and a layer behind the
last attention."""

QUICK = ("flux", "sdxl", "anima")


class Small:
    """A small model of one architecture, with a LoRA of all its matrices and one of its last layer."""

    def __init__(self, host, folder, kind):
        self.host, self.kind = host, kind
        (self.node, self.size), self.width, self.pooled, self.last = KINDS[kind]
        graph = Graph()
        graph.add("TKMatrices", model=self.built(graph))
        self.layers = host.run(graph.prompt).report("TKMatrices")["layers"]
        everything = {}
        for seed, (name, shape) in enumerate(self.layers.items()):
            everything |= self.matrix(name, shape, seed)
        last = self.matrix(self.last, self.layers[self.last], 1)
        self.all = host.add_lora(write(folder / f"{kind} all.safetensors", everything))
        self.end = host.add_lora(write(folder / f"{kind} end.safetensors", last))

    @staticmethod
    def matrix(name, shape, seed):
        out, inner, *kernel = shape
        found = pair(f"diffusion_model.{name}", out, inner, seed=seed)
        scaled = {key: 0.1 * value for key, value in found.items()}
        if kernel:
            (down,) = (key for key in scaled if "down" in key or "lora_A" in key)
            (up,) = (key for key in scaled if "up" in key or "lora_B" in key)
            noise = torch.randn(
                len(scaled[down]), inner, *kernel, generator=torch.Generator().manual_seed(seed)
            )
            scaled[down] = 0.1 * noise
            scaled[up] = scaled[up].reshape(*scaled[up].shape, *(1 for _ in kernel))
        return scaled

    def built(self, graph):
        return [graph.add("TKBuilt", kind=self.kind, weights="float32"), 0]

    def drawn(self, make, steps=2, *, tied=False, places=""):
        graph = Graph()
        model, lora = self.built(graph), make(graph)
        if lora is not None and not tied:
            model, _ = apply_lora(graph, lora, model, mode="live")
        text = {
            "tokens": 8,
            "dim": self.width,
            "pooled_dim": self.pooled,
            "mask": self.kind == "ltx",
        }
        positive, negative = (
            [graph.add("TKConditioning", seed=seed, **text), 0] for seed in (1, 2)
        )
        if tied:
            prompts = {"positive": positive, "negative": negative}
            node = graph.add("ApplyToConditioning", lora=lora, model=model, **prompts)
            model, positive, negative = ([node, index] for index in range(3))
        if places:
            model = [graph.add("TKWatchPlaces", model=model), 0]
        sampled = graph.add(
            "KSampler",
            model=model,
            positive=positive,
            negative=negative,
            latent_image=[graph.add(self.node, **self.size, batch_size=1), 0],
            seed=5,
            steps=steps,
            cfg=1.0 if self.kind == "ltx" else 2.0,  # attention on a CPU takes no mask for two
            sampler_name="euler",
            scheduler="simple",
            denoise=1.0,
        )
        if places:
            graph.add("TKPlaces", after=[sampled, 0], name=places)
        graph.add("TKSaveTensor", latent=[sampled, 0], name="layouts")
        return latent(self.host, graph.prompt, "layouts")

    def changed(self, side):
        """For each layer which places of its output the LoRA changes, if it is masked to a side."""
        self.drawn(
            lambda graph: mask_lora(graph, loaded(graph, self.all), side), steps=1, places=side
        )
        return load_file(self.host.output_dir / f"{side}.safetensors")


@pytest.mark.parametrize("kind", slow_but(QUICK, KINDS))
def test_masks_and_prompts_are_where_they_should_be(host, tmp_path, kind, show):
    model = Small(host, tmp_path, kind)
    base = model.drawn(lambda _: None)
    whole = model.drawn(lambda graph: loaded(graph, model.all))

    def both(graph):
        sides = {"left": 1.0, "right": 0.0}
        own = [
            mask_lora(graph, loaded(graph, model.all), side, rest) for side, rest in sides.items()
        ]
        return stack_loras(graph, *own)

    def nowhere(graph):
        return mask_lora(graph, mask_lora(graph, loaded(graph, model.all), "left"), "right")

    assert whole.isfinite().all()
    assert apart(whole, base) > 1e-3
    assert torch.equal(model.drawn(both), whole)
    assert torch.equal(model.drawn(nowhere), base)
    assert torch.equal(model.drawn(lambda graph: loaded(graph, model.all), tied=True), whole)

    before = model.drawn(lambda _: None, steps=1)
    after = model.drawn(lambda graph: mask_lora(graph, loaded(graph, model.end), "left"), steps=1)
    change = (after - before).abs()
    middle = change.shape[-1] // 2
    show(
        f"{kind}: {len(model.layers)} layers; inside {change[..., :middle].max():.1e}, outside {change[..., middle:].max():.1e}"
    )
    assert change[..., middle:].max() == 0
    assert (change[..., :middle].amax(tuple(range(change.ndim - 2))) > 0).all()


@pytest.mark.parametrize("kind", slow_but(QUICK, KINDS))
def test_outside_of_the_mask_every_layer_keeps_its_bits(host, tmp_path, kind, show):
    """Text and time belong to no place, so no half changes the layers that only see them."""
    model = Small(host, tmp_path, kind)
    left, right = model.changed("left"), model.changed("right")
    in_places = {name for name in left if left[name].any()}
    show(f"{kind}: {len(in_places)} of {len(left)} layers change, all only where the mask is")
    assert left.keys() == right.keys()
    assert in_places
    assert not any((left[name] & right[name]).any() for name in left)
    assert all(left[name].sum() == right[name].sum() for name in left)
