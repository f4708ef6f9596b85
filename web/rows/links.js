/** Gives a node an input for each row whose strength comes by a link. */

import { isLinkName } from "../model/value.js";
import { hasLink } from "../page/hosted.js";
import { printable } from "../page/text.js";
import { shortName } from "./missing.js";

const TYPE = "FLOAT";

/** @typedef {import("../model/value.js").Row} Row */

/** Adds the inputs that rows ask for, where there are none. @param {Host.Node} node @param {Row[]} rows */
export function addInputs(node, rows) {
  const missing = rows.filter(({ link }) => link && !inputOf(node, link));
  for (const { link = "" } of missing) node.addInput(link, TYPE);
  if (missing.length) nameInputs(node, missing);
}

/** Does the same, and removes those that no row asks for any more. @param {Host.Node} node @param {Row[]} rows */
export function fitInputs(node, rows) {
  const asked = new Set(rows.map(({ link }) => link));
  const left = (node.inputs ?? []).filter(({ name }) => isLinkName(name) && !asked.has(name));
  for (const { name } of left) node.removeInput(node.findInputSlot(name));
  addInputs(node, rows);
  nameInputs(node, rows);
}

/** Says by the labels of inputs whose they are. @param {Host.Node} node @param {Row[]} rows */
function nameInputs(node, rows) {
  for (const row of rows) {
    const input = row.link && inputOf(node, row.link);
    const label = printable(shortName(row));
    if (!input || input.label === label) continue;
    input.label = label;
    node.inputs = [...node.inputs]; // Nodes 2.0 sees it only so
  }
}

/** Whether the strength of a row comes by a link as they are now. @param {Host.Node} node @param {Row} row */
export const isDriven = (node, { link }) => hasLink(link ? inputOf(node, link) : undefined);

/** @param {Host.Node} node @param {string} name */
const inputOf = ({ inputs }, name) => (inputs ?? []).find((input) => input.name === name);
