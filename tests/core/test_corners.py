"""Corners that only a broken line reaches: wider layers, thin files, options at their ends."""

from __future__ import annotations

import json

import pytest
import torch

from harness.samples import pair, tensors, write
from lora_core import LoraFileError, apply, load
from lora_core.families.base_weight import BaseWeight
from lora_core.families.modules import read_module
from lora_core.families.registry import KEYS
from lora_core.families.source import Source
from lora_core.formats.peft_config import LARGEST_CONFIG_BYTES
from lora_core.formats.settings import FileConfig, ModuleConfig
from lora_core.fusing.fuse import fuse
from lora_core.fusing.merge import merge_
from lora_core.matching.match import WeightTerm
from lora_core.naming.targets import Target
from lora_core.reading.header import identify
from lora_core.reading.provenance import LONGEST_NOTE_CHARS, trainer_of
from lora_core.reading.reader import read_file

LINEAR = (6, 8)

ONE_OF_EACH = {
    # family: the shapes of its tensors for one linear layer
    "LoRA": {"up": (6, 3), "down": (3, 8)},
    "AdaLoRA": {"up": (6, 3), "down": (3, 8), "lora_E": (3, 1)},
    "DoRA": {"up": (6, 3), "down": (3, 8), "dora_scale": (6, 1)},
    "LoHa": dict.fromkeys(("hada_w1_a", "hada_w2_a"), (6, 3))
    | dict.fromkeys(("hada_w1_b", "hada_w2_b"), (3, 8)),
    "LoKr": {"lokr_w1": (2, 2), "lokr_w2_a": (3, 3), "lokr_w2_b": (3, 4)},
    "GLoRA": {"glora_a1": (8, 3), "glora_a2": (3, 8), "glora_b1": (6, 3), "glora_b2": (3, 8)},
    "IA3": {"ia3_l": (6, 1)},
    "OFT": {"oft_blocks": (3, 2, 2), "rescale": (6, 1)},
    "OFT of peft": {"oft_R": (2, 6)},
    "BOFT": {"boft_R": (1, 4, 2, 2), "boft_s": (6, 1)},
    "HRA": {"hra_u": (8, 3)},
    "VeRA": {"vera_lambda_b": (6,), "vera_lambda_d": (3,), "vera_A": (3, 8), "vera_B": (6, 3)},
    "MiSS": {"miss_block": (3, 6)},
    "bat": {"miss_block": (3, 2, 2)},
    "full": {"diff": (6, 8)},
}

WITH_ALPHA = ("LoRA", "DoRA", "LoHa", "LoKr", "GLoRA")


def deltas(roles: dict[str, torch.Tensor], settings: ModuleConfig | None = None):
    return read_module(Source("layer", roles, settings or ModuleConfig()))[1]


def weight_terms(found, rows: tuple[int, int] | None = None) -> list[WeightTerm]:
    return [
        WeightTerm(Target("w", rows=rows), d, 1.0, 0.0, "a") for d in found if d.slot == "weight"
    ]


def change(found, weight: torch.Tensor) -> torch.Tensor:
    """What deltas add to a weight."""
    after = weight.clone()
    merge_(after, fuse(weight_terms(found), BaseWeight(weight).dtype))
    return after - weight


def error(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one.double() - other.double()).norm() / other.double().norm())


# numbers of half precision


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_numbers_of_half_precision_are_computed_with_as_they_are(family):
    """Only the file is rounded, not what is made of it: alpha is 1, so that a scale is no power of
    two."""
    halves = {role: t.half() for role, t in tensors(1, **ONE_OF_EACH[family]).items()}
    if family in WITH_ALPHA:
        halves["alpha"] = torch.tensor(1.0)
    exact = {role: tensor.double() for role, tensor in halves.items()}
    weight = tensors(2, w=LINEAR)["w"].double()
    assert error(change(deltas(halves), weight), change(deltas(exact), weight)) <= 1e-6


LIKE_CONVOLUTIONS = {
    # family: the roles that may have ones behind their two sizes
    "LoRA": ("up", "down"),
    "AdaLoRA": ("up", "down"),
    "LoHa": ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
    "LoKr": ("lokr_w1", "lokr_w2_a", "lokr_w2_b"),
    "GLoRA": ("glora_a1", "glora_a2", "glora_b1", "glora_b2"),
}


@pytest.mark.parametrize("family", LIKE_CONVOLUTIONS)
def test_factors_may_be_written_like_convolutions(family):
    flat = tensors(1, **ONE_OF_EACH[family])
    shaped = flat | {role: flat[role][:, :, None, None] for role in LIKE_CONVOLUTIONS[family]}
    weight = tensors(2, w=LINEAR)["w"]
    assert torch.equal(change(deltas(shaped), weight), change(deltas(flat), weight))
    assert deltas(shaped)[0].text() == deltas(flat)[0].text()


