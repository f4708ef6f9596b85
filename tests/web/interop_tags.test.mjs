// web/interop/tags.js against the table that lora_core/lists/tags.py is held to as well.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { findTags, TagError, writeTags } from "../../web/interop/tags.js";
import { MOST_ROWS } from "../../web/model/value.js";

const table = JSON.parse(readFileSync(new URL("../data/tags.json", import.meta.url), "utf8"));
const PRESETS = ["MIDD", "OUTALL"];
const ORDERS = { "model first": "model", "text encoder first": "clip" };

for (const { text, order, entries } of table.good)
  test(`${order}: ${text}`, () => {
    const expected = entries.map((entry) => ({ blocks: "", ...entry }));
    assert.deepEqual(findTags(text, ORDERS[order], PRESETS), expected);
  });

for (const { text, order, why } of table.bad)
  test(`refused, ${why}: ${text}`, () => {
    const bad = findTags(text, ORDERS[order]).find((found) => found instanceof TagError);
    assert.equal(bad?.why, why);
  });

for (const { name, others, tag } of table.written)
  test(`written: ${tag}`, () => assert.equal(writeTags([{ name, strength: 1 }], [...others, name], "model"), tag));

test("a row in another spelling is the listed file, and no second one", () => {
  const row = { name: "STYLE\\Ink.safetensors", strength: 1 };
  assert.equal(writeTags([row], ["style/ink.safetensors"], "model"), "<lora:Ink:1>");
});

test("one bad tag does not hide the others", () => {
  const [bad, good] = findTags("<lora:ink:much> <lora:light:0.5>", "model");
  assert.equal(bad.lora, "ink");
  assert.equal(good.name, "light");
});

test("a word in place of the second number takes its place", () => {
  const [entry] = findTags("<lora:ink:0.8:MIDD:0.4>", "model", PRESETS);
  assert.deepEqual(entry, { name: "ink", model: 0.8, clip: 0.8, ignored: ["0.4"], blocks: "MIDD" });
  assert.deepEqual(findTags("<lora:ink:0.8:MIDD>", "model")[0].ignored, ["MIDD"]);
});

const ROWS = [
  { name: "style/ink.safetensors", strength: 0.8 },
  { name: "light.v1.5.safetensors", strength: -0.5, strength_clip: 0.00001 },
];

test("tags are written without folder and suffix, in either order", () => {
  assert.equal(writeTags(ROWS, [], "model"), "<lora:ink:0.8> <lora:light.v1.5:-0.5:0.00001>");
  assert.equal(writeTags(ROWS, [], "clip"), "<lora:ink:0.8> <lora:light.v1.5:0.00001:-0.5>");
});

test("two files of one name keep their folders", () => {
  const names = ["a/ink.safetensors", "b\\Ink.safetensors", "a/ink.safetensors"];
  const rows = names.map((name) => ({ name, strength: 1 }));
  assert.equal(writeTags(rows, [], "model"), "<lora:a/ink:1> <lora:b/Ink:1> <lora:a/ink:1>");
});

test("what was written can be read, whatever the name", () => {
  for (const name of ["my: ink", "<script>", 'a "quoted" one', "line\nbreak", "墨"]) {
    const row = { name, strength: 0.5, strength_clip: 1 };
    const entries = findTags(writeTags([row], [name], "clip"), "clip");
    assert.deepEqual([entries.length, entries[0].model, entries[0].clip], [1, 0.5, 1]);
  }
});

test("of a text full of tags no more are read than a list may have, and one, so that this is seen", () => {
  for (const tag of ["<lora::1>", "<lora:a>", "<lora:"])
    assert.equal(findTags(tag.repeat(20_000), "model").length, MOST_ROWS + 1);
});
