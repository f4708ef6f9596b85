/** Keeps the keyboard focus in place. Undo replaces nodes by new ones: the focus goes on in the new node. */

import { focusedOf, targetOf } from "./elements.js";

/** @type {{ element: HTMLElement, id: string, workflow: unknown, place: number, className: string } | null} */
let last = null;

/**
 * @param {HTMLElement} element of a widget
 * @param {() => { id: unknown, workflow: unknown }} where its node is
 */
export function rememberFocus(element, where) {
  element.addEventListener("focusin", (event) => {
    const { id, workflow } = where();
    const { className } = targetOf(event);
    last = { element, id: String(id), workflow, place: placeOf(element, className), className };
  });
  element.addEventListener("focusout", (event) => {
    const target = targetOf(event);
    queueMicrotask(() => {
      if (target.isConnected && !element.contains(document.activeElement)) last = null;
    });
  });
}

/** Whether there is a focus that may have to be restored. */
export const remembersFocus = () => last !== null;

/** Returns which of its class a control is. @param {HTMLElement} element @param {string} className */
const placeOf = (element, className) => focusedOf([...element.getElementsByClassName(className)]);

/**
 * Gives the focus to the new node, if there is one by now.
 *
 * @param {unknown} workflow the one that is shown: another one has other nodes of the same ids
 * @param {readonly { node: Host.Node, element: HTMLElement }[]} widgets that may have it now
 */
export function restoreFocus(workflow, widgets) {
  if (last && last.workflow !== workflow) last = null;
  if (!last || last.element.isConnected || document.activeElement !== document.body) return;
  const { id, place, className } = last;
  const heir = widgets.find(({ node, element }) => String(node.id) === id && element.isConnected);
  const control = heir?.element.getElementsByClassName(className)[place];
  if (control instanceof HTMLElement) control.focus({ preventScroll: true });
}
