/**
 * Draws on every "Schedule LoRA" node the strength that its text stands for.
 *
 * Values come into widgets in many ways: typing, undo, a saved workflow, a promoted widget, other packs. The page
 * announces only some of them. So the preview looks at its values in every frame, as the canvas does, and draws
 * when one has changed. At the same time it notices where Nodes 2.0 still shows the preview of a node that undo
 * has replaced.
 */

import { app } from "../../../scripts/app.js";

import { afterwards } from "../page/hooks.js";
import { loadStyle } from "../page/style.js";
import { short } from "../page/text.js";
import { lookEveryFrame } from "../page/ticker.js";
import { allNodes } from "../page/workflow.js";
import { CurveError, parseCurve } from "./curve.js";
import { describe, outline, range } from "./outline.js";

const NODE_ID = "ScheduleLoRA";
const WIDGET = "lora_algebra_schedule";
const VALUES = ["curve", "start_percent", "end_percent"];

const HEIGHT = 60; // as in schedule.css
const MARGIN = 10; // around the box, on the canvas
const SVG = "http://www.w3.org/2000/svg";

/**
 * The parts of a preview.
 *
 * @typedef {{ element: HTMLElement, high: HTMLElement, low: HTMLElement, note: HTMLElement,
 *   area: Element, zero: Element, line: Element }} Preview
 */

/** @type {WeakMap<Host.Node, Preview>} */
const previews = new WeakMap();

/** What each preview shows, to see when that has changed. @type {WeakMap<Preview, string>} */
const shown = new WeakMap();

app.registerExtension({
  name: "LoraAlgebra.Schedule",

  init: () => loadStyle("curve/schedule.css"),

  nodeCreated(node) {
    if (node.comfyClass !== NODE_ID) return;
    addPreview(node);
    afterwards(node, "onAdded", () => lookEveryFrame(refreshAll));
  },
});

/**
 * Adds a widget that neither the workflow nor the prompt will hold. It must stay the last one, since the host
 * counts the saved values of the others by their place.
 *
 * @param {Host.Node} node
 */
function addPreview(node) {
  const preview = emptyPreview();
  const widget = node.addDOMWidget(WIDGET, "LORA_SCHEDULE", preview.element, {
    serialize: false,
    hideInPanel: true,
    getMinHeight: () => HEIGHT + 2 * MARGIN,
  });
  widget.serialize = false;
  previews.set(node, preview);
}

/** @returns {Preview} */
function emptyPreview() {
  const element = document.createElement("div");
  element.className = "lora-algebra-schedule";
  element.role = "img";
  const svg = svgPart("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none" });
  const [area, zero, line] = [svgPart("polygon"), svgPart("line", { x1: 0, x2: 1 }), svgPart("polyline")];
  svg.append(area, zero, line);
  const [high, low, note] = [part("span", "high"), part("span", "low"), part("p", "note")];
  element.append(svg, high, low, note);
  return { element, high, low, note, area, zero, line };
}

/** @param {string} tag @param {string} className */
function part(tag, className) {
  return Object.assign(document.createElement(tag), { className });
}

/** @param {string} tag @param {Record<string, string | number>} [attributes] */
function svgPart(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  set(element, attributes);
  return element;
}

/** @param {Element} element @param {Record<string, string | number>} attributes */
function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
}

/** Draws what has changed. @returns {boolean} whether there is any such node in the open workflow */
function refreshAll() {
  const nodes = allNodes().filter(({ comfyClass }) => comfyClass === NODE_ID);
  for (const node of nodes) refresh(node);
  return nodes.length > 0;
}

/** @param {Host.Node} node */
function refresh(node) {
  const preview = previews.get(node);
  if (!preview) return;
  const values = VALUES.map((name) => node.widgets?.find((widget) => widget.name === name)?.value);
  const linked = VALUES.filter((name) => isLinked(node, name));
  const state = JSON.stringify([values, linked]);
  if (shown.get(preview) !== state) show(preview, values, linked);
  shown.set(preview, state);
  takePlace(node, preview.element);
}

/** Whether a value comes by a link, and so only when the workflow runs. @param {Host.Node} node @param {string} name */
function isLinked(node, name) {
  return node.inputs.some(({ widget, link }) => widget?.name === name && link !== null);
}

/**
 * Shows the curve, as far as the values of the node itself tell it.
 *
 * @param {Preview} preview @param {unknown[]} values @param {string[]} linked
 */
function show(preview, [text, start, end], linked) {
  const note = linked.length ? `by link: ${linked.join(", ")}; here the last value` : "";
  try {
    const curve = parseCurve(String(text ?? ""), Number(start), Number(end));
    draw(preview, outline(curve));
    say(preview, note ? "linked" : "drawn", note, describe(curve));
  } catch (error) {
    if (!(error instanceof CurveError)) throw error;
    say(preview, "refused", note || error.message);
  }
}

/** @param {Preview} preview @param {import("./outline.js").Corner[]} corners */
function draw(preview, corners) {
  const { low, high } = range(corners);
  const down = (/** @type {number} */ strength) => (high - strength) / (high - low);
  const points = corners.map(([progress, strength]) => `${progress},${down(strength)}`);
  const zero = down(0);
  set(preview.line, { points: points.join(" ") });
  set(preview.area, { points: [`0,${zero}`, ...points, `1,${zero}`].join(" ") });
  set(preview.zero, { y1: zero, y2: zero });
  preview.high.textContent = short(high);
  preview.low.textContent = short(low);
}

/**
 * @param {Preview} preview @param {"drawn" | "linked" | "refused"} state @param {string} note
 * @param {string} [description]
 */
function say({ element, note: shownNote }, state, note, description = "") {
  element.dataset.state = state;
  shownNote.textContent = note;
  element.ariaLabel = [description, note].filter(Boolean).join("; ");
}

/**
 * Puts the preview where Nodes 2.0 has kept that of an earlier node with the same id.
 *
 * @param {Host.Node} node @param {HTMLElement} element
 */
function takePlace(node, element) {
  if (element.isConnected || node.graph !== app.canvas.graph) return;
  const former = document.querySelector(`[data-node-id="${node.id}"] .lora-algebra-schedule`);
  former?.replaceWith(element);
}
