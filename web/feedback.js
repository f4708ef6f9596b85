/** What became of the rows in the last run. (stub) */

/** @returns {{ state: "applied" | "partial" | "refused" | "stale", text: string, title: string } | undefined} */
export function outcomeOf(node, row) {
  return undefined;
}
