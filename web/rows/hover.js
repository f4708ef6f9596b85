/** Shows the picture of a row's file while the mouse or the focus rests on it. */

import { library } from "../library/library.js";
import { overview } from "../library/overview.js";
import { make } from "../page/elements.js";
import { setting } from "../page/settings.js";
import { lookEveryFrame } from "../page/ticker.js";
import { hasPreview, makeMovingPicture, stop } from "./picture.js";

const DELAY = 400; // milliseconds that the mouse rests before anything is shown
const GAP = 6;

/** @type {{ end: () => void } | null} there is at most one */
let shown = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let waiting;

/**
 * @param {HTMLElement} element of the row, on which the mouse rests
 * @param {HTMLElement} control that has the focus, if the keyboard has given it
 * @param {() => string} nameOf the row's file
 */
export function showOnHover(element, control, nameOf) {
  const soon = () => beginSoon(element, nameOf);
  element.addEventListener("mouseenter", ({ buttons }) => buttons || soon());
  control.addEventListener("focus", () => control.matches(":focus-visible") && soon());
  for (const type of ["mouseleave", "focusout", "pointerdown", "keydown", "wheel", "dragstart"])
    element.addEventListener(type, end, { passive: true });
}

/** @param {HTMLElement} element @param {() => string} nameOf */
function beginSoon(element, nameOf) {
  end();
  waiting = setTimeout(() => begin(element, nameOf), DELAY);
}

function end() {
  clearTimeout(waiting);
  waiting = undefined;
  shown?.end();
  shown = null;
}

/** @param {HTMLElement} element @param {() => string} nameOf */
async function begin(element, nameOf) {
  const asked = waiting;
  await overview.load();
  const name = library.listed(nameOf());
  if (asked !== waiting || !element.isConnected || name === undefined || !hasPreview(name)) return;
  const picture = makeMovingPicture(name);
  const box = make("div", { class: "lora-algebra-popup lora-algebra-hover", role: "presentation" }, picture);
  box.style.setProperty("--size", `${Math.max(96, Number(setting("PreviewSize")) || 96) * 1.5}px`);
  document.body.append(box);
  place(box, element.getBoundingClientRect());
  const own = {
    end: () => {
      stop(picture);
      box.remove();
    },
  };
  shown = own;
  // no event tells that a row is removed under the mouse
  lookEveryFrame(() => {
    if (shown !== own) return false;
    if (!element.isConnected) end();
    return element.isConnected;
  });
}

/** Places it beside the row, where there is room. @param {HTMLElement} box @param {DOMRect} row */
function place(box, row) {
  const { offsetWidth: width, offsetHeight: height } = box;
  const left = row.left - GAP - width;
  box.style.left = `${left >= GAP ? left : Math.min(row.right + GAP, innerWidth - width - GAP)}px`;
  box.style.top = `${Math.max(GAP, Math.min(row.top, innerHeight - height - GAP))}px`;
}