@pytest.mark.parametrize("rows", [None, (2, 6)], ids=["whole", "some rows"])
@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_chunks_of_any_size_give_the_same_weights(monkeypatch, family, rows):
    found = deltas(tensors(1, **ONE_OF_EACH[family]))
    results = []
    for size in (1, 20, 10**9):
        monkeypatch.setattr("lora_core.fusing.merge.CHUNK_ENTRIES", size)
        weight = tensors(2, w=(6 if rows is None else 10, 8))["w"].half()
        merge_(weight, fuse(weight_terms(found, rows)))
        results.append(weight)
    assert torch.equal(results[0], results[2])
    assert torch.equal(results[1], results[2])


def test_only_wider_factors_change_their_type():
    for dtype, kept in ((torch.float16, torch.float16), (torch.float64, torch.float32)):
        factors = tensors(1, up=(6, 2), down=(2, 8))
        (patch,) = fuse(weight_terms(deltas({k: v.to(dtype) for k, v in factors.items()})))
        assert {patch.ups[0].dtype, patch.downs[0].dtype} == {kept}


# what fits where

ANY_KERNEL = {"IA3", "OFT", "HRA"}
"""What acts on inputs or outputs by themselves, and alike at every place of a kernel."""

OUTPUTS_ALONE = {"IA3", "OFT"}
"""What acts on outputs by themselves, of a weight that is a vector, too."""


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_what_is_made_for_a_linear_layer_fits_no_other(family):
    found = [d for d in deltas(tensors(1, **ONE_OF_EACH[family])) if d.slot == "weight"]

    def fits(*shape: int) -> bool:
        return all(delta.fits(shape) for delta in found)

    assert fits(*LINEAR)
    assert fits(6, 8, 3) == (family in ANY_KERNEL)
    assert fits(6) == (family in OUTPUTS_ALONE)
    assert not fits(8)
    assert not fits(7, 7)
    assert not fits(4, 7)
    assert not fits(9, 7)


def test_factors_for_inputs_fit_no_vector():
    (delta,) = deltas({"ia3_l": torch.ones(1, 8)})
    assert delta.fits(LINEAR)
    assert delta.fits((6, 8, 3))
    assert not delta.fits((8,))
    assert not delta.fits((8, 6))


@pytest.mark.parametrize("alpha", [{"alpha": torch.tensor(1.0)}, {}])
@pytest.mark.parametrize("rows", [slice(0, 2), slice(1, 3), slice(2, 5), slice(3, 6), slice(0, 6)])
def test_any_rows_of_a_kronecker_product_by_themselves(rows, alpha):
    """Also as peft multiplies for one dimension, where no alpha says that LyCORIS did."""
    (delta,) = deltas({**tensors(1, lokr_w1=(2, 2), lokr_w2=(3, 4, 3)), **alpha})
    own = delta.cut(rows)
    assert own is not None
    weight = torch.zeros(6, 8, 3)
    assert torch.equal(change([own], weight[rows]), change([delta], weight)[rows])


# bounds

BOUNDED = ("LoRA", "AdaLoRA", "LoHa", "LoKr", "VeRA", "MiSS", "full")


@pytest.mark.parametrize("family", BOUNDED)
def test_a_bound_is_reached_where_all_numbers_are_as_large(family):
    ones = {role: torch.full(shape, 2.0) for role, shape in ONE_OF_EACH[family].items()}
    (delta,) = deltas(ones)
    largest = float(change([delta], torch.zeros(LINEAR, dtype=torch.float64)).abs().max())
    assert delta.max_abs_bound() == pytest.approx(largest, rel=1e-6)
    assert delta.max_abs() == pytest.approx(largest, rel=1e-6)


# what makes no sense

