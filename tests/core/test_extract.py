"""A LoRA taken out of a finished model comes back as what was put in."""

from __future__ import annotations

import pytest
import torch
from safetensors import safe_open

from harness.samples import pair, tensors, write
from lora_core import LoraFileError, LoraInputError, LoraMismatchError, apply, load
from lora_core.combining import read_rule
from lora_core.workbench import Format, extract_files
from tests.core.test_block_apply import lora_of
from tests.core.test_save import apart, changes

RANK = Format(rule=read_rule("4"), dtype=torch.float32)


@pytest.fixture
def weights():
    shapes = {"q.weight": (48, 40), "q.bias": (48,), "c.weight": (8, 6, 3, 3), "n.weight": (40,)}
    return tensors(1, **shapes)


def tuned(weights, *files):
    own = {key: weight.clone() for key, weight in weights.items()}
    for file in files:
        apply(own, load(file))
    return own


def test_what_was_merged_comes_back(tmp_path, weights):
    own = {
        **pair("q", 48, 40, seed=3),
        "q.diff_b": torch.ones(48),
        "n.diff": torch.full((40,), 0.5),
        "c.lora_up.weight": torch.randn(8, 4, 1, 1),
        "c.lora_down.weight": torch.randn(4, 6, 3, 3),
    }
    a = write(tmp_path / "a.safetensors", own)
    pair_of = [
        write(tmp_path / f"{name}.safetensors", content)
        for name, content in (("tuned", tuned(weights, a)), ("base", weights))
    ]
    found = extract_files(*pair_of, tmp_path / "out.safetensors", RANK)
    assert found.layers == 4
    assert apart(changes(load(found.path), weights), changes(load(a), weights)) < 1e-6
    assert found.errors.total < 1e-6


@pytest.mark.parametrize("name", ["flux", "sdxl"])
def test_its_names_are_those_of_the_architecture(tmp_path, name):
    file, weights, _ = lora_of(name, tmp_path)
    weights = {key: weight.float() for key, weight in weights.items()}
    write(tmp_path / "base.safetensors", weights)
    write(tmp_path / "tuned.safetensors", tuned(weights, file))
    form = Format(read_rule("2"), torch.float32, "diffusers")
    out = tmp_path / "out.safetensors"
    found = extract_files(tmp_path / "tuned.safetensors", tmp_path / "base.safetensors", out, form)
    with safe_open(out, "pt") as made:
        assert all(key.startswith(("unet.", "transformer.")) for key in made.keys())  # noqa: SIM118
    assert found.errors.total < 1e-5


@pytest.mark.parametrize("rank", ["1", "8", "30%"])
def test_the_error_is_the_least_that_there_is(tmp_path, weights, rank):
    other = {"q.weight": weights["q.weight"] + torch.randn(48, 40)}
    write(tmp_path / "base.safetensors", {"q.weight": weights["q.weight"]})
    write(tmp_path / "tuned.safetensors", other)
    form = Format(read_rule(rank), torch.float32)
    out = tmp_path / "out.safetensors"
    found = extract_files(tmp_path / "tuned.safetensors", tmp_path / "base.safetensors", out, form)
    difference = (other["q.weight"] - weights["q.weight"]).double()
    if rank == "30%":
        assert found.errors.total <= 0.3
    else:
        best = torch.linalg.svdvals(difference)[int(rank) :].norm() / difference.norm()
        assert found.errors.total == pytest.approx(float(best), rel=1e-4)


def test_what_is_the_same_is_left_out(tmp_path, weights):
    for name in ("base", "tuned"):
        write(tmp_path / f"{name}.safetensors", weights)
    with pytest.raises(LoraInputError, match="both models have are equal"):
        extract_files(
            tmp_path / "tuned.safetensors",
            tmp_path / "base.safetensors",
            tmp_path / "out.safetensors",
            RANK,
        )


def test_other_architectures_are_refused(tmp_path, weights):
    write(tmp_path / "base.safetensors", weights)
    write(tmp_path / "wide.safetensors", {**weights, "q.weight": torch.zeros(48, 41)})
    write(tmp_path / "other.safetensors", {"x.weight": torch.zeros(2, 2)})
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    out = tmp_path / "out.safetensors"
    for name, error, says in (
        ("wide", LoraMismatchError, r"\(48, 41\) in one model and \(48, 40\)"),
        ("other", LoraMismatchError, "no weight in common"),
        ("bad", LoraFileError, "cannot be read as a checkpoint"),
        ("missing", LoraFileError, "cannot be read as a checkpoint"),
    ):
        with pytest.raises(error, match=says):
            extract_files(
                tmp_path / f"{name}.safetensors", tmp_path / "base.safetensors", out, RANK
            )
    assert not out.exists()


def test_what_no_lora_can_name_is_left_out_and_counted(tmp_path):
    """A checkpoint holds a VAE, too."""
    file, weights, _ = lora_of("sd15", tmp_path)
    base = {f"model.{key}": weight.float() for key, weight in weights.items()}
    base |= tensors(3, **{"first_stage_model.decoder.conv_in.weight": (8, 4, 3, 3)})
    own = tuned(base, file)
    own["first_stage_model.decoder.conv_in.weight"] += 1
    own["model_ema.decay"] = torch.zeros(())
    pair_of = [
        write(tmp_path / f"{name}.safetensors", content)
        for name, content in (("tuned", own), ("base", base))
    ]
    found = extract_files(*pair_of, tmp_path / "out.safetensors", RANK)
    assert found.left_out == 2
    assert found.errors.total < 1e-6
    assert apart(changes(load(found.path), base), changes(load(file), base)) < 1e-5
