import assert from "node:assert/strict";
import { test } from "node:test";
import { giveLink, takeLink } from "../../web/model/links.js";
import { otherHalf, sideOf } from "../../web/model/pairs.js";
import * as sides from "../../web/model/sides.js";
import { add, duplicate, isLinkName, MOST_ROWS, normalise, readValue, withIdentities } from "../../web/model/value.js";

const PAIRS = [
  ["wan/look_high_noise.safetensors", "wan/look_low_noise.safetensors"],
  ["look-highnoise-v1.safetensors", "look-lownoise-v1.safetensors"],
  ["look high-noise.safetensors", "look low-noise.safetensors"],
  ["high_noise_model.safetensors", "low_noise_model.safetensors"],
  ["Wan2.2-I2V_HighNoise_r64.safetensors", "Wan2.2-I2V_LowNoise_r64.safetensors"],
  ["wan22LookHighNoise.safetensors", "wan22LookLowNoise.safetensors"],
  ["look_high.safetensors", "look_low.safetensors"],
  ["LOOK_HIGH_14B.safetensors", "LOOK_LOW_14B.safetensors"],
  ["lookHigh.safetensors", "lookLow.safetensors"],
  ["wan22HIGH.safetensors", "wan22LOW.safetensors"],
  ["Look_H.safetensors", "Look_L.safetensors"],
  ["look-22-h-e8.safetensors", "look-22-l-e8.safetensors"],
  ["look-hn.safetensors", "look-ln.safetensors"],
  ["wan/high/look.safetensors", "wan/low/look.safetensors"],
  ["wan\\HIGH\\look_high.safetensors", "wan/low/look_low.safetensors"],
  ["high_noise/look_h.safetensors", "low_noise/look_l.safetensors"],
  ["look_high_noise.safetensors", "Look_Low.safetensors"],
];
const OTHERS = ["light.safetensors", "look.safetensors", "other_high.safetensors", "highway_1.safetensors"];

test("the other half is found by every usual spelling, both ways", () => {
  for (const [high, low] of PAIRS) {
    assert.deepEqual([sideOf(high), sideOf(low)], ["high", "low"], high);
    assert.equal(otherHalf(high, [...OTHERS, high, low]), low, high);
    assert.equal(otherHalf(low, [...OTHERS, high, low]), high, low);
  }
});

test("one letter, and a word within a word, say nothing", () => {
  for (const name of [
    "light.safetensors",
    "glow.safetensors",
    "highway.safetensors",
    "slow_hl.safetensors",
    "wanHi.pt",
  ])
    assert.equal(sideOf(name), undefined, name);
  for (const name of ["look_high_low.safetensors", "h_l.safetensors"]) assert.equal(sideOf(name), undefined, name);
});

test("the plainest word counts", () => {
  assert.equal(sideOf("style_l_high_noise.safetensors"), "high");
  assert.equal(otherHalf("style_l_high_noise.pt", ["style_l_low_noise.pt", "style_l_high_noise.pt"]), undefined);
  assert.equal(
    otherHalf("size_s_high_noise.pt", ["size_s_low_noise.pt", "size_m_low_noise.pt"]),
    "size_s_low_noise.pt",
  );
});

test("where two would fit, none is taken", () => {
  const names = ["look_high.pt", "look_low.pt", "look_low_noise.pt"];
  assert.equal(otherHalf("look_high.pt", names), undefined);
  const others = [...names.slice(0, 2), "look_high_noise.pt"];
  for (const name of others) assert.equal(otherHalf(name, others), undefined, name);
});

test("the rest of the name must be the same, the folder too", () => {
  for (const name of ["look_low_v2.pt", "other/look_low.pt", "look2_low.pt", "look.pt", "look_high.pt"])
    assert.equal(otherHalf("look_high.pt", ["look_high.pt", name]), undefined, name);
});

const HASH = "0a".repeat(32);
const row = (name, strength = 1, others = {}) => ({ on: true, name, strength, ...others });
const [HIGH, LOW] = ["look_high.pt", "look_low.pt"];
const PAIR = row(HIGH, 0.8, { hash: HASH, size: 3, noted: HIGH, low: { name: LOW, strength: 0.5, later: 1 } });
const A = row("a");
const frozen = (rows) => Object.freeze(structuredClone(rows).map(Object.freeze));

test("a pair is read, and what of it cannot be is as if it were not there", () => {
  assert.deepEqual(readValue([{ ...PAIR, only: "low" }]).rows, [{ ...PAIR, only: "low" }]);
  const bad = { name: LOW, strength: "much", hash: 1, size: -1, noted: "", later: 1 };
  assert.deepEqual(readValue([{ ...A, low: bad, only: "both" }]).rows, [{ ...A, low: { name: LOW, later: 1 } }]);
  for (const low of [LOW, {}, { name: "" }, { name: 5 }, null, []])
    assert.deepEqual(readValue([{ ...A, low }]).rows, [A], JSON.stringify(low));
  assert.equal(readValue([{ ...A, low: { name: LOW, strength: "0.5" } }]).rows[0].low.strength, 0.5);
});

