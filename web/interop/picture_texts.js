/**
 * Finds the texts that pictures carry: the chunks of a PNG, and the Exif of a WebP or a JPEG. Files may be damaged or
 * made to do harm, so no length in them is believed, each text is read only once, and none grows beyond a bound.
 *
 * @typedef {Map<string, string>} Texts by their names, the first one of each
 */

const NAMES = ["workflow", "prompt", "parameters"]; // texts of other names are not even unpacked
export const MOST_TEXT = 16_000_000; // bytes of one text
const LONGEST_NAME = 79; // of a PNG's text
const PIECE = 16_384; // bytes that are unpacked at once: they become a thousand times as many at most
const MOST_PARTS = 4096; // chunks, segments, or entries of a directory
const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const EXIF = "Exif\0\0";
const [DIRECTORY, COMMENT] = [0x8769, 0x9286];
const [TEXT, LONG] = [2, 4]; // types of values
const OF_BYTES = [1, TEXT, 7]; // those with a byte for each

/** @param {Uint8Array} bytes */
const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** @param {Uint8Array} bytes */
const latin = (bytes) => new TextDecoder("latin1").decode(bytes.subarray(0, MOST_TEXT));

/** @param {Uint8Array} bytes */
const utf8 = (bytes) => new TextDecoder().decode(bytes.subarray(0, MOST_TEXT));

/** @param {Uint8Array} bytes @param {number} start @param {string} text */
const says = (bytes, start, text) => latin(bytes.subarray(start, start + text.length)) === text;

/** @param {Uint8Array} bytes */
const isPng = (bytes) => PNG.every((byte, index) => bytes[index] === byte);

/** @param {Uint8Array} bytes */
const isWebp = (bytes) => says(bytes, 0, "RIFF") && says(bytes, 8, "WEBP");

/** @param {Uint8Array} bytes */
const isJpeg = (bytes) => bytes[0] === 0xff && bytes[1] === 0xd8;

/** Whether a file is of a kind that may carry texts. @param {Uint8Array} bytes its first ones at least */
export const isPicture = (bytes) => [isPng, isWebp, isJpeg].some((is) => is(bytes));

/**
 * @param {Uint8Array} bytes of a file
 * @returns {Promise<Texts>} empty if it is not such a picture
 */
export async function textsOfPicture(bytes) {
  if (isPng(bytes)) return textsOfPng(bytes);
  if (isWebp(bytes)) return textsOfExif(exifOfWebp(bytes));
  return textsOfExif(isJpeg(bytes) ? exifOfJpeg(bytes) : new Uint8Array());
}

/** @param {Uint8Array} bytes @returns {Promise<Texts>} */
async function textsOfPng(bytes) {
  const view = viewOf(bytes);
  /** @type {Texts} */
  const texts = new Map();
  for (let at = PNG.length, parts = 0; at + 12 <= bytes.length && parts < MOST_PARTS; parts += 1) {
    const [length, kind] = [view.getUint32(at), latin(bytes.subarray(at + 4, at + 8))];
    if (length > bytes.length - at - 12) break;
    const data = bytes.subarray(at + 8, at + 8 + length);
    const name = nameOfChunk(kind, data);
    if (isWanted(name, texts)) texts.set(name, await textOfChunk(kind, data.subarray(name.length + 1)));
    at += length + 12;
  }
  return texts;
}

/** Whether a text is one that we look for, and the first of its name. @param {string} name @param {Texts} texts */
const isWanted = (name, texts) => NAMES.includes(name) && !texts.has(name);

/** @param {string} kind @param {Uint8Array} data */
function nameOfChunk(kind, data) {
  const end = ["tEXt", "zTXt", "iTXt"].includes(kind) ? data.subarray(0, LONGEST_NAME + 1).indexOf(0) : 0;
  return latin(data.subarray(0, Math.max(0, end))).toLowerCase();
}

/** @param {string} kind @param {Uint8Array} rest of its data, behind the name @returns {Promise<string>} */
async function textOfChunk(kind, rest) {
  if (kind === "tEXt") return latin(rest);
  if (kind === "zTXt") return latin(await inflated(rest.subarray(1)));
  const language = rest.indexOf(0, 2);
  const start = rest.indexOf(0, language + 1) + 1; // behind the translated name
  if (language < 0 || !start) return "";
  return utf8(rest[0] === 1 ? await inflated(rest.subarray(start)) : rest.subarray(start));
}

