/**
 * Curves: a strength over the progress of sampling, as a text that a person can type.
 *
 *     0:0, 0.3:1, 1:0.5          points, joined by straight lines
 *     cosine                     a named shape from 0 to 1
 *     0:1, 1:0 ease-out          points, joined by a named shape
 *
 * lora_core/algebra/curve.py is the same in Python; tests/data/curves.json holds both to each other.
 *
 * @typedef {{ place: number, value: number }} Point its place within the window, from 0 to 1
 * @typedef {{ points: Point[], shape: string, start: number, end: number }} Curve
 */

const MOST_POINTS = 1000;
export const LARGEST_VALUE = 1000;

/**
 * How much of the way from one point to the next is done at a share t of the distance.
 *
 * @type {Record<string, (t: number) => number>}
 */
export const SHAPES = {
  linear: (t) => t,
  cosine: (t) => (1 - Math.cos(Math.PI * t)) / 2,
  "ease-in": (t) => t * t,
  "ease-out": (t) => 1 - (1 - t) * (1 - t),
  constant: () => 1,
  step: (t) => (t < 0.5 ? 0 : 1),
};

/** The points of a shape that is named without any. @type {Point[]} */
const RAMP = [
  { place: 0, value: 0 },
  { place: 1, value: 1 },
];

// Python and JavaScript mean different characters by \s, so these are named
export const BLANK = "[ \\t\\n\\r\\f\\v]";
export const NUMBER = "([+-]?(?:\\d{1,40}(?:\\.\\d{0,40})?|\\.\\d{1,40})(?:[eE][+-]?\\d{1,3})?)";
const ENDS = "(?=[ \\t\\n\\r\\f\\v,;]|$)";
const GAP = /[ \t\n\r\f\v,;]*/y;
const POINT = new RegExp(`${NUMBER}${BLANK}*:${BLANK}*${NUMBER}${ENDS}`, "y");
const SHAPE = new RegExp(`[a-zA-Z]+(?:[-_][a-zA-Z]+)?${ENDS}`, "y");

const SHOWN = 20; // characters of a text that is not understood

/** What is wrong in a text or a window, as a sentence for the person who typed it. */
export class CurveError extends Error {}

/** @typedef {{ text: string, at: number }} Reader a text, and how far it is read */

/**
 * Reads the curve that is written as `text`, and spreads it over a window of the progress.
 *
 * @param {string} text @param {number} start @param {number} end
 * @returns {Curve} @throws {CurveError}
 */
export function parseCurve(text, start = 0, end = 1) {
  checkWindow(start, end);
  const reader = { text, at: 0 };
  take(reader, GAP);
  const points = readPoints(reader);
  const shape = readShape(reader);
  if (reader.at < text.length) refuse(`"${rest(reader)}" is neither a point nor a shape. ${help()}`);
  if (!points.length && !shape) refuse(`There is nothing in it. ${help()}`);
  return { points: points.length ? points : RAMP, shape: shape ?? "linear", start, end };
}

/**
 * Returns the strength at a progress from 0 to 1. Outside of the window it is 0.
 *
 * @param {Curve} curve @param {number} progress
 */
export function strengthAt({ points, shape, start, end }, progress) {
  if (progress < start || (progress >= end && end < 1)) return 0;
  const place = (progress - start) / (end - start);
  const next = points.findIndex((point) => point.place > place);
  if (next === 0) return points[0].value;
  if (next < 0) return points[points.length - 1].value;
  const [from, to] = [points[next - 1], points[next]];
  const share = (place - from.place) / (to.place - from.place);
  return from.value + (to.value - from.value) * SHAPES[shape](share);
}

/** @param {Reader} reader @returns {Point[]} */
function readPoints(reader) {
  /** @type {Point[]} */
  const points = [];
  for (let found = take(reader, POINT); found; found = take(reader, POINT)) {
    points.push({ place: Number(found[1]), value: Number(found[2]) });
    checkLast(points);
    take(reader, GAP);
  }
  return points;
}

/** @param {Reader} reader @returns {string | undefined} */
function readShape(reader) {
  const found = take(reader, SHAPE);
  if (!found) return undefined;
  const name = found[0].toLowerCase().replace("_", "-");
  if (!Object.hasOwn(SHAPES, name))
    refuse(`There is no shape "${name.slice(0, SHOWN)}", only ${Object.keys(SHAPES).join(", ")}.`);
  take(reader, GAP);
  return name;
}

/** Takes what a pattern finds at the reader's place. @param {Reader} reader @param {RegExp} pattern sticky */
function take(reader, pattern) {
  pattern.lastIndex = reader.at;
  const found = pattern.exec(reader.text);
  if (found) reader.at = pattern.lastIndex;
  return found;
}

/** Refuses the last point where it cannot follow those before. @param {Point[]} points */
function checkLast(points) {
  const number = points.length;
  const { place, value } = points[number - 1];
  if (!(place >= 0 && place <= 1))
    refuse(`Point ${number} is at ${place}. Places are from 0 to 1, the end of the schedule.`);
  if (Math.abs(value) > LARGEST_VALUE)
    refuse(`Point ${number} has the value ${value}. Values are at most ${LARGEST_VALUE}.`);
  const former = points.at(-2)?.place;
  if (former !== undefined && place < former)
    refuse(`Point ${number} is at ${place}, before the point at ${former}. Points go from left to right.`);
  if (place === points.at(-3)?.place)
    refuse(`There are three points at ${place}. Two make a jump, more are not allowed.`);
  if (number > MOST_POINTS) refuse(`There are more than ${MOST_POINTS} points.`);
}

/** @param {number} start @param {number} end */
function checkWindow(start, end) {
  if (!(start >= 0 && start < end && end <= 1))
    refuse(`It goes from ${start} to ${end}. The start must be before the end, both from 0 to 1.`);
}

const help = () => 'Write points like "0:0, 0.5:1" or a shape like "cosine".';

/** @param {Reader} reader */
function rest({ text, at }) {
  return text.length - at > SHOWN ? `${text.slice(at, at + SHOWN)}…` : text.slice(at);
}

/** @param {string} sentence @returns {never} */
function refuse(sentence) {
  throw new CurveError(sentence);
}