test("no edit changes the rows that it is given, and all leave other rows the same objects", () => {
  const rows = frozen([A, PAIR, A]);
  const calls = [
    [sides.renameLow, 1, "z"],
    [sides.removeLow, 1],
    [sides.setOnly, 1, "low"],
    [sides.setLowStrength, 1, 2],
    [sides.toggleLowStrength, 1],
    [sides.swap, 1],
    [sides.addHigh, 1, "z"],
  ];
  for (const [edit, ...given] of calls) {
    const after = edit(rows, ...given);
    assert.ok(after[0] === rows[0] && after[2] === rows[2] && after.length === 3, edit.name);
    assert.notDeepEqual(after[1], rows[1], edit.name);
    assert.deepEqual(readValue(after).rows, after, edit.name);
  }
});

test("a file for low noise is set, and what was known of the former is forgotten", () => {
  const [renamed] = sides.renameLow([{ ...PAIR, low: { ...PAIR.low, hash: HASH, size: 1, noted: LOW } }], 0, "z");
  assert.deepEqual(renamed.low, { name: "z", strength: 0.5, later: 1 });
  const [added] = sides.renameLow([A], 0, LOW, { hash: HASH, size: 7 });
  assert.deepEqual(added, { ...A, low: { name: LOW, hash: HASH, size: 7, noted: LOW } });
  assert.deepEqual(sides.removeLow([added], 0), [A]);
  const [before] = sides.addHigh([row(LOW, 0.5, { hash: HASH, size: 1 })], 0, HIGH);
  assert.deepEqual(before, row(HIGH, 0.5, { low: { name: LOW, hash: HASH, size: 1, noted: LOW } }));
});

test("one strength or two", () => {
  const [one] = sides.toggleLowStrength([PAIR], 0);
  assert.equal(one.low.strength, undefined);
  assert.equal(sides.asLow(one).strength, 0.8);
  assert.equal(sides.toggleLowStrength([one], 0)[0].low.strength, 0.8);
  assert.equal(sides.setLowStrength([one], 0, 1e9)[0].low.strength, 100);
});

test("each file is seen by the models that get it", () => {
  assert.deepEqual(sides.asLow(PAIR), { on: true, name: LOW, strength: 0.5, later: 1, only: "low" });
  const cases = [
    [A, ["high", "low"]],
    [{ ...A, only: "low" }, ["low"]],
    [{ ...A, only: "high" }, ["high"]],
    [PAIR, ["high"]],
    [sides.asLow(PAIR), ["low"]],
  ];
  for (const [each, models] of cases) assert.deepEqual(sides.sidesOf(each), models);
});

test("swapped twice, a pair is as it was", () => {
  const [once] = sides.swap([PAIR], 0);
  assert.deepEqual([once.name, once.strength, once.hash], [LOW, 0.5, undefined]);
  assert.deepEqual(once.low, { name: HIGH, strength: 0.8, hash: HASH, size: 3, noted: HIGH, later: 1 });
  assert.deepEqual(sides.swap([once], 0), [PAIR]);
  const single = sides.swap([{ ...PAIR, low: { name: LOW } }], 0)[0];
  assert.deepEqual([single.strength, single.low.strength], [0.8, undefined]);
  assert.deepEqual(sides.swap([A], 0), [A]);
});

test("split and joined, a pair is as it was", () => {
  const pair = { ...PAIR, low: { name: LOW, strength: 0.5 }, triggers: ["ink"], blocks: "late: 0", note: "mine" };
  const two = sides.split([A, pair], 1);
  assert.deepEqual(
    two.map(({ name, strength, only }) => [name, strength, only]),
    [
      ["a", 1, undefined],
      [HIGH, 0.8, "high"],
      [LOW, 0.5, "low"],
    ],
  );
  for (const index of [1, 2]) assert.deepEqual(sides.join(two, index), [A, pair]);
  assert.deepEqual(sides.split([A], 0), [A]);
});

test("words that the user has taken away stay away in a pair", () => {
  const [pair] = sides.join([row(HIGH, 1, { triggers: [] }), row(LOW, 1, { triggers: [] })], 0);
  assert.deepEqual(pair.triggers, []);
});

test("a file that is added counts, and what did not count is off after a split", () => {
  assert.equal(sides.renameLow([{ ...A, only: "high" }], 0, LOW)[0].only, undefined);
  assert.equal(sides.addHigh([row(LOW, 1, { only: "low" })], 0, HIGH)[0].only, undefined);
  assert.equal(sides.renameLow([{ ...PAIR, only: "high" }], 0, LOW)[0].only, "high");
  for (const only of ["high", "low"])
    assert.deepEqual(
      sides.split([{ ...PAIR, only }], 0).map((each) => each.on),
      [only === "high", only === "low"],
    );
  const full = [PAIR, ...new Array(MOST_ROWS - 1).fill(A)];
  assert.equal(sides.split(full, 0), full);
});

