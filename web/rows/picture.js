/** Makes the preview picture of a file, or shows the letters that its name begins with. */

import { library } from "../library/library.js";
import { splitName } from "../model/filenames.js";
import { make } from "../page/elements.js";
import { initials } from "./search.js";

/** @param {string} name of a listed file */
export function makePicture(name) {
  const { base } = splitName(name);
  const holder = make(
    "span",
    { class: "lora-algebra-picture" },
    make("span", { "aria-hidden": "true" }, initials(base)),
  );
  const source = library.picture(name);
  if (!source) return holder;
  const image = make("img", { loading: "lazy", decoding: "async", alt: base, draggable: "false" });
  image.addEventListener("load", () => holder.replaceChildren(image));
  image.addEventListener("error", () => {
    library.hasNoPicture(name);
    image.remove();
  });
  image.src = source;
  holder.append(image);
  return holder;
}
