/** Shows the rows on the page, between the buttons for all of them and the one that adds some. */

import { clipboardText } from "../interop/clipboard.js";
import { rowsFromFiles } from "../interop/dropped.js";
import { say } from "../interop/edit.js";
import { rowsFromText } from "../interop/paste.js";
import { library } from "../library/library.js";
import { splitName } from "../model/filenames.js";
import { advised } from "../model/outcomes.js";
import { otherHalf, sideOf } from "../model/pairs.js";
import * as edits from "../model/value.js";
import { icon, make, setAttributes, setText } from "../page/elements.js";
import { setting } from "../page/settings.js";
import { printable, short } from "../page/text.js";
import { t } from "../page/words.js";
import { usesLow } from "../runs/runs.js";
import { button } from "./controls.js";
import { askForText } from "./paste_box.js";
import { openPicker } from "./picker.js";
import { RowView } from "./row.js";
import { openSets } from "./sets.js";

const UNDER = 4; // pixels below what is unfolded, as in rows.css
const IDENTITY_WAIT = 400; // milliseconds that a choice waits for the file's hash
const FACTS_WAIT = 2000; // and for what its header and its notes say, which is much less work

/**
 * @typedef {import("../model/value.js").Row} Row
 * @typedef {import("../model/value.js").Identity} Identity
 * @typedef {(change: (rows: Row[]) => Row[], how?: import("./row.js").How) => void} Edit one edit by the user
 */

export class List {
  /** @type {RowView[]} */
  views = [];
  #adding = Promise.resolve();

  /**
   * @param {import("../model/registry.js").RowsWidget} widget
   * @param {{ edit: Edit, resized: () => void }} host
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
    this.tools = this.#makeTools();
    this.content = make("div", { class: "lora-algebra-content" }, this.#makeToolbar(), this.element, this.addButton);
  }

  #makeTools() {
    /** @param {Parameters<typeof icon>[0]} shape @param {string} text @param {() => void} action */
    const tool = (shape, text, action) => {
      const made = button("lora-algebra-tool", icon(shape), { onclick: action, "aria-label": text, title: text });
      made.append(make("span", {}, text));
      return made;
    };
    const change = (/** @type {(rows: Row[]) => Row[]} */ edit) => () => this.edit(edit);
    const toggleAll = change((rows) => edits.setAllOn(rows, !edits.allOn(rows)));
    const clear = change(() => []);
    const tools = {
      all: tool("power", t("All on"), toggleAll),
      normalise: tool("balance", t("Sum to 1"), change(edits.normalise)),
      clear: tool("clear", t("Clear"), clear),
      sets: tool("list", t("Sets"), () => this.#openSets()),
      paste: tool("paste", t("Paste"), () => this.#paste()),
    };
    tools.normalise.title = t("Scale the active strengths so that they add up to 1");
    setAttributes(tools.sets, { "aria-haspopup": "menu" });
    tools.sets.title = t("Rows that you have saved under a name");
    tools.paste.title = t("Add rows from text on the clipboard");
    return tools;
  }

  #makeToolbar() {
    const { all, normalise, clear, sets, paste } = this.tools;
    const properties = { class: "lora-algebra-toolbar", role: "toolbar", "aria-label": t("All rows") };
    return make("div", properties, all, normalise, clear, sets, paste);
  }

  /** Shows the rows as they are now. What has the focus keeps it. @param {Row[]} rows */
  render(rows) {
    const focused = this.#focused();
    const at = focused && this.views.find(({ element }) => element.contains(focused));
    this.views = this.#viewsFor(rows);
    const active = new Set(edits.activeRows(rows));
    for (const [index, view] of this.views.entries()) view.update(rows[index], index, active.has(rows[index]));
    this.#showTools(rows);
    if (focused && (isDisabled(focused) || document.activeElement !== focused)) this.#refocus(focused, at);
  }

