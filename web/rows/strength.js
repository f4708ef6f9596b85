/** A field for a strength. The user drags it, turns the wheel, steps it by keys, or types. */

import { parseStrength, tidy } from "../model/value.js";
import { followDrag } from "../page/drag.js";
import { make, setAttributes, setText, targetOf } from "../page/elements.js";
import { setting } from "../page/settings.js";
import { KEYS, stepOf } from "../page/steps.js";
import { t } from "../page/words.js";

const STEP_PIXELS = 4;
const NOTCH_PIXELS = 40; // of the wheel

export class Strength {
  #value = 1;
  #driven = false; // by a link, so that nobody sets it here
  #turned = 0; // pixels of the wheel that are not yet a step
  #number = make("span", { class: "lora-algebra-number" });

  /**
   * @param {(value: number, options: { held: boolean }) => void} change `held`: more such changes may follow at once
   */
  constructor(change) {
    this.change = change;
    this.element = make(
      "div",
      {
        class: "lora-algebra-strength",
        role: "spinbutton",
        tabindex: 0,
        "data-capture-wheel": "true", // the host lets the wheel through to it while it has the focus
        onpointerdown: (event) => this.#press(event),
        onkeydown: (event) => this.#key(event),
      },
      this.#number,
    );
    this.element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  /** @param {number} value @param {string} label @param {boolean} [driven] whether a link gives the value */
  update(value, label, driven = false) {
    this.#value = value;
    this.#driven = driven;
    const { least, most } = this.#range();
    setAttributes(this.element, { "aria-label": label, "aria-valuemin": least, "aria-valuemax": most });
    setAttributes(this.element, { "aria-readonly": driven && "true", "data-driven": driven });
    this.#show(value);
  }

  /** @param {number} value */
  #show(value) {
    const { least, most } = this.#range();
    const part = (/** @type {number} */ strength) => Math.min(1, Math.max(0, (strength - least) / (most - least)));
    const text = this.#driven ? t("by link") : format(value);
    setAttributes(this.element, { "aria-valuenow": this.#driven ? undefined : value, "aria-valuetext": text });
    this.element.style.setProperty("--from", String(part(Math.min(0, value))));
    this.element.style.setProperty("--to", String(part(Math.max(0, value))));
    setText(this.#number, text);
  }

  /** Returns what drag, wheel and keys reach: the range of the settings, and what has been typed beyond it. */
  #range() {
    const [least, most] = [Number(setting("Least")), Number(setting("Most"))];
    return { least: Math.min(least, most, this.#value), most: Math.max(least, most, this.#value) };
  }

  /** @param {number} value */
  #within(value) {
    const { least, most } = this.#range();
    return tidy(Math.min(most, Math.max(least, value)));
  }

  /** @param {number} value @param {boolean} [held] */
  #set(value, held = false) {
    const within = this.#within(value);
    if (within !== this.#value) this.change(within, { held });
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (this.#driven || event.button !== 0 || targetOf(event).tagName === "INPUT") return;
    const { element } = this;
    const had = document.activeElement === element;
    const start = this.#value;
    let value = start;

    const move = (/** @type {PointerEvent} */ moved) => {
      const distance = moved.clientX - event.clientX;
      element.dataset.dragged = "";
      value = this.#within(start + Math.round(distance / STEP_PIXELS) * stepOf(moved));
      this.#show(value);
    };
    const end = (/** @type {boolean} */ isDropped) => {
      delete element.dataset.dragged;
      this.#show(this.#value);
      if (isDropped) this.#set(value);
    };
    const click = () => had && this.type();
    followDrag(element, event, { move, end, click, distance: Math.abs });
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    const turned = event.deltaY || event.deltaX; // with Shift the browser reports it as sideways
    if (this.#driven || document.activeElement !== this.element || event.ctrlKey || !turned) return;
    event.preventDefault();
    event.stopPropagation();
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? turned : Math.sign(turned) * NOTCH_PIXELS;
    this.#turned = Math.sign(this.#turned) === Math.sign(pixels) ? this.#turned + pixels : pixels;
    if (Math.abs(this.#turned) < NOTCH_PIXELS) return; // touchpads send many small turns
    this.#turned = 0;
    this.#set(this.#value - Math.sign(pixels) * stepOf(event), true);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (this.#driven || event.target !== this.element) return;
    const { least, most } = this.#range();
    /** @type {Record<string, number>} */
    const ends = { Home: least, End: most };
    if (event.key in KEYS) this.#set(this.#value + KEYS[event.key] * stepOf(event), event.repeat);
    else if (event.key in ends) this.#set(ends[event.key]);
    else if (isCommand(event)) return;
    else if (event.key === "Enter") this.type();
    else if (/^[-+.,\d]$/.test(event.key)) this.type(event.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Opens a field in its place. @param {string} [text] what has been typed so far */
  type(text) {
    if (this.element.querySelector("input")) return;
    const input = make("input", {
      class: "lora-algebra-typed",
      type: "text",
      inputmode: "decimal",
      "aria-label": this.element.getAttribute("aria-label"),
    });
    input.value = text ?? String(this.#value);
    this.element.append(input);
    input.focus();
    if (text === undefined) input.select();
    this.#endTyping(input);
  }

  /** Takes what was typed, which may be outside of the range. @param {HTMLInputElement} input */
  #endTyping(input) {
    let ended = false;
    const end = (/** @type {boolean} */ accept, /** @type {boolean} */ refocus) => {
      if (ended) return;
      ended = true;
      const value = accept ? parseStrength(input.value) : null;
      input.remove();
      if (refocus) this.element.focus();
      if (value !== null && value !== this.#value) this.change(value, { held: false });
    };
    input.addEventListener("blur", () => end(true, false));
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !isCommand(event)) event.stopPropagation();
      if (event.isComposing) return;
      if (event.key === "Enter" || event.key === "Escape") end(event.key === "Enter", true);
    });
  }
}

/** Whether the page has such keys: Ctrl+Enter runs the workflow. @param {KeyboardEvent} event */
const isCommand = ({ ctrlKey, metaKey }) => ctrlKey || metaKey;

/** Writes at least two decimals, so that the numbers of a list are aligned. @param {number} value */
function format(value) {
  return Math.abs(value * 100 - Math.round(value * 100)) < 1e-6 ? value.toFixed(2) : String(value);
}
