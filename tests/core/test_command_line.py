"""The command line: what it prints, writes and exits with."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from harness.samples import net, pair, tensors, write
from lora_core import Recipe, apply, load
from lora_core.__main__ import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(capsys):
    """One command, in this process: starting another takes a second of importing torch."""

    def command(*arguments):
        try:
            status = main(list(map(str, arguments)))
        except SystemExit as end:
            status = end.code
        said = capsys.readouterr()
        return SimpleNamespace(returncode=status, stdout=said.out, stderr=said.err)

    return command


def test_it_is_a_program(ink):
    command = [sys.executable, "-m", "lora_core", "inspect", str(ink), "--json"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert json.loads(said.stdout)["name"] == "ink.safetensors"


@pytest.fixture
def base(tmp_path):
    return write(tmp_path / "base.safetensors", net().state_dict(), {"title": "mine"})


@pytest.fixture
def ink(tmp_path):
    return write(tmp_path / "ink.safetensors", pair("linear", 6, 8, alpha=2.0), {"author": "me"})


def test_inspect(run, ink):
    said = run("inspect", ink)
    assert said.returncode == 0
    assert "ink.safetensors" in said.stdout
    assert "LoRA (1)" in said.stdout
    told = json.loads(run("inspect", ink, "--json").stdout)
    assert told["ranks"] == {"4": 1}
    assert told["metadata"] == {"author": "me"}


def test_inspect_names_trigger_words(run, ink):
    assert "triggers  none stated" in run("inspect", ink).stdout
    ink.with_suffix(".json").write_text('{"activation text": "ink style, sumi"}')
    assert "triggers  ink style, sumi" in run("inspect", ink).stdout


def test_apply_writes_the_sum_and_says_where_it_came_from(run, tmp_path, base, ink):
    light = write(tmp_path / "light=2.safetensors", tensors(1, **{"norm.w_norm": (8,)}))
    out = tmp_path / "out.safetensors"
    said = run("apply", base, "-l", f"{ink}=0.5", "-l", light, "-o", out)
    assert said.returncode == 0, said.stderr
    assert "ink.safetensors" in said.stdout
    before, after = load_file(base), load_file(out)
    up, down, alpha = (
        load_file(ink)[f"linear.{k}"] for k in ("lora_up.weight", "lora_down.weight", "alpha")
    )
    torch.testing.assert_close(
        after["linear.weight"], before["linear.weight"] + 0.5 * alpha / 4 * up @ down
    )
    torch.testing.assert_close(
        after["norm.weight"], before["norm.weight"] + load_file(light)["norm.w_norm"]
    )
    untouched = before.keys() - {"linear.weight", "norm.weight"}
    assert all(torch.equal(before[key], after[key]) for key in untouched)
    with safe_open(out, "pt") as opened:
        notes = opened.metadata()
    assert notes["title"] == "mine"
    added = json.loads(notes["lora_algebra.loras"])
    assert [(each["name"], each["strength_model"]) for each in added] == [
        ("ink.safetensors", 0.5),
        ("light=2.safetensors", 1.0),
    ]
    assert str(tmp_path) not in notes["lora_algebra.loras"]
    again = tmp_path / "again.safetensors"
    assert run("apply", out, "-l", ink, "-o", again).returncode == 0
    with safe_open(again, "pt") as opened:
        assert len(json.loads(opened.metadata()["lora_algebra.loras"])) == 3
    (tmp_path / "usual").touch()
    assert stat.S_IMODE(again.stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)


def test_block_weights_follow_the_strength(run, tmp_path):
    both = [f"input_blocks.{n}.1.transformer_blocks.0.attn1.to_q" for n in (4, 5)]
    weights = {f"model.diffusion_model.{name}.weight": torch.zeros(8, 8) for name in both}
    content: dict[str, torch.Tensor] = {}
    for name in both:
        content |= pair(f"diffusion_model.{name}", 8, 8)
    file, base = write(tmp_path / "l.safetensors", content), tmp_path / "b.safetensors"
    layers = {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(8, 4, 3, 3)}
    write(base, weights | layers)
    out = tmp_path / "o.safetensors"
    for blocks in ("in 5: 0.5; in 4: 0", "*.5.*: 0.5\n*.4.*: 0"):
        said = run("apply", base, "-l", f"{file}=2@{blocks}", "-o", out)
        assert "weighted by block" in said.stdout, said
        (four, five), made = weights, load_file(out)
        assert not made[four].any()
        change = pair("x", 8, 8)
        torch.testing.assert_close(
            made[five], change["x.lora_up.weight"] @ change["x.lora_down.weight"]
        )
    refused = run("apply", base, "-l", f"{file}=2@in 7: 0", "-o", out)
    assert refused.returncode == 1
    assert "in 4-5" in refused.stderr or "in 0-5" in refused.stderr


def test_apply_speaks_json(run, tmp_path, base, ink):
    out = tmp_path / "out.safetensors"
    told = json.loads(run("apply", base, "-l", ink, "-o", out, "--json").stdout)
    assert told["out"] == str(out)
    assert told["loras"][0]["parts"][0]["applied"] == 1


def test_a_base_may_be_replaced_by_its_result(run, base, ink):
    before = load_file(base)["linear.weight"].clone()
    assert run("apply", base, "-l", ink, "-o", base).returncode == 0
    assert not torch.equal(load_file(base)["linear.weight"], before)


def test_a_checkpoint_in_the_layout_of_sd15(run, tmp_path):
    """A kohya file in diffusers' words, on a checkpoint in its own."""
    block = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0"
    weights = tensors(
        0,
        **{
            "model.diffusion_model.input_blocks.0.0.weight": (8, 4, 3, 3),
            "model.diffusion_model.input_blocks.1.0.in_layers.0.weight": (8,),
            f"{block}.attn1.to_q.weight": (8, 8),
            f"{block}.attn2.to_k.weight": (8, 768),
            "model.diffusion_model.output_blocks.0.0.in_layers.0.weight": (8,),
            "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight": (16, 8),
        },
    )
    name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    text = "lora_te_text_model_encoder_layers_0_mlp_fc1"
    lora = write(tmp_path / "l.safetensors", {**pair(name, 8, 8), **pair(text, 16, 8, seed=1)})
    out = tmp_path / "out.safetensors"
    said = run("apply", write(tmp_path / "b.safetensors", weights), "-l", lora, "-o", out)
    assert said.returncode == 0, said.stderr
    assert "model: 1 of 1" in said.stdout
    assert "text encoder: 1 of 1" in said.stdout
    after = load_file(out)
    changed = {key for key in weights if not torch.equal(weights[key], after[key])}
    assert changed == {
        f"{block}.attn1.to_q.weight",
        "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight",
    }


