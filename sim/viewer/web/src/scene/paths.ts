// Where vehicles came from (trails) and where they mean to go (planned trajectories).
import { lastAtOrBefore, rowRange, rowsOfActor } from "../data/world";
import type { SceneRun } from "../data/run";
import type { Camera } from "./camera";
import type { Palette } from "./palette";

const TRAIL_MS = 12_000;
const FADES = 6;
const PLAN_STALE_MS = 1500;

/** The way of `actor` over the last seconds, fading. */
export function drawTrail(context: CanvasRenderingContext2D, run: SceneRun, camera: Camera, colour: string, actor: number, timeMs: number, at: [number, number]): void {
  const points: number[] = [];
  const now = Math.floor(timeMs / run.blockMs);
  if (run.peek("world", now) === undefined) return; // where everybody is comes first, where they came from after
  for (let k = Math.max(0, Math.floor((timeMs - TRAIL_MS) / run.blockMs)); k <= now; k++) {
    const block = run.peek("world", k);
    if (!block) continue;
    const rows = rowsOfActor(block, actor);
    for (let i = 0; i < rows.length; i += 2) {
      const t = block.t[rows[i]];
      const row = rows[i + 1];
      if (t >= timeMs) break;
      if (t > timeMs - TRAIL_MS) points.push(camera.sx(block.x[row]), camera.sy(block.y[row]), t);
    }
  }
  points.push(camera.sx(at[0]), camera.sy(at[1]), timeMs);
  context.strokeStyle = colour;
  context.lineWidth = 2.5;
  context.lineJoin = "round";
  context.lineCap = "round";
  for (let fade = 0; fade < FADES; fade++) {
    const from = timeMs - TRAIL_MS * (1 - fade / FADES);
    const to = timeMs - TRAIL_MS * (1 - (fade + 1) / FADES);
    context.globalAlpha = 0.12 + 0.5 * ((fade + 1) / FADES);
    context.beginPath();
    let isOpen = false;
    for (let i = 0; i + 2 < points.length; i += 3) {
      if (points[i + 2] < from - 250 || points[i + 2] > to) continue;
      if (isOpen) context.lineTo(points[i], points[i + 1]);
      else context.moveTo(points[i], points[i + 1]);
      isOpen = true;
    }
    if (isOpen) context.stroke();
  }
  context.globalAlpha = 1;
  context.lineCap = "butt";
}

/** The plan in force: a ribbon as wide as a car, its middle line brighter where it is faster. False while it loads. */
export function drawPlan(context: CanvasRenderingContext2D, run: SceneRun, camera: Camera, colours: Palette, name: string, timeMs: number): boolean {
  const table = `plan/${name}`;
  if (!run.has(table)) return true;
  const now = Math.floor(timeMs / run.blockMs);
  for (let k = now; k >= Math.max(0, now - 1); k--) {
    const block = run.peek(table, k);
    if (block === undefined) return false;
    if (!block) continue;
    const frame = lastAtOrBefore(block.t, timeMs);
    if (frame < 0) continue;
    if (timeMs - block.t[frame] > PLAN_STALE_MS) return true;
    const [from, to] = rowRange(block, frame, block.x.length);
    if (to - from < 2) return true;
    const path = new Path2D();
    for (let row = from; row < to; row++) {
      const x = camera.sx(block.x[row]);
      const y = camera.sy(block.y[row]);
      if (row === from) path.moveTo(x, y);
      else path.lineTo(x, y);
    }
    context.lineJoin = "round";
    context.lineCap = "round";
    context.strokeStyle = colours.plan;
    context.globalAlpha = 0.28;
    context.lineWidth = Math.max(5, 1.9 * camera.scale);
    context.stroke(path);
    context.globalAlpha = 0.95;
    context.lineWidth = 2;
    context.stroke(path);
    context.globalAlpha = 1;
    context.lineCap = "butt";
    context.fillStyle = colours.plan;
    context.beginPath();
    context.arc(camera.sx(block.x[to - 1]), camera.sy(block.y[to - 1]), 3.5, 0, 7);
    context.fill();
    return true;
  }
  return true;
}
