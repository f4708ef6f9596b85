/** Shows one row on the page. Its elements stay as long as the row: a control that has the focus keeps it. */

import { giveLink, takeLink } from "../model/links.js";
import * as edits from "../model/value.js";
import { icon, isolated, make, setAttributes, setText } from "../page/elements.js";
import { openMenu } from "../page/menu.js";
import { setting } from "../page/settings.js";
import { printable } from "../page/text.js";
import { t } from "../page/words.js";
import { askForBlocks } from "./blocks_box.js";
import { button, showName } from "./controls.js";
import { dragRow } from "./drag.js";
import { FileState } from "./file_state.js";
import { showOnHover } from "./hover.js";
import { isDriven } from "./links.js";
import { LowLine } from "./low.js";
import { shortName } from "./missing.js";
import { openNoiseMenu } from "./noise.js";
import { fillPanel } from "./panel.js";
import { Strength } from "./strength.js";

/**
 * @typedef {import("../model/value.js").Row} Row
 * @typedef {import("../page/popup.js").Rect} Rect
 * @typedef {{ held?: boolean }} How `held`: more such changes may follow at once
 */

export class RowView {
  /** @type {Row} */
  row = edits.newRow("");
  index = -1; // no longer on the page
  #open = false;
  /** @type {Row | null} the row that the panel shows */
  #filled = null;
  /** @type {LowLine | undefined} once there was a file for low noise */
  low;

  /** @param {import("./list.js").List} list */
  constructor(list) {
    this.list = list;
    this.grip = button("lora-algebra-grip", icon("grip"), {
      onpointerdown: (event) => this.#drag(event),
      onkeydown: (event) => this.#gripKey(event),
    });
    this.switch = button("lora-algebra-switch", make("span"), {
      role: "switch",
      onclick: () => this.edit(edits.setOn, !this.row.on),
    });
    this.file = button("lora-algebra-file", "", { "aria-haspopup": "dialog", onclick: () => list.choose(this) });
    this.badge = make("span", { class: "lora-algebra-badge" });
    this.only = make("span", { class: "lora-algebra-badge lora-algebra-only" });
    this.blocks = button("lora-algebra-row-blocks", "", {
      "aria-haspopup": "dialog",
      onclick: () => this.openBlocks(this.blocks),
    });
    this.state = new FileState(list, (name, identity) => list.rename(this, name, identity));
    this.strength = new Strength((value, how) => this.change(how, edits.setStrength, "strength", value));
    this.textStrength = new Strength((value, how) => this.change(how, edits.setStrength, "strength_clip", value));
    this.textStrength.element.classList.add("lora-algebra-text-strength");
    this.details = button("lora-algebra-details", icon("chevron"), { onclick: () => this.toggleDetails() });
    this.more = button("lora-algebra-more", icon("more"), {
      "aria-haspopup": "menu",
      onclick: () => this.openMenu(this.more),
    });
    this.note = this.#makeNote();
    this.panel = make("div", { class: "lora-algebra-panel", role: "region" });
    this.strengths = make("div", { class: "lora-algebra-strengths" }, this.strength.element);
    this.line = this.#makeLine();
    this.element = this.#assemble();
    showOnHover(this.line, this.file, () => this.row.name);
  }