REFUSED = {
    "no such LoRA": lambda folder, base, ink: (base, "-l", folder / "gone.safetensors"),
    "no such base": lambda folder, base, ink: (folder / "gone.safetensors", "-l", ink),
    "base a pipe": lambda folder, base, ink: (pipe(folder / "pipe.safetensors"), "-l", ink),
    "base a web page": lambda folder, base, ink: (page(folder / "p.safetensors"), "-l", ink),
    "base with scales": lambda folder, base, ink: (scaled(folder / "s.safetensors"), "-l", ink),
    "base cut short": lambda folder, base, ink: (cut(base), "-l", ink),
    "strength nan": lambda folder, base, ink: (base, "-l", f"{ink}=nan"),
    "does not fit": lambda folder, base, ink: (
        base,
        "-l",
        write(folder / "other.safetensors", pair("elsewhere", 6, 8)),
    ),
}


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def page(path: Path) -> Path:
    path.write_text("<html>" + " " * 100)
    return path


def scaled(path: Path) -> Path:
    return write(path, {**net().state_dict(), "linear.scale_weight": torch.ones(1)})


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-8])
    return path


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_ends_with_1_and_leaves_the_old_file(run, tmp_path, base, ink, what):
    out = tmp_path / "out.safetensors"
    out.write_text("the old one")
    said = run("apply", *REFUSED[what](tmp_path, base, ink), "-o", out)
    assert said.returncode == 1
    assert said.stderr.startswith("refused: ")
    assert "Traceback" not in said.stderr
    assert ("HTML page" in said.stderr) == (what == "base a web page")
    assert out.read_text() == "the old one"
    assert not list(tmp_path.glob(".*"))


