/**
 * The rows widget and the host: how its value is saved, restored, undone and drawn. What holds for
 * both of the host's ways to draw nodes was found by trying; see ARCHITECTURE.md.
 */

import { app } from "../../../scripts/app.js";

import { pastedText } from "../interop/clipboard.js";
import { library } from "../library/library.js";
import { keepOnly, refreshAll, register, rowsWidgets } from "../model/registry.js";
import * as edits from "../model/value.js";
import { make, setAttributes } from "../page/elements.js";
import { guardGestures } from "../page/gestures.js";
import { loadStyle } from "../page/style.js";
import { loadWords, t } from "../page/words.js";
import { rememberFocus, restoreFocus } from "./focus.js";
import { List } from "./list.js";
import { prepare } from "./picker.js";

const TYPE = "LORA_ROWS";
const WIDTH = 380;
const MARGIN = 10; // the host's, around the element, on the canvas
const BORDERS = 2; // this and what follows as in rows.css
const EMPTY = 65; // without rows
const LINE = 28;
const SETTLE = 300; // milliseconds after which turning a wheel is one edit

app.registerExtension({
  name: "LoraAlgebra.Rows",

  async init() {
    for (const file of ["rows/rows.css", "rows/picker.css"]) loadStyle(file);
    await loadWords();
  },

  getCustomWidgets: () => ({ [TYPE]: makeWidget }),

  async refreshComboInNodes() {
    await library.renew();
    prepare();
    refreshAll();
  },

  setup() {
    lookAgain();
    library.load().then(() => (globalThis.requestIdleCallback ?? setTimeout)(prepare));
  },
});

/** Nodes 2.0 keeps showing the element of a node that undo has replaced; also where a subgraph shows it. */
function lookAgain() {
  keepOnly(({ node }) => isLive(node));
  for (const { node, element } of rowsWidgets()) takePlace(node, element);
  restoreFocus(workflow());
  requestAnimationFrame(lookAgain);
}

/** The host drops what is inside of subgraphs without a word. @param {import("../model/registry.js").RowsWidget["node"]} node */
function isLive(node) {
  const { graph, id } = node;
  const isOpen = graph && (graph.isRootGraph || app.rootGraph.subgraphs.get(graph.id) === graph);
  return isOpen && graph.getNodeById(id) === node;
}

/** In every frame, so it does nothing where there is nothing to do. */
function takePlace(node, element) {
  const place = `${node.graph.id}:${node.id}`; // the same after undo
  setAttributes(element, { "data-place": place });
  if (element.isConnected) return;
  const isFormer = (other) =>
    other.dataset.place === place && rowsWidgets().every((widget) => widget.element !== other);
  [...document.getElementsByClassName("lora-algebra-rows")].find(isFormer)?.replaceWith(element);
}

/** @param {Host.Node} node */
function makeWidget(node, name, [, options = {}]) {
  const rows = new Rows(node, name, options);
  return { widget: rows.hosted, minWidth: WIDTH, minHeight: rows.height() + 2 * MARGIN };
}

class Rows {
  #value;
  #waiting = 0; // timer of an edit that may go on
  #extra = 0; // of the node's height, for what is unfolded
  #height = Infinity; // that the node has got from a workflow or from us

  constructor(node, name, options) {
    this.node = node;
    this.#value = edits.readValue(options.default);
    this.element = make("div", {
      class: "lora-algebra-rows",
      role: "group",
      "aria-label": t("LoRA rows"),
      "data-node-widget": name,
    });
    this.list = new List(this.#forOthers(), {
      edit: (change, how) => this.edit(change, how),
      resized: () => this.#fit(),
    });
    this.element.append(this.list.content);
    this.hosted = this.#makeHosted(name);
    this.#listen();
    this.list.render(this.#value.rows);
    library.load().then(() => this.list.refresh());
  }

