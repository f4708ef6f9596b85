// Which files the picker shows, and in which order.

import assert from "node:assert/strict";
import { test } from "node:test";

import { choicesIn, narrowed, ordered, readNarrowing, showingAll } from "../../web/model/narrowing.js";

const GLANCES = new Map(
  [
    {
      name: "ink",
      known: true,
      modified: 3,
      architectures: ["Flux", "Chroma"],
      base: "Flux.1 D",
      tags: ["Style", "ink"],
    },
    { name: "light", known: true, modified: 1, architectures: ["SDXL"], base: "Pony", tags: ["style"] },
    { name: "mist", known: true, modified: 2 },
    { name: "new", known: false, modified: 2, base: "Pony" },
  ].map((glance) => [glance.name, { size: 1, ...glance }]),
);
const ENTRIES = [...GLANCES.keys(), "not told of"].map((name) => ({ name }));
const ALL = readNarrowing(null);

const shown = (change, known = {}) => {
  const found = narrowed(
    ENTRIES,
    { ...ALL, ...change },
    { glances: GLANCES, favourites: new Set(), fits: null, ...known },
  );
  return [found.shown.map(({ name }) => name), found.unfit, found.hidden];
};
const everything = ENTRIES.map(({ name }) => name);

test("without a filter all is shown, whatever the model is", () => {
  assert.deepEqual(shown({}, { fits: ["SDXL"] }), [everything, 0, 0]);
});

test("what cannot fit the model is hidden and counted, and what is not known stays", () => {
  assert.deepEqual(shown({ fits: true }, { fits: ["SDXL"] }), [["light", "mist", "new", "not told of"], 1, 1]);
  assert.deepEqual(shown({ fits: true }, { fits: ["Chroma", "Flux"] }), [["ink", "mist", "new", "not told of"], 1, 1]);
  assert.deepEqual(shown({ fits: true }, { fits: ["Wan"] })[1], 2);
});

test("where the model is not known nothing is hidden for it", () => {
  assert.deepEqual(shown({ fits: true }, { fits: null }), [everything, 0, 0]);
});

test("base model, tag and favourites leave what has them, and a tag may be written otherwise", () => {
  assert.deepEqual(shown({ base: "Pony" }), [["light", "new"], 0, 3]);
  assert.deepEqual(shown({ tag: "STYLE" }), [["ink", "light"], 0, 3]);
  assert.deepEqual(shown({ favourites: true }, { favourites: new Set(["mist", "gone"]) }), [["mist"], 0, 4]);
  assert.deepEqual(shown({ tag: "style", base: "Pony" })[0], ["light"]);
});

test("filters go together, and only what would be shown but does not fit counts as that", () => {
  assert.deepEqual(shown({ tag: "style", fits: true }, { fits: ["SDXL"] }), [["light"], 1, 4]);
});

test("the newest is first by date, and what is alike keeps its order", () => {
  const names = (order) => ordered(ENTRIES, order, GLANCES).map(({ name }) => name);
  assert.deepEqual(names("date"), ["ink", "mist", "new", "light", "not told of"]);
  assert.deepEqual(names("name"), everything);
  assert.deepEqual(names("used"), everything);
});

test("the most frequent choices come first, and tags that differ in case are one", () => {
  assert.deepEqual(choicesIn(GLANCES.values()), {
    bases: [
      ["Pony", 2],
      ["Flux.1 D", 1],
    ],
    tags: [
      ["Style", 2],
      ["ink", 1],
    ],
  });
});

test("what was remembered is read, and nonsense is nothing", () => {
  const chosen = { fits: true, favourites: true, base: "Pony", tag: "ink", order: "date" };
  assert.deepEqual(readNarrowing(JSON.stringify(chosen)), chosen);
  for (const text of [null, "", "{", "[]", "null", "7", '{"fits":1,"base":{},"tag":3,"order":"__proto__"}'])
    assert.deepEqual(readNarrowing(text), ALL);
  assert.equal(ALL.fits, false);
});

test("to show all keeps the order", () => {
  assert.deepEqual(showingAll({ fits: true, favourites: true, base: "x", tag: "y", order: "date" }), {
    ...ALL,
    order: "date",
  });
});
