"""What a method makes of LoRAs is a LoRA: it can be scaled, added, blocked, planned and saved."""

from __future__ import annotations

import pytest
import torch

from harness.oracles import CASES
from harness.samples import pair, tensors, write
from lora_core import LoraError, LoraInputError, Recipe, apply, load
from lora_core.algebra import Curve, Making
from lora_core.applying import model_of
from lora_core.combining import METHODS, Options, rows_of
from lora_core.matching import make_plan
from lora_core.reading import FileCache, identify
from tests.core.test_save import apart, changes, kept

Weights = dict[str, torch.Tensor]


@pytest.fixture
def weights() -> Weights:
    shapes = {"q.weight": (48, 40), "q.bias": (48,), "k.weight": (64, 40), "c.weight": (8, 6, 3, 3)}
    return tensors(1, **shapes)


@pytest.fixture
def parts(tmp_path) -> list[Recipe]:
    conv = tensors(5, up=(8, 4, 1, 1), down=(4, 6, 3, 3))
    content = [
        {**pair("q", 48, 40), **pair("k", 64, 40, seed=1), "q.diff_b": torch.ones(48)},
        {
            **pair("q", 48, 40, rank=2, seed=2, alpha=1.0),
            "q.diff_b": torch.arange(48.0),
            "c.lora_up.weight": conv["up"],
            "c.lora_down.weight": conv["down"],
        },
        pair("q", 48, 40, rank=3, seed=3),
    ]
    return [load(write(tmp_path / f"{n}.safetensors", each)) for n, each in enumerate(content)]


def made(method: str, *recipes: Recipe, **options: str) -> Recipe:
    return Recipe.made(Making(method, tuple(r.terms for r in recipes), tuple(options.items())))


def dense(method: str, matrices, layer: str, **options) -> torch.Tensor:
    return rows_of(METHODS[method].combine(matrices, Options(**options), layer), slice(None))


@pytest.mark.parametrize("method", METHODS)
def test_it_does_to_a_model_what_the_method_does_to_the_changes(weights, parts, method):
    options = {"density": "0.3"} if "density" in METHODS[method].options else {}
    own = [0.5 * parts[0], -parts[1], 2 * parts[2]]
    each = [changes(part, weights) for part in own]
    found = changes(made(method, *own, **options), weights)
    numbers = {name: float(text) for name, text in options.items()}
    for key in ("q.weight", "k.weight", "c.weight"):
        matrices = [one[key].flatten(1) for one in each if one[key].any()]
        expected = dense(method, matrices, key, **numbers).reshape(found[key].shape)
        assert float((found[key] - expected).abs().max()) < 1e-5, key


def test_biases_are_added_where_a_method_is_for_matrices(weights, parts):
    whole = changes(parts[0] + parts[1], weights)["q.bias"]
    assert torch.equal(changes(made("tsv", *parts[:2]), weights)["q.bias"], whole)


def test_it_is_a_value_like_a_file(weights, parts):
    both = made("tsv", *parts[:2])
    scaled = changes(0.25 * both + parts[2], weights)
    one, other = changes(both, weights), changes(parts[2], weights)
    assert apart(scaled, {key: 0.25 * one[key] + other[key] for key in one}) < 1e-6
    assert not both - both
    assert both == made("tsv", *parts[:2])
    assert both != made("tsv", *reversed(parts[:2]))
    assert both.fingerprint != made("orthogonal", *parts[:2]).fingerprint
    assert str(0.5 * both) == "0.5·tsv(1·0, 1·1)"
    assert changes(both.blocks("other: 0"), weights)["q.weight"].any() == 0


def test_it_can_be_made_of_what_is_made(weights, parts):
    inner = made("ties", parts[0], parts[1], density="0.5")
    outer = made("orthogonal", parts[2], inner)
    assert Recipe.from_json(outer.to_json()) == outer
    assert changes(outer, weights)["q.weight"].any()


def test_it_is_the_same_from_its_json(parts):
    own = 0.5 * made("dare", parts[0], 2 * parts[1], density="0.5", seed="7") + parts[2]
    again = Recipe.from_json(own.to_json())
    assert again == own
    assert again.fingerprint == own.fingerprint
    assert '"version": 6' in own.to_json()
    assert '"version": 1' in parts[0].to_json()


