// The line of time: where one is, events and failures as ticks to click, and seeking by dragging.
import type { ViewerApp } from "../app";
import { element, say, translated } from "./dom";
import { recorded } from "../i18n/recorded";
import { clock, momentName, momentsOf, type Moment } from "./moments";

const SIDE = 10; // pixels kept free left and right
const CATCH = 5; // pixels around a tick
const STEPS_S = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600];

export class Timeline {
  moments: Moment[] = [];
  private readonly root: HTMLElement;
  private readonly canvas: HTMLCanvasElement;
  private readonly head: HTMLElement;
  private readonly done: HTMLElement;
  private readonly tip: HTMLElement;
  private width = 1;
  private isDirty = true;

  constructor(parent: HTMLElement, private readonly app: ViewerApp) {
    this.root = element("div", "timeline", parent);
    this.root.tabIndex = 0;
    this.root.setAttribute("role", "slider");
    translated(app, () => this.root.setAttribute("aria-label", app.t("timeline")));
    element("div", "timeline-track", this.root);
    this.done = element("div", "timeline-done", this.root);
    this.canvas = element("canvas", "", this.root);
    this.head = element("div", "timeline-head", this.root);
    this.tip = element("div", "tip", document.body);
    this.tip.hidden = true;
    new ResizeObserver(() => {
      this.width = this.root.clientWidth;
      this.dirty();
    }).observe(this.root);
    window.addEventListener("icv-theme", () => this.dirty());
    app.on("live", () => this.read());
    this.read();
    this.pointer();
    app.addDrawer(() => this.draw());
  }

  private read(): void {
    this.moments = momentsOf(this.app.run.meta);
    this.dirty();
  }

  private dirty(): void {
    this.isDirty = true;
    this.app.redraw();
  }

  private x(timeMs: number): number {
    return SIDE + ((this.width - 2 * SIDE) * timeMs) / Math.max(1, this.app.durationMs);
  }

  private time(x: number): number {
    return ((x - SIDE) / Math.max(1, this.width - 2 * SIDE)) * this.app.durationMs;
  }

  private draw(): boolean {
    if (this.isDirty) this.paint();
    const x = this.x(this.app.timeMs);
    this.head.style.transform = `translateX(${x.toFixed(1)}px)`;
    this.done.style.transform = `scaleX(${Math.max(0, (x - SIDE) / Math.max(1, this.width - 2 * SIDE)).toFixed(5)})`;
    if (!this.app.playing) {
      this.root.setAttribute("aria-valuenow", (this.app.timeMs / 1000).toFixed(2));
      this.root.setAttribute("aria-valuetext", clock(this.app.timeMs));
    }
    return true;
  }

  private paint(): void {
    this.isDirty = false;
    const ratio = devicePixelRatio;
    const height = this.root.clientHeight;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const context = this.canvas.getContext("2d")!;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const seconds = this.app.durationMs / 1000;
    const step = STEPS_S.find((s) => (this.width - 2 * SIDE) / (seconds / s) >= 58) ?? 3600;
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    context.fillStyle = colour("--faint");
    for (let t = 0; t <= seconds + 1e-6; t += step) {
      const x = Math.round(this.x(t * 1000)) + 0.5;
      context.fillRect(x - 0.5, 30, 1, 4);
      const text = clock(t * 1000, step < 1);
      const half = context.measureText(text).width / 2;
      context.fillText(text, Math.min(this.width - half - 1, Math.max(half + 1, x)), height - 3);
    }
    for (const moment of this.moments) {
      const x = this.x(moment.timeMs);
      if (moment.kind === "failed") continue;
      context.fillStyle = colour(moment.kind === "bad" ? "--bad" : "--accent");
      context.globalAlpha = moment.kind === "bad" ? 1 : 0.65;
      context.fillRect(Math.round(x) - 1, 12, 2, 9);
    }
    context.globalAlpha = 1;
    context.fillStyle = colour("--bad");
    for (const moment of this.moments)
      if (moment.kind === "failed") {
        const x = this.x(moment.timeMs);
        context.beginPath();
        context.moveTo(x, 1);
        context.lineTo(x + 5, 6);
        context.lineTo(x, 11);
        context.lineTo(x - 5, 6);
        context.fill();
      }
    this.root.setAttribute("aria-valuemin", "0");
    this.root.setAttribute("aria-valuemax", seconds.toFixed(1));
  }

  private nearest(x: number, y: number): Moment[] {
    if (y > 22) return [];
    let best = CATCH + 0.01;
    for (const moment of this.moments) best = Math.min(best, Math.abs(this.x(moment.timeMs) - x));
    return best > CATCH ? [] : this.moments.filter((moment) => Math.abs(Math.abs(this.x(moment.timeMs) - x) - best) < 1);
  }

  private pointer(): void {
    let isDown = false;
    const place = (event: PointerEvent): [number, number] => {
      const box = this.root.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const [x, y] = place(event);
      const [moment] = this.nearest(x, y);
      this.app.seek(moment ? moment.timeMs : this.time(x));
      if (moment) return;
      isDown = true;
      this.root.setPointerCapture(event.pointerId);
    });
    this.root.addEventListener("pointermove", (event) => {
      const [x, y] = place(event);
      if (isDown) this.app.seek(this.time(x));
      const moments = isDown ? [] : this.nearest(x, y);
      this.root.style.cursor = moments.length > 0 ? "pointer" : "";
      this.show(event.clientX, x, moments);
    });
    for (const type of ["pointerup", "pointercancel"] as const) this.root.addEventListener(type, () => (isDown = false));
    this.root.addEventListener("pointerleave", () => (this.tip.hidden = true));
  }

  private show(clientX: number, x: number, moments: Moment[]): void {
    this.tip.replaceChildren();
    const when = element("div", "tip-when", this.tip);
    const at = moments[0]?.timeMs ?? Math.min(this.app.durationMs, Math.max(0, this.time(x)));
    say(when, clock(at));
    for (const moment of moments.slice(0, 6)) {
      const line = element("div", `tip-line ${moment.kind}`, this.tip);
      say(element("b", "", line), momentName(this.app, moment));
      say(element("span", "", line), recorded(this.app, moment.text));
    }
    this.tip.hidden = false;
    const box = this.root.getBoundingClientRect();
    const width = this.tip.offsetWidth;
    this.tip.style.left = `${Math.min(innerWidth - width - 6, Math.max(6, clientX - width / 2))}px`;
    this.tip.style.bottom = `${innerHeight - box.top + 6}px`;
  }
}
