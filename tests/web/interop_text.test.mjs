// Rows in pasted text of any kind, and names as the host lists them.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { matcher } from "../../web/interop/names.js";
import { readRows } from "../../web/interop/text.js";

const NAMES = [
  "c/adapter_model.safetensors",
  "ink.safetensors",
  "style/light.safetensors",
  "a/twin.safetensors",
  "b/twin.safetensors",
  "v1.5.safetensors",
];
const read = (text, order = "model") => readRows(text, order, NAMES);
const json = (value) => read(JSON.stringify(value));
const row = (name, strength = 1, others = {}) => ({ on: true, name, strength, ...others });
const load = (id, name, strength, others) => ({ id, type: "LoadLoRA", widgets_values: [name, strength], ...others });

for (const [asked, found] of [
  ["ink.safetensors", "ink.safetensors"],
  ["INK.SAFETENSORS", "ink.safetensors"],
  ["style\\light.safetensors", "style/light.safetensors"],
  ["ink", "ink.safetensors"],
  ["v1.5", "v1.5.safetensors"],
  ["light", "style/light.safetensors"],
  ["old/light.safetensors", "style/light.safetensors"],
  ["a/twin", "a/twin.safetensors"],
  ["twin", "twin"],
  ["ink.ckpt", "ink.ckpt"],
  ["in", "in"],
  ["d/adapter_model.safetensors", "d/adapter_model.safetensors"],
  ["d/adapter_model", "d/adapter_model"],
  ["adapter_model", "c/adapter_model.safetensors"],
  ["", ""],
])
  test(`the name "${asked}" means "${found}"`, () => assert.equal(matcher(NAMES)(asked), found));

test("tags in any text, in the order that is asked for", () => {
  const text = "a cat <lora:ink:0.5:0.25>, <lora:gone:2>";
  assert.deepEqual(read(text), [row("ink.safetensors", 0.5, { strength_clip: 0.25 }), row("gone", 2)]);
  assert.deepEqual(read(text, "clip")[0], row("ink.safetensors", 0.25, { strength_clip: 0.5 }));
});

test("block weights of a tag are those of its row, and what means nothing is its note", () => {
  const text = "<lora:ink:0.5:lbw=MIDD:out=0:lbwe=ATTNON> <lora:v1.5:in=0>";
  assert.deepEqual(readRows(text, "model", NAMES, ["MIDD"]), [
    row("ink.safetensors", 0.5, { note: "lbwe=ATTNON", blocks: "MIDD\nout: 0" }),
    row("v1.5.safetensors", 1, { blocks: "in: 0" }),
  ]);
});

test("an unreadable tag is a row that is off and says why", () => {
  assert.deepEqual(read("<lora:ink:much> <lora::1>"), [
    row("ink.safetensors", 1, { on: false, note: "<lora:ink:much>" }),
  ]);
});

test("a row, a list of rows, and the value of the widget, with all they hold", () => {
  const rows = [
    row("ink.safetensors", 0.5, { note: "n", mine: { deep: 1 }, triggers: ["x"], blocks: "mid: 0" }),
    row("", 1),
  ];
  assert.deepEqual(json(rows[0]), [rows[0]]);
  assert.deepEqual(json(rows), rows);
  assert.deepEqual(json({ version: 1, rows }), rows);
});

test("a row that knows its content keeps its name", () => {
  const known = row("old/light.safetensors", 1, { hash: "0".repeat(64), size: 5 });
  assert.deepEqual(json([known]), [known]);
});

test("copied nodes and workflows, also in subgraphs; what is off comes off", () => {
  const nodes = [
    load(2, "ink.safetensors", 0.5, { order: 1 }),
    load(1, "a/twin.safetensors", 1, { order: 0, mode: 4 }),
    { id: 3, type: "KSampler", widgets_values: [1] },
  ];
  const inner = { nodes: [{ id: 1, type: "LoraLoader", widgets_values: ["light", 1, 0.5] }] };
  const expected = [row("a/twin.safetensors", 1, { on: false }), row("ink.safetensors", 0.5)];
  const deep = row("style/light.safetensors", 1, { strength_clip: 0.5 });
  assert.deepEqual(json({ nodes, links: [] }), expected);
  assert.deepEqual(json({ version: 0.4, nodes, definitions: { subgraphs: [inner] } }), [...expected, deep]);
  assert.deepEqual(json({ nodes, subgraphs: [inner] }), [...expected, deep]);
});