  /** @returns {HTMLElement | null} */
  #focused() {
    const { activeElement } = document;
    return activeElement instanceof HTMLElement && this.content.contains(activeElement) ? activeElement : null;
  }

  /**
   * Gives the focus back. What had it may be removed or disabled, and so may be its row.
   *
   * @param {HTMLElement} focused @param {RowView | null | undefined} view
   */
  #refocus(focused, view) {
    if (focused.isConnected && !isDisabled(focused)) focused.focus();
    else (view && this.views.includes(view) ? view.more : this.addButton).focus({ preventScroll: true });
  }

  /**
   * Keeps each view with its row, where more than an edit has made another object of it.
   *
   * @param {Row[]} former @param {Row[]} rows
   */
  follow(former, rows) {
    const heirs = new Map(former.map((row, index) => [row, rows[index]]));
    for (const view of this.views) view.row = heirs.get(view.row) ?? view.row;
  }

  /** @param {Row[]} rows */
  #showTools(rows) {
    const text = rows.length && edits.allOn(rows) ? t("All off") : t("All on");
    const { all, normalise, clear } = this.tools;
    setAttributes(all, { "aria-label": text, title: text });
    if (all.lastChild) setText(all.lastChild, text);
    for (const tool of [all, normalise, clear]) tool.disabled = !rows.length;
  }

  /**
   * Returns a view for each row: that of the same row, else that of a row that was at the same place, else a new one.
   *
   * @param {Row[]} rows @returns {RowView[]}
   */
  #viewsFor(rows) {
    const former = new Map(this.views.map((view) => [view.row, view]));
    const same = rows.map((row) => former.get(row));
    const free = this.views.filter((view) => !same.includes(view));
    const views = same.map((view, index) => {
      if (view) return view;
      const at = free.findIndex((each) => each.index === index);
      return free.splice(Math.max(0, at), 1)[0] ?? new RowView(this);
    });
    for (const view of free) view.index = -1;
    this.#arrange(views, free);
    return views;
  }

  /** @param {RowView[]} views @param {RowView[]} gone */
  #arrange(views, gone) {
    for (const { element } of gone) element.remove();
    views.forEach(({ element }, index) => {
      const { children } = this.element;
      if (children[index] === element) return;
      // what stands there moves, rather than what has the focus
      if (children[index]?.contains(document.activeElement) && children[index + 1] === element) {
        const moved = children[index];
        this.element.append(moved);
        this.element.insertBefore(moved, children[index + 1] ?? null);
      } else this.element.insertBefore(element, children[index] ?? null);
    });
  }

  /** Returns how much of the height is for what comes and goes without an edit. */
  unfoldedHeight() {
    /** @type {NodeListOf<HTMLElement>} */
    const unfolded = this.element.querySelectorAll(".lora-algebra-offers, .lora-algebra-panel");
    return [...unfolded].reduce((sum, { offsetHeight }) => sum + offsetHeight + UNDER, 0);
  }

  /** Draws the rows again without an edit. */
  refresh() {
    for (const view of this.views) view.forget();
    this.render(this.widget.rows());
  }

  /** Gives the focus to the row that is now at a place, or to the button that adds one. @param {number} index */
  focusRow(index) {
    const view = this.views[Math.min(index, this.views.length - 1)];
    (view?.grip ?? this.addButton).focus();
  }

  addByPicker() {
    openPicker(this.addButton, { node: this.node, many: true, onPick: (name) => this.#add(name) });
  }

  /** @param {RowView} view */
  choose(view) {
    openPicker(view.file, {
      node: this.node,
      current: view.row.name,
      onPick: (name) => this.#choose(view, name),
    });
  }

  /** Adds files one after the other, in the order in which they were chosen. @param {string} name */
  #add(name) {
    this.#adding = this.#adding.then(() => this.#addNow(name));
  }

  /** @param {string} name */
  async #addNow(name) {
    const half = usesLow(this.node) ? otherHalf(name, library.names ?? []) : undefined;
    const names = half === undefined ? [name] : sideOf(name) === "low" ? [half, name] : [name, half];
    const [own, low] = await Promise.all(names.map((each) => this.#newFile(each)));
    if (low && low.strength === (own.strength ?? 1)) delete low.strength; // one strength for both
    this.edit((rows) => edits.add(rows, edits.newRow(own.name, low ? { ...own, low } : own)));
    for (const { name: file, strength = 1 } of low ? [own, low] : [own])
      if (strength !== 1) sayRecommended(file, strength);
    this.element.lastElementChild?.scrollIntoView({ block: "nearest" });
  }

  /** Returns what a new row says of a file. @param {string} name @returns {Promise<import("../model/value.js").Low>} */
  async #newFile(name) {
    const [identity, strength] = await Promise.all([this.identify(name), recommendedFor(name)]);
    return { name, ...edits.withName(name, identity), ...(strength === undefined ? {} : { strength }) };
  }

  /** @param {RowView} view @param {string} name */
  async #choose(view, name) {
    this.rename(view, name, await this.identify(name));
  }

  /** @param {RowView} view @param {string} name @param {Identity} [identity] */
  rename(view, name, identity) {
    view.edit(edits.rename, name, identity);
  }

  /**
   * Returns the file's hash and size, if they come soon. Later they would be an edit that nobody has made.
   *
   * @param {string} name
   */
  async identify(name) {
    await soon(library.ask(name, { content: true }), IDENTITY_WAIT);
    return library.identity(name);
  }

  #openSets() {
    openSets(this.tools.sets, { rows: () => this.widget.rows(), edit: (change) => this.edit(change) });
  }

  async #paste() {
    const text = await clipboardText();
    if (text === null) askForText(this.tools.paste, (typed) => this.addText(typed));
    else if (!this.addText(text)) askForText(this.tools.paste, (typed) => this.addText(typed), text);
  }

  /** Adds the rows that a text stands for. @param {string} text @returns {boolean} whether there were any */
  addText(text) {
    return this.#addRows(rowsFromText(text));
  }

  /** Adds the rows that files carry, or says that there are none. @param {File[]} files */
  async addFiles(files) {
    if (this.#addRows(await rowsFromFiles(files))) return;
    const names = files.map(({ name }) => name).join(", ");
    say("info", [t("There are no LoRAs in {name}.", { name: printable(names) })]);
  }

  /** @param {Row[]} found */
  #addRows(found) {
    const rows = edits.tidyRows(found);
    if (rows.length) this.edit((former) => edits.add(former, ...(former.length ? edits.withoutSolo(rows) : rows)));
    return rows.length > 0;
  }
}

/** Waits for something, but no longer than it may take. @param {Promise<unknown>} work @param {number} milliseconds */
const soon = (work, milliseconds) => Promise.race([work, new Promise((done) => setTimeout(done, milliseconds))]);

/** Returns what a file recommends, if that is known soon, and wanted. @param {string} name */
async function recommendedFor(name) {
  if (!setting("Recommended")) return undefined;
  await soon(library.ask(name), FACTS_WAIT);
  const reply = library.answer(name, { content: true }) ?? library.answer(name);
  return advised(reply?.facts?.recommended);
}

/** @param {string} name @param {number} strength */
function sayRecommended(name, strength) {
  say("info", [
    t("{name}: {strength}, as its file recommends", { name: splitName(name).base, strength: short(strength) }),
  ]);
}

/** @param {HTMLElement} element */
const isDisabled = (element) => element instanceof HTMLButtonElement && element.disabled;