def test_a_write_that_fails_leaves_nothing_behind(run, tmp_path, base, ink):
    out = tmp_path / "out.safetensors"
    out.mkdir()
    assert run("apply", base, "-l", ink, "-o", out).returncode == 1
    assert not list(tmp_path.glob(".*"))


def test_the_base_file_stays_as_it_is(run, tmp_path, base, ink):
    before = base.read_bytes()
    assert run("apply", base, "-l", ink, "-o", tmp_path / "out.safetensors").returncode == 0
    assert base.read_bytes() == before


def test_a_result_of_another_kind_is_refused(run, tmp_path, base, ink):
    said = run("apply", base, "-l", ink, "-o", tmp_path / "out.ckpt")
    assert said.returncode == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(run, tmp_path, base, ink):
    tmp_path.chmod(0o500)
    said = run("apply", base, "-l", ink, "-o", tmp_path / "out.safetensors")
    tmp_path.chmod(0o700)
    assert said.returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("apply",),
        ("inspect",),
        ("dance",),
        ("apply", "b", "-l", "x=abc", "-o", "o"),
        ("apply", "b", "-l", "x=1@NOTHING", "-o", "o"),
    ],
)
def test_wrong_usage_ends_with_2(run, arguments):
    assert run(*arguments).returncode == 2


# --- new LoRAs from old ---------------------------------------------------------------------------


@pytest.fixture
def light(tmp_path):
    return write(tmp_path / "light.safetensors", pair("linear", 6, 8, rank=2, seed=2))


def applied_to(base, *asked):
    weights = load_file(base)
    apply(weights, Recipe.sum(strength * load(path) for path, strength in asked))
    return weights["linear.weight"]


def test_combine_writes_the_sum(run, base, ink, light, tmp_path):
    out = tmp_path / "sum.safetensors"
    told = json.loads(run("combine", f"{ink}=0.5", f"{light}=-2", "-o", out, "--json").stdout)
    assert (told["out"], told["layers"]) == (str(out), 1)
    assert told["error"] < 1e-6
    expected = applied_to(base, (ink, 0.5), (light, -2))
    assert torch.allclose(applied_to(base, (out, 1)), expected, atol=1e-5)


def test_combine_by_a_method(run, ink, light, tmp_path):
    out = tmp_path / "ties.safetensors"
    said = run("combine", ink, light, "--method", "ties", "--density", "0.5", "-o", out)
    assert said.returncode == 0
    assert said.stdout.splitlines()[0] == "ties(1·ink, 1·light, density 0.5) (ties)"
    assert "error: " in said.stdout


def test_resize_and_convert(run, base, ink, tmp_path):
    out = tmp_path / "small.safetensors"
    told = json.loads(run("resize", ink, "--rank", "2", "-o", out, "--json").stdout)
    assert 0 < told["error"] < 1
    assert load_file(out)["linear.lora_down.weight"].shape == (2, 8)
    out = tmp_path / "half.safetensors"
    assert run("convert", ink, "-o", out, "--dtype", "float16").returncode == 0
    assert load_file(out)["linear.lora_up.weight"].dtype == torch.float16
    out = tmp_path / "named.safetensors"
    told = run("convert", ink, "-o", out, "--names", "kohya", "--model", base)
    assert told.returncode == 0, told.stderr
    assert torch.allclose(applied_to(base, (out, 1)), applied_to(base, (ink, 1)), atol=1e-6)
    refused = run("convert", ink, "-o", tmp_path / "x.safetensors", "--names", "kohya")
    assert (refused.returncode, "Say which model it is" in refused.stderr) == (1, True)


def test_extract_gives_back_what_apply_did(run, base, ink, tmp_path):
    tuned, out = tmp_path / "tuned.safetensors", tmp_path / "again.safetensors"
    run("apply", base, "-l", f"{ink}=0.7", "-o", tuned)
    said = run("extract", tuned, base, "--rank", "4", "--dtype", "float32", "-o", out)
    assert said.returncode == 0, said.stderr
    assert torch.allclose(applied_to(base, (out, 1)), applied_to(base, (ink, 0.7)), atol=1e-5)


