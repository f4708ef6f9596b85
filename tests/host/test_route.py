"""The route of one file: what it tells of listed files, and that it tells of nothing else."""

from __future__ import annotations

import hashlib
import http.client
import json
import math
import os
import struct
import threading
import unicodedata
from contextlib import closing, contextmanager
from urllib.parse import quote, urlencode

import pytest

from harness.samples import pair, raw, write
from harness.tiny_loras import write_lora

FOLDER = "route"


def request(host, query, method="GET", path="/lora_algebra/lora", **headers):
    """Status, headers and text; ``query`` goes out as it is."""
    with closing(http.client.HTTPConnection("127.0.0.1", host.port, timeout=60)) as connection:
        connection.request(method, f"{path}?{query}", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def no_constant(name):
    raise AssertionError(f"{name} is no JSON")


def ask(host, name, **more):
    """The answer on a name."""
    status, headers, body = request(host, urlencode({"name": name, **more}))
    assert (status, headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert headers["Cache-Control"] == "no-store"
    assert len(body) <= 64 * 1024
    assert str(host.folder) not in body.decode()
    told = json.loads(body, parse_constant=no_constant)
    more = {"blocks", "presets"} if more.get("blocks") else set()
    assert told.keys() == {"asked", "name", "how", "close", "warnings", "facts", "error"} | more
    assert told["asked"] == name
    return told


@contextmanager
def listed(host, name, content):
    """A file of these bytes in the loras folder, under this name."""
    path = host.loras_dir / name
    path.write_bytes(content)
    try:
        yield name
    finally:
        path.unlink()


@pytest.fixture(scope="module")
def good(host, tmp_path_factory):
    """The name of a sound LoRA in a folder, with notes beside it."""
    file = tmp_path_factory.mktemp("loras") / "Ink.safetensors"
    write_lora(file, "sd15", seed=1)
    name = host.add_lora(file, f"{FOLDER}/Ink.safetensors")
    notes = {"activation text": "ink style", "preferred weight": 0.7}
    (host.loras_dir / FOLDER / "Ink.json").write_text(json.dumps(notes))
    return name


@pytest.fixture(scope="module")
def content(host, good):
    return (host.loras_dir / good).read_bytes()


@pytest.fixture(scope="module")
def hash_(content):
    start = 8 + int.from_bytes(content[:8], "little")
    return hashlib.sha256(content[start:]).hexdigest()


class TestWhatItTells:
    def test_all_of_a_file(self, host, good, content):
        told = ask(host, good)
        assert (told["name"], told["how"], told["close"], told["error"]) == (good, "path", [], None)
        facts = told["facts"]
        assert (facts["size"], facts["base"], facts["hash"]) == (len(content), "SD 1.5", None)
        assert (facts["model_layers"], facts["clip_layers"]) == (11, 0)
        assert facts["triggers"] == [{"word": "ink style", "count": None, "source": "sidecar"}]
        assert facts["stated_triggers"] == ["ink style"]
        assert facts["recommended"] == {"strength": 0.7, "least": None, "most": None}

    def test_the_same_under_api(self, host, good):
        status, _, body = request(host, urlencode({"name": good}), path="/api/lora_algebra/lora")
        assert (status, json.loads(body)["name"]) == (200, good)

    def test_the_hash_of_its_content_if_asked(self, host, good, hash_):
        assert ask(host, good, content=1)["facts"]["hash"] == hash_
        assert ask(host, good, content=0)["facts"]["hash"] is None

    def test_its_blocks_and_the_presets_if_asked(self, host, good):
        told = ask(host, good, blocks=1)
        into, middle, out = told["blocks"]
        assert (into["name"], middle["name"], out["name"]) == ("in", "mid", "out")
        assert [number for number, _ in into["blocks"]] == [*range(12)]
        assert any(size > 0 for _, size in into["blocks"])
        assert told["presets"]["ODDS"] == "evens: 0"

    def test_no_blocks_of_a_file_that_is_damaged_inside(self, host):
        damaged = raw(TENSORS, struct.pack("<4f", 1, 1, 1, math.nan))
        with listed(host, "nan.safetensors", damaged):
            told = ask(host, "nan.safetensors", blocks=1)
        assert (told["blocks"], "NaN" in told["error"]) == ([], True)

    @pytest.mark.parametrize("asked", [f"{FOLDER}\\INK.safetensors", f"{FOLDER}/ink.SAFETENSORS"])
    def test_a_name_of_another_system(self, host, good, asked):
        told = ask(host, asked)
        assert (told["name"], told["how"]) == (good, "spelling")

    def test_a_file_that_was_renamed_by_its_content(self, host, good, content, hash_):
        told = ask(host, "old/name.safetensors", hash=hash_.upper(), size=len(content))
        assert (told["name"], told["how"]) == (good, "content")
        assert [said["code"] for said in told["warnings"]] == ["found_by_content"]
        other = ask(host, "old/name.safetensors", hash=hash_, size=len(content) + 1)
        assert (other["name"], other["facts"]) == (None, None)
        other = ask(host, "old/Ink.safetensors", hash="0" * 64, size=len(content))
        assert (other["name"], other["close"]) == (None, [good])

    def test_the_only_file_of_that_base_name(self, host, good):
        told = ask(host, "elsewhere/Ink.safetensors")
        assert (told["name"], told["how"]) == (good, "basename")
        (said,) = told["warnings"]
        assert said["fields"] == {"asked": "elsewhere/Ink.safetensors", "name": good}

    def test_close_names_of_none(self, host, good):
        told = ask(host, f"{FOLDER}/Inc.safetensors")
        assert (told["name"], told["facts"], told["how"]) == (None, None, None)
        assert good in told["close"]
        assert "no such file" in told["error"]

    def test_a_name_in_another_script(self, host):
        name = unicodedata.normalize("NFD", "é 墨 😀 a,b & c #1 50%.safetensors")
        with listed(host, name, raw({})):
            assert ask(host, unicodedata.normalize("NFC", name))["name"] == name

    @pytest.mark.skipif(os.name == "nt", reason="names are text there")
    def test_a_listed_name_that_is_no_text_breaks_nothing(self, host, good):
        path = os.fsencode(host.loras_dir) + b"/Inkk\xff.safetensors"
        with open(path, "wb") as file:  # noqa: PTH123 (paths are bytes)
            file.write(raw({}))
        try:
            assert len(ask(host, "Inkk.safetensors")["close"]) >= 1
            assert ask(host, good)["name"] == good
        finally:
            os.unlink(path)  # noqa: PTH108


DAMAGED = {
    "nothing.safetensors": (b"", "empty or cut short"),
    "short.safetensors": (b"\x05", "empty or cut short"),
    "page.safetensors": (b"<!DOCTYPE html><title>Sign in</title>" + bytes(60), "HTML page"),
    "not text.safetensors": (raw(0, text=b"\xff\xfe{}"), "damaged"),
    "deep.safetensors": (raw(0, text=b"[" * 100_000), "damaged"),
    "old.pt": (b"\x80\x02}q\x00." + bytes(40), "only .safetensors"),
}


class TestFilesThatAreDamaged:
    @pytest.mark.parametrize("name", DAMAGED)
    def test_it_is_told_why(self, host, name):
        content, words = DAMAGED[name]
        with listed(host, name, content):
            told = ask(host, name, content=1)
        assert (told["name"], told["how"]) == (name, "path")
        assert words in told["error"]

    @pytest.mark.skipif(os.name == "nt", reason="links need rights there")
    def test_a_link_that_leads_nowhere(self, host):
        link = host.loras_dir / "leads_nowhere.safetensors"
        link.symlink_to("nowhere")
        try:
            told = ask(host, "leads_nowhere.safetensors")
        finally:
            link.unlink()
        assert (told["facts"], "not there" in told["error"]) == (None, True)

    def test_50_mb_of_html_in_its_notes(self, host):
        note = "<img src=x onerror=alert(1)></script>\u202egpj.exe\x00" + "x" * 50_000_000
        header = {"__metadata__": {"note": note, "other": "NaN"}, **TENSORS}
        with listed(host, "huge.safetensors", raw(header, bytes(16))):
            told = ask(host, "huge.safetensors")
        shown = told["facts"]["metadata"]["note"]
        assert shown.startswith("<img src=x onerror=alert(1)></script>\ufffdgpj.exe\ufffdxxx")
        assert shown.endswith(f"xxx… ({len(note):,} characters)")
        assert told["facts"]["model_layers"] == 1
        assert "header" in told["error"]

    def test_an_answer_that_would_be_too_long_has_fewer_words(self, host, tmp_path):
        tags = {"a": {f"{'墨' * 190} {number}": 1 for number in range(100)}}
        notes = {f"{'鍵' * 90}{number}": "値" * 200 for number in range(100)}
        notes |= {"ss_tag_frequency": json.dumps(tags), "modelspec.title": "ok"}
        file = write(tmp_path / "long.safetensors", pair("layer", 4, 4), notes)
        with listed(host, "long.safetensors", file.read_bytes()):
            facts = ask(host, "long.safetensors")["facts"]
        assert facts["title"] == "ok"
        assert 0 < len(facts["triggers"]) < 60
        assert 0 < len(facts["metadata"]) < 60


TENSORS = {
    "layer.lora_up.weight": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
    "layer.lora_down.weight": {"dtype": "F32", "shape": [1, 2], "data_offsets": [8, 16]},
}

OUTSIDE = (
    "../decoy.safetensors",
    "..%2fdecoy.safetensors",
    "%2e%2e%2fdecoy.safetensors",
    "%2e%2e/decoy.safetensors",
    "%252e%252e%252fdecoy.safetensors",
    "..\\decoy.safetensors",
    "..%5cdecoy.safetensors",
    f"{FOLDER}/../../decoy.safetensors",
    "....//decoy.safetensors",
    "{folder}/models/decoy.safetensors",
    "file://{folder}/models/decoy.safetensors",
    "C:%5cdecoy.safetensors",
    "%5c%5chost%5cshare%5cdecoy.safetensors",
    "%00",
    f"{FOLDER}/Ink.safetensors%00.png",
    "../decoy.safetensors%00",
    ".",
    "..",
    "%ff%fe",
    FOLDER,
)


class TestNamesThatAreNotListed:
    @pytest.fixture(autouse=True)
    def decoy(self, host, content):
        """A sound file beside the folder, which nobody may ever be told of."""
        path = host.loras_dir.parent / "decoy.safetensors"
        path.write_bytes(content)
        yield
        path.unlink()

    @pytest.mark.parametrize("asked", OUTSIDE)
    def test_no_file_is_touched(self, host, good, asked):
        assert ask(host, good)["facts"] is not None  # so that nothing below is refused by chance
        before = host.counters()["opened_files"]
        name = asked.replace("{folder}", quote(str(host.folder)))
        status, _, body = request(host, f"name={name}")
        told = json.loads(body)
        assert (status, told["name"], told["facts"]) == (200, None, None)
        assert told["error"]
        assert host.counters()["opened_files"] == before

    def test_even_with_the_right_content(self, host, good, content, hash_):
        told = ask(host, "../decoy.safetensors", hash=hash_, size=len(content))
        assert told["name"] in (None, good)


WRONG = {
    "no name": "",
    "an empty name": "name=",
    "two names": "name=a&name=b",
    "a long name": f"name={'a' * 5000}",
    "a short hash": "name=a&hash=abc&size=5",
    "a hash of other letters": f"name=a&hash={'g' * 64}&size=5",
    "two hashes": f"name=a&hash={'a' * 64}&hash={'b' * 64}",
    "a size that is none": "name=a&size=1e5",
    "a negative size": "name=a&size=-1",
    "a size of 5,000 digits": f"name=a&size={'9' * 5000}",
    "a size in other digits": f"name=a&size={quote('٣')}",
    "another flag": "name=a&content=yes",
    "two flags": "name=a&blocks=1&blocks=1",
}


class TestRequestsThatAreWrong:
    @pytest.mark.parametrize("fault", WRONG)
    def test_parameters(self, host, good, fault):
        assert request(host, urlencode({"name": good}))[0] == 200
        status, headers, body = request(host, WRONG[fault])
        assert (status, headers["Cache-Control"]) == (400, "no-store")
        assert len(json.loads(body)["error"]) < 100

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_methods(self, host, good, method):
        assert request(host, urlencode({"name": good}))[0] == 200
        assert request(host, urlencode({"name": good}), method)[0] == 405


def tree(host):
    """All that is on the disk: names, sizes and times."""
    entries = (path for path in host.folder.rglob("*") if path.name != "server.log")
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in entries}


CROSS_SITE = {
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "another origin": {"Origin": "http://evil.example"},
    "no origin": {"Origin": "null"},
    "a name that leads here": {"Host": "evil.example", "Origin": "http://evil.example"},
}


def test_it_leaves_no_trace(host, good, hash_, content):
    """Nothing is written, whoever asks for whatever."""
    before = tree(host)
    for query in (urlencode({"name": good, "content": 1}), *WRONG.values()):
        request(host, query)
        for headers in CROSS_SITE.values():
            request(host, query, **headers)
    ask(host, "gone.safetensors", hash=hash_, size=len(content))
    request(host, "name=../decoy.safetensors", "POST")
    assert tree(host) == before


def test_no_other_site_may_read_the_answer(host, good):
    for kind, headers in CROSS_SITE.items():
        status, answered, _ = request(host, urlencode({"name": good}), **headers)
        assert "Access-Control-Allow-Origin" not in answered, kind
        assert status in (200, 403)


def test_a_slow_disk_keeps_nobody_else_waiting(host, content):
    """The testkit opens no file of that name until it is told to. Three are looked at together."""
    with listed(host, "on a slow disk.safetensors", content) as name:
        answers: list[dict] = []
        waiting = [
            threading.Thread(target=lambda: answers.append(ask(host, name))) for _ in range(5)
        ]
        for thread in waiting:
            thread.start()
        host.wait_until(lambda: host.counters()["slow_now"] == 3, "open three files")
        assert answers == []
        host.release()
        for thread in waiting:
            thread.join()
        together = host.counters()["slow_at_once"]
    assert [answer["name"] for answer in answers] == [name] * 5
    assert together == 3


def test_many_at_once(host, good):
    answers: list[dict] = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(host, good, content=1)))
        for _ in range(24)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 24
    assert all(answer == answers[0] for answer in answers)


OURS = ("lora", "library", "model", "video")


def test_these_are_all_our_routes(host):
    """The host gives each route a second path, below /api."""
    ours = {(method, path) for method, path in host.routes() if "lora_algebra" in path}
    paths = [f"{start}/lora_algebra/{name}" for name in OURS for start in ("", "/api")]
    assert ours == {(method, path) for method in ("GET", "HEAD") for path in paths}
