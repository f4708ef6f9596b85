/** Undo builds nodes anew: the keyboard goes on where it was, in the new one. */

import { rowsWidgets } from "./registry.js";

/** @type {{ element: HTMLElement, id: string, place: number, className: string } | null} */
let last = null;

/** @param {HTMLElement} element of a widget @param {() => unknown} id of its node */
export function rememberFocus(element, id) {
  element.addEventListener("focusin", ({ target }) => {
    last = { element, id: String(id()), place: placeOf(element, target), className: target.className };
  });
  element.addEventListener("focusout", ({ target }) => {
    queueMicrotask(() => {
      if (target.isConnected && !element.contains(document.activeElement)) last = null;
    });
  });
}

/** Which of its kind a control is. */
const placeOf = (element, { className }) => [...element.getElementsByClassName(className)].indexOf(document.activeElement);

/** To be called now and then. */
export function restoreFocus() {
  if (!last || last.element.isConnected || document.activeElement !== document.body) return;
  const { id, place, className } = last;
  const heir = rowsWidgets().find(({ node, element }) => String(node.id) === id && element.isConnected);
  heir?.element.getElementsByClassName(className)[place]?.focus({ preventScroll: true });
}
