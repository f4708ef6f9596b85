// Rows from the saved nodes of other packs: each as a workflow holds it and as a prompt does.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { peerOf, rowsOfNode } from "../../web/interop/peers.js";

const folder = new URL("../data/peers/", import.meta.url);
const read = (file) => JSON.parse(readFileSync(new URL(file, folder), "utf8"));

for (const file of readdirSync(folder)) {
  const { says, node, prompt, rows, prompt_rows: promptRows = rows } = read(file);
  const name = `${file.replace(".json", "")} (${says})`;
  test(`${name}: in a workflow`, () => assert.deepEqual(rowsOfNode(node), rows));
  test(`${name}: in a prompt`, () => assert.deepEqual(rowsOfNode(prompt), promptRows));
}

test("values by name win over those by place", () => {
  const values = ["a", 1, 1];
  const names = { lora_name: "b", strength_model: 0.5, strength_clip: 0.5 };
  const node = { type: "LoraLoader", widgets_values: values, widgets_values_named: names };
  assert.deepEqual(rowsOfNode(node), [{ on: true, name: "b", strength: 0.5 }]);
  assert.deepEqual(rowsOfNode({ type: "LoraLoader", widgets_values: names }), rowsOfNode(node));
});

test("a strength that cannot be read switches its row off", () => {
  for (const strength of ["much", 1e9, null, ["4", 0], {}, "", NaN]) {
    const node = { class_type: "LoraLoader", inputs: { lora_name: "a", strength_model: strength } };
    assert.deepEqual(rowsOfNode(node), [{ on: false, name: "a", strength: 1 }]);
  }
});

test("nodes in disorder give no rows and no error", () => {
  const nonsense = [
    undefined,
    null,
    [],
    {},
    "text",
    5,
    [null],
    [[]],
    [[null]],
    { rows: 5 },
    [{ lora: 5 }],
    [{ lora: null }],
  ];
  const types = [
    "LoraLoader",
    "Power Lora Loader (rgthree)",
    "Lora Loader (LoraManager)",
    "LoRA Stacker",
    "CR LoRA Stack",
    "easy loraStack",
    "easy loraSwitcher",
    "LocalLoraGallery",
    "DoRA Power LoRA Loader",
    "PowerLoraLoaderV2",
    "LoRA Text Loader (LoraManager)",
    "LoRARows",
    "LoadLoRA",
    "StackLoRAs",
  ];
  for (const type of types)
    for (const values of nonsense) {
      assert.deepEqual(rowsOfNode({ type, widgets_values: values }), []);
      assert.deepEqual(rowsOfNode({ class_type: type, inputs: values }), []);
      assert.deepEqual(rowsOfNode({ type, properties: { dora_power_lora: values } }), []);
    }
});

test("other nodes are none of ours", () => {
  for (const type of ["KSampler", "toString", "__proto__", undefined]) {
    assert.equal(rowsOfNode({ type, widgets_values: [] }), undefined);
    assert.equal(peerOf(type), undefined);
  }
});
