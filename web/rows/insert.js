/** Puts LoRA Rows into the wires of a node that is there. */

import { addNode } from "../interop/edit.js";
import { bring, linkInto, linksFromType, replaceOrigin, slotOf } from "../interop/wires.js";
import { applies, isApplying } from "../runs/runs.js";

const TYPES = ["MODEL", "CLIP"];
const GAP = 40;

/**
 * Tells whether rows can go behind a node, or in front of it. Behind one of ours they can only go if a model comes
 * through it.
 *
 * @param {Host.Node} node
 */
export function hasModel(node) {
  if (applies(node.comfyClass)) return isApplying(node) && Boolean(linkInto(node, "MODEL"));
  return slotOf(node.outputs, "MODEL") >= 0 || slotOf(node.inputs, "MODEL") >= 0;
}

/**
 * Adds rows behind a node that gives a model, so that all that it gives goes through them; else in front of it.
 *
 * @param {Host.Node} node @returns {Host.Node} the rows
 */
export function insertRows(node) {
  const rows = addNode("LoRARows", node);
  if (slotOf(node.outputs, "MODEL") >= 0) goBehind(node, rows);
  else goInFront(node, rows);
  return rows;
}

/** @param {Host.Node} node @param {Host.Node} rows */
function goBehind(node, rows) {
  for (const type of TYPES) {
    const slot = slotOf(node.outputs, type);
    if (slot < 0) continue;
    const links = linksFromType(node, type);
    node.connect(slot, rows, slotOf(rows.inputs, type));
    for (const link of links) replaceOrigin(link, rows, slotOf(rows.outputs, type));
  }
  rows.pos = [node.pos[0] + node.size[0] + GAP, node.pos[1]];
}

/** @param {Host.Node} node @param {Host.Node} rows */
function goInFront(node, rows) {
  const link = linkInto(node, "MODEL");
  if (link) bring(link, rows, slotOf(rows.inputs, "MODEL"));
  rows.connect(slotOf(rows.outputs, "MODEL"), node, slotOf(node.inputs, "MODEL"));
  rows.pos = [node.pos[0] - rows.size[0] - GAP, node.pos[1]];
}
