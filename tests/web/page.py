"""ComfyUI's real page in a headless browser, as the tests speak of it."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    Locator,
    TimeoutError,
    expect,
)

from harness.host import LOCAL, Host

DRIVER = Path(__file__).with_name("page.js")
WINDOW = {"width": 1600, "height": 1000}
CONTEXT: dict[str, Any] = {"viewport": WINDOW, "locale": "en-US"}
ONLY_USER = "default"
SIGN_IN = "#comfy-user-selection"
STARTED = "window.app?.extensionManager && app.canvas?.graph"
RESTORED = "app.extensionManager.workflow.activeWorkflow"

PATIENCE = 20.0
"""Seconds. The page has two cores with others here, and needs up to ten for what it loads only when asked."""
STEP_MILLISECONDS = 70
TRIES = 3
JPEG_QUALITY = 80
MENU_AWAY = ".no-drag.fixed { display: none !important }"

RENDERERS = {"classic": False, "nodes2": True}
"""Name -> the setting Comfy.VueNodes.Enabled."""

QUIET = {
    "Comfy.TutorialCompleted": True,
    "Comfy.VueNodes.AutoScaleLayout": False,
    "Comfy.Release.Status": "what's new seen",
    "Comfy.Release.Version": "99.0.0",
    "Comfy.InstalledVersion": "99.0.0",
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasInfo": False,
}
"""Settings that keep greetings and maps away."""

HOSTS_OWN = re.compile(
    "status of 404|Content Security Policy|graph accessed before initialization|ERR_FAILED"
    "|subgraph poofed after load"
)
"""Errors that the page reports without us, too; the last one if a workflow is closed while the address still names
a subgraph in it."""

HOSTS_OWN_STACK = "autogrowInputDisconnected"
"""In that of an error the newer page throws when a node with linked growing inputs is removed."""


expect.set_options(timeout=1000 * PATIENCE)


class Page:
    """One open page. ``ids`` are those of the graph that is shown."""

    def __init__(self, browser: Browser, host: Host, renderer: str) -> None:
        self._open(browser.new_context(**CONTEXT), host, renderer, ONLY_USER)
        self._wait_until_started()

    @classmethod
    def of_user(cls, context: BrowserContext, host: Host, renderer: str, user: str) -> Page:
        """A tab of one user of a host that has several, who signs in where the page asks."""
        page = cls.__new__(cls)
        page._open(context, host, renderer, user)
        page._sign_in(user)
        page._wait_until_started()
        return page

    def _open(self, context: BrowserContext, host: Host, renderer: str, user: str) -> None:
        self.host = host
        self.renderer = renderer
        self.complaints: list[str] = []
        _write_settings(host, user, QUIET | {"Comfy.VueNodes.Enabled": RENDERERS[renderer]})
        self.browser_page = context.new_page()
        self.browser_page.set_default_timeout(1000 * PATIENCE)
        self.browser_page.add_init_script(path=DRIVER)
        self.browser_page.on("console", self._hear)
        self.browser_page.on("pageerror", self._catch)
        self.browser_page.on("dialog", self._answer)
        self.browser_page.route(re.compile(rf"^https?://(?!{LOCAL})"), lambda route: route.abort())
        self.browser_page.goto(f"http://{LOCAL}:{host.port}/")

    def _sign_in(self, user: str) -> None:
        """In the page's own list of users; another tab of the same browser is in already."""
        asking = self.browser_page.locator(SIGN_IN)
        self.browser_page.wait_for_function(f"document.querySelector('{SIGN_IN}') || ({STARTED})")
        if asking.count():
            asking.get_by_role("combobox").click()
            name, _, _ = user.rpartition("_")
            self.browser_page.get_by_role("option", name=name, exact=True).click()
            asking.get_by_role("button", name="Next").click()

    def reload(self) -> None:
        self.browser_page.reload()
        self._wait_until_started()

    def after_subgraph(self) -> None:
        """After a visit to one Nodes 2.0 draws no newly opened workflow until it is reloaded."""
        if RENDERERS[self.renderer]:
            self.reload()

    def close(self) -> None:
        self.browser_page.context.close()

    def __getattr__(self, name: str) -> Any:
        """The functions of page.js."""
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            code = f"arguments => lab.{name}(...arguments)"
            return self.browser_page.evaluate(code, list(arguments))

        return call

    def run(self) -> None:
        """Queue what is open, which must succeed."""
        result = self.queue()
        assert result["end"] == "execution_success", result

    def searched(self, words: str) -> list[str]:
        """The names that the page's own search lists for some words, the first one on top."""
        self.execute("Workspace.SearchBox.Toggle")
        self.browser_page.locator("input:focus").fill(words)
        found = self.browser_page.get_by_test_id("result-item")
        found.first.wait_for()
        self.settle()
        names = [text.split("\n")[0].strip() for text in found.all_inner_texts()]
        self.browser_page.keyboard.press("Escape")
        expect(self.browser_page.get_by_role("dialog")).to_have_count(0)
        return names

    def add_by_search(self, name: str, place: tuple[float, float]) -> None:
        """Adds a node as a person does, beginning with two clicks on the empty canvas."""
        field = self.browser_page.locator("input:focus")
        found = self.browser_page.get_by_text(name).first
        for _ in range(TRIES):
            self.browser_page.mouse.dblclick(*place)
            with contextlib.suppress(TimeoutError):
                field.wait_for(timeout=1000)
                self.browser_page.keyboard.type(name)
                found.wait_for(timeout=5000)
                break
            self.browser_page.keyboard.press(
                "Escape"
            )  # a dialog that opens slowly loses what is typed
        expect(found).to_be_visible()
        before = len(self.workflow()["nodes"])
        self.browser_page.keyboard.press("Enter")
        self.wait(lambda: len(self.workflow()["nodes"]) > before)
        expect(self.browser_page.get_by_role("dialog")).to_have_count(0)
        self.browser_page.mouse.move(*place)  # the new node hangs on the mouse
        self.browser_page.mouse.click(*place)

    def drag_wire(self, source: tuple[int, int], target: tuple[int, int]) -> None:
        """From an output to an input: (node, number of the socket)."""
        mouse = self.browser_page.mouse
        mouse.move(*self.socketPlace(source[0], True, source[1]))
        mouse.down()
        mouse.move(*self.socketPlace(target[0], False, target[1]), steps=4)
        mouse.up()

    def save_as(self, name: str) -> Path:
        """Saves the open workflow as a person does; the file on the host's disk."""
        self.browser_page.keyboard.press("Control+s")
        dialog = self.browser_page.get_by_role("dialog")
        dialog.get_by_role("textbox").fill(name)
        self.browser_page.keyboard.press("Enter")
        file = self.host.folder / "user" / "default" / "workflows" / f"{name}.json"
        self.wait(file.exists)
        expect(dialog).to_have_count(0)
        return file

    def report(self) -> Locator:
        """The report that is shown."""
        return self.browser_page.get_by_role("region", name="LoRA report")

    def report_text(self) -> Locator:
        """All of it, which is only seen where the report is open."""
        return self.report().locator("pre")

    def report_line(self) -> Locator:
        """The button that says it in one line, and opens it."""
        return self.report().get_by_role("button")

    def turn_report(self, is_open: bool) -> None:
        """Opens or closes it. The page remembers that for a while: across the tests, too."""
        if (self.report_line().get_attribute("aria-expanded") == "true") != is_open:
            self.report_line().click()
        expect(self.report_text()).to_be_visible(visible=is_open)

    def expect_report(self, *parts: str) -> None:
        """A report is to be seen, with these parts in its text, and drawn like one."""
        expect(self.report()).to_be_visible()  # also fails for two of them
        for part in parts:
            expect(self.report()).to_contain_text(part)
        expect(self.report_text()).to_have_css("white-space", "pre-wrap")
        expect(self.report()).not_to_have_attribute("data-stale", re.compile(""))

    def expect_dimmed_report(self) -> None:
        expect(self.report()).to_have_attribute("data-stale", "")
        expect(self.report()).to_have_css("opacity", "0.45")

    def expect_hidden_report(self) -> None:
        expect(self.report()).not_to_be_visible()

    def expect_no_report(self) -> None:
        expect(self.report()).to_have_count(0)

    def expect_error(self, text: str, before: str = "\0") -> None:
        """A run has failed with it; ``before`` such words, if there are any."""
        hidden = self._error_overlay().get_by_role("button", name="View details")
        with self._opened(hidden) as panel:
            shown = panel if panel else self._error_overlay()
            expect(shown).to_contain_text(text)
            assert text in (shown.text_content() or "").partition(before)[0]

    def expect_objection(self, text: str) -> None:
        """A node has refused its inputs with it."""
        hidden = self._error_overlay().get_by_role(
            "button", name=re.compile("View details|See Errors")
        )
        with self._opened(hidden) as panel:
            assert panel
            for more in panel.get_by_role("button", name=re.compile("^Info for ")).all():
                more.click()
            expect(panel).to_contain_text(text)

    @contextlib.contextmanager
    def _opened(self, hidden: Locator) -> Iterator[Locator | None]:
        """The host's list of errors, if there is such a button that opens it."""
        expect(self._error_overlay()).to_be_visible()
        if not hidden.count():
            yield None
            return
        hidden.click()
        yield self.browser_page.get_by_test_id("error-group-execution")
        self.browser_page.get_by_role("button", name="Toggle properties panel").click()

    def expect_no_error(self) -> None:
        expect(self._error_overlay()).to_have_count(0)

    def schedule(self) -> Locator:
        """The drawing of a curve that is shown."""
        return self.browser_page.locator(".lora-algebra-schedule:visible")

    def expect_schedule(self, state: str, says: str) -> None:
        """One is to be seen, in this state, with this in what it says to those who cannot see it."""
        expect(self.schedule()).to_have_count(1)
        expect(self.schedule()).to_have_attribute("data-state", state)
        expect(self.schedule()).to_have_attribute("aria-label", re.compile(re.escape(says)))

    def type_into(self, node_id: int, widget: str, text: str) -> None:
        """Types a value in place of that of a widget, as a person does in this renderer."""
        if RENDERERS[self.renderer]:
            shown = self.browser_page.locator(f'[data-node-id="{node_id}"]')
            shown.get_by_label(widget, exact=True).fill(text)
            return
        self.browser_page.mouse.click(*self.widgetPlace(node_id, widget))
        self.browser_page.locator(".graphdialog input").fill(text)
        self.browser_page.keyboard.press("Enter")

    def wheel_over_report(self, amount: int) -> None:
        self.report().hover()
        self.browser_page.mouse.wheel(0, amount)

    def open_templates(self, pack: str) -> None:
        """The template browser, showing those of one pack."""
        self.execute("Comfy.BrowseTemplates")
        # pages since 1.49 draw hundreds of cards first, which takes its time on a busy machine
        self.browser_page.get_by_text(pack, exact=True).click(timeout=90_000)

    def open_help(self, node_id: int) -> None:
        self.show([node_id])
        self.select(node_id)
        self.browser_page.get_by_test_id("info-button").click()

    def close_help(self) -> None:
        self.browser_page.get_by_role("button", name="Toggle properties panel").click()

    def expect_text(self, text: str) -> None:
        expect(self.browser_page.get_by_text(text).first).to_be_visible()

    def wait(
        self, condition: Callable[[], object], why: Callable[[], str] = lambda: "waited in vain"
    ) -> None:
        """Until it holds; else fail, saying why."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, why()
            self.browser_page.wait_for_timeout(20)

    def breathe(self) -> None:
        """As long as a person at least does, so that the next edit is a step of undo of its own."""
        self.browser_page.wait_for_timeout(STEP_MILLISECONDS)

    def screenshot(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.browser_page.screenshot(path=file)

    def take_picture(self, file: Path, node_ids: Iterable[int]) -> None:
        """Of some nodes and nothing else; a JPEG or PNG."""
        file.parent.mkdir(exist_ok=True)
        jpeg = {"type": "jpeg", "quality": JPEG_QUALITY} if file.suffix == ".jpg" else {}
        clip = self.picture(list(node_ids))
        self.browser_page.screenshot(path=file, clip=clip, style=MENU_AWAY, **jpeg)
        self.unpicture()

    def _error_overlay(self) -> Locator:
        return self.browser_page.get_by_test_id("error-overlay")

    def _wait_until_started(self) -> None:
        self.browser_page.wait_for_function(STARTED, timeout=60_000)
        self.browser_page.wait_for_load_state("networkidle")
        with contextlib.suppress(TimeoutError):  # there may be none
            self.browser_page.wait_for_function(RESTORED, timeout=5000)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not HOSTS_OWN.search(message.text):
            self.complaints.append(f"{message.text} ({message.location['url']})")

    def _answer(self, dialog: Dialog) -> None:
        if dialog.type == "beforeunload":
            return dialog.accept()
        self.complaints.append(f"{dialog.type}: {dialog.message}")
        return dialog.dismiss()

    def _catch(self, error: Error) -> None:
        if HOSTS_OWN_STACK not in (error.stack or ""):
            self.complaints.append(str(error))


def _write_settings(host: Host, user: str, settings: Mapping[str, object]) -> None:
    """The host reads this file anew for every page."""
    file = host.folder / "user" / user / "comfy.settings.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(settings), encoding="utf-8")
