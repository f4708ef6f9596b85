/**
 * Shows on every node that applies or keeps LoRAs what became of them: one line, and below it, if the user opens
 * it, the whole report.
 *
 * Which reports are open is remembered until the page is left, and not in the workflow: to read a report does not
 * change the workflow.
 *
 * @typedef {import("./runs.js").Output} Output
 * @typedef {import("../model/outcomes.js").Outcome} Outcome
 * @typedef {{ element: HTMLElement, button: HTMLElement, line: HTMLElement, text: HTMLElement }} Report its parts
 */

import { app } from "../../../scripts/app.js";

import { sameName } from "../model/filenames.js";
import { countsOf, titlesIn } from "../model/outcomes.js";
import { widgetOf as rowsOf } from "../model/registry.js";
import { afterwards } from "../page/hooks.js";
import { loadStyle } from "../page/style.js";
import { loadWords, t } from "../page/words.js";
import { applies, follow, isApplying, isStale, outputOf, placeOf, reports as says } from "./runs.js";
import { rowsAbove } from "./upstream.js";

const WIDGET = "lora_algebra_report";
const WITH_PICTURE = "AnalyseLoRA"; // there the picture gets the room that is left

// the same numbers as in report.css
const LINE_HEIGHT = 15;
const CHARACTER_WIDTH = 6.6;
const INDENT = 6; // characters before the second line of a wrapped one
const FRAME = 14;
const HEAD = 25;

const MARGIN = 10; // around the box, on the canvas
const MOST_LINES = 14; // what is longer scrolls
const GAP = 4; // of the host between widgets
const SLACK = HEAD + 2 * MARGIN + GAP; // a node may not have had room for the line yet

/** The places of the nodes whose reports are open. @type {Set<string>} */
const open = new Set();

/** @type {WeakMap<Host.Node, Report>} */
const reports = new WeakMap();

/**
 * Nodes with an open report: their height without it, and its own.
 *
 * @type {WeakMap<Host.Node, { height: number, more: number }>}
 */
const grown = new WeakMap();

/** The heights of nodes before they had a report. @type {WeakMap<Host.Node, number>} */
const before = new WeakMap();

app.registerExtension({
  name: "LoraAlgebra.Report",

  async init() {
    loadStyle("runs/report.css");
    await loadWords();
  },

  beforeRegisterNodeDef({ prototype }, { name }) {
    if (says(name)) afterwards(prototype, "onSerialize", saveWithoutText);
  },

  setup: () => follow(showOutput),
});

/** @param {Host.Node} node */
function showOutput(node) {
  const output = outputOf(node);
  const isFormer = applies(node.comfyClass) && !isApplying(node); // what it says is of links that are gone
  if (!output?.text || isFormer) hide(node);
  else if (isStale(node)) dim(node);
  else show(node, output, textOf(output.text, inOrder(node, output.loras ?? [])));
}

/** @param {Host.Node} node @param {Output} output @param {string} text */
function show(node, output, text) {
  const report = reportOf(node) ?? addReport(node);
  report.text.textContent = text;
  report.line.textContent = applies(node.comfyClass) ? summary(output, text) : text.split("\n")[0];
  report.element.classList.toggle("warns", Boolean(output.loras && countsOf(output.loras).warnings));
  delete report.element.dataset.stale;
  fold(node, report);
}

/**
 * Joins the reports of a list. What a run has shown of a file is only in that file's own text.
 *
 * @param {string[]} text @param {Outcome[]} loras
 */
function textOf(text, loras) {
  return loras.length && loras.every(({ report }) => report)
    ? loras.map(({ report }) => report).join("\n")
    : text.join("\n\n");
}

/**
 * Returns files in the order of the rows that they come from. A recipe is a sum, and does not know it.
 *
 * @param {Host.Node} node @param {Outcome[]} loras
 */
function inOrder(node, loras) {
  const rows = rowsAbove(node).flatMap(({ node: above }) => rowsOf(above)?.rows() ?? []);
  const names = rows.map(({ name, low }) => [name, low?.name ?? ""].map(sameName));
  const place = (/** @type {Outcome} */ { name }) => {
    const at = names.findIndex((each) => each.includes(sameName(name)));
    return at < 0 ? names.length : at;
  };
  return [...loras].sort((one, other) => place(one) - place(other));
}

/** @param {Host.Node} node */
function dim(node) {
  const report = reportOf(node);
  if (report) report.element.dataset.stale = "";
}

/** @param {Host.Node} node */
function hide(node) {
  const widget = widgetOn(node);
  giveBack(node);
  if (widget) node.removeWidget(widget);
  giveBackLine(node);
}

/**
 * Says in one line how many files there are, how much of them is applied, and how many warnings.
 *
 * @param {Output} output @param {string} text
 */
