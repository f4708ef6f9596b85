/**
 * Says why nodes cannot become a list: what of them would be lost.
 *
 * @typedef {import("./wires.js").Node} Node
 * @typedef {import("./plan.js").Unit} Unit
 * @typedef {"input" | "output" | "scaled" | "muted" | "strength" | "rows" | "apart" | "shown" | "read"
 *   | import("./peer_row.js").Special} Why
 * @typedef {{ node: Node, why: Why, name?: string }} Refusal
 */

import { MOST_ROWS, MOST_STRENGTH } from "../model/value.js";
import { t } from "../page/words.js";
import { allNodes } from "../page/workflow.js";
import { GIVES, knownKind, lowOf, TAKES } from "./kinds.js";
import { peerOf, specialOf } from "./peers.js";
import { graphOf, linksFrom, linksInto, slotOf } from "./wires.js";

/** Nodes that look for LoRAs in the node at an input of theirs, and know only its type. @type {Record<string, string>} */
const READERS = { vsLinx_AppendLorasFromNodeToString: "powerloraloader_model" };

/** @param {Unit} unit @returns {Refusal[]} */
export function refusalsOf({ members, rows, outputs }) {
  const found = members.flatMap((node) => [...linkRefusals(node, outputs), ...ownRefusals(node)]);
  const last = members[members.length - 1];
  if (rows.length > MOST_ROWS) found.push({ node: last, why: "rows" });
  const strengths = rows.flatMap((row) => [row.strength, row.strength_clip ?? 0, row.low?.strength ?? 0]);
  if (strengths.some((strength) => Math.abs(strength) > MOST_STRENGTH)) found.push({ node: last, why: "strength" });
  return found;
}

/** @param {Node} node @param {Unit["outputs"]} outputs @returns {Refusal[]} */
function linkRefusals(node, outputs) {
  const special = specialOf(node.serialize());
  const inputs = linksInto(node).map(({ target_slot: slot }) => slot);
  const from = linksFrom(node);
  const readers = from
    .map(({ target_id: id, target_slot: slot }) => ({ target: graphOf(node).getNodeById(id), slot }))
    .filter(({ target, slot }) => target && READERS[target.type] === target.inputs[slot]?.name);
  return [
    ...(special ? [/** @type {Refusal} */ ({ node, why: special })] : []),
    ...inputs
      .filter((slot) => !isTaken(node, slot) && !special)
      .map((slot) => /** @type {Refusal} */ ({ node, why: "input", name: node.inputs[slot].name })),
    ...from
      .filter(({ origin_slot: slot }) => !isGiven(node, slot, outputs))
      .map(({ origin_slot: slot }) => /** @type {Refusal} */ ({ node, why: "output", name: node.outputs[slot].name })),
    ...readers.map(({ target }) => /** @type {Refusal} */ ({ node, why: "read", name: target?.title || target?.type })),
  ];
}

/** What others show of a node, outside of the subgraph that it is in. @param {Node} node @returns {Refusal[]} */
export function ownRefusals(node) {
  const graph = graphOf(node);
  if (graph.isRootGraph) return [];
  const outer = allNodes().filter(({ subgraph }) => subgraph === graph);
  const shown = outer.flatMap(({ properties }) => shownBy(properties?.proxyWidgets));
  const names = shown.filter(({ id }) => id === String(node.id)).map(({ name }) => name);
  return [...new Set(names)].map((name) => ({ node, why: "shown", name }));
}

/** @param {unknown} proxies pairs of a node's id and the name of its widget */
const shownBy = (proxies) =>
  (Array.isArray(proxies) ? proxies : [])
    .filter(Array.isArray)
    .map(([id, name]) => ({ id: String(id), name: String(name) }));

/** @param {Node} node @param {number} slot */
function isTaken(node, slot) {
  const { type } = node.inputs[slot];
  if (slot === lowOf(node).input) return true;
  return TAKES[knownKind(node)].includes(type) && (peerOf(node.type)?.sums || slotOf(node.inputs, type) === slot);
}

/** @param {Node} node @param {number} slot @param {Unit["outputs"]} outputs */
const isGiven = (node, slot, outputs) =>
  GIVES[knownKind(node)].some((type) => slotOf(node.outputs, type) === slot) ||
  outputs.some((output) => output.node === node && output.slot === slot);

/** @param {Refusal} refusal @param {string} title of its node */
export function explain({ why, name = "" }, title) {
  const values = { node: title, name };
  return {
    input: t("“{node}”: {name} is linked.", values),
    output: t("“{node}”: the output {name} is linked, and LoRA Rows has no such output.", values),
    scaled: t("“{node}”: the input {name} would have to be scaled. Select its node, too.", values),
    muted: t("“{node}” is off, and so is its input {name}.", values),
    strength: t("“{node}”: a strength would be more than 100.", values),
    rows: t("“{node}”: there are more than 500 LoRAs.", values),
    apart: t("“{node}”: only nodes of its own pack can read its list. Copy it, and paste it into LoRA Rows.", values),
    shown: t("“{node}”: its {name} is shown on the subgraph node. Hide it there first.", values),
    read: t("“{node}”: “{name}” reads its LoRAs. Unlink it first. LoRA Rows gives them as tags.", values),
    layers: t("“{node}”: some layers have a strength of their own. A row has one for all.", values),
    alpha: t("“{node}”: its blocks replace the alpha of the file. A row cannot do that.", values),
  }[why];
}
