/**
 * Finds the nodes that a LoRA comes from, by the links of the open workflow.
 *
 * `app.graphToPrompt` would tell it, too, but asks the widgets of all nodes for their values, and some of these
 * then take a picture or draw another random number.
 */

import { allNodes } from "../page/workflow.js";
import { applies, LORA_LOW } from "./runs.js";

const ROWS = "LoRARows";
export const OUTSIDE = -10; // LiteGraph's id for the inputs of the subgraph that a link is in
export const [MUTED, BYPASSED] = [2, 4]; // LiteGraph's modes

/**
 * @typedef {{ node: Host.Node, slot: number }} Origin an output
 * @typedef {"own" | "high" | "low"} Via how rows come to a node: they are its own, or by one of the two outputs
 */

/**
 * Returns the rows that a node applies: its own, if it has some, and those above.
 *
 * @param {Host.Node} apply @returns {{ node: Host.Node, via: Via }[]}
 */
export function rowsAbove(apply) {
  const above = originsAbove(apply).filter(({ node }) => isRows(node));
  const own = isRows(apply) ? [{ node: apply, via: /** @type {Via} */ ("own") }] : [];
  return [...own, ...above.map(({ node, slot }) => ({ node, via: viaOf(node.outputs[slot]) }))];
}

/** @param {Host.Output | undefined} output @returns {Via} */
const viaOf = (output) => (output?.name === LORA_LOW ? "low" : "high");

/** @param {Host.Node} node */
const isRows = ({ comfyClass }) => comfyClass === ROWS;

/** Returns the active nodes above the input `lora` of a node. @param {Host.Node} below @returns {Host.Node[]} */
export const nodesAbove = (below) => [...new Set(originsAbove(below).map(({ node }) => node))];

/** Returns the outputs of these nodes that come to it. @param {Host.Node} below @returns {Origin[]} */
function originsAbove(below) {
  /** @type {Map<Host.Node, Set<number>>} */
  const seen = new Map();
  const found = [];
  const waiting = originsOf(below, lorasOf(below));
  for (let origin = waiting.pop(); origin; origin = waiting.pop()) {
    const { node, slot } = origin;
    const slots = seen.get(node) ?? new Set();
    if (slots.has(slot) || node.mode === MUTED || (applies(node.comfyClass) && !isRows(node))) continue;
    seen.set(node, slots.add(slot));
    if (node.mode !== BYPASSED) found.push(origin);
    waiting.push(...originsOf(node, isRows(node) ? lorasOf(node) : throughPassed(node)));
  }
  return found;
}

/** Returns the input for LoRAs; what comes with a model is no part of a list. @param {Host.Node} node */
const lorasOf = ({ inputs }) => (inputs ?? []).filter(({ name }) => name === "lora");

/** Returns the inputs that the outputs of a node can come from. @param {Host.Node} node */
export function throughPassed(node) {
  if (node.mode !== BYPASSED) return node.inputs ?? [];
  const given = (node.outputs ?? []).map(({ type }) => type);
  return (node.inputs ?? []).filter(({ type }) => given.includes(type));
}

/**
 * Returns the outputs that inputs are linked to. Where a link passes the edge of a subgraph, it is those behind it.
 *
 * @param {Host.Node} node @param {Host.Input[]} inputs @returns {Origin[]}
 */
export function originsOf(node, inputs) {
  const direct = inputs.flatMap(({ link }) => originsOfLink(node.graph, link));
  const virtual = node.isVirtualNode ? (node.outputs ?? []).map((_, slot) => virtualOrigin(node, slot)) : [];
  return [...direct, ...virtual.flat()];
}

/** @param {Host.Graph | null} graph @param {number | null | undefined} id @returns {Origin[]} */
function originsOfLink(graph, id) {
  const link = graph && id !== null && id !== undefined ? graph.getLink(id) : undefined;
  if (!graph || !link) return [];
  if (link.origin_id === OUTSIDE) return outside(graph, link.origin_slot);
  const origin = graph.getNodeById(link.origin_id);
  if (!origin) return [];
  return origin.subgraph
    ? inside(origin, origin.subgraph, link.origin_slot)
    : [{ node: origin, slot: link.origin_slot }];
}

/**
 * Behind an input of a subgraph: what is linked to that input of the nodes that stand for it.
 *
 * @param {Host.Graph} graph @param {number} slot
 */
function outside(graph, slot) {
  const standing = allNodes().filter(({ subgraph, mode }) => subgraph === graph && mode !== MUTED);
  return standing.flatMap((outer) => originsOfLink(outer.graph, outer.inputs[slot]?.link));
}

/**
 * Behind an output of a node that stands for a subgraph.
 *
 * @param {Host.Node} outer @param {Host.Subgraph} subgraph @param {number} slot @returns {Origin[]}
 */
function inside(outer, subgraph, slot) {
  if (outer.mode === MUTED) return [];
  if (outer.mode === BYPASSED) return originsOf(outer, throughPassed(outer));
  const links = subgraph.outputs[slot]?.linkIds ?? [];
  return links.flatMap((id) => originsOfLink(subgraph, id));
}

/** Where packs like Set/Get take their value from. @param {Host.Node} node @param {number} slot @returns {Origin[]} */
function virtualOrigin(node, slot) {
  const origin = node.resolveVirtualOutput?.(slot);
  return origin?.node ? [{ node: origin.node, slot: origin.slot ?? 0 }] : [];
}
