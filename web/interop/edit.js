/** Edits of the graph that is shown: each is one step of undo, or nothing at all. */

import { app } from "../../../scripts/app.js";

import { t } from "../page/words.js";

const FRAMES = 3; // after which new nodes have their size
const PATIENCE = 500; // milliseconds, in a window that is not to be seen and so draws nothing

/**
 * One step of undo, also where the size of a node is only known once it is drawn.
 *
 * @template T
 * @param {() => T} edit must not wait for anything
 * @param {(made: T) => void} [arrange] what then depends on sizes
 * @returns {Promise<T>}
 */
export async function inOneStep(edit, arrange = () => {}) {
  const tracker = app.extensionManager.workflow.activeWorkflow?.changeTracker;
  (tracker?.captureCanvasState ?? tracker?.checkState)?.call(tracker); // what is not yet a step becomes one of its own
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

function drawn() {
  const frames = async () => {
    for (let frame = 0; frame < FRAMES; frame += 1) await new Promise(requestAnimationFrame);
  };
  return Promise.race([frames(), new Promise((done) => setTimeout(done, PATIENCE))]);
}

/** @param {string} type @param {import("./wires.js").Node} like is in the same graph */
export function addNode(type, like) {
  const node = LiteGraph.createNode(type);
  like.graph.add(node);
  return node;
}

/** @param {import("./wires.js").Node} node @param {Record<string, unknown>} values by the names of widgets */
export function setValues(node, values) {
  for (const widget of node.widgets ?? []) if (widget.name in values) widget.value = values[widget.name];
}

/** @returns {import("./wires.js").Node[]} */
export const selectedNodes = () =>
  [...app.canvas.selectedItems].filter((item) => app.canvas.graph.nodes.includes(item));

/** @param {import("./wires.js").Node} node */
export const titleOf = (node) => node.title || node.type;

/** What a user has called a node, if it is not called by what it is. */
export function ownTitle(node) {
  const usual = [node.type, node.constructor.title, node.properties?.["Node name for S&R"]];
  return node.title && !usual.includes(node.title) ? node.title : undefined;
}

/** @param {"info" | "warn"} severity @param {string[]} sentences */
export function say(severity, sentences) {
  const detail = [...new Set(sentences)].join("\n");
  app.extensionManager.toast.add({ severity, summary: t("LoRA Algebra"), detail, life: 10_000 });
}
