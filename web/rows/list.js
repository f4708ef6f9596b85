/** The rows on the page, between the buttons for all of them and the one that adds some. */

import { clipboardText } from "../interop/clipboard.js";
import { rowsFromText } from "../interop/paste.js";
import { library } from "../library/library.js";
import * as edits from "../model/value.js";
import { icon, make, setAttributes, setText } from "../page/elements.js";
import { t } from "../page/words.js";
import { askForText } from "./paste_box.js";
import { openPicker } from "./picker.js";
import { button, RowView } from "./row.js";

const UNDER = 4; // pixels below what is unfolded, as in rows.css
const IDENTITY_WAIT = 400; // milliseconds that a choice waits for the file's hash

export class List {
  /** @type {RowView[]} */
  views = [];
  #adding = Promise.resolve();

  /**
   * @param {import("../model/registry.js").RowsWidget} widget
   * @param {{ edit: Function, resized: () => void }} host
   */
  constructor(widget, host) {
    this.widget = widget;
    this.node = widget.node;
    this.edit = host.edit;
    this.resized = host.resized;
    this.element = make("div", { class: "lora-algebra-list", role: "list" });
    this.addButton = button("lora-algebra-add", icon("plus"), {
      "aria-haspopup": "dialog",
      onclick: () => this.addByPicker(),
    });
    this.addButton.append(t("Add LoRA"));
    this.content = make("div", { class: "lora-algebra-content" }, this.#makeToolbar(), this.element, this.addButton);
  }

  #makeToolbar() {
    const tool = (shape, text, action) => {
      const made = button("lora-algebra-tool", icon(shape), { onclick: action, "aria-label": text, title: text });
      made.append(make("span", {}, text));
      return made;
    };
    const change = (edit) => () => this.edit(edit);
    this.allButton = tool(
      "power",
      t("All on"),
      change((rows) => edits.setAllOn(rows, !edits.allOn(rows))),
    );
    this.normaliseButton = tool("balance", t("Normalise"), change(edits.normalise));
    this.normaliseButton.title = t("Scale the strengths that count so that they add up to 1");
    this.clearButton = tool(
      "clear",
      t("Clear"),
      change(() => []),
    );
    this.pasteButton = tool("paste", t("Paste"), () => this.#paste());
    this.pasteButton.title = t("Add rows from text on the clipboard");
    const tools = [this.allButton, this.normaliseButton, this.clearButton, this.pasteButton];
    return make("div", { class: "lora-algebra-toolbar", role: "toolbar", "aria-label": t("All rows") }, ...tools);
  }

  /** Shows the rows as they are now; what has the focus keeps it. @param {import("../model/value.js").Row[]} rows */
  render(rows) {
    const focused = this.content.contains(document.activeElement) ? document.activeElement : null;
    const at = focused && this.views.find(({ element }) => element.contains(focused));
    this.views = this.#viewsFor(rows);
    const active = new Set(edits.activeRows(rows));
    this.views.forEach((view, index) => view.update(rows[index], index, active.has(rows[index])));
    this.#showTools(rows);
    if (focused && (focused.disabled || document.activeElement !== focused)) this.#refocus(focused, at);
  }

  /** What had the focus may be gone, or of no use any more; its row may be gone, too. */
  #refocus(focused, view) {
    if (focused.isConnected && !focused.disabled) focused.focus();
    else (this.views.includes(view) ? view.more : this.addButton).focus({ preventScroll: true });
  }

  /** Each view stays with its row, where more than an edit has made another object of it. */
  follow(former, rows) {
    const heirs = new Map(former.map((row, index) => [row, rows[index]]));
    for (const view of this.views) view.row = heirs.get(view.row) ?? view.row;
  }

  #showTools(rows) {
    const text = rows.length && edits.allOn(rows) ? t("All off") : t("All on");
    setAttributes(this.allButton, { "aria-label": text, title: text });
    setText(this.allButton.lastChild, text);
    for (const tool of [this.allButton, this.normaliseButton, this.clearButton]) tool.disabled = !rows.length;
  }

  /** Those of the same rows, then those of rows that were at the same place, then new ones. */
  #viewsFor(rows) {
    const former = new Map(this.views.map((view) => [view.row, view]));
    const views = rows.map((row) => former.get(row));
    const free = this.views.filter((view) => !views.includes(view));
    views.forEach((view, index) => {
      if (view) return;
      const same = free.findIndex((each) => each.index === index);
      views[index] = free.splice(Math.max(0, same), 1)[0] ?? new RowView(this);
    });
    for (const view of free) view.index = -1;
    this.#arrange(views, free);
    return views;
  }

  #arrange(views, gone) {
    for (const { element } of gone) element.remove();
    views.forEach(({ element }, index) => {
      const { children } = this.element;
      if (children[index] === element) return;
      // what stands there moves, rather than what has the focus
      if (children[index]?.contains(document.activeElement) && children[index + 1] === element) {
        this.element.append(children[index]);
        this.element.insertBefore(this.element.lastChild, children[index + 1] ?? null);
      } else this.element.insertBefore(element, children[index] ?? null);
    });
  }

  /** How much of the height is for what comes and goes without an edit. */
  unfoldedHeight() {
    const unfolded = this.element.querySelectorAll(".lora-algebra-offers, .lora-algebra-panel");
    return [...unfolded].reduce((sum, { offsetHeight }) => sum + offsetHeight + UNDER, 0);
  }

  /** Draws again what has not been edited. */
  refresh() {
    for (const view of this.views) view.forget();
    this.render(this.widget.rows());
  }

  /** To the row that is now at a place, or to the button that adds one. */
  focusRow(index) {
    const view = this.views[Math.min(index, this.views.length - 1)];
    (view?.grip ?? this.addButton).focus();
  }

  addByPicker() {
    openPicker(this.addButton, { many: true, onPick: (name) => this.#add(name) });
  }

  /** @param {RowView} view */
  choose(view) {
    openPicker(view.file, { current: view.row.name, onPick: (name) => this.#choose(view, name) });
  }

  /** One after the other, in the order in which they were chosen. */
  #add(name) {
    this.#adding = this.#adding.then(() => this.#addNow(name));
  }

  async #addNow(name) {
    const identity = await this.#identify(name);
    this.edit((rows) => edits.add(rows, edits.newRow(name, edits.withName(name, identity))));
    this.element.lastElementChild?.scrollIntoView({ block: "nearest" });
  }

  async #choose(view, name) {
    this.rename(view, name, await this.#identify(name));
  }

  rename(view, name, identity) {
    view.edit(edits.rename, name, identity);
  }

  /** The file's hash and size, if they come soon: later they would be an edit that nobody made. */
  async #identify(name) {
    const late = new Promise((done) => setTimeout(done, IDENTITY_WAIT));
    await Promise.race([library.ask(name, { content: true }), late]);
    return library.identity(name);
  }

  async #paste() {
    const text = await clipboardText();
    if (text === null) askForText(this.pasteButton, (typed) => this.addText(typed));
    else if (!this.addText(text)) askForText(this.pasteButton, (typed) => this.addText(typed), text);
  }

  /** Adds the rows that a text stands for. @returns {boolean} whether there were any */
  addText(text) {
    const rows = edits.tidyRows(rowsFromText(text));
    if (rows.length) this.edit((former) => edits.add(former, ...(former.length ? edits.withoutSolo(rows) : rows)));
    return rows.length > 0;
  }
}