def test_a_part_that_was_rewritten_is_another(tmp_path, parts):
    own = made("tsv", *parts[:2])
    write(tmp_path / "0.safetensors", pair("q", 48, 40, rank=7))
    again = own.with_files(lambda file: identify(file.path, file.name))
    assert again != own
    assert own.with_files(lambda file: file) == own


def test_its_report_says_method_and_layers(weights, parts):
    report = apply(weights, 0.5 * made("tsv", *parts[:2]))
    assert (
        report.loras[0].headline
        == "tsv(1·0, 1·1) (tsv, rank 4–6): model: 4 of 4 layers at strength 0.5, text encoder: nothing in the file"
    )


@pytest.mark.parametrize("method", ["ties", "orthogonal", "sum"])
@pytest.mark.parametrize("family", ["DoRA", "OFT", "IA3", "GLoRA"])
def test_what_depends_on_the_weight_is_worked_out_on_it(tmp_path, method, family):
    pytest.importorskip("lycoris")
    case = next(case for case in CASES if case.family == family and case.kind == "linear")
    built = case.build(tmp_path, 0, torch.float32)
    own = 0.5 * load(built.file)
    (key,) = built.delta
    shape = built.weights[key].shape
    name = key.removesuffix(".weight")
    other = write(tmp_path / "other.safetensors", pair(name, *shape))
    parts = [own, load(other)]
    each = [changes(part, built.weights)[key] for part in parts]
    found = changes(made(method, *parts), built.weights)[key]
    assert float((found - dense(method, each, key)).norm() / found.norm()) < 1e-4


@pytest.mark.parametrize(("rank", "error"), [("3", None), ("10%", 0.1), ("exact", 0.0)])
def test_it_can_be_resized(weights, parts, rank, error):
    whole = parts[0] + parts[1]
    truth = changes(whole, weights)
    found = changes(made("resize", whole, rank=rank), weights)
    assert torch.equal(found["q.bias"], truth["q.bias"])
    if error is None:
        assert torch.linalg.matrix_rank(found["q.weight"], rtol=1e-5) == 3
        best = torch.linalg.svdvals(truth["q.weight"])[3:].norm()
        assert float((found["q.weight"] - truth["q.weight"]).norm()) == pytest.approx(
            float(best), rel=1e-4
        )
    else:
        for each in (truth, found):
            del each["q.bias"]
        assert apart(found, truth) <= error + 1e-6


def test_it_can_be_saved(tmp_path, weights, parts):
    own = made("ties", *parts, density="0.5")
    saved = kept(own, weights, tmp_path / "kept.safetensors", dtype=torch.float32)
    assert saved.errors.total < 1e-6
    assert apart(changes(load(saved.path), weights), changes(own, weights)) < 1e-6


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        ("magic", {}, "is not a method"),
        ("sum", {"density": "1"}, "has no option density"),
        ("ties", {"density": "much"}, "not a number"),
        ("ties", {"density": "2"}, "above 0 and at most 1"),
    ],
)
def test_what_is_no_method_is_refused_before_a_model_is_touched(
    weights, parts, method, options, says
):
    before = {key: weight.clone() for key, weight in weights.items()}
    with pytest.raises(LoraError, match=says):
        apply(weights, made(method, *parts, **options))
    assert all(torch.equal(weights[key], before[key]) for key in before)


def test_what_varies_cannot_be_combined(parts):
    with pytest.raises(LoraInputError, match="Put that behind ties"):
        made("ties", parts[0].scheduled(Curve.parse("0:0, 1:1")))
    with pytest.raises(LoraInputError, match="no LoRA"):
        made("ties", parts[0] - parts[0])


def test_it_varies_itself(parts):
    assert made("tsv", *parts[:2]).scheduled(Curve.parse("0:0, 1:1")).needs_live


@pytest.mark.parametrize("method", ["ties", "knots", "resize"])
def test_it_says_how_far_it_is_and_can_be_ended(weights, parts, method):
    recipe = made(method, parts[0], parts[1], **({"rank": "2"} if method == "resize" else {}))
    told = []
    make_plan(recipe, [model_of(weights)], FileCache(), progress=lambda *step: told.append(step))
    assert told == [(done, len(told)) for done in range(len(told))]
    assert len(told) == 4

    def stop(done: int, total: int) -> None:
        if done == total - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_plan(recipe, [model_of(weights)], FileCache(), progress=stop)
