/**
 * Opens our picker for the file of a LoadLoRA node, where the host would open its own list. The widget stays the host's: its
 * value, its input, and how it is saved and drawn. Where we do not find our way, the host's list opens as ever.
 */

import { app } from "../../../scripts/app.js";

import { library } from "../library/library.js";
import { targetOf } from "../page/elements.js";
import { isLinked, setValue } from "../page/hosted.js";
import { setting } from "../page/settings.js";
import { loadWords } from "../page/words.js";
import { captureStep } from "../page/workflow.js";
import { openPicker, prepare } from "./picker.js";

const NODE = "LoadLoRA";
const WIDGET = "lora_name";
const ARROWS = 40; // pixels at either end of the widget on the canvas, where the host steps through the files
const HEIGHT = 20; // of the widget on the canvas
const OPENING = new Set(["Enter", " ", "ArrowDown", "ArrowUp"]);

/** What Nodes 2.0 draws for the widget; it is the only one of its kind on the node. */
const COMBO = "[data-node-id] [role=combobox]";

let isListening = false;

app.registerExtension({
  name: "LoraAlgebra.FileNode",
  init: () => loadWords(),

  nodeCreated(node) {
    if (node.comfyClass !== NODE) return;
    const widget = fileWidget(node);
    if (widget?.onClick) openOnCanvas(widget);
    listen();
    library.load().then(() => (globalThis.requestIdleCallback ?? setTimeout)(prepare));
  },
});

/** @param {Host.Node} node */
const fileWidget = (node) => node.widgets?.find(({ name }) => name === WIDGET);

/** @param {Host.Widget} widget */
function openOnCanvas(widget) {
  const former = widget.onClick;
  widget.onClick = (press) => {
    const { e, node, canvas } = press;
    const width = widget.width || node.size[0];
    const across = e.canvasX - node.pos[0];
    if (!setting("FilePicker") || across < ARROWS || across > width - ARROWS) return former?.call(widget, press);
    const at = placeOnCanvas(node, widget, canvas);
    // after the host has done with the press, which would else close it
    setTimeout(() => choose(node, canvas.canvas, (name) => widget.setValue?.(name, press), at));
  };
}

/** Returns where a widget is in the window. @param {Host.Node} node @param {Host.Widget} widget @param {Host.Canvas} canvas */
function placeOnCanvas({ pos, size }, { y = 0 }, { canvas, ds }) {
  const { left, top } = canvas.getBoundingClientRect();
  const [x, up] = [(pos[0] + ds.offset[0]) * ds.scale + left, (pos[1] + y + ds.offset[1]) * ds.scale + top];
  return { left: x, right: x + size[0] * ds.scale, top: up, bottom: up + HEIGHT * ds.scale };
}

/** Nodes 2.0 opens its list when the element of the widget is pressed, so we must be there before. */
function listen() {
  if (isListening) return;
  isListening = true;
  for (const type of ["pointerdown", "mousedown", "click", "keydown"])
    document.addEventListener(type, (event) => pressed(event), { capture: true });
}

/** @param {Event} event */
function pressed(event) {
  if (!LiteGraph.vueNodesMode || !(event.target instanceof Element)) return;
  const combo = targetOf(event).closest(COMBO);
  const node = combo && nodeOf(combo);
  if (!combo || !node || !opens(event) || !setting("FilePicker") || isLinked(node, WIDGET)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (event.type !== "click" && event.type !== "keydown") return;
  const { left, right, top, bottom } = combo.getBoundingClientRect();
  choose(node, /** @type {HTMLElement} */ (combo), (name) => setValue(node, WIDGET, name), {
    left,
    right,
    top,
    bottom,
  });
}

/** Whether an event would open the host's list. @param {Event} event */
function opens(event) {
  if (event instanceof KeyboardEvent)
    return OPENING.has(event.key) && !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey);
  return event instanceof MouseEvent && event.button === 0;
}

/** Returns our node that an element of the page is on. @param {Element} element */
function nodeOf(element) {
  const id = element.closest("[data-node-id]")?.getAttribute("data-node-id");
  const node = app.canvas.graph?.getNodeById(id);
  return node?.comfyClass === NODE ? node : undefined;
}

/**
 * @param {Host.Node} node @param {HTMLElement} opener @param {(name: string) => void} set
 * @param {import("../page/popup.js").Rect} anchor
 */
function choose(node, opener, set, anchor) {
  const onPick = (/** @type {string} */ name) => {
    captureStep(); // what is not yet a step becomes one of its own
    set(name);
    node.setDirtyCanvas(true, true);
    captureStep();
  };
  openPicker(opener, { node, current: String(fileWidget(node)?.value ?? ""), anchor, onPick });
}
