"""What stands beside the tensors: diffusers' notes in the file, peft's config next to it."""

import json
import os

import pytest
import torch

from harness.samples import pair, write
from lora_core import applied, load
from lora_core.errors import LoraFileError
from lora_core.formats.settings import FileConfig
from lora_core.reading.header import identify
from lora_core.reading.reader import read_file

PEFT = "base_model.model."


def noted(**options) -> dict[str, str]:
    return {"lora_adapter_metadata": json.dumps(options)}


def lora(name: str, rank: int = 4) -> dict[str, torch.Tensor]:
    made = pair("x", 6, 8, rank)
    up, down = made["x.lora_up.weight"], made["x.lora_down.weight"]
    return {f"{name}.lora_B.weight": up, f"{name}.lora_A.weight": down}


def scale(file) -> float:
    """By how much a file's factors are multiplied, seen from outside."""
    tensors = {"layer.weight": torch.zeros(6, 8, dtype=torch.float64)}
    content = read_file(identify(file)).modules
    (module,) = content.values()
    (delta,) = module.deltas
    plain = delta.up.double() @ delta.down.double()
    with applied(tensors, load(file)):
        return float(tensors["layer.weight"][0, 0] / plain[0, 0])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 1.0),
        ({"transformer.r": 4, "transformer.lora_alpha": 8}, 2.0),
        ({"r": 4, "lora_alpha": 2}, 0.5),
        ({"transformer.lora_alpha": 8, "transformer.use_rslora": True}, 4.0),
        ({"transformer.lora_alpha": 8, "transformer.alpha_pattern": {"layer": 1}}, 0.25),
        ({"transformer.lora_alpha": 8, "transformer.alpha_pattern": {"other": 1}}, 2.0),
        ({"transformer.lora_alpha": 8, "transformer.alpha_pattern": {"layer": 2, "l.*": 1}}, 0.5),
        ({"transformer.lora_alpha": 8, "transformer.alpha_pattern": {"l.*r": 1}}, 0.25),
        ({"text_encoder.lora_alpha": 8}, 1.0),
        ({"transformer.lora_alpha": 8, "transformer.alpha_pattern": {"^layer": 1}}, 0.25),
        ({"transformer.lora_alpha": 8, "transformer.alpha_pattern": {"^layer$": 1}}, 0.25),
        ({"transformer.lora_alpha": 8, "transformer.alpha_pattern": {"^ayer": 1}}, 2.0),
    ],
)
def test_the_scale_that_diffusers_notes(tmp_path, options, expected):
    path = write(tmp_path / "a.safetensors", lora("transformer.layer"), noted(**options))
    assert scale(path) == pytest.approx(expected, abs=1e-12)


def test_an_alpha_of_the_tensors_counts_more(tmp_path):
    content = {**lora("transformer.layer"), "transformer.layer.alpha": torch.tensor(2.0)}
    path = write(tmp_path / "a.safetensors", content, noted(**{"transformer.lora_alpha": 8}))
    assert scale(path) == pytest.approx(0.5, abs=1e-12)


def beside(folder, name: str, config: object) -> None:
    write(folder / name, lora(f"{PEFT}layer"))
    text = config if isinstance(config, str) else json.dumps(config)
    (folder / "adapter_config.json").write_text(text)


def test_the_config_that_peft_saves_beside(tmp_path):
    beside(tmp_path, "adapter_model.safetensors", {"r": 4, "lora_alpha": 12})
    assert scale(tmp_path / "adapter_model.safetensors") == pytest.approx(3.0, abs=1e-12)


def test_a_config_beside_a_file_of_another_name_is_not_its_own(tmp_path):
    beside(tmp_path, "style.safetensors", {"r": 4, "lora_alpha": 12})
    assert scale(tmp_path / "style.safetensors") == pytest.approx(1.0, abs=1e-12)


def test_a_config_that_changes_makes_another_file(tmp_path):
    path = tmp_path / "adapter_model.safetensors"
    beside(tmp_path, path.name, {"r": 4, "lora_alpha": 12})
    first = load(path)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"lora_alpha": 4}))
    second = load(path)
    assert first != second
    assert first.fingerprint != second.fingerprint
    assert type(first).from_json(first.to_json()) == first
    with pytest.raises(LoraFileError, match="has changed"):
        read_file(first.terms[0].file)


def test_a_config_far_too_long_is_refused(tmp_path):
    beside(tmp_path, "adapter_model.safetensors", " " * 2**21)
    with pytest.raises(LoraFileError, match="larger than 1048576 bytes"):
        load(tmp_path / "adapter_model.safetensors")


