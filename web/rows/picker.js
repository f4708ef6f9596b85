/** The dialog in which a LoRA is found: by words, by folder, by picture; with keys only, too. */

import { library } from "../library/library.js";
import { icon, isolated, make, setAttributes, setText } from "../page/elements.js";
import { keepFocus, openPopup } from "../page/popup.js";
import { setting } from "../page/settings.js";
import { t } from "../page/words.js";
import { makeTree } from "./folders.js";
import { makePicture } from "./picture.js";
import { folders, makeIndex, search } from "./search.js";
import { VirtualList } from "./virtual.js";

const LINE = 28; // pixels of a line of the list
const LABEL = 34; // below a picture
const PREFETCH = 150; // milliseconds on one file before its facts are asked for
const VIEW = "lora-algebra.view"; // in the browser's store

/** @type {{ names: string[] | null, entries: import("./search.js").Entry[], folders: import("./folders.js").Folder[] }} */
let indexed = { names: null, entries: [], folders: [] };

/** Makes what is needed once for a list of names, best before somebody waits for it. */
export function prepare() {
  const { names } = library;
  if (!names || indexed.names === names) return;
  const entries = makeIndex(names);
  indexed = { names, entries, folders: folders(entries) };
}

/**
 * @param {HTMLElement} opener
 * @param {{ onPick: (name: string) => void, current?: string, many?: boolean }} options
 *   `many`: with Shift or Ctrl a choice leaves the dialog open for more
 */
export function openPicker(opener, options) {
  new Picker(opener, options);
}

class Picker {
  #folder = "";
  #grid = localStorage.getItem(VIEW) === "grid";
  #prefetch = 0;

