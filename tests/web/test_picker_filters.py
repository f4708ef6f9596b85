"""The picker shows what fits: by the model, by base model and tag, by favourites; and on a row."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

from harness.samples import pair, write
from tests.web.rows import Rows, row
from tests.web.stage import SHELF

pytestmark = pytest.mark.newest_page

INK, LIGHT, NIGHT, ADA, *_ = SHELF
FLUX, WAN = "flux_1.safetensors", "wan_1.safetensors"
UNKNOWN = "filters/nobody knows.safetensors"
KEPT = "lora-algebra/lora_favourites.json"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f00050001ff"
    "56c7cd3f0000000049454e44ae426082"
)
VIDEO = """
import sys, av, numpy
with av.open(sys.argv[1], "w") as out:
    stream = out.add_stream("libvpx", rate=8)
    stream.width = stream.height = 32
    for at in range(8):
        frame = av.VideoFrame.from_ndarray(numpy.full((32, 32, 3), 30 * at, numpy.uint8))
        out.mux(stream.encode(frame))
    out.mux(stream.encode())
"""
"""Run by the host's Python, which has what it takes to write videos."""


@pytest.fixture(scope="module")
def shelf(host):
    """Files with notes, a picture and a video; of each kind of the stage, and of none."""
    (host.loras_dir / "filters").mkdir(exist_ok=True)
    write(host.loras_dir / UNKNOWN, pair("nobody.knows", 8, 8))
    beside = {
        "shelf/ink.metadata.json": {"base_model": "Pony", "tags": ["drawing", "<b>ink"]},
        "shelf/light.metadata.json": {"base_model": "SD 1.5", "tags": ["Drawing"]},
    }
    for name, notes in beside.items():
        (host.loras_dir / name).write_text(json.dumps(notes))
    picture, video = host.loras_dir / "shelf/ink.png", host.loras_dir / "shelf/people/ada.webm"
    picture.write_bytes(PIXEL)
    subprocess.run([host.install.python, "-c", VIDEO, video], check=True)
    for seconds, name in ((3000, LIGHT), (2000, WAN)):
        os.utime(host.loras_dir / name, (4_000_000_000 + seconds,) * 2)
    yield host.loras_dir
    for each in (picture, video, *(host.loras_dir / name for name in beside)):
        each.unlink()
    shutil.rmtree(host.loras_dir / "filters")


@pytest.fixture
def kept(host):
    """Where the host keeps the favourites of its only user."""
    file = host.folder / "user" / "default" / KEPT
    file.unlink(missing_ok=True)
    yield file
    file.unlink(missing_ok=True)


@pytest.fixture
def missing(page):
    """Addresses that the page asks for in vain."""
    asked: list[str] = []

    def hear(response):
        if response.status >= 400:
            asked.append(response.url)

    page.browser_page.on("response", hear)
    yield asked
    page.browser_page.remove_listener("response", hear)


@pytest.fixture
def rows(page, shelf, kept):  # noqa: ARG001
    page.browser_page.evaluate("localStorage.clear()")
    page.execute("Comfy.RefreshNodeDefinitions")  # there are new files
    shown = Rows(page, page.add("LoRARows", "rows", [60, 60]))
    shown.show()
    return shown


@pytest.fixture
def loader(page, rows):
    made = page.add("CheckpointLoaderSimple", "loader", [700, 60])
    page.set(made, {"ckpt_name": "tiny_sd15.safetensors"})
    page.connect(made, 0, rows.node_id, "model")
    rows.show()
    return made


def control(rows, name):
    return rows.picker().locator(f"[data-filter={name}]")


def open_picker(rows):
    rows.add_button().click()
    expect(control(rows, "base")).to_be_visible()  # so all files are told of


def shown_names(rows):
    return rows.options().evaluate_all("all => all.map(({ title }) => title)")


def expect_shown(rows, *names):
    rows.page.wait(lambda: {*names} <= {*shown_names(rows)}, lambda: str(shown_names(rows)))


def expect_hidden(rows, *names):
    rows.page.wait(lambda: not {*names} & {*shown_names(rows)}, lambda: str(shown_names(rows)))


