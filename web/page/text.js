/** Text from files and workflows, made safe to show, and numbers as people read them. Nothing here knows the page. */

// As in lora_core/text.py: control characters but the line break, signs that change the direction of writing, and
// halves of a surrogate pair.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const UNSHOWABLE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/gu;

/** Replaces what would change the direction of writing or cannot be drawn. @param {unknown} text */
export const printable = (text) => String(text).replace(UNSHOWABLE, "\ufffd");

const UNITS = ["B", "KB", "MB", "GB", "TB"];

/** Writes a size as people say it: 151 MB. @param {number} bytes */
export function sizeText(bytes) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const amount = bytes / 1000 ** power;
  return `${power && amount < 9.95 ? amount.toFixed(1) : Math.round(amount)} ${UNITS[power]}`;
}

/** Writes a number with at most three digits that count. @param {number} number */
export const short = (number) => String(Number(number.toPrecision(3)));
