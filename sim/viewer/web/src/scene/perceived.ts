// What a unit says it perceives, beside the truth: dashed outlines with the circle of one standard deviation.
import { lastAtOrBefore, rowRange } from "../data/world";
import type { SceneRun } from "../data/run";
import { stampOf } from "../panels/actors";
import { isFoot } from "./actors";
import type { Camera } from "./camera";
import type { Palette } from "./palette";

const STALE_MS = 1200;

/** Draws it; the number of objects, undefined while it loads, null when the unit has said nothing. */
export function drawPerceived(context: CanvasRenderingContext2D, run: SceneRun, camera: Camera, colours: Palette, unit: string, timeMs: number): number | null | undefined {
  const table = `perceived/${unit}`;
  if (!run.has(table)) return null;
  const now = Math.floor(timeMs / run.blockMs);
  for (let k = now; k >= Math.max(0, now - 1); k--) {
    const block = run.peek(table, k);
    if (block === undefined) return undefined;
    if (!block) continue;
    const frame = lastAtOrBefore(block.t, timeMs);
    if (frame < 0) continue;
    if (timeMs - block.t[frame] > STALE_MS) return null;
    const age = timeMs - stampOf(block, frame);
    context.strokeStyle = colours.perceived;
    context.fillStyle = colours.perceivedFill;
    context.lineWidth = 1.8;
    const [from, to] = rowRange(block, frame, block.x.length);
    for (let row = from; row < to; row++) {
      // Moved on by its own speed, so that the outline does not lag the truth by the age of the message.
      const ahead = (block.speed[row] * age) / 1000;
      const x = camera.sx(block.x[row] + Math.cos(block.yaw[row]) * ahead);
      const y = camera.sy(block.y[row] + Math.sin(block.yaw[row]) * ahead);
      if (x < -80 || y < -80 || x > camera.width + 80 || y > camera.height + 80) continue;
      const sigma = block.sigma[row] * camera.scale;
      if (sigma > 1.5) {
        context.setLineDash([]);
        context.globalAlpha = 0.8;
        context.lineWidth = 1;
        context.beginPath();
        context.arc(x, y, sigma, 0, 7);
        context.fill();
        context.stroke();
        context.lineWidth = 1.8;
        context.globalAlpha = 1;
      }
      context.setLineDash([5, 3]);
      context.beginPath();
      if (isFoot(block.kind[row])) context.arc(x, y, Math.max(4.5, 0.55 * camera.scale), 0, 7);
      else {
        const l = Math.max(8, block.length[row] * camera.scale);
        const w = Math.max(5, block.width[row] * camera.scale);
        const c = Math.cos(block.yaw[row]);
        const s = -Math.sin(block.yaw[row]);
        const corner = (a: number, b: number): [number, number] => [x + c * a * l - s * b * w, y + s * a * l + c * b * w];
        context.moveTo(...corner(0.5, 0.5));
        context.lineTo(...corner(0.5, -0.5));
        context.lineTo(...corner(-0.5, -0.5));
        context.lineTo(...corner(-0.5, 0.5));
        context.closePath();
      }
      context.stroke();
    }
    context.setLineDash([]);
    return to - from;
  }
  return null;
}