test("factors behind our own loaders are taken along, through sums", () => {
  const scale = { id: 4, type: "ScaleLoRA", widgets_values: [0.5, 0.25] };
  const nodes = [load(1, "ink", 1), load(2, "light", 2), { id: 3, type: "StackLoRAs" }, scale, load(5, "v1.5", 1)];
  const expected = [
    row("ink.safetensors", 0.5, { strength_clip: 0.25 }),
    row("style/light.safetensors", 1, { strength_clip: 0.5 }),
    row("v1.5.safetensors", 1),
  ];
  const links = [
    [1, 1, 0, 3, 0, "L"],
    [2, 2, 0, 3, 1, "L"],
    [3, 3, 0, 4, 0, "L"],
    [4, 4, 0, 9, 0, "L"],
  ];
  const objects = links.map(([id, origin_id, , target_id]) => ({ id, origin_id, target_id }));
  assert.deepEqual(json({ nodes, links }), expected);
  assert.deepEqual(json({ nodes, links: objects }), expected);
});

test("what is in a subgraph that does not run comes off, and that in any other one does not", () => {
  const inside = (id, ...nodes) => ({ id, nodes: [load(1, id, 1), ...nodes] });
  const stands = (type, mode) => ({ id: 9, type, mode });
  const subgraphs = [
    inside("muted"),
    inside("bypassed", stands("deep", 0)),
    inside("deep"),
    inside("twice"),
    inside("runs", stands("within", 0)),
    inside("within"),
    inside("copied"),
  ];
  const nodes = [
    stands("muted", 2),
    stands("bypassed", 4),
    stands("twice", 4),
    stands("twice", 0),
    stands("runs", undefined),
  ];
  const found = json({ nodes, definitions: { subgraphs } });
  const on = found.filter((each) => each.on).map(({ name }) => name);
  assert.deepEqual(on, ["twice", "runs", "within", "copied"]);
  assert.equal(found.length, subgraphs.length);
});

test("factors are for the file for low noise as well", () => {
  const rows = [row("ink", 1, { low: { name: "light", strength: 0.5 } }), row("v1.5", 1, { low: { name: "light" } })];
  const nodes = [
    { id: 1, type: "LoRARows", widgets_values: [{ version: 1, rows }] },
    { id: 2, type: "ScaleLoRA", widgets_values: [0.5, 0.5] },
  ];
  assert.deepEqual(json({ nodes, links: [[1, 1, 0, 2, 0, "L"]] }), [
    row("ink.safetensors", 0.5, { low: { name: "style/light.safetensors", strength: 0.25 } }),
    row("v1.5.safetensors", 0.5, { low: { name: "style/light.safetensors" } }),
  ]);
});

test("prompts", () => {
  const prompt = { 4: { class_type: "LoraLoader", inputs: { lora_name: "ink", strength_model: 1, strength_clip: 1 } } };
  for (const value of [prompt, { prompt }, { output: prompt }]) assert.deepEqual(json(value), [row("ink.safetensors")]);
});

test("what Python writes for no number does not spoil the rest", () => {
  const text =
    '{"4": {"class_type": "LoadLoRA", "inputs": {"lora_name": "ink", "strength": 1, "other": [NaN, -Infinity]}}}';
  assert.deepEqual(read(text), [row("ink.safetensors")]);
});

test("factors in a prompt are taken along, too", () => {
  const prompt = {
    1: { class_type: "LoadLoRA", inputs: { lora_name: "ink", strength: 1 } },
    2: { class_type: "ScaleLoRA", inputs: { lora: ["1", 0], strength_model: 0.5, strength_clip: 0.25 } },
  };
  assert.deepEqual(json(prompt), [row("ink.safetensors", 0.5, { strength_clip: 0.25 })]);
});

test("names of files, one in a line, as far as they are listed", () => {
  assert.deepEqual(read('ink\r\n"style/light.safetensors"\n\nnothing\n'), [
    row("ink.safetensors"),
    row("style/light.safetensors"),
  ]);
  assert.deepEqual(read("a sentence about ink"), []);
});

test("every peer's node can be pasted", () => {
  const folder = new URL("../data/peers/", import.meta.url);
  for (const file of readdirSync(folder)) {
    const { node, rows } = JSON.parse(readFileSync(new URL(file, folder), "utf8"));
    assert.deepEqual(readRows(JSON.stringify({ nodes: [{ ...node, id: 1 }] }), "model", []), rows, file);
  }
});

test("nonsense of any kind gives nothing and no error", () => {
  const values = [
    null,
    5,
    "x",
    [],
    [5],
    [null],
    {},
    { rows: 5 },
    { rows: [null] },
    { nodes: [null, 5, {}] },
    { nodes: 5 },
    { nodes: [], links: 5 },
    { nodes: [{ type: "ScaleLoRA" }], links: [null, 5, []] },
    { prompt: { 1: null } },
    [[[[]]]],
    { definitions: { subgraphs: [null, { nodes: [null] }] }, nodes: [] },
  ];
  for (const value of values) assert.deepEqual(json(value), []);
  for (const text of ["", "{", "[", "<lora", "<lora:", "\0", "[".repeat(100_000), "<lora:".repeat(100_000)])
    assert.deepEqual(read(text), []);
});
