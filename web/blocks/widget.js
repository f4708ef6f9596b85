/**
 * Shows on every "LoRA Block Weights" node a bar for each block of the LoRAs above it. The text of the node stays the
 * value: bars are drawn from it, and a drag writes into it.
 *
 * As in curve/schedule.js the widget looks at the values in every frame, since the page announces only some changes.
 */

import { app } from "../../../scripts/app.js";

import { icon, make, setAttributes, setText } from "../page/elements.js";
import { guardGestures } from "../page/gestures.js";
import { afterwards } from "../page/hooks.js";
import { addDrawing, enlarge, isLinked, setValue, takePlace } from "../page/hosted.js";
import { loadStyle } from "../page/style.js";
import { printable, short } from "../page/text.js";
import { lookEveryFrame } from "../page/ticker.js";
import { loadWords, t } from "../page/words.js";
import { allNodes, captureStep } from "../page/workflow.js";
import { Bars, nameOf } from "./bars.js";
import { writeFactors } from "./edit.js";
import { openPresets } from "./presets.js";
import { filesAbove, replyOn, textOf } from "./source.js";
import { factorsOf, known } from "./text.js";
import { blocksOf } from "./union.js";

/** @typedef {import("../library/library.js").Reply} Reply */

const NODE_ID = "LoRABlockWeights";
const WIDGET = "lora_algebra_blocks";
const TEXT = "weights";
const PRESET = "preset";
const CUSTOM = "custom"; // the choice of no preset
const CLASS = "lora-algebra-blocks";

const HEIGHT = 170; // as in blocks.css
const MARGIN = 10; // around the box, on the canvas
const NEW = { width: 400, room: 60 }; // room for the text

/** @type {WeakMap<Host.Node, BlockBars>} */
const shown = new WeakMap();

app.registerExtension({
  name: "LoraAlgebra.Blocks",

  async init() {
    loadStyle("blocks/blocks.css");
    await loadWords();
  },

  nodeCreated(node) {
    if (node.comfyClass !== NODE_ID) return;
    shown.set(node, new BlockBars(node));
    afterwards(node, "onAdded", () => lookEveryFrame(refreshAll));
  },
});

/** @returns {boolean} whether there is any such node in the open workflow */
function refreshAll() {
  const nodes = allNodes().filter(({ comfyClass }) => comfyClass === NODE_ID);
  for (const node of nodes) shown.get(node)?.refresh();
  return nodes.length > 0;
}

class BlockBars {
  /** @type {unknown[]} what is drawn, to see when that has changed */
  #drawn = [];
  /** @type {import("./union.js").Sized[]} */
  #blocks = [];
  /** @type {number[]} */
  #factors = [];
  #known = known([], {});
  #title = "";
  /** @type {string | null} the text before what is being painted */
  #before = null;

  /** @param {Host.Node} node */
  constructor(node) {
    this.node = node;
    this.bars = new Bars({
      paint: (factors) => this.#paint(factors),
      done: () => this.#done(),
      cancel: () => this.#cancel(),
      tell: (place) => this.#tell(place),
    });
    this.title = make("span");
    this.presets = this.#makeMenu();
    this.note = make("p");
    const head = make("div", { class: "lora-algebra-blocks-head" }, this.title, this.presets);
    this.element = make("div", { class: CLASS }, head, this.bars.element, this.note);
    guardGestures(this.element);
    const { element } = this;
    addDrawing(node, { name: WIDGET, type: "LORA_BLOCKS", element, height: () => HEIGHT + 2 * MARGIN });
    enlarge(node, NEW);
  }

  #makeMenu() {
    const host = { text: () => this.#whole(), choose: (/** @type {string} */ text) => this.#choose(text) };
    const open = (/** @type {{ currentTarget: HTMLElement }} */ event) => openPresets(event.currentTarget, host);
    const button = make("button", { type: "button", "aria-haspopup": "menu", onclick: open });
    button.append(t("Presets"), icon("chevron"));
    return button;
  }

