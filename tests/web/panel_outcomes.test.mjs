// What a run has made of the files, and which words are chosen, as numbers and lists.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  advised,
  against,
  counts,
  countsOf,
  outcomesNamed,
  titlesIn,
  triggerChoices,
  withToggled,
  worst,
} from "../../web/model/outcomes.js";
import { printable, short, sizeText } from "../../web/page/text.js";

const lora = (name, applied, found, warnings = []) => ({ name, applied, found, warnings });

test("layers and warnings of all files add up", () => {
  const loras = [lora("a", 18, 19, [{ code: "base", text: "" }]), lora("b", 20, 21)];
  assert.deepEqual(countsOf(loras), { loras: 2, applied: 38, found: 40, warnings: 1 });
  assert.deepEqual(countsOf([]), { loras: 0, applied: 0, found: 0, warnings: 0 });
});

test("a file of several runs, as of a sweep, is counted once", () => {
  const run = [lora("a", 18, 19, [{ code: "base", text: "" }]), lora("b", 20, 21)];
  assert.deepEqual(countsOf([...run, ...run, run[0]]), countsOf(run));
});

test("a file in two models is one file, with the layers of both", () => {
  const both = [lora("a", 18, 19), { ...lora("a", 17, 19), side: "low" }, { ...lora("b", 1, 1), side: "low" }];
  assert.deepEqual(countsOf([...both, ...both]), { loras: 2, applied: 36, found: 39, warnings: 0 });
});

test("files are counted in a report of which there is only the text", () => {
  const text =
    "a.safetensors (LoRA, rank 4)\n    unknown, not applied: 1 (x)\nsub/b.safetensors (LoHa)\n    names: kohya";
  assert.equal(titlesIn(text), 2);
  assert.equal(titlesIn("No LoRA: the model is unchanged."), 0);
});

test("an outcome is found by any way to write its file's name", () => {
  const outcome = lora("style\\Café.safetensors", 1, 1);
  assert.deepEqual(outcomesNamed([outcome], ["STYLE/cafe\u0301.safetensors"]), [outcome]);
  assert.deepEqual(outcomesNamed([outcome], ["Café.safetensors"]), []);
  assert.deepEqual(outcomesNamed([outcome], ["old.safetensors", "style/café.safetensors"]), [outcome]);
});

test("a row counts if it is on, named, and solo where any row is", () => {
  const [a, b] = [
    { on: true, name: "a" },
    { on: true, name: "b" },
  ];
  assert.ok(counts(a, [a, b]));
  assert.ok(!counts({ ...a, on: false }, [a, b]));
  assert.ok(!counts({ on: true, name: "" }, [a, b]));
  assert.ok(!counts(a, [a, { ...b, solo: true }]));
  assert.ok(counts({ ...a, solo: true }, [a, b]));
});

test("of several outcomes the worst is shown", () => {
  const [applied, partial, refused] = ["applied", "partial", "refused"].map((state) => ({ state }));
  assert.equal(worst([applied, refused, partial]), refused);
  assert.equal(worst([partial, applied]), partial);
  assert.equal(worst([]), undefined);
});

test("a strength is held against what the file recommends", () => {
  const range = { strength: 0.7, least: 0.6, most: 0.8 };
  assert.equal(against(0.9, range), "above");
  assert.equal(against(0.5, range), "below");
  assert.equal(against(0.8, range), undefined);
  assert.equal(against(1, { strength: 0.7, least: null, most: null }), "above");
  assert.equal(against(0.1, { strength: 0.7, least: null, most: null }), undefined);
  assert.equal(against(5, null), undefined);
});

test("without a choice the words that the file states are chosen", () => {
  const facts = {
    triggers: [
      { word: "ink", count: null },
      { word: "1girl", count: 9 },
    ],
    stated_triggers: ["ink"],
  };
  const chosen = (row) =>
    triggerChoices(row, facts)
      .filter((choice) => choice.chosen)
      .map(({ word }) => word);
  assert.deepEqual(chosen({}), ["ink"]);
  assert.deepEqual(chosen({ triggers: [] }), []);
  assert.deepEqual(chosen({ triggers: ["mine", "1girl"] }), ["1girl", "mine"]);
  assert.equal(triggerChoices({ triggers: ["mine"] }, facts).length, 3);
  assert.deepEqual(triggerChoices({}, null), []);
});

test("a word is chosen and let go again, in the order of choosing", () => {
  assert.deepEqual(withToggled(["a"], "b"), ["a", "b"]);
  assert.deepEqual(withToggled(["a", "b"], "a"), ["b"]);
});

test("text is shown without what turns a line around, and else as it is", () => {
  assert.equal(printable("safe\u202egpj.exe"), "safe\ufffdgpj.exe");
  assert.equal(printable("a\u0000b\nc\u009f"), "a\ufffdb\nc\ufffd");
  assert.equal(printable("\ud800x 😀 <b>"), "\ufffdx 😀 <b>");
});

test("numbers are short", () => {
  assert.equal(sizeText(151_234_567), "151 MB");
  assert.equal(sizeText(9_990_000), "10 MB");
  assert.equal(sizeText(1_500), "1.5 KB");
  assert.equal(sizeText(0), "0 B");
  assert.equal(short(0.30000000000000004), "0.3");
});

test("a file's advice is a strength, or what is nearest to 1 in its range", () => {
  const one = { strength: 0.6, least: 0.4, most: 0.8 };
  assert.equal(advised(one), 0.6);
  assert.equal(advised({ ...one, strength: null }), 0.8);
  assert.equal(advised({ strength: null, least: 1.2, most: null }), 1.2);
  assert.equal(advised({ strength: null, least: 0.5, most: 1.5 }), 1);
  assert.equal(advised({ strength: null, least: null, most: -1 }), -1);
  assert.equal(advised(null), undefined);
  assert.equal(advised(undefined), undefined);
});
