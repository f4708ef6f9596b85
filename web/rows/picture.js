/** Makes the preview of a file: its picture, its video, or the letters that its name begins with. */

import { overview } from "../library/overview.js";
import { splitName } from "../model/filenames.js";
import { make } from "../page/elements.js";
import { initials } from "./search.js";

/** Tells whether there is anything to see of a file. @param {string} name of a listed file */
export const hasPreview = (name) => Boolean(overview.picture(name) ?? overview.video(name));

/** Tells two previews apart. @param {string | undefined} name of a listed file */
export const sourcesOf = (name) =>
  name === undefined ? "" : JSON.stringify([name, overview.picture(name), overview.video(name)]);

/** @param {string} name of a listed file */
export function makePicture(name) {
  const { base } = splitName(name);
  const holder = make(
    "span",
    { class: "lora-algebra-picture", "data-video": Boolean(overview.video(name)) },
    make("span", { "aria-hidden": "true" }, initials(base)),
  );
  const source = overview.picture(name);
  if (!source) return holder;
  const image = make("img", { loading: "lazy", decoding: "async", alt: base, draggable: "false" });
  image.addEventListener("load", () => holder.replaceChildren(image));
  image.addEventListener("error", () => {
    overview.hasNoPicture(name);
    image.remove();
  });
  image.src = source;
  holder.append(image);
  return holder;
}

/** Makes the same, and plays the video of a file that has one. @param {string} name of a listed file */
export function makeMovingPicture(name) {
  const holder = makePicture(name);
  play(holder, name);
  return holder;
}

/**
 * Plays the video of a file over its picture, without sound and again and again.
 *
 * @param {Element | null | undefined} holder that `makePicture` has made @param {string} name
 */
export function play(holder, name) {
  const source = overview.video(name);
  if (!holder || !source || holder.querySelector("video")) return;
  const video = make("video", { "aria-hidden": "true" });
  Object.assign(video, { muted: true, loop: true, autoplay: true, playsInline: true, disablePictureInPicture: true });
  video.addEventListener("error", () => video.remove());
  video.src = source;
  holder.append(video);
}

/** Ends the video of a picture. @param {Element | null | undefined} holder */
export function stop(holder) {
  const video = holder?.querySelector("video");
  if (!video) return;
  video.removeAttribute("src"); // so that the browser loads no more of it
  video.load();
  video.remove();
}
