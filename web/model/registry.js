/**
 * The rows widgets of the open workflow, for everything that shows or changes rows from outside of the widget.
 *
 * @typedef {import("./value.js").Row} Row
 * @typedef {{ node: Host.Node, element: HTMLElement,
 *   rows: () => Row[], edit: (change: (rows: Row[]) => Row[]) => void, refresh: () => void }} RowsWidget
 *   `edit` is one edit by the user, so one step of undo; `refresh` draws the rows again without an edit
 */

/** @type {Set<RowsWidget>} */
const widgets = new Set();

/** @param {RowsWidget} widget @returns {() => void} to be called when the node is removed */
export function register(widget) {
  widgets.add(widget);
  return () => widgets.delete(widget);
}

/** Forgets the widgets that no longer count. @param {(widget: RowsWidget) => boolean} isLive */
export function keepOnly(isLive) {
  for (const widget of widgets) if (!isLive(widget)) widgets.delete(widget);
}

/** @returns {RowsWidget[]} */
export const rowsWidgets = () => [...widgets];

/** @param {Host.Node} node @returns {RowsWidget | undefined} */
export const widgetOf = (node) => rowsWidgets().find((widget) => widget.node === node);

export function refreshAll() {
  for (const widget of widgets) widget.refresh();
}
