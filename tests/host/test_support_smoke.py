"""The test support itself: the tiny models render, the LoRA files fit, the views tell the truth."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from harness import workflows
from harness.host import Host
from harness.tiny_loras import KINDS, targets
from tests.host.files import base_weights, make_loras, patched_weights, reference

STRENGTHS = (0.5, 1.0)


@pytest.fixture(scope="module")
def loras(host: Host, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Two LoRA files of each kind, by name."""
    folder = tmp_path_factory.mktemp("loras")
    return {kind: make_loras(host, folder, kind) for kind in KINDS}


def two_loras(loras: dict[str, list[str]], kind: str) -> workflows.Chain:
    return workflows.host_loras(*zip(loras[kind], STRENGTHS, strict=True))


def relative_change(host: Host, before: str, after: str) -> float:
    """Distance of two saved latents relative to the first."""
    old, new = (
        load_file(host.output_dir / f"{name}.safetensors")["samples"] for name in (before, after)
    )
    return ((new - old).norm() / old.norm()).item()


@pytest.mark.parametrize("kind", KINDS)
def test_renders_and_reacts_to_loras(host: Host, loras: dict[str, list[str]], kind: str) -> None:
    base_before = host.run(workflows.inspect(kind, "TKBase")).report("TKBase")["sha256"]
    plain = host.run(workflows.render(kind, save="plain", png="plain"))
    chain = two_loras(loras, kind)
    changed = host.run(workflows.render(kind, chain, save="changed", png="changed"))
    base_after = host.run(workflows.inspect(kind, "TKBase")).report("TKBase")["sha256"]

    assert plain.report("TKHash")["sha256"] != changed.report("TKHash")["sha256"]
    assert 0.005 < relative_change(host, "plain", "changed") < 0.5
    assert base_after == base_before
    for result in (plain, changed):
        assert result.report("TKHash")["finite"]
        image = result.outputs["SaveImage"]["images"][0]
        png = host.output_dir / image["subfolder"] / image["filename"]
        assert png.read_bytes().startswith(b"\x89PNG")
    assert "lora key not loaded" not in host.log()
    assert "ERROR lora" not in host.log()


@pytest.mark.parametrize("kind", KINDS)
def test_same_prompt_gives_same_latent(host: Host, kind: str) -> None:
    first = host.run(workflows.render(kind, save="first", seed=11))
    host.free()
    second = host.run(workflows.render(kind, seed=11))
    assert first.report("TKHash") == second.report("TKHash")
    samples = load_file(host.output_dir / "first.safetensors")["samples"]
    assert list(samples.shape) == first.report("TKHash")["shape"]


@pytest.mark.parametrize("kind", KINDS)
def test_lora_tables_match_what_the_host_patches(
    host: Host, loras: dict[str, list[str]], kind: str
) -> None:
    files = list(zip(loras[kind], STRENGTHS, strict=True))
    weights = patched_weights(host, kind, two_loras(loras, kind))
    base = base_weights(host, kind)
    expected = reference(host, kind, base, files)
    assert weights.keys() == expected.keys()
    for key, weight in weights.items():
        torch.testing.assert_close(weight.double(), expected[key], rtol=1e-5, atol=1e-6)
        change = (expected[key] - base[key]).norm() / base[key].double().norm()
        assert 0.03 < change < 0.5, f"{key}: {change:.3f}"


@pytest.mark.parametrize("kind", KINDS)
def test_partial_load_patches_on_use(host: Host, loras: dict[str, list[str]], kind: str) -> None:
    chain = two_loras(loras, kind)
    weights = patched_weights(host, kind, chain)
    result = host.run(workflows.inspect(kind, "TKPartial", chain, memory=1))
    report = result.report("TKPartial")
    assert report["patched_on_use"] == len(weights)
    assert report["patched_in_place"] == 0
    partial = load_file(host.output_dir / report["file"])
    for key, weight in weights.items():
        torch.testing.assert_close(partial[key], weight.float(), rtol=1e-5, atol=1e-6)


