/**
 * The LoRA files above a node, and what the host says of them.
 *
 * @typedef {import("../library/library.js").Reply} Reply
 * @typedef {{ name: string, hash?: string, size?: number }} Asked
 */

import { findTags, TagError } from "../interop/tags.js";
import { library } from "../library/library.js";
import { widgetOf } from "../model/registry.js";
import { activeRows, identityOf } from "../model/value.js";
import { nodesAbove } from "../runs/upstream.js";

/** What nodes name files with. @type {Record<string, (node: Host.Node) => Asked[]>} */
const NAMING = {
  LoadLoRA: (node) => [{ name: textOf(node, "lora_name") }],
  LoRARows: (node) => activeRows(widgetOf(node)?.rows() ?? []).map((row) => ({ name: row.name, ...identityOf(row) })),
  FromLoRATags: (node) =>
    findTags(textOf(node, "text"), "model").flatMap((tag) => (tag instanceof TagError ? [] : { name: tag.name })),
};

/** @param {Host.Node} node @param {string} widget */
export const textOf = (node, widget) => String(node.widgets?.find(({ name }) => name === widget)?.value ?? "");

/** Returns the files above a node, each once. @param {Host.Node} node @returns {Asked[]} */
export function filesAbove(node) {
  const files = nodesAbove(node).flatMap((above) => NAMING[above.comfyClass ?? ""]?.(above) ?? []);
  return [...new Map(files.filter(({ name }) => name).map((file) => [file.name, file])).values()];
}

/**
 * Returns what the host has said of a file's blocks, and asks for it if nobody has.
 *
 * @param {Asked} file @returns {Reply | null | undefined}
 */
export function replyOn({ name, ...identity }) {
  const more = { ...identity, blocks: true };
  const known = library.answer(name, more);
  if (known === undefined) library.ask(name, more);
  return known;
}
