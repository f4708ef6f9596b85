/** Makes lists of ours out of the selected LoRA nodes, links and all: "Convert to LoRA Rows". */

import { app } from "../../../scripts/app.js";

import { library } from "../library/library.js";
import { t } from "../page/words.js";
import { addNode, inOneStep, ownTitle, say, selectedNodes, setValues, titleOf } from "./edit.js";
import { withListedNames } from "./names.js";
import { peerOf } from "./peers.js";
import { planConversion } from "./plan.js";
import {
  bring,
  graphOf,
  linkInto,
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

const LORA = "LORA_RECIPE";
const WIDTH = 340;
const GAP = 50;
/** The node that ends a unit: the list itself where it applies, and for our own LoRAs. @param {Unit} unit */
function endOf({ kind, live }) {
  if (kind === "stack") return "ToLoRAStack";
  return kind === "model" && live ? "ApplyToModel" : undefined; // a list always merges, as "auto" does
}

/** Whether there is something to convert in a node. @param {{ type?: string }} node */
export const isConvertible = ({ type = "" }) => Boolean(peerOf(type)) && type !== "LoRARows";

/**
 * Converts nodes in one step of undo. Nodes of which anything would be lost stay as they are; they are selected
 * then, and the user is told why.
 *
 * @param {Node[]} [nodes] the selected ones
 * @returns {Promise<boolean>} whether something was converted
 */
export async function convertSelected(nodes = selectedNodes()) {
  const names = await library.load();
  const { units, refusals } = planConversion(nodes.filter(({ graph }) => graph));
  const kept = units.length ? t("Some nodes were not converted. They are selected.") : t("Nothing was converted.");
  if (refusals.length) say("warn", [kept, ...refusals.map(explain)]);
  else if (!units.length) say("info", [t("Select LoRA loaders or stackers to convert.")]);
  if (!units.length) return false;
  const places = units.map(({ members }) => boundsOf(members));
  const made = await inOneStep(
    () => {
      const graph = graphOf(units[0].members[0]);
      const apart = linksApartFrom(
        graph,
        units.flatMap(({ members }) => members),
      );
      const made = units.map((unit, index) => convert(unit, names, places[index]));
      restore(graph, apart);
      return made;
    },
    (nodes) => {
      for (const [index, each] of nodes.entries()) place(each, places[index]);
    },
  );
  app.canvas.selectItems(refusals.length ? refusals.map(({ node }) => node) : made.flat());
  return true;
}

/** @param {import("./plan.js").Refusal} refusal */
function explain({ node, why, name = "" }) {
  const values = { node: titleOf(node), name };
  return {
    input: t("“{node}”: {name} is linked.", values),
    output: t("“{node}”: the output {name} is linked, and LoRA Rows has no such output.", values),
    scaled: t("“{node}”: the input {name} would have to be scaled. Select its node, too.", values),
    muted: t("“{node}” is off, and so is its input {name}.", values),
    strength: t("“{node}”: a strength would be more than 100.", values),
    rows: t("“{node}”: there are more than 500 LoRAs.", values),
  }[why];
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
  for (const { node, type } of inputs) {
    const link = linkInto(node, type);
    if (link && end) bring(link, end, slotOf(end.inputs, type));
  }
  for (const { node, slot, as } of outputs) {
    const isText = as === "triggers" || as === "tags";
    const origin = isText || !end ? list : end;
    const to = isText ? origin.findOutputSlot(as) : slotOf(origin.outputs, as);
    for (const link of linksFrom(node)) if (link.origin_slot === slot) replaceOrigin(link, origin, to);
  }
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