@pytest.mark.every_page
@pytest.mark.usefixtures("loader")
def test_only_what_can_fit_the_model_is_shown_if_that_is_wanted(page, rows, missing, shoot):
    open_picker(rows)
    rows.search().fill("_1")
    fits = control(rows, "fits")
    expect(fits).to_have_attribute("aria-pressed", "false")
    expect_shown(rows, FLUX, WAN, "sd15_1.safetensors")
    fits.click()
    expect_hidden(rows, FLUX, WAN)
    expect_shown(rows, "sd15_1.safetensors")
    more = rows.picker().get_by_role("button", name="more do not fit: show all")
    expect(more).to_have_text("3 more do not fit")
    rows.search().fill("nobody")
    expect_shown(rows, UNKNOWN)
    rows.search().fill("")
    shoot("picker_fits")
    rows.press("Escape")
    page.clear()
    again = Rows(page, page.add("LoRARows", "rows", [60, 60]))
    loader = page.add("UNETLoader", "loader", [700, 60])
    page.set(loader, {"unet_name": "tiny_flux.safetensors"})
    page.connect(loader, 0, again.node_id, "model")
    again.show()
    open_picker(again)
    expect(control(again, "fits")).to_have_attribute("aria-pressed", "true")
    again.search().fill("_1")
    expect_shown(again, FLUX)
    expect_hidden(again, "sd15_1.safetensors")
    again.picker().get_by_role("button", name="more do not fit: show all").click()
    expect_shown(again, FLUX, WAN, "sd15_1.safetensors")
    again.press("Escape")
    assert missing == []


def test_without_a_model_nothing_is_said_of_it(rows):
    open_picker(rows)
    expect(control(rows, "fits")).to_be_hidden()
    rows.press("Escape")


WALK = """async (id) => {
  const { modelsOf } = await import("/extensions/lora-algebra/runs/model.js");
  return modelsOf(app.canvas.graph.getNodeById(id));
}"""
SD15 = [{"kind": "checkpoints", "name": "tiny_sd15.safetensors"}]
FLUX_MODEL = [{"kind": "diffusion_models", "name": "tiny_flux.safetensors"}]


def models_of(page, node_id):
    return page.browser_page.evaluate(WALK, node_id)


def test_the_model_is_found_through_whatever_is_between(page, rows, loader):
    assert models_of(page, rows.node_id) == SD15
    other = page.add("LoraLoaderModelOnly", "other", [60, 400])
    reroute = page.add("Reroute", "reroute", [400, 400])
    page.connect(loader, 0, reroute, "")
    page.connect(reroute, 0, other, "model")
    page.connect(other, 0, rows.node_id, "model")
    assert models_of(page, rows.node_id) == SD15
    page.setMode(other, 4)  # bypassed
    assert models_of(page, rows.node_id) == SD15
    page.setMode(other, 2)  # muted
    assert models_of(page, rows.node_id) is None
    page.setMode(other, 0)
    outer = page.wrap([loader, reroute, other])
    assert models_of(page, rows.node_id) == SD15
    page.unwrap(outer)


def test_the_model_is_that_of_what_applies_the_rows(page, rows):
    assert models_of(page, rows.node_id) is None
    apply = page.add("ApplyToModel", "apply", [500, 60])
    page.connect(rows.node_id, 0, apply, "lora")
    assert models_of(page, rows.node_id) is None
    loader = page.add("UNETLoader", "loader", [700, 60])
    page.set(loader, {"unet_name": "tiny_flux.safetensors"})
    page.connect(loader, 0, apply, "model")
    assert models_of(page, rows.node_id) == FLUX_MODEL
    second = page.add("ApplyToModel", "second", [500, 400])
    page.connect(rows.node_id, 0, second, "lora")
    sd15 = page.add("CheckpointLoaderSimple", "sd15", [700, 400])
    page.set(sd15, {"ckpt_name": "tiny_sd15.safetensors"})
    page.connect(sd15, 0, second, "model")
    assert sorted(each["name"] for each in models_of(page, rows.node_id)) == [
        "tiny_flux.safetensors",
        "tiny_sd15.safetensors",
    ]
    page.connect(page.add("TKLoadModel", "unknown", [900, 400]), 0, second, "model")
    assert models_of(page, rows.node_id) is None


