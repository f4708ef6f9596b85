/** What is on the clipboard, also where it is the host's: copied nodes are no plain text there. */

const NODES = "litegrapheditor_clipboard"; // the host's, in the browser's store
const HELD = /data-(?:comfy-)?metadata="([A-Za-z0-9+/=]+)"/; // older and newer pages

/** Of a paste event. @param {DataTransfer | null} data */
export function pastedText(data) {
  const held = HELD.exec(data?.getData("text/html") ?? "")?.[1];
  return held ? decoded(held) : (data?.getData("text/plain") ?? "");
}

/** @returns {Promise<string | null>} null if the browser does not let us read it */
export async function clipboardText() {
  try {
    return (await navigator.clipboard.readText()) || (localStorage.getItem(NODES) ?? "");
  } catch {
    return null;
  }
}

function decoded(base64) {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
  } catch {
    return "";
  }
}
