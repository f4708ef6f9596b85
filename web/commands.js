/** Our commands. They are in the menu under Extensions; the user can give them other keys. */

import { app } from "../../scripts/app.js";

import { convertAll, convertSelected } from "./interop/convert.js";
import { inOneStep, selectedNodes } from "./interop/edit.js";
import { expandSelected } from "./interop/expand.js";
import { widgetOf } from "./model/registry.js";
import { setAllOn } from "./model/value.js";
import { loadWords, t } from "./page/words.js";
import { captureStep } from "./page/workflow.js";
import { hasModel, insertRows } from "./rows/insert.js";

const ROWS = "LoRARows";
const PACK = "LoRA Algebra";

const COMMANDS = [
  { id: "LoraAlgebra.AddRows", label: "Add LoRA Rows", icon: "pi pi-plus", function: addRows },
  { id: "LoraAlgebra.ToggleRows", label: "Turn all rows on or off", icon: "pi pi-power-off", function: toggleRows },
  {
    id: "LoraAlgebra.ConvertToRows",
    label: "Convert selected nodes to LoRA Rows",
    icon: "pi pi-list",
    function: () => convertSelected(),
  },
  {
    id: "LoraAlgebra.ExpandRows",
    label: "Expand selected LoRA Rows into single nodes",
    icon: "pi pi-sitemap",
    function: () => expandSelected(),
  },
  {
    id: "LoraAlgebra.ConvertAll",
    label: "Convert all LoRA nodes to LoRA Rows",
    icon: "pi pi-sync",
    function: () => convertAll(),
  },
];

// On a Mac, Option turns the letter into another character.
const KEYS = [
  { combo: { key: "a", alt: true }, commandId: "LoraAlgebra.AddRows" },
  { combo: { key: "å", alt: true }, commandId: "LoraAlgebra.AddRows" },
  { combo: { key: "a", alt: true, shift: true }, commandId: "LoraAlgebra.ToggleRows" },
  { combo: { key: "Å", alt: true, shift: true }, commandId: "LoraAlgebra.ToggleRows" },
];

app.registerExtension({
  name: "LoraAlgebra.Commands",
  init: loadWords,
  commands: COMMANDS,
  keybindings: KEYS,
  menuCommands: [{ path: ["Extensions", PACK], commands: COMMANDS.map(({ id }) => id) }],
});

/** Adds an empty node and selects it: into the wires of the selected node, or in the middle of the view. */
async function addRows() {
  const [selected, ...others] = selectedNodes();
  if (selected && !others.length && hasModel(selected)) {
    const rows = await inOneStep(() => insertRows(selected));
    app.canvas.selectItems([rows]);
    return;
  }
  const { canvas, ds, graph } = app.canvas;
  const node = LiteGraph.createNode(ROWS);
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const centred = (/** @type {number} */ length, /** @type {0 | 1} */ axis) =>
    length / 2 / ds.scale - ds.offset[axis] - node.size[axis] / 2;
  node.pos = [centred(width, 0), centred(height, 1)];
  graph.add(node);
  app.canvas.selectItems([node]);
  captureStep();
}

/** Turns all rows of the selected nodes off, or on if none is on. */
function toggleRows() {
  const widgets = selectedNodes()
    .map(widgetOf)
    .filter((widget) => widget !== undefined);
  if (!widgets.length) return tell(t("Select a LoRA Rows node first."));
  const on = !widgets.some((widget) => widget.rows().some((row) => row.on));
  for (const widget of widgets) widget.edit((rows) => setAllOn(rows, on));
}

/** @param {string} detail */
function tell(detail) {
  app.extensionManager.toast.add({ severity: "info", summary: PACK, detail, life: 5000 });
}
