"""LoRAs that are kept: saved, combined, resized, extracted and analysed in the host."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from harness.workflows import Graph, apply_lora, host_loras, load, stack_loras, stacked_loras
from tests.host.files import (
    assert_nothing_is_left,
    base_hash,
    base_weights,
    largest_error,
    make_loras,
    patched_weights,
    reference,
    saved,
)
from tests.host.kinds import slow_but

KINDS = ("sd15", "sd3", "flux", "wan")
STYLES = ("ComfyUI", "kohya", "diffusers")

UNREAD_BY_THE_HOST = {("sd15", "diffusers"), ("wan", "diffusers")}
"""Names that ComfyUI's own loader drops."""


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loras")
    return {kind: make_loras(host, folder, kind, 2) for kind in ("sd15", "sd3", "flux", "wan")}


@pytest.fixture(scope="module", autouse=True)
def bases(host):
    before = {kind: base_hash(host, kind) for kind in ("sd15", "sd3", "flux", "wan")}
    yield
    for kind, base in before.items():
        assert_nothing_is_left(host, kind, base)


def stack(graph: Graph, one: str, other: str):
    """0.5 · one − 0.25 · other."""
    own = [
        [graph.add("LoadLoRA", lora_name=name, strength=strength), 0]
        for name, strength in ((one, 0.5), (other, -0.25))
    ]
    return stack_loras(graph, *own)


def run_node(host, kind, node, make, **inputs):
    """The result of a node that gets the LORA of ``make`` and the kind's model."""
    graph = Graph()
    model = load(graph, kind).model
    graph.add(node, lora=make(graph), model=model, **inputs)
    return host.run(graph.prompt)


def saved_path(result) -> Path:
    (text,) = result.outputs["SaveLoRAFile"]["text"]
    assert text.startswith("saved: ")
    return Path(text.splitlines()[0].removeprefix("saved: ").split(", ")[0])


def kept(host, kind, files, prefix, **how):
    """The name of what Save LoRA made of a stack, among the host's LoRAs."""
    told = {"rank": "exact", "dtype": "float32", "names": "ComfyUI"} | how
    result = run_node(
        host,
        kind,
        "SaveLoRAFile",
        lambda graph: stack(graph, *files),
        filename_prefix=prefix,
        **told,
    )
    made = host.output_dir / Path(prefix).parent / saved_path(result)
    return host.add_lora(shutil.copy(made, host.output_dir / made.name)), made


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", slow_but(("flux",), KINDS))
def test_what_is_saved_is_what_apply_adds(host, loras, kind, style, show):
    names = loras[kind]
    file, _ = kept(host, kind, names, f"loras/{kind}_{style}", names=style)
    base = base_weights(host, kind)
    truth = reference(host, kind, base, zip(names, (0.5, -0.25), strict=True))
    ours = largest_error(patched_weights(host, kind, stacked_loras((file, 1.0))), truth)
    assert ours < 1e-6
    if (kind, style) in UNREAD_BY_THE_HOST:
        show(
            f"{kind}, names of {style}: {ours:.1e} by us; the host's own loader knows none of them"
        )
        return
    theirs = largest_error(patched_weights(host, kind, host_loras((file, 1.0))), truth)
    show(f"{kind}, names of {style}: {ours:.1e} by us, {theirs:.1e} by the host's own loader")
    assert theirs < 1e-6


def test_the_name_is_the_hosts_and_never_an_old_one(host, loras):
    _, first = kept(host, "flux", loras["flux"], "kept/ink")
    before = first.read_bytes()
    _, second = kept(host, "flux", loras["flux"], "kept/ink", rank="2")
    assert (first.name, second.name) == ("ink_00001_.safetensors", "ink_00002_.safetensors")
    assert first.read_bytes() == before
    with safe_open(second, "pt") as file:
        assert 0 < float(file.metadata()["lora_algebra.error"]) < 1
        assert file.metadata()["ss_network_dim"] == "2"


def test_what_a_file_cannot_hold_is_refused(host, loras):
    def scheduled(graph):
        lora = stack(graph, *loras["flux"])
        return [
            graph.add(
                "ScheduleLoRA", lora=lora, curve="0:0, 1:1", start_percent=0.0, end_percent=1.0
            ),
            0,
        ]

    graph = Graph()
    model = load(graph, "flux").model
    graph.add(
        "SaveLoRAFile",
        lora=scheduled(graph),
        model=model,
        filename_prefix="x/y",
        rank="exact",
        dtype="float32",
        names="ComfyUI",
    )
    error = host.run(graph.prompt, expect_error=True).error
    assert "is scheduled" in error
    assert not (host.output_dir / "x" / "y_00001_.safetensors").exists()


