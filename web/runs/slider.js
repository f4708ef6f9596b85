/** A strength as a slider: dragged, stepped by keys, and set to 1 by a double click. */

import { followDrag } from "../page/drag.js";
import { make, setAttributes } from "../page/elements.js";
import { KEYS, stepOf } from "../page/steps.js";

const [LEAST, MOST] = [-2, 2]; // more can be typed
const DIGITS = 6; // what is left of 0.1 + 0.2

export class Slider {
  #value = 1;
  #fixed = false;

  /** @param {{ paint: (value: number) => void, done: () => void }} host `done` makes what was painted one edit */
  constructor(host) {
    this.host = host;
    this.element = make("div", {
      role: "slider",
      tabindex: 0,
      onpointerdown: (event) => this.#press(event),
      ondblclick: () => this.#set(1),
      onkeydown: (event) => this.#key(event),
      onkeyup: ({ key }) => key in KEYS && host.done(),
      onfocusout: () => host.done(), // a key may be let go elsewhere
    });
  }

  /** @param {number} value @param {string} label @param {boolean} fixed whether the user cannot change it */
  update(value, label, fixed) {
    this.#value = value;
    this.#fixed = fixed;
    const { least, most } = this.#range();
    const part = (/** @type {number} */ strength) => String((strength - least) / (most - least));
    const { style } = this.element;
    style.setProperty("--at", part(value));
    style.setProperty("--from", part(Math.min(0, value)));
    style.setProperty("--to", part(Math.max(0, value)));
    style.setProperty("--one", part(1));
    setAttributes(this.element, {
      "aria-label": label,
      "aria-valuenow": value,
      "aria-valuemin": least,
      "aria-valuemax": most,
      "aria-disabled": fixed && "true",
      title: label,
    });
  }

  /** Returns what it reaches: also what has been typed beyond it. */
  #range = () => ({ least: Math.min(LEAST, this.#value), most: Math.max(MOST, this.#value) });

  /** @param {number} value @param {{ least: number, most: number }} [range] */
  #paint(value, { least, most } = this.#range()) {
    const within = Number(Math.min(most, Math.max(least, value)).toFixed(DIGITS)) || 0; // never -0
    if (!this.#fixed && within !== this.#value) this.host.paint(within);
  }

  /** @param {number} value */
  #set(value) {
    this.#paint(value);
    this.host.done();
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (event.button !== 0) return;
    event.stopPropagation(); // Nodes 2.0 would drag the node
    const { element } = this;
    const [before, range] = [this.#value, this.#range()];

    const move = (/** @type {PointerEvent} */ now) => {
      const { left, width } = element.getBoundingClientRect();
      const value = range.least + ((now.clientX - left) / width) * (range.most - range.least);
      const step = stepOf(now, 1);
      this.#paint(Math.round(value / step) * step, range);
    };
    const end = (/** @type {boolean} */ isDropped) => {
      if (isDropped) this.host.done();
      else this.#paint(before, range);
    };
    followDrag(element, event, { move, end, distance: Math.abs }); // sideways
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { least, most } = this.#range();
    /** @type {Record<string, number>} */
    const ends = { Home: least, End: most };
    if (event.key in KEYS) this.#paint(this.#value + KEYS[event.key] * stepOf(event));
    else if (event.key in ends) this.#set(ends[event.key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
