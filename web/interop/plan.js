/**
 * Plans what "Convert to LoRA Rows" does with some nodes: which of them become one list, with which rows, and
 * whose links go where. Nothing is changed here, and nothing is left out without being named.
 *
 * @typedef {import("./wires.js").Node} Node
 * @typedef {import("./wires.js").Link} Link
 * @typedef {import("../model/value.js").Row} Row
 * @typedef {import("./kinds.js").Kind} Kind
 * @typedef {import("./refusals.js").Refusal} Refusal
 * @typedef {{ kind: Kind, members: Node[], rows: Row[], mode: number, live: boolean,
 *   inputs: { node: Node, slot: number, as: string }[], sources: { node: Node, slot: number, type: string }[],
 *   outputs: { node: Node, slot: number, as: string }[] }} Unit
 *   `inputs` go to the node that applies, `sources` are LORAs and LORA_STACKs that come from elsewhere; `as` is the
 *   input or the output of ours
 */

import { setAllOn } from "../model/value.js";
import { forClip, Gathering, plain } from "./gathering.js";
import {
  BYPASSED,
  CLIP,
  GIVES,
  isLive,
  isTextOnly,
  kindOf,
  knownKind,
  LOW,
  lowOf,
  MODEL,
  TAKES,
  TEXTS,
  textsOf,
  usesClip,
} from "./kinds.js";
import { peerOf } from "./peers.js";
import { refusalsOf } from "./refusals.js";
import { joinTwins } from "./twins.js";
import { graphOf, linkInto, linksFrom, linksFromType, linksInto, originOf, slotOf } from "./wires.js";

/**
 * @param {Node[]} nodes that are meant; those of other types among them are left out
 * @returns {{ units: Unit[], refusals: Refusal[] }}
 */
export function planConversion(nodes) {
  const apart = nodes.filter((node) => kindOf(node) === "apart");
  const meant = new Set(nodes.filter((node) => kindOf(node) && !apart.includes(node)));
  const absorbed = absorbedOf(meant);
  const roots = [...meant].filter((node) => kindOf(node) !== "model" && !absorbed.has(node));
  const groups = [...chainsOf(meant), ...roots.map((node) => [node])];
  const plans = groups.map((chain) => planUnit(chain, absorbed)).filter(({ unit }) => isWorthwhile(unit));
  return {
    units: joinTwins(plans.filter(({ refusals }) => !refusals.length).map(({ unit }) => unit)),
    refusals: [
      ...plans.flatMap(({ refusals }) => refusals),
      ...apart.map((node) => /** @type {Refusal} */ ({ node, why: "apart" })),
    ],
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
const givesTexts = (node) => textsOf(node).length > 0;

/** Whether linked texts of a node are the same if what comes in is in its list. @param {Node} node */
const tellsOfAll = (node) => textsOf(node).every((name) => peerOf(node.type)?.tells?.includes(name));

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
  return !givesTexts(node) && tellsOfAll(target) && hasSlot(target, link, type);
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
  const type = isTextOnly(node) ? CLIP : MODEL;
  const [link, ...others] = linksFromType(node, type);
  const target = link && !others.length ? graphOf(node).getNodeById(link.target_id) : null;
  if (!target || !meant.has(target) || kindOf(target) !== "model") return undefined;
  return isTextOnly(node) === isTextOnly(target) && hasSlot(target, link, type) ? target : undefined;
}

/** Whether one Apply stands for the chain and the next loader together. @param {Node[]} chain @param {Node} next */
function joins(chain, next) {
  const last = chain[chain.length - 1];
  if (givesTexts(last) || givesTexts(next) || hasLow(last) || hasLow(next)) return false;
  if (isLive(last) !== isLive(next)) return false;
  const former = chain.findLast(usesClip);
  if (!usesClip(next) || !former) return true;
  const link = linkInto(next, CLIP);
  const isNext = link !== undefined && originOf(link, graphOf(next)) === former;
  return isNext && linksFromType(former, CLIP).length === 1;
}

/** Whether a node's second model is linked. @param {Node} node */
const hasLow = (node) => givesLow(node) || linksInto(node).some(({ target_slot: slot }) => slot === lowOf(node).input);

/** @param {Node} node */
const givesLow = (node) => linksFrom(node).some(({ origin_slot: slot }) => slot === lowOf(node).output);

/** @param {Node[]} chain @param {Set<Node>} absorbed @returns {{ unit: Unit, refusals: Refusal[] }} */
function planUnit(chain, absorbed) {
  const gathered = new Gathering(chain, absorbed);
  const kind = knownKind(chain[0]);
  const applies = kind === "model";
  const clipUsers = chain.filter(usesClip);
  const rows = applies ? forClip(gathered, clipUsers) : plain(gathered.entries, gathered.members);
  const isSilent = gathered.mode === BYPASSED && chain.some(givesLow);
  /** @type {Unit} */
  const unit = {
    kind,
    members: gathered.members,
    rows: isSilent ? setAllOn(rows, false) : rows, // where a list is bypassed, `MODEL low` is the first model, too
    mode: isSilent ? 0 : gathered.mode,
    live: isLive(chain[0]),
    inputs: applies ? inputsOf(chain[0], clipUsers[0]) : [],
    sources: gathered.sources,
    outputs: outputsOf(kind, chain, clipUsers),
  };
  return { unit, refusals: [...gathered.refusals, ...refusalsOf(unit)] };
}

/** @param {Node} first @param {Node} [clipUser] @returns {Unit["inputs"]} */
function inputsOf(first, clipUser) {
  const inputs = [
    { node: first, slot: slotOf(first.inputs, MODEL), as: "model" },
    { node: first, slot: lowOf(first).input, as: LOW.input },
    ...(clipUser ? [{ node: clipUser, slot: slotOf(clipUser.inputs, CLIP), as: "clip" }] : []),
  ];
  return inputs.filter(({ slot }) => slot >= 0);
}

/** @param {Kind} kind @param {Node[]} chain @param {Node[]} clipUsers @returns {Unit["outputs"]} */
function outputsOf(kind, chain, clipUsers) {
  const last = chain[chain.length - 1];
  const main = GIVES[kind].flatMap((type) => {
    const node = type === CLIP ? clipUsers.at(-1) : last;
    return node ? [{ node, slot: slotOf(node.outputs, type), as: type }] : [];
  });
  const texts = (last.outputs ?? []).map(({ name }, slot) => ({ node: last, slot, as: TEXTS[name] }));
  const low = { node: last, slot: lowOf(last).output, as: LOW.ours };
  return [...main, low, ...texts].filter(({ slot, as }) => as && slot >= 0);
}