/** Unpacks as much as a text may have. @param {Uint8Array} packed */
async function inflated(packed) {
  const reader = inPieces(packed).pipeThrough(new DecompressionStream("deflate")).getReader();
  const parts = [];
  let size = 0;
  try {
    for (let { done, value } = await reader.read(); !done && value; { done, value } = await reader.read()) {
      parts.push(value);
      size += value.length;
      if (size > MOST_TEXT) return new Uint8Array();
    }
  } catch {
    return new Uint8Array(); // damaged
  } finally {
    reader.cancel().catch(() => {});
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Gives bytes as they are asked for, so that no more is unpacked than is read. @param {Uint8Array} bytes */
function inPieces(bytes) {
  let at = 0;
  return new ReadableStream(
    {
      pull(stream) {
        if (at < bytes.length) stream.enqueue(bytes.subarray(at, at + PIECE));
        else stream.close();
        at += PIECE;
      },
    },
    { highWaterMark: 0 },
  );
}

/** @param {Uint8Array} bytes */
function exifOfWebp(bytes) {
  const view = viewOf(bytes);
  for (let at = 12, parts = 0; at + 8 <= bytes.length && parts < MOST_PARTS; parts += 1) {
    const length = view.getUint32(at + 4, true);
    if (says(bytes, at, "EXIF")) return withoutHead(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length + (length % 2);
  }
  return new Uint8Array();
}

/** @param {Uint8Array} bytes */
function exifOfJpeg(bytes) {
  const view = viewOf(bytes);
  for (let at = 2, parts = 0; at + 4 <= bytes.length && bytes[at] === 0xff && parts < MOST_PARTS; parts += 1) {
    const [kind, length] = [bytes[at + 1], view.getUint16(at + 2)];
    if (kind === 0xda || length < 2) break; // the picture itself
    const segment = bytes.subarray(at + 4, at + 2 + length);
    if (kind === 0xe1 && says(segment, 0, EXIF)) return withoutHead(segment);
    at += 2 + length;
  }
  return new Uint8Array();
}

/** @param {Uint8Array} exif */
const withoutHead = (exif) => (says(exif, 0, EXIF) ? exif.subarray(EXIF.length) : exif);

/**
 * Reads the texts of Exif. The host writes "workflow:…" and "prompt:…" into entries that are meant for other things;
 * A1111 writes its parameters as the comment.
 *
 * @param {Uint8Array} exif @returns {Texts}
 */
function textsOfExif(exif) {
  /** @type {Texts} */
  const texts = new Map();
  const order = latin(exif.subarray(0, 2));
  if (exif.length < 8 || (order !== "II" && order !== "MM")) return texts;
  const little = order === "II";
  const first = entriesOf(exif, viewOf(exif).getUint32(4, little), little);
  const directory = first.find(({ tag }) => tag === DIRECTORY);
  const inner = directory ? entriesOf(exif, directory.place, little) : [];
  for (const { tag, type, data } of [...first, ...inner]) {
    const name = tag === COMMENT ? "parameters" : type === TEXT ? nameOfEntry(data) : "";
    if (!isWanted(name, texts)) continue;
    texts.set(name, tag === COMMENT ? commentOf(data, little) : utf8(withoutEnd(data.subarray(name.length + 1))));
  }
  return texts;
}

/** @param {Uint8Array} data */
function nameOfEntry(data) {
  const start = latin(data.subarray(0, LONGEST_NAME)).toLowerCase();
  return NAMES.find((name) => start.startsWith(`${name}:`)) ?? "";
}

/** Leaves out the zeros at the end. @param {Uint8Array} data */
const withoutEnd = (data) => data.subarray(0, data.findLastIndex((byte) => byte !== 0) + 1);

/** @param {Uint8Array} exif @param {number} start @param {boolean} little */
function entriesOf(exif, start, little) {
  const view = viewOf(exif);
  const count = start + 2 <= exif.length ? Math.min(view.getUint16(start, little), MOST_PARTS) : 0;
  const entries = [];
  for (let at = start + 2; at + 12 <= exif.length && entries.length < count; at += 12) {
    const [tag, type] = [view.getUint16(at, little), view.getUint16(at + 2, little)];
    const [size, place] = [view.getUint32(at + 4, little), view.getUint32(at + 8, little)];
    const own = size <= 4 ? at + 8 : place;
    const data = OF_BYTES.includes(type) ? exif.subarray(own, own + size) : new Uint8Array();
    entries.push({ tag, type, data, place: type === LONG ? place : 0 });
  }
  return entries;
}

/** @param {Uint8Array} data @param {boolean} little */
function commentOf(data, little) {
  const text = data.subarray(8);
  if (!says(data, 0, "UNICODE")) return utf8(text);
  const swapped = text[0] === 0 || (!little && text[1] !== 0); // some write it in the other order
  return new TextDecoder(swapped ? "utf-16be" : "utf-16le").decode(text.subarray(0, MOST_TEXT));
}
