"""What the rows say of their files: what is in them, and what became of them in the last run."""

from __future__ import annotations

import pytest
from safetensors.torch import load_file, save_file

pytest.importorskip("playwright")

from playwright.sync_api import expect

from harness.tiny_loras import write_lora
from tests.web.rows import Rows, row
from tests.web.stage import lora_names, two_loras

FIRST, SECOND = lora_names("sd15")
FLUX = lora_names("flux")[0]
TOLD = "told.safetensors"
EVIL = "<img src=x onerror=alert(1)>\u202e</script><script>alert(2)</script>"
METADATA = {
    "modelspec.title": EVIL,
    "modelspec.trigger_phrase": "ink wash",
    "modelspec.description": EVIL,
    "ss_tag_frequency": '{"set": {"1girl": 9, "lighthouse": 4}}',
}


@pytest.fixture
def told(page, host):
    """A file whose notes say something, and with a layer that no model has."""
    file = host.loras_dir / TOLD
    write_lora(file, "sd15", seed=5)
    tensors = load_file(file)
    some = next(key for key in tensors if key.endswith("lora_down.weight"))
    for part in ("lora_down.weight", "lora_up.weight"):
        tensors[f"lora_unet_nowhere.{part}"] = tensors[
            some.replace("lora_down.weight", part)
        ].clone()
    save_file(tensors, file, metadata=METADATA)
    page.execute("Comfy.RefreshNodeDefinitions")
    return TOLD


@pytest.fixture
def rows(page):
    """A list of LoRAs that goes to the model, in a workflow that can run."""
    page.loadPrompt(two_loras("sd15"))
    page.fixSeeds()
    shown = Rows(page, page.add("LoRARows", "LoRA Rows", [-800, 60]))
    page.connect(shown.node_id, 0, page.only("ApplyToModel"), "lora")
    shown.show()
    return shown


def expect_state(rows, index, state, text):
    expect(rows.item(index)).to_have_attribute("data-state", state)
    expect(rows.item(index).locator(".lora-algebra-state")).to_have_text(text)


def title(rows, index):
    return rows.item(index).locator(".lora-algebra-state").get_attribute("title")


@pytest.mark.every_page
def test_after_a_run_every_row_says_what_became_of_it(page, told, rows, shoot):
    rows.fill([row(FIRST), row(told, 0.5), row(SECOND, on=False)])
    page.run()
    rows.show()
    expect_state(rows, 0, "applied", "11/11")
    expect_state(rows, 1, "partial", "11/12")
    expect_state(rows, 2, "none", "")
    assert "11 of 12 layers applied to SD 1.5" in title(rows, 1)
    assert "lora_unet_nowhere" in title(rows, 1)
    shoot("rows_after_run")


@pytest.mark.every_page
def test_undo_and_another_tab_keep_what_became_of_the_rows(page, rows):
    rows.fill([row(FIRST)])
    page.run()
    rows.show()
    expect_state(rows, 0, "applied", "11/11")
    rows.fill([row(FIRST, 0.25)])
    page.undo()
    expect_state(rows, 0, "applied", "11/11")
    tab = page.tab()
    page.clear({"keepTabs": True})
    page.openTab(tab)
    rows.show()
    expect_state(rows, 0, "applied", "11/11")


def test_a_refused_file_is_marked_on_its_row_until_the_next_run(page, rows, shoot):
    rows.fill([row(FIRST), row(FLUX)])
    assert page.queue()["end"] == "execution_error"
    rows.show()
    expect_state(rows, 1, "refused", "refused")
    assert "0 of 19 layers fit this model" in title(rows, 1)
    expect_state(rows, 0, "none", "")
    shoot("rows_refused")
    rows.switch(1).click()
    page.run()
    expect_state(rows, 0, "applied", "11/11")
    expect_state(rows, 1, "none", "")


def test_a_damaged_file_is_marked_on_its_row_until_the_next_run(page, host, rows):
    damaged = host.loras_dir / "damaged.safetensors"
    write_lora(damaged, "sd15", seed=6)
    with damaged.open("r+b") as file:
        file.truncate(damaged.stat().st_size - 1)
    page.execute("Comfy.RefreshNodeDefinitions")
    rows.fill([row(FIRST), row(damaged.name)])
    assert page.queue()["end"] == "execution_error"
    rows.show()
    expect_state(rows, 1, "refused", "refused")
    assert "bytes" in title(rows, 1)
    rows.switch(1).click()
    page.run()
    expect_state(rows, 0, "applied", "11/11")
    rows.switch(1).click()
    expect_state(rows, 1, "none", "")


def test_what_was_said_is_dimmed_while_another_run_is_under_way(page, rows):
    rows.fill([row(FIRST)])
    page.run()
    rows.show()
    page.startOfAnotherRun()
    expect_state(rows, 0, "stale", "11/11")
    page.run()
    expect_state(rows, 0, "applied", "11/11")


def test_rows_inside_a_subgraph_and_behind_a_stack_hear_of_it(page, rows):
    rows.fill([row(FIRST)])
    apply_node = page.only("ApplyToModel")
    scale = page.add("ScaleLoRA", "Scale", [-300, 60])
    page.connect(rows.node_id, 0, scale, "lora")
    page.connect(scale, 0, apply_node, "lora")
    outer = page.wrap([rows.node_id])
    page.run()
    page.enter(outer)
    inner = Rows(page, page.only("LoRARows"))
    inner.show()
    expect_state(inner, 0, "applied", "11/11")
    page.leave()
    page.after_subgraph()


def test_a_muted_list_hears_of_nothing(page, rows):
    rows.fill([row(FIRST)])
    page.setMode(rows.node_id, 2)
    page.run()
    rows.show()
    expect_state(rows, 0, "none", "")


@pytest.mark.every_page
def test_the_panel_tells_what_is_in_the_file(told, rows, shoot):
    rows.fill([row(told)])
    rows.details(0).click()
    panel = rows.panel(0)
    expect(panel).to_contain_text("LoRA, rank 4")
    expect(panel.get_by_role("button", name="ink wash", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(panel.get_by_role("button", name="1girl")).to_have_attribute("aria-pressed", "false")
    expect(
        panel.get_by_role("button", name="Copy the hash of the content (AutoV3)")
    ).to_be_visible()
    shoot("panel")


def test_trigger_words_are_chosen_added_and_taken_from_the_file_again(told, rows):
    rows.fill([row(told)])
    rows.details(0).click()
    panel = rows.panel(0)
    panel.get_by_role("button", name="1girl").focus()
    rows.press("Enter")
    rows.expect(row(told, triggers=["ink wash", "1girl"]))
    expect(panel.get_by_role("button", name="1girl")).to_be_focused()
    panel.get_by_role("textbox", name="Add a trigger word").fill("my own")
    rows.press("Enter")
    rows.expect(row(told, triggers=["ink wash", "1girl", "my own"]))
    panel.get_by_role("button", name="As in the file").click()
    rows.expect(row(told))


def test_text_from_a_file_stays_text(told, rows, shoot):
    rows.fill([row(told)])
    rows.details(0).click()
    panel = rows.panel(0)
    expect(panel.locator("b bdi")).to_have_text(EVIL.replace("\u202e", "\ufffd"))
    panel.locator("summary").click()
    assert panel.locator("img, script").count() == 0
    shoot("panel_hostile")


def test_a_file_that_is_not_there_is_said_in_words(rows):
    rows.fill([row("gone/away.safetensors")])
    rows.details(0).click()
    expect(rows.panel(0)).to_contain_text("ComfyUI does not have this file.")
