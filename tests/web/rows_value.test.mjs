import assert from "node:assert/strict";
import { test } from "node:test";

import * as edits from "../../web/model/value.js";

const row = (name, strength = 1, others = {}) => ({ on: true, name, strength, ...others });
const [A, B, C] = [row("a"), row("b", 0.5), row("c", -2)];
const frozen = (rows) => Object.freeze(rows.map(Object.freeze));

test("a value is read from every form in which it is stored", () => {
  const stored = { version: 1, rows: [row("a")] };
  for (const form of [stored, JSON.stringify(stored), [row("a")], { __value__: [row("a")] }, { __value__: stored }])
    assert.deepEqual(edits.readValue(form), stored);
});

test("nonsense is no rows", () => {
  for (const nonsense of [null, undefined, 7, "", "{", "[", '"\\"x\\""', {}, { rows: 3 }, { rows: [null, 4, "x", []] }])
    assert.deepEqual(edits.readValue(nonsense), { version: 1, rows: [] }, JSON.stringify(nonsense));
});

test("keys that are not ours stay, on rows and above them, and so does a later version", () => {
  const stored = { version: 3, theirs: { x: 1 }, rows: [row("a", 1, { weather: ["rain"] })] };
  assert.deepEqual(edits.readValue(stored), stored);
});

test("keys of ours with values that cannot be are as if they were not there", () => {
  const bad = {
    solo: 1,
    hash: 3,
    size: -1,
    noted: "",
    note: 5,
    triggers: "x",
    strength_clip: "much",
    blocks: 0,
    weather: 1,
  };
  assert.deepEqual(edits.readValue([row("a", 1, bad)]).rows, [row("a", 1, { weather: 1 })]);
});

test("strengths are read from text, held in range, and rounded", () => {
  const read = (strength) => edits.readValue([{ name: "a", strength }]).rows[0].strength;
  assert.deepEqual(
    ["0.8", 0.1 + 0.2, 1e9, -1e9, NaN, null, "", "x", -0].map(read),
    [0.8, 0.3, 100, -100, 1, 1, 1, 1, 0],
  );
});

test("a strength is typed with a point or a comma, with a sign or without", () => {
  const typed = [" 0.8 ", ".8", "0,8", "+1", "-1.25", "−2", "1.", "500"];
  assert.deepEqual(typed.map(edits.parseStrength), [0.8, 0.8, 0.8, 1, -1.25, -2, 1, 100]);
  for (const text of ["", "x", "1e3", "1.2.3", "--1", "0x10", "Infinity"])
    assert.equal(edits.parseStrength(text), null);
});

test("no edit changes the rows that it is given, and all leave other rows the same objects", () => {
  const rows = frozen([A, B, C]);
  const calls = [
    [edits.setOn, 1, false],
    [edits.setStrength, 1, "strength", 2],
    [edits.toggleSolo, 1],
    [edits.toggleTextStrength, 1],
    [edits.setNote, 1, "x"],
    [edits.setBlocks, 1, "mid: 0"],
    [edits.rename, 1, "z"],
  ];
  for (const [edit, ...given] of calls) {
    const after = edit(rows, ...given);
    assert.ok(after[0] === A && after[2] === C && after[1] !== B && after.length === 3, edit.name);
  }
});

test("rows are added at the end, up to the most that there may be", () => {
  assert.deepEqual(edits.add([A], B, C), [A, B, C]);
  const full = Array.from({ length: edits.MOST_ROWS - 1 }, () => A);
  assert.equal(edits.add(full, B, C).length, edits.MOST_ROWS);
  assert.equal(edits.duplicate(edits.add(full, B), 0).length, edits.MOST_ROWS);
});

test("a duplicate stands below its row and is a row of its own", () => {
  const after = edits.duplicate([row("a", 1, { triggers: ["x"] }), B], 0);
  assert.deepEqual(
    after.map(({ name }) => name),
    ["a", "a", "b"],
  );
  assert.notEqual(after[0].triggers, after[1].triggers);
});

test("a row moves to where it is put, and not out of the list", () => {
  const names = (rows) => rows.map(({ name }) => name).join("");
  const moves = [
    [0, 2, "bca"],
    [2, 0, "cab"],
    [1, 0, "bac"],
    [0, 1, "bac"],
    [0, 9, "bca"],
    [2, -9, "cab"],
    [1, 1, "abc"],
  ];
  for (const [from, to, expected] of moves) assert.equal(names(edits.move([A, B, C], from, to)), expected);
});

test("all on and all off touch only those that are not", () => {
  const rows = [A, { ...B, on: false }];
  assert.equal(edits.setAllOn(rows, true)[0], A);
  assert.deepEqual(
    edits.setAllOn(rows, true).map(({ on }) => on),
    [true, true],
  );
  assert.equal(edits.allOn(rows), false);
});

test("solo silences rows without it, but not those that are off, nor those without a file", () => {
  const rows = [A, { ...B, solo: true }, { ...C, on: false, solo: true }, row("", 1, { solo: true })];
  assert.deepEqual(edits.activeRows(rows), [rows[1]]);
  assert.deepEqual(edits.activeRows([A, { ...B, on: false }]), [A]);
  assert.equal("solo" in edits.toggleSolo([{ ...A, solo: true }], 0)[0], false);
});

test("text strength begins with that of the model, and goes without a trace", () => {
  const apart = edits.toggleTextStrength([B], 0);
  assert.equal(apart[0].strength_clip, 0.5);
  assert.deepEqual(edits.toggleTextStrength(apart, 0), [B]);
});

