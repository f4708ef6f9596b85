/**
 * What "Convert to LoRA Rows" would do with some nodes: which of them become one list, with which rows, and
 * whose links go where. Nothing is touched here, and nothing is left out without being named.
 *
 * @typedef {import("./wires.js").Node} Node
 * @typedef {import("./wires.js").Link} Link
 * @typedef {import("../model/registry.js").Row} Row
 * @typedef {{ kind: import("./peers.js").Kind, members: Node[], rows: Row[], mode: number, live: boolean,
 *   inputs: { node: Node, type: string }[], sources: { node: Node, slot: number, type: string }[],
 *   outputs: { node: Node, slot: number, as: string }[] }} Unit
 *   `inputs` go to the node that applies, `sources` are LORAs and LORA_STACKs that come from elsewhere
 * @typedef {{ node: Node, why: "input" | "output" | "scaled" | "muted" | "strength" | "rows", name?: string }} Refusal
 */

import { MOST_ROWS, MOST_STRENGTH } from "../model/value.js";
import { fieldsOf, peerOf, rowsOfNode } from "./peers.js";
import { linkInto, linksFrom, linksFromType, linksInto, originOf, slotOf } from "./wires.js";

const [MODEL, CLIP, STACK, LORA] = ["MODEL", "CLIP", "LORA_STACK", "LORA_RECIPE"];
const [MUTED, BYPASSED] = [2, 4];

const GIVES = { model: [MODEL, CLIP], stack: [STACK], lora: [LORA] };
const TAKES = { model: [MODEL, CLIP, STACK], stack: [STACK], lora: [LORA] };
const TEXTS = {
  trigger_words: "triggers",
  triggers: "triggers",
  loaded_loras: "tags",
  active_loras: "tags",
  tags: "tags",
};

const kindOf = (node) => peerOf(node.type)?.kind;
const isOff = (node) => node.mode === MUTED || node.mode === BYPASSED;

/**
 * @param {Node[]} nodes those that are meant; others among them are passed over
 * @returns {{ units: Unit[], refusals: Refusal[] }}
 */
export function planConversion(nodes) {
  const meant = new Set(nodes.filter(kindOf));
  const absorbed = absorbedOf(meant);
  const roots = [...meant].filter((node) => kindOf(node) !== "model" && !absorbed.has(node));
  const groups = [...chainsOf(meant), ...roots.map((node) => [node])];
  const plans = groups.map((chain) => planUnit(chain, absorbed)).filter(({ unit }) => isWorthwhile(unit));
  return { units: plans.map(({ unit }) => unit), refusals: plans.flatMap(({ refusals }) => refusals) };
}

/** A list of our own that stays what it is, or sums and products of what is not meant, are left alone. */
function isWorthwhile({ kind, members }) {
  if (kind !== "lora") return true;
  const lists = members.filter(({ type }) => type === "LoRARows");
  return members.some(({ type }) => type === "LoadLoRA") || (lists.length > 0 && members.length > 1);
}

/** Texts are those of one node; so a node that gives them away is not joined to others. */
const givesTexts = (node) => linksFrom(node).some(({ origin_slot: slot }) => node.outputs[slot].name in TEXTS);

/** Nodes whose only consumer takes them over. */
function absorbedOf(meant) {
  const goes = (node) => {
    const type = { stack: STACK, lora: LORA }[kindOf(node)];
    const [link, ...others] = type ? linksFromType(node, type) : [];
    const target = link && !others.length ? node.graph.getNodeById(link.target_id) : undefined;
    const fits = target && meant.has(target) && TAKES[kindOf(target)].includes(type);
    return fits && !givesTexts(node) && !givesTexts(target) && hasSlot(target, link, type);
  };
  return new Set([...meant].filter(goes));
}

const hasSlot = (target, link, type) => target.inputs[link.target_slot]?.type === type;

