// What the whole page shares: runs, the clock, what is selected, how it is shown.
import type { App, Listener } from "./model";
import type { SceneRun } from "./data/run";
import type { View } from "./hash";
import { text, type Language } from "./i18n/index";
import { recall, remember } from "./memory";

export type Mode = "overlay" | "split" | "single";
export type Theme = "light" | "dark";
export const LAYERS = ["labels", "trails", "plans", "perceived", "signals", "coverage", "differences", "minimap"] as const;
export type LayerName = (typeof LAYERS)[number];
type Topic = Parameters<App["on"]>[0] | "play" | "view" | "show";

export const MIN_SPEED = 0.1;
export const MAX_SPEED = 20;
const SPEEDS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20];
const EDGE_MS = 2500; // how far behind a run in progress the picture may fall
const SAID_MS = 2500; // how long lights that were announced, and plans, count
const LONGEST_STEP_MS = 100; // a page that was hidden goes on where it stopped

export class ViewerApp implements App {
  timeMs = 0;
  playing = false;
  speed = 1;
  following = false;
  /** A run in progress is followed at its newest moment, however fast it goes. */
  atEdge = false;
  language: Language;
  theme: Theme;
  mode: Mode = "overlay";
  tab: string | null = null;
  selected: number | null = null;
  selectedUnit: string | null = null;
  selectedMessage: { block: number; row: number } | null = null;
  readonly layers: Record<LayerName, boolean>;
  /** Where the camera is; who shows a tab. Set by the parts that know. */
  look: (() => View) | null = null;
  openTab: ((key: string) => void) | null = null;
  /** Where a link wants the camera; taken by the scene. */
  wantedView: View | null = null;
  /** Milliseconds of script in the last frame, and whether everything it needed was there. */
  readonly frame = { script: 0, count: 0, complete: false, timeMs: -1 };

  private readonly listeners = new Map<Topic, Set<Listener>>();
  private readonly due = new Set<Topic>();
  private readonly drawers: (() => boolean)[] = [];
  private wanted = 0;
  private last = 0;

  constructor(readonly run: SceneRun, readonly other: SceneRun | null) {
    const language = recall("language");
    this.language = language === "en" || language === "zh" ? language : navigator.language.startsWith("zh") ? "zh" : "en";
    const theme = recall("theme");
    this.theme = theme === "light" || theme === "dark" ? theme : matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    const hidden = (recall("hidden") ?? "").split(",");
    this.layers = Object.fromEntries(LAYERS.map((name) => [name, !hidden.includes(name)])) as Record<LayerName, boolean>;
    for (const each of [run, other]) each?.onArrival(() => this.redraw());
  }

  get durationMs(): number {
    return Math.max(this.run.meta.duration_s, this.other?.meta.duration_s ?? 0) * 1000;
  }

  get isLive(): boolean {
    return (this.run as { live?: boolean }).live === true;
  }

  t(key: string): string {
    return text(this.language, key);
  }

  on(what: Topic, listener: Listener): () => void {
    let set = this.listeners.get(what);
    if (!set) this.listeners.set(what, (set = new Set()));
    set.add(listener);
    return () => set.delete(listener);
  }

  /** A drawer runs once a frame after everybody has heard the news, and says whether it had all it needed. */
  addDrawer(drawer: () => boolean): void {
    this.drawers.push(drawer);
    this.redraw();
  }

  redraw(): void {
    if (this.wanted === 0) this.wanted = requestAnimationFrame((now) => this.tick(now));
  }

  tell(what: Topic): void {
    this.due.add(what);
    this.redraw();
  }

  goLive(): void {
    this.seek(this.durationMs);
    this.atEdge = true;
    this.play(true);
  }

  seek(timeMs: number): void {
    this.atEdge = false;
    const clamped = Math.min(this.durationMs, Math.max(0, Number.isFinite(timeMs) ? timeMs : 0));
    if (clamped === this.timeMs) return;
    this.timeMs = clamped;
    this.warm();
    this.tell("time");
  }

  play(on: boolean): void {
    if (on === this.playing) return;
    if (on && this.timeMs >= this.durationMs && !this.isLive) this.seek(0);
    this.playing = on;
    this.last = 0;
    this.tell("play");
  }

