// What the page asks of all files: everything once, and then only what has become known since.

import assert from "node:assert/strict";
import { register } from "node:module";
import { afterEach, beforeEach, mock, test } from "node:test";

// the host's own module is not here: what the page asks comes to `answer`
const HOST = `export const api = { apiURL: (path) => path, fetchApi: async (path) => globalThis.answer(path) };`;
const HOOK = `export const resolve = (name, context, next) => name.endsWith("/scripts/api.js")
  ? { url: ${JSON.stringify(`data:text/javascript,${encodeURIComponent(HOST)}`)}, shortCircuit: true } : next(name, context);`;
register(`data:text/javascript,${encodeURIComponent(HOOK)}`);
const { overview } = await import("../../web/library/overview.js");

const COUNT = 1000;
const names = Array.from({ length: COUNT }, (_, number) => `${number}.safetensors`);

/** A host that gets to know some more files after each question, and remembers what it was asked and told. */
class Host {
  run = "a1";
  known = 0;
  step = 10;
  /** @type {string[]} */
  asked = [];
  told = 0;

  /** @param {string} path */
  answer(path) {
    this.asked.push(path);
    const since = new URL(path, "http://host").searchParams.get("since");
    const [run, after] = since?.split("-") ?? [];
    const inPart = run === this.run ? { since } : {};
    const entry = (/** @type {number} */ at) => ({ name: names[at], known: at < this.known, base: `base ${at}` });
    const files = names.map((_, at) => entry(at)).slice(...("since" in inPart ? [Number(after), this.known] : []));
    const reply = { ...inPart, cursor: `${this.run}-${this.known}`, complete: this.known >= COUNT, files };
    this.told += files.length;
    this.known = Math.min(COUNT, this.known + this.step);
    return { ok: true, json: async () => reply };
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve));
const isKnown = () => overview.glances.size === COUNT && [...overview.glances.values()].every(({ known }) => known);

/** @type {Host} */
let host;
let unwatch = () => {};

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout"] });
  host = new Host();
  globalThis.answer = (path) => host.answer(path);
});

afterEach(() => {
  unwatch();
  mock.timers.reset();
});

/** Lets the page wait and ask, so many times. @param {number} times */
async function wait(times) {
  for (let left = times; left > 0; left--) {
    mock.timers.tick(5000);
    await settled();
  }
}

test("all files are told once, and each once more when it becomes known", async () => {
  let changes = 0;
  unwatch = overview.watch(() => {
    changes += 1;
  });
  await settled();
  assert.equal(overview.glances.size, COUNT);
  assert.ok(!isKnown());
  await wait(2 * (COUNT / host.step));
  assert.ok(isKnown());
  assert.equal(overview.glances.get("7.safetensors")?.base, "base 7");
  assert.equal(host.told, 2 * COUNT);
  assert.equal(host.asked.length, COUNT / host.step + 1); // and none when all is known
  assert.equal(changes, host.asked.length);
  assert.deepEqual(host.asked.slice(0, 3), [
    "/lora_algebra/library",
    "/lora_algebra/library?since=a1-0",
    "/lora_algebra/library?since=a1-10",
  ]);
});

test("a host that was started anew tells all again", async () => {
  unwatch = overview.watch(() => {});
  await settled();
  await wait(3);
  names.push("new.safetensors"); // there are other files by now
  host.run = "b2";
  host.known = 0;
  await wait(1);
  const [, added] = [names.pop(), overview.glances.get("new.safetensors")];
  assert.equal(added?.known, false);
  assert.equal(overview.glances.get("7.safetensors")?.known, false);
  await wait(1);
  assert.equal(host.asked.at(-1), "/lora_algebra/library?since=b2-0");
});

test("who opens it again asks for all files, and nobody is asked while nobody looks on", async () => {
  unwatch = overview.watch(() => {});
  await settled();
  await wait(2);
  unwatch();
  await wait(5);
  assert.equal(host.asked.length, 3);
  unwatch = overview.watch(() => {});
  await settled();
  assert.equal(host.asked.at(-1), "/lora_algebra/library");
});
