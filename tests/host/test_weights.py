"""What our nodes make of a model's weights, in the real host."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from harness import workflows
from harness.samples import pair, write
from harness.tiny_loras import KINDS
from harness.tiny_models import MODEL_FILES
from harness.workflows import (
    host_loras,
    inspect,
    one_after_another,
    render,
    stacked_loras,
)
from tests.host.files import (
    base_weights,
    largest_error,
    latent,
    make_loras,
    patched_weights,
    reference,
    saved,
)
from tests.host.kinds import slow_but

STRENGTHS = (0.5, 1.0)


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    """Eight LoRAs for every tiny model, by name."""
    folder = tmp_path_factory.mktemp("loras")
    return {kind: make_loras(host, folder, kind, 8) for kind in KINDS}


@pytest.fixture(scope="module")
def two(loras):
    return {kind: list(zip(loras[kind], STRENGTHS, strict=False)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_two_loras_give_the_float64_reference_and_the_hosts_latent(host, two, kind, show):
    base = base_weights(host, kind)
    found = patched_weights(host, kind, stacked_loras(*two[kind]))
    error = largest_error(found, reference(host, kind, base, two[kind]))
    ours = latent(host, render(kind, stacked_loras(*two[kind]), save="ours"), "ours")
    theirs = latent(host, render(kind, host_loras(*two[kind]), save="theirs"), "theirs")
    difference = (ours - theirs).abs().max().item()
    show(
        f"{kind}: two LoRAs at 0.5 and 1.0: weights against float64, max relative error "
        f"{error:.1e}; latents against the host's chain, max difference {difference:.1e} "
        f"of {theirs.abs().max().item():.2f}"
    )
    assert error < 2e-7
    assert difference < 1e-4 * theirs.abs().max()


@pytest.mark.parametrize("kind", KINDS)
def test_strength_zero_is_the_same_model_and_the_same_bits(host, loras, kind, show):
    chain = stacked_loras((loras[kind][0], 0.0), (loras[kind][1], 0.0))
    graph = workflows.Graph()
    loaded = workflows.load(graph, kind)
    model, _ = chain(graph, loaded.model, None)
    graph.add("TKSame", model_a=loaded.model, model_b=model)
    assert host.run(graph.prompt).report("TKSame")["model"] is True
    plain = host.run(render(kind)).report("TKHash")["sha256"]
    zero = host.run(render(kind, chain)).report("TKHash")["sha256"]
    show(f"{kind}: strength 0: same model object, latent {zero[:12]} = {plain[:12]} without LoRA")
    assert zero == plain


def test_cancelling_across_two_apply_nodes_restores_the_base(host, loras):
    name = loras["flux"][0]

    def there_and_back(graph, model, clip):
        for strength in (0.7, -0.7):
            lora = [graph.add("LoadLoRA", lora_name=name, strength=strength), 0]
            model, clip = workflows.apply_lora(graph, lora, model, clip)
        return model, clip

    plain = host.run(inspect("flux", "TKProbe")).report("TKProbe")["model"]
    after = host.run(inspect("flux", "TKProbe", there_and_back)).report("TKProbe")["model"]
    assert (after["keys"], after["patches_uuid"]) == (0, plain["patches_uuid"])
    assert host.run(render("flux", there_and_back)).report("TKHash") == host.run(
        render("flux")
    ).report("TKHash")


def test_a_stack_of_eight_is_one_entry_per_weight(host, loras, show):
    eight = [(name, 0.25) for name in loras["flux"]]
    ours = host.run(inspect("flux", "TKProbe", stacked_loras(*eight))).report("TKProbe")["model"]
    theirs = host.run(inspect("flux", "TKProbe", host_loras(*eight))).report("TKProbe")["model"]
    show(
        f"stack of 8 on Flux: {ours['keys']} weights, {ours['entries_total']} patch entries, at "
        f"most {ours['entries_max']} per weight ({ours['adapters']}); the host's chain: "
        f"{theirs['entries_total']} entries, at most {theirs['entries_max']} per weight"
    )
    assert ours["adapters"] == {"FusedAdapter": ours["keys"]}
    assert ours["entries_max"] == 1
    assert theirs["entries_max"] >= 8
    error = largest_error(
        patched_weights(host, "flux", stacked_loras(*eight)),
        reference(host, "flux", base_weights(host, "flux"), eight),
    )
    assert error < 2e-7


@pytest.mark.parametrize("kind", KINDS)
def test_apply_twice_is_apply_of_the_sum(host, two, kind):
    twice = host.run(inspect(kind, "TKProbe", one_after_another(*two[kind]))).report("TKProbe")
    once = host.run(inspect(kind, "TKProbe", stacked_loras(*two[kind]))).report("TKProbe")
    for told in ("patches_uuid", "entries", "adapters", "base"):
        assert twice["model"][told] == once["model"][told]
    assert once["model"]["entries_max"] == 1
    hashes = [
        host.run(render(kind, chain(*two[kind]))).report("TKHash")
        for chain in (one_after_another, stacked_loras)
    ]
    assert hashes[0] == hashes[1]


def in_turn(*steps):
    """Ours and the host's nodes, one after another: (who, name, strength)."""

    def chain(graph, model, clip):
        for who, name, strength in steps:
            link = {"ours": one_after_another, "host": host_loras}[who]((name, strength))
            model, clip = link(graph, model, clip)
        return model, clip

    return chain


