/** A new Analyse node is so large that its picture can be read. */

import { app } from "../../../scripts/app.js";

const [WIDTH, HEIGHT] = [440, 720];

app.registerExtension({
  name: "LoraAlgebra.Large",

  nodeCreated(node) {
    const [width, height] = node.size;
    if (node.comfyClass === "AnalyseLoRA") node.setSize([Math.max(WIDTH, width), Math.max(HEIGHT, height)]);
  },
});
