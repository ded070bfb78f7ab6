// The life of a panel: built once per language, told of time only while it can be seen, at most so often.
import type { App, Panel } from "../model";

type What = Parameters<App["on"]>[0];

/** What a panel's `build` gets: its host, the app, and subscriptions that end when it is built anew. */
export interface Context {
  host: HTMLElement;
  app: App;
  /** Calls `update` when the playhead moves: at most `perSecond` times, only while the panel is visible, and once now. */
  onTime(update: () => void, perSecond?: number): void;
  on(what: What, listener: () => void): void;
  /** Called before the panel is built anew. */
  onEnd(end: () => void): void;
  /** True until the panel is built anew: ask after every await. */
  isCurrent(): boolean;
}

/** A panel whose `build` fills the host. `fresh` makes what it remembers (filters, choices) across languages. */
export function panelOf<Memory>(key: string, fresh: () => Memory, build: (context: Context, memory: Memory) => void): Panel {
  return {
    key,
    mount(host, app) {
      const memory = fresh();
      let ends: (() => void)[] = [];
      const start = (): void => {
        for (const end of ends) end();
        const own: (() => void)[] = [];
        ends = own;
        host.replaceChildren();
        host.classList.add("p-panel", `p-host-${key}`);
        const context: Context = {
          host,
          app,
          onTime: (update, perSecond = 10) => own.push(watchTime(host, app, update, perSecond)),
          on: (what, listener) => own.push(app.on(what, listener)),
          onEnd: (end) => own.push(end),
          isCurrent: () => ends === own,
        };
        build(context, memory);
      };
      start();
      app.on("language", start);
    },
  };
}

/** What a promise gives, null where it fails: the run itself tells of sections that cannot be read, and may have them later. */
export function orNull<T>(promise: Promise<T>): Promise<T | null> {
  return promise.catch(() => null);
}

/** Draws `host` anew when a run in progress has changed what `state` says; where the reader has scrolled to stays. */
export function redrawOnGrowth(context: Context, state: () => unknown, draw: () => Node[]): void {
  const { host } = context;
  let shown = "";
  const redraw = (): void => {
    const now = JSON.stringify(state());
    if (now === shown) return;
    shown = now;
    const top = host.scrollTop;
    host.replaceChildren(...draw());
    host.scrollTop = top;
  };
  redraw();
  context.on("live", redraw);
}

/** Whether anything of `host` can be on screen (its tab is open). */
export function isShown(host: HTMLElement): boolean {
  return host.isConnected && host.clientHeight > 0;
}

function watchTime(host: HTMLElement, app: App, update: () => void, perSecond: number): () => void {
  const restMs = 1000 / perSecond;
  let last = -Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isStale = true;
  const run = (): void => {
    timer = undefined;
    if (!isShown(host)) {
      isStale = true;
      return;
    }
    isStale = false;
    last = performance.now();
    update();
  };
  const wake = (): void => {
    if (timer !== undefined) return;
    const wait = last + restMs - performance.now();
    if (wait <= 0) run();
    else timer = setTimeout(run, wait);
  };
  const resize = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(() => isStale && wake());
  resize?.observe(host);
  const stop = app.on("time", wake);
  wake();
  return () => {
    stop();
    resize?.disconnect();
    clearTimeout(timer);
  };
}
