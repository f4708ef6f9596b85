// The order of web's folders: a file imports only from its own folder or from lower ones, types as well.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

/** From the lowest to the highest; those in one line do not know each other. */
const ORDER = [["model"], ["page"], ["library", "curve"], ["runs", "interop"], ["rows", "blocks"], ["commands.js"]];

const WEB = fileURLToPath(new URL("../../web/", import.meta.url));
const FILES = readdirSync(WEB, { recursive: true }).filter((file) => file.endsWith(".js"));
const SOURCES = new Map(FILES.map((file) => [file, readFileSync(join(WEB, file), "utf8")]));

const RUN = /^(?:import|export)\b[^;"]*?"(\.[^"]*)"|\bawait import\("(\.[^"]*)"\)/gms;
const TYPE = /[^.\w]import\("(\.[^"]*)"\)/g;
const EXPORT = /^export (?:async )?(?:class|const|function|let) (\w+)/gm;

const roomOf = (file) => file.split(/[/\\]/)[0];
const heightOf = (room) => ORDER.findIndex((rooms) => rooms.includes(room));

/** Our files that a file imports; the host's are outside of `web`. */
function imported(file, pattern) {
  const found = [...SOURCES.get(file).matchAll(pattern)].map(([, one, other]) => one ?? other);
  return found.map((path) => normalize(join(dirname(file), path))).filter((path) => !path.startsWith(".."));
}

for (const file of FILES)
  test(`${file} imports from its own folder and from lower ones`, () => {
    const room = roomOf(file);
    assert.ok(heightOf(room) >= 0, `${room} has no place in the order`);
    for (const path of [...imported(file, RUN), ...imported(file, TYPE)]) {
      assert.ok(existsSync(join(WEB, path)), `${path} does not exist`);
      const lower = heightOf(roomOf(path)) < heightOf(room);
      assert.ok(lower || roomOf(path) === room, `${path} is not lower than ${room}`);
    }
  });

test("no file imports itself by way of others", () => {
  const done = new Set();
  const visit = (file, way) => {
    assert.ok(!way.includes(file), `${[...way, file].join(" -> ")}`);
    if (done.has(file)) return;
    for (const path of imported(file, RUN)) visit(path, [...way, file]);
    done.add(file);
  };
  for (const file of FILES) visit(file, []);
});

test("whatever a file exports, another one uses", () => {
  for (const [file, source] of SOURCES)
    for (const [, name] of source.matchAll(EXPORT)) {
      const users = [...SOURCES].filter(([other, text]) => other !== file && new RegExp(`\\b${name}\\b`).test(text));
      assert.ok(users.length > 0, `${name} of ${file}`);
    }
});

test("every extension has a name of its own, so none is registered twice", () => {
  const names = [...SOURCES.values()].flatMap((source) => source.match(/name: "LoraAlgebra\.\w+"/g) ?? []);
  assert.ok(names.length > 5);
  assert.deepEqual(names, [...new Set(names)]);
});
