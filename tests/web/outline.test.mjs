// What is drawn and said of the curves in tests/data/curves.json. Run by test_web_js.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { parseCurve, strengthAt } from "../../web/curve/curve.js";
import { describe, outline, range } from "../../web/curve/outline.js";

const vectors = JSON.parse(readFileSync(new URL("../data/curves.json", import.meta.url), "utf8"));

const drawn = (text, start = 0, end = 1) => outline(parseCurve(text, start, end));

/** The strength of a line in the middle of one of its pieces. */
const middle = ([from, to]) => [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];

for (const { text, start, end } of vectors.good)
  test(`is drawn as it is: ${JSON.stringify(text.slice(0, 60))} ${start}–${end}`, () => {
    const curve = parseCurve(text, start, end);
    const { low, high } = range(outline(curve));
    const thick = (high - low) * 0.002; // far less than the line that is drawn
    const line = outline(curve);
    assert.deepEqual([line[0][0], line.at(-1)[0]], [0, 1]);
    line.slice(1).forEach((to, index) => {
      const from = line[index];
      assert.ok(from[0] <= to[0] + 1e-12);
      if (to[0] - from[0] < 1e-9) return; // upright
      const [progress, strength] = middle([from, to]);
      assert.ok(Math.abs(strength - strengthAt(curve, progress)) < thick, `at ${progress}`);
    });
  });

test("a jump is upright", () => {
  assert.deepEqual(
    drawn("0:1, 0.5:1, 0.5:0, 1:0").filter(([progress]) => progress === 0.5),
    [
      [0.5, 1],
      [0.5, 1],
      [0.5, 0],
      [0.5, 0],
    ],
  );
});

test("a window has upright edges, and 0 around it", () => {
  const line = drawn("constant", 0.25, 0.75);
  assert.deepEqual(line.slice(0, 2), [
    [0, 0],
    [0.25, 0],
  ]);
  assert.deepEqual(line.slice(-2), [
    [0.75, 0],
    [1, 0],
  ]);
});

test("the range has 0 in it, and a height", () => {
  assert.deepEqual(range(drawn("0:2, 1:3")), { low: 0, high: 3 });
  assert.deepEqual(range(drawn("0:-2, 1:-3")), { low: -3, high: 0 });
  assert.deepEqual(range(drawn("0:0")), { low: 0, high: 1 });
});

test("it is said in words", () => {
  const said = describe(parseCurve("0:1, 1:-0.12345", 0, 0.8));
  assert.equal(said, "Strength over the sampling: 1 at 0 %, 0.649 at 25 %, 0.298 at 50 %, -0.0532 at 75 %, 0 at 100 %");
});
