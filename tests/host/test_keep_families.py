"""A file of every family, saved in every type and with all names: what it does is what the recipe did."""

from __future__ import annotations

import json
import re

import pytest
from safetensors import safe_open

from harness import workflows
from harness.workflows import Graph, apply_lora, host_loras, load, stacked_loras
from tests.host.files import patched_weights, saved
from tests.host.test_families import PLACES, TEXT_ENCODER, text_encoder_weights, trained
from tests.host.test_keep import STYLES, UNREAD_BY_THE_HOST
from tests.support.trained import ALGORITHMS

pytest.importorskip("lycoris")

ROUNDED = {"float32": 3e-6, "float16": 1e-3, "bfloat16": 6e-3}
"""What a file of a type may lose of the change; its rounding is 6e-8, 5e-4 and 4e-3."""

FORMS = [(style, dtype) for style in STYLES for dtype in ROUNDED]
QUICK = {("flux", "DoRA")}
CASES = [
    pytest.param(kind, name, marks=() if (kind, name) in QUICK else pytest.mark.slow)
    for kind in PLACES
    for name in ALGORITHMS
]


def kept_in_all_forms(host, kind, name, strength):
    """The files that nine nodes of one prompt save, by form."""
    graph = Graph()
    model = load(graph, kind).model
    lora = [graph.add("LoadLoRA", lora_name=name, strength=strength), 0]
    slug = re.sub(r"\W+", "_", name.removesuffix(".safetensors"))
    for style, dtype in FORMS:
        form = {"rank": "exact", "dtype": dtype, "names": style}
        prefix = f"loras/{slug}_{style}_{dtype}"
        graph.add("SaveLoRAFile", lora=lora, model=model, filename_prefix=prefix, **form)
    host.run(graph.prompt)
    return {
        form: max(host.output_dir.glob(f"loras/{slug}_{'_'.join(form)}_*.safetensors"))
        for form in FORMS
    }


def lost(base, found, truth):
    """‖found − truth‖ / ‖truth − base‖ over all weights."""
    pairs = [(found[key].double(), truth[key].double(), base[key].double()) for key in base]
    away = sum(float((one - other).square().sum()) for one, other, _ in pairs)
    return (away / sum(float((other - own).square().sum()) for _, other, own in pairs)) ** 0.5


@pytest.mark.parametrize(("kind", "algorithm"), CASES)
def test_a_file_of_every_family_in_every_form(host, tmp_path, show, kind, algorithm):
    places = PLACES[kind]
    keys = json.dumps(sorted({place.weight for place in places}))
    base = saved(host, workflows.inspect(kind, "TKWeights", keys=keys, name="base"))
    name, _ = trained(host, algorithm, places, base, tmp_path / f"{kind} {algorithm}.safetensors")
    truth = patched_weights(host, kind, stacked_loras((name, 0.7)))
    worst = dict.fromkeys(ROUNDED, (0.0, 0.0))
    theirs = 0.0
    for (style, dtype), file in kept_in_all_forms(host, kind, name, 0.7).items():
        again = host.add_lora(file)
        with safe_open(file, "pt") as made:
            stated = float(made.metadata()["lora_algebra.error"])
        error = lost(base, patched_weights(host, kind, stacked_loras((again, 1.0))), truth)
        assert error < ROUNDED[dtype], (style, dtype)
        # the weights round, too: what is stated is of the file alone
        assert error == pytest.approx(stated, rel=0.05, abs=3e-6), (style, dtype)
        worst[dtype] = max(worst[dtype], (error, stated))
        if (kind, style) not in UNREAD_BY_THE_HOST:
            read = lost(base, patched_weights(host, kind, host_loras((again, 1.0))), truth)
            assert read < ROUNDED[dtype], (style, dtype)
            theirs = max(theirs, read)
    said = ", ".join(f"{dtype} {e:.1e} (stated {s:.1e})" for dtype, (e, s) in worst.items())
    show(f"{kind}: {algorithm}: {said}; by the host's own loader at most {theirs:.1e}")


@pytest.mark.usefixtures("clip_models_dir")
@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_a_text_encoder_is_saved_and_extracted(host, tmp_path, show, style):
    keys = json.dumps([place.weight for place in TEXT_ENCODER])
    base = text_encoder_weights(host, workflows.no_loras, "base", keys)
    name, _ = trained(host, "DoRA", TEXT_ENCODER, base, tmp_path / "clip DoRA.safetensors")
    truth = text_encoder_weights(host, stacked_loras((name, 0.5)), "patched", keys)

    graph = Graph()
    lora = [graph.add("LoadLoRA", lora_name=name, strength=0.5), 0]
    form = {"rank": "exact", "dtype": "float32", "names": style, "filename_prefix": f"clip/{style}"}
    graph.add("SaveLoRAFile", lora=lora, clip=load(graph, "sd15clip").clip, **form)
    host.run(graph.prompt)
    again = host.add_lora(max(host.output_dir.glob(f"clip/{style}_*.safetensors")))
    kept = lost(base, text_encoder_weights(host, stacked_loras((again, 1.0)), "kept", keys), truth)

    def extracted(graph, model, clip):
        _, tuned = host_loras((again, 1.0))(graph, model, clip)
        how = {"model": tuned, "model_base": clip, "rank": "exact", "dtype": "float32"}
        return apply_lora(graph, [graph.add("ExtractLoRA", **how), 0], model, clip)

    found = lost(base, text_encoder_weights(host, extracted, "extracted", keys), truth)
    show(f"text encoder in float16, names of {style}: saved {kept:.1e}, extracted {found:.1e}")
    # the weights are float16: what is lost is their rounding, of numbers larger than the change
    assert kept < 2e-2
    assert found < 2e-2
