// One actor at a moment: where the truth has it, and which of a unit's perceived objects is most likely meant to be it.
import type { Actor, Columns, Run } from "../model";
import { lastAtOrBefore } from "./find";

export interface ActorState {
  t: number; // ms of the frame
  x: number; // body origin: ground under the rear axle of the front section
  y: number;
  yaw: number;
  speed: number;
  accel: number;
  hitch: number;
  doors: number;
}

/** Row range of the frame at or before `ms` in a table with `t` and `start`, and when it was so (`said`); null before the first. */
export function frameAt(table: Columns, ms: number): { t: number; said: number; start: number; end: number } | null {
  const frame = lastAtOrBefore(table.t!, ms + 0.5);
  return frame < 0 ? null : { t: table.t![frame]!, said: stampOf(table, frame), start: table.start![frame]!, end: table.start![frame + 1]! };
}

const CLOCK_MS = 1000; // a stamp farther from the moment of sending comes from a clock that is wrong

/** When what a unit says was so, ms: the stamp that it gave it, as far as its clock can be believed; else when it was sent. */
export function stampOf(table: Columns, frame: number): number {
  const said = table.said?.[frame];
  const sent = table.t![frame]!;
  return said !== undefined && Math.abs(said - sent) <= CLOCK_MS ? said : sent;
}

/** The actor's row in a block of the world; null when it is not there (yet, or no more). */
export function stateAt(world: Columns, id: number, ms: number): ActorState | null {
  const frame = frameAt(world, ms);
  if (!frame) return null;
  for (let row = frame.start; row < frame.end; row++)
    if (world.id![row] === id) {
      const value = (name: string): number => world[name]?.[row] ?? 0;
      return { t: frame.t, x: value("x"), y: value("y"), yaw: value("yaw"), speed: value("speed"), accel: value("accel"), hitch: value("hitch"), doors: value("doors") };
    }
  return null;
}

export interface Body {
  x: number; // centre
  y: number;
  isRear: boolean;
}

/** Centres of the sections of an actor: sensors see each section as an object of its own. */
export function bodies(actor: Actor, state: ActorState): Body[] {
  const ahead = actor.length / 2 - actor.rear_overhang;
  const cos = Math.cos(state.yaw);
  const sin = Math.sin(state.yaw);
  const out: Body[] = [{ x: state.x + ahead * cos, y: state.y + ahead * sin, isRear: false }];
  if (actor.rear_length > 0) {
    const yaw = state.yaw - state.hitch;
    const back = actor.rear_length / 2;
    out.push({ x: state.x + actor.hitch_x * cos - back * Math.cos(yaw), y: state.y + actor.hitch_x * sin - back * Math.sin(yaw), isRear: true });
  }
  return out;
}

export interface Belief {
  ageMs: number; // of what the unit said
  isRear: boolean;
  errorM: number;
  speedErrorMps: number; // perceived minus true
  sigmaM: number;
  kind: number;
}

const GATE_M = 6;

/** For each section of the actor the nearest perceived object within 6 m, of the unit's last word at or before `ms`. */
export function beliefsAt(perceived: Columns, actor: Actor, state: ActorState, ms: number): Belief[] {
  const frame = frameAt(perceived, ms);
  if (!frame || ms - frame.t > 2000) return [];
  const beliefs: Belief[] = [];
  // What was said is compared with where the actor was then: speed carries it back along its course.
  const back = ((frame.said - state.t) / 1000) * state.speed;
  for (const body of bodies(actor, state)) {
    let best: Belief | null = null;
    let near = GATE_M;
    const x = body.x + back * Math.cos(state.yaw);
    const y = body.y + back * Math.sin(state.yaw);
    for (let row = frame.start; row < frame.end; row++) {
      const distance = Math.hypot(perceived.x![row]! - x, perceived.y![row]! - y);
      if (distance >= near) continue;
      near = distance;
      best = {
        ageMs: ms - frame.said,
        isRear: body.isRear,
        errorM: distance,
        speedErrorMps: perceived.speed![row]! - Math.abs(state.speed),
        sigmaM: perceived.sigma?.[row] ?? NaN,
        kind: perceived.kind?.[row] ?? 0,
      };
    }
    if (best) beliefs.push(best);
  }
  return beliefs;
}

/** The unit on board of an actor ("obu/bus1" of "bus1"); null for background traffic. */
export function unitOf(run: Run, actor: Actor): string | null {
  return actor.name ? unitCalled(run, actor.name) : null;
}

/** A unit by its name or by the part after its kind ("rsu/J1" of "J1"). */
export function unitCalled(run: Run, name: string): string | null {
  const { units } = run.meta;
  return units.find((unit) => unit === name) ?? units.find((unit) => unit.endsWith(`/${name}`)) ?? null;
}
