"""Workflows from files: JSON in two forms, and pictures."""

from __future__ import annotations

import json
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lora_core.errors import LoraInputError
from lora_render.workflow import read_workflow, to_prompt
from tests.render import recorded, saved
from tests.render.graphs import INFO, prompt

UI = {"nodes": [], "links": []}


def picture(file, **texts):
    """A PNG with texts in it; a name that ends with _i, _z or _iz is written as iTXt, zTXt or compressed iTXt."""
    info = PngInfo()
    for name, text in texts.items():
        key, _, form = name.partition("_")
        if form in ("i", "iz"):
            info.add_itxt(key, text, zip=form == "iz")
        else:
            info.add_text(key, text, zip=form == "z")
    Image.new("RGB", (8, 8)).save(file, pnginfo=info)
    return file


class TestRead:
    @pytest.mark.parametrize("form", ["", "_i", "_z", "_iz"])
    def test_a_png(self, tmp_path, form):
        made = prompt(_3_={"text": "ein Häuschen"})
        file = picture(
            tmp_path / "a.png", **{f"prompt{form}": json.dumps(made)}, workflow=json.dumps(UI)
        )
        assert read_workflow(file) == made

    def test_a_png_without_a_prompt(self, tmp_path):
        file = picture(tmp_path / "a.png", parameters="x", workflow=json.dumps(UI))
        assert read_workflow(file) == UI

    @pytest.mark.parametrize("ending", ["webp", "jpg"])
    def test_a_picture_of_another_kind(self, tmp_path, ending):
        notes = Image.Exif()
        notes[0x010F] = "workflow:" + json.dumps(UI)
        notes[0x0110] = "prompt:" + json.dumps(prompt())
        file = tmp_path / f"a.{ending}"
        Image.new("RGB", (8, 8)).save(file, exif=notes)
        assert read_workflow(file) == prompt()

    def test_json_with_what_comfyui_writes(self, tmp_path):
        file = tmp_path / "a.json"
        file.write_text(
            '\ufeff{"1": {"class_type": "A", "inputs": {}, "is_changed": [NaN]}}', encoding="utf-8"
        )
        assert read_workflow(file)["1"]["is_changed"] == [None]

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("a.json", b"{", "JSON"),
            ("a.json", b"[]", "an object with nodes"),
            ("a.json", b"\xff\xfe", "JSON or a picture"),
            ("a.json", b"[" * 100_000, "JSON"),
            ("a.png", b"\x89PNG\r\n\x1a\n", "a picture with a workflow in it"),
            ("a.webp", b"RIFF\0\0\0\0WEBPVP8 ", "a picture"),
        ],
    )
    def test_what_is_none_is_refused(self, tmp_path, name, content, said):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(LoraInputError, match=said) as caught:
            read_workflow(tmp_path / name)
        assert caught.value.file == name

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(LoraInputError, match="there is no such file"):
            read_workflow(tmp_path / "none.json")

    def test_a_text_that_swells_is_not_unpacked_whole(self, tmp_path, monkeypatch):
        monkeypatch.setattr("lora_render.workflow.MOST_BYTES", 1000)
        text = json.dumps({"1": {"class_type": "A", "inputs": {"x": "0" * 100_000}}})
        with pytest.raises(LoraInputError, match="JSON"):
            read_workflow(picture(tmp_path / "a.png", prompt_z=text))
        assert len(zlib.compress(text.encode())) < 1000


class TestPrompt:
    def test_the_api_form_stays(self):
        assert to_prompt(prompt(), {}) == prompt()

    def test_what_does_not_count_is_left_out(self):
        made = {number: each | {"is_changed": [None]} for number, each in prompt().items()}
        assert to_prompt({"prompt": made, "client_id": "x"}, {}) == prompt()

    def test_the_form_of_the_page_is_converted(self):
        ours = to_prompt(saved.plain(), INFO)
        assert recorded.computes(ours) == recorded.computes(recorded.prompts()["plain"])

    @pytest.mark.parametrize("broken", [{}, {"1": {}}, {"1": {"class_type": "A"}}, {"a": 1}])
    def test_something_else_is_refused(self, broken):
        with pytest.raises(LoraInputError, match="not a prompt"):
            to_prompt(broken, {})
