/**
 * Draws a bar for each block, which the user drags, paints or steps by keys.
 *
 * @typedef {import("./union.js").Sized} Sized
 * @typedef {{ paint: (factors: number[]) => void, done: () => void, cancel: () => void, tell: (place: number) => void }}
 *   Host `paint` shows other factors, `done` makes what was painted one edit, `cancel` takes it back; `tell` is called
 *   with the bar that is looked at, or -1
 */

import { followDrag } from "../page/drag.js";
import { make, setAttributes, targetOf } from "../page/elements.js";
import { t } from "../page/words.js";

const HIGH = 2; // of what is drawn
const LOWEST = -2;
const STEP = 0.05;
const COARSE = 10; // with Shift

/** Steps of the keys. @type {Record<string, number>} */
const CHANGES = { ArrowUp: STEP, ArrowDown: -STEP, PageUp: COARSE * STEP, PageDown: -COARSE * STEP };
/** @type {Record<string, number>} */
const MOVES = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
/** @type {Record<string, number>} */
const VALUES = { Delete: 0, Backspace: 0, Enter: 1 };

export class Bars {
  /** @type {readonly Sized[]} */
  #blocks = [];
  /** @type {number[]} */
  #factors = [];
  /** @type {HTMLElement[]} */
  #bars = [];
  #current = 0; // the bar that the Tab key reaches
  #low = 0;
  #fixed = false;
  #held = false; // whether a drag has changed something

