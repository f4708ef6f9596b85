"""The hash of a file's content is kohya's: of the bytes behind the header, whatever is in it."""

import hashlib
import os
from threading import Thread

import pytest

import lora_core.reading.content
from harness.samples import pair, raw, write
from lora_core.algebra import FileId
from lora_core.errors import LoraFileError
from lora_core.reading.content import ContentHashes, content_hash
from lora_core.reading.file_faults import LARGEST_FILE_BYTES
from lora_core.reading.header import identify


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "ink.safetensors", pair("layer", 6, 8))


def test_it_is_the_sha256_of_what_is_behind_the_header(file):
    content = file.read_bytes()
    behind = content[8 + int.from_bytes(content[:8], "little") :]
    assert content_hash(identify(file)) == hashlib.sha256(behind).hexdigest()


def test_metadata_and_name_do_not_change_it(file, tmp_path):
    other = write(
        tmp_path / "other.safetensors", pair("layer", 6, 8), {"sshs_model_hash": "f" * 64}
    )
    assert content_hash(identify(other)) == content_hash(identify(file))
    assert content_hash(identify(other)) != "f" * 64


def test_a_file_larger_than_a_reading_is_hashed_whole(tmp_path):
    body = os.urandom(3 * lora_core.reading.content.CHUNK_BYTES + 17)
    file = tmp_path / "big.safetensors"
    file.write_bytes(raw({}, body))
    assert content_hash(identify(file)) == hashlib.sha256(body).hexdigest()


def test_a_file_that_has_changed_is_refused_by_name(file):
    known = identify(file, "style/ink.safetensors")
    write(file, pair("layer", 6, 8, rank=2))
    with pytest.raises(LoraFileError, match=r'"style/ink.safetensors": has changed on disk'):
        content_hash(known)


def test_a_file_that_changes_meanwhile_is_refused(file, monkeypatch):
    known = identify(file)

    def meanwhile(*_):
        write(file, pair("layer", 6, 8, rank=2))
        return "0" * 64

    monkeypatch.setattr(lora_core.reading.content, "_hashed", meanwhile)
    with pytest.raises(LoraFileError, match="has changed"):
        content_hash(known)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>" + b" " * 99, b"\xff" * 99])
def test_what_is_no_safetensors_file_has_no_hash(tmp_path, content):
    file = tmp_path / "bad.safetensors"
    file.write_bytes(content)
    with pytest.raises(LoraFileError) as refused:
        content_hash(identify(file))
    assert refused.value.file == "bad.safetensors"


def test_a_file_larger_than_any_lora_is_not_hashed(tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    with file.open("wb") as written:
        written.write(raw({}))
        written.truncate(LARGEST_FILE_BYTES + 1)  # a hole, which takes no room
    with pytest.raises(LoraFileError, match="Is it a checkpoint") as refused:
        content_hash(identify(file))
    assert refused.value.file == "checkpoint.safetensors"


def test_a_file_that_is_gone_is_refused(file):
    known = identify(file)
    file.unlink()
    with pytest.raises(LoraFileError, match="cannot be opened"):
        content_hash(known)


@pytest.fixture
def counted(monkeypatch):
    """The files that were really hashed."""
    hashed = []

    def count(file):
        hashed.append(file)
        return file.path

    monkeypatch.setattr(lora_core.reading.content, "content_hash", count)
    return hashed


def test_each_state_of_a_file_is_hashed_once(file, counted):
    hashes = ContentHashes()
    first = identify(file)
    assert hashes.of(first) == hashes.of(identify(file, "another name")) == str(file)
    assert len(counted) == 1
    write(file, pair("layer", 6, 8, rank=2))
    hashes.of(identify(file))
    assert len(counted) == 2


def test_only_the_latest_are_kept(tmp_path, counted):
    hashes = ContentHashes(most=2)
    files = [identify(write(tmp_path / f"{n}.safetensors", pair("l", 2, 2))) for n in range(3)]
    for file in [*files, files[2], files[1], files[0]]:
        hashes.of(file)
    assert counted == [*files, files[0]]


def test_a_library_of_50_000_files_is_hashed_once(counted):
    hashes = ContentHashes()
    files = [FileId(f"{n}.safetensors", 1, 1, n) for n in range(50_000)]
    for file in [*files, *files]:
        hashes.of(file)
    assert counted == files


def test_threads_may_ask_at_once(tmp_path):
    files = [
        identify(write(tmp_path / f"{n}.safetensors", pair("l", 2, 2, seed=n))) for n in range(4)
    ]
    hashes, expected, found = ContentHashes(most=2), [content_hash(f) for f in files], []

    def ask():
        for _ in range(25):
            found.append([hashes.of(file) for file in files])

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 200
    assert all(each == expected for each in found)
