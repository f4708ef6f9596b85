/** Shows and hides below a row what is in its file. (stub) */

/** @param {HTMLElement} row the row's element @param {import("./registry.js").Row} value @param {import("./registry.js").RowsWidget} widget @param {number} index */
export function fillPanel(panel, value, widget, index) {
  panel.textContent = value.name;
}
