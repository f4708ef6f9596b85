/** Of wheel, middle button and keys, what is for the canvas and what must not get there. */

import { app } from "../../../scripts/app.js";

const OURS = new Set(["Delete", "Backspace", "Enter", " ", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"]);

/** @param {HTMLElement} element of a widget */
export function guardGestures(element) {
  element.addEventListener("keydown", (event) => {
    const { key, ctrlKey, metaKey } = event;
    if (OURS.has(key) && !ctrlKey && !metaKey) event.stopPropagation(); // the host would delete the node
  });
  element.addEventListener(
    "wheel",
    (event) => LiteGraph.vueNodesMode || scrolls(event) || app.canvas.processMouseWheel(event),
    {
      passive: false,
    },
  );
  pan(element, "pointerdown", ({ button }) => button === 1, "processMouseDown");
  pan(element, "pointermove", ({ buttons }) => buttons & 4, "processMouseMove");
  pan(element, "pointerup", ({ button }) => button === 1, "processMouseUp");
}

/** The same rule as that of Nodes 2.0: what has the focus may keep the wheel. */
const scrolls = ({ target }) => target.closest("[data-capture-wheel]")?.contains(document.activeElement);

/** Nodes 2.0 does it itself. */
function pan(element, type, isMiddle, process) {
  element.addEventListener(type, (event) => {
    if (!LiteGraph.vueNodesMode && isMiddle(event)) app.canvas[process](event);
  });
}