  #makeLine() {
    const name = make("div", { class: "lora-algebra-name" }, this.file, this.badge, this.only);
    const controls = [this.grip, this.switch, name, this.state.element, this.strengths, this.details, this.more];
    return make("div", { class: "lora-algebra-line" }, ...controls);
  }

  #assemble() {
    return make(
      "div",
      { class: "lora-algebra-row", role: "listitem", oncontextmenu: (event) => this.#contextMenu(event) },
      this.line,
    );
  }

  /**
   * Makes one edit of this row by a function of value.js.
   *
   * @template {unknown[]} A
   * @param {(rows: Row[], index: number, ...more: A) => Row[]} change @param {A} more
   */
  edit(change, ...more) {
    this.change({}, change, ...more);
  }

  /**
   * Does the same where more such changes may follow.
   *
   * @template {unknown[]} A
   * @param {How} how @param {(rows: Row[], index: number, ...more: A) => Row[]} change @param {A} more
   */
  change(how, change, ...more) {
    this.list.edit((rows) => (this.index < 0 ? rows : change(rows, this.index, ...more)), how);
  }

  /** @param {Row} row @param {number} index @param {boolean} active whether it counts */
  update(row, index, active) {
    this.row = row;
    this.index = index;
    this.#name(shortName(row));
    setAttributes(this.element, {
      "data-index": index,
      "data-on": String(row.on),
      "data-active": String(active && !(row.low && row.only === "low")),
      "data-solo": row.solo,
    });
    setAttributes(this.switch, { "aria-checked": String(row.on) });
    showName(this.file, row.name);
    setText(this.badge, row.solo ? t("Solo") : "");
    const label = t("Strength of {name}", { name: shortName(row) });
    this.strength.update(row.strength, label, isDriven(this.list.node, row));
    this.#showTextStrength();
    this.#showBlocks();
    this.#showState();
    this.#showModels(active);
    this.#showNote();
    this.#showPanel();
  }

  /** @param {string} name */
  #name(name) {
    setAttributes(this.grip, { "aria-label": t("Move {name}", { name }), title: t("Drag to reorder") });
    setAttributes(this.switch, { "aria-label": t("Use {name}", { name }) });
    setAttributes(this.file, { "aria-label": t("Choose file, {name}", { name }) });
    setAttributes(this.details, {
      "aria-label": t("Details of {name}", { name }),
      "aria-expanded": String(this.#open),
      title: t("Details"),
    });
    setAttributes(this.more, { "aria-label": t("More for {name}", { name }), title: t("More") });
  }

  #showTextStrength() {
    const { strength, strength_clip: apart } = this.row;
    const { element } = this.textStrength;
    if (apart === undefined && !setting("TextStrength")) element.remove();
    else if (!element.isConnected || element.parentNode !== this.strengths) this.strengths.append(element);
    const title = apart === undefined ? t("Text strength, same as the model's") : t("Text strength");
    setAttributes(element, { title });
    setAttributes(this.strength.element, { title: apart === undefined ? t("Strength") : t("Model strength") });
    const driven = apart === undefined && isDriven(this.list.node, this.row);
    this.textStrength.update(apart ?? strength, t("Text strength of {name}", { name: shortName(this.row) }), driven);
  }

  /** Shows the first line of block weights, which is the name of a preset where there is one. */
  #showBlocks() {
    const { blocks = "" } = this.row;
    if (!blocks) return this.blocks.remove();
    const lines = printable(blocks);
    const label = t("Block weights of {name}", { name: shortName(this.row) });
    setAttributes(this.blocks, { "aria-label": `${label}: ${lines}`, title: lines });
    if (this.blocks.dataset.lines !== lines) {
      this.blocks.dataset.lines = lines;
      this.blocks.replaceChildren(icon("blocks"), isolated(lines.split("\n", 1)[0]));
    }
    if (!this.blocks.parentNode) this.badge.after(this.blocks);
  }

  /** @param {HTMLElement} opener */
  openBlocks(opener) {
    askForBlocks(opener, shortName(this.row), this.row.blocks ?? "", (lines) => this.edit(edits.setBlocks, lines));
  }

  #showState() {
    const { row } = this;
    const isIdle = row.low && row.only === "low"; // the other file counts
    this.state.update(this.element, this.line, isIdle ? { ...row, on: false } : row);
  }

  /** Shows which of two models gets the row, and the file that the low-noise model gets. @param {boolean} active */
  #showModels(active) {
    const { low, only } = this.row;
    const title = only === "low" ? t("Only in the low-noise model") : t("Only in the high-noise model");
    setAttributes(this.only, { title: only && title });
    setText(this.only, only ? (only === "low" ? t("low") : t("high")) : "");
    if (!low) return this.low?.element.remove();
    this.low ??= new LowLine(this);
    this.low.update(this.row, active && only !== "high");
    if (!this.low.element.parentNode) this.element.insertBefore(this.low.element, this.#afterLine());
  }

  /** Returns what stands below the row's own line and its offers. */
  #afterLine() {
    return [this.note, this.panel].find(({ parentNode }) => parentNode === this.element) ?? null;
  }

  #makeNote() {
    const note = make("input", { class: "lora-algebra-note", type: "text", placeholder: t("Note") });
    note.addEventListener("blur", () => {
      if (this.#noteChanged()) this.edit(edits.setNote, note.value);
      this.#showNote();
    });
    note.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.isComposing) return;
      if (event.key === "Escape") note.value = this.row.note ?? "";
      if (event.key !== "Escape" && event.key !== "Enter") return;
      event.preventDefault(); // else Enter also presses the button that gets the focus
      this.more.focus();
    });
    return note;
  }

  #noteChanged() {
    return this.note.value.trim() !== (this.row.note ?? "");
  }

  #showNote() {
    const { note = "" } = this.row;
    const typing = document.activeElement === this.note;
    setAttributes(this.note, { "aria-label": t("Note of {name}", { name: shortName(this.row) }) });
    if (!typing) this.note.value = note;
    if (note && !this.note.isConnected) this.#place(this.note);
    else if (!note && !typing) this.note.remove();
  }

  /** Puts the note or the panel below what belongs above it. @param {HTMLElement} element */
  #place(element) {
    if (element === this.note && this.panel.parentNode) this.panel.before(element);
    else this.element.append(element);
    this.list.resized();
  }

  openNote() {
    if (!this.note.parentNode) this.#place(this.note);
    this.note.focus();
  }

  toggleDetails() {
    this.#open = !this.#open;
    this.#filled = null;
    setAttributes(this.details, { "aria-expanded": String(this.#open) });
    this.#showPanel();
    this.list.resized();
  }

  #showPanel() {
    setAttributes(this.panel, { "aria-label": t("About {name}", { name: shortName(this.row) }) });
    if (!this.#open) return this.panel.remove();
    if (!this.panel.parentNode) this.element.append(this.panel);
    if (this.#filled === this.row) return;
    this.#filled = this.row;
    fillPanel(this.panel, this.row, this.list.widget, this.index);
  }

  /** Lets the panel be filled again: what it shows of the file may have changed. */
  forget() {
    this.#filled = null;
  }

  /** @param {PointerEvent & { currentTarget: HTMLElement }} event */
  #drag(event) {
    if (event.button !== 0) return;
    dragRow(event, this.list.element, this.element, (to) => this.edit(edits.move, to));
  }

  /** @param {KeyboardEvent} event */
  #gripKey(event) {
    /** @type {Record<string, number>} */
    const steps = { ArrowUp: -1, ArrowDown: 1 };
    if (event.key in steps) this.edit(edits.move, this.index + steps[event.key]);
    else if (event.key === "Delete" || event.key === "Backspace") this.remove();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  remove() {
    const { index } = this;
    this.edit(edits.remove);
    this.list.focusRow(index);
  }

  /** @param {MouseEvent & { target: Element }} event */
  #contextMenu(event) {
    if (event.target.tagName === "INPUT" || this.panel.contains(event.target)) return;
    event.preventDefault();
    event.stopPropagation();
    const { clientX: x, clientY: y } = event;
    this.openMenu({ left: x, right: x, top: y, bottom: y });
  }

  /** @param {Element | Rect} anchor */
  openMenu(anchor) {
    const name = t("More for {name}", { name: shortName(this.row) });
    openMenu(name, this.#menuItems(), anchor, this.more);
  }

  #menuItems() {
    const { row, index } = this;
    const apart = row.strength_clip !== undefined;
    /** @param {string} text @param {() => void} action @param {boolean} [disabled] */
    const item = (text, action, disabled) => ({ text, action, disabled });
    return [
      item(t("Duplicate"), () => this.edit(edits.duplicate)),
      item(row.solo ? t("End solo") : t("Solo"), () => this.edit(edits.toggleSolo)),
      item(t("Move up"), () => this.edit(edits.move, this.index - 1), index === 0),
      item(t("Move down"), () => this.edit(edits.move, this.index + 1), index === this.list.views.length - 1),
      item(apart ? t("One strength for both") : t("Separate text strength"), () => this.edit(edits.toggleTextStrength)),
      item(row.link ? t("Strength of its own") : t("Strength by link"), () =>
        this.edit(row.link ? takeLink : giveLink),
      ),
      item(t("Block weights…"), () => this.openBlocks(this.more)),
      item(t("High and low noise…"), () => openNoiseMenu(this, this.more)),
      item(t("Note"), () => this.openNote()),
      item(t("Remove"), () => this.remove()),
    ];
  }
}
