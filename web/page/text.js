/** Text from files and workflows, made safe to show, and numbers as a person reads them. Nothing here knows the page. */

// as in lora_core/text.py: controls but the line break, signs that turn the line around, halves of a pair
const UNSHOWABLE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/gu;

/** `text` without what would turn a line around or cannot be drawn. @param {unknown} text */
export const printable = (text) => String(text).replace(UNSHOWABLE, "\ufffd");

const UNITS = ["B", "KB", "MB", "GB", "TB"];

/** Bytes as a person says them: 151 MB. @param {number} bytes */
export function sizeText(bytes) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const amount = bytes / 1000 ** power;
  return `${power && amount < 9.95 ? amount.toFixed(1) : Math.round(amount)} ${UNITS[power]}`;
}

/** A number with as many digits as a person reads. @param {number} number */
export const short = (number) => String(Number(number.toPrecision(3)));
