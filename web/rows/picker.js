/** The dialog in which the user finds a LoRA: by words, by folder, by picture; also with keys alone. */

import { loadFavourites, setFavourite } from "../library/favourites.js";
import { library } from "../library/library.js";
import { fittingOf } from "../library/models.js";
import { overview } from "../library/overview.js";
import { narrowed, ordered } from "../model/narrowing.js";
import { icon, isolated, make, setAttributes, setText, targetOf } from "../page/elements.js";
import { keepFocus, openPopup } from "../page/popup.js";
import { setting } from "../page/settings.js";
import { t } from "../page/words.js";
import { modelsOf } from "../runs/model.js";
import { Filters } from "./filters.js";
import { makeTree } from "./folders.js";
import { makeMovingPicture, makePicture, play, sourcesOf, stop } from "./picture.js";
import { folders, makeIndex, search } from "./search.js";
import { VirtualList } from "./virtual.js";

const LINE = 28; // pixels of a line of the list
const LABEL = 34; // below a picture
const PREFETCH = 150; // milliseconds on one file before its facts are asked for
const VIEW = "lora-algebra.view"; // in the browser's store

/**
 * @typedef {import("./search.js").Entry} Entry
 * @typedef {{ onPick: (name: string) => void, node: Host.Node, current?: string, many?: boolean,
 *   anchor?: import("../page/popup.js").Rect }} Options `node`: what the file is for; `many`: with Shift or Ctrl a choice
 *   leaves the dialog open for more; `anchor`: where it opens, if not at the opener
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
  /** @type {Set<string>} */
  #favourites = new Set();
  #favouritesCome = Promise.resolve();
  /** @type {string[] | null} the architectures that fit the model; null if it is not known */
  #fits = null;
  /** @type {{ entries: Entry[], glances: Map<string, unknown>, newest: Entry[] } | undefined} the order by date */
  #sorted;
  /** @type {Element | null | undefined} the picture whose video is played */
  #moving;
  #previewed = "";
  #unwatch = () => {};

  /** @param {HTMLElement} opener @param {Options} options */
  constructor(opener, { onPick, node, current = "", many = false, anchor }) {
    this.onPick = onPick;
    this.node = node;
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
    this.filters = new Filters(() => this.#find());
    this.element = this.#assemble();
    this.resized = new ResizeObserver(() => this.#show());
    this.#listen();
    this.close = openPopup(this.element, anchor ?? opener, { opener, onClose: () => this.#closed(opener) });
    if (isOurs(opener)) opener.setAttribute("aria-expanded", "true");
    this.#load();
    this.search.focus();
  }

  #assemble() {
    const head = make("div", { class: "lora-algebra-picker-head" }, this.search, this.status, this.gridButton);
    const body = make("div", { class: "lora-algebra-picker-body" }, this.tree.element, this.listbox, this.preview);
    const hint = this.many ? t("Enter adds, Shift+Enter adds and stays open") : t("Enter chooses");
    const foot = make("div", { class: "lora-algebra-picker-foot" }, hint, " · ", t("Ctrl+D: favourite or not"));
    return make(
      "div",
      { class: "lora-algebra-popup lora-algebra-picker", role: "dialog", "aria-label": t("Choose a LoRA") },
      ...[head, this.filters.element, body, foot],
    );
  }

  #listen() {
    this.search.addEventListener("input", () => this.#find());
    this.search.addEventListener("keydown", (event) => this.#key(event));
    this.listbox.addEventListener("click", (event) => this.#click(event));
    this.listbox.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
    this.listbox.addEventListener("mousemove", (event) => this.#hover(event));
    this.element.addEventListener("keydown", (event) => this.#favouriteKey(event));
    keepFocus(this.element);
    this.resized.observe(this.listbox);
  }

  /** @param {HTMLElement} opener */
  #closed(opener) {
    clearTimeout(this.#prefetch);
    this.#unwatch();
    stop(this.#moving);
    this.resized.disconnect();
    if (isOurs(opener)) opener.removeAttribute("aria-expanded");
  }

  /** Shows the names that are there at once, and again if they have changed since. */
  async #load() {
    this.#showGridButton();
    if (library.names) this.#begin();
    else setText(this.status, t("Loading…"));
    this.#unwatch = overview.watch(() => this.#learn());
    this.#favouritesCome = this.#loadFavourites();
    this.#loadFits();
    const changed = await library.refreshNames();
    if ((changed || !this.#found) && this.element.isConnected) this.#begin();
  }

  /** Shows what has become known of the files, and keeps the place in the list. */
  #learn() {
    this.filters.offer(overview.glances.values());
    this.#findAgain();
  }

  async #loadFavourites() {
    this.#favourites = await loadFavourites();
    this.#findAgain();
  }

  async #loadFits() {
    const files = modelsOf(this.node);
    const fitting = files && (await fittingOf(files));
    this.#fits = fitting?.fits ?? null;
    this.filters.offerModel(fitting?.names ?? null);
    this.#findAgain();
  }

  /** Looks again at what is known, and moves nothing if that changes nothing. */
  #findAgain() {
    if (!this.#found || !this.element.isConnected) return;
    const name = this.#current()?.name;
    const found = this.#matching();
    if (isSame(found, this.#found)) {
      this.list.renew();
      // a video that is shown goes on; in the grid it is part of an option, which is new
      return this.#grid || this.#previewed !== sourcesOf(name) ? this.#showPreview() : undefined;
    }
    this.#found = found;
    this.#show();
    this.#go(found.findIndex((entry) => entry.name === name));
  }

  #current() {
    return this.#found?.[this.list.current];
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
    this.#found = this.#matching();
    this.#show();
  }

  /** Returns what is to be shown, and says how many files that are. */
  #matching() {
    const { entries } = indexed;
    const { narrowing } = this.filters;
    const recent = narrowing.order === "used" ? this.#recent : [];
    const found = search(this.#inOrder(), this.search.value, { folder: this.#folder, recent });
    const known = { glances: overview.glances, favourites: this.#favourites, fits: this.#fits };
    const { shown, unfit, hidden } = narrowed(found, narrowing, known);
    this.filters.count(unfit, hidden);
    setText(this.status, t("{count} of {all}", { count: shown.length, all: entries.length }));
    return shown;
  }

  /** Returns all entries in the order of the user's choice, worked out once for a state of the files. */
  #inOrder() {
    const { entries } = indexed;
    const { glances } = overview;
    if (this.filters.narrowing.order !== "date") return entries;
    if (this.#sorted?.entries !== entries || this.#sorted.glances !== glances)
      this.#sorted = { entries, glances, newest: ordered(entries, "date", glances) };
    return this.#sorted.newest;
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
    const properties = { id, role: "option", title: name, "data-index": index, "data-current": listed };
    return make("div", properties, ...shown, star(this.#favourites.has(name)));
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
    const entry = this.#current();
    if (entry) this.#prefetch = setTimeout(() => library.ask(entry.name), PREFETCH);
  }

  #showPreview() {
    const entry = this.#current();
    this.#previewed = sourcesOf(entry?.name);
    stop(this.#moving);
    const picture = this.list.currentElement()?.querySelector(".lora-algebra-picture");
    this.#moving = entry && !this.#grid ? makeMovingPicture(entry.name) : picture;
    if (entry) play(this.#moving, entry.name);
    const shown = entry && this.#moving && !this.#grid ? [this.#moving, isolated(entry.name)] : [];
    this.preview.replaceChildren(...shown);
  }

  /** @param {KeyboardEvent} event */
  #favouriteKey(event) {
    if (event.key.toLowerCase() !== "d" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.#toggleFavourite(this.#current());
  }

  /** @param {Entry | undefined} entry */
  async #toggleFavourite(entry) {
    await this.#favouritesCome; // whether it is one is not known before
    if (!entry) return;
    const isOne = !this.#favourites.delete(entry.name);
    if (isOne) this.#favourites.add(entry.name);
    setFavourite(entry.name, isOne);
    const { current } = this.list;
    this.#find();
    this.#go(current);
    const { base: name } = entry;
    setText(
      this.status,
      isOne ? t("{name} is a favourite now", { name }) : t("{name} is no longer a favourite", { name }),
    );
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
    if (index === undefined) return;
    if (targetOf(event).closest(".lora-algebra-star")) this.#toggleFavourite(this.#found?.[index]);
    else this.#pick(index, event);
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

/** @param {Entry[]} ones @param {Entry[]} others */
const isSame = (ones, others) => ones.length === others.length && ones.every((one, index) => one === others[index]);

/** @param {boolean} isOne whether the file is a favourite */
function star(isOne) {
  const text = t("Favourite");
  const shown = isOne ? { role: "img", "aria-label": text } : { "aria-hidden": "true" };
  return make("span", { class: "lora-algebra-star", title: text, "data-on": isOne, ...shown }, icon("star"));
}

/** Whether an element is one of our buttons, which say that they have opened a dialog. @param {HTMLElement} opener */
const isOurs = (opener) => opener.getAttribute("aria-haspopup") === "dialog";

/** Returns the number of the option that an event was aimed at. @param {Event} event */
function optionAt(event) {
  const index = targetOf(event).closest("[role=option]")?.getAttribute("data-index");
  return index === null || index === undefined ? undefined : Number(index);
}
