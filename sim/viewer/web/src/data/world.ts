// Where everybody is at any moment: two frames of the world table, and what lies between them.
import type { Actor, Columns } from "../model";
import type { SceneRun } from "./run";

const TAU = 2 * Math.PI;

/** Angle between `a` and `b` at `f`, along the shorter way round. */
export function lerpAngle(a: number, b: number, f: number): number {
  let d = (b - a) % TAU;
  if (d > Math.PI) d -= TAU;
  else if (d < -Math.PI) d += TAU;
  return a + d * f;
}

/** Index of the last entry of ascending `t` that is <= `at`; -1 before the first. */
export function lastAtOrBefore(t: ArrayLike<number>, at: number): number {
  let low = 0;
  let high = t.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (t[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Rows of a frame, within what is there whatever a file says. */
export function rowRange(block: Columns, frame: number, rows: number): [from: number, to: number] {
  return [Math.min(rows, block.start[frame]), Math.min(rows, block.start[frame + 1])];
}

/** Rows of one actor in a block, in time order: frame and row in turn. */
const rowsOf = new WeakMap<Columns, Map<number, Int32Array>>();

export function rowsOfActor(block: Columns, actor: number): Int32Array {
  let known = rowsOf.get(block);
  if (!known) rowsOf.set(block, (known = new Map()));
  let rows = known.get(actor);
  if (!rows) {
    const { start, id } = block;
    const found: number[] = [];
    let frame = 0;
    for (let row = 0; row < id.length; row++) {
      while (frame + 2 < start.length && row >= start[frame + 1]) frame++;
      if (id[row] === actor) found.push(frame, row);
    }
    known.set(actor, (rows = Int32Array.from(found)));
  }
  return rows;
}

/** Whether a row is further from the other than driving explains: put somewhere else, it was nowhere between. */
function hasJumped(p: Columns, row: number, q: Columns, other: number, dt: number): boolean {
  const speed = Math.max(Math.abs(p.speed[row]), Math.abs(q.speed[other]));
  return Math.hypot(q.x[other] - p.x[row], q.y[other] - p.y[row]) > 2 + 2 * speed * dt + 5 * dt * dt;
}

interface Frame { block: Columns; index: number; t: number }

/** The world at one moment. Arrays are used again from moment to moment; the first `count` entries hold. */
export class WorldAt {
  count = 0;
  actors: Actor[] = [];
  x = new Float64Array(0);
  y = new Float64Array(0);
  yaw = new Float64Array(0);
  speed = new Float64Array(0);
  accel = new Float64Array(0);
  hitch = new Float64Array(0);
  doors = new Int8Array(0);
  readonly at = new Map<number, number>(); // actor id -> entry
  private byId = new Map<number, Actor>();
  private known: Actor[] | null = null;
  private readonly next = new Map<number, number>();
  private nextBlock: Columns | null = null;
  private nextIndex = -1;

  constructor(private readonly run: SceneRun) {}

  /** Moves to `timeMs`; false while what is needed loads (then the last picture stays). */
  update(timeMs: number): boolean {
    const a = this.frameAt(timeMs);
    if (a === undefined) return false;
    if (a === null) {
      this.count = 0;
      this.at.clear();
      return true;
    }
    let b: Frame | null | undefined = null;
    if (a.index + 1 < a.block.t.length) b = { block: a.block, index: a.index + 1, t: a.block.t[a.index + 1] };
    else b = this.firstAfter(a);
    if (b === undefined) b = null; // at the seam of two blocks: stand still rather than wait
    this.fill(a, b, timeMs);
    return true;
  }

  private frameAt(timeMs: number): Frame | null | undefined {
    const number = Math.max(0, Math.floor(timeMs / this.run.blockMs));
    for (let k = number; k >= Math.max(0, number - 1); k--) {
      const block = this.run.peek("world", k);
      if (block === undefined) return undefined;
      if (block === null) continue;
      const index = lastAtOrBefore(block.t, timeMs);
      if (index >= 0) return { block, index, t: block.t[index] };
      if (k === 0 && block.t.length > 0) return { block, index: 0, t: block.t[0] };
    }
    return null;
  }

  private firstAfter(a: Frame): Frame | null | undefined {
    const block = this.run.peek("world", Math.floor(a.t / this.run.blockMs) + 1);
    if (block === undefined) return undefined;
    if (block === null || block.t.length === 0) return null;
    return { block, index: 0, t: block.t[0] };
  }

  private reserve(n: number): void {
    if (this.x.length >= n) return;
    const size = Math.max(64, n * 2);
    for (const name of ["x", "y", "yaw", "speed", "accel", "hitch"] as const) this[name] = new Float64Array(size);
    this.doors = new Int8Array(size);
  }

  private fill(a: Frame, b: Frame | null, timeMs: number): void {
    if (this.known !== this.run.meta.actors) {
      this.known = this.run.meta.actors;
      this.byId = new Map(this.known.map((actor) => [actor.id, actor]));
    }
    if (b && (b.block !== this.nextBlock || b.index !== this.nextIndex)) {
      this.next.clear();
      const { id } = b.block;
      const [first, last] = rowRange(b.block, b.index, id.length);
      for (let row = first; row < last; row++) this.next.set(id[row], row);
      this.nextBlock = b.block;
      this.nextIndex = b.index;
    }
    const f = b ? Math.min(1, Math.max(0, (timeMs - a.t) / (b.t - a.t))) : 0;
    const p = a.block;
    const [from, to] = rowRange(p, a.index, p.id.length);
    this.reserve(Math.max(0, to - from));
    this.at.clear();
    let n = 0;
    for (let row = from; row < to; row++) {
      const actor = this.byId.get(p.id[row]);
      if (!actor) continue;
      const other = b ? this.next.get(actor.id) : undefined;
      if (b && other !== undefined && f > 0 && !hasJumped(p, row, b.block, other, (b.t - a.t) / 1000)) {
        const q = b.block;
        this.x[n] = p.x[row] + (q.x[other] - p.x[row]) * f;
        this.y[n] = p.y[row] + (q.y[other] - p.y[row]) * f;
        this.yaw[n] = lerpAngle(p.yaw[row], q.yaw[other], f);
        this.speed[n] = p.speed[row] + (q.speed[other] - p.speed[row]) * f;
        this.accel[n] = p.accel[row] + (q.accel[other] - p.accel[row]) * f;
        this.hitch[n] = lerpAngle(p.hitch[row], q.hitch[other], f);
      } else {
        this.x[n] = p.x[row];
        this.y[n] = p.y[row];
        this.yaw[n] = p.yaw[row];
        this.speed[n] = p.speed[row];
        this.accel[n] = p.accel[row];
        this.hitch[n] = p.hitch[row];
      }
      this.doors[n] = p.doors[row];
      this.actors[n] = actor;
      this.at.set(actor.id, n);
      n++;
    }
    this.count = n;
  }
}