test("block weights are kept as they are written, and go without a trace", () => {
  const weighted = edits.setBlocks([A, B], 1, " double 0-6: 0\n\nMIDD ");
  assert.deepEqual(weighted, [A, { ...B, blocks: "double 0-6: 0\n\nMIDD" }]);
  assert.equal(edits.setBlocks(weighted, 1, weighted[1].blocks), weighted);
  assert.deepEqual(edits.setBlocks(weighted, 1, " "), [A, B]);
  assert.deepEqual(edits.readValue(weighted).rows, weighted);
  assert.deepEqual(edits.readValue([{ ...A, blocks: "" }]).rows, [A]);
  assert.deepEqual(edits.forPrompt({ version: 1, rows: weighted }).rows, weighted);
});

test("another file takes nothing along that was said of the former", () => {
  const before = [
    row("a", 0.7, { strength_clip: 0, hash: "h", size: 3, triggers: ["x"], note: "n", blocks: "MIDD", weather: 1 }),
  ];
  const kept = row("b", 0.7, { strength_clip: 0, note: "n", blocks: "MIDD", weather: 1 });
  assert.deepEqual(edits.rename(before, 0, "b"), [kept]);
  assert.deepEqual(edits.rename(before, 0, "b", { hash: "g", size: 4 }), [{ ...kept, hash: "g", size: 4, noted: "b" }]);
});

test("the same file at another place keeps what was said of it", () => {
  const before = [row("a", 0.7, { hash: "h", size: 3, triggers: ["x"] })];
  assert.deepEqual(edits.rename(before, 0, "b", { hash: "h", size: 3 }), [{ ...before[0], name: "b", noted: "b" }]);
});

test("hash and size speak for the name they were noted for, in any spelling, and in older rows for any", () => {
  const known = { hash: "h", size: 3 };
  assert.deepEqual(edits.withName("a", known), { ...known, noted: "a" });
  assert.deepEqual(edits.withName("a"), {});
  assert.deepEqual(edits.identityOf(row("s/a", 1, { ...known, noted: "S\\A" })), known);
  assert.deepEqual(edits.identityOf(row("a", 1, known)), known);
  assert.deepEqual(edits.identityOf(row("b", 1, { ...known, noted: "a" })), {});
  assert.deepEqual(edits.identityOf(row("b", 1)), {});
});

test("what was noted for another name is no reason to take a file for the same", () => {
  const before = [row("b", 1, { hash: "h", size: 3, noted: "a", triggers: ["x"] })];
  assert.deepEqual(edits.rename(before, 0, "c", { hash: "h", size: 3 }), [
    row("c", 1, { hash: "h", size: 3, noted: "c" }),
  ]);
  assert.deepEqual(edits.withIdentities(before, () => ({ hash: "g", size: 4 }))[0].noted, "b");
});

test("normalised strengths add up to one, with signs, ratios and silent rows as they were", () => {
  const rows = [row("a", 3, { strength_clip: 1.5 }), row("b", -1), { ...row("c", 9), on: false }];
  const after = edits.normalise(rows);
  assert.deepEqual(
    after.map(({ strength }) => strength),
    [0.75, -0.25, 9],
  );
  assert.equal(after[0].strength_clip, 0.375);
  assert.deepEqual(edits.normalise([row("a", 0)]), [row("a", 0)]);
});

test("a row is multiplied with all the strengths it has", () => {
  const scaled = (strength, others, ...factors) => edits.scaled(row("a", strength, others), ...factors);
  assert.deepEqual(scaled(2, {}, 0.5), row("a", 1));
  assert.deepEqual(scaled(2, {}, 0.5, 0.25), row("a", 1, { strength_clip: 0.5 }));
  assert.deepEqual(scaled(2, { strength_clip: 4 }, 1, 0.5), row("a", 2, { strength_clip: 2 }));
  assert.deepEqual(
    scaled(2, { low: { name: "b", strength: 3 } }, 60, 60),
    row("a", 120, { low: { name: "b", strength: 180 } }),
  );
  assert.deepEqual(scaled(2, { low: { name: "b" } }, 0.5), row("a", 1, { low: { name: "b" } }));
});

test("solo rows silence others of their own list, and none of another", () => {
  const rows = [row("a", 1, { solo: true }), row("b"), { ...row("c", 1, { solo: true }), on: false }];
  assert.deepEqual(edits.withoutSolo(rows), [row("a"), { ...row("b"), on: false }, { ...row("c"), on: false }]);
  const others = [row("a"), row("b")];
  assert.equal(edits.withoutSolo(others), others);
});

test("a run gets all but the notes", () => {
  const value = { version: 1, kept: 1, rows: [row("a", 1, { note: "n", mine: [1] }), row("b")] };
  assert.deepEqual(edits.forPrompt(value), { version: 1, kept: 1, rows: [row("a", 1, { mine: [1] }), row("b")] });
  assert.equal(value.rows[0].note, "n");
});

test("rows without a hash get what is known, others keep theirs", () => {
  const known = (name) => (name === "a" ? { hash: "new", size: 1 } : undefined);
  const rows = [row("a"), row("a", 1, { hash: "old", size: 2 }), row("b")];
  const after = edits.withIdentities(rows, known);
  assert.deepEqual(
    after.map(({ hash }) => hash),
    ["new", "old", undefined],
  );
  assert.equal(after[2], rows[2]);
});
