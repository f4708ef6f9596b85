/**
 * Which LoRA Rows nodes a LoRA comes from, by the links of the open workflow.
 *
 * `app.graphToPrompt` would tell it, too, but asks the widgets of all nodes for their values, and
 * some of these then take a picture or draw another random number.
 *
 * @typedef {import("@comfyorg/comfyui-frontend-types").LGraphNode} Node
 */

import { APPLY, allNodes } from "./runs.js";

const ROWS = "LoRARows";
const OUTSIDE = -10; // LiteGraph's id for the inputs of the subgraph that a link is in
const [MUTED, BYPASSED] = [2, 4]; // LiteGraph's modes

/** @param {Node} apply @returns {Node[]} */
export function rowsAbove(apply) {
  const seen = new Set();
  const found = [];
  const waiting = originsOf(
    apply,
    apply.inputs.filter(({ name }) => name === "lora"),
  );
  while (waiting.length) {
    const node = waiting.pop();
    if (!node || seen.has(node) || node.mode === MUTED || node.comfyClass === APPLY) continue;
    seen.add(node);
    if (node.comfyClass === ROWS && node.mode !== BYPASSED) found.push(node);
    waiting.push(...originsOf(node, throughPassed(node)));
  }
  return found;
}

/** The inputs that what a node gives can come from. */
function throughPassed(node) {
  if (node.mode !== BYPASSED) return node.inputs ?? [];
  const given = (node.outputs ?? []).map(({ type }) => type);
  return (node.inputs ?? []).filter(({ type }) => given.includes(type));
}

/** The nodes that inputs are linked to; where a link passes the edge of a subgraph, those behind it. */
function originsOf(node, inputs) {
  const direct = inputs.flatMap(({ link }) => originsOfLink(node.graph, link));
  const virtual = node.isVirtualNode ? (node.outputs ?? []).map((_, slot) => virtualOrigin(node, slot)) : [];
  return [...direct, ...virtual].filter(Boolean);
}

function originsOfLink(graph, id) {
  const link = id === null || id === undefined ? undefined : graph.getLink(id);
  if (!link) return [];
  if (link.origin_id === OUTSIDE) return outside(graph, link.origin_slot);
  const origin = graph.getNodeById(link.origin_id);
  return origin?.subgraph ? inside(origin, link.origin_slot) : [origin];
}

/** Behind an input of a subgraph: what is linked to that input of the nodes that stand for it. */
function outside(graph, slot) {
  const standing = allNodes().filter(({ subgraph, mode }) => subgraph === graph && mode !== MUTED);
  return standing.flatMap((outer) => originsOfLink(outer.graph, outer.inputs[slot]?.link));
}

/** Behind an output of a node that stands for a subgraph. */
function inside(outer, slot) {
  if (outer.mode === MUTED) return [];
  if (outer.mode === BYPASSED) return originsOf(outer, throughPassed(outer));
  const links = outer.subgraph.outputs[slot]?.linkIds ?? [];
  return links.flatMap((id) => originsOfLink(outer.subgraph, id));
}

/** Where packs like Set/Get take their value from. */
const virtualOrigin = (node, slot) => node.resolveVirtualOutput?.(slot)?.node;