test("the low-noise file has the row's text strength, unless it has a strength of its own", () => {
  const pair = { ...PAIR, strength_clip: 0.2 };
  assert.equal(sides.asLow(pair).strength_clip, undefined);
  assert.equal(sides.asLow({ ...pair, low: { name: LOW } }).strength_clip, 0.2);
});

test("the same file, chosen again before its hash is known, keeps it", () => {
  const low = { name: LOW, hash: HASH, size: 1, noted: LOW };
  assert.deepEqual(sides.renameLow([{ ...A, low }], 0, LOW)[0].low, low);
});

test("two rows are joined where the first of them stands", () => {
  const rows = [row(LOW, 0.5, { note: "n", triggers: [] }), A, row(HIGH, 0.5, { triggers: ["x"] })];
  const pair = { on: true, name: HIGH, strength: 0.5, triggers: ["x"], note: "n", low: { name: LOW } };
  for (const index of [0, 2]) assert.deepEqual(sides.join(rows, index), [pair, A]);
});

test("rows that are no halves, or would lose something, are not joined", () => {
  const others = [row("look_low_v2.pt"), row(LOW, 1, { blocks: "late: 0" }), row(LOW, 1, { low: { name: "x" } })];
  for (const other of others) assert.deepEqual(sides.join([row(HIGH), other], 0), [row(HIGH), other]);
  const apart = { strength_clip: 0.5 };
  const losing = [{ on: false }, { solo: true }, { triggers: ["x"] }, apart];
  for (const own of losing) assert.equal(sides.halfIn([row(HIGH), row(LOW, 1, own)], 0), -1, JSON.stringify(own));
  assert.equal(sides.halfIn([row(HIGH, 0.8, apart), row(LOW, 1, apart)], 0), -1);
  assert.equal(sides.halfIn([row(HIGH, 1, apart), row(LOW, 1, apart)], 0), 1);
  assert.equal(sides.halfIn([row(HIGH), row(LOW), row(LOW)], 0), -1);
  assert.equal(sides.halfIn([row(HIGH), row("")], 1), -1);
});

test("normalising keeps the ratio of the two strengths, and hashes of both files are noted", () => {
  assert.equal(normalise([PAIR, { ...A, strength: 3.2 }])[0].low.strength, 0.125);
  const [known] = withIdentities([{ ...PAIR, hash: undefined }], (name) => ({ hash: HASH, size: name.length }));
  assert.deepEqual([known.size, known.low.size, known.low.noted], [HIGH.length, LOW.length, LOW]);
  assert.deepEqual(withIdentities([A], () => undefined)[0], A);
});

test("strengths add up to one without those that come by a link", () => {
  const rows = [
    { ...A, strength: 4 },
    { ...A, strength: 3, link: "strength_1" },
  ];
  assert.deepEqual(
    normalise(rows).map(({ strength }) => strength),
    [1, 3],
  );
});

test("a row gets the smallest free input for its strength, and gives it back", () => {
  const rows = frozen([{ ...A, link: "strength_2" }, A, { ...A, link: "strength_1" }]);
  const given = giveLink(rows, 1);
  assert.equal(given[1].link, "strength_3");
  assert.ok(given[0] === rows[0] && given[2] === rows[2]);
  assert.deepEqual(takeLink(given, 1), rows);
  assert.equal(giveLink(takeLink(given, 2), 2)[2].link, "strength_1");
  assert.deepEqual(readValue(given).rows, given);
  for (const link of ["strength_0", "strength_1000", "model", "", 1])
    assert.deepEqual([isLinkName(String(link)), readValue([{ ...A, link }]).rows], [false, [A]]);
});

test("an input belongs to one row: copies and rows from elsewhere have none", () => {
  const linked = { ...A, link: "strength_1" };
  assert.deepEqual(duplicate([linked], 0), [linked, A]);
  assert.deepEqual(add([linked], linked), [linked, A]);
});

test("both files of a pair follow the link, unless one has a strength of its own", () => {
  const linked = { ...PAIR, link: "strength_1" };
  assert.equal(sides.asLow({ ...linked, low: { name: LOW } }).link, "strength_1");
  assert.equal(sides.asLow(linked).link, undefined);
  const two = sides.split([{ ...linked, low: { name: LOW } }], 0);
  assert.deepEqual(
    two.map(({ link }) => link),
    ["strength_1", "strength_1"],
  );
  assert.equal(sides.join(two, 1)[0].link, "strength_1");
  assert.equal(sides.halfIn([{ ...row(HIGH), link: "strength_1" }, row(LOW)], 0), -1);
});
