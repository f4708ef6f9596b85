/**
 * Connects the rows widget to the host, which saves, restores, undoes and draws its value. We have found by trying
 * what works with both of the host's ways to draw nodes; see ARCHITECTURE.md.
 */

import { app } from "../../../scripts/app.js";

import { pastedText } from "../interop/clipboard.js";
import { say } from "../interop/edit.js";
import { withoutTags } from "../interop/peers.js";
import { library } from "../library/library.js";
import { forgetModels } from "../library/models.js";
import { overview } from "../library/overview.js";
import { presets } from "../library/presets.js";
import { keepOnly, refreshAll, register, rowsWidgets } from "../model/registry.js";
import * as edits from "../model/value.js";
import { make, setAttributes, targetOf } from "../page/elements.js";
import { rememberFocus, remembersFocus, restoreFocus } from "../page/focus.js";
import { guardGestures } from "../page/gestures.js";
import { afterwards } from "../page/hooks.js";
import { loadStyle } from "../page/style.js";
import { lookEveryFrame } from "../page/ticker.js";
import { loadWords, t } from "../page/words.js";
import { captureStep, isInWorkflow, openWorkflow } from "../page/workflow.js";
import { addInputs, fitInputs } from "./links.js";
import { List } from "./list.js";
import { prepare } from "./picker.js";

/** @typedef {import("../model/value.js").Row} Row @typedef {import("./row.js").How} How */

const TYPE = "LORA_ROWS";
const MODEL_LOW = "MODEL low"; // an output
const BYPASSED = 4; // LiteGraph's mode
const WIDTH = 380;
const MARGIN = 10; // of the host around the element, on the canvas
const BORDERS = 2; // this and what follows as in rows.css
const EMPTY = 65; // without rows
const LINE = 28;
const SLACK = 4; // pixels that rounding may leave
const SETTLE = 300; // milliseconds after which turning a wheel is one edit

app.registerExtension({
  name: "LoraAlgebra.Rows",

  async init() {
    for (const file of ["rows/rows.css", "rows/low.css", "rows/picker.css"]) loadStyle(file);
    await loadWords();
  },

  getCustomWidgets: () => ({ [TYPE]: makeWidget }),

  async refreshComboInNodes() {
    if (!library.names) return; // nothing of ours has asked for them
    overview.forget();
    forgetModels();
    await library.renew();
    prepare();
    refreshAll();
  },
});

/** Prepares the picker while nobody waits for it, once there is a node that may open it. */
const prepareSoon = () => (globalThis.requestIdleCallback ?? setTimeout)(prepare);

/**
 * Puts the widgets where they belong. Nodes 2.0 keeps showing the element of a node that undo has replaced; also
 * where a subgraph shows it. Called in every frame, so it does nothing where there is nothing to do.
 *
 * @returns {boolean} whether there is anything to look at
 */
function lookAgain() {
  keepOnly(({ node }) => isInWorkflow(node));
  for (const { node, element } of rowsWidgets()) takePlace(node, element);
  restoreFocus(openWorkflow(), rowsWidgets());
  return rowsWidgets().length > 0 || remembersFocus();
}

/** @param {Host.Node} node @param {HTMLElement} element */
function takePlace(node, element) {
  const place = `${node.graph?.id}:${node.id}`; // the same after undo
  setAttributes(element, { "data-place": place });
  if (element.isConnected) return;
  const isLeft = (/** @type {Element} */ other) => rowsWidgets().every((widget) => widget.element !== other);
  const left = [...document.getElementsByClassName("lora-algebra-rows")].filter(isLeft);
  // a graph that is opened from a prompt gets another id by undo
  const isHere = (/** @type {Element} */ other) =>
    node.graph === app.canvas.graph && Boolean(other.closest(`[data-node-id="${node.id}"]`));
  const former = left.find((other) => other.getAttribute("data-place") === place) ?? left.find(isHere);
  former?.replaceWith(element);
}

/** @type {Host.WidgetMaker} */
function makeWidget(node, name, [, options = {}]) {
  const rows = new Rows(node, name, options);
  return { widget: rows.hosted, minWidth: WIDTH, minHeight: rows.height() + 2 * MARGIN };
}

class Rows {
  /** @type {import("../model/value.js").Value} */
  #value;
  /** @type {ReturnType<typeof setTimeout> | undefined} the timer of an edit that may go on */
  #waiting;
  #warned = false;
  #extra = 0; // of the node's height, for what is unfolded
  #height = Infinity; // that the node has got from a workflow or from us

