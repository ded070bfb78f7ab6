// Outlines of bodies. World: x east, y north, metres; an actor's origin is on the ground under the rear axle of its front section.
import type { Actor } from "../model";

export type Corners = [number, number, number, number, number, number, number, number];

/** Corners of a box along `yaw` whose rear end lies `back` behind (x, y) and whose front end `front` before it. */
export function boxCorners(x: number, y: number, yaw: number, back: number, front: number, width: number): Corners {
  const c = Math.cos(yaw);
  const s = Math.sin(yaw);
  const h = width / 2;
  return [
    x + c * front - s * h, y + s * front + c * h,
    x + c * front + s * h, y + s * front - c * h,
    x - c * back + s * h, y - s * back - c * h,
    x - c * back - s * h, y - s * back + c * h,
  ]; // front left, front right, rear right, rear left
}

/** The joint of an articulated actor and where its rear section points. */
export function rearSection(actor: Actor, x: number, y: number, yaw: number, hitch: number): { x: number; y: number; yaw: number } {
  return { x: x + Math.cos(yaw) * actor.hitch_x, y: y + Math.sin(yaw) * actor.hitch_x, yaw: yaw - hitch };
}

/** Middle of the front section. */
export function centre(actor: Actor, x: number, y: number, yaw: number): [number, number] {
  const ahead = actor.length / 2 - actor.rear_overhang;
  return [x + Math.cos(yaw) * ahead, y + Math.sin(yaw) * ahead];
}

/** Whether (px, py) is within `slack` of the box. */
export function inBox(px: number, py: number, x: number, y: number, yaw: number, back: number, front: number, width: number, slack: number): boolean {
  const dx = px - x;
  const dy = py - y;
  const along = dx * Math.cos(yaw) + dy * Math.sin(yaw);
  const across = -dx * Math.sin(yaw) + dy * Math.cos(yaw);
  return along >= -back - slack && along <= front + slack && Math.abs(across) <= width / 2 + slack;
}

/** Whether (px, py) is on the actor, any section. */
export function onActor(actor: Actor, px: number, py: number, x: number, y: number, yaw: number, hitch: number, slack: number): boolean {
  if (inBox(px, py, x, y, yaw, actor.rear_overhang, actor.length - actor.rear_overhang, actor.width, slack)) return true;
  if (!(actor.rear_length > 0)) return false;
  const rear = rearSection(actor, x, y, yaw, hitch);
  return inBox(px, py, rear.x, rear.y, rear.yaw, actor.rear_length, 0, actor.width, slack);
}
