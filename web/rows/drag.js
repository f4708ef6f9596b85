/** Moves rows by their grips, with mouse, pen or finger. */

/**
 * @param {PointerEvent} event of a grip
 * @param {HTMLElement} list whose children are the rows
 * @param {HTMLElement} row
 * @param {(to: number) => void} drop where the row then is, if that is elsewhere
 */
export function dragRow(event, list, row, drop) {
  const listening = new AbortController();
  const { signal } = listening;
  const from = [...list.children].indexOf(row);
  let to = from;

  const move = ({ clientY }) => {
    to = placeAt(list, from, clientY);
    mark(list, row, from, to);
  };
  const end = (dropped) => {
    listening.abort();
    mark(list, row, from, null);
    if (dropped && to !== from) drop(to);
  };
  event.currentTarget.setPointerCapture(event.pointerId);
  event.currentTarget.addEventListener("pointermove", move, { signal });
  event.currentTarget.addEventListener("pointerup", () => end(true), { signal });
  for (const type of ["pointercancel", "lostpointercapture"])
    event.currentTarget.addEventListener(type, () => end(false), { signal });
  addEventListener("keydown", ({ key }) => key === "Escape" && end(false), { signal, capture: true });
}

/** The place of the row, if it is dropped at this height: below all whose middle is above. */
function placeAt(list, from, y) {
  const others = [...list.children].filter((_, index) => index !== from);
  const middle = (element) => (({ top, bottom }) => (top + bottom) / 2)(element.getBoundingClientRect());
  return others.filter((element) => middle(element) < y).length;
}

/** Shows where the row would go. @param {number | null} to null: nowhere any more */
function mark(list, row, from, to) {
  row.toggleAttribute("data-dragged", to !== null);
  [...list.children].forEach((element, index) => {
    const before = to !== null && to < from && index === to;
    const after = to !== null && to > from && index === to;
    if (before || after) element.dataset.drop = before ? "before" : "after";
    else delete element.dataset.drop;
  });
}
