/**
 * Which files of a list are shown, and in which order. Nothing here knows the page.
 *
 * @typedef {{ name: string, size: number, modified: number, known: boolean, folder?: number, video?: boolean,
 *   architectures?: string[], base?: string, tags?: string[] }} Glance what our route says of a file; what is empty is
 *   left out, and all that a header says as long as it is not `known`. `folder`: the number of the folder that its
 *   picture is in
 * @typedef {"used" | "name" | "date"} Order
 * @typedef {{ fits: boolean, favourites: boolean, base: string, tag: string, order: Order }} Narrowing "" for any
 * @typedef {{ glances: Map<string, Glance>, favourites: Set<string>, fits: string[] | null }} Known
 *   `fits`: the architectures that fit the model; null if that is not known
 */

/** @type {readonly Order[]} */
const ORDERS = ["used", "name", "date"];

/** As it is before anybody has chosen. @type {Narrowing} */
const NONE = { fits: false, favourites: false, base: "", tag: "", order: "used" };

/** Reads what was remembered, whatever that is. @param {string | null} text @returns {Narrowing} */
export function readNarrowing(text) {
  const saved = parsed(text);
  const order = ORDERS.find((each) => each === saved.order) ?? NONE.order;
  const word = (/** @type {unknown} */ value) => (typeof value === "string" ? value : "");
  return {
    fits: saved.fits === true,
    favourites: saved.favourites === true,
    base: word(saved.base),
    tag: word(saved.tag),
    order,
  };
}

/** @param {string | null} text @returns {Record<string, unknown>} */
function parsed(text) {
  try {
    return Object(JSON.parse(text ?? "{}"));
  } catch {
    return {};
  }
}

/** Returns the same without what hides files. @param {Narrowing} narrowing @returns {Narrowing} */
export const showingAll = ({ order }) => ({ ...NONE, order });

/**
 * Tells whether a file can fit the model. What is not known may fit.
 *
 * @param {Glance | undefined} glance @param {string[] | null} fits
 */
const mayFit = (glance, fits) =>
  !fits || !glance?.architectures?.length || glance.architectures.some((each) => fits.includes(each));

/**
 * Divides the entries of a list.
 *
 * @template {{ name: string }} T
 * @param {T[]} entries @param {Narrowing} narrowing @param {Known} known
 * @returns {{ shown: T[], unfit: number, hidden: number }} how many only do not fit, and how many are hidden in all
 */
export function narrowed(entries, narrowing, { glances, favourites, fits }) {
  const wanted = entries.filter(({ name }) => isWanted(name, glances.get(name), narrowing, favourites));
  const shown = narrowing.fits ? wanted.filter(({ name }) => mayFit(glances.get(name), fits)) : wanted;
  return { shown, unfit: wanted.length - shown.length, hidden: entries.length - shown.length };
}

/**
 * @param {string} name @param {Glance | undefined} glance @param {Narrowing} narrowing @param {Set<string>} favourites
 */
const isWanted = (name, glance, narrowing, favourites) =>
  (!narrowing.favourites || favourites.has(name)) &&
  (!narrowing.base || glance?.base === narrowing.base) &&
  (!narrowing.tag || Boolean(glance?.tags?.some((tag) => sameTag(tag) === sameTag(narrowing.tag))));

/** @param {string} tag */
const sameTag = (tag) => tag.toLowerCase();

/**
 * Puts entries into their order. Those of a list by name, or by use, keep the order that they have.
 *
 * @template {{ name: string }} T
 * @param {T[]} entries in the order of their names @param {Order} order @param {Map<string, Glance>} glances
 */
export function ordered(entries, order, glances) {
  if (order !== "date") return entries;
  const dates = new Map(entries.map((entry) => [entry, glances.get(entry.name)?.modified ?? 0]));
  const dateOf = (/** @type {T} */ entry) => dates.get(entry) ?? 0;
  return [...entries].sort((one, other) => dateOf(other) - dateOf(one));
}

/**
 * Lists what can be chosen from: the base models and the tags of all files, the most frequent first.
 *
 * @param {Iterable<Glance>} glances
 * @returns {{ bases: [word: string, count: number][], tags: [word: string, count: number][] }}
 */
export function choicesIn(glances) {
  /** @type {Map<string, [string, number]>} */
  const bases = new Map();
  /** @type {Map<string, [string, number]>} */
  const tags = new Map();
  for (const { base, tags: own = [] } of glances) {
    if (base) count(bases, base, base);
    for (const tag of own) count(tags, sameTag(tag), tag);
  }
  return { bases: mostFirst(bases), tags: mostFirst(tags) };
}

/** @param {Map<string, [string, number]>} counts @param {string} key @param {string} word */
function count(counts, key, word) {
  const entry = counts.get(key);
  if (entry) entry[1] += 1;
  else counts.set(key, [word, 1]);
}

/** @param {Map<string, [string, number]>} counts */
const mostFirst = (counts) =>
  [...counts.values()].sort(([one, ones], [other, others]) => others - ones || (one < other ? -1 : 1));
