"""Sets of rows: saved under a name for one user, loaded in any workflow, and never lost to another tab or version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

from tests.web.rows import Rows, row
from tests.web.stage import SHELF

pytestmark = pytest.mark.newest_page

INK, LIGHT, NIGHT, *_ = SHELF
FILE = "lora-algebra/lora_sets.json"
NEWER = "{name}.json is of a newer version. Update LoRA Algebra to open it."
NOTHING = "There are no LoRAs in {name}.json."

AT_ONCE = """async () => {
  const { Kept } = await import("/extensions/lora-algebra/page/kept.js");
  const form = { read: (json) => new Map(Object.entries(json)), write: Object.fromEntries };
  const [one, other] = [1, 2].map(() => new Kept("lora_sets.json", form));
  const add = (kept, name) => kept.change((now) => new Map([...now, [name, 1]]));
  const fault = one.change(() => { throw new Error("a fault"); }).catch(({ message }) => message);
  return Promise.all([fault, add(one, "one"), add(other, "other"), add(one, "last")]);
}"""
"""Changes by two who know nothing of each other, as tabs are; the first one goes wrong."""


@pytest.fixture
def file(host):
    """Where the host keeps the sets of its only user."""
    kept = host.folder / "user" / "default" / FILE
    kept.unlink(missing_ok=True)
    yield kept
    kept.unlink(missing_ok=True)


@pytest.fixture
def rows(page, file):  # noqa: ARG001
    shown = Rows(page, page.add("LoRARows", "rows", [60, 60]))
    shown.fill([row(INK, 0.5), row(LIGHT, on=False)])
    shown.show()
    return shown


def choose(rows, *names):
    """Goes through the menu of sets."""
    rows.root.get_by_role("button", name="Sets").click()
    for name in names:
        rows.browser_page.get_by_role("menuitem", name=name, exact=True).click()


def name_it(rows, name):
    rows.browser_page.get_by_role("textbox", name="Name of the set").fill(name)
    rows.keyboard.press("Enter")


def sets(file):
    return json.loads(file.read_text())["sets"] if file.exists() else {}


@pytest.mark.every_page
def test_a_set_is_saved_loaded_added_renamed_and_deleted(page, rows, file, shoot):
    choose(rows, "Save as set…")
    name_it(rows, "<b>my look")
    page.wait(lambda: "<b>my look" in sets(file))
    (first, second) = sets(file)["<b>my look"]
    assert (first["name"], first["strength"], second["on"]) == (INK, 0.5, False)
    assert json.loads(file.read_text())["version"] == 1
    rows.fill([row(NIGHT)])
    choose(rows)
    shoot("rows_sets")
    rows.keyboard.press("Escape")
    choose(rows, "<b>my look (2)", "Add to the rows")
    rows.expect(row(NIGHT), row(INK, 0.5), row(LIGHT, on=False))
    choose(rows, "<b>my look (2)", "Replace the rows")
    rows.expect(row(INK, 0.5), row(LIGHT, on=False))
    page.undo()
    rows.expect(row(NIGHT), row(INK, 0.5), row(LIGHT, on=False))
    choose(rows, "<b>my look (2)", "Save the rows here")
    page.wait(lambda: len(sets(file)["<b>my look"]) == 3)
    choose(rows, "<b>my look (3)", "Rename…")
    name_it(rows, "other")
    page.wait(lambda: [*sets(file)] == ["other"])
    choose(rows, "other (3)", "Delete")
    page.wait(lambda: not sets(file))


def test_enter_takes_the_name_that_is_proposed(page, rows, file):
    choose(rows, "Save as set…")
    rows.keyboard.press("Enter")
    name = Path(INK).stem + " + 1"
    page.wait(lambda: [*sets(file)] == [name])


def test_what_another_tab_has_saved_meanwhile_stays(page, rows, file):
    choose(rows, "Save as set…")
    file.parent.mkdir(parents=True, exist_ok=True)
    theirs = {"theirs": [row(NIGHT)], "no list": {"later": [1]}}
    file.write_text(json.dumps({"version": 1, "sets": theirs}))
    name_it(rows, "mine")
    page.wait(lambda: "mine" in sets(file))
    assert theirs.items() <= sets(file).items()


def test_changes_at_one_moment_are_made_one_after_the_other(page, file):
    told = page.browser_page.evaluate(AT_ONCE)
    assert told == ["a fault", True, True, True]
    assert json.loads(file.read_text()).keys() == {"one", "other", "last"}


@pytest.mark.parametrize("text", ['{"version": 2, "sets": {}}', "{", "[]"])
def test_a_file_of_another_version_is_told_and_stays(page, rows, file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    choose(rows)
    expect(page.browser_page.get_by_role("menuitem")).to_have_text(
        "The sets cannot be read, or are of another version."
    )
    rows.keyboard.press("Escape")
    assert file.read_text() == text


def test_a_newer_version_that_came_meanwhile_is_told_and_stays(page, rows, file):
    """Another tab may be of a newer LoRA Algebra."""
    choose(rows, "Save as set…")
    file.parent.mkdir(parents=True, exist_ok=True)
    newer = '{"version": 2, "sets": {"theirs": []}}'
    file.write_text(newer)
    name_it(rows, "mine")
    page.expect_text("ComfyUI has not saved this.")
    assert file.read_text() == newer


def test_a_name_that_is_taken_is_refused(page, rows, file):
    file.parent.mkdir(parents=True, exist_ok=True)
    both = {"one": [row(NIGHT), None], "two": [row(INK)]}
    file.write_text(json.dumps({"version": 1, "sets": both}))
    choose(rows, "Save as set…")
    name_it(rows, "one")
    page.expect_text("The name “one” is taken. Choose another one.")
    choose(rows, "two (1)", "Rename…")
    name_it(rows, "one")
    choose(rows, "one (1)", "Add to the rows")
    rows.expect(row(INK, 0.5), row(LIGHT, on=False), row(NIGHT))
    assert sets(file).keys() == both.keys()


def test_the_keyboard_is_enough(page, rows, file):
    rows.root.get_by_role("button", name="Sets").focus()
    rows.keyboard.press("Enter")
    expect(page.browser_page.get_by_role("menuitem").first).to_be_focused()
    rows.keyboard.press("Enter")
    page.wait(lambda: page.browser_page.get_by_role("textbox", name="Name of the set").count() == 1)
    rows.keyboard.type("keys")
    rows.keyboard.press("Enter")
    page.wait(lambda: "keys" in sets(file))
    expect(rows.root.get_by_role("button", name="Sets")).to_be_focused()


def test_a_set_has_no_link_to_an_input(page, rows, file):
    """Nor has one of an older version: in another list, the input would be that of another row."""
    keep(file, {"old": [row(NIGHT, link="strength_1")]})
    rows.fill([row(INK, 0.5), row(LIGHT, link="strength_1")])
    choose(rows, "Save as set…")
    name_it(rows, "new")
    page.wait(lambda: "new" in sets(file))
    assert ["link" in each for each in sets(file)["new"]] == [False, False]
    choose(rows, "old (1)", "Replace the rows")
    rows.expect(row(NIGHT))
    rows.fill([row(INK, 0.5), row(LIGHT, link="strength_1")])
    choose(rows, "old (1)", "Save the rows here")
    page.wait(lambda: len(sets(file)["old"]) == 2)
    assert ["link" in each for each in sets(file)["old"]] == [False, False]


def test_no_more_rows_come_than_a_list_may_have(page, rows, file):
    keep(file, {"many": [row(NIGHT) for _ in range(501)]})
    choose(rows, "many (501)", "Replace the rows")
    page.wait(lambda: len(rows.saved()) == 500, lambda: str(len(rows.saved())))


class TestFilesAndClipboard:
    @pytest.fixture
    def look(self, file):
        keep(file, {"look": [row(INK, 0.5), row(LIGHT, on=False)], "later": {"version": 2}})

    @pytest.mark.usefixtures("look")
    def test_a_set_is_copied_as_text_that_pasting_reads(self, page, rows):
        page.browser_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        rows.fill([])
        choose(rows, "look (2)", "Copy")
        page.expect_text("Copied 2 rows.")
        copied = json.loads(page.browser_page.evaluate("() => navigator.clipboard.readText()"))
        assert copied == {"version": 1, "rows": [row(INK, 0.5), row(LIGHT, on=False)]}
        rows.tool("Paste").click()
        rows.expect(row(INK, 0.5), row(LIGHT, on=False))

    @pytest.mark.usefixtures("look")
    def test_a_set_is_saved_as_a_file_and_opened_again(self, page, rows, file, tmp_path):
        with page.browser_page.expect_download() as started:
            choose(rows, "look (2)", "Save as file…")
        assert started.value.suggested_filename == "look.json"
        saved = tmp_path / "another look.json"
        started.value.save_as(saved)
        assert json.loads(saved.read_text())["rows"] == [row(INK, 0.5), row(LIGHT, on=False)]
        open_file(rows, saved)
        page.expect_text("Added to the sets: another look")
        assert sets(file)["another look"] == sets(file)["look"]
        assert sets(file)["later"] == {"version": 2}

    @pytest.mark.usefixtures("look")
    def test_a_file_with_all_sets_adds_those_whose_names_are_free(self, page, rows, file, tmp_path):
        other = tmp_path / "lora_sets.json"
        keep(other, {"look": [row(NIGHT)], "night": [row(NIGHT)], "no list": 5})
        open_file(rows, other)
        page.expect_text("Added to the sets: night")
        page.expect_text("The name “look” is taken. Choose another one.")
        assert [*sets(file)] == ["look", "later", "night"]
        assert sets(file)["look"][0]["name"] == INK

    @pytest.mark.usefixtures("look")
    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [
            ("newer", '{"version": 2, "rows": []}', NEWER),
            ("no rows", '{"version": 1, "rows": []}', NOTHING),
            ("no json", "{", NOTHING),
            ("no sets", '{"version": 1, "sets": {}}', NOTHING),
            ("newer sets", '{"version": 1, "sets": {"a": {"version": 2}}}', NEWER),
            ("not ours", '{"version": 2, "nodes": []}', NOTHING),
        ],
    )
    def test_a_file_without_sets_says_why_and_adds_nothing(
        self, page, rows, file, tmp_path, name, text, said
    ):
        before = file.read_text()
        (tmp_path / f"{name}.json").write_text(text)
        open_file(rows, tmp_path / f"{name}.json")
        page.expect_text(said.format(name=name))  # of this file: toasts of others may be there
        assert file.read_text() == before

    @pytest.mark.usefixtures("look")
    def test_of_sets_that_get_the_same_name_the_first_one_stays(self, page, rows, file, tmp_path):
        long = "n" * 60
        others = {long + "1": [row(NIGHT)], long + "2": [row(LIGHT)], " ": [row(INK)]}
        keep(tmp_path / "other.json", others)
        open_file(rows, tmp_path / "other.json")
        page.expect_text(f"Added to the sets: {long}, other.json")
        page.expect_text(f"The name “{long}” is taken.")
        assert [*sets(file)] == ["look", "later", long, "other.json"]
        assert [each["name"] for each in sets(file)[long]] == [NIGHT]

    @pytest.mark.usefixtures("look")
    def test_what_is_not_saved_is_not_said_to_be_added(self, page, rows, file, tmp_path):
        keep(tmp_path / "other.json", {"other night": [row(NIGHT)]})
        before = file.read_text()
        tab = page.browser_page
        tab.route("**/userdata/*lora_sets.json*", refuse_to_write)
        open_file(rows, tmp_path / "other.json")
        page.expect_text("ComfyUI has not saved this.")
        page.settle()
        assert tab.get_by_text("Added to the sets: other night").count() == 0
        tab.unroute("**/userdata/*lora_sets.json*", refuse_to_write)
        assert file.read_text() == before

    @pytest.mark.usefixtures("look")
    def test_a_set_of_a_newer_version_is_named_and_stays(self, page, rows, file):
        choose(rows)
        entry = page.browser_page.get_by_role("menuitem", name="later: of a newer version")
        expect(entry).to_be_disabled()
        rows.keyboard.press("Escape")
        choose(rows, "look (2)", "Save the rows here")
        page.wait(lambda: len(sets(file)["look"]) == 2)
        assert sets(file)["later"] == {"version": 2}


def keep(file, named):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"version": 1, "sets": named}))


def refuse_to_write(route):
    """As a network that fails."""
    if route.request.method == "POST":
        route.abort()
    else:
        route.continue_()


def open_file(rows, path):
    with rows.browser_page.expect_file_chooser() as asked:
        choose(rows, "Open file…")
    asked.value.set_files(path)
