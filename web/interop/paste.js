/** Reads rows from text on the clipboard. (stub) */

/** @param {string} text @returns {import("../rows/registry.js").Row[]} empty if there are none in it */
export function rowsFromText(text) {
  return [];
}
