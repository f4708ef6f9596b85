/**
 * A curve as what is drawn and said of it: corners, a range, a sentence. Nothing here knows the page.
 *
 * @typedef {import("./curve.js").Curve} Curve
 * @typedef {import("./curve.js").Point} Point
 * @typedef {[progress: number, strength: number]} Corner
 * @typedef {{ low: number, high: number }} Range of strengths
 */

import { short } from "../page/text.js";
import { SHAPES, strengthAt } from "./curve.js";

const SMOOTH = 24; // straight pieces that look like a curve at the width of a node
const SAID = [0, 0.25, 0.5, 0.75, 1]; // progress

/**
 * @typedef {[share: number, done: number][]} Way from one point to the next, as corners; the next point is among them
 */

/** @param {(share: number) => number} ease @returns {Way} */
const sampled = (ease) => Array.from({ length: SMOOTH + 1 }, (_, index) => [index / SMOOTH, ease(index / SMOOTH)]);

// biome-ignore format: corners are read in pairs
/** @type {Record<string, Way>} */
const WAYS = {
  linear: [[0, 0], [1, 1]],
  constant: [[0, 1], [1, 1]],
  step: [[0, 0], [0.5, 0], [0.5, 1], [1, 1]],
};

/**
 * Returns the whole progress from 0 to 1 as one line. A jump is an upright piece.
 *
 * @param {Curve} curve @returns {Corner[]}
 */
export function outline(curve) {
  const { start, end } = curve;
  /** @type {Corner[]} */
  const line = corners(curve).map(([place, value]) => [start + place * (end - start), value]);
  if (start > 0) line.unshift([0, 0], [start, 0]);
  if (end < 1) line.push([end, 0], [1, 0]);
  return line;
}

/** Returns the least and the greatest strength. 0 is always between them, and they differ. @param {Corner[]} line @returns {Range} */
export function range(line) {
  let [low, high] = [0, 0];
  for (const [, strength] of line) {
    low = Math.min(low, strength);
    high = Math.max(high, strength);
  }
  return { low, high: low === high ? 1 : high };
}

/** Says a curve in words, for people who cannot see it. @param {Curve} curve */
export function describe(curve) {
  const said = SAID.map((progress) => `${short(strengthAt(curve, progress))} at ${100 * progress} %`);
  return `Strength over the sampling: ${said.join(", ")}`;
}

/** @param {Curve} curve @returns {Corner[]} */
function corners({ points, shape }) {
  const way = WAYS[shape] ?? sampled(SHAPES[shape]);
  const edges = [{ ...points[0], place: 0 }, ...points, { ...points[points.length - 1], place: 1 }];
  return edges.slice(1).flatMap((to, index) => piece(edges[index], to, way));
}

/** @param {Point} from @param {Point} to @param {Way} way @returns {Corner[]} */
function piece(from, to, way) {
  return way.map(([share, done]) => [
    from.place + (to.place - from.place) * share,
    from.value + (to.value - from.value) * done,
  ]);
}