function summary({ loras }, text) {
  if (!loras) return files(titlesIn(text));
  const { loras: count, applied, found, warnings } = countsOf(loras);
  if (!count) return files(0);
  const line = t("{files}, {applied} of {found} layers", { files: files(count), applied, found });
  if (!warnings) return line;
  return warnings === 1 ? t("{line}; 1 warning", { line }) : t("{line}; {warnings} warnings", { line, warnings });
}

/** @param {number} count */
function files(count) {
  if (!count) return t("No LoRA");
  return count === 1 ? t("1 LoRA") : t("{count} LoRAs", { count });
}

/** @param {Host.Node} node */
const widgetOn = (node) => node.widgets?.find(({ name }) => name === WIDGET);

/** @param {Host.Node} node */
const reportOf = (node) => (widgetOn(node) ? reports.get(node) : undefined);

/** Adds a widget that neither the workflow nor the prompt will hold. @param {Host.Node} node */
function addReport(node) {
  const report = emptyReport();
  const { element, button, text } = report;
  before.set(node, node.size[1]);
  text.hidden = !open.has(placeOf(node));
  button.addEventListener("click", () => {
    text.hidden = !text.hidden;
    if (text.hidden) open.delete(placeOf(node));
    else open.add(placeOf(node));
    fold(node, report);
  });
  const height = () => parseFloat(element.style.minHeight) + 2 * MARGIN;
  const widget = node.addDOMWidget(WIDGET, "LORA_REPORT", element, {
    serialize: false,
    hideInPanel: true,
    getMinHeight: height,
    ...(node.comfyClass === WITH_PICTURE ? { getMaxHeight: height } : {}),
  });
  widget.serialize = false;
  element.classList.toggle("above-picture", node.comfyClass === WITH_PICTURE);
  reports.set(node, report);
  return report;
}

/** @returns {Report} */
function emptyReport() {
  const element = document.createElement("div");
  element.className = "lora-algebra-report";
  element.role = "region";
  element.ariaLabel = t("LoRA report");
  element.dataset.captureWheel = "true"; // once focused it scrolls, where the canvas would zoom
  const button = document.createElement("button");
  button.type = "button";
  const line = document.createElement("span");
  button.append(line);
  const text = document.createElement("pre");
  text.tabIndex = 0; // so that the keyboard can scroll it
  element.append(button, text);
  return { element, button, line, text };
}

/** Makes as much room as the whole report needs, or only its line. @param {Host.Node} node @param {Report} report */
function fold(node, { element, button, text }) {
  const isOpen = !text.hidden;
  button.ariaExpanded = String(isOpen);
  const more = isOpen ? heightOf(text.textContent ?? "", node.size[0]) : 0;
  element.style.minHeight = `${HEAD + more}px`;
  if (isOpen) grow(node, more);
  else giveBack(node);
  makeRoom(node);
  node.setDirtyCanvas(true, true);
}

/** Remembers how high a node is without the text. @param {Host.Node} node @param {number} more for the text */
function grow(node, more) {
  const least = LiteGraph.vueNodesMode ? 0 : node.computeSize()[1] - more;
  const height = grown.get(node)?.height ?? Math.max(node.size[1], least);
  grown.set(node, { height, more });
}

/** Nodes 2.0 makes room by itself, the canvas does not always. @param {Host.Node} node */
function makeRoom(node) {
  const [width, height] = node.size;
  const need = node.computeSize()[1];
  if (!LiteGraph.vueNodesMode && height < need) node.setSize([width, need]);
}

/** Takes back the height that only the text has needed. @param {Host.Node} node */
function giveBack(node) {
  const height = heightWithoutText(node);
  if (height !== undefined) node.setSize([node.size[0], height]);
  grown.delete(node);
}

/** Takes back the height that only the line has needed. @param {Host.Node} node */
function giveBackLine(node) {
  const height = before.get(node);
  before.delete(node);
  const [width, now] = node.size;
  if (height !== undefined && now > height && now <= height + SLACK) node.setSize([width, height]);
}

/** To read a report does not change the workflow. @this {Host.Node} @param {Host.SavedNode} saved */
function saveWithoutText(saved) {
  const height = heightWithoutText(this);
  if (height !== undefined) saved.size = [this.size[0], height];
}

/**
 * Returns a node's height without the text, if it is now as high as the text needs, and not as the user wants.
 *
 * @param {Host.Node} node
 */
function heightWithoutText(node) {
  const growth = grown.get(node);
  if (!growth) return undefined;
  const { height, more } = growth;
  return node.size[1] > height && node.size[1] <= height + more + SLACK ? height : undefined;
}

/**
 * Returns the height in pixels of a text that is wrapped in a node of that width.
 *
 * @param {string} text @param {number} width
 */
function heightOf(text, width) {
  const columns = Math.max(1, (width - 2 * MARGIN - 2 * FRAME) / CHARACTER_WIDTH - INDENT);
  const rows = text.split("\n").map((line) => Math.ceil((line.length - INDENT) / columns));
  const lines = rows.reduce((sum, count) => sum + Math.max(1, count), 0);
  return Math.min(lines, MOST_LINES) * LINE_HEIGHT + FRAME;
}
