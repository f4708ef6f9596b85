/** Makes the small parts of the panel below a row. */

import { isolated, make } from "../page/elements.js";
import { printable } from "../page/text.js";
import { t } from "../page/words.js";

/** Shows text from outside, of which neither markup nor the direction of writing spreads. @param {string} text */
export const outside = (text) => isolated(printable(text));

/** @param {string} text @param {string} [kind] */
export const sentence = (text, kind = "") => make("p", { class: `says ${kind}` }, outside(text));

const LINK = /https:\/\/[^\s<>"'`]+/g;
const AFTER_LINK = /[.,;:!?)\]}]+$/; // belongs to the sentence around it

/** Links to a page that the user may open; it learns nothing of this one. @param {string} address @param {Node | string} shown */
export function link(address, shown) {
  const element = make("a", {}, shown);
  Object.assign(element, { href: address, target: "_blank", rel: "noopener noreferrer" });
  return element;
}

/** Shows text from outside, in which https addresses are links. @param {string} text @returns {HTMLElement[]} */
function linked(text) {
  const shown = printable(text);
  /** @type {HTMLElement[]} */
  const parts = [];
  let end = 0;
  for (const found of shown.matchAll(LINK)) {
    const address = found[0].replace(AFTER_LINK, "");
    if (!URL.canParse(address)) continue;
    parts.push(isolated(shown.slice(end, found.index)), link(address, isolated(address)));
    end = found.index + address.length;
  }
  return [...parts, isolated(shown.slice(end))];
}

/** Shows a longer text under its label. @param {string} label @param {string | null} text */
export const words = (label, text) =>
  text
    ? [
        make("p", { class: "label" }, label),
        make("div", { class: "long", tabindex: 0, "data-capture-wheel": "true" }, ...linked(text)),
      ]
    : [];

/** @param {string} key by which the button is recognised @param {string} text @param {string} label */
export function copyButton(key, text, label) {
  const attributes = {
    type: "button",
    "data-key": `copy ${key}`,
    "data-text": text,
    "aria-label": label,
    title: label,
  };
  return make("button", { ...attributes, onclick: ({ currentTarget }) => copy(currentTarget) }, t("Copy"));
}

/** Copies the text of a button, which then says whether that worked. @param {HTMLElement} button */
async function copy(button) {
  try {
    // a page from another machine without https has no clipboard
    await navigator.clipboard.writeText(button.dataset.text ?? "");
    button.textContent = t("Copied");
  } catch {
    button.textContent = t("The browser does not allow it");
  }
  button.ariaLabel = button.textContent;
}