  #forOthers() {
    return (this.others = {
      node: this.node,
      element: this.element,
      rows: () => this.#value.rows,
      edit: (change) => this.edit(change),
      refresh: () => this.list.refresh(),
    });
  }

  #makeHosted(name) {
    const widget = this.node.addDOMWidget(name, TYPE, this.element, {
      getValue: () => this.#value,
      setValue: (value) => this.#restore(value),
      getMinHeight: () => this.height() + 2 * MARGIN,
      hideOnZoom: false,
      hideInPanel: true,
      socketless: true,
    });
    widget.serializeValue = () => edits.forPrompt(this.#value);
    return widget;
  }

  #listen() {
    const { node } = this;
    let leave = () => {};
    const after = (hook, act) => {
      const former = node[hook];
      node[hook] = function (...given) {
        const result = former?.apply(this, given);
        act(...given);
        return result;
      };
    };
    after("onAdded", () => (leave(), (leave = register(this.others))));
    after("onRemoved", () => leave());
    after("onConfigure", () => {
      this.#height = node.size[1];
      this.#extra = 0;
    });
    after("onSerialize", (saved) => (saved.size = [saved.size[0], this.#given(saved.size[1])]));
    new ResizeObserver(() => this.#fit()).observe(this.list.content);
    guardGestures(this.element);
    rememberFocus(this.element, () => ({ id: node.id, workflow: workflow() }));
    for (const type of ["dragover", "drop"]) this.element.addEventListener(type, (event) => this.#drop(event));
    // before Ctrl+Z, what it is to undo must be a step
    this.element.addEventListener("keydown", ({ key }) => /^(Control|Meta)$/.test(key) && this.#capture(), true);
    this.element.addEventListener("paste", (event) => this.#pasted(event));
  }

  /** The host sets equal values at every press; what is pressed must then stay. */
  #restore(stored) {
    const value = edits.readValue(stored);
    if (JSON.stringify(value) === JSON.stringify(this.#value)) return;
    this.#value = value;
    this.#sync();
    this.list.render(value.rows);
  }

  /** One edit by the user. @param {(rows: import("../model/value.js").Row[]) => import("../model/value.js").Row[]} change */
  edit(change, { held = false } = {}) {
    const changed = change(this.#value.rows);
    if (changed === this.#value.rows) return;
    const rows = edits.withIdentities(edits.tidyRows(changed), (name) => library.identity(name));
    this.list.follow(changed, rows);
    if (!held) this.#capture(); // what was held before is a step of its own
    this.#value = { ...this.#value, rows };
    this.#sync();
    this.list.render(rows);
    this.#fit({ edited: true });
    this.hosted.callback?.(this.#value);
    this.node.setDirtyCanvas(true, true);
    this.#askForIdentities();
    if (held) this.#captureSoon();
    else capture();
  }

  /** What comes goes with the next edit. */
  #askForIdentities() {
    for (const row of this.#value.rows)
      if (row.name && !edits.identityOf(row).hash && library.listed(row.name)) library.ask(row.name, { content: true });
  }

  #capture() {
    if (this.#waiting) capture();
    clearTimeout(this.#waiting);
    this.#waiting = 0;
  }

  #captureSoon() {
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => this.#capture(), SETTLE);
  }

  /** The host keeps a copy for views of this widget elsewhere. */
  #sync() {
    const state = this.hosted?._state;
    if (state) state.value = structuredClone(this.#value);
  }

  /** What the host must give it. As long as it is not drawn, no more than it will need, for nodes do not shrink. */
  height() {
    const drawn = this.list.content.offsetHeight;
    return (drawn || EMPTY + LINE * this.#value.rows.length) + BORDERS;
  }

  /**
   * Makes the node as high as it must be. What the user or an edit has given it stays; what is only for a
   * panel or an offer, or for rows as this page draws them, is not saved: nobody has edited anything, and
   * undo would meet with a change that it has not made.
   */
  #fit({ edited = false } = {}) {
    const { node } = this;
    const need = this.#needed();
    if (need === null) return;
    const least = edited ? need - this.list.unfoldedHeight() : 0;
    const given = Math.max(this.#given(node.size[1]), least);
    this.#extra = Math.max(0, need - given);
    this.#height = given + this.#extra;
    if (node.size[1] !== this.#height) node.setSize([node.size[0], this.#height]);
  }

  /** Of a height of the node, what is to be kept; all but a panel's, if the user has made it higher. */
  #given(height) {
    if (height <= this.#height) return height - this.#extra;
    const need = this.#needed();
    const byHost = need === null || Math.abs(height - need) < 1; // it has been faster than we
    if (byHost) return this.#height - this.#extra;
    return height - Math.min(this.#extra, this.list.unfoldedHeight());
  }

  /** The least height of the node, or null where it is not drawn. */
  #needed() {
    const { node, element } = this;
    if (!element.isConnected || node.graph !== app.canvas.graph) return null;
    if (!LiteGraph.vueNodesMode) return node.computeSize()[1];
    const shown = element.closest(`[data-node-id="${node.id}"]`);
    const spare = element.offsetHeight - BORDERS - this.list.content.offsetHeight;
    return shown && shown.offsetHeight - LiteGraph.NODE_TITLE_HEIGHT - spare;
  }

  #drop(event) {
    if (!event.dataTransfer?.types.includes("text/plain")) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.type === "drop") this.list.addText(event.dataTransfer.getData("text/plain"));
  }

  #pasted(event) {
    if (event.target.tagName === "INPUT") return event.stopPropagation();
    if (!this.list.addText(pastedText(event.clipboardData))) return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** The one that is shown. */
const workflow = () => app.extensionManager?.workflow?.activeWorkflow;

/** Lets the host take a step of undo. */
function capture() {
  const tracker = workflow()?.changeTracker;
  (tracker?.captureCanvasState ?? tracker?.checkState)?.call(tracker);
}
