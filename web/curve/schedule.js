/**
 * Draws on every "Schedule LoRA" node the strength that its text stands for, with points to drag. The text of the node
 * stays the value: the drawing is made from it, and a drag writes into it.
 *
 * Values come into widgets in many ways: typing, undo, a saved workflow, a promoted widget, other packs. The page
 * announces only some of them. So the drawing looks at its values in every frame, as the canvas does, and draws
 * when one has changed. At the same time it notices where Nodes 2.0 still shows the drawing of a node that undo
 * has replaced.
 */

import { app } from "../../../scripts/app.js";

import { icon, make, setAttributes, setText } from "../page/elements.js";
import { rememberFocus, restoreFocus } from "../page/focus.js";
import { guardGestures } from "../page/gestures.js";
import { afterwards } from "../page/hooks.js";
import { addDrawing, enlarge, isLinked, setValue, takePlace, valueIn } from "../page/hosted.js";
import { openMenu } from "../page/menu.js";
import { loadStyle } from "../page/style.js";
import { short } from "../page/text.js";
import { lookEveryFrame } from "../page/ticker.js";
import { loadWords, t } from "../page/words.js";
import { allNodes, captureStep, openWorkflow } from "../page/workflow.js";
import { CurveError, parseCurve } from "./curve.js";
import { Drawing } from "./drawing.js";
import { Handles } from "./edit.js";
import { describe, outline, range } from "./outline.js";
import { MOST_HANDLES, WAYS, withWay, written } from "./points.js";

const NODE_ID = "ScheduleLoRA";
const WIDGET = "lora_algebra_schedule";
const TEXT = "curve";
const VALUES = [TEXT, "start_percent", "end_percent"];
const CLASS = "lora-algebra-schedule";

const HEIGHT = 60; // as in schedule.css
const MARGIN = 10; // around the box, on the canvas
const NEW = { width: 300, room: 140 };

/** @type {WeakMap<Host.Node, Schedule>} */
const shown = new WeakMap();

app.registerExtension({
  name: "LoraAlgebra.Schedule",

  async init() {
    loadStyle("curve/schedule.css");
    await loadWords();
  },

  nodeCreated(node) {
    if (node.comfyClass !== NODE_ID) return;
    shown.set(node, new Schedule(node));
    afterwards(node, "onAdded", () => lookEveryFrame(refreshAll));
  },
});

/** Draws what has changed. @returns {boolean} whether there is any such node in the open workflow */
function refreshAll() {
  const schedules = allNodes().flatMap((node) => shown.get(node) ?? []);
  for (const schedule of schedules) schedule.refresh();
  restoreFocus(openWorkflow(), schedules);
  return schedules.length > 0;
}

class Schedule {
  #state = ""; // of the values that are drawn, to see when they have changed
  /** @type {import("./curve.js").Curve | null} null if the text is none */
  #curve = null;
  /** @type {string | null} the text before what is being painted */
  #before = null;

