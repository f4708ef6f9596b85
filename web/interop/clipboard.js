/** Reads the clipboard, also where the host has written to it: copied nodes are not plain text there. */

const HELD = /data-(?:comfy-)?metadata="([A-Za-z0-9+/=]+)"/; // older and newer pages

/** Returns the text of a paste event. @param {DataTransfer | null} data */
export const pastedText = (data) => textOf(data?.getData("text/html") ?? "", data?.getData("text/plain") ?? "");

/** @returns {Promise<string | null>} null if the browser does not let us read it */
export async function clipboardText() {
  try {
    const [item] = await navigator.clipboard.read();
    const [html, text] = ["text/html", "text/plain"].map((type) => ofType(item, type));
    return textOf(await html, await text);
  } catch {
    return null;
  }
}

/** @param {ClipboardItem | undefined} item @param {string} type */
const ofType = async (item, type) => (item?.types.includes(type) ? (await item.getType(type)).text() : "");

/** @param {string} html @param {string} text */
function textOf(html, text) {
  const held = HELD.exec(html)?.[1];
  return held ? decoded(held) : text;
}

/** @param {string} base64 */
function decoded(base64) {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
  } catch {
    return "";
  }
}
