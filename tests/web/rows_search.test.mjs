import assert from "node:assert/strict";
import { test } from "node:test";

import { folders, initials, makeIndex, search } from "../../web/rows/search.js";

const NAMES = [
  "style/ink wash.safetensors",
  "style/old/Ink.safetensors",
  "drink.safetensors",
  "ink/other.safetensors",
  "style\\win\\thinking_ink.safetensors",
  "Émile.safetensors",
  "ada10.safetensors",
  "ada9.safetensors",
];
const INDEX = makeIndex(NAMES);
const found = (query, options) => search(INDEX, query, options).map(({ base }) => base);

test("without words everything is found, in the order of names in which 9 is before 10", () => {
  assert.equal(found("").length, NAMES.length);
  assert.deepEqual(found("ada"), ["ada9", "ada10"]);
});

test("words are found in any order and anywhere in the path", () => {
  assert.deepEqual(found("wash style"), ["ink wash"]);
  assert.deepEqual(found("old ink"), ["Ink"]);
  assert.deepEqual(found("style/old"), ["Ink"]);
  assert.deepEqual(found("ink nowhere"), []);
});

test("case, accents and separators do not matter", () => {
  assert.deepEqual(found("emile"), ["Émile"]);
  assert.deepEqual(found("ÉMILE"), ["Émile"]);
  assert.deepEqual(found("win/think"), ["thinking_ink"]);
});

test("a name that begins with the word is before one with it as a word, inside, or in the folder", () => {
  assert.deepEqual(found("ink"), ["ink wash", "Ink", "thinking_ink", "drink", "other"]);
});

test("what was used last is first among equals", () => {
  assert.equal(found("", { recent: ["Émile.safetensors", "ada9.safetensors"] })[0], "Émile");
  assert.equal(found("", { recent: ["Émile.safetensors", "ada9.safetensors"] })[1], "ada9");
  assert.equal(found("ink", { recent: ["drink.safetensors", "style/old/Ink.safetensors"] })[0], "Ink");
});

test("a folder holds what is in it and below, of either separator", () => {
  assert.deepEqual(found("", { folder: "style/" }).sort(), ["Ink", "ink wash", "thinking_ink"]);
  assert.deepEqual(found("", { folder: "style/win/" }), ["thinking_ink"]);
});

test("folders are told with their depths and counts, each after the one it is in", () => {
  const told = folders(INDEX).map(({ path, depth, count }) => [path, depth, count]);
  assert.deepEqual(told, [
    ["", 0, 8],
    ["ink/", 1, 1],
    ["style/", 1, 3],
    ["style/old/", 2, 1],
    ["style/win/", 2, 1],
  ]);
});

test("initials stand for a name", () => {
  assert.deepEqual(["ink wash", "ink", "élan_vital x", "---", "𝒳𝒴z"].map(initials), ["IW", "IN", "ÉV", "?", "𝒳𝒴"]);
});

test("case is folded as in the host's names: ß is ss", () => {
  assert.equal(search(makeIndex(["Straße.safetensors"]), "STRASSE").length, 1);
});

/** An entry that counts how often a search looks at its text. */
function counted(entry, counter) {
  return Object.defineProperty({ ...entry }, "text", {
    get() {
      counter.looks += 1;
      return entry.text;
    },
  });
}

test("a keystroke looks at each of ten thousand names a few times, and folds none of them", () => {
  const names = Array.from(
    { length: 10_000 },
    (_, i) => `folder ${i % 97}/sub ${i % 13}/some lora ${i} detail v${i % 5}.safetensors`,
  );
  const counter = { looks: 0 };
  const index = makeIndex(names).map((entry) => counted(entry, counter));
  for (const query of ["s", "detail 9", "folder v3 lora", ""]) {
    counter.looks = 0;
    const words = query.split(" ").filter(Boolean).length;
    const found = search(index, query);
    assert.ok(found.length > 0);
    assert.ok(counter.looks <= 2 * words * index.length, `${counter.looks} looks for "${query}"`);
  }
});