@pytest.mark.parametrize("kind", slow_but(("sd15", "flux"), KINDS))
@pytest.mark.parametrize(
    "order",
    [("ours", "host"), ("host", "ours"), ("ours", "host", "ours"), ("host", "ours", "ours")],
)
def test_patches_of_others_before_and_behind_ours_all_count(host, loras, kind, order):
    files = [(name, 0.5) for name in loras[kind][: len(order)]]
    steps = [(who, *file) for who, file in zip(order, files, strict=True)]
    found = patched_weights(host, kind, in_turn(*steps))
    expected = reference(host, kind, base_weights(host, kind), files)
    assert largest_error(found, expected) < 1e-6


def test_taking_ours_back_leaves_our_older_patches_under_those_of_others(host, loras, tmp_path):
    """a, then the host's, then b on one layer, then c: a's other patches must still be there."""
    name = "transformer.transformer_blocks.0.attn.to_q"
    content = {key: 0.05 * value for key, value in pair(name, 128, 128).items()}
    small = host.add_lora(write(tmp_path / "small.safetensors", content))
    a, b = loras["flux"][:2]
    steps = [("ours", a, 0.5), ("host", small, 0.5), ("ours", small, 0.25), ("ours", b, 0.5)]
    found = patched_weights(host, "flux", in_turn(*steps))
    expected = reference(host, "flux", base_weights(host, "flux"), [(a, 0.5), (b, 0.5)])
    delta = (
        content[f"{name}.lora_up.weight"].double() @ content[f"{name}.lora_down.weight"].double()
    )
    expected["diffusion_model.double_blocks.0.img_attn.qkv.weight"][:128] += 0.75 * delta
    assert largest_error(found, expected) < 1e-6


TAMPERED = "diffusion_model.double_blocks.0.img_mlp.0.weight"


@pytest.mark.parametrize(
    ("how", "kept"), [("append", 1.0), ("halve", 0.5), ("drop", 0.0), ("empty", 0.0)]
)
def test_a_pack_that_changes_patches_behind_the_hosts_back_keeps_its_say(host, loras, how, kept):
    """Ours, then its hand on one weight, then ours again: nothing of either is lost or doubled."""
    a, b = loras["flux"][:2]

    def chain(graph, model, clip):
        model, clip = stacked_loras((a, 1.0))(graph, model, clip)
        model = [graph.add("TKTamper", model=model, key=TAMPERED, how=how), 0]
        return stacked_loras((b, 1.0))(graph, model, clip)

    base = base_weights(host, "flux")
    expected = reference(host, "flux", base, [(a, 1.0), (b, 1.0)])
    of_a = reference(host, "flux", base, [(a, 1.0)])[TAMPERED] - base[TAMPERED]
    expected[TAMPERED] += (kept - 1.0) * of_a + (0.5 * base[TAMPERED] if how == "append" else 0.0)
    found = patched_weights(host, "flux", chain)
    assert largest_error(found, expected) < 1e-6


