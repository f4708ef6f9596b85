/** Follows a pointer that is pressed, until it is let go: of a mouse, a pen or a finger. */

const DEAD_PIXELS = 3; // a hand trembles

/**
 * @typedef {object} Drag
 * @property {(now: PointerEvent) => void} move is called once the pointer has gone far enough
 * @property {(isDropped: boolean) => void} end after a move; false if it is to be taken back
 * @property {() => void} [click] where there was none
 * @property {(x: number, y: number) => number} [distance] how far is far
 */

/** @param {HTMLElement} element that gets all events of the pointer @param {PointerEvent} event @param {Drag} drag */
export function followDrag(element, event, { move, end, click = () => {}, distance = Math.hypot }) {
  const listening = new AbortController();
  const { signal } = listening;
  let isMoved = false;

  const follow = (/** @type {PointerEvent} */ now) => {
    isMoved ||= distance(now.clientX - event.clientX, now.clientY - event.clientY) > DEAD_PIXELS;
    if (isMoved) move(now);
  };
  const finish = (/** @type {boolean} */ isDropped) => {
    listening.abort();
    if (isMoved) end(isDropped);
    else if (isDropped) click();
  };
  const press = (/** @type {KeyboardEvent} */ pressed) => {
    if (pressed.key !== "Escape") return;
    if (isMoved) {
      pressed.preventDefault();
      pressed.stopImmediatePropagation(); // the host would leave the subgraph
    }
    finish(false);
  };
  element.setPointerCapture(event.pointerId);
  element.addEventListener("pointermove", follow, { signal });
  element.addEventListener("pointerup", () => finish(true), { signal });
  for (const type of ["pointercancel", "lostpointercapture"])
    element.addEventListener(type, () => finish(false), { signal });
  addEventListener("keydown", press, { signal, capture: true });
}
