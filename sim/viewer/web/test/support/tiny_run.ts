// A small run made up here: two blocks of one second, a car that drives a circle and a bus that stands.
import type { Actor } from "../../src/model";
import type { SectionInfo } from "../../src/data/columns";
import { completeMeta, type Manifest } from "../../src/data/manifest";
import { SectionRun, type Fetched } from "../../src/data/run";
import { concat, deflate, encodeColumn } from "./encode";

const COLUMNS: [string, string][] = [["t", "u32:d:s"], ["start", "u32:d:s"], ["id", "u16"], ["x", "i32:0.01:d:s"], ["y", "i32:0.01:d:s"], ["yaw", "i16:0.0002:s"], ["speed", "i16:0.01:s"], ["accel", "i16:0.01"], ["hitch", "i16:0.0002"], ["doors", "i8"]];

export function actor(id: number, more: Partial<Actor> = {}): Actor {
  return { id, kind: 1, kind_name: "CAR", name: "", length: 4.5, width: 1.8, height: 1.5, wheelbase: 2.7, rear_overhang: 0.9, hitch_x: 0, rear_length: 0, ...more };
}

export interface Frame { t: number; rows: { id: number; x: number; y: number; yaw: number; hitch?: number }[] }

async function section(frames: Frame[]): Promise<{ info: SectionInfo; bytes: Uint8Array }> {
  const rows = frames.flatMap((frame) => frame.rows);
  const start = [0];
  for (const frame of frames) start.push(start[start.length - 1] + frame.rows.length);
  const values: Record<string, number[]> = {
    t: frames.map((frame) => frame.t), start, id: rows.map((r) => r.id), x: rows.map((r) => r.x), y: rows.map((r) => r.y), yaw: rows.map((r) => r.yaw),
    speed: rows.map(() => 5), accel: rows.map(() => 0), hitch: rows.map((r) => r.hitch ?? 0), doors: rows.map(() => 0),
  };
  const raw = concat(COLUMNS.map(([name, encoding]) => encodeColumn(values[name], encoding)));
  return { info: { raw: raw.length, rows: rows.length, counts: { t: frames.length, start: frames.length + 1 } }, bytes: await deflate(raw) };
}

export class TinyRun extends SectionRun {
  readonly fetched: string[] = [];
  private readonly stored: Map<string, Uint8Array>;
  private readonly ahead = new Map<string, SectionInfo>();

  private constructor(manifest: Manifest, stored: Map<string, Uint8Array>) {
    super("tiny", manifest);
    this.stored = stored;
  }

  static async make(frames: Frame[], actors: Actor[]): Promise<TinyRun> {
    const manifest: Manifest = { format: 1, meta: completeMeta({ duration_s: 2, actors }), block_ms: 1000, tables: { world: { per: "block", columns: COLUMNS } }, sections: {} };
    const stored = new Map<string, Uint8Array>();
    for (const block of [0, 1]) {
      const { info, bytes } = await section(frames.filter((frame) => Math.floor(frame.t / 1000) === block));
      manifest.sections[`world/${block}`] = info;
      stored.set(`world/${block}`, bytes);
    }
    return new TinyRun(manifest, stored);
  }

  protected override fetchSection(key: string): Promise<Fetched | null> {
    this.fetched.push(key);
    const bytes = this.stored.get(key);
    return Promise.resolve(bytes ? { bytes, info: this.ahead.get(key) ?? null } : null);
  }

  /** The section has grown where it comes from, and says so itself; the manifest does not know yet. */
  async runAhead(key: string, frames: Frame[]): Promise<SectionInfo> {
    const { info, bytes } = await section(frames);
    this.stored.set(key, bytes);
    this.ahead.set(key, info);
    return info;
  }

  /** News of a run in progress. */
  learn(sections: Record<string, SectionInfo>): void {
    this.replace({ ...this.manifest, sections: { ...this.manifest.sections, ...sections } });
  }

  /** The run goes on: a section is longer now. */
  async grow(key: string, frames: Frame[]): Promise<void> {
    const { info, bytes } = await section(frames);
    this.stored.set(key, bytes);
    this.replace({ ...this.manifest, sections: { ...this.manifest.sections, [key]: info } });
  }
}