def test_tampered_models_are_not_taken_for_one_another(host, loras):
    """The same recipe on a clean and on a tampered clone of one model: two sets of weights."""

    def tampered(graph, model, clip):
        model = [graph.add("TKTamper", model=model, key=TAMPERED, how="append"), 0]
        return stacked_loras((loras["flux"][0], 1.0))(graph, model, clip)

    clean = host.run(render("flux", stacked_loras((loras["flux"][0], 1.0)), seed=21))
    other = host.run(render("flux", tampered, seed=21))
    again = host.run(render("flux", stacked_loras((loras["flux"][0], 1.0)), seed=21, save="x"))
    hashes = [result.report("TKHash")["sha256"] for result in (clean, other, again)]
    assert hashes[0] == hashes[2] != hashes[1]


DTYPES = {"float32": 2e-7, "float16": 2**-11, "bfloat16": 2**-8, "float8_e4m3fn": 2**-3}
"""Half a unit in the last place, or a whole one where the host rounds stochastically (float8)."""


def flux_in(dtype, chain, node, **inputs):
    graph = workflows.Graph()
    file = MODEL_FILES["flux"]
    model = [graph.add("TKLoadModel", file=file, dtype=dtype), 0]
    model, _ = chain(graph, model, None)
    graph.add(node, model=model, **inputs)
    return graph.prompt


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_storage_type_is_rounded_once(host, two, dtype, show):
    keys = json.dumps(sorted(base_weights(host, "flux")))
    base = saved(host, flux_in(dtype, workflows.no_loras, "TKWeights", keys=keys, name="base"))
    assert {str(w.dtype) for w in base.values()} == {f"torch.{dtype}"}
    exact = reference(host, "flux", {k: w.float() for k, w in base.items()}, two["flux"])
    ours = stacked_loras(*two["flux"], mode="merge")
    found = saved(host, flux_in(dtype, ours, "TKWeights", name="patched"))
    theirs = saved(host, flux_in(dtype, host_loras(*two["flux"]), "TKWeights", name="patched"))
    error, their_error = largest_error(found, exact), largest_error(theirs, exact)
    show(
        f"flux in {dtype}: weights against float64, max relative error {error:.1e}, "
        f"the host's {their_error:.1e}"
    )
    assert {str(w.dtype) for w in found.values()} == {f"torch.{dtype}"}
    assert error <= DTYPES[dtype]


COMPUTE = {"float32": 2e-7, "float16": 2**-10, "bfloat16": 2**-7}


@pytest.mark.parametrize("compute", COMPUTE)
@pytest.mark.parametrize("memory", [1, 3_000_000])
def test_a_partial_load_patches_on_use(host, two, compute, memory, show):
    chain = stacked_loras(*two["flux"])
    prompt = inspect("flux", "TKPartial", chain, memory=memory, compute_dtype=compute)
    told = host.run(prompt).report("TKPartial")
    assert told["patched_on_use"] > 0
    found = load_file(host.output_dir / told["file"])
    exact = reference(host, "flux", base_weights(host, "flux"), two["flux"])
    error = largest_error(found, exact)
    show(
        f"partial load, {memory} bytes, computing in {compute}: {told['patched_on_use']} weights "
        f"patched on use, max relative error {error:.1e}"
    )
    assert error <= COMPUTE[compute]


def test_the_base_is_bit_exact_after_all_that(host, two):
    for kind in KINDS:
        before = host.run(inspect(kind, "TKBase")).report("TKBase")["sha256"]
        host.run(render(kind, stacked_loras(*two[kind])))
        assert host.run(inspect(kind, "TKBase")).report("TKBase")["sha256"] == before


def test_swapped_halves_agree_with_the_host(host, tmp_path):
    """SD3's last modulation: the host turns the delta, we turn the up."""
    content = {k: 0.1 * v for k, v in pair("transformer.norm_out.linear", 256, 128).items()}
    name = host.add_lora(write(tmp_path / "swap.safetensors", content))
    ours = patched_weights(host, "sd3", stacked_loras((name, 0.5)))
    theirs = patched_weights(host, "sd3", host_loras((name, 0.5)))
    assert list(ours) == ["diffusion_model.final_layer.adaLN_modulation.1.weight"]
    assert largest_error(ours, {k: w.double() for k, w in theirs.items()}) < 2e-7


