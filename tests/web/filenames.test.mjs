// Names of files, as rows and the host write them. test_web_js.py compares `caseless` with Python over all characters.

import assert from "node:assert/strict";
import { test } from "node:test";

import { caseless, sameName, splitName } from "../../web/model/filenames.js";

test("names are split at either separator, and lose only a suffix", () => {
  const split = (name) => Object.values(splitName(name));
  assert.deepEqual(split("style/old/ink v1.2.safetensors"), ["style/old/", "ink v1.2"]);
  assert.deepEqual(split("style\\ink.pt"), ["style\\", "ink"]);
  assert.deepEqual(split("ink"), ["", "ink"]);
  assert.deepEqual(split(".hidden"), ["", ".hidden"]);
});

test("names are the same whatever their separators, case, and kind of accents", () => {
  assert.equal(sameName("Style\\E\u0301mile"), sameName("style/\u00e9mile"));
  assert.notEqual(sameName("Emile"), sameName("\u00c9mile"));
});

test("case is what Python's casefold takes for it", () => {
  assert.equal(sameName("Straße.safetensors"), sameName("STRASSE.safetensors"));
  assert.equal(caseless("ΣΊΣΥΦΟΣ"), caseless("σίσυφος"));
  assert.notEqual(caseless("ılık"), caseless("ilik"));
});
