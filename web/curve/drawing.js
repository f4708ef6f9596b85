/** Draws the line of a curve, in a box that is as high as the range of its strengths. */

import { setText } from "../page/elements.js";
import { short } from "../page/text.js";

const SVG = "http://www.w3.org/2000/svg";

export class Drawing {
  #area = part("polygon");
  #zero = part("line", { x1: 0, x2: 1 });
  #line = part("polyline");
  #high = label("high");
  #low = label("low");

  constructor() {
    const svg = part("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" });
    svg.append(this.#area, this.#zero, this.#line);
    this.elements = [svg, this.#high, this.#low];
  }

  /** @param {import("./outline.js").Corner[]} corners @param {import("./outline.js").Range} range */
  draw(corners, { low, high }) {
    const down = (/** @type {number} */ strength) => (high - strength) / (high - low);
    const points = corners.map(([progress, strength]) => `${progress},${down(strength)}`);
    const zero = down(0);
    set(this.#line, { points: points.join(" ") });
    set(this.#area, { points: [`0,${zero}`, ...points, `1,${zero}`].join(" ") });
    set(this.#zero, { y1: zero, y2: zero });
    setText(this.#high, short(high));
    setText(this.#low, short(low));
  }
}

/** @param {string} className */
function label(className) {
  return Object.assign(document.createElement("span"), { className, ariaHidden: "true" });
}

/** @param {string} tag @param {Record<string, string | number>} [attributes] */
function part(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  set(element, attributes);
  return element;
}

/** @param {Element} element @param {Record<string, string | number>} attributes */
function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
}