def test_another_pack_may_rebuild_cut_and_turn_our_patches(host, two):
    """Rebuilt from its own fields, at half strength, through a function, on cut rows."""
    told = host.run(inspect("flux", "TKAdapters", stacked_loras(*two["flux"]))).report("TKAdapters")
    assert told["adapters"] > 0
    for check in ("rebuilt", "half_strength", "function", "offset", "strength_model"):
        assert told[check] < 1e-6, check


def test_a_model_merge_carries_our_patches_along(host, two):
    def merged(graph, model, clip):
        patched, _ = stacked_loras(*two["flux"])(graph, model, clip)
        node = graph.add("ModelMergeSimple", model1=model, model2=patched, ratio=0.0)
        return [node, 0], clip

    found = patched_weights(host, "flux", merged)
    exact = reference(host, "flux", base_weights(host, "flux"), two["flux"])
    assert largest_error({key: found[key] for key in exact}, exact) < 1e-6


def test_gigantic_stack(host, loras):
    fifty = [(name, round(0.01 * n, 2)) for n in range(7) for name in loras["wan"]][:50]
    found = patched_weights(host, "wan", stacked_loras(*fifty))
    exact = reference(host, "wan", base_weights(host, "wan"), fifty)
    assert largest_error(found, exact) < 1e-6


def test_one_rounding_for_many_adapters(host, loras):
    """In a type as coarse as bfloat16, one rounding for the stack beats one for each LoRA."""
    eight = [(name, 0.25) for name in loras["flux"]]
    exact = reference(host, "flux", base_weights(host, "flux"), eight)
    prompt = inspect("flux", "TKPartial", stacked_loras(*eight), memory=1, compute_dtype="bfloat16")
    ours = load_file(host.output_dir / host.run(prompt).report("TKPartial")["file"])
    prompt = inspect("flux", "TKPartial", host_loras(*eight), memory=1, compute_dtype="bfloat16")
    theirs = load_file(host.output_dir / host.run(prompt).report("TKPartial")["file"])

    def mean_error(found):
        return sum((found[k].double() - w).norm() for k, w in exact.items())

    assert mean_error(ours) < 0.7 * mean_error(theirs)


def scaled_fp8(weights):
    """A checkpoint as the "fp8 scaled" ones are: float8 weights with a scale beside each."""
    stored = {"scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}
    for key, weight in weights.items():
        stored[key] = weight
        if weight.ndim == 2 and "_blocks." in key:
            scale = weight.float().abs().max().view(1) / 448
            stored[key] = (weight.float() / scale).to(torch.float8_e4m3fn)
            stored[key.replace(".weight", ".scale_weight")] = scale
    return stored


def test_a_quantised_model_goes_through_the_hosts_own_way(host, models_dir, two, show):
    folder = host.folder / "models" / "unet"
    folder.mkdir(exist_ok=True)
    write(folder / "scaled.safetensors", scaled_fp8(load_file(models_dir / MODEL_FILES["flux"])))

    def sampled(chain, name):
        graph = workflows.Graph()
        loader = graph.add("UNETLoader", unet_name="scaled.safetensors", weight_dtype="default")
        model, _ = chain(graph, [loader, 0], None)
        link = workflows.sample(graph, "flux", model)
        graph.add("TKSaveTensor", latent=link, name=name)
        return latent(host, graph.prompt, name)

    plain = sampled(workflows.no_loras, "plain")
    ours = sampled(stacked_loras(*two["flux"]), "ours")
    theirs = sampled(host_loras(*two["flux"]), "theirs")
    change, difference = ((each - theirs).abs().max().item() for each in (plain, ours))
    show(
        f"flux in scaled float8: latents against the host's chain, max difference "
        f"{difference:.1e}, where the LoRAs change it by {change:.1e}"
    )
    assert change > 0.01
    assert difference < 0.2 * change
