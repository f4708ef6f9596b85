"""The routes of the picker: all files at a glance, what a model is, and a file's video."""

from __future__ import annotations

import json
import shutil
from urllib.parse import urlencode

import pytest

from harness.samples import pair, write
from harness.tiny_loras import KINDS, write_lora
from tests.host.test_route import request

pytestmark = pytest.mark.every_host

FOLDER = "glance"
MADE_FOR = {"sd15": "SD 1.5", "sd3": "SD3", "flux": "Flux", "wan": "Wan"}


def get(host, path: str, **query: str):
    """Status and what is said."""
    status, headers, body = request(host, urlencode(query), path=f"/lora_algebra/{path}")
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert str(host.folder) not in body.decode()
    return status, json.loads(body)


def library(host):
    """All files by name, once all is known of them."""
    told = {}

    def complete():
        status, answer = get(host, "library")
        assert status == 200
        told.update({file["name"]: file for file in answer["files"]})
        return answer["complete"]

    host.wait_until(complete, "look at all files")
    return told


@pytest.fixture(scope="module")
def shelf(host):
    folder = host.loras_dir / FOLDER
    for kind in KINDS:
        write_lora(folder / f"{kind}.safetensors", kind, seed=91)
    (folder / "sd15.preview.png").write_bytes(b"not looked into")
    (folder / "wan.mp4").write_bytes(bytes(range(200)))
    notes = {"base_model": "Pony", "tags": ["ink", "<b>style"]}
    (folder / "sd15.metadata.json").write_text(json.dumps(notes))
    (folder / "damaged.safetensors").write_bytes(b"<!DOCTYPE html>" + bytes(60))
    (folder / "old.pt").write_bytes(b"\x80\x02}q")
    write(folder / "unknown.safetensors", pair("nobody.knows", 8, 8))
    yield
    shutil.rmtree(folder)  # other tests count what is listed


@pytest.mark.usefixtures("shelf")
def test_all_files_are_told_with_what_their_headers_and_notes_say(host):
    told = library(host)
    for kind, architecture in MADE_FOR.items():
        assert architecture in told[f"{FOLDER}/{kind}.safetensors"]["architectures"]
    ink = told[f"{FOLDER}/sd15.safetensors"]
    assert (ink["base"], ink["tags"], ink["folder"]) == ("Pony", ["ink", "<b>style"], 0)
    assert ink["size"] == (host.loras_dir / ink["name"]).stat().st_size
    assert ink["modified"] > 1_700_000_000_000
    wan = told[f"{FOLDER}/wan.safetensors"]
    assert wan["video"] is True
    assert "folder" not in wan
    for name in ("damaged.safetensors", "old.pt", "unknown.safetensors"):
        assert told[f"{FOLDER}/{name}"]["known"] is True
        assert "architectures" not in told[f"{FOLDER}/{name}"]


@pytest.mark.usefixtures("shelf")
def test_a_new_file_is_seen_and_one_that_is_gone_forgotten(host):
    assert f"{FOLDER}/new.safetensors" not in library(host)
    write_lora(host.loras_dir / FOLDER / "new.safetensors", "wan", seed=2)
    assert "Wan" in library(host)[f"{FOLDER}/new.safetensors"]["architectures"]
    (host.loras_dir / FOLDER / "new.safetensors").unlink()
    assert f"{FOLDER}/new.safetensors" not in library(host)


@pytest.mark.usefixtures("shelf")
def test_after_a_cursor_only_what_has_become_known_is_told(host):
    library(host)
    told = get(host, "library")[1]
    assert get(host, "library", since=told["cursor"])[1] == {
        "complete": True,
        "cursor": told["cursor"],
        "since": told["cursor"],
        "files": [],
    }
    write_lora(host.loras_dir / FOLDER / "later.safetensors", "wan", seed=3)
    listed = [file["name"] for file in get(host, "library")[1]["files"]]
    later = {}

    def complete():
        _, answer = get(host, "library", since=told["cursor"])
        later.update({file["name"]: file for file in answer["files"]})
        return answer["complete"]

    host.wait_until(complete, "look at the new file")
    (name,) = later
    assert name == f"{FOLDER}/later.safetensors"
    assert "Wan" in later[name]["architectures"]
    # the cursor of a host that is gone, or of nobody
    whole = get(host, "library", since="00000000-5")[1]
    assert "since" not in whole
    assert [file["name"] for file in whole["files"]] == listed
    (host.loras_dir / FOLDER / "later.safetensors").unlink()


@pytest.mark.parametrize("since", ["7", "-7", "a1-", "../etc", "a1-" + "9" * 19, "a1-7 "])
def test_what_is_no_cursor_is_refused(host, since):
    assert get(host, "library", since=since)[0] == 400


@pytest.mark.parametrize(
    ("kind", "name", "architecture"),
    [
        ("checkpoints", "tiny_sd15.safetensors", "SD 1.5"),
        ("diffusion_models", "tiny_flux.safetensors", "Flux"),
        ("diffusion_models", "tiny_sd3.safetensors", "SD3"),
        ("diffusion_models", "tiny_wan.safetensors", "Wan"),
    ],
)
def test_a_model_is_told_by_its_header(host, kind, name, architecture):
    status, told = get(host, "model", kind=kind, name=name)
    assert (status, told["architecture"], told["error"]) == (200, architecture, None)
    assert architecture in told["fits"]


def test_what_is_no_listed_model_is_not_looked_at(host):
    for name in (
        "gone.safetensors",
        "../loras/sd15.safetensors",
        "/etc/passwd",
        "tiny_flux.safetensors",
    ):
        status, told = get(host, "model", kind="checkpoints", name=name)
        assert (status, told["architecture"], told["fits"]) == (200, None, [])
        assert "no such file" in told["error"]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"name": "a"},
        {"kind": "loras", "name": "a"},
        {"kind": "checkpoints"},
        {"kind": "", "name": "a"},
    ],
)
def test_a_wrong_question_about_a_model_is_refused(host, query):
    assert get(host, "model", **query)[0] == 400


@pytest.mark.usefixtures("shelf")
def test_a_video_is_given_whole_or_in_part(host):
    name = urlencode({"name": f"{FOLDER}/wan.safetensors"})
    path = "/lora_algebra/video"
    status, headers, body = request(host, name, path=path)
    assert (status, headers["Content-Type"], body) == (200, "video/mp4", bytes(range(200)))
    assert headers["X-Content-Type-Options"] == "nosniff"
    status, headers, body = request(host, name, path=path, Range="bytes=10-19")
    assert (status, headers["Content-Range"], body) == (
        206,
        "bytes 10-19/200",
        bytes(range(10, 20)),
    )
    assert request(host, name, path=path, Range="bytes=900-")[0] == 416
    assert request(host, name, path=path, Range="nonsense")[0] == 416


@pytest.mark.usefixtures("shelf")
def test_there_is_no_other_video(host):
    path = "/lora_algebra/video"
    for name, expected in (
        ("sd15.safetensors", 404),
        ("wan.mp4", 404),
        ("gone.safetensors", 404),
        ("", 400),
    ):
        query = urlencode({"name": name and f"{FOLDER}/{name}"})
        status, _, body = request(host, query, path=path)
        assert (status, name) == (expected, name)
        assert len(body) < 200
