/**
 * Plans what "Convert to LoRA Rows" does with some nodes: which of them become one list, with which rows, and
 * whose links go where. Nothing is changed here, and nothing is left out without being named.
 *
 * @typedef {import("./wires.js").Node} Node
 * @typedef {import("./wires.js").Link} Link
 * @typedef {import("../model/value.js").Row} Row
 * @typedef {{ kind: import("./peers.js").Kind, members: Node[], rows: Row[], mode: number, live: boolean,
 *   inputs: { node: Node, type: string }[], sources: { node: Node, slot: number, type: string }[],
 *   outputs: { node: Node, slot: number, as: string }[] }} Unit
 *   `inputs` go to the node that applies, `sources` are LORAs and LORA_STACKs that come from elsewhere
 * @typedef {{ node: Node, why: "input" | "output" | "scaled" | "muted" | "strength" | "rows", name?: string }} Refusal
 */

import { MOST_ROWS, MOST_STRENGTH } from "../model/value.js";
import { fieldsOf, peerOf, rowsOfNode } from "./peers.js";
import { graphOf, linkInto, linksFrom, linksFromType, linksInto, originOf, slotOf } from "./wires.js";

const [MODEL, CLIP, STACK, LORA] = ["MODEL", "CLIP", "LORA_STACK", "LORA_RECIPE"];
const [MUTED, BYPASSED] = [2, 4];

/** @typedef {import("./peers.js").Kind} Kind */

/** The types of a kind's outputs and inputs. @type {Record<Kind, string[]>} */
const GIVES = { model: [MODEL, CLIP], stack: [STACK], lora: [LORA] };
/** @type {Record<Kind, string[]>} */
const TAKES = { model: [MODEL, CLIP, STACK], stack: [STACK], lora: [LORA] };
/** Outputs that give texts -> ours that gives the same. @type {Record<string, string>} */
const TEXTS = {
  trigger_words: "triggers",
  triggers: "triggers",
  loaded_loras: "tags",
  active_loras: "tags",
  tags: "tags",
};

/** @param {Node | undefined} node */
const kindOf = (node) => node && peerOf(node.type)?.kind;

/** @param {Node} node whose type is in the table */
const knownKind = (node) => kindOf(node) ?? "lora";

/** @param {Node} node */
const isLive = (node) => Boolean(peerOf(node.type)?.live);

/** @param {Node} node */
const isOff = (node) => node.mode === MUTED || node.mode === BYPASSED;

/**
 * @param {Node[]} nodes that are meant; those of other types among them are left out
 * @returns {{ units: Unit[], refusals: Refusal[] }}
 */
export function planConversion(nodes) {
  const meant = new Set(nodes.filter(kindOf));
  const absorbed = absorbedOf(meant);
  const roots = [...meant].filter((node) => kindOf(node) !== "model" && !absorbed.has(node));
  const groups = [...chainsOf(meant), ...roots.map((node) => [node])];
  const plans = groups.map((chain) => planUnit(chain, absorbed)).filter(({ unit }) => isWorthwhile(unit));
  return {
    units: plans.filter(({ refusals }) => !refusals.length).map(({ unit }) => unit),
    refusals: plans.flatMap(({ refusals }) => refusals),
  };
}

/**
 * Whether anything changes: not for a list of ours that would stay as it is, nor for sums and products alone.
 *
 * @param {Unit} unit
 */
function isWorthwhile({ kind, members }) {
  if (kind !== "lora") return true;
  const lists = members.filter(({ type }) => type === "LoRARows");
  return members.some(({ type }) => type === "LoadLoRA") || (lists.length > 0 && members.length > 1);
}

/**
 * Whether the text outputs of a node are linked. They tell of that node alone, so it is not joined to others.
 *
 * @param {Node} node
 */
const givesTexts = (node) => linksFrom(node).some(({ origin_slot: slot }) => node.outputs[slot].name in TEXTS);

