/** Takes a list apart into one node for each of its files, and their sum: "Expand to LoRA nodes". */

import { app } from "../../../scripts/app.js";

import { activeRows } from "../model/value.js";
import { t } from "../page/words.js";
import { addNode, inOneStep, say, selectedNodes, setValues, titleOf, usualTitle } from "./edit.js";
import { CLIP, LORA, MODEL, MUTED } from "./kinds.js";
import { explain, ownRefusals } from "./refusals.js";
import { bring, linkInto, linksFrom, neighbours, refreshPlaceholder, replaceOrigin, slotOf } from "./wires.js";

/** @typedef {Host.Node} Node @typedef {import("../model/value.js").Row} Row */

const APPLIED = [MODEL, CLIP];
const OWN_OUTPUTS = ["triggers", "tags", "MODEL low", "LORA low"]; // that no other node has
const MOST_STRENGTH = 10; // of the nodes it becomes
const MOST_SOCKETS = 50;
const [ACROSS, DOWN] = [340, 160];

/** @param {{ type?: string }} node */
export const isExpandable = ({ type }) => type === "LoRARows";

/** @param {Node} node @returns {Row[]} */
export const rowsOf = (node) => node.widgets?.find(({ name }) => name === "rows")?.value.rows ?? [];

/**
 * Expands lists in one step of undo. If a link or a strength would be lost, it changes nothing and tells the user why.
 *
 * @param {Node[]} [nodes] the selected ones
 * @returns {Promise<boolean>} whether something was expanded
 */
export async function expandSelected(nodes = selectedNodes()) {
  const lists = nodes.filter((node) => node.graph && isExpandable(node) && rowsOf(node).some(({ name }) => name));
  const refusals = lists.flatMap(refusalsOf);
  if (refusals.length) say("warn", [t("Nothing was expanded."), ...refusals]);
  else if (!lists.length) say("info", [t("Select LoRA Rows with LoRAs in it to expand.")]);
  if (refusals.length || !lists.length) return false;
  const left = lists.flatMap(leftOut);
  const made = await inOneStep(
    () => lists.flatMap(expand),
    (nodes) => nodes.forEach(fit),
  );
  app.canvas.selectItems(made);
  if (left.length) say("info", [t("Loaders cannot keep these:"), ...left]);
  return true;
}

/** @param {Node} node @returns {string[]} */
function refusalsOf(node) {
  const own = linksFrom(node)
    .map(({ origin_slot: slot }) => node.outputs[slot])
    .filter(({ name, type }) => OWN_OUTPUTS.includes(name) || (type !== LORA && !applies(node)));
  const linked = own.map(({ name }) =>
    t("“{node}”: the output {name} is linked, and loaders do not have it.", { node: titleOf(node), name }),
  );
  const strong = rowsOf(node).filter(
    ({ strength, strength_clip: text = 0 }) => Math.max(Math.abs(strength), Math.abs(text)) > MOST_STRENGTH,
  );
  const paired = rowsOf(node).filter(({ low, only }) => low || only);
  const driven = rowsOf(node).some(({ link }) => link);
  return [
    ...linked,
    ...ownRefusals(node).map((refusal) => explain(refusal, titleOf(node))),
    ...strong.map(({ name }) => t("“{name}”: a loader's strength is at most 10.", { name })),
    ...paired.map(({ name }) => t("“{name}”: loaders have no second model.", { name })),
    ...(driven ? [t("“{node}”: a strength by link cannot be kept.", { node: titleOf(node) })] : []),
  ];
}

/** @param {Node} node @returns {string[]} what loaders have no place for */
function leftOut(node) {
  const rows = rowsOf(node);
  return [
    ...(rows.some(({ note }) => note) ? [t("notes")] : []),
    ...(rows.some(({ triggers }) => triggers) ? [t("trigger words that you have chosen")] : []),
  ];
}

