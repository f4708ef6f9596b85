// What text.js and edit.js make of block weights. The factors are Python's own. Run by test_web_js.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { writeFactors } from "../../web/blocks/edit.js";
import { factorsOf, known } from "../../web/blocks/text.js";
import { blocksOf } from "../../web/blocks/union.js";

const { models, presets, cases } = JSON.parse(readFileSync(new URL("../data/blocks.json", import.meta.url), "utf8"));

const allOf = (lists) =>
  Object.entries(lists).flatMap(([list, count]) => Array.from({ length: count }, (_, number) => ({ list, number })));
const KNOWN = Object.fromEntries(Object.entries(models).map(([model, lists]) => [model, known(allOf(lists), presets)]));
const FLUX = KNOWN.flux;

function assertClose(found, expected) {
  assert.equal(found.length, expected.length);
  for (const [at, factor] of found.entries())
    assert.ok(Math.abs(factor - expected[at]) < 1e-9, `${at}: ${factor}, not ${expected[at]}`);
}

for (const { model, text, factors } of cases)
  test(`means what it means in Python: ${model} ${JSON.stringify(text)}`, () => {
    assertClose(factorsOf(text, KNOWN[model]).factors, factors);
  });

for (const [text, part] of [
  ["cross attn: 0.5", "cross attn: 0.5"],
  ["double 3 img: 0", "double 3 img: 0"],
  ["*.qkv*: 0", "*.qkv*: 0"],
  ["1,0,0,1", "1,0,0,1"],
  ["no such preset", "no such preset"],
  ["triple 3: 1", "triple 3: 1"],
  ["double 3", "double 3"],
  ["double 3: x", "double 3: x"],
  ["double 5-3: 0", "double 5-3: 0"],
  ["double: 2000", "double: 2000"],
  ["other: 0..1", "other: 0..1"],
  ["3: 0", "3: 0"],
  ["__proto__", "__proto__"],
  ["double 40: 0; double 3: 1", "double 40: 0"],
])
  test(`is not drawn: ${text}`, () => {
    assert.deepEqual(factorsOf(text, FLUX), { factors: FLUX.blocks.map(() => 1), undrawn: [part] });
  });

/** Sets blocks of Flux in a text, as the user does. */
function edited(text, changes, before = "") {
  const { factors } = factorsOf(`${before}\n${text}`, FLUX);
  for (const [list, number, factor] of changes)
    factors[FLUX.blocks.findIndex((block) => block.list === list && block.number === number)] = factor;
  const found = writeFactors(text, before, FLUX, factors);
  assertClose(factorsOf(`${before}\n${found}`, FLUX).factors, factors);
  return found;
}

const run = (list, first, last, factor) =>
  Array.from({ length: last - first + 1 }, (_, at) => [list, first + at, factor]);

for (const [what, text, changes, expected, before] of [
  ["the first line", "", [["double", 3, 0.5]], "double 3: 0.5"],
  ["neighbours as one", "", run("double", 0, 6, 0.5), "double 0-6: 0.5"],
  ["several runs as one", "", [...run("double", 0, 6, 0), ["double", 9, 0]], "double 0-6,9: 0"],
  ["a whole list by its name", "", run("double", 0, 18, 0), "double: 0"],
  [
    "most of a list by its name",
    "double: 0",
    [
      ["double", 7, 1],
      ["double", 12, 1],
    ],
    "double: 0\ndouble 7,12: 1",
  ],
  ["nothing for what is 1 anyway", "double 3: 0.5", [["double", 3, 1]], ""],
  [
    "own lines anew",
    "doubles 0-3: .5 ",
    [
      ["double", 1, 0.5],
      ["double", 3, 0],
    ],
    "double 0-2: 0.5\ndouble 3: 0",
  ],
  [
    "comments as they are",
    "# mine\ndouble 3: 0 # why\n\n# end",
    [["double", 3, 1]],
    "# mine\ndouble 3: 0 # why\ndouble 3: 1\n\n# end",
  ],
  [
    "after spans and ranges",
    "double 3: 1\nlate: 0\nsingle 0-5: 0..1",
    [["single", 30, 1]],
    "late: 0\nsingle 0-5: 0..1\nsingle 30: 1",
  ],
  ["before kinds of layers", "# mine\ncross attn: 0.5", [["double", 3, 0]], "# mine\ndouble 3: 0\ncross attn: 0.5"],
  ["where own lines were", "double 3: 1\nattn: 0.5\ndouble 4: 0", [["double", 3, 0]], "double 3-4: 0\nattn: 0.5"],
  ["what another model has", "triple 3: 0\ndouble 3: 0", [["double", 3, 1]], "triple 3: 0"],
  ["numbers that are not known", "double 3-40: 0", [["double", 3, 1]], "double 3-40: 0\ndouble 3: 1"],
  ["a preset in the text", "FLUX-FACE", [["double", 7, 0]], "FLUX-FACE\ndouble 7: 0"],
  [
    "what a preset before it says",
    "",
    [
      ["double", 7, 1],
      ["double", 8, 1],
    ],
    "double 8: 1",
    "FLUX-FACE",
  ],
  [
    "lines with more than one part",
    "double 1: 0; double 2: 0",
    [["double", 1, 1]],
    "double 1: 0; double 2: 0\ndouble 1: 1",
  ],
  ["the last line's end", "single 3: 0\n", [["single", 3, 2]], "single 3: 2\n"],
])
  test(`writes ${what}`, () => assert.equal(edited(text, changes, before), expected));

test("writing what is there changes no factor, whatever the text", () => {
  for (const { model, text, factors } of cases)
    assertClose(
      factorsOf(writeFactors(text, "", KNOWN[model], factorsOf(text, KNOWN[model]).factors), KNOWN[model]).factors,
      factors,
    );
});

test("several files have the blocks of all of them, with the largest change in each", () => {
  const first = {
    name: "double",
    blocks: [
      [0, 1],
      [2, null],
      [3, null],
    ],
  };
  const second = {
    name: "double",
    blocks: [
      [0, 3],
      [1, 2],
      [2, 5],
      [3, null],
    ],
  };
  const other = { name: "in", blocks: [[0, 4]] };
  const found = blocksOf([{ blocks: [first] }, {}, { blocks: [other, second] }]);
  const expected = [
    ["double", 0, 3],
    ["double", 1, 2],
    ["double", 2, 5],
    ["double", 3, null],
    ["in", 0, 4],
  ];
  assert.deepEqual(
    found,
    expected.map(([list, number, size]) => ({ list, number, size })),
  );
});