def test_probe_and_same_see_identity(host: Host, loras: dict[str, list[str]]) -> None:
    chain = two_loras(loras, "flux")
    plain = host.run(workflows.inspect("flux", "TKProbe")).report("TKProbe")
    patched = host.run(workflows.inspect("flux", "TKProbe", chain)).report("TKProbe")
    assert plain["clip"] is None
    assert plain["model"]["class"] == "Flux"
    assert plain["model"]["keys"] == 0
    assert patched["model"]["keys"] == len({target.weight for target in targets("flux")})
    assert patched["model"]["entries_total"] == 2 * len(targets("flux"))
    assert patched["model"]["adapters"] == {"LoRAAdapter": 2 * len(targets("flux"))}
    assert patched["model"]["base"] == plain["model"]["base"]
    assert patched["model"]["patcher"] != plain["model"]["patcher"]

    graph = workflows.Graph()
    model = workflows.load(graph, "flux").model
    graph.add("TKSame", model_a=model, model_b=model)
    graph.add("TKSame", model_a=model, model_b=chain(graph, model, None)[0])
    same = host.run(graph.prompt)
    assert same.report("TKSame") == {"model": True, "clip": None}
    assert same.report("TKSame_2") == {"model": False, "clip": None}


def test_executed_and_cached_nodes(host: Host) -> None:
    prompt = workflows.render("flux", seed=21)
    host.free()
    first, second = host.run(prompt), host.run(prompt)
    assert set(first.executed) | {"VAELoader"} == set(prompt)
    assert first.cached == []
    assert second.executed == ["TKHash"]
    assert set(second.cached) == set(first.executed) - {"TKHash"}


def test_counters_count(host: Host, loras: dict[str, list[str]]) -> None:
    before = host.run(counters_prompt()).report("TKCounters")
    host.run(workflows.render("flux", two_loras(loras, "flux"), seed=31))
    after = host.run(counters_prompt()).report("TKCounters")
    assert after["load"] == before["load"] + 1
    patched = len({target.weight for target in targets("flux")})
    assert after["patched_weights"] == before["patched_weights"] + patched
    assert after["rss"] > 0
    assert after["live_patchers"] > 0


def counters_prompt() -> dict:
    graph = workflows.Graph()
    graph.add("TKCounters")
    return graph.prompt


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e4m3fn"])
def test_other_weight_dtypes_sample(host: Host, loras: dict[str, list[str]], dtype: str) -> None:
    graph = workflows.Graph()
    file = "diffusion_models/tiny_flux.safetensors"
    loaded = [graph.add("TKLoadModel", file=file, dtype=dtype), 0]
    model, _ = two_loras(loras, "flux")(graph, loaded, None)
    graph.add("TKHash", latent=workflows.sample(graph, "flux", model))
    graph.add("TKWeights", model=model, name=f"flux_{dtype}")
    result = host.run(graph.prompt)
    assert result.report("TKHash")["finite"]
    weights = load_file(host.output_dir / result.report("TKWeights")["file"])
    assert {weight.dtype for weight in weights.values()} == {getattr(torch, dtype)}


def test_node_errors_are_told(host: Host) -> None:
    prompt = workflows.render("flux")
    prompt["TKConditioning"]["inputs"]["dim"] = 17
    failed = host.run(prompt, expect_error=True)
    assert (failed.status, failed.error_node) == ("error", "KSampler")
    assert "shapes cannot be multiplied" in (failed.error or "")


def test_validation_errors_are_told(host: Host) -> None:
    prompt = workflows.render("flux", workflows.host_loras(("no such file", 1.0)))
    refused = host.run(prompt, expect_error=True)
    assert refused.status == "invalid"
    (validation_error,) = refused.validation_errors("LoraLoaderModelOnly")
    assert "no such file" in validation_error


def test_free_can_be_repeated(host: Host) -> None:
    """The host's worker sleeps through a request that comes at the wrong moment."""
    before = host.counters()["unload_all_models"]
    for free_memory in (True, False, True, False):
        host.free(free_memory=free_memory)
    assert host.counters()["unload_all_models"] == before + 4


def test_host_is_only_read(host: Host) -> None:
    started = host.loras_dir.parent.stat().st_mtime
    sources = [top for top in host.install.path.iterdir() if not (top / "pyvenv.cfg").exists()]
    files = [path for top in sources for path in (top, *top.rglob("*")) if path.is_file()]
    assert [path for path in files if path.stat().st_mtime > started] == []