/** @param {Node} list @returns {Node[]} the new nodes */
function expand(list) {
  const rows = rowsOf(list).filter(({ name }) => name);
  const active = new Set(activeRows(rows));
  const made = rows.map((row, index) => addTerm(list, row, index, active.has(row)));
  const input = linkInto(list, LORA);
  const ends = made.map((nodes) => nodes[nodes.length - 1]);
  const stacks = input || ends.length > 1 ? addSums(list, ends, input) : [];
  if (list.mode === MUTED) for (const stack of stacks) stack.mode = MUTED; // nor does what comes in count
  const end = stacks.at(-1) ?? ends[0];
  if (list.title && list.title !== usualTitle(list)) end.title = list.title;
  const apply = applies(list) ? addApply(list, end) : undefined;
  for (const link of linksFrom(list)) {
    const { type, name } = list.outputs[link.origin_slot];
    if (type === LORA) replaceOrigin(link, end, 0);
    else if (apply) replaceOrigin(link, apply, apply.findOutputSlot(name));
  }
  const all = [...made.flat(), ...stacks, ...(apply ? [apply] : [])];
  const others = new Set([list, ...all].flatMap((node) => [...neighbours(node)]));
  list.graph?.remove(list);
  for (const node of others) if (node.graph) refreshPlaceholder(node);
  return all;
}

/** Whether a list has something to apply its rows to. @param {Node} list */
const applies = (list) => APPLIED.some((type) => linkInto(list, type));

/** Adds what applies the sum to what comes into the list. @param {Node} list @param {Node} end @returns {Node} */
function addApply(list, end) {
  const apply = addNode("ApplyToModel", list);
  end.connect(0, apply, slotOf(apply.inputs, LORA));
  for (const type of APPLIED) {
    const link = linkInto(list, type);
    if (link) bring(link, apply, slotOf(apply.inputs, type));
  }
  apply.pos = [list.pos[0] + ACROSS, list.pos[1]];
  apply.mode = list.mode;
  return apply;
}

/** Makes a node high enough for the sockets that a sum has got one by one. @param {Node} node */
function fit(node) {
  node.setSize([node.size[0], Math.max(node.size[1], node.computeSize()[1])]);
}

/**
 * Adds a loader, and behind it a factor where text encoders have a strength of their own, and block weights where
 * the row has some.
 *
 * @param {Node} list @param {Row} row @param {number} index @param {boolean} isActive @returns {Node[]}
 */
function addTerm(list, { name, strength, strength_clip: text, blocks }, index, isActive) {
  const load = addNode("LoadLoRA", list);
  setValues(load, { lora_name: name, strength: text === undefined ? strength : 1 });
  const nodes = [load];
  const addBehind = (/** @type {string} */ type, /** @type {Record<string, unknown>} */ values) => {
    const node = addNode(type, list);
    setValues(node, values);
    nodes[nodes.length - 1].connect(0, node, slotOf(node.inputs, LORA));
    nodes.push(node);
  };
  if (text !== undefined) addBehind("ScaleLoRA", { strength_model: strength, strength_clip: text });
  if (blocks) addBehind("LoRABlockWeights", { weights: blocks });
  nodes.forEach((node, column) => {
    node.pos = [list.pos[0] + (column - Math.max(2, nodes.length)) * ACROSS, list.pos[1] + index * DOWN];
    node.mode = list.mode || (isActive ? 0 : MUTED);
  });
  return nodes;
}

/**
 * Adds the sum of LoRAs, and of what comes into the list; of many of them a sum of sums.
 *
 * @param {Node} list @param {Node[]} ends @param {Host.Link} [input] @returns {Node[]}
 */
function addSums(list, ends, input) {
  /** @type {Node[]} */
  const made = [];
  const sum = (/** @type {Node[]} */ nodes) => {
    const stack = addNode("StackLoRAs", list);
    made.push(stack);
    for (const node of nodes) node.connect(0, stack, freeSocket(stack));
    return stack;
  };
  let left = ends;
  while (left.length >= MOST_SOCKETS) {
    const groups = Array.from({ length: Math.ceil(left.length / MOST_SOCKETS) }, (_, index) =>
      left.slice(index * MOST_SOCKETS, (index + 1) * MOST_SOCKETS),
    );
    left = groups.map(sum);
  }
  const last = sum(left);
  if (input) bring(input, last, freeSocket(last));
  for (const [index, stack] of made.entries()) stack.pos = [list.pos[0], list.pos[1] + index * DOWN];
  return made;
}

/** @param {Node} stack */
const freeSocket = (stack) => (slotOf(stack.inputs, LORA) < 0 ? -1 : stack.inputs.length - 1);
