// Stop lines in the colour of their signal, with the seconds that the roadside unit announces.
import type { Point } from "../model";
import { lastAtOrBefore } from "../data/world";
import type { SceneRun } from "../data/run";
import type { Camera } from "./camera";
import type { Label } from "./labels";
import type { Palette } from "./palette";

const STALE_MS = 2500; // SPAT comes every 0.1 s, the pack keeps one a second
const SECONDS_FROM = 2.2; // pixels per metre
const FLASHING = new Set([3, 7]);

/** Stop lines of one group; (dx, dy) is the way over them, into the junction. */
interface Bar { group: number; lines: [Point, Point][]; x: number; y: number; dx: number; dy: number }

export class Signals {
  private readonly bars: Bar[];

  constructor(private readonly run: SceneRun) {
    // One bar for the stop lines of a group that lie side by side, so that they carry one label.
    this.bars = [];
    for (const line of run.meta.roads.stop_lines) {
      const x = (line.a[0] + line.b[0]) / 2;
      const y = (line.a[1] + line.b[1]) / 2;
      // `a` is the left end for whoever drives up to the line.
      const length = Math.hypot(line.a[0] - line.b[0], line.a[1] - line.b[1]) || 1;
      const dx = (line.a[1] - line.b[1]) / length;
      const dy = (line.b[0] - line.a[0]) / length;
      const near = this.bars.find((bar) => bar.group === line.group && Math.hypot(bar.x - x, bar.y - y) < 15 && bar.dx * dx + bar.dy * dy > 0.7);
      if (near) {
        near.lines.push([line.a, line.b]);
        near.x = near.lines.reduce((sum, [a, b]) => sum + (a[0] + b[0]) / 2, 0) / near.lines.length;
        near.y = near.lines.reduce((sum, [a, b]) => sum + (a[1] + b[1]) / 2, 0) / near.lines.length;
      } else this.bars.push({ group: line.group, lines: [[line.a, line.b]], x, y, dx, dy });
    }
  }

  /** Lights of all groups at `timeMs`: where its row begins; -1 before the first, undefined while it loads. */
  private lights(timeMs: number): { light: ArrayLike<number>; from: number } | null | undefined {
    const table = this.run.peekTable("signals");
    if (!table) return table;
    const groups = this.run.meta.roads.groups.length;
    const row = Math.max(0, lastAtOrBefore(table.t, timeMs));
    return (row + 1) * groups <= table.light.length ? { light: table.light, from: row * groups } : null;
  }

  private remaining(timeMs: number): Map<number, number> | undefined {
    const out = new Map<number, number>();
    const now = Math.floor(timeMs / this.run.blockMs);
    const early = timeMs - now * this.run.blockMs < STALE_MS && now > 0 ? now - 1 : now;
    for (let k = now; k >= early; k--) {
      const block = this.run.peek("spat", k);
      if (block === undefined) return undefined;
      if (!block) continue;
      for (let row = lastAtOrBefore(block.t, timeMs); row >= 0 && block.t[row] > timeMs - STALE_MS; row--) {
        const left = block.remaining[row];
        if (left >= 0 && !out.has(block.group[row])) out.set(block.group[row], Math.max(0, left - (timeMs - block.t[row]) / 1000));
      }
    }
    return out;
  }

  draw(context: CanvasRenderingContext2D, camera: Camera, colours: Palette, timeMs: number, labels: Label[]): boolean {
    const now = this.lights(timeMs);
    if (now === undefined) return false;
    if (now === null || this.bars.length === 0) return true;
    const s = camera.scale;
    const left = s >= SECONDS_FROM && this.run.has("spat") ? this.remaining(timeMs) : new Map<number, number>();
    const isOff = Math.floor(timeMs / 500) % 2 === 1;
    context.lineCap = "butt";
    for (const bar of this.bars) {
      const sx = camera.sx(bar.x);
      const sy = camera.sy(bar.y);
      if (sx < -60 || sy < -60 || sx > camera.width + 60 || sy > camera.height + 60) continue;
      const state = now.light[now.from + bar.group] ?? 0;
      const colour = FLASHING.has(state) && isOff ? colours.lights[1] : (colours.lights[state] ?? colours.lights[0]);
      if (s < 1) {
        context.fillStyle = colour;
        context.beginPath();
        context.arc(sx, sy, 2.6, 0, 7);
        context.fill();
        continue;
      }
      for (const [width, stroke] of [[Math.max(4, 0.5 * s) + 2, colours.outline], [Math.max(4, 0.5 * s), colour]] as const) {
        context.strokeStyle = stroke;
        context.lineWidth = width;
        context.beginPath();
        for (const [a, b] of bar.lines) {
          context.moveTo(camera.sx(a[0]), camera.sy(a[1]));
          context.lineTo(camera.sx(b[0]), camera.sy(b[1]));
        }
        context.stroke();
      }
      const seconds = left?.get(bar.group);
      const ahead = Math.max(14, 2.6 * s);
      if (seconds !== undefined && seconds < 1000)
        labels.push({ text: seconds < 10 ? seconds.toFixed(1) : seconds.toFixed(0), x: sx + bar.dx * ahead, y: sy - bar.dy * ahead, clear: 4, over: true, rank: 2, fill: colour, ink: colours.lightText[state] ?? "#ffffff", bold: true, small: true });
    }
    return left !== undefined;
  }
}
