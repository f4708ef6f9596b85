/** What a user can set. (stub) */

import { app } from "../../scripts/app.js";

const DEFAULTS = { Step: 0.05, Least: -1, Most: 2, TextStrength: false, PreviewSize: 96, TagOrder: "model" };

/** @param {keyof typeof DEFAULTS} name */
export const setting = (name) => app.extensionManager.setting.get(`LoraAlgebra.Rows.${name}`) ?? DEFAULTS[name];
