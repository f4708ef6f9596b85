"""What a user sees when something is wrong, and that the next prompt is right all the same."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness import workflows
from harness.samples import pair, write
from harness.workflows import render, stacked_loras
from tests.host.files import make_loras

UP = "transformer.transformer_blocks.0.attn.to_q.lora_B.weight"
DOWN = "transformer.transformer_blocks.0.attn.to_q.lora_A.weight"


@pytest.fixture(scope="module")
def good(host, tmp_path_factory):
    """The name of a LoRA that fits tiny Flux."""
    return make_loras(host, tmp_path_factory.mktemp("loras"), "flux", 1)[0]


def changed(**changes):
    """A writer: the good file with tensors replaced or (None) left out."""

    def write_file(source, target):
        content = {**load_file(source), **changes}
        save_file({k: v.contiguous() for k, v in content.items() if v is not None}, target)

    return write_file


def with_nan(source, target):
    content = load_file(source)
    content[UP][0, 0] = float("nan")
    save_file(content, target)


def scaled(factor):
    def write_file(source, target):
        save_file({k: v.float() * factor for k, v in load_file(source).items()}, target)

    return write_file


BAD_FILES = {
    # what: (how it is made from the good file, words of the message, the node that says it)
    "truncated file": (
        lambda source, target: target.write_bytes(source.read_bytes()[:-100]),
        "is incomplete",
        "LoadLoRA",
    ),
    "HTML file": (
        lambda _, target: target.write_bytes(b"<!DOCTYPE html><html>Sign in" + b" " * 200),
        "looks like an HTML page",
        "LoadLoRA",
    ),
    "pickle": (
        lambda _, target: target.write_bytes(b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01K\x01u."),
        "Python pickle",
        "LoadLoRA",
    ),
    "rank mismatch": (changed(**{UP: torch.ones(128, 7)}), "ranks differ", "LoadLoRA"),
    "NaN factor": (with_nan, "NaN or infinity", "ApplyToModel"),
    "wrong architecture": (
        lambda _, target: write(
            target,
            pair("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", 320, 768),
        ),
        "The file looks made for SD 1.5. The model is Flux.",
        "ApplyToModel",
    ),
    "half a pair": (changed(**{DOWN: None}), "its up but not its down", "LoadLoRA"),
    "an unread family": (
        changed(**{UP.replace("lora_B.weight", "lambda_layer"): torch.ones(128, 1)}),
        "is T-LoRA, which this version does not read",
        "LoadLoRA",
    ),
    "magnitudes of another layer": (
        changed(**{UP.replace("lora_B.weight", "dora_scale"): torch.ones(99, 1)}),
        "magnitudes (99,) of outputs does not fit the model's weight of (128, 128)",
        "ApplyToModel",
    ),
    "wrong shape": (
        changed(**{UP: torch.ones(99, 4), DOWN: torch.ones(4, 128)}),
        "does not fit the model's weight of (128, 128)",
        "ApplyToModel",
    ),
    "a checkpoint": (
        lambda _, target: write(target, {"model.diffusion_model.out.0.weight": torch.ones(3)}),
        "is not a LoRA",
        "LoadLoRA",
    ),
    "overflow": (scaled(1e20), "cannot hold", "ApplyToModel"),
}


def latent_hash(host, name, strength=1.0):
    return host.run(render("flux", stacked_loras((name, strength)))).report("TKHash")["sha256"]


@pytest.fixture(scope="module")
def expected(host, good):
    return latent_hash(host, good)


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_bad_file_is_refused_by_name(host, good, expected, what, show):
    make, words, node = BAD_FILES[what]
    bad = f"bad {what}.safetensors"
    make(host.loras_dir / good, host.loras_dir / bad)
    chain = stacked_loras((good, 0.5), (bad, 1.0))
    result = host.run(render("flux", chain), expect_error=True)
    show(f"{what}: {result.error.strip()}")
    assert words in result.error
    assert bad in result.error
    assert result.error_node.startswith(node)
    assert latent_hash(host, good) == expected


TRAVERSALS = [
    "../decoy.safetensors",
    "../../models/decoy.safetensors",
    "sub/../../decoy.safetensors",
    "..\\decoy.safetensors",
    "%2e%2e/decoy.safetensors",
    "/etc/passwd",
    "C:\\decoy.safetensors",
    "\\\\server\\share\\decoy.safetensors",
    "decoy.safetensors\0",
    "x" * 5000,
    "",
]


@pytest.mark.parametrize("name", TRAVERSALS, ids=lambda name: name[:20])
def test_a_name_out_of_the_folder_is_refused(host, good, expected, name, show):
    decoy = host.loras_dir.parent / "decoy.safetensors"  # would load, if it could be reached
    decoy.write_bytes((host.loras_dir / good).read_bytes())
    result = host.run(render("flux", stacked_loras((name, 1.0))), expect_error=True)
    assert result.status == "invalid"
    (validation_error,) = result.validation_errors("LoadLoRA")
    if name == TRAVERSALS[0]:
        show(f"traversal name: {validation_error}")
    assert "in the loras folder" in validation_error
    assert latent_hash(host, good) == expected


@pytest.mark.parametrize("name", [5, ["a"], {"content": "a"}, True], ids=str)
def test_a_name_of_another_type_is_refused(host, name):
    result = host.run(render("flux", stacked_loras((name, 1.0))), expect_error=True)
    assert result.status == "invalid"


def test_a_missing_file_names_close_ones(host, good, show):
    prompt = render("flux", stacked_loras((f"{good}s", 1.0)))
    result = host.run(prompt, expect_error=True)
    (validation_error,) = result.validation_errors("LoadLoRA")
    show(f"missing file: {validation_error}")
    assert "there is no such file" in validation_error
    assert good in validation_error


def test_separators_and_case_do_not_matter_if_only_one_file_can_be_meant(host, good):
    host.add_lora(host.loras_dir / good, "Style/Flux.safetensors")
    assert latent_hash(host, "style\\flux.safetensors") == latent_hash(host, good)
    host.add_lora(host.loras_dir / good, "style/flux.safetensors")
    result = host.run(
        render("flux", stacked_loras(("STYLE/FLUX.safetensors", 1))), expect_error=True
    )
    (validation_error,) = result.validation_errors("LoadLoRA")
    assert "Style › Flux.safetensors" in validation_error
    assert "style › flux.safetensors" in validation_error


def test_a_link_that_leads_nowhere_is_refused_in_words(host):
    (host.loras_dir / "dangling.safetensors").symlink_to(host.loras_dir / "gone")
    prompt = render("flux", stacked_loras(("dangling.safetensors", 1.0)))
    (validation_error,) = host.run(prompt, expect_error=True).validation_errors("LoadLoRA")
    assert "a broken link" in validation_error


STRENGTHS = {
    "NaN": (float("nan"), "error", "strength must be a finite number, not nan"),
    "NaN as text": ("nan", "error", "strength must be a finite number, not nan"),
    "infinity": (float("inf"), "invalid", "bigger than max"),
    "1e38": (1e38, "invalid", "bigger than max"),
    "a word": ("abc", "invalid", "Failed to convert"),
}


@pytest.mark.parametrize("what", STRENGTHS)
def test_a_strength_that_is_no_finite_number_is_refused(host, good, expected, what, show):
    strength, status, words = STRENGTHS[what]
    result = host.run(render("flux", stacked_loras((good, strength))), expect_error=True)
    said = result.error if status == "error" else result.validation_errors("LoadLoRA")[0]
    show(f"strength {what}: {said.strip()}")
    assert result.status == status
    assert words in said
    assert latent_hash(host, good) == expected


def test_nan_in_scale_is_refused(host, good):
    def chain(graph, model, clip):
        lora = [graph.add("LoadLoRA", lora_name=good, strength=1.0), 0]
        scale = graph.add("ScaleLoRA", lora=lora, strength_model=float("nan"), strength_clip=1.0)
        return workflows.apply_lora(graph, [scale, 0], model, clip)

    result = host.run(render("flux", chain), expect_error=True)
    assert "finite number" in result.error
    assert result.error_node == "ScaleLoRA"


def test_refusals_are_one_line_in_the_log_not_one_per_key(host):
    assert "lora key not loaded" not in host.log()
