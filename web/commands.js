/** Commands, with keys where they are used often; they are in the menu under Extensions, and can be given other keys. */

import { app } from "../../scripts/app.js";

import { widgetOf } from "./model/registry.js";
import { setAllOn } from "./model/value.js";
import { loadWords, t } from "./page/words.js";

const ROWS = "LoRARows";
const PACK = "LoRA Algebra";

const COMMANDS = [
  { id: "LoraAlgebra.AddRows", label: "Add LoRA Rows", icon: "pi pi-plus", function: addRows },
  { id: "LoraAlgebra.ToggleRows", label: "Turn all rows on or off", icon: "pi pi-power-off", function: toggleRows },
  {
    id: "LoraAlgebra.ConvertToRows",
    label: "Convert selected nodes to LoRA Rows",
    icon: "pi pi-list",
    function: () => interop("convertSelected"),
  },
  {
    id: "LoraAlgebra.ExpandRows",
    label: "Expand selected LoRA Rows into single nodes",
    icon: "pi pi-sitemap",
    function: () => interop("expandSelected"),
  },
];

// on a Mac, Option makes another sign of the letter
const KEYS = [
  { combo: { key: "l", alt: true }, commandId: "LoraAlgebra.AddRows" },
  { combo: { key: "¬", alt: true }, commandId: "LoraAlgebra.AddRows" },
  { combo: { key: "l", alt: true, shift: true }, commandId: "LoraAlgebra.ToggleRows" },
  { combo: { key: "Ò", alt: true, shift: true }, commandId: "LoraAlgebra.ToggleRows" },
];

app.registerExtension({
  name: "LoraAlgebra.Commands",
  init: loadWords,
  commands: COMMANDS,
  keybindings: KEYS,
  menuCommands: [{ path: ["Extensions", PACK], commands: COMMANDS.map(({ id }) => id) }],
});

/** Puts an empty node into the middle of what is to be seen, and selects it. */
function addRows() {
  const { canvas, ds, graph } = app.canvas;
  const node = LiteGraph.createNode(ROWS);
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const middle = [width, height].map((length, axis) => length / 2 / ds.scale - ds.offset[axis]);
  node.pos = middle.map((place, axis) => place - node.size[axis] / 2);
  graph.add(node);
  app.canvas.selectItems([node]);
  app.extensionManager.workflow.activeWorkflow?.changeTracker?.captureCanvasState();
}

/** Turns all rows of the selected nodes off, or on if none is on. */
function toggleRows() {
  const widgets = selected().map(widgetOf).filter(Boolean);
  if (!widgets.length) return tell(t("Select a LoRA Rows node first."));
  const on = !widgets.some((widget) => widget.rows().some((row) => row.on));
  for (const widget of widgets) widget.edit((rows) => setAllOn(rows, on));
}

const selected = () => [...app.canvas.selectedItems].filter(({ comfyClass }) => comfyClass === ROWS);

/** @param {"convertSelected" | "expandSelected"} action */
async function interop(action) {
  const { [action]: act } = await import("./interop/convert.js");
  await act();
}

function tell(detail) {
  app.extensionManager.toast.add({ severity: "info", summary: PACK, detail, life: 5000 });
}