/** Returns the nodes whose only consumer is meant, too, and takes them over. @param {Set<Node>} meant */
function absorbedOf(meant) {
  return new Set([...meant].filter((node) => isAbsorbed(node, meant)));
}

/** @param {Node} node @param {Set<Node>} meant */
function isAbsorbed(node, meant) {
  const kind = knownKind(node);
  if (kind === "model") return false;
  const [type] = GIVES[kind];
  const [link, ...others] = linksFromType(node, type);
  const target = link && !others.length ? graphOf(node).getNodeById(link.target_id) : null;
  if (!target || !meant.has(target) || !TAKES[knownKind(target)].includes(type)) return false;
  return !givesTexts(node) && !givesTexts(target) && hasSlot(target, link, type);
}

/** @param {Node} target @param {Link} link @param {string} type */
const hasSlot = (target, link, type) => target.inputs[link.target_slot]?.type === type;

/**
 * Returns the loaders that stand in a row between a model and its consumers.
 *
 * @param {Set<Node>} meant @returns {Node[][]}
 */
function chainsOf(meant) {
  const loaders = [...meant].filter((node) => kindOf(node) === "model");
  const followers = new Map(loaders.map((node) => [node, followerOf(node, meant)]));
  const followed = new Set(followers.values());
  const left = new Set(loaders);
  /** @type {Node[][]} */
  const chains = [];
  const start = (/** @type {Node} */ head) => {
    const chain = [head];
    left.delete(head);
    for (let next = followers.get(head); next && left.has(next) && joins(chain, next); next = followers.get(next)) {
      chain.push(next);
      left.delete(next);
    }
    chains.push(chain);
  };
  for (const head of loaders) if (!followed.has(head)) start(head);
  while (left.size) start(headOf(left, followers));
  return chains;
}

/**
 * Returns one that no other of those left is in front of.
 *
 * @param {Set<Node>} left @param {Map<Node, Node | undefined>} followers
 */
function headOf(left, followers) {
  const followed = new Set([...left].map((node) => followers.get(node)));
  return [...left].find((node) => !followed.has(node)) ?? [...left][0];
}

/** @param {Node} node @param {Set<Node>} meant @returns {Node | undefined} */
function followerOf(node, meant) {
  const [link, ...others] = linksFromType(node, MODEL);
  const target = link && !others.length ? graphOf(node).getNodeById(link.target_id) : null;
  if (!target || !meant.has(target) || kindOf(target) !== "model") return undefined;
  return hasSlot(target, link, MODEL) ? target : undefined;
}

/** Whether one Apply stands for the chain and the next loader together. @param {Node[]} chain @param {Node} next */
function joins(chain, next) {
  const last = chain[chain.length - 1];
  if (givesTexts(last) || givesTexts(next)) return false;
  if (isLive(last) !== isLive(next)) return false;
  const former = chain.findLast(usesClip);
  if (!usesClip(next) || !former) return true;
  const link = linkInto(next, CLIP);
  const isNext = link !== undefined && originOf(link, graphOf(next)) === former;
  return isNext && linksFromType(former, CLIP).length === 1;
}

/** @param {Node} node */
const usesClip = (node) => Boolean(linkInto(node, CLIP)) || linksFromType(node, CLIP).length > 0;

/** @param {Node[]} chain @param {Set<Node>} absorbed @returns {{ unit: Unit, refusals: Refusal[] }} */
function planUnit(chain, absorbed) {
  const gathered = new Gathering(chain, absorbed);
  const kind = knownKind(chain[0]);
  const applies = kind === "model";
  const clipUsers = chain.filter(usesClip);
  /** @type {Unit} */
  const unit = {
    kind,
    members: gathered.members,
    rows: applies ? forClip(gathered, clipUsers) : plain(gathered.entries, gathered.members),
    mode: gathered.mode,
    live: isLive(chain[0]),
    inputs: applies
      ? [{ node: chain[0], type: MODEL }, ...clipUsers.slice(0, 1).map((node) => ({ node, type: CLIP }))]
      : [],
    sources: gathered.sources,
    outputs: outputsOf(kind, chain, clipUsers),
  };
  return { unit, refusals: [...gathered.refusals, ...refusalsOf(unit)] };
}