/** Loaders in a row between a model and its consumers. @returns {Node[][]} */
function chainsOf(meant) {
  const loaders = [...meant].filter((node) => kindOf(node) === "model");
  const followers = new Map(loaders.map((node) => [node, followerOf(node, meant)]));
  const followed = new Set(followers.values());
  const left = new Set(loaders);
  const chains = [];
  const start = (head) => {
    const chain = [head];
    left.delete(head);
    for (let next = followers.get(head); left.has(next) && joins(chain, next); next = followers.get(next)) {
      chain.push(next);
      left.delete(next);
    }
    chains.push(chain);
  };
  for (const head of loaders) if (!followed.has(head)) start(head);
  while (left.size) start(headOf(left, followers));
  return chains;
}

/** One that no other of those left is in front of. */
function headOf(left, followers) {
  const followed = new Set([...left].map((node) => followers.get(node)));
  return [...left].find((node) => !followed.has(node)) ?? [...left][0];
}

function followerOf(node, meant) {
  const [link, ...others] = linksFromType(node, MODEL);
  const target = link && !others.length ? node.graph.getNodeById(link.target_id) : undefined;
  return meant.has(target) && kindOf(target) === "model" && hasSlot(target, link, MODEL) ? target : undefined;
}

/** Whether one Apply stands for the chain and the next loader together. */
function joins(chain, next) {
  const last = chain.at(-1);
  if (givesTexts(last) || givesTexts(next)) return false;
  if (Boolean(peerOf(last.type).live) !== Boolean(peerOf(next.type).live)) return false;
  const former = chain.findLast(usesClip);
  if (!usesClip(next) || !former) return true;
  const link = linkInto(next, CLIP);
  return Boolean(link) && originOf(link, next.graph) === former && linksFromType(former, CLIP).length === 1;
}

const usesClip = (node) => Boolean(linkInto(node, CLIP)) || linksFromType(node, CLIP).length > 0;

/** @returns {{ unit: Unit, refusals: Refusal[] }} */
function planUnit(chain, absorbed) {
  const gathered = new Gathering(chain, absorbed);
  const kind = kindOf(chain[0]);
  const applies = kind === "model";
  const clipUsers = chain.filter(usesClip);
  const unit = {
    kind,
    members: gathered.members,
    rows: applies ? forClip(gathered, clipUsers) : plain(gathered.entries, gathered.members),
    mode: gathered.mode,
    live: Boolean(peerOf(chain[0].type).live),
    inputs: applies
      ? [{ node: chain[0], type: MODEL }, ...clipUsers.slice(0, 1).map((node) => ({ node, type: CLIP }))]
      : [],
    sources: gathered.sources,
    outputs: outputsOf(kind, chain, clipUsers),
  };
  return { unit, refusals: [...gathered.refusals, ...refusalsOf(unit)] };
}

/** All rows below the end of a unit, from the first applied to the last. */
class Gathering {
  members = [];
  /** @type {{ node: Node, end: Node, row: Row }[]} `end`: the node of the chain that takes it */
  entries = [];
  sources = [];
  refusals = [];

  constructor(chain, absorbed) {
    this.absorbed = absorbed;
    for (const node of chain) this.#join(node);
    const [mode, ...others] = new Set(this.members.map((node) => (isOff(node) ? node.mode : 0)));
    this.mode = others.length ? 0 : mode;
    for (const node of chain) this.#gather(node, { model: 1, clip: 1, on: true, end: node });
  }

  #join(node) {
    for (const { child } of this.#below(node)) if (child) this.#join(child);
    this.members.push(node);
  }

  /** The inputs for LoRAs, each with the member that it comes from, if it is one. */
  #below(node) {
    const links = linksInto(node).filter((link) => [STACK, LORA].includes(node.inputs[link.target_slot].type));
    return links.map((link) => {
      const origin = originOf(link, node.graph);
      return { slot: link.target_slot, child: this.absorbed.has(origin) ? origin : undefined };
    });
  }

  #gather(node, { model, clip, on, end }) {
    const mode = this.mode ? 0 : node.mode; // what is off as a whole stays so as a whole
    const factors = node.type === "ScaleLoRA" && mode !== BYPASSED ? fieldsOf(node.serialize()) : {};
    const below = { model: model * (factors.strength_model ?? 1), clip: clip * (factors.strength_clip ?? 1) };
    for (const { slot, child } of this.#below(node)) {
      const passes = mode === BYPASSED ? bypassGives(node, slot) : mode !== MUTED;
      if (child) this.#gather(child, { ...below, on: on && passes, end });
      else this.#addSource(node, slot, { ...below, on: on && passes });
    }
    const rows = rowsOfNode(node.serialize()).map((row) => scaled(row, model, clip));
    for (const row of rows)
      this.entries.push({ node, end, row: on && mode !== MUTED && mode !== BYPASSED ? row : { ...row, on: false } });
  }

  #addSource(node, slot, { model, clip, on }) {
    if (!on) this.refusals.push({ node, why: "muted", name: node.inputs[slot].name });
    else if (model !== 1 || clip !== 1) this.refusals.push({ node, why: "scaled", name: node.inputs[slot].name });
    this.sources.push({ node, slot, type: node.inputs[slot].type });
  }
}

