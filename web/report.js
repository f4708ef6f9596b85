/**
 * Shows on every "Apply LoRA To Model" node what became of its LoRAs.
 *
 * A report is dimmed when a run starts, until that run renews it; if the run fails first, it goes.
 * What the host remembers of a node's output is the only state: that brings the report back after
 * undo, and when another workflow's tab was open.
 *
 * @typedef {{ text?: string[] }} Output what the node sends to the page
 * @typedef {import("@comfyorg/comfyui-frontend-types").LGraphNode} Node
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

import { loadStyle } from "./style.js";

const NODE_ID = "ApplyToModel";
const WIDGET = "lora_algebra_report";

// the same numbers as in report.css
const LINE_HEIGHT = 15;
const CHARACTER_WIDTH = 6.6;
const INDENT = 6; // characters before the second line of a wrapped one
const FRAME = 14;

const MARGIN = 10; // around the box, on the canvas
const MOST_LINES = 14; // what is longer scrolls

app.registerExtension({
  name: "LoraAlgebra.Report",

  init: () => loadStyle("report.css"),

  beforeRegisterNodeDef(nodeType, { name }) {
    if (name !== NODE_ID) return;
    afterwards(nodeType.prototype, "onExecutionStart", markStale);
    afterwards(nodeType.prototype, "onExecuted", showOutput);
  },

  setup() {
    api.addEventListener("execution_error", dropStale);
    api.addEventListener("execution_interrupted", dropStale);
  },

  onNodeOutputsUpdated(outputs) {
    for (const node of reportingNodes()) showOutput.call(node, outputs[locator(node)]);
  },
});

/** Lets `then` follow whatever `object` does in `method` already. */
function afterwards(object, method, then) {
  const first = object[method];
  object[method] = function (...values) {
    first?.apply(this, values);
    then.apply(this, values);
  };
}

/** @this {Node} @param {Output} [output] */
function showOutput(output) {
  if (output?.text) show(this, output.text.join("\n"));
  else hide(this);
}

/** @this {Node} */
function markStale() {
  const report = reportOf(this);
  if (report) report.element.dataset.stale = "";
}

function dropStale() {
  for (const node of reportingNodes()) {
    if (reportOf(node)?.element.dataset.stale === undefined) continue;
    delete app.nodeOutputs[locator(node)];
    hide(node);
  }
}

/** @param {Node} node @param {string} text */
function show(node, text) {
  const { element } = reportOf(node) ?? addReport(node);
  element.textContent = text;
  element.style.minHeight = `${heightOf(text, node.size[0])}px`;
  delete element.dataset.stale;
  node.setDirtyCanvas(true, true);
}

/** @param {Node} node */
function hide(node) {
  const report = reportOf(node);
  if (report) node.removeWidget(report);
}

/** @param {Node} node */
function reportOf(node) {
  return node.widgets?.find(({ name }) => name === WIDGET);
}

/** Adds a widget that neither the workflow nor the prompt will hold. @param {Node} node */
function addReport(node) {
  const element = document.createElement("pre");
  element.className = "lora-algebra-report";
  element.tabIndex = 0; // so that the keyboard can scroll it
  element.role = "region";
  element.ariaLabel = "LoRA report";
  element.dataset.captureWheel = "true"; // once focused it scrolls, where the canvas would zoom
  const widget = node.addDOMWidget(WIDGET, "LORA_REPORT", element, {
    serialize: false,
    hideInPanel: true,
    getMinHeight: () => parseFloat(element.style.minHeight) + 2 * MARGIN,
  });
  widget.serialize = false;
  return widget;
}

/** Height in pixels of a text wrapped in a node of that width. */
function heightOf(text, width) {
  const columns = Math.max(1, (width - 2 * MARGIN - 2 * FRAME) / CHARACTER_WIDTH - INDENT);
  const rows = text.split("\n").map((line) => Math.ceil((line.length - INDENT) / columns));
  const lines = rows.reduce((sum, count) => sum + Math.max(1, count), 0);
  return Math.min(lines, MOST_LINES) * LINE_HEIGHT + FRAME;
}

/** Those of the open workflow, also inside subgraphs. @returns {Node[]} */
function reportingNodes() {
  const graphs = [app.rootGraph, ...app.rootGraph.subgraphs.values()];
  return graphs.flatMap(({ nodes }) => nodes).filter((node) => node.comfyClass === NODE_ID);
}

/** The host's name for a node among all outputs. @param {Node} node */
function locator({ graph, id }) {
  return graph.isRootGraph ? String(id) : `${graph.id}:${id}`;
}
