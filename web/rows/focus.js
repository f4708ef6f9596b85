/** Undo builds nodes anew: the keyboard goes on where it was, in the new one. */

import { rowsWidgets } from "../model/registry.js";

/** @type {{ element: HTMLElement, id: string, workflow: unknown, place: number, className: string } | null} */
let last = null;

/**
 * @param {HTMLElement} element of a widget
 * @param {() => { id: unknown, workflow: unknown }} where its node is
 */
export function rememberFocus(element, where) {
  element.addEventListener("focusin", ({ target }) => {
    const { id, workflow } = where();
    last = { element, id: String(id), workflow, place: placeOf(element, target), className: target.className };
  });
  element.addEventListener("focusout", ({ target }) => {
    queueMicrotask(() => {
      if (target.isConnected && !element.contains(document.activeElement)) last = null;
    });
  });
}

/** Which of its kind a control is. */
const placeOf = (element, { className }) =>
  [...element.getElementsByClassName(className)].indexOf(document.activeElement);

/** To be called now and then. @param {unknown} workflow that is shown: another one has other nodes of the same ids */
export function restoreFocus(workflow) {
  if (last && last.workflow !== workflow) last = null;
  if (!last || last.element.isConnected || document.activeElement !== document.body) return;
  const { id, place, className } = last;
  const heir = rowsWidgets().find(({ node, element }) => String(node.id) === id && element.isConnected);
  heir?.element.getElementsByClassName(className)[place]?.focus({ preventScroll: true });
}
