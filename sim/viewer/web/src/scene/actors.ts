// Bodies from above: cars, buses in two sections, riders, people.
import type { Actor } from "../model";
import type { WorldAt } from "../data/world";
import type { Camera } from "./camera";
import { rearSection } from "./geometry";
import type { Palette } from "./palette";

// Numbers of protocols.messages.ActorKind.
export const KIND = { CAR: 1, VAN: 2, TRUCK: 3, BUS: 4, ARTICULATED_BUS: 5, SHUTTLE: 6, MOTORCYCLE: 7, BICYCLE: 8, PEDESTRIAN: 9 } as const;
const FINE_FROM = 4.5; // pixels per metre: windows, lamps, doors
const SMALLEST = 5; // pixels: nobody gets lost on the whole map
const BRAKES_BELOW = -0.8; // m/s2
const HEAVY: ReadonlySet<number> = new Set([KIND.BUS, KIND.ARTICULATED_BUS, KIND.TRUCK]);

type Context = CanvasRenderingContext2D;

export interface ActorLook { isNamed: (id: number) => boolean; selected: number | null }

export function isFoot(kind: number): boolean {
  return kind === KIND.PEDESTRIAN;
}

function isTwoWheeler(kind: number): boolean {
  return kind === KIND.BICYCLE || kind === KIND.MOTORCYCLE;
}

/** Whether the actor, with its trailing section, may show in the view. */
export function inView(camera: Camera, x: number, y: number, reach: number): boolean {
  const sx = camera.sx(x);
  const sy = camera.sy(y);
  const r = reach * camera.scale + 8;
  return sx > -r && sy > -r && sx < camera.width + r && sy < camera.height + r;
}

export function drawActors(context: Context, world: WorldAt, camera: Camera, colours: Palette, look: ActorLook): void {
  for (let pass = 0; pass < 2; pass++)
    for (let i = 0; i < world.count; i++) {
      const actor = world.actors[i];
      const onTop = isFoot(actor.kind) || look.isNamed(actor.id);
      if (onTop !== (pass === 1) || !inView(camera, world.x[i], world.y[i], actor.length + actor.rear_length)) continue;
      const isSelected = actor.id === look.selected;
      if (isFoot(actor.kind)) person(context, camera, colours, actor, world, i, isSelected);
      else if (isTwoWheeler(actor.kind)) rider(context, camera, colours, actor, world, i, isSelected);
      else vehicle(context, camera, colours, actor, world, i, look.isNamed(actor.id), isSelected);
    }
}

/** Turns the context to the body: x ahead, y right, pixels. */
function enter(context: Context, camera: Camera, x: number, y: number, yaw: number): void {
  context.save();
  context.translate(camera.sx(x), camera.sy(y));
  context.rotate(-yaw);
}

function halo(context: Context, colours: Palette, x: number, y: number, w: number, h: number, r: number): void {
  context.strokeStyle = colours.halo;
  context.lineWidth = 3;
  context.globalAlpha = 0.9;
  context.beginPath();
  context.roundRect(x - 4, y - 4, w + 8, h + 8, r + 4);
  context.stroke();
  context.globalAlpha = 1;
}

function person(context: Context, camera: Camera, colours: Palette, actor: Actor, world: WorldAt, i: number, isSelected: boolean): void {
  const s = camera.scale;
  const isFine = s >= FINE_FROM;
  const r = Math.max(isFine ? 5 : 2.4, (Math.max(actor.width, actor.length, 0.5) / 2) * s); // larger than life while that is too small to see
  enter(context, camera, world.x[i], world.y[i], world.yaw[i]);
  if (isSelected) halo(context, colours, -r, -r, 2 * r, 2 * r, r);
  context.fillStyle = colours.person;
  context.strokeStyle = colours.outline;
  context.lineWidth = 1;
  context.beginPath();
  if (isFine) context.ellipse(0, 0, r * 0.62, r * 1.1, 0, 0, 7); // shoulders across
  else context.arc(0, 0, r, 0, 7);
  context.fill();
  context.stroke();
  if (isFine) {
    context.fillStyle = colours.head;
    context.beginPath();
    context.arc(r * 0.12, 0, r * 0.44, 0, 7);
    context.fill();
    context.stroke();
  }
  context.restore();
}

