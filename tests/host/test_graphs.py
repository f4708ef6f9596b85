"""Graphs as people leave them: muted, bypassed, half connected; and what we have promised."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from harness import workflows
from harness.samples import pair, write
from harness.tiny_loras import write_lora
from harness.workflows import apply_lora, render, stacked_loras
from tests.host.files import make_loras

pytestmark = pytest.mark.every_host

PROMISES = Path(__file__).with_name("object_info.json")
PROMISED = json.loads(PROMISES.read_text())


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    return make_loras(host, tmp_path_factory.mktemp("loras"), "flux", 2)


def nothing(graph, _loras):
    """ApplyToModel with its LORA socket left open."""


def empty_stack(graph, _loras):
    return [graph.add("StackLoRAs"), 0]


def scaled_nothing(graph, _loras):
    return [graph.add("ScaleLoRA", strength_model=2.0, strength_clip=2.0), 0]


def scaled_to_nothing(graph, loras):
    lora = [graph.add("LoadLoRA", lora_name=loras[0], strength=1.0), 0]
    return [graph.add("ScaleLoRA", lora=lora, strength_model=0.0, strength_clip=0.0), 0]


def stack_that_cancels(graph, loras):
    both = [
        [graph.add("LoadLoRA", lora_name=loras[0], strength=strength), 0]
        for strength in (0.3, -0.3)
    ]
    return workflows.stack_loras(graph, *both)


@pytest.mark.parametrize(
    "source", [nothing, empty_stack, scaled_nothing, scaled_to_nothing, stack_that_cancels]
)
def test_nothing_is_the_identity_and_the_same_object(host, loras, source):
    graph = workflows.Graph()
    loaded = workflows.load(graph, "flux")
    lora = source(graph, loras)
    inputs = {"model": loaded.model} | ({"lora": lora} if lora else {})
    apply = graph.add("ApplyToModel", **inputs)
    graph.add("TKSame", model_a=loaded.model, model_b=[apply, 0])
    result = host.run(graph.prompt)
    assert result.report("TKSame")["model"] is True
    if apply in result.outputs:
        assert result.outputs[apply]["text"] == ["No LoRA: the model is unchanged."]


def test_gaps_in_a_stack_are_left_by_muted_nodes(host, loras):
    def gappy(graph, model, clip):
        loaded = [[graph.add("LoadLoRA", lora_name=n, strength=1.0), 0] for n in loras]
        slots = {"loras.lora_0": loaded[0], "loras.lora_3": loaded[1]}
        return apply_lora(graph, [graph.add("StackLoRAs", **slots), 0], model, clip)

    whole = render("flux", stacked_loras((loras[0], 1.0), (loras[1], 1.0)))
    assert host.run(render("flux", gappy)).report("TKHash") == host.run(whole).report("TKHash")


def test_a_stack_of_stacks_scaled_is_the_same_as_its_parts(host, loras):
    def nested(graph, model, clip):
        first, second = ([graph.add("LoadLoRA", lora_name=n, strength=1.0), 0] for n in loras)
        inner = workflows.stack_loras(graph, first)
        outer = workflows.stack_loras(graph, inner, second)
        scale = graph.add("ScaleLoRA", lora=outer, strength_model=0.5, strength_clip=0.5)
        return apply_lora(graph, [scale, 0], model, clip)

    flat = render("flux", stacked_loras((loras[0], 0.5), (loras[1], 0.5)))
    assert host.run(render("flux", nested)).report("TKHash") == host.run(flat).report("TKHash")


def test_apply_without_model_and_clip_says_so(host, loras):
    graph = workflows.Graph()
    lora = [graph.add("LoadLoRA", lora_name=loras[0], strength=1.0), 0]
    apply = graph.add("ApplyToModel", lora=lora)
    graph.add("TKProbe", model=[apply, 0])
    result = host.run(graph.prompt, expect_error=True)
    assert "connect a MODEL, a CLIP, or both" in result.error


def report_of(host, prompt):
    return host.run(prompt).outputs["ApplyToModel"]["text"][0]


def test_the_report_says_what_was_applied(host, loras, show):
    text = report_of(host, render("flux", stacked_loras((loras[0], 0.5), (loras[1], 1.0)), seed=91))
    show("report:\n" + text)
    assert f"{loras[0]} (LoRA, rank 4, Flux)" in text
    assert "at strength 0.5" in text
    assert "text encoder: nothing in the file" in text


def test_the_report_comes_again_when_nothing_has_to_run(host, loras):
    prompt = render("flux", stacked_loras((loras[0], 0.5)), seed=92)
    assert report_of(host, prompt) == report_of(host, prompt)


def test_one_log_line_per_lora(host, tmp_path):
    write_lora(tmp_path / "logged.safetensors", "flux", seed=9)
    name = host.add_lora(tmp_path / "logged.safetensors")
    host.run(render("flux", stacked_loras((name, 0.25))))
    lines = [line for line in host.log().splitlines() if name in line]
    assert len(lines) == 1, lines
    assert "at strength 0.25" in lines[0]


@pytest.fixture(scope="module")
def names(host, tmp_path_factory):
    """A kohya LoRA for both parts of SD 1.5, and each part by itself."""
    folder = tmp_path_factory.mktemp("clip")
    write_lora(folder / "both.safetensors", "sd15", seed=1)
    unet = load_file(folder / "both.safetensors")
    text = {
        k: 0.05 * v
        for k, v in pair("lora_te_text_model_encoder_layers_0_mlp_fc1", 3072, 768).items()
    }
    write(folder / "both.safetensors", {**unet, **text})
    write(folder / "text.safetensors", text)
    write(folder / "unet.safetensors", unet)
    return {
        kind: host.add_lora(folder / f"{kind}.safetensors") for kind in ("both", "text", "unet")
    }


@pytest.mark.usefixtures("clip_models_dir")
class TestClip:
    """A checkpoint with a text encoder."""

    def probe(self, host, lora, sockets=("model", "clip"), scale=(1.0, 1.0)):
        graph = workflows.Graph()
        loaded = workflows.load(graph, "sd15clip")
        link = [graph.add("LoadLoRA", lora_name=lora, strength=1.0), 0]
        link = [
            graph.add("ScaleLoRA", lora=link, strength_model=scale[0], strength_clip=scale[1]),
            0,
        ]
        inputs = {socket: getattr(loaded, socket) for socket in sockets}
        apply = graph.add("ApplyToModel", lora=link, **inputs)
        outs = {socket: [apply, ("model", "clip").index(socket)] for socket in sockets}
        graph.add("TKProbe", **outs)
        same = {f"{socket}_a": inputs[socket] for socket in sockets}
        same |= {f"{socket}_b": outs[socket] for socket in sockets}
        graph.add("TKSame", **same)
        result = host.run(graph.prompt)
        return result.report("TKProbe"), result.report("TKSame"), result

    def test_both_parts_are_patched(self, host, names):
        probe, same, _ = self.probe(host, names["both"])
        assert (probe["clip"]["keys"], probe["clip"]["entries_max"]) == (1, 1)
        assert probe["model"]["keys"] > 0
        assert same == {"model": False, "clip": False}

    def test_what_a_file_does_not_touch_is_the_same_object(self, host, names):
        _, same, _ = self.probe(host, names["unet"])
        assert same == {"model": False, "clip": True}
        _, same, _ = self.probe(host, names["text"])
        assert same == {"model": True, "clip": False}

    def test_parts_scale_apart(self, host, names):
        _, same, _ = self.probe(host, names["both"], scale=(1.0, 0.0))
        assert same == {"model": False, "clip": True}
        _, same, _ = self.probe(host, names["both"], scale=(0.0, 1.0))
        assert same == {"model": True, "clip": False}

    def test_a_clip_alone_can_be_patched(self, host, names, show):
        probe, _, result = self.probe(host, names["both"], sockets=("clip",))
        assert probe["model"] is None
        assert probe["clip"]["keys"] == 1
        text = result.outputs["ApplyToModel"]["text"][0]
        assert "no MODEL connected" in text
        show("CLIP alone:\n" + text)

    def test_a_missing_clip_is_reported(self, host, names):
        _, _, result = self.probe(host, names["both"], sockets=("model",))
        assert "no CLIP connected" in result.outputs["ApplyToModel"]["text"][0]

    def test_the_text_encoder_gets_what_the_host_gives_it(self, host, names):
        ours = host.run(render("sd15clip", stacked_loras((names["both"], 0.5)), save="ours"))
        theirs = host.run(
            render("sd15clip", workflows.host_loras((names["both"], 0.5)), save="theirs")
        )
        assert ours.status == theirs.status == "success"
        a, b = (
            load_file(host.output_dir / f"{n}.safetensors")["samples"] for n in ("ours", "theirs")
        )
        assert (a - b).abs().max() < 1e-4 * b.abs().max()
        plain = host.run(render("sd15clip")).report("TKHash")
        assert ours.report("TKHash")["sha256"] != plain["sha256"]


def test_what_is_promised_stays(host):
    """Node ids, inputs and outputs as they were released. Append to the file, never change it."""
    found = {}
    for node in PROMISED:
        info = host.object_info(node)[node]
        inputs = {
            k: [[n, v[0] if n != "lora_name" else "COMBO"] for n, v in g.items()]
            for k, g in info["input"].items()
            if g
        }
        found[node] = {
            "inputs": inputs,
            "outputs": list(map(list, zip(info["output"], info["output_name"], strict=True))),
            "category": info["category"],
            "display_name": info["display_name"],
        }
    assert found == PROMISED


def test_the_host_imports_the_pack_without_a_complaint(host, show):
    assert "Error while calling comfy_entrypoint" not in host.log()
    (seconds,) = re.findall(r"([0-9.]+) seconds: \S*custom_nodes/lora-algebra", host.log())
    show(f"ComfyUI {host.install.version} imports the pack in {seconds} s")


def test_what_the_host_does_not_patch_is_not_said_to_be_applied(host, tmp_path):
    """Wan keeps its modulation beside modules; the host passes over such parameters."""
    name = "diffusion_model.blocks.0"
    content = {
        f"{name}.modulation.diff": torch.ones(1, 6, 128),
        **{k: 0.1 * v for k, v in pair(f"{name}.self_attn.q", 128, 128).items()},
    }
    lora = host.add_lora(write(tmp_path / "modulation.safetensors", content))
    chain = stacked_loras((lora, 1.0))
    report = report_of(host, render("wan", chain, seed=93))
    assert "model: 1 of 2 layers" in report
    assert f"warning: Unknown to the model, not applied: 1 ({name}.modulation)" in report
    probe = host.run(workflows.inspect("wan", "TKProbe", chain)).report("TKProbe")["model"]
    assert list(probe["entries"]) == [f"{name}.self_attn.q.weight"]


def test_a_linked_name_follows_its_file(host, tmp_path):
    """The host tells a node nothing of linked inputs, so the loader may be behind its file."""
    (name,) = make_loras(host, tmp_path, "flux", 1)

    def chain(graph, model, clip):
        chosen = [graph.add("TKText", text=name), 0]
        lora = [graph.add("LoadLoRA", lora_name=chosen, strength=1.0), 0]
        scale = graph.add("ScaleLoRA", lora=lora, strength_model=strength, strength_clip=1.0)
        return apply_lora(graph, [scale, 0], model, clip)

    strength = 1.0
    before = host.run(render("flux", chain)).report("TKHash")["sha256"]
    write_lora(tmp_path / "new.safetensors", "flux", seed=77)
    (tmp_path / "new.safetensors").replace(host.loras_dir / name)
    strength = 1.01
    assert host.run(render("flux", chain)).report("TKHash")["sha256"] != before