def test_base_model_tag_and_order_narrow_the_list(rows):
    open_picker(rows)
    control(rows, "base").select_option("Pony")
    rows.page.wait(lambda: shown_names(rows) == [INK])
    expect(rows.picker().locator(".lora-algebra-hidden")).to_have_text(
        re.compile("^[0-9]+ more are hidden$")
    )
    control(rows, "base").select_option("")
    control(rows, "tag").select_option("drawing")
    rows.page.wait(lambda: {*shown_names(rows)} == {INK, LIGHT})
    control(rows, "order").select_option("date")
    rows.page.wait(lambda: shown_names(rows) == [LIGHT, INK])
    rows.picker().get_by_role("button", name="more are hidden: show all").click()
    rows.page.wait(lambda: shown_names(rows)[:2] == [LIGHT, WAN])
    expect(control(rows, "order")).to_have_value("date")
    rows.press("Escape")


def tab_to(rows, what):
    for _ in range(12):
        if what.evaluate("one => one === document.activeElement"):
            return
        rows.press("Tab")
    raise AssertionError("Tab does not go there")


@pytest.mark.usefixtures("loader")
def test_the_keyboard_is_enough(page, rows, kept):
    rows.add_button().focus()
    rows.press("Enter")
    expect(control(rows, "base")).to_be_visible()
    rows.keyboard.type("ink")
    page.wait(lambda: INK in shown_names(rows))
    rows.press("Control+d")
    page.wait(lambda: kept.exists() and json.loads(kept.read_text())["favourites"] == [INK])
    tab_to(rows, control(rows, "fits"))
    rows.press("Space")
    expect(control(rows, "fits")).to_have_attribute("aria-pressed", "true")
    tab_to(rows, control(rows, "favourites"))
    rows.press("Space")
    page.wait(lambda: shown_names(rows) == [INK])
    tab_to(rows, control(rows, "tag"))
    rows.keyboard.type("drawing")
    tab_to(rows, rows.picker().locator(".lora-algebra-hidden"))
    rows.press("Enter")
    page.wait(lambda: NIGHT in shown_names(rows))
    tab_to(rows, rows.search())
    rows.press("Enter")
    rows.expect(row(INK))
    expect(rows.add_button()).to_be_focused()


def test_favourites_are_kept_for_the_user(page, rows, kept, missing, shoot):
    open_picker(rows)
    rows.search().fill("shelf")
    rows.option(LIGHT).hover()
    rows.option(LIGHT).locator(".lora-algebra-star").click()
    expect(rows.option(LIGHT).get_by_role("img", name="Favourite")).to_be_visible()
    page.wait(kept.exists)
    assert json.loads(kept.read_text()) == {"version": 1, "favourites": [LIGHT]}
    kept.write_text(json.dumps({"version": 1, "favourites": [LIGHT, ADA]}))  # by another tab
    rows.press("Escape")
    open_picker(rows)
    control(rows, "favourites").click()
    page.wait(lambda: {*shown_names(rows)} == {LIGHT, ADA}, lambda: str(shown_names(rows)))
    shoot("picker_favourites")
    rows.option(ADA).locator(".lora-algebra-star").click()
    page.wait(lambda: shown_names(rows) == [LIGHT])
    page.wait(lambda: json.loads(kept.read_text())["favourites"] == [LIGHT])
    rows.press("Escape")
    assert missing == []
    assert rows.names() == []


def test_favourites_of_another_version_stay(page, rows, kept):
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text('{"version": 2}')
    open_picker(rows)
    rows.press("Control+d")
    page.expect_text("ComfyUI has not saved this.")
    assert kept.read_text() == '{"version": 2}'
    rows.press("Escape")


@pytest.fixture
def fresh(shelf):
    """Files that nobody has looked at."""
    folder = shelf / "filters" / "fresh"
    folder.mkdir()
    for number in range(300):
        shutil.copyfile(shelf / FLUX, folder / f"{number}.safetensors")
    yield folder
    shutil.rmtree(folder)


def test_the_page_asks_for_what_is_new_until_all_is_known(page, rows, fresh):  # noqa: ARG001
    answers: list = []

    def hear(response):
        if "/lora_algebra/library" in response.url:
            answers.append(response)

    page.browser_page.on("response", hear)
    open_picker(rows)
    page.wait(lambda: answers and answers[-1].json()["complete"])
    page.browser_page.wait_for_timeout(1500)  # longer than between the first questions
    told = [answer.json()["complete"] for answer in answers]
    assert told == [False] * (len(told) - 1) + [True]
    assert len(told) > 1
    assert all("since" in answer.json() for answer in answers[1:])
    page.browser_page.remove_listener("response", hear)
    expect(control(rows, "base")).to_contain_text("Flux (302)")
    rows.press("Escape")


