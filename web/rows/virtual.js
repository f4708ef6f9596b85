/** Shows a long list, of which only the visible part is on the page. */

import { make, setAttributes } from "../page/elements.js";

const SPARE = 3; // lines above and below the visible ones

/** @template T the items */
export class VirtualList {
  /** @type {T[]} */
  #items = [];
  #columns = 1;
  #lineHeight = 28;
  /** @type {Map<number, HTMLElement>} index -> element */
  #made = new Map();
  current = -1;

  /**
   * @param {HTMLElement} element that scrolls, of role listbox
   * @param {(item: T, index: number) => HTMLElement} makeOption
   */
  constructor(element, makeOption) {
    this.element = element;
    this.makeOption = makeOption;
    this.sheet = make("div", { class: "lora-algebra-sheet", role: "presentation" });
    element.append(this.sheet);
    element.addEventListener("scroll", () => this.#draw());
  }

  /** @param {T[]} items @param {{ cell: number, lineHeight: number }} shape `cell`: least width; 0: all of it */
  show(items, { cell, lineHeight }) {
    this.#items = items;
    this.#lineHeight = lineHeight;
    this.#columns = cell ? Math.max(1, Math.floor(this.element.clientWidth / cell)) : 1;
    this.#forget();
    this.sheet.style.height = `${Math.ceil(items.length / this.#columns) * lineHeight}px`;
    this.setCurrent(items.length ? 0 : -1);
  }

  get items() {
    return this.#items;
  }

  get columns() {
    return this.#columns;
  }

  /** How many lines are visible at once. */
  get page() {
    return Math.max(1, Math.floor(this.element.clientHeight / this.#lineHeight));
  }

  /** @param {number} index */
  setCurrent(index) {
    this.current = Math.max(-1, Math.min(index, this.#items.length - 1));
    this.#reveal();
    this.#draw();
  }

  currentElement() {
    return this.#made.get(this.current);
  }

  /** Draws the visible part again. */
  renew() {
    this.#forget();
    this.#draw();
  }

  #forget() {
    this.#made.clear();
    this.sheet.replaceChildren();
  }

  #reveal() {
    const top = Math.floor(Math.max(0, this.current) / this.#columns) * this.#lineHeight;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.#lineHeight > scrollTop + clientHeight)
      this.element.scrollTop = top + this.#lineHeight - clientHeight;
  }

  #draw() {
    const { scrollTop, clientHeight } = this.element;
    const from = Math.max(0, Math.floor(scrollTop / this.#lineHeight) - SPARE) * this.#columns;
    const lines = Math.ceil((scrollTop + clientHeight) / this.#lineHeight) + SPARE;
    const to = Math.min(this.#items.length, lines * this.#columns);
    for (const [index, element] of this.#made) if (index < from || index >= to) this.#drop(index, element);
    for (let index = from; index < to; index += 1) if (!this.#made.has(index)) this.#add(index);
    for (const [index, element] of this.#made) element.setAttribute("aria-selected", String(index === this.current));
  }

  /** @param {number} index @param {HTMLElement} element */
  #drop(index, element) {
    element.remove();
    this.#made.delete(index);
  }

  /** @param {number} index */
  #add(index) {
    const element = this.makeOption(this.#items[index], index);
    setAttributes(element, { "aria-setsize": this.#items.length, "aria-posinset": index + 1 });
    element.style.top = `${Math.floor(index / this.#columns) * this.#lineHeight}px`;
    element.style.height = `${this.#lineHeight}px`;
    element.style.left = `${((index % this.#columns) * 100) / this.#columns}%`;
    element.style.width = `${100 / this.#columns}%`;
    this.#made.set(index, element);
    this.sheet.append(element);
  }
}
