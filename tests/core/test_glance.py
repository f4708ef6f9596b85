"""What is known of files at a glance: for which architectures they can be, and what is next to them."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.samples import pair, write
from lora_core.errors import LoraFileError
from lora_core.library import Glance, Overview, find_listed, glance_of, model_architecture
from lora_core.naming import (
    ARCHITECTURES,
    denoiser_architecture,
    kin_of,
    possible_architectures,
)
from lora_core.reading import identify
from tools.fidelity.layouts import layouts

LAYOUTS = layouts()


def glance(tmp_path: Path, content, metadata=None, **beside) -> Glance:
    path = tmp_path / "ink.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write(path, content, metadata)
    for ending, told in beside.items():
        (tmp_path / f"ink.{ending.replace('_', '.')}").write_text(json.dumps(told))
    return glance_of(identify(path))


def model_names(layout: str) -> list[str]:
    """What kohya calls the layers of a model."""
    keys = (key for key, shape in LAYOUTS[layout].shapes.items() if len(shape) > 1)
    return [
        "lora_unet_" + key.removesuffix(".weight").partition(".")[2].replace(".", "_")
        for key in keys
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_whole_file_is_never_taken_for_one_that_does_not_fit_its_model(layout: str):
    """Nothing is hidden that fits: what is possible has the model's own architecture, or nobody knows."""
    own = denoiser_architecture(LAYOUTS[layout].shapes)
    possible = possible_architectures(model_names(layout))
    assert own is None or not possible or {*kin_of(own)} & {*possible}, (own, possible)


def test_most_architectures_are_known_by_the_names_of_layers():
    known = {
        denoiser_architecture(LAYOUTS[layout].shapes)
        for layout in LAYOUTS
        if possible_architectures(model_names(layout))
    }
    assert len(known - {None}) > 20


def test_what_a_name_leaves_open_stays_open():
    double = ["transformer.single_transformer_blocks.0.attn.to_q"]
    assert {"Flux", "Flux.2", "Chroma", "HunyuanVideo"} <= {*possible_architectures(double)}
    assert "SDXL" not in possible_architectures(double)
    wan = {*possible_architectures(["blocks.0.self_attn.q"])}
    assert "Wan" in wan
    assert not wan & {"Flux", "Qwen-Image", "SDXL", "LTX-Video"}
    assert possible_architectures(["nobody.knows"]) == ()


def test_a_model_gets_the_loras_of_the_one_it_was_made_from():
    assert "Flux" in kin_of("Chroma")
    assert "Flux.2" not in kin_of("Chroma")
    # the text that they read is as wide as that of SD 2, and nothing else tells
    assert "SD 2" in kin_of("Stable Video Diffusion")
    assert kin_of("nobody") == ()


@pytest.mark.parametrize(("width", "name"), [(768, "SD 1.5"), (1024, "SD 2"), (2048, "SDXL")])
def test_unets_are_told_apart_by_the_text_they_read(tmp_path, width, name):
    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    assert glance(tmp_path, pair(layer, 8, width)).architectures == (name,)


def test_a_file_may_say_which_of_several_it_is_for(tmp_path):
    content = pair("lora_unet_double_blocks_0_img_attn_qkv", 8, 8)
    stated = glance(tmp_path, content, {"ss_base_model_version": "hunyuan_video"})
    assert stated.architectures == ("HunyuanVideo",)
    assert stated.base == "HunyuanVideo"
    other = glance(tmp_path, content, {"ss_base_model_version": "sdxl_base_v1-0"})
    assert {"Flux", "SDXL"} <= {
        *other.architectures
    }  # one of them is wrong, and we do not know which


def test_notes_tell_base_model_and_tags(tmp_path):
    found = glance(
        tmp_path,
        pair("lora_unet_x", 8, 8),
        {"modelspec.tags": "line art, ink"},
        metadata_json={
            "base_model": "Pony",
            "tags": ["Style"],
            "civitai": {"model": {"tags": ["ink", 7]}},
        },
        civitai_info={"model": {"tags": ["style", "x" * 100, "<b>"]}},
    )
    assert found == Glance((), "Pony", ("Style", "ink", "<b>", "line art"))


def test_a_damaged_file_still_has_its_notes(tmp_path):
    found = glance(tmp_path, b"nothing", metadata_json={"base_model": "Pony", "tags": ["a"]})
    assert found == Glance((), "Pony", ("a",))


@pytest.mark.parametrize("layout", ["sd15", "sdxl", "flux", "lumina2", "lens"])
def test_a_model_is_known_by_its_header(tmp_path, layout):
    bare = {key.partition(".")[2]: s for key, s in LAYOUTS[layout].shapes.items()}
    for shapes in (LAYOUTS[layout].shapes, bare):
        path = write(tmp_path / "model.safetensors", {k: torch.zeros(s) for k, s in shapes.items()})
        assert (
            model_architecture(identify(path))
            == denoiser_architecture(LAYOUTS[layout].shapes)
            is not None
        )


def test_a_model_that_cannot_be_read_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x80\x02}q")
    with pytest.raises(LoraFileError):
        model_architecture(identify(path))


# --- what lies next to files ---------------------------------------------------------------------


SHELF = ("ink.safetensors", "odd[1].safetensors", "in/ink.safetensors", "in/a.b.safetensors")