function rider(context: Context, camera: Camera, colours: Palette, actor: Actor, world: WorldAt, i: number, isSelected: boolean): void {
  const s = camera.scale;
  const back = actor.rear_overhang * s;
  const length = Math.max(SMALLEST, actor.length * s);
  const w = Math.max(2, Math.min(actor.width, 0.7) * s);
  enter(context, camera, world.x[i], world.y[i], world.yaw[i]);
  if (isSelected) halo(context, colours, -back, -w / 2, length, w, 2);
  context.strokeStyle = colours.outline;
  context.lineCap = "round";
  context.lineWidth = Math.max(1.2, 0.12 * s);
  context.beginPath();
  context.moveTo(-back, 0);
  context.lineTo(length - back, 0);
  if (s >= FINE_FROM) {
    context.moveTo(length * 0.78 - back, -w / 2);
    context.lineTo(length * 0.78 - back, w / 2);
  }
  context.stroke();
  context.lineCap = "butt";
  context.fillStyle = colours.rider;
  context.lineWidth = 1;
  context.beginPath();
  context.ellipse(length * 0.45 - back, 0, Math.max(1.6, length * 0.17), Math.max(1.8, w / 2), 0, 0, 7);
  context.fill();
  context.stroke();
  context.restore();
}

function paint(actor: Actor, colours: Palette, isNamed: boolean): string {
  if (isNamed) return colours.automated;
  if (HEAVY.has(actor.kind)) return colours.heavy;
  return colours.paints[(actor.id * 7 + 3) % colours.paints.length];
}

function vehicle(context: Context, camera: Camera, colours: Palette, actor: Actor, world: WorldAt, i: number, isNamed: boolean, isSelected: boolean): void {
  const s = camera.scale;
  const isFine = s >= FINE_FROM;
  const colour = paint(actor, colours, isNamed);
  const w = Math.max(isNamed ? 4.5 : 3, actor.width * s);
  const length = Math.max(isNamed ? SMALLEST + 3 : SMALLEST, actor.length * s);
  const back = actor.rear_overhang * s;
  const isBraking = world.accel[i] < BRAKES_BELOW;
  const { x, y, yaw } = { x: world.x[i], y: world.y[i], yaw: world.yaw[i] };
  const hasRear = actor.rear_length > 0;
  if (hasRear) {
    const rear = rearSection(actor, x, y, yaw, world.hitch[i]);
    const rl = actor.rear_length * s;
    const gap = Math.min(0.45 * s, rl * 0.1);
    enter(context, camera, rear.x, rear.y, rear.yaw);
    if (isSelected) halo(context, colours, -rl, -w / 2, rl, w, 2);
    body(context, colours, colour, -rl, rl - gap, w, s, isFine);
    if (isFine) {
      roof(context, isNamed ? colours.automatedRoof : colours.glass, -rl, rl - gap, w, s, 0.25);
      lamps(context, colours, -rl, 0, w, s, isBraking, false);
      doors(context, colours, world.doors[i], -rl, rl, w, s, [0.3, 0.72]);
    } else if (isBraking) lamps(context, colours, -rl, 0, w, s, true, false);
    context.restore();
    // The bellows, half way between the two directions.
    enter(context, camera, rear.x, rear.y, yaw - world.hitch[i] / 2);
    const reach = Math.max(gap * 1.5, back + actor.hitch_x * s < 0 ? -(back + actor.hitch_x * s) + gap : gap * 1.5);
    context.fillStyle = colours.bellows;
    context.fillRect(-gap * 1.2, -w * 0.46, gap * 1.2 + reach, w * 0.92);
    context.restore();
  }
  enter(context, camera, x, y, yaw);
  if (isSelected) halo(context, colours, -back, -w / 2, length, w, 3);
  body(context, colours, colour, -back, length, w, s, isFine);
  const isBoxy = HEAVY.has(actor.kind) || actor.kind === KIND.SHUTTLE;
  if (isFine) {
    if (isBoxy) {
      windscreen(context, colours, length - back, w, s);
      roof(context, isNamed ? colours.automatedRoof : colours.glass, -back, length, w, s, isNamed ? 0.55 : 0.22);
      if (actor.kind !== KIND.TRUCK) doors(context, colours, world.doors[i], -back, length, w, s, actor.kind === KIND.SHUTTLE ? [0.55] : [0.3, 0.8]);
    } else cabin(context, colours, -back, length, w, s);
    lamps(context, colours, -back, length - back, w, s, isBraking && !hasRear, true);
  } else {
    if (s >= 1.5) {
      context.fillStyle = colours.glass;
      context.fillRect(length - back - Math.max(2, length * 0.28), -w * 0.36, Math.max(1.2, length * 0.12), w * 0.72);
    }
    if (isBraking && !hasRear) lamps(context, colours, -back, 0, w, s, true, false);
  }
  if (isNamed) {
    // Sensor on the roof: this one drives itself.
    const at = length * (isBoxy ? 0.82 : 0.5) - back;
    context.fillStyle = "#ffffff";
    context.strokeStyle = colours.automated;
    context.lineWidth = Math.max(1, w * 0.09);
    context.beginPath();
    context.arc(at, 0, Math.max(1.3, w * 0.17), 0, 7);
    context.fill();
    context.stroke();
  }
  context.restore();
}