  setSpeed(speed: number): void {
    this.speed = Math.min(MAX_SPEED, Math.max(MIN_SPEED, speed));
    this.tell("play");
  }

  /** To the next faster or slower of the usual speeds. */
  stepSpeed(direction: 1 | -1): void {
    const list = direction > 0 ? SPEEDS.filter((s) => s > this.speed * 1.001) : SPEEDS.filter((s) => s < this.speed * 0.999).reverse();
    this.setSpeed(list[0] ?? this.speed);
  }

  /** Selects; the scene moves there if it is out of sight, also when it is selected already. */
  select(actor: number | null): void {
    if (actor !== null) this.tell("show");
    if (actor === this.selected) return;
    this.selected = actor;
    if (actor === null) this.following = false;
    this.tell("selection");
  }

  selectUnit(unit: string | null): void {
    if (unit !== null) this.tell("show");
    if (unit === this.selectedUnit) return;
    this.selectedUnit = unit;
    this.tell("selection");
  }

  selectMessage(message: { block: number; row: number } | null): void {
    const old = this.selectedMessage;
    if (old?.block === message?.block && old?.row === message?.row) return;
    this.selectedMessage = message;
    this.tell("message");
  }

  follow(on: boolean): void {
    this.following = on && this.selected !== null;
    this.tell("view");
  }

  lookAt(view: View): void {
    this.wantedView = view;
    this.follow(false);
  }

  setLanguage(language: Language): void {
    if (language === this.language) return;
    this.language = language;
    remember("language", language);
    this.tell("language");
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    remember("theme", theme);
    document.documentElement.dataset.theme = theme;
    window.dispatchEvent(new CustomEvent("icv-theme"));
    this.tell("view");
  }

  setMode(mode: Mode): void {
    this.mode = mode;
    this.tell("view");
  }

  setLayer(name: LayerName, on: boolean): void {
    this.layers[name] = on;
    remember("hidden", LAYERS.filter((layer) => !this.layers[layer]).join(","));
    this.tell("view");
  }

  private tick(now: number): void {
    const begin = performance.now();
    this.wanted = 0;
    const passed = this.last > 0 ? Math.min(LONGEST_STEP_MS, Math.max(0, now - this.last)) : 0;
    this.last = this.playing ? now : 0;
    if (this.playing && this.isHere()) this.advance(passed * this.speed);
    if (this.due.size > 0) {
      const due = [...this.due];
      this.due.clear();
      for (const what of due) for (const listener of this.listeners.get(what) ?? []) this.guarded(listener);
    }
    let complete = true;
    for (const drawer of this.drawers) complete = drawer() && complete;
    this.frame.script = performance.now() - begin;
    this.frame.count++;
    this.frame.complete = complete;
    this.frame.timeMs = this.timeMs;
    if (this.playing || this.due.size > 0) this.redraw();
  }

  /** One panel that stumbles must not stop the clock for the others. */
  private guarded(listener: Listener): void {
    try {
      listener();
    } catch (error) {
      console.error(error);
    }
  }

  /** Starts loading what every picture needs, without waiting for the next frame. */
  private warm(): void {
    for (const run of [this.run, this.other]) {
      if (!run) continue;
      const block = Math.floor(this.timeMs / run.blockMs);
      const said = ["spat", ...Object.keys(run.meta.vehicles).map((each) => `plan/${each}`)];
      for (const name of ["world", ...said]) void run.peek(name, block);
      // What was said last may lie in the block before.
      if (block > 0 && this.timeMs - block * run.blockMs < SAID_MS) for (const name of said) void run.peek(name, block - 1);
    }
  }

  private isHere(): boolean {
    const block = Math.floor(this.timeMs / this.run.blockMs);
    void this.run.peek("world", block + 1);
    return this.run.peek("world", block) !== undefined && (!this.other || this.other.peek("world", block) !== undefined);
  }

  private advance(stepMs: number): void {
    const end = this.durationMs;
    const isBehind = this.atEdge && this.isLive && end - this.timeMs > EDGE_MS;
    const next = isBehind ? end - EDGE_MS / 2 : Math.min(end, this.timeMs + stepMs);
    if (next !== this.timeMs) {
      this.timeMs = next;
      this.due.add("time");
    }
    if (next >= end && !this.isLive) {
      this.playing = false;
      this.last = 0;
      this.due.add("play");
    }
  }
}
