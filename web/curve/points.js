/**
 * The points of a curve as a person moves them, and the text that they make. Nothing here knows the page.
 *
 * @typedef {import("./curve.js").Point} Point
 * @typedef {import("./outline.js").Range} Range
 */

import { LARGEST_VALUE, SHAPES, strengthAt } from "./curve.js";

/** More would stand so close that no one could take hold of them: such a curve is drawn, and its text stays. */
export const MOST_HANDLES = 40;

/** What a drag or an arrow key changes at least. @type {Point} */
export const STEP = { place: 0.01, value: 0.05 };

const FINEST = 0.001; // between points that cannot be at one place
const DIGITS = 6; // what is left of 0.1 + 0.2

/** The ways from one point to the next. */
export const WAYS = Object.keys(SHAPES);

/** Writes a curve, with all digits that its text had. @param {readonly Point[]} points @param {string} shape */
export function written(points, shape) {
  const text = points.map(({ place, value }) => `${place}:${value}`).join(", ");
  return shape === "linear" ? text : `${text} ${shape}`;
}

/** Writes a curve with another way between its points. A text without points stays one. @param {string} text */
export const withWay = (text, /** @type {readonly Point[]} */ points, /** @type {string} */ way) =>
  text.includes(":") ? written(points, way) : way;

/**
 * Moves a point as far as its neighbours let it. It can meet one of them, which makes a jump, but not two.
 *
 * @param {readonly Point[]} points @param {number} at which one @param {Point} to
 */
export function moved(points, at, to) {
  const { least, most } = room(points, at);
  const place = least > most ? points[at].place : tidy(Math.min(most, Math.max(least, to.place)));
  const value = tidy(Math.min(LARGEST_VALUE, Math.max(-LARGEST_VALUE, to.value)));
  return points.map((point, each) => (each === at ? { place, value } : point));
}

/** @param {readonly Point[]} points @param {number} at */
function room(points, at) {
  const beside = (/** @type {number} */ way, /** @type {number} */ end) => {
    const [next, second] = [points[at + way]?.place, points[at + 2 * way]?.place];
    return next === undefined ? end : next === second ? next - way * FINEST : next;
  };
  return { least: beside(-1, 0), most: beside(1, 1) };
}

/**
 * Adds a point.
 *
 * @param {readonly Point[]} points @param {Point} point
 * @returns {{ points: Point[], at: number } | null} null where there is no room for one
 */
export function added(points, { place, value }) {
  const found = points.findIndex((each) => each.place > place);
  const at = found < 0 ? points.length : found;
  const all = [...points.slice(0, at), { place, value }, ...points.slice(at)];
  const { least, most } = room(all, at);
  return points.length < MOST_HANDLES && least <= most ? { points: moved(all, at, { place, value }), at } : null;
}

/**
 * Adds a point half way to the next one, on the line.
 *
 * @param {import("./curve.js").Curve} curve @param {number} at after which point
 */
export function addedAfter({ points, shape }, at) {
  const here = points[at].place;
  const next = points[at + 1]?.place ?? 1;
  const place = tidy((here + next) / 2);
  const value = strengthAt({ points, shape, start: 0, end: 1 }, place);
  return added(points, { place, value: tidy(value) });
}

/** Removes a point, but not the last one. @param {readonly Point[]} points @param {number} at */
export const removed = (points, at) => (points.length > 1 ? points.filter((_, each) => each !== at) : points);

/** Returns the nearest value that can be reached in steps. @param {number} value @param {number} step */
export const snapped = (value, step) => tidy(Math.round(value / step) * step);

/** Returns what both ranges are in. @param {Range} a @param {Range} b */
export const around = (a, b) => ({ low: Math.min(a.low, b.low), high: Math.max(a.high, b.high) });

/** @param {number} value */
const tidy = (value) => Number(value.toFixed(DIGITS)) || 0; // never -0