@pytest.mark.parametrize("text", ["[", "[" * 100_000, "3", '"x"', "[1]"])
def test_notes_that_cannot_be_made_out_are_said_to_be_so(text):
    assert FileConfig.read({"lora_adapter_metadata": text}).unreadable
    assert FileConfig.read({}, text).unreadable
    assert not FileConfig.read({}, "{}").unreadable


@pytest.mark.parametrize("value", ["8", [8], {}, float("inf"), float("nan"), 10**400])
def test_a_scale_that_is_no_number_is_refused(tmp_path, value):
    options = {"transformer.lora_alpha": value}
    path = write(tmp_path / "a.safetensors", lora("transformer.layer"), noted(**options))
    with pytest.raises(LoraFileError, match="lora_alpha in its config is"):
        load(path)


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"blocks\.\d+\.attn\..*q.*", r".*\.to_[a-z]*", "to_(q|k|v)", r"(?:attn|ff)\.to_q"),
        *(r".*blocks\.\d+\.(attn|ff).*", r"(.*\.)?blocks\.\d+\..*\.to_(q|k|v|o)"),
        *("attn.to_q", "to_q", "blocks.0.attn.to_q"),
    ],
)
def test_patterns_as_people_write_them(tmp_path, pattern):
    options = {"transformer.lora_alpha": 8, "transformer.alpha_pattern": {pattern: 2}}
    name = "transformer.blocks.0.attn.to_q"
    path = write(tmp_path / "a.safetensors", lora(name), noted(**options))
    ((module,),) = (read_file(identify(path)).modules.values(),)
    assert module.deltas[0].scale == 0.5


def test_a_name_for_every_layer_takes_no_time_to_speak_of(tmp_path):
    names = [f"blocks.{n}.to_q" for n in range(900)]
    content = {}
    for name in names:
        content |= lora(f"transformer.{name}", rank=1)
    patterns = {name: n + 1 for n, name in enumerate(names)}
    notes = noted(**{f"transformer.{kind}_pattern": patterns for kind in ("alpha", "rank")})
    file = read_file(identify(write(tmp_path / "a.safetensors", content, notes)))
    scales = [module.deltas[0].scale for module in file.modules.values()]
    assert sorted(scales) == [float(n + 1) for n in range(900)]


@pytest.mark.parametrize("version", ["9" * 5000, "", None, 3, [], "x"])
def test_a_version_may_be_anything(version):
    notes = FileConfig.read({}, json.dumps({"peft_version": version, "use_cayley_neumann": True}))
    assert notes.of("layer").is_before((0, 18)) in (True, False)


def test_a_pipe_in_place_of_the_config_is_not_waited_for(tmp_path):
    beside(tmp_path, "adapter_model.safetensors", {"r": 4, "lora_alpha": 12})
    (tmp_path / "adapter_config.json").unlink()
    os.mkfifo(tmp_path / "adapter_config.json")
    assert scale(tmp_path / "adapter_model.safetensors") == pytest.approx(1.0, abs=1e-12)


def test_a_config_without_a_time_counts(tmp_path):
    beside(tmp_path, "adapter_model.safetensors", {"r": 4, "lora_alpha": 12})
    os.utime(tmp_path / "adapter_config.json", ns=(0, 0))
    assert scale(tmp_path / "adapter_model.safetensors") == pytest.approx(3.0, abs=1e-12)


REFUSED = {
    "use_dora": ({"use_dora": True}, "trained as DoRA, but its magnitudes are not in the file"),
    "fan_in_fan_out": ({"fan_in_fan_out": True}, "fan_in_fan_out"),
    "pissa": ({"init_lora_weights": "pissa_niter_4"}, "changes the base model first"),
    "KaSA": ({"kasa_config": {"x": 1}}, "is KaSA, which this version does not read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_config_that_makes_something_else_of_it(tmp_path, case):
    config, words = REFUSED[case]
    beside(tmp_path, "adapter_model.safetensors", config)
    with pytest.raises(LoraFileError, match=words):
        load(tmp_path / "adapter_model.safetensors")


def test_a_family_that_only_its_config_names(tmp_path):
    write(tmp_path / "adapter_model.safetensors", {f"{PEFT}layer.rose_A": torch.ones(2, 2)})
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "ROSE"}))
    with pytest.raises(LoraFileError, match="is ROSE according to its config"):
        load(tmp_path / "adapter_model.safetensors")


@pytest.mark.parametrize("value", ["[[]" + ",[]" * 200_000 + "]", '"' + "x" * 3_000_000 + '"'])
def test_a_config_that_is_too_much_to_read_is_unreadable(value):
    text = '{"r": 4, "x": ' + value + "}"
    assert FileConfig.read({"lora_adapter_metadata": text}).unreadable
    assert FileConfig.read({}, text).unreadable
    assert not FileConfig.read({}, text[:14] + '"few"}').unreadable
