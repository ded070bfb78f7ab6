// While nothing else is to do, blocks that the scene will need when somebody jumps there are read, the nearest first.
import type { SceneRun } from "./run";

const TABLES = ["world", "spat"];
const PER_VEHICLE = ["plan"];
const MOST_BYTES = 24e6; // of sections before they are decoded to wider numbers, a few times as much after
const PAUSE_MS = 40;
const BUSY_MS = 400;

export interface Prefetched extends SceneRun { rawBytes(key: string): number }

/** Blocks from `at` outwards. */
export function outwards(at: number, count: number): number[] {
  const out: number[] = [];
  for (let k = 0; k < count; k++) {
    if (at + k < count && at + k >= 0) out.push(at + k);
    if (k > 0 && at - k >= 0 && at - k < count) out.push(at - k);
  }
  return out;
}

/** Starts; `isBusy` holds it back, `timeMs` says where people are. */
export function prefetch(run: Prefetched, timeMs: () => number, isBusy: () => boolean): void {
  const done = new Set<string>();
  let spent = 0;
  const names = [...TABLES, ...PER_VEHICLE.flatMap((table) => Object.keys(run.meta.vehicles).map((name) => `${table}/${name}`))].filter((name) => run.has(name));
  const step = async (): Promise<void> => {
    if (isBusy()) {
      setTimeout(() => void step(), BUSY_MS);
      return;
    }
    for (const block of outwards(Math.floor(timeMs() / run.blockMs), run.numBlocks))
      for (const name of names) {
        const key = `${name}/${block}`;
        if (done.has(key)) continue;
        done.add(key);
        spent += run.rawBytes(key);
        if (spent > MOST_BYTES) return;
        await run.block(name, block).catch(() => null);
        setTimeout(() => void step(), PAUSE_MS);
        return;
      }
  };
  setTimeout(() => void step(), BUSY_MS);
}