@pytest.mark.parametrize("method", ["sum", "ties", "dare", "knots", "tsv", "orthogonal"])
def test_combined_loras_are_applied_and_saved_alike(host, loras, method):
    def combined(graph):
        own = [[graph.add("LoadLoRA", lora_name=name, strength=0.5), 0] for name in loras["flux"]]
        slots = {f"loras.lora_{index}": lora for index, lora in enumerate(own)}
        return [graph.add("CombineLoRAs", method=method, density=0.5, seed=1, **slots), 0]

    def chain(graph, model, clip):
        return apply_lora(graph, combined(graph), model, clip)

    applied = patched_weights(host, "flux", chain)
    result = run_node(
        host,
        "flux",
        "SaveLoRAFile",
        combined,
        filename_prefix=f"loras/{method}",
        rank="exact",
        dtype="float32",
        names="ComfyUI",
    )
    made = host.output_dir / "loras" / saved_path(result)
    again = patched_weights(host, "flux", stacked_loras((host.add_lora(made), 1.0)))
    assert largest_error(again, {key: weight.double() for key, weight in applied.items()}) < 1e-5
    assert (
        largest_error(applied, {k: w.double() for k, w in base_weights(host, "flux").items()})
        > 1e-3
    )


def test_a_seed_stays_what_it_is(host):
    """The page would choose another one after every run, and every run would save another file."""
    (told,) = host.object_info("CombineLoRAs").values()
    assert told["input"]["required"]["seed"][1]["control_after_generate"] is False


def test_a_resized_lora_has_the_stated_error(host, loras):
    def resized(graph):
        return [graph.add("ResizeLoRA", lora=stack(graph, *loras["sd3"]), rank="20%"), 0]

    found = patched_weights(host, "sd3", lambda g, m, c: apply_lora(g, resized(g), m, c))
    base = base_weights(host, "sd3")
    truth = reference(host, "sd3", base, zip(loras["sd3"], (0.5, -0.25), strict=True))
    lost = sum(float((found[key].double() - truth[key]).square().sum()) for key in truth)
    size = sum(float((truth[key] - base[key].double()).square().sum()) for key in truth)
    assert 0.01 < (lost / size) ** 0.5 <= 0.2001


@pytest.mark.parametrize("kind", ("sd3", "flux"))
def test_what_was_applied_is_extracted_again(host, loras, kind, show):
    names = loras[kind]
    graph = Graph()
    base = load(graph, kind).model
    tuned, _ = host_loras((names[0], 0.5), (names[1], -0.25))(graph, base, None)
    lora = [graph.add("ExtractLoRA", model=tuned, model_base=base, rank="64", dtype="float32"), 0]
    model, _ = apply_lora(graph, lora, base)
    keys = json.dumps(sorted(base_weights(host, kind)))
    graph.add("TKWeights", model=model, keys=keys, name="extracted")
    error = largest_error(
        saved(host, graph.prompt),
        reference(host, kind, base_weights(host, kind), zip(names, (0.5, -0.25), strict=True)),
    )
    show(f"{kind}: extracted and applied again, {error:.1e} from what was there")
    assert error < 1e-5


@pytest.mark.parametrize("with_model", [True, False])
def test_an_analysis_is_a_picture_and_numbers(host, loras, with_model):
    graph = Graph()
    more = {"model": load(graph, "flux").model} if with_model else {}
    node = graph.add("AnalyseLoRA", lora=stack(graph, *loras["flux"]), **more)
    graph.add("TKPixels", images=[node, 0], name="analysis")
    result = host.run(graph.prompt)
    (text,) = result.outputs["AnalyseLoRA"]["text"]
    assert "flux_1 and flux_2: cosine " in text
    assert result.outputs["AnalyseLoRA"]["images"]
    image = load_file(host.output_dir / "analysis.safetensors")["0"]
    assert image.shape[0] == 1
    assert image.shape[2:] == (640, 3)
    assert len(torch.unique(image.flatten(0, 2), dim=0)) > 10