  constructor(opener, { onPick, current = "", many = false }) {
    Object.assign(this, { onPick, current, many, recent: library.recent() });
    this.#make();
    this.#listen();
    this.close = openPopup(this.element, opener, { opener, onClose: () => this.#closed(opener) });
    opener.setAttribute("aria-expanded", "true");
    this.#load();
    this.search.focus();
  }

  #make() {
    this.search = make("input", {
      type: "text",
      role: "combobox",
      "aria-label": t("Search"),
      placeholder: t("Search by words of name or folder"),
      "aria-autocomplete": "list",
      "aria-expanded": "true",
      "aria-controls": "lora-algebra-options",
      autocomplete: "off",
      spellcheck: "false",
    });
    this.listbox = make("div", {
      id: "lora-algebra-options",
      class: "lora-algebra-options",
      role: "listbox",
      "aria-label": t("LoRAs"),
    });
    this.list = new VirtualList(this.listbox, (entry, index) => this.#option(entry, index));
    this.preview = make("div", { class: "lora-algebra-preview" });
    this.status = make("span", { class: "lora-algebra-found", role: "status" });
    this.gridButton = make("button", { type: "button", class: "lora-algebra-tool", onclick: () => this.#toggleGrid() });
    this.tree = makeTree((path) => this.#choose(path));
    const head = make("div", { class: "lora-algebra-picker-head" }, this.search, this.status, this.gridButton);
    this.body = make("div", { class: "lora-algebra-picker-body" }, this.tree.element, this.listbox, this.preview);
    const hint = this.many ? t("Enter adds, Shift+Enter adds and stays open") : "";
    const foot = make("div", { class: "lora-algebra-picker-foot" }, hint);
    this.element = make(
      "div",
      { class: "lora-algebra-popup lora-algebra-picker", role: "dialog", "aria-label": t("Choose a LoRA") },
      ...[head, this.body, ...(hint ? [foot] : [])],
    );
  }

  #listen() {
    this.search.addEventListener("input", () => this.#find());
    this.search.addEventListener("keydown", (event) => this.#key(event));
    this.listbox.addEventListener("click", (event) => this.#click(event));
    this.listbox.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
    this.listbox.addEventListener("mousemove", (event) => this.#hover(event));
    keepFocus(this.element);
    this.resized = new ResizeObserver(() => this.#show());
    this.resized.observe(this.listbox);
  }

  #closed(opener) {
    clearTimeout(this.#prefetch);
    this.resized.disconnect();
    opener.removeAttribute("aria-expanded");
  }

  /** With the names at hand at once, and again if they have changed since. */
  async #load() {
    this.#showGridButton();
    if (library.names) this.#begin();
    else setText(this.status, t("Loading…"));
    const changed = await library.refreshNames();
    if ((changed || !this.found) && this.element.isConnected) this.#begin();
    await library.loadPictures();
    this.list.renew();
    this.#showPreview();
  }

  #begin() {
    prepare();
    this.tree.show(indexed.folders, this.#folder);
    this.#find();
    if (!this.current) return;
    const listed = library.listed(this.current);
    this.#go(this.found.findIndex(({ name }) => name === listed));
  }

  #choose(folder) {
    if (this.#folder === folder) return;
    this.#folder = folder;
    this.tree.show(indexed.folders, folder);
    this.#find();
  }

  #find() {
    const { recent } = this;
    this.found = search(indexed.entries, this.search.value, { folder: this.#folder, recent });
    setText(this.status, t("{count} of {all}", { count: this.found.length, all: indexed.entries.length }));
    this.#show();
  }

  #show() {
    if (!this.found) return;
    const size = Number(setting("PreviewSize")) || 96;
    const shape = this.#grid ? { cell: size + 12, lineHeight: size + LABEL } : { cell: 0, lineHeight: LINE };
    this.element.style.setProperty("--size", `${size}px`);
    const at = this.list.items === this.found ? this.list.current : 0;
    this.list.show(this.found, shape);
    this.#go(at);
  }

  #option({ name, folder, base }, index) {
    const shown = this.#grid ? [makePicture(name), isolated(base, "lora-algebra-base")] : this.#line(folder, base);
    const id = `lora-algebra-option-${index}`;
    const listed = library.listed(this.current) === name;
    return make("div", { id, role: "option", title: name, "data-index": index, "data-current": listed }, ...shown);
  }

  #line(folder, base) {
    return [isolated(base, "lora-algebra-base"), isolated(folder.replace(/\/$/, ""), "lora-algebra-folder")];
  }

  /** Makes an option the current one. */
  #go(index) {
    if (index < 0 && this.found.length) return;
    this.list.setCurrent(index);
    const option = this.list.currentElement();
    setAttributes(this.search, { "aria-activedescendant": option?.id });
    this.#showPreview();
    clearTimeout(this.#prefetch);
    const entry = this.found[this.list.current];
    if (entry) this.#prefetch = setTimeout(() => library.ask(entry.name), PREFETCH);
  }

  #showPreview() {
    const entry = this.found?.[this.list.current];
    const shown = entry && !this.#grid ? [makePicture(entry.name), isolated(entry.name)] : [];
    this.preview.replaceChildren(...shown);
  }

  #key(event) {
    if (event.isComposing) return;
    const { columns, page, current } = this.list;
    const across = this.#grid ? { ArrowLeft: current - 1, ArrowRight: current + 1 } : {};
    const steps = {
      ArrowDown: current + columns,
      ArrowUp: current - columns,
      PageDown: Math.min(current + page * columns, this.found?.length - 1),
      PageUp: Math.max(current - page * columns, 0),
      ...(event.ctrlKey || !this.search.value ? { Home: 0, End: this.found?.length - 1 } : {}),
      ...(this.search.value ? {} : across),
    };
    if (event.key === "Enter") this.#pick(current, event);
    else if (event.key in steps) this.#step(steps[event.key]);
    else return;
    event.preventDefault();
  }

  #step(index) {
    if (this.found?.[index]) this.#go(index);
  }

  #click(event) {
    const option = event.target.closest("[role=option]");
    if (option) this.#pick(Number(option.dataset.index), event);
  }

  #hover({ target, movementX, movementY }) {
    if (!movementX && !movementY) return; // the list moved, not the hand
    const option = target.closest("[role=option]");
    if (option && Number(option.dataset.index) !== this.list.current) this.#go(Number(option.dataset.index));
  }

  #pick(index, { shiftKey, ctrlKey, metaKey }) {
    const entry = this.found?.[index];
    if (!entry) return;
    const stays = this.many && (shiftKey || ctrlKey || metaKey);
    if (stays) setText(this.status, t("Added {name}", { name: entry.base }));
    else this.close();
    library.use(entry.name);
    this.onPick(entry.name);
  }

  #toggleGrid() {
    this.#grid = !this.#grid;
    localStorage.setItem(VIEW, this.#grid ? "grid" : "list");
    this.#showGridButton();
    this.#show();
    this.search.focus();
  }

  #showGridButton() {
    const text = this.#grid ? t("Show a list") : t("Show pictures");
    setAttributes(this.gridButton, { "aria-label": text, title: text });
    this.gridButton.replaceChildren(icon(this.#grid ? "list" : "grid"));
    this.element.dataset.view = this.#grid ? "grid" : "list";
  }
}
