/** The workflow that is open: its nodes, and its steps of undo. */

import { app } from "../../../scripts/app.js";

/** Returns the workflow whose tab is shown. Nothing has one until the page is set up. */
export const openWorkflow = () => app.extensionManager?.workflow?.activeWorkflow ?? undefined;

/** Returns all nodes of the open workflow, also those inside subgraphs. @returns {Host.Node[]} */
export function allNodes() {
  const graphs = [app.rootGraph, ...app.rootGraph.subgraphs.values()];
  return graphs.flatMap(({ nodes }) => nodes);
}

/**
 * Whether a node is in the open workflow. The host does not tell us when it drops what is inside of subgraphs.
 *
 * @param {Host.Node} node
 */
export function isInWorkflow(node) {
  const { graph, id } = node;
  if (!graph) return false;
  const isOpen = graph.isRootGraph || app.rootGraph.subgraphs.get(graph.id) === graph;
  return isOpen && graph.getNodeById(id) === node;
}

/** Lets the host take a step of undo, if anything has changed. */
export function captureStep() {
  const tracker = openWorkflow()?.changeTracker;
  (tracker?.captureCanvasState ?? tracker?.checkState)?.call(tracker);
}
