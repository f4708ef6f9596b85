/** A menu on the page. */

import { make } from "../page/elements.js";
import { openPopup } from "../page/popup.js";

/**
 * @param {string} label
 * @param {{ text: string, action: () => void, disabled?: boolean }[]} items
 * @param {Element | object} anchor an element, or a place in the window
 * @param {HTMLElement} opener gets the focus back
 */
export function openMenu(label, items, anchor, opener) {
  const menu = make("div", { class: "lora-algebra-popup lora-algebra-menu", role: "menu", "aria-label": label });
  const close = () => closePopup();
  menu.append(...items.map((item) => menuItem(item, close)));
  menu.addEventListener("keydown", (event) => walk(menu, event, close));
  const closePopup = openPopup(menu, anchor, { opener, onClose: () => opener.removeAttribute("aria-expanded") });
  opener.setAttribute("aria-expanded", "true");
  menu.firstElementChild.focus();
}

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

function walk(menu, event, close) {
  const items = [...menu.children];
  const at = items.indexOf(document.activeElement);
  const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
  if (event.key === "Tab") close();
  else if (event.key in steps) items.at(steps[event.key] % items.length).focus();
  else return;
  event.preventDefault();
}
