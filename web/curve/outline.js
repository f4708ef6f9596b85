/**
 * A curve as what is drawn and said of it: corners, a range, a sentence. Nothing here knows the page.
 *
 * @typedef {import("./curve.js").Curve} Curve
 * @typedef {[progress: number, strength: number]} Corner
 */

import { SHAPES, strengthAt } from "./curve.js";

const SMOOTH = 24; // straight pieces that look like a curve at the width of a node
const SAID = [0, 0.25, 0.5, 0.75, 1]; // progress

const sampled = (ease) => Array.from({ length: SMOOTH + 1 }, (_, index) => [index / SMOOTH, ease(index / SMOOTH)]);

/** The way from one point to the next as corners, the next point among them. */
const WAYS = {
  linear: [
    [0, 0],
    [1, 1],
  ],
  constant: [
    [0, 1],
    [1, 1],
  ],
  step: [
    [0, 0],
    [0.5, 0],
    [0.5, 1],
    [1, 1],
  ],
};

/** The whole progress from 0 to 1 as one line; a jump is an upright piece. @returns {Corner[]} */
export function outline(curve) {
  const { start, end } = curve;
  const inside = corners(curve).map(([place, value]) => [start + place * (end - start), value]);
  const before =
    start > 0
      ? [
          [0, 0],
          [start, 0],
        ]
      : [];
  const after =
    end < 1
      ? [
          [end, 0],
          [1, 0],
        ]
      : [];
  return [...before, ...inside, ...after];
}

/** The least and the greatest strength; 0 is always between them, and they differ. */
export function range(line) {
  const [low, high] = line.reduce(
    ([least, most], [, value]) => [Math.min(least, value), Math.max(most, value)],
    [0, 0],
  );
  return { low, high: low === high ? 1 : high };
}

/** A curve in words, for those who cannot see it. @param {Curve} curve */
export function describe(curve) {
  const said = SAID.map((progress) => `${short(strengthAt(curve, progress))} at ${100 * progress} %`);
  return `Strength over the sampling: ${said.join(", ")}`;
}

/** A strength with as many digits as there is room for. */
export const short = (strength) => String(Number(strength.toPrecision(3)));

/** @param {Curve} curve @returns {Corner[]} */
function corners({ points, shape }) {
  const way = WAYS[shape] ?? sampled(SHAPES[shape]);
  const edges = [{ ...points[0], place: 0 }, ...points, { ...points.at(-1), place: 1 }];
  return edges.slice(1).flatMap((to, index) => piece(edges[index], to, way));
}

function piece(from, to, way) {
  return way.map(([share, done]) => [
    from.place + (to.place - from.place) * share,
    from.value + (to.value - from.value) * done,
  ]);
}
