/**
 * Joins a list for the model and a list for the text encoder where both name the same files: the host has a node for
 * each, and a row of ours has a strength for each.
 *
 * @typedef {import("./wires.js").Node} Node
 * @typedef {import("./plan.js").Unit} Unit
 */

import { isTextOnly, nodesBefore } from "./kinds.js";
import { peerOf } from "./peers.js";
import { graphOf } from "./wires.js";

/** @param {Unit[]} units @returns {Unit[]} */
export function joinTwins(units) {
  const texts = units.filter(({ members }) => members.every(isTextOnly));
  const models = units.filter(({ members }) => members.every(({ type }) => peerOf(type)?.modelOnly));
  const twins = new Map(texts.map((text) => [text, models.filter((model) => areTwins(model, text))]));
  const claimed = [...twins.values()].flat();
  const pairs = withoutCircles(
    [...twins].flatMap(([text, [model, ...others]]) =>
      model && !others.length && claimed.filter((each) => each === model).length === 1 ? [{ model, text }] : [],
    ),
  );
  return units.flatMap((unit) => {
    if (pairs.some(({ text }) => text === unit)) return [];
    const pair = pairs.find(({ model }) => model === unit);
    return pair ? [joined(pair.model, pair.text)] : [unit];
  });
}

/** Whether two lists name the same files, and neither waits for the other. @param {Unit} model @param {Unit} text */
function areTwins(model, text) {
  if (graphOf(model.members[0]) !== graphOf(text.members[0])) return false;
  if (model.mode !== text.mode || model.live || model.rows.length !== text.rows.length) return false;
  const same = model.rows.every(({ name, on }, index) => name === text.rows[index].name && on === text.rows[index].on);
  return same && !waits(model, text) && !waits(text, model);
}

/**
 * Takes pairs one by one, and leaves out those that would wait for themselves by way of those taken before.
 *
 * @param {{ model: Unit, text: Unit }[]} pairs
 */
function withoutCircles(pairs) {
  /** @type {typeof pairs} */
  const taken = [];
  for (const { model, text } of pairs) {
    const lists = taken.map((pair) => [...pair.model.members, ...pair.text.members]);
    if (!waits(model, text, lists) && !waits(text, model, lists)) taken.push({ model, text });
  }
  return taken;
}

/**
 * Whether what comes into one unit has gone through another.
 *
 * @param {Unit} one @param {Unit} other @param {Node[][]} [lists] nodes that become one, and so wait together
 */
function waits(one, other, lists = []) {
  /** @type {Set<Node>} */
  const seen = new Set();
  const left = [...one.members];
  for (let node = left.pop(); node; node = left.pop()) {
    if (other.members.includes(node)) return true;
    if (seen.has(node)) continue;
    left.push(...nodesBefore(node), ...lists.filter((list) => list.includes(node)).flat());
    seen.add(node);
  }
  return false;
}

/** @param {Unit} model @param {Unit} text @returns {Unit} */
function joined(model, text) {
  const rows = model.rows.map((row, index) => {
    const { strength_clip: clip = 0 } = text.rows[index];
    return clip === row.strength ? row : { ...row, strength_clip: clip };
  });
  return {
    ...model,
    rows,
    members: [...model.members, ...text.members],
    inputs: [...model.inputs, ...text.inputs],
    outputs: [...model.outputs, ...text.outputs],
  };
}
