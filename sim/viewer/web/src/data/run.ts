// A run whose sections come from somewhere: decoding, the cache of blocks, and what is loading.
import type { Columns, Meta, Run } from "../model";
import { bytesOf, DataError, decodeSection, inflate, type SectionInfo } from "./columns";
import { Lru } from "./lru";
import type { Manifest } from "./manifest";

const MOST_BLOCKS = 100_000;
const CACHE_BYTES = 128 * 1024 * 1024;
const WIRE_BYTES = 32 * 1024 * 1024; // messages' own bytes: many, and seldom asked for twice
const WIRE = "bytes";

/** A section as it came: deflated, with what it says of itself; null: what the manifest says. */
export interface Fetched { bytes: Uint8Array; info: SectionInfo | null }

/** Whether `held` is what a section was before the run had grown to `now`. */
function isOlder(held: SectionInfo, now: SectionInfo): boolean {
  return held.raw < now.raw || held.rows < now.rows;
}

/** A run that the scene can ask without waiting. */
export interface SceneRun extends Run {
  /** The block if it is here; undefined while it loads (loading starts); null when the run has none. */
  peek(name: string, block: number): Columns | null | undefined;
  /** The same for a table of the whole run. */
  peekTable(name: string): Columns | null | undefined;
  /** Called when something asked for by `peek` has arrived. */
  onArrival(listener: () => void): void;
}

export abstract class SectionRun implements SceneRun {
  protected manifest: Manifest;
  private readonly cache = new Lru<Columns>(CACHE_BYTES);
  private readonly wires = new Lru<Columns>(WIRE_BYTES);
  private readonly heldAs = new Map<string, SectionInfo>(); // what a section in a cache was when it came
  private readonly loading = new Map<string, Promise<Columns | null>>();
  private readonly failed = new Set<string>();
  private readonly stale = new Set<string>(); // here, but the run has grown since
  private readonly arrivals: (() => void)[] = [];

  constructor(readonly id: string, manifest: Manifest) {
    this.manifest = manifest;
  }

  /** A section; null where it cannot be had. */
  protected abstract fetchSection(key: string): Promise<Fetched | null>;

  /** Whether more of the run may come. */
  protected get isGrowing(): boolean {
    return false;
  }

  /** Whether it cannot be reached for now: what fails then may be had later. */
  get isAway(): boolean {
    return false;
  }

  /** Why a part of it cannot be read; the last such reason. */
  problem: DataError | null = null;

  get meta(): Meta {
    return this.manifest.meta;
  }

  get blockMs(): number {
    return this.manifest.block_ms;
  }

  get numBlocks(): number {
    return Math.min(MOST_BLOCKS, Math.max(1, Math.ceil((this.meta.duration_s * 1000) / this.blockMs)));
  }

  /** Bytes of a section once inflated; 0 when there is none. */
  rawBytes(key: string): number {
    return Object.hasOwn(this.manifest.sections, key) ? this.manifest.sections[key].raw : 0;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.manifest.tables, name);
  }

  table(name: string): Promise<Columns | null> {
    return this.load(name, name);
  }

  block(name: string, block: number): Promise<Columns | null> {
    return this.load(name, `${name}/${block}`);
  }

  peek(name: string, block: number): Columns | null | undefined {
    return this.look(name, `${name}/${block}`);
  }

  peekTable(name: string): Columns | null | undefined {
    return this.look(name, name);
  }

  onArrival(listener: () => void): void {
    this.arrivals.push(listener);
  }

  /** The cache that holds `key`. */
  private cacheOf(key: string): Lru<Columns> {
    return key.startsWith(`${WIRE}/`) ? this.wires : this.cache;
  }

  /** Whether the wire bytes of a block are here already. */
  protected holdsBytes(block: number): boolean {
    return this.wires.get(`${WIRE}/${block}`) !== undefined;
  }

  async bytes(block: number, row: number): Promise<Uint8Array | null> {
    const messages = await this.block("messages", block);
    if (!messages || row < 0 || row >= messages.seq.length) return null;
    const at = messages.bytes0?.[row] ?? -1;
    if (at < 0) return null;
    const wire = await this.block(WIRE, block);
    const size = messages.size[row];
    if (!wire || at + size > wire.data.length) return null;
    return (wire.data as Uint8Array).slice(at, at + size);
  }

  private look(name: string, key: string): Columns | null | undefined {
    const there = this.cacheOf(key).get(key);
    if (there && !this.stale.has(key)) return there;
    if (there) {
      if (!this.loading.has(key)) void this.load(name, key).catch(() => undefined);
      return there; // better than nothing, until the newer one has come
    }
    if ((this.isGrowing || this.isAway) && this.failed.has(key)) return undefined;
    if (!this.has(name) || !Object.hasOwn(this.manifest.sections, key) || this.failed.has(key)) return null;
    if (!this.loading.has(key)) void this.load(name, key).catch(() => undefined);
    return undefined;
  }

  private load(name: string, key: string): Promise<Columns | null> {
    const there = this.cacheOf(key).get(key);
    if (there && !this.stale.has(key)) return Promise.resolve(there);
    const table = this.has(name) ? this.manifest.tables[name] : undefined;
    const info = Object.hasOwn(this.manifest.sections, key) ? this.manifest.sections[key] : undefined;
    if (!table || !info) return Promise.resolve(null);
    const under = this.loading.get(key);
    if (under) return under;
    const promise = (async () => {
      const fetched = await this.fetchSection(key);
      if (!fetched) return null;
      // A run in progress may be ahead of what is known of it: what the section says of itself counts.
      const held = fetched.info ?? info;
      const columns = decodeSection(await inflate(fetched.bytes, held.raw), table.columns, held);
      this.cacheOf(key).set(key, columns, bytesOf(columns));
      this.heldAs.set(key, held);
      // It may also have grown while this was under way.
      const now = this.manifest.sections[key];
      if (now && isOlder(held, now)) this.stale.add(key);
      else this.stale.delete(key);
      return columns;
    })();
    this.loading.set(key, promise);
    promise.then(
      (columns) => {
        if (columns === null) this.failed.add(key);
        this.settled(key);
      },
      (error: unknown) => {
        this.failed.add(key);
        this.stale.delete(key);
        if (!this.isGrowing && !this.isAway) {
          const why = error instanceof Error ? error.message : String(error);
          const chinese = error instanceof DataError ? error.chinese : "";
          this.problem = new DataError(`${key}: ${why}`, chinese && `${key}：${chinese}`);
          console.warn(`section ${this.problem.message}`);
        }
        this.settled(key);
      },
    );
    return promise;
  }

  private settled(key: string): void {
    this.loading.delete(key);
    for (const listener of this.arrivals) listener();
  }

  /** What could not be had is asked for again. */
  protected retry(): void {
    this.failed.clear();
    this.problem = null;
    for (const listener of this.arrivals) listener();
  }

  /** Takes over a newer manifest: sections that have changed are read anew. */
  protected replace(manifest: Manifest): void {
    const old = this.manifest.sections;
    for (const key of Object.keys(manifest.sections)) {
      const a = old[key];
      const b = manifest.sections[key];
      if (a && a.raw === b.raw && a.rows === b.rows) manifest.sections[key] = a;
      else {
        const held = this.cacheOf(key).get(key) && this.heldAs.get(key);
        if (held && isOlder(held, b)) this.stale.add(key);
        this.failed.delete(key);
      }
    }
    this.manifest = manifest;
  }
}

/** A run of nothing, for the page that only lists runs. */
export class EmptyRun extends SectionRun {
  protected override fetchSection(): Promise<null> {
    return Promise.resolve(null);
  }
}
