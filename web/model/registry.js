/**
 * The rows widgets of the open workflow, for those who show or change rows from outside.
 *
 * @typedef {{ on: boolean, solo?: boolean, name: string, strength: number, strength_clip?: number,
 *   hash?: string, size?: number, noted?: string, note?: string, triggers?: string[] }} Row unknown keys are kept
 * @typedef {{ node: import("@comfyorg/comfyui-frontend-types").LGraphNode, element: HTMLElement,
 *   rows: () => Row[], edit: (change: (rows: Row[]) => Row[]) => void, refresh: () => void }} RowsWidget
 *   `edit` is one user edit, so one step of undo; `refresh` draws again what has not been edited
 */

/** @type {Set<RowsWidget>} */
const widgets = new Set();

/** @param {RowsWidget} widget @returns {() => void} to be called when its node goes */
export function register(widget) {
  widgets.add(widget);
  return () => widgets.delete(widget);
}

/** @param {(widget: RowsWidget) => unknown} isLive */
export function keepOnly(isLive) {
  for (const widget of widgets) if (!isLive(widget)) widgets.delete(widget);
}

/** @returns {RowsWidget[]} */
export const rowsWidgets = () => [...widgets];

/** @returns {RowsWidget | undefined} */
export const widgetOf = (node) => rowsWidgets().find((widget) => widget.node === node);

export function refreshAll() {
  for (const widget of widgets) widget.refresh();
}
