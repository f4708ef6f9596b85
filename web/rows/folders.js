/** The tree of folders in the picker. */

import { t } from "../words.js";
import { isolated, make } from "./elements.js";

/**
 * @param {{ path: string, name: string, depth: number, count: number }[]} list
 * @param {string} chosen
 * @param {(path: string) => void} choose
 */
export function makeFolders(list, chosen, choose) {
  const items = list.map((folder) => treeItem(folder, chosen, choose));
  const tree = make("div", { class: "lora-algebra-folders", role: "tree", "aria-label": t("Folders") }, ...items);
  tree.addEventListener("keydown", (event) => walk(tree, event));
  return tree;
}

function treeItem({ path, name, depth, count }, chosen, choose) {
  const selected = path === chosen;
  const text = depth ? isolated(name) : t("All folders");
  const number = make("span", { class: "lora-algebra-count" }, String(count));
  const properties = {
    role: "treeitem",
    "data-path": path,
    "aria-level": depth + 1,
    "aria-selected": String(selected),
    tabindex: selected ? 0 : -1,
    title: path || undefined,
    style: `--depth: ${Math.max(0, depth - 1)}`,
    onclick: () => choose(path),
    onfocus: ({ target }) => target.getAttribute("aria-selected") === "true" || choose(path),
  };
  return make("div", properties, text, number);
}

/** Chosen is what has the focus. */
function walk(tree, event) {
  const items = [...tree.children];
  const at = items.indexOf(document.activeElement);
  const level = ({ ariaLevel }) => Number(ariaLevel);
  const parent = items.findLastIndex((item, index) => index < at && level(item) < level(items[at]));
  const steps = { ArrowDown: at + 1, ArrowUp: at - 1, ArrowLeft: parent, Home: 0, End: items.length - 1 };
  if (!(event.key in steps)) return;
  event.preventDefault();
  items[steps[event.key]]?.focus();
}

/** Marks another folder as the chosen one. */
export function markFolder(tree, path) {
  for (const item of tree.children) {
    const selected = item.dataset.path === path;
    item.setAttribute("aria-selected", String(selected));
    item.tabIndex = selected ? 0 : -1;
  }
}
