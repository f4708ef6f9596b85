/** Finds rows in texts of any kind. */

import { isObject, readValue, scaled } from "../model/value.js";
import { BYPASSED, MUTED } from "./kinds.js";
import { matcher, withListedNames } from "./names.js";
import { fieldsOf, rowsOfNode, rowsOfTags } from "./peers.js";

/**
 * Pasted text may hold anything, so its values are `any` until they are read.
 *
 * @typedef {import("../model/value.js").Row} Row
 * @typedef {{ nodes: any[], links?: unknown, [key: string]: any }} Workflow
 */

/** @type {unknown[]} */
const OFF = [MUTED, BYPASSED];
const OURS = ["LoadLoRA", "LoRARows", "ScaleLoRA", "StackLoRAs"];
const MOST_LINES = 1000;
const NO_NUMBER = /([:,[]\s*)(?:NaN|-?Infinity)\b/g; // Python writes these, and JSON has none

/**
 * @param {string} text @param {import("./tags.js").Order} order of two numbers in a tag
 * @param {string[]} names those that the host lists
 * @param {string[]} [presets] the names of block weights
 * @returns {Row[]}
 */
export function readRows(text, order, names, presets = []) {
  const found = rowsOfJson(parse(text));
  if (found.length) return withListedNames(found, names);
  const tagged = withListedNames(rowsOfTags(text, order, presets), names);
  return tagged.length ? tagged : rowsOfLines(text, names);
}

/** @param {string} text @returns {unknown} */
function parse(text) {
  if (!/^\s*[[{]/.test(text)) return undefined;
  return parsed(text) ?? parsed(text.replace(NO_NUMBER, "$1null"));
}

/** @param {string} text @returns {unknown} */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Reads a row, a list of rows, the value of a rows widget, copied nodes, a workflow or a prompt.
 *
 * @param {unknown} value @returns {Row[]}
 */
function rowsOfJson(value) {
  if (Array.isArray(value)) return value.every(isRow) ? readValue(value).rows : [];
  if (!isObject(value)) return [];
  if (isRow(value)) return readValue([value]).rows;
  if (Array.isArray(value.rows)) return value.rows.every(isRow) ? readValue(value).rows : [];
  if (Array.isArray(value.nodes)) return rowsOfWorkflow(/** @type {Workflow} */ (value));
  const prompt = [value.prompt, value.output, value].find(isPrompt);
  return prompt ? rowsOfGraph(asWorkflow(prompt)) : [];
}

/** @param {unknown} value */
const isRow = (value) => isObject(value) && typeof value.name === "string" && ("on" in value || "strength" in value);

/** @param {unknown} value @returns {value is Record<string, any>} */
const isPrompt = (value) =>
  isObject(value) && Object.values(value).some((node) => isObject(node) && typeof node.class_type === "string");

/** @param {unknown} node */
const rowsOf = (node) => (isObject(node) && rowsOfNode(node)) || [];

/**
 * Reads rows in the order in which their nodes run, with those in subgraphs behind the others.
 *
 * @param {Workflow} workflow
 */
function rowsOfWorkflow({ nodes, links, definitions, subgraphs = definitions?.subgraphs }) {
  /** @type {Workflow[]} */
  const inner = Array.isArray(subgraphs) ? subgraphs.filter((each) => Array.isArray(each?.nodes)) : [];
  const running = runningOf(nodes, inner);
  const ofInner = inner.flatMap((graph) =>
    rowsOfGraph(graph).map((row) => (running.has(graph.id) ? row : { ...row, on: false })),
  );
  return [...rowsOfGraph({ nodes, links }), ...ofInner];
}

/**
 * Returns the ids of the subgraphs that run: those for which a node stands that is not off, and is in a graph that
 * runs. Those for which there is no node at all may be copied ones, and count as well.
 *
 * @param {any[]} nodes those of the outermost graph @param {Workflow[]} inner
 */
function runningOf(nodes, inner) {
  const byId = new Map(inner.map((graph) => [graph.id, graph]));
  const used = new Set([nodes, ...inner.map((graph) => graph.nodes)].flat().map((node) => node?.type));
  const alone = inner.filter(({ id }) => !used.has(id));
  const running = new Set(alone.map(({ id }) => id));
  const left = [nodes, ...alone.map((graph) => graph.nodes)];
  for (let some = left.pop(); some; some = left.pop())
    for (const { type, mode } of some.filter(isObject)) {
      const graph = OFF.includes(mode) || running.has(type) ? undefined : byId.get(type);
      if (graph) left.push(graph.nodes);
      if (graph) running.add(type);
    }
  return running;
}

/** Returns a prompt in the form of a workflow. @param {Record<string, any>} prompt @returns {Workflow} */
function asWorkflow(prompt) {
  const nodes = Object.entries(prompt)
    .filter(([, node]) => isObject(node))
    .map(([id, node]) => ({ ...node, id, type: node.class_type }));
  const links = nodes.flatMap(({ id, inputs }) =>
    Object.values(inputs ?? {})
      .filter(Array.isArray)
      .map(([origin]) => ({ origin_id: String(origin), target_id: id })),
  );
  return { nodes, links };
}

/** @param {Workflow} graph */
function rowsOfGraph({ nodes, links }) {
  /** @type {Record<string, any>[]} */
  const known = nodes.filter(isObject);
  const inOrder = known.sort((one, other) => (one.order ?? 0) - (other.order ?? 0));
  const behind = nodesBehind(inOrder, Array.isArray(links) ? links : []);
  return inOrder.flatMap((node) => {
    const rows = rowsOf(node);
    const factor = rows.length ? factorOf(node, behind) : undefined;
    return rows.map((row) => changed(row, node, factor));
  });
}

/** @param {Row} row @param {Record<string, any>} node @param {Factor} [factor] @returns {Row} */
function changed(row, node, factor) {
  const made = factor ? scaled(row, factor.model, factor.clip) : row;
  return OFF.includes(node.mode) ? { ...made, on: false } : made;
}

/** @typedef {{ model: number, clip: number }} Factor */
/** @typedef {Map<unknown, Record<string, any>[]>} NodesById */

/**
 * Returns what the nodes "Scale LoRA" behind one of our own loaders make of its strengths.
 *
 * @param {Record<string, any>} loader @param {NodesById} behind @returns {Factor | undefined}
 */
function factorOf(loader, behind) {
  const scales = nodesFrom(loader, behind)
    .filter(({ type, mode }) => type === "ScaleLoRA" && !OFF.includes(mode))
    .map(fieldsOf)
    .filter((each) => [each.strength_model, each.strength_clip].every(Number.isFinite));
  if (!scales.length) return undefined;
  /** @param {string} name */
  const product = (name) => scales.reduce((value, each) => value * each[name], 1);
  return { model: product("strength_model"), clip: product("strength_clip") };
}

/**
 * Returns our own nodes right behind each of our own.
 *
 * @param {Record<string, any>[]} nodes @param {any[]} links @returns {NodesById}
 */
function nodesBehind(nodes, links) {
  const ours = new Map(nodes.filter(({ type }) => OURS.includes(type)).map((each) => [each.id, each]));
  /** @type {NodesById} */
  const behind = new Map([...ours.keys()].map((id) => [id, []]));
  for (const link of links) {
    const [origin, target] = Array.isArray(link) ? [link[1], link[3]] : [link?.origin_id, link?.target_id];
    const node = ours.get(target);
    if (node) behind.get(origin)?.push(node);
  }
  return behind;
}

/** Returns what is reached from a node. @param {Record<string, any>} node @param {NodesById} behind */
function nodesFrom(node, behind) {
  /** @type {Set<Record<string, any>>} */
  const seen = new Set();
  const left = [node];
  for (let some = left.pop(); some; some = left.pop())
    for (const each of behind.get(some.id) ?? [])
      if (!seen.has(each)) {
        seen.add(each);
        left.push(each);
      }
  return [...seen];
}

/**
 * Reads names of files, one in a line, as far as the host lists them.
 *
 * @param {string} text @param {string[]} names @returns {Row[]}
 */
function rowsOfLines(text, names) {
  const lines = text.split(/[\r\n]+/, MOST_LINES).map((line) => line.trim().replace(/^"(.*)"$/, "$1"));
  const [match, listed] = [matcher(names), new Set(names)];
  const found = lines
    .filter(Boolean)
    .map(match)
    .filter((name) => listed.has(name));
  return found.map((name) => ({ on: true, name, strength: 1 }));
}
