/** How far keys and drags change a strength: the step of the settings, more with Shift, less with Ctrl or Alt. */

import { setting } from "./settings.js";

export const COARSE = 10; // with Shift
const FINE = 0.1; // with Ctrl or Alt

/** Steps of the keys. @type {Record<string, number>} */
export const KEYS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: COARSE, PageDown: -COARSE };

/** @param {MouseEvent | KeyboardEvent} event @param {number} [coarse] with Shift */
export const factorOf = ({ shiftKey, ctrlKey, altKey }, coarse = COARSE) =>
  shiftKey ? coarse : ctrlKey || altKey ? FINE : 1;

/** @param {MouseEvent | KeyboardEvent} event @param {number} [coarse] with Shift */
export const stepOf = (event, coarse) => (Number(setting("Step")) || 0.05) * factorOf(event, coarse);
