"""Quantised checkpoints: auto goes live, the weights stay, and the result is nearer to the exact one."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from harness import workflows
from harness.samples import write
from harness.tiny_models import MODEL_FILES
from harness.workflows import no_loras, stacked_loras
from tests.host.files import apart, latent, make_loras
from tests.host.kinds import slow_but

KINDS = ("flux", "sd3", "wan")

FORMATS = {"int8_tensorwise": 127.0, "float8_e4m3fn": 448.0}
"""Those of the host's ``comfy_quant``, and the largest number of each."""

KEPT_WHOLE = "patch_embedding."
"""The host keeps this layer of Wan in float32."""

Checkpoint = dict[str, torch.Tensor]


def is_big(key: str, weight: torch.Tensor) -> bool:
    """Which weights quantised checkpoints quantise."""
    return weight.ndim == 2 and min(weight.shape) >= 64 and "blocks" in key and "weight" in key


def with_scales(weights: Checkpoint, layout: str) -> tuple[Checkpoint, Checkpoint]:
    """As ``comfy_quant`` keeps them; and what that stands for, in float32."""
    stored, exact = {}, {}
    for key, weight in weights.items():
        stored[key], exact[key] = weight, weight.float()
        if is_big(key, weight):
            scale = weight.float().abs().max() / FORMATS[layout]
            scaled = weight.float() / scale
            small = (
                scaled.round().to(torch.int8)
                if "int8" in layout
                else scaled.to(torch.float8_e4m3fn)
            )
            stored[key], exact[key] = small, small.float() * scale
            layer = key.removesuffix("weight")
            told = json.dumps({"format": layout}).encode()
            stored[f"{layer}weight_scale"] = scale
            stored[f"{layer}comfy_quant"] = torch.tensor(list(told), dtype=torch.uint8)
    return stored, exact


def old_scaled(weights: Checkpoint) -> tuple[Checkpoint, Checkpoint]:
    """As the "fp8 scaled" checkpoints of before ``comfy_quant``."""
    stored, exact = {"scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}, {}
    for key, weight in weights.items():
        stored[key], exact[key] = weight, weight.float()
        if is_big(key, weight):
            scale = weight.float().abs().max().view(1) / 448
            small = (weight.float() / scale).to(torch.float8_e4m3fn)
            stored[key], exact[key] = small, small.float() * scale
            stored[key.replace(".weight", ".scale_weight")] = scale
    return stored, exact


def plain(weights: Checkpoint) -> tuple[Checkpoint, Checkpoint]:
    """Stored whole, and made float8 by the loader."""
    exact = {key: w.to(torch.float8_e4m3fn).float() for key, w in weights.items()}
    return weights, exact | {key: w for key, w in weights.items() if key.startswith(KEPT_WHOLE)}


WAYS = {
    "fp8": (plain, "fp8_e4m3fn"),
    "scaled fp8": (old_scaled, "default"),
    "comfy_quant fp8": (lambda weights: with_scales(weights, "float8_e4m3fn"), "default"),
    "comfy_quant int8": (lambda weights: with_scales(weights, "int8_tensorwise"), "default"),
}


class Models:
    """A quantised checkpoint in the host, and the same weights in float32."""

    def __init__(self, host, models_dir, kind, way):
        self.host, self.kind = host, kind
        make, self.dtype = WAYS[way]
        folder = host.folder / "models" / "unet"
        folder.mkdir(exist_ok=True)
        stored, exact = make(load_file(models_dir / MODEL_FILES[kind]))
        self.small, self.exact = f"{kind} {way}.safetensors", f"{kind} {way} exact.safetensors"
        write(folder / self.small, stored)
        write(folder / self.exact, exact)

    def graph(self, chain, *, exact=False):
        graph = workflows.Graph()
        name, dtype = (self.exact, "default") if exact else (self.small, self.dtype)
        loader = graph.add("UNETLoader", unet_name=name, weight_dtype=dtype)
        model, _ = chain(graph, [loader, 0], None)
        return graph, model

    def sampled(self, chain, *, exact=False):
        graph, model = self.graph(chain, exact=exact)
        link = workflows.sample(graph, self.kind, model)
        graph.add("TKSaveTensor", latent=link, name="quantised")
        return latent(self.host, graph.prompt, "quantised")

    def seen(self, chain, node, **inputs):
        graph, model = self.graph(chain)
        graph.add(node, model=model, **inputs)
        return self.host.run(graph.prompt)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", slow_but(("flux",), KINDS))
def test_auto_goes_live_and_is_nearer_to_the_exact_weights(
    host, models_dir, tmp_path, kind, way, show
):
    models = Models(host, models_dir, kind, way)
    files = list(zip(make_loras(host, tmp_path, kind, 2), (0.5, 0.3), strict=True))
    before = models.seen(no_loras, "TKStored").report("TKStored")
    assert (before["quantised"] > 0) == (way != "fp8")
    told = models.seen(stacked_loras(*files), "TKProbe")
    assert told.outputs["ApplyToModel"]["text"][0].count(", live") == 2
    assert told.report("TKProbe")["model"]["keys"] == 0

    exact = models.sampled(stacked_loras(*files, mode="merge"), exact=True)
    live = models.sampled(stacked_loras(*files))
    merge = models.sampled(stacked_loras(*files, mode="merge"))
    base_error = apart(models.sampled(no_loras), models.sampled(no_loras, exact=True))
    live_error, merge_error = apart(live, exact), apart(merge, exact)
    change = apart(models.sampled(no_loras, exact=True), exact)
    show(
        f"{kind} in {way}: from float32, live {live_error:.1e}, merge {merge_error:.1e}; the base "
        f"alone {base_error:.1e}; the LoRAs change {change:.1e}"
    )
    assert models.sampled(stacked_loras(*files, mode="live")).equal(live)
    # The host's int8 layers round what goes into them, too, live or merged.
    assert live_error < merge_error * (0.8 if "int8" in way else 0.01)
    assert live_error < max(2 * base_error, 1e-5)
    assert models.seen(no_loras, "TKStored").report("TKStored") == before
    left = models.seen(no_loras, "TKGates").report("TKGates")
    assert (left["hooks"], left["open"]) == (0, 0)


@pytest.mark.every_host
def test_a_schedule_on_a_quantised_model_writes_no_weight(host, models_dir, tmp_path):
    models = Models(host, models_dir, "flux", "comfy_quant int8")
    (name,) = make_loras(host, tmp_path, "flux", 1)
    models.sampled(no_loras)
    before = host.counters()
    found = models.sampled(stacked_loras((name, 1.0), curve="0:1, 1:0"))
    after = host.counters()
    assert after["patched_weights"] == before["patched_weights"]
    assert after["calculate_weight"] == before["calculate_weight"]
    exact = models.sampled(stacked_loras((name, 1.0), curve="0:1, 1:0"), exact=True)
    assert apart(found, exact) < 1e-2
