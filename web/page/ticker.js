/**
 * Looks once in every frame at what no event of the page tells us, for as long as there is something to look at.
 * Between nodes of ours it asks for no frames.
 */

/** @type {Set<() => boolean>} */
const looks = new Set();
let isWaiting = false;

/**
 * Calls `look` in every frame from the next one on, until it returns false: then nothing is left to look at.
 * To call this again while it runs changes nothing.
 *
 * @param {() => boolean} look
 */
export function lookEveryFrame(look) {
  looks.add(look);
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(lookAtAll);
}

function lookAtAll() {
  isWaiting = false;
  const due = [...looks];
  looks.clear();
  for (const look of due) if (succeeds(look)) lookEveryFrame(look);
}

/** A look that fails is reported and ends. It does not stop the others. @param {() => boolean} look */
function succeeds(look) {
  try {
    return look();
  } catch (error) {
    reportError(error);
    return false;
  }
}
