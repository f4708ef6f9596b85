/** Rows in texts of any kind. */

import { readValue } from "../model/value.js";
import { matcher, withListedNames } from "./names.js";
import { fieldsOf, rowsOfNode, rowsOfTags } from "./peers.js";

/** @typedef {import("../model/registry.js").Row} Row */

const OFF = [2, 4]; // muted, bypassed
const OURS = ["LoadLoRA", "LoRARows", "ScaleLoRA", "StackLoRAs"];
const MOST_LINES = 1000;

/**
 * @param {string} text @param {import("./tags.js").Order} order of two numbers in a tag
 * @param {string[]} names those that the host lists
 * @returns {Row[]}
 */
export function readRows(text, order, names) {
  const found = rowsOfJson(parse(text));
  if (found.length) return withListedNames(found, names);
  const tagged = withListedNames(rowsOfTags(text, order), names);
  return tagged.length ? tagged : rowsOfLines(text, names);
}

function parse(text) {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** A row, a list of rows, the value of a rows widget, copied nodes, a workflow or a prompt. @returns {Row[]} */
function rowsOfJson(value) {
  if (Array.isArray(value)) return value.every(isRow) ? readValue(value).rows : [];
  if (!isObject(value)) return [];
  if (isRow(value)) return readValue([value]).rows;
  if (Array.isArray(value.rows)) return value.rows.every(isRow) ? readValue(value).rows : [];
  if (Array.isArray(value.nodes)) return rowsOfWorkflow(value);
  const prompt = [value.prompt, value.output, value].find(isPrompt);
  return prompt ? rowsOfGraph(graphOf(prompt)) : [];
}

const isRow = (value) => isObject(value) && typeof value.name === "string" && ("on" in value || "strength" in value);

const isPrompt = (value) =>
  isObject(value) && Object.values(value).some((node) => typeof node?.class_type === "string");

const rowsOf = (node) => (isObject(node) && rowsOfNode(node)) || [];

/** In the order in which nodes run, with those in subgraphs behind the others. */
function rowsOfWorkflow({ nodes, links, definitions, subgraphs = definitions?.subgraphs }) {
  const inner = Array.isArray(subgraphs) ? subgraphs.filter((each) => Array.isArray(each?.nodes)) : [];
  return [{ nodes, links }, ...inner].flatMap(rowsOfGraph);
}

/** A prompt in the form of a workflow. */
function graphOf(prompt) {
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

function rowsOfGraph({ nodes, links }) {
  const inOrder = nodes.filter(isObject).sort((one, other) => (one.order ?? 0) - (other.order ?? 0));
  const factors = factorsOf(inOrder, Array.isArray(links) ? links : []);
  return inOrder.flatMap((node) => rowsOf(node).map((row) => changed(row, node, factors.get(node))));
}

function changed(row, node, factor) {
  const off = OFF.includes(node.mode) ? { on: false } : {};
  if (!factor) return { ...row, ...off };
  const { strength_clip: text = row.strength, ...others } = row;
  const made = { ...others, ...off, strength: row.strength * factor.model };
  return text * factor.clip === made.strength ? made : { ...made, strength_clip: text * factor.clip };
}

/** What the nodes "Scale LoRA" behind our own loaders make of their strengths. @returns {Map<object, { model: number, clip: number }>} */
function factorsOf(nodes, links) {
  const factors = new Map();
  for (const scale of nodes) {
    if (scale.type !== "ScaleLoRA" || OFF.includes(scale.mode)) continue;
    const { strength_model: model, strength_clip: clip } = fieldsOf(scale);
    if (![model, clip].every(Number.isFinite)) continue;
    for (const node of upstream(scale, nodes, links)) {
      const former = factors.get(node) ?? { model: 1, clip: 1 };
      factors.set(node, { model: former.model * model, clip: former.clip * clip });
    }
  }
  return factors;
}

/** Our own nodes in front of one. @returns {Set<object>} */
function upstream(node, nodes, links) {
  const ours = new Map(nodes.filter(({ type }) => OURS.includes(type)).map((each) => [each.id, each]));
  const ends = links.map((link) => (Array.isArray(link) ? [link[1], link[3]] : [link?.origin_id, link?.target_id]));
  const seen = new Set();
  const left = [node];
  while (left.length) {
    const { id } = left.pop();
    const found = ends.filter(([, target]) => target === id).map(([origin]) => ours.get(origin));
    for (const each of found) if (each && !seen.has(each)) left.push(each) && seen.add(each);
  }
  return seen;
}

/** Names of files, one in a line, as far as the host lists them. */
function rowsOfLines(text, names) {
  const lines = text.split(/[\r\n]+/, MOST_LINES).map((line) => line.trim().replace(/^"(.*)"$/, "$1"));
  const [match, listed] = [matcher(names), new Set(names)];
  const found = lines
    .filter(Boolean)
    .map(match)
    .filter((name) => listed.has(name));
  return found.map((name) => ({ on: true, name, strength: 1 }));
}
