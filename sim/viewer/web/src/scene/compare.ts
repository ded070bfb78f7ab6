// The same actors in another run: outlines in its own colour, and who is elsewhere.
import type { WorldAt } from "../data/world";
import type { Meta } from "../model";
import { ghostOutline, inView } from "./actors";
import type { Camera } from "./camera";
import { centre } from "./geometry";
import type { Palette } from "./palette";

export const APART_M = 0.1;

/** Whether two runs are on the same roads, as far as their logs know them: elsewhere positions cannot be compared. */
export function onSameMap(a: Meta, b: Meta): boolean {
  if (a.roads.lanes.length === 0 || b.roads.lanes.length === 0) return true; // a log without its road file: nobody knows
  return a.roads.lanes.length === b.roads.lanes.length && a.roads.bounds.every((value, k) => Math.abs(value - b.roads.bounds[k]) < 1);
}

const RING_TO = 34; // pixels

export interface Apart { count: number; furthest: number; who: string; alone: number }

/** How far the runs are apart now. */
export function measureApart(a: WorldAt, b: WorldAt): Apart {
  const out: Apart = { count: 0, furthest: 0, who: "", alone: 0 };
  for (let i = 0; i < a.count; i++) {
    const other = b.at.get(a.actors[i].id);
    if (other === undefined) {
      out.alone++;
      continue;
    }
    const d = Math.hypot(a.x[i] - b.x[other], a.y[i] - b.y[other]);
    if (d > APART_M) out.count++;
    if (d > out.furthest) (out.furthest = d), (out.who = a.actors[i].name || `#${a.actors[i].id}`);
  }
  for (let i = 0; i < b.count; i++) if (!a.at.has(b.actors[i].id)) out.alone++;
  return out;
}

/** Outlines of run B where it differs from A (all of those only in B), and lines between the two places. */
export function drawOther(context: CanvasRenderingContext2D, a: WorldAt, b: WorldAt, camera: Camera, colours: Palette, marksDifferences: boolean): void {
  for (let i = 0; i < b.count; i++) {
    const actor = b.actors[i];
    if (!inView(camera, b.x[i], b.y[i], actor.length + actor.rear_length)) continue;
    const twin = a.at.get(actor.id);
    const apart = twin === undefined ? Infinity : Math.hypot(a.x[twin] - b.x[i], a.y[twin] - b.y[i]);
    context.strokeStyle = colours.ghost;
    context.fillStyle = apart > APART_M ? `${colours.ghost}44` : "rgba(0,0,0,0)";
    context.lineWidth = apart > APART_M ? 2 : 1.2;
    ghostOutline(context, camera, actor, b.x[i], b.y[i], b.yaw[i], b.hitch[i]);
    if (!marksDifferences || twin === undefined || apart <= APART_M) continue;
    const [x0, y0] = centre(actor, a.x[twin], a.y[twin], a.yaw[twin]);
    const [x1, y1] = centre(actor, b.x[i], b.y[i], b.yaw[i]);
    context.strokeStyle = colours.difference;
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(camera.sx(x0), camera.sy(y0));
    context.lineTo(camera.sx(x1), camera.sy(y1));
    context.stroke();
    context.beginPath();
    // Around the whole body, the rear section too: a ring while it is small, its outline from near.
    const back = actor.rear_length / 2;
    const radius = ((actor.length + actor.rear_length) / 2 + 0.8) * camera.scale;
    if (radius > RING_TO) {
      context.fillStyle = "rgba(0,0,0,0)";
      context.lineWidth = 7;
      ghostOutline(context, camera, actor, a.x[twin], a.y[twin], a.yaw[twin], a.hitch[twin]);
      continue;
    }
    context.arc(camera.sx(x0 - Math.cos(a.yaw[twin]) * back), camera.sy(y0 - Math.sin(a.yaw[twin]) * back), Math.max(9, radius), 0, 7);
    context.stroke();
  }
}
