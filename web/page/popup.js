/** Shows an element above the page beside what it belongs to, until a key or a press elsewhere closes it. */

const MARGIN = 8; // from the edges of the window

/** @type {(() => void) | null} */
let closeOpen = null; // there is at most one

/**
 * @param {HTMLElement} element keys pressed in it do not reach the page
 * @param {Element | { left: number, right: number, top: number, bottom: number }} anchor
 * @param {{ opener?: HTMLElement, onClose?: () => void }} [options] the opener gets the focus back
 * @returns {(options?: { refocus?: boolean }) => void} closes it
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
  const rect = rectOf(anchor); // as it is now: what it belongs to may go
  closeOpen = closeQuietly;

  document.body.append(element);
  place(element, rect);
  addEventListener("resize", () => place(element, rect), { signal });
  document.addEventListener("pointerdown", ({ target }) => element.contains(target) || closeQuietly(), {
    signal,
    capture: true,
  });
  element.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (isUndo(event)) return closeQuietly(); // the host undoes all the same, and what this belongs to goes
    if (event.key !== "Escape") return;
    event.preventDefault();
    close();
  });
  for (const type of ["keyup", "pointerdown", "wheel", "paste", "copy", "contextmenu"])
    element.addEventListener(type, (event) => event.stopPropagation());
  return close;
}

/** Tab goes round within a dialog. @param {HTMLElement} element */
export function keepFocus(element) {
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Tab") return;
    const stops = [...element.querySelectorAll("input, textarea, button, [role=treeitem][tabindex='0']")];
    const seen = stops.filter((stop) => stop.offsetParent !== null);
    const at = seen.indexOf(document.activeElement);
    event.preventDefault();
    seen.at((at + (event.shiftKey ? -1 : 1)) % seen.length).focus();
  });
}

const isUndo = ({ key, ctrlKey, metaKey, target }) =>
  (ctrlKey || metaKey) && /^[yz]$/i.test(key) && !/^(INPUT|TEXTAREA)$/.test(target.tagName);

/** Where something is, or a point. */
function rectOf(anchor) {
  const { left, right, top, bottom } = anchor instanceof Element ? anchor.getBoundingClientRect() : anchor;
  return { left, right, top, bottom };
}

/** Below the anchor or above it, and never out of the window. */
function place(element, { left, top, bottom }) {
  const { offsetWidth: width, offsetHeight: height } = element;
  const below = bottom + 2;
  const above = top - 2 - height;
  const fits = below + height + MARGIN <= innerHeight || above < MARGIN;
  element.style.left = `${within(left, innerWidth - width)}px`;
  element.style.top = `${within(fits ? below : above, innerHeight - height)}px`;
}

const within = (value, most) => Math.max(MARGIN, Math.min(value, most - MARGIN));
