/**
 * What the last run has said of every node that applies or keeps LoRAs, and whether that still counts.
 *
 * The host remembers what a node has sent, and that is our only state: so it comes back after undo, and when the
 * user returns from the tab of another workflow. An output is stale from when a run starts until that run renews
 * it. If the run fails first, the output is removed.
 *
 * @typedef {{ text?: string[], loras?: import("../model/outcomes.js").Outcome[] }} Output what the node sends
 */

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

import { afterwards } from "../page/hooks.js";
import { hasLink } from "../page/hosted.js";
import { allNodes, openWorkflow } from "../page/workflow.js";

const ROWS = "LoRARows"; // it applies by itself if a model is connected
const APPLY = new Set(["ApplyToModel", "ApplyToConditioning", ROWS]);
const KEEP = new Set(["SaveLoRAFile", "ExtractLoRA", "AnalyseLoRA"]);

/** Tells whether nodes of this class can apply LoRAs and report it. @param {string | undefined} name */
export const applies = (name) => name !== undefined && APPLY.has(name);

/** Tells whether nodes of this class say in words what they have done. @param {string | undefined} name */
export const reports = (name) => name !== undefined && (APPLY.has(name) || KEEP.has(name));

/** @type {WeakSet<Host.Node>} */
const stale = new WeakSet();

/** @type {((node: Host.Node) => void)[]} */
const listeners = [];

app.registerExtension({
  name: "LoraAlgebra.Runs",

  beforeRegisterNodeDef({ prototype }, { name }) {
    if (!reports(name)) return;
    afterwards(prototype, "onExecutionStart", markStale);
    afterwards(prototype, "onExecuted", renew);
  },

  setup() {
    api.addEventListener("execution_error", dropStale);
    api.addEventListener("execution_interrupted", dropStale);
  },

  onNodeOutputsUpdated() {
    for (const node of reportingNodes()) renew.call(node);
  },
});

/**
 * Calls `listener` with every node that reports, when something of that has changed.
 *
 * @param {(node: Host.Node) => void} listener
 */
export const follow = (listener) => void listeners.push(listener);

/** @param {Host.Node} node @returns {Output | undefined} */
export const outputOf = (node) => /** @type {Output | undefined} */ (app.nodeOutputs[locator(node)]);

/** @param {Host.Node} node */
export const isStale = (node) => stale.has(node);

/** Returns the nodes of the open workflow that apply LoRAs, also those inside subgraphs. */
export const applyNodes = () => allNodes().filter(isApplying);

/** Tells whether a node applies LoRAs as the links are now. @param {Host.Node} node */
export const isApplying = ({ comfyClass, inputs }) =>
  applies(comfyClass) && (comfyClass !== ROWS || (inputs ?? []).some(isLinkedModel));

/** @param {Host.Input} input */
const isLinkedModel = (input) => ["model", "clip", "model_low"].includes(input.name) && hasLink(input);

/** The output with the LoRAs for low noise. */
export const LORA_LOW = "LORA low";

/**
 * Tells whether rows are for two models: whether anything gets those for low noise.
 *
 * @param {Host.Node} node
 */
export const usesLow = ({ inputs, outputs }) =>
  (inputs ?? []).some((input) => input.name === "model_low" && hasLink(input)) ||
  (outputs ?? []).some(({ name, links }) => name === LORA_LOW && Boolean(links?.length));

const reportingNodes = () => allNodes().filter(({ comfyClass }) => reports(comfyClass));

/** Returns the host's name for a node among all outputs. @param {Host.Node} node */
function locator({ graph, id }) {
  return !graph || graph.isRootGraph ? String(id) : `${graph.id}:${id}`;
}

/** Names a node among those of all open workflows. @param {Host.Node} node */
export const placeOf = (node) => `${openWorkflow()?.path} ${locator(node)}`;

/** @this {Host.Node} */
function markStale() {
  stale.add(this);
  tell(this);
}

/** @this {Host.Node} */
function renew() {
  stale.delete(this);
  tell(this);
}

function dropStale() {
  for (const node of reportingNodes().filter(isStale)) {
    delete app.nodeOutputs[locator(node)];
    renew.call(node);
  }
}

/** @param {Host.Node} node */
function tell(node) {
  for (const listener of listeners) listener(node);
}
