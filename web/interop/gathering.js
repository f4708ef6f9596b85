/**
 * Gathers the rows of the nodes that become one list, with what the nodes behind them make of their strengths.
 *
 * @typedef {import("./wires.js").Node} Node
 * @typedef {import("../model/value.js").Row} Row
 * @typedef {import("./plan.js").Unit} Unit
 * @typedef {import("./refusals.js").Refusal} Refusal
 * @typedef {{ node: Node, end: Node, row: Row }} Entry `end`: the node of the chain that takes it
 * @typedef {{ model: number, clip: number, on: boolean }} Factors what the nodes behind make of a strength
 */

import { scaled, withoutLink } from "../model/value.js";
import { BYPASSED, isOff, kindOf, LORA, MUTED, STACK } from "./kinds.js";
import { fieldsOf, peerOf, rowsOfNode } from "./peers.js";
import { graphOf, linksInto, originOf } from "./wires.js";

/** Gathers all rows below the end of a unit, from the first applied to the last. */
export class Gathering {
  /** @type {Node[]} */
  members = [];
  /** @type {Entry[]} */
  entries = [];
  /** @type {Unit["sources"]} */
  sources = [];
  /** @type {Refusal[]} */
  refusals = [];

  /** @param {Node[]} chain @param {Set<Node>} absorbed */
  constructor(chain, absorbed) {
    this.absorbed = absorbed;
    for (const node of chain) this.#join(node);
    const [mode, ...others] = new Set(this.members.map((node) => (isOff(node) ? node.mode : 0)));
    this.mode = others.length ? 0 : mode;
    for (const node of chain) this.#gather(node, { model: 1, clip: 1, on: true, end: node });
  }

  /** @param {Node} node */
  #join(node) {
    for (const { child } of this.#below(node)) if (child) this.#join(child);
    this.members.push(node);
  }

  /** Returns the inputs for LoRAs, each with the member that it comes from, if it is one. @param {Node} node */
  #below(node) {
    const links = linksInto(node).filter((link) => [STACK, LORA].includes(node.inputs[link.target_slot].type));
    return links.map((link) => {
      const origin = originOf(link, graphOf(node));
      return { slot: link.target_slot, child: origin && this.absorbed.has(origin) ? origin : undefined };
    });
  }

  /** @param {Node} node @param {Factors & { end: Node }} factors */
  #gather(node, { model, clip, on, end }) {
    const mode = this.mode ? 0 : node.mode; // what is off as a whole stays so as a whole
    const factors = node.type === "ScaleLoRA" && mode !== BYPASSED ? fieldsOf(node.serialize()) : {};
    const below = { model: model * (factors.strength_model ?? 1), clip: clip * (factors.strength_clip ?? 1) };
    for (const { slot, child } of this.#below(node)) {
      const passes = mode === BYPASSED ? bypassGives(node, slot) : mode !== MUTED;
      if (child) this.#gather(child, { ...below, on: on && passes, end });
      else this.#addSource(node, slot, { ...below, on: on && passes });
    }
    const rows = (rowsOfNode(node.serialize()) ?? []).map((row) => scaled(row, model, clip));
    for (const row of rows)
      this.entries.push({ node, end, row: on && mode !== MUTED && mode !== BYPASSED ? row : { ...row, on: false } });
  }

  /** @param {Node} node @param {number} slot @param {Factors} factors */
  #addSource(node, slot, { model, clip, on }) {
    if (!on) this.refusals.push({ node, why: "muted", name: node.inputs[slot].name });
    else if (model !== 1 || clip !== 1) this.refusals.push({ node, why: "scaled", name: node.inputs[slot].name });
    this.sources.push({ node, slot, type: node.inputs[slot].type });
  }
}

/**
 * Whether a bypassed node passes on what comes in at a slot. A node that applies passes on its model, and no LoRAs.
 *
 * @param {Node} node @param {number} slot
 */
const bypassGives = (node, slot) => kindOf(node) !== "model" && (!peerOf(node.type)?.sums || slot === 0);

/** @param {Row} row @param {number} text @returns {Row} */
const withText = ({ strength_clip: _, ...row }, text) =>
  text === row.strength ? row : { ...row, strength_clip: text };

/**
 * Says in rows that loaders without a text encoder have no effect on one. Where no loader has one, rows need not
 * say so.
 *
 * @param {Gathering} gathered @param {Node[]} clipUsers
 */
export function forClip({ entries, members }, clipUsers) {
  const rows = entries.map(({ node, end, row }) => {
    if (!clipUsers.length) return peerOf(node.type)?.modelOnly ? withText(row, row.strength) : row;
    return clipUsers.includes(end) ? row : withText(row, 0);
  });
  return plain(
    entries.map(({ node }, index) => ({ node, row: rows[index] })),
    members,
  );
}

/**
 * Takes the rows as they are in one longer list. Solo holds within one list; in a longer one it would silence others.
 * The inputs of strengths have names that hold within one list, too, and are not linked: else it would be refused.
 *
 * @param {{ node: Node, row: Row }[]} entries @param {Node[]} members @returns {Row[]}
 */
export function plain(entries, members) {
  const solo = new Set(entries.filter(({ row }) => row.solo).map(({ node }) => node));
  return entries.map(({ node, row }) => {
    if (!solo.has(node) || members.length === 1) return withoutLink(row);
    const { solo: alone, ...others } = withoutLink(row);
    return { ...others, on: row.on && alone === true };
  });
}