def test_analyse_says_how_alike_they_are(run, ink, light):
    said = run("analyse", ink, f"{light}=0.5")
    assert said.returncode == 0, said.stderr
    assert "ink and light: cosine " in said.stdout
    told = json.loads(run("analyse", ink, light, "--json").stdout)
    assert told["names"] == ["ink", "light"]
    assert run("analyse", ink, f"{ink}=-1").returncode == 1


def test_analyse_draws_it(run, ink, light, tmp_path):
    out = tmp_path / "what.png"
    assert run("analyse", ink, light, "--png", out).returncode == 0
    with Image.open(out) as picture:
        assert picture.width == 640
        assert len(picture.getcolors(1 << 20)) > 10
    before = out.read_bytes()
    for again in (out, tmp_path / "what.jpg"):
        assert run("analyse", ink, light, "--png", again).returncode == 1
    assert out.read_bytes() == before
    assert not (tmp_path / "what.jpg").exists()


@pytest.mark.parametrize("verb", ["combine", "resize", "convert"])
def test_nothing_is_written_over(run, ink, light, verb):
    before = light.read_bytes()
    rank = ("--rank", "2") if verb == "resize" else ()
    said = run(verb, ink, *rank, "-o", light)
    assert said.returncode == 1
    assert "already" in said.stderr
    assert light.read_bytes() == before


def test_files_that_name_their_layers_differently_need_a_model(run, base, ink, tmp_path):
    other = write(tmp_path / "other.safetensors", pair("diffusion_model.linear", 6, 8, seed=3))
    out = tmp_path / "out.safetensors"
    said = run("combine", ink, other, "-o", out)
    assert (said.returncode, "call the layers differently" in said.stderr) == (1, True)
    assert run("combine", ink, other, "-o", out, "--model", base).returncode == 0


def test_what_depends_on_weights_takes_them_from_the_model(run, base, tmp_path):
    own = {**pair("linear", 6, 8), "linear.dora_scale": torch.rand(6, 1) + 0.5}
    dora, out = write(tmp_path / "dora.safetensors", own), tmp_path / "out.safetensors"
    said = run("combine", dora, "-o", out)
    assert (said.returncode, "depends on the model's weights" in said.stderr) == (1, True)
    assert run("combine", dora, "-o", out, "--model", base, "--dtype", "float32").returncode == 0
    assert torch.allclose(applied_to(base, (out, 1)), applied_to(base, (dora, 1)), atol=1e-5)


@pytest.mark.parametrize("family", ["loha", "lokr", "full"])
def test_what_the_file_says_alone_needs_no_model(run, base, tmp_path, family):
    shapes = {
        "loha": {
            f"hada_w{n}_{side}": (6, 2) if side == "a" else (2, 8) for n in "12" for side in "ab"
        },
        "lokr": {"lokr_w1": (2, 2), "lokr_w2": (3, 4)},
        "full": {"diff": (6, 8)},
    }
    own = tensors(5, **{f"linear.{name}": shape for name, shape in shapes[family].items()})
    file, out = write(tmp_path / f"{family}.safetensors", own), tmp_path / "out.safetensors"
    said = run("combine", f"{file}=0.5", "-o", out, "--dtype", "float32")
    assert said.returncode == 0, said.stderr
    assert torch.allclose(applied_to(base, (out, 1)), applied_to(base, (file, 0.5)), atol=1e-6)


def test_weights_with_a_scale_give_names_and_no_numbers(run, base, ink, tmp_path):
    weights = load_file(base) | {"linear.scale_weight": torch.ones(())}
    scaled = write(tmp_path / "scaled.safetensors", weights)
    told = run("combine", ink, "-o", tmp_path / "a.safetensors", "--model", scaled)
    assert told.returncode == 0, told.stderr
    own = {**pair("linear", 6, 8), "linear.dora_scale": torch.rand(6, 1) + 0.5}
    dora = write(tmp_path / "dora.safetensors", own)
    said = run("combine", dora, "-o", tmp_path / "b.safetensors", "--model", scaled)
    assert (said.returncode, "scale_weight" in said.stderr) == (1, True)
    said = run("extract", scaled, base, "-o", tmp_path / "c.safetensors")
    assert (said.returncode, "are equal" in said.stderr) == (1, True)
