// What the tests ask of the page, as functions on window.lab; see page.py.

window.lab = (() => {
  const SQUASH = 70; // ms
  const plain = (value) => JSON.parse(JSON.stringify(value));
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const tracker = () => app.extensionManager.workflow.activeWorkflow.changeTracker;
  const node = (id) => app.canvas.graph.getNodeById(id);
  /** As workflows write it: the newer page calls the nodes of an imported prompt "1", "2", … */
  const idOf = ({ id }) => Number(id);

  /** Until the page has drawn what was just changed. */
  const settle = async () => {
    app.canvas.setDirty(true, true);
    for (let frames = 0; frames < 2; frames += 1) await frame();
  };

  /** How many elements the page gets from an act until something is made, and how long that takes. */
  const worked = async (act, made) => {
    let elements = 0;
    const count = (changes) => {
      for (const { addedNodes } of changes) {
        for (const added of addedNodes) elements += added.querySelectorAll ? 1 + added.querySelectorAll("*").length : 0;
      }
    };
    const watch = new MutationObserver(count);
    watch.observe(document.body, { childList: true, subtree: true });
    const start = performance.now();
    act();
    while (!made()) await frame();
    await frame();
    await new Promise((done) => setTimeout(done)); // after it is painted
    const milliseconds = performance.now() - start;
    count(watch.takeRecords());
    watch.disconnect();
    return { elements, milliseconds };
  };

  /** Mixes colours as the browser does, to red, green, blue and opacity. */
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const channels = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
    return { parts: [red, green, blue], alpha: alpha / 255 };
  };
  const mixed = ({ parts, alpha }, under) => parts.map((part, at) => part * alpha + under[at] * (1 - alpha));

  /** As WCAG defines it. */
  const luminance = (colour) => {
    const linear = (part) => (part <= 0.03928 * 255 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
    const [red, green, blue] = colour.map(linear);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };

  /** How much a text stands out from what is behind it: 1 to 21. */
  const contrast = (element) => {
    const chain = [];
    for (let each = element; each; each = each.parentElement) chain.unshift(getComputedStyle(each));
    let [opacity, back] = [1, [255, 255, 255]];
    for (const style of chain) {
      opacity *= Number(style.opacity);
      const { parts, alpha } = channels(style.backgroundColor);
      back = mixed({ parts, alpha: alpha * opacity }, back);
    }
    const { parts, alpha } = channels(getComputedStyle(element).color);
    const [high, low] = [luminance(mixed({ parts, alpha: alpha * opacity }, back)), luminance(back)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };

  let queued = 0;
  let captured = 0;
  let ending = null;

  /** One edit of a user, so one step of undo. */
  const change = async (edit) => {
    await calm();
    const result = await edit();
    await settle();
    tracker().captureCanvasState();
    captured = performance.now();
    return result;
  };

  /**
   * The newer page folds what follows an edit within 50 ms into the same step of undo. Its timer may be late on a
   * busy machine, so that ours has to come up behind it in any case.
   */
  const calm = async () => {
    if (!tracker().squashState) return;
    const rest = captured + SQUASH - performance.now();
    await new Promise((done) => setTimeout(done, Math.max(0, rest)));
  };

  return {
    settle,
    async load(workflow) {
      await app.loadGraphData(workflow);
      await settle();
    },

    async loadPrompt(prompt) {
      await app.loadApiJson(prompt, "prompt");
      await settle();
    },

    /** Opens an empty workflow, and closes the others unless they are to be kept. */
    async clear({ keepTabs = false } = {}) {
      await app.loadGraphData({ version: 0.4, nodes: [], links: [], last_node_id: 0, last_link_id: 0 });
      const { workflow } = app.extensionManager;
      const others = workflow.openWorkflows.filter(({ path }) => path !== workflow.activeWorkflow.path);
      if (!keepTabs) for (const other of others) await workflow.closeWorkflow(other);
      await settle();
    },

    tab: () => app.extensionManager.workflow.activeWorkflow.path,

    /** Goes to a workflow that is open in another tab. */
    async openTab(path) {
      const { workflow } = app.extensionManager;
      await app.loadGraphData(
        workflow.getWorkflowByPath(path).activeState, true, true, workflow.getWorkflowByPath(path),
      );
      await settle();
    },

    workflow: () => plain(app.rootGraph.serialize()),

    prompt: async () => plain((await app.graphToPrompt()).output),

    /** Queues the open workflow and waits for its end: how it ended, and what the host said. */
    async queue() {
      lab.listen();
      if (await app.queuePrompt(0)) return lab.ended();
      return { end: "refused", detail: plain(app.extensionManager.lastNodeErrors ?? null) };
    },

    /** Whether the page queues the open workflow by itself after each change. */
    queueOnChange: (on) => void (app.extensionManager.queueSettings.mode = on ? "change" : "disabled"),

    /** How many prompts the page has sent since this was first asked. */
    queued: () => {
      if (!app.api.countsPrompts) {
        app.api.countsPrompts = true;
        app.api.addEventListener("promptQueued", () => (queued += 1));
      }
      return queued;
    },

    /** Before something that queues the open workflow; ended() then waits for its end. */
    listen() {
      const ends = ["execution_success", "execution_error", "execution_interrupted"];
      const listening = new AbortController();
      ending = new Promise((done) => {
        for (const end of ends)
          app.api.addEventListener(end, ({ detail }) => done([end, detail]), {
            signal: listening.signal,
          });
      }).finally(() => listening.abort());
    },

    async ended() {
      const [end, detail] = await ending;
      await settle();
      return { end, detail: plain(detail ?? null) };
    },

    add: (type, title, pos) =>
      change(() => {
        const created = LiteGraph.createNode(type);
        created.title = title ?? type;
        created.pos = pos ?? [60, 60];
        app.canvas.graph.add(created);
        return idOf(created);
      }),

    connect: (from, output, to, input) =>
      change(() => {
        const target = node(to);
        const slot = target.inputs.findIndex(({ name }) => name === input);
        if (slot < 0) throw new Error(`no input ${input} in ${target.inputs.map((i) => i.name)}`);
        node(from).connect(output, target, slot);
      }),

    disconnect: (id, input) => change(() => void node(id).disconnectInput(node(id).findInputSlot(input))),

    widgetValue: (id, name) => plain(node(id).widgets.find((widget) => widget.name === name).value),

    /** Whether the page marks the open workflow as changed, after it has compared. */
    isEdited: async () => {
      await change(() => {});
      return app.extensionManager.workflow.activeWorkflow.isModified;
    },

    set: (id, values) =>
      change(() => {
        for (const widget of node(id).widgets)
          if (widget.name in values) widget.value = values[widget.name];
      }),

    /** Keeps seeds as they are from run to run. */
    fixSeeds: () =>
      change(() => {
        for (const { widgets = [] } of app.rootGraph.nodes)
          for (const widget of widgets)
            if (widget.name === "control_after_generate") widget.value = "fixed";
      }),

    /** Where nodes are and how large: id -> x, y, width, height. */
    layOut: (places) =>
      change(() => {
        for (const [id, [x, y, width, height]] of Object.entries(places)) {
          node(id).pos = [x, y];
          node(id).setSize([width, height]);
        }
      }),

    /** Sets the first widget of nodes: id -> value. */
    nameFiles: (names) =>
      change(() => {
        for (const [id, name] of Object.entries(names)) node(id).widgets[0].value = name;
      }),

    /** The value that the workflow keeps for a node's rows. */
    savedRows: (id) => plain(node(id).serialize().widgets_values[0]),

    /** Where a socket can be pressed, in the window. */
    socketPlace: (id, output, index) => {
      const [x, y] = node(id).getConnectionPos(!output, index);
      const { offset, scale } = app.canvas.ds;
      const { left, top } = app.canvas.canvas.getBoundingClientRect();
      return [(x + offset[0]) * scale + left, (y + offset[1]) * scale + top];
    },

    setRenderer: async (modern) => {
      await app.extensionManager.setting.set("Comfy.VueNodes.Enabled", modern);
      await settle();
      await settle();
    },

    setMode: (id, mode) => change(() => void (node(id).mode = mode)),
    resize: (id, size) => change(() => node(id).setSize(size)),
    sockets: (id) => node(id).inputs.map(({ name }) => name),
    only: (type) => {
      const [found, ...others] = app.canvas.graph.nodes.filter((each) => each.type === type);
      if (!found || others.length) throw new Error(`${type}: not exactly one`);
      return idOf(found);
    },
    /** The names that a node's inputs and outputs are shown with. */
    labels: (id) => {
      const shown = ({ label, localized_name, name }) => label || localized_name || name;
      return [node(id).inputs.map(shown), node(id).outputs.map(shown)];
    },
    select: async (id) => {
      app.canvas.selectItems([node(id)]);
      await settle();
    },
    collapse: (id) => change(() => node(id).collapse()),
    execute: (command) => app.extensionManager.command.execute(command),
    scale: () => app.canvas.ds.scale,
    size: (id) => [...node(id).size],
    byType: (type) => app.canvas.graph.nodes.filter((each) => each.type === type).map(idOf),

    /** Copies nodes and pastes them beside the others; the graph then holds only the copies. */
    pasteCopiesOf: (ids) =>
      change(async () => {
        const originals = ids.map(node);
        app.canvas.selectItems(originals);
        app.canvas.copyToClipboard();
        for (const original of originals) app.canvas.graph.remove(original);
        await settle();
        app.canvas.pasteFromClipboard();
      }),

    /** Pastes a copy of a node beside it; the copy's id. */
    copyOf: (id) =>
      change(async () => {
        app.canvas.selectItems([node(id)]);
        app.canvas.copyToClipboard();
        const before = new Set(app.canvas.graph.nodes);
        app.canvas.pasteFromClipboard();
        await settle();
        return idOf(app.canvas.graph.nodes.find((each) => !before.has(each)));
      }),

    undo: async () => (await tracker().undo(), settle()),
    redo: async () => (await tracker().redo(), settle()),

    /** Puts nodes into a subgraph; the id of the node that stands for it. */
    wrap: (ids) =>
      change(() => {
        const { node: outer } = app.canvas.graph.convertToSubgraph(new Set(ids.map(node)));
        return idOf(outer);
      }),

    unwrap: (id) => change(() => void app.canvas.graph.unpackSubgraph(node(id))),

    /** Gives a list that is shown its rows, as an edit of a user does: with the height that they need. */
    enterRows: (id, rows) =>
      change(async () => {
        const { widgetOf } = await import("/extensions/lora-algebra/model/registry.js");
        widgetOf(node(id)).edit(() => rows);
      }),

    /** How many lists of rows our scripts hold. */
    listsAlive: async () => (await import("/extensions/lora-algebra/model/registry.js")).rowsWidgets().length,

    enter: async (id) => {
      const outer = node(id);
      app.canvas.openSubgraph(outer.subgraph, outer);
      await settle();
    },

    leave: async () => {
      app.canvas.setGraph(app.rootGraph);
      await settle();
    },

    /** Where a node is drawn, in the window. */
    frame: (id) => {
      const drawn = LiteGraph.vueNodesMode && document.querySelector(`[data-node-id="${id}"]`);
      if (drawn) return plain(drawn.getBoundingClientRect());
      const { pos, size } = node(id);
      const { offset, scale } = app.canvas.ds;
      const { left, top } = app.canvas.canvas.getBoundingClientRect();
      const at = (index, value) => (value + offset[index]) * scale + [left, top][index];
      return {
        left: at(0, pos[0]), top: at(1, pos[1]),
        right: at(0, pos[0] + size[0]), bottom: at(1, pos[1] + size[1]),
      };
    },

    /** Where a widget that is drawn on the canvas can be clicked, in the window. */
    widgetPlace: (id, name) => {
      const { pos, size, widgets } = node(id);
      const { offset, scale } = app.canvas.ds;
      const { left, top } = app.canvas.canvas.getBoundingClientRect();
      const { y } = widgets.find((widget) => widget.name === name);
      return [
        (pos[0] + size[0] / 2 + offset[0]) * scale + left,
        (pos[1] + y + LiteGraph.NODE_WIDGET_HEIGHT / 2 + offset[1]) * scale + top,
      ];
    },

    /** The work until what a click makes is drawn. */
    workOfClick: (button, made) =>
      worked(() => document.querySelector(button).click(), () => document.querySelector(made)),

    /** The work until a list that follows typing is drawn anew. */
    workOfTyping: (field, text, list) => {
      const input = document.querySelector(field);
      const former = document.querySelector(list);
      const type = () => {
        input.value = text;
        input.dispatchEvent(new Event("input", { bubbles: true }));
      };
      return worked(type, () => document.querySelector(list) !== former);
    },

    /** The texts of ours that are hard to read, and how many there are at all. */
    faintTexts: (least, within = "[class*='lora-algebra-']") => {
      const found = [];
      let count = 0;
      for (const root of document.querySelectorAll(within)) {
        const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
          const element = walker.currentNode.parentElement;
          const text = walker.currentNode.textContent.trim();
          const counts = text && element.checkVisibility({ checkVisibilityCSS: true });
          if (!counts || element.closest(":disabled, [aria-disabled=true], [data-stale]")) continue;
          count += 1;
          const ratio = contrast(element);
          if (ratio < least) found.push(`${ratio.toFixed(2)} ${element.className}: ${text.slice(0, 30)}`);
        }
      }
      return { found: [...new Set(found)], count };
    },

    setPalette: async (name) => {
      await app.extensionManager.setting.set("Comfy.ColorPalette", name);
      await settle();
    },

    /** What the host says when a node has run, here without a run. */
    pretendOutput: async (id, output) => {
      const executed = { node: String(id), display_node: String(id), prompt_id: "another", output };
      app.api.dispatchCustomEvent("executed", executed);
      await settle();
    },

    /** What the host says when a run starts, here without one. */
    startOfAnotherRun: async () => {
      app.api.dispatchCustomEvent("execution_start", { prompt_id: "another", timestamp: 0 });
      await settle();
    },

    /** Fills the window with these nodes and hides the rest of the page; where they then are. */
    picture: async (ids) => {
      const [title, margin] = [LiteGraph.NODE_TITLE_HEIGHT, 30];
      const nodes = ids.map(node);
      const left = Math.min(...nodes.map(({ pos }) => pos[0])) - margin;
      const top = Math.min(...nodes.map(({ pos }) => pos[1])) - title - margin;
      const right = Math.max(...nodes.map(({ pos, size }) => pos[0] + size[0])) + margin;
      const bottom = Math.max(...nodes.map(({ pos, size }) => pos[1] + size[1])) + margin;
      app.canvas.deselectAll();
      await app.extensionManager.command.execute("Workspace.ToggleFocusMode");
      const scale = Math.min(1, innerWidth / (right - left), innerHeight / (bottom - top));
      app.canvas.ds.scale = scale;
      app.canvas.ds.offset = [-left, -top];
      await settle();
      return { x: 0, y: 0, width: (right - left) * scale, height: (bottom - top) * scale };
    },

    /** How many pictures a node shows that have come. */
    picturesOn: (id) => {
      if (!LiteGraph.vueNodesMode) return (node(id).imgs ?? []).filter((image) => image.naturalWidth).length;
      const images = document.querySelectorAll(`[data-node-id="${node(id).id}"] img`);
      return [...images].filter((image) => image.naturalWidth).length;
    },

    unpicture: () => app.extensionManager.command.execute("Workspace.ToggleFocusMode"),

    /** What the window shows when the workflow is opened. */
    view: async (scale, offset) => {
      app.canvas.ds.scale = scale;
      app.canvas.ds.offset = offset;
      await settle();
    },

    /** Brings nodes into the middle of the window, at full size. */
    show: async (ids) => {
      const shown = ids.map(node);
      const left = Math.min(...shown.map(({ pos }) => pos[0]));
      const top = Math.min(...shown.map(({ pos }) => pos[1]));
      app.canvas.ds.scale = 1;
      app.canvas.ds.offset = [240 - left, 140 - top];
      await settle();
    },
  };
})();
