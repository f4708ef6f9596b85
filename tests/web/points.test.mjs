// What becomes of the points of a curve when they are moved, and the text that they make. Run by test_web_js.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { parseCurve, strengthAt } from "../../web/curve/curve.js";
import {
  added,
  addedAfter,
  MOST_HANDLES,
  moved,
  removed,
  snapped,
  WAYS,
  withWay,
  written,
} from "../../web/curve/points.js";

const vectors = JSON.parse(readFileSync(new URL("../data/curves.json", import.meta.url), "utf8"));
const pointsOf = (text) => parseCurve(text).points;
const textOf = (points) => written(points, "linear");

for (const { text, start, end } of vectors.good)
  test(`written again, it means the same: ${JSON.stringify(text.slice(0, 60))}`, () => {
    const { points, shape } = parseCurve(text, start, end);
    const again = parseCurve(written(points, shape), start, end);
    const positive = points.map(({ place, value }) => ({ place: place || 0, value: value || 0 })); // no -0
    assert.deepEqual(again, { points: positive, shape, start, end });
  });

test("points that are not moved keep their digits", () => {
  const points = pointsOf("0.123456789:0.987654321, 0.5:1e-7, 1:2");
  assert.equal(textOf(moved(points, 2, { place: 1, value: 0.5 })), "0.123456789:0.987654321, 0.5:1e-7, 1:0.5");
});

test("a point goes no further than its neighbours", () => {
  const points = pointsOf("0:0, 0.4:1, 0.6:0");
  const at = (place) => textOf(moved(points, 1, { place, value: 1 }));
  assert.equal(at(0.9), "0:0, 0.6:1, 0.6:0");
  assert.equal(at(-3), "0:0, 0:1, 0.6:0");
  assert.equal(textOf(moved(points, 2, { place: 7, value: -2000 })), "0:0, 0.4:1, 1:-1000");
});

test("three points are never at one place", () => {
  const points = pointsOf("0.5:0, 0.5:1, 0.8:0, 1:0, 1:1");
  assert.equal(moved(points, 2, { place: 0.1, value: 0 })[2].place, 0.501);
  assert.equal(moved(points, 2, { place: 1, value: 0 })[2].place, 0.999);
  const tight = pointsOf("0.5:0, 0.5:1, 0.5005:0, 0.501:0, 0.501:1");
  assert.equal(moved(tight, 2, { place: 0.7, value: 0.3 })[2].place, 0.5005);
});

test("what is moved or added at random is always a curve", () => {
  let seed = 7;
  const random = () => {
    seed = (seed * 16807) % 2147483647;
    return seed / 2147483647;
  };
  let points = pointsOf("0:0, 0.5:0, 0.5:1, 1:1");
  for (let turn = 0; turn < 2000; turn += 1) {
    const to = { place: snapped(random() * 1.4 - 0.2, 0.1), value: snapped(random() * 4 - 2, 0.05) };
    const at = Math.floor(random() * points.length);
    points = moved(points, at, to);
    if (turn % 3 === 0) points = added(points, to)?.points ?? points;
    if (points.length > 6 || turn % 7 === 0) points = [...removed(points, at)];
    assert.deepEqual(parseCurve(textOf(points)).points, points);
  }
});

test("a point is added where it belongs, and not beside two at its place", () => {
  const change = added(pointsOf("0:0, 1:1"), { place: 0.25, value: 2 });
  assert.deepEqual([textOf(change.points), change.at], ["0:0, 0.25:2, 1:1", 1]);
  const jump = added(pointsOf("0:0, 0.5:0, 0.5:1, 1:1"), { place: 0.5, value: 0.5 });
  assert.equal(textOf(jump.points), "0:0, 0.5:0, 0.5:1, 0.501:0.5, 1:1");
});

test("no more points are added than can be shown", () => {
  const many = Array.from({ length: MOST_HANDLES }, (_, at) => ({ place: at / MOST_HANDLES, value: 0 }));
  assert.equal(added(many, { place: 0.5, value: 1 }), null);
});

test("a point after another one is on the line", () => {
  const curve = parseCurve("0:0, 1:1 ease-in");
  const change = addedAfter(curve, 0);
  assert.equal(textOf(change.points), "0:0, 0.5:0.25, 1:1");
  assert.equal(strengthAt(curve, 0.5), 0.25);
  assert.equal(textOf(addedAfter(parseCurve("0.2:0.7"), 0).points), "0.2:0.7, 0.6:0.7");
});

test("the last point stays", () => {
  assert.equal(textOf(removed(pointsOf("0:0, 1:1"), 0)), "1:1");
  assert.equal(textOf(removed(pointsOf("1:1"), 0)), "1:1");
});

test("another way keeps the points, and a text without points has none", () => {
  assert.equal(withWay("cosine", pointsOf("cosine"), "step"), "step");
  assert.equal(withWay("0:1, 1:0 cosine", pointsOf("0:1, 1:0"), "linear"), "0:1, 1:0");
  for (const way of WAYS) assert.equal(parseCurve(withWay("0:1, 1:0", pointsOf("0:1, 1:0"), way)).shape, way);
});

test("steps leave no traces of binary numbers", () => {
  assert.equal(snapped(0.1 + 0.2, 0.05), 0.3);
  assert.ok(Object.is(snapped(-0.01, 0.05), 0));
});
