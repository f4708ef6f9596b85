"""What an attacker may ask of the pack's routes, as a table of cases and their outcomes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from harness.samples import pair, raw, write
from tests.conftest import MEASURED
from tests.host.test_route import CROSS_SITE, request, tree

pytestmark = pytest.mark.slow

OUTSIDE = "this stands outside of the folder"
SOUND = "hostile/sound.safetensors"
HUGE = 100_000_000
FILES_AT_ONCE = 100
MOST = 64 * 1024
"""Bytes of an answer."""


@pytest.fixture(scope="module")
def told(host, request) -> Iterator[list[str]]:
    """The table, for the end of the run."""
    lines: list[str] = []
    yield lines
    version = host.install.version
    shown = [f"web case in {version}, {line}" for line in lines]
    shown.append(f"web cases over HTTP in ComfyUI {version}: {len(lines)}, all as promised")
    request.config.stash.setdefault(MEASURED, []).extend(shown)


@pytest.fixture(scope="module")
def disk(host):
    """A sound file in the loras folder, and beside the folder what nobody may read."""
    folder = host.loras_dir / "hostile"
    folder.mkdir()
    write(host.loras_dir / SOUND, pair("lora_unet_a", 8, 8), {"note": "sound"})
    outside = host.loras_dir.parent / "outside"
    outside.mkdir()
    write(outside / "decoy.safetensors", pair("lora_unet_a", 8, 8), {"note": OUTSIDE})
    (outside / "secret.txt").write_text(f"password: {OUTSIDE}", encoding="utf-8")
    return outside


ROUTES = {
    "lora": "name={}",
    "model": "kind=checkpoints&name={}",
    "model of another kind": "kind={}&name=tiny_sd15.safetensors",
    "video": "name={}",
}
"""What a name can be asked of: route -> query."""


def asked(host, name: str, route: str = "lora", **headers: str) -> tuple[int, bytes]:
    """Status and body; whatever the answer, it is short and tells of no path and no secret."""
    path = f"/lora_algebra/{route.partition(' ')[0]}"
    status, answered, body = request(host, ROUTES[route].format(name), path=path, **headers)
    assert len(body) <= MOST
    assert OUTSIDE.encode() not in body
    assert str(host.folder).encode() not in body
    assert "Access-Control-Allow-Origin" not in answered
    return status, body


OUT = {
    "up": "../outside/decoy.safetensors",
    "up, encoded": "..%2foutside%2fdecoy.safetensors",
    "up, encoded twice": "%252e%252e%252foutside%252fdecoy.safetensors",
    "up, from a folder": "hostile/../../outside/decoy.safetensors",
    "up, with backslashes": "..\\outside\\decoy.safetensors",
    "up, encoded backslashes": "..%5coutside%5cdecoy.safetensors",
    "up, too long for UTF-8": "%c0%ae%c0%ae/outside/decoy.safetensors",
    "up, wide letters": quote("../outside/decoy.safetensors"),
    "many up": "../" * 40 + "etc/passwd",
    "of the system": "/etc/passwd",
    "of a drive": "C:%5cWindows%5cwin.ini",
    "of another computer": "%5c%5cserver%5cshare%5cdecoy.safetensors",
    "a file URL": "file:///etc/passwd",
    "a stream": "hostile/sound.safetensors::$DATA",
    "NUL in the middle": "hostile/sound.safetensors%00.png",
    "NUL at the end": "hostile/sound.safetensors%00",
    "a new line": "hostile/sound%0d%0aSet-Cookie:%20a=b.safetensors",
    "a slash behind": "hostile/sound.safetensors/",
    "a lone surrogate": "%ed%a0%80.safetensors",
    "no UTF-8": "%ff%fe.safetensors",
    "the folder": "hostile",
    "a point": ".",
    "nothing but spaces": "%20%20",
}


@pytest.mark.usefixtures("disk")
@pytest.mark.parametrize("case", OUT)
def test_a_name_that_leads_out_leads_nowhere(host, told, case):
    status, body = asked(host, OUT[case].replace("\\", "%5c"))
    answer = json.loads(body)
    assert status in (200, 400)
    assert answer.get("facts") is None
    said = str(answer["error"])
    told.append(f"name, {case}: {status}, nothing told, {said.splitlines()[0][:80]!r}")


@pytest.mark.usefixtures("disk")
@pytest.mark.parametrize("route", [route for route in ROUTES if route != "lora"])
@pytest.mark.parametrize("case", OUT)
def test_no_route_leads_out(host, told, case, route):
    status, body = asked(host, OUT[case].replace("\\", "%5c"), route)
    assert status in (200, 400, 404)
    answer = json.loads(body) if body else {}
    assert not answer.get("architecture")
    told.append(f"{route}, {case}: {status}, {str(answer.get('error', ''))[:60]!r}")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_is_no_video_and_no_note(host, disk, told):
    folder = host.loras_dir / "hostile"
    for ending in ("mp4", "webm", "png"):
        (folder / f"sound.{ending}").symlink_to(disk / "secret.txt")
    status, _ = asked(host, SOUND, "video")
    _, _, body = request(host, "", path="/lora_algebra/library")
    for path in folder.iterdir():
        if path.is_symlink():
            path.unlink()
    (entry,) = [each for each in json.loads(body)["files"] if each["name"] == SOUND]
    assert status == 404
    assert not {"video", "folder"} & entry.keys()
    assert OUTSIDE.encode() not in body
    told.append(f"links beside a file, as video and picture: {status}, none of them told")


@pytest.mark.usefixtures("disk")
def test_a_video_larger_than_any_preview_is_not_read(host, told):
    video = host.loras_dir / "hostile" / "sound.mp4"
    with video.open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    status, body = asked(host, SOUND, "video")
    video.unlink()
    assert (status, body) == (404, b"")
    told.append(f"a video of more than 64 MiB: {status}")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_tell_what_the_host_lists_and_nothing_else(host, disk, told):
    folder = host.loras_dir / "hostile"
    (folder / "passwords.safetensors").symlink_to(disk / "secret.txt")
    (folder / "loop.safetensors").symlink_to(folder / "loop.safetensors")
    write(folder / "beside.safetensors", pair("lora_unet_a", 8, 8))
    (folder / "beside.json").symlink_to(disk / "secret.txt")
    for name in ("passwords", "loop", "beside"):
        status, body = asked(host, f"hostile/{name}.safetensors")
        error = json.loads(body)["error"]
        told.append(f"a link, {name}: {status}, {str(error).splitlines()[0][:80]!r}")
    for path in folder.iterdir():
        if path.is_symlink():
            path.unlink()


BIG = {
    "header": lambda folder: (folder / "big.safetensors").write_bytes(
        raw({"__metadata__": {"note": "<b>" * (HUGE // 3)}, "a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}})
    ),
    "header of nonsense": lambda folder: (folder / "big.safetensors").write_bytes(
        raw(0, text=b"[" * HUGE)
    ),
    "length without a header": lambda folder: (folder / "big.safetensors").write_bytes(
        raw(0, text=b"{}", length=HUGE)
    ),
    "sidecar": lambda folder: (folder / "big.json").write_text(
        json.dumps({"notes": "x" * HUGE}), encoding="utf-8"
    ),
    "sidecar of nonsense": lambda folder: (folder / "big.json").write_bytes(b"[" * HUGE),
    "sidecar of numbers": lambda folder: (folder / "big.json").write_text(
        '{"preferred weight":' + "9" * HUGE + "}", encoding="utf-8"
    ),
}  # fmt: skip


@pytest.mark.usefixtures("disk")
@pytest.mark.parametrize("case", BIG)
def test_what_has_100_mb_is_cut_or_refused(host, told, case):
    folder = host.loras_dir / "hostile"
    write(folder / "big.safetensors", pair("lora_unet_a", 8, 8))
    BIG[case](folder)
    try:
        status, body = asked(host, "hostile/big.safetensors")
    finally:
        for path in folder.glob("big.*"):
            path.unlink()
    answer = json.loads(body)
    assert (status, answer["name"]) == (200, "hostile/big.safetensors")
    layers = answer["facts"]["model_layers"]
    told.append(
        f"100 MB of {case}: {status}, {len(body):,} bytes, {layers} layers, "
        f"{str(answer['error']).splitlines()[0][:80]!r}"
    )


@pytest.mark.usefixtures("disk")
def test_a_hundred_requests_at_once_are_answered_alike(host, told):
    (host.loras_dir / "hostile" / "large.safetensors").write_bytes(raw(0, text=b"[" * HUGE))
    names = [SOUND, "hostile/large.safetensors", "../outside/decoy.safetensors"]
    answers: dict[str, list[tuple[int, bytes]]] = {name: [] for name in names}

    def ask(name: str) -> None:
        answers[name].append(asked(host, name))

    threads = [
        threading.Thread(target=ask, args=(names[n % len(names)],)) for n in range(FILES_AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (host.loras_dir / "hostile" / "large.safetensors").unlink()
    assert sum(map(len, answers.values())) == FILES_AT_ONCE
    assert all(len(set(same)) == 1 for same in answers.values())
    told.append(
        f"{FILES_AT_ONCE} requests at once for {len(names)} names: the same answer for each"
    )


@pytest.mark.usefixtures("disk")
@pytest.mark.parametrize(
    "method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "HEAD", "PROPFIND"]
)
@pytest.mark.parametrize("route", ["lora", "library"])
def test_other_methods_change_and_tell_nothing(host, told, method, route):
    before = tree(host)
    path = f"/lora_algebra/{route}"
    status, headers, body = request(host, f"name={SOUND}", method, path)
    assert status == (200 if method in ("HEAD", "OPTIONS") else 405)
    assert b"layers" not in body
    assert "Access-Control-Allow-Origin" not in headers
    assert tree(host) == before
    told.append(f"method {method} of {route}: {status}, {len(body)} bytes")


@pytest.mark.usefixtures("disk")
@pytest.mark.parametrize("case", CROSS_SITE)
def test_another_site_cannot_read_the_answer(host, told, case):
    before = tree(host)
    status, _ = asked(host, SOUND, **CROSS_SITE[case])
    assert status in (200, 403)
    assert tree(host) == before
    told.append(
        f"read by another site, {case}: {status}, without leave to read it, nothing written"
    )
