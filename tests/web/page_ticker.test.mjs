// The one ticker of the page: how many frames it asks for.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { lookEveryFrame } from "../../web/page/ticker.js";

let asked = [];
let errors = [];
globalThis.requestAnimationFrame = (act) => asked.push(act);
globalThis.reportError = (error) => errors.push(error.message);

beforeEach(() => {
  asked = [];
  errors = [];
});

/** Draws one frame; how many others are asked for then. */
function frame() {
  const due = asked;
  asked = [];
  for (const act of due) act();
  return asked.length;
}

/** A look that has something to look at for so many frames. */
function lookFor(frames) {
  const look = () => {
    look.calls += 1;
    return look.calls < frames;
  };
  look.calls = 0;
  return look;
}

test("it looks once in every frame, and asks for no frame when there is nothing to look at", () => {
  const look = lookFor(3);
  assert.equal(asked.length, 0);
  lookEveryFrame(look);
  assert.deepEqual([asked.length, frame(), frame(), frame(), frame()], [1, 1, 1, 0, 0]);
  assert.equal(look.calls, 3);
});

test("several looks share a frame, and each ends by itself", () => {
  const [short, long] = [lookFor(1), lookFor(2)];
  for (const look of [short, long, long]) lookEveryFrame(look);
  assert.deepEqual([asked.length, frame(), frame()], [1, 1, 0]);
  assert.deepEqual([short.calls, long.calls], [1, 2]);
});

test("it goes on where it is asked again, also while it looks", () => {
  const look = lookFor(1);
  const waking = () => {
    lookEveryFrame(look);
    return false;
  };
  lookEveryFrame(look);
  lookEveryFrame(waking);
  assert.deepEqual([frame(), look.calls], [1, 1]);
  assert.deepEqual([frame(), look.calls], [0, 2]);
});

test("a look that fails is reported and ends, and the others go on", () => {
  const look = lookFor(2);
  lookEveryFrame(() => {
    throw new Error("broken");
  });
  lookEveryFrame(look);
  assert.deepEqual([frame(), frame()], [1, 0]);
  assert.deepEqual([errors, look.calls], [["broken"], 2]);
});
