/**
 * Draws on every "Schedule LoRA" node the strength that its text stands for.
 *
 * Values come into widgets by many ways: typing, undo, a saved workflow, a promoted widget, other
 * packs. The page announces only some of them, so the preview looks at its values in every frame,
 * as the canvas does, and draws where one has changed. That is also the time to notice that
 * Nodes 2.0 still shows the drawing of a node that undo has replaced.
 *
 * @typedef {import("@comfyorg/comfyui-frontend-types").LGraphNode} Node
 */

import { app } from "../../../scripts/app.js";
import { loadStyle } from "../page/style.js";
import { CurveError, parseCurve } from "./curve.js";
import { describe, outline, range, short } from "./outline.js";

const NODE_ID = "ScheduleLoRA";
const WIDGET = "lora_algebra_schedule";
const VALUES = ["curve", "start_percent", "end_percent"];

const HEIGHT = 60; // as in schedule.css
const MARGIN = 10; // around the box, on the canvas
const SVG = "http://www.w3.org/2000/svg";

/** Preview -> what it shows, to see when that has changed. @type {WeakMap<HTMLElement, string>} */
const shown = new WeakMap();

app.registerExtension({
  name: "LoraAlgebra.Schedule",

  init: () => loadStyle("curve/schedule.css"),

  nodeCreated(node) {
    if (node.comfyClass === NODE_ID) addPreview(node);
  },

  setup: lookAgain,
});

/**
 * Adds a widget that neither the workflow nor the prompt will hold. It must stay the last one: the
 * host counts the saved values of the others by their place.
 *
 * @param {Node} node
 */
function addPreview(node) {
  const widget = node.addDOMWidget(WIDGET, "LORA_SCHEDULE", emptyPreview(), {
    serialize: false,
    hideInPanel: true,
    getMinHeight: () => HEIGHT + 2 * MARGIN,
  });
  widget.serialize = false;
}

function emptyPreview() {
  const element = document.createElement("div");
  element.className = "lora-algebra-schedule";
  element.role = "img";
  const svg = svgPart("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none" });
  svg.append(svgPart("polygon"), svgPart("line", { x1: 0, x2: 1 }), svgPart("polyline"));
  element.append(svg, part("span", "high"), part("span", "low"), part("p", "note"));
  return element;
}

function part(tag, className) {
  return Object.assign(document.createElement(tag), { className });
}

function svgPart(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  set(element, attributes);
  return element;
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

function lookAgain() {
  for (const node of schedules()) refresh(node);
  requestAnimationFrame(lookAgain);
}

/** Those of the open workflow, also inside subgraphs. @returns {Node[]} */
function schedules() {
  const graphs = [app.rootGraph, ...app.rootGraph.subgraphs.values()];
  return graphs.flatMap(({ nodes }) => nodes.filter(({ comfyClass }) => comfyClass === NODE_ID));
}

/** @param {Node} node */
function refresh(node) {
  const { element } = node.widgets.find(({ name }) => name === WIDGET);
  const values = VALUES.map((name) => node.widgets.find((widget) => widget.name === name).value);
  const linked = VALUES.filter((name) => isLinked(node, name));
  const state = JSON.stringify([values, linked]);
  if (shown.get(element) !== state) show(element, values, linked);
  shown.set(element, state);
  takePlace(node, element);
}

/** Whether a value comes by a link, and so only when the workflow runs. */
function isLinked(node, name) {
  return node.inputs.some(({ widget, link }) => widget?.name === name && link !== null);
}

/** Shows the curve, as far as the values of the node itself tell it. */
function show(element, [text, start, end], linked) {
  const note = linked.length ? `by link: ${linked.join(", ")}; here the last value` : "";
  try {
    const curve = parseCurve(String(text ?? ""), Number(start), Number(end));
    draw(element, outline(curve));
    say(element, note ? "linked" : "drawn", note, describe(curve));
  } catch (error) {
    if (!(error instanceof CurveError)) throw error;
    say(element, "refused", note || error.message);
  }
}

/** @param {HTMLElement} element @param {import("./outline.js").Corner[]} line */
function draw(element, line) {
  const { low, high } = range(line);
  const down = (strength) => (high - strength) / (high - low);
  const corners = line.map(([progress, strength]) => `${progress},${down(strength)}`);
  const zero = down(0);
  set(element.querySelector("polyline"), { points: corners.join(" ") });
  set(element.querySelector("polygon"), { points: [`0,${zero}`, ...corners, `1,${zero}`].join(" ") });
  set(element.querySelector("line"), { y1: zero, y2: zero });
  element.querySelector(".high").textContent = short(high);
  element.querySelector(".low").textContent = short(low);
}

function say(element, state, note, description = "") {
  element.dataset.state = state;
  element.querySelector(".note").textContent = note;
  element.ariaLabel = [description, note].filter(Boolean).join("; ");
}

/** Puts the preview where Nodes 2.0 has kept that of an earlier node with the same id. */
function takePlace(node, element) {
  if (element.isConnected || node.graph !== app.canvas.graph) return;
  const former = document.querySelector(`[data-node-id="${node.id}"] .lora-algebra-schedule`);
  former?.replaceWith(element);
}