  /** @param {Host.Node} node */
  constructor(node) {
    this.node = node;
    this.drawing = new Drawing();
    this.handles = new Handles({
      paint: (points) => this.#write(written(points, this.#curve?.shape ?? "linear")),
      done: () => this.#done(),
      cancel: () => this.#cancel(),
      tell: (at) => this.#tell(at),
    });
    this.said = make("span", { class: "said" });
    this.shapes = menuButton(t("Shape"), (opener) => openMenu(t("Shape"), this.#shapes(), opener, opener));
    this.ways = menuButton("", (opener) => openMenu(t("Between the points"), this.#ways(), opener, opener));
    this.note = make("p", { class: "note" });
    this.element = this.#assemble();
    guardGestures(this.element);
    rememberFocus(this.handles.element, () => ({ id: node.id, workflow: openWorkflow() }));
    const { element } = this;
    addDrawing(node, { name: WIDGET, type: "LORA_SCHEDULE", element, height: () => HEIGHT + 2 * MARGIN });
    enlarge(node, NEW);
  }

  #assemble() {
    const axis = (/** @type {string} */ name, /** @type {string[]} */ ...texts) =>
      make("div", { class: name, "aria-hidden": "true" }, ...texts.map((text) => make("i", {}, text)));
    return make(
      "div",
      { class: CLASS, role: "group" },
      make("div", { class: "head" }, this.said, this.ways, this.shapes),
      axis("up", t("strength")),
      make("div", { class: "plot" }, ...this.drawing.elements, this.handles.element),
      axis("along", "0", t("progress"), "1"),
      this.note,
    );
  }

  /** Draws what has changed. Called in every frame. */
  refresh() {
    const { node } = this;
    const values = VALUES.map((name) => valueIn(node, name));
    const linked = VALUES.filter((name) => isLinked(node, name));
    const state = JSON.stringify([values, linked]);
    if (this.#state !== state) this.#show(values, linked);
    this.#state = state;
    takePlace(node, this.element, CLASS);
  }

  /**
   * Shows the curve, as far as the values of the node itself tell it.
   *
   * @param {unknown[]} values @param {string[]} linked
   */
  #show([text, start, end], linked) {
    const names = linked.join(", ");
    const note = names ? t("by link: {names}; here the last value", { names }) : "";
    for (const button of [this.shapes, this.ways]) button.disabled = linked.includes(TEXT);
    try {
      this.#curve = parseCurve(String(text ?? ""), Number(start), Number(end));
      this.#draw(this.#curve, linked.includes(TEXT));
      this.#say(note ? "linked" : "drawn", note || noteOn(this.#curve), describe(this.#curve));
    } catch (error) {
      if (!(error instanceof CurveError)) throw error;
      this.#curve = null;
      this.#say("refused", note || error.message);
    }
  }

  /** @param {import("./curve.js").Curve} curve @param {boolean} fixed */
  #draw(curve, fixed) {
    const line = outline(curve);
    const drawn = this.handles.rangeFor(range(line));
    this.drawing.draw(line, drawn);
    this.handles.update(curve, drawn, fixed);
    this.#tell(this.handles.focused());
    if (this.ways.firstChild) setText(this.ways.firstChild, curve.shape);
    setAttributes(this.ways, { "aria-label": `${t("Between the points")}: ${curve.shape}` });
  }

  /** @param {"drawn" | "linked" | "refused"} state @param {string} note @param {string} [description] */
  #say(state, note, description = "") {
    setAttributes(this.element, {
      "data-state": state,
      "aria-label": [description, note].filter(Boolean).join("; "),
    });
    setText(this.note, note);
    setAttributes(this.note, { title: note || null });
  }

  /** Says which point is looked at. @param {number} at */
  #tell(at) {
    const point = this.#curve?.points[at];
    const [strength, place] = point ? [short(point.value), short(point.place)] : [];
    setText(this.said, point ? t("{strength} at {place}", { strength, place }) : "");
  }

  /** @param {string} text */
  #write(text) {
    this.#before ??= this.#text();
    setValue(this.node, TEXT, text);
    this.refresh();
  }

  #done() {
    const isEdited = this.#before !== null;
    this.#before = null;
    this.#state = ""; // the range of a drag is over
    this.refresh();
    if (isEdited) captureStep();
  }

  #cancel() {
    if (this.#before !== null) setValue(this.node, TEXT, this.#before);
    this.#before = null;
    this.#state = "";
    this.refresh();
  }

  #text = () => String(valueIn(this.node, TEXT) ?? "");

  /** @param {string} text */
  #choose(text) {
    this.#write(text);
    this.#done();
  }

  /** @returns {import("../page/menu.js").Item[]} */
  #shapes() {
    /** @param {string} name @param {string} text */
    const item = (name, text) => ({ text: name, action: () => this.#choose(text) });
    return [
      item(t("Constant"), "0:1"),
      item(t("Fade in"), "0:0, 1:1"),
      item(t("Fade out"), "0:1, 1:0"),
      item(t("Ease in"), "0:0, 1:1 ease-in"),
      item(t("Ease out"), "0:0, 1:1 ease-out"),
      item(t("Peak"), "0:0, 0.5:1, 1:0"),
      item(t("Valley"), "0:1, 0.5:0, 1:1"),
      item(t("First half"), "0:1, 0.5:1, 0.5:0, 1:0"),
      item(t("Second half"), "0:0, 0.5:0, 0.5:1, 1:1"),
      item(t("Steps"), "0:0, 0.25:0.25, 0.5:0.5, 0.75:0.75, 1:1 constant"),
    ];
  }

  /** @returns {import("../page/menu.js").Item[]} */
  #ways() {
    const points = this.#curve?.points ?? [];
    return WAYS.map((way) => ({ text: way, action: () => this.#choose(withWay(this.#text(), points, way)) }));
  }
}

/** @param {string} text @param {(opener: HTMLElement) => void} open */
function menuButton(text, open) {
  const button = make(
    "button",
    { type: "button", "aria-haspopup": "menu", onclick: (event) => open(event.currentTarget) },
    make("span", {}, text),
  );
  button.append(icon("chevron"));
  return button;
}

/** @param {import("./curve.js").Curve} curve */
function noteOn({ points }) {
  const count = points.length;
  return count > MOST_HANDLES ? t("{count} points: change them in the text, or choose a shape.", { count }) : "";
}