NONSENSE = {
    # what is wrong: the tensors, words of the refusal
    "two products of different heights": (
        {"hada_w1_a": (6, 2), "hada_w1_b": (2, 8), "hada_w2_a": (5, 2), "hada_w2_b": (2, 8)},
        "differ in shape",
    ),
    "two products of different widths": (
        {"hada_w1_a": (6, 2), "hada_w1_b": (2, 8), "hada_w2_a": (6, 2), "hada_w2_b": (2, 9)},
        "differ in shape",
    ),
    "a kernel in the core and in the down": (
        {"up": (6, 2), "down": (2, 4, 3, 3), "mid": (2, 2, 3, 3)},
        "Tucker core does not fit",
    ),
    "a LoHa whose core has another rank": (
        {"hada_t1": (2, 2, 3), "hada_w1_a": (3, 6), "hada_w1_b": (2, 4)}
        | {"hada_t2": (2, 2, 3), "hada_w2_a": (2, 6), "hada_w2_b": (2, 4)},
        "ranks differ",
    ),
    "a LoHa with a core and a kernel": (
        {"hada_t1": (2, 2, 3), "hada_w1_a": (2, 6, 3), "hada_w1_b": (2, 4)}
        | {"hada_w2_a": (6, 2), "hada_w2_b": (2, 12)},
        "ranks differ",
    ),
    "a LoKr whose core has another rank": (
        {"lokr_w1": (2, 2), "lokr_t2": (2, 2, 3), "lokr_w2_a": (3, 3), "lokr_w2_b": (2, 2)},
        "ranks differ",
    ),
    "a LoKr of a vector": ({"lokr_w1": (4,), "lokr_w2": (3, 4)}, "not a matrix"),
    "values of another rank": ({"up": (6, 3), "down": (3, 8), "lora_E": (2, 1)}, "ranks differ"),
    "no square blocks": ({"miss_block": (3, 2, 4)}, "the blocks are not square"),
    "a block of four dimensions": ({"miss_block": (3, 2, 2, 2)}, "not a block"),
    "no vectors to reflect in": ({"hra_u": (8,)}, "not a matrix"),
    "blocks that are not square": ({"oft_blocks": (3, 2, 3)}, "not blocks of rotations"),
    "a triangle that is none": ({"oft_R": (2, 4)}, "not triangles"),
    "stages that are not square": ({"boft_R": (1, 4, 2, 3)}, "not stages"),
    "one stage too many": ({"boft_R": (4, 4, 2, 2)}, "cannot form a butterfly"),
    "a butterfly of odd blocks": ({"boft_R": (2, 2, 3, 3)}, "cannot form a butterfly"),
    "another rank than its projection": (
        {"vera_lambda_b": (6,), "vera_lambda_d": (2,), "vera_A": (3, 8), "vera_B": (6, 3)},
        "ranks differ",
    ),
    "a projection of too few outputs": (
        {"vera_lambda_b": (6,), "vera_lambda_d": (3,), "vera_A": (3, 8), "vera_B": (5, 3)},
        "too small",
    ),
    "a GLoRA of a vector": (
        {"glora_a1": (8,), "glora_a2": (3, 8), "glora_b1": (6, 3), "glora_b2": (3, 8)},
        "not a pair of matrices",
    ),
    "no projection": ({"vera_lambda_b": (6,), "vera_lambda_d": (3,)}, "save_projection"),
}


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("case", NONSENSE)
def test_what_makes_no_sense_is_refused_from_the_header_on(case, device):
    shapes, words = NONSENSE[case]
    roles = {role: torch.ones(shape, device=device) for role, shape in shapes.items()}
    with pytest.raises(LoraFileError, match=words) as refused:
        deltas(roles)
    assert refused.value.key == "layer"


@pytest.mark.parametrize("key", [".lora_up.weight", ".alpha", ".lora_A.style.weight"])
def test_a_key_without_a_name_in_front_of_it_means_nothing(key):
    assert KEYS.split(key) is None


@pytest.mark.parametrize("role", ["hada_w1_a", "lokr_w2", "boft_R", "ia3_l", "vera_lambda_b"])
def test_an_adapters_name_may_be_the_last_of_a_key(role):
    assert KEYS.split(f"layer.{role}.default") == ("layer", role)


# what the notes say


def turned(name: str, alpha: float) -> float:
    """By how much OFT changes a weight, under the name of a module and its alpha."""
    roles = {**tensors(8, oft_blocks=(3, 2, 2)), "alpha": torch.tensor(alpha)}
    _, found = read_module(Source(name, roles, ModuleConfig()))
    weight = tensors(9, w=LINEAR)["w"].double()
    return error(change(found, weight) + weight, weight)


def test_an_alpha_of_0_lets_kohyas_rotations_turn_nothing():
    assert turned("oft_unet_layer", 0.0) <= 1e-6
    assert turned("oft_unet_layer", 100.0) > 0.1


def test_an_alpha_of_0_is_none_to_lycoris():
    assert turned("lycoris_layer", 0.0) == turned("lycoris_layer", 100.0) > 0.1


def oft(**options: object) -> torch.Tensor:
    """What peft's OFT adds under a config."""
    found = deltas(
        {"oft_R": 0.1 * tensors(4, r=(4, 1))["r"].double()}, ModuleConfig(config=options)
    )
    return change(found, tensors(5, w=LINEAR)["w"].double())