@pytest.fixture
def shelf(tmp_path):
    folder = tmp_path / "loras"
    (folder / "in").mkdir(parents=True)
    for name in (
        "ink.safetensors",
        "in/ink.safetensors",
        "in/a.b.safetensors",
        "odd[1].safetensors",
    ):
        write(folder / name, pair("lora_unet_x", 8, 8))
    return folder


def listed(folder: Path, *names: str):
    return {each.name: each for each in find_listed(names, [str(folder)])}


def test_pictures_and_videos_next_to_a_file_are_seen(shelf):
    for name in ("ink.preview.png", "in/a.b.JPG", "in/ink.mp4", "in/ink.png.txt", "odd[1].png"):
        (shelf / name).write_bytes(b"")
    names = ("ink.safetensors", "in/ink.safetensors", "in/a.b.safetensors", "odd[1].safetensors")
    found = listed(shelf, *names)
    assert [found[name].has_picture for name in names] == [True, False, True, False]
    assert [Path(found[name].video).name for name in names] == ["", "ink.mp4", "", ""]
    assert [*found] == [*names]


def test_links_are_no_pictures(shelf, tmp_path):
    (tmp_path / "secret").write_text("secret")
    for name in ("ink.png", "ink.mp4"):
        (shelf / name).symlink_to(tmp_path / "secret")
    found = listed(shelf, "ink.safetensors")["ink.safetensors"]
    assert (found.has_picture, found.video) == (False, "")


def test_the_first_folder_that_has_a_file_counts(shelf, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("ink.safetensors", "only.safetensors"):
        write(other / name, pair("lora_unet_x", 8, 8))
    names = ["ink.safetensors", "only.safetensors", "gone.safetensors", "in"]
    found = {each.name: each.folder for each in find_listed(names, [str(shelf), str(other)])}
    assert found == {"ink.safetensors": 0, "only.safetensors": 1}


# --- all of them ----------------------------------------------------------------------------------


class Looks:
    """Looks that wait until they are let go, and note what was looked at."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.go = threading.Event()

    def __call__(self, file) -> Glance:
        self.go.wait(60)
        self.names.append(file.name)
        if file.name == "odd[1].safetensors":
            raise RuntimeError("of a kind that nobody has thought of")
        return Glance(base=file.name)


def until_known(overview: Overview, files):
    for _ in range(2000):
        known = overview.known(files)
        if all(known):
            return known
        threading.Event().wait(0.01)
    raise AssertionError("waited in vain")


def test_what_is_known_is_told_at_once_and_one_bad_file_stops_nothing(shelf):
    looks = Looks()
    overview = Overview(looks)
    files = [*listed(shelf, "ink.safetensors", "odd[1].safetensors", "in/ink.safetensors").values()]
    assert overview.known(files) == [None, None, None]
    looks.go.set()
    known = until_known(overview, files)
    assert [each.base for each in known] == ["ink.safetensors", None, "in/ink.safetensors"]


def test_a_file_is_looked_at_again_when_it_or_its_notes_have_changed(shelf):
    looks = Looks()
    looks.go.set()
    overview = Overview(looks)
    until_known(overview, [*listed(shelf, "ink.safetensors").values()])
    once = len(looks.names)
    until_known(overview, [*listed(shelf, "ink.safetensors").values()])
    assert len(looks.names) == once
    (shelf / "ink.json").write_text("{}")
    (changed,) = listed(shelf, "ink.safetensors").values()
    until_known(overview, [changed])
    assert len(looks.names) > once
    (other,) = [replace(changed, state=(1, 2, 3))]
    assert overview.known([other]) == [None]


def news_until_known(overview: Overview, cursor: str):
    """All that is told after a cursor until nothing is left to look at, and the last cursor."""
    told = []
    for _ in range(2000):
        news = overview.since(cursor)
        told += news.seen
        cursor = news.cursor
        if news.complete:
            return told, cursor
        threading.Event().wait(0.01)
    raise AssertionError("waited in vain")


def test_what_becomes_known_is_told_once(shelf):
    looks = Looks()
    overview = Overview(looks)
    ink, odd, inner, new = listed(shelf, *SHELF).values()
    cursor = overview.cursor
    overview.known([ink, odd, inner])
    assert (overview.since(cursor).seen, overview.since(cursor).complete) == ([], False)
    looks.go.set()
    told, last = news_until_known(overview, cursor)
    assert {file: glance.base for file, glance in told} == {
        ink: "ink.safetensors",
        odd: None,
        inner: "in/ink.safetensors",
    }
    assert len(told) == 3
    assert overview.since(last).seen == []
    # all are asked for again: one is gone, and one is new
    overview.known([new, odd, inner])
    assert [file for file, _ in news_until_known(overview, last)[0]] == [new]
    assert {file for file, _ in overview.since(cursor).seen} == {odd, inner, new}
    assert Overview(looks).since(last) is None


def test_two_threads_look_and_then_end(shelf):
    looks = Looks()
    overview = Overview(looks)
    files = [*listed(shelf, "ink.safetensors", "odd[1].safetensors", "in/ink.safetensors").values()]
    for _ in range(5):
        overview.known(files)
    ours = [each for each in threading.enumerate() if each.name == "lora-algebra-overview"]
    assert len(ours) == 2
    looks.go.set()
    for each in ours:
        each.join(60)
    assert not any(each.is_alive() for each in ours)


def test_every_architecture_can_be_named():
    assert all(kin_of(known.name) for known in ARCHITECTURES)
