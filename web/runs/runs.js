/**
 * What the last run has said of every "Apply LoRA To Model" node, and whether that still counts.
 *
 * What the host remembers of a node's output is the only state: that brings it back after undo, and
 * when another workflow's tab was open. It is stale from when a run starts until that run renews it;
 * if the run fails first, it goes.
 *
 * @typedef {import("@comfyorg/comfyui-frontend-types").LGraphNode} Node
 * @typedef {{ part: "model" | "clip", strength: number, applied: number, found: number, connected: boolean, live: number, through: number, unused: number }} Part
 * @typedef {{ code: string, text: string, sentence?: string, fields?: Record<string, string | number> }} Warning
 * @typedef {{ name: string, state: "applied" | "partial", applied: number, found: number, parts: Part[],
 *   unknown: number, first_unknown: string[], warnings: Warning[],
 *   base: string | null, model: string | null, report?: string }} Outcome of one file
 * @typedef {{ text?: string[], loras?: Outcome[] }} Output what the node sends to the page
 */

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

export const APPLY = "ApplyToModel";

/** @type {WeakSet<Node>} */
const stale = new WeakSet();

/** @type {((node: Node) => void)[]} */
const listeners = [];

app.registerExtension({
  name: "LoraAlgebra.Runs",

  beforeRegisterNodeDef(nodeType, { name }) {
    if (name !== APPLY) return;
    afterwards(nodeType.prototype, "onExecutionStart", markStale);
    afterwards(nodeType.prototype, "onExecuted", renew);
  },

  setup() {
    api.addEventListener("execution_error", dropStale);
    api.addEventListener("execution_interrupted", dropStale);
  },

  onNodeOutputsUpdated() {
    for (const node of applyNodes()) renew.call(node);
  },
});

/** Calls `listener` with every Apply node of which something has changed. */
export const follow = (listener) => void listeners.push(listener);

/** @param {Node} node @returns {Output | undefined} */
export const outputOf = (node) => app.nodeOutputs[locator(node)];

/** @param {Node} node */
export const isStale = (node) => stale.has(node);

/** All nodes of the open workflow, also inside subgraphs. @returns {Node[]} */
export function allNodes() {
  const graphs = [app.rootGraph, ...app.rootGraph.subgraphs.values()];
  return graphs.flatMap(({ nodes }) => nodes);
}

export const applyNodes = () => allNodes().filter((node) => node.comfyClass === APPLY);

/** The host's name for a node among all outputs. @param {Node} node */
export function locator({ graph, id }) {
  return graph.isRootGraph ? String(id) : `${graph.id}:${id}`;
}

/** A node among those of all open workflows. @param {Node} node */
export const placeOf = (node) => `${app.extensionManager.workflow.activeWorkflow?.path} ${locator(node)}`;

/** Lets `then` follow whatever `object` does in `method` already. */
export function afterwards(object, method, then) {
  const first = object[method];
  object[method] = function (...values) {
    first?.apply(this, values);
    then.apply(this, values);
  };
}

/** @this {Node} */
function markStale() {
  stale.add(this);
  tell(this);
}

/** @this {Node} */
function renew() {
  stale.delete(this);
  tell(this);
}

function dropStale() {
  for (const node of applyNodes().filter(isStale)) {
    delete app.nodeOutputs[locator(node)];
    renew.call(node);
  }
}

/** @param {Node} node */
function tell(node) {
  for (const listener of listeners) listener(node);
}
