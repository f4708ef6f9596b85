/**
 * The parts of ComfyUI's page that our files use, as we found them in its pages 1.45 and 1.49.
 * Only the type checker reads this file; it is not part of what we ship.
 */

declare module "*/scripts/app.js" {
  export const app: Host.App;
}

declare module "*/scripts/api.js" {
  export const api: Host.Api;
}

declare const LiteGraph: Host.LiteGraph;

declare namespace Host {
  type Id = number | string;
  type Point = [x: number, y: number];

  interface LiteGraph {
    /** Whether the page draws nodes as HTML ("Nodes 2.0") and not on the canvas. */
    vueNodesMode?: boolean;
    NODE_TITLE_HEIGHT: number;
    createNode(type: string): Node;
  }

  // ---- the application ----------------------------------------------------------------------

  interface App {
    rootGraph: Graph & { subgraphs: Map<string, Subgraph> };
    canvas: Canvas;
    /** Missing until the page is set up. */
    extensionManager: ExtensionManager;
    /** What the nodes have sent to the page, by the locator of the node. */
    nodeOutputs: Record<string, unknown>;
    registerExtension(extension: Extension): void;
  }

  interface Extension {
    name: string;
    settings?: Setting[];
    commands?: Command[];
    keybindings?: { combo: { key: string; alt?: boolean; shift?: boolean; ctrl?: boolean }; commandId: string }[];
    menuCommands?: { path: string[]; commands: string[] }[];
    init?(app: App): Promise<void> | void;
    setup?(app: App): Promise<void> | void;
    getCustomWidgets?(app: App): Record<string, WidgetMaker>;
    beforeRegisterNodeDef?(nodeType: { prototype: Node }, nodeData: NodeDef, app: App): void;
    nodeCreated?(node: Node, app: App): void;
    refreshComboInNodes?(): Promise<void> | void;
    onNodeOutputsUpdated?(outputs: Record<string, unknown>): void;
    getNodeMenuItems?(node: Node): (MenuItem | null)[];
    getCanvasMenuItems?(canvas: Canvas): (MenuItem | null)[];
    getSelectionToolboxCommands?(item: Selectable): string[];
  }

  type InputSpec = [type: string | string[], options?: Record<string, unknown>];

  interface NodeDef {
    name: string;
    input?: { required?: Record<string, InputSpec>; optional?: Record<string, InputSpec> };
  }

  type WidgetMaker = (
    node: Node,
    inputName: string,
    inputData: [type: string, options?: Record<string, unknown>],
    app: App,
  ) => { widget: Widget; minWidth?: number; minHeight?: number };

  interface Setting {
    id: string;
    name: string;
    type: string;
    defaultValue: number | string | boolean;
    category?: string[];
    tooltip?: string;
    attrs?: Record<string, number>;
    options?: { text: string; value: string }[];
    sortOrder?: number;
    onChange?(): void;
  }

  interface Command {
    id: string;
    label: string;
    icon: string;
    function: () => unknown;
  }

  interface MenuItem {
    content: string;
    callback: () => void;
  }

  interface ExtensionManager {
    setting: { get(id: string): unknown };
    toast: {
      add(toast: { severity: "info" | "warn" | "error"; summary: string; detail: string; life: number }): void;
    };
    workflow: { activeWorkflow: Workflow | null };
  }

  interface Workflow {
    path: string;
    changeTracker: ChangeTracker | null;
  }

  /** Takes the steps of undo. */
  interface ChangeTracker {
    beforeChange(): void;
    afterChange(): void;
    /** Older pages have `checkState` instead. */
    captureCanvasState?(): void;
    undoQueue?: unknown[];
    /** Folds what follows a step at once into it, debounced; page 1.49 can't do it early. */
    squashState?: { flush?(): void };
    checkState?(): void;
  }

  interface Api {
    fetchApi(route: string, options?: RequestInit): Promise<Response>;
    apiURL(route: string): string;
    /** Language -> section -> words. */
    getCustomNodesI18n(): Promise<Record<string, Record<string, Record<string, string>> | undefined>>;
    // the host and its packs send what they like
    addEventListener(type: string, listener: (event: CustomEvent<any>) => void): void;
  }

  // ---- the canvas ---------------------------------------------------------------------------

  /** A node, a group or a reroute. */
  type Selectable = Node | { readonly id: Id; comfyClass?: undefined; type?: undefined };

