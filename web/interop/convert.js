/** Makes lists of ours out of the selected LoRA nodes, links and all: "Convert to LoRA Rows". */

import { app } from "../../../scripts/app.js";

import { library } from "../library/library.js";
import { t } from "../page/words.js";
import { allNodes } from "../page/workflow.js";
import { addNode, inOneStep, ownTitle, say, selectedNodes, setValues, titleOf } from "./edit.js";
import { LORA } from "./kinds.js";
import { withListedNames } from "./names.js";
import { peerOf } from "./peers.js";
import { planConversion } from "./plan.js";
import { explain } from "./refusals.js";
import {
  bring,
  graphOf,
  linksApartFrom,
  linksFrom,
  linksInto,
  neighbours,
  refreshPlaceholder,
  replaceOrigin,
  restore,
  slotOf,
} from "./wires.js";

/**
 * @typedef {Host.Node} Node
 * @typedef {import("./plan.js").Unit} Unit
 * @typedef {{ left: number, top: number, width: number }} Bounds
 */

const WIDTH = 340;
const GAP = 50;
const MOST_SAID = 8; // sentences in a toast
const OF_LIST = ["triggers", "tags"]; // outputs of the list, also where another node applies it

/** The node that ends a unit: the list itself where it applies, and for our own LoRAs. @param {Unit} unit */
function endOf({ kind, live }) {
  if (kind === "stack") return "ToLoRAStack";
  return kind === "model" && live ? "ApplyToModel" : undefined; // a list always merges, as "auto" does
}

/** Whether there is something to convert in a node. @param {{ type?: string }} node */
export const isConvertible = ({ type = "" }) => Boolean(peerOf(type)) && type !== "LoRARows";

/** Returns the nodes of others that can be converted, also those inside of subgraphs. */
export const foreignNodes = () =>
  allNodes().filter((node) => isConvertible(node) && peerOf(node.type)?.kind !== "lora");

/** Converts all LoRA nodes of others in the open workflow. */
export const convertAll = () => convertSelected(foreignNodes());

/**
 * Converts nodes in one step of undo, in one graph or in several. Nodes of which anything would be lost stay as they
 * are; they are selected then, and the user is told why.
 *
 * @param {Node[]} [nodes] the selected ones
 * @returns {Promise<boolean>} whether something was converted
 */
export async function convertSelected(nodes = selectedNodes()) {
  const names = await library.load();
  const { units, refusals } = planConversion(nodes.filter(({ graph }) => graph));
  if (refusals.length) say("warn", [headline(units, refusals), ...reasons(refusals)]);
  else if (!units.length) say("info", [t("Select LoRA loaders or stackers to convert.")]);
  const culprits = refusals.map(({ node }) => node).filter(isShown);
  if (!units.length) {
    if (culprits.length) app.canvas.selectItems(culprits);
    return false;
  }
  const places = units.map(({ members }) => boundsOf(members));
  const made = await inOneStep(
    () => convertUnits(units, names, places),
    (nodes) => {
      for (const [index, each] of nodes.entries()) place(each, places[index]);
    },
  );
  app.canvas.selectItems(culprits.length ? culprits : made.flat().filter(isShown));
  return true;
}

/** Whether a node is in the graph that is shown. @param {Node} node */
const isShown = (node) => node.graph === app.canvas.graph;

/** @param {Unit[]} units @param {import("./refusals.js").Refusal[]} refusals */
function headline(units, refusals) {
  if (!units.length) return t("Nothing was converted.");
  if (refusals.every(({ node }) => isShown(node))) return t("Some nodes were not converted. They are selected.");
  return t("Some nodes were not converted. Not all of them are in the graph that is open.");
}

/** @param {import("./refusals.js").Refusal[]} refusals @returns {string[]} */
function reasons(refusals) {
  const all = [...new Set(refusals.map((refusal) => explain(refusal, titleOf(refusal.node))))];
  if (all.length <= MOST_SAID) return all;
  return [...all.slice(0, MOST_SAID), t("And {count} more.", { count: all.length - MOST_SAID })];
}

/** @param {Unit[]} units @param {string[]} names @param {Bounds[]} places @returns {Node[][]} the new nodes of each */
function convertUnits(units, names, places) {
  const graphs = new Map(units.map(({ members }) => [graphOf(members[0]), linksApart(units, graphOf(members[0]))]));
  const made = units.map((unit, index) => convert(unit, names, places[index]));
  bridge(made.flat());
  for (const [graph, apart] of graphs) restore(graph, apart);
  return made.map((nodes) => nodes.filter(({ graph }) => graph));
}

/** Returns the links of a graph that no unit has a part in. @param {Unit[]} units @param {Host.Graph} graph */
const linksApart = (units, graph) =>
  linksApartFrom(
    graph,
    units.flatMap(({ members }) => members.filter((node) => node.graph === graph)),
  );

/**
 * Links a list directly to the list behind it, where a LORA_STACK between both would only be made and read again.
 *
 * @param {Node[]} made
 */
