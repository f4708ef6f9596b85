// Texts that pictures carry, from whole and from damaged files.

import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";

import { readFiles } from "../../web/interop/file_texts.js";
import { isPicture, textsOfPicture } from "../../web/interop/picture_texts.js";

const bytes = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part, "latin1")));
const number = (value, length, little) => {
  const made = Buffer.alloc(length);
  made[little ? "writeUIntLE" : "writeUIntBE"](value, 0, length);
  return made;
};

const chunk = (kind, data) => bytes(number(data.length, 4), kind, data, number(0, 4));
const png = (...chunks) => bytes("\x89PNG\r\n\x1a\n", chunk("IHDR", Buffer.alloc(13)), ...chunks, chunk("IEND", ""));

/** Exif with entries [tag, type, data]; those of `inner` stand in a directory of their own. */
function exif(entries, inner = [], little = false) {
  const short = (value) => number(value, 2, little);
  const long = (value) => number(value, 4, little);
  const length = (list) => 6 + 12 * list.length;
  const all = inner.length ? [...entries, [0x8769, 4, null]] : entries;
  const start = 8 + length(all);
  let free = start + (inner.length ? length(inner) : 0);
  const datas = [];
  const entry = ([tag, type, data]) => {
    if (data === null) return bytes(short(tag), short(type), long(1), long(start));
    const place = free;
    if (data.length > 4) {
      datas.push(data);
      free += data.length;
      return bytes(short(tag), short(type), long(data.length), long(place));
    }
    return bytes(short(tag), short(type), long(data.length), bytes(data, Buffer.alloc(4 - data.length)));
  };
  const directory = (list) => (list.length ? bytes(short(list.length), ...list.map(entry), long(0)) : Buffer.alloc(0));
  const head = bytes(little ? "II" : "MM", short(42), long(8));
  return bytes(head, directory(all), directory(inner), ...datas);
}

const webp = (data) => {
  const body = bytes("WEBP", "VP8 ", number(3, 4, true), "abc\0", "EXIF", number(data.length, 4, true), data);
  return bytes("RIFF", number(body.length, 4, true), body);
};
const jpeg = (data) => {
  const segment = bytes("Exif\0\0", data);
  return bytes("\xff\xd8", "\xff\xe0\0\x04ab", "\xff\xe1", number(segment.length + 2, 2), segment, "\xff\xda\0\x02");
};

const utf16 = (text, little) => {
  const made = Buffer.from(text, "utf16le");
  return bytes("UNICODE\0", little ? made : made.swap16());
};
const COMMENT = 0x9286;
const [BYTES, ANY] = [1, 7];
const found = async (file) => Object.fromEntries(await textsOfPicture(new Uint8Array(file)));

const PNGS = {
  plain: chunk("tEXt", bytes("workflow\0", '{"a": "é"}')),
  packed: chunk("zTXt", bytes("Workflow\0\0", deflateSync(Buffer.from('{"a": "é"}', "latin1")))),
  international: chunk("iTXt", bytes("workflow\0\0\0en\0other\0", Buffer.from('{"a": "é"}'))),
  "international, packed": chunk("iTXt", bytes("workflow\0\x01\0\0\0", deflateSync(Buffer.from('{"a": "é"}')))),
};
for (const [name, text] of Object.entries(PNGS))
  test(`a PNG with a ${name} text`, async () => {
    assert.deepEqual(await found(png(text)), { workflow: '{"a": "é"}' });
  });

test("the first text of a name counts, also behind the picture", async () => {
  const texts = ["one", "two"].map((text) => chunk("tEXt", bytes("prompt\0", text)));
  assert.deepEqual(await found(png(chunk("IDAT", "abc"), ...texts)), { prompt: "one" });
});

for (const little of [true, false]) {
  const entries = [
    [0x010f, 2, bytes("workflow:{}\0")],
    [0x0110, 2, bytes("Prompt:[]\0")],
    [0x0131, 2, bytes("a program\0")],
  ];
  const file = exif(entries, [[COMMENT, little ? ANY : BYTES, utf16("a cat <lora:x:1>", little)]], little);
  const texts = { workflow: "{}", prompt: "[]", parameters: "a cat <lora:x:1>" };
  test(`Exif of a WebP, ${little ? "little" : "big"} end first`, async () => {
    assert.ok(isPicture(webp(file)));
    assert.deepEqual(await found(webp(file)), texts);
    assert.deepEqual(await found(webp(bytes("Exif\0\0", file))), texts);
  });
  test(`Exif of a JPEG, ${little ? "little" : "big"} end first`, async () =>
    assert.deepEqual(await found(jpeg(file)), texts));
}

