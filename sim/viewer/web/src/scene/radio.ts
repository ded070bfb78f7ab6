// Roadside units, how far they reach, and the way of the selected message: who heard it, and who did not.
import type { WorldAt } from "../data/world";
import type { SceneRun } from "../data/run";
import type { Camera } from "./camera";
import type { Label } from "./labels";
import type { Palette } from "./palette";
import { placeOfUnit, rsuOfUnit } from "./units";

export function drawCoverage(context: CanvasRenderingContext2D, run: SceneRun, camera: Camera, colours: Palette): void {
  for (const rsu of run.meta.rsus) {
    if (!(rsu.range_m > 0)) continue;
    const x = camera.sx(rsu.x);
    const y = camera.sy(rsu.y);
    const r = rsu.range_m * camera.scale;
    if (x + r < 0 || y + r < 0 || x - r > camera.width || y - r > camera.height) continue;
    if (r > 4 * Math.max(camera.width, camera.height)) continue; // the edge is nowhere near
    context.strokeStyle = colours.coverage;
    context.lineWidth = 1.3;
    context.setLineDash([6, 6]);
    context.beginPath();
    context.arc(x, y, r, 0, 7);
    context.stroke();
  }
  context.setLineDash([]);
}

export function drawRsus(context: CanvasRenderingContext2D, run: SceneRun, camera: Camera, colours: Palette, selectedUnit: string | null, labels: Label[]): void {
  const selected = rsuOfUnit(run.meta, selectedUnit);
  for (const rsu of run.meta.rsus) {
    const x = camera.sx(rsu.x);
    const y = camera.sy(rsu.y);
    if (x < -20 || y < -20 || x > camera.width + 20 || y > camera.height + 20) continue;
    const isSelected = rsu === selected;
    context.fillStyle = colours.rsu;
    context.strokeStyle = "#ffffff";
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(x, y, isSelected ? 10 : 8, 0, 7);
    context.fill();
    context.stroke();
    if (isSelected) {
      context.strokeStyle = colours.rsu;
      context.lineWidth = 2;
      context.beginPath();
      context.arc(x, y, 14, 0, 7);
      context.stroke();
      context.strokeStyle = "#ffffff";
    }
    // An antenna with its waves.
    context.lineWidth = 1.4;
    context.beginPath();
    context.moveTo(x, y + 4.5);
    context.lineTo(x, y - 1);
    context.stroke();
    for (const r of [2.6, 5]) {
      context.beginPath();
      context.arc(x, y - 1, r, -Math.PI / 4, Math.PI / 4);
      context.stroke();
      context.beginPath();
      context.arc(x, y - 1, r, Math.PI * 0.75, Math.PI * 1.25);
      context.stroke();
    }
    labels.push({ text: `RSU ${rsu.name}`, x, y, clear: isSelected ? 15 : 10, rank: isSelected ? 1 : 5, fill: colours.label, ink: colours.rsu, bold: true, small: true });
  }
}

/** Lines from the sender of the selected message to its receivers. False while it loads. */
export function drawMessage(context: CanvasRenderingContext2D, run: SceneRun, world: WorldAt, camera: Camera, colours: Palette, message: { block: number; row: number }, labels: Label[]): boolean {
  const messages = run.peek("messages", message.block);
  const fates = run.peek("fates", message.block);
  if (messages === undefined || fates === undefined) return false;
  if (!messages || !fates || message.row >= messages.seq.length) return true;
  const { meta } = run;
  const sender = meta.units[messages.sender[message.row]] ?? "";
  const from = placeOfUnit(meta, world, sender);
  if (!from) return true;
  const receivers = meta.receivers.length;
  const first = messages.fate0[message.row];
  const rows = messages.rows[message.row];
  const x0 = camera.sx(from[0]);
  const y0 = camera.sy(from[1]);
  const places = meta.receivers.map((name) => placeOfUnit(meta, world, name));
  const inside = places.findIndex((place) => place !== null && isInside(camera, camera.sx(place[0]), camera.sy(place[1])));
  const nearest = isInside(camera, x0, y0) ? -1 : inside;
  for (let k = 0; k < receivers; k++) {
    let isHeard = false;
    let isTried = false;
    for (let row = 0; row < rows; row++) {
      const fate = fates.fate[first + row * receivers + k];
      isHeard ||= fate === 1;
      isTried ||= fate > 0;
    }
    if (!isTried) continue;
    const to = places[k];
    if (!to) continue;
    const x1 = camera.sx(to[0]);
    const y1 = camera.sy(to[1]);
    context.strokeStyle = isHeard ? colours.heard : colours.missed;
    context.fillStyle = context.strokeStyle;
    context.lineWidth = 2;
    context.globalAlpha = 0.9;
    context.setLineDash(isHeard ? [] : [4, 5]);
    context.beginPath();
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
    context.stroke();
    context.setLineDash([]);
    context.beginPath();
    context.arc(x1, y1, 4, 0, 7);
    context.fill();
    named(labels, camera, meta.receivers[k], [x1, y1], [x0, y0], colours, isHeard ? colours.heard : colours.missed);
    if (k === nearest) named(labels, camera, sender, [x0, y0], [x1, y1], colours, colours.rsu);
  }
  context.globalAlpha = 1;
  context.strokeStyle = colours.rsu;
  context.lineWidth = 2.5;
  for (const r of [14, 20]) {
    context.beginPath();
    context.arc(x0, y0, r, 0, 7);
    context.stroke();
  }
  return true;
}

const EDGE = 26; // pixels from the edge of the view

function isInside(camera: Camera, x: number, y: number): boolean {
  return x >= EDGE && y >= EDGE && x <= camera.width - EDGE && y <= camera.height - EDGE;
}

/** Names an end of a line that lies beyond the view, where the line leaves it. */
function named(labels: Label[], camera: Camera, name: string, end: [number, number], other: [number, number], colours: Palette, ink: string): void {
  if (isInside(camera, ...end) || !isInside(camera, ...other)) return;
  let f = 1; // share of the way from `other` that is inside
  for (const axis of [0, 1] as const) {
    const d = end[axis] - other[axis];
    const limit = d > 0 ? (axis === 0 ? camera.width : camera.height) - EDGE : EDGE;
    if (Math.abs(d) > 1e-9) f = Math.min(f, (limit - other[axis]) / d);
  }
  labels.push({ text: name, x: other[0] + (end[0] - other[0]) * f, y: other[1] + (end[1] - other[1]) * f, clear: 4, over: true, rank: 1, fill: colours.label, ink, bold: true, small: true });
}
