/**
 * Reads and makes the links of a graph, in one way for links between nodes and for those at the edge of a
 * subgraph, where the host's own slots stand in for a node. All nodes here are in a graph.
 *
 * @typedef {Host.Node} Node
 * @typedef {Host.Link} Link
 */

const SUBGRAPH_INPUT = -10;
const SUBGRAPH_OUTPUT = -20;

/** @param {Host.Id} id @param {Node} node */
const isId = (id, node) => String(id) === String(node.id);

/** @param {Node} node */
export const graphOf = ({ graph }) => /** @type {Host.Graph | Host.Subgraph} */ (graph);

/** @param {Node} node @returns {Link[]} in the order of its inputs */
export function linksInto(node) {
  const links = [...graphOf(node).links.values()].filter(({ target_id: target }) => isId(target, node));
  return links.sort((one, other) => one.target_slot - other.target_slot);
}

/** @param {Node} node @returns {Link[]} in the order of its outputs */
export function linksFrom(node) {
  const links = [...graphOf(node).links.values()].filter(({ origin_id: origin }) => isId(origin, node));
  return links.sort((one, other) => one.origin_slot - other.origin_slot);
}

/**
 * Returns the first slot of a type.
 *
 * @param {{ type: string }[] | undefined} slots @param {string} type @returns {number} -1 if there is none
 */
export const slotOf = (slots, type) => (slots ?? []).findIndex((slot) => slot.type === type);

/** Returns the link into the first input of a type. @param {Node} node @param {string} type */
export function linkInto(node, type) {
  const slot = slotOf(node.inputs, type);
  return linksInto(node).find(({ target_slot: target }) => target === slot);
}

/** Returns the links from the first output of a type. @param {Node} node @param {string} type */
export function linksFromType(node, type) {
  const slot = slotOf(node.outputs, type);
  return linksFrom(node).filter(({ origin_slot: origin }) => origin === slot);
}

/** @param {Link} link @param {Host.Graph} graph @returns {Node | undefined} undefined at the edge of a subgraph */
export const originOf = (link, graph) => graph.getNodeById(link.origin_id) ?? undefined;

/** Links the origin of a link to one more input. @param {Link} link @param {Node} node @param {number} slot */
export function bring(link, node, slot) {
  const graph = graphOf(node);
  const input = node.inputs[slot];
  const isInput = Number(link.origin_id) === SUBGRAPH_INPUT && "inputs" in graph;
  if (isInput) graph.inputs[link.origin_slot].connect(input, node, link.parentId);
  else originOf(link, graph)?.connect(link.origin_slot, node, slot, link.parentId);
}

/**
 * Replaces the origin of a link by an output of another node.
 *
 * @param {Link} link @param {Node} node @param {number} slot
 */
export function replaceOrigin(link, node, slot) {
  const graph = graphOf(node);
  const { target_id: id, target_slot: targetSlot, parentId } = link;
  if (Number(id) === SUBGRAPH_OUTPUT && "outputs" in graph)
    return graph.outputs[targetSlot].connect(node.outputs[slot], node, parentId);
  const target = graph.getNodeById(id);
  return target && node.connect(slot, target, targetSlot, parentId);
}

/**
 * Returns the links between nodes that none of some nodes has a part in, as they are now.
 *
 * @param {Host.Graph} graph @param {Node[]} nodes @returns {Link[]}
 */
export function linksApartFrom(graph, nodes) {
  const ids = new Set(nodes.map(({ id }) => String(id)));
  const apart = [...graph.links.values()].filter(
    ({ origin_id: origin, target_id: target }) => !ids.has(String(origin)) && !ids.has(String(target)),
  );
  return apart.map((link) => /** @type {Link} */ ({ ...link }));
}

/**
 * Makes links again that are gone: a node that goes takes the links with it that its outputs list, and in some saved
 * workflows these are not its own.
 *
 * @param {Host.Graph} graph @param {Link[]} links
 */
export function restore(graph, links) {
  const now = new Set([...graph.links.values()].map(endsOf));
  for (const link of links) {
    if (now.has(endsOf(link))) continue;
    const [origin, target] = [graph.getNodeById(link.origin_id), graph.getNodeById(link.target_id)];
    if (target) bring(link, target, link.target_slot);
    else if (origin) replaceOrigin(link, origin, link.origin_slot);
  }
}

/** @param {Link} link */
const endsOf = ({ origin_id: from, origin_slot: slot, target_id: to, target_slot: at }) =>
  [from, slot, to, at].join(" ");

/** Returns the nodes at the other ends of a node's links. @param {Node} node @returns {Set<Node>} */
export function neighbours(node) {
  const graph = graphOf(node);
  const ids = [...linksInto(node).map((link) => link.origin_id), ...linksFrom(node).map((link) => link.target_id)];
  return new Set(ids.map((id) => graph.getNodeById(id)).filter((other) => !!other));
}

/**
 * Renews the links in what a placeholder was read from. A node whose pack is not installed is saved as it was read,
 * links and all.
 *
 * @param {Node} node
 */
export function refreshPlaceholder(node) {
  const saved = node.last_serialization;
  if (!saved || !node.has_errors) return;
  const [into, from] = [linksInto(node), linksFrom(node)];
  const idsFrom = (/** @type {number} */ slot) => from.filter((link) => link.origin_slot === slot).map(({ id }) => id);
  node.last_serialization = {
    ...saved,
    inputs: saved.inputs?.map((/** @type {object} */ input, /** @type {number} */ slot) => ({
      ...input,
      link: into.find((link) => link.target_slot === slot)?.id ?? null,
    })),
    outputs: saved.outputs?.map((/** @type {object} */ output, /** @type {number} */ slot) => ({
      ...output,
      links: idsFrom(slot),
    })),
  };
}
