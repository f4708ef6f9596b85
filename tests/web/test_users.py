"""Users of one host, and tabs of one user: all see their own, and nothing of anybody's is lost."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

from harness.installs import NEWER, find_host, skip_notice
from tests.web.page import CONTEXT, Page
from tests.web.rows import Rows, row
from tests.web.stage import SHELF, applied_rows, lora_names, running_host

pytestmark = pytest.mark.slow  # a host of its own

INK, LIGHT, *_ = SHELF


class User:
    """One user in one browser."""

    def __init__(self, browser, host, name):
        self.host = host
        self.id = host.add_user(name)
        self.context = browser.new_context(**CONTEXT)
        self.page = self.tab()

    def tab(self):
        page = Page.of_user(self.context, self.host, "nodes2", self.id)
        page.clear()
        page.complaints.clear()  # the host answers with errors before anybody has signed in
        return page

    def kept(self, file):
        """What the host keeps for this user, as JSON."""
        kept = self.host.folder / "user" / self.id / "lora-algebra" / file
        return json.loads(kept.read_text()) if kept.exists() else {}

    def sets(self):
        return self.kept("lora_sets.json").get("sets", {})


@pytest.fixture(scope="module")
def shared(tmp_path_factory, notice):
    install = find_host(NEWER)
    if install is None:
        notice(skip_notice(NEWER))
        pytest.skip(skip_notice(NEWER))
    with running_host(install, tmp_path_factory.mktemp("users"), ("--multi-user",)) as host:
        yield host


@pytest.fixture
def sign_in(request, browser, shared):
    """Somebody new, with a browser of their own."""
    users = []

    def enter(name):
        users.append(User(browser, shared, f"{name}-{request.node.name}"))
        return users[-1]

    yield enter
    for user in users:
        assert user.page.complaints == []
        user.context.close()


def list_on(page, *rows):
    shown = Rows(page, page.add("LoRARows", "rows", [60, 60]))
    shown.fill(rows)
    shown.show()
    return shown


def ask_for_sets(rows):
    rows.root.get_by_role("button", name="Sets").click()


def offered(rows):
    """The sets in the menu, each with the number of its rows."""
    ask_for_sets(rows)
    items = rows.browser_page.get_by_role("menuitem")
    expect(items.first).to_have_text("Save as set…")
    names = [text for text in items.all_inner_texts() if text.endswith(")")]
    rows.keyboard.press("Escape")
    return names


def begin_saving(rows):
    ask_for_sets(rows)
    rows.browser_page.get_by_role("menuitem", name="Save as set…").click()


def name_it(rows, name):
    rows.browser_page.get_by_role("textbox", name="Name of the set").fill(name)
    rows.keyboard.press("Enter")


def test_a_set_of_one_user_is_not_seen_by_another(sign_in):
    ada, bob = sign_in("ada"), sign_in("bob")
    of_ada, of_bob = list_on(ada.page, row(INK, 0.5)), list_on(bob.page, row(LIGHT))
    begin_saving(of_ada)
    name_it(of_ada, "ink")
    ada.page.wait(lambda: "ink" in ada.sets())
    assert offered(of_bob) == []
    begin_saving(of_bob)
    name_it(of_bob, "ink")
    bob.page.wait(lambda: "ink" in bob.sets())
    for user, rows, name in ((ada, of_ada, INK), (bob, of_bob, LIGHT)):
        assert offered(rows) == ["ink (1)"]
        assert [each["name"] for each in user.sets()["ink"]] == [name]


def test_presets_of_blocks_are_each_users_own(sign_in):
    ada, bob = sign_in("ada"), sign_in("bob")
    saved = []
    for user in (ada, bob):
        page = user.page
        page.show([page.add("LoRABlockWeights", "blocks", [60, 60])])
        bars = page.browser_page.locator(".lora-algebra-blocks:visible")
        bars.get_by_role("button", name="Presets").click()
        save = page.browser_page.get_by_role("menuitem", name="Save as preset…")
        save.wait_for()
        saved.append(page.browser_page.get_by_role("menuitem").all_inner_texts())
        save.click()
        page.browser_page.get_by_role("textbox", name="Name of the preset").fill("mine")
        page.browser_page.keyboard.press("Enter")
        page.wait(lambda: "mine" in user.kept("block_presets.json"))  # noqa: B023
    assert saved[0] == saved[1]
    assert "mine" not in saved[1]


def test_rows_run_for_every_user(sign_in):
    for name, kind in (("ada", "sd15"), ("bob", "flux")):
        page = sign_in(name).page
        file, _ = lora_names(kind)
        page.loadPrompt(applied_rows(kind, [row(file, 0.5)]))
        page.run()
        shown = Rows(page, page.only("LoRARows"))
        shown.show()
        expect(shown.items()).to_have_count(1)
        assert page.savedRows(shown.node_id)["rows"][0]["name"] == file


def test_two_tabs_of_a_user_lose_nothing_of_each_other(sign_in):
    ada = sign_in("ada")
    first = list_on(ada.page, row(INK))
    second = list_on(ada.tab(), row(LIGHT), row(INK))
    begin_saving(first)
    begin_saving(second)
    name_it(second, "two")
    ada.page.wait(lambda: [*ada.sets()] == ["two"])
    name_it(first, "one")
    ada.page.wait(lambda: sorted(ada.sets()) == ["one", "two"])
    for rows in (first, second):
        assert sorted(offered(rows)) == ["one (1)", "two (2)"]
    assert second.page.complaints == []


def test_two_tabs_that_save_at_the_same_moment_lose_nothing(sign_in):
    ada = sign_in("ada")
    first = list_on(ada.page, row(INK))
    second = list_on(ada.tab(), row(LIGHT), row(INK))
    held = []
    first.browser_page.route("**/userdata/*lora_sets.json*", lambda route: hold(route, held))
    begin_saving(first)
    name_it(first, "one")
    ada.page.wait(lambda: held)  # it has read the file, and is about to write
    begin_saving(second)
    name_it(second, "two")
    second.page.settle()
    held[0].continue_()
    ada.page.wait(lambda: sorted(ada.sets()) == ["one", "two"], lambda: f"{ada.sets()}")
    assert second.page.complaints == []


def hold(route, held):
    """Lets a page read, but not write until the test says so."""
    if route.request.method == "POST":
        held.append(route)
    else:
        route.continue_()