  interface Canvas {
    canvas: HTMLCanvasElement;
    /** The one that is shown: the root graph or a subgraph. */
    graph: Graph;
    ds: { scale: number; offset: Point };
    selectedItems: Set<Selectable>;
    selectItems(items: Selectable[]): void;
    setDirty(foreground: boolean, background: boolean): void;
    processMouseWheel(event: WheelEvent): void;
    processMouseDown(event: PointerEvent): void;
    processMouseMove(event: PointerEvent): void;
    processMouseUp(event: PointerEvent): void;
  }

  // ---- graphs -------------------------------------------------------------------------------

  interface Graph {
    id: string;
    isRootGraph: boolean;
    nodes: Node[];
    links: Map<number, Link>;
    add(node: Node): void;
    remove(node: Node): void;
    getNodeById(id: Id | null | undefined): Node | null;
    getLink(id: number): Link | undefined;
  }

  /** A graph inside a node; its own inputs and outputs stand at its edge. */
  interface Subgraph extends Graph {
    inputs: EdgeSlot[];
    outputs: EdgeSlot[];
  }

  interface EdgeSlot {
    name: string;
    linkIds: number[];
    connect(slot: Input | Output, node: Node, afterRerouteId?: number): Link | undefined;
  }

  interface Link {
    id: number;
    type: string;
    origin_id: Id;
    origin_slot: number;
    target_id: Id;
    target_slot: number;
    /** The reroute that the link passes last. */
    parentId?: number;
  }

  interface Input {
    name: string;
    type: string;
    link: number | null;
    widget?: { name: string };
    label?: string;
  }

  interface Output {
    name: string;
    type: string;
    links: number[] | null;
  }

  /** A node as a workflow holds it. Packs save what they like. */
  type SavedNode = Record<string, any>;

  interface Node {
    id: Id;
    type: string;
    /** The id of the class in Python. */
    comfyClass?: string;
    title: string;
    mode: number;
    pos: Point;
    size: Point;
    color?: string;
    bgcolor?: string;
    /** Missing until the node is added, and after it is removed. */
    graph: Graph | Subgraph | null;
    inputs: Input[];
    outputs: Output[];
    widgets?: Widget[];
    properties?: Record<string, unknown>;
    /** Set where the node stands for a subgraph. */
    subgraph?: Subgraph;
    isVirtualNode?: boolean;
    has_errors?: boolean;
    last_serialization?: SavedNode;
    resolveVirtualOutput?(slot: number): { node?: Node; slot?: number } | undefined;

    connect(slot: number, target: Node, targetSlot: number, afterRerouteId?: number): Link | null;
    addInput(name: string, type: string): Input;
    removeInput(slot: number): void;
    findInputSlot(name: string): number;
    findOutputSlot(name: string): number;
    serialize(): SavedNode;
    setSize(size: Point): void;
    computeSize(): Point;
    setDirtyCanvas(foreground: boolean, background: boolean): void;
    removeWidget(widget: Widget): void;
    addDOMWidget(name: string, type: string, element: HTMLElement, options: DOMWidgetOptions): DOMWidget;

    onAdded?(graph: Graph): void;
    onRemoved?(): void;
    onConfigure?(saved: SavedNode): void;
    onSerialize?(saved: SavedNode): void;
    onConnectionsChange?(): void;
    onExecutionStart?(): void;
    onExecuted?(output: unknown): void;
  }

  // ---- widgets ------------------------------------------------------------------------------

  interface Widget {
    name: string;
    // each widget has a value of its own kind
    value: any;
    serialize?: boolean;
    callback?(value: unknown): void;
    beforeQueued?(): void;
    /** Where it is drawn on the canvas, below the top of the node. */
    y?: number;
    width?: number;
    /** What a press on the canvas does. */
    onClick?(press: WidgetPress): void;
    /** Sets the value as a user does. */
    setValue?(value: unknown, press: WidgetPress): void;
    serializeValue?(node: Node, index: number): unknown;
  }

  interface WidgetPress {
    e: PointerEvent & { canvasX: number };
    node: Node;
    canvas: Canvas;
  }

  interface DOMWidget extends Widget {
    element: HTMLElement;
    /** What newer pages keep of the value, for views of it elsewhere. */
    _state?: { value: unknown };
  }

  interface DOMWidgetOptions {
    getValue?(): unknown;
    setValue?(value: unknown): void;
    getMinHeight?(): number;
    serialize?: boolean;
    hideOnZoom?: boolean;
    hideInPanel?: boolean;
    socketless?: boolean;
  }
}
