/**
 * The blocks of several files as one list.
 *
 * @typedef {import("../library/library.js").Reply} Reply
 * @typedef {import("./text.js").Block & { size: number | null }} Sized a block, and the largest change in it; null if
 *   nobody knows
 */

/** Returns the blocks of all files, in the order in which the model runs them. @param {Pick<Reply, "blocks">[]} replies */
export function blocksOf(replies) {
  /** @type {Map<string, Map<number, number | null>>} */
  const lists = new Map();
  for (const { name, blocks } of replies.flatMap((reply) => reply.blocks ?? [])) {
    const sizes = lists.get(name) ?? new Map();
    lists.set(name, sizes);
    for (const [number, size] of blocks) sizes.set(number, largest(sizes.get(number), size));
  }
  return [...lists].flatMap(([list, sizes]) =>
    [...sizes].sort(([a], [b]) => a - b).map(([number, size]) => /** @type {Sized} */ ({ list, number, size })),
  );
}

/** @param {number | null | undefined} former @param {number | null} size */
const largest = (former, size) => (size === null ? (former ?? null) : Math.max(former ?? 0, size));