/**
 * @typedef {{ node: Node, end: Node, row: Row }} Entry `end`: the node of the chain that takes it
 * @typedef {{ model: number, clip: number, on: boolean }} Factors what the nodes behind make of a strength
 */

/** Gathers all rows below the end of a unit, from the first applied to the last. */
class Gathering {
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
const bypassGives = (node, slot) => kindOf(node) !== "model" && (node.type !== "StackLoRAs" || slot === 0);

/** @param {Row} row @param {number} model @param {number} clip @returns {Row} */
function scaled(row, model, clip) {
  if (model === 1 && clip === 1) return row;
  const { strength_clip: text = row.strength, ...others } = row;
  return withText({ ...others, strength: row.strength * model }, text * clip);
}

/** @param {Row} row @param {number} text @returns {Row} */
const withText = ({ strength_clip: _, ...row }, text) =>
  text === row.strength ? row : { ...row, strength_clip: text };

/**
 * Says in rows that loaders without a text encoder have no effect on one. Where no loader has one, rows need not
 * say so.
 *
 * @param {Gathering} gathered @param {Node[]} clipUsers
 */
function forClip({ entries, members }, clipUsers) {
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
 *
 * @param {{ node: Node, row: Row }[]} entries @param {Node[]} members @returns {Row[]}
 */
function plain(entries, members) {
  const solo = new Set(entries.filter(({ row }) => row.solo).map(({ node }) => node));
  return entries.map(({ node, row }) => {
    if (!solo.has(node) || members.length === 1) return row;
    const { solo: alone, ...others } = row;
    return { ...others, on: row.on && alone === true };
  });
}

/** @param {Kind} kind @param {Node[]} chain @param {Node[]} clipUsers @returns {Unit["outputs"]} */
function outputsOf(kind, chain, clipUsers) {
  const last = chain[chain.length - 1];
  const main = GIVES[kind].flatMap((type) => {
    const node = type === CLIP ? clipUsers.at(-1) : last;
    const slot = node ? slotOf(node.outputs, type) : -1;
    return node && slot >= 0 ? [{ node, slot, as: type }] : [];
  });
  const texts = (last.outputs ?? []).map(({ name }, slot) => ({ node: last, slot, as: TEXTS[name] }));
  return [...main, ...texts.filter(({ as }) => as)];
}

/** @param {Unit} unit @returns {Refusal[]} */
function refusalsOf({ members, rows, outputs }) {
  /** @type {Refusal[]} */
  const found = [];
  for (const node of members) {
    const own = knownKind(node);
    for (const { target_slot: slot } of linksInto(node))
      if (!isTaken(node, own, slot)) found.push({ node, why: "input", name: node.inputs[slot].name });
    for (const { origin_slot: slot } of linksFrom(node))
      if (!isGiven(node, own, slot, outputs)) found.push({ node, why: "output", name: node.outputs[slot].name });
  }
  const last = members[members.length - 1];
  if (rows.length > MOST_ROWS) found.push({ node: last, why: "rows" });
  const strengths = rows.flatMap((row) => [row.strength, row.strength_clip ?? 0]);
  if (strengths.some((strength) => Math.abs(strength) > MOST_STRENGTH)) found.push({ node: last, why: "strength" });
  return found;
}

/** @param {Node} node @param {Kind} kind @param {number} slot */
function isTaken(node, kind, slot) {
  const { type } = node.inputs[slot];
  return TAKES[kind].includes(type) && (type === LORA || slotOf(node.inputs, type) === slot);
}

/** @param {Node} node @param {Kind} kind @param {number} slot @param {Unit["outputs"]} outputs */
const isGiven = (node, kind, slot, outputs) =>
  GIVES[kind].some((type) => slotOf(node.outputs, type) === slot) ||
  outputs.some((output) => output.node === node && output.slot === slot);
