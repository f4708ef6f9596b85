/** Offers what this folder does in the menus of nodes and of the canvas. */

import { app } from "../../../scripts/app.js";

import { library } from "../library/library.js";
import { activeRows } from "../model/value.js";
import { tagOrder } from "../page/settings.js";
import { t } from "../page/words.js";
import { convertAll, convertSelected, foreignNodes, isConvertible } from "./convert.js";
import { copy, copyRows } from "./copy.js";
import { say, selectedNodes } from "./edit.js";
import { expandSelected, isExpandable, rowsOf } from "./expand.js";
import { rowsFromText } from "./paste.js";
import { peerOf } from "./peers.js";
import { writeTags } from "./tags.js";

/** Returns the selected nodes, or the one whose menu it is if it is not among them. @param {Host.Node} [node] */
function meant(node) {
  const selected = selectedNodes();
  return !node || selected.includes(node) ? selected : [node];
}

/** @param {Host.Node} [node] @returns {Host.MenuItem[]} */
function items(node) {
  const nodes = meant(node);
  const one = nodes.length === 1 && isExpandable(nodes[0]) ? nodes[0] : undefined;
  const menu = [];
  if (nodes.some(isConvertible))
    menu.push({ content: t("Convert to LoRA Rows"), callback: () => void convertSelected(meant(node)) });
  if (nodes.some(isExpandable))
    menu.push({ content: t("Expand to LoRA nodes"), callback: () => void expandSelected(meant(node)) });
  if (nodes.some(({ type }) => peerOf(type)))
    menu.push({ content: t("Copy as rows"), callback: () => void copyRowsOf(meant(node)) });
  if (one) menu.push({ content: t("Copy as tags"), callback: () => void copyTags(one) });
  return menu;
}

/** @returns {Host.MenuItem[]} */
function itemsForAll() {
  const all = foreignNodes();
  return all.length ? [{ content: t("Convert all LoRA nodes to LoRA Rows"), callback: () => void convertAll() }] : [];
}

/** Copies the rows that nodes stand for, as pasting reads them. @param {Host.Node[]} nodes */
async function copyRowsOf(nodes) {
  await library.load();
  const rows = rowsFromText(JSON.stringify({ nodes: nodes.map((node) => node.serialize()) }));
  if (rows.length) await copyRows(rows);
  else say("info", [t("There are no LoRAs in it.")]);
}

/** Copies the rows of a list that count, as <lora:…> tags. @param {Host.Node} node */
async function copyTags(node) {
  const tags = writeTags(activeRows(rowsOf(node)), library.names ?? [], tagOrder());
  if (tags) await copy(tags, [t("Copied:"), tags]);
  else say("info", [t("There are no LoRAs switched on.")]);
}

app.registerExtension({
  name: "LoraAlgebra.Interop",
  getNodeMenuItems: (node) => separated(items(node)),
  getCanvasMenuItems: () => separated([...items(), ...itemsForAll()]),
  // the menu of several nodes has no place for others' items in Nodes 2.0
  getSelectionToolboxCommands: (item) =>
    selectedNodes().length > 1 && isConvertible(item) ? ["LoraAlgebra.ConvertToRows"] : [],
});

/** @param {Host.MenuItem[]} menu */
const separated = (menu) => (menu.length ? [null, ...menu] : []);