  /** Draws what has changed. Called in every frame. */
  refresh() {
    const { node } = this;
    const files = filesAbove(node);
    const replies = files.map(replyOn);
    const linked = [TEXT, PRESET].filter((name) => isLinked(node, name));
    const now = [
      textOf(node, TEXT),
      textOf(node, PRESET),
      linked.join(", "),
      ...files.map(({ name }) => name),
      ...replies,
    ];
    if (now.length !== this.#drawn.length || now.some((each, at) => each !== this.#drawn[at])) {
      this.#drawn = now;
      this.#read(replies);
      this.#title = titleOf(files);
      this.#show(files.length, replies, linked);
    }
    takePlace(node, this.element, CLASS);
  }

  /** @param {(Reply | null | undefined)[]} replies */
  #read(replies) {
    const told = replies.flatMap((reply) => reply ?? []);
    this.#blocks = blocksOf(told);
    this.#known = known(this.#blocks, told.find(({ presets }) => presets)?.presets ?? {});
  }

  /** @param {number} files how many @param {(Reply | null | undefined)[]} replies @param {string[]} linked */
  #show(files, replies, linked) {
    const { factors, undrawn } = factorsOf(this.#whole(), this.#known);
    this.#factors = factors;
    const hint = this.#blocks.length ? "" : hintFor(files, replies);
    const names = linked.join(", ");
    const note = names ? t("by link: {names}; here the last value", { names }) : noteOn(undrawn);
    setAttributes(this.element, { "data-state": hint ? "empty" : names ? "linked" : "drawn" });
    setText(this.note, printable(hint || note));
    setAttributes(this.note, { title: printable(note) || null });
    this.bars.update(this.#blocks, factors, linked.includes(TEXT));
    this.#tell(this.bars.focused());
  }

  /** Says which bar is looked at, or else which files. @param {number} place */
  #tell(place) {
    const block = this.#blocks[place];
    setText(this.title, block ? said(block, this.#factors[place], this.#blocks) : this.#title);
  }

  /** Returns all that counts as one text: the name of a preset stands for its lines. */
  #whole() {
    return [this.#preset(), textOf(this.node, TEXT)].filter(Boolean).join("\n");
  }

  #preset() {
    const preset = textOf(this.node, PRESET);
    return preset === CUSTOM ? "" : preset;
  }

  /** @param {number[]} factors */
  #paint(factors) {
    this.#before ??= textOf(this.node, TEXT);
    setValue(this.node, TEXT, writeFactors(this.#before, this.#preset(), this.#known, factors));
    this.refresh();
  }

  #done() {
    if (this.#before !== null) captureStep();
    this.#before = null;
  }

  #cancel() {
    if (this.#before !== null) setValue(this.node, TEXT, this.#before);
    this.#before = null;
  }

  /** @param {string} text */
  #choose(text) {
    setValue(this.node, PRESET, CUSTOM);
    setValue(this.node, TEXT, text);
    captureStep();
  }
}

/** @param {{ name: string }[]} files */
const titleOf = (files) =>
  files.length > 1 ? t("{count} LoRAs", { count: files.length }) : printable(files[0]?.name ?? "");

/** @param {number} files how many @param {(Reply | null | undefined)[]} replies */
function hintFor(files, replies) {
  if (!files) return t("Connect a LoRA to see its blocks.");
  return replies.includes(undefined) ? t("Reading the file…") : t("The blocks of this LoRA are not known.");
}

/** @param {string[]} undrawn */
const noteOn = (undrawn) => (undrawn.length ? t("Not drawn: {lines}", { lines: undrawn.join("; ") }) : "");

/**
 * @param {import("./union.js").Sized} block @param {number} factor
 * @param {readonly import("./union.js").Sized[]} blocks
 */
function said(block, factor, blocks) {
  const text = `${nameOf(block)}: ${short(factor)}`;
  const largest = Math.max(...blocks.map(({ size }) => size ?? 0));
  if (block.size === null || !largest) return text;
  return t("{text} (change: {share} %)", { text, share: Math.round((100 * block.size) / largest) });
}
