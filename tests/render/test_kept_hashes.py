"""Hashes of model files, kept for the next run."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from lora_render.contents import Contents
from lora_render.kept_hashes import KeptContents

INK = "ink.safetensors"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "models" / "loras" / INK
    path.parent.mkdir(parents=True)
    path.write_bytes(b"one")
    return path


@pytest.fixture
def read(monkeypatch):
    """The files that were read to be hashed."""
    files = []
    own = Contents._hash
    monkeypatch.setattr(Contents, "_hash", lambda self, path: files.append(path) or own(self, path))
    return files


def made(file):
    return KeptContents([file.parents[1]], file.parents[2] / "hashes.json")


def sha(content):
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once_in_all_runs(file, read):
    first = made(file)
    assert first(INK) == first(INK) == sha(b"one")
    first.save()
    assert made(file)(INK) == sha(b"one")
    assert read == [file]


def test_a_file_that_has_changed_is_read_again(file, read):
    first = made(file)
    first(INK)
    first.save()
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert made(file)(INK) == sha(b"two")
    assert read == [file, file]


def test_nothing_new_writes_nothing(file):
    contents = made(file)
    contents("none.safetensors")
    contents.save()
    assert not (file.parents[2] / "hashes.json").exists()


@pytest.mark.parametrize("kept", ["", "[]", "{", '{"a": 1}', '{"a": [1, 2]}', "\udcff"])
def test_a_store_that_cannot_be_read_is_no_store(file, kept):
    (file.parents[2] / "hashes.json").write_text(kept, errors="surrogateescape")
    contents = made(file)
    assert contents(INK) == sha(b"one")
    contents.save()
    assert len(json.loads((file.parents[2] / "hashes.json").read_text())) == 1
