/** Reads files that are dropped, as much of them as may hold rows. */

import { isPicture, MOST_TEXT, textsOfPicture } from "./picture_texts.js";

const MOST_BYTES = 100_000_000; // of a picture; what is behind is not read
const MOST_FILES = 20;
const HEAD = 16; // bytes that tell a picture
const ORDER = ["workflow", "prompt", "parameters"];

/**
 * Reads files one after the other, so that only one is in memory.
 *
 * @template T
 * @param {File[]} files
 * @param {(text: string | undefined) => T[]} read finds what a text holds
 * @returns {Promise<T[]>} of each file what its first text holds in which there is something
 */
export async function readFiles(files, read) {
  const found = [];
  for (const file of files.slice(0, MOST_FILES)) found.push(...(await readFile(file, read)));
  return found;
}

/** @template T @param {File} file @param {(text: string | undefined) => T[]} read @returns {Promise<T[]>} */
async function readFile(file, read) {
  if (!isPicture(await bytesOf(file, HEAD))) return file.size > MOST_TEXT ? [] : read(await file.text());
  const texts = await textsOfPicture(await bytesOf(file, MOST_BYTES));
  for (const name of ORDER) {
    const found = read(texts.get(name));
    if (found.length) return found;
  }
  return [];
}

/** @param {File} file @param {number} most */
const bytesOf = async (file, most) => new Uint8Array(await file.slice(0, most).arrayBuffer());
