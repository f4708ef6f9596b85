/**
 * What the kinds of LoRA nodes take and give, as far as a conversion has to know.
 *
 * @typedef {import("./wires.js").Node} Node
 * @typedef {import("./peer_row.js").Kind} Kind
 */

import { peerOf } from "./peers.js";
import { graphOf, linkInto, linksFrom, linksFromType, linksInto, originOf } from "./wires.js";

export const [MODEL, CLIP, STACK, LORA] = ["MODEL", "CLIP", "LORA_STACK", "LORA_RECIPE"];
export const [MUTED, BYPASSED] = [2, 4];

/** The second model of a node, by the names of its input and its output, here and with us. */
export const LOW = { input: "model_low", output: "MODEL_LOW", ours: "MODEL low" };

/** The types of a kind's outputs and inputs. @type {Record<Kind, string[]>} */
export const GIVES = { model: [MODEL, CLIP], stack: [STACK], lora: [LORA], apart: [] };
/** @type {Record<Kind, string[]>} */
export const TAKES = { model: [MODEL, CLIP, STACK], stack: [STACK], lora: [LORA], apart: [] };
/** Outputs that give texts -> ours that gives the same. @type {Record<string, string>} */
export const TEXTS = {
  trigger_words: "triggers",
  triggers: "triggers",
  loaded_loras: "tags",
  active_loras: "tags",
  tags: "tags",
};

/** @param {Node | undefined} node */
export const kindOf = (node) => node && peerOf(node.type)?.kind;

/** @param {Node} node whose type is in the table */
export const knownKind = (node) => kindOf(node) ?? "lora";

/** @param {Node} node */
export const isLive = (node) => Boolean(peerOf(node.type)?.live);

/** Whether a node is for the text encoder alone. @param {Node} node */
export const isTextOnly = (node) => Boolean(peerOf(node.type)?.textOnly);

/** @param {Node} node */
export const isOff = (node) => node.mode === MUTED || node.mode === BYPASSED;

/** @param {Node} node */
export const usesClip = (node) => Boolean(linkInto(node, CLIP)) || linksFromType(node, CLIP).length > 0;

/** Returns the outputs with texts that are linked. @param {Node} node @returns {string[]} */
export const textsOf = (node) =>
  linksFrom(node)
    .map(({ origin_slot: slot }) => node.outputs[slot].name)
    .filter((name) => name in TEXTS);

/**
 * Returns the slots of a second model, each -1 if a node has none.
 *
 * @param {Node} node
 */
export function lowOf(node) {
  const find = (/** @type {{ name: string, type: string }[]} */ slots, /** @type {string} */ name) =>
    slots.findIndex((slot) => slot.type === MODEL && slot.name === name);
  return { input: find(node.inputs ?? [], LOW.input), output: find(node.outputs ?? [], LOW.output) };
}

/** Returns the nodes that a node waits for. @param {Node} node @returns {Node[]} */
export const nodesBefore = (node) => linksInto(node).flatMap((link) => originOf(link, graphOf(node)) ?? []);