function body(context: Context, colours: Palette, colour: string, x: number, length: number, w: number, s: number, isFine: boolean): void {
  const r = Math.min(0.45 * s, w * 0.28);
  if (isFine) {
    context.fillStyle = colours.shadow;
    context.beginPath();
    context.roundRect(x - 0.12 * s, -w / 2 - 0.1 * s, length + 0.28 * s, w + 0.26 * s, r + 2);
    context.fill();
  }
  context.fillStyle = colour;
  context.strokeStyle = colours.outline;
  context.lineWidth = isFine ? 1.2 : 0.9;
  context.beginPath();
  context.roundRect(x, -w / 2, length, w, r);
  context.fill();
  context.stroke();
}

function cabin(context: Context, colours: Palette, x: number, length: number, w: number, s: number): void {
  context.fillStyle = colours.glass;
  context.beginPath();
  context.roundRect(x + length * 0.16, -w * 0.4, length * 0.56, w * 0.8, w * 0.16);
  context.fill();
  context.fillStyle = "rgba(255,255,255,0.22)";
  context.beginPath();
  context.roundRect(x + length * 0.27, -w * 0.36, length * 0.3, w * 0.72, w * 0.1);
  context.fill();
  if (s > 14) {
    context.fillStyle = colours.outline;
    for (const side of [-1, 1]) context.fillRect(x + length * 0.66, side * w * 0.5 - (side < 0 ? 0.14 * s : 0), 0.18 * s, 0.14 * s);
  }
}

function roof(context: Context, colour: string, x: number, length: number, w: number, s: number, alpha: number): void {
  context.globalAlpha = alpha;
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(x + 0.5 * s, -w * 0.3, length - Math.max(1.2 * s, length * 0.12) - 0.5 * s, w * 0.6, w * 0.08);
  context.fill();
  context.globalAlpha = 1;
}

function windscreen(context: Context, colours: Palette, front: number, w: number, s: number): void {
  context.fillStyle = colours.glass;
  context.beginPath();
  context.roundRect(front - 0.75 * s, -w * 0.42, 0.5 * s, w * 0.84, 0.15 * s);
  context.fill();
}

function lamps(context: Context, colours: Palette, rear: number, front: number, w: number, s: number, isBraking: boolean, hasFront: boolean): void {
  const size = Math.max(1.2, 0.22 * s);
  if (isBraking) {
    context.fillStyle = colours.brake;
    context.fillRect(rear, -w * 0.46, size, w * 0.26);
    context.fillRect(rear, w * 0.2, size, w * 0.26);
  }
  if (hasFront) {
    context.fillStyle = "#fff6d8";
    context.fillRect(front - size, -w * 0.45, size * 0.8, w * 0.18);
    context.fillRect(front - size, w * 0.27, size * 0.8, w * 0.18);
  }
}

/** Open leaves, at these shares of the length; `side` +1 left, -1 right. */
function doors(context: Context, colours: Palette, side: number, x: number, length: number, w: number, s: number, places: number[]): void {
  if (side === 0) return;
  const edge = (side > 0 ? -1 : 1) * (w / 2);
  context.fillStyle = colours.door;
  context.strokeStyle = colours.outline;
  context.lineWidth = 0.8;
  for (const place of places) {
    const at = x + length * place;
    context.fillRect(at - 0.62 * s, edge - (side > 0 ? 0 : 0.22 * s), 1.24 * s, 0.22 * s);
    for (const leaf of [-1, 1]) {
      context.beginPath();
      context.rect(at + leaf * 0.62 * s - 0.06 * s, edge - (side > 0 ? 0.5 * s : 0), 0.12 * s, 0.5 * s);
      context.fill();
      context.stroke();
    }
  }
}

/** Outline alone: what another run, or a unit, says is there. */
export function ghostOutline(context: Context, camera: Camera, actor: Actor, x: number, y: number, yaw: number, hitch: number): void {
  const s = camera.scale;
  const w = Math.max(4, actor.width * s);
  const box = (px: number, py: number, angle: number, back: number, length: number): void => {
    enter(context, camera, px, py, angle);
    context.beginPath();
    context.roundRect(-back * s, -w / 2, Math.max(6, length * s), w, Math.min(4, w * 0.2));
    context.fill();
    context.stroke();
    context.restore();
  };
  if (isFoot(actor.kind)) {
    context.beginPath();
    context.arc(camera.sx(x), camera.sy(y), Math.max(3, 0.4 * s), 0, 7);
    context.fill();
    context.stroke();
    return;
  }
  box(x, y, yaw, actor.rear_overhang, actor.length);
  if (actor.rear_length > 0) {
    const rear = rearSection(actor, x, y, yaw, hitch);
    box(rear.x, rear.y, rear.yaw, actor.rear_length, actor.rear_length);
  }
}
