// A run from the viewer's server, also one that is still going on.
import type { Meta } from "../model";
import { DataError, type SectionInfo } from "./columns";
import { completeMeta, readManifest, type Manifest } from "./manifest";
import { SectionRun, type Fetched } from "./run";

const POLL_MS = 1000;
const BEAT_MS = 3000; // how often a page asks whether its server is there
const PATIENCE_MS = 10_000; // a busy server answers later than that only when something is wrong

function address(id: string, rest: string): string {
  return `api/run/${encodeURIComponent(id)}/${rest.split("/").map(encodeURIComponent).join("/")}`;
}

async function get(url: string): Promise<Response> {
  const answer = await fetch(url);
  if (!answer.ok) {
    const text = await answer.text().catch(() => "");
    const chinese = decoded(answer.headers.get("icv-chinese"));
    throw new DataError(`${url}: ${answer.status} ${text.slice(0, 300) || answer.statusText}`, chinese && `${url}：${answer.status} ${chinese}`);
  }
  return answer;
}

/** Headers hold ASCII alone: other characters come percent-encoded. */
function decoded(text: string | null): string {
  try {
    return decodeURIComponent(text ?? "");
  } catch {
    return "";
  }
}

export interface RunEntry { id: string }

/** The runs that the server offers. */
export async function listRuns(): Promise<RunEntry[]> {
  const value: unknown = await (await get("api/runs")).json();
  const list = Array.isArray(value) ? value : ((value as { runs?: unknown }).runs ?? []);
  return Array.isArray(list) ? list.filter((entry): entry is RunEntry => typeof (entry as RunEntry)?.id === "string") : [];
}

/** What a section says of itself in its header; null when it says nothing that can be used. */
export function sectionInfo(text: string | null): SectionInfo | null {
  if (text === null) return null;
  try {
    const value = JSON.parse(text) as Partial<SectionInfo> | null;
    const isCount = (each: unknown): boolean => Number.isSafeInteger(each) && (each as number) >= 0;
    const counts: unknown = value?.counts ?? {};
    if (!isCount(value?.raw) || !isCount(value?.rows) || typeof counts !== "object" || counts === null || !Object.values(counts).every(isCount)) return null;
    return value as SectionInfo;
  } catch {
    return null;
  }
}

/** What a run in progress says: parts of the manifest that are new. */
interface Growth { meta?: Partial<Meta>; tables?: Manifest["tables"]; sections?: Record<string, SectionInfo>; done?: boolean }

export class ServerRun extends SectionRun {
  private readonly growers: (() => void)[] = [];
  private following = false;
  private away = false;
  private isLooking = false;
  private grownAt = performance.now();

  static async open(id: string): Promise<ServerRun> {
    const run = new ServerRun(id, readManifest(await (await get(address(id, "manifest"))).json()));
    if (run.live) run.follow();
    setInterval(() => document.visibilityState === "visible" && void run.beat(), BEAT_MS);
    return run;
  }

  /** How long a run in progress has added nothing, in ms; 0 for one that has ended. */
  get quietMs(): number {
    return this.live ? performance.now() - this.grownAt : 0;
  }

  override get isAway(): boolean {
    return this.away;
  }

  /** Whether the run is still going on. */
  get live(): boolean {
    return (this.meta as Meta & { live?: boolean }).live === true;
  }

  protected override get isGrowing(): boolean {
    return this.live;
  }

  onGrowth(listener: () => void): void {
    this.growers.push(listener);
  }

  protected override async fetchSection(key: string): Promise<Fetched | null> {
    const answer = await this.ask(() => get(address(this.id, `section/${key}`)));
    return { bytes: new Uint8Array(await answer.arrayBuffer()), info: sectionInfo(answer.headers.get("icv-section")) };
  }

  /** One message alone, unless its whole block is here: a block's bytes are megabytes. */
  override async bytes(block: number, row: number): Promise<Uint8Array | null> {
    if (this.holdsBytes(block)) return super.bytes(block, row);
    const messages = await this.block("messages", block);
    if (this.rawBytes(`bytes/${block}`) > 0 && (messages?.bytes0?.[row] ?? -1) < 0) return null; // such as what a fault has garbled
    const answer = await this.ask(() => fetch(address(this.id, `bytes/${block}/${row}`)));
    return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : null;
  }

  /** Asks the server; when it does not answer at all, the page says so until it does. */
  private async ask(question: () => Promise<Response>): Promise<Response> {
    try {
      return await question();
    } catch (error) {
      if (!(error instanceof DataError)) this.setAway(true); // an answer that says no is an answer
      throw error;
    }
  }

  private setAway(isAway: boolean): void {
    if (isAway === this.away) return;
    this.away = isAway;
    for (const listener of this.growers) listener();
  }

  /** Whether the server is there; once it is back, the run as it is now, and what could not be had in the meantime. */
  private async beat(): Promise<void> {
    if (this.isLooking) return;
    this.isLooking = true;
    try {
      if (this.away) {
        const manifest = readManifest(await (await get(address(this.id, "manifest"))).json());
        this.away = false;
        if (this.meta.digest !== "" && manifest.meta.digest !== "" && manifest.meta.digest !== this.meta.digest) {
          location.reload(); // another run lies there now
          return;
        }
        this.replace(manifest);
        this.retry();
        if (this.live) this.follow();
        for (const listener of this.growers) listener();
      } else if (this.quietMs > BEAT_MS) for (const listener of this.growers) listener(); // the page tells how long
      if (!this.away) await fetch("viewer.css", { method: "GET", cache: "no-cache", signal: AbortSignal.timeout(PATIENCE_MS) });
    } catch (error) {
      if (error instanceof DataError && this.away) {
        this.away = false; // it is back, without this run
        this.problem = error;
        for (const listener of this.growers) listener();
      } else if (!(error instanceof DataError)) this.setAway(true);
    } finally {
      this.isLooking = false;
    }
  }

  private follow(): void {
    if (this.following) return;
    this.following = true;
    const url = new URL(address(this.id, "live"), location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    let socket: WebSocket;
    try {
      socket = new WebSocket(url);
    } catch {
      this.following = false;
      void this.poll();
      return;
    }
    let isPolling = false;
    socket.onmessage = (event) => {
      if (typeof event.data !== "string") return;
      try {
        this.grow(JSON.parse(event.data) as Growth);
      } catch (error) {
        console.warn(`live: ${error instanceof Error ? error.message : String(error)}`);
      }
    };
    socket.onclose = () => {
      this.following = false;
      if (!isPolling && this.live) void this.poll();
      isPolling = true;
    };
  }

  private async poll(): Promise<void> {
    while (this.live && !this.following) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      if (this.following) return;
      try {
        const manifest = readManifest(await (await get(address(this.id, "manifest"))).json());
        if (manifest.meta.duration_s !== this.meta.duration_s) this.grownAt = performance.now();
        this.replace(manifest);
      } catch (error) {
        if (error instanceof DataError) {
          this.problem = error; // such as a log that has been taken away
          for (const listener of this.growers) listener();
        } else this.setAway(true); // what is here stays; `beat` goes on when it is back
        return;
      }
      for (const listener of this.growers) listener();
    }
  }

  private grow(growth: Growth): void {
    this.grownAt = performance.now();
    const meta = completeMeta({ ...this.meta, ...growth.meta, ...(growth.done ? { live: false } : {}) } as Partial<Meta>);
    this.replace({ ...this.manifest, meta, tables: growth.tables ?? this.manifest.tables, sections: { ...this.manifest.sections, ...growth.sections } });
    for (const listener of this.growers) listener();
  }
}