PREVIEW = "/experiment/models/preview/"


def test_pictures_are_asked_for_only_where_there_are_some(page, rows, missing, shoot):
    asked: list[str] = []
    page.browser_page.on("request", lambda request: asked.append(request.url))
    open_picker(rows)
    rows.search().fill("shelf")
    rows.picker().get_by_role("button", name="Show pictures").click()
    image = rows.option(INK).locator("img")
    expect(image).to_have_js_property("naturalWidth", 1)
    rows.option(ADA).hover()
    video = rows.option(ADA).locator("video")
    page.wait(lambda: video.evaluate("({ readyState }) => readyState") >= 2)
    assert video.evaluate("({ muted, loop }) => [muted, loop]") == [True, True]
    shoot("picker_grid")
    rows.option(INK).hover()
    expect(video).to_have_count(0)
    rows.picker().get_by_role("button", name="Show a list").click()
    rows.press("Escape")
    # the browser may have the picture from an earlier test
    assert {url.rpartition("/")[2] for url in asked if PREVIEW in url} <= {"ink.safetensors"}
    assert missing == []


@pytest.mark.every_page
def test_a_picture_is_shown_while_the_mouse_or_the_focus_rests_on_a_row(page, rows, missing, shoot):
    rows.fill([row(INK), row(NIGHT), row(ADA)])
    before = page.workflow()
    shown = page.browser_page.locator(".lora-algebra-hover")
    rows.file(0).hover()
    expect(shown.locator("img")).to_have_js_property("naturalWidth", 1)
    shoot("rows_hover")
    page.browser_page.mouse.move(1500, 900)
    expect(shown).to_have_count(0)
    rows.file(2).hover()
    expect(shown.locator("video")).to_have_count(1)
    rows.press("Shift")  # any key, wherever the focus is
    rows.file(2).dispatch_event("pointerdown")
    expect(shown).to_have_count(0)
    page.browser_page.mouse.move(1500, 900)
    rows.switch(0).focus()
    rows.press("Tab")
    expect(rows.file(0)).to_be_focused()
    expect(shown.locator("img")).to_have_count(1)
    rows.press("ArrowDown")
    expect(shown).to_have_count(0)
    rows.file(0).hover()
    expect(shown).to_have_count(1)
    rows.fill([])
    expect(shown).to_have_count(0)
    page.undo()
    assert missing == []
    assert page.workflow()["nodes"][0]["widgets_values"] == before["nodes"][0]["widgets_values"]


# --- nothing of ours ------------------------------------------------------------------------------

COUNTING = """() => {
  window.ours = 0;
  for (const name of ["setTimeout", "setInterval", "requestAnimationFrame", "requestIdleCallback"]) {
    const former = window[name];
    window[name] = (...given) => {
      if (/extensions\\/lora-algebra/.test(new Error().stack)) window.ours += 1;
      return former.apply(window, given);
    };
  }
}"""


@pytest.mark.every_page
def test_without_a_node_of_ours_nothing_is_asked_and_no_timer_runs(page, shelf):  # noqa: ARG001
    asked: list[str] = []
    page.clear()
    page.browser_page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.clear()
    page.browser_page.evaluate(COUNTING)
    page.add("CheckpointLoaderSimple", "loader", [60, 60])
    page.execute("Comfy.RefreshNodeDefinitions")
    page.browser_page.wait_for_load_state("networkidle")
    for _ in range(10):
        page.settle()
    ours = [url for url in asked if re.search(r"/lora_algebra/|/models/loras|lora-algebra%2F", url)]
    assert ours == []
    assert page.browser_page.evaluate("window.ours") == 0
    rows = Rows(page, page.add("LoRARows", "rows", [60, 60]))
    rows.show()
    rows.add_button().click()
    page.wait(lambda: any("/lora_algebra/library" in url for url in asked))
    assert page.browser_page.evaluate("window.ours") > 0
    page.browser_page.keyboard.press("Escape")
    page.reload()
