/** Shows an element above the page, next to what it belongs to, until a key or a press elsewhere closes it. */

import { focusedOf, targetOf } from "./elements.js";

/** @typedef {{ left: number, right: number, top: number, bottom: number }} Rect */

const MARGIN = 8; // from the edges of the window

/** @type {(() => void) | null} */
let closeOpen = null; // there is at most one

/**
 * @param {HTMLElement} element keys pressed in it do not reach the page
 * @param {Element | Rect} anchor
 * @param {{ opener?: HTMLElement, onClose?: () => void }} [options] the opener gets the focus back
 * @returns {() => void} closes it
 */
export function openPopup(element, anchor, { opener, onClose } = {}) {
  closeOpen?.();
  const listening = new AbortController();
  const { signal } = listening;

  const close = ({ refocus = true } = {}) => {
    if (signal.aborted) return;
    listening.abort();
    if (closeOpen === closeQuietly) closeOpen = null;
    element.remove();
    if (refocus && opener?.isConnected) opener.focus();
    onClose?.();
  };
  const closeQuietly = () => close({ refocus: false });
  const rect = rectOf(anchor); // as it is now, since the anchor may be removed
  closeOpen = closeQuietly;

  document.body.append(element);
  place(element, rect);
  addEventListener("resize", () => place(element, rect), { signal });
  const pressed = (/** @type {Event} */ event) => element.contains(targetOf(event)) || closeQuietly();
  document.addEventListener("pointerdown", pressed, { signal, capture: true });
  element.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (isUndo(event)) return closeQuietly(); // the host undoes all the same, and removes what this belongs to
    if (event.key !== "Escape") return;
    event.preventDefault();
    close();
  });
  for (const type of ["keyup", "pointerdown", "wheel", "paste", "copy", "contextmenu"])
    element.addEventListener(type, (event) => event.stopPropagation());
  return close;
}

/** Keeps the Tab key within a dialog. @param {HTMLElement} element */
export function keepFocus(element) {
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Tab") return;
    /** @type {NodeListOf<HTMLElement>} */
    const stops = element.querySelectorAll("input, textarea, select, button, [role=treeitem][tabindex='0']");
    const seen = [...stops].filter((stop) => stop.offsetParent !== null);
    const at = focusedOf(seen);
    event.preventDefault();
    seen.at((at + (event.shiftKey ? -1 : 1)) % seen.length)?.focus();
  });
}

/** @param {KeyboardEvent} event */
const isUndo = (event) =>
  (event.ctrlKey || event.metaKey) && /^[yz]$/i.test(event.key) && !/^(INPUT|TEXTAREA)$/.test(targetOf(event).tagName);

/** Returns where an element is, or a point. @param {Element | Rect} anchor @returns {Rect} */
function rectOf(anchor) {
  const { left, right, top, bottom } = anchor instanceof Element ? anchor.getBoundingClientRect() : anchor;
  return { left, right, top, bottom };
}

/**
 * Places an element below the anchor or above it, and never out of the window.
 *
 * @param {HTMLElement} element @param {Rect} anchor
 */
function place(element, { left, top, bottom }) {
  const { offsetWidth: width, offsetHeight: height } = element;
  const below = bottom + 2;
  const above = top - 2 - height;
  const fits = below + height + MARGIN <= innerHeight || above < MARGIN;
  element.style.left = `${within(left, innerWidth - width)}px`;
  element.style.top = `${within(fits ? below : above, innerHeight - height)}px`;
}

/** @param {number} value @param {number} most */
const within = (value, most) => Math.max(MARGIN, Math.min(value, most - MARGIN));
