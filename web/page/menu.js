/** Shows a menu on the page. */

import { focusedOf, make } from "./elements.js";
import { openPopup } from "./popup.js";

/** @typedef {{ text: string, action: () => void, disabled?: boolean }} Item */

/**
 * @param {string} label @param {Item[]} items
 * @param {Element | import("./popup.js").Rect} anchor an element, or a place in the window
 * @param {HTMLElement} opener gets the focus back
 */
export function openMenu(label, items, anchor, opener) {
  const menu = make("div", { class: "lora-algebra-popup lora-algebra-menu", role: "menu", "aria-label": label });
  const close = () => closePopup();
  const buttons = items.map((item) => menuItem(item, close));
  menu.append(...buttons);
  menu.addEventListener("keydown", (event) => walk(buttons, event, close));
  const closePopup = openPopup(menu, anchor, { opener, onClose: () => opener.removeAttribute("aria-expanded") });
  opener.setAttribute("aria-expanded", "true");
  buttons[0].focus();
}

/** @param {Item} item @param {() => void} close */
function menuItem({ text, action, disabled = false }, close) {
  const act = () => {
    if (disabled) return;
    close();
    action();
  };
  return make(
    "button",
    { role: "menuitem", type: "button", tabindex: -1, "aria-disabled": disabled && "true", onclick: act },
    text,
  );
}

/** Moves the focus with keys. @param {HTMLElement[]} items @param {KeyboardEvent} event @param {() => void} close */
function walk(items, event, close) {
  const at = focusedOf(items);
  /** @type {Record<string, number>} */
  const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
  if (event.key === "Tab") close();
  else if (event.key in steps) items.at(steps[event.key] % items.length)?.focus();
  else return;
  event.preventDefault();
}
