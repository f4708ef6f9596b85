/**
 * Makes the parts that we put on the page.
 *
 * @typedef {string | number | boolean | null | undefined} Value undefined, null and false: the attribute is left out
 * @typedef {"alt" | "autocomplete" | "class" | "decoding" | "draggable" | "id" | "inputmode" | "loading" |
 *   "placeholder" | "role" | "rows" | "scope" | "spellcheck" | "src" | "tabindex" | "title" | "type"} Name
 * @typedef {{ [N in Name | `aria-${string}` | `data-${string}`]?: Value }} Attributes
 */

/**
 * @template {Element} E
 * @typedef {{ [K in keyof HTMLElementEventMap as `on${K}`]?:
 *   (event: HTMLElementEventMap[K] & { currentTarget: E, target: Element }) => void }} Listeners
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * `make("button", { class: "x", "aria-label": "Add", onclick: add }, "Add")` makes a button. Text stays text.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Attributes & Listeners<HTMLElementTagNameMap[K]>} [properties]
 * @param {...(Node | string)} children
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else setAttribute(element, name, value);
  }
  element.append(...children);
  return element;
}

/**
 * Sets the attributes that differ, so that the page does not draw again what has not changed.
 *
 * @param {Element} element @param {Attributes} attributes
 */
export function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
}

/** @param {Element} element @param {string} name @param {unknown} value */
function setAttribute(element, name, value) {
  const text = value === true ? "" : String(value);
  if (value === undefined || value === null || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** Sets a text where it differs. @param {Node} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The element at which an event of an element was aimed. @param {Event} event */
export const targetOf = ({ target }) => /** @type {HTMLElement} */ (target);

/** Returns which of some elements has the focus; -1 if none has it. @param {Element[]} elements */
export const focusedOf = (elements) => elements.indexOf(/** @type {Element} */ (document.activeElement));

/**
 * Makes an element for a name from outside, whose direction of writing does not spread.
 *
 * @param {string} text @param {string} [className]
 */
export const isolated = (text, className) => make("bdi", { class: className }, text);

const PATHS = {
  grip: "M6 3.5h.01M10 3.5h.01M6 8h.01M10 8h.01M6 12.5h.01M10 12.5h.01",
  more: "M8 3.5h.01M8 8h.01M8 12.5h.01",
  plus: "M8 3v10M3 8h10",
  chevron: "M4 6l4 4 4-4",
  warning: "M8 2.5L14 13.5H2ZM8 6.5v3M8 11.6h.01",
  list: "M2.5 4h11M2.5 8h11M2.5 12h11",
  grid: "M2.5 2.5h4.5v4.5h-4.5ZM9 2.5h4.5v4.5H9ZM2.5 9h4.5v4.5h-4.5ZM9 9h4.5v4.5H9Z",
  paste: "M5.5 3.5h-2v10h9v-10h-2M5.5 2.5h5v2.5h-5Z",
  balance: "M3 13V9M8 13V5M13 13V7M2 13.5h12",
  blocks: "M2.5 2.5h11v3h-11ZM2.5 6.5h11v3h-11ZM2.5 10.5h11v3h-11Z",
  clear: "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9",
  star: "M8 2.5l1.7 3.5 3.8.5-2.8 2.7.7 3.8L8 11.2l-3.4 1.8.7-3.8L2.5 6.5l3.8-.5Z",
  power: "M8 2.5v5M4.8 4.8a4.5 4.5 0 1 0 6.4 0",
};

/** @param {keyof typeof PATHS} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 16 16");
  setAttributes(svg, { class: "lora-algebra-icon", "aria-hidden": "true" });
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
