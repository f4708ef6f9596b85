/**
 * The points of a curve as handles, which the user drags, adds, removes and moves by keys.
 *
 * @typedef {import("./curve.js").Curve} Curve
 * @typedef {import("./curve.js").Point} Point
 * @typedef {{ paint: (points: readonly Point[]) => void, done: () => void, cancel: () => void,
 *   tell: (at: number) => void }} Host `paint` shows other points, `done` makes what was painted one edit, `cancel`
 *   takes it back; `tell` is called with the point that is looked at, or -1
 */

import { followDrag } from "../page/drag.js";
import { focusedOf, make, setAttributes, targetOf } from "../page/elements.js";
import { COARSE, factorOf } from "../page/steps.js";
import { short } from "../page/text.js";
import { t } from "../page/words.js";
import { added, addedAfter, around, MOST_HANDLES, moved, removed, STEP, snapped } from "./points.js";

/** Steps of the keys, to the right and up. @type {Record<string, [place: number, value: number]>} */
const MOVES = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
  PageUp: [0, COARSE],
  PageDown: [0, -COARSE],
};
const REMOVE = new Set(["Delete", "Backspace"]);
const ADD = new Set(["Insert", "+"]); // but not with Ctrl, which makes the page larger

export class Handles {
  /** @type {Curve} */
  #curve = { points: [], shape: "linear", start: 0, end: 1 };
  #range = { low: 0, high: 1 };
  /** @type {import("./outline.js").Range | null} what is drawn stays as high as it was while a point is dragged */
  #held = null;
  /** @type {HTMLElement[]} */
  #handles = [];

  /** @param {Host} host */
  constructor(host) {
    this.host = host;
    this.element = make("div", {
      class: "lora-algebra-points",
      onpointerdown: (event) => this.#press(event),
      onpointermove: (event) => event.buttons || host.tell(this.#at(event)),
      onpointerleave: () => host.tell(this.focused()),
      ondblclick: (event) => this.#add(event),
      onkeydown: (event) => this.#key(event),
      onkeyup: ({ key }) => key in MOVES && host.done(),
      onfocusin: () => host.tell(this.focused()),
      onfocusout: () => this.#left(),
    });
  }

  /** Returns the range in which the curve is to be drawn. @param {import("./outline.js").Range} range of its line */
  rangeFor = (range) => (this.#held ? around(this.#held, range) : range);

  /** @param {Curve} curve @param {import("./outline.js").Range} range as it is drawn @param {boolean} fixed */
  update(curve, range, fixed) {
    this.#curve = curve;
    this.#range = range;
    const count = fixed || curve.points.length > MOST_HANDLES ? 0 : curve.points.length;
    while (this.#handles.length > count) this.#handles.pop()?.remove();
    while (this.#handles.length < count)
      this.#handles.push(make("div", { class: "lora-algebra-point", role: "slider", tabindex: 0 }));
    for (const handle of this.#handles) if (!handle.parentNode) this.element.append(handle);
    for (const [at, handle] of this.#handles.entries()) this.#show(handle, at);
  }

  /** @param {HTMLElement} handle @param {number} at */
  #show(handle, at) {
    const { points, start, end } = this.#curve;
    const { low, high } = this.#range;
    const { place, value } = points[at];
    handle.style.left = `${100 * (start + place * (end - start))}%`;
    handle.style.top = `${(100 * (high - value)) / (high - low)}%`;
    setAttributes(handle, {
      "aria-label": t("Point {number} of {count}", { number: at + 1, count: points.length }),
      "aria-orientation": "vertical",
      "aria-valuenow": value,
      "aria-valuemin": Math.min(low, value),
      "aria-valuemax": Math.max(high, value),
      "aria-valuetext": t("{strength} at {place}", { strength: short(value), place: short(place) }),
    });
  }

  /** Returns which point has the focus; -1 if none has it. */
  focused = () => focusedOf(this.#handles);

  /** Returns which point an event is aimed at, or -1. @param {Event} event */
  #at = (event) => this.#handles.indexOf(targetOf(event));

  /** @param {number} at */
  focus = (at) => this.#handles[Math.min(at, this.#handles.length - 1)]?.focus({ preventScroll: true });

  /** Returns the point at a place in the window. @param {MouseEvent} event */
  #pointAt({ clientX, clientY }) {
    const { left, top, width, height } = this.element.getBoundingClientRect();
    const { low, high } = this.#held ?? this.#range;
    const { start, end } = this.#curve;
    return {
      place: ((clientX - left) / width - start) / (end - start),
      value: high - ((clientY - top) / height) * (high - low),
    };
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (event.button !== 0) return;
    event.stopPropagation(); // Nodes 2.0 would drag the node
    const at = this.#at(event);
    if (at < 0) return;
    this.focus(at);
    const from = this.#pointAt(event);
    const before = this.#curve.points;

    const move = (/** @type {PointerEvent} */ now) => {
      this.#held ??= this.#range;
      const to = this.#pointAt(now);
      const step = factorOf(now, 1);
      this.#paint(
        moved(before, at, {
          place: snapped(before[at].place + to.place - from.place, STEP.place * step),
          value: snapped(before[at].value + to.value - from.value, STEP.value * step),
        }),
      );
      this.host.tell(at);
    };
    const end = (/** @type {boolean} */ isDropped) => {
      this.#held = null;
      if (isDropped) this.host.done();
      else this.host.cancel();
    };
    followDrag(this.element, event, { move, end });
  }

  /** @param {readonly Point[]} points */
  #paint(points) {
    const { points: former } = this.#curve;
    const isSame = points.every(({ place, value }, at) => place === former[at]?.place && value === former[at].value);
    if (!isSame || points.length !== former.length) this.host.paint(points);
  }

  /** @param {MouseEvent} event */
  #add(event) {
    if (this.#at(event) >= 0 || !this.#handles.length) return;
    const { place, value } = this.#pointAt(event);
    if (place < 0 || place > 1) return; // outside of the window, where the strength is 0
    this.#take(added(this.#curve.points, { place: snapped(place, STEP.place), value: snapped(value, STEP.value) }));
  }

  /** @param {ReturnType<typeof added>} change */
  #take(change) {
    if (!change) return;
    this.#paint(change.points);
    this.host.done();
    this.focus(change.at);
  }

  #left() {
    if (!this.#held) this.host.done(); // a key may be let go elsewhere
    this.host.tell(-1);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { key, ctrlKey, metaKey } = event;
    const at = this.#at(event);
    if (at < 0) return;
    if (key in MOVES) this.#move(at, MOVES[key], factorOf(event));
    else if (ctrlKey || metaKey) return;
    else if (REMOVE.has(key)) this.#remove(at);
    else if (ADD.has(key)) this.#take(addedAfter(this.#curve, at));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number} at @param {[number, number]} way @param {number} size */
  #move(at, [right, up], size) {
    const { place, value } = this.#curve.points[at];
    const to = { place: place + right * size * STEP.place, value: value + up * size * STEP.value };
    this.#paint(moved(this.#curve.points, at, to));
    this.host.tell(at);
  }

  /** @param {number} at */
  #remove(at) {
    this.#paint(removed(this.#curve.points, at));
    this.host.done();
    this.focus(at);
  }
}
