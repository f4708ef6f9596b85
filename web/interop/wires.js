/**
 * The links of a graph, read and laid in one way: between nodes, and at the edges of a subgraph, where
 * the host's own slots stand in for a node.
 *
 * @typedef {import("@comfyorg/comfyui-frontend-types").LGraphNode} Node
 * @typedef {import("@comfyorg/comfyui-frontend-types").LLink} Link
 */

const SUBGRAPH_INPUT = -10;
const SUBGRAPH_OUTPUT = -20;

const isId = (id, node) => String(id) === String(node.id);

/** @param {Node} node @returns {Link[]} in the order of its inputs */
export function linksInto(node) {
  const links = [...node.graph.links.values()].filter(({ target_id: target }) => isId(target, node));
  return links.sort((one, other) => one.target_slot - other.target_slot);
}

/** @param {Node} node @returns {Link[]} in the order of its outputs */
export function linksFrom(node) {
  const links = [...node.graph.links.values()].filter(({ origin_id: origin }) => isId(origin, node));
  return links.sort((one, other) => one.origin_slot - other.origin_slot);
}

/** The slot of a type; of several the first. @returns {number} -1 if there is none */
export const slotOf = (slots, type) => (slots ?? []).findIndex((slot) => slot.type === type);

/** The link into the first input of a type. @returns {Link | undefined} */
export function linkInto(node, type) {
  const slot = slotOf(node.inputs, type);
  return linksInto(node).find(({ target_slot: target }) => target === slot);
}

/** The links from the first output of a type. @returns {Link[]} */
export function linksFromType(node, type) {
  const slot = slotOf(node.outputs, type);
  return linksFrom(node).filter(({ origin_slot: origin }) => origin === slot);
}

/** @returns {Node | undefined} undefined at the edge of a subgraph */
export const originOf = (link, graph) => graph.getNodeById(link.origin_id) ?? undefined;

/** Brings what comes by a link to one more input. @param {Link} link @param {Node} node @param {number} slot */
export function bring(link, node, slot) {
  const { graph } = node;
  const input = node.inputs[slot];
  if (Number(link.origin_id) === SUBGRAPH_INPUT) graph.inputs[link.origin_slot].connect(input, node, link.parentId);
  else originOf(link, graph).connect(link.origin_slot, node, slot, link.parentId);
}

/** Puts an output in place of where a link comes from. @param {Link} link @param {Node} node @param {number} slot */
export function replaceOrigin(link, node, slot) {
  const { graph } = node;
  const { target_id: target, target_slot: targetSlot, parentId } = link;
  if (Number(target) === SUBGRAPH_OUTPUT) graph.outputs[targetSlot].connect(node.outputs[slot], node, parentId);
  else node.connect(slot, graph.getNodeById(target), targetSlot, parentId);
}

/** The nodes at the other ends of a node's links. @param {Node} node @returns {Set<Node>} */
export function neighbours(node) {
  const { graph } = node;
  const ids = [...linksInto(node).map((link) => link.origin_id), ...linksFrom(node).map((link) => link.target_id)];
  return new Set(ids.map((id) => graph.getNodeById(id)).filter(Boolean));
}

/**
 * A node whose pack is not installed is saved as it was read, links and all; so what it was read from must
 * learn of new links.
 *
 * @param {Node} node
 */
export function refreshPlaceholder(node) {
  const saved = node.last_serialization;
  if (!saved || !node.has_errors) return;
  const [into, from] = [linksInto(node), linksFrom(node)];
  const idsFrom = (slot) => from.filter((link) => link.origin_slot === slot).map(({ id }) => id);
  node.last_serialization = {
    ...saved,
    inputs: saved.inputs?.map((input, slot) => ({
      ...input,
      link: into.find((link) => link.target_slot === slot)?.id ?? null,
    })),
    outputs: saved.outputs?.map((output, slot) => ({ ...output, links: idsFrom(slot) })),
  };
}