/** Whether a node that is bypassed gives on what comes in there; one that applies gives its model on, and no LoRAs. */
const bypassGives = (node, slot) => kindOf(node) !== "model" && (node.type !== "StackLoRAs" || slot === 0);

function scaled(row, model, clip) {
  if (model === 1 && clip === 1) return row;
  const { strength_clip: text = row.strength, ...others } = row;
  return withText({ ...others, strength: row.strength * model }, text * clip);
}

const withText = ({ strength_clip: _, ...row }, text) =>
  text === row.strength ? row : { ...row, strength_clip: text };

/** Loaders without a text encoder have no effect on it; where none has one, rows need not say so. */
function forClip({ entries, members }, clipUsers) {
  const rows = entries.map(({ node, end, row }) => {
    if (!clipUsers.length) return peerOf(node.type).modelOnly ? withText(row, row.strength) : row;
    return clipUsers.includes(end) ? row : withText(row, 0);
  });
  return plain(
    entries.map(({ node }, index) => ({ node, row: rows[index] })),
    members,
  );
}

/** Solo holds within one list; in a longer one it would silence others. */
function plain(entries, members) {
  const solo = new Set(entries.filter(({ row }) => row.solo).map(({ node }) => node));
  return entries.map(({ node, row }) => {
    if (!solo.has(node) || members.length === 1) return row;
    const { solo: alone, ...others } = row;
    return { ...others, on: row.on && alone === true };
  });
}

function outputsOf(kind, chain, clipUsers) {
  const last = chain.at(-1);
  const outputs = GIVES[kind].map((type) => [type === CLIP ? clipUsers.at(-1) : last, type]);
  const main = outputs
    .filter(([node]) => node)
    .map(([node, type]) => ({ node, slot: slotOf(node.outputs, type), as: type }))
    .filter(({ slot }) => slot >= 0);
  const texts = (last.outputs ?? []).map(({ name }, slot) => ({ node: last, slot, as: TEXTS[name] }));
  return [...main, ...texts.filter(({ as }) => as)];
}

/** @param {Unit} unit @returns {Refusal[]} */
function refusalsOf({ members, rows, outputs }) {
  const found = [];
  for (const node of members) {
    const own = kindOf(node);
    for (const { target_slot: slot } of linksInto(node))
      if (!isTaken(node, own, slot)) found.push({ node, why: "input", name: node.inputs[slot].name });
    for (const { origin_slot: slot } of linksFrom(node))
      if (!isGiven(node, own, slot, outputs)) found.push({ node, why: "output", name: node.outputs[slot].name });
  }
  const last = members.at(-1);
  if (rows.length > MOST_ROWS) found.push({ node: last, why: "rows" });
  const strengths = rows.flatMap((row) => [row.strength, row.strength_clip ?? 0]);
  if (strengths.some((strength) => Math.abs(strength) > MOST_STRENGTH)) found.push({ node: last, why: "strength" });
  return found;
}

function isTaken(node, kind, slot) {
  const { type } = node.inputs[slot];
  return TAKES[kind].includes(type) && (type === LORA || slotOf(node.inputs, type) === slot);
}

const isGiven = (node, kind, slot, outputs) =>
  GIVES[kind].some((type) => slotOf(node.outputs, type) === slot) ||
  outputs.some((output) => output.node === node && output.slot === slot);
