// What curve.js makes of the texts in tests/data/curves.json. Run by test_web_js.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { CurveError, parseCurve, strengthAt } from "../../web/curve/curve.js";

const vectors = JSON.parse(readFileSync(new URL("../data/curves.json", import.meta.url), "utf8"));

const name = ({ text, start, end }) => `${JSON.stringify(text.slice(0, 60))} ${start}–${end}`;

for (const { at, ...given } of vectors.good)
  test(`means what it should: ${name(given)}`, () => {
    const curve = parseCurve(given.text, given.start, given.end);
    for (const [progress, expected] of at) {
      const found = strengthAt(curve, progress);
      assert.ok(Math.abs(found - expected) < 1e-9, `${found} at ${progress}, not ${expected}`);
    }
  });

for (const given of vectors.bad)
  test(`is refused: ${name(given)}`, () => {
    assert.throws(() => parseCurve(given.text, given.start, given.end), CurveError);
  });
