"""Hashes of the files that a workflow names."""

from __future__ import annotations

import hashlib
import os

import pytest

from lora_render import hashes
from lora_render.hashes import Hashes


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.fixture
def models(tmp_path):
    for name in ("loras/style/ink.safetensors", "vae/own.safetensors", "unet/own.safetensors"):
        path = tmp_path / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "face.png").write_bytes(b"face")
    return tmp_path


def made(folder):
    return Hashes(
        [folder / "models", folder / "missing"], [folder / "input"], folder / "hashes.json"
    )


def test_a_file_is_found_below_the_folder_of_its_kind_or_among_the_inputs(models):
    of = made(models)
    assert of("style/ink.safetensors") == sha(b"loras/style/ink.safetensors")
    assert of("style\\ink.safetensors") == of("style/ink.safetensors")
    assert of("face.png") == sha(b"face")
    assert of("ink.safetensors") is None
    assert of("../input/face.png") is None


def test_a_name_that_several_kinds_have_stands_for_all_of_them(models):
    both = made(models)("own.safetensors")
    (models / "models/vae/own.safetensors").write_bytes(b"another")
    assert made(models)("own.safetensors") != both
    (models / "models/unet/own.safetensors").write_bytes(b"another")
    assert made(models)("own.safetensors") == sha(b"another")


def test_a_hash_is_computed_once_and_again_after_a_change(models, monkeypatch):
    read = []
    own = hashes._sha256
    monkeypatch.setattr(hashes, "_sha256", lambda path: read.append(path.name) or own(path))
    first = made(models)
    first("face.png"), first("face.png")
    first.save()
    made(models)("face.png")
    assert read == ["face.png"]
    path = models / "input" / "face.png"
    path.write_bytes(b"FACE")
    os.utime(path, ns=(1, 1))
    assert made(models)("face.png") == sha(b"FACE")


@pytest.mark.parametrize("kept", ["", "[]", "{", '{"a": 1}', '{"a": [1, 2]}'])
def test_a_store_that_cannot_be_read_is_no_store(models, kept):
    (models / "hashes.json").write_text(kept)
    assert made(models)("face.png") == sha(b"face")
