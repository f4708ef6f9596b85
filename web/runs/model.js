/**
 * Finds the model files that the LoRAs of a node are for, by the links of the open workflow.
 *
 * @typedef {import("../library/models.js").ModelFile} ModelFile
 */

import { allNodes } from "../page/workflow.js";
import { applyNodes, isApplying } from "./runs.js";
import { BYPASSED, MUTED, nodesAbove, OUTSIDE, originsOf, throughPassed } from "./upstream.js";

const MODEL = "MODEL";

/** Widgets that hold the name of a model file, and the host's names for its folders. @type {Record<string, string>} */
const FOLDERS = { ckpt_name: "checkpoints", unet_name: "diffusion_models" };

/**
 * Returns the files of the models that a node changes, or that the nodes below change by its LORA.
 *
 * @param {Host.Node} node
 * @returns {ModelFile[] | null} null if they are not known for certain
 */
export function modelsOf(node) {
  const appliers = isApplying(node) ? [node] : applyNodes().filter((below) => nodesAbove(below).includes(node));
  const found = appliers.map(modelsAbove);
  const files = found.flatMap((each) => each ?? []);
  if (!files.length || found.includes(null)) return null;
  return [...new Map(files.map((file) => [`${file.kind}/${file.name}`, file])).values()];
}

/** @param {Host.Node} below @returns {ModelFile[] | null} */
function modelsAbove(below) {
  /** @type {Set<Host.Node>} */
  const seen = new Set();
  /** @type {ModelFile[]} */
  const files = [];
  const waiting = nodesAt(below, modelInputs(below));
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    const file = node.mode === BYPASSED ? undefined : fileOf(node);
    const above = file ? [] : nodesAt(node, towardsModel(node));
    if (node.mode === MUTED || (!file && !above.length)) return null;
    if (file) files.push(file);
    waiting.push(...above);
  }
  return files;
}

/** @param {Host.Node} node @param {Host.Input[]} inputs */
const nodesAt = (node, inputs) => originsOf(node, inputs).map((origin) => origin.node);

/** @param {Host.Node} node */
const modelInputs = ({ inputs }) => (inputs ?? []).filter(({ type }) => type === MODEL);

/** Returns the inputs that the model of a node comes from. Some nodes take whatever they are linked to. @param {Host.Node} node */
function towardsModel(node) {
  const typed = modelInputs(node);
  return typed.length ? typed : throughPassed(node).filter(({ type }) => type === "*" || type === "");
}

/** Returns the file that a node loads, if it says so and takes no model. @param {Host.Node} node */
function fileOf(node) {
  if (modelInputs(node).length) return undefined;
  const widget = node.widgets?.find(({ name }) => Object.hasOwn(FOLDERS, name));
  if (!widget) return undefined;
  const name = textOf(node, widget);
  return name === undefined ? undefined : { kind: FOLDERS[widget.name], name };
}

/** Returns the text of a widget, also where a subgraph shows it outside. @param {Host.Node} node @param {Host.Widget} widget */
function textOf(node, widget) {
  const link = (node.inputs ?? []).find((input) => input.widget?.name === widget.name)?.link;
  const value = link === null || link === undefined ? widget.value : outsideValue(node.graph, link);
  return typeof value === "string" ? value : undefined;
}

/**
 * Returns the value that a link brings into a subgraph from its only node, if that has a widget for it.
 *
 * @param {Host.Graph | Host.Subgraph | null} graph @param {number} id
 */
function outsideValue(graph, id) {
  const link = graph?.getLink(id);
  if (!graph || link?.origin_id !== OUTSIDE || !("inputs" in graph)) return undefined;
  const { name } = graph.inputs[link.origin_slot];
  const standing = allNodes().filter(({ subgraph }) => subgraph === graph);
  if (standing.length !== 1) return undefined;
  const [outer] = standing;
  const isLinked = outer.inputs[link.origin_slot]?.link;
  return isLinked === null || isLinked === undefined
    ? outer.widgets?.find((widget) => widget.name === name)?.value
    : undefined;
}
