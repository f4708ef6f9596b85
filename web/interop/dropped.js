/** Finds rows in files that are dropped: pictures that carry a workflow, a prompt or tags, and texts. */

import { readFiles } from "./file_texts.js";
import { rowsFromText } from "./paste.js";

/** @param {File[]} files @returns {Promise<import("../model/value.js").Row[]>} empty if there are none in them */
export const rowsFromFiles = (files) => readFiles(files, rowsFromText);
