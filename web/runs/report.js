/**
 * Shows on every "Apply LoRA To Model" node what became of its LoRAs: one line, and below it, if
 * somebody wants to read it, the whole report.
 *
 * Which reports are open is remembered for as long as the page is, and not in the workflow: to
 * read is no change to it.
 *
 * @typedef {import("@comfyorg/comfyui-frontend-types").LGraphNode} Node
 * @typedef {import("./runs.js").Output} Output
 */

import { app } from "../../../scripts/app.js";

import { countsOf, titlesIn } from "../model/outcomes.js";
import { loadStyle } from "../page/style.js";
import { loadWords, t } from "../page/words.js";
import { APPLY, afterwards, follow, isStale, outputOf, placeOf } from "./runs.js";

const WIDGET = "lora_algebra_report";

// the same numbers as in report.css
const LINE_HEIGHT = 15;
const CHARACTER_WIDTH = 6.6;
const INDENT = 6; // characters before the second line of a wrapped one
const FRAME = 14;
const HEAD = 25;

const MARGIN = 10; // around the box, on the canvas
const MOST_LINES = 14; // what is longer scrolls
const SLACK = HEAD + 2 * MARGIN; // a node may not have had room for the line yet

/** Where reports are open. @type {Set<string>} */
const open = new Set();

/** Nodes with an open report: their height without it, and its own. @type {WeakMap<Node, { height: number, more: number }>} */
const grown = new WeakMap();

app.registerExtension({
  name: "LoraAlgebra.Report",

  async init() {
    loadStyle("runs/report.css");
    await loadWords();
  },

  beforeRegisterNodeDef(nodeType, { name }) {
    if (name === APPLY) afterwards(nodeType.prototype, "onSerialize", saveWithoutText);
  },

  setup: () => follow(showOutput),
});

/** @param {Node} node */
function showOutput(node) {
  const output = outputOf(node);
  if (!output?.text) hide(node);
  else if (isStale(node)) dim(node);
  else show(node, output);
}

/** @param {Node} node @param {Output} output */
function show(node, output) {
  const { element } = reportOf(node) ?? addReport(node);
  const text = textOf(output);
  element.querySelector("pre").textContent = text;
  element.querySelector("button span").textContent = summary(output, text);
  element.classList.toggle("warns", Boolean(output.loras && countsOf(output.loras).warnings));
  delete element.dataset.stale;
  fold(node, element);
}

/** Of a list, one after the other. What a run has shown of a file is in its own text only. @param {Output} output */
function textOf({ text, loras }) {
  return loras?.length && loras.every(({ report }) => report)
    ? loras.map(({ report }) => report).join("\n")
    : text.join("\n\n");
}

/** @param {Node} node */
function dim(node) {
  const report = reportOf(node);
  if (report) report.element.dataset.stale = "";
}

/** @param {Node} node */
function hide(node) {
  const report = reportOf(node);
  if (report) node.removeWidget(report);
  giveBack(node);
}

/** One line: how many files, how much of them, and how many warnings. @param {Output} output */
function summary({ loras }, text) {
  if (!loras) return files(titlesIn(text));
  const { loras: count, applied, found, warnings } = countsOf(loras);
  if (!count) return files(0);
  const line = t("{files}, {applied} of {found} layers", { files: files(count), applied, found });
  if (!warnings) return line;
  return warnings === 1 ? t("{line}; 1 warning", { line }) : t("{line}; {warnings} warnings", { line, warnings });
}

function files(count) {
  if (!count) return t("No LoRA");
  return count === 1 ? t("1 LoRA") : t("{count} LoRAs", { count });
}

/** @param {Node} node */
function reportOf(node) {
  return node.widgets?.find(({ name }) => name === WIDGET);
}

/** Adds a widget that neither the workflow nor the prompt will hold. @param {Node} node */
function addReport(node) {
  const element = emptyReport(() => {
    text.hidden = !text.hidden;
    if (text.hidden) open.delete(placeOf(node));
    else open.add(placeOf(node));
    fold(node, element);
  });
  const text = element.querySelector("pre");
  text.hidden = !open.has(placeOf(node));
  const widget = node.addDOMWidget(WIDGET, "LORA_REPORT", element, {
    serialize: false,
    hideInPanel: true,
    getMinHeight: () => parseFloat(element.style.minHeight) + 2 * MARGIN,
  });
  widget.serialize = false;
  return widget;
}

/** @param {() => void} turn opens or closes it */
function emptyReport(turn) {
  const element = document.createElement("div");
  element.className = "lora-algebra-report";
  element.role = "region";
  element.ariaLabel = t("LoRA report");
  element.dataset.captureWheel = "true"; // once focused it scrolls, where the canvas would zoom
  const button = document.createElement("button");
  button.type = "button";
  button.addEventListener("click", turn);
  button.append(document.createElement("span"));
  const text = document.createElement("pre");
  text.tabIndex = 0; // so that the keyboard can scroll it
  element.append(button, text);
  return element;
}

/** Makes as much room as the whole report needs, or only its line. @param {Node} node @param {HTMLElement} element */
function fold(node, element) {
  const text = element.querySelector("pre");
  const isOpen = !text.hidden;
  element.querySelector("button").ariaExpanded = String(isOpen);
  const more = isOpen ? heightOf(text.textContent, node.size[0]) : 0;
  element.style.minHeight = `${HEAD + more}px`;
  if (isOpen) grow(node, more);
  else giveBack(node);
  makeRoom(node);
  node.setDirtyCanvas(true, true);
}

/** Remembers how high a node is without the text. @param {Node} node @param {number} more for the text */
function grow(node, more) {
  const least = LiteGraph.vueNodesMode ? 0 : node.computeSize()[1] - more;
  const height = grown.get(node)?.height ?? Math.max(node.size[1], least);
  grown.set(node, { height, more });
}

/** Nodes 2.0 makes room by itself, the canvas does not always. @param {Node} node */
function makeRoom(node) {
  const [width, height] = node.size;
  const need = node.computeSize()[1];
  if (!LiteGraph.vueNodesMode && height < need) node.setSize([width, need]);
}

/** Takes back what only the text has needed. @param {Node} node */
function giveBack(node) {
  if (isGrown(node)) node.setSize([node.size[0], grown.get(node).height]);
  grown.delete(node);
}

/** To read a report is no change to the workflow. @this {Node} */
function saveWithoutText(saved) {
  if (isGrown(this)) saved.size = [this.size[0], grown.get(this).height];
}

/** Whether a node is as high as the text needs, and not as the user wants. @param {Node} node */
function isGrown(node) {
  const { height, more } = grown.get(node) ?? {};
  return node.size[1] > height && node.size[1] <= height + more + SLACK;
}

/** Height in pixels of a text wrapped in a node of that width. */
function heightOf(text, width) {
  const columns = Math.max(1, (width - 2 * MARGIN - 2 * FRAME) / CHARACTER_WIDTH - INDENT);
  const rows = text.split("\n").map((line) => Math.ceil((line.length - INDENT) / columns));
  const lines = rows.reduce((sum, count) => sum + Math.max(1, count), 0);
  return Math.min(lines, MOST_LINES) * LINE_HEIGHT + FRAME;
}
