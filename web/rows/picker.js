/** The dialog in which the user finds a LoRA: by words, by folder, by picture; also with keys alone. */

import { library } from "../library/library.js";
import { icon, isolated, make, setAttributes, setText, targetOf } from "../page/elements.js";
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

/**
 * @typedef {import("./search.js").Entry} Entry
 * @typedef {{ onPick: (name: string) => void, current?: string, many?: boolean }} Options
 *   `many`: with Shift or Ctrl a choice leaves the dialog open for more
 */

/** @type {{ names: string[] | null, entries: Entry[], folders: import("./folders.js").Folder[] }} */
let indexed = { names: null, entries: [], folders: [] };

/** Makes the index of a list of names, once. Call it before somebody waits for it. */
export function prepare() {
  const { names } = library;
  if (!names || indexed.names === names) return;
  const entries = makeIndex(names);
  indexed = { names, entries, folders: folders(entries) };
}

/** @param {HTMLElement} opener @param {Options} options */
export function openPicker(opener, options) {
  new Picker(opener, options);
}

class Picker {
  #folder = "";
  #grid = localStorage.getItem(VIEW) === "grid";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #prefetch;
  /** @type {Entry[] | undefined} undefined until there are names */
  #found;
  #recent = library.recent();

  /** @param {HTMLElement} opener @param {Options} options */
  constructor(opener, { onPick, current = "", many = false }) {
    this.onPick = onPick;
    this.current = current;
    this.many = many;
    this.search = makeSearch();
    this.listbox = make("div", {
      id: "lora-algebra-options",
      class: "lora-algebra-options",
      role: "listbox",
      "aria-label": t("LoRAs"),
    });
    /** @type {VirtualList<Entry>} */
    this.list = new VirtualList(this.listbox, (entry, index) => this.#option(entry, index));
    this.preview = make("div", { class: "lora-algebra-preview" });
    this.status = make("span", { class: "lora-algebra-found", role: "status" });
    this.gridButton = make("button", { type: "button", class: "lora-algebra-tool", onclick: () => this.#toggleGrid() });
    this.tree = makeTree((path) => this.#choose(path));
    this.element = this.#assemble();
    this.resized = new ResizeObserver(() => this.#show());
    this.#listen();
    this.close = openPopup(this.element, opener, { opener, onClose: () => this.#closed(opener) });
    opener.setAttribute("aria-expanded", "true");
    this.#load();
    this.search.focus();
  }

  #assemble() {
    const head = make("div", { class: "lora-algebra-picker-head" }, this.search, this.status, this.gridButton);
    const body = make("div", { class: "lora-algebra-picker-body" }, this.tree.element, this.listbox, this.preview);
    const hint = this.many ? t("Enter adds, Shift+Enter adds and stays open") : "";
    const foot = make("div", { class: "lora-algebra-picker-foot" }, hint);
    return make(
      "div",
      { class: "lora-algebra-popup lora-algebra-picker", role: "dialog", "aria-label": t("Choose a LoRA") },
      ...[head, body, ...(hint ? [foot] : [])],
    );
  }

  #listen() {
    this.search.addEventListener("input", () => this.#find());
    this.search.addEventListener("keydown", (event) => this.#key(event));
    this.listbox.addEventListener("click", (event) => this.#click(event));
    this.listbox.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
    this.listbox.addEventListener("mousemove", (event) => this.#hover(event));
    keepFocus(this.element);
    this.resized.observe(this.listbox);
  }

  /** @param {HTMLElement} opener */
  #closed(opener) {
    clearTimeout(this.#prefetch);
    this.resized.disconnect();
    opener.removeAttribute("aria-expanded");
  }

  /** Shows the names that are there at once, and again if they have changed since. */
  async #load() {
    this.#showGridButton();
    if (library.names) this.#begin();
    else setText(this.status, t("Loading…"));
    const changed = await library.refreshNames();
    if ((changed || !this.#found) && this.element.isConnected) this.#begin();
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
    this.#go(this.#found?.findIndex(({ name }) => name === listed) ?? -1);
  }

  /** @param {string} folder */
  #choose(folder) {
    if (this.#folder === folder) return;
    this.#folder = folder;
    this.tree.show(indexed.folders, folder);
    this.#find();
  }

  #find() {
    const { entries } = indexed;
    this.#found = search(entries, this.search.value, { folder: this.#folder, recent: this.#recent });
    setText(this.status, t("{count} of {all}", { count: this.#found.length, all: entries.length }));
    this.#show();
  }

  #show() {
    if (!this.#found) return;
    const size = Number(setting("PreviewSize")) || 96;
    const shape = this.#grid ? { cell: size + 12, lineHeight: size + LABEL } : { cell: 0, lineHeight: LINE };
    this.element.style.setProperty("--size", `${size}px`);
    const at = this.list.items === this.#found ? this.list.current : 0;
    this.list.show(this.#found, shape);
    this.#go(at);
  }

  /** @param {Entry} entry @param {number} index */
  #option({ name, folder, base }, index) {
    const shown = this.#grid ? [makePicture(name), isolated(base, "lora-algebra-base")] : this.#line(folder, base);
    const id = `lora-algebra-option-${index}`;
    const listed = library.listed(this.current) === name;
    return make("div", { id, role: "option", title: name, "data-index": index, "data-current": listed }, ...shown);
  }

  /** @param {string} folder @param {string} base */
  #line(folder, base) {
    return [isolated(base, "lora-algebra-base"), isolated(folder.replace(/\/$/, ""), "lora-algebra-folder")];
  }

  /** Makes an option the current one. @param {number} index */
  #go(index) {
    if (index < 0 && this.#found?.length) return;
    this.list.setCurrent(index);
    const option = this.list.currentElement();
    setAttributes(this.search, { "aria-activedescendant": option?.id });
    this.#showPreview();
    clearTimeout(this.#prefetch);
    const entry = this.#found?.[this.list.current];
    if (entry) this.#prefetch = setTimeout(() => library.ask(entry.name), PREFETCH);
  }

  #showPreview() {
    const entry = this.#found?.[this.list.current];
    const shown = entry && !this.#grid ? [makePicture(entry.name), isolated(entry.name)] : [];
    this.preview.replaceChildren(...shown);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing) return;
    const { columns, page, current } = this.list;
    const last = (this.#found?.length ?? 0) - 1;
    /** @type {Record<string, number>} */
    const across = this.#grid ? { ArrowLeft: current - 1, ArrowRight: current + 1 } : {};
    /** @type {Record<string, number>} */
    const steps = {
      ArrowDown: current + columns,
      ArrowUp: current - columns,
      PageDown: Math.min(current + page * columns, last),
      PageUp: Math.max(current - page * columns, 0),
      ...(this.search.value ? {} : across),
    };
    if (event.ctrlKey || !this.search.value) Object.assign(steps, { Home: 0, End: last });
    if (event.key === "Enter") this.#pick(current, event);
    else if (event.key in steps) this.#step(steps[event.key]);
    else return;
    event.preventDefault();
  }

  /** @param {number} index */
  #step(index) {
    if (this.#found?.[index]) this.#go(index);
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const index = optionAt(event);
    if (index !== undefined) this.#pick(index, event);
  }

  /** @param {MouseEvent} event */
  #hover(event) {
    if (!event.movementX && !event.movementY) return; // the list moved, not the hand
    const index = optionAt(event);
    if (index !== undefined && index !== this.list.current) this.#go(index);
  }

  /** @param {number} index @param {MouseEvent | KeyboardEvent} event */
  #pick(index, { shiftKey, ctrlKey, metaKey }) {
    const entry = this.#found?.[index];
    if (!entry) return;
    const stays = this.many && (shiftKey || ctrlKey || metaKey);
    if (stays) {
      setText(this.status, t("Added {name}", { name: entry.base }));
      this.search.select(); // so that the next word replaces this one
    } else this.close();
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

function makeSearch() {
  return make("input", {
    type: "text",
    role: "combobox",
    "aria-label": t("Search"),
    placeholder: t("Search by words in the name or folder"),
    "aria-autocomplete": "list",
    "aria-expanded": "true",
    "aria-controls": "lora-algebra-options",
    autocomplete: "off",
    spellcheck: "false",
  });
}

/** Returns the number of the option that an event was aimed at. @param {Event} event */
function optionAt(event) {
  const index = targetOf(event).closest("[role=option]")?.getAttribute("data-index");
  return index === null || index === undefined ? undefined : Number(index);
}
