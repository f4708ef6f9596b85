/** Names of files, as the host lists them. */

/**
 * Folds a text for comparison as Python's `str.casefold` does, so that the page and the nodes agree on which
 * names are the same: "Straße" is "STRASSE". tests/core/test_web_js.py compares both over all characters.
 *
 * @param {string} text
 */
export function caseless(text) {
  const parts = text.split("ı"); // its capital letter is that of "i", but casefold keeps the two apart
  const folded = parts.map((part) => part.toLowerCase().toUpperCase().toLowerCase());
  return folded.join("ı").replaceAll("ς", "σ");
}

/**
 * Returns what two spellings of one name share: they may differ in separators, in case, and in how accents
 * are encoded.
 *
 * @param {string} name
 */
export const sameName = (name) => caseless(name.replaceAll("\\", "/").normalize("NFC"));

/** Splits "style/ink.safetensors" into the folder "style/" and the base "ink". @param {string} name */
export function splitName(name) {
  const cut = Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1;
  const file = name.slice(cut);
  return { folder: name.slice(0, cut), base: file.replace(/(?<=.)\.[A-Za-z0-9]{1,12}$/, "") || file };
}
