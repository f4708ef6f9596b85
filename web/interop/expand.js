/** A list taken apart: one node for each of its files, and their sum. */

import { app } from "../../../scripts/app.js";

import { activeRows } from "../model/value.js";
import { t } from "../page/words.js";
import { addNode, inOneStep, say, selectedNodes, setValues, titleOf } from "./edit.js";
import { bring, linkInto, linksFrom, neighbours, refreshPlaceholder, replaceOrigin, slotOf } from "./wires.js";

/** @typedef {import("./wires.js").Node} Node */

const LORA = "LORA_RECIPE";
const MUTED = 2;
const MOST_STRENGTH = 10; // of the nodes it becomes
const MOST_SOCKETS = 50;
const [ACROSS, DOWN] = [340, 160];

export const isExpandable = ({ type }) => type === "LoRARows";

const rowsOf = (node) => node.widgets.find(({ name }) => name === "rows").value.rows;

/**
 * One step of undo; nothing is changed, and the user told why, if a link or a strength would be lost.
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
  if (left.length) say("info", [t("Loaders have no place for these:"), ...left]);
  return true;
}

function refusalsOf(node) {
  const texts = linksFrom(node)
    .map(({ origin_slot: slot }) => node.outputs[slot])
    .filter(({ type }) => type !== LORA);
  const linked = texts.map(({ name }) =>
    t("“{node}”: the output {name} is linked, and loaders have none.", { node: titleOf(node), name }),
  );
  const strong = rowsOf(node).filter(
    ({ strength, strength_clip: text = 0 }) => Math.max(Math.abs(strength), Math.abs(text)) > MOST_STRENGTH,
  );
  return [...linked, ...strong.map(({ name }) => t("“{name}”: a loader's strength is at most 10.", { name }))];
}

function leftOut(node) {
  const rows = rowsOf(node);
  return [
    rows.some(({ note }) => note) && t("notes"),
    rows.some(({ triggers }) => triggers) && t("trigger words that you have chosen"),
  ].filter(Boolean);
}

/** @param {Node} list @returns {Node[]} the new nodes */
function expand(list) {
  const rows = rowsOf(list).filter(({ name }) => name);
  const active = new Set(activeRows(rows));
  const made = rows.map((row, index) => addTerm(list, row, index, active.has(row)));
  const input = linkInto(list, LORA);
  const ends = made.map((nodes) => nodes.at(-1));
  const stacks = input || ends.length > 1 ? addSums(list, ends, input) : [];
  if (list.mode === MUTED) for (const stack of stacks) stack.mode = MUTED; // nor does what comes in
  const end = stacks.at(-1) ?? ends[0];
  const title = list.title === list.constructor.title ? undefined : list.title;
  if (title) end.title = title;
  for (const link of linksFrom(list)) replaceOrigin(link, end, 0);
  const others = new Set([list, ...made.flat(), ...stacks].flatMap((node) => [...neighbours(node)]));
  list.graph.remove(list);
  for (const node of others) if (node.graph) refreshPlaceholder(node);
  return [...made.flat(), ...stacks];
}

/** A sum has got its sockets one by one. */
function fit(node) {
  node.setSize([node.size[0], Math.max(node.size[1], node.computeSize()[1])]);
}

/** A loader, and behind it a factor where texts have a strength of their own. */
function addTerm(list, { name, strength, strength_clip: text }, index, isActive) {
  const load = addNode("LoadLoRA", list);
  setValues(load, { lora_name: name, strength: text === undefined ? strength : 1 });
  const nodes = [load];
  if (text !== undefined) {
    const scale = addNode("ScaleLoRA", list);
    setValues(scale, { strength_model: strength, strength_clip: text });
    load.connect(0, scale, slotOf(scale.inputs, LORA));
    nodes.push(scale);
  }
  nodes.forEach((node, column) => {
    node.pos = [list.pos[0] + (column - 2) * ACROSS, list.pos[1] + index * DOWN];
    node.mode = list.mode || (isActive ? 0 : MUTED);
  });
  return nodes;
}

/** The sum of LoRAs, and of what comes into the list; of many of them a sum of sums. */
function addSums(list, ends, input) {
  const made = [];
  const sum = (nodes) => {
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
  made.forEach((stack, index) => (stack.pos = [list.pos[0], list.pos[1] + index * DOWN]));
  return made;
}

const freeSocket = (stack) => (slotOf(stack.inputs, LORA) < 0 ? -1 : stack.inputs.length - 1);
