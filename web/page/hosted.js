/** A drawing below the widgets of a node, which shows their values and writes into them. It has no value of its own. */

import { app } from "../../../scripts/app.js";

/**
 * Adds a drawing that neither the workflow nor the prompt holds. It must stay behind the widgets of the node: the host
 * counts saved values by place.
 *
 * @param {Host.Node} node @param {{ name: string, type: string, element: HTMLElement, height: () => number }} drawing
 */
export function addDrawing(node, { name, type, element, height }) {
  const widget = node.addDOMWidget(name, type, element, { serialize: false, hideInPanel: true, getMinHeight: height });
  widget.serialize = false;
}

/**
 * Makes a new node larger than it must be. A saved one gets its own size after that.
 *
 * @param {Host.Node} node @param {{ width: number, room: number }} size
 */
export function enlarge(node, { width, room }) {
  const [least, height] = node.computeSize();
  node.setSize([Math.max(least, width), height + room]);
}

/**
 * Puts a drawing where Nodes 2.0 has kept that of an earlier node with the same id.
 *
 * @param {Host.Node} node @param {HTMLElement} element @param {string} className
 */
export function takePlace(node, element, className) {
  if (element.isConnected || node.graph !== app.canvas.graph) return;
  document.querySelector(`[data-node-id="${node.id}"] .${className}`)?.replaceWith(element);
}

/** Whether something is linked to an input. @param {{ link?: number | null } | undefined} input */
export const hasLink = (input) => input?.link !== null && input?.link !== undefined;

/** Whether a value comes by a link, and so only when the workflow runs. @param {Host.Node} node @param {string} name */
export const isLinked = (node, name) =>
  (node.inputs ?? []).some((input) => input.widget?.name === name && hasLink(input));

/** @param {Host.Node} node @param {string} name */
export const valueIn = (node, name) => node.widgets?.find((widget) => widget.name === name)?.value;

/** Gives a widget a value, as the user would. @param {Host.Node} node @param {string} name @param {unknown} value */
export function setValue(node, name, value) {
  const widget = node.widgets?.find((each) => each.name === name);
  if (!widget || widget.value === value) return;
  widget.value = value;
  widget.callback?.(value);
  node.setDirtyCanvas(true, true);
}