test("a comment whose order is not that of the file", async () => {
  const file = exif([], [[COMMENT, ANY, utf16("cat", false)]], true);
  assert.deepEqual(await found(jpeg(file)), { parameters: "cat" });
});

test("files of other kinds are no pictures", async () => {
  for (const file of ["", "{}", "GIF89a", "RIFF\0\0\0\0WAVE"]) {
    assert.equal(isPicture(bytes(file)), false);
    assert.deepEqual(await found(bytes(file)), {});
  }
});

const WHOLE = [
  ...Object.values(PNGS).map((text) => png(text)),
  webp(exif([[0x010f, 2, bytes("workflow:{}\0")]], [[COMMENT, ANY, utf16("cat", true)]], true)),
  jpeg(exif([[0x010f, 2, bytes("workflow:{}\0")]], [[COMMENT, ANY, utf16("cat", false)]])),
];

test("files that are cut anywhere give what is there, and no error", async () => {
  for (const file of WHOLE) for (let end = 0; end < file.length; end += 1) await found(file.subarray(0, end));
});

test("files with any byte damaged give no error", async () => {
  for (const file of WHOLE)
    for (let at = 0; at < file.length; at += 1)
      for (const byte of [0, 1, 0x7f, 0x80, 0xff]) {
        const damaged = Buffer.from(file);
        damaged[at] = byte;
        await found(damaged);
      }
});

test("a directory that holds itself, and one with more entries than there are, come to an end", async () => {
  const itself = exif([], [[COMMENT, ANY, utf16("cat", false)]]);
  itself.writeUInt32BE(8, 18); // the inner directory is the outer one
  await found(jpeg(itself));
  const many = exif([[0x010f, 2, bytes("workflow:{}\0")]]);
  many.writeUInt16BE(0xffff, 8);
  assert.equal((await found(jpeg(many))).workflow, "{}");
});

test("a text that unpacks to far more than it should is left out", async () => {
  const bomb = deflateSync(Buffer.alloc(64_000_000, " "));
  assert.deepEqual(await found(png(chunk("zTXt", bytes("workflow\0\0", bomb)))), { workflow: "" });
});

/** Counts what is unpacked meanwhile; it is unpacked all the same. */
async function unpackedBy(file) {
  const Real = globalThis.DecompressionStream;
  let count = 0;
  globalThis.DecompressionStream = class extends Real {
    constructor(kind) {
      super(kind);
      count += 1;
    }
  };
  try {
    return { texts: await found(file), count };
  } finally {
    globalThis.DecompressionStream = Real;
  }
}

test("texts of other names, and later ones of the same name, are not unpacked", async () => {
  const bomb = deflateSync(Buffer.alloc(15_000_000, " "));
  const named = (name) => chunk("zTXt", bytes(`${name}\0\0`, bomb));
  const others = png(...Array.from({ length: 2000 }, (_, index) => named(`text ${index}`)));
  assert.deepEqual(await unpackedBy(others), { texts: {}, count: 0 });
  const small = ["one", "two"].map((text) => chunk("iTXt", bytes("prompt\0\x01\0\0\0", deflateSync(text))));
  assert.deepEqual(await unpackedBy(png(...small)), { texts: { prompt: "one" }, count: 1 });
  const same = png(...Array(2000).fill(chunk("zTXt", bytes("workflow\0\0", deflateSync(Buffer.alloc(64_000_000))))));
  assert.deepEqual(await unpackedBy(same), { texts: { workflow: "" }, count: 1 });
});

test("a damaged text counts as the first of its name, too", async () => {
  const [damaged, cut, whole] = ["zTXt", "iTXt", "tEXt"].map((kind) => chunk(kind, bytes("prompt\0", "abc")));
  assert.deepEqual(await found(png(damaged, whole)), { prompt: "" });
  assert.deepEqual(await found(png(cut, whole)), { prompt: "" });
});

