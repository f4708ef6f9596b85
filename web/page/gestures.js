/** Decides which gestures over a widget go to the canvas, and which must not get there: wheel, middle button, keys. */

import { app } from "../../../scripts/app.js";

import { targetOf } from "./elements.js";

const OURS = new Set(["Delete", "Backspace", "Enter", " ", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"]);

/** @param {HTMLElement} element of a widget */
export function guardGestures(element) {
  element.addEventListener("keydown", (event) => {
    const { key, ctrlKey, metaKey } = event;
    if (OURS.has(key) && !ctrlKey && !metaKey) event.stopPropagation(); // the host would delete the node
  });
  const zoom = (/** @type {WheelEvent} */ event) => {
    if (!LiteGraph.vueNodesMode && !scrolls(event)) app.canvas.processMouseWheel(event);
  };
  element.addEventListener("wheel", zoom, { passive: false });
  pan(element, "pointerdown", ({ button }) => button === 1, "processMouseDown");
  pan(element, "pointermove", ({ buttons }) => (buttons & 4) !== 0, "processMouseMove");
  pan(element, "pointerup", ({ button }) => button === 1, "processMouseUp");
}

/** Whether what has the focus may keep the wheel, by the same rule as in Nodes 2.0. @param {Event} event */
const scrolls = (event) => targetOf(event).closest("[data-capture-wheel]")?.contains(document.activeElement);

/**
 * Gives the canvas what the middle button does. Nodes 2.0 does that by itself.
 *
 * @param {HTMLElement} element
 * @param {"pointerdown" | "pointermove" | "pointerup"} type
 * @param {(event: PointerEvent) => boolean} isMiddle
 * @param {"processMouseDown" | "processMouseMove" | "processMouseUp"} process
 */
function pan(element, type, isMiddle, process) {
  element.addEventListener(type, (event) => {
    if (!LiteGraph.vueNodesMode && isMiddle(event)) app.canvas[process](event);
  });
}