  /** @param {Host.Node} node @param {string} name @param {{ default?: unknown }} options */
  constructor(node, name, options) {
    this.node = node;
    this.#value = edits.readValue(options.default);
    this.element = make("div", {
      class: "lora-algebra-rows",
      role: "group",
      "aria-label": t("LoRA rows"),
      "data-node-widget": name,
    });
    this.others = this.#forOthers();
    this.list = new List(this.others, {
      edit: (change, how) => this.edit(change, how),
      resized: () => this.#fit(),
    });
    this.element.append(this.list.content);
    this.hosted = this.#makeHosted(name);
    this.#listen();
    this.list.render(this.#value.rows);
    library.load().then(() => {
      this.list.refresh();
      prepareSoon();
    });
  }

  /** @returns {import("../model/registry.js").RowsWidget} what others see of this widget */
  #forOthers() {
    return {
      node: this.node,
      element: this.element,
      rows: () => this.#value.rows,
      edit: (change) => this.edit(change),
      refresh: () => this.list.refresh(),
    };
  }

  /** @param {string} name */
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
    widget.beforeQueued = () => this.#warnOfBypass();
    return widget;
  }

  /** The host takes the first input of a type for whatever a bypassed node gives of it: the wrong one of two models. */
  #warnOfBypass() {
    const { mode, outputs } = this.node;
    const isWrong = mode === BYPASSED && Boolean(outputs?.find(({ name }) => name === MODEL_LOW)?.links?.length);
    if (isWrong && !this.#warned)
      say("warn", [t("A bypassed LoRA Rows gives model as MODEL low, too. Turn its rows off instead.")]);
    this.#warned = isWrong; // once, also where a queue goes on by itself
  }

  #listen() {
    const { node } = this;
    let leave = () => {};
    afterwards(node, "onAdded", () => {
      leave();
      leave = register(this.others);
      lookEveryFrame(lookAgain);
    });
    afterwards(node, "onRemoved", () => leave());
    afterwards(node, "onConfigure", () => {
      this.#height = node.size[1];
      this.#extra = 0;
    });
    afterwards(node, "onSerialize", (/** @type {Host.SavedNode} */ saved) => {
      saved.size = [saved.size[0], this.#given(saved.size[1])];
    });
    afterwards(node, "onConnectionsChange", () => this.list.refresh()); // for low noise? a strength?
    new ResizeObserver(() => this.#fit()).observe(this.list.content);
    Object.assign(node, {
      onDragOver: hasFiles, // beside the list
      onDragDrop: (/** @type {DragEvent} */ event) => hasFiles(event) && this.#take(event),
    });
    guardGestures(this.element);
    rememberFocus(this.element, () => ({ id: node.id, workflow: openWorkflow() }));
    this.element.addEventListener("dragover", (event) => this.#drop(event));
    this.element.addEventListener("drop", (event) => this.#drop(event));
    // before Ctrl+Z, what it is to undo must be a step
    this.element.addEventListener("keydown", ({ key }) => /^(Control|Meta)$/.test(key) && this.#capture(), true);
    this.element.addEventListener("paste", (event) => this.#pasted(event));
  }

  /**
   * Takes a value from the host, which sets equal values at every press; what is pressed must then stay.
   *
   * @param {unknown} stored
   */
  #restore(stored) {
    const value = edits.readValue(withoutTags(stored, presets()));
    if (JSON.stringify(value) === JSON.stringify(this.#value)) return;
    this.#value = value;
    this.#sync();
    addInputs(this.node, value.rows); // a prompt of a script has none
    this.list.render(value.rows);
  }

  /** Makes one edit by the user. @param {(rows: Row[]) => Row[]} change @param {How} [how] */
  edit(change, { held = false } = {}) {
    const changed = change(this.#value.rows);
    if (changed === this.#value.rows) return;
    const rows = edits.withIdentities(edits.tidyRows(changed), (name) => library.identity(name));
    this.list.follow(changed, rows);
    if (!held) this.#capture(); // what was held before is a step of its own
    const snug = this.#isSnug();
    this.#value = { ...this.#value, rows };
    this.#sync();
    fitInputs(this.node, rows);
    this.list.render(rows);
    this.#fit({ edited: true, snug });
    this.hosted.callback?.(this.#value);
    this.node.setDirtyCanvas(true, true);
    this.#askForIdentities();
    if (held) this.#captureSoon();
    else captureStep();
  }

  /** Asks for hashes and sizes. They are saved with the next edit. */
  #askForIdentities() {
    for (const file of this.#value.rows.flatMap((row) => (row.low ? [row, row.low] : [row])))
      if (file.name && !edits.identityOf(file).hash && library.listed(file.name))
        library.ask(file.name, { content: true });
  }

  #capture() {
    if (this.#waiting !== undefined) captureStep();
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
  }

  #captureSoon() {
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => this.#capture(), SETTLE);
  }

  /** Renews the copy that the host keeps for views of this widget elsewhere. */
  #sync() {
    const state = this.hosted?._state; // the host may set a value while it makes the widget
    if (state) state.value = structuredClone(this.#value);
  }

  /**
   * Returns the height that the host must give it. As long as it is not drawn, this is not more than it will need,
   * since nodes do not shrink.
   */
  height() {
    const { rows } = this.#value;
    const lines = rows.length + rows.filter(({ low }) => low).length;
    return (this.list.content.offsetHeight || EMPTY + LINE * lines) + BORDERS;
  }

  /**
   * Makes the node as high as it must be. A height that the user has given stays, and so does that of an edit until
   * an edit needs less. A height that is only for a panel or an offer, or for rows as this page draws them, is not
   * saved: nobody has edited anything, and undo would find a change that it has not made.
   *
   * @param {{ edited?: boolean, snug?: boolean }} [by] `snug`: before the edit it was no higher than it had to be
   */
  #fit({ edited = false, snug = false } = {}) {
    const { node } = this;
    const need = this.#needed();
    if (need === null) return;
    const least = edited ? need - this.list.unfoldedHeight() : 0;
    const given = snug ? least : Math.max(this.#given(node.size[1]), least);
    this.#extra = Math.max(0, need - given);
    this.#height = given + this.#extra;
    if (node.size[1] !== this.#height) node.setSize([node.size[0], this.#height]);
  }

  /** Whether the node is no higher than its rows need, so that the user has not made it so. */
  #isSnug() {
    const need = this.#needed();
    return need !== null && this.#given(this.node.size[1]) - (need - this.list.unfoldedHeight()) < SLACK;
  }

  /**
   * Returns what to save of a height of the node: all but what a panel needs, if the user has made the node higher.
   *
   * @param {number} height
   */
  #given(height) {
    if (height <= this.#height) return height - this.#extra;
    const need = this.#needed();
    const byHost = need === null || Math.abs(height - need) < 1; // it was faster than we are
    if (byHost) return this.#height - this.#extra;
    return height - Math.min(this.#extra, this.list.unfoldedHeight());
  }

  /** Returns the least height of the node, or null where it is not drawn. */
  #needed() {
    const { node, element } = this;
    if (!element.isConnected || node.graph !== app.canvas.graph) return null;
    if (!LiteGraph.vueNodesMode) return node.computeSize()[1];
    /** @type {HTMLElement | null} */
    const shown = element.closest(`[data-node-id="${node.id}"]`);
    const spare = element.offsetHeight - BORDERS - this.list.content.offsetHeight;
    return shown && shown.offsetHeight - LiteGraph.NODE_TITLE_HEIGHT - spare;
  }

  /**
   * Takes what is dragged over the list, files as well: the host would open them in place of the workflow.
   *
   * @param {DragEvent} event
   */
  #drop(event) {
    if (!isTaken(event)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.type === "drop") this.#take(event);
  }

  /** @param {DragEvent} event */
  #take({ dataTransfer: data }) {
    const files = [...(data?.files ?? [])];
    if (files.length) this.list.addFiles(files);
    else this.list.addText(data?.getData("text/plain") ?? "");
    return true;
  }

  /** @param {ClipboardEvent} event */
  #pasted(event) {
    if (targetOf(event).tagName === "INPUT") return event.stopPropagation();
    if (!this.list.addText(pastedText(event.clipboardData))) return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** @param {DragEvent} event */
const hasFiles = ({ dataTransfer: data }) => Boolean(data?.types.includes("Files"));

/** Whether something is dragged that may hold rows. @param {DragEvent} event */
const isTaken = (event) => hasFiles(event) || Boolean(event.dataTransfer?.types.includes("text/plain"));
