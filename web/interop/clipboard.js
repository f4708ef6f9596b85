/** What is on the clipboard, also where it is the host's: copied nodes are no plain text there. */

const HELD = /data-(?:comfy-)?metadata="([A-Za-z0-9+/=]+)"/; // older and newer pages

/** Of a paste event. @param {DataTransfer | null} data */
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

const ofType = async (item, type) => (item?.types.includes(type) ? (await item.getType(type)).text() : "");

function textOf(html, text) {
  const held = HELD.exec(html)?.[1];
  return held ? decoded(held) : text;
}

function decoded(base64) {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
  } catch {
    return "";
  }
}