  /** @param {Host} host */
  constructor(host) {
    this.host = host;
    this.element = make("div", {
      class: "lora-algebra-bars",
      role: "group",
      "aria-label": t("Factors of the blocks"),
      onpointerdown: (event) => this.#press(event),
      onpointermove: (event) => event.buttons || host.tell(this.#at(event.clientX)),
      onpointerleave: () => host.tell(this.focused()),
      ondblclick: (event) => this.#setOne(this.#at(event.clientX), 1),
      onkeydown: (event) => this.#key(event),
      onkeyup: ({ key }) => key in CHANGES && host.done(),
      onfocusin: () => host.tell(this.focused()),
      onfocusout: () => host.tell(-1),
    });
  }

  /** @param {readonly Sized[]} blocks @param {number[]} factors @param {boolean} fixed whether the user cannot change them */
  update(blocks, factors, fixed) {
    const isSame =
      blocks.length === this.#blocks.length && blocks.every((each, at) => nameOf(each) === nameOf(this.#blocks[at]));
    this.#blocks = blocks;
    this.#factors = factors;
    this.#fixed = fixed;
    if (!isSame) this.#build();
    if (!this.#held) this.#low = Math.floor(Math.max(LOWEST, Math.min(0, ...factors)));
    this.#draw();
  }

  #build() {
    this.#current = 0;
    this.#bars = this.#blocks.map((block) =>
      make("div", { role: "slider", "aria-orientation": "vertical", "aria-label": nameOf(block) }),
    );
    const lists = [...new Set(this.#blocks.map(({ list }) => list))];
    const parts = lists.map((list) => {
      const own = this.#bars.filter((_, place) => this.#blocks[place].list === list);
      const part = make(
        "div",
        { class: "lora-algebra-bar-list" },
        make("div", {}, ...own),
        make("span", { title: list }, list),
      );
      part.style.flexGrow = String(own.length);
      return part;
    });
    this.element.replaceChildren(make("i", { "data-at": 1 }), make("i", { "data-at": 0 }), ...parts);
  }

  #draw() {
    const largest = Math.max(0, ...this.#blocks.map(({ size }) => size ?? 0));
    const share = (/** @type {number} */ value) => String(value / (HIGH - this.#low));
    const part = (/** @type {number} */ value) => `${(100 * value) / (HIGH - this.#low)}%`;
    const set = (/** @type {HTMLElement} */ { style }, /** @type {Record<string, string>} */ values) => {
      for (const [name, value] of Object.entries(values)) style.setProperty(name, value);
    };
    set(this.element, { "--zero": part(HIGH), "--zero-share": share(HIGH), "--one-share": share(HIGH - 1) });
    for (const [place, bar] of this.#bars.entries()) {
      const { size } = this.#blocks[place];
      const factor = this.#factors[place];
      const drawn = Math.min(HIGH, Math.max(this.#low, factor));
      set(bar, { "--top": part(HIGH - Math.max(0, drawn)), "--height": part(Math.abs(drawn)) });
      set(bar, { "--size": part(size && largest ? size / largest : 0) });
      setAttributes(bar, {
        "aria-valuenow": factor,
        "aria-valuemin": Math.min(0, factor),
        "aria-valuemax": Math.max(HIGH, factor),
        "aria-readonly": this.#fixed && "true",
        "data-untouched": size === 0,
        tabindex: place === this.#current ? 0 : -1,
      });
    }
  }

  /** Returns which bar has the focus; -1 if none has it. */
  focused = () => this.#bars.indexOf(/** @type {HTMLElement} */ (document.activeElement));

  /** Returns which bar is at a place in the window, or next to it. @param {number} x */
  #at(x) {
    const distances = this.#bars.map((bar) => {
      const { left, right } = bar.getBoundingClientRect();
      return Math.max(left - x, x - right, 0);
    });
    return distances.indexOf(Math.min(...distances));
  }

  /** @param {number} y in the window */
  #valueAt(y) {
    const { top, height } = this.#bars[0].getBoundingClientRect();
    const value = HIGH - ((y - top) / height) * (HIGH - this.#low);
    return snapped(Math.min(HIGH, Math.max(this.#low, value)));
  }

  /** @param {number} place */
  #focus(place) {
    this.#current = place;
    for (const [at, bar] of this.#bars.entries()) setAttributes(bar, { tabindex: at === place ? 0 : -1 });
    this.#bars[place]?.focus({ preventScroll: true });
  }

  /** @param {Record<number, number>} changes place -> factor */
  #paint(changes) {
    if (this.#fixed) return;
    const factors = this.#factors.map((factor, place) => changes[place] ?? factor);
    if (factors.some((factor, place) => factor !== this.#factors[place])) this.host.paint(factors);
  }

  /** @param {number} place @param {number} factor */
  #setOne(place, factor) {
    this.#paint({ [place]: factor });
    this.host.done();
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (event.button !== 0 || !this.#bars.length) return;
    event.stopPropagation(); // Nodes 2.0 would drag the node
    const place = this.#at(event.clientX);
    this.#focus(place);
    const last = { place, factor: this.#factors[place] };

    const move = (/** @type {PointerEvent} */ moved) => {
      const now = { place: this.#at(moved.clientX), factor: this.#valueAt(moved.clientY) };
      const from = this.#held ? last : { ...last, factor: now.factor };
      this.#held = true;
      this.#paint(between(from, now));
      Object.assign(last, now);
      this.host.tell(now.place);
    };
    const end = (/** @type {boolean} */ isDropped) => {
      this.#held = false;
      if (isDropped) this.host.done();
      else this.host.cancel();
    };
    const click = () => {
      if (event.shiftKey || event.altKey) this.#setOne(place, this.#factors[place] === 0 ? 1 : 0);
    };
    followDrag(this.element, event, { move, end, click });
  }

  /** @param {KeyboardEvent & { target: Element }} event */
  #key(event) {
    const { key, ctrlKey, metaKey, shiftKey } = event;
    const place = this.#bars.indexOf(targetOf(event));
    if (place < 0 || ctrlKey || metaKey) return;
    const factor = this.#factors[place];
    if (key in MOVES) this.#focus(Math.min(this.#bars.length - 1, Math.max(0, place + MOVES[key])));
    else if (key in CHANGES) this.#paint({ [place]: rounded(factor + CHANGES[key] * (shiftKey ? COARSE : 1)) });
    else if (key in VALUES) this.#setOne(place, VALUES[key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** @param {import("./text.js").Block} block */
export const nameOf = ({ list, number }) => (list === "mid" ? list : `${list} ${number}`);

/** @param {number} factor */
const rounded = (factor) => Math.round(factor * 100) / 100 || 0; // never -0

/** @param {number} factor */
const snapped = (factor) => rounded(Math.round(factor / STEP) * STEP);

/**
 * Returns the factors of the bars that a pointer has passed: it may have been faster than the page looks.
 *
 * @typedef {{ place: number, factor: number }} Stop
 * @param {Stop} from @param {Stop} to @returns {Record<number, number>}
 */
function between(from, to) {
  const count = Math.abs(to.place - from.place);
  const way = Math.sign(to.place - from.place);
  const stops = Array.from({ length: count + 1 }, (_, at) => {
    const share = count ? at / count : 1;
    return [from.place + way * at, snapped(from.factor + share * (to.factor - from.factor))];
  });
  return Object.fromEntries(stops);
}
