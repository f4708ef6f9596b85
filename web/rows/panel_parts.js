/** Makes the small parts of the panel below a row. */

import { isolated, make } from "../page/elements.js";
import { printable } from "../page/text.js";
import { t } from "../page/words.js";

/** Shows text from outside, of which neither markup nor the direction of writing spreads. @param {string} text */
export const outside = (text) => isolated(printable(text));

/** @param {string} text @param {string} [kind] */
export const sentence = (text, kind = "") => make("p", { class: `says ${kind}` }, outside(text));

/** Shows a longer text under its label. @param {string} label @param {string | null} text */
export const words = (label, text) =>
  text
    ? [
        make("p", { class: "label" }, label),
        make("div", { class: "long", tabindex: 0, "data-capture-wheel": "true" }, outside(text)),
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
