/**
 * Shows a slider for each strength below the widgets of "LoRA File" and "Scale LoRA". The widgets stay the values.
 *
 * An edit by the slider is a step of undo, as every edit is. By such a step the host notices that the workflow has
 * changed, and queues it if the user wants it to ("Run on change"): once, when the pointer or the key is let go.
 *
 * To open an older workflow makes no node grow: the sliders are where a node has room for them, and a new node has.
 */

import { app } from "../../../scripts/app.js";

import { make } from "../page/elements.js";
import { guardGestures } from "../page/gestures.js";
import { afterwards } from "../page/hooks.js";
import { addDrawing, isLinked, setValue, takePlace, valueIn } from "../page/hosted.js";
import { loadStyle } from "../page/style.js";
import { lookEveryFrame } from "../page/ticker.js";
import { loadWords, t } from "../page/words.js";
import { allNodes, captureStep } from "../page/workflow.js";
import { Slider } from "./slider.js";

const WIDGET = "lora_algebra_sliders";
const CLASS = "lora-algebra-sliders";
const LINE = 18; // pixels for each slider, as in sliders.css
const MARGIN = 10; // around the box, on the canvas
const GAP = 4; // of the host between widgets

/** The strengths of each class of nodes. @type {Record<string, string[]>} */
const STRENGTHS = { LoadLoRA: ["strength"], ScaleLoRA: ["strength_model", "strength_clip"] };

/** @type {WeakMap<Host.Node, Sliders>} */
const shown = new WeakMap();

app.registerExtension({
  name: "LoraAlgebra.Sliders",

  async init() {
    loadStyle("runs/sliders.css");
    await loadWords();
  },

  nodeCreated(node) {
    const names = STRENGTHS[node.comfyClass ?? ""];
    if (!names) return;
    shown.set(node, new Sliders(node, names));
    afterwards(node, "onAdded", () => lookEveryFrame(refreshAll));
  },
});

/** @returns {boolean} whether there is any such node in the open workflow */
function refreshAll() {
  const all = allNodes().flatMap((node) => shown.get(node) ?? []);
  for (const each of all) each.refresh();
  return all.length > 0;
}

class Sliders {
  #state = ""; // of what is drawn, to see when it has changed
  #edited = false;

  /** @param {Host.Node} node @param {string[]} names of its strengths */
  constructor(node, names) {
    this.node = node;
    this.names = names;
    this.sliders = names.map(
      (name) => new Slider({ paint: (value) => this.#paint(name, value), done: () => this.#done() }),
    );
    this.element = make("div", { class: CLASS }, ...this.sliders.map(({ element }) => element));
    guardGestures(this.element);
    this.height = LINE * names.length + 2 * MARGIN;
    this.least = node.computeSize()[1] + this.height + GAP;
    this.#add();
    node.setSize([node.size[0], this.least]);
    afterwards(node, "onConfigure", () => this.#leave());
  }

  #add = () =>
    addDrawing(this.node, { name: WIDGET, type: "LORA_SLIDERS", element: this.element, height: () => this.height });

  /** Leaves a node that has been saved without room. */
  #leave() {
    const widget = this.#widget();
    if (widget && this.node.size[1] < this.least) this.node.removeWidget(widget);
  }

  /** The user has made room. */
  #enter() {
    this.#add();
    this.node.setDirtyCanvas(true, true); // page 1.58 places it with its next drawing only
  }

  #widget = () => this.node.widgets?.find(({ name }) => name === WIDGET);

  /** Draws what has changed. Called in every frame. */
  refresh() {
    const { node, names } = this;
    if (!this.#widget() && node.size[1] >= this.least) this.#enter();
    const values = names.map((name) => Number(valueIn(node, name)));
    const linked = names.map((name) => isLinked(node, name));
    const state = JSON.stringify([values, linked]);
    if (state !== this.#state)
      for (const [at, slider] of this.sliders.entries()) slider.update(values[at], labelOf(names[at]), linked[at]);
    this.#state = state;
    takePlace(node, this.element, CLASS);
  }

  /** @param {string} name @param {number} value */
  #paint(name, value) {
    setValue(this.node, name, value);
    this.#edited = true;
    this.refresh();
  }

  #done() {
    if (this.#edited) captureStep();
    this.#edited = false;
  }
}

/** @param {string} name */
function labelOf(name) {
  if (name === "strength_clip") return t("Text strength");
  return name === "strength_model" ? t("Model strength") : t("Strength");
}
