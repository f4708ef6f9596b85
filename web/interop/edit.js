/** Edits the graph that is shown. Each edit is one step of undo, or nothing at all. */

import { app } from "../../../scripts/app.js";

import { t } from "../page/words.js";
import { captureStep, openWorkflow } from "../page/workflow.js";
import { graphOf } from "./wires.js";

const FRAMES = 3; // after which new nodes have their size
const FOLDING = 60; // milliseconds, in page 1.49, where it can't be hurried
const PATIENCE = 500; // milliseconds, in a window that is hidden and so draws nothing

/**
 * Makes an edit as one step of undo, also where the size of a node is only known once it is drawn.
 *
 * @template T
 * @param {() => T} edit must not wait for anything
 * @param {(made: T) => void} [arrange] does what depends on sizes
 * @returns {Promise<T>}
 */
export async function inOneStep(edit, arrange = () => {}) {
  const tracker = openWorkflow()?.changeTracker;
  const steps = tracker?.undoQueue?.length;
  captureStep(); // what is not yet a step becomes one of its own
  // pages fold what follows within a moment into that one
  if (tracker?.squashState?.flush) tracker.squashState.flush();
  else if (tracker?.squashState && tracker.undoQueue?.length !== steps) await pause(FOLDING);
  tracker?.beforeChange();
  try {
    const made = edit();
    app.canvas.setDirty(true, true);
    await drawn();
    arrange(made);
    return made;
  } finally {
    app.canvas.setDirty(true, true);
    tracker?.afterChange();
  }
}

/** Waits until the page has drawn. */
function drawn() {
  const frames = async () => {
    for (let frame = 0; frame < FRAMES; frame += 1) await new Promise(requestAnimationFrame);
  };
  return Promise.race([frames(), pause(PATIENCE)]);
}

/** @param {number} milliseconds */
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Adds a node to the graph of another one. @param {string} type @param {Host.Node} like */
export function addNode(type, like) {
  const node = LiteGraph.createNode(type);
  graphOf(like).add(node);
  return node;
}

/** @param {Host.Node} node @param {Record<string, unknown>} values by the names of widgets */
export function setValues(node, values) {
  for (const widget of node.widgets ?? []) if (widget.name in values) widget.value = values[widget.name];
}

/** @returns {Host.Node[]} */
export const selectedNodes = () => [...app.canvas.selectedItems].filter((item) => isNode(item));

/** @param {Host.Selectable} item @returns {item is Host.Node} */
const isNode = (item) => app.canvas.graph.nodes.includes(/** @type {Host.Node} */ (item));

/** @param {Host.Node} node */
export const titleOf = (node) => node.title || node.type;

/** Returns the title that a user has given to a node, if it is not the usual one. @param {Host.Node} node */
export function ownTitle(node) {
  const usual = [node.type, usualTitle(node), node.properties?.["Node name for S&R"]];
  return node.title && !usual.includes(node.title) ? node.title : undefined;
}

/** Returns the title that nodes of a type have. @param {Host.Node} node */
export const usualTitle = (node) => /** @type {{ title?: string }} */ (node.constructor).title;

/** Shows a toast. @param {"info" | "warn"} severity @param {string[]} sentences */
export function say(severity, sentences) {
  const detail = [...new Set(sentences)].join("\n");
  app.extensionManager.toast.add({ severity, summary: t("LoRA Algebra"), detail, life: 10_000 });
}
