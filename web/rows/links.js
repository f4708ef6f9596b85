/** Gives a node an input for each row whose strength comes by a link. */

import { isLinkName } from "../model/links.js";
import { printable } from "../page/text.js";
import { shortName } from "./missing.js";

const TYPE = "FLOAT";

/** @typedef {import("../model/value.js").Row} Row */

/**
 * Adds the inputs that rows ask for, and says by their labels whose they are.
 *
 * @param {Host.Node} node @param {Row[]} rows
 */
export function addInputs(node, rows) {
  for (const row of rows.filter(({ link }) => link)) {
    const name = row.link ?? "";
    const input = inputOf(node, name) ?? node.addInput(name, TYPE);
    const label = printable(shortName(row));
    if (input.label === label) continue;
    input.label = label;
    node.inputs = [...node.inputs]; // Nodes 2.0 sees it only so
  }
}

/** Does the same, and removes those that no row asks for any more. @param {Host.Node} node @param {Row[]} rows */
export function fitInputs(node, rows) {
  const asked = new Set(rows.map(({ link }) => link));
  const left = (node.inputs ?? []).filter(({ name }) => isLinkName(name) && !asked.has(name));
  for (const { name } of left) node.removeInput(node.findInputSlot(name));
  addInputs(node, rows);
}

/** Whether the strength of a row comes by a link as they are now. @param {Host.Node} node @param {Row} row */
export function isDriven(node, { link }) {
  const input = link && inputOf(node, link);
  return Boolean(input) && typeof input === "object" && input.link !== null && input.link !== undefined;
}

/** @param {Host.Node} node @param {string} name */
const inputOf = ({ inputs }, name) => (inputs ?? []).find((input) => input.name === name);