def test_the_last_term_is_doubled_up_to_peft_0_17():
    def series(**version: str) -> torch.Tensor:
        return oft(use_cayley_neumann=True, num_cayley_neumann_terms=4, **version)

    new, old = series(peft_version="0.18.0"), series(peft_version="0.17.1")
    assert error(old, new) > 1e-6
    assert torch.equal(new, series(peft_version="1.2"))
    assert torch.equal(old, series())


def test_what_a_config_leaves_out_is_what_peft_takes():
    plain = oft(use_cayley_neumann=True, peft_version="0.18.0", num_cayley_neumann_terms=5)
    assert torch.equal(plain, oft(use_cayley_neumann=True, peft_version="0.18.0"))
    without = deltas({"oft_R": 0.1 * tensors(4, r=(4, 1))["r"].double()})
    assert torch.equal(plain, change(without, tensors(5, w=LINEAR)["w"].double()))
    assert torch.equal(oft(coft=True), oft(coft=True, eps=6e-5))
    assert not torch.equal(oft(coft=True), oft(coft=True, eps=7e-5))


def test_a_series_of_one_term_turns_nothing():
    assert not oft(use_cayley_neumann=True, num_cayley_neumann_terms=1).any()


def test_a_series_of_many_terms_is_the_exact_transform():
    series = oft(use_cayley_neumann=True, num_cayley_neumann_terms=64, peft_version="0.18.0")
    # which peft turns the other way without a series
    backwards = deltas(
        {"oft_R": -0.1 * tensors(4, r=(4, 1))["r"].double()}, ModuleConfig(config={})
    )
    assert error(series, change(backwards, tensors(5, w=LINEAR)["w"].double())) <= 1e-12


@pytest.mark.parametrize("terms", [0, 65, -1])
def test_a_series_of_no_length_is_refused(terms):
    with pytest.raises(LoraFileError, match="a series of"):
        oft(use_cayley_neumann=True, num_cayley_neumann_terms=terms)


@pytest.mark.parametrize(
    ("marker", "divisor"), [(torch.tensor(True), 2 * 3**0.5), (torch.tensor(1.0), 6**0.5)]
)
def test_onetrainers_marker_tells_what_its_rotations_are_divided_by(marker, divisor):
    triangles = tensors(4, r=(2, 6))["r"].double()
    weight = tensors(5, w=LINEAR)["w"].double()
    marked = deltas({"oft_R": triangles, "scaled_oft": marker})
    plain = deltas({"oft_R": triangles / divisor}, ModuleConfig(one_trainer=True))
    torch.testing.assert_close(change(marked, weight), change(plain, weight))


@pytest.mark.parametrize("software", [{"name": "x" * 500, "version": 1}, ["x"], "x", {}])
def test_a_trainers_name_is_short_whatever_the_notes_hold(software):
    notes = {"software": json.dumps(software), "ss_network_module": "y" * 500}
    assert len(trainer_of(notes, FileConfig.read(notes)) or "") == LONGEST_NOTE_CHARS


@pytest.mark.parametrize(("shape", "by_input"), [((1, 8), True), ((6, 1), False)])
def test_factors_for_a_linear_layer_say_by_themselves_which_side_they_are_for(shape, by_input):
    factors = tensors(6, l=shape)["l"].double()
    weight = tensors(7, w=LINEAR)["w"].double()
    found = deltas({"ia3_l": factors})
    torch.testing.assert_close(change(found, weight), weight * (factors - 1))
    assert len(found) == (1 if by_input else 2)


def test_a_config_as_long_as_allowed_is_read(tmp_path):
    path = write(tmp_path / "adapter_model.safetensors", pair("base_model.model.linear", 6, 8))
    text = json.dumps({"lora_alpha": 12, "r": 4})
    (tmp_path / "adapter_config.json").write_text(text.ljust(LARGEST_CONFIG_BYTES))
    (module,) = read_file(identify(path)).modules.values()
    assert module.deltas[0].scale == 3.0


def test_a_layer_that_adalora_has_pruned_altogether_is_left_alone(tmp_path):
    shapes = {"lora_B": (6, 0), "lora_A": (0, 8), "lora_E": (0, 1)}
    pruned = {f"other.{name}": torch.empty(shape) for name, shape in shapes.items()}
    weights = tensors(3, **{"linear.weight": LINEAR, "other.weight": LINEAR})
    before = weights["other.weight"].clone()
    report = apply(
        weights, load(write(tmp_path / "x.safetensors", {**pair("linear", 6, 8), **pruned}))
    )
    assert torch.equal(weights["other.weight"], before)
    assert report.loras[0].parts[0].applied == 1