function bridge(made) {
  const [froms, tos] = ["FromLoRAStack", "ToLoRAStack"].map((type) => made.filter((node) => node.type === type));
  for (const from of froms) {
    const link = linksInto(from)[0];
    const to = tos.find((node) => node.graph === from.graph && link && String(node.id) === String(link.origin_id));
    const [inner] = to ? linksInto(to) : [];
    const origin = inner && graphOf(from).getNodeById(inner.origin_id);
    if (!origin) continue;
    for (const outer of linksFrom(from)) replaceOrigin(outer, origin, inner.origin_slot);
    from.graph?.remove(from);
  }
  for (const to of tos) if (!linksFrom(to).length) to.graph?.remove(to);
}

/** @param {Unit} unit @param {string[]} names @param {Bounds} bounds @returns {Node[]} the new nodes */
function convert(unit, names, bounds) {
  const first = unit.members[0];
  const list = addNode("LoRARows", first);
  const endType = endOf(unit);
  const other = endType && addNode(endType, first);
  const end = unit.kind === "model" ? (other ?? list) : other;
  setValues(list, { rows: { version: 1, rows: withListedNames(unit.rows, names) } });
  const sources = addSources(unit, list);
  if (other) {
    list.connect(0, other, slotOf(other.inputs, LORA));
    if (unit.live) setValues(other, { mode: "live" });
  }
  const made = [...sources, list, ...(other ? [other] : [])];
  dress(unit, list, end);
  place(made, bounds);
  rewire(unit, list, end);
  const others = new Set([...unit.members, ...made].flatMap((node) => [...neighbours(node)]));
  for (const node of unit.members) node.graph?.remove(node);
  for (const node of others) if (node.graph) refreshPlaceholder(node);
  return made;
}

/**
 * Links what comes from elsewhere to the list; several sources through a sum.
 *
 * @param {Unit} unit @param {Node} list @returns {Node[]} the new nodes
 */
function addSources({ sources, members }, list) {
  const add = (/** @type {string} */ type) => addNode(type, members[0]);
  /** @type {Node[]} */
  const made = [];
  /** @type {((target: Node, at: number) => void)[]} */
  const bringAll = sources.map(({ node, slot, type }) => {
    const link = linksInto(node).find(({ target_slot: target }) => target === slot);
    if (!link) return () => {};
    if (type === LORA) return (target, at) => bring(link, target, at);
    const from = add("FromLoRAStack");
    made.push(from);
    bring(link, from, slotOf(from.inputs, type));
    return (target, at) => from.connect(0, target, at);
  });
  if (sources.length === 1) bringAll[0](list, slotOf(list.inputs, LORA));
  if (sources.length > 1) {
    const sum = add("StackLoRAs");
    made.push(sum);
    for (const [index, bringTo] of bringAll.entries()) bringTo(sum, sum.findInputSlot(`loras.lora_${index}`));
    sum.connect(0, list, slotOf(list.inputs, LORA));
  }
  return made;
}

/** @param {Unit} unit @param {Node} list @param {Node} [end] */
function rewire({ inputs, outputs }, list, end) {
  for (const { node, slot, as } of inputs) {
    const link = linksInto(node).find(({ target_slot: target }) => target === slot);
    if (link && end) bring(link, end, end.findInputSlot(as));
  }
  for (const { node, slot, as } of outputs) {
    const origin = OF_LIST.includes(as) || !end ? list : end;
    for (const link of linksFrom(node))
      if (link.origin_slot === slot) replaceOrigin(link, origin, outputOf(origin, as));
  }
}

/** @param {Node} origin @param {string} as the name of an output, or its type */
function outputOf(origin, as) {
  const slot = origin.findOutputSlot(as);
  return slot < 0 ? slotOf(origin.outputs, as) : slot;
}

/**
 * Gives the new nodes the title, the colour and the mode of the old ones.
 *
 * @param {Unit} unit @param {Node} list @param {Node} [end]
 */
function dress({ members, mode, kind }, list, end) {
  const title = members.map(ownTitle).find(Boolean);
  if (title) list.title = title;
  const { color, bgcolor } = members[members.length - 1];
  Object.assign(list, color ? { color } : {}, bgcolor ? { bgcolor } : {});
  list.mode = mode;
  if (end && kind === "model") end.mode = mode;
  list.setSize([Math.max(WIDTH, list.size[0]), list.computeSize()[1]]);
}

/** @param {Node[]} nodes @returns {Bounds} */
function boundsOf(nodes) {
  const left = Math.min(...nodes.map(({ pos }) => pos[0]));
  const top = Math.min(...nodes.map(({ pos }) => pos[1]));
  return { left, top, width: Math.max(...nodes.map(({ pos, size }) => pos[0] + size[0])) - left };
}

/**
 * Places nodes from left to right where there is room, else one below the other.
 *
 * @param {Node[]} made @param {Bounds} bounds
 */
function place(made, { left, top, width }) {
  const needed = made.reduce((sum, { size }) => sum + size[0] + GAP, -GAP);
  let [x, y] = [left, top];
  for (const node of made) {
    node.pos = [x, y];
    if (needed <= width) x += node.size[0] + GAP;
    else y += node.size[1] + GAP;
  }
}
