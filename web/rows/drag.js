/** Moves rows by their grips, with mouse, pen or finger. */

import { followDrag } from "../page/drag.js";

/**
 * @param {PointerEvent & { currentTarget: HTMLElement }} event of a grip
 * @param {HTMLElement} list whose children are the rows
 * @param {HTMLElement} row
 * @param {(to: number) => void} drop is called with the row's new place, if that is another one
 */
export function dragRow(event, list, row, drop) {
  const from = [...list.children].indexOf(row);
  let to = from;

  const move = (/** @type {PointerEvent} */ { clientY }) => {
    to = placeAt(list, from, clientY);
    mark(list, row, from, to);
  };
  const end = (/** @type {boolean} */ isDropped) => {
    mark(list, row, from, null);
    if (isDropped && to !== from) drop(to);
  };
  followDrag(event.currentTarget, event, { move, end });
}

/**
 * Returns the place of the row if it is dropped at this height: below all rows whose middle is above.
 *
 * @param {HTMLElement} list @param {number} from @param {number} y
 */
function placeAt(list, from, y) {
  const others = [...list.children].filter((_, index) => index !== from);
  const middle = (/** @type {Element} */ element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return (top + bottom) / 2;
  };
  return others.filter((element) => middle(element) < y).length;
}

/**
 * Shows where the row would go.
 *
 * @param {HTMLElement} list @param {HTMLElement} row @param {number} from
 * @param {number | null} to null: the mark is removed
 */
function mark(list, row, from, to) {
  row.toggleAttribute("data-dragged", to !== null);
  const elements = /** @type {HTMLElement[]} */ ([...list.children]);
  elements.forEach((element, index) => {
    const before = to !== null && to < from && index === to;
    const after = to !== null && to > from && index === to;
    if (before || after) element.dataset.drop = before ? "before" : "after";
    else delete element.dataset.drop;
  });
}