test("a packed text of many pieces is unpacked whole", async () => {
  const text = Buffer.from(Array.from({ length: 500_000 }, (_, index) => 32 + ((index * index) % 89))).toString();
  const packed = deflateSync(text, { level: 0 });
  assert.deepEqual(await found(png(chunk("zTXt", bytes("workflow\0\0", packed)))), { workflow: text });
});

test("Exif has one directory, one comment and one text of each name", async () => {
  const text = (value) => [0x010f, 2, bytes(value)];
  const file = exif(
    [text("workflow:one"), text("workflow:two"), text("other:three"), text("toString:four")],
    [
      [COMMENT, ANY, utf16("one", false)],
      [COMMENT, ANY, utf16("two", false)],
    ],
  );
  assert.deepEqual(await found(jpeg(file)), { workflow: "one", parameters: "one" });
  const two = exif([[0x8769, 4, Buffer.alloc(0)]], [[COMMENT, ANY, utf16("one", false)]]); // the first leads nowhere
  assert.deepEqual(await found(jpeg(two)), {});
});

test("directories, comments and texts that all mean the same bytes come to an end", async () => {
  const size = 15_000_000;
  const head = bytes("MM", number(42, 2), number(8, 4), number(4096, 2));
  const end = head.length + 12 * 4096;
  const entry = (tag, type, length, place) =>
    bytes(number(tag, 2), number(type, 2), number(length, 4), number(place, 4));
  const all = (each, data = "") => webp(bytes(head, Buffer.concat(Array(4096).fill(each)), data));
  assert.deepEqual(await found(all(entry(0x8769, 4, 1, 8))), {});
  const comment = all(entry(COMMENT, ANY, size, end), bytes(Buffer.alloc(8), Buffer.alloc(size, "x")));
  assert.equal((await found(comment)).parameters.length, size - 8);
  const zeros = bytes("prompt:", Buffer.alloc(size), "x");
  const { prompt } = await found(all(entry(0x010f, 2, zeros.length, end), zeros));
  assert.equal(prompt, `${"\0".repeat(size)}x`);
});

/** A file that notes what is read of it, and when. */
class Watched extends File {
  static notes = [];

  slice(start, end) {
    const part = super.slice(start, end);
    const note = (what) => Watched.notes.push(`${this.name} ${what} ${part.size}`);
    const read = part.arrayBuffer.bind(part);
    part.arrayBuffer = async () => {
      note("begins");
      const data = await read();
      note("ends");
      return data;
    };
    return part;
  }

  async text() {
    Watched.notes.push(`${this.name} is text`);
    return super.text();
  }
}

async function watch(...files) {
  Watched.notes = [];
  const texts = await readFiles(
    files.map(([name, ...parts]) => new Watched(parts, name)),
    (text) => (text ? [text] : []),
  );
  return { texts, notes: Watched.notes };
}

test("files are read one after the other", async () => {
  const { texts, notes } = await watch(["a", "one"], ["b", PNGS.plain], ["c", png(PNGS.plain)]);
  assert.deepEqual([texts[0], texts.at(-1)], ["one", '{"a": "é"}']);
  const whole = png(PNGS.plain).length;
  assert.deepEqual(notes, [
    ...["a begins 3", "a ends 3", "a is text"],
    ...["b begins 16", "b ends 16", "b is text"],
    ...["c begins 16", "c ends 16", `c begins ${whole}`, `c ends ${whole}`],
  ]);
});

test("of a large file that is no picture only the first bytes are read", async () => {
  const { texts, notes } = await watch(["video", Buffer.alloc(16_000_001, "x")], ["text", "y"]);
  assert.deepEqual(texts, ["y"]);
  assert.deepEqual(notes.slice(0, 2), ["video begins 16", "video ends 16"]);
  assert.ok(!notes.includes("video is text"));
});

test("the first text in which there is something counts", async () => {
  const texts = ["prompt", "workflow"].map((name) => chunk("tEXt", bytes(`${name}\0`, name)));
  assert.deepEqual((await watch(["a", png(...texts)])).texts, ["workflow"]);
  assert.deepEqual((await watch(["a", png(texts[0])])).texts, ["prompt"]);
});
