/** Where the page offers what this folder does: in the menus of nodes and of the canvas. */

import { app } from "../../../scripts/app.js";

import { library } from "../library/library.js";
import { activeRows } from "../model/value.js";
import { setting } from "../page/settings.js";
import { t } from "../page/words.js";
import { convertSelected, isConvertible } from "./convert.js";
import { say, selectedNodes } from "./edit.js";
import { expandSelected, isExpandable } from "./expand.js";
import { writeTags } from "./tags.js";

/** The selected nodes, or the one whose menu it is if it is not among them. */
function meant(node) {
  const selected = selectedNodes();
  return !node || selected.includes(node) ? selected : [node];
}

function items(node) {
  const nodes = meant(node);
  const one = nodes.length === 1 && isExpandable(nodes[0]) ? nodes[0] : undefined;
  return [
    nodes.some(isConvertible) && {
      content: t("Convert to LoRA Rows"),
      callback: () => void convertSelected(meant(node)),
    },
    nodes.some(isExpandable) && {
      content: t("Expand to LoRA nodes"),
      callback: () => void expandSelected(meant(node)),
    },
    one && { content: t("Copy as tags"), callback: () => void copyTags(one) },
  ].filter(Boolean);
}

/** The rows of a list that count, as <lora:…> tags on the clipboard. @param {import("./wires.js").Node} node */
async function copyTags(node) {
  const { rows } = node.widgets.find(({ name }) => name === "rows").value;
  const tags = writeTags(activeRows(rows), library.names ?? [], setting("TagOrder"));
  if (!tags) return say("info", [t("There are no LoRAs switched on.")]);
  if (await copy(tags)) say("info", [t("Copied:"), tags]);
  else say("warn", [t("The browser does not let the page copy:"), tags]);
}

/** @returns {Promise<boolean>} */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text); // there is none on pages without a certificate
    return true;
  } catch {
    return false;
  }
}

app.registerExtension({
  name: "LoraAlgebra.Interop",
  getNodeMenuItems: (node) => separated(items(node)),
  getCanvasMenuItems: () => separated(items()),
  // the menu of several nodes has no place for others' items in Nodes 2.0
  getSelectionToolboxCommands: (item) =>
    selectedNodes().length > 1 && isConvertible(item) ? ["LoraAlgebra.ConvertToRows"] : [],
});

const separated = (menu) => (menu.length ? [null, ...menu] : []);
